//! Input that no valid client sends, and misbehaving clients. Only the connection that misbehaves is affected.
//!
//! Every test has a well-behaved client on the same host, the bystander. Its publishes are confirmed in time and all
//! its events arrive.

use std::time::Duration;

use hookhost_tests::client::Client;
use hookhost_tests::flow::{self, Flow};
use hookhost_tests::host::{Host, Setup};
use hookhost_tests::sink::Sink;
use hookhost_tests::{Version, body};

mod bytes;
mod connections;
mod names;

/// A host that sends all events except the flood's to a sink, and clients that must not be affected.
struct Town {
    host: Host,
    sink: Sink,
    flow: Flow,
}

impl Town {
    async fn start() -> Town {
        let sink = Sink::start().await;
        let host = Setup::new().url(&sink.url("/hook")).start().await;
        let flow = Flow::start(host.address, "bystander", 2, 100, "bystander").await;
        Town { host, sink, flow }
    }

    /// Panics unless the host runs and the bystanders have lost nothing.
    async fn end(self) {
        let Town { mut host, sink, flow } = self;
        flow.go_on(50).await;
        let sent = flow.stop().await;
        let late = Client::connect(host.address, Version::V5, "late").await;
        late.disconnect().await;
        let slowest = sent.iter().map(|client| client.slowest).max().unwrap_or_default();
        println!("the slowest PUBACK of a bystander took {slowest:?}");
        assert!(
            slowest < Duration::from_secs(25),
            "a bystander waited {slowest:?} for a PUBACK"
        );
        assert!(host.process.is_running());
        host.stop().await;
        let log = host.log().lines().join("\n");
        assert!(!log.contains("panicked"), "something panicked:\n{log}");
        let requests = sink.requests();
        let mine = requests
            .iter()
            .filter(|request| body::subject(&request.json()).starts_with("bystander-"));
        flow::assert_once_in_order(&sent, &flow::numbers(mine));
    }
}
