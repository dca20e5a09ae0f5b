//! The scenarios without a data folder.

use std::time::Duration;

use anyhow::ensure;
use hookhost_tests::PATIENCE;
use hookhost_tests::process::Process;
use serde_json::Value;

use crate::parts::{part, this};
use crate::rounds::{Bench, received_per_second};
use crate::table::{megabytes, micros};

/// Connections of the raw generator, as many as the host opens by default.
const CONNECTIONS: u16 = 128;

impl Bench {
    pub(crate) async fn sink_alone(&mut self) -> anyhow::Result<()> {
        self.begin(CONNECTIONS)?;
        let done = part(
            "post",
            &[
                ("to", self.sink.1.to_string()),
                ("run", self.run.to_string()),
                ("connections", CONNECTIONS.to_string()),
                ("payload", self.settings.publishing.payload.to_string()),
                ("seconds", (self.settings.publishing.seconds / 2.0).to_string()),
            ],
        )
        .await?;
        self.table.add("sink alone: requests/s", done.per_second());
        Ok(())
    }

    pub(crate) async fn engine_alone(&mut self) -> anyhow::Result<()> {
        let baseline = Process::start(this("baseline"));
        let line = baseline
            .stdout
            .wait("its address", PATIENCE, |line| line.starts_with("ready "))
            .await;
        let address = line.trim_start_matches("ready ").parse()?;
        let before = baseline.cpu_time();
        self.begin(self.settings.publishing.publishers)?;
        let done = self.publish(address, 0).await?;
        self.table.add("engine alone: publishes/s", done.per_second());
        self.table.add(
            "engine alone: processor µs per publish",
            micros(baseline.cpu_time() - before, done.confirmed),
        );
        self.table
            .add("engine alone: highest memory, MB", megabytes(baseline.memory("VmHWM")));
        Ok(())
    }

    pub(crate) async fn nothing_matches(&mut self) -> anyhow::Result<()> {
        let mut host = self.host("nothing/here", "").await;
        let before = host.process.cpu_time();
        self.begin(self.settings.publishing.publishers)?;
        let done = self.publish(host.address, 0).await?;
        self.table.add("no rule matches: publishes/s", done.per_second());
        self.table.add(
            "no rule matches: processor µs per publish",
            micros(host.process.cpu_time() - before, done.confirmed),
        );
        ensure!(self.report(0, 0)?["received"] == 0, "a rule matched that should not");
        host.stop().await;
        Ok(())
    }

    pub(crate) async fn everything_matches(&mut self) -> anyhow::Result<()> {
        let mut host = self.host("#", "").await;
        self.table
            .add("all match: memory after the start, MB", megabytes(host.resident()));
        for rate in self.settings.rates.clone() {
            self.begin(self.settings.publishing.publishers)?;
            let done = self.publish(host.address, rate).await?;
            let report = self.drain(&done).await?;
            let millis = |field: &str| report[field].as_f64().unwrap_or(f64::NAN) / 1000.0;
            self.table
                .add(format!("all match: latency at {rate}/s, p50 ms"), millis("p50"));
            self.table
                .add(format!("all match: latency at {rate}/s, p99 ms"), millis("p99"));
            self.table
                .add(format!("all match: publishes/s at {rate}/s"), done.per_second());
            self.account(&done, &report, &format!("at {rate}/s"));
        }
        self.begin(self.settings.publishing.publishers)?;
        let before = host.process.cpu_time();
        let done = self.publish(host.address, 0).await?;
        let after = self.report(done.first + (done.last - done.first) / 5, done.last)?;
        let report = self.drain(&done).await?;
        let field = |report: &Value, name: &str| report[name].as_u64().unwrap_or(0);
        self.table.add("all match: publishes/s", done.per_second());
        let steady = (done.last - done.first) as f64 * 0.8 / 1e9;
        self.table.add(
            "all match: webhooks/s while publishing",
            field(&after, "between") as f64 / steady,
        );
        self.table.add(
            "all match: webhooks/s, first publish to last webhook",
            received_per_second(&done, &report),
        );
        self.table.add(
            "all match: processor µs per webhook",
            micros(host.process.cpu_time() - before, field(&report, "received")),
        );
        self.account(&done, &report, "at full speed");
        self.table
            .add("all match: highest memory, MB", megabytes(host.process.memory("VmHWM")));
        self.table
            .add("all match: memory afterwards, MB", megabytes(host.resident()));
        if host.stop().await > Duration::from_secs(6) {
            eprintln!("the host took long to stop");
        }
        let warnings = host
            .log()
            .lines()
            .into_iter()
            .filter(|line| line.contains("WARN") || line.contains("ERROR"));
        for line in warnings.take(5) {
            eprintln!("host: {line}");
        }
        Ok(())
    }

    /// Every publish becomes an event in a batch of up to 100.
    pub(crate) async fn batches(&mut self) -> anyhow::Result<()> {
        let mut host = self.host("#", ", batch = { max_events = 100 }").await;
        self.begin(self.settings.publishing.publishers)?;
        let before = host.process.cpu_time();
        let done = self.publish(host.address, 0).await?;
        let report = self.drain(&done).await?;
        let field = |name: &str| report[name].as_u64().unwrap_or(0);
        self.table.add("batches of 100: publishes/s", done.per_second());
        self.table.add(
            "batches of 100: events/s, first publish to last event",
            received_per_second(&done, &report),
        );
        self.table.add(
            "batches of 100: events per request",
            field("received") as f64 / field("requests").max(1) as f64,
        );
        self.table.add(
            "batches of 100: processor µs per event",
            micros(host.process.cpu_time() - before, field("received")),
        );
        self.account(&done, &report, "in batches");
        host.stop().await;
        Ok(())
    }
}
