//! Reload: watches the configuration and the modules folder, computes the desired state, and applies it to the modules.
//!
//! ```text
//! watched files ──> complete? ──> configuration and folder, read again ──> Desired ──> modules.apply
//! ```
//!
//! One thread does this, one reload at a time. A start is the first reload. A configuration or a module that does not
//! load changes nothing, and the log reports why.

mod configuration;
mod facts;
mod handle;
mod listener_files;
mod parts;
mod settle;
mod shared_webhooks;
mod watched;
mod watcher;
mod webhooks;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tracing::{error, info, warn};

pub use configuration::Origin;
pub(crate) use configuration::{Configuration, reloadable};
pub(crate) use parts::ReloadedParts;

use crate::config::Refused;
use crate::webhooks::{ChangeQueue, KeptStore};
use configuration::{OwnSettings, ReadAgain};
use facts::SharedFacts;
use hookhost_delivery::Outbox;
use hookhost_hooks::Bus;
use hookhost_modules as modules;
use hookhost_modules::{
    Applied, ConfigurationOutcome, Desired, DesiredConfiguration, FolderListing, LoadError, Modules, ModulesFolder,
    ReloadableSettings,
};
use hookhost_settings::error_line;
use hookhost_wasm::Engine;
use listener_files::ListenerFiles;
use watched::WatchedFiles;
use watcher::{FolderWatcher, Reason, ReloadTrigger};

/// Modules could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The modules folder cannot be listed, or the built-in module does not load.
    #[error("modules cannot be started")]
    Modules(#[from] LoadError),
    /// The modules folder cannot be watched.
    #[error("no thread can be started to watch the modules folder")]
    Watch(#[source] io::Error),
}

/// Reloads until it is dropped.
pub(crate) struct Reload {
    watcher: FolderWatcher<Rescan>,
    handle: Handle,
}

/// Requests a reload, from any thread. All clones request the same reload.
#[derive(Clone)]
pub struct Handle {
    reload_trigger: ReloadTrigger<Rescan>,
    facts: SharedFacts,
    tls: ListenerFiles,
    changes: ChangeQueue,
    origin: Origin,
    /// The name of the file with the kept webhooks in messages.
    webhooks_name: PathBuf,
    /// Its path; `None`: the webhooks are in memory.
    webhooks_file: Option<PathBuf>,
}

/// The result of a reload.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Rescan {
    /// The modules folder; `None` if the host has no modules folder.
    pub folder: Option<PathBuf>,
    /// Why the folder could not be listed. Nothing was done then.
    pub problem: Option<String>,
    /// How the modules applied it.
    pub applied: Applied,
    /// Warnings about the configuration, such as settings that need a restart.
    pub warnings: Vec<String>,
}

impl Reload {
    /// Starts the modules, and from then on reloads when files change.
    ///
    /// A module in the folder that does not load is reported in the log and in [`states`](modules::Handle::states). The
    /// others run. Blocks for as long as loading takes.
    ///
    /// # Errors
    ///
    /// [`StartError`] if the built-in module in the binary rejects its configuration (unless a `webhook.wasm` replaces
    /// it), or if the folder exists but cannot be listed. Nothing runs then.
    pub(crate) fn start(
        configuration: Configuration,
        webhooks: KeptStore,
        settings: modules::Settings,
        engine: Engine,
        bus: Bus,
        outbox: Arc<dyn Outbox>,
        parts: ReloadedParts,
    ) -> Result<(Reload, Modules), StartError> {
        let facts = SharedFacts::new(configuration.facts());
        let tls = ListenerFiles::default();
        let files = WatchedFiles::default();
        files.set(configuration.files());
        let dir = settings.dir.clone();
        let watcher = FolderWatcher::prepare(dir.as_deref(), files.clone()).map_err(StartError::Watch)?;
        let mut folder = ModulesFolder::new(dir);
        let changes = ChangeQueue::default();
        let origin = configuration.origin().clone();
        let (webhooks_name, webhooks_file) = (webhooks.name().to_owned(), webhooks.file().map(Path::to_owned));
        let (modules, applied) = Modules::start(settings, engine, bus, outbox, folder.list()?)?;
        let mut reloader = Reloader {
            configuration,
            parts,
            facts: facts.clone(),
            tls: tls.clone(),
            webhooks,
            changes: changes.clone(),
            files,
            folder,
            modules: modules.handle(),
            unapplied: None,
            errors: None,
            ignored: Vec::new(),
            is_unlisted: false,
            unusable: None,
        };
        reloader.report_ignored(&applied);
        let shared = match &reloader.webhooks {
            KeptStore::Shared(store) => Some(store.keys()),
            KeptStore::Own(_) => None,
        };
        let reload = move |reason| reloader.reload(reason);
        let watcher = watcher.start(reload).map_err(StartError::Watch)?;
        if let Some(shared) = shared {
            let reload_trigger = watcher.reload_trigger();
            shared.set_on_change(move || reload_trigger.notify(Reason::Webhooks));
        }
        let handle = Handle {
            reload_trigger: watcher.reload_trigger(),
            facts,
            tls,
            changes,
            origin,
            webhooks_name,
            webhooks_file,
        };
        Ok((Reload { watcher, handle }, modules))
    }

    pub(crate) fn handle(&self) -> Handle {
        Handle {
            reload_trigger: self.watcher.reload_trigger(),
            ..self.handle.clone()
        }
    }
}

/// The state that one reload passes to the next.
struct Reloader {
    configuration: Configuration,
    parts: ReloadedParts,
    facts: SharedFacts,
    tls: ListenerFiles,
    webhooks: KeptStore,
    changes: ChangeQueue,
    files: WatchedFiles,
    folder: ModulesFolder,
    modules: modules::Handle,
    /// A configuration that waits until the folder can be listed.
    unapplied: Option<ReadAgain>,
    /// The errors of the configuration at the last read, if it was rejected.
    errors: Option<Vec<String>>,
    /// Files in the folder that were reported to have no effect.
    ignored: Vec<String>,
    /// Whether the log already reports that the folder cannot be listed.
    is_unlisted: bool,
    /// Why shared webhooks do not have effect, as the log reports it.
    unusable: Option<String>,
}

impl Reloader {
    fn reload(&mut self, reason: Reason) -> Rescan {
        if reason == Reason::Webhooks {
            self.change_webhooks();
            return Rescan::default();
        }
        let is_asked = reason == Reason::Asked;
        if reason != Reason::Folder {
            self.tls.reload();
        }
        // After errors, any changed file may be the one that the configuration lacked.
        if reason != Reason::Folder || self.errors.is_some() || self.unusable.is_some() {
            // A file that cannot be read is read again with the rest of the configuration, which reports it.
            let kept = self.webhooks.read();
            self.unapplied = Some(self.configuration.read(kept));
            self.files.set(self.configuration.files());
        }
        if is_asked {
            self.folder.forget();
        }
        let mut rescan = Rescan {
            folder: self.folder.dir().cloned(),
            ..Rescan::default()
        };
        let folder = match self.folder.list() {
            Ok(folder) => folder,
            Err(error) => {
                let reason = error_line(&error);
                if !std::mem::replace(&mut self.is_unlisted, true) {
                    error!(
                        reason,
                        "the modules folder cannot be listed; the modules stay as they are"
                    );
                }
                rescan.problem = Some(reason);
                return rescan;
            }
        };
        self.is_unlisted = false;
        let (mut own, mut kept, mut configuration) = (None, None, DesiredConfiguration::Unread);
        if let Some(read) = self.unapplied.take() {
            configuration = self.desired_configuration(read.settings, &folder);
            (own, kept, rescan.warnings) = (read.own, read.kept, read.warnings);
        }
        rescan.applied = self.modules.apply(Desired {
            folder,
            configuration,
            retry: is_asked,
        });
        self.report_configuration(&rescan.applied, is_asked);
        if !matches!(rescan.applied.configuration, Some(ConfigurationOutcome::Rejected(_))) {
            if let Some(own) = own {
                self.activate_own(own);
            }
            if let Some(kept) = kept {
                self.unusable = None;
                self.webhooks.set_active(kept);
            }
        }
        self.report_ignored(&rescan.applied);
        rescan
    }

    /// Uses what the host itself needs of a configuration that the modules have accepted.
    fn activate_own(&mut self, own: OwnSettings) {
        self.parts.replace(own.access, own.upstreams);
        self.facts.set(&own.facts);
        self.configuration.set_active(own.facts);
    }

    fn desired_configuration(
        &self,
        settings: Result<ReloadableSettings, Refused>,
        folder: &FolderListing,
    ) -> DesiredConfiguration {
        match settings {
            Ok(settings) => DesiredConfiguration::Valid(settings),
            Err(mut refused) => {
                if refused.has_rules() {
                    refused.add(self.modules.check(reloadable(refused.rest()), folder));
                }
                DesiredConfiguration::Invalid(refused.problems.iter().map(ToString::to_string).collect())
            }
        }
    }

    /// Logs the result for the configuration. The same errors are logged again only on request.
    fn report_configuration(&mut self, applied: &Applied, is_asked: bool) {
        match &applied.configuration {
            None => {}
            Some(ConfigurationOutcome::Unchanged) => self.errors = None,
            Some(ConfigurationOutcome::Active) => {
                self.errors = None;
                info!("configuration reloaded");
            }
            Some(ConfigurationOutcome::Rejected(errors)) => {
                if is_asked || self.errors.as_ref() != Some(errors) {
                    errors.iter().for_each(|error| error!("{error}"));
                    let count = errors.len();
                    error!(
                        errors = count,
                        "configuration not reloaded; the previous one stays active"
                    );
                }
                self.errors = Some(errors.clone());
            }
        }
    }

    /// Logs once for each file that it has no effect.
    fn report_ignored(&mut self, applied: &Applied) {
        for reason in applied.ignored.iter().filter(|reason| !self.ignored.contains(reason)) {
            warn!(reason, "file in the modules folder ignored");
        }
        self.ignored.clone_from(&applied.ignored);
    }
}
