//! The steps about the ends of connections and sessions: wills, take-overs, expiry, keep alive.

use hookhost_tests::packet::{self, Connect};

use super::{Script, with_user};
use crate::properties::{Properties, id};
use crate::run::{client, message};

impl Script<'_> {
    /// A client of the user `willy` with a will.
    fn willy(&self, payload: &str, qos: u8, retain: bool) -> Connect {
        let will = (format!("will/{}", self.level), payload.as_bytes().to_vec(), qos, retain);
        Connect {
            will: Some(will),
            ..self.named("w", "willy")
        }
    }

    pub(super) async fn wills(&mut self) {
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

    pub(super) async fn take_overs(&mut self) {
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

    pub(super) async fn persistent_sessions(&mut self) {
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

    pub(super) async fn session_expiry(&mut self) {
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

    pub(super) async fn keep_alive(&mut self) {
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
}

/// The property of MQTT 5 that a session lives for so many seconds after its connection.
fn expiry(seconds: u32) -> Vec<u8> {
    Properties::default().long(id::SESSION_EXPIRY_INTERVAL, seconds).0
}
