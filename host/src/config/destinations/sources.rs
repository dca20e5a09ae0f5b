//! Secrets from the configuration, from files and from the environment.

use std::path::Path;

use hookhost_delivery::Secret;
use hookhost_settings::{Files, Section};

use super::super::Environment;

/// The sources of secrets.
#[derive(Clone, Copy)]
pub(in super::super) struct Sources<'a> {
    pub(in super::super) files: &'a Files<'a>,
    pub(in super::super) environment: &'a Environment,
}

/// A secret by `KEY`, `KEY_file` or `KEY_env`, converted by `form`.
pub(in super::super) fn secret(
    at: &mut Section<'_>,
    Sources { files, environment }: Sources<'_>,
    key: &str,
    form: impl Fn(&str) -> Result<String, String>,
) -> Option<Secret> {
    let shape = |text: String| match text.as_str() {
        "" => Err("is empty".to_owned()),
        text if text.contains(char::is_control) => Err("should have no control characters".to_owned()),
        text => form(text).map(Secret::new),
    };
    let own = at.optional(key, |setting| setting.parse(|text| shape(text.to_owned())));
    let file = at.optional(&format!("{key}_file"), |setting| {
        setting.parse(|path| text_of_file(files, path).and_then(shape))
    });
    let variable = at.optional(&format!("{key}_env"), |setting| {
        setting.parse(|name| variable(environment, name).and_then(shape))
    });
    let mut found = [own, file, variable].into_iter().flatten();
    let (_, secret) = found.next()?;
    for (place, _) in found {
        at.problem(place.problem(format!("should be the only one: `{key}` is given in another way too")));
    }
    Some(secret)
}

/// The text of a file without surrounding blanks and line ends.
pub(in super::super) fn text_of_file(files: &Files<'_>, path: &str) -> Result<String, String> {
    let text = String::from_utf8(bytes_of_file(files, path)?).map_err(|_| format!("cannot read {path}: not UTF-8"))?;
    match text.trim() {
        "" => Err(format!("names {path}, which is empty")),
        text => Ok(text.to_owned()),
    }
}

pub(super) fn bytes_of_file(files: &Files<'_>, path: &str) -> Result<Vec<u8>, String> {
    match path {
        "" => Err("is empty".to_owned()),
        path => files(Path::new(path)).map_err(|error| format!("cannot read {path}: {error}")),
    }
}

pub(super) fn variable(environment: &Environment, name: &str) -> Result<String, String> {
    match environment.get(name).map(|value| value.trim()) {
        None => Err(format!(
            "names the variable {name}, which the environment does not have"
        )),
        Some("") => Err(format!("names the variable {name}, which is empty")),
        Some(value) => Ok(value.to_owned()),
    }
}
