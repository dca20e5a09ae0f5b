//! The scenarios, in turn, and the results of each.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::ensure;
use hookhost_tests::host::{Host, Setup};
use hookhost_tests::process::Process;
use hookhost_tests::{PATIENCE, raise_file_limit};
use serde_json::Value;

use crate::parts::{Published, part, this};
use crate::publishing::Publishing;
use crate::table::{Table, megabytes, micros};

/// How long the sink may be silent before missing webhooks count as lost.
const SILENCE: Duration = Duration::from_secs(3);
/// Connections of the raw generator, as many as the host opens by default.
const CONNECTIONS: u16 = 128;

/// What to measure.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Settings {
    #[command(flatten)]
    publishing: Publishing,
    /// Publishes a second at which latency is measured
    #[arg(long, value_delimiter = ',', default_values_t = [1000, 5000])]
    rates: Vec<u32>,
    /// What the host does with an event for which there is no room: drop or wait
    #[arg(long, default_value = "wait")]
    overflow: String,
    /// Niceness of the threads that modules run in, by default the host's: more lets more publishes through, and more
    /// events are dropped
    #[arg(long)]
    nice: Option<u8>,
}

/// Measures everything and prints the table.
pub(crate) async fn run(settings: Settings) -> anyhow::Result<()> {
    raise_file_limit();
    let began = Instant::now();
    let mut bench = Bench {
        sink: start_sink().await?,
        settings,
        run: 0,
        table: Table::default(),
    };
    for round in 1..=bench.settings.publishing.rounds {
        eprintln!(
            "round {round} of {} ({:.0?} so far)",
            bench.settings.publishing.rounds,
            began.elapsed()
        );
        bench.sink_alone().await?;
        bench.engine_alone().await?;
        bench.nothing_matches().await?;
        bench.everything_matches().await?;
        bench.everything_is_durable().await?;
    }
    let Settings {
        publishing,
        overflow,
        nice,
        ..
    } = &bench.settings;
    let nice = nice.map_or(String::new(), |nice| format!(", niceness of modules: {nice}"));
    println!(
        "{publishing}, overflow: {overflow}{nice}, took {:.0?}\n",
        began.elapsed()
    );
    print!("{}", bench.table);
    Ok(())
}

struct Bench {
    settings: Settings,
    sink: (Process, SocketAddr),
    run: u16,
    table: Table,
}

impl Bench {
    async fn sink_alone(&mut self) -> anyhow::Result<()> {
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

    async fn engine_alone(&mut self) -> anyhow::Result<()> {
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

    async fn nothing_matches(&mut self) -> anyhow::Result<()> {
        let mut host = self.host("nothing/here").await;
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

    async fn everything_matches(&mut self) -> anyhow::Result<()> {
        let mut host = self.host("#").await;
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
        let whole = field(&report, "last").saturating_sub(done.first).max(1) as f64 / 1e9;
        self.table.add(
            "all match: webhooks/s, first publish to last webhook",
            field(&report, "received") as f64 / whole,
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

    /// Publishes that are acknowledged when their requests are on disk.
    async fn everything_is_durable(&mut self) -> anyhow::Result<()> {
        let data = tempfile::tempdir()?;
        let flush = flush_time(data.path())?;
        self.table
            .add("durable: time of one fsync, µs", flush.as_secs_f64() * 1e6);
        let config = format!(
            "[data]\ndir = {:?}\n[webhook]\nurls = [\"http://{}/hook\"]\nacknowledge = \"durable\"\n\
             [webhook.rule]\nmessage_publish = [{{ action = \"message_publish\" }}]\n",
            data.path(),
            self.sink.1
        );
        let mut host = Setup::new().config(&config).start().await;
        self.begin(self.settings.publishing.publishers)?;
        let done = self.publish(host.address, 0).await?;
        let report = self.drain(&done).await?;
        self.table.add("durable: publishes/s", done.per_second());
        self.account(&done, &report, "durable");
        host.stop().await;
        Ok(())
    }

    /// A host with one rule, for the publishes on a topic filter.
    async fn host(&self, topics: &str) -> Host {
        let config = format!(
            "urls = [\"http://{}/hook\"]\nrule.message_publish = [{{ action = \"message_publish\", topics = [{topics:?}] }}]\n",
            self.sink.1
        );
        let setup = Setup::new().env("HOOKHOST_HOOKS__OVERFLOW", &self.settings.overflow);
        let setup = match self.settings.nice {
            Some(nice) => setup.env("HOOKHOST_WASM__NICE", &nice.to_string()),
            None => setup,
        };
        setup.webhook_config(&config).start().await
    }

    /// Publishes for the time set; at a rate, or as fast as it goes if that is 0.
    async fn publish(&self, to: SocketAddr, rate: u32) -> anyhow::Result<Published> {
        self.settings.publishing.publish(to, self.run, rate).await
    }

    /// Starts a new run in the sink's records.
    fn begin(&mut self, publishers: u16) -> anyhow::Result<()> {
        self.run += 1;
        ask(
            self.sink.1,
            &format!("POST /begin?run={}&publishers={publishers}", self.run),
        )
        .map(drop)
    }

    /// The sink's results for this run.
    fn report(&self, from: u64, to: u64) -> anyhow::Result<Value> {
        Ok(serde_json::from_str(&ask(
            self.sink.1,
            &format!("GET /report?from={from}&to={to}"),
        )?)?)
    }

    /// Waits until every confirmed publish has become a webhook, or until no more webhooks arrive.
    async fn drain(&self, done: &Published) -> anyhow::Result<Value> {
        let (mut received, mut since) = (0, Instant::now());
        let mut tick = tokio::time::interval(Duration::from_millis(50));
        loop {
            tick.tick().await;
            let report = self.report(0, 0)?;
            let now = report["received"].as_u64().unwrap_or(0);
            if now > received {
                (received, since) = (now, Instant::now());
            }
            if received >= done.confirmed || since.elapsed() > SILENCE {
                return Ok(report);
            }
        }
    }

    fn account(&mut self, done: &Published, report: &Value, when: &str) {
        let field = |name: &str| report[name].as_u64().unwrap_or(0);
        self.table.add(
            format!("webhooks lost {when}"),
            done.confirmed.saturating_sub(field("received")) as f64,
        );
        self.table
            .add(format!("webhooks doubled {when}"), field("doubled") as f64);
        self.table
            .add(format!("webhooks out of order {when}"), field("disordered") as f64);
    }
}

/// The mean time of writing 4 KiB and waiting until they are on the disk.
fn flush_time(dir: &Path) -> anyhow::Result<Duration> {
    const WRITES: u32 = 100;
    let mut file = std::fs::File::create(dir.join("flush"))?;
    let start = Instant::now();
    for _ in 0..WRITES {
        file.write_all(&[0; 4096])?;
        file.sync_data()?;
    }
    Ok(start.elapsed() / WRITES)
}

async fn start_sink() -> anyhow::Result<(Process, SocketAddr)> {
    let sink = Process::start(this("sink"));
    let line = sink
        .stdout
        .wait("its address", PATIENCE, |line| line.starts_with("listening on "))
        .await;
    let address = line.trim_start_matches("listening on ").parse()?;
    Ok((sink, address))
}

/// One HTTP request on its own connection. Returns the body of the answer.
fn ask(to: SocketAddr, request: &str) -> anyhow::Result<String> {
    let mut stream = std::net::TcpStream::connect(to)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "{request} HTTP/1.1\r\nhost: sink\r\n\r\n")?;
    let mut answer = Vec::new();
    let mut piece = [0; 4096];
    loop {
        let read = stream.read(&mut piece)?;
        answer.extend_from_slice(&piece[..read]);
        let text = String::from_utf8_lossy(&answer);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.rsplit(' ').next().and_then(|length| length.parse::<usize>().ok());
            if length.is_some_and(|length| body.len() >= length) {
                return Ok(body.to_owned());
            }
        }
        ensure!(read > 0, "the sink closed the connection");
    }
}
