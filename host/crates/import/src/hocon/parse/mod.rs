//! Parses text into values as written.

mod cursor;
mod list;
mod strings;

use super::super::includes::{At, Includes, Loaded};
use super::DEPTH;
use super::raw::{Fields, Item, Raw, append, put};
use cursor::{Cursor, Wrong};

/// Errors after which reading stops: the text is then probably something else.
const ERRORS: usize = 50;

/// Parses a file and the files that it includes. Mistakes are added to `includes`.
pub(super) fn document(file: usize, text: &str, includes: &mut Includes<'_>) -> Fields {
    document_at(file, text, includes, &[])
}

/// As [`document`], for a file that is included at the path `base`.
fn document_at(file: usize, text: &str, includes: &mut Includes<'_>, base: &[String]) -> Fields {
    let mut parser = Parser {
        cursor: Cursor::of(text),
        file,
        base,
        path: base.to_vec(),
        first_error: includes.errors.len(),
        includes,
    };
    parser.cursor.blanks_and_lines();
    let mut fields = Fields::new();
    if parser.cursor.peek() == Some('{') {
        match parser.object(base.len()) {
            Ok(object) => fields = object,
            Err(wrong) => parser.error(wrong),
        }
        parser.cursor.blanks_and_lines();
        if parser.cursor.peek().is_some() && !parser.has_errors() {
            let line = parser.cursor.line;
            parser.error((line, "text after the last }".to_owned()));
        }
    } else {
        parser.fields(&mut fields, base.len(), None);
    }
    fields
}

/// A value that is the whole text.
pub(super) fn value(text: &str) -> Option<Item> {
    let mut includes = Includes::none();
    let mut parser = Parser {
        cursor: Cursor::of(text),
        file: 0,
        base: &[],
        path: Vec::new(),
        first_error: 0,
        includes: &mut includes,
    };
    let item = parser.value(0).ok()?;
    parser.cursor.blanks_and_lines();
    (parser.cursor.peek().is_none() && !parser.has_errors()).then_some(item)
}

struct Parser<'a, 'i, 'f> {
    cursor: Cursor<'a>,
    /// The number of the file among those that are read.
    file: usize,
    /// The path at which the file is included; empty for the first file.
    base: &'a [String],
    /// The path of the value that is being read.
    path: Vec<String>,
    /// How many errors other files have.
    first_error: usize,
    includes: &'i mut Includes<'f>,
}

impl Parser<'_, '_, '_> {
    fn at(&self, line: usize) -> At {
        At { file: self.file, line }
    }

    fn error(&mut self, (line, text): Wrong) {
        let at = self.at(line);
        self.includes.errors.push((at, text));
    }

    fn has_errors(&self) -> bool {
        self.includes.errors.len() > self.first_error
    }

    fn has_too_many_errors(&self) -> bool {
        self.includes.errors.len() >= self.first_error + ERRORS
    }

    /// Entries up to the brace that closes them, or to the end. `opened`: the line of the brace that was opened.
    fn fields(&mut self, fields: &mut Fields, depth: usize, opened: Option<usize>) {
        loop {
            self.cursor.blanks_and_lines();
            match self.cursor.peek() {
                _ if self.has_too_many_errors() => {
                    self.cursor.rest = "";
                    return;
                }
                None => {
                    if let Some(line) = opened {
                        self.error((line, "this { is never closed".to_owned()));
                    }
                    return;
                }
                Some(',') => {
                    self.cursor.next();
                }
                Some('}') if opened.is_some() => {
                    self.cursor.next();
                    return;
                }
                Some(sign @ ('}' | ']')) => {
                    let line = self.cursor.line;
                    self.error((line, format!("{sign} closes nothing")));
                    self.cursor.next();
                }
                Some(_) => {
                    if let Err(wrong) = self.field(fields, depth) {
                        self.error(wrong);
                        self.cursor.take(|_| true);
                    }
                }
            }
        }
    }

    fn object(&mut self, depth: usize) -> Result<Fields, Wrong> {
        let opened = self.cursor.line;
        self.deeper(depth)?;
        self.cursor.next();
        let mut fields = Fields::new();
        self.fields(&mut fields, depth + 1, Some(opened));
        Ok(fields)
    }

    fn deeper(&mut self, depth: usize) -> Result<(), Wrong> {
        if depth < DEPTH {
            return Ok(());
        }
        let wrong = self.cursor.wrong("is nested too deeply");
        // The end of the enclosing value cannot be found.
        self.cursor.rest = "";
        wrong
    }

    fn field(&mut self, fields: &mut Fields, depth: usize) -> Result<(), Wrong> {
        let line = self.cursor.line;
        let path = self.cursor.path()?;
        if depth + path.len() > DEPTH {
            return Err((line, "has too many parts in its key".to_owned()));
        }
        self.cursor.blanks();
        let is_include = path.len() == 1 && path.first().is_some_and(|key| key == "include");
        if is_include && !self.cursor.rest.starts_with(['=', ':', '{', '+']) {
            self.include(fields, line)?;
            return self.end_of_entry("include");
        }
        let appends = self.cursor.eat("+=");
        if !appends && self.cursor.peek() != Some('{') && !self.cursor.eat("=") && !self.cursor.eat(":") {
            return Err((line, format!("{}: = or {{ is missing after the key", path.join("."))));
        }
        self.cursor.blanks_and_lines();
        let outer = self.path.len();
        self.path.extend(path.iter().cloned());
        let item = self.value(depth + path.len());
        self.path.truncate(outer);
        let mut item = item?;
        item.at.line = line;
        let fits = if appends {
            let whole = self.path.iter().chain(&path).cloned().collect();
            append(fields, &path, whole, item)
        } else {
            put(fields, &path, item)
        };
        if !fits {
            return Err((line, format!("{}: is set too often", path.join("."))));
        }
        self.end_of_entry(&path.join("."))
    }

    /// Puts the entries of another file here.
    fn include(&mut self, fields: &mut Fields, line: usize) -> Result<(), Wrong> {
        let include = self.cursor.include()?;
        let loaded = self.includes.load(self.at(line), &include.path, include.is_required);
        let Some(Loaded { file, text }) = loaded.map_err(|text| (line, text))? else {
            self.includes.note_missing(self.at(line), &include.path, &self.path);
            return Ok(());
        };
        let included = document_at(file, &text, self.includes, &self.path);
        self.includes.leave(file);
        for (key, item) in included {
            if !put(fields, std::slice::from_ref(&key), item) {
                return Err((line, format!("{key}: is set too often")));
            }
        }
        Ok(())
    }

    fn end_of_entry(&mut self, key: &str) -> Result<(), Wrong> {
        self.cursor.blanks();
        match self.cursor.peek() {
            None | Some('\n' | ',' | '}' | ']') => Ok(()),
            Some(_) if self.cursor.at_comment() => Ok(()),
            Some(_) => self
                .cursor
                .wrong(format!("{key}: something is left over after the value")),
        }
    }

    /// A value, which may consist of several; the line is that of its beginning.
    fn value(&mut self, depth: usize) -> Result<Item, Wrong> {
        let at = self.at(self.cursor.line);
        let mut pieces: Vec<Item> = Vec::new();
        let mut blank = true;
        loop {
            let at = self.at(self.cursor.line);
            let raw = match self.cursor.peek() {
                None | Some('\n' | ',' | '}' | ']' | '#') => break,
                Some('/') if blank && self.cursor.at_comment() => break,
                Some(c) if c.is_whitespace() => {
                    blank = true;
                    let raw = Raw::Bare(self.cursor.blanks().to_owned());
                    pieces.push(Item { at, raw });
                    continue;
                }
                Some('"') => Raw::Text(self.cursor.quoted()?),
                Some('{') => Raw::Object(self.object(depth)?),
                Some('[') => Raw::List(self.list(depth)?),
                Some('$') if self.cursor.rest.starts_with("${") => self.cursor.substitution(self.base)?,
                Some(_) => Raw::Bare(self.cursor.bare()),
            };
            blank = false;
            pieces.push(Item { at, raw });
        }
        if blank {
            pieces.pop();
        }
        match pieces.len() {
            0 => self.cursor.wrong("a value is missing"),
            1 => Ok(pieces.remove(0)),
            _ => Ok(Item {
                at,
                raw: Raw::Joined(pieces),
            }),
        }
    }
}
