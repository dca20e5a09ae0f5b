//! Carries out the desired state.

use std::sync::Arc;
use std::time::Instant;

use tracing::{error, info};

use super::super::desired::{Applied, ConfigurationOutcome, Desired, DesiredConfiguration, ReloadableSettings};
use super::super::folder::{Content, Files, FolderListing, ModuleName};
use super::super::generation::lock;
use super::super::load::{LoadError, ModuleSource};
use super::super::trial::Trial;
use super::Controller;
use super::reconcile::{self, Action, Configuration, Fallback, Trigger};
use hookhost_kv::{Kv, KvBounds};
use hookhost_settings::Problem;
use hookhost_settings::error_line;

impl Controller {
    /// Loads all modules of the folder, and the built-in module.
    ///
    /// # Errors
    ///
    /// If the built-in module is wanted and does not load. Modules in the folder that do not load are not an error.
    pub(in super::super) fn start(&self, folder: FolderListing) -> Result<Applied, LoadError> {
        let webhook = ModuleName::webhook();
        let files = folder.files.of(&webhook);
        if files.wasm.is_none() {
            self.load(&webhook, &files, true)?;
        }
        Ok(self.apply(Desired::of(folder)))
    }

    /// Brings the modules to the desired state, as far as they load. Returns what was done.
    ///
    /// The built-in module takes a new configuration first. If it rejects the configuration, all modules keep the
    /// previous one.
    pub(in super::super) fn apply(&self, desired: Desired) -> Applied {
        let Desired {
            folder,
            configuration,
            retry,
        } = desired;
        let _applying = lock(&self.applying);
        let mut applied = Applied::default();
        let receivers = self.loader.reloadable().receivers;
        let (configuration, reason) = match configuration {
            DesiredConfiguration::Unread => (Configuration::Unread, None),
            DesiredConfiguration::Invalid(problems) => {
                let reason = format!("the configuration has errors: {}", problems.join("; "));
                applied.configuration = Some(ConfigurationOutcome::Rejected(problems));
                (Configuration::Invalid, Some(reason))
            }
            DesiredConfiguration::Valid(settings) if settings == self.loader.reloadable() => {
                applied.configuration = Some(ConfigurationOutcome::Unchanged);
                (Configuration::Unchanged, None)
            }
            DesiredConfiguration::Valid(settings) => {
                applied.configuration = Some(self.configure(settings, &folder, retry, &mut applied));
                (Configuration::New, None)
            }
        };
        let trigger = Trigger {
            retry,
            configuration,
            new_receivers: self.loader.reloadable().receivers != receivers,
        };
        let facts = self.table().facts();
        for (name, action) in reconcile::actions(&folder.files.hashes(), &facts, trigger) {
            // The error has already been logged and recorded.
            self.carry_out(&name, &folder.files.of(&name), action, &mut applied)
                .ok();
        }
        applied.ignored = self
            .loader
            .strays(&folder)
            .iter()
            .map(|(_, error)| error_line(error))
            .collect();
        let mut table = self.table();
        if reason.is_some() {
            self.module(&mut table, &ModuleName::webhook()).rejected = reason;
        }
        table.forget_unused();
        let names = table.modules.keys().map(ModuleName::shared);
        applied.unchanged = names.filter(|name| !applied.has_changed(name)).collect();
        applied
    }

    /// Applies new settings to the built-in module. If it accepts them, all other modules get them, too.
    fn configure(
        &self,
        mut settings: ReloadableSettings,
        folder: &FolderListing,
        retry: bool,
        applied: &mut Applied,
    ) -> ConfigurationOutcome {
        let before = self.loader.reloadable();
        if settings.receivers == before.receivers {
            // Keeps the same object: delivery compares it to detect a change.
            settings.receivers = Arc::clone(&before.receivers);
        }
        self.loader.set_reloadable(settings);
        let webhook = ModuleName::webhook();
        let files = folder.files.of(&webhook);
        let facts = self.table().facts().remove(&webhook).unwrap_or_default();
        let action = reconcile::configure(&files.hashes(), &facts, retry);
        match self.carry_out(&webhook, &files, action, applied) {
            Ok(()) => {
                self.outbox.set_receivers(&self.loader.reloadable().receivers);
                ConfigurationOutcome::Active
            }
            Err(error) => {
                self.loader.set_reloadable(before);
                ConfigurationOutcome::Rejected(match error.problems() {
                    [] => vec![error_line(&error)],
                    problems => problems.iter().map(ToString::to_string).collect(),
                })
            }
        }
    }

    /// Carries out one action. An error is logged and recorded before it is returned.
    fn carry_out(
        &self,
        name: &ModuleName,
        files: &Files<Content>,
        action: Action,
        applied: &mut Applied,
    ) -> Result<(), LoadError> {
        let loaded = match action {
            Action::Retire => {
                self.retire(name);
                applied.removed.push(name.shared());
                return Ok(());
            }
            Action::ReloadActive => match self.reload_active(name).transpose() {
                Ok(generation) => generation,
                Err(error) => {
                    applied.rejected.push((name.shared(), self.reject(name, files, &error)));
                    return Err(error);
                }
            },
            Action::Load(fallback) => match self.load(name, files, true) {
                Ok(generation) => Some(generation),
                Err(error) => {
                    let second = self.fall_back(name, files, fallback);
                    applied.rejected.push((name.shared(), self.reject(name, files, &error)));
                    Some(second.unwrap_or(Err(error))?)
                }
            },
        };
        applied
            .loaded
            .extend(loaded.map(|generation| (name.shared(), generation)));
        Ok(())
    }

    /// Loads the fallback instead of the files in the folder. Returns `None` if there is no fallback.
    fn fall_back(
        &self,
        name: &ModuleName,
        files: &Files<Content>,
        fallback: Fallback,
    ) -> Option<Result<u32, LoadError>> {
        let second = match fallback {
            Fallback::None => return None,
            Fallback::ActiveFiles => self.reload_active(name)?,
            Fallback::ActiveCode => {
                let files = Files {
                    wasm: self.active_files(name).and_then(|active| active.wasm),
                    toml: files.toml.clone(),
                };
                self.load(name, &files, true)
            }
        };
        match &second {
            Ok(generation) => info!(
                module = %name,
                generation,
                "module loaded from its previous files, because its files in the folder do not load"
            ),
            Err(error) => {
                let reason = error_line(error);
                error!(module = %name, reason, "the previous files of the module do not load either");
            }
        }
        Some(second)
    }

    /// The errors that the built-in module finds in settings from the host's configuration.
    pub(in super::super) fn check(&self, settings: ReloadableSettings, folder: &FolderListing) -> Vec<Problem> {
        let webhook = ModuleName::webhook();
        let compiled = {
            let table = self.table();
            let active = table.active(ModuleName::WEBHOOK);
            active.map(|active| active.release.compiled.clone())
        };
        self.loader
            .check(settings, &webhook, &folder.files.of(&webhook), compiled.as_ref())
    }

    /// Loads the active code of the built-in module with other settings, for a trial.
    pub(in super::super) fn webhook_trial(&self, settings: ReloadableSettings) -> Result<Trial, LoadError> {
        let webhook = ModuleName::webhook();
        let compiled = {
            let table = self.table();
            let active = table.active(ModuleName::WEBHOOK);
            active.map(|active| active.release.compiled.clone())
        };
        let files = Files {
            wasm: self.active_files(&webhook).and_then(|active| active.wasm),
            // Its own settings would replace these.
            toml: None,
        };
        let start = Instant::now();
        let source = ModuleSource {
            name: &webhook,
            files: &files,
            number: 1,
            kv: &Kv::new(KvBounds::default()),
            compiled: compiled.as_ref(),
        };
        let loaded = self.loader.load_with(settings, source)?;
        Ok(Trial::new(webhook.shared(), loaded, start.elapsed()))
    }
}
