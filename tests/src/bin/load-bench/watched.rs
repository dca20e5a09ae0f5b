//! What it costs that somebody watches: webhooks per second without and with an open dashboard and a Prometheus.
//!
//! Both take turns on one host. The watchers are more than usual: the overview of the dashboard, its page of deliveries every
//! two seconds, `hookhost tap` for one client, and a scrape of the metrics every second.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Context;
use hookhost_tests::raise_file_limit;

use crate::rounds::{Bench, Settings, received_per_second};
use crate::table::micros;

/// Measures both in turn, and prints the table.
pub(crate) async fn run(settings: Settings) -> anyhow::Result<()> {
    raise_file_limit();
    let began = Instant::now();
    let mut bench = Bench::start(settings).await?;
    let mut host = bench.host("#", "").await;
    let admin = host.admin.context("the host has an admin API")?;
    for round in 1..=bench.settings.publishing.rounds {
        // The order changes, so that a machine that becomes slower does not favour one of them.
        let order = if round % 2 == 0 { [true, false] } else { [false, true] };
        for is_watched in order {
            let watchers = is_watched.then(|| Watchers::start(admin));
            let name = if is_watched { "watched" } else { "not watched" };
            bench.begin(bench.settings.publishing.publishers)?;
            let before = host.process.cpu_time();
            let done = bench.publish(host.address, 0).await?;
            let report = bench.drain(&done).await?;
            let time = host.process.cpu_time() - before;
            let received = report["received"].as_u64().unwrap_or(0);
            let table = &mut bench.table;
            table.add(format!("{name}: webhooks/s"), received_per_second(&done, &report));
            table.add(format!("{name}: processor µs per webhook"), micros(time, received));
            if let Some(watchers) = watchers {
                table.add("watched: answers read, kB", watchers.stop() as f64 / 1e3);
            }
        }
    }
    host.stop().await;
    bench.print(began.elapsed());
    Ok(())
}

/// Threads that read from the admin API.
struct Watchers {
    is_over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<u64>>,
}

impl Watchers {
    fn start(admin: SocketAddr) -> Watchers {
        let is_over = Arc::new(AtomicBool::new(false));
        let streams = ["/api/v1/overview/stream", "/api/v1/tap?client=absent"];
        let followed = streams.map(|path| {
            let is_over = Arc::clone(&is_over);
            std::thread::spawn(move || follow(admin, path, &is_over))
        });
        let asked = [
            ("/metrics", Duration::from_secs(1)),
            ("/api/v1/deliveries?limit=200", Duration::from_secs(2)),
        ];
        let asked = asked.map(|(path, pause)| {
            let is_over = Arc::clone(&is_over);
            std::thread::spawn(move || repeat(admin, path, pause, &is_over))
        });
        Watchers {
            is_over,
            threads: followed.into_iter().chain(asked).collect(),
        }
    }

    /// Ends them. Returns the bytes that they have read.
    fn stop(self) -> u64 {
        self.is_over.store(true, Ordering::Relaxed);
        self.threads
            .into_iter()
            .map(|thread| thread.join().expect("it has read"))
            .sum()
    }
}

/// Reads a stream until it is over. Returns its bytes.
fn follow(admin: SocketAddr, path: &str, is_over: &AtomicBool) -> u64 {
    let mut stream = TcpStream::connect(admin).expect("the host accepts");
    stream
        .set_read_timeout(Some(Duration::from_millis(100)))
        .expect("a timeout");
    write!(stream, "GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n").expect("the host reads");
    let (mut bytes, mut part) = (0, [0; 64 << 10]);
    while !is_over.load(Ordering::Relaxed) {
        match stream.read(&mut part) {
            Ok(0) => break,
            Ok(read) => bytes += read as u64,
            Err(_) => {}
        }
    }
    bytes
}

/// Asks again after each pause. Returns the bytes of the answers.
fn repeat(admin: SocketAddr, path: &str, pause: Duration, is_over: &AtomicBool) -> u64 {
    let mut bytes = 0;
    let mut next = Instant::now();
    while !is_over.load(Ordering::Relaxed) {
        if Instant::now() >= next {
            bytes += read_whole(admin, path).expect("the host answers");
            next += pause;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    bytes
}

/// Reads one answer. Returns its bytes.
fn read_whole(admin: SocketAddr, path: &str) -> std::io::Result<u64> {
    let mut stream = TcpStream::connect(admin)?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
    )?;
    std::io::copy(&mut stream, &mut std::io::sink())
}
