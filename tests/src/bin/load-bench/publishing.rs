//! The published messages of both benches: the settings of the publishers, which run as a separate process.

use std::fmt;
use std::net::SocketAddr;

use crate::parts::{LONGEST_PART, Published, part};

/// How much is published at a time, and how often it is measured.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Publishing {
    /// Clients that publish
    #[arg(long, default_value_t = 10)]
    pub(crate) publishers: u16,
    /// The number of the first of them
    #[arg(skip)]
    pub(crate) first: u16,
    /// Bytes of each payload, at least 18
    #[arg(long, default_value_t = 64)]
    pub(crate) payload: usize,
    /// Unconfirmed publishes of each publisher; the default is that of mosquitto's clients and of paho for Python
    #[arg(long, default_value_t = 20)]
    pub(crate) window: u32,
    /// Length of each measurement: long beside the second in which the queues fill
    #[arg(long, default_value_t = 8.0)]
    pub(crate) seconds: f64,
    /// How often everything is measured
    #[arg(long, default_value_t = 3)]
    pub(crate) rounds: usize,
}

impl Publishing {
    /// Publishes for the time set; at a rate, or as fast as it goes if that is 0.
    pub(crate) async fn publish(&self, to: SocketAddr, run: u16, rate: u32) -> anyhow::Result<Published> {
        self.publish_for(to, run, rate, self.seconds, 0).await
    }

    /// Publishes as fast as it goes, about this many messages. Ends earlier after half of [`LONGEST_PART`], so that the
    /// publishers report what they have published.
    pub(crate) async fn publish_count(&self, to: SocketAddr, run: u16, count: u32) -> anyhow::Result<Published> {
        let of_each = count.div_ceil(u32::from(self.publishers.max(1)));
        let longest = LONGEST_PART / 2;
        self.publish_for(to, run, 0, longest.as_secs_f64(), of_each).await
    }

    /// The same publishers, as many parts of them as there are brokers: each part publishes to its broker, at its part of
    /// the rate.
    pub(crate) async fn publish_to_all(&self, to: &[SocketAddr], run: u16, rate: u32) -> anyhow::Result<Published> {
        let parts = u16::try_from(to.len())?;
        let publishing = (0..parts).zip(to).map(async |(part, to)| {
            let part = Publishing {
                publishers: self.publishers / parts,
                first: part * (self.publishers / parts),
                ..self.clone()
            };
            part.publish(*to, run, rate / u32::from(parts)).await
        });
        let parts = futures::future::try_join_all(publishing).await?;
        Ok(Published {
            confirmed: parts.iter().map(|part| part.confirmed).sum(),
            first: parts.iter().map(|part| part.first).min().unwrap_or(0),
            last: parts.iter().map(|part| part.last).max().unwrap_or(0),
        })
    }

    async fn publish_for(
        &self,
        to: SocketAddr,
        run: u16,
        rate: u32,
        seconds: f64,
        count: u32,
    ) -> anyhow::Result<Published> {
        part(
            "publish",
            &[
                ("to", to.to_string()),
                ("run", run.to_string()),
                ("publishers", self.publishers.to_string()),
                ("first", self.first.to_string()),
                ("payload", self.payload.to_string()),
                ("window", self.window.to_string()),
                ("seconds", seconds.to_string()),
                ("count", count.to_string()),
                ("rate", rate.to_string()),
            ],
        )
        .await
    }
}

/// The text above the table.
impl fmt::Display for Publishing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Publishing {
            publishers,
            payload,
            window,
            seconds,
            ..
        } = self;
        let processors = std::thread::available_parallelism().map_or(0, usize::from);
        write!(
            f,
            "{publishers} publishers, QoS 1, {payload} bytes, window {window}, {seconds} s each, {processors} processors"
        )
    }
}
