//! The list of upstreams, without clients.

use std::time::Duration;

use tokio::net::TcpListener;

use super::*;
use hookhost_broker::UpstreamStatus;

async fn upstreams(list: &[&str], change: impl FnOnce(&mut GatewaySettings)) -> Upstreams {
    let list = list.iter().map(|text| text.parse().unwrap());
    let mut settings = GatewaySettings::new(list.collect());
    change(&mut settings);
    Upstreams::new(&settings, &Limits::default()).await.unwrap()
}

fn names(upstreams: &Upstreams, client_id: &str) -> Vec<String> {
    let order = upstreams.order(Some(client_id));
    order.iter().map(|target| target.name().to_owned()).collect()
}

const A: &str = "mqtt://127.0.0.1:1";
const B: &str = "mqtt://127.0.0.1:2";
const C: &str = "mqtt://127.0.0.1:3";

#[tokio::test]
async fn one_that_has_failed_is_tried_last_until_it_works() {
    let upstreams = upstreams(&[A, B, C], |settings| settings.upstreams.balance = Balance::Failover).await;
    let order = || names(&upstreams, "c");
    let target = |name: &str| {
        upstreams
            .order(None)
            .into_iter()
            .find(|target| target.name() == name)
            .unwrap()
    };
    assert_eq!(order(), [A, B, C]);
    upstreams.failed(&target(A), "refused");
    assert_eq!(order(), [B, C, A]);
    upstreams.failed(&target(B), "refused");
    upstreams.failed(&target(C), "refused");
    assert_eq!(order(), [A, B, C]);
    target(C).worked();
    assert_eq!(order(), [C, A, B]);
    let states = upstreams.states();
    let shown: Vec<_> = states
        .iter()
        .map(|state| (&*state.address, state.status, state.failures, state.error.as_deref()))
        .collect();
    use UpstreamStatus::{Down, Up};
    assert_eq!(
        shown,
        [
            (A, Down, 1, Some("refused")),
            (B, Down, 1, Some("refused")),
            (C, Up, 1, None)
        ]
    );
}

#[tokio::test]
async fn clients_are_counted_and_spread() {
    let upstreams = upstreams(&[A, B], |settings| {
        settings.upstreams.balance = Balance::LeastConnections
    })
    .await;
    let guards: Vec<UpstreamGuard> = (0..5).map(|_| upstreams.order(Some("c"))[0].enter()).collect();
    let counts = |upstreams: &Upstreams| {
        upstreams
            .states()
            .iter()
            .map(|state| state.connections)
            .collect::<Vec<_>>()
    };
    assert_eq!(counts(&upstreams), [3, 2]);
    drop(guards);
    assert_eq!(counts(&upstreams), [0, 0]);
}

/// A rule may publish a message for each client that connects.
#[tokio::test]
async fn messages_of_the_host_take_no_turn_of_a_client() {
    let upstreams = upstreams(&[A, B], |_| {}).await;
    let first = || {
        upstreams.order(None);
        names(&upstreams, "c").swap_remove(0)
    };
    assert_eq!([first(), first(), first(), first()], [A, B, A, B]);
}

#[tokio::test]
async fn a_task_finds_out_that_an_upstream_is_back() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("mqtt://{}", listener.local_addr().unwrap());
    let upstreams = upstreams(&[&address, A], |settings| {
        settings.upstreams.balance = Balance::Failover
    })
    .await;
    upstreams.failed(&upstreams.order(None)[0], "no answer to CONNECT in time");
    assert_eq!(names(&upstreams, ""), [A, &*address]);
    // The connection attempt of the task arrives.
    listener.accept().await.unwrap();
    while upstreams.states()[0].status != UpstreamStatus::Up {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(names(&upstreams, ""), [&*address, A]);
    assert_eq!(
        upstreams.states()[0].error.as_deref(),
        Some("no answer to CONNECT in time")
    );
}

#[tokio::test]
async fn a_reload_drains_what_it_removes() {
    let upstreams = upstreams(&[A, B], |_| {}).await;
    let guard = |name: &str| {
        let order = upstreams.order(None);
        order.iter().find(|target| target.name() == name).unwrap().enter()
    };
    let (on_a, on_b) = (guard(A), guard(B));
    let settings = |list: &[&str]| UpstreamSettings {
        list: list.iter().map(|text| text.parse().unwrap()).collect(),
        balance: Balance::Failover,
        drain_timeout: Duration::ZERO,
    };
    let statuses = || {
        let states = upstreams.states();
        states
            .into_iter()
            .map(|state| (state.address, state.status))
            .collect::<Vec<_>>()
    };
    use UpstreamStatus::{Draining, Up};
    upstreams.replace(&settings(&[B, C]));
    assert_eq!(names(&upstreams, ""), [B, C]);
    let shown = |list: &[(&str, UpstreamStatus)]| -> Vec<(String, UpstreamStatus)> {
        list.iter()
            .map(|(name, status)| ((*name).to_owned(), *status))
            .collect()
    };
    assert_eq!(statuses(), shown(&[(B, Up), (C, Up), (A, Draining)]));
    on_a.drained(1).await;
    assert!(
        tokio::time::timeout(Duration::from_millis(20), on_b.drained(2))
            .await
            .is_err()
    );
    // It comes back before its connections have ended.
    upstreams.replace(&settings(&[A, B]));
    assert_eq!(statuses(), shown(&[(A, Up), (B, Up)]));
    assert_eq!(upstreams.states()[0].connections, 1);
    assert!(
        tokio::time::timeout(Duration::from_millis(20), on_a.drained(1))
            .await
            .is_err()
    );
    upstreams.replace(&settings(&[A]));
    drop(on_b);
    assert_eq!(statuses(), shown(&[(A, Up)]));
    // rumqttd in this process needs a restart.
    upstreams.replace(&settings(&[]));
    assert_eq!(names(&upstreams, ""), [A]);
}
