//! HTTP/2 to receivers over TLS.

use std::collections::BTreeSet;

use hookhost_tests::client::Client;
use hookhost_tests::host::{Host, Setup};
use hookhost_tests::http2::Http2Sink;
use hookhost_tests::sink::Sink;
use hookhost_tests::tls::{self, Authority, Subject};
use hookhost_tests::{PATIENCE, Version, body};

/// A host that sends every publish to this URL, over HTTP/2 if the receiver supports it.
async fn host(authority: &Authority, url: &str) -> Host {
    let setup = Setup::new();
    std::fs::write(setup.dir().join("ca.pem"), authority.pem()).unwrap();
    let config = format!(
        "[webhook]\nurls = [{url:?}]\nrule.message_publish = [{{ action = \"message_publish\", order = \"none\" }}]\n\
         [destinations.own]\nurls = [{url:?}]\nhttp_version = \"2\"\ntls = {{ ca = \"ca.pem\" }}\n"
    );
    setup.config(&config).start().await
}

async fn publish(host: &Host) {
    let mut client = Client::connect(host.address, Version::V5, "c").await;
    for number in 0..50 {
        client.publish("t", 1, number.to_string()).await;
    }
    client.disconnect().await;
}

#[tokio::test]
async fn a_receiver_that_chooses_http_2_gets_all_requests_over_one_connection() {
    let authority = Authority::new("servers");
    let mut receiver = Http2Sink::start(tls::server(&authority.issue(Subject::Local), None)).await;
    let mut host = host(&authority, &receiver.url("/hook")).await;
    publish(&host).await;
    let mut payloads = BTreeSet::new();
    for _ in 0..50 {
        let request = receiver.next().await;
        assert_eq!((request.version, request.connection), (hyper::Version::HTTP_2, 1));
        payloads.insert(body::payload(&serde_json::from_str(&request.body).unwrap()));
    }
    assert_eq!(payloads.len(), 50);
    host.stop().await;
}

#[tokio::test]
async fn a_receiver_that_does_not_know_http_2_gets_http_1_1() {
    let authority = Authority::new("servers");
    let sink = Sink::start_tls(tls::server(&authority.issue(Subject::Local), None)).await;
    let mut host = host(&authority, &sink.url("/hook")).await;
    publish(&host).await;
    sink.wait_for(50, PATIENCE).await;
    host.stop().await;
}
