//! When sessions without a connection end.

use super::client::{Connect, clean, packet, persistent};
use super::*;
use hookhost_event::Property;

/// A client of MQTT 5 with clean start 0 and a session expiry interval in CONNECT, if one is given.
fn asks_for(expiry: Option<u8>) -> Connect {
    Connect {
        properties: expiry.map(|seconds| vec![0x11, 0, 0, 0, seconds]).unwrap_or_default(),
        ..persistent(5, "c")
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_expires() {
    let host = Host::start(Limits::default()).await;
    asks_for(Some(1)).join(host.address()).await.disconnect().await;
    host.sees("session.terminated c Expired").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_default_a_session_without_expiry_ends_with_its_connection() {
    let host = Host::start(Limits::default()).await;
    for expiry in [None, Some(0)] {
        asks_for(expiry).join(host.address()).await.disconnect().await;
        host.sees("session.terminated c Disconnect 0").await;
        host.forget();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_default_applies_to_a_session_without_expiry() {
    let hour = Duration::from_secs(3600);
    let host = Host::start(Limits {
        default_session_expiry_interval: hour,
        ..Limits::default()
    })
    .await;
    for expiry in [None, Some(0)] {
        let c = asks_for(expiry).join(host.address()).await;
        let event = host.sees("client.connack c 0 new").await;
        let Detail::ClientConnack(connack) = &event.detail else {
            panic!("{event:?}")
        };
        assert_eq!(connack.connection.session_expiry, 3600);
        let properties = connack.properties.as_ref().unwrap();
        assert!(
            properties.standard.contains(&Property::SessionExpiryInterval(3600)),
            "{properties:?}"
        );
        c.disconnect().await;
        host.sees("client.disconnected c Disconnect 0").await;
        let (again, found) = asks_for(expiry).open(host.address()).await;
        assert!(found, "the session has outlived its connection");
        drop(again);
        let (mut last, found) = asks_for(expiry).open(host.address()).await;
        assert!(found, "and a lost connection");
        host.forget();
        // DISCONNECT with the expiry 0 ends the session.
        last.write(&packet(0xe0, &[0, 5, 0x11, 0, 0, 0, 0])).await;
        host.sees("session.terminated c Disconnect 0").await;
        host.forget();
    }
    let (c, found) = Connect {
        properties: vec![0x11, 0, 0, 0, 0],
        ..clean(5, "c")
    }
    .open(host.address())
    .await;
    assert!(!found);
    c.disconnect().await;
    host.sees("session.terminated c Disconnect 0").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_default_runs_out_and_has_a_limit() {
    let host = Host::start(Limits {
        default_session_expiry_interval: Duration::from_secs(3600),
        max_session_expiry_interval: Duration::from_secs(1),
        ..Limits::default()
    })
    .await;
    asks_for(None).join(host.address()).await.disconnect().await;
    let event = host.sees("client.connected c 0 new").await;
    let Detail::ClientConnected(connected) = &event.detail else {
        panic!("{event:?}")
    };
    assert_eq!(connected.connection.session_expiry, 1);
    host.sees("session.terminated c Expired").await;
}
