//! The client script for NanoMQ: 357 steps in MQTT 3.1, 3.1.1 and 5.

use hookhost_tests::Version;
use hookhost_tests::packet::{self, Connect, Publish, kind};

use crate::client::Client;
use crate::payloads::PAYLOADS;
use crate::properties::{Properties, id};
use crate::run::{Run, client, message};

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

    /// Sends a packet as it is, and waits for the answer of this type.
    async fn by_hand(&mut self, name: &str, bytes: Vec<u8>, answer: u8, step: &str) {
        self.run.client(name).send(bytes);
        self.run.client(name).wait(answer).await;
        self.end(step).await;
    }

    async fn qos_2_by_hand(&mut self) {
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

    /// A client of the user `willy` with a will.
    fn willy(&self, payload: &str, qos: u8, retain: bool) -> Connect {
        let will = (format!("will/{}", self.level), payload.as_bytes().to_vec(), qos, retain);
        Connect {
            will: Some(will),
            ..self.named("w", "willy")
        }
    }

    async fn wills(&mut self) {
        self.connect("w", &self.willy("gone", 1, false), "connect with will")
            .await;
        self.close("w", "will: socket closed").await;
        let retained = self.willy("weg °", 2, true);
        self.connect("w", &retained, "connect with will, retained, qos 2").await;
        self.run.take("w").reset().await;
        self.end("will: connection reset").await;
        self.connect("w", &self.willy("zero", 0, false), "connect with will qos 0")
            .await;
        self.disconnect("w", "will: disconnect, no will").await;
        let empty = Connect {
            will: Some((format!("will/{}", self.level), Vec::new(), 0, false)),
            ..self.client("wa")
        };
        self.connect("w", &empty, "connect with empty will").await;
        self.close("w", "empty will: socket closed").await;
        if self.level == 5 {
            self.connect("w", &self.willy("asked", 1, false), "connect with will, reason 4")
                .await;
            self.run.take("w").disconnect_with(&[4, 0]).await;
            self.end("will: DISCONNECT with reason 4").await;
            self.connect("w", &client(5, "w5b"), "connect without will, reason 4")
                .await;
            self.run.take("w").disconnect_with(&[4, 0]).await;
            self.end("no will: DISCONNECT with reason 4").await;
            let delayed = Connect {
                will: Some(("will/5".to_owned(), b"late".to_vec(), 1, false)),
                will_properties: Properties::default().long(id::WILL_DELAY_INTERVAL, 1).0,
                properties: expiry(10),
                ..client(5, "wd5")
            };
            self.connect("w", &delayed, "connect with will delay 1 s").await;
            self.close("w", "will delay: socket closed").await;
        }
    }

    async fn take_overs(&mut self) {
        let (first, second) = (self.named("t", "first"), self.named("t", "second"));
        self.connect("t", &first, "connect to be taken over").await;
        self.connect("t", &second, "take-over").await;
        self.disconnect("t", "disconnect after take-over").await;
        let with_will = Connect {
            will: Some((format!("will/{}", self.level), b"taken".to_vec(), 1, false)),
            ..first
        };
        self.connect("t", &with_will, "connect to be taken over with will")
            .await;
        self.connect("t", &second, "take-over with will").await;
        self.publish("t", message("t/9", 1, b"me"), "publish after take-over")
            .await;
        self.disconnect("t", "disconnect after take-over with will").await;
    }

    /// A client whose session is kept unless `clean`.
    fn session(&self, name: &str, user: &str, clean: bool) -> Connect {
        Connect {
            clean,
            properties: expiry(300),
            ..self.named(name, user)
        }
    }

    async fn persistent_sessions(&mut self) {
        let kept = self.session("p", "pat", false);
        let clean = self.named("p", "pat");
        self.connect("p", &kept, "persistent: connect").await;
        self.run.client("p").subscribe(&[("off/#", 1)], &[]).await;
        self.end("persistent: subscribe").await;
        self.disconnect("p", "persistent: disconnect").await;
        self.publish("a", message("off/1", 1, b"later"), "persistent: publish while away")
            .await;
        self.connect("p", &kept, "persistent: connect again").await;
        self.close("p", "persistent: socket closed").await;
        self.connect("p", &kept, "persistent: connect third time").await;
        self.connect("p", &kept, "persistent: take-over").await;
        self.run.take("p").reset().await;
        self.end("persistent: connection reset").await;
        self.connect("p", &clean, "persistent: connect clean").await;
        self.disconnect("p", "persistent: disconnect at last").await;

        for (first, second) in [(false, true), (true, false)] {
            let mixed = format!(
                "mixed take-over, clean {} by clean {}",
                u8::from(first),
                u8::from(second)
            );
            let [one, two] = [("xen1", first), ("xen2", second)].map(|(user, clean)| self.session("x", user, clean));
            self.connect("x", &one, &format!("{mixed}: connect")).await;
            self.connect("x", &two, &format!("{mixed}: take-over")).await;
            self.disconnect("x", &format!("{mixed}: disconnect")).await;
            self.connect("x", &self.named("x", "xen3"), &format!("{mixed}: clean connect"))
                .await;
            self.disconnect("x", &format!("{mixed}: clean disconnect")).await;
        }

        let will = (format!("will/{}", self.level), b"pw".to_vec(), 1, false);
        let kept = Connect {
            will: Some(will),
            ..self.session("pw", "pat", false)
        };
        self.connect("p", &kept, "persistent with will: connect").await;
        self.close("p", "persistent with will: socket closed").await;
        self.connect("p", &self.named("pw", "pat"), "persistent with will: connect clean")
            .await;
        self.disconnect("p", "persistent with will: disconnect").await;
    }

    async fn session_expiry(&mut self) {
        let sam = |id: &str, clean: bool, seconds: Option<u32>| Connect {
            clean,
            properties: seconds.map(expiry).unwrap_or_default(),
            ..with_user(client(5, id), "sam")
        };
        for clean in [true, false] {
            for seconds in [None, Some(0), Some(2)] {
                let id = match seconds {
                    None => format!("s{}n", u8::from(clean)),
                    Some(seconds) => format!("s{}{seconds}", u8::from(clean)),
                };
                let seconds_text = seconds.map_or("none".to_owned(), |seconds| seconds.to_string());
                let step = |what: &str| format!("clean start {}, expiry {seconds_text}: {what}", u8::from(clean));
                let connect = sam(&id, clean, seconds);
                self.connect("s", &connect, &step("connect")).await;
                self.close("s", &step("socket closed")).await;
                self.end(&step("4 s later")).await;
                self.connect("s", &connect, &step("connect again")).await;
                self.disconnect("s", &step("disconnect")).await;
                self.end(&step("4 s later again")).await;
                self.connect("s", &sam(&id, true, None), &step("clean connect")).await;
                self.disconnect("s", &step("clean disconnect")).await;
            }
        }
        let step = |what: &str| format!("expiry 300 ended by DISCONNECT{what}");
        self.connect("s", &sam("s300", false, Some(300)), &step(": connect"))
            .await;
        let mut body = vec![0];
        packet::properties(&mut body, &expiry(0));
        self.run.take("s").disconnect_with(&body).await;
        self.end(&step(" with expiry 0")).await;
        self.end(&step(": 25 s later")).await;
        self.connect("s", &sam("s2x", false, Some(2)), "expiry 2 runs out: connect")
            .await;
        self.close("s", "expiry 2 runs out: socket closed").await;
        self.end("expiry 2 runs out: 25 s later").await;
    }

    async fn keep_alive(&mut self) {
        let silent = |name: &str| Connect {
            keep_alive: 1,
            ..self.named(name, "kim")
        };
        let persistent = Connect {
            clean: false,
            properties: expiry(256),
            ..silent("kp")
        };
        let with_will = Connect {
            will: Some((format!("will/{}", self.level), b"timed out".to_vec(), 0, false)),
            ..silent("kw")
        };
        for (kind, connect) in [("", silent("ka")), (", persistent", persistent), (", will", with_will)] {
            self.connect("k", &connect, &format!("keep alive 1 s{kind}: connect"))
                .await;
            self.run.client("k").closed().await;
            self.end(&format!("keep alive 1 s{kind}: silence")).await;
        }
    }

    /// A connection that sends these bytes and then closes.
    async fn bytes(&mut self, bytes: &[u8], step: &str) {
        let mut client = Client::open(self.run.host.address, self.version(), bytes).await;
        client.wait(kind::CONNACK).await;
        client.close().await;
        self.end(step).await;
    }

    async fn mistakes(&mut self) {
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

/// A CONNECT with user name and password.
fn with_user(connect: Connect, user: &str) -> Connect {
    Connect {
        username: Some(user.as_bytes().to_vec()),
        password: Some(b"x".to_vec()),
        ..connect
    }
}

/// The property of MQTT 5 that a session lives for so many seconds after its connection.
fn expiry(seconds: u32) -> Vec<u8> {
    Properties::default().long(id::SESSION_EXPIRY_INTERVAL, seconds).0
}
