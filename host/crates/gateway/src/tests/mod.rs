//! The gateway with real sockets: in front of RMQTT, which is started bare for it, and in front of upstreams that
//! misbehave.

mod durable;
mod equal;
mod fake;
mod passing;
mod plain;
mod publisher_property;
#[cfg(feature = "rumqttd")]
mod rumqttd;
mod tls;
mod trouble;
mod versions;

use std::net::SocketAddr;
use std::sync::Arc;

use super::settings::{GatewaySettings, Upstream};
use super::upstream::UpstreamControl;
use hookhost_broker::{Limits, Running, start};
use hookhost_event::{Detail, Event, Hook};
use hookhost_testing::client;
use hookhost_testing::engine::{DEADLINE, Host, line, settings, settings_at};

/// A gateway and the broker behind it.
struct Pair {
    upstream: Running,
    host: Host,
}

impl Pair {
    /// RMQTT behind a gateway, both with their defaults.
    async fn start() -> Pair {
        Pair::with(Limits::default(), |_| {}).await
    }

    /// The same with other limits for both and other settings for the gateway.
    async fn with(limits: Limits, change: impl FnOnce(&mut GatewaySettings)) -> Pair {
        let upstream = start(&settings(limits.clone()), None).await.unwrap();
        let mut gateway = GatewaySettings::new(vec![at(upstream.address())]);
        change(&mut gateway);
        let host = through(limits, gateway).await;
        Pair { upstream, host }
    }

    fn address(&self) -> SocketAddr {
        self.host.address()
    }
}

/// A gateway on a free port, and interest in everything.
async fn through(limits: Limits, gateway: GatewaySettings) -> Host {
    let settings = settings(limits);
    Host::with(&Hook::ALL, async |bus| {
        crate::start(
            &settings,
            &gateway,
            &UpstreamControl::new(gateway.upstreams.clone()),
            Some(bus),
        )
        .await
    })
    .await
}

/// The address as that of an upstream.
fn at(address: SocketAddr) -> Upstream {
    Upstream {
        tls: false,
        host: address.ip().to_string(),
        port: address.port(),
    }
}

/// Lines of the events about one client, in their order.
fn lines_of(events: &[Arc<Event>], client: &str) -> Vec<String> {
    events
        .iter()
        .filter(|event| event.detail.client().is_some_and(|of| of.id == *client))
        .map(|event| line(event))
        .collect()
}
