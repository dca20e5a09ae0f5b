//! The named webhooks that the admin API keeps, and one webhook alone, for people who change or test it.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value as Json;

use super::destinations::Sources;
use super::{Environment, Files, Inputs, Problem, TextFile, WEBHOOKS, WebhookAlone, file as config_file, webhooks};
use crate::webhooks::setting;
use hookhost_delivery::Terms;
use hookhost_settings::{Report, Setting, Table, Value, document, find};

/// The name of the file in the data folder with the webhooks that the admin API changes.
pub const WEBHOOKS_FILE: &str = "webhooks.toml";

/// Whether a file is not there. If its folder is a file, the part of the host that opens the folder says so.
pub(crate) fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// The named webhooks that the admin API keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeptWebhooks {
    /// Those of the data folder, or of the memory of this host.
    Own(TextFile),
    /// Those that several hosts share.
    Shared(SharedWebhooks),
}

/// The named webhooks that several hosts share.
#[derive(Clone, PartialEq, Eq)]
pub struct SharedWebhooks {
    /// Where they are, for messages.
    pub place: PathBuf,
    /// The webhooks by name.
    pub webhooks: BTreeMap<String, SharedWebhook>,
}

/// A webhook that several hosts share.
#[derive(Clone, PartialEq, Eq)]
pub struct SharedWebhook {
    /// The settings, with their secrets; `null` if they cannot be read.
    pub settings: Arc<Json>,
    /// Counts the changes of all shared webhooks.
    pub revision: u64,
}

/// Without settings, which contain secrets.
impl fmt::Debug for SharedWebhooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.webhooks.keys()).finish()
    }
}

/// Without settings, which contain secrets.
impl fmt::Debug for SharedWebhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("SharedWebhook");
        shown.field("revision", &self.revision).finish_non_exhaustive()
    }
}

impl KeptWebhooks {
    /// The text in which settings name variables of the environment.
    pub(super) fn text(&self) -> TextFile {
        match self {
            KeptWebhooks::Own(file) => file.clone(),
            KeptWebhooks::Shared(shared) => TextFile {
                path: shared.place.clone(),
                text: shared
                    .webhooks
                    .values()
                    .map(|webhook| webhook.settings.to_string())
                    .collect(),
            },
        }
    }
}

impl SharedWebhooks {
    /// As settings of a file.
    pub(super) fn table(&self) -> Table {
        let setting =
            |(name, webhook): (&String, &SharedWebhook)| (name.clone(), setting(&self.place, name, &webhook.settings));
        self.webhooks.iter().map(setting).collect()
    }
}

/// The named webhooks that the admin API keeps, if there are any. Without them in `inputs`, those of the data folder.
pub(super) fn of(inputs: &Inputs, settings: &Table, files: &Files<'_>, report: &Report) -> Option<KeptWebhooks> {
    let kept = inputs.kept_webhooks.clone();
    kept.or_else(|| file(settings, files, report).map(KeptWebhooks::Own))
}

/// The file of the data folder, if it exists.
fn file(settings: &Table, files: &Files<'_>, report: &Report) -> Option<TextFile> {
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
