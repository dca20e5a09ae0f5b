//! Both engines and the same clients: every event of the one, field by field, is an event of the other.
//!
//! [`expected`] has the differences, each with its reason; `docs/gateway.md` lists the same ones for users. Events are
//! compared per client, because only that order is promised, and without what differs from run to run.

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::pin::Pin;

use super::client::{Client, Connect, clean, packet, persistent, text};
use super::*;
use crate::event::{Access, Connection, Delivery, Id, Message, Millis, Property};

type Script = for<'a> fn(&'a Host, u8) -> Pin<Box<dyn Future<Output = ()> + 'a>>;

/// Runs a script against both engines, for both versions, and compares.
async fn compare(script: Script) {
    for version in [4, 5] {
        let limits = || Limits {
            max_topic_aliases: 10,
            ..Limits::default()
        };
        let alone = Host::start(limits()).await;
        script(&alone, version).await;
        let pair = Pair::with(limits(), |_| {}).await;
        script(&pair.host, version).await;
        let alone = by_client(&alone.events(), |detail| expected(detail, version));
        let gateway = by_client(&pair.host.events(), Some);
        let shown = |of: &[(String, Vec<Detail>)]| -> Vec<String> {
            let lines = of.iter().flat_map(|(_, details)| details.iter().map(show));
            lines.collect()
        };
        pretty(&shown(&alone), &shown(&gateway), version);
    }
}

fn pretty(alone: &[String], gateway: &[String], version: u8) {
    if alone != gateway {
        let first = alone
            .iter()
            .zip(gateway)
            .position(|(a, b)| a != b)
            .unwrap_or(alone.len().min(gateway.len()));
        let line = |of: &[String]| of.get(first).cloned().unwrap_or_else(|| "nothing".to_owned());
        let all = |of: &[String]| {
            of.iter()
                .map(|line| line.split(" | ").next().unwrap().to_owned())
                .collect::<Vec<_>>()
                .join("\n")
        };
        panic!(
            "version {version}, event {first}:\n  rmqtt   {}\n  gateway {}\n\nrmqtt:\n{}\n\ngateway:\n{}",
            line(alone),
            line(gateway),
            all(alone),
            all(gateway)
        );
    }
}

/// A detail in one line: what it is about, and then all of it.
fn show(detail: &Detail) -> String {
    let event = Event {
        id: Id(0),
        at: Millis(0),
        utc_offset: 0,
        detail: detail.clone(),
        extras: Vec::new(),
    };
    // `Debug` of a message leaves most of it out.
    let message = match detail {
        Detail::MessagePublish(message) => Some(message),
        Detail::MessageDelivered(delivery) | Detail::MessageQueued(delivery) => Some(&delivery.message),
        Detail::MessageAcked(acknowledgement) => Some(&acknowledgement.delivery.message),
        Detail::MessageDropped(drop) | Detail::MessageRefused(drop) => Some(&drop.message),
        Detail::DeliveryDropped(drop) => Some(&drop.delivery.message),
        _ => None,
    };
    let message = message.map(|m| {
        format!(
            "{:?} retain {} dup {} {:?} {:?} {:?} {:?}",
            m.publisher, m.retain, m.dup, m.packet_id, m.received_at, m.properties, m.payload
        )
    });
    format!("{} | {detail:?} {message:?}", line(&event))
}

/// The events of each client, clients by name, without what differs from run to run.
fn by_client(events: &[Arc<Event>], change: impl Fn(Detail) -> Option<Detail>) -> Vec<(String, Vec<Detail>)> {
    let mut names = Names::default();
    let mut clients: BTreeMap<String, Vec<Detail>> = BTreeMap::new();
    for event in events {
        let Some(id) = event.detail.client().map(|client| names.client(&client.id)) else {
            continue;
        };
        clients.entry(id).or_default().push(event.detail.clone());
    }
    // Numbers are given client by client, as the order between clients differs from run to run.
    for details in clients.values_mut() {
        let settled = std::mem::take(details).into_iter().filter_map(|mut detail| {
            names.settle(&mut detail);
            change(detail)
        });
        *details = settled.collect();
    }
    // An id that is known only later is another client before.
    clients.retain(|_, details| !details.is_empty());
    clients.into_iter().collect()
}

/// In place of an id that the broker has chosen.
const ASSIGNED: &str = "assigned";

/// Numbers in place of what is chosen by chance.
#[derive(Default)]
struct Names {
    ids: HashMap<Id, u128>,
}

impl Names {
    fn client(&self, id: &str) -> String {
        // An id that the broker chose is longer than any here.
        if id.len() >= 20 {
            ASSIGNED.to_owned()
        } else {
            id.to_owned()
        }
    }

    fn settle(&mut self, detail: &mut Detail) {
        match detail {
            Detail::ClientConnect(connection) => self.connection(connection),
            Detail::ClientConnack(connack) | Detail::ClientConnected(connack) => {
                self.connection(&mut connack.connection);
                time(&mut connack.connected_at);
                if let Some(properties) = &mut connack.properties {
                    for property in &mut properties.standard {
                        if let Property::AssignedClientIdentifier(id) = property {
                            *id = self.client(id).into();
                        }
                    }
                }
            }
            Detail::ClientDisconnected(disconnection) => {
                self.connection(&mut disconnection.connection);
                time(&mut disconnection.connected_at);
                disconnection.disconnected_at = Millis(1);
            }
            Detail::ClientAuthenticated(authentication) => self.connection(&mut authentication.connection),
            Detail::ClientAuthorized(authorization) => self.who(&mut authorization.client),
            Detail::ClientSubscribe(subscription) | Detail::SessionSubscribed(subscription) => {
                self.who(&mut subscription.client);
            }
            Detail::ClientUnsubscribe(unsubscription) | Detail::SessionUnsubscribed(unsubscription) => {
                self.who(&mut unsubscription.client);
            }
            Detail::SessionCreated(session)
            | Detail::SessionResumed(session)
            | Detail::SessionDiscarded(session)
            | Detail::SessionTakenOver(session) => {
                self.who(&mut session.client);
                time(&mut session.created_at);
            }
            Detail::SessionTerminated(termination) => {
                self.who(&mut termination.session.client);
                time(&mut termination.session.created_at);
            }
            Detail::MessagePublish(message) => self.message(message),
            Detail::MessageDelivered(delivery) | Detail::MessageQueued(delivery) => self.delivery(delivery),
            Detail::MessageAcked(acknowledgement) => self.delivery(&mut acknowledgement.delivery),
            Detail::MessageDropped(drop) | Detail::MessageRefused(drop) => self.message(&mut drop.message),
            Detail::DeliveryDropped(drop) => self.delivery(&mut drop.delivery),
            Detail::DeliveryLost(loss) => self.who(&mut loss.receiver),
            Detail::Other(other) => {
                if let Some(client) = &mut other.client {
                    self.who(client);
                }
            }
        }
    }

    fn who(&self, client: &mut crate::event::Client) {
        client.id = self.client(&client.id).into();
        if let Some(peer) = &mut client.peer {
            peer.set_port(1);
        }
    }

    fn connection(&self, connection: &mut Connection) {
        self.who(&mut connection.client);
        if let Some(local) = &mut connection.local {
            local.set_port(1);
        }
    }

    fn message(&mut self, message: &mut Message) {
        let next = self.ids.len() as u128 + 1;
        message.id = Id(*self.ids.entry(message.id).or_insert(next));
        message.received_at = Millis(1);
        self.who(&mut message.publisher);
    }

    fn delivery(&mut self, delivery: &mut Delivery) {
        self.who(&mut delivery.receiver);
        self.message(&mut delivery.message);
    }
}

fn time(time: &mut Option<Millis>) {
    if let Some(time) = time {
        *time = Millis(1);
    }
}

/// What the gateway tells in place of an event of RMQTT's, with the reason.
fn expected(mut detail: Detail, version: u8) -> Option<Detail> {
    match &mut detail {
        // No packet shows that a publish was allowed.
        Detail::ClientAuthorized(authorization) if authorization.access == Access::Publish => return None,
        // The upstream decides.
        Detail::ClientAuthorized(authorization) => authorization.source = "upstream".into(),
        Detail::ClientAuthenticated(authentication) => {
            authentication.source = "upstream".into();
            // The upstream may have judged the credentials; RMQTT knows that nobody has.
            authentication.anonymous &= authentication.connection.client.username.is_none();
            limits_of_upstream(&mut authentication.connection, version);
        }
        Detail::ClientConnect(connection) => {
            limits_of_upstream(connection, version);
            // RMQTT chooses an id before it tells anything.
            if connection.client.id == *ASSIGNED {
                connection.client.id = "".into();
            }
        }
        Detail::ClientConnack(connack) | Detail::ClientConnected(connack) => {
            limits_of_upstream(&mut connack.connection, version);
            if let (Some(properties), ASSIGNED) = (&mut connack.properties, &*connack.connection.client.id) {
                // RMQTT sends it and does not tell.
                let id = Property::AssignedClientIdentifier(ASSIGNED.into());
                properties.standard.insert(2, id);
            }
        }
        Detail::ClientDisconnected(disconnection) => limits_of_upstream(&mut disconnection.connection, version),
        // What happens to a client that is away is seen by nobody outside.
        Detail::MessageQueued(_) => return None,
        // MQTT 5 can say it above QoS 0, but RMQTT as an upstream does not.
        Detail::MessageDropped(_) => return None,
        _ => {}
    }
    Some(detail)
}

/// The gateway knows what the client asked for, and what CONNACK says about it.
fn limits_of_upstream(connection: &mut Connection, version: u8) {
    let asked = connection.properties.iter().flat_map(|properties| &properties.standard);
    let receive_maximum = asked.filter_map(|property| match property {
        Property::ReceiveMaximum(maximum) => Some(*maximum),
        _ => None,
    });
    connection.receive_maximum = receive_maximum.last().unwrap_or(u16::MAX);
    if version < 5 && !connection.clean_start {
        connection.session_expiry = u32::MAX;
    }
}

macro_rules! scripts {
    ($($script:ident),* $(,)?) => {
        $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $script() {
            compare(|host, version| Box::pin(script::$script(host, version))).await;
        })*
    };
}

scripts!(
    subscriptions,
    a_user_name,
    publishes_of_each_qos,
    publishes_to_nobody,
    a_session_that_is_away,
    a_delivery_that_is_repeated,
    a_will,
    a_will_that_is_not_published,
    a_clean_successor,
    a_successor_with_the_same_session,
    a_session_thrown_away,
    retained_messages,
    a_shared_subscription,
    a_repeated_publish,
    properties,
    aliases,
    an_assigned_client_id,
    silence,
    a_reason_for_leaving,
    two_receivers,
);

/// What clients do.
mod script {
    use super::*;

    /// A client with a clean session leaves, and that is told.
    async fn leave(host: &Host, client: Client, id: &str) {
        client.disconnect().await;
        host.sees(&format!("session.terminated {id} Disconnect 0")).await;
    }

    pub(super) async fn subscriptions(host: &Host, version: u8) {
        let mut c = clean(version, "c").join(host.address()).await;
        c.subscribe("t/1", 1).await;
        c.subscribe("t/1", 2).await;
        c.subscribe("a/+/#", 0).await;
        c.unsubscribe("t/1").await;
        c.ping().await;
        c.disconnect().await;
        host.sees("session.terminated c Disconnect 0").await;
    }

    pub(super) async fn a_user_name(host: &Host, version: u8) {
        let connect = Connect {
            username: Some("ü".into()),
            keep_alive: 33,
            ..clean(version, "c")
        };
        let mut c = connect.join(host.address()).await;
        c.publish("t", "x", 1, false).await;
        c.disconnect().await;
        host.sees("session.terminated c Disconnect 0").await;
    }

    pub(super) async fn publishes_of_each_qos(host: &Host, version: u8) {
        let mut s = clean(version, "s").join(host.address()).await;
        s.subscribe("t/#", 2).await;
        let mut p = clean(version, "p").join(host.address()).await;
        for qos in [0, 1, 2] {
            p.publish("t/1", "hello", qos, false).await;
            s.receive().await;
            s.ping().await;
        }
        host.sees("message.acked s t/1 q2 \"hello\"").await;
        p.disconnect().await;
        host.sees("session.terminated p Disconnect 0").await;
        leave(host, s, "s").await;
    }

    pub(super) async fn publishes_to_nobody(host: &Host, version: u8) {
        let mut p = clean(version, "p").join(host.address()).await;
        for (qos, payload) in [(0, "x"), (1, "y"), (2, "")] {
            p.publish("t", payload, qos, false).await;
        }
        p.disconnect().await;
        host.sees("session.terminated p Disconnect 0").await;
    }

    pub(super) async fn a_session_that_is_away(host: &Host, version: u8) {
        let mut s = persistent(version, "s").join(host.address()).await;
        s.subscribe("t", 1).await;
        s.disconnect().await;
        host.sees("client.disconnected s Disconnect 0").await;
        let mut p = clean(version, "p").join(host.address()).await;
        p.publish("t", "x", 1, false).await;
        let (mut s, found) = persistent(version, "s").open(host.address()).await;
        assert!(found);
        s.receive().await;
        s.subscribe("t", 1).await;
        s.disconnect().await;
        let disconnected = |events: &[Arc<Event>]| {
            let lines = lines_of(events, "s");
            lines
                .iter()
                .filter(|line| line.starts_with("client.disconnected"))
                .count()
                == 2
        };
        host.until(disconnected).await;
        leave(host, p, "p").await;
    }

    pub(super) async fn a_delivery_that_is_repeated(host: &Host, version: u8) {
        let mut s = persistent(version, "s").join(host.address()).await;
        s.subscribe("t", 1).await;
        let mut p = clean(version, "p").join(host.address()).await;
        p.publish("t", "x", 1, false).await;
        s.message().await;
        drop(s);
        host.sees("client.disconnected s Closed").await;
        let (mut s, _) = persistent(version, "s").open(host.address()).await;
        assert!(s.receive().await.dup);
        host.sees("message.acked s t q1 dup \"x\"").await;
        s.disconnect().await;
        host.sees("client.disconnected s Disconnect 0").await;
        leave(host, p, "p").await;
    }

    pub(super) async fn a_will(host: &Host, version: u8) {
        let connect = Connect {
            will: Some(("gone".into(), "c".into(), false)),
            ..clean(version, "c")
        };
        drop(connect.join(host.address()).await);
        host.sees("session.terminated c Closed").await;
    }

    pub(super) async fn a_will_that_is_not_published(host: &Host, version: u8) {
        let connect = Connect {
            will: Some(("gone".into(), "c".into(), true)),
            ..clean(version, "c")
        };
        connect.join(host.address()).await.disconnect().await;
        host.sees("session.terminated c Disconnect 0").await;
    }

    pub(super) async fn a_clean_successor(host: &Host, version: u8) {
        let mut old = clean(version, "c").join(host.address()).await;
        let new = clean(version, "c").join(host.address()).await;
        old.closed().await;
        new.disconnect().await;
        host.sees("session.terminated c Disconnect 0").await;
    }

    pub(super) async fn a_successor_with_the_same_session(host: &Host, version: u8) {
        let mut old = persistent(version, "c").join(host.address()).await;
        let (new, found) = persistent(version, "c").open(host.address()).await;
        assert!(found);
        old.closed().await;
        new.disconnect().await;
        host.sees("client.disconnected c Disconnect 0").await;
    }

    pub(super) async fn a_session_thrown_away(host: &Host, version: u8) {
        persistent(version, "c").join(host.address()).await.disconnect().await;
        host.sees("client.disconnected c Disconnect 0").await;
        clean(version, "c").join(host.address()).await.disconnect().await;
        host.sees("session.terminated c Disconnect 0").await;
    }

    pub(super) async fn retained_messages(host: &Host, version: u8) {
        let mut p = clean(version, "p").join(host.address()).await;
        p.publish("t/0", "old", 1, true).await;
        let mut w = clean(version, "w").join(host.address()).await;
        w.subscribe("t/+", 1).await;
        // RMQTT looks for retained messages after SUBACK, beside everything else. It has done so once this one is here;
        // before, it may find the next one too.
        assert!(w.receive().await.retain);
        host.sees("message.acked w t/0 q1 retain retained \"old\"").await;
        p.publish("t/1", "kept", 1, true).await;
        assert!(!w.receive().await.retain);
        host.sees("message.acked w t/1 q1 \"kept\"").await;
        let mut s = clean(version, "s").join(host.address()).await;
        s.subscribe("t/1", 1).await;
        assert!(s.receive().await.retain);
        host.sees("message.acked s t/1 q1 retain retained \"kept\"").await;
        leave(host, p, "p").await;
        leave(host, w, "w").await;
        leave(host, s, "s").await;
    }

    pub(super) async fn a_shared_subscription(host: &Host, version: u8) {
        let mut s = clean(version, "s").join(host.address()).await;
        s.subscribe("$share/g/t/+", 1).await;
        let mut p = clean(version, "p").join(host.address()).await;
        p.publish("t/1", "x", 1, false).await;
        s.receive().await;
        host.sees("message.acked s t/1 q1 \"x\"").await;
        s.unsubscribe("$share/g/t/+").await;
        s.disconnect().await;
        host.sees("session.terminated s Disconnect 0").await;
        leave(host, p, "p").await;
    }

    pub(super) async fn a_repeated_publish(host: &Host, version: u8) {
        let mut c = clean(version, "c").join(host.address()).await;
        let publish = c.publish_bytes("t", b"x", 2, false, [0, 7]);
        c.write(&publish).await;
        assert_eq!(c.read().await.0, 0x50);
        let again = [&[publish[0] | 8], &publish[1..]].concat();
        c.write(&again).await;
        assert_eq!(c.read().await.0, 0x50);
        c.write(&packet(0x62, &[0, 7])).await;
        assert_eq!(c.read().await.0, 0x70);
        c.disconnect().await;
        host.sees("session.terminated c Disconnect 0").await;
    }

    pub(super) async fn properties(host: &Host, version: u8) {
        if version < 5 {
            return;
        }
        let mut connect = vec![0x11, 0, 0, 0, 90, 0x21, 0, 30, 0x19, 1, 0x26];
        connect.extend(text("k"));
        connect.extend(text("v"));
        let connect = Connect {
            properties: connect,
            ..clean(5, "s")
        };
        let mut s = connect.join(host.address()).await;
        s.subscribe_with("t", 1 | 0x04 | 0x20, &[2, 0x0b, 7]).await;
        let mut p = clean(5, "p").join(host.address()).await;
        let mut properties = vec![0x01, 1, 0x03];
        properties.extend(text("text/plain"));
        properties.push(0x08);
        properties.extend(text("answer/here"));
        properties.push(0x09);
        properties.extend(text("\u{1}\u{2}"));
        properties.push(0x26);
        properties.extend(text("k"));
        properties.extend(text("v"));
        let mut body = text("t");
        body.extend([0, 9, properties.len() as u8]);
        body.extend(properties);
        body.extend(b"x");
        p.write(&packet(0x32, &body)).await;
        s.receive().await;
        host.sees("message.acked s t q1 \"x\"").await;
        leave(host, p, "p").await;
        s.disconnect().await;
        host.sees("client.disconnected s Disconnect 0").await;
    }

    pub(super) async fn aliases(host: &Host, version: u8) {
        if version < 5 {
            return;
        }
        let mut s = Connect {
            properties: vec![0x22, 0, 5],
            ..clean(5, "s")
        }
        .join(host.address())
        .await;
        s.subscribe("a/+", 0).await;
        let mut p = clean(5, "p").join(host.address()).await;
        let publish = |topic: &str, alias: u8, payload: &[u8]| {
            let body = [text(topic), vec![3, 0x23, 0, alias], payload.to_vec()].concat();
            packet(0x30, &body)
        };
        for (topic, alias, payload) in [("a/1", 1, "one"), ("", 1, "two"), ("a/2", 1, "three"), ("", 1, "four")] {
            p.write(&publish(topic, alias, payload.as_bytes())).await;
            s.read().await;
        }
        p.disconnect().await;
        host.sees("session.terminated p Disconnect 0").await;
        s.disconnect().await;
        host.sees("session.terminated s Disconnect 0").await;
    }

    pub(super) async fn an_assigned_client_id(host: &Host, version: u8) {
        if version < 5 {
            return;
        }
        let mut c = clean(version, "").join(host.address()).await;
        c.publish("t", "x", 0, false).await;
        c.disconnect().await;
        host.until(|events| {
            events
                .iter()
                .any(|event| event.detail.hook() == Hook::SessionTerminated)
        })
        .await;
    }

    pub(super) async fn silence(host: &Host, version: u8) {
        let connect = Connect {
            keep_alive: 1,
            ..clean(version, "c")
        };
        connect.join(host.address()).await.closed().await;
        host.sees("session.terminated c KeepAliveTimeout 141").await;
    }

    pub(super) async fn a_reason_for_leaving(host: &Host, version: u8) {
        if version < 5 {
            return;
        }
        // Without a will: RMQTT does not publish it, and the gateway tells what the standard says.
        let mut c = clean(version, "c").join(host.address()).await;
        let mut body = vec![4, 6, 0x1f];
        body.extend(text("bye"));
        c.write(&packet(0xe0, &body)).await;
        drop(c);
        host.sees("session.terminated c Disconnect 4").await;
    }

    pub(super) async fn two_receivers(host: &Host, version: u8) {
        let mut a = clean(version, "a").join(host.address()).await;
        let mut b = clean(version, "b").join(host.address()).await;
        a.subscribe("t/+", 0).await;
        b.subscribe("t/1", 2).await;
        let mut p = clean(version, "p").join(host.address()).await;
        for payload in ["same", "same", "other"] {
            p.publish("t/1", payload, 1, false).await;
            a.receive().await;
            b.receive().await;
            // A confirmation may be dealt with after the next message; a ping comes after it.
            b.ping().await;
        }
        host.sees("message.acked b t/1 q1 \"other\"").await;
        leave(host, p, "p").await;
        leave(host, a, "a").await;
        leave(host, b, "b").await;
    }
}
