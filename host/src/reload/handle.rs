//! What other parts of the host ask of the reload thread.

use std::sync::Arc;

use serde_json::Value as Json;

use super::watcher::Reason;
use super::{Handle, Rescan};
use crate::config::{self, Given};
use crate::webhooks::{Change, ChangeError, Webhooks};
use hookhost_delivery::Receivers;
use hookhost_listener::TlsFiles;
use hookhost_modules::ReloadableSettings;
use hookhost_settings::Problem;

impl Handle {
    /// Listeners are open: their TLS files are read again from now on when a file changes.
    pub fn add_tls_files(&self, files: impl IntoIterator<Item = TlsFiles>) {
        self.tls.lock().extend(files);
    }

    /// Reads the configuration and the modules folder again, retries what did not load or was rolled back, and returns
    /// when that is done.
    ///
    /// Has no effect while the host stops. Blocks the calling thread for as long as loading takes.
    pub fn rescan(&self) -> Rescan {
        self.reload_trigger.ask(Reason::Asked).unwrap_or_default()
    }

    /// The webhooks and rules that have effect.
    pub fn webhooks(&self) -> Webhooks {
        Webhooks {
            list: Arc::clone(&self.facts.get().webhooks),
            file: self.webhooks_file.clone(),
        }
    }

    /// The modules folder has changed: returns when the changes have effect. Blocks the calling thread for as long as loading
    /// takes.
    pub(crate) fn use_folder(&self) -> Rescan {
        self.reload_trigger.ask(Reason::Folder).unwrap_or_default()
    }

    /// Webhooks that several hosts share may have changed: returns when they have effect. Blocks the calling thread for as long
    /// as a reload takes.
    pub(crate) fn use_shared_webhooks(&self) {
        self.reload_trigger.ask(Reason::Webhooks);
    }

    /// Changes webhooks, all or none, and returns when the changes have effect and are on the disk, or in NATS. Blocks the calling
    /// thread for as long as a reload takes.
    ///
    /// # Errors
    ///
    /// [`ChangeError`]; nothing has changed then.
    pub fn change_webhooks(&self, changes: Vec<Change>) -> Result<(), ChangeError> {
        let answer = self.changes.push(changes);
        self.reload_trigger.ask(Reason::Webhooks).ok_or(ChangeError::Stopping)?;
        answer.try_recv().map_err(|_| ChangeError::Stopping)?
    }

    /// The rules and the destination of one webhook alone.
    ///
    /// # Errors
    ///
    /// The mistakes in its settings.
    pub fn webhook_alone(&self, name: &str, settings: &Json) -> Result<ReloadableSettings, Vec<Problem>> {
        let setting = crate::webhooks::setting(&self.webhooks_name, name, settings);
        let terms = self.facts.get().terms.clone();
        let alone = config::webhook_alone(name, setting, &terms, self.origin.environment())?;
        Ok(ReloadableSettings {
            webhook_config: self.with_variables(alone.rules),
            places: Arc::default(),
            receivers: Arc::new(Receivers {
                terms,
                destinations: alone.destination.into_iter().collect(),
            }),
        })
    }

    /// Rules, a configuration of the built-in module, with the variables of the active configuration.
    pub(crate) fn with_variables(&self, mut rules: Json) -> Json {
        if let (Json::Object(rules), Some(variables)) = (&mut rules, &self.facts.get().variables) {
            rules.insert("variables".to_owned(), variables.clone());
        }
        rules
    }

    /// Mistakes in rules of another broker's file, which the active configuration leaves out.
    pub fn left_out(&self) -> Vec<String> {
        self.facts.get().left_out.clone()
    }

    /// The settings that the active configuration gives, by key. Those that need a restart take effect then.
    pub fn given(&self) -> Vec<Given> {
        self.facts.get().given.clone()
    }
}
