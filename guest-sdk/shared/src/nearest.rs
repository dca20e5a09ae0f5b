//! Suggestions for misspelt names.

/// Returns the candidate that is most similar to `word`; `None` if no candidate is similar enough.
///
/// The similarity is the edit distance: the number of characters to insert, delete or replace. It may be at most one, and
/// one more for each four characters of `word`.
///
/// ```
/// use hookhost_shared::nearest::nearest;
///
/// assert_eq!(nearest("message_publsh", ["client_connect", "message_publish"]), Some("message_publish"));
/// assert_eq!(nearest("colour", ["client_connect", "message_publish"]), None);
/// ```
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let near = candidates
        .into_iter()
        .map(|candidate| (distance(word, candidate), candidate));
    let (distance, candidate) = near.min_by_key(|(distance, _)| *distance)?;
    (distance <= 1 + word.chars().count() / 4).then_some(candidate)
}

/// The number of characters to insert, delete or replace to change one word into the other.
fn distance(from: &str, to: &str) -> usize {
    // The distances between the characters of `from` read so far and each prefix of `to`.
    let mut row: Vec<usize> = (0..=to.chars().count()).collect();
    for (read, wanted) in from.chars().enumerate() {
        let mut diagonal = read;
        let mut left = read + 1;
        let mut cells = row.iter_mut();
        if let Some(first) = cells.next() {
            *first = left;
        }
        for (cell, character) in cells.zip(to.chars()) {
            let replaced = diagonal + usize::from(character != wanted);
            diagonal = *cell;
            left = replaced.min(left + 1).min(*cell + 1);
            *cell = left;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        for (from, to, expected) in [
            ("", "", 0),
            ("a", "", 1),
            ("", "abc", 3),
            ("kitten", "sitting", 3),
            ("flaw", "lawn", 2),
            ("client.connected", "client_connected", 1),
            ("naïve", "naive", 1),
        ] {
            assert_eq!(distance(from, to), expected, "{from} {to}");
            assert_eq!(distance(to, from), expected, "{to} {from}");
        }
    }
}
