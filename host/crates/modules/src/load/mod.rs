//! Turns files into a module that is ready to run. Start, reload and check use the same code.
//!
//! The loader reads the settings, compiles the code unless the cache has it, makes and configures an instance, and
//! checks its interests.
//!
//! The loader returns a module only when all of that has succeeded. Any failure is a [`LoadError`] with the file and
//! the reason, and nothing has changed. The loader starts no thread and does not touch the bus.

mod attempt;
mod code;
mod error;

use std::borrow::Borrow;
use std::path::Path;
use std::sync::{Arc, Mutex};

pub(super) use code::{Compile, Compiled};
pub use error::LoadError;

use super::folder::{Content, Files, FolderListing, MAX_TOML_BYTES, ModuleName};
use super::generation::{Blueprint, Generation, lock};
use super::settings::{Allowance, InvalidSettings, ModuleSettings};
use super::state::Origin;
use super::{Plan, ReloadableSettings, Settings};
use attempt::Attempt;
use code::readable;
use hookhost_activity::ActivityLog;
use hookhost_kv::{Kv, KvBounds};
use hookhost_settings::Problem;

/// A module that is ready to run.
pub(super) struct Loaded {
    pub(super) generation: Generation<Blueprint>,
    pub(super) allowance: Allowance,
    pub(super) origin: Origin,
    /// For loading the same code again with other settings.
    pub(super) compiled: Compiled,
    /// The source of the module.
    pub(super) files: Files<Content>,
}

impl Loaded {
    pub(super) fn plan(&self) -> Plan {
        Plan {
            origin: self.origin,
            instances: self.allowance.instances,
            hooks: self.generation.interests.hooks().collect(),
            egress: self
                .generation
                .egress
                .grants()
                .iter()
                .map(ToString::to_string)
                .collect(),
        }
    }
}

/// What is loaded, and what is there already.
pub(super) struct ModuleSource<'a> {
    pub(super) name: &'a ModuleName,
    pub(super) files: &'a Files<Content>,
    /// The number of the generation.
    pub(super) number: u32,
    pub(super) kv: &'a Arc<Kv>,
    /// The active code: unchanged code is not compiled again.
    pub(super) compiled: Option<&'a Compiled>,
}

/// Loads modules, always with the same engine and settings of the host. Only the [`ReloadableSettings`] change.
pub(super) struct Loader {
    compiler: Box<dyn Compile>,
    settings: Settings,
    reloadable: Mutex<ReloadableSettings>,
}

impl Loader {
    pub(super) fn new(compiler: impl Compile + 'static, settings: Settings) -> Loader {
        let reloadable = Mutex::new(settings.reloadable.clone());
        Loader {
            compiler: Box::new(compiler),
            settings,
            reloadable,
        }
    }

    /// Niceness of the threads that modules run in.
    pub(super) fn nice(&self) -> i32 {
        self.settings.nice
    }

    /// The log of what became of events.
    pub(super) fn activity(&self) -> ActivityLog {
        self.settings.activity.clone()
    }

    /// The settings that modules are loaded with.
    pub(super) fn reloadable(&self) -> ReloadableSettings {
        lock(&self.reloadable).clone()
    }

    /// Sets the settings for later loads.
    pub(super) fn set_reloadable(&self, settings: ReloadableSettings) {
        *lock(&self.reloadable) = settings;
    }

    /// The state store of the module of that name.
    pub(super) fn kv(&self, name: &ModuleName) -> Arc<Kv> {
        self.settings.stores.kv(name.borrow())
    }

    /// Removes the module and its state, unless the state is kept for its return.
    pub(super) fn forget(&self, name: &ModuleName) {
        self.settings.stores.remove(name.borrow());
    }

    /// Loads a module from its files. Loads the built-in module from the binary if its files have no code.
    ///
    /// Takes as long as compiling does, seconds for a large module.
    pub(super) fn load(&self, source: ModuleSource<'_>) -> Result<Loaded, LoadError> {
        self.load_with(self.reloadable(), source)
    }

    /// The errors that a module finds in settings that it would get.
    pub(super) fn check(
        &self,
        reloadable: ReloadableSettings,
        name: &ModuleName,
        files: &Files<Content>,
        compiled: Option<&Compiled>,
    ) -> Vec<Problem> {
        let source = ModuleSource {
            name,
            files,
            number: 1,
            kv: &Kv::new(KvBounds::default()),
            compiled,
        };
        match self.load_with(reloadable, source) {
            Err(LoadError::Refused {
                problems,
                is_host_configuration: true,
                ..
            }) => problems,
            // Errors in its own files are reported when the files are loaded.
            _ => Vec::new(),
        }
    }

    /// Loads a module with settings that only this load gets.
    pub(super) fn load_with(
        &self,
        reloadable: ReloadableSettings,
        source: ModuleSource<'_>,
    ) -> Result<Loaded, LoadError> {
        let (own, wrong) = self.settings(source.name, source.files)?;
        let loaded = Attempt::new(self, source, reloadable, &own).run();
        if wrong.is_empty() {
            return loaded;
        }
        // Nothing is loaded with invalid settings. The errors that the module finds are reported, too.
        let mut problems = wrong;
        if let (Some(_), Err(LoadError::Refused { problems: more, .. })) = (&own.config, loaded) {
            let is_told = |problem: &Problem| problems.iter().any(|told| told.place.key == problem.place.key);
            let more: Vec<_> = more.into_iter().filter(|problem| !is_told(problem)).collect();
            problems.extend(more);
            problems.sort();
        }
        Err(LoadError::Settings { problems })
    }

    /// The module's settings, and their errors.
    fn settings(&self, name: &ModuleName, files: &Files<Content>) -> Result<(ModuleSettings, Vec<Problem>), LoadError> {
        let Some(content) = &files.toml else {
            return Ok(Default::default());
        };
        let file = self.path(name, "toml");
        let content = readable(content, &file, MAX_TOML_BYTES)?;
        Ok(match ModuleSettings::parse(&content, Path::new(&file)) {
            Ok(settings) => (settings, Vec::new()),
            Err(InvalidSettings { problems, rest }) => (*rest, problems),
        })
    }

    /// The path of one of a module's files, as shown in messages.
    pub(super) fn path(&self, name: &ModuleName, extension: &str) -> String {
        let file = format!("{name}.{extension}");
        self.settings
            .dir
            .as_ref()
            .map_or(file.clone(), |dir| dir.join(&file).display().to_string())
    }

    /// The files in the folder that are not modules, as errors.
    pub(super) fn strays(&self, folder: &FolderListing) -> Vec<(Arc<str>, LoadError)> {
        let misnamed = folder.misnamed.iter().map(|file| {
            let path = self
                .settings
                .dir
                .as_ref()
                .map_or(file.clone(), |dir| dir.join(file).display().to_string());
            (Arc::from(file.as_str()), LoadError::BadName { file: path })
        });
        let hashes = folder.files.hashes();
        let orphans = hashes.orphans().map(|name| {
            (
                name.shared(),
                LoadError::Orphan {
                    file: self.path(name, "toml"),
                    missing: format!("{name}.wasm"),
                },
            )
        });
        misnamed.chain(orphans).collect()
    }
}
