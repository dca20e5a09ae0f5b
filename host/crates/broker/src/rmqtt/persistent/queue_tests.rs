use std::collections::BTreeSet;

use super::*;

fn push(queue: &mut DeliveryQueue<u32>, message: u32) -> u64 {
    let sequence = queue.push(message.is_multiple_of(2), 10, message);
    queue.set_ready(sequence);
    sequence
}

fn handed(queue: &mut DeliveryQueue<u32>, window: usize) -> Vec<u32> {
    let mut list = Vec::new();
    while let Some((_, queued)) = queue.hand_over(window) {
        list.push(queued.message);
    }
    list
}

#[test]
fn messages_are_handed_over_in_order_within_the_window() {
    let mut queue = DeliveryQueue::default();
    let sequences: Vec<u64> = (1..=5).map(|n| push(&mut queue, n)).collect();
    assert_eq!(handed(&mut queue, 2), [1, 2]);
    assert_eq!((queue.len(), queue.waiting(), queue.bytes()), (5, 3, 50));
    queue.remove(sequences[1]).expect("in the queue");
    assert_eq!(handed(&mut queue, 2), [3]);
    queue.remove(sequences[0]).expect("in the queue");
    queue.remove(sequences[2]).expect("in the queue");
    assert!(
        queue.remove(sequences[2]).is_none(),
        "acknowledged twice is acknowledged once"
    );
    assert_eq!(handed(&mut queue, 9), [4, 5]);
    assert_eq!((queue.len(), queue.waiting(), queue.bytes()), (2, 0, 20));
}

#[test]
fn a_message_that_is_not_ready_holds_back_later_ones() {
    let mut queue = DeliveryQueue::default();
    let first = queue.push(true, 1, 1);
    push(&mut queue, 3);
    assert!(handed(&mut queue, 9).is_empty());
    queue.set_ready(first);
    assert_eq!(handed(&mut queue, 9), [1, 3]);
}

#[test]
fn a_new_connection_gets_everything_again_and_knows_what_was_sent() {
    let mut queue = DeliveryQueue::default();
    let sequences: Vec<u64> = (1..=4).map(|n| push(&mut queue, n)).collect();
    assert_eq!(handed(&mut queue, 3), [1, 2, 3]);
    queue.note_sent(sequences[0], 7, false);
    assert_eq!(queue.sent_with(FIRST_EXACT_ID), None, "not sent");
    queue.note_sent(sequences[1], FIRST_EXACT_ID, false);
    assert_eq!(queue.sent_with(FIRST_EXACT_ID), Some(sequences[1]));
    queue.note_sent(sequences[1], FIRST_EXACT_ID, true);
    assert_eq!(queue.sent_with(FIRST_EXACT_ID), None, "received");
    // Received stays received.
    queue.note_sent(sequences[1], FIRST_EXACT_ID, false);
    queue.take_back_all();
    assert_eq!(queue.waiting(), 4);
    let mut found = Vec::new();
    while let Some((_, queued)) = queue.hand_over(9) {
        found.push((queued.message, queued.state, queued.packet_id));
    }
    let expected = [
        (1, DeliveryState::Sent, Some(7)),
        (2, DeliveryState::Received, Some(FIRST_EXACT_ID)),
        (3, DeliveryState::Waiting, None),
        (4, DeliveryState::Waiting, Some(FIRST_EXACT_ID + 1)),
    ];
    assert_eq!(found, expected);
}

#[test]
fn what_the_connection_dropped_comes_again_before_later_messages() {
    let mut queue = DeliveryQueue::default();
    let sequences: Vec<u64> = (1..=4).map(|n| push(&mut queue, n)).collect();
    assert_eq!(handed(&mut queue, 3), [1, 2, 3]);
    queue.take_back(sequences[1]);
    queue.take_back(sequences[1]);
    assert_eq!(handed(&mut queue, 9), [2, 4]);
}

#[test]
fn the_oldest_waiting_message_is_dropped_but_none_that_was_sent() {
    let mut queue = DeliveryQueue::default();
    let sequences: Vec<u64> = (1..=3).map(|n| push(&mut queue, n)).collect();
    handed(&mut queue, 1);
    queue.note_sent(sequences[0], 1, false);
    let dropped = queue.remove_oldest().map(|(_, queued)| queued.message);
    assert_eq!(dropped, Some(2));
    queue.take_back_all();
    let dropped = queue.remove_oldest().map(|(_, queued)| queued.message);
    assert_eq!(dropped, Some(3));
    assert!(queue.remove_oldest().is_none());
}

#[test]
fn ids_of_qos_2_are_in_use_once() {
    let mut queue = DeliveryQueue::default();
    queue.restore(5, true, DeliveryState::Sent, Some(u16::MAX), 1, 0);
    let first = queue.push(true, 1, 0);
    assert_eq!(first, 6);
    assert_eq!(
        queue.get(first).and_then(|queued| queued.packet_id),
        Some(FIRST_EXACT_ID)
    );
    while !queue.is_out_of_ids() {
        queue.push(true, 1, 0);
    }
    let ids: BTreeSet<_> = queue.iter().map(|(_, queued)| queued.packet_id).collect();
    assert_eq!(ids.len(), queue.len());
    queue.remove(6).expect("in the queue");
    let again = queue.push(true, 1, 0);
    let id = queue.get(again).and_then(|queued| queued.packet_id);
    assert!(queue.iter().filter(|(_, queued)| queued.packet_id == id).count() == 1);
}
