//! The scenarios with a data folder.

use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::ensure;
use hookhost_tests::PATIENCE;
use hookhost_tests::host::Host;
use hookhost_tests::process::Process;

use crate::rounds::{Bench, ask, received_per_second};
use crate::table::{megabytes, micros};

/// The rate at which latency is measured.
const RATE: u32 = 5000;

impl Bench {
    /// Requests on disk with the default commit, as fast as it goes and at a rate.
    pub(crate) async fn on_disk(&mut self) -> anyhow::Result<()> {
        let data = tempfile::tempdir()?;
        let mut host = self.host_on_disk(data.path(), "").await;
        self.begin(self.settings.publishing.publishers)?;
        let done = self.publish(host.address, RATE).await?;
        let report = self.drain(&done).await?;
        let p99 = report["p99"].as_f64().unwrap_or(f64::NAN) / 1000.0;
        self.table.add(format!("on disk: latency at {RATE}/s, p99 ms"), p99);
        self.account(&done, &report, &format!("on disk at {RATE}/s"));
        self.begin(self.settings.publishing.publishers)?;
        let before = (host.process.cpu_time(), written(&host.process));
        let done = self.publish(host.address, 0).await?;
        let report = self.drain(&done).await?;
        let field = |name: &str| report[name].as_u64().unwrap_or(0);
        self.table.add("on disk: publishes/s", done.per_second());
        self.table.add(
            "on disk: webhooks/s, first publish to last webhook",
            received_per_second(&done, &report),
        );
        self.table.add(
            "on disk: processor µs per webhook",
            micros(host.process.cpu_time() - before.0, field("received")),
        );
        self.table.add(
            "on disk: bytes written per byte of the requests",
            (written(&host.process) - before.1) as f64 / field("bytes").max(1) as f64,
        );
        self.account(&done, &report, "on disk at full speed");
        self.table
            .add("on disk: highest memory, MB", megabytes(host.process.memory("VmHWM")));
        self.table
            .add("on disk: memory afterwards, MB", megabytes(host.resident()));
        host.stop().await;
        Ok(())
    }

    /// Publishes that are acknowledged when their requests are on disk.
    pub(crate) async fn everything_is_durable(&mut self) -> anyhow::Result<()> {
        let data = tempfile::tempdir()?;
        let flush = flush_time(data.path())?;
        self.table
            .add("durable: time of one fsync, µs", flush.as_secs_f64() * 1e6);
        let mut host = self.host_on_disk(data.path(), "acknowledge = \"durable\"\n").await;
        self.begin(self.settings.publishing.publishers)?;
        let done = self.publish(host.address, 0).await?;
        let report = self.drain(&done).await?;
        self.table.add("durable: publishes/s", done.per_second());
        self.account(&done, &report, "durable");
        host.stop().await;
        Ok(())
    }

    /// Many requests wait on disk for a receiver that refuses them. The host ends without warning and starts again, and
    /// then the receiver takes them.
    pub(crate) async fn backlog(&mut self) -> anyhow::Result<()> {
        let data = tempfile::tempdir()?;
        let count = self.settings.backlog;
        let mut host = self.host_on_disk(data.path(), "").await;
        self.begin(self.settings.publishing.publishers)?;
        self.answer(503)?;
        let before = written(&host.process);
        let publishing = &self.settings.publishing;
        let done = publishing.publish_count(host.address, self.run, count).await?;
        self.table
            .add("backlog: publishes/s while the receiver is down", done.per_second());
        let waiting = until_waiting(&host, done.confirmed).await;
        self.table.add("backlog: requests that wait", waiting as f64);
        until_written(&host.process).await;
        self.table.add("backlog: memory, MB", megabytes(host.resident()));
        self.table
            .add("backlog: highest memory, MB", megabytes(host.process.memory("VmHWM")));
        let in_file = file_bytes(&data.path().join("outbox.redb"))? as f64;
        let written_bytes = (written(&host.process) - before) as f64;
        host.process.signal(rustix::process::Signal::KILL);
        host.process.wait(PATIENCE).await;
        drop(host);
        self.answer(200)?;
        let start = Instant::now();
        let mut host = self.host_on_disk(data.path(), "").await;
        self.table
            .add("backlog: start until ready, s", start.elapsed().as_secs_f64());
        let mut tick = tokio::time::interval(Duration::from_millis(5));
        while self.report(0, 0)?["requests"].as_u64().unwrap_or(0) == 0 {
            tick.tick().await;
            ensure!(start.elapsed() < PATIENCE, "no request after the restart");
        }
        self.table
            .add("backlog: start to first request, s", start.elapsed().as_secs_f64());
        let report = self.drain(&done).await?;
        let field = |name: &str| report[name].as_u64().unwrap_or(0);
        self.table.add(
            "backlog: webhooks/s afterwards",
            field("received") as f64 * 1e9 / field("last").saturating_sub(field("first")).max(1) as f64,
        );
        let bytes = field("bytes").max(1) as f64;
        self.table
            .add("backlog: bytes written per byte of the requests", written_bytes / bytes);
        self.table
            .add("backlog: size of the file per byte of the requests", in_file / bytes);
        self.account(&done, &report, "of the backlog");
        self.table.add(
            "backlog: highest memory after the restart, MB",
            megabytes(host.process.memory("VmHWM")),
        );
        self.table
            .add("backlog: memory afterwards, MB", megabytes(host.resident()));
        host.stop().await;
        Ok(())
    }

    /// The status of the receiver's answers from now on.
    fn answer(&self, status: u16) -> anyhow::Result<()> {
        ask(self.sink.1, &format!("POST /answer?status={status}")).map(drop)
    }
}

/// Waits until this number of requests waits in a host. Returns how many do, also if there are fewer in the end: the
/// table shows the number, and one missing request should not cost the rows of the other scenarios.
async fn until_waiting(host: &Host, wanted: u64) -> u64 {
    let deadline = Instant::now() + PATIENCE;
    let mut tick = tokio::time::interval(Duration::from_millis(50));
    loop {
        tick.tick().await;
        let waiting = host.waiting_requests().await;
        if waiting >= wanted {
            return waiting;
        }
        if Instant::now() >= deadline {
            eprintln!("backlog: only {waiting} of {wanted} requests wait");
            return waiting;
        }
    }
}

/// Waits until a process writes no more: the commit with the last requests has ended.
async fn until_written(process: &Process) {
    let deadline = Instant::now() + PATIENCE;
    let mut tick = tokio::time::interval(Duration::from_millis(50));
    let (mut last, mut same) = (0, 0);
    while same < 10 && Instant::now() < deadline {
        tick.tick().await;
        let now = written(process);
        same = if now == last { same + 1 } else { 0 };
        last = now;
    }
}

/// The bytes that a process has caused to be written to the disk.
pub(crate) fn written(process: &Process) -> u64 {
    let io = std::fs::read_to_string(format!("/proc/{}/io", process.id())).unwrap_or_default();
    let line = io.lines().find_map(|line| line.strip_prefix("write_bytes: "));
    line.and_then(|number| number.trim().parse().ok()).unwrap_or(0)
}

/// The space that a file takes on the disk.
fn file_bytes(path: &Path) -> anyhow::Result<u64> {
    use std::os::unix::fs::MetadataExt;
    Ok(std::fs::metadata(path)?.blocks() * 512)
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
