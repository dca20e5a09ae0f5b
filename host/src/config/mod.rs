//! Configuration: command line, environment and files in, one checked [`Config`] out.
//!
//! From the strongest to the weakest: flags, the environment (`HOOKHOST_SECTION__KEY`, such as
//! `HOOKHOST_DELIVERY__HTTP_TIMEOUT`; lists are separated by blanks, an empty value counts as not given), the webhook
//! file of another broker, which that broker's own environment beats and which may be missing beside it, the
//! configuration file, and the defaults.
//!
//! All mistakes are reported at once, each with its key and place and never with its value. Unknown keys are mistakes
//! and name the nearest known one. What a [`Config`] holds needs no further checks, except rules, whose meaning belongs
//! to the default module. [`read`] does no input of its own; [`load()`] reads the files for it.

mod broker;
mod destinations;
pub(crate) mod file;
mod load;
mod mqtt;
mod refused;
mod restart;
mod sections;
#[cfg(test)]
mod tests;
mod variables;
mod webhook;

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

pub use destinations::Files;
pub use hookhost_import::{Convert, Environment, Format, TextFile};
pub use hookhost_settings::{Places, Problem, Source};
pub use hookhost_settings::{UnitError, format_duration, format_size, parse_duration, parse_size};
pub use load::{default_file, environment, load, load_again, read_text};
pub use mqtt::Mqtt;
pub use refused::Refused;
pub use restart::Fixed;
pub use sections::{Hooks, Modules, Shutdown, Wasm};
pub use webhook::{RulesFrom, Webhook};

use crate::admin;
use crate::engine::EngineSettings;
use destinations::Sources;
use hookhost_settings::document;
use hookhost_settings::reader::{Given, Layer, Place, Reader, environment_layer, file_layer};
use {hookhost_delivery as delivery, hookhost_event as event, hookhost_modules as modules};

/// Everything that can be configured, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The MQTT listener and what clients may use.
    pub mqtt: Mqtt,
    /// What makes events: the broker in process, or a gateway to others.
    pub broker: EngineSettings,
    /// Who this host is.
    pub node: event::Node,
    /// The configuration of the default module.
    pub webhook: Webhook,
    /// Where other modules come from.
    pub modules: Modules,
    /// The queues between broker and modules.
    pub hooks: Hooks,
    /// What a module may use.
    pub wasm: Wasm,
    /// What is kept of events that a module could not handle.
    pub quarantine: modules::Bounds,
    /// How requests are sent.
    pub delivery: delivery::Settings,
    /// Where the state of modules is kept; none: in memory.
    pub data: Option<hookhost_kv::DataSettings>,
    /// How the host is administered.
    pub admin: admin::Settings,
    /// How the host ends.
    pub shutdown: Shutdown,
}

/// A configuration, and what an operator should know about it although nothing is wrong.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// What was ignored or does nothing.
    pub warnings: Vec<Problem>,
    /// What was given for settings that hold until the host ends.
    pub fixed: Fixed,
    /// The files that were read for it, but for those of secrets and certificates.
    pub files: Vec<PathBuf>,
}

/// What the command line says, as it was typed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Flags {
    /// `--config`
    pub config: Option<PathBuf>,
    /// The file that is read without `--config` and `HOOKHOST_CONFIG`: [`default_file`] if it was there at the start.
    pub default_config: Option<PathBuf>,
    /// `--listen`
    pub listen: Option<String>,
    /// `--webhook-url`, each time that it was given.
    pub webhook_urls: Vec<String>,
    /// `--webhook-config`
    pub webhook_config: Option<PathBuf>,
    /// `--webhook-format`
    pub webhook_format: Option<String>,
    /// `--modules`
    pub modules: Option<PathBuf>,
    /// `--data`
    pub data: Option<PathBuf>,
    /// `--admin`
    pub admin: Option<String>,
}

/// Everything that a configuration is made of.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Inputs {
    /// The command line. Its two files are not read from here.
    pub flags: Flags,
    /// The environment.
    pub environment: Environment,
    /// The configuration file.
    pub file: Option<TextFile>,
    /// The webhook file of another broker.
    pub webhook_file: Option<TextFile>,
}

/// Makes a configuration of its inputs, which name no further files.
///
/// # Errors
///
/// All mistakes of all inputs, by place.
///
/// ```
/// use hookhost::config::{Inputs, read};
/// let inputs = Inputs { environment: [("HOOKHOST_NODE__ID".into(), "7".into())].into(), ..Inputs::default() };
/// assert_eq!(read(&inputs).unwrap().config.node.id, 7);
/// ```
pub fn read(inputs: &Inputs) -> Result<Loaded, Vec<Problem>> {
    read_with(inputs, &|_| Err(io::ErrorKind::Unsupported.into())).map_err(|refused| refused.problems)
}

/// As [`read`], with the files of secrets and certificates that the configuration names.
///
/// # Errors
///
/// As [`read`], and files that cannot be read, each with the key that names it.
pub fn read_with(inputs: &Inputs, files: &Files<'_>) -> Result<Loaded, Refused> {
    let (config, mut reader, has_rules) = read_layers(inputs, files);
    let known = reader.finish();
    let read: Vec<&TextFile> = inputs.file.iter().chain(&inputs.webhook_file).collect();
    reader
        .problems
        .extend(variables::unknown(&inputs.environment, &known, &read));
    if reader.problems.is_empty() {
        return Ok(Loaded {
            config,
            fixed: Fixed::of(reader.given()),
            warnings: reader.warnings,
            files: read.iter().map(|file| file.path.clone()).collect(),
        });
    }
    // One value may stand for two settings, and is then wrong twice.
    reader.problems.sort();
    reader.problems.dedup();
    Err(Refused {
        problems: reader.problems,
        rest: Box::new(config),
        has_rules,
    })
}

/// The reading itself; unknown keys are not yet looked for. Tells, too, whether the rules are those that were meant.
fn read_layers(inputs: &Inputs, files: &Files<'_>) -> (Config, Reader, bool) {
    let variables = || {
        inputs
            .environment
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    };
    let (mut problems, mut warnings) = (Vec::new(), Vec::new());
    let mut has_rules = true;

    let mut file = Layer::new();
    if let Some(TextFile { path, text }) = &inputs.file {
        let (table, errors) = document::parse(text);
        let at = |line| Source::File {
            path: path.clone(),
            line: Some(line),
        };
        // What a broken file seems to say would only add mistakes that are none.
        if errors.is_empty() {
            file = file_layer(path, table);
        }
        has_rules = errors.is_empty();
        problems.extend(errors.into_iter().map(|(line, text)| Problem {
            source: at(line),
            key: String::new(),
            text,
        }));
    }

    let (flags, environment) = (flags_layer(&inputs.flags), environment_layer(variables()));
    let mut broker = Layer::new();
    let mut format = None;
    let found = hookhost_import::read(&hookhost_import::Request {
        file: inputs
            .webhook_file
            .as_ref()
            .map(|file| (file.path.as_path(), file.text.as_str())),
        environment: &inputs.environment,
        format: [&flags, &environment, &file]
            .iter()
            .find_map(|layer| hookhost_import::named(layer)),
        urls: [&flags, &environment]
            .iter()
            .find_map(|layer| urls_of(layer))
            .as_deref(),
    });
    if let Some((found, mut reading)) = found {
        let path = inputs.webhook_file.as_ref().map(|file| file.path.clone());
        let whence = path
            .as_ref()
            .map_or("the environment".to_owned(), |path| path.display().to_string());
        format = found.map(|format| (format, path));
        let given = [&flags, &environment]
            .into_iter()
            .find_map(|layer| layer.get("webhook.urls"));
        if let (Some(Format::Emqx5), Some((place, _))) = (found, given) {
            warnings.push(place.problem("is not used: each rule of EMQX 5 has its own URL"));
        }
        problems.append(&mut reading.problems);
        warnings.append(&mut reading.warnings);
        broker = reading.layer;
        has_rules &= inputs.webhook_file.is_none() || broker.contains_key("webhook.rule");
        if let Some((place, _)) = file.get("webhook.rule").filter(|_| broker.contains_key("webhook.rule")) {
            warnings.push(place.problem(format!("is not used: rules come from {whence}")));
        }
    }
    // The format of bodies follows the broker unless anybody says something else.
    let implied = broker.remove_entry("webhook.format").into_iter().collect();
    let other = [&environment, &file]
        .iter()
        .find_map(|layer| layer.get("webhook.format"));
    if let Some((_, given)) = other {
        warnings.extend(hookhost_import::fit(&mut broker, given));
    }

    let layers = vec![flags, environment, broker, file, implied];
    let mut reader = Reader::new(layers);
    let mut config = Config {
        mqtt: Mqtt::read(reader.section("mqtt")),
        broker: broker::read(reader.section("broker")),
        node: sections::node(reader.section("node")),
        webhook: Webhook::read(reader.section("webhook"), format),
        modules: Modules::read(reader.section("modules")),
        hooks: Hooks::read(reader.section("hooks")),
        wasm: Wasm::read(reader.section("wasm"), user_cache(&inputs.environment)),
        quarantine: sections::quarantine(reader.section("quarantine")),
        delivery: sections::delivery(reader.section("delivery")),
        data: sections::data(reader.section("data")),
        admin: sections::admin(reader.section("admin")),
        shutdown: Shutdown::read(reader.section("shutdown")),
    };
    if config.broker == EngineSettings::Rmqtt && !config.mqtt.limits.allow_anonymous {
        warn_of_lockout(&mut reader);
    }
    let sources = Sources {
        files,
        environment: &inputs.environment,
    };
    let terms = delivery::Terms::from(&config.delivery);
    config.delivery.destinations = destinations::read(&mut reader, &terms, sources);
    reader.problems.append(&mut problems);
    warnings.append(&mut reader.warnings);
    reader.warnings = warnings;
    (config, reader, has_rules)
}

/// Without users `allow_anonymous = false` leaves nobody who may connect.
fn warn_of_lockout(reader: &mut Reader) {
    let mut mqtt = reader.section("mqtt");
    if let Some((place, _)) = mqtt.given("allow_anonymous") {
        mqtt.warning(place.problem(
            "refuses every client: hookhost has no users yet, so no client can authenticate; to have users, put hookhost in \
             front of a broker that has them (broker.engine = \"gateway\")",
        ));
    }
}

/// The URLs for all rules that flags or environment give.
fn urls_of(layer: &Layer) -> Option<Vec<String>> {
    match &layer.get("webhook.urls")?.1 {
        Given::Text(text) => Some(text.split_whitespace().map(str::to_owned).collect()),
        Given::Texts(texts) => Some(texts.clone()),
        Given::Node(_) => None,
    }
}

/// The folder for what can be made again, as the XDG base directory specification names it.
fn user_cache(environment: &Environment) -> Option<PathBuf> {
    let absolute = |name: &str| {
        environment
            .get(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")))
}

fn flags_layer(flags: &Flags) -> Layer {
    let mut layer = Layer::new();
    let mut put = |key: &str, flag: &str, given| {
        layer.insert(
            key.to_owned(),
            (
                Place {
                    source: Source::Flag,
                    key: flag.to_owned(),
                },
                given,
            ),
        );
    };
    if let Some(listen) = &flags.listen {
        put("mqtt.listen", "--listen", Given::Text(listen.clone()));
    }
    if !flags.webhook_urls.is_empty() {
        put(
            "webhook.urls",
            "--webhook-url",
            Given::Texts(flags.webhook_urls.clone()),
        );
    }
    if let Some(format) = &flags.webhook_format {
        put("webhook.config_format", "--webhook-format", Given::Text(format.clone()));
    }
    if let Some(modules) = &flags.modules {
        put("modules.dir", "--modules", Given::Text(modules.display().to_string()));
    }
    if let Some(data) = &flags.data {
        put("data.dir", "--data", Given::Text(data.display().to_string()));
    }
    if let Some(admin) = &flags.admin {
        put("admin.listen", "--admin", Given::Text(admin.clone()));
    }
    layer
}
