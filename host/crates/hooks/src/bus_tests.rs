//! What the bus promises, alone and under concurrent changes.

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

#[test]
fn overflow_is_counted_by_reason_and_over_attachments() {
    let bus = Bus::new();
    let small = QueueLimits {
        events: 2,
        bytes: 10_000,
        overflow: Overflow::Drop,
    };
    let (attachment, mut inboxes) = bus.attach("m", 1, small);
    attachment.set_interests(all_publishes());
    let mut batch = Vec::new();
    assert!(inboxes[0].next_batch(&mut batch, 1), "the wake-up");
    for number in 0..5 {
        emit(&bus, testing::numbered("c", number));
    }
    emit(&bus, testing::publish("c", "a", &[0; 10_000]));
    assert_eq!(bus.queues()[0].accepted, 2);
    assert_eq!(
        bus.queues()[0].dropped,
        DropCounts {
            full: 3,
            oversized: 1,
            closed: 0
        }
    );
    drop(inboxes);
    emit(&bus, testing::numbered("c", 9));
    assert_eq!(attachment.state().dropped.closed, 1);
    drop(attachment);
    let (attachment, _inboxes) = bus.attach("m", 1, small);
    assert_eq!(
        attachment.state().dropped,
        DropCounts {
            full: 3,
            oversized: 1,
            closed: 1
        }
    );
}

#[test]
fn a_module_that_waits_gets_everything_and_holds_up_no_other() {
    let bus = Bus::new();
    let (slow, slow_inboxes) = bus.attach("slow", 1, limits(1, WAIT));
    let (quick, mut quick_inboxes) = bus.attach("quick", 1, limits(100, Overflow::Drop));
    slow.set_interests(all_publishes());
    quick.set_interests(all_publishes());
    let producer = thread::spawn({
        let bus = bus.clone();
        move || (0..50).for_each(|number| assert!(emit(&bus, testing::numbered("c", number))))
    });
    // The wake-up fills the slow queue, so the first event has to wait; the other module gets it all the same.
    let mut batch = Vec::new();
    while batch.is_empty() {
        assert!(quick_inboxes[0].next_batch(&mut batch, 1));
    }
    assert_eq!(testing::number(&batch[0].event), 0);
    let reader = thread::spawn(move || slow_inboxes.into_iter().flat_map(|mut inbox| drain(&mut inbox)).count());
    producer.join().unwrap();
    drop((slow, quick));
    assert_eq!(reader.join().unwrap(), 50);
    assert_eq!(drain(&mut quick_inboxes[0]).len(), 49);
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

#[test]
fn a_full_queue_of_its_client_is_known_before_the_event_is_built() {
    let bus = Bus::new();
    let attach = |name, overflow| {
        let (attachment, inboxes) = bus.attach(name, 16, limits(1, overflow));
        attachment.set_interests(all_publishes());
        (attachment, inboxes)
    };
    let (drops, mut inboxes) = attach("drops", Overflow::Drop);
    // The wake-up after setting interests fills every queue of one.
    let (waits, _full) = attach("waits", WAIT);
    let wanting = |client: &str| {
        let to = bus.interested_with_room(Hook::MessagePublish, Some("a"), client);
        to.list
            .iter()
            .map(|chosen| chosen.target.module.to_string())
            .collect::<Vec<_>>()
    };
    let full = || drops.state().dropped.full;
    assert_eq!((wanting("c"), full()), (vec!["waits".to_owned()], 1));
    let of_c = shard("c", 16);
    let other = (0..).map(|n| n.to_string()).find(|id| shard(id, 16) != of_c).unwrap();
    let mut batch = Vec::new();
    assert!(inboxes[of_c].next_batch(&mut batch, 10) && batch.is_empty());
    assert_eq!(
        (wanting("c"), full()),
        (vec!["drops".to_owned(), "waits".to_owned()], 1)
    );
    assert_eq!((wanting(&other), full()), (vec!["waits".to_owned()], 2));
    drop(waits);
    // No module has room: the event is dropped, and counts as one that a module wanted.
    let wanted = || bus.emitted().map(|(_, count)| count).sum::<u64>();
    assert_eq!(wanted(), 0);
    assert_eq!((wanting(&other), full(), wanted()), (vec![], 3, 1));
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

/// A publisher is held back for the limit once, not for each event, until the queue is half empty again.
#[test]
fn a_stuck_module_holds_nobody_back_longer_than_its_limit() {
    let limit = std::time::Duration::from_millis(100);
    let bus = Bus::new();
    let (module, mut inboxes) = bus.attach("stuck", 1, limits(4, Overflow::Wait(limit)));
    module.set_interests(all_publishes());
    let state = || (module.state().accepted, module.state().dropped.full);
    // Returns how often a publisher was held back.
    let publish = |count: u32| {
        let start = std::time::Instant::now();
        (0..count).for_each(|number| assert!(emit(&bus, testing::numbered("c", number))));
        start.elapsed().div_duration_f64(limit) as u32
    };
    let mut batch = Vec::new();
    // The wake-up after the change of interests has taken one place.
    assert!((1..50).contains(&publish(100)));
    assert_eq!(state(), (3, 97));
    // Room for one event: the next one that finds none does not wait.
    inboxes[0].next_batch(&mut batch, 1);
    publish(10);
    assert_eq!(state(), (4, 106));
    // The queue is half empty: one more event waits.
    inboxes[0].next_batch(&mut batch, 3);
    assert!((1..5).contains(&publish(10)));
    assert_eq!(state(), (7, 113));
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

/// A client can end while its event waits for room: its task is cancelled, with the rest of the events that wait.
#[test]
fn an_event_whose_wait_is_cancelled_is_counted_as_dropped() {
    let bus = Bus::new();
    let modules = ["a", "b"].map(|name| {
        let (module, inboxes) = bus.attach(name, 1, limits(1, WAIT));
        module.set_interests(all_publishes());
        (module, inboxes)
    });
    let full = || modules.each_ref().map(|(module, _)| module.state().dropped.full);
    let event = || testing::publish("c", "t", b"");
    let offer = || bus.offer(bus.interested(Hook::MessagePublish, Some("t")), event());
    // The wake-up after the change of interests has taken the only place of each queue.
    drop(offer().unwrap());
    assert_eq!(full(), [1, 1]);
    let mut waiting = Box::pin(offer().unwrap().finish());
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let _entered = runtime.enter();
    assert!(waiting.as_mut().poll(&mut context).is_pending());
    drop(waiting);
    assert_eq!(full(), [2, 2]);
}
