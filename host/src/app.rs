//! The one file that knows all parts: it builds them, connects them and stops them in order.
//!
//! Parts are started against the way of an event, so that each finds the next one ready, and stopped along it, so that
//! what is under way arrives: the broker first, then the modules' queues, then delivery. All of it shares one grace
//! period.

use std::time::{Duration, Instant};

use anyhow::Context;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};
use tracing::{info, warn};

use crate::broker;
use crate::config::{Config, Problem, Source};
use crate::delivery::Delivery;
use crate::hooks::Bus;
use crate::modules::{self, LoadError, Modules, explain};
use crate::wasm;

/// How long connections that have not ended in time may hold the process.
const LEFTOVERS: Duration = Duration::from_millis(100);

/// Serves until SIGTERM or SIGINT, then stops within the configured grace period.
///
/// # Errors
///
/// What keeps the host from starting: an address in use, a default module that refuses its configuration.
pub fn run(config: Config) -> anyhow::Result<()> {
    raise_file_limit();
    let engine = wasm::Engine::new(&engine_settings(&config)).context("the WebAssembly engine does not start")?;
    let delivery = Delivery::start(&config.delivery).context("delivery does not start")?;
    let bus = Bus::new();
    let modules = Modules::start(module_settings(&config), engine, bus.clone(), delivery.outbox())?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .thread_name("broker")
        .enable_all()
        .build()
        .context("the broker's threads do not start")?;

    let served = runtime.block_on(serve(&config, bus));

    let end = *served.as_ref().unwrap_or(&Instant::now());
    let left = || end.saturating_duration_since(Instant::now());
    modules.stop(left());
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

/// Runs the broker until a signal comes; gives the end of the grace period, which begins then.
async fn serve(config: &Config, bus: Bus) -> anyhow::Result<Instant> {
    // Before the ready line: whoever reads it may send a signal at once.
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM cannot be caught")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT cannot be caught")?;
    let settings = broker::Settings {
        listen: config.mqtt.listen,
        node: config.node.clone(),
        limits: config.mqtt.limits.clone(),
        engine: config.broker.clone(),
    };
    let broker = broker::start(&settings, Some(bus)).await?;
    info!(mqtt = %broker.address(), "ready");
    if config.webhook.urls_missing {
        info!("webhooks are printed here, as no URL is given; name one with --webhook-url http://HOST:PORT/PATH");
    }
    let signal = tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    };
    info!(signal, grace = ?config.shutdown.grace, "stopping");
    let end = Instant::now() + config.shutdown.grace;
    broker.stop(config.shutdown.grace).await;
    Ok(end)
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
    let engine = match wasm::Engine::new(&engine_settings(config)) {
        Ok(engine) => engine,
        Err(error) => return vec![problem("the engine", "", explain(&error))],
    };
    let reports = Modules::check(module_settings(config), engine);
    reports
        .into_iter()
        .filter_map(|report| Some(problems(&report.module, &report.result.err()?)))
        .flatten()
        .collect()
}

/// Wrong settings are as many problems as there are mistakes; anything else is one.
fn problems(module: &str, error: &LoadError) -> Vec<Problem> {
    match error.problems() {
        [] => vec![problem(module, "", explain(error))],
        mistakes => mistakes
            .iter()
            .map(|mistake| problem(module, &mistake.key, mistake.text.clone()))
            .collect(),
    }
}

fn problem(module: &str, key: &str, text: String) -> Problem {
    Problem {
        source: Source::Module(module.to_owned()),
        key: key.to_owned(),
        text,
    }
}

fn engine_settings(config: &Config) -> wasm::EngineSettings {
    wasm::EngineSettings {
        cache_dir: config.wasm.cache_dir.clone(),
    }
}

fn module_settings(config: &Config) -> modules::Settings {
    modules::Settings {
        dir: config.modules.dir.clone(),
        node: config.node.clone(),
        webhook_config: config.webhook.config.clone(),
        queue: config.hooks.queue,
        instances: config.wasm.instances,
        limits: config.wasm.limits.clone(),
        batch: config.hooks.batch,
    }
}
