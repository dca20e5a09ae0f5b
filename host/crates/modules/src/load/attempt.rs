//! One load of a module with settings that are read already.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex};

use serde_json::Value;

use super::{Compiled, LoadError, Loaded, Loader, ModuleSource};
use crate::builtin::BuiltIn;
use crate::egress::Egress;
use crate::generation::{Blueprint, Generation};
use crate::settings::{ModuleLimits, ModuleSettings};
use crate::state::Origin;
use crate::{ReloadableSettings, durable};
use hookhost_contract::Interest;
use hookhost_delivery::Receivers;
use hookhost_hooks::Interests;
use hookhost_settings::{Place, Places, Problem};
use hookhost_wasm::{ConfigureError, Identity, Instance};

/// A module on its way from files to an instance with interests.
pub(super) struct Attempt<'a> {
    loader: &'a Loader,
    source: ModuleSource<'a>,
    /// The module's own settings.
    own: &'a ModuleSettings,
    /// The configuration that the module gets.
    config: Value,
    /// Whether that is the host's configuration and not the module's own.
    is_host_configuration: bool,
    /// Where the keys of the host's configuration come from.
    host_places: Arc<Places>,
    /// Where the host's configuration lets the module send to.
    receivers: Arc<Receivers>,
}

impl<'a> Attempt<'a> {
    pub(super) fn new(
        loader: &'a Loader,
        source: ModuleSource<'a>,
        reloadable: ReloadableSettings,
        own: &'a ModuleSettings,
    ) -> Attempt<'a> {
        let is_webhook = source.name.is_webhook();
        let config = match &own.config {
            Some(config) => Value::Object(config.clone()),
            None if is_webhook => reloadable.webhook_config,
            None => Value::Object(serde_json::Map::new()),
        };
        Attempt {
            loader,
            is_host_configuration: is_webhook && own.config.is_none(),
            source,
            own,
            config,
            host_places: reloadable.places,
            receivers: reloadable.receivers,
        }
    }

    /// Compiles the code unless that has been done, makes and configures an instance, and checks its interests.
    pub(super) fn run(self) -> Result<Loaded, LoadError> {
        let durable = self.durable()?;
        let settings = &self.loader.settings;
        let mut module_limits = self.own.over(ModuleLimits {
            limits: settings.limits.clone(),
            queue: settings.queue,
            instances: settings.instances.most(),
            batch: settings.batch,
            compile_time: settings.compile_time,
        });
        let compiled = self.code(&module_limits)?;
        let identity = Identity {
            node: settings.node.clone(),
            module: self.source.name.shared(),
            generation: self.source.number,
        };
        let instantiated = compiled
            .component
            .instantiate(&identity, &module_limits.limits, self.source.kv);
        let mut instance = instantiated.map_err(|source| LoadError::Code {
            file: self.file(),
            source,
        })?;
        let text = self.config.to_string();
        let interests = self.interests(&mut instance, &text, &durable)?;
        if !self.own.has_instances() {
            module_limits.instances = settings.instances.number(instance.memory());
        }
        let generation = Generation {
            number: self.source.number,
            interests,
            egress: Egress::new(&self.config, &self.own.allow).with(self.receivers.clone()),
            batch: module_limits.batch,
            template: Blueprint {
                component: compiled.component.clone(),
                identity,
                limits: module_limits.limits.clone(),
                kv: Arc::clone(self.source.kv),
                config: text,
                spare: Mutex::new(Some(instance)),
            },
        };
        Ok(Loaded {
            generation,
            limits: module_limits,
            origin: self.origin(),
            compiled,
            files: self.source.files.clone(),
        })
    }

    fn origin(&self) -> Origin {
        match self.source.files.wasm {
            Some(_) => Origin::File,
            None => Origin::BuiltIn,
        }
    }

    /// The code's file, as shown in messages.
    fn file(&self) -> String {
        let name = self.source.name;
        match self.origin() {
            Origin::File => self.loader.path(name, "wasm"),
            Origin::BuiltIn => format!("the built-in module {name}"),
        }
    }

    /// The code: the active one if it is from the same source.
    fn code(&self, module_limits: &ModuleLimits) -> Result<Compiled, LoadError> {
        let wasm = self.source.files.wasm.as_ref();
        let built_in = BuiltIn::for_config(&self.config);
        match self.source.compiled.filter(|compiled| compiled.is_from(wasm, built_in)) {
            Some(compiled) => Ok(compiled.clone()),
            None => {
                let limit = module_limits.compile_time;
                self.loader
                    .compile(self.source.name, wasm, built_in, limit, &self.file())
            }
        }
    }

    /// Configures an instance; returns the events that it wants.
    fn interests(&self, instance: &mut Instance, config: &str, durable: &[Interest]) -> Result<Interests, LoadError> {
        let wanted = instance.configure(config).map_err(|error| match error {
            ConfigureError::Refused(problems) => LoadError::Refused {
                file: self.file(),
                problems: problems.into_iter().map(|problem| self.located(problem)).collect(),
                is_host_configuration: self.is_host_configuration,
            },
            ConfigureError::Call(source) => LoadError::Configure {
                file: self.file(),
                source,
            },
        })?;
        // The rules of the built-in module are the operator's own.
        let compile = match self.origin() {
            Origin::BuiltIn => Interests::compile_unlimited,
            Origin::File => Interests::compile,
        };
        let interests = compile(&wanted).and_then(|interests| interests.with_durable(durable));
        interests.map_err(|errors| LoadError::Interests {
            file: self.file(),
            errors,
        })
    }

    /// The publishes that are acknowledged only when the module's requests are on disk.
    fn durable(&self) -> Result<Vec<Interest>, LoadError> {
        let name = self.source.name;
        let rules = match name.is_webhook() {
            true => durable::rules(&self.config),
            false => Vec::new(),
        };
        if let Some(reason) = self.loader.settings.not_durable {
            if self.own.is_durable {
                let file = self.loader.path(name, "toml");
                let problems = vec![Problem::of_file(Path::new(&file), format!("acknowledge: {reason}"))];
                return Err(LoadError::Settings { problems });
            }
            if !rules.is_empty() {
                let keys: BTreeSet<String> = rules.into_iter().map(|rule| rule.key).collect();
                let problem = |key| hookhost_contract::Problem {
                    key,
                    text: reason.to_owned(),
                };
                return Err(LoadError::Refused {
                    file: format!("the module {name}"),
                    problems: keys.into_iter().map(|key| self.located(problem(key))).collect(),
                    is_host_configuration: self.is_host_configuration,
                });
            }
        }
        let of_module = self.own.is_durable.then(durable::every_publish);
        let of_rules = rules.into_iter().map(|rule| rule.interest);
        Ok(of_module.into_iter().chain(of_rules).collect())
    }

    /// An error in the module's configuration with its place, or in the module's own words if the place is unknown.
    fn located(&self, problem: hookhost_contract::Problem) -> Problem {
        let places = match self.is_host_configuration {
            true => &*self.host_places,
            false => &self.own.places,
        };
        let hookhost_contract::Problem { key, text } = problem;
        let found = places.problem(&key, &text);
        found.unwrap_or_else(|| Place::module(self.source.name.to_string(), key).problem(text))
    }
}
