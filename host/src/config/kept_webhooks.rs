//! The named webhooks that the admin API keeps, and one webhook alone, for people who change or test it.

use std::io;
use std::path::Path;

use super::destinations::Sources;
use super::{Environment, Files, Inputs, Problem, TextFile, WEBHOOKS, WebhookAlone, file, webhooks};
use hookhost_delivery::Terms;
use hookhost_settings::{Report, Setting, Table, Value, document, find};

/// The name of the file in the data folder with the webhooks that the admin API changes.
pub const WEBHOOKS_FILE: &str = "webhooks.toml";

/// Whether a file is not there. If its folder is a file, the part of the host that opens the folder says so.
pub(crate) fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// The named webhooks that the admin API keeps.
pub(super) fn read(inputs: &Inputs, settings: &Table, files: &Files<'_>, report: &Report) -> Table {
    let file = match &inputs.kept_webhooks {
        Some(file) => file.clone(),
        None => {
            let dir = find(settings, &["data", "dir"]).and_then(Setting::as_text);
            let Some(path) = dir.map(|dir| Path::new(dir).join(WEBHOOKS_FILE)) else {
                return Table::new();
            };
            let text = files(&path).and_then(|bytes| {
                String::from_utf8(bytes).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "not UTF-8"))
            });
            match text {
                Ok(text) => TextFile { path, text },
                Err(error) if is_absent(&error) => return Table::new(),
                // A reader without files.
                Err(error) if error.kind() == io::ErrorKind::Unsupported => return Table::new(),
                Err(error) => {
                    report.add_problem(Problem::of_file(path, format!("cannot read: {error}")));
                    return Table::new();
                }
            }
        }
    };
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
    match kept {
        None => Table::new(),
        Some(Setting {
            value: Value::Table(table),
            ..
        }) => table,
        Some(setting) => {
            report.add_problem(setting.mismatch("a table"));
            Table::new()
        }
    }
}

/// The errors in one webhook, those of its rules included. `terms` are the settings of `[delivery]`.
pub fn check_webhook(name: &str, setting: Setting, terms: &Terms, environment: &Environment) -> Vec<Problem> {
    match webhook_alone(name, setting, terms, environment) {
        Ok(_) => Vec::new(),
        Err(problems) => problems,
    }
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
        files: &|path| file::read(path, file::Time::Running),
        environment,
    };
    webhooks::alone(name, setting, terms, sources)
}
