//! Searching and counting in texts by what a reader sees as one character (grapheme clusters), as Erlang's module `string`.
//!
//! Texts are bytes. A function that has to look at bytes that are not UTF-8 returns `None`; Erlang fails there.

use unicode_segmentation::UnicodeSegmentation;

/// Most bytes behind a cluster that are looked at to find its end.
const MAX_LOOK: usize = 64;

/// The clusters of a text.
pub(super) fn clusters(text: &str) -> impl DoubleEndedIterator<Item = &str> {
    text.graphemes(true)
}

/// The first place of the pattern, from byte `from` on. A pattern does not match in front of a mark that belongs to its last
/// character: there is no `e` in `é` if that is written as `e` and an accent.
pub(super) fn find(text: &[u8], pattern: &str, from: usize) -> Option<usize> {
    let length = pattern.len();
    let rest = text.get(from..)?;
    let mut places = rest
        .windows(length.max(1))
        .enumerate()
        .filter(|(_, window)| *window == pattern.as_bytes());
    places
        .find(|(at, _)| ends_a_cluster(text, pattern, from + at))
        .map(|(at, _)| from + at)
}

/// The last place of the pattern, as [`find`].
pub(super) fn find_last(text: &[u8], pattern: &str) -> Option<usize> {
    let windows = text.windows(pattern.len().max(1));
    let mut places = windows
        .enumerate()
        .rev()
        .filter(|(_, window)| *window == pattern.as_bytes());
    places
        .find(|(at, _)| ends_a_cluster(text, pattern, *at))
        .map(|(at, _)| at)
}

/// Whether the pattern, which begins at a place of the text, ends where a cluster ends.
fn ends_a_cluster(text: &[u8], pattern: &str, at: usize) -> bool {
    let rest = text.get(at + pattern.len()..).unwrap_or_default();
    match rest.first() {
        None => true,
        Some(next) if next.is_ascii() => !(*next == b'\n' && pattern.ends_with('\r')),
        Some(_) => {
            let last = clusters(pattern).next_back().unwrap_or_default();
            let together = last.to_owned() + valid(rest.get(..MAX_LOOK).unwrap_or(rest));
            clusters(&together).next() == Some(last)
        }
    }
}

/// The part of bytes in front of the first one that is not UTF-8.
pub(super) fn valid(bytes: &[u8]) -> &str {
    let valid = bytes.utf8_chunks().next();
    valid.map_or("", |chunk| chunk.valid())
}

/// Splits a text at the pattern: at all places, the first or the last. An empty pattern splits nothing.
pub(super) fn split<'t>(text: &'t [u8], pattern: &str, places: Places) -> Vec<&'t [u8]> {
    let mut parts = Vec::new();
    let mut rest = text;
    while !pattern.is_empty() {
        let found = match places {
            Places::Last => find_last(rest, pattern),
            Places::All | Places::First => find(rest, pattern, 0),
        };
        let Some((part, behind)) = found.and_then(|at| Some((rest.get(..at)?, rest.get(at + pattern.len()..)?))) else {
            break;
        };
        parts.push(part);
        rest = behind;
        if places != Places::All {
            break;
        }
    }
    parts.push(rest);
    parts
}

/// Where to split or replace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Places {
    All,
    First,
    Last,
}

/// Whether Erlang's `trim` removes a character.
fn is_blank(c: char) -> bool {
    matches!(
        c,
        '\u{9}'..='\u{d}' | ' ' | '\u{85}' | '\u{200e}' | '\u{200f}' | '\u{2028}' | '\u{2029}'
    )
}

/// The text without blanks at the beginning; `None` if the first byte behind them is not UTF-8.
pub(super) fn without_leading_blanks(text: &[u8]) -> Option<&[u8]> {
    let valid = valid(text);
    let trimmed = valid.trim_start_matches(is_blank);
    if trimmed.is_empty() && valid.len() < text.len() {
        return None;
    }
    text.get(valid.len() - trimmed.len()..)
}

/// The text without blanks at the end; `None` if there are blanks behind a byte that is not UTF-8.
pub(super) fn without_trailing_blanks(text: &[u8]) -> Option<&[u8]> {
    let last = text.utf8_chunks().last();
    let Some(last) = last
        .filter(|chunk| chunk.invalid().is_empty())
        .map(|chunk| chunk.valid())
    else {
        return Some(text);
    };
    let trimmed = last.trim_end_matches(is_blank);
    if trimmed.is_empty() && last.len() < text.len() {
        return None;
    }
    text.get(..text.len() - (last.len() - trimmed.len()))
}

/// The text from the `start`-th cluster on, which counts from 0; at most `length` clusters of it.
pub(super) fn slice(text: &[u8], start: usize, length: Option<usize>) -> Option<&[u8]> {
    if length == Some(0) {
        return Some(&[]);
    }
    let valid = valid(text);
    let is_cut = valid.len() < text.len();
    let mut places = valid.grapheme_indices(true).map(|(at, cluster)| at + cluster.len());
    let end = |place: Option<usize>| match place {
        Some(at) => Some(at),
        None if is_cut => None,
        None => Some(text.len()),
    };
    let begin = match start.checked_sub(1) {
        None => 0,
        Some(before) => end(places.nth(before))?,
    };
    match length {
        None => text.get(begin..),
        Some(length) => {
            let end = end(places.nth(length - 1))?;
            // Erlang looks at what follows the last cluster.
            (!(is_cut && end == valid.len())).then(|| text.get(begin..end))?
        }
    }
}
