//! Hosts with an outbox on one NATS server that they share: one host, two with half of the publishers each, and two of which
//! one is killed. Gateways in front of a NATS server, and the server alone.

use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use anyhow::Context;
use hookhost_tests::host::{Host, Setup};
use hookhost_tests::nats::Nats;
use hookhost_tests::process::Process;
use hookhost_tests::{PATIENCE, raise_file_limit};
use rustix::process::Signal;

use crate::disk::written;
use crate::gateway::gateway;
use crate::publishing::Publishing;
use crate::rounds::{Bench, Settings, received_per_second};
use crate::table::{megabytes, micros};

/// Publishers, seconds and publishes a second of the measurement in which a host is killed.
const FAILOVER_PUBLISHERS: u16 = 50;
const FAILOVER_SECONDS: f64 = 16.0;
const FAILOVER_RATE: u32 = 1000;

/// Measures everything and prints the table.
pub(crate) async fn run(settings: Settings) -> anyhow::Result<()> {
    raise_file_limit();
    let began = Instant::now();
    let mut bench = Bench::start(settings).await?;
    for round in 1..=bench.settings.publishing.rounds {
        eprintln!("round {round} of {}", bench.settings.publishing.rounds);
        bench.shared_outbox("one host on NATS", 1, "").await?;
        bench.shared_outbox("two hosts on NATS", 2, "").await?;
        bench
            .shared_outbox("one host on NATS, durable", 1, "acknowledge = \"durable\"\n")
            .await?;
        bench.failover().await?;
        bench.gateways().await?;
    }
    bench.print(began.elapsed());
    Ok(())
}

/// What processes have used since they started.
struct Used {
    processor: Duration,
    written: u64,
}

impl Used {
    fn by<'a>(processes: impl Iterator<Item = &'a Process>) -> Used {
        let mut used = Used {
            processor: Duration::ZERO,
            written: 0,
        };
        for process in processes {
            used.processor += process.cpu_time();
            used.written += written(process);
        }
        used
    }
}

impl Bench {
    /// Publishes at the rates, and then as fast as it goes. `webhook` are lines of `[webhook]`.
    async fn shared_outbox(&mut self, name: &str, count: usize, webhook: &str) -> anyhow::Result<()> {
        let nats = Nats::start(1).await.context("nats-server cannot be installed")?;
        let mut hosts = Vec::new();
        for _ in 0..count {
            hosts.push(self.host_on_nats(&nats, webhook).await);
        }
        let share = format!("partitions={}", 64 / count);
        for host in &hosts {
            host.log()
                .wait("its share of the partitions", PATIENCE, |line| line.contains(&share))
                .await;
        }
        let addresses: Vec<SocketAddr> = hosts.iter().map(|host| host.address).collect();
        for rate in self.settings.rates.clone() {
            self.begin(self.settings.publishing.publishers)?;
            let done = self
                .settings
                .publishing
                .publish_to_all(&addresses, self.run, rate)
                .await?;
            let report = self.drain(&done).await?;
            for percentile in ["p50", "p99"] {
                let millis = report[percentile].as_f64().unwrap_or(f64::NAN) / 1000.0;
                self.table
                    .add(format!("{name}: latency at {rate}/s, {percentile} ms"), millis);
            }
            self.account(&done, &report, &format!("by {name} at {rate}/s"));
        }
        self.begin(self.settings.publishing.publishers)?;
        let used = |hosts: &[Host]| {
            let hosts = Used::by(hosts.iter().map(|host| &host.process));
            (hosts, Used::by(nats.processes()))
        };
        let before = used(&hosts);
        let done = self.settings.publishing.publish_to_all(&addresses, self.run, 0).await?;
        let report = self.drain(&done).await?;
        let after = used(&hosts);
        let received = report["received"].as_u64().unwrap_or(0);
        self.table.add(format!("{name}: publishes/s"), done.per_second());
        self.table.add(
            format!("{name}: webhooks/s, first publish to last webhook"),
            received_per_second(&done, &report),
        );
        self.table.add(
            format!("{name}: processor µs of hosts per webhook"),
            micros(after.0.processor - before.0.processor, received),
        );
        self.table.add(
            format!("{name}: processor µs of NATS per webhook"),
            micros(after.1.processor - before.1.processor, received),
        );
        self.table.add(
            format!("{name}: bytes that NATS writes per webhook"),
            (after.1.written - before.1.written) as f64 / received.max(1) as f64,
        );
        let memory = hosts.iter().map(|host| host.process.memory("VmHWM")).max();
        self.table.add(
            format!("{name}: highest memory of a host, MB"),
            megabytes(memory.unwrap_or(0)),
        );
        self.account(&done, &report, &format!("by {name} at full speed"));
        for mut host in hosts {
            host.stop().await;
        }
        Ok(())
    }

    /// Kills one of two hosts while the other one accepts publishes.
    async fn failover(&mut self) -> anyhow::Result<()> {
        let nats = Nats::start(1).await.context("nats-server cannot be installed")?;
        let durable = "acknowledge = \"durable\"\n";
        let killed = self.host_on_nats(&nats, durable).await;
        let mut next = self.host_on_nats(&nats, durable).await;
        for host in [&killed, &next] {
            host.log()
                .wait("its share of the partitions", PATIENCE, |line| {
                    line.contains("partitions=32")
                })
                .await;
        }
        let publishing = Publishing {
            // So many that each host delivers for some of them.
            publishers: FAILOVER_PUBLISHERS,
            seconds: FAILOVER_SECONDS,
            ..self.settings.publishing.clone()
        };
        self.begin(FAILOVER_PUBLISHERS)?;
        let publish = publishing.publish(next.address, self.run, FAILOVER_RATE);
        let kill = async {
            tokio::time::sleep(Duration::from_secs_f64(FAILOVER_SECONDS / 4.0)).await;
            killed.process.signal(Signal::KILL);
        };
        let (done, ()) = tokio::join!(publish, kill);
        let done = done?;
        let report = self.drain(&done).await?;
        let number = |name: &str| report[name].as_f64().unwrap_or(f64::NAN);
        let name = "one of two hosts is killed";
        for (row, value) in [
            ("longest time from publish to webhook, s", number("longest") / 1e6),
            ("publishes acknowledged", done.confirmed as f64),
            ("webhooks received", number("received")),
        ] {
            self.table.add(format!("{name}: {row}"), value);
        }
        self.account(&done, &report, &format!("when {name}"));
        next.stop().await;
        Ok(())
    }

    /// Publishes to the MQTT listener of a NATS server: alone, and through two gateways.
    async fn gateways(&mut self) -> anyhow::Result<()> {
        let upstream = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let mqtt = format!("mqtt {{ listen: \"{upstream}\" }}\n");
        let nats = Nats::start_with(1, &mqtt)
            .await
            .context("nats-server cannot be installed")?;
        let publishing = self.settings.publishing.clone();
        let alone = publishing.publish(upstream, 0, 0).await?;
        self.table.add("NATS alone: publishes/s", alone.per_second());
        let (one, two) = (gateway(upstream).await, gateway(upstream).await);
        let behind = publishing.publish_to_all(&[one.address, two.address], 0, 0).await?;
        self.table
            .add("two gateways in front of NATS: publishes/s", behind.per_second());
        drop(nats);
        Ok(())
    }

    async fn host_on_nats(&self, nats: &Nats, webhook: &str) -> Host {
        let config = format!(
            "{}[delivery]\noutbox = {:?}\nretry_max_elapsed_time = \"1h\"\n[webhook]\nurls = [\"http://{}/hook\"]\n{webhook}\
             rule.message_publish = [{{ action = \"message_publish\" }}]\n",
            self.common(),
            nats.url(),
            self.sink.1
        );
        Setup::new().config(&config).start().await
    }
}
