//! A started engine whose events a test can wait for.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Notify;

use hookhost_access::{AccessControl, Settings};
use hookhost_broker::{BrokerSettings, Conventions, Limits, Running, StartError, start};
use hookhost_contract::Interest;
use hookhost_event::{Authorization, Connack, Delivery, Detail, End, Event, Hook, Message, Node, Session};
use hookhost_hooks::{Attachment, Bus, Interests, Overflow, QueueLimits};
use hookhost_listener::ListenerSettings;

/// More than anything here takes.
pub const DEADLINE: Duration = Duration::from_secs(120);

/// An engine and all events that it has emitted.
pub struct Host {
    /// The engine.
    pub running: Running,
    /// The emitted events, one line for each.
    pub seen: Arc<Seen>,
    _attachment: Attachment,
}

/// Events that have come.
#[derive(Default)]
pub struct Seen {
    /// In the order in which they came.
    events: Mutex<Vec<Arc<Event>>>,
    /// There are more.
    more: Notify,
}

impl Host {
    /// RMQTT in process, and interest in everything.
    pub async fn start(limits: Limits) -> Host {
        Host::interested(limits, &Hook::ALL).await
    }

    /// The same with interest in these hooks only.
    pub async fn interested(limits: Limits, hooks: &[Hook]) -> Host {
        let settings = settings(limits);
        Host::with(hooks, async |bus| start(&settings, Some(bus)).await).await
    }

    /// RMQTT in process with this data folder, and interest in everything.
    pub async fn start_in(data: &Path, limits: Limits) -> Host {
        let settings = BrokerSettings {
            data: Some(data.to_owned()),
            ..settings(limits)
        };
        Host::with(&Hook::ALL, async |bus| start(&settings, Some(bus)).await).await
    }

    /// The engine that `start` starts with the bus that it is given, and interest in these hooks.
    pub async fn with(hooks: &[Hook], start: impl AsyncFnOnce(Bus) -> Result<Running, StartError>) -> Host {
        let bus = Bus::new();
        let queue = QueueLimits {
            events: 1_000_000,
            bytes: 1 << 30,
            overflow: Overflow::Drop,
        };
        let (attachment, mut inboxes) = bus.attach("test", 1, queue);
        let list: Vec<_> = hooks
            .iter()
            .map(|hook| Interest {
                hook: *hook,
                filters: Vec::new(),
            })
            .collect();
        attachment.set_interests(Interests::compile(&list).unwrap());
        let seen = Arc::new(Seen::default());
        let mut inbox = inboxes.remove(0);
        std::thread::spawn({
            let seen = Arc::clone(&seen);
            move || {
                let mut batch = Vec::new();
                while inbox.next_batch(&mut batch, 64) {
                    seen.events
                        .lock()
                        .unwrap()
                        .extend(batch.drain(..).map(|queued| queued.event));
                    seen.more.notify_one();
                }
            }
        });
        let running = start(bus).await.unwrap();
        Host {
            running,
            seen,
            _attachment: attachment,
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.running.address()
    }

    /// All events so far.
    pub fn events(&self) -> Vec<Arc<Event>> {
        self.seen.events()
    }

    /// See [`Seen::until`].
    pub async fn until(&self, done: impl Fn(&[Arc<Event>]) -> bool) -> Vec<Arc<Event>> {
        self.seen.until(done).await
    }

    /// See [`Seen::lines`].
    pub async fn lines(&self, count: usize) -> Vec<String> {
        self.seen.lines(count).await
    }

    /// Waits until the engine has emitted these lines, in this order, and no others. Forgets them.
    pub async fn told(&self, expected: &[&str]) {
        let lines = self.lines(expected.len()).await;
        assert_eq!(lines, expected, "told:\n{}", lines.join("\n"));
        self.seen.events.lock().unwrap().clear();
    }

    /// Waits for an event that has this line.
    pub async fn sees(&self, expected: &str) -> Arc<Event> {
        let found = |events: &[Arc<Event>]| events.iter().find(|event| line(event) == expected).cloned();
        let events = self.until(|events| found(events).is_some()).await;
        found(&events).unwrap()
    }

    /// Forgets the lines so far.
    pub fn forget(&self) {
        self.seen.events.lock().unwrap().clear();
    }
}

impl Seen {
    /// All events so far.
    fn events(&self) -> Vec<Arc<Event>> {
        self.events.lock().unwrap().clone()
    }

    /// All lines so far, once there are as many; panics with what there is when the time is up.
    pub async fn lines(&self, count: usize) -> Vec<String> {
        self.until(|events| events.len() >= count)
            .await
            .iter()
            .map(|event| line(event))
            .collect()
    }

    /// All events, once they are as wanted; panics with what there is when the time is up.
    pub async fn until(&self, done: impl Fn(&[Arc<Event>]) -> bool) -> Vec<Arc<Event>> {
        let wait = async {
            loop {
                let events = self.events();
                if done(&events) {
                    return events;
                }
                self.more.notified().await;
            }
        };
        tokio::time::timeout(DEADLINE, wait).await.unwrap_or_else(|_| {
            panic!(
                "told only:\n{}",
                self.events()
                    .iter()
                    .map(|event| line(event))
                    .collect::<Vec<_>>()
                    .join("\n")
            )
        })
    }
}

/// BrokerSettings of RMQTT in process on a free port.
pub fn settings(limits: Limits) -> BrokerSettings {
    settings_at(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), limits)
}

/// The same with a listener at this address.
pub fn settings_at(address: SocketAddr, limits: Limits) -> BrokerSettings {
    BrokerSettings {
        listeners: vec![ListenerSettings::tcp("tcp:default", address)],
        node: Node {
            name: "hookhost@127.0.0.1".into(),
            id: 1,
        },
        limits,
        conventions: Conventions::default(),
        data: None,
        access: AccessControl::new(Settings::default()),
    }
}

/// An event in one line: what the tests are about, and nothing that differs from run to run.
pub fn line(event: &Event) -> String {
    let rest = match &event.detail {
        Detail::ClientConnect(connection) => connection.client.id.to_string(),
        Detail::ClientConnack(connack) | Detail::ClientConnected(connack) => answer(connack),
        Detail::ClientDisconnected(disconnection) => {
            format!("{} {}", disconnection.connection.client.id, end(&disconnection.end))
        }
        Detail::ClientAuthenticated(authentication) => {
            let id = &authentication.connection.client.id;
            let kind = if authentication.anonymous {
                "anonymous"
            } else {
                "judged"
            };
            format!("{id} {} {kind}", authentication.code)
        }
        Detail::ClientAuthorized(authorization) => decision(authorization),
        Detail::ClientSubscribe(subscription) | Detail::SessionSubscribed(subscription) => {
            let group = subscription
                .group
                .as_ref()
                .map(|group| format!(" of {group}"))
                .unwrap_or_default();
            let new = if subscription.is_new { "new" } else { "again" };
            let (id, filter, code) = (&subscription.client.id, &subscription.filter, subscription.code);
            format!("{id} {filter}{group} q{} {code} {new}", subscription.qos)
        }
        Detail::ClientUnsubscribe(unsubscription) | Detail::SessionUnsubscribed(unsubscription) => {
            let (id, filter) = (&unsubscription.client.id, &unsubscription.filter);
            format!("{id} {filter} q{} {}", unsubscription.qos, unsubscription.code)
        }
        Detail::SessionCreated(session)
        | Detail::SessionResumed(session)
        | Detail::SessionDiscarded(session)
        | Detail::SessionTakenOver(session) => whose(session),
        Detail::SessionTerminated(termination) => format!("{} {}", whose(&termination.session), end(&termination.end)),
        Detail::MessagePublish(message) => published(message),
        Detail::MessageDelivered(delivery) | Detail::MessageQueued(delivery) => on_its_way(delivery),
        Detail::MessageAcked(acknowledgement) => on_its_way(&acknowledgement.delivery),
        Detail::MessageDropped(drop) | Detail::MessageRefused(drop) => {
            format!("{} {:?} {}", published(&drop.message), drop.reason, drop.code)
        }
        Detail::DeliveryDropped(drop) => format!("{} {:?} {}", on_its_way(&drop.delivery), drop.reason, drop.code),
        Detail::DeliveryLost(loss) => loss.filter.to_string(),
        Detail::Other(other) => {
            format!(
                "{} {}",
                other.client.as_ref().map(|client| client.id.as_ref()).unwrap_or("-"),
                other.name
            )
        }
    };
    format!("{} {rest}", event.detail.hook().name())
}

fn answer(connack: &Connack) -> String {
    let session = if connack.session_present { "found" } else { "new" };
    format!("{} {} {session}", connack.connection.client.id, connack.code)
}

fn decision(authorization: &Authorization) -> String {
    let allowed = if authorization.allowed { "allowed" } else { "refused" };
    format!(
        "{} {:?} {} {allowed}",
        authorization.client.id, authorization.access, authorization.topic
    )
}

fn end(end: &End) -> String {
    match end.code {
        Some(code) => format!("{:?} {code}", end.reason),
        None => format!("{:?}", end.reason),
    }
}

fn whose(session: &Session) -> String {
    session.client.id.to_string()
}

fn published(message: &Message) -> String {
    let flags = [(message.retain, " retain"), (message.dup, " dup")];
    let flags: String = flags.iter().filter(|(set, _)| *set).map(|(_, name)| *name).collect();
    let payload = String::from_utf8_lossy(&message.payload);
    format!(
        "{} {:?} {} q{}{flags} {payload:?}",
        message.publisher.id, message.origin, message.topic, message.qos
    )
}

fn on_its_way(delivery: &Delivery) -> String {
    let flags = [
        (delivery.retain, " retain"),
        (delivery.dup, " dup"),
        (delivery.retained, " retained"),
    ];
    let flags: String = flags.iter().filter(|(set, _)| *set).map(|(_, name)| *name).collect();
    let payload = String::from_utf8_lossy(&delivery.message.payload);
    let (to, topic) = (&delivery.receiver.id, &delivery.message.topic);
    format!("{to} {topic} q{}{flags} {payload:?}", delivery.qos)
}
