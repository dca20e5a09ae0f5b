//! Queues without room.

use super::*;

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
