//! What the bus promises, alone and under concurrent changes.

mod overflow;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use proptest::prelude::*;

use super::super::interests::Interests;
use super::*;
use crate::target::shard;
use crate::{DropCounts, Overflow};
use hookhost_contract::Interest;
use hookhost_testing::events as testing;

/// Longer than any test takes.
const WAIT: Overflow = Overflow::Wait(std::time::Duration::from_secs(3600));

fn all_publishes() -> Interests {
    Interests::compile(&[Interest {
        hook: Hook::MessagePublish,
        filters: Vec::new(),
    }])
    .unwrap()
}

fn only(filters: &[&str]) -> Interests {
    let filters = filters.iter().map(|filter| (*filter).to_owned()).collect();
    Interests::compile(&[Interest {
        hook: Hook::MessagePublish,
        filters,
    }])
    .unwrap()
}

fn limits(events: usize, overflow: Overflow) -> QueueLimits {
    QueueLimits {
        events,
        bytes: 64 << 20,
        overflow,
    }
}

/// Emits from outside of a runtime; nothing that the tests emit this way waits for long.
fn emit(bus: &Bus, event: Event) -> bool {
    let to = bus.interested(event.detail.hook(), event.detail.subject());
    let wanted = !to.is_empty();
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap()
        .block_on(bus.emit(to, event));
    wanted
}

fn drain(inbox: &mut Inbox) -> Vec<Queued> {
    let (mut all, mut batch) = (Vec::new(), Vec::new());
    while inbox.next_batch(&mut batch, 7) {
        all.append(&mut batch);
    }
    all
}

fn client_of(event: &Event) -> String {
    event.detail.client().unwrap().id.to_string()
}

#[test]
fn one_look_up_answers_for_several_hooks() {
    let bus = Bus::new();
    let (a, mut inboxes) = bus.attach("a", 1, limits(10, Overflow::Drop));
    a.set_interests(only(&["t/+"]));
    let (b, _inboxes) = bus.attach("b", 1, limits(10, Overflow::Drop));
    b.set_interests(Interests::none());
    let hooks = [Hook::MessagePublish, Hook::MessageDropped];
    let other = bus.interested_in(&hooks, Some("u"));
    assert!(!other.wants(Hook::MessagePublish) && other.of(Hook::MessagePublish).is_empty());
    let found = bus.interested_in(&hooks, Some("t/1"));
    assert!(found.wants(Hook::MessagePublish) && !found.wants(Hook::MessageDropped));
    assert!(found.of(Hook::MessageDropped).is_empty());
    assert!(
        bus.offer(found.of(Hook::MessagePublish), testing::publish("c", "t/1", b""))
            .is_none()
    );
    // The queue ends when nothing refers to it any more.
    drop((a, b, found, other));
    assert_eq!(drain(&mut inboxes.remove(0)).len(), 1);
    assert!(!InterestedIn::default().wants(Hook::MessagePublish));
}

#[test]
fn an_event_goes_to_those_who_want_it() {
    let bus = Bus::new();
    assert!(!emit(&bus, testing::publish("c", "a", b"")));
    let (first, mut first_inbox) = bus.attach("first", 1, QueueLimits::default());
    let (second, mut second_inbox) = bus.attach("second", 1, QueueLimits::default());
    assert!(
        !emit(&bus, testing::publish("c", "a", b"")),
        "attached, but not interested yet"
    );
    let version = first.set_interests(only(&["a"]));
    assert!(second.set_interests(all_publishes()) > version);
    assert!(emit(&bus, testing::publish("c", "a", b"")));
    assert!(emit(&bus, testing::publish("c", "b", b"")));
    let names: Vec<_> = bus
        .queues()
        .iter()
        .map(|state| (state.module.to_string(), state.events, state.accepted))
        .collect();
    // Each set of interests has left a wake-up in the queue too.
    assert_eq!(names, [("first".into(), 2, 1), ("second".into(), 3, 2)]);
    drop((first, second));
    assert!(!emit(&bus, testing::publish("c", "a", b"")));
    let got = drain(&mut first_inbox[0]);
    assert_eq!(got.iter().map(|queued| queued.version).collect::<Vec<_>>(), [version]);
    assert_eq!(drain(&mut second_inbox[0]).len(), 2);
    assert!(bus.queues().is_empty());
}

#[test]
fn a_queue_outlives_an_event_on_its_way() {
    let bus = Bus::new();
    let (attachment, mut inboxes) = bus.attach("m", 1, QueueLimits::default());
    attachment.set_interests(all_publishes());
    let to = bus.interested(Hook::MessagePublish, Some("a"));
    drop(attachment);
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap()
        .block_on(bus.emit(to, testing::publish("c", "a", b"")));
    assert_eq!(drain(&mut inboxes[0]).len(), 1);
}

/// Producers emit while one thread keeps replacing attachments and interests of one module and another module comes
/// and goes: the first gets every event exactly once and in the order of each client, the second none twice.
#[test]
fn nothing_is_lost_or_doubled_while_modules_change() {
    const CLIENTS: u32 = 4;
    const EVENTS: u32 = 2_000;
    let bus = Bus::new();
    let done = Arc::new(AtomicBool::new(false));
    let (first, first_inboxes) = bus.attach("kept", 1, limits(16, WAIT));
    first.set_interests(all_publishes());

    let producers: Vec<_> = (0..CLIENTS)
        .map(|client| {
            let bus = bus.clone();
            thread::spawn(move || {
                let id = format!("client-{client}");
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_time()
                    .build()
                    .unwrap();
                for number in 0..EVENTS {
                    let to = bus.interested(Hook::MessagePublish, Some("t"));
                    runtime.block_on(bus.emit(to, testing::numbered(&id, number)));
                }
            })
        })
        .collect();

    let changes = thread::spawn({
        let (bus, done) = (bus.clone(), Arc::clone(&done));
        move || {
            let read = |inboxes: Vec<Inbox>| -> Vec<_> {
                inboxes
                    .into_iter()
                    .map(|mut inbox| thread::spawn(move || drain(&mut inbox)))
                    .collect()
            };
            let mut kept = vec![read(first_inboxes)];
            let (mut current, mut guests) = (Some(first), Vec::new());
            for turn in 0.. {
                let (guest, inboxes) = bus.attach("guest", 2, limits(8, Overflow::Drop));
                guest.set_interests(all_publishes());
                guests.push(read(inboxes));
                let (next, inboxes) = bus.attach("kept", 1 + turn % 3, limits(16, WAIT));
                kept.push(read(inboxes));
                next.replace(&current.take().unwrap(), all_publishes());
                next.set_interests(only(&["t"]));
                current = Some(next);
                if done.load(Ordering::Relaxed) {
                    break;
                }
            }
            drop(current);
            let join = |readers: Vec<thread::JoinHandle<Vec<Queued>>>| -> Vec<Queued> {
                readers.into_iter().flat_map(|reader| reader.join().unwrap()).collect()
            };
            (
                kept.into_iter().map(join).collect::<Vec<_>>(),
                guests.into_iter().map(join).collect::<Vec<_>>(),
            )
        }
    });
    producers.into_iter().for_each(|producer| producer.join().unwrap());
    done.store(true, Ordering::Relaxed);
    let (kept, guests) = changes.join().unwrap();

    let mut seen: HashMap<String, Vec<u32>> = HashMap::new();
    for queued in kept.iter().flatten() {
        seen.entry(client_of(&queued.event))
            .or_default()
            .push(testing::number(&queued.event));
    }
    assert_eq!(seen.len() as u32, CLIENTS);
    for (client, numbers) in seen {
        assert!(
            numbers.iter().copied().eq(0..EVENTS),
            "{client}: {} events",
            numbers.len()
        );
    }
    for guest in guests {
        let mut last: HashMap<String, u32> = HashMap::new();
        for queued in guest {
            let number = testing::number(&queued.event);
            assert!(
                last.insert(client_of(&queued.event), number)
                    .is_none_or(|before| before < number)
            );
        }
    }
}

proptest! {
    /// Any interleaving of clients, shards and batch sizes keeps the order of each client, and every event arrives
    /// at exactly one shard.
    #[test]
    fn the_order_of_a_client_is_kept(
        clients in proptest::collection::vec("[a-e]{1,2}", 1..200),
        shards in 1usize..5,
        max in 1usize..20,
    ) {
        let bus = Bus::new();
        let (attachment, inboxes) = bus.attach("m", shards, limits(1000, Overflow::Drop));
        attachment.set_interests(all_publishes());
        for (number, client) in clients.iter().enumerate() {
            emit(&bus, testing::numbered(client, number as u32));
        }
        drop(attachment);
        let mut seen: HashMap<String, Vec<u32>> = HashMap::new();
        for mut inbox in inboxes {
            let mut batch = Vec::new();
            while inbox.next_batch(&mut batch, max) {
                prop_assert!(batch.len() <= max);
                for queued in &batch {
                    seen.entry(client_of(&queued.event)).or_default().push(testing::number(&queued.event));
                }
            }
        }
        for (client, numbers) in &seen {
            let sent = clients.iter().enumerate().filter(|(_, name)| *name == client).map(|(number, _)| number as u32);
            prop_assert!(numbers.iter().copied().eq(sent), "{}: {:?}", client, numbers);
        }
        prop_assert_eq!(seen.values().map(Vec::len).sum::<usize>(), clients.len());
    }
}

#[test]
fn demand_is_told_before_an_event_is_asked_for() {
    let bus = Bus::new();
    let (first, _inboxes) = bus.attach("first", 1, limits(10, Overflow::Drop));
    first.set_interests(all_publishes());

    let told = Arc::new(Mutex::new(Vec::new()));
    bus.on_demand({
        let (told, bus) = (Arc::clone(&told), bus.clone());
        move |hooks: &[Hook]| {
            let already = hooks.iter().filter(|hook| bus.wants(&[**hook], Some("t"))).count();
            told.lock().unwrap().push((hooks.to_vec(), already));
        }
    });
    let acks = Interest {
        hook: Hook::MessageAcked,
        filters: Vec::new(),
    };
    let (second, _inboxes) = bus.attach("second", 1, limits(10, Overflow::Drop));
    second.set_interests(Interests::compile(&[acks]).unwrap());
    assert_eq!(
        *told.lock().unwrap(),
        [(vec![Hook::MessagePublish], 1), (vec![Hook::MessageAcked], 0)]
    );
}

#[test]
fn one_question_for_several_hooks() {
    let bus = Bus::new();
    let (attachment, _inboxes) = bus.attach("m", 1, limits(10, Overflow::Drop));
    attachment.set_interests(only(&["a/#"]));
    for (hooks, topic, wanted) in [
        (&[Hook::MessageAcked, Hook::MessagePublish][..], "a/b", true),
        (&[Hook::MessageAcked, Hook::MessagePublish], "b", false),
        (&[Hook::MessageAcked, Hook::MessageDropped], "a/b", false),
        (&[], "a/b", false),
    ] {
        assert_eq!(bus.wants(hooks, Some(topic)), wanted, "{hooks:?} {topic}");
    }
}

fn durable(filters: &[&str]) -> Interests {
    let filters = filters.iter().map(|filter| (*filter).to_owned()).collect();
    let hook = Hook::MessagePublish;
    all_publishes().with_durable(&[Interest { hook, filters }]).unwrap()
}

#[test]
fn only_modules_with_a_durable_interest_hold_the_acknowledgement() {
    let bus = Bus::new();
    let (plain, mut plain_inbox) = bus.attach("plain", 1, limits(10, Overflow::Drop));
    plain.set_interests(all_publishes());
    let event = || testing::publish("c", "a/b", b"");
    assert!(bus.interested(Hook::MessagePublish, Some("a/b")).hold().is_none());

    let (strict, mut strict_inbox) = bus.attach("strict", 1, limits(1, Overflow::Drop));
    strict.set_interests(durable(&["a/#", "+"]));
    // The change of interests has woken the reader.
    let mut batch = Vec::new();
    assert!(strict_inbox[0].next_batch(&mut batch, 1) && batch.is_empty());
    for (topic, is_held) in [
        ("a/b", true),
        ("b", true),
        ("$x", true),
        ("b/c", false),
        ("$x/y", false),
    ] {
        let held = bus.interested(Hook::MessagePublish, Some(topic)).hold();
        assert_eq!(held.is_some(), is_held, "{topic}");
        let looked_up = bus.interested_in(&[Hook::MessagePublish], Some(topic));
        assert_eq!(looked_up.of(Hook::MessagePublish).hold().is_some(), is_held, "{topic}");
    }
    let mut to = bus.interested_with_room(Hook::MessagePublish, Some("a/b"), "c");
    let kept = to.hold().unwrap();
    assert!(bus.offer(to, event()).is_none());
    // The queue of one event is full, and still its publishers wait instead of losing the event.
    let mut to = bus.interested_with_room(Hook::MessagePublish, Some("a/b"), "c");
    assert!(to.hold().is_some());
    assert!(bus.offer(to, event()).is_some());
    plain_inbox[0].next_batch(&mut batch, 10);
    assert_eq!(batch.len(), 2);
    assert!(batch.iter().all(|queued| queued.ticket.is_none()));
    assert!(strict_inbox[0].next_batch(&mut batch, 10) && batch.len() == 1);
    assert!(!kept.is_complete());
    batch.remove(0).ticket.unwrap().complete();
    assert!(kept.is_complete());
}

#[test]
fn emitted_events_are_counted_once_by_hook() {
    let bus = Bus::new();
    let (a, _first) = bus.attach("a", 1, limits(1, Overflow::Drop));
    a.set_interests(all_publishes());
    let (b, _second) = bus.attach("b", 1, limits(10, Overflow::Drop));
    b.set_interests(only(&["t"]));
    for topic in ["t", "t", "u"] {
        emit(&bus, testing::publish("c", topic, b""));
    }
    let counted: Vec<_> = bus.emitted().filter(|(_, count)| *count > 0).collect();
    assert_eq!(counted, [(Hook::MessagePublish, 3)]);
}
