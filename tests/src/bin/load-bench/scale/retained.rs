//! Many retained messages.

use std::time::Instant;

use anyhow::ensure;
use hookhost_tests::Version;
use hookhost_tests::packet::{Publish, kind};

use super::broker::Broker;
use super::link::Link;

/// Unacknowledged publishes.
const WINDOW: usize = 100;

/// Stores this number of retained messages; returns messages per second.
pub(super) async fn store(broker: &Broker, count: usize) -> anyhow::Result<f64> {
    let mut link = Link::open(&broker.tcp(), 1, "keeper", None).await?;
    let start = Instant::now();
    let (mut sent, mut acknowledged) = (0, 0);
    while acknowledged < count {
        let mut packets = Vec::new();
        while sent < count && sent - acknowledged < WINDOW {
            let topic = format!("retained/{}/{sent}", sent / 1000);
            let publish = Publish {
                topic: topic.as_bytes(),
                qos: 1,
                id: (sent % usize::from(u16::MAX) + 1) as u16,
                retain: true,
                dup: false,
                properties: &[],
                payload: b"{\"temperature\":21.5}",
            };
            publish.encode_to(Version::V311, &mut packets);
            sent += 1;
        }
        if !packets.is_empty() {
            link.send(packets).await?;
        }
        let mut next = Some(link.receive().await?);
        while let Some(packet) = next {
            ensure!(packet.kind() == kind::PUBACK, "{packet:?}");
            acknowledged += 1;
            next = link.received();
        }
    }
    Ok(count as f64 / start.elapsed().as_secs_f64())
}

/// Subscribes to all of them; returns messages per second.
pub(super) async fn fetch(broker: &Broker, count: usize) -> anyhow::Result<f64> {
    let mut link = Link::open(&broker.tcp(), 1, "reader", None).await?;
    let start = Instant::now();
    link.subscribe("retained/#").await?;
    for _ in 0..count {
        ensure!(link.receive().await?.kind() == kind::PUBLISH, "not a PUBLISH");
    }
    Ok(count as f64 / start.elapsed().as_secs_f64())
}
