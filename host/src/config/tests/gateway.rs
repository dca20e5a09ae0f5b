//! The gateway as engine.

use super::*;

#[test]
fn a_gateway() {
    use crate::engine::EngineSettings;
    use hookhost_gateway::{Balance, GatewaySettings, Publishers};
    assert_eq!(config(&Inputs::default()).broker, EngineSettings::Rmqtt);
    let text = "[broker]\nengine = \"gateway\"\nupstream = \"mqtt://a mqtts://b:1\"\nca = \"ca.pem\"\nproxy_protocol = true\n\
         balance = \"client-id\"\ndrain_timeout = \"5m\"";
    let EngineSettings::Gateway(gateway) = config(&inputs(text)).broker else {
        panic!("a gateway")
    };
    let upstreams: Vec<_> = gateway.upstreams.list.iter().map(ToString::to_string).collect();
    assert_eq!(upstreams, ["mqtt://a:1883", "mqtts://b:1"]);
    assert_eq!(gateway.tls.ca.as_deref(), Some(std::path::Path::new("ca.pem")));
    assert!(gateway.proxy_protocol && !gateway.sees_all_clients);
    assert_eq!(gateway.upstreams.balance, Balance::ClientId);
    assert_eq!(gateway.upstreams.drain_timeout, std::time::Duration::from_secs(300));
    assert_eq!(gateway.publishers, Publishers::Content);
    assert_eq!(
        config(&inputs("[broker]\nengine = \"gateway\"\nupstream = \"rumqttd\"")).broker,
        EngineSettings::Gateway(GatewaySettings::rumqttd())
    );
    let inputs = Inputs {
        environment: environment(&[
            ("HOOKHOST_BROKER__ENGINE", "gateway"),
            ("HOOKHOST_BROKER__UPSTREAM", "mqtt://a mqtt://b"),
            ("HOOKHOST_BROKER__PUBLISHERS", "unknown"),
        ]),
        ..Inputs::default()
    };
    let by_property = "[broker]\nengine = \"gateway\"\nupstream = \"rumqttd\"\npublishers = \"user-property\"";
    let expected = GatewaySettings {
        publishers: Publishers::UserProperty,
        ..GatewaySettings::rumqttd()
    };
    assert_eq!(
        config(&self::inputs(by_property)).broker,
        EngineSettings::Gateway(expected)
    );
    let expected = GatewaySettings {
        publishers: Publishers::Unknown,
        ..GatewaySettings::new(vec!["mqtt://a".parse().unwrap(), "mqtt://b".parse().unwrap()])
    };
    assert_eq!(config(&inputs).broker, EngineSettings::Gateway(expected));
}

#[test]
fn mistakes_about_a_gateway() {
    for (text, problem) in [
        (
            "engine = \"emqx\"",
            &["f:2: broker.engine: should be \"rmqtt\" or \"gateway\""][..],
        ),
        (
            "engine = \"gateway\"",
            &["f:2: broker.engine: needs broker.upstream: the address of a broker, mqtt://HOST:PORT, or rumqttd"],
        ),
        (
            "upstream = \"mqtt://a\"",
            &["f:2: broker.upstream: is for broker.engine = \"gateway\" only"],
        ),
        (
            "engine = \"gateway\"\nupstream = []",
            &["f:3: broker.upstream: should name at least one broker: mqtt://HOST:PORT, or rumqttd"],
        ),
        (
            "engine = \"gateway\"\nupstream = [\"a:1883\", \"mqtt://u:secret@a\", 5]\nkey = \"k\"",
            &[
                "f:3: broker.upstream[0]: should be mqtt://HOST:PORT or mqtts://HOST:PORT",
                "f:3: broker.upstream[1]: should hold no user name: each client shows the upstream its own",
                "f:3: broker.upstream[2]: should be a string, not an integer",
                "f:4: broker.key: needs broker.certificate beside it",
            ],
        ),
        (
            "engine = \"gateway\"\nupstream = [\"mqtt://a\", \"mqtt://b\", \"mqtt://a:1883\"]\nbalance = \"random\"",
            &[
                "f:3: broker.upstream: names mqtt://a:1883 more than once",
                "f:4: broker.balance: should be \"round-robin\" or \"least-connections\" or \"client-id\" or \"failover\"",
            ],
        ),
        (
            "engine = \"gateway\"\nupstream = \"rumqttd mqtt://a\"",
            &["f:3: broker.upstream: should name rumqttd alone or other brokers alone"],
        ),
        (
            "engine = \"gateway\"\nupstream = \"mqtt://a\"\nupsteam = 1\nconnect_timeout = \"0s\"",
            &[
                "f:4: broker.upsteam: unknown key; the nearest known one is broker.upstream",
                "f:5: broker.connect_timeout: should be between 1ms and 1h",
            ],
        ),
    ] {
        assert_eq!(problems(&inputs(&format!("[broker]\n{text}"))), problem, "{text}");
    }
}
