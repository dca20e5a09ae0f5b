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

use crate::parts::{Published, this};
use crate::publishing::Publishing;
use crate::table::Table;

/// How long the sink may be silent before missing webhooks count as lost.
const SILENCE: Duration = Duration::from_secs(3);

/// What to measure.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Settings {
    #[command(flatten)]
    pub(crate) publishing: Publishing,
    /// Publishes a second at which latency is measured
    #[arg(long, value_delimiter = ',', default_values_t = [1000, 5000])]
    pub(crate) rates: Vec<u32>,
    /// What the host does with an event for which there is no room: drop or wait
    #[arg(long, default_value = "wait")]
    overflow: String,
    /// Requests that wait on disk before the receiver takes them
    #[arg(long, default_value_t = 1_000_000)]
    pub(crate) backlog: u32,
    /// In how many rounds the backlog is measured, which takes minutes
    #[arg(long, default_value_t = 1)]
    backlog_rounds: usize,
    /// Niceness of the threads that modules run in, by default the host's: more lets more publishes through, and more
    /// events are dropped
    #[arg(long)]
    nice: Option<u8>,
}

/// Measures everything and prints the table.
pub(crate) async fn run(settings: Settings) -> anyhow::Result<()> {
    raise_file_limit();
    let began = Instant::now();
    let mut bench = Bench::start(settings).await?;
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
        bench.batches().await?;
        bench.on_disk().await?;
        bench.everything_is_durable().await?;
        if round <= bench.settings.backlog_rounds {
            bench.backlog().await?;
        }
    }
    bench.print(began.elapsed());
    Ok(())
}

/// The running bench.
pub(crate) struct Bench {
    pub(crate) settings: Settings,
    pub(crate) sink: (Process, SocketAddr),
    pub(crate) run: u16,
    pub(crate) table: Table,
}

impl Bench {
    /// Starts the sink.
    pub(crate) async fn start(settings: Settings) -> anyhow::Result<Bench> {
        Ok(Bench {
            sink: start_sink().await?,
            settings,
            run: 0,
            table: Table::default(),
        })
    }

    /// Prints the settings and the table.
    pub(crate) fn print(&self, took: Duration) {
        let Settings {
            publishing,
            overflow,
            nice,
            ..
        } = &self.settings;
        let nice = nice.map_or(String::new(), |nice| format!(", niceness of modules: {nice}"));
        println!("{publishing}, overflow: {overflow}{nice}, took {took:.0?}\n");
        print!("{}", self.table);
    }

    /// A host with one rule, for the publishes on a topic filter, and further keys of that rule.
    pub(crate) async fn host(&self, topics: &str, rest: &str) -> Host {
        let config = format!(
            "{}[webhook]\nurls = [\"http://{}/hook\"]\n\
             rule.message_publish = [{{ action = \"message_publish\", topics = [{topics:?}]{rest} }}]\n",
            self.common(),
            self.sink.1
        );
        Setup::new().config(&config).start().await
    }

    /// A host that keeps its requests in `data`, with these keys in `[webhook]`.
    pub(crate) async fn host_on_disk(&self, data: &Path, webhook: &str) -> Host {
        let config = format!(
            "{}[data]\ndir = {data:?}\n[delivery]\nretry_max_elapsed_time = \"1h\"\n[webhook]\nurls = [\"http://{}/hook\"]\n{webhook}\
             rule.message_publish = [{{ action = \"message_publish\" }}]\n",
            self.common(),
            self.sink.1
        );
        Setup::new().config(&config).start().await
    }

    /// The settings that all hosts have.
    pub(crate) fn common(&self) -> String {
        let nice = self.settings.nice;
        let nice = nice.map_or(String::new(), |nice| format!("[wasm]\nnice = {nice}\n"));
        format!("[hooks]\noverflow = {:?}\n{nice}", self.settings.overflow)
    }

    /// Publishes for the time set; at a rate, or as fast as it goes if that is 0.
    pub(crate) async fn publish(&self, to: SocketAddr, rate: u32) -> anyhow::Result<Published> {
        self.settings.publishing.publish(to, self.run, rate).await
    }

    /// Starts a new run in the sink's records.
    pub(crate) fn begin(&mut self, publishers: u16) -> anyhow::Result<()> {
        self.run += 1;
        ask(
            self.sink.1,
            &format!("POST /begin?run={}&publishers={publishers}", self.run),
        )
        .map(drop)
    }

    /// The sink's results for this run.
    pub(crate) fn report(&self, from: u64, to: u64) -> anyhow::Result<Value> {
        Ok(serde_json::from_str(&ask(
            self.sink.1,
            &format!("GET /report?from={from}&to={to}"),
        )?)?)
    }

    /// Waits until every confirmed publish has become a webhook, or until no more webhooks arrive.
    pub(crate) async fn drain(&self, done: &Published) -> anyhow::Result<Value> {
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

    pub(crate) fn account(&mut self, done: &Published, report: &Value, when: &str) {
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

/// Webhooks per second, from the first publish to the last webhook.
pub(crate) fn received_per_second(done: &Published, report: &Value) -> f64 {
    let field = |name: &str| report[name].as_u64().unwrap_or(0);
    let nanoseconds = field("last").saturating_sub(done.first).max(1);
    field("received") as f64 * 1e9 / nanoseconds as f64
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
pub(crate) fn ask(to: SocketAddr, request: &str) -> anyhow::Result<String> {
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
