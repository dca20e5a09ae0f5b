//! The client script for NanoMQ: 357 steps in MQTT 3.1, 3.1.1 and 5.

mod by_hand;
mod payloads;
mod sessions;

use hookhost_tests::Version;
use hookhost_tests::packet::{Connect, Publish};

use crate::properties::{Properties, id};
use crate::run::{Run, client, message};
use payloads::PAYLOADS;

/// Plays all steps.
pub(crate) async fn play(run: &mut Run) {
    for level in [4, 5] {
        let mut script = Script { run, level };
        script.connects().await;
        script.publishes().await;
        script.subscribes().await;
        script.qos_2_by_hand().await;
        if level == 5 {
            script.properties().await;
        }
        script.wills().await;
        script.take_overs().await;
        script.persistent_sessions().await;
        if level == 5 {
            script.session_expiry().await;
        }
        script.keep_alive().await;
        script.mistakes().await;
        script.run.take("b").disconnect().await;
        script.end("disconnect of b").await;
        script.run.take("a").close().await;
        script.end("socket of a closed").await;
    }
    let mut script = Script { run, level: 3 };
    script.run.connect("a", &script.named("a", "alice")).await;
    script.end("connect").await;
    script.run.publish("a", message("t/1", 1, b"old")).await;
    script.end("publish").await;
    script.run.take("a").disconnect().await;
    script.end("disconnect").await;
    run.connect("a", &client(4, "last")).await;
    run.take("a").disconnect().await;
    run.end("broker still answers").await;
}

/// The steps of one protocol level.
struct Script<'a> {
    run: &'a mut Run,
    level: u8,
}

impl Script<'_> {
    async fn end(&mut self, step: &str) {
        self.run.end(&format!("v{} {step}", self.level)).await;
    }

    fn version(&self) -> Version {
        if self.level == 5 { Version::V5 } else { Version::V311 }
    }

    /// A CONNECT whose client id is a name and the level.
    fn client(&self, name: &str) -> Connect {
        client(self.level, &format!("{name}{}", self.level))
    }

    /// The same with user name and password.
    fn named(&self, name: &str, user: &str) -> Connect {
        with_user(self.client(name), user)
    }

    async fn connect(&mut self, name: &'static str, connect: &Connect, step: &str) {
        self.run.connect(name, connect).await;
        self.end(step).await;
    }

    async fn disconnect(&mut self, name: &str, step: &str) {
        self.run.take(name).disconnect().await;
        self.end(step).await;
    }

    async fn close(&mut self, name: &str, step: &str) {
        self.run.take(name).close().await;
        self.end(step).await;
    }

    async fn publish(&mut self, name: &str, publish: Publish<'_>, step: &str) {
        self.run.publish(name, publish).await;
        self.end(step).await;
    }

    async fn connects(&mut self) {
        self.connect("a", &self.client("a"), "connect").await;
        self.connect("b", &self.named("b", "alice"), "connect with user name")
            .await;
        let only_user = Connect {
            username: Some(b"bob".to_vec()),
            ..self.client("un")
        };
        self.connect("c", &only_user, "connect with user name only").await;
        self.close("c", "socket closed").await;
        self.connect("c", &self.named("eu", ""), "connect with empty user name")
            .await;
        self.run.take("c").reset().await;
        self.end("connection reset").await;

        let odd = client(self.level, &format!("c\"{}\\é/+#", self.level));
        let odd = with_user(odd, "al\"i\\ce é温");
        self.connect("c", &odd, "connect with odd names").await;
        self.publish("c", message("odd/names", 1, b"x"), "publish by odd names")
            .await;
        self.disconnect("c", "disconnect of odd names").await;

        self.connect("c", &client(self.level, ""), "connect with empty client id")
            .await;
        self.publish("c", message("gen/1", 0, b"x"), "publish with generated client id")
            .await;
        self.disconnect("c", "disconnect of generated client id").await;
        for keep_alive in [0, 65535] {
            let connect = Connect {
                keep_alive,
                ..self.client("k")
            };
            self.connect("c", &connect, &format!("connect with keep alive {keep_alive}"))
                .await;
            self.disconnect("c", &format!("disconnect of keep alive {keep_alive}"))
                .await;
        }
    }

    async fn publishes(&mut self) {
        for qos in 0..3 {
            let payload = format!("hello {qos}");
            let publish = message("t/1", qos, payload.as_bytes());
            self.publish("a", publish, &format!("publish qos {qos}")).await;
        }
        self.publish("b", message("t/1", 1, b"hello"), "publish with user name")
            .await;
        for qos in 0..3 {
            let topic = format!("r{}/{qos}", self.level);
            let kept = Publish {
                retain: true,
                ..message(&topic, qos, b"kept")
            };
            self.publish("a", kept, &format!("publish retained qos {qos}")).await;
        }
        let topic = format!("r{}/2", self.level);
        let cleared = Publish {
            retain: true,
            ..message(&topic, 1, b"")
        };
        self.publish("a", cleared, "publish retained empty").await;

        for (name, payload) in PAYLOADS {
            let payload = payload();
            self.publish("b", message("p/1", 1, &payload), &format!("payload {name}"))
                .await;
        }
        self.publish("b", message("p/1", 0, b"zero"), "payload text qos 0")
            .await;
        self.publish("b", message("p/1", 0, b""), "payload empty qos 0").await;
        self.publish("b", message("p/1", 2, b""), "payload empty qos 2").await;
        self.run.publish("b", message("p/1", 1, &[b'L'; 40])).await;
        self.publish("b", message("p/1", 1, b""), "payload empty after a long one")
            .await;

        let (long, deep) = ("x".repeat(300), vec!["l"; 40].join("/"));
        for (name, topic) in [
            ("温度/1", "温度/1"),
            ("q\"u\\o/te", "q\"u\\o/te"),
            ("/", "/"),
            ("a//b", "a//b"),
            ("a/ b", "a/ b"),
            ("xxxxxxxxxx… 300 bytes", &long),
            ("l/l/l/l/l/… 79 bytes", &deep),
            ("$x/1", "$x/1"),
        ] {
            self.publish("a", message(topic, 1, b"x"), &format!("topic {name}"))
                .await;
        }
    }

    async fn subscribes(&mut self) {
        let retained = format!("r{}/#", self.level);
        for (step, filters) in [
            ("subscribe", &[("t/#", 1)][..]),
            ("subscribe several", &[("m/1", 0), ("m/+", 1), ("m/#", 2)]),
            ("subscribe to retained", &[(&retained, 1)]),
            ("subscribe shared", &[("$share/g/s/#", 1)]),
            ("subscribe again", &[("t/#", 2)]),
        ] {
            self.run.client("b").subscribe(filters, &[]).await;
            self.end(step).await;
        }
        for qos in 0..3 {
            let payload = format!("d{qos}");
            let publish = message("t/2", qos, payload.as_bytes());
            self.publish("a", publish, &format!("publish delivered qos {qos}"))
                .await;
        }
        self.publish("a", message("s/1", 1, b"shared"), "publish shared").await;
        self.publish("b", message("t/3", 1, b"own"), "publish to own subscription")
            .await;
        for (step, filter) in [
            ("unsubscribe", "t/#"),
            ("unsubscribe shared", "$share/g/s/#"),
            ("unsubscribe what was not", "never/was"),
        ] {
            self.run.client("b").unsubscribe(filter).await;
            self.end(step).await;
        }
    }

    async fn properties(&mut self) {
        let properties = Properties::default()
            .byte(id::PAYLOAD_FORMAT_INDICATOR, 1)
            .long(id::MESSAGE_EXPIRY_INTERVAL, 60)
            .text(id::CONTENT_TYPE, b"text/plain")
            .text(id::RESPONSE_TOPIC, b"re/1")
            .text(id::CORRELATION_DATA, b"\x01\x02")
            .user("k", "1")
            .user("k", "2");
        let publish = Publish {
            properties: &properties.0,
            ..message("t/5", 1, b"p")
        };
        self.publish("a", publish, "publish with properties").await;

        self.run.connect("raw", &self.client("al")).await;
        let alias = Properties::default().short(id::TOPIC_ALIAS, 1);
        for (topic, payload) in [("al/1", &b"first"[..]), ("", b"second")] {
            let publish = Publish {
                properties: &alias.0,
                ..message(topic, 1, payload)
            };
            self.run.publish("raw", publish).await;
        }
        self.end("topic alias").await;
        self.close("raw", "topic alias client leaves").await;

        let properties = Properties::default()
            .byte(id::SUBSCRIPTION_IDENTIFIER, 7)
            .user("a", "b");
        // No local, retain as published, and retain handling 2, besides the QoS.
        let filters = [("o/#", 0b10_1101)];
        self.run.client("b").subscribe(&filters, &properties.0).await;
        self.end("subscribe with options").await;
    }
}

/// A CONNECT with user name and password.
fn with_user(connect: Connect, user: &str) -> Connect {
    Connect {
        username: Some(user.as_bytes().to_vec()),
        password: Some(b"x".to_vec()),
        ..connect
    }
}
