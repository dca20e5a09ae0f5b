//! Turns files into a module that is ready to run. Start, reload and check use the same code.
//!
//! The loader reads the settings, compiles the code unless the cache has it, makes and configures an instance, and
//! checks its interests.
//!
//! The loader returns a module only when all of that has succeeded. Any failure is a [`LoadError`] with the file and
//! the reason, and nothing has changed. The loader starts no thread and does not touch the bus.

mod code;
mod error;

use std::borrow::Borrow;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex};

use serde_json::Value;

pub(super) use code::{Compile, Compiled};
pub use error::LoadError;

use super::builtin::BuiltIn;
use super::durable;
use super::egress::Egress;
use super::folder::{Content, Files, FolderListing, MAX_TOML_BYTES, ModuleName};
use super::generation::{Blueprint, Generation, lock};
use super::settings::{Allowance, InvalidSettings, ModuleSettings};
use super::state::Origin;
use super::{Plan, ReloadableSettings, Settings};
use code::readable;
use hookhost_activity::ActivityLog;
use hookhost_contract::Interest;
use hookhost_hooks::Interests;
use hookhost_kv::{Kv, KvBounds};
use hookhost_settings::{Place, Places, Problem};
use hookhost_wasm::{ConfigureError, Identity};

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
    /// `compiled` is the active code: unchanged code is not compiled again. Takes as long as compiling does, seconds
    /// for a large module.
    pub(super) fn load(
        &self,
        name: &ModuleName,
        files: &Files<Content>,
        number: u32,
        kv: &Arc<Kv>,
        compiled: Option<&Compiled>,
    ) -> Result<Loaded, LoadError> {
        self.load_with(self.reloadable(), name, files, number, kv, compiled)
    }

    /// The errors that the module of that name finds in settings that it would get.
    pub(super) fn check(
        &self,
        reloadable: ReloadableSettings,
        name: &ModuleName,
        files: &Files<Content>,
        compiled: Option<&Compiled>,
    ) -> Vec<Problem> {
        let kv = Kv::new(KvBounds::default());
        match self.load_with(reloadable, name, files, 1, &kv, compiled) {
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
        name: &ModuleName,
        files: &Files<Content>,
        number: u32,
        kv: &Arc<Kv>,
        compiled: Option<&Compiled>,
    ) -> Result<Loaded, LoadError> {
        let (own, wrong) = self.settings(name, files)?;
        let loaded = self.load_settled(reloadable, &own, name, files, number, kv, compiled);
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

    #[expect(
        clippy::too_many_arguments,
        reason = "what one load needs, put together in the two functions above"
    )]
    fn load_settled(
        &self,
        reloadable: ReloadableSettings,
        own: &ModuleSettings,
        name: &ModuleName,
        files: &Files<Content>,
        number: u32,
        kv: &Arc<Kv>,
        compiled: Option<&Compiled>,
    ) -> Result<Loaded, LoadError> {
        let config = match &own.config {
            Some(config) => Value::Object(config.clone()),
            None if name.is_webhook() => reloadable.webhook_config,
            None => Value::Object(serde_json::Map::new()),
        };
        let is_host_configuration = name.is_webhook() && own.config.is_none();
        let places = if is_host_configuration {
            &*reloadable.places
        } else {
            &own.places
        };
        let durable = self.durable(
            own,
            name,
            &config,
            |problem| located(problem, name, places),
            is_host_configuration,
        )?;
        let mut allowance = own.over(Allowance {
            limits: self.settings.limits.clone(),
            queue: self.settings.queue,
            instances: self.settings.instances.most(),
            batch: self.settings.batch,
            compile_time: self.settings.compile_time,
        });

        let origin = if files.wasm.is_some() {
            Origin::File
        } else {
            Origin::BuiltIn
        };
        let file = match origin {
            Origin::File => self.path(name, "wasm"),
            Origin::BuiltIn => format!("the built-in module {name}"),
        };
        let not_code = |source| LoadError::Code {
            file: file.clone(),
            source,
        };
        let (wasm, limit) = (files.wasm.as_ref(), allowance.compile_time);
        let built_in = BuiltIn::for_config(&config);
        let compiled = match compiled.filter(|compiled| compiled.is_from(wasm, built_in)) {
            Some(compiled) => compiled.clone(),
            None => self.compile(name, wasm, built_in, limit, &file)?,
        };

        let identity = Identity {
            node: self.settings.node.clone(),
            module: name.shared(),
            generation: number,
        };
        let text = config.to_string();
        let mut instance = compiled
            .component
            .instantiate(&identity, &allowance.limits, kv)
            .map_err(not_code)?;
        let interests = instance.configure(&text).map_err(|error| match error {
            ConfigureError::Refused(problems) => LoadError::Refused {
                file: file.clone(),
                problems: problems
                    .into_iter()
                    .map(|problem| located(problem, name, places))
                    .collect(),
                is_host_configuration,
            },
            ConfigureError::Call(source) => LoadError::Configure {
                file: file.clone(),
                source,
            },
        })?;
        if !own.has_instances() {
            allowance.instances = self.settings.instances.number(instance.memory());
        }
        // The rules of the built-in module are the operator's own.
        let compile = match origin {
            Origin::BuiltIn => Interests::compile_unlimited,
            Origin::File => Interests::compile,
        };
        let interests = compile(&interests).and_then(|interests| interests.with_durable(&durable));
        let interests = interests.map_err(|errors| LoadError::Interests {
            file: file.clone(),
            errors,
        })?;

        let egress = Egress::new(&config, &own.allow).with(reloadable.receivers);
        let (limits, kv, spare) = (allowance.limits.clone(), Arc::clone(kv), Mutex::new(Some(instance)));
        let template = Blueprint {
            component: compiled.component.clone(),
            identity,
            limits,
            kv,
            config: text,
            spare,
        };
        let generation = Generation {
            number,
            interests,
            egress,
            batch: allowance.batch,
            template,
        };
        Ok(Loaded {
            generation,
            allowance,
            origin,
            compiled,
            files: files.clone(),
        })
    }

    /// The publishes that are acknowledged only when the module's requests are on disk.
    fn durable(
        &self,
        own: &ModuleSettings,
        name: &ModuleName,
        config: &Value,
        located: impl Fn(hookhost_contract::Problem) -> Problem,
        is_host_configuration: bool,
    ) -> Result<Vec<Interest>, LoadError> {
        let rules = if name.is_webhook() {
            durable::rules(config)
        } else {
            Vec::new()
        };
        if let Some(reason) = self.settings.not_durable {
            if own.is_durable {
                let file = self.path(name, "toml");
                let problems = vec![Problem::of_file(Path::new(&file), format!("acknowledge: {reason}"))];
                return Err(LoadError::Settings { problems });
            }
            if !rules.is_empty() {
                let keys: BTreeSet<String> = rules.into_iter().map(|rule| rule.key).collect();
                let text = reason.to_owned();
                let problem = |key| hookhost_contract::Problem {
                    key,
                    text: text.clone(),
                };
                return Err(LoadError::Refused {
                    file: format!("the module {name}"),
                    problems: keys.into_iter().map(|key| located(problem(key))).collect(),
                    is_host_configuration,
                });
            }
        }
        let of_module = own.is_durable.then(durable::every_publish);
        Ok(of_module
            .into_iter()
            .chain(rules.into_iter().map(|rule| rule.interest))
            .collect())
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

/// An error that a module finds in its configuration, with its place, or in the module's own words if the place is
/// unknown.
fn located(problem: hookhost_contract::Problem, module: &ModuleName, places: &Places) -> Problem {
    let hookhost_contract::Problem { key, text } = problem;
    let problem = places.problem(&key, &text);
    problem.unwrap_or_else(|| Place::module(module.to_string(), key).problem(text))
}
