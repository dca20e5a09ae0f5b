//! Load bench: the speed of the host and the speed of its broker engine, in the same run on the same machine.
//!
//! Every part is a separate process, as in production: the sink, the publishers, the host (the binary of the same
//! profile beside this one) and, as the baseline, the same broker engine without a handler. This program starts itself
//! again for each part, so nothing has to be installed. Machines are noisy, so the scenarios take turns for several
//! rounds. The table has the medians and the result of each round.
//!
//! Every webhook is accounted for: each message carries its number, and the bench counts lost, duplicate and reordered
//! webhooks.

// This is a measuring instrument: an unexpected result must stop it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "test code"
)]

use hookhost as _; // links its global allocator into this program

mod baseline;
mod disk;
mod gateway;
mod load;
mod memory;
mod nats;
mod page;
mod parts;
mod posts;
mod publishing;
mod rounds;
mod scale;
mod sink;
mod stamp;
mod table;
mod watched;

use clap::{Parser, Subcommand};

/// Measures publishes, webhooks, latency and memory of the host beside their baselines.
#[derive(Debug, Parser)]
#[command(name = "load-bench")]
struct Cli {
    #[command(subcommand)]
    part: Option<Part>,
    #[command(flatten)]
    settings: rounds::Settings,
}

/// Another bench, and the parts that run as processes of their own.
#[derive(Debug, Subcommand)]
enum Part {
    /// Measures the gateway in front of mosquitto beside mosquitto alone; mosquitto has to be installed
    Gateway(gateway::Settings),
    /// Measures one host and two hosts with an outbox on a NATS server, which is installed from PyPI
    Nats(rounds::Settings),
    /// Measures many clients, TLS, WebSocket and retained messages, beside mosquitto if it is installed
    Scale(scale::Settings),
    /// Measures webhooks without and with an open dashboard, a tap and a Prometheus
    Watched(rounds::Settings),
    #[command(hide = true)]
    Sink,
    #[command(hide = true)]
    Publish(load::Load),
    #[command(hide = true)]
    Post(posts::Posts),
    #[command(hide = true)]
    Baseline,
}

fn main() -> anyhow::Result<()> {
    let Cli { part, settings } = Cli::parse();
    // The parts get one thread each, because more would take processors away from the measured program. The baseline
    // has as many threads as the host.
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    if matches!(part, Some(Part::Baseline)) {
        runtime = tokio::runtime::Builder::new_multi_thread();
        runtime.worker_threads(hookhost_broker::default_threads());
    }
    let runtime = runtime.enable_all().build()?;
    match part {
        Some(Part::Gateway(settings)) => runtime.block_on(gateway::run(settings)),
        Some(Part::Nats(settings)) => runtime.block_on(nats::run(settings)),
        Some(Part::Scale(settings)) => runtime.block_on(scale::run(settings)),
        Some(Part::Watched(settings)) => runtime.block_on(watched::run(settings)),
        Some(Part::Sink) => runtime.block_on(sink::serve()),
        Some(Part::Publish(load)) => runtime.block_on(load::publish(load)),
        Some(Part::Post(posts)) => runtime.block_on(posts::post(posts)),
        Some(Part::Baseline) => runtime.block_on(baseline::serve()),
        None => runtime.block_on(rounds::run(settings)),
    }
}
