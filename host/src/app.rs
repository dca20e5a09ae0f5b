//! Builds all parts of the host, connects them, and stops them in order.
//!
//! SIGHUP reloads the configuration and rescans the modules folder.
//!
//! An event goes from the broker to the modules to delivery. The parts start in the opposite order, so each part finds
//! the next one ready. They stop in the order broker, modules, delivery, so pending events and requests still arrive.
//! All parts share one grace period.

mod check;
mod settings;
mod start;

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};
use tracing::{info, warn};

pub use check::{check, complete};
pub(crate) use settings::{engine_settings, trial_settings};
use settings::{kept_limits, module_settings};
use start::{kept_webhooks, raise_file_limit, rollout, start_exporter, storage, try_addresses, wait_for_webhooks};

use crate::config::{Config, Loaded};
use crate::logging::LogControl;
use crate::module_files::ModuleFiles;
use crate::record::{self, Recorder};
use crate::reload::{self, Configuration, Origin, Reload, ReloadedParts};
use crate::status::StatusReader;
use crate::webhooks::KeptStore;
use crate::{admin, engine, fleet, publisher};
use hookhost_dead_letters::{Kind, Store as RecordStore};
use hookhost_delivery::{Delivery, Storage};
use hookhost_hooks::Bus;
use hookhost_kv::KvStores;
use hookhost_otlp::Exporter;
use {hookhost_broker as broker, hookhost_modules as modules, hookhost_wasm as wasm};

/// How long connections that outlast the grace period may delay the exit.
const CONNECTION_DRAIN: Duration = Duration::from_millis(100);

/// How long the last spans may delay the exit.
const SPAN_DRAIN: Duration = Duration::from_secs(1);

/// Serves until SIGTERM or SIGINT, then stops within the configured grace period.
///
/// With `record`, the host records events into a file. `log` controls its log. `loaded` comes from `origin`, which is
/// loaded again when its files change.
///
/// # Errors
///
/// The host cannot start: an address is in use, or the built-in module rejects its configuration.
pub fn run(
    loaded: Loaded,
    origin: Origin,
    record: Option<record::RecordSettings>,
    log: LogControl,
) -> anyhow::Result<()> {
    raise_file_limit();
    try_addresses(&loaded.config)?;
    let configuration = Configuration::new(origin, &loaded);
    let config = loaded.config;
    let stores = match &config.data {
        Some(data) => KvStores::open(data)?,
        None => KvStores::in_memory(),
    };
    let engine = wasm::Engine::new(&engine_settings(&config)).context("cannot start the WebAssembly engine")?;
    let (clients, questions) = broker::engine_handle();
    let publisher: Arc<dyn hookhost_delivery::Publisher> = Arc::new(publisher::EnginePublisher::new(clients.clone()));
    let storage = storage(&config)?;
    let shared = match &storage {
        Storage::Shared { outbox, .. } => Some(outbox.clone()),
        Storage::Memory | Storage::Disk(_) => None,
    };
    let kept = match &config.data {
        Some(data) => RecordStore::open(&data.dir, kept_limits(&config))?,
        None => RecordStore::in_memory(kept_limits(&config)),
    };
    let delivery = Delivery::start(
        &config.delivery,
        storage,
        kept.collection(Kind::Requests),
        Some(publisher),
    );
    let delivery = delivery.context("cannot start delivery")?;
    let bus = Bus::new();
    let activity = delivery.monitor().activity();
    let exporter = start_exporter(&config, &activity)?;
    let spans = exporter.as_ref().map(Exporter::counters);
    let settings = module_settings(&config, &stores, kept.collection(Kind::Events), activity.clone());
    let parts = ReloadedParts::new(&config);
    let outbox = delivery.outbox();
    let webhooks = kept_webhooks(&config, shared.as_ref());
    let webhooks = webhooks.context("cannot read the webhooks of the data folder")?;
    let shared_webhooks = match &webhooks {
        KeptStore::Shared(store) => Some(store.keys()),
        KeptStore::Own(_) => None,
    };
    let (rollout, objects) = rollout(&config, shared.as_ref())?.unzip();
    let (reload, modules) = Reload::start(
        configuration,
        webhooks,
        settings,
        engine,
        bus.clone(),
        outbox,
        parts.clone(),
    )?;
    if let (Some(webhooks), Some(outbox)) = (&shared_webhooks, &shared) {
        wait_for_webhooks(webhooks, outbox, &reload.handle(), config.data.is_some())?;
    }
    let recorder = record.map(|settings| Recorder::start(settings, &bus)).transpose()?;
    let handle = modules.handle();
    let rollout = rollout.map(|rollout| rollout.start(reload.handle(), handle.clone()));
    let rollout = rollout
        .transpose()
        .context("cannot start the thread of the modules bucket")?;
    let running = admin::Running {
        modules: handle.clone(),
        monitor: delivery.monitor(),
        letters: delivery.dead_letters(),
        reload: reload.handle(),
        status: StatusReader::new(bus.clone(), handle.clone(), delivery.monitor(), clients.clone(), spans),
        clients,
        activity,
        module_files: ModuleFiles::new(config.modules.dir.clone(), objects),
        shared: shared.clone(),
        log,
    };
    let status = running.status.clone();
    let admin = admin::start(&config.admin, running)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(config.mqtt.threads)
        .thread_name("broker")
        .enable_all()
        .build()
        .context("cannot start the threads of the broker")?;

    let place = admin.as_ref().map_or("off".to_owned(), admin::Server::address);
    if let Some(shared) = shared {
        let name = config.node.name.to_string();
        runtime.spawn(fleet::report(status, shared, name, place.clone()));
    }
    reload
        .handle()
        .add_tls_files(admin.as_ref().and_then(admin::Server::tls_files));
    let served = runtime.block_on(serve(&config, bus, parts, &place, &handle, reload.handle(), questions));

    let end = *served.as_ref().unwrap_or(&(Instant::now() + config.shutdown.grace));
    let left = || end.saturating_duration_since(Instant::now());
    // The parts that it reports on stop from here on.
    drop(admin);
    if let Some(recorder) = recorder {
        recorder.stop(left());
    }
    drop(rollout);
    drop(reload);
    modules.stop(left());
    stores.close();
    let dead_letters = delivery.dead_letters();
    let counters = delivery.stop(left());
    if let Some(exporter) = exporter {
        exporter.stop(left().min(SPAN_DRAIN));
    }
    if counters.dropped.closed > 0 {
        warn!(
            undelivered = counters.dropped.closed,
            "some webhooks were not delivered within the grace period"
        );
    }
    let (events, requests) = (handle.entries_of(None).len(), dead_letters.local_usage().records);
    if config.data.is_none() && events + requests > 0 {
        warn!(
            quarantined = events,
            dead_letters = requests,
            "quarantined events and dead letters are lost: they are in memory without a data folder"
        );
    }
    info!(
        delivered = counters.delivered,
        retried = counters.retried,
        dead = counters.dead.total(),
        "stopped"
    );
    runtime.shutdown_timeout(CONNECTION_DRAIN);
    served.map(drop)
}

/// Runs the broker until SIGTERM or SIGINT. Returns the end of the grace period, which begins at the signal. `admin` is
/// the address of the admin API. `questions` are the requests about clients that arrive there.
async fn serve(
    config: &Config,
    bus: Bus,
    parts: ReloadedParts,
    admin: &str,
    modules: &modules::Handle,
    reload: reload::Handle,
    mut questions: broker::EngineRequests,
) -> anyhow::Result<Instant> {
    // Runs before the ready line, because a program that waits for the line may send a signal at once.
    let mut terminate = signal(SignalKind::terminate()).context("cannot handle SIGTERM")?;
    let mut hangup = signal(SignalKind::hangup()).context("cannot handle SIGHUP")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot handle SIGINT")?;
    let settings = broker::BrokerSettings {
        listeners: config.mqtt.listeners.clone(),
        node: config.node.clone(),
        limits: config.mqtt.limits.clone(),
        conventions: config.mqtt.conventions,
        data: config.data.as_ref().map(|data| data.dir.clone()),
        access: parts.access,
    };
    let broker = engine::start(&settings, &config.broker, &parts.upstreams, Some(bus)).await?;
    for listener in broker.listeners() {
        let (name, kind) = (&*listener.name, listener.kind.name());
        info!(name, kind, address = %listener.address, "listening");
    }
    reload.add_tls_files(broker.tls_files());
    info!(mqtt = %broker.address(), admin, "ready");
    if config.webhook.urls_missing && is_printing(modules) {
        info!(
            "webhooks are printed on standard output because no URL is configured; send them with --webhook-url http://HOST:PORT/PATH"
        );
    }
    let mut answering = Box::pin(questions.answer(&broker));
    let signal = loop {
        tokio::select! {
            () = &mut answering => {}
            _ = terminate.recv() => break "SIGTERM",
            _ = interrupt.recv() => break "SIGINT",
            _ = hangup.recv() => {
                let reload = reload.clone();
                // Compiling may take seconds; the shutdown does not wait for it.
                tokio::task::spawn_blocking(move || log_rescan(&reload.rescan()));
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

/// Whether the built-in module may print. Its settings in the modules folder, or a replacement, may send webhooks to
/// another place.
fn is_printing(modules: &modules::Handle) -> bool {
    let webhook = modules.state("webhook").and_then(|state| state.generation);
    webhook.is_some_and(|generation| generation.egress.iter().any(|grant| grant == "stdout:"))
}

/// Logs the result of a rescan of the modules folder. The reasons why modules were not loaded are logged already.
fn log_rescan(rescan: &reload::Rescan) {
    let Some(folder) = &rescan.folder else {
        return info!("there is no modules folder to rescan; --modules DIR sets one");
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
        "modules folder rescanned"
    );
}
