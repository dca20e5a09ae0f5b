//! From files to a module that is ready to run: the one way, for start, reload and check.
//!
//! Settings are read, the code is compiled, an instance is made and configured, and what it is interested in is
//! checked. Code that is not in the cache is compiled quickly, so that it can be in force soon; who puts it in force
//! has it compiled well afterwards ([`Loader::task`]). A module that does not start in time in quickly compiled code is
//! compiled well first and started again: only what that code does not do in time is refused for it.
//!
//! Only when all of that has gone well is there something to publish; any refusal is a [`LoadError`] that
//! says which file and why, and nothing has changed. Nothing here starts a thread, but for the compiler's, or touches the
//! bus.

mod code;
mod error;

use std::borrow::Borrow;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::Value;
use tracing::info;

pub(super) use code::{Compiled, Ways};
pub use error::LoadError;

use super::compiler::{Compiler, PATIENCE};
use super::egress::Egress;
use super::folder::{Content, Files, MOST_TOML, ModuleName};
use super::generation::{Blueprint, Generation, lock};
use super::settings::{Allowance, ModuleSettings, Wrong};
use super::state::Origin;
use super::{Given, Plan, Settings};
use code::readable;
use hookhost_hooks::{Interest, Interests};
use hookhost_kv::{Kv, KvBounds};
use hookhost_settings::{Places, Problem, Source};
use hookhost_wasm as wasm;
use hookhost_wasm::{Component, ConfigureError, Engine, Identity};

/// A module that is ready to run.
pub(super) struct Loaded {
    pub(super) generation: Generation<Blueprint>,
    pub(super) allowance: Allowance,
    pub(super) origin: Origin,
    /// To load the same code again with other settings.
    pub(super) compiled: Compiled,
    /// What it was loaded from.
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

/// Loads modules, always with the same engine and the same settings of the host, but for what is [`Given`] anew.
pub(super) struct Loader {
    ways: Ways,
    quick: Compiler<Component>,
    well: Compiler<Component>,
    settings: Settings,
    given: Mutex<Given>,
}

impl Loader {
    pub(super) fn new(engine: &Engine, settings: Settings) -> Loader {
        Loader::with(Ways::of(engine), settings)
    }

    /// Niceness of the threads that modules run in.
    pub(super) fn nice(&self) -> i32 {
        self.settings.nice
    }

    /// A loader that compiles in its own ways.
    pub(super) fn with(ways: Ways, settings: Settings) -> Loader {
        let given = Mutex::new(settings.given.clone());
        Loader {
            quick: Compiler::new(PATIENCE, Arc::clone(&ways.quick)),
            well: Compiler::new(PATIENCE, Arc::clone(&ways.well)),
            ways,
            settings,
            given,
        }
    }

    /// What modules are loaded with.
    pub(super) fn given(&self) -> Given {
        lock(&self.given).clone()
    }

    /// From now on modules are loaded with this.
    pub(super) fn give(&self, given: Given) {
        *lock(&self.given) = given;
    }

    /// What the module of that name keeps.
    pub(super) fn kv(&self, name: &ModuleName) -> Arc<Kv> {
        self.settings.stores.kv(name.borrow())
    }

    /// The module is removed, and with it what it keeps, unless that is kept for its return.
    pub(super) fn forget(&self, name: &ModuleName) {
        self.settings.stores.remove(name.borrow());
    }

    pub(super) fn dir(&self) -> Option<&PathBuf> {
        self.settings.dir.as_ref()
    }

    /// Loads a module from its files; the default module from the binary if it has no code among them.
    ///
    /// `compiled` is what is in force: code that has not changed is not compiled again. Takes as long as compiling
    /// does, seconds for a large module, and twice that and a start deadline for one that is too slow in quickly
    /// compiled code.
    pub(super) fn load(
        &self,
        name: &ModuleName,
        files: &Files<Content>,
        number: u32,
        kv: &Arc<Kv>,
        compiled: Option<&Compiled>,
    ) -> Result<Loaded, LoadError> {
        self.load_with(self.given(), name, files, number, kv, compiled)
    }

    /// What the module of that name finds wrong with what a configuration would give it.
    pub(super) fn mistakes_in(
        &self,
        given: Given,
        name: &ModuleName,
        files: &Files<Content>,
        compiled: Option<&Compiled>,
    ) -> Vec<Problem> {
        let kv = Kv::new(KvBounds::default());
        match self.load_with(given, name, files, 1, &kv, compiled) {
            Err(LoadError::Refused { problems, given, .. }) if given => problems,
            // What is wrong with its own files is told with them.
            _ => Vec::new(),
        }
    }

    fn load_with(
        &self,
        given: Given,
        name: &ModuleName,
        files: &Files<Content>,
        number: u32,
        kv: &Arc<Kv>,
        compiled: Option<&Compiled>,
    ) -> Result<Loaded, LoadError> {
        let (own, wrong) = self.settings(name, files)?;
        let loaded = self.load_settled(given, &own, name, files, number, kv, compiled);
        if wrong.is_empty() {
            return loaded;
        }
        // With wrong settings nothing is loaded; what the module finds wrong besides is told with them.
        let mut problems = wrong;
        if let (Some(_), Err(LoadError::Refused { problems: more, .. })) = (&own.config, loaded) {
            let is_told = |problem: &Problem| problems.iter().any(|told| told.key == problem.key);
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
        given: Given,
        own: &ModuleSettings,
        name: &ModuleName,
        files: &Files<Content>,
        number: u32,
        kv: &Arc<Kv>,
        compiled: Option<&Compiled>,
    ) -> Result<Loaded, LoadError> {
        let config = match &own.config {
            Some(config) => Value::Object(config.clone()),
            None if name.is_webhook() => given.webhook_config,
            None => Value::Object(serde_json::Map::new()),
        };
        let is_given = name.is_webhook() && own.config.is_none();
        let places = if is_given { &*given.places } else { &own.places };
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
        let mut compiled = match compiled.filter(|compiled| compiled.is_from(wasm)) {
            Some(compiled) => compiled.clone(),
            None => self.compile(&self.quick, name, wasm, limit, &file)?,
        };

        let identity = Identity {
            node: self.settings.node.clone(),
            module: name.shared(),
            generation: number,
        };
        let text = config.to_string();
        let start = |component: &Component| {
            let mut instance = component
                .instantiate(&identity, &allowance.limits, kv)
                .map_err(not_code)?;
            let interests = instance.configure(&text).map_err(|error| match error {
                ConfigureError::Refused(problems) => LoadError::Refused {
                    file: file.clone(),
                    problems: problems
                        .into_iter()
                        .map(|problem| located(problem, name, places))
                        .collect(),
                    given: is_given,
                },
                ConfigureError::Call(source) => LoadError::Configure {
                    file: file.clone(),
                    source,
                },
            })?;
            Ok::<_, LoadError>((instance, interests))
        };
        let start = |component: &Component| {
            if component.is_optimised() {
                return start(component);
            }
            let started = on_large_stack(|| start(component));
            started.map_err(|source| LoadError::Threads {
                module: name.shared(),
                source,
            })?
        };
        let (instance, interests) = match start(&compiled.component) {
            Err(error) if error.depends_on_time() && !compiled.component.is_optimised() => {
                let reason = super::explain(&error);
                info!(module = %name, reason, "module is too slow in quickly compiled code and is compiled well first");
                compiled = self.compile(&self.well, name, wasm, limit, &file)?;
                start(&compiled.component)?
            }
            started => started?,
        };
        if !own.has_instances() {
            allowance.instances = self.settings.instances.number(instance.memory());
        }
        let list: Vec<Interest> = interests
            .into_iter()
            .map(|wasm::Interest { hook, filters }| Interest { hook, filters })
            .collect();
        let interests = Interests::compile(&list).map_err(|errors| LoadError::Interests {
            file: file.clone(),
            errors,
        })?;

        let egress = Egress::new(&config, &own.allow).with(given.receivers);
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

    /// The module's settings, and what is wrong with them.
    fn settings(&self, name: &ModuleName, files: &Files<Content>) -> Result<(ModuleSettings, Vec<Problem>), LoadError> {
        let Some(content) = &files.toml else {
            return Ok(Default::default());
        };
        let file = self.path(name, "toml");
        let content = readable(content, &file, MOST_TOML)?;
        Ok(match ModuleSettings::parse(&content, Path::new(&file)) {
            Ok(settings) => (settings, Vec::new()),
            Err(Wrong { problems, rest }) => (*rest, problems),
        })
    }

    /// The path of one of a module's files, as it is shown.
    pub(super) fn path(&self, name: &ModuleName, extension: &str) -> String {
        let file = format!("{name}.{extension}");
        self.settings
            .dir
            .as_ref()
            .map_or(file.clone(), |dir| dir.join(&file).display().to_string())
    }

    /// What a scan found that is no module, as errors.
    pub(super) fn strays(&self, scan: &super::folder::Scan) -> Vec<(Arc<str>, LoadError)> {
        let misnamed = scan.misnamed.iter().map(|file| {
            let path = self
                .settings
                .dir
                .as_ref()
                .map_or(file.clone(), |dir| dir.join(file).display().to_string());
            (Arc::from(file.as_str()), LoadError::BadName { file: path })
        });
        let prints = scan.files.prints();
        let orphans = prints.orphans().map(|name| {
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

/// What a module says about its configuration, where that stands; in the module's own words if nobody gave such a thing.
fn located(problem: wasm::Problem, module: &ModuleName, places: &Places) -> Problem {
    let wasm::Problem { key, text } = problem;
    places.problem(&key, &text).unwrap_or_else(|| Problem {
        source: Source::Module(module.to_string()),
        key,
        text,
    })
}

/// Does what runs quickly compiled code on a thread that has the stack for it.
fn on_large_stack<T: Send>(work: impl FnOnce() -> T + Send) -> io::Result<T> {
    thread::scope(|scope| {
        let builder = thread::Builder::new()
            .name("module-start".to_owned())
            .stack_size(wasm::STACK);
        let ended = builder.spawn_scoped(scope, work)?.join();
        Ok(ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })
}
