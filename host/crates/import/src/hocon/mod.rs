//! HOCON text, as EMQX 5 and NanoMQ are configured with, as a tree whose every value knows its line.
//!
//! Read is what their files use: objects with or without braces, dotted and quoted keys, `=`, `:` and `+=`, commas or
//! line ends between entries, both comments, quoted, bare and triple-quoted strings (EMQX's `"""~` too, which takes
//! indentation away), concatenation, merging of repeated objects, and `${path}` and `${?path}`, looked up in the file
//! and then in the environment. Two liberties: a bare value may hold `:`, `//` and `*`, so that a URL needs no quotes,
//! and settings may stand between the elements of a list, as NanoMQ's page has them. `include` is not followed, which is
//! said; a key set to `null` is not there.
//!
//! There are crates that read HOCON, but none that keeps lines or goes on after the first mistake. All mistakes are
//! reported; what they repeat of the text is keys, never values. Nesting, substitution and size are bounded, so that no
//! text makes this slow or deep. Pure.

mod parse;
mod raw;
mod resolve;
#[cfg(test)]
mod tests;

use hookhost_settings::document::{Node, Table};

/// Levels of nesting, and of substitutions that lead to each other. Real files have five.
const DEPTH: usize = 48;

/// What a text says.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Hocon {
    /// What could be read.
    pub(super) table: Table,
    /// What is wrong, by line.
    pub(super) errors: Vec<(usize, String)>,
    /// What was passed over, by line.
    pub(super) warnings: Vec<(usize, String)>,
}

/// Reads a whole document. `variable` gives the environment's value for what the text itself does not define.
pub(super) fn read(text: &str, variable: &dyn Fn(&str) -> Option<String>) -> Hocon {
    let parsed = parse::document(text);
    let (table, mut more) = resolve::document(&parsed.fields, variable);
    let mut errors = parsed.errors;
    errors.append(&mut more);
    errors.sort();
    errors.dedup();
    Hocon {
        table,
        errors,
        warnings: parsed.warnings,
    }
}

/// Reads a value that stands alone, as an environment variable holds it: an object, a list, one quoted string, a number
/// or a truth value. Nothing: the text is to be taken as it is.
pub(super) fn read_value(text: &str) -> Option<Node> {
    let trimmed = text.trim();
    if !trimmed.starts_with(['{', '[', '"', '-']) && !trimmed.starts_with(|c: char| c.is_ascii_digit()) {
        return match trimmed {
            "true" | "false" => parse::value(trimmed).and_then(|item| resolve::value(&item)),
            _ => None,
        };
    }
    resolve::value(&parse::value(trimmed)?)
}
