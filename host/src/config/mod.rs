//! Configuration: builds one checked [`Config`] from the command line, the environment and files.
//!
//! From the strongest to the weakest source:
//!
//! 1. flags;
//! 2. the environment (`HOOKHOST_SECTION__KEY`, such as `HOOKHOST_DELIVERY__HTTP_TIMEOUT`;
//!    lists are separated by blanks, an empty value counts as not given);
//! 3. the webhook configuration of another broker: its environment, then its file;
//! 4. the configuration file;
//! 5. the defaults.
//!
//! All problems are reported at once, each with its key and place and never with its value. An unknown key is a
//! problem, and the report names the nearest known key. A [`Config`] needs no further checks, except for rules, which
//! the built-in module checks. [`read`] is pure; [`load()`] reads the files for it.

mod broker;
mod destinations;
pub(crate) mod file;
mod given;
mod inputs;
mod kept_webhooks;
mod layers;
mod load;
mod mqtt;
mod name;
mod refused;
mod restart;
mod sections;
mod server;
mod shared_outbox;
#[cfg(test)]
mod tests;
mod tracing;
mod variables;
mod webhook;
mod webhooks;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

pub use given::Given;
pub use hookhost_import::{Broker, Convert, Environment, TextFile};
pub use hookhost_settings::{Files, Places, Problem, parse_duration, parse_size};
pub use inputs::{Flags, Inputs};
pub(crate) use kept_webhooks::is_absent;
pub use kept_webhooks::{KeptWebhooks, SharedWebhook, SharedWebhooks, WEBHOOKS_FILE, check_webhook, webhook_alone};
pub use load::{default_file, environment, load, load_again, read_file, read_text};
pub use mqtt::Mqtt;
pub use refused::Refused;
pub use restart::Fixed;
pub use sections::{Hooks, Modules, ModulesBucket, Shutdown, Wasm};
pub use webhook::{RulesFrom, Webhook};
pub use webhooks::{LeftOutWebhook, NamedWebhook, SECTION as WEBHOOKS, WebhookAlone, destination_name};

use crate::admin;
use crate::engine::EngineSettings;
use crate::logging;
use destinations::Sources;
use hookhost_access::Surroundings;
use hookhost_dead_letters::Limits;
use hookhost_listener::read_listeners;
use hookhost_settings::{Findings, Place, Report, Section, Setting, Table, find};
use layers::Merged;
use webhooks::WebhookReader;
use {hookhost_delivery as delivery, hookhost_event as event};

/// All settings, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The listeners and what clients may use.
    pub mqtt: Mqtt,
    /// Who may connect, and who may publish and subscribe to what.
    pub access: hookhost_access::Settings,
    /// The engine that makes events: the broker in process, or a gateway to others.
    pub broker: EngineSettings,
    /// The name and number of this host in events.
    pub node: event::Node,
    /// The configuration of the built-in module, the rules of named webhooks among it.
    pub webhook: Webhook,
    /// The named webhooks.
    pub webhooks: Vec<NamedWebhook>,
    /// Webhooks that several hosts share, and that this host cannot use.
    pub left_out_webhooks: Vec<LeftOutWebhook>,
    /// The source of the other modules.
    pub modules: Modules,
    /// The queues between broker and modules.
    pub hooks: Hooks,
    /// The limits of a module.
    pub wasm: Wasm,
    /// Limits of the quarantine for each module: events that it could not handle.
    pub quarantine: Limits,
    /// Limits of the dead letters: requests that the host has given up.
    pub dead_letters: Limits,
    /// How requests are sent.
    pub delivery: delivery::Settings,
    /// The outbox that several hosts share; `None`: requests are in memory or in the data folder.
    pub shared_outbox: Option<hookhost_jetstream::Settings>,
    /// The store of the state of modules; `None` for in memory.
    pub data: Option<hookhost_kv::DataSettings>,
    /// The admin API.
    pub admin: admin::Settings,
    /// The log lines.
    pub log: logging::Settings,
    /// The export of spans; `None`: spans are not exported.
    pub tracing: Option<hookhost_otlp::Settings>,
    /// The shutdown of the host.
    pub shutdown: Shutdown,
}

/// A valid configuration, with warnings.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// Mistakes in rules and webhooks of another broker's file, which are left out.
    pub left_out: Vec<Problem>,
    /// Unknown keys of that file, and settings that are ignored or have no effect.
    pub warnings: Vec<Problem>,
    /// The settings that were given, by key.
    pub given: Vec<Given>,
    /// A line about each setting for access, listeners and limits that comes from another broker's configuration.
    pub imported: Vec<String>,
    /// The settings that need a restart.
    pub fixed: Fixed,
    /// The files that were read for it, users and access rules among them, but not those of secrets and certificates; also
    /// included files that do not exist.
    pub files: Vec<PathBuf>,
}

/// Builds a configuration from its inputs, which must not name further files.
///
/// # Errors
///
/// All problems of all inputs, by place.
///
/// ```
/// use hookhost::config::{Inputs, read};
/// let inputs = Inputs { environment: [("HOOKHOST_NODE__ID".into(), "7".into())].into(), ..Inputs::default() };
/// assert_eq!(read(&inputs).unwrap().config.node.id, 7);
/// ```
pub fn read(inputs: &Inputs) -> Result<Loaded, Vec<Problem>> {
    read_with(inputs, &|_| Err(io::ErrorKind::NotFound.into())).map_err(|refused| refused.problems)
}

/// As [`read`], with the files of secrets and certificates that the configuration names.
///
/// # Errors
///
/// As [`read`], and files that cannot be read, each with the key that names it.
pub fn read_with(inputs: &Inputs, files: &Files<'_>) -> Result<Loaded, Refused> {
    let report = Report::default();
    let Merged {
        settings,
        broker,
        included,
        has_rules,
        imported,
    } = layers::read(inputs, files, &report);
    let fixed = Fixed::of(&settings);
    let given = given::given(&settings);
    let kept = kept_webhooks::of(inputs, &settings, files, &report);
    let kept_file = kept.as_ref().map(KeptWebhooks::text);
    let kept = kept.map_or(Table::new(), |kept| match kept {
        KeptWebhooks::Own(file) => kept_webhooks::read(&file, &report),
        KeptWebhooks::Shared(shared) => shared.table(),
    });
    let allow_anonymous = find(&settings, &["mqtt", "allow_anonymous"]).map(|setting| setting.place.clone());
    let listen = [["mqtt", "listen"].as_slice(), &["listener"]];
    let listen = listen.map(|path| find(&settings, path).map(|setting| setting.place.clone()));
    let format = find(&settings, &["webhook", "format"]).and_then(Setting::as_text);
    let format = format.map(|name| name.trim().to_owned());
    let root = Section::root(&report, Place::flag(""), settings);
    let config = read_sections(root, broker, format.as_deref(), listen, kept, inputs, files);
    if let Some(place) = allow_anonymous.filter(|_| config.access.refuses_everybody()) {
        report.warning(&place, "refuses every client, because there is no [[authentication]]");
    }
    let read: Vec<&TextFile> = inputs.file.iter().chain(&inputs.webhook_file).collect();
    let naming: Vec<&TextFile> = read.iter().copied().chain(&kept_file).collect();
    for unknown in variables::unknown(&inputs.environment, &report.known_keys(), &naming) {
        report.add_problem(unknown);
    }
    let Findings {
        mut problems,
        left_out,
        unknown: mut warnings,
        warnings: more,
        ..
    } = report.finish();
    warnings.extend(more);
    let files = read.iter().map(|file| file.path.clone()).chain(included);
    let files = files.chain(config.access.files().iter().cloned()).collect();
    if problems.is_empty() {
        return Ok(Loaded {
            config,
            given,
            fixed,
            left_out,
            warnings,
            imported,
            files,
        });
    }
    // One value may be read as two settings, and is then reported twice.
    problems.sort();
    problems.dedup();
    Err(Refused {
        problems,
        rest: Box::new(config),
        has_rules,
        files,
    })
}

/// The network addresses of the listeners, each with the place of its setting. `listen`: the places of `mqtt.listen` and of
/// `[[listener]]`.
fn reachable(mqtt: &Mqtt, listen: [Option<Place>; 2]) -> Vec<(Place, SocketAddr)> {
    let [own, others] = listen;
    let mut places = own.into_iter().chain(others.into_iter().cycle());
    let addresses = mqtt.listeners.iter().map(|listener| listener.address.network());
    let placed = addresses.map(|address| Some((places.next()?, address?)));
    placed.flatten().collect()
}

/// Whether clients reach another broker, which decides who may connect and who may do what.
fn is_relayed(engine: &EngineSettings) -> bool {
    matches!(engine, EngineSettings::Gateway(gateway) if !gateway.upstreams.list.is_empty())
}

fn read_sections(
    mut root: Section<'_>,
    broker: Option<(Broker, Option<PathBuf>)>,
    format: Option<&str>,
    listen: [Option<Place>; 2],
    kept_webhooks: Table,
    inputs: &Inputs,
    files: &Files<'_>,
) -> Config {
    let own_listeners = read_listeners(&mut root);
    let mqtt = Mqtt::read(root.section("mqtt"), own_listeners, format);
    let engine = broker::read(root.section("broker"));
    let mut listen = reachable(&mqtt, listen);
    let running = inputs.listening.iter();
    for (name, address) in running.filter(|(_, running)| mqtt.addresses().all(|(_, address)| address != *running)) {
        listen.push((Place::flag(format!("listener {name}")), *address));
    }
    let surroundings = Surroundings {
        allow_anonymous: mqtt.allow_anonymous,
        listen,
        is_relayed: is_relayed(&engine),
    };
    let authentication = root.take("authentication");
    let sources = Sources {
        files,
        environment: &inputs.environment,
    };
    let mut delivery = root.section("delivery");
    let dead_letters = sections::dead_letters(root.section("dead_letters"));
    let shared_outbox = shared_outbox::read(&mut delivery, sources, dead_letters);
    let data = sections::data(root.section("data"));
    let data_dir = data.as_ref().map(|data| data.dir.as_path());
    let modules = Modules::read(root.section("modules"), data_dir, shared_outbox.is_some());
    let mut config = Config {
        access: hookhost_access::Settings::read(authentication, root.section("access"), &surroundings, files),
        mqtt,
        broker: engine,
        node: sections::node(root.section("node"), format),
        webhook: Webhook::read(root.section("webhook"), broker),
        webhooks: Vec::new(),
        left_out_webhooks: Vec::new(),
        modules,
        hooks: Hooks::read(root.section("hooks")),
        wasm: Wasm::read(root.section("wasm"), user_cache(&inputs.environment)),
        quarantine: sections::quarantine(root.section("quarantine")),
        dead_letters,
        delivery: sections::delivery(delivery),
        shared_outbox,
        data,
        admin: sections::admin(root.section("admin")),
        log: sections::log(root.section("log")),
        tracing: tracing::read(root.section("tracing"), sources),
        shutdown: Shutdown::read(root.section("shutdown")),
    };
    config.delivery.disk = sections::outbox(root.section("outbox"), config.shared_outbox.is_some());
    let destinations = destinations::read(root.section("destinations"), &config.delivery.terms, sources);
    let own = root.section(WEBHOOKS).rest();
    let reader = WebhookReader {
        defaults: &config.delivery.terms,
        sources,
        report: root.report(),
    };
    // A mistake of one host, or of another version, must not stop the webhooks of all hosts.
    let (webhooks, left_out) = match config.shared_outbox {
        Some(_) => reader.read_shared(own, kept_webhooks),
        None => (reader.read(own, kept_webhooks), Vec::new()),
    };
    (config.webhooks, config.left_out_webhooks) = (webhooks, left_out);
    let enabled = config.webhooks.iter().filter(|webhook| webhook.is_enabled);
    let private = enabled.filter_map(|webhook| webhook.destination.clone());
    config.delivery.destinations = destinations.iter().cloned().chain(private).collect();
    config.webhook.add(&config.webhooks);
    config
        .webhook
        .check_destinations(&config.delivery.destinations, root.report());
    config
}

/// The cache folder of the user, by the XDG base directory specification.
fn user_cache(environment: &Environment) -> Option<PathBuf> {
    let absolute = |name: &str| {
        environment
            .get(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")))
}
