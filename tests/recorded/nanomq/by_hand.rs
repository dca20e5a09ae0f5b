//! The steps with packets that no library sends: QoS 2 out of order, and mistakes.

use hookhost_tests::Version;
use hookhost_tests::packet::{self, Connect, Publish, kind};

use super::Script;
use crate::client::Client;
use crate::run::{client, message};

impl Script<'_> {
    /// Sends a packet as it is, and waits for the answer of this type.
    async fn by_hand(&mut self, name: &str, bytes: Vec<u8>, answer: u8, step: &str) {
        self.run.client(name).send(bytes);
        self.run.client(name).wait(answer).await;
        self.end(step).await;
    }

    pub(super) async fn qos_2_by_hand(&mut self) {
        let version = self.version();
        self.connect("raw", &self.client("q"), "connect for qos 2 by hand")
            .await;
        self.run.client("raw").release_by_hand();
        let publish = Publish {
            id: 7,
            ..message("q/2", 2, b"once")
        };
        let again = Publish {
            dup: true,
            ..publish.clone()
        };
        self.by_hand("raw", publish.encode(version), kind::PUBREC, "qos 2: PUBLISH")
            .await;
        self.by_hand(
            "raw",
            again.encode(version),
            kind::PUBREC,
            "qos 2: PUBLISH again with DUP",
        )
        .await;
        self.by_hand("raw", packet::ack(kind::PUBREL, 7), kind::PUBCOMP, "qos 2: PUBREL")
            .await;
        let dup = Publish {
            id: 9,
            dup: true,
            ..message("q/1", 1, b"again")
        };
        self.by_hand("raw", dup.encode(version), kind::PUBACK, "qos 1 with DUP")
            .await;
        self.disconnect("raw", "DISCONNECT, then the socket").await;
    }

    /// A connection that sends these bytes and then closes.
    async fn bytes(&mut self, bytes: &[u8], step: &str) {
        let mut client = Client::open(self.run.host.address, self.version(), bytes).await;
        client.wait(kind::CONNACK).await;
        client.close().await;
        self.end(step).await;
    }

    pub(super) async fn mistakes(&mut self) {
        if self.level == 4 {
            self.mistakes_in_connect().await;
        }
        let version = self.version();
        let publish = |topic: &[u8], qos: u8| {
            let publish = Publish {
                topic,
                id: 1,
                ..message("", qos, b"x")
            };
            publish.encode(version)
        };
        let subscribe = packet::subscribe(version, 1, &[("a/#/b", 1)], None);
        for (name, bytes, step) in [
            ("e1", publish(b"bad/#", 1), "publish to a wildcard"),
            ("e2", publish(b"", 1), "publish to an empty topic"),
            ("e3", publish(b"x/3", 3), "publish with qos 3"),
            ("e4", publish(b"bad\xff", 1), "publish to a topic that is not utf-8"),
            ("e5", publish(b"bad\0x", 1), "publish to a topic with NUL"),
            ("e8", publish(b"tab\there", 1), "publish to a topic with a tab"),
            ("e6", self.named("e6", "eve").encode(), "CONNECT twice"),
            ("e7", subscribe, "subscribe to an invalid filter"),
        ] {
            self.run.connect("e", &self.named(name, "eve")).await;
            let mut client = self.run.take("e");
            client.send(bytes);
            client.answer_or_close().await;
            client.close().await;
            self.end(step).await;
        }
        let tab = client(self.level, "cid\ttab").encode();
        self.bytes(&tab, "client id with a tab").await;
        let tab = self.named("e9", "tab\tbed").encode();
        self.bytes(&tab, "user name with a tab").await;
    }

    async fn mistakes_in_connect(&mut self) {
        let unnamed = Connect {
            clean: false,
            ..client(4, "")
        };
        let level_6 = Connect {
            level: 6,
            ..client(4, "lvl6")
        };
        let protocol = Connect {
            protocol: "MQTX",
            ..client(4, "nm")
        };
        let not_utf8 = Connect {
            id: b"\xff\xfe".to_vec(),
            ..client(4, "")
        };
        let mut reserved = client(4, "rf").encode();
        // The flags of CONNECT, behind the fixed header, the name and the level.
        reserved[9] |= 1;
        let publish = packet::publish(Version::V311, "x", 0, 0, b"y");
        for (bytes, step) in [
            (unnamed.encode(), "empty client id without clean session"),
            (level_6.encode(), "protocol level 6"),
            (protocol.encode(), "protocol name MQTX"),
            (reserved, "reserved flag"),
            (not_utf8.encode(), "client id not utf-8"),
            (publish, "no CONNECT but PUBLISH"),
        ] {
            self.bytes(&bytes, step).await;
        }
        Client::open(self.run.host.address, Version::V311, &[])
            .await
            .close()
            .await;
        self.end("nothing sent").await;
    }
}
