//! HOCON text, the configuration format of EMQX 5 and NanoMQ, as a tree of settings with their places.
//!
//! It reads what their files use: objects with or without braces, dotted and quoted keys, `=`, `:` and `+=`, commas or
//! line ends between entries, both comments, quoted, bare and triple-quoted strings (EMQX's `"""~` too, which takes
//! indentation away), concatenation, merging of repeated objects, and `${path}` and `${?path}`, looked up in the file
//! and then in the environment. Two liberties: a bare value may hold `:`, `//` and `*`, so that a URL needs no quotes,
//! and settings may stand between the elements of a list, as NanoMQ's page has them. The numbers from 1 on are the keys
//! of the elements of a list. Files that a text includes are read ([`super::includes`]); a key set to `null` counts as not given.
//!
//! No crate for HOCON keeps lines or goes on after the first error. All errors are reported; they repeat keys of the text and
//! never values. Nesting, substitution and size are bounded, so that no text makes reading slow or deep.

mod parse;
mod raw;
mod resolve;
#[cfg(test)]
mod tests;

use std::path::Path;

use hookhost_settings::{Place, Report, Setting, Table};

use super::Sources;
use super::includes::{At, Includes};

/// Levels of nesting, and of substitutions that lead to each other. Real files have five.
const DEPTH: usize = 48;

/// Reads a whole file and the files that it includes. Returns nothing if there is a mistake, because what a broken file
/// seems to say would only add mistakes that are none.
pub(super) fn read_file(path: &Path, text: &str, sources: &Sources<'_>, report: &Report) -> Option<Table> {
    let mut includes = Includes::of(path, sources.files);
    let (table, errors) = read(text, &mut includes, &|name| sources.environment(name));
    sources.included.borrow_mut().extend(includes.included());
    for (at, text) in &includes.warnings {
        report.warning(&includes.place(*at, ""), text);
    }
    let mut lost = sources.missing_restrictions.borrow_mut();
    for (at, missing) in &includes.missing_restrictions {
        let problem = || includes.place(*at, "").problem(&missing.text);
        lost.users.extend(missing.is_about_users.then(problem));
        lost.rules.extend(missing.is_about_rules.then(problem));
    }
    drop(lost);
    for (at, text) in &errors {
        report.problem(&includes.place(*at, ""), text);
    }
    errors.is_empty().then_some(table)
}

/// What could be read of a text, and the mistakes by line. `variable` returns the environment's value for a name that the
/// text does not define.
fn read(
    text: &str,
    includes: &mut Includes<'_>,
    variable: &dyn Fn(&str) -> Option<String>,
) -> (Table, Vec<(At, String)>) {
    let fields = parse::document(0, text, includes);
    let (mut table, mut more) = resolve::document(&includes.paths, &fields, variable);
    for (key, setting) in &mut table {
        setting.set_key(key.clone());
    }
    let mut errors = std::mem::take(&mut includes.errors);
    errors.append(&mut more);
    errors.sort();
    errors.dedup();
    (table, errors)
}

/// Reads the value of an environment variable: an object, a list, one quoted string, a number or a boolean. `None` if the
/// text is not one of these and stays as it is. Everything in the value gets the place.
pub(super) fn read_value(place: &Place, text: &str) -> Option<Setting> {
    let trimmed = text.trim();
    let begins_value = trimmed.starts_with(['{', '[', '"', '-']) || trimmed.starts_with(|c: char| c.is_ascii_digit());
    if !begins_value && !matches!(trimmed, "true" | "false") {
        return None;
    }
    let mut setting = resolve::value(&parse::value(trimmed)?)?;
    setting.set_place(place);
    Some(setting)
}
