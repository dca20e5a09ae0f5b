//! Changes of webhooks that several hosts share, on the reload thread.
//!
//! A change of this host is written to the bucket first. It has effect afterwards, as a change of another host.

use tracing::{error, info};

use super::Reloader;
use super::webhooks::answer_all;
use crate::config::KeptWebhooks;
use crate::webhooks::{Change, ChangeError, KeptStore, SharedWebhookStore};

/// How often a change is checked again because another host was faster.
const ATTEMPTS: usize = 5;

impl Reloader {
    /// Makes all changes that wait, and uses the webhooks of the bucket.
    pub(super) fn change_shared_webhooks(&mut self) {
        let waiting = self.changes.take();
        if !waiting.is_empty()
            && let Some(error) = self.shared_webhooks_are_fixed()
        {
            answer_all(waiting, Err(error));
            return self.use_shared_webhooks();
        }
        let mut results = Vec::new();
        for waiting in waiting {
            let result = self.write_shared(&waiting.changes);
            results.push((waiting, result));
        }
        self.use_shared_webhooks();
        for (waiting, result) in results {
            let stored = |reason: &String| {
                ChangeError::Configuration(format!(
                    "{reason}; the change is stored for all hosts, and this one waits"
                ))
            };
            let result = result.and_then(|()| self.unusable.as_ref().map_or(Ok(()), |reason| Err(stored(reason))));
            waiting.answer(result);
        }
    }

    /// Why no webhook can be changed at the moment.
    fn shared_webhooks_are_fixed(&mut self) -> Option<ChangeError> {
        if let Some(reason) = self.configuration.refuses_webhooks() {
            return Some(ChangeError::Configuration(reason));
        }
        if let Some(error) = self.shared().and_then(SharedWebhookStore::trouble) {
            return Some(error);
        }
        // The bucket is changed before this host uses the change, so the rest of the configuration must be valid.
        let read = self.configuration.read(self.webhooks.read());
        let refused = read.settings.err()?;
        let problems: Vec<String> = refused.problems.iter().map(ToString::to_string).collect();
        Some(ChangeError::Configuration(problems.join("; ")))
    }

    fn shared(&self) -> Option<&SharedWebhookStore> {
        match &self.webhooks {
            KeptStore::Shared(store) => Some(store),
            KeptStore::Own(_) => None,
        }
    }

    /// Checks changes that belong together, and writes them.
    fn write_shared(&self, changes: &[Change]) -> Result<(), ChangeError> {
        let unread = || ChangeError::Unreachable("they were not read yet".to_owned());
        let store = self.shared().ok_or_else(unread)?;
        for _ in 0..ATTEMPTS {
            let before = store.snapshot().ok_or_else(unread)?;
            let table = self.checked(&before.table(), changes, &|name, _| before.tag(name))?;
            if store.write(&before, &table)? {
                info!(
                    webhooks = changes.len(),
                    first = changes.first().map(|change| &change.name),
                    "webhooks changed"
                );
                return Ok(());
            }
        }
        let name = changes.first().map_or_else(String::new, |change| change.name.clone());
        Err(ChangeError::Changed(name))
    }

    /// Makes the modules use the webhooks of the bucket.
    fn use_shared_webhooks(&mut self) {
        let Some(store) = self.shared() else { return };
        let Some(snapshot) = store.snapshot().filter(|snapshot| !store.is_active(&snapshot.webhooks)) else {
            return;
        };
        let kept = KeptWebhooks::Shared(snapshot.webhooks);
        let read = self.configuration.read(Some(kept.clone()));
        match self.apply_read(read) {
            Ok(()) => {
                self.unusable = None;
                self.webhooks.set_active(kept);
                info!("the webhooks of all hosts are active");
            }
            Err(error) => {
                let error = error.to_string();
                if self.unusable.as_ref() != Some(&error) {
                    error!(
                        error,
                        "the webhooks of all hosts are not active; the previous ones stay"
                    );
                }
                self.unusable = Some(error);
            }
        }
    }
}
