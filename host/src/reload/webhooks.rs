//! Changes of webhooks, on the reload thread.

use std::collections::BTreeSet;
use std::path::Path;

use tracing::{error, info};

use super::Reloader;
use super::configuration::ReadAgain;
use crate::config::{KeptWebhooks, TextFile};
use crate::webhooks::{self, Change, ChangeError, KeptStore, Table, Tags, WaitingChange};
use hookhost_modules::{ConfigurationOutcome, Desired, DesiredConfiguration};
use hookhost_settings::error_line;

impl Reloader {
    /// Makes all changes that wait, with one reload.
    pub(super) fn change_webhooks(&mut self) {
        if let KeptStore::Shared(_) = self.webhooks {
            return self.change_shared_webhooks();
        }
        let waiting = self.changes.take();
        if waiting.is_empty() {
            return;
        }
        if let Some(error) = self.webhooks_are_fixed() {
            return answer_all(waiting, Err(error));
        }
        let listed = self.configuration.webhooks().iter();
        let kept = listed.filter(|webhook| webhook.can_change);
        let mut table: Table = kept
            .map(|webhook| (webhook.name.clone(), webhook.settings.clone()))
            .collect();
        let mut accepted = Vec::new();
        for waiting in waiting {
            match self.checked(&table, &waiting.changes, &|_, settings| webhooks::etag(settings)) {
                Ok(changed) => {
                    table = changed;
                    accepted.push(waiting);
                }
                Err(error) => waiting.answer(Err(error)),
            }
        }
        if accepted.is_empty() {
            return;
        }
        let names: Vec<String> = accepted
            .iter()
            .flat_map(|waiting| &waiting.changes)
            .map(|change| change.name.clone())
            .collect();
        let result = self.activate(&table);
        match &result {
            Ok(()) => info!(webhooks = names.len(), first = names.first(), "webhooks changed"),
            Err(error) => error!(%error, "webhooks not changed"),
        }
        answer_all(accepted, result);
    }

    /// Why no webhook can be changed at the moment.
    fn webhooks_are_fixed(&self) -> Option<ChangeError> {
        if let Some(reason) = self.configuration.refuses_webhooks() {
            return Some(ChangeError::Configuration(reason));
        }
        let KeptStore::Own(store) = &self.webhooks else {
            return None;
        };
        match store.is_unedited() {
            Ok(true) => None,
            Ok(false) => Some(ChangeError::Configuration(format!(
                "{} was edited; run: hookhost modules rescan",
                store.name().display()
            ))),
            Err(error) => Some(ChangeError::Write(error_line(&error))),
        }
    }

    /// The table after the changes of one request. `tags` returns the entity tags in the table.
    pub(super) fn checked(&self, table: &Table, changes: &[Change], tags: &Tags<'_>) -> Result<Table, ChangeError> {
        let file: &Path = self.webhooks.name();
        let check = |name: &str, settings: &_| self.configuration.check_webhook(file, name, settings);
        let fixed = self
            .configuration
            .webhooks()
            .iter()
            .filter(|webhook| !webhook.can_change);
        let read_only: BTreeSet<String> = fixed.map(|webhook| webhook.name.clone()).collect();
        let mut table = table.clone();
        let mut problems = Vec::new();
        for change in changes {
            match webhooks::apply(&mut table, change, &read_only, tags, &check) {
                Ok(()) => {}
                // All mistakes of all webhooks are reported together.
                Err(ChangeError::Invalid(more)) => problems.extend(more),
                Err(error) => return Err(error),
            }
        }
        if problems.is_empty() {
            Ok(table)
        } else {
            Err(ChangeError::Invalid(problems))
        }
    }

    /// Writes a table and makes the modules use it.
    fn activate(&mut self, table: &Table) -> Result<(), ChangeError> {
        let write = |error: std::io::Error| ChangeError::Write(error_line(&error));
        let text = webhooks::text(table).map_err(ChangeError::Write)?;
        let KeptStore::Own(store) = &self.webhooks else {
            return Ok(());
        };
        let new = store.prepare(text.clone()).map_err(write)?;
        let path = store.name().to_owned();
        let read = self
            .configuration
            .read(Some(KeptWebhooks::Own(TextFile { path, text })));
        self.apply_read(read)?;
        let KeptStore::Own(store) = &mut self.webhooks else {
            return Ok(());
        };
        store.commit(new).map_err(|error| {
            let text = error_line(&error);
            ChangeError::Write(format!("{text}; the change has effect until the host restarts"))
        })
    }

    /// Uses a configuration that was read with other webhooks. After an error, nothing has changed.
    pub(super) fn apply_read(&mut self, read: ReadAgain) -> Result<(), ChangeError> {
        self.files.set(self.configuration.files());
        let ReadAgain { settings, own, .. } = read;
        let settings = settings.map_err(|refused| {
            let problems: Vec<String> = refused.problems.iter().map(ToString::to_string).collect();
            ChangeError::Configuration(problems.join("; "))
        })?;
        let folder = self
            .folder
            .list()
            .map_err(|error| ChangeError::Configuration(error_line(&error)))?;
        let applied = self.modules.apply(Desired {
            folder,
            configuration: DesiredConfiguration::Valid(settings),
            retry: false,
        });
        if let Some(ConfigurationOutcome::Rejected(problems)) = applied.configuration {
            return Err(ChangeError::Configuration(problems.join("; ")));
        }
        // The configuration files may have changed as well. What was read before, and waits for the folder, is older.
        (self.errors, self.unapplied) = (None, None);
        if let Some(own) = own {
            self.activate_own(own);
        }
        self.report_ignored(&applied);
        Ok(())
    }
}

pub(super) fn answer_all(waiting: Vec<WaitingChange>, result: Result<(), ChangeError>) {
    for waiting in waiting {
        waiting.answer(result.clone());
    }
}
