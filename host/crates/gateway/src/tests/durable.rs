//! Acknowledgements that wait until the requests of their publishes are on disk.

use hookhost_testing::durable::{
    DurableHost, a_client_that_leaves_is_not_waited_for, a_lost_publish_ends_the_connection,
    a_repeated_publish_waits_for_the_first, a_window_waits_together,
};

use std::time::Duration;

use super::*;
use crate::Publishers;

#[tokio::test]
async fn every_engine_holds_acknowledgements_back_alike() {
    let upstream = start(&settings(Limits::default()), None).await.unwrap();
    // With access rules or publishers in messages, packets are written one by one.
    for publishers in [Publishers::Content, Publishers::UserProperty] {
        let mut gateway = GatewaySettings::new(vec![at(upstream.address())]);
        gateway.publishers = publishers;
        let settings = settings(Limits::default());
        let start = async |bus| {
            crate::start(
                &settings,
                &gateway,
                &UpstreamControl::new(gateway.upstreams.clone()),
                Some(bus),
            )
            .await
        };
        let mut host = DurableHost::with(start).await;
        for version in [4, 5] {
            for qos in [1, 2] {
                a_window_waits_together(&mut host, &client::clean(version, "c"), qos).await;
            }
        }
        for qos in [1, 2] {
            a_lost_publish_ends_the_connection(&mut host, &client::persistent(5, &format!("c{qos}")), qos).await;
        }
        a_client_that_leaves_is_not_waited_for(&mut host, &client::clean(5, "d")).await;
        let connect = client::persistent(5, &format!("e{publishers:?}"));
        a_repeated_publish_waits_for_the_first(&mut host, &connect).await;
        host.running.stop(Duration::from_secs(5)).await;
    }
    upstream.stop(Duration::from_secs(5)).await;
}
