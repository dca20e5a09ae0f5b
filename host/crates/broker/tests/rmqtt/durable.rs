//! Acknowledgements that wait until the requests of their publishes are on disk.

use hookhost_testing::durable::{
    DurableHost, a_client_that_leaves_is_not_waited_for, a_lost_publish_ends_the_connection,
    a_repeated_publish_waits_for_the_first, a_window_waits_together, numbered, repeated,
};

use super::*;

async fn host() -> DurableHost {
    DurableHost::with(async |bus| start(&settings(Limits::default()), Some(bus)).await).await
}

#[tokio::test]
async fn a_window_waits_for_one_commit() {
    let mut host = host().await;
    for version in [4, 5] {
        for qos in [1, 2] {
            a_window_waits_together(&mut host, &client::clean(version, "c"), qos).await;
        }
    }
    host.running.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn a_publish_without_kept_requests_is_never_acknowledged() {
    let mut host = host().await;
    for qos in [1, 2] {
        a_lost_publish_ends_the_connection(&mut host, &client::persistent(5, &format!("c{qos}")), qos).await;
    }
    host.running.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn clients_that_leave_and_come_back() {
    let mut host = host().await;
    a_client_that_leaves_is_not_waited_for(&mut host, &client::clean(5, "c")).await;
    a_repeated_publish_waits_for_the_first(&mut host, &client::persistent(5, "d")).await;
    host.running.stop(Duration::from_secs(5)).await;
}

/// An engine that ends before the requests are on disk does not know them afterwards: the repetition causes the event
/// again, and subscribers do not get the message again.
#[tokio::test]
async fn a_publish_that_is_repeated_after_a_restart() {
    let data = tempfile::tempdir().unwrap();
    let settings = BrokerSettings {
        data: Some(data.path().to_owned()),
        ..settings(Limits::default())
    };
    let start = async || DurableHost::with(async |bus| start(&settings, Some(bus)).await).await;
    let mut host = start().await;
    let mut subscriber = client::persistent(5, "s").join(host.address()).await;
    subscriber.subscribe("t", 2).await;
    let connect = client::persistent(5, "p");
    let mut publisher = connect.join(host.address()).await;
    publisher.write(&numbered(&publisher, 2, 1)).await;
    let open = host.publish().await;
    assert_eq!(subscriber.receive().await.payload, "1");
    host.running.stop(Duration::from_secs(5)).await;
    drop(open);
    let mut host = start().await;
    let (mut publisher, found) = connect.open(host.address()).await;
    assert!(found);
    publisher.write(&repeated(&publisher, 2, 1)).await;
    let (payload, ticket) = host.publish().await;
    assert_eq!(payload, "1");
    publisher.ping().await;
    ticket.complete();
    assert_eq!(publisher.read().await.0, 0x50);
    let (mut subscriber, found) = client::persistent(5, "s").open(host.address()).await;
    assert!(found);
    subscriber.ping().await;
    host.running.stop(Duration::from_secs(5)).await;
}
