//! Many clients, and the ways to connect: the host, and mosquitto if it is installed, one after the other.
//!
//! Each broker is started anew for each group of figures, so that the memory of one group is not that of another. The
//! clients run in this process, on one thread.

mod broker;
mod connecting;
mod link;
mod publishing;
mod retained;
mod subscribers;

use std::time::Duration;

use hookhost_tests::raise_file_limit;

use self::broker::{Broker, Kind};
use crate::table::{Table, megabytes};

/// After this time a broker has given back to the system what it does not use.
const SETTLE: Duration = Duration::from_secs(15);

/// What to measure.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Settings {
    /// Clients that connect and stay idle; the host needs three open files for each
    #[arg(long, default_value_t = 20_000)]
    idle: usize,
    /// Subscribers of one publish, and publishers to one subscriber
    #[arg(long, default_value_t = 10_000)]
    clients: usize,
    /// Retained messages
    #[arg(long, default_value_t = 1_000_000)]
    retained: usize,
    /// Length of each measurement of a rate, in seconds
    #[arg(long, default_value_t = 4.0)]
    seconds: f64,
    /// How often everything is measured
    #[arg(long, default_value_t = 1)]
    rounds: usize,
    /// Measure only the groups whose names contain this: idle, connects, publishes, subscribers, retained
    #[arg(long, default_value = "")]
    only: String,
}

/// Measures everything and prints the table.
pub(crate) async fn run(settings: Settings) -> anyhow::Result<()> {
    let files = usize::try_from(raise_file_limit())?;
    let most = files.saturating_sub(300) / 3;
    let idle = settings.idle.min(most);
    let clients = settings.clients.min(most);
    if idle < settings.idle || clients < settings.clients {
        eprintln!("at most {most} clients: a process here may have {files} open files (ulimit -Hn)");
    }
    let time = Duration::from_secs_f64(settings.seconds);
    let wanted = |group: &str| group.contains(&settings.only);
    let mut table = Table::default();
    for round in 1..=settings.rounds {
        eprintln!("round {round} of {}", settings.rounds);
        for kind in [Kind::Host, Kind::Mosquitto] {
            let name = kind.name();
            if wanted("idle") {
                let Some(broker) = Broker::start(kind).await? else {
                    continue;
                };
                let before = broker.resident();
                let connected = connecting::crowd(&broker, idle).await?;
                tokio::time::sleep(SETTLE).await;
                let added = broker.resident().saturating_sub(before);
                table.add(
                    format!("{name}: memory of {idle} idle connections, MB"),
                    megabytes(added),
                );
                let each = added as f64 * 1024.0 / 1000.0 / idle as f64;
                table.add(format!("{name}: memory of each idle connection, kB"), each);
                drop(connected);
                tokio::time::sleep(SETTLE).await;
                table.add(
                    format!("{name}: memory kept after they have left, MB"),
                    megabytes(broker.resident().saturating_sub(before)),
                );
            }
            if wanted("connects") {
                let Some(broker) = Broker::start(kind).await? else {
                    continue;
                };
                for transport in broker.transports() {
                    let row = format!("{name}: connects/s{}", transport.suffix());
                    table.add(row, connecting::rate(transport, time, None).await?);
                }
            }
            if wanted("connects") && kind == Kind::Host {
                let broker = Broker::with_password().await?;
                let rate = connecting::rate(broker.tcp(), time, Some(broker::USER)).await?;
                table.add("host: connects/s with a password file", rate);
            }
            if wanted("publishes") {
                let Some(broker) = Broker::start(kind).await? else {
                    continue;
                };
                for transport in broker.transports() {
                    table.add(
                        format!("{name}: publishes/s{}", transport.suffix()),
                        publishing::rate(&transport, time).await?,
                    );
                }
            }
            if wanted("subscribers") {
                let Some(broker) = Broker::start(kind).await? else {
                    continue;
                };
                let took = subscribers::one_to_many(&broker, clients).await?;
                table.add(
                    format!("{name}: one publish to {clients} subscribers, ms"),
                    took.as_secs_f64() * 1000.0,
                );
                table.add(
                    format!("{name}: {clients} publishers to one subscriber, messages/s"),
                    subscribers::many_to_one(&broker, clients).await?,
                );
                for (slow, what) in [(false, "no slow one"), (true, "a slow one")] {
                    let p99 = subscribers::beside(&broker, slow).await?;
                    table.add(
                        format!("{name}: p99 to a subscriber beside {what}, ms"),
                        p99.as_secs_f64() * 1000.0,
                    );
                }
            }
            if wanted("retained") {
                let Some(broker) = Broker::start(kind).await? else {
                    continue;
                };
                let before = broker.resident();
                let count = settings.retained;
                table.add(
                    format!("{name}: retained messages/s stored"),
                    retained::store(&broker, count).await?,
                );
                table.add(
                    format!("{name}: memory of {count} retained messages, MB"),
                    megabytes(broker.resident().saturating_sub(before)),
                );
                table.add(
                    format!("{name}: retained messages/s to a new subscriber"),
                    retained::fetch(&broker, count).await?,
                );
            }
        }
    }
    print!("{table}");
    Ok(())
}
