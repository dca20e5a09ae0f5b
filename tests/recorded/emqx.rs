//! The client script for EMQX 4, EMQX 5 and RMQTT: 145 steps in MQTT 3.1, 3.1.1 and 5.

use hookhost_tests::packet::{self, Connect, Publish};

use crate::properties::{Properties, id};
use crate::run::{Run, client, message};

/// Plays all steps.
pub(crate) async fn play(run: &mut Run) {
    for level in [3, 4, 5] {
        let mut script = Script { run, level };
        script.connects().await;
        script.subscribes().await;
        script.publishes().await;
        script.unsubscribes().await;
        script.ends().await;
        script.sessions().await;
        script.leaves().await;
    }
    packets_by_hand(run).await;
}

/// The steps of one protocol level.
struct Script<'a> {
    run: &'a mut Run,
    level: u8,
}

/// No local, retain as published, and retain handling 2, besides the QoS.
const SUBSCRIPTION_OPTIONS: u8 = 0b10_1100;

impl Script<'_> {
    async fn end(&mut self, step: &str) {
        self.run.end(&format!("v{} {step}", self.level)).await;
    }

    fn is_5(&self) -> bool {
        self.level == 5
    }

    /// A CONNECT whose client id is a name and the level.
    fn client(&self, name: &str) -> Connect {
        client(self.level, &format!("{name}{}", self.level))
    }

    async fn connects(&mut self) {
        let alice = Connect {
            username: Some(b"alice".to_vec()),
            password: Some(b"x".to_vec()),
            ..self.client("a")
        };
        self.run.connect("a", &alice).await;
        self.end("connect with user").await;
        let b = Connect {
            keep_alive: 77,
            ..self.client("b")
        };
        self.run.connect("b", &b).await;
        self.end("connect without user").await;
        if self.level != 3 {
            self.run.connect("e", &client(self.level, "")).await;
            self.end("connect with empty client id").await;
            self.run.publish("e", message("e/1", 1, b"x")).await;
            self.end("empty client id publishes").await;
            self.run.take("e").disconnect().await;
            self.end("empty client id leaves").await;
        }
        let empty = Connect {
            username: Some(Vec::new()),
            password: Some(Vec::new()),
            ..self.client("eu")
        };
        self.run.connect("eu", &empty).await;
        self.end("connect with empty user name").await;
        self.run.take("eu").disconnect().await;
        self.end("empty user name leaves").await;
    }

    async fn subscribe(&mut self, step: &str, filters: &[(&str, u8)], properties: Properties) {
        self.run.client("a").subscribe(filters, &properties.0).await;
        self.end(step).await;
    }

    async fn subscribes(&mut self) {
        let none = Properties::default;
        self.subscribe("subscribe qos1", &[("t/+/x", 1)], none()).await;
        self.subscribe("subscribe again qos2", &[("t/+/x", 2)], none()).await;
        self.subscribe("subscribe two filters", &[("m/1", 0), ("m/2", 1)], none())
            .await;
        self.subscribe("subscribe shared qos2", &[("$share/g/s/#", 2)], none())
            .await;
        self.subscribe("subscribe queue", &[("$queue/q/#", 1)], none()).await;
        if self.is_5() {
            let identifier = none().byte(id::SUBSCRIPTION_IDENTIFIER, 7);
            let options = [("o/#", SUBSCRIPTION_OPTIONS | 1)];
            self.subscribe("subscribe with options and id", &options, identifier)
                .await;
            let user = none().user("k", "1").user("k", "2");
            self.subscribe("subscribe with user property", &[("up/#", 1)], user)
                .await;
            self.run.publish("a", message("o/1", 1, b"mine")).await;
            self.end("publish no local").await;
        }
    }

    /// `b` publishes.
    async fn publish(&mut self, step: &str, publish: Publish<'_>) {
        self.run.publish("b", publish).await;
        self.end(&format!("publish {step}")).await;
    }

    async fn publishes(&mut self) {
        for qos in 0..3 {
            let payload = format!("{{\"temp\": 21.5, \"n\": {qos}}}");
            let publish = message("t/1/x", qos, payload.as_bytes());
            self.publish(&format!("qos{qos} delivered"), publish).await;
        }
        let binary = [0, 255, 128, 10, 0xE2, 0x82, 65, 0xF0, 0x9F, 0x98, 66];
        let text = "ä\"\\/\u{8}\u{c}\n\r\t\x7f\u{2028} 😀 </script>";
        self.publish("no subscriber qos0", message("none/0", 0, b"x")).await;
        self.publish("no subscriber qos1", message("none/1", 1, b"x")).await;
        self.publish("binary payload", message("t/2/x", 1, &binary)).await;
        self.publish("text to escape", message("t/2/x", 1, text.as_bytes()))
            .await;
        self.publish("empty payload", message("t/3/x", 1, b"")).await;
        self.publish("utf8 topic", message("t/ä \"😀/x", 1, b"u")).await;

        let topic = format!("r{}/1", self.level);
        let kept = Publish {
            retain: true,
            ..message(&topic, 1, b"kept")
        };
        self.publish("retained", kept.clone()).await;
        self.subscribe("subscribe gets retained", &[(&topic, 1)], Properties::default())
            .await;
        self.run.publish("b", Publish { payload: b"", ..kept }).await;
        self.end("clear retained").await;

        self.publish("shared", message("s/1", 1, b"sh")).await;
        self.publish("queue", message("q/1", 1, b"qu")).await;
        self.publish("to dollar topic", message("$x/1", 1, b"d")).await;
        if self.is_5() {
            self.publish_with_properties().await;
        }
    }

    async fn publish_with_properties(&mut self) {
        let properties = Properties::default()
            .byte(id::PAYLOAD_FORMAT_INDICATOR, 1)
            .long(id::MESSAGE_EXPIRY_INTERVAL, 100)
            .text(id::CONTENT_TYPE, b"text/plain")
            .text(id::RESPONSE_TOPIC, b"re/1")
            .text(id::CORRELATION_DATA, b"\x01\xff")
            .user("k", "1")
            .user("k", "2")
            .user("j", "ü");
        let publish = Publish {
            properties: &properties.0,
            ..message("t/4/x", 1, b"p")
        };
        self.publish("with properties", publish).await;
        let properties = Properties::default().short(id::TOPIC_ALIAS, 1);
        let publish = Publish {
            properties: &properties.0,
            ..message("t/5/x", 1, b"alias")
        };
        self.publish("with topic alias", publish).await;
    }

    async fn unsubscribes(&mut self) {
        for (step, filter) in [
            ("unsubscribe", "t/+/x"),
            ("unsubscribe shared", "$share/g/s/#"),
            ("unsubscribe unknown", "unknown/x"),
        ] {
            self.run.client("a").unsubscribe(filter).await;
            self.end(step).await;
        }
    }

    async fn ends(&mut self) {
        let will = Connect {
            will: Some((format!("will/{}", self.level), b"gone".to_vec(), 1, false)),
            ..self.client("w")
        };
        self.run.connect("w", &will).await;
        self.end("connect with will").await;
        self.run.take("w").close().await;
        self.end("socket closed, will fires").await;
        self.run.connect("rst", &self.client("rst")).await;
        self.end("connect to be reset").await;
        self.run.take("rst").reset().await;
        self.end("connection reset").await;
        self.run.connect("b", &self.client("b")).await;
        self.end("take-over clean").await;
    }

    async fn sessions(&mut self) {
        let expiry = Properties::default().long(id::SESSION_EXPIRY_INTERVAL, 600);
        let kept = Connect {
            clean: false,
            properties: expiry.clone().0,
            ..self.client("p")
        };
        let first = Connect {
            properties: expiry.short(id::RECEIVE_MAXIMUM, 20).user("cu", "1").0,
            ..kept.clone()
        };
        self.run.connect("p", &first).await;
        self.run.client("p").subscribe(&[("off/#", 1)], &[]).await;
        self.end("persistent session subscribes").await;
        self.run.take("p").disconnect().await;
        self.end("persistent session leaves").await;
        self.run.publish("a", message("off/1", 1, b"later")).await;
        self.end("publish qos1 to offline session").await;
        self.run.publish("a", message("off/0", 0, b"later0")).await;
        self.end("publish qos0 to offline session").await;
        self.run.connect("p", &kept).await;
        self.end("persistent session returns").await;
        self.run.connect("p", &kept).await;
        self.end("take-over persistent").await;
        self.run.connect("p", &self.client("p")).await;
        self.end("clean connect discards session").await;
        self.run.take("p").disconnect().await;
        self.end("discard ends").await;
    }

    async fn leaves(&mut self) {
        let b = self.run.take("b");
        if self.is_5() {
            let properties = Properties::default().text(id::REASON_STRING, b"bye").user("d", "1");
            let mut body = vec![4];
            packet::properties(&mut body, &properties.0);
            b.disconnect_with(&body).await;
            self.end("disconnect with reason 0x04").await;
        } else {
            b.disconnect().await;
            self.end("disconnect b").await;
        }
        self.run.take("a").disconnect().await;
        self.end("disconnect a").await;
    }
}

/// Packets that no library sends.
async fn packets_by_hand(run: &mut Run) {
    let short = Connect {
        keep_alive: 1,
        ..client(4, "ka")
    };
    run.connect("ka", &short).await;
    run.end("keepalive connect").await;
    run.client("ka").closed().await;
    run.end("keepalive runs out").await;

    let unnamed = Connect {
        clean: false,
        ..client(4, "")
    };
    let unknown = Connect {
        level: 9,
        ..client(4, "bv")
    };
    for (step, connect) in [
        ("v4 empty client id without clean session", unnamed),
        ("unsupported protocol version", unknown),
    ] {
        run.connect("raw", &connect).await;
        run.end(step).await;
    }

    let large = [&[0x30, 0x80, 0x80, 0x80, 0x01, 0, 1, b'a'], &[b'x'; 100][..]].concat();
    for (step, id, bytes) in [
        ("malformed publish qos3", "q3", b"\x36\x06\0\x01A\0\x01B".to_vec()),
        ("second CONNECT", "c2", client(4, "c2").encode()),
        ("packet too large", "big", large),
        ("publish to wildcard topic", "wc", b"\x30\x06\0\x03a/#x".to_vec()),
    ] {
        run.connect("raw", &client(4, id)).await;
        run.client("raw").send(bytes);
        run.end(step).await;
    }
}
