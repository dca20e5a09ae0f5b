//! The publishers: QoS 1 over MQTT 3.1.1, implemented by hand, with many publishes in a write, on one thread.
//!
//! Without a rate each publisher keeps a window of unconfirmed publishes full. With a rate each publisher sends at its
//! scheduled time, and the stamp has the actual time.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, bail};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until, timeout};

use hookhost_tests::Version;
use hookhost_tests::packet::{Connect, Publish, kind};

use crate::stamp::{LENGTH, Stamp, now};

/// Timeout of the last confirmations.
const GRACE: Duration = Duration::from_secs(20);

/// What to publish.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Load {
    /// The broker.
    #[arg(long)]
    pub(crate) to: SocketAddr,
    /// Number of the run, for the stamps.
    #[arg(long)]
    pub(crate) run: u16,
    #[arg(long)]
    pub(crate) publishers: u16,
    /// The number of the first publisher.
    #[arg(long, default_value_t = 0)]
    pub(crate) first: u16,
    /// Bytes of a payload.
    #[arg(long)]
    pub(crate) payload: usize,
    /// Unconfirmed publishes of each publisher.
    #[arg(long)]
    pub(crate) window: u32,
    /// How long to publish.
    #[arg(long)]
    pub(crate) seconds: f64,
    /// Publishes of each publisher at most; 0: no limit.
    #[arg(long, default_value_t = 0)]
    pub(crate) count: u32,
    /// Publishes per second, all publishers together; 0: as many as are confirmed.
    #[arg(long)]
    pub(crate) rate: u32,
}

/// Publishes and prints the confirmed publishes as one line of JSON.
pub(crate) async fn publish(load: Load) -> anyhow::Result<()> {
    let mut publishers = Vec::new();
    for number in 0..load.publishers {
        publishers.push(Publisher::connect(&load, load.first + number).await?);
    }
    let start = Instant::now();
    let first = now();
    let paced = load.rate > 0;
    let run = |mut publisher: Publisher| async move {
        if paced {
            publisher.pace(start).await?
        } else {
            publisher.flood(start).await?
        }
        anyhow::Ok((publisher.sent, publisher.confirmed, publisher.last))
    };
    let running: Vec<_> = publishers
        .into_iter()
        .map(|publisher| tokio::spawn(run(publisher)))
        .collect();
    let (mut sent, mut confirmed, mut last) = (0, 0, first);
    for publisher in running {
        let done = publisher.await??;
        sent += done.0;
        confirmed += done.1;
        last = last.max(done.2);
    }
    println!(
        "{}",
        json!({ "sent": sent, "confirmed": confirmed, "first": first, "last": last })
    );
    Ok(())
}

struct Publisher {
    load: Load,
    number: u16,
    stream: TcpStream,
    topic: Vec<u8>,
    payload: Vec<u8>,
    sent: u32,
    confirmed: u32,
    /// The time of the last confirmation.
    last: u64,
    /// Bytes of an incomplete confirmation.
    input: Vec<u8>,
    output: Vec<u8>,
}

impl Publisher {
    async fn connect(load: &Load, number: u16) -> anyhow::Result<Publisher> {
        let mut stream = TcpStream::connect(load.to).await?;
        stream.set_nodelay(true)?;
        let connect = Connect {
            keep_alive: 0,
            ..Connect::new(Version::V311, &format!("bench-{number}"))
        };
        stream.write_all(&connect.encode()).await?;
        let mut connack = [0; 4];
        stream.read_exact(&mut connack).await?;
        if connack != [kind::CONNACK << 4, 2, 0, 0] {
            bail!("the broker refuses: {connack:?}");
        }
        Ok(Publisher {
            load: load.clone(),
            number,
            stream,
            topic: format!("bench/{number}").into_bytes(),
            payload: vec![b'.'; load.payload.max(LENGTH)],
            sent: 0,
            confirmed: 0,
            last: now(),
            input: Vec::with_capacity(16 << 10),
            output: Vec::new(),
        })
    }

    /// Keeps the window full until the time is over, then waits for the rest of the confirmations.
    async fn flood(&mut self, start: Instant) -> anyhow::Result<()> {
        let end = start + Duration::from_secs_f64(self.load.seconds);
        loop {
            let over = Instant::now() >= end || self.load.count > 0 && self.sent >= self.load.count;
            if over && self.confirmed == self.sent {
                return Ok(());
            }
            while !over && self.sent - self.confirmed < self.load.window {
                self.add_publish();
            }
            self.flush().await?;
            timeout(GRACE, self.read())
                .await
                .context("the broker confirms no more")??;
        }
    }

    /// Publishes at the rate until the time is over, then waits for the rest of the confirmations.
    async fn pace(&mut self, start: Instant) -> anyhow::Result<()> {
        let interval = Duration::from_secs_f64(f64::from(self.load.publishers) / f64::from(self.load.rate));
        // Publishers take turns, so that the rate is even.
        let offset = interval.mul_f64(f64::from(self.number - self.load.first) / f64::from(self.load.publishers));
        let count = (self.load.seconds / interval.as_secs_f64()) as u32;
        while self.sent < count {
            let due = start + offset + interval * self.sent;
            tokio::select! {
                () = sleep_until(due) => {
                    self.add_publish();
                    self.flush().await?;
                }
                read = self.stream.read_buf(&mut self.input) => self.confirm(read?)?,
            }
        }
        while self.confirmed < self.sent {
            timeout(GRACE, self.read())
                .await
                .context("the broker confirms no more")??;
        }
        Ok(())
    }

    fn add_publish(&mut self) {
        let stamp = Stamp {
            run: self.load.run,
            publisher: self.number,
            number: self.sent,
            sent: now(),
        };
        self.payload[..LENGTH].copy_from_slice(&stamp.bytes());
        let id = (self.sent % 65_535 + 1) as u16;
        let publish = Publish {
            topic: &self.topic,
            qos: 1,
            id,
            retain: false,
            dup: false,
            properties: &[],
            payload: &self.payload,
        };
        publish.encode_to(Version::V311, &mut self.output);
        self.sent += 1;
    }

    async fn flush(&mut self) -> anyhow::Result<()> {
        self.stream.write_all(&self.output).await?;
        self.output.clear();
        Ok(())
    }

    /// Reads the confirmations that have arrived, at least some of them.
    async fn read(&mut self) -> anyhow::Result<()> {
        let read = self.stream.read_buf(&mut self.input).await?;
        self.confirm(read)
    }

    /// Counts the confirmations among the bytes. `read` is the number of new bytes.
    fn confirm(&mut self, read: usize) -> anyhow::Result<()> {
        if read == 0 {
            bail!("the broker closed the connection");
        }
        let mut done = 0;
        while let Some(packet) = self.input.get(done..done + 4) {
            let [high, low] = ((self.confirmed % 65_535 + 1) as u16).to_be_bytes();
            if packet != [kind::PUBACK << 4, 2, high, low] {
                bail!("expected PUBACK {high} {low}, got {packet:?}");
            }
            self.confirmed += 1;
            done += 4;
        }
        self.input.drain(..done);
        self.last = now();
        Ok(())
    }
}
