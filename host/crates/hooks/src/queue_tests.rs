use super::*;
use hookhost_testing::events as testing;

fn limits(events: usize, bytes: usize) -> QueueLimits {
    QueueLimits {
        events,
        bytes,
        overflow: Overflow::Drop,
    }
}

fn queued(number: u32) -> Queued {
    Queued {
        event: Arc::new(testing::numbered("c", number)),
        version: Version(0),
        ticket: None,
    }
}

fn numbers(batch: &[Queued]) -> Vec<u32> {
    batch.iter().map(|queued| testing::number(&queued.event)).collect()
}

#[test]
fn events_come_out_in_order_and_in_batches() {
    let (sender, mut inbox) = queue(limits(10, 1000));
    (0..5).for_each(|number| sender.offer(queued(number), 1).unwrap());
    let mut batch = Vec::new();
    assert!(inbox.next_batch(&mut batch, 3));
    assert_eq!(numbers(&batch), [0, 1, 2]);
    assert_eq!(inbox.waiting(), 2);
    drop(sender);
    assert!(inbox.next_batch(&mut batch, 3));
    assert_eq!(numbers(&batch), [3, 4]);
    assert!(!inbox.next_batch(&mut batch, 3));
    assert!(batch.is_empty());
}

#[test]
fn both_bounds_hold() {
    let (sender, mut inbox) = queue(limits(2, 100));
    assert!(matches!(sender.offer(queued(0), 101), Err(Refused::Oversized)));
    sender.offer(queued(1), 60).unwrap();
    assert!(matches!(sender.offer(queued(2), 41), Err(Refused::Full(_))), "bytes");
    sender.offer(queued(3), 40).unwrap();
    assert_eq!(sender.depth(), (2, 100));
    assert!(matches!(sender.offer(queued(4), 0), Err(Refused::Full(_))), "events");
    assert!(!sender.has_room_for(0) && !sender.has_room_for(1));
    assert!(sender.has_room_for(101), "it is refused for another reason");

    let mut batch = Vec::new();
    assert!(inbox.next_batch(&mut batch, 1));
    assert_eq!(sender.depth(), (1, 100), "the batch in hand still counts");
    assert!(matches!(sender.offer(queued(5), 1), Err(Refused::Full(_))));
    assert_eq!(sender.depth(), (1, 100), "a refused event leaves nothing behind");
    assert!(sender.has_room_for(0) && !sender.has_room_for(1));
    assert!(inbox.next_batch(&mut batch, 1));
    assert_eq!(sender.depth(), (0, 40));
}

#[test]
fn a_sender_waits_for_room_and_then_delivers() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let (sender, mut inbox) = queue(limits(10, 100));
    sender.offer(queued(0), 100).unwrap();
    let waiting = std::thread::spawn(move || runtime.block_on(sender.send(queued(1), 1)).is_ok());
    let mut batch = Vec::new();
    let mut seen = Vec::new();
    while inbox.next_batch(&mut batch, 10) {
        seen.extend(numbers(&batch));
    }
    assert_eq!(seen, [0, 1]);
    assert!(waiting.join().unwrap());
}

#[test]
fn a_sender_that_waits_for_nobody_is_told() {
    for (events, bytes) in [(1, 1000), (10, 1)] {
        let (sender, inbox) = queue(limits(events, bytes));
        sender.offer(queued(0), 1).unwrap();
        let waiting = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            matches!(runtime.block_on(sender.send(queued(1), 1)), Err(Refused::Closed))
        });
        drop(inbox);
        assert!(waiting.join().unwrap());
    }
}

#[test]
fn a_cancelled_sender_leaves_nothing_behind() {
    use std::future::Future;
    use std::task::{Context, Poll, Waker};
    let (sender, mut inbox) = queue(limits(1, 100));
    sender.offer(queued(0), 10).unwrap();
    let mut waiting = Box::pin(sender.send(queued(1), 50));
    assert!(matches!(
        waiting.as_mut().poll(&mut Context::from_waker(Waker::noop())),
        Poll::Pending
    ));
    drop(waiting);
    assert_eq!(sender.depth(), (1, 10));
    drop(sender);
    let mut batch = Vec::new();
    assert!(inbox.next_batch(&mut batch, 10));
    assert_eq!(numbers(&batch), [0]);
    assert!(!inbox.next_batch(&mut batch, 10));
}

#[test]
fn a_wake_gives_an_empty_batch() {
    let (sender, mut inbox) = queue(limits(1, 100));
    sender.wake();
    let mut batch = Vec::new();
    assert!(inbox.next_batch(&mut batch, 10) && batch.is_empty());
}

#[tokio::test]
async fn an_event_with_a_ticket_is_never_dropped_for_its_size_and_is_complete_without_a_module() {
    let (sender, mut inbox) = queue(limits(10, 100));
    let with_ticket = |number| {
        let (ticket, completion) = hookhost_contract::ticket();
        let ticket = Some(ticket);
        (
            Queued {
                ticket,
                ..queued(number)
            },
            completion,
        )
    };
    let (large, kept) = with_ticket(0);
    sender.offer(queued(1), 1).unwrap();
    let Err(Refused::Full(large)) = sender.offer(large, 1000) else {
        panic!("waits for the whole queue")
    };
    let inbox = tokio::task::spawn_blocking(move || {
        let mut batch = Vec::new();
        assert!(inbox.next_batch(&mut batch, 1) && inbox.next_batch(&mut batch, 1));
        assert_eq!(numbers(&batch), [0]);
        batch.remove(0).ticket.unwrap().complete();
        inbox
    });
    sender.send(large, 1000).await.unwrap();
    let mut inbox = inbox.await.unwrap();
    kept.await.unwrap();

    let (waiting, of_waiting) = with_ticket(2);
    inbox.release();
    sender.offer(waiting, 1).unwrap();
    assert!(!of_waiting.is_complete());
    assert_eq!(inbox.abandon(), 1);
    of_waiting.await.unwrap();
    drop(inbox);
    let (late, of_late) = with_ticket(3);
    assert!(matches!(sender.offer(late, 1), Err(Refused::Closed)));
    of_late.await.unwrap();
}

#[test]
fn the_oldest_event_is_not_older_than_it_says() {
    let at = |millis: u64| {
        let event = Event {
            at: Millis(millis),
            ..testing::numbered("c", 0)
        };
        Queued {
            event: Arc::new(event),
            ..queued(0)
        }
    };
    let (sender, mut inbox) = queue(limits(10, 1000));
    let mut batch = Vec::new();
    assert_eq!(sender.oldest(), None);
    for millis in [10, 20, 30] {
        sender.offer(at(millis), 1).unwrap();
    }
    assert_eq!(sender.oldest(), Some(Millis(10)));
    assert!(inbox.next_batch(&mut batch, 2));
    assert_eq!(sender.oldest(), Some(Millis(20)), "the last one taken");
    assert!(inbox.next_batch(&mut batch, 2));
    assert_eq!(sender.oldest(), None);
    sender.offer(at(90), 1).unwrap();
    assert_eq!(sender.oldest(), Some(Millis(90)), "an idle queue does not count");
}
