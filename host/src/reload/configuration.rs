//! The host's configuration, read at the start and again after each possible change. Both use the same code.
//!
//! A reload reads everything that a start reads: the configuration file, the webhook file of another broker, and the
//! files of secrets and certificates that they name. Flags and environment are those of the process. The modules get
//! the settings that may change while they run ([`ReloadableSettings`]). The other settings are compared with those at
//! the start of the host, and differences are reported.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tracing::{error, warn};

use super::facts::Facts;
use crate::config::{self, Config, Environment, Fixed, Flags, Inputs, KeptWebhooks, Loaded, Problem, Refused};
use crate::webhooks::{self, ListedWebhook};
use hookhost_delivery::Receivers;
use hookhost_gateway::UpstreamSettings;
use hookhost_listener::TlsSettings;
use hookhost_modules::ReloadableSettings;

/// The origin of a configuration.
#[derive(Clone)]
pub struct Origin {
    flags: Flags,
    environment: Environment,
}

impl Origin {
    /// The values of flags and environment, and the files that they name.
    pub fn new(flags: Flags, environment: Environment) -> Origin {
        Origin { flags, environment }
    }

    /// The environment of the process.
    pub(crate) fn environment(&self) -> &Environment {
        &self.environment
    }

    /// The configuration file that was found in the current folder, if no other one was named.
    pub fn default_config(&self) -> Option<&Path> {
        self.flags.default_config.as_deref()
    }

    /// Reads everything. Blocks.
    ///
    /// # Errors
    ///
    /// All errors.
    pub fn load(&self) -> Result<Loaded, Refused> {
        config::load(self.flags.clone(), self.environment.clone())
    }

    /// Reads everything once more, from regular files only. Blocks, but never for long. `kept_webhooks` are those of the
    /// admin API; `None`: they are read from the data folder. `listening` are the addresses of the running listeners.
    ///
    /// # Errors
    ///
    /// All errors.
    fn load_again(
        &self,
        kept_webhooks: Option<KeptWebhooks>,
        listening: &[(String, SocketAddr)],
    ) -> Result<Loaded, Refused> {
        config::load_again(Inputs {
            flags: self.flags.clone(),
            environment: self.environment.clone(),
            kept_webhooks,
            listening: listening.to_vec(),
            ..Inputs::default()
        })
    }
}

/// The settings that modules get and that may change while they run.
pub(crate) fn reloadable(config: &Config) -> ReloadableSettings {
    ReloadableSettings {
        webhook_config: config.webhook.config.clone(),
        places: Arc::new(config.webhook.places.clone()),
        receivers: Arc::new(Receivers::from(&config.delivery)),
    }
}

/// A configuration that was read again. Nothing of it has effect yet.
pub(crate) struct ReadAgain {
    /// The settings for modules, or the errors of the configuration.
    pub(crate) settings: Result<ReloadableSettings, Refused>,
    /// What the host itself uses after the modules have accepted the settings; `None` with errors, and if the files were
    /// not read.
    pub(crate) own: Option<OwnSettings>,
    /// The kept webhooks that it contains; `None` if they come from the data folder.
    pub(crate) kept: Option<KeptWebhooks>,
    /// Warnings for the operator, and what is left out, although there are no errors.
    pub(crate) warnings: Vec<String>,
}

/// What the host itself uses of a configuration.
pub(crate) struct OwnSettings {
    /// Users and access rules.
    pub(crate) access: hookhost_access::Settings,
    /// The brokers behind a gateway; `None` for other engines.
    pub(crate) upstreams: Option<UpstreamSettings>,
    /// What people may ask about the configuration.
    pub(crate) facts: Arc<Facts>,
}

/// The configuration of a running host.
pub(crate) struct Configuration {
    origin: Origin,
    /// The configuration at the start.
    started: Fixed,
    /// The files of the last read.
    files: Vec<PathBuf>,
    /// The addresses of the listeners, which do not change while the host runs.
    listening: Vec<(String, SocketAddr)>,
    /// The TLS files of the listeners and of the admin API, which do not change while the host runs; their content may.
    listener_files: Vec<PathBuf>,
    /// A file that cannot be read twice, such as a pipe: its first content stays active.
    unrepeatable: Option<(PathBuf, ReloadableSettings)>,
    /// The warnings of the last read, which are not repeated.
    warned: Vec<Problem>,
    /// About the configuration that has effect.
    facts: Arc<Facts>,
}

impl Configuration {
    /// For a host that was started with `loaded` and has logged its warnings.
    pub(crate) fn new(origin: Origin, loaded: &Loaded) -> Configuration {
        // An included file may be missing.
        let unrepeatable = loaded.files.iter().find(|file| file.exists() && !file.is_file());
        Configuration {
            origin,
            started: loaded.fixed.clone(),
            files: absolute(&loaded.files),
            listening: loaded
                .config
                .mqtt
                .addresses()
                .map(|(name, address)| (name.to_owned(), address))
                .collect(),
            listener_files: listener_files(&loaded.config),
            unrepeatable: unrepeatable.map(|file| (file.clone(), reloadable(&loaded.config))),
            warned: loaded.left_out.iter().chain(&loaded.warnings).cloned().collect(),
            facts: Arc::new(Facts::of(&loaded.config, &loaded.left_out, loaded.given.clone(), None)),
        }
    }

    /// Where it comes from.
    pub(crate) fn origin(&self) -> &Origin {
        &self.origin
    }

    /// About the configuration that has effect.
    pub(crate) fn facts(&self) -> &Arc<Facts> {
        &self.facts
    }

    /// The webhooks and rules that have effect.
    pub(crate) fn webhooks(&self) -> &[ListedWebhook] {
        &self.facts.webhooks
    }

    /// A configuration has effect from now on.
    pub(crate) fn set_active(&mut self, facts: Arc<Facts>) {
        self.facts = facts;
    }

    /// Why webhooks cannot change while the host runs, if they cannot.
    pub(crate) fn refuses_webhooks(&self) -> Option<String> {
        let (file, _) = self.unrepeatable.as_ref()?;
        Some(format!(
            "{} is not a regular file and cannot be read again; start the host with a regular file",
            file.display()
        ))
    }

    /// The mistakes in the settings of a webhook.
    pub(crate) fn check_webhook(&self, file: &Path, name: &str, settings: &serde_json::Value) -> Vec<Problem> {
        let setting = webhooks::setting(file, name, settings);
        config::check_webhook(name, setting, &self.facts.terms, self.origin.environment())
    }

    /// Its files, by absolute paths. A change of one of them requires a reload.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let read_again = match self.unrepeatable {
            Some(_) => &[][..],
            None => &self.files,
        };
        read_again.iter().chain(&self.listener_files).cloned().collect()
    }

    /// Reads the configuration again with these kept webhooks, and logs new warnings. Blocks, but never for long.
    pub(crate) fn read(&mut self, kept: Option<KeptWebhooks>) -> ReadAgain {
        if let Some((file, settings)) = &self.unrepeatable {
            let warning = Problem::of_file(file.as_path(), "is not a regular file and is not read again");
            return ReadAgain {
                settings: Ok(settings.clone()),
                own: None,
                kept,
                warnings: vec![warning.to_string()],
            };
        }
        let Loaded {
            config,
            left_out,
            mut warnings,
            given,
            fixed,
            files,
            imported: _,
        } = match self.origin.load_again(kept.clone(), &self.listening) {
            Ok(loaded) => loaded,
            Err(refused) => {
                // The mistake may be in a file that is included only now, or in one that cannot be read at the moment.
                for file in absolute(refused.files()) {
                    if !self.files.contains(&file) {
                        self.files.push(file);
                    }
                }
                return ReadAgain {
                    settings: Err(refused),
                    own: None,
                    kept,
                    warnings: Vec::new(),
                };
            }
        };
        warnings.extend(fixed.differences(&self.started));
        for warning in warnings.iter().filter(|warning| !self.warned.contains(warning)) {
            warn!("{warning}");
        }
        for problem in left_out.iter().filter(|problem| !self.warned.contains(problem)) {
            error!("left out: {problem}");
        }
        self.files = absolute(&files);
        let facts = Arc::new(Facts::of(&config, &left_out, given, kept.as_ref()));
        let left_out_texts = left_out.iter().map(|problem| format!("left out: {problem}"));
        let texts = left_out_texts.chain(warnings.iter().map(Problem::to_string)).collect();
        warnings.extend(left_out);
        self.warned = warnings;
        ReadAgain {
            settings: Ok(reloadable(&config)),
            own: Some(OwnSettings {
                upstreams: config.broker.upstreams(),
                access: config.access,
                facts,
            }),
            kept,
            warnings: texts,
        }
    }
}

/// The TLS files that the listeners and the admin API name.
fn listener_files(config: &Config) -> Vec<PathBuf> {
    let listeners = config
        .mqtt
        .listeners
        .iter()
        .filter_map(|listener| listener.tls.as_ref());
    let tls = listeners.chain(&config.admin.tls);
    absolute(&tls.flat_map(TlsSettings::files).collect::<Vec<_>>())
}

/// Absolute paths, which mean the same wherever they are compared. A path that cannot be made absolute is not watched.
fn absolute(files: &[PathBuf]) -> Vec<PathBuf> {
    let absolute = |file: &PathBuf| std::path::absolute(Path::new(file)).ok();
    files.iter().filter_map(absolute).collect()
}

#[cfg(test)]
#[path = "configuration_tests.rs"]
mod tests;
