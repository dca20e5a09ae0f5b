//! Parses text into values as written.

use super::DEPTH;
use super::raw::{Fields, Item, Raw, append, put};

/// Errors after which reading stops: the text is then probably something else.
const ERRORS: usize = 50;

/// A document as written.
#[derive(Debug, Default)]
pub(super) struct Parsed {
    pub(super) fields: Fields,
    pub(super) errors: Vec<(usize, String)>,
    pub(super) warnings: Vec<(usize, String)>,
}

/// A mistake and its line.
type Wrong = (usize, String);

pub(super) fn document(text: &str) -> Parsed {
    let mut parser = Parser::of(text);
    parser.blanks_and_lines();
    let mut fields = Fields::new();
    if parser.peek() == Some('{') {
        match parser.object(0) {
            Ok(object) => fields = object,
            Err(wrong) => parser.errors.push(wrong),
        }
        parser.blanks_and_lines();
        if parser.peek().is_some() && parser.errors.is_empty() {
            let line = parser.line;
            parser.errors.push((line, "text after the last }".to_owned()));
        }
    } else {
        parser.fields(&mut fields, 0, None);
    }
    Parsed {
        fields,
        errors: parser.errors,
        warnings: parser.warnings,
    }
}

/// A value that is the whole text.
pub(super) fn value(text: &str) -> Option<Item> {
    let mut parser = Parser::of(text);
    let item = parser.value(0).ok()?;
    parser.blanks_and_lines();
    (parser.peek().is_none() && parser.errors.is_empty()).then_some(item)
}

struct Parser<'a> {
    rest: &'a str,
    line: usize,
    errors: Vec<Wrong>,
    warnings: Vec<Wrong>,
}

impl<'a> Parser<'a> {
    fn of(text: &'a str) -> Parser<'a> {
        let (errors, warnings) = Default::default();
        Parser {
            rest: text.strip_prefix('\u{feff}').unwrap_or(text),
            line: 1,
            errors,
            warnings,
        }
    }

    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let next = chars.next()?;
        self.rest = chars.as_str();
        self.line += usize::from(next == '\n');
        Some(next)
    }

    fn eat(&mut self, text: &str) -> bool {
        let rest = self.rest.strip_prefix(text);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    /// Takes characters of one line as long as `wanted` says so.
    fn take(&mut self, wanted: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|c| c == '\n' || !wanted(c)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }

    fn blanks(&mut self) -> &'a str {
        self.take(char::is_whitespace)
    }

    fn at_comment(&self) -> bool {
        self.rest.starts_with('#') || self.rest.starts_with("//")
    }

    fn blanks_and_lines(&mut self) {
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

    fn wrong<T>(&self, text: impl Into<String>) -> Result<T, Wrong> {
        Err((self.line, text.into()))
    }

    /// Entries up to the brace that closes them, or to the end. `opened`: the line of the brace that was opened.
    fn fields(&mut self, fields: &mut Fields, depth: usize, opened: Option<usize>) {
        loop {
            self.blanks_and_lines();
            match self.peek() {
                _ if self.errors.len() >= ERRORS => {
                    self.rest = "";
                    return;
                }
                None => {
                    if let Some(line) = opened {
                        self.errors.push((line, "this { is never closed".to_owned()));
                    }
                    return;
                }
                Some(',') => {
                    self.next();
                }
                Some('}') if opened.is_some() => {
                    self.next();
                    return;
                }
                Some(sign @ ('}' | ']')) => {
                    let line = self.line;
                    self.errors.push((line, format!("{sign} closes nothing")));
                    self.next();
                }
                Some(_) => {
                    if let Err(wrong) = self.field(fields, depth) {
                        self.errors.push(wrong);
                        self.take(|_| true);
                    }
                }
            }
        }
    }

    fn object(&mut self, depth: usize) -> Result<Fields, Wrong> {
        let opened = self.line;
        self.deeper(depth)?;
        self.next();
        let mut fields = Fields::new();
        self.fields(&mut fields, depth + 1, Some(opened));
        Ok(fields)
    }

    fn deeper(&mut self, depth: usize) -> Result<(), Wrong> {
        if depth < DEPTH {
            return Ok(());
        }
        let wrong = self.wrong("is nested too deeply");
        // The end of the enclosing value cannot be found.
        self.rest = "";
        wrong
    }

    fn field(&mut self, fields: &mut Fields, depth: usize) -> Result<(), Wrong> {
        let line = self.line;
        let path = self.path()?;
        if depth + path.len() > DEPTH {
            return Err((line, "has too many parts in its key".to_owned()));
        }
        self.blanks();
        if path.len() == 1
            && path.first().is_some_and(|key| key == "include")
            && !self.rest.starts_with(['=', ':', '{'])
        {
            self.take(|_| true);
            let text = "include is not followed, and the settings of that file are missing here";
            self.warnings.push((line, text.to_owned()));
            return Ok(());
        }
        let appends = self.eat("+=");
        if !appends && self.peek() != Some('{') && !self.eat("=") && !self.eat(":") {
            return Err((line, format!("{}: = or {{ is missing after the key", path.join("."))));
        }
        self.blanks_and_lines();
        let mut item = self.value(depth + path.len())?;
        item.line = line;
        let fits = if appends {
            append(fields, &path, item)
        } else {
            put(fields, &path, item)
        };
        if !fits {
            return Err((line, format!("{}: is set too often", path.join("."))));
        }
        self.end_of_entry(&path.join("."))
    }

    fn end_of_entry(&mut self, key: &str) -> Result<(), Wrong> {
        self.blanks();
        match self.peek() {
            None | Some('\n' | ',' | '}' | ']') => Ok(()),
            Some(_) if self.at_comment() => Ok(()),
            Some(_) => self.wrong(format!("{key}: something is left over after the value")),
        }
    }

    /// The parts of a key.
    fn path(&mut self) -> Result<Vec<String>, Wrong> {
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

    /// A value, which may consist of several; the line is that of its beginning.
    fn value(&mut self, depth: usize) -> Result<Item, Wrong> {
        let line = self.line;
        let mut pieces: Vec<Item> = Vec::new();
        let mut blank = true;
        loop {
            let at = self.line;
            let raw = match self.peek() {
                None | Some('\n' | ',' | '}' | ']' | '#') => break,
                Some('/') if blank && self.at_comment() => break,
                Some(c) if c.is_whitespace() => {
                    blank = true;
                    let raw = Raw::Bare(self.blanks().to_owned());
                    pieces.push(Item { line: at, raw });
                    continue;
                }
                Some('"') => Raw::Text(self.quoted()?),
                Some('{') => Raw::Object(self.object(depth)?),
                Some('[') => Raw::List(self.list(depth)?),
                Some('$') if self.rest.starts_with("${") => self.substitution()?,
                Some(_) => Raw::Bare(self.bare()),
            };
            blank = false;
            pieces.push(Item { line: at, raw });
        }
        if blank {
            pieces.pop();
        }
        match pieces.len() {
            0 => self.wrong("a value is missing"),
            1 => Ok(pieces.remove(0)),
            _ => Ok(Item {
                line,
                raw: Raw::Joined(pieces),
            }),
        }
    }

    fn bare(&mut self) -> String {
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

    fn list(&mut self, depth: usize) -> Result<Vec<Item>, Wrong> {
        let opened = self.line;
        self.deeper(depth)?;
        self.next();
        let mut list: Vec<Item> = Vec::new();
        let mut settings = Fields::new();
        loop {
            self.blanks_and_lines();
            let line = self.line;
            match self.peek() {
                None => return Err((opened, "this [ is never closed".to_owned())),
                Some(']') => {
                    self.next();
                    break;
                }
                Some(',') => {
                    self.next();
                }
                Some('}') => return self.wrong("} closes nothing"),
                Some(_) if self.errors.len() >= ERRORS => {
                    self.rest = "";
                }
                Some(_) => {
                    let first = settings.is_empty();
                    let read = if self.at_setting() {
                        self.field(&mut settings, depth + 1)
                    } else {
                        let item = self.value(depth + 1);
                        item.and_then(|item| {
                            list.push(item);
                            self.end_of_entry("a list")
                        })
                    };
                    if let Err(wrong) = read {
                        self.errors.push(wrong);
                        self.take(|_| true);
                    }
                    if first && !settings.is_empty() {
                        let raw = Raw::Object(Fields::new());
                        list.push(Item { line, raw });
                    }
                }
            }
        }
        // All settings of a list are one of its elements, at the position of the first of them.
        if let Some(first) = settings.values().map(|item| item.line).min() {
            let place = list
                .iter_mut()
                .find(|item| item.line == first && item.raw == Raw::Object(Fields::new()));
            if let Some(place) = place {
                place.raw = Raw::Object(settings);
            }
        }
        Ok(list)
    }

    /// Whether a list goes on with a key and not with an element.
    fn at_setting(&self) -> bool {
        let rest = self.rest.trim_start_matches(|c: char| is_key(c) || c == '.');
        let key = rest.len() < self.rest.len();
        let rest = rest.trim_start_matches([' ', '\t']);
        key && (rest.starts_with(['=', '{']) || rest.starts_with(": "))
    }

    fn substitution(&mut self) -> Result<Raw, Wrong> {
        self.eat("${");
        let optional = self.eat("?");
        self.blanks();
        let path = self.path()?;
        self.blanks();
        if path.len() > DEPTH || !self.eat("}") {
            return self.wrong("${ needs a path and a } after it");
        }
        Ok(Raw::Substitution { path, optional })
    }

    fn quoted(&mut self) -> Result<String, Wrong> {
        if self.rest.starts_with("\"\"\"") {
            return self.triple();
        }
        let line = self.line;
        let open = || Err((line, "a string is never closed".to_owned()));
        self.next();
        let mut text = String::new();
        loop {
            text.push_str(self.take(|c| c != '"' && c != '\\'));
            match self.peek() {
                Some('"') => {
                    self.next();
                    return Ok(text);
                }
                Some('\\') => {
                    self.next();
                    text.push(self.escaped()?);
                }
                _ => return open(),
            }
        }
    }

    fn escaped(&mut self) -> Result<char, Wrong> {
        Ok(match self.next() {
            Some(same @ ('"' | '\\' | '/')) => same,
            Some('n') => '\n',
            Some('t') => '\t',
            Some('r') => '\r',
            Some('b') => '\u{8}',
            Some('f') => '\u{c}',
            Some('u') => {
                let first = self.unit()?;
                let code = match first {
                    0xd800..=0xdbff if self.eat("\\u") => match self.unit()? {
                        second @ 0xdc00..=0xdfff => 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00),
                        _ => return self.wrong("\\u gives half a character"),
                    },
                    code => code,
                };
                match char::from_u32(code) {
                    Some(character) => character,
                    None => return self.wrong("\\u gives half a character"),
                }
            }
            _ => {
                return self
                    .wrong("a string has an unknown escape: \\\" \\\\ \\/ \\b \\f \\n \\r \\t and \\u are known");
            }
        })
    }

    fn unit(&mut self) -> Result<u32, Wrong> {
        let digits = self
            .rest
            .get(..4)
            .filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
        let Some(code) = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok()) else {
            return self.wrong("\\u needs four hexadecimal digits");
        };
        self.rest = self.rest.get(4..).unwrap_or_default();
        Ok(code)
    }

    /// A string in three quotes: no escapes, and line ends as they are.
    fn triple(&mut self) -> Result<String, Wrong> {
        let line = self.line;
        self.eat("\"\"\"");
        let Some(end) = self.rest.find("\"\"\"") else {
            self.rest = "";
            return Err((line, "a string in three quotes is never closed".to_owned()));
        };
        let (mut text, after) = self.rest.split_at(end);
        // Quotes beyond the three belong to the text.
        let quotes = after.bytes().take_while(|byte| *byte == b'"').count();
        let more = quotes.saturating_sub(3);
        if let Some(longer) = self.rest.get(..end + more) {
            text = longer;
        }
        self.rest = self.rest.get(end + more + 3..).unwrap_or_default();
        self.line += text.matches('\n').count();
        let indented = text
            .strip_prefix("~\n")
            .or_else(|| text.strip_prefix("~\r\n"))
            .map(|text| text.strip_suffix('~').unwrap_or(text));
        Ok(indented.map_or_else(|| text.to_owned(), without_indentation))
    }
}

/// Whether a key without quotes may have the character.
fn is_key(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-' | '$' | '/' | '@' | '*')
}

/// The lines of a text without the blanks that all of them begin with.
fn without_indentation(text: &str) -> String {
    let indentation = |line: &str| line.len() - line.trim_start_matches([' ', '\t']).len();
    let lines = || text.split('\n');
    let common = lines()
        .filter(|line| !line.trim().is_empty())
        .map(indentation)
        .min()
        .unwrap_or(0);
    let lines: Vec<&str> = lines()
        .map(|line| {
            line.get(common..)
                .unwrap_or_else(|| line.trim_start_matches([' ', '\t']))
        })
        .collect();
    lines.join("\n")
}
