//! One publish to many subscribers, many publishers to one, and a subscriber that does not read beside one that does.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use hookhost_tests::Version;
use hookhost_tests::packet::{self, kind};
use tokio::time::interval;

use super::broker::Broker;
use super::connecting::crowd;
use super::link::Link;

/// Messages of one measurement of latency, one per millisecond.
const MESSAGES: usize = 2000;
/// Bytes of each: a subscriber that does not read fills its buffers soon.
const PAYLOAD: [u8; 4096] = [b'.'; 4096];

/// The time from a publish until the last subscriber has it.
pub(super) async fn one_to_many(broker: &Broker, count: usize) -> anyhow::Result<Duration> {
    let mut subscribers = crowd(broker, count).await?;
    for subscriber in &mut subscribers {
        subscriber.subscribe("fan/out").await?;
    }
    let mut publisher = Link::open(&broker.tcp(), 1, "fan-out", None).await?;
    let receiving: Vec<_> = subscribers
        .into_iter()
        .map(|mut link| tokio::spawn(async move { link.receive().await }))
        .collect();
    let start = Instant::now();
    publisher
        .send(packet::publish(Version::V311, "fan/out", 0, 0, b"to all"))
        .await?;
    for received in receiving {
        ensure!(received.await??.kind() == kind::PUBLISH, "not a PUBLISH");
    }
    Ok(start.elapsed())
}

/// Messages per second to one subscriber when many clients publish one each.
pub(super) async fn many_to_one(broker: &Broker, count: usize) -> anyhow::Result<f64> {
    let mut subscriber = Link::open(&broker.tcp(), 1, "fan-in", None).await?;
    subscriber.subscribe("fan/in").await?;
    let mut publishers = crowd(broker, count).await?;
    let start = Instant::now();
    let publishing = tokio::spawn(async move {
        for publisher in &mut publishers {
            publisher
                .send(packet::publish(Version::V311, "fan/in", 0, 0, b"one"))
                .await?;
        }
        anyhow::Ok(publishers)
    });
    for _ in 0..count {
        ensure!(subscriber.receive().await?.kind() == kind::PUBLISH, "not a PUBLISH");
    }
    let took = start.elapsed();
    drop(publishing.await??);
    Ok(count as f64 / took.as_secs_f64())
}

/// The 99th percentile of the time from publish to a subscriber that reads, while another one may not read.
pub(super) async fn beside(broker: &Broker, slow: bool) -> anyhow::Result<Duration> {
    let slow = match slow {
        false => None,
        true => {
            let mut link = Link::open(&broker.tcp(), 1, "slow", None).await?;
            link.subscribe("beside").await?;
            Some(link)
        }
    };
    let mut fast = Link::open(&broker.tcp(), 1, "fast", None).await?;
    fast.subscribe("beside").await?;
    let mut publisher = Link::open(&broker.tcp(), 1, "beside", None).await?;
    let mut tick = interval(Duration::from_millis(1));
    let mut times = Vec::with_capacity(MESSAGES);
    for _ in 0..MESSAGES {
        tick.tick().await;
        let start = Instant::now();
        publisher
            .send(packet::publish(Version::V311, "beside", 0, 0, &PAYLOAD))
            .await?;
        ensure!(fast.receive().await?.kind() == kind::PUBLISH, "not a PUBLISH");
        times.push(start.elapsed());
    }
    drop(slow);
    times.sort();
    times.get(times.len() * 99 / 100).copied().context("no messages")
}
