//! Kills the host at random moments under load, and counts what became of every message.
//!
//! ```sh
//! cargo run --release --bin kill-bench
//! ```
//!
//! Publishers send to a topic with `acknowledge = "durable"`. The receiver fails now and then. Each round ends with
//! `kill -9` after a random number of acknowledgements; then the next host starts on the same data folder. The program
//! ends with an error if an acknowledged message is lost or out of order.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{bail, ensure};
use clap::{Parser, ValueEnum};
use hookhost_tests::PATIENCE;
use hookhost_tests::flow::numbers;
use hookhost_tests::host::{Host, Setup};
use hookhost_tests::publishers::{Plan, Publishers, Tally};
use hookhost_tests::sink::{Answer, Sink};
use rustix::process::Signal;

/// Kills the host under load and counts messages.
#[derive(Parser)]
struct Arguments {
    /// Number of kills
    #[arg(long, default_value_t = 50)]
    rounds: u32,
    /// Publishers
    #[arg(long, default_value_t = 8)]
    clients: u32,
    /// Unacknowledged messages of a publisher
    #[arg(long, default_value_t = 50)]
    window: usize,
    /// The most acknowledgements between two kills
    #[arg(long, default_value_t = 2000)]
    longest: u32,
    /// The engine of the host
    #[arg(long, value_enum, default_value_t = Engine::Default)]
    engine: Engine,
    /// When requests are on disk: always or interval
    #[arg(long, default_value = "interval")]
    sync: String,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Engine {
    /// The broker in the process of the host
    Default,
    /// A gateway to another host
    Gateway,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let upstream = match arguments.engine {
        Engine::Default => None,
        Engine::Gateway => Some(Setup::new().config("[webhook.rule]\n").start().await),
    };
    let upstream = upstream.as_ref();
    let sink = Sink::start().await;
    sink.answer(|_, earlier| match earlier % 50 {
        0 => Answer::Status(503),
        1 => Answer::Close,
        _ => Answer::Status(200),
    });
    let data = tempfile::tempdir()?;
    let mut host = start(&arguments, upstream, &sink, data.path()).await;
    let plan = Plan {
        clients: arguments.clients,
        window: arguments.window,
        ..Plan::default()
    };
    let publishers = Publishers::start(host.address, &plan);
    let begin = Instant::now();
    for round in 1..=arguments.rounds {
        let random = RandomState::new().hash_one(round);
        publishers
            .go_on(1 + (random % u64::from(arguments.longest)) as u32)
            .await;
        host.process.signal(Signal::KILL);
        if host.process.wait(PATIENCE).await.is_some() {
            bail!("the host ended by itself: {}", host.log().tail());
        }
        let restart = Instant::now();
        host = start(&arguments, upstream, &sink, data.path()).await;
        publishers.move_to(host.address);
        println!(
            "kill {round}: {} acknowledged, {} requests, restart {:.0?}",
            publishers.acknowledged(),
            sink.count(),
            restart.elapsed()
        );
    }
    let published = publishers.stop().await;
    until_delivered(&host).await?;
    let all = sink.requests();
    let tally = Tally::of(&published, &numbers(all.iter().filter(|request| request.accepted())));
    println!("{} kills in {:.0?}: {tally}", arguments.rounds, begin.elapsed());
    ensure!(tally.lost == 0 && tally.out_of_order == 0, "{tally}");
    Ok(())
}

/// Waits until no request waits. What has not arrived by then is lost.
async fn until_delivered(host: &Host) -> anyhow::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    let mut tick = tokio::time::interval(Duration::from_millis(50));
    loop {
        tick.tick().await;
        let waiting = host.waiting_requests().await;
        if waiting == 0 {
            return Ok(());
        }
        ensure!(
            Instant::now() < deadline,
            "{waiting} requests still wait after {PATIENCE:?}"
        );
    }
}

async fn start(arguments: &Arguments, upstream: Option<&Host>, sink: &Sink, data: &Path) -> Host {
    let config = format!(
        "[data]\ndir = {data:?}\n[outbox]\nsync = {:?}\n[delivery]\nretry_initial_interval = \"10ms\"\n\
         [webhook]\nurls = [{:?}]\nacknowledge = \"durable\"\n[webhook.rule]\nmessage_publish = [{{ action = \"a\" }}]\n",
        arguments.sync,
        sink.url("/hook")
    );
    let setup = Setup::new().config(&config);
    let setup = match upstream {
        None => setup,
        Some(upstream) => setup
            .env("HOOKHOST_BROKER__ENGINE", "gateway")
            .env("HOOKHOST_BROKER__UPSTREAM", &format!("mqtt://{}", upstream.address)),
    };
    setup.start().await
}
