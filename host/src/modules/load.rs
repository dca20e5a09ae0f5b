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

use std::borrow::Borrow;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;
use sha2::{Digest, Sha256};
use tracing::info;

use super::builtin;
use super::compiler::{Compile, CompileError, Compiler, PATIENCE};
use super::egress::Egress;
use super::folder::{Content, Files, MOST_TOML, MOST_WASM, ModuleName, Print};
use super::generation::{Blueprint, Generation, lock};
use super::load_error::LoadError;
use super::optimiser::Task;
use super::settings::{Allowance, ModuleSettings, Wrong};
use super::state::Origin;
use super::{Given, Plan, Settings};
use crate::config::{Places, Problem, Source};
use crate::hooks::{Interest, Interests};
use crate::priority;
use crate::wasm::{self, Component, ConfigureError, Engine, Identity, Kv, KvBounds};

/// Niceness of the compiler when nobody waits for it: all that there is.
const NICE: i32 = 19;

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

/// Compiled code and what it was compiled from; none: the default module in the binary.
#[derive(Clone)]
pub(super) struct Compiled {
    from: Option<Print>,
    pub(super) component: Component,
}

impl Compiled {
    /// Code that somebody else has compiled from a file.
    pub(super) fn of(file: &Content, component: Component) -> Compiled {
        Compiled {
            from: Some(file.print),
            component,
        }
    }

    fn is_from(&self, file: Option<&Content>) -> bool {
        self.from == file.map(|content| content.print)
    }

    /// Whether this can still give way to better code from the same file.
    pub(super) fn is_improved_by(&self, from: Option<Print>) -> bool {
        self.from == from && !self.component.is_optimised()
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

/// How compiled code is come by.
#[derive(Clone)]
pub(super) struct Ways {
    /// What there is already of a content.
    pub(super) kept: Arc<Kept>,
    /// What this makes may be better than asked for.
    pub(super) quick: Arc<Compile<Component>>,
    pub(super) well: Arc<Compile<Component>>,
}

type Kept = dyn Fn([u8; 32]) -> Option<Result<Component, wasm::LoadError>> + Send + Sync;

impl Ways {
    fn of(engine: &Engine) -> Ways {
        let (kept, quick, well) = (engine.clone(), engine.clone(), engine.clone());
        Ways {
            kept: Arc::new(move |hash| kept.kept_of(hash)),
            quick: Arc::new(move |code, wasm, limit| quick.compile_quickly(wasm, hash(code, wasm), limit)),
            well: Arc::new(move |code, wasm, limit| well.optimise(wasm, hash(code, wasm), limit)),
        }
    }
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

    /// Compiles as well as it can be done, after all other work.
    pub(super) fn optimising(&self) -> Compiler<Component> {
        let well = Arc::clone(&self.ways.well);
        let compile = move |code, wasm: &[u8], limit| {
            priority::lower(NICE);
            well(code, wasm, limit)
        };
        // It waits for as long as it lets the compiler work.
        Compiler::new(1, Arc::new(compile))
    }

    /// What is left to be done for a module that was loaded.
    pub(super) fn task(&self, name: &ModuleName, loaded: &Loaded) -> Option<Task> {
        let is_left = loaded.compiled.is_improved_by(loaded.compiled.from);
        is_left.then(|| Task {
            name: name.clone(),
            wasm: loaded.files.wasm.clone(),
            limit: loaded.allowance.compile_time,
        })
    }

    /// What the module of that name keeps.
    pub(super) fn kv(&self, name: &ModuleName) -> Arc<Kv> {
        self.settings.shelf.kv(name.borrow())
    }

    /// The module is removed, and with it what it keeps, unless that is kept for its return.
    pub(super) fn forget(&self, name: &ModuleName) {
        self.settings.shelf.remove(name.borrow());
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

    fn compile(
        &self,
        compiler: &Compiler<Component>,
        name: &ModuleName,
        wasm: Option<&Content>,
        limit: Duration,
        file: &str,
    ) -> Result<Compiled, LoadError> {
        let from = wasm.map(|content| content.print);
        let bytes = match wasm {
            Some(content) => {
                let (bytes, limit) = (content.size, self.settings.module_size);
                if bytes > limit && matches!(content.print, Print::Content(_)) {
                    let file = file.to_owned();
                    return Err(LoadError::TooLarge { file, bytes, limit });
                }
                if let Print::Content(hash) = content.print
                    && let Some(kept) = (self.ways.kept)(hash)
                {
                    let component = kept.map_err(|source| {
                        let file = file.to_owned();
                        LoadError::Code { file, source }
                    })?;
                    return Ok(Compiled { from, component });
                }
                readable(content, file, MOST_WASM)?
            }
            None if name.is_webhook() => Bytes::from_static(builtin::WEBHOOK),
            None => {
                return Err(LoadError::Unreadable {
                    file: file.to_owned(),
                    kind: std::io::ErrorKind::NotFound,
                });
            }
        };
        let compiled = compiler.compile(from, &bytes, limit);
        let component = compiled.map_err(|error| {
            let file = file.to_owned();
            match error {
                CompileError::Refused(source) => LoadError::Code { file, source },
                CompileError::TooSlow => LoadError::TooSlow { file, limit },
                CompileError::Busy => LoadError::CompilersBusy { file, limit },
                CompileError::Thread(source) => LoadError::Threads {
                    module: name.shared(),
                    source,
                },
            }
        })?;
        Ok(Compiled { from, component })
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

/// SHA-256 of code, which most have brought along.
fn hash(code: Option<Print>, wasm: &[u8]) -> [u8; 32] {
    match code {
        Some(Print::Content(hash)) => hash,
        _ => Sha256::digest(wasm).into(),
    }
}

fn readable(content: &Content, file: &str, limit: u64) -> Result<Bytes, LoadError> {
    match content.print {
        // It could be read a moment ago.
        Print::Content(_) => content
            .bytes()
            .map_err(|_| LoadError::Changed { file: file.to_owned() }),
        Print::TooLarge(bytes) => Err(LoadError::TooLarge {
            file: file.to_owned(),
            bytes,
            limit,
        }),
        Print::Unreadable(kind) => Err(LoadError::Unreadable {
            file: file.to_owned(),
            kind,
        }),
    }
}
