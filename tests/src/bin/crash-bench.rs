//! Kills the host under load with many persistent sessions, and counts what is lost: see [`hookhost_tests::crash`].

use clap::Parser;
use hookhost_tests::crash::Crash;

/// Rounds and their size.
#[derive(Parser)]
struct Flags {
    /// Sessions in all: a third is offline, a third acknowledges, a third is connected and does not.
    #[arg(long, default_value_t = 1_000)]
    sessions: usize,
    /// Publishers, half of them with QoS 1 and half with QoS 2.
    #[arg(long, default_value_t = 20)]
    publishers: usize,
    /// Messages that the first publisher gets acknowledged before the host is killed.
    #[arg(long, default_value_t = 5_000)]
    messages: usize,
    /// How often.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
}

#[tokio::main]
async fn main() {
    let flags = Flags::parse();
    hookhost_tests::raise_file_limit();
    let crash = Crash {
        sessions: flags.sessions.div_ceil(3),
        publishers: flags.publishers,
        messages: flags.messages,
    };
    println!("round acknowledged expected lost sessions-lost out-of-order repeated doubled");
    for round in 1..=flags.rounds {
        let c = crash.run().await;
        println!(
            "{round} {} {} {} {} {} {} {}",
            c.acknowledged, c.expected, c.lost, c.sessions_lost, c.out_of_order, c.repeated, c.doubled
        );
    }
}
