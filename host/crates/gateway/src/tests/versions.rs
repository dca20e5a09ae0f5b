//! Clients of MQTT 5 before an upstream that supports MQTT 3.1.1 only.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::client::{Client, clean};
use super::fake::{Fake, gateway};
use super::*;

/// An upstream that answers a CONNECT of MQTT 5 and one of MQTT 3.1.1 with these bytes; without an answer it closes. Returns
/// its address and the number of its connections so far.
async fn upstream(answer_5: &'static [u8], answer_3: &'static [u8]) -> (SocketAddr, Arc<AtomicUsize>) {
    let fake = Fake::listen().await;
    let address = fake.address();
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&connections);
    tokio::spawn(async move {
        loop {
            let mut stream = fake.accept().await;
            counted.fetch_add(1, Ordering::Relaxed);
            let mut connect = vec![0; 1024];
            let Ok(7..) = stream.read(&mut connect).await else {
                continue;
            };
            let answer = if connect[8] == 5 { answer_5 } else { answer_3 };
            stream.write_all(answer).await.unwrap();
        }
    });
    (address, connections)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_versions_of_an_upstream_are_probed_once() {
    for (answer_3, code) in [(&[0x20, 2, 0, 0][..], 132), (&[], 136)] {
        let (address, connections) = upstream(&[], answer_3).await;
        let host = gateway(&[address], |_, _| {}).await;
        for (id, expected) in [("a", 3), ("b", 4), ("c", 5)] {
            let mut c = Client::raw(host.address(), 5).await;
            c.write(&clean(5, id).bytes()).await;
            assert_eq!(c.read().await, (0x20, vec![0, code, 0]));
            // The client's own connection, and at first one for each version.
            assert_eq!(connections.load(Ordering::Relaxed), expected, "{id}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_of_mqtt_5_learns_that_its_version_is_not_supported() {
    const ACCEPTED_3: &[u8] = &[0x20, 2, 0, 0];
    const ACCEPTED_5: &[u8] = &[0x20, 3, 0, 0, 0];
    const REFUSED_3: &[u8] = &[0x20, 2, 0, 5];
    for (answer_5, answer_3, code) in [
        // A broker of MQTT 3.1.1 refuses the version in its own words, or closes.
        (&[0x20, 2, 0, 1][..], ACCEPTED_3, 132),
        (&[], ACCEPTED_3, 132),
        // It also refuses other clients than this one.
        (&[], REFUSED_3, 132),
        // It closes for another reason.
        (&[], &[], 136),
        (&[0x20, 2, 0, 4], ACCEPTED_3, 134),
        (&[0x20, 3, 0, 135, 0], ACCEPTED_3, 135),
        (ACCEPTED_5, ACCEPTED_3, 0),
    ] {
        let host = gateway(&[upstream(answer_5, answer_3).await.0], |_, _| {}).await;
        let mut c = Client::raw(host.address(), 5).await;
        c.write(&clean(5, "c").bytes()).await;
        let (first, body) = c.read().await;
        assert_eq!(
            (first, &body[..]),
            (0x20, &[0, code, 0][..]),
            "{answer_5:?} {answer_3:?}"
        );
        host.sees(&format!("client.connack c {code} new")).await;
        let mut c = Client::raw(host.address(), 4).await;
        c.write(&clean(4, "d").bytes()).await;
        if answer_3 == ACCEPTED_3 {
            assert_eq!(c.read().await, (0x20, vec![0, 0]));
        }
    }
}
