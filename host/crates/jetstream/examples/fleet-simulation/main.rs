//! A fleet of hosts in simulated time: how long a failover takes, how evenly partitions and hosts are loaded, and how large
//! the backlog of an outage of a minute becomes.
//!
//! It compiles the files of the crate that decide which host delivers which partition, so what it shows is what hosts do.
//! `docs/scale.md` explains the tables.

#![allow(
    clippy::indexing_slicing,
    reason = "a measuring instrument: an unexpected result must stop it"
)]

#[allow(dead_code, reason = "the host uses more of it")]
#[path = "../../src/membership.rs"]
mod membership;
#[allow(unreachable_pub, reason = "the crate exports it")]
#[path = "../../src/partition.rs"]
mod partition;
#[path = "../../src/simulation/mod.rs"]
mod simulation;

use std::time::{Duration, Instant};

use clap::Parser;

use self::simulation::experiments::{Failure, Form, OUTAGE, backlog, devices_by_host, devices_by_partition, failover};

/// Simulates hosts that share an outbox, and prints what failures and outages do.
#[derive(Debug, Parser)]
#[command(name = "fleet-simulation")]
struct Cli {
    /// The first seed; each run has the next one
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Runs of each failure
    #[arg(long, default_value_t = 200)]
    runs: u64,
    /// Numbers of hosts
    #[arg(long, value_delimiter = ',', default_values_t = [2, 3, 5, 10])]
    hosts: Vec<usize>,
    /// Partitions of the outbox
    #[arg(long, default_value_t = 64)]
    partitions: u16,
    /// The lease in seconds
    #[arg(long, default_value_t = 3.0)]
    lease: f64,
    /// Numbers of devices
    #[arg(long, value_delimiter = ',', default_values_t = [10_000, 100_000, 1_000_000])]
    devices: Vec<u32>,
    /// Requests that one host can send in a second
    #[arg(long, default_value_t = 10_000.0)]
    capacity: f64,
    /// Shares of the capacity of all hosts that arrive
    #[arg(long, value_delimiter = ',', default_values_t = [0.5, 0.7, 0.9])]
    loads: Vec<f64>,
}

impl Cli {
    fn form(&self, hosts: usize) -> Form {
        Form {
            hosts,
            partitions: self.partitions,
            lease: Duration::from_secs_f64(self.lease),
        }
    }
}

fn main() {
    let cli = Cli::parse();
    let start = Instant::now();
    println!(
        "{} partitions, lease {} s, seed {}, {} runs",
        cli.partitions, cli.lease, cli.seed, cli.runs
    );
    print_failovers(&cli, start);
    print_skew(&cli, start);
    print_backlogs(&cli, start);
}

fn print_failovers(cli: &Cli, start: Instant) {
    println!("\nSeconds until other hosts deliver all partitions");
    println!(
        "{:<34} {:>5} {:>7} {:>7} {:>7} {:>8}",
        "", "hosts", "p50", "p99", "max", "doubled"
    );
    for (failure, name) in [
        (Failure::Stop, "a host is stopped with SIGTERM"),
        (Failure::Kill, "a host is killed"),
        (Failure::Pause, "a host is paused for a minute"),
        (Failure::Cut, "a host loses NATS for a minute"),
        (Failure::Nats, "after all have lost it for a minute"),
    ] {
        for hosts in &cli.hosts {
            let runs = (0..cli.runs).map(|run| failover(cli.form(*hosts), failure, cli.seed + run, start));
            let runs: Vec<_> = runs.collect();
            let doubled: usize = runs.iter().map(|run| run.doubled).sum();
            let mut times: Vec<f64> = runs
                .iter()
                .map(|run| run.time.map_or(f64::INFINITY, |time| time.as_secs_f64()))
                .collect();
            times.sort_by(f64::total_cmp);
            let at = |share: f64| times[((times.len() - 1) as f64 * share).round() as usize];
            println!(
                "{name:<34} {hosts:>5} {:>7.2} {:>7.2} {:>7.2} {doubled:>8}",
                at(0.5),
                at(0.99),
                at(1.0)
            );
        }
    }
}

fn print_skew(cli: &Cli, start: Instant) {
    println!("\nDevices of the busiest partition or host, and their ratio to the mean");
    println!("{:>10} {:<22} {:>11} {:>7}", "devices", "", "its devices", "ratio");
    for devices in &cli.devices {
        let by_partition = devices_by_partition(*devices, cli.partitions);
        let print = |name: &str, counts: &[u32]| {
            let busiest = counts.iter().copied().max().unwrap_or(0);
            let ratio = f64::from(busiest) * counts.len() as f64 / f64::from(*devices);
            println!("{devices:>10} {name:<22} {busiest:>11} {ratio:>7.3}");
        };
        print("busiest partition", &by_partition);
        for hosts in &cli.hosts {
            let by_host = devices_by_host(cli.form(*hosts), &by_partition, cli.seed, start);
            print(&format!("busiest of {hosts} hosts"), &by_host);
        }
    }
}

fn print_backlogs(cli: &Cli, start: Instant) {
    println!(
        "\nBacklog of an outage of {} s; a host can send {} requests a second",
        OUTAGE.as_secs(),
        cli.capacity
    );
    println!(
        "{:<30} {:>5} {:>6} {:>10} {:>12} {:>14}",
        "", "hosts", "load", "requests/s", "backlog", "drained after"
    );
    let by_partition = devices_by_partition(100_000, cli.partitions);
    for (failure, name) in [
        (Failure::Receiver, "the receiver refuses"),
        (Failure::Nats, "no host reaches NATS"),
        (Failure::Kill, "one host is killed"),
    ] {
        for hosts in &cli.hosts {
            for load in &cli.loads {
                let rate = cli.capacity * *hosts as f64 * load;
                let result = backlog(
                    cli.form(*hosts),
                    failure,
                    &by_partition,
                    (rate, cli.capacity),
                    cli.seed,
                    start,
                );
                let drained = result
                    .drained
                    .map_or("over 600 s".to_owned(), |time| format!("{:.1} s", time.as_secs_f64()));
                println!(
                    "{name:<30} {hosts:>5} {:>5.0}% {rate:>10.0} {:>12.0} {drained:>14}",
                    load * 100.0,
                    result.highest
                );
            }
        }
    }
}
