//! Connections: many that stay, and how fast they come and go.

use std::time::{Duration, Instant};

use hookhost_tests::packet;

use super::broker::Broker;
use super::link::{Link, Transport};

/// Connections that are opened at a time.
const AT_ONCE: usize = 100;
/// Clients that connect and disconnect again and again.
const LOOPS: u16 = 32;
/// Clients from one source address.
const PER_SOURCE: usize = 1000;

/// Clients that connect and stay.
pub(super) async fn crowd(broker: &Broker, count: usize) -> anyhow::Result<Vec<Link>> {
    let mut links = Vec::with_capacity(count);
    while links.len() < count {
        let first = links.len();
        let opening: Vec<_> = (first..count.min(first + AT_ONCE))
            .map(|number| {
                let transport = broker.tcp();
                let source = u16::try_from(number / PER_SOURCE + 1).unwrap_or(u16::MAX);
                tokio::spawn(async move { Link::open(&transport, source, &format!("crowd-{number}"), None).await })
            })
            .collect();
        for link in opening {
            links.push(link.await??);
        }
    }
    Ok(links)
}

/// Connections per second that get CONNACK, each followed by DISCONNECT.
pub(super) async fn rate(
    transport: Transport,
    time: Duration,
    user: Option<(&'static str, &'static str)>,
) -> anyhow::Result<f64> {
    let start = Instant::now();
    let loops: Vec<_> = (0..LOOPS)
        .map(|number| {
            let transport = transport.clone();
            tokio::spawn(async move {
                let (mut done, id) = (0_u32, format!("loop-{number}"));
                while start.elapsed() < time {
                    // Another source address each time: no connection waits for the ports of earlier ones.
                    let source = (number + 1) * 256 + 1 + (done % 250) as u16;
                    let mut link = Link::open(&transport, source, &id, user).await?;
                    link.send(packet::disconnect()).await?;
                    done += 1;
                }
                anyhow::Ok(done)
            })
        })
        .collect();
    let mut connects = 0;
    for looping in loops {
        connects += looping.await??;
    }
    Ok(f64::from(connects) / start.elapsed().as_secs_f64())
}
