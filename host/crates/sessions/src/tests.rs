//! Tests of the store against a model: any changes, cut into any commits, with a crash after any of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::batch::Batch;
use crate::file::{FORMAT, File, Numbers};

fn record(client: &str, expiry: u64) -> SessionRecord {
    SessionRecord {
        client_id: client.into(),
        username: Some("u".into()),
        version: 5,
        created_at: 1,
        connected_at: 2,
        disconnected_at: None,
        expiry: Some(expiry),
        keep_alive: 60,
        clean_start: true,
        max_packet_size: Some(1000),
        receive_maximum: None,
        listener: 1,
        local: None,
        peer: Some(([127, 0, 0, 1], 4).into()),
        will: Some(WillRecord {
            topic: "w".into(),
            payload: "gone".into(),
            qos: 1,
            retain: true,
            delay: Some(5),
            properties: Some(Properties {
                content_type: Some("t".into()),
                ..Properties::default()
            }),
        }),
    }
}

fn subscription(qos: u8) -> SubscriptionRecord {
    SubscriptionRecord {
        qos,
        group: Some("g".into()),
        limit: None,
        options: Some(SubscriptionOptions {
            no_local: true,
            retain_as_published: false,
            retain_handling: 2,
            identifier: Some(7),
        }),
    }
}

fn message(topic: &str, payload: &str) -> MessageRecord {
    MessageRecord {
        publisher: Publisher {
            kind: PublisherKind::Client,
            node: 1,
            listener: 1,
            client_id: "p".into(),
            username: None,
            local: None,
            peer: None,
        },
        topic: topic.into(),
        payload: payload.to_owned().into(),
        qos: 1,
        retain: false,
        created_at: Some(3),
        tag: Some(4),
        properties: None,
    }
}

fn delivery(state: DeliveryState) -> DeliveryRecord {
    DeliveryRecord {
        qos: 2,
        retain: false,
        state,
        packet_id: Some(9),
        group: None,
        subscription_ids: vec![1, 2],
    }
}

/// A change, with small numbers so that changes meet.
#[derive(Debug, Clone)]
enum Op {
    Session(u64, u64),
    End(u64),
    Subscribe(u64, u8, u8),
    Unsubscribe(u64, u8),
    Publish(Vec<u64>),
    Update(usize),
    Acknowledge(usize),
    Note(u64, u16, u64),
    Forget(u64, u16),
    Retain(u8, u8),
    RemoveRetained(u8),
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let session = 0..4_u64;
    let op = prop_oneof![
        (session.clone(), any::<u64>()).prop_map(|(s, expiry)| Op::Session(s, expiry)),
        session.clone().prop_map(Op::End),
        (session.clone(), 0..3_u8, 0..3_u8).prop_map(|(s, f, q)| Op::Subscribe(s, f, q)),
        (session.clone(), 0..3_u8).prop_map(|(s, f)| Op::Unsubscribe(s, f)),
        prop::collection::vec(session.clone(), 1..4).prop_map(Op::Publish),
        (0..20_usize).prop_map(Op::Update),
        (0..20_usize).prop_map(Op::Acknowledge),
        (session.clone(), 1..4_u16, any::<u64>()).prop_map(|(s, p, f)| Op::Note(s, p, f)),
        (session, 1..4_u16).prop_map(|(s, p)| Op::Forget(s, p)),
        (0..3_u8, any::<u8>()).prop_map(|(t, p)| Op::Retain(t, p)),
        (0..3_u8).prop_map(Op::RemoveRetained),
    ];
    prop::collection::vec(op, 0..60)
}

/// What a session is, as the model has it.
#[derive(Debug, Clone, Default, PartialEq)]
struct ModelSession {
    record: Option<SessionRecord>,
    subscriptions: BTreeMap<String, SubscriptionRecord>,
    deliveries: BTreeMap<u64, (DeliveryRecord, MessageRecord)>,
    publishes: BTreeMap<u16, u64>,
}

#[derive(Debug, Clone, Default, PartialEq)]
struct Model {
    sessions: BTreeMap<u64, ModelSession>,
    retained: BTreeMap<String, MessageRecord>,
}

/// Runs operations: on the model and as changes.
#[derive(Default)]
struct Driver {
    model: Model,
    /// The number of each of the four sessions now; another one after each end.
    numbers: [u64; 4],
    next_session: u64,
    sequence: u64,
    stored: Vec<(u64, u64, Arc<StoredMessage>)>,
    messages: u64,
}

impl Driver {
    fn new() -> Driver {
        Driver {
            numbers: [0, 1, 2, 3],
            next_session: 4,
            ..Driver::default()
        }
    }

    fn session(&mut self, slot: u64) -> (u64, &mut ModelSession) {
        let number = self.numbers[slot as usize];
        (number, self.model.sessions.entry(number).or_default())
    }

    /// Whether the slot has a session.
    fn exists(&self, slot: u64) -> bool {
        let session = self.model.sessions.get(&self.numbers[slot as usize]);
        session.is_some_and(|session| session.record.is_some())
    }

    fn run(&mut self, op: &Op) -> Changes {
        let mut changes = Changes::default();
        match op {
            Op::Session(slot, expiry) => {
                let record = record("c", *expiry);
                let (number, session) = self.session(*slot);
                session.record = Some(record.clone());
                changes.put_session(number, &record);
            }
            Op::End(slot) if self.exists(*slot) => {
                let (number, _) = self.session(*slot);
                self.model.sessions.remove(&number);
                changes.end_session(number);
                let (mine, others) = self.stored.drain(..).partition(|(session, ..)| *session == number);
                self.stored = others;
                for (session, sequence, message) in mine {
                    changes.dequeue(session, sequence, message);
                }
                self.numbers[*slot as usize] = self.next_session;
                self.next_session += 1;
            }
            Op::Subscribe(slot, filter, qos) if self.exists(*slot) => {
                let filter = format!("f/{filter}");
                let (number, session) = self.session(*slot);
                session.subscriptions.insert(filter.clone(), subscription(*qos));
                changes.subscribe(number, filter.into(), &subscription(*qos));
            }
            Op::Unsubscribe(slot, filter) if self.exists(*slot) => {
                let filter = format!("f/{filter}");
                let (number, session) = self.session(*slot);
                session.subscriptions.remove(&filter);
                changes.unsubscribe(number, filter.into());
            }
            Op::Publish(slots) => {
                self.messages += 1;
                let message = message("t", &format!("m{}", self.messages));
                let stored = Arc::new(StoredMessage::new(self.messages, &message));
                let slots: BTreeSet<u64> = slots.iter().copied().collect();
                for slot in slots {
                    if !self.exists(slot) {
                        continue;
                    }
                    self.sequence += 1;
                    let sequence = self.sequence;
                    let record = delivery(DeliveryState::Waiting);
                    let (number, session) = self.session(slot);
                    session.deliveries.insert(sequence, (record.clone(), message.clone()));
                    changes.enqueue(number, sequence, &record, Arc::clone(&stored));
                    self.stored.push((number, sequence, Arc::clone(&stored)));
                }
            }
            Op::Update(at) if !self.stored.is_empty() => {
                let (number, sequence, stored) = self.stored[at % self.stored.len()].clone();
                let record = delivery(DeliveryState::Received);
                let session = self.model.sessions.get_mut(&number).unwrap();
                session.deliveries.get_mut(&sequence).unwrap().0 = record.clone();
                changes.update(number, sequence, &record, &stored);
            }
            Op::Acknowledge(at) if !self.stored.is_empty() => {
                let (number, sequence, stored) = self.stored.remove(at % self.stored.len());
                let session = self.model.sessions.get_mut(&number).unwrap();
                session.deliveries.remove(&sequence);
                changes.dequeue(number, sequence, stored);
            }
            Op::Note(slot, packet_id, fingerprint) if self.exists(*slot) => {
                let (number, session) = self.session(*slot);
                session.publishes.insert(*packet_id, *fingerprint);
                changes.note_publish(number, *packet_id, *fingerprint);
            }
            Op::Forget(slot, packet_id) if self.exists(*slot) => {
                let (number, session) = self.session(*slot);
                session.publishes.remove(packet_id);
                changes.forget_publish(number, *packet_id);
            }
            Op::Retain(topic, payload) => {
                let message = message(&format!("r/{topic}"), &payload.to_string());
                self.model.retained.insert(message.topic.to_string(), message.clone());
                changes.retain(&message);
            }
            Op::RemoveRetained(topic) => {
                let topic = format!("r/{topic}");
                self.model.retained.remove(&topic);
                changes.remove_retained(topic.into());
            }
            _ => {}
        }
        changes
    }

    /// The model without sessions that have no record yet.
    fn expected(&self) -> Model {
        let mut model = self.model.clone();
        model.sessions.retain(|_, session| session.record.is_some());
        model
    }
}

fn found(contents: Contents) -> Model {
    assert_eq!(contents.damaged, 0);
    let session = |session: StoredSession| {
        let deliveries = session.deliveries.into_iter();
        let model = ModelSession {
            record: Some(session.record),
            subscriptions: session
                .subscriptions
                .into_iter()
                .map(|(f, s)| (f.to_string(), s))
                .collect(),
            deliveries: deliveries
                .map(|d| (d.sequence, (d.record, (*d.message).clone())))
                .collect(),
            publishes: session.publishes.into_iter().collect(),
        };
        (session.number, model)
    };
    Model {
        sessions: contents.sessions.into_iter().map(session).collect(),
        retained: contents
            .retained
            .into_iter()
            .map(|m| (m.topic.to_string(), m))
            .collect(),
    }
}

fn reopen(dir: &Path) -> (Model, usize) {
    let file = File::open(dir).unwrap();
    let messages = file.messages();
    (found(file.read().unwrap().0), messages)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// After a crash the file has everything up to the last finished commit, and nothing of later ones.
    #[test]
    fn a_crash_leaves_a_prefix(commits in prop::collection::vec(ops(), 1..6), finished in 0..6_usize) {
        let dir = tempfile::tempdir().unwrap();
        let file = File::open(dir.path()).unwrap();
        let mut driver = Driver::new();
        let mut expected = Model::default();
        let mut messages = 0;
        for (number, ops) in commits.iter().enumerate() {
            let mut batch = Batch::default();
            for op in ops {
                batch.add(driver.run(op));
            }
            if number < finished {
                file.write(&batch, Numbers::default()).unwrap();
                expected = driver.expected();
                let waiting: BTreeSet<u64> = driver.stored.iter().map(|(_, _, stored)| stored.number).collect();
                messages = waiting.len();
            }
        }
        drop(file);
        let (found, stored) = reopen(dir.path());
        prop_assert_eq!(found, expected);
        prop_assert_eq!(stored, messages, "a message is stored as long as a session waits for it");
    }
}

#[test]
fn what_is_added_and_removed_in_one_commit_is_not_written() {
    let mut driver = Driver::new();
    let mut batch = Batch::default();
    batch.add(driver.run(&Op::Session(0, 1)));
    batch.add(driver.run(&Op::Session(1, 1)));
    let mut batch = Batch::default();
    batch.add(driver.run(&Op::Publish(vec![0, 1])));
    assert!(!batch.is_empty());
    batch.add(driver.run(&Op::Acknowledge(0)));
    assert!(!batch.is_empty());
    batch.add(driver.run(&Op::Acknowledge(0)));
    assert!(batch.is_empty());
}

#[tokio::test]
async fn submitted_changes_are_on_the_disk_when_their_commit_has_finished() {
    let dir = tempfile::tempdir().unwrap();
    let (store, contents) = Store::open(dir.path()).unwrap();
    assert_eq!(found(contents), Model::default());
    let first = store.new_session();
    let mut changes = Changes::default();
    changes.put_session(first, &record("a", 1));
    let stored = store.new_message(&message("t", "m"));
    changes.enqueue(first, 5, &delivery(DeliveryState::Waiting), stored);
    store.submit(changes).finished().await;
    store.last_commit().finished().await;
    assert_eq!(
        store.counters(),
        StoreCounters {
            commits: 1,
            failures: 0
        }
    );
    let mut changes = Changes::default();
    changes.retain(&message("r", "x"));
    drop(store.submit(changes));
    drop(store);
    let (store, contents) = Store::open(dir.path()).unwrap();
    assert_ne!(store.new_session(), first, "a number is not used twice");
    assert_ne!(store.new_message(&message("t", "n")).number, 0);
    let model = found(contents);
    assert_eq!(model.sessions[&first].deliveries[&5].1, message("t", "m"));
    assert_eq!(
        model.retained.len(),
        1,
        "what is pending is written when the store is closed"
    );
}

#[test]
fn two_hosts_cannot_share_a_folder() {
    let dir = tempfile::tempdir().unwrap();
    let first = Store::open(dir.path()).unwrap();
    let second = Store::open(dir.path()).err().unwrap();
    assert!(matches!(second, StoreError::File(FileError::InUse { .. })), "{second}");
    drop(first);
    drop(Store::open(dir.path()).unwrap());
}

#[test]
fn files_that_are_not_of_this_version_are_refused_and_stay_as_they_are() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join(FORMAT.file);
    fs::write(&file, "not a database, but long enough to be one ".repeat(200)).unwrap();
    let before = fs::read(&file).unwrap();
    let error = Store::open(dir.path()).err().unwrap();
    assert!(matches!(error, StoreError::File(FileError::Unusable { .. })), "{error}");
    assert_eq!(fs::read(&file).unwrap(), before);
}

#[tokio::test]
async fn a_damaged_value_is_skipped_and_affects_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(dir.path()).unwrap();
    let mut changes = Changes::default();
    for n in 0..20 {
        changes.retain(&message(&format!("r/{n}"), &format!("payload number {n}.")));
    }
    store.submit(changes).finished().await;
    drop(store);
    let file = dir.path().join(FORMAT.file);
    let mut bytes = fs::read(&file).unwrap();
    let needle = b"payload number 7.";
    let mut changed = 0;
    for at in 0..bytes.len() - needle.len() {
        if bytes[at..].starts_with(needle) {
            bytes[at] = b'P';
            changed += 1;
        }
    }
    assert!(changed > 0);
    fs::write(&file, bytes).unwrap();
    let (_store, contents) = Store::open(dir.path()).unwrap();
    assert_eq!((contents.retained.len(), contents.damaged), (19, 1));
}
