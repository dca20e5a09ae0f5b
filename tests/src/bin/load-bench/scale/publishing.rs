//! Publishes with QoS 1 over connections that stay open.

use std::time::{Duration, Instant};

use anyhow::ensure;
use hookhost_tests::Version;
use hookhost_tests::packet::{Publish, kind};

use super::link::{Link, Transport};

const PUBLISHERS: u16 = 10;
/// Unacknowledged publishes of each.
const WINDOW: u16 = 20;
const PAYLOAD: [u8; 64] = [b'.'; 64];

/// Acknowledged publishes per second of ten clients.
pub(super) async fn rate(transport: &Transport, time: Duration) -> anyhow::Result<f64> {
    let mut links = Vec::new();
    for number in 0..PUBLISHERS {
        links.push(Link::open(transport, 1, &format!("publisher-{number}"), None).await?);
    }
    let start = Instant::now();
    let publishing: Vec<_> = links
        .into_iter()
        .enumerate()
        .map(|(number, link)| tokio::spawn(publish(link, format!("bench/{number}"), start, time)))
        .collect();
    let mut acknowledged = 0;
    for publisher in publishing {
        acknowledged += publisher.await??;
    }
    Ok(acknowledged as f64 / start.elapsed().as_secs_f64())
}

/// Keeps a window of publishes full for a time; returns the acknowledged ones.
async fn publish(mut link: Link, topic: String, start: Instant, time: Duration) -> anyhow::Result<u64> {
    let (mut acknowledged, mut free, mut id) = (0, WINDOW, 0_u16);
    loop {
        let is_over = start.elapsed() >= time;
        if is_over && free == WINDOW {
            return Ok(acknowledged);
        }
        let mut packets = Vec::new();
        while free > 0 && !is_over {
            id = id % u16::MAX + 1;
            free -= 1;
            let publish = Publish {
                topic: topic.as_bytes(),
                qos: 1,
                id,
                retain: false,
                dup: false,
                properties: &[],
                payload: &PAYLOAD,
            };
            publish.encode_to(Version::V311, &mut packets);
        }
        if !packets.is_empty() {
            link.send(packets).await?;
        }
        let mut next = Some(link.receive().await?);
        while let Some(packet) = next {
            ensure!(packet.kind() == kind::PUBACK, "{packet:?}");
            (acknowledged, free) = (acknowledged + 1, free + 1);
            next = link.received();
        }
    }
}
