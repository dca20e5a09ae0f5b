//! A position in a text, and the words that begin there: keys, bare values, substitutions and `include`.

use super::super::DEPTH;
use super::super::raw::Raw;

/// A mistake and its line.
pub(super) type Wrong = (usize, String);

/// The rest of a text, and the line where it begins.
pub(super) struct Cursor<'a> {
    pub(super) rest: &'a str,
    pub(super) line: usize,
}

/// A statement such as `include required("other.conf")`.
pub(super) struct Include {
    pub(super) path: String,
    /// Whether the file must exist.
    pub(super) is_required: bool,
}

impl<'a> Cursor<'a> {
    pub(super) fn of(text: &'a str) -> Cursor<'a> {
        let rest = text.strip_prefix('\u{feff}').unwrap_or(text);
        Cursor { rest, line: 1 }
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    pub(super) fn next(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let next = chars.next()?;
        self.rest = chars.as_str();
        self.line += usize::from(next == '\n');
        Some(next)
    }

    pub(super) fn eat(&mut self, text: &str) -> bool {
        let rest = self.rest.strip_prefix(text);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    /// Takes characters of one line as long as `wanted` says so.
    pub(super) fn take(&mut self, wanted: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|c| c == '\n' || !wanted(c)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }

    pub(super) fn blanks(&mut self) -> &'a str {
        self.take(char::is_whitespace)
    }

    pub(super) fn at_comment(&self) -> bool {
        self.rest.starts_with('#') || self.rest.starts_with("//")
    }

    pub(super) fn blanks_and_lines(&mut self) {
        loop {
            self.blanks();
            if self.at_comment() {
                self.take(|_| true);
            }
            if self.peek() != Some('\n') {
                return;
            }
            self.next();
        }
    }

    pub(super) fn wrong<T>(&self, text: impl Into<String>) -> Result<T, Wrong> {
        Err((self.line, text.into()))
    }

    /// The parts of a key.
    pub(super) fn path(&mut self) -> Result<Vec<String>, Wrong> {
        let mut path = Vec::new();
        loop {
            let part = if self.peek() == Some('"') {
                self.quoted()?
            } else {
                self.take(is_key).to_owned()
            };
            if part.is_empty() {
                return self.wrong("a key was expected");
            }
            path.push(part);
            if !self.eat(".") {
                return Ok(path);
            }
        }
    }

    pub(super) fn bare(&mut self) -> String {
        let mut text = String::new();
        loop {
            text.push_str(
                self.take(|c| !c.is_whitespace() && !matches!(c, ',' | '}' | ']' | '{' | '[' | '"' | '#' | '$')),
            );
            if self.peek() != Some('$') || self.rest.starts_with("${") {
                return text;
            }
            text.extend(self.next());
        }
    }

    /// A substitution in a file that is included at the path `base`.
    pub(super) fn substitution(&mut self, base: &[String]) -> Result<Raw, Wrong> {
        self.eat("${");
        let optional = self.eat("?");
        self.blanks();
        let mut path = base.to_vec();
        path.append(&mut self.path()?);
        self.blanks();
        if path.len() > DEPTH || !self.eat("}") {
            return self.wrong("${ needs a path and a } after it");
        }
        Ok(Raw::Substitution {
            path,
            base: base.len(),
            optional,
        })
    }

    /// What follows the word `include`.
    pub(super) fn include(&mut self) -> Result<Include, Wrong> {
        let is_required = self.eat("required(");
        self.blanks();
        let is_file = self.eat("file(");
        self.blanks();
        if self.peek() != Some('"') {
            return self
                .wrong("include needs a file, such as include \"other.conf\" or include required(\"other.conf\")");
        }
        let path = self.quoted()?;
        for _ in 0..usize::from(is_required) + usize::from(is_file) {
            self.blanks();
            if !self.eat(")") {
                return self.wrong("include needs a ) after the file");
            }
        }
        Ok(Include { path, is_required })
    }

    /// Whether a list goes on with a key and not with an element.
    pub(super) fn at_setting(&self) -> bool {
        if self.rest.starts_with("${") {
            return false;
        }
        let rest = self.rest.trim_start_matches(|c: char| is_key(c) || c == '.');
        let key = rest.len() < self.rest.len();
        let rest = rest.trim_start_matches([' ', '\t']);
        key && (rest.starts_with(['=', '{']) || rest.starts_with(": "))
    }
}

/// Whether a key without quotes may have the character.
fn is_key(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-' | '$' | '/' | '@' | '*')
}
