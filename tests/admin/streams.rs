//! Readers of live streams that do not read: they use their places, and nothing else.

use hookhost_tests::client::Client;
use hookhost_tests::host::Setup;
use hookhost_tests::sink::Sink;
use hookhost_tests::{PATIENCE, Version, http};
use serde_json::Value;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Places for readers of each stream.
const PLACES: usize = 16;

/// Opens a stream and reads no more than the status of its answer.
async fn open(admin: SocketAddr, path: &str) -> (TcpStream, u16) {
    let mut stream = TcpStream::connect(admin).await.unwrap();
    let head = format!("GET /api/v1{path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut status = [0; 12];
    stream.read_exact(&mut status).await.unwrap();
    let status = std::str::from_utf8(&status).unwrap();
    (stream, status.strip_prefix("HTTP/1.1 ").unwrap().parse().unwrap())
}

#[tokio::test]
async fn readers_that_do_not_read_hold_up_neither_the_api_nor_delivery() {
    const MESSAGES: usize = 3_000;
    let sink = Sink::start().await;
    let config = format!(
        "[[webhook.rule.message_publish]]\naction = \"x\"\nurls = [{:?}]\n",
        sink.url("/hook")
    );
    let host = Setup::new().config(&config).start().await;
    let admin = host.admin.unwrap();
    let mut readers = Vec::new();
    for path in ["/tap", "/overview/stream"] {
        for _ in 0..PLACES {
            let (reader, status) = open(admin, path).await;
            assert_eq!(status, 200, "{path}");
            readers.push(reader);
        }
        assert_eq!(open(admin, path).await.1, 503, "{path}");
    }
    let mut client = Client::connect(host.address, Version::V5, "c").await;
    for number in 0..MESSAGES {
        // Long topics: what the readers do not read is more than the system keeps for them.
        let topic = format!("t/{}/{number}", "x".repeat(200));
        client.publish(&topic, 1, "x").await;
    }
    sink.wait_for(MESSAGES, PATIENCE).await;
    let modules = http::ask(admin, "GET /api/v1/modules", "").await;
    assert_eq!(modules.json()["modules"][0]["queue"]["dropped_full"], Value::from(0));
    // A place is free again when its reader has gone.
    drop(readers);
    for path in ["/tap", "/overview/stream"] {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while open(admin, path).await.1 != 200 {
            assert!(tokio::time::Instant::now() < deadline, "{path}");
        }
    }
    client.disconnect().await;
}
