//! The gateway in front of mosquitto, and mosquitto alone: the cost of the gateway.

use std::net::SocketAddr;
use std::time::Instant;

use anyhow::{Context, ensure};
use hookhost_tests::host::{Host, Setup};
use hookhost_tests::mosquitto::Mosquitto;
use hookhost_tests::packet::{self, Connect};
use hookhost_tests::raw::Raw;
use hookhost_tests::{Version, raise_file_limit};

use crate::publishing::Publishing;
use crate::table::{Table, megabytes, micros};

/// Connections that are opened at a time.
const AT_ONCE: usize = 100;
/// Round trips of one measurement. The first tenth is warm-up and does not count.
const ROUND_TRIPS: u16 = 10_000;

/// What to measure.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Settings {
    #[command(flatten)]
    publishing: Publishing,
    /// Connections without traffic whose memory is measured
    #[arg(long, default_value_t = 10_000)]
    idle: usize,
}

/// Measures everything and prints the table.
pub(crate) async fn run(settings: Settings) -> anyhow::Result<()> {
    let files = raise_file_limit();
    let idle = settings.idle.min(usize::try_from(files)?.saturating_sub(200) / 2);
    if idle < settings.idle {
        eprintln!("only {idle} idle connections: no process here may have more than {files} open files");
    }
    let mut table = Table::default();
    for round in 1..=settings.publishing.rounds {
        eprintln!("round {round} of {}", settings.publishing.rounds);
        // mosquitto queues without a limit, so nothing waits for a client that reads at its own pace.
        let mosquitto = Mosquitto::start("max_queued_messages 0\npersistence false")
            .await
            .context("mosquitto is needed: apt-get install mosquitto")?;
        let before = mosquitto.process.cpu_time();
        let alone = settings.publishing.publish(mosquitto.address, 0, 0).await?;
        table.add("mosquitto alone: publishes/s", alone.per_second());
        table.add(
            "mosquitto alone: processor µs per publish",
            micros(mosquitto.process.cpu_time() - before, alone.confirmed),
        );
        let alone = round_trip(mosquitto.address).await?;
        table.add("mosquitto alone: round trip, p50 µs", alone);

        let host = gateway(mosquitto.address).await;
        let before = host.process.cpu_time();
        let behind = settings.publishing.publish(host.address, 0, 0).await?;
        table.add("gateway: publishes/s, no rule matches", behind.per_second());
        table.add(
            "gateway: processor µs per publish",
            micros(host.process.cpu_time() - before, behind.confirmed),
        );
        let behind = round_trip(host.address).await?;
        table.add("gateway: round trip, p50 µs", behind);
        table.add("gateway: added to a round trip, p50 µs", behind - alone);
        drop(host);

        let host = gateway(mosquitto.address).await;
        let start = host.resident();
        let began = Instant::now();
        let connections = crowd(host.address, idle).await?;
        table.add("gateway: connections/s", idle as f64 / began.elapsed().as_secs_f64());
        table.add(
            format!("gateway: memory of {idle} idle connections, MB"),
            megabytes(host.resident().saturating_sub(start)),
        );
        drop(connections);
    }
    println!("{}\n", settings.publishing);
    print!("{table}");
    Ok(())
}

/// A gateway with a rule that matches nothing.
pub(crate) async fn gateway(upstream: SocketAddr) -> Host {
    Setup::new()
        .env("HOOKHOST_BROKER__ENGINE", "gateway")
        .env("HOOKHOST_BROKER__UPSTREAM", &format!("mqtt://{upstream}"))
        .webhook_config(
            "urls = [\"http://127.0.0.1:9/\"]\nrule.message_publish = [{ action = \"x\", topics = [\"nothing/here\"] }]\n",
        )
        .start()
        .await
}

/// The median time from a publish to its PUBACK, one after the other, in microseconds.
async fn round_trip(to: SocketAddr) -> anyhow::Result<f64> {
    let mut client = Raw::client(to, Version::V311, "round-trip").await;
    let mut times = Vec::with_capacity(usize::from(ROUND_TRIPS));
    for id in 1..=ROUND_TRIPS {
        let bytes = packet::publish(Version::V311, "round/trip", 1, id, &[b'.'; 64]);
        let began = Instant::now();
        client.send(&bytes).await;
        let answer = client.read().await.context("the broker closed")?;
        times.push(began.elapsed());
        ensure!(answer.id() == id, "PUBACK of another publish");
    }
    let mut times = times.split_off(times.len() / 10);
    times.sort();
    Ok(times[times.len() / 2].as_secs_f64() * 1e6)
}

/// Clients that connect and stay idle.
async fn crowd(to: SocketAddr, count: usize) -> anyhow::Result<Vec<Raw>> {
    let mut connections = Vec::with_capacity(count);
    while connections.len() < count {
        let first = connections.len();
        let batch: Vec<_> = (first..count.min(first + AT_ONCE))
            .map(|number| {
                tokio::spawn(async move {
                    let connect = Connect {
                        keep_alive: 600,
                        ..Connect::new(Version::V311, &format!("idle-{number}"))
                    };
                    Raw::connect(to, &connect).await
                })
            })
            .collect();
        for connecting in batch {
            connections.push(connecting.await?);
        }
    }
    Ok(connections)
}
