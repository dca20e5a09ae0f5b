//! The named webhooks that the admin API keeps, and one webhook alone, for people who change or test it.

use std::io;
use std::path::Path;

use super::destinations::Sources;
use super::{Environment, Files, Inputs, Problem, TextFile, WEBHOOKS, WebhookAlone, file as config_file, webhooks};
use hookhost_delivery::Terms;
use hookhost_settings::{Report, Setting, Table, Value, document, find};

/// The name of the file in the data folder with the webhooks that the admin API changes.
pub const WEBHOOKS_FILE: &str = "webhooks.toml";

/// Whether a file is not there. If its folder is a file, the part of the host that opens the folder says so.
pub(crate) fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// The file with the named webhooks that the admin API keeps, if there is one.
pub(super) fn file(inputs: &Inputs, settings: &Table, files: &Files<'_>, report: &Report) -> Option<TextFile> {
    if let Some(file) = &inputs.kept_webhooks {
        return Some(file.clone());
    }
    let dir = find(settings, &["data", "dir"]).and_then(Setting::as_text)?;
    let path = Path::new(dir).join(WEBHOOKS_FILE);
    let text = files(&path).and_then(|bytes| {
        String::from_utf8(bytes).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "not UTF-8"))
    });
    match text {
        Ok(text) => Some(TextFile { path, text }),
        Err(error) if is_absent(&error) => None,
        // A reader without files.
        Err(error) if error.kind() == io::ErrorKind::Unsupported => None,
        Err(error) => {
            report.add_problem(Problem::of_file(path, format!("cannot read: {error}")));
            None
        }
    }
}

/// The named webhooks in that file.
pub(super) fn read(file: &TextFile, report: &Report) -> Table {
    let (mut table, errors) = document::parse(&file.path, &file.text);
    if !errors.is_empty() {
        errors.into_iter().for_each(|error| report.add_problem(error));
        return Table::new();
    }
    let kept = table.remove(WEBHOOKS);
    for setting in table.values() {
        report.problem(
            &setting.place,
            format!("has no meaning here: this file has [{WEBHOOKS}.NAME] only"),
        );
    }
    let Some(kept) = kept else { return Table::new() };
    if let Value::Table(webhooks) = kept.value {
        return webhooks;
    }
    report.add_problem(kept.mismatch("a table"));
    Table::new()
}

/// The errors in one webhook, those of its rules included. `terms` are the settings of `[delivery]`.
pub fn check_webhook(name: &str, setting: Setting, terms: &Terms, environment: &Environment) -> Vec<Problem> {
    webhook_alone(name, setting, terms, environment)
        .err()
        .unwrap_or_default()
}

/// The rules and the destination of one webhook.
///
/// # Errors
///
/// All errors, also those that the built-in module would find.
pub fn webhook_alone(
    name: &str,
    setting: Setting,
    terms: &Terms,
    environment: &Environment,
) -> Result<WebhookAlone, Vec<Problem>> {
    let sources = Sources {
        files: &|path| config_file::read(path, config_file::Time::Running),
        environment,
    };
    webhooks::alone(name, setting, terms, sources)
}
