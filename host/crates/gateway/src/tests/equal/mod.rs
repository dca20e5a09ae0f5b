//! Both engines and the same clients: every event of the one, field by field, is an event of the other.
//!
//! [`expected`] has the differences, each with its reason; `docs/gateway.md` lists the same ones for users. Events are
//! compared per client, because only that order is promised, and without what differs from run to run.

mod script;

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::pin::Pin;

use super::client::{Client, Connect, clean, packet, persistent, text};
use super::*;
use hookhost_event::{Access, Connection, Delivery, Id, Message, Millis, Property};

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

    fn who(&self, client: &mut hookhost_event::Client) {
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
