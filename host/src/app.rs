//! The one file that knows all parts: it builds them, connects them and stops them in order.
//!
//! SIGHUP has the configuration read again and the modules folder looked at.
//!
//! Parts are started against the way of an event, so that each finds the next one ready, and stopped along it, so that
//! what is under way arrives: the broker first, then the modules' queues, then delivery. All of it shares one grace
//! period.

use std::time::{Duration, Instant};

use anyhow::Context;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};
use tracing::{info, warn};

use crate::config::{Config, Loaded, Problem, Refused, Source};
use crate::record::{self, Recorder};
use crate::reload::{self, Configuration, Origin, Reload};
use crate::{admin, engine};
use hookhost_delivery::Delivery;
use hookhost_hooks::Bus;
use hookhost_kv::KvStores;
use hookhost_modules::{LoadError, Modules, explain};
use {hookhost_broker as broker, hookhost_modules as modules, hookhost_wasm as wasm};

/// How long connections that have not ended in time may hold the process.
const LEFTOVERS: Duration = Duration::from_millis(100);

/// Serves until SIGTERM or SIGINT, then stops within the configured grace period. What happens meanwhile is written
/// down if `record` says where. `loaded` is what `origin` has given; it is read again when its files change.
///
/// # Errors
///
/// What keeps the host from starting: an address in use, a default module that refuses its configuration.
pub fn run(loaded: Loaded, origin: Origin, record: Option<record::Settings>) -> anyhow::Result<()> {
    raise_file_limit();
    let configuration = Configuration::new(origin, &loaded);
    let config = loaded.config;
    let stores = match &config.data {
        Some(data) => KvStores::open(data)?,
        None => KvStores::in_memory(),
    };
    let engine = wasm::Engine::new(&engine_settings(&config)).context("the WebAssembly engine does not start")?;
    let delivery = Delivery::start(&config.delivery).context("delivery does not start")?;
    let bus = Bus::new();
    let settings = module_settings(&config, &stores);
    let (reload, modules) = Reload::start(configuration, settings, engine, bus.clone(), delivery.outbox())?;
    let recorder = record.map(|settings| Recorder::start(settings, &bus)).transpose()?;
    let handle = modules.handle();
    let (clients, questions) = broker::engine_handle();
    let admin = admin::start(&config.admin, handle.clone(), reload.handle(), clients)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(config.mqtt.threads)
        .thread_name("broker")
        .enable_all()
        .build()
        .context("the broker's threads do not start")?;

    let place = admin
        .as_ref()
        .map_or("off".to_owned(), |admin| admin.address().to_string());
    let served = runtime.block_on(serve(&config, bus, &place, &handle, reload.handle(), questions));

    let end = *served.as_ref().unwrap_or(&Instant::now());
    let left = || end.saturating_duration_since(Instant::now());
    // What is asked of it from here on would only be about parts that are gone.
    drop(admin);
    if let Some(recorder) = recorder {
        recorder.stop(left());
    }
    drop(reload);
    modules.stop(left());
    stores.close();
    let set_aside = handle.quarantined(None, None, usize::MAX).len();
    if set_aside > 0 {
        warn!(events = set_aside, "the quarantine is in memory and ends with the host");
    }
    let counters = delivery.stop(left());
    if counters.dropped.closed > 0 {
        warn!(
            undelivered = counters.dropped.closed,
            "webhooks were not delivered within the grace period"
        );
    }
    info!(
        delivered = counters.delivered,
        retried = counters.retried,
        gave_up = counters.dropped.gave_up,
        "stopped"
    );
    runtime.shutdown_timeout(LEFTOVERS);
    served.map(drop)
}

/// Runs the broker until a signal comes; gives the end of the grace period, which begins then. `admin` is where the host
/// is administered, and `questions` what is asked there about clients.
async fn serve(
    config: &Config,
    bus: Bus,
    admin: &str,
    modules: &modules::Handle,
    reload: reload::Handle,
    mut questions: broker::EngineRequests,
) -> anyhow::Result<Instant> {
    // Before the ready line: whoever reads it may send a signal at once.
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM cannot be caught")?;
    let mut hangup = signal(SignalKind::hangup()).context("SIGHUP cannot be caught")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT cannot be caught")?;
    let settings = broker::BrokerSettings {
        listen: config.mqtt.listen,
        node: config.node.clone(),
        limits: config.mqtt.limits.clone(),
    };
    let broker = engine::start(&settings, &config.broker, Some(bus)).await?;
    info!(mqtt = %broker.address(), admin, "ready");
    if config.webhook.urls_missing && is_printing(modules) {
        info!("webhooks are printed here, as no URL is given; name one with --webhook-url http://HOST:PORT/PATH");
    }
    let mut answering = Box::pin(questions.answer(&broker));
    let signal = loop {
        tokio::select! {
            () = &mut answering => {}
            _ = terminate.recv() => break "SIGTERM",
            _ = interrupt.recv() => break "SIGINT",
            _ = hangup.recv() => {
                let reload = reload.clone();
                // Takes as long as compiling does; the end does not wait for it.
                tokio::task::spawn_blocking(move || say(&reload.rescan()));
            }
        }
    };
    drop(answering);
    drop(questions);
    info!(signal, grace = ?config.shutdown.grace, "stopping");
    let end = Instant::now() + config.shutdown.grace;
    broker.stop(config.shutdown.grace).await;
    Ok(end)
}

/// Whether the default module may print: settings of its own, or another one in its place, may have it do something else.
fn is_printing(modules: &modules::Handle) -> bool {
    let webhook = modules.state("webhook").and_then(|state| state.generation);
    webhook.is_some_and(|generation| generation.egress.iter().any(|grant| grant == "stdout:"))
}

/// Says what a reload has found. Why a module was not loaded has been said already.
fn say(rescan: &reload::Rescan) {
    let Some(folder) = &rescan.folder else {
        return info!("there is no modules folder to look at; --modules DIR names one");
    };
    let applied = &rescan.applied;
    let names = |names: &mut dyn Iterator<Item = &std::sync::Arc<str>>| {
        let names: Vec<&str> = names.map(|name| &**name).collect();
        if names.is_empty() {
            "none".to_owned()
        } else {
            names.join(",")
        }
    };
    info!(
        folder = %folder.display(),
        loaded = names(&mut applied.loaded.iter().map(|(name, _)| name)),
        rejected = names(&mut applied.rejected.iter().map(|(name, _)| name)),
        removed = names(&mut applied.removed.iter()),
        unchanged = names(&mut applied.unchanged.iter()),
        "modules folder looked at"
    );
}

/// Takes as many file descriptors as the system lets a process have. Each client is one, and the usual limit of 1,024
/// is meant for programs that use `select`.
fn raise_file_limit() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let limit = Rlimit {
        current: maximum,
        maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        warn!(%error, "the limit of open files stays as it is");
    }
}

/// Loads every module as [`run`] would and says what is wrong with them; starts nothing.
pub fn check(config: &Config) -> Vec<Problem> {
    mistakes(config, true)
}

/// Adds what modules find wrong to a configuration that has mistakes already, so that all are told at once.
pub fn complete(refused: Refused) -> Vec<Problem> {
    let more = mistakes(refused.rest(), refused.has_rules());
    let mut all = refused.mistakes();
    all.add(more);
    all.problems
}

/// What is wrong with modules and with what they are given; of the latter nothing if the host's rules are not those that
/// somebody meant.
fn mistakes(config: &Config, has_rules: bool) -> Vec<Problem> {
    let engine = match wasm::Engine::new(&engine_settings(config)) {
        Ok(engine) => engine,
        Err(error) => return vec![problem("the engine", explain(&error))],
    };
    // What modules keep belongs to the host that runs.
    let reports = Modules::check(module_settings(config, &KvStores::in_memory()), engine);
    let failed = reports
        .into_iter()
        .filter_map(|report| Some((report.module, report.result.err()?)));
    let told = failed.filter(|(_, error)| {
        has_rules
            || !matches!(
                error,
                LoadError::Refused {
                    is_host_configuration: true,
                    ..
                }
            )
    });
    let mut problems: Vec<Problem> = told.flat_map(|(module, error)| problems(&module, &error)).collect();
    problems.sort();
    problems
}

/// Wrong settings are as many problems as there are mistakes; anything else is one.
fn problems(module: &str, error: &LoadError) -> Vec<Problem> {
    match error.problems() {
        [] => vec![problem(module, explain(error))],
        mistakes => mistakes.to_vec(),
    }
}

fn problem(module: &str, text: String) -> Problem {
    Problem {
        source: Source::Module(module.to_owned()),
        key: String::new(),
        text,
    }
}

/// What the engine needs of the configuration.
pub(crate) fn engine_settings(config: &Config) -> wasm::EngineSettings {
    wasm::EngineSettings {
        cache_dir: config.wasm.cache_dir.clone(),
        apart: true,
    }
}

/// What modules need of the configuration.
pub(crate) fn module_settings(config: &Config, stores: &KvStores) -> modules::Settings {
    modules::Settings {
        dir: config.modules.dir.clone(),
        node: config.node.clone(),
        reloadable: reload::reloadable(config),
        queue: config.hooks.queue,
        instances: config.wasm.instances,
        limits: config.wasm.limits.clone(),
        compile_time: config.wasm.compile_time,
        module_size: config.wasm.module_size as u64,
        stores: stores.clone(),
        batch: config.hooks.batch,
        quarantine: config.quarantine,
        nice: config.wasm.nice,
    }
}
