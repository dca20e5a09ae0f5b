//! The broker and its clients through the admin API.

use std::net::SocketAddr;

use hookhost_tests::client::{Client, Options};
use hookhost_tests::host::Setup;
use hookhost_tests::raw::Raw;
use hookhost_tests::{PATIENCE, Version};
use serde_json::json;

use crate::ask;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_broker_says_how_it_is_doing() {
    let host = Setup::new().start().await;
    let persistent = Options::persistent(Version::V311, "away");
    Client::open(host.address, persistent).await.disconnect().await;
    let _here = Raw::client(host.address, Version::V5, "here").await;
    let listeners =
        |address: SocketAddr| json!([{"name": "tcp:default", "kind": "tcp", "address": address.to_string()}]);
    let expected = json!({
        "engine": "rmqtt", "listen": host.address.to_string(), "listeners": listeners(host.address),
        "sessions": 2, "connected": 1,
        "counters": {
            "accepted": 2, "connections_refused": 0, "connections_refused_per_address": 0, "connection_rate_waits": 0,
            "accept_errors": 0, "handshakes_timed_out": 0, "proxy_headers_invalid": 0, "tls_handshakes_failed": 0,
            "websocket_upgrades_failed": 0, "not_mqtt": 0, "connects_timed_out": 0,
            "sessions.queued_messages": 0, "sessions.queued_bytes": 0, "sessions.dropped_messages": 0,
            "retained.messages": 0, "retained.bytes": 0, "retained.refused": 0,
            "refused_logins": 0, "denied_publishes": 0, "denied_subscriptions": 0, "publish_rate_exceeded": 0,
            "subscriptions.refused": 0,
        },
    });
    // DISCONNECT has no answer, so the host may need a moment.
    let asked = async { while ask(&host, "GET /api/v1/broker", "").await != (200, expected.clone()) {} };
    let seen = tokio::time::timeout(PATIENCE, asked).await;
    assert!(seen.is_ok(), "{:?}", ask(&host, "GET /api/v1/broker", "").await);

    let gateway = Setup::new()
        .env("HOOKHOST_BROKER__ENGINE", "gateway")
        .env("HOOKHOST_BROKER__UPSTREAM", "rumqttd")
        .start()
        .await;
    let mut stranger = Raw::open(gateway.address).await;
    stranger.send(b"GET / HTTP/1.1\r\n\r\n").await;
    stranger.closed().await;
    let _here = Raw::client(gateway.address, Version::V5, "here").await;
    let (status, broker) = ask(&gateway, "GET /api/v1/broker", "").await;
    assert_eq!(
        (status, broker),
        (
            200,
            json!({
                "engine": "gateway", "listen": gateway.address.to_string(), "listeners": listeners(gateway.address),
                "sessions": 1, "connected": 1,
                "counters": {
                    "accepted": 2, "connections_refused": 0, "connections_refused_per_address": 0,
                    "connection_rate_waits": 0, "accept_errors": 0, "handshakes_timed_out": 0,
                    "proxy_headers_invalid": 0, "tls_handshakes_failed": 0, "websocket_upgrades_failed": 0,
                    "not_mqtt": 1, "unanswered": 0, "unreadable": 0, "too_long": 0, "unexpected": 0,
                    "forgotten": 0, "deaths_of_rumqttd": 0,
                    "refused_logins": 0, "denied_publishes": 0, "denied_subscriptions": 0, "publish_rate_exceeded": 0,
                },
                "upstreams": [{"address": "rumqttd", "status": "up", "connections": 1, "failures": 0}],
            })
        )
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_are_kicked_whatever_their_ids_are() {
    for upstream in [None, Some("rumqttd")] {
        let mut setup = Setup::new();
        if let Some(upstream) = upstream {
            setup = setup
                .env("HOOKHOST_BROKER__ENGINE", "gateway")
                .env("HOOKHOST_BROKER__UPSTREAM", upstream);
        }
        let host = setup.start().await;
        for (version, id) in [(Version::V5, "a/b c+%2Fü"), (Version::V311, ".."), (Version::V311, "x")] {
            let mut client = Raw::client(host.address, version, id).await;
            assert_eq!(host.ask(&["clients", "kick", id]).await, format!("{id}: kicked\n"));
            client.closed().await;
        }
        let ended = host.try_ask(&["clients", "kick", "nobody"]).await;
        assert_eq!(ended.code, Some(1));
        assert!(ended.stderr.contains("there is no client \"nobody\""), "{ended:?}");

        // The session of a disconnected client.
        let persistent = || Options::persistent(Version::V311, "away");
        Client::open(host.address, persistent()).await.disconnect().await;
        let (status, body) = ask(&host, "DELETE /api/v1/clients/aw%61y", "").await;
        assert_eq!((status, body), (200, json!({"kicked": "away"})));
        if upstream.is_none() {
            assert!(!Client::open(host.address, persistent()).await.session_present);
        }
        for (what, expected) in [
            ("DELETE /api/v1/clients/%ff", 400),
            ("DELETE /api/v1/clients/", 404),
            ("DELETE /api/v1/clients", 400),
            ("DELETE /api/v1/clients?id=nobody", 404),
            ("GET /api/v1/clients/x", 405),
        ] {
            assert_eq!(ask(&host, what, "").await.0, expected, "{what}");
        }
    }
}
