//! Persistent sessions under load while the host is killed: what was acknowledged arrives, in order, QoS 2 once.
//!
//! [`Crash::run`] starts a host with a data folder, connects subscribers of three kinds, lets publishers publish to them,
//! kills the host with SIGKILL, starts it again on the same folder, lets everybody come back and finish, and counts.
//! Clients keep their side of the protocol over the crash as the standard demands: publishers repeat what was not
//! acknowledged, and receivers of QoS 2 remember packet ids until PUBREL.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use rustix::process::Signal;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::host::{Host, Setup};
use crate::packet::{self, Connect, Packet, kind};
use crate::raw::Raw;
use crate::{PATIENCE, Version};

/// The version of all clients.
const VERSION: Version = Version::V311;
/// How many publishes of a publisher may be unacknowledged.
const WINDOW: usize = 20;
/// The payload that ends a subscriber's run.
const END: &[u8] = b"end";

/// A subscriber while the host is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Not connected.
    Offline,
    /// Connected, and acknowledges.
    Acknowledging,
    /// Connected, and acknowledges nothing.
    Silent,
}

/// A run.
#[derive(Debug, Clone)]
pub struct Crash {
    /// Sessions of each of the three kinds.
    pub sessions: usize,
    /// Publishers, half of them with QoS 1 and half with QoS 2.
    pub publishers: usize,
    /// Messages of each publisher until the host is killed, at least.
    pub messages: usize,
}

/// What was counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Messages that were acknowledged before the host was killed.
    pub acknowledged: usize,
    /// Messages that subscribers should have received, all in all.
    pub expected: usize,
    /// Of those, how many did not arrive.
    pub lost: usize,
    /// Sessions that were not there after the restart.
    pub sessions_lost: usize,
    /// Messages of one publisher that arrived for the first time after a later one.
    pub out_of_order: usize,
    /// QoS 1: messages that arrived more than once, which is allowed.
    pub repeated: usize,
    /// QoS 2 to QoS 2: messages that were delivered more than once.
    pub doubled: usize,
}

/// What a client has received: publisher and number of each message, in order.
type Inbox = Vec<(usize, usize)>;

struct Subscriber {
    number: usize,
    kind: Kind,
    qos: u8,
    inbox: Inbox,
    /// The ids of QoS 2 messages before PUBREL.
    received: HashSet<u16>,
}

struct Publisher {
    number: usize,
    qos: u8,
    /// The number of the next message.
    next: usize,
    next_id: u16,
    /// Sent and not acknowledged, in order: id, number.
    sent: VecDeque<(u16, usize)>,
    /// QoS 2: acknowledged with PUBREC, not completed.
    released: VecDeque<u16>,
    /// How many were acknowledged.
    acknowledged: usize,
}

fn topic(subscriber: usize) -> String {
    format!("s/{subscriber}")
}

impl Crash {
    fn subscribers(&self) -> usize {
        self.sessions * 3
    }

    /// The subscriber to which a message goes.
    fn receiver(&self, publisher: usize, number: usize) -> usize {
        (publisher * 7 + number) % self.subscribers()
    }

    /// Runs it once, with a fresh folder.
    pub async fn run(&self) -> Counts {
        let data = tempfile::tempdir().expect("a temporary directory");
        let mut host = start(data.path()).await;
        let mut subscribers = Vec::new();
        for number in 0..self.subscribers() {
            let kind = [Kind::Offline, Kind::Acknowledging, Kind::Silent][number % 3];
            let qos = 1 + (number / 3 % 2) as u8;
            subscribers.push(subscriber(host.address, number, kind, qos).await);
        }
        let subscribers: Vec<JoinHandle<Subscriber>> = subscribers
            .into_iter()
            .map(|(subscriber, connection)| tokio::spawn(subscriber.until_closed(connection)))
            .collect();
        let (enough, mut is_enough) = watch::channel(false);
        let crash = Arc::new(self.clone());
        let publishers: Vec<JoinHandle<Publisher>> = (0..self.publishers)
            .map(|number| {
                let publisher = Publisher {
                    number,
                    qos: 1 + (number % 2) as u8,
                    next: 0,
                    next_id: 1,
                    sent: VecDeque::new(),
                    released: VecDeque::new(),
                    acknowledged: 0,
                };
                tokio::spawn(publisher.until_closed(host.address, Arc::clone(&crash), enough.clone()))
            })
            .collect();
        is_enough.wait_for(|enough| *enough).await.expect("the sender is here");
        host.process.signal(Signal::KILL);
        assert_eq!(host.process.wait(PATIENCE).await, None, "killed");
        let mut counts = Counts::default();
        let mut all = Vec::new();
        for publisher in publishers {
            all.push(publisher.await.expect("no panic"));
        }
        let mut back = Vec::new();
        for subscriber in subscribers {
            back.push(subscriber.await.expect("no panic"));
        }
        counts.acknowledged = all.iter().map(|publisher| publisher.acknowledged).sum();
        drop(host);

        let mut host = start(data.path()).await;
        let address = host.address;
        let mut finishing = Vec::new();
        for publisher in all {
            let crash = Arc::clone(&crash);
            finishing.push(tokio::spawn(publisher.finish(address, crash)));
        }
        // What each subscriber should have: of each publisher, the numbers in order.
        let mut expected: HashMap<usize, BTreeMap<usize, Vec<usize>>> = HashMap::new();
        for publisher in finishing {
            let (publisher, found) = publisher.await.expect("no panic");
            counts.sessions_lost += usize::from(!found);
            for number in 0..publisher.next {
                let receiver = self.receiver(publisher.number, number);
                let of_receiver = expected.entry(receiver).or_default();
                of_receiver.entry(publisher.number).or_default().push(number);
                counts.expected += 1;
            }
        }
        let mut end = Raw::client(address, VERSION, "end").await;
        for number in 0..self.subscribers() {
            end.publish(VERSION, &topic(number), 1, END).await;
        }
        let mut returning = Vec::new();
        for subscriber in back {
            returning.push(tokio::spawn(subscriber.until_end(address)));
        }
        for subscriber in returning {
            let (subscriber, found) = subscriber.await.expect("no panic");
            counts.sessions_lost += usize::from(!found);
            let expected = expected.remove(&subscriber.number).unwrap_or_default();
            compare(&subscriber, &expected, &mut counts);
        }
        host.stop().await;
        counts
    }
}

/// Counts what one subscriber has received against what it should have.
fn compare(subscriber: &Subscriber, expected: &BTreeMap<usize, Vec<usize>>, counts: &mut Counts) {
    let mut times: HashMap<(usize, usize), usize> = HashMap::new();
    let mut last: HashMap<usize, usize> = HashMap::new();
    for &(publisher, number) in &subscriber.inbox {
        let times = times.entry((publisher, number)).or_default();
        *times += 1;
        if *times == 1 && last.insert(publisher, number).is_some_and(|last| last > number) {
            counts.out_of_order += 1;
        }
    }
    for (publisher, numbers) in expected {
        for number in numbers {
            let times = times.get(&(*publisher, *number)).copied().unwrap_or(0);
            let is_exact = subscriber.qos == 2 && publisher % 2 == 1;
            counts.lost += usize::from(times == 0);
            if is_exact {
                counts.doubled += times.saturating_sub(1);
            } else {
                counts.repeated += times.saturating_sub(1);
            }
        }
    }
}

async fn start(data: &Path) -> Host {
    let config = format!(
        "[data]\ndir = {data:?}\n[mqtt]\nmax_mqueue_len = 1000000\nmax_queued_messages = 0\nmax_queued_bytes = \"0B\"\n\
         [webhook.rule]\nmessage_publish = [{{ action = \"a\", topics = [\"none\"] }}]\n"
    );
    Setup::new().config(&config).start().await
}

fn session(id: &str) -> Connect {
    Connect {
        clean: false,
        ..Connect::new(VERSION, id)
    }
}

/// Connects with a session that may exist; returns whether it does.
async fn connect(address: SocketAddr, id: &str) -> (Raw, bool) {
    let mut raw = Raw::open(address).await;
    raw.send(&session(id).encode()).await;
    let connack = raw.expect(kind::CONNACK).await;
    assert_eq!(connack.body[1], 0, "CONNACK of {id}");
    (raw, connack.body[0] & 1 == 1)
}

async fn subscriber(address: SocketAddr, number: usize, kind: Kind, qos: u8) -> (Subscriber, Option<Raw>) {
    let (mut raw, _) = connect(address, &format!("s{number}")).await;
    raw.subscribe(VERSION, &topic(number), qos).await;
    let connection = if kind == Kind::Offline {
        raw.disconnect().await;
        None
    } else {
        Some(raw)
    };
    let subscriber = Subscriber {
        number,
        kind,
        qos,
        inbox: Vec::new(),
        received: HashSet::new(),
    };
    (subscriber, connection)
}

impl Subscriber {
    /// Handles a packet; returns the answer and whether it was the end.
    fn handle(&mut self, packet: &Packet) -> (Option<Vec<u8>>, bool) {
        let id = packet.id();
        if packet.kind() == kind::PUBREL {
            self.received.remove(&id);
            return (Some(packet::ack(kind::PUBCOMP, id)), false);
        }
        assert_eq!(packet.kind(), kind::PUBLISH);
        let at = 4 + usize::from(u16::from_be_bytes([packet.body[0], packet.body[1]]));
        let payload = &packet.body[at..];
        let is_exact = packet.first >> 1 & 3 == 2;
        let is_new = !is_exact || self.received.insert(id);
        if is_new && payload != END {
            let text = std::str::from_utf8(payload).expect("text");
            let (publisher, number) = text.split_once(' ').expect("two numbers");
            let parse = |text: &str| text.parse().expect("a number");
            self.inbox.push((parse(publisher), parse(number)));
        }
        let answer = if is_exact { kind::PUBREC } else { kind::PUBACK };
        (Some(packet::ack(answer, id)), payload == END)
    }

    /// Receives until the host dies.
    async fn until_closed(mut self, connection: Option<Raw>) -> Subscriber {
        let Some(mut raw) = connection else { return self };
        while let Some(packet) = raw.read().await {
            if self.kind == Kind::Silent {
                continue;
            }
            let (answer, _) = self.handle(&packet);
            if let Some(answer) = answer
                && raw.try_send(&answer).await.is_err()
            {
                break;
            }
        }
        self
    }

    /// Comes back and receives everything up to the end; returns whether its session was there.
    async fn until_end(mut self, address: SocketAddr) -> (Subscriber, bool) {
        let (mut raw, found) = connect(address, &format!("s{}", self.number)).await;
        if !found {
            return (self, false);
        }
        loop {
            let packet = raw.read().await.expect("the host runs");
            let (answer, is_end) = self.handle(&packet);
            if let Some(answer) = answer {
                raw.send(&answer).await;
            }
            if is_end {
                raw.ping_past().await;
                return (self, true);
            }
        }
    }
}

impl Raw {
    /// Waits for PINGRESP and ignores other packets.
    async fn ping_past(&mut self) {
        self.send(&packet::ping()).await;
        while self.read().await.expect("the host runs").kind() != kind::PINGRESP {}
    }
}

impl Publisher {
    fn packet(&self, crash: &Crash, id: u16, number: usize, dup: bool) -> Vec<u8> {
        let topic = topic(crash.receiver(self.number, number));
        let payload = format!("{} {number}", self.number);
        let mut bytes = packet::publish(VERSION, &topic, self.qos, id, payload.as_bytes());
        if dup {
            bytes[0] |= 8;
        }
        bytes
    }

    /// Handles an acknowledgement; returns the answer.
    fn handle(&mut self, packet: &Packet) -> Option<Vec<u8>> {
        let id = packet.id();
        match packet.kind() {
            kind::PUBACK => {
                self.sent.retain(|(sent, _)| *sent != id);
                self.acknowledged += 1;
                None
            }
            kind::PUBREC => {
                if self.sent.iter().any(|(sent, _)| *sent == id) {
                    self.sent.retain(|(sent, _)| *sent != id);
                    self.released.push_back(id);
                    self.acknowledged += 1;
                }
                Some(packet::ack(kind::PUBREL, id))
            }
            kind::PUBCOMP => {
                self.released.retain(|released| *released != id);
                None
            }
            other => panic!("a packet of type {other} for a publisher"),
        }
    }

    /// Publishes until the host dies. Says when it has published `enough`.
    async fn until_closed(mut self, address: SocketAddr, crash: Arc<Crash>, enough: watch::Sender<bool>) -> Publisher {
        let (mut raw, _) = connect(address, &format!("p{}", self.number)).await;
        loop {
            while self.sent.len() + self.released.len() < WINDOW {
                let (id, number) = (self.next_id, self.next);
                let bytes = self.packet(&crash, id, number, false);
                self.next += 1;
                self.next_id = self.next_id % u16::MAX + 1;
                self.sent.push_back((id, number));
                if raw.try_send(&bytes).await.is_err() {
                    return self;
                }
            }
            if self.acknowledged >= crash.messages {
                enough.send_replace(true);
            }
            let Some(packet) = raw.read().await else { return self };
            if let Some(answer) = self.handle(&packet)
                && raw.try_send(&answer).await.is_err()
            {
                return self;
            }
        }
    }

    /// Comes back and repeats what was not acknowledged; returns whether its session was there.
    async fn finish(mut self, address: SocketAddr, crash: Arc<Crash>) -> (Publisher, bool) {
        let (mut raw, found) = connect(address, &format!("p{}", self.number)).await;
        for id in self.released.clone() {
            raw.send(&packet::ack(kind::PUBREL, id)).await;
        }
        for (id, number) in self.sent.clone() {
            let bytes = self.packet(&crash, id, number, true);
            raw.send(&bytes).await;
        }
        while !self.sent.is_empty() || !self.released.is_empty() {
            let packet = raw.read().await.expect("the host runs");
            if let Some(answer) = self.handle(&packet) {
                raw.send(&answer).await;
            }
        }
        (self, found)
    }
}
