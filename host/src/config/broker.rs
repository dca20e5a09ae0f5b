//! `[broker]`: the engine that makes events, and the upstream of a gateway.

use std::cell::Cell;
use std::time::Duration;

use crate::engine::EngineSettings;
use hookhost_gateway::{Balance, GatewaySettings, HAS_RUMQTTD, Publishers, Upstream, UpstreamSettings, UpstreamTls};
use hookhost_settings::Section;

#[derive(Clone, Copy, PartialEq)]
enum Engine {
    Rmqtt,
    Gateway,
}

/// Keys that only a gateway has.
const OF_GATEWAY: [&str; 12] = [
    "upstream",
    "balance",
    "drain_timeout",
    "connect_timeout",
    "response_timeout",
    "proxy_protocol",
    "ca",
    "certificate",
    "key",
    "server_name",
    "publishers",
    "sees_all_clients",
];

pub(super) fn read(mut at: Section<'_>) -> EngineSettings {
    let engine = at.choice(
        "engine",
        Engine::Rmqtt,
        &[("rmqtt", Engine::Rmqtt), ("gateway", Engine::Gateway)],
    );
    let settings = gateway(&mut at);
    match engine {
        Engine::Gateway => {
            if settings.upstreams.list.is_empty() && !at.is_given("upstream") {
                at.problem_of(
                    "engine",
                    "needs broker.upstream: the address of a broker, mqtt://HOST:PORT, or rumqttd",
                );
            }
            EngineSettings::Gateway(settings)
        }
        Engine::Rmqtt => {
            for key in OF_GATEWAY {
                at.problem_of(key, "is for broker.engine = \"gateway\" only");
            }
            EngineSettings::Rmqtt
        }
    }
}

fn gateway(at: &mut Section<'_>) -> GatewaySettings {
    let d = GatewaySettings::new(Vec::new());
    let hour = Duration::from_secs(3600);
    let (given, in_process) = (Cell::new(0), Cell::new(false));
    let list = match at.texts("upstream", |text| {
        given.set(given.get() + 1);
        in_process.set(in_process.get() || text.trim() == "rumqttd");
        match text.trim() {
            "rumqttd" if !HAS_RUMQTTD => Err(
                "asks for rumqttd, which this build does not have: name a broker, mqtt://HOST:PORT, or build hookhost with the feature rumqttd"
                    .to_owned(),
            ),
            "rumqttd" => Ok(None),
            text => text.parse::<Upstream>().map(Some),
        }
    }) {
        Some((place, list)) => {
            if given.get() == 0 {
                at.problem(place.problem("should name at least one broker: mqtt://HOST:PORT, or rumqttd"));
            } else if in_process.get() && given.get() > 1 {
                at.problem(place.problem("should name rumqttd alone or other brokers alone"));
            }
            let list: Vec<Upstream> = list.into_iter().flatten().collect();
            for (index, upstream) in list.iter().enumerate() {
                if list.iter().take(index).any(|earlier| earlier == upstream) {
                    at.problem(place.problem(format!("names {upstream} more than once")));
                }
            }
            list
        }
        None => Vec::new(),
    };
    let settings = GatewaySettings {
        upstreams: UpstreamSettings {
            list,
            balance: at.choice(
                "balance",
                d.upstreams.balance,
                &[
                    ("round-robin", Balance::RoundRobin),
                    ("least-connections", Balance::LeastConnections),
                    ("client-id", Balance::ClientId),
                    ("failover", Balance::Failover),
                ],
            ),
            drain_timeout: at.duration("drain_timeout", d.upstreams.drain_timeout, Duration::ZERO..=hour),
        },
        connect_timeout: at.duration("connect_timeout", d.connect_timeout, Duration::from_millis(1)..=hour),
        response_timeout: at.duration("response_timeout", d.response_timeout, Duration::ZERO..=hour),
        proxy_protocol: at.boolean("proxy_protocol", d.proxy_protocol),
        tls: UpstreamTls {
            ca: at.path("ca"),
            certificate: at.path("certificate"),
            key: at.path("key"),
            server_name: at.text("server_name", None, |text| match text {
                "" => Err("is empty".to_owned()),
                text => Ok(Some(text.to_owned())),
            }),
        },
        publishers: at.choice(
            "publishers",
            d.publishers,
            &[
                ("content", Publishers::Content),
                ("user-property", Publishers::UserProperty),
                ("unknown", Publishers::Unknown),
            ],
        ),
        sees_all_clients: at.boolean("sees_all_clients", d.sees_all_clients),
    };
    match (&settings.tls.certificate, &settings.tls.key) {
        (Some(_), None) => at.problem_of("certificate", "needs broker.key beside it"),
        (None, Some(_)) => at.problem_of("key", "needs broker.certificate beside it"),
        _ => {}
    }
    settings
}
