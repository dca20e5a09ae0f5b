//! Tests of the order of items against a model.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;

use super::*;

const LIMIT: usize = 2;
const TOTAL: usize = 5;

#[derive(Debug, Clone)]
enum Step {
    Push(u64, &'static str),
    Next,
    Done(usize),
    Retry(usize, u64),
    Pause(u64, u64),
    Resume(u64),
    RemoveBelow(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        5 => (0..4_u64, prop::sample::select(vec!["", "a", "b", "c"])).prop_map(|(d, k)| Step::Push(d, k)),
        5 => Just(Step::Next),
        3 => any::<usize>().prop_map(Step::Done),
        2 => (any::<usize>(), 0..9_u64).prop_map(|(i, t)| Step::Retry(i, t)),
        1 => (0..4_u64, 0..9_u64).prop_map(|(d, t)| Step::Pause(d, t)),
        2 => (0..9_u64).prop_map(Step::Resume),
        1 => (0..200_usize).prop_map(Step::RemoveBelow),
    ]
}

impl Size for Item {
    fn size(&self) -> usize {
        self.2
    }
}

impl Size for &str {
    fn size(&self) -> usize {
        self.len()
    }
}

impl Size for i32 {
    fn size(&self) -> usize {
        1
    }
}

/// An item contains its lane. An item without a key uses a number as its key, so that its lane has no other item.
type Item = (u64, String, usize);

/// Two destinations share the slots of one receiver.
fn receiver(destination: u64) -> usize {
    destination as usize / 2
}

/// A simple model of the queue: lists, searched from the start.
#[derive(Default)]
struct Model {
    waiting: BTreeMap<(u64, String), Vec<Item>>,
    parked: BTreeMap<(u64, String), u64>,
    paused: BTreeMap<u64, u64>,
    under_way: Vec<(Taken, Item)>,
}

impl Model {
    fn busy(&self, destination: u64) -> usize {
        let receiver = receiver(destination);
        let is_same = |(_, item): &&(Taken, Item)| self::receiver(item.0) == receiver;
        self.under_way.iter().filter(is_same).count()
    }

    fn may_go(&self, lane: &(u64, String)) -> bool {
        let taken = self
            .under_way
            .iter()
            .any(|(_, item)| (item.0, &item.1) == (lane.0, &lane.1));
        let held = self.parked.contains_key(lane) || self.paused.contains_key(&lane.0);
        !taken && !held && self.busy(lane.0) < LIMIT && self.under_way.len() < TOTAL
    }

    fn remove_below(&mut self, number: usize) {
        for items in self.waiting.values_mut() {
            let old = items.iter().take_while(|item| item.2 < number).count();
            items.drain(..old);
        }
        self.waiting.retain(|_, items| !items.is_empty());
        self.parked.retain(|lane, _| self.waiting.contains_key(lane));
    }

    fn len(&self) -> usize {
        self.waiting.values().map(Vec::len).sum::<usize>() + self.under_way.len()
    }
}

fn check_next(queue: &mut Queue<Item>, model: &mut Model) -> bool {
    let eligible: Vec<_> = model
        .waiting
        .keys()
        .filter(|lane| model.may_go(lane))
        .cloned()
        .collect();
    let Some((taken, item)) = queue.next() else {
        assert!(eligible.is_empty(), "held up without reason: {eligible:?}");
        return false;
    };
    let lane = (item.0, item.1.clone());
    assert!(eligible.contains(&lane), "{lane:?} must not go now");
    let list = model.waiting.get_mut(&lane).unwrap();
    assert_eq!(list.remove(0), item, "order within a lane");
    if list.is_empty() {
        model.waiting.remove(&lane);
    }
    model.under_way.push((taken, item));
    true
}

proptest! {
    #[test]
    fn behaves_like_the_model(steps in prop::collection::vec(step(), 0..200)) {
        let start = Instant::now();
        let at = |tick: u64| start + Duration::from_secs(tick);
        let mut queue = Queue::new(TOTAL);
        let slots: Vec<Rc<Slots>> = (0..2).map(|_| Rc::new(Slots::new(LIMIT))).collect();
        let mut model = Model::default();
        let (mut pushed, mut ended, mut clock) = (0, Vec::new(), 0);
        for step in steps {
            match step {
                Step::Push(destination, key) => {
                    pushed += 1;
                    let name = if key.is_empty() { pushed.to_string() } else { key.to_owned() };
                    let item = (destination, name.clone(), pushed);
                    queue.push(DestinationId(destination), &slots[receiver(destination)], None, key, item.clone());
                    model.waiting.entry((destination, name)).or_default().push(item);
                }
                Step::Next => {
                    check_next(&mut queue, &mut model);
                }
                Step::Done(which) if !model.under_way.is_empty() => {
                    let (taken, item) = model.under_way.remove(which % model.under_way.len());
                    queue.done(taken);
                    ended.push(item.2);
                }
                Step::Retry(which, wait) if !model.under_way.is_empty() => {
                    let (taken, item) = model.under_way.remove(which % model.under_way.len());
                    queue.retry(taken, item.clone(), at(clock + wait));
                    let lane = (item.0, item.1.clone());
                    model.parked.insert(lane.clone(), clock + wait);
                    model.waiting.entry(lane).or_default().insert(0, item);
                }
                Step::Done(_) | Step::Retry(..) => {}
                Step::Pause(destination, wait) => {
                    queue.pause(DestinationId(destination), at(clock + wait));
                    let end = model.paused.entry(destination).or_default();
                    *end = (clock + wait).max(*end);
                }
                Step::Resume(wait) => {
                    clock += wait;
                    queue.resume(at(clock));
                    model.parked.retain(|_, due| *due > clock);
                    model.paused.retain(|_, end| *end > clock);
                }
                Step::RemoveBelow(number) => {
                    ended.extend(queue.remove_heads(|item| item.2 < number).iter().map(|item| item.2));
                    model.remove_below(number);
                }
            }
            prop_assert_eq!(queue.len(), model.len());
            let due = model.parked.values().chain(model.paused.values()).min();
            prop_assert_eq!(queue.next_due(at(clock)), due.map(|due| at(*due)));
            let ready = model.waiting.keys().any(|lane| model.may_go(lane));
            prop_assert_eq!(queue.is_active(), ready || !model.under_way.is_empty());
        }
        // From any state, every item comes out exactly once.
        queue.resume(at(clock + 100));
        (model.parked, model.paused) = Default::default();
        loop {
            if check_next(&mut queue, &mut model) {
                continue;
            }
            let Some((taken, item)) = model.under_way.pop() else { break };
            queue.done(taken);
            ended.push(item.2);
        }
        ended.sort_unstable();
        prop_assert_eq!(ended, (1..=pushed).collect::<Vec<_>>());
        prop_assert!(queue.len() == 0 && !queue.is_active());
        prop_assert!(queue.destinations.is_empty() && queue.lanes.is_empty() && queue.open.is_empty());
    }
}

#[test]
fn keys_and_destinations_take_turns() {
    let mut queue = Queue::new(8);
    let slots = [8, 8].map(|limit| Rc::new(Slots::new(limit)));
    for (destination, key, item) in [(1, "a", "1a1"), (1, "a", "1a2"), (1, "b", "1b1"), (2, "a", "2a1")] {
        queue.push(
            DestinationId(destination),
            &slots[destination as usize - 1],
            None,
            key,
            item,
        );
    }
    let mut order = Vec::new();
    while let Some((taken, item)) = queue.next() {
        order.push(item);
        queue.done(taken);
    }
    assert_eq!(order, ["1a1", "2a1", "1b1", "1a2"]);
}

#[test]
fn a_parked_key_holds_neither_a_slot_nor_other_keys() {
    let now = Instant::now();
    let mut queue = Queue::new(1);
    let slots = Rc::new(Slots::new(1));
    for (key, item) in [("bad", 1), ("bad", 2), ("good", 3)] {
        queue.push(DestinationId(1), &slots, None, key, item);
    }
    let (taken, item) = queue.next().unwrap();
    assert!(queue.next().is_none(), "the limit holds");
    queue.retry(taken, item, now + Duration::from_secs(1));
    let (taken, item) = queue.next().unwrap();
    assert_eq!(item, 3);
    queue.done(taken);
    assert!(queue.next().is_none() && !queue.is_active());
    queue.resume(now + Duration::from_secs(1));
    let (taken, item) = queue.next().unwrap();
    assert_eq!(item, 1, "the repeated one goes before its successor");
    queue.done(taken);
    assert_eq!(queue.next().map(|(_, item)| item), Some(2));
}

#[test]
fn a_paused_destination_hands_out_nothing_and_delays_no_other() {
    let now = Instant::now();
    let later = now + Duration::from_secs(1);
    let mut queue = Queue::new(1);
    let slots = [1, 1].map(|limit| Rc::new(Slots::new(limit)));
    for (destination, item) in [(1, "1a"), (1, "1b"), (2, "2a")] {
        queue.push(
            DestinationId(destination),
            &slots[destination as usize - 1],
            None,
            "",
            item,
        );
    }
    let (taken, item) = queue.next().unwrap();
    assert_eq!(item, "1a");
    queue.pause(DestinationId(1), later);
    queue.done(taken);
    let (taken, item) = queue.next().unwrap();
    assert_eq!(item, "2a");
    queue.done(taken);
    assert!(queue.next().is_none() && !queue.is_active());
    assert_eq!(queue.next_due(now), Some(later));
    queue.pause(DestinationId(1), now);
    queue.resume(now);
    assert!(queue.next().is_none(), "a shorter pause does not end a longer one");
    queue.resume(later);
    assert_eq!(queue.next().map(|(_, item)| item), Some("1b"));
}

/// Takes what a gathering destination hands out, up to `most` items.
fn gather<T: Size + Copy>(queue: &mut Queue<T>, most: usize) -> Option<Vec<TakenLane<T>>> {
    let first = queue.next()?;
    let mut count = 1;
    Some(queue.gather(first, |_| {
        count += 1;
        count <= most
    }))
}

fn items<T: Copy>(lanes: &[TakenLane<T>]) -> Vec<T> {
    lanes.iter().flat_map(|lane| lane.items.iter().copied()).collect()
}

fn end<T: Size>(queue: &mut Queue<T>, lanes: Vec<TakenLane<T>>) {
    for lane in lanes {
        queue.settle(lane.taken, lane.items.len(), Vec::new(), None);
    }
}

const PAIRS: Gathering = Gathering {
    count: 2,
    bytes: 10,
    delay: Duration::from_secs(1),
};

#[test]
fn items_are_gathered_until_there_are_enough_or_the_time_has_come() {
    let now = Instant::now();
    let mut queue = Queue::new(9);
    let slots = Rc::new(Slots::new(9));
    let push = |queue: &mut Queue<&'static str>, key, item| {
        queue.push(DestinationId(1), &slots, Some(PAIRS), key, item);
    };
    // By number.
    push(&mut queue, "a", "a1");
    assert!(queue.next().is_none() && !queue.is_active() && queue.has_new_gathering());
    assert_eq!(queue.next_due(now), Some(now + PAIRS.delay));
    push(&mut queue, "b", "b1");
    let lanes = gather(&mut queue, 9).unwrap();
    assert_eq!(items(&lanes), ["a1", "b1"]);
    assert_eq!(queue.next_due(now), None);
    // Behind what is being sent, nothing is ready.
    push(&mut queue, "a", "a2");
    push(&mut queue, "a", "a3");
    assert!(queue.next().is_none() && !queue.has_new_gathering());
    end(&mut queue, lanes);
    let lanes = gather(&mut queue, 9).unwrap();
    assert_eq!(items(&lanes), ["a2", "a3"]);
    end(&mut queue, lanes);
    // By size.
    push(&mut queue, "", "0123456789");
    let lanes = gather(&mut queue, 9).unwrap();
    assert_eq!(items(&lanes), ["0123456789"]);
    end(&mut queue, lanes);
    // By time.
    push(&mut queue, "", "last");
    assert!(queue.next().is_none());
    let due = queue.next_due(now).unwrap();
    queue.resume(due - Duration::from_millis(1));
    assert!(queue.next().is_none());
    queue.resume(due);
    let lanes = gather(&mut queue, 9).unwrap();
    assert_eq!(items(&lanes), ["last"]);
    end(&mut queue, lanes);
    assert!(queue.destinations.is_empty() && queue.gathering.is_empty());
}

#[test]
fn what_is_left_of_a_batch_waits_for_more_and_the_end_of_gathering_lets_it_go() {
    let now = Instant::now();
    let mut queue = Queue::new(9);
    let slots = Rc::new(Slots::new(9));
    for item in 1..=5 {
        queue.push(DestinationId(1), &slots, Some(PAIRS), "", item);
    }
    let (first, second) = (gather(&mut queue, 2).unwrap(), gather(&mut queue, 2).unwrap());
    assert_eq!((items(&first), items(&second)), (vec![1, 2], vec![3, 4]));
    assert!(queue.next().is_none());
    assert_eq!(queue.next_due(now), Some(now + PAIRS.delay));
    queue.stop_gathering();
    assert_eq!(items(&gather(&mut queue, 2).unwrap()), [5]);
    queue.push(DestinationId(1), &slots, Some(PAIRS), "", 6);
    assert_eq!(items(&gather(&mut queue, 2).unwrap()), [6]);
}

#[test]
fn destinations_of_one_receiver_share_its_slots() {
    let mut queue = Queue::new(9);
    let slots = Rc::new(Slots::new(1));
    for (destination, item) in [(1, 1), (2, 2), (3, 3), (1, 4)] {
        queue.push(DestinationId(destination), &slots, None, "", item);
    }
    let mut order = Vec::new();
    while let Some((taken, item)) = queue.next() {
        assert!(queue.next().is_none(), "one slot");
        order.push(item);
        queue.done(taken);
    }
    order.sort_unstable();
    assert_eq!(order, [1, 2, 3, 4]);
    slots.set_limit(2);
    for destination in 1..=3 {
        queue.push(DestinationId(destination), &slots, None, "", 0);
    }
    let (first, second) = (queue.next().unwrap(), queue.next().unwrap());
    assert!(queue.next().is_none() && slots.under_way() == 2);
    queue.done(first.0);
    let third = queue.next().unwrap();
    queue.done(second.0);
    queue.done(third.0);
    assert!(queue.next().is_none() && slots.under_way() == 0);
}

#[test]
fn a_slot_is_not_lost_to_a_destination_that_has_nothing_to_send_any_more() {
    for removed in [true, false] {
        let now = Instant::now();
        let mut queue = Queue::new(9);
        let slots = Rc::new(Slots::new(1));
        for item in 1..=3 {
            queue.push(DestinationId(item as u64), &slots, None, "", item);
        }
        let (taken, item) = queue.next().unwrap();
        assert!(item == 1 && queue.next().is_none(), "2 and 3 wait for the slot");
        if removed {
            assert_eq!(queue.remove_heads(|item| *item == 2), [2]);
        } else {
            queue.pause(DestinationId(2), now + Duration::from_secs(1));
        }
        queue.done(taken);
        assert_eq!(queue.next().map(|(_, item)| item), Some(3), "removed: {removed}");
    }
}

proptest! {
    /// Whatever fails, every item comes out once, in the order of its key, in batches within the limits.
    #[test]
    fn batches_keep_the_order_of_each_key(
        pushes in prop::collection::vec((0..2_u64, prop::sample::select(vec!["", "a", "b", "c"])), 0..60),
        steps in prop::collection::vec((0..4_u8, any::<usize>(), 0..5_usize), 0..300),
        most in 1..6_usize,
    ) {
        let start = Instant::now();
        let mut now = start;
        let mut queue: Queue<Item> = Queue::new(TOTAL);
        let slots = Rc::new(Slots::new(LIMIT));
        let (mut pushes, mut pushed) = (pushes.into_iter(), 0);
        let mut under_way: Vec<Vec<TakenLane<Item>>> = Vec::new();
        let mut ended: Vec<Item> = Vec::new();
        let everything_else = (0..).map(|_| (9, 0, 0));
        for (step, which, count) in steps.into_iter().chain(everything_else) {
            match step {
                0 | 9 if let Some((destination, key)) = pushes.next() => {
                    pushed += 1;
                    let name = if key.is_empty() { pushed.to_string() } else { key.to_owned() };
                    queue.push(DestinationId(destination), &slots, Some(PAIRS), key, (destination, name, pushed));
                }
                1 => {
                    let first = queue.next();
                    if let Some(first) = first {
                        let mut taken = 1;
                        let lanes = queue.gather(first, |_| { taken += 1; taken <= most });
                        let sent: usize = lanes.iter().map(|lane| lane.items.len()).sum();
                        prop_assert!((1..=most).contains(&sent));
                        under_way.push(lanes);
                    }
                }
                2 if !under_way.is_empty() => {
                    // The first items of each lane end; the others are sent again, now or later.
                    for mut lane in under_way.swap_remove(which % under_way.len()) {
                        let back = lane.items.split_off(count.min(lane.items.len()));
                        ended.extend(lane.items.iter().cloned());
                        let at = which.is_multiple_of(2).then(|| now + Duration::from_secs(count as u64));
                        queue.settle(lane.taken, lane.items.len(), back, at);
                    }
                }
                3 => {
                    now += Duration::from_secs(1);
                    queue.next_due(now);
                    queue.resume(now);
                }
                9 => {
                    // From any state, everything comes out. First what is parked begins to gather, then it has gathered.
                    for _ in 0..2 {
                        queue.next_due(now);
                        now += Duration::from_secs(10);
                        queue.resume(now);
                    }
                    let lanes = under_way.pop().or_else(|| {
                        let first = queue.next()?;
                        Some(queue.gather(first, |_| false))
                    });
                    let Some(lanes) = lanes else { break };
                    for lane in lanes {
                        ended.extend(lane.items.iter().cloned());
                        queue.settle(lane.taken, lane.items.len(), Vec::new(), None);
                    }
                }
                _ => {}
            }
            prop_assert!(under_way.len() <= LIMIT && slots.under_way() == under_way.len());
            let mut busy: Vec<_> = under_way.iter().flatten().map(|lane| (lane.items[0].0, &lane.items[0].1)).collect();
            let count = busy.len();
            busy.sort();
            busy.dedup();
            prop_assert_eq!(busy.len(), count, "a key is in one batch only");
        }
        prop_assert!(queue.len() == 0 && queue.destinations.is_empty() && queue.gathering.is_empty());
        prop_assert_eq!(ended.len(), pushed);
        let mut last = BTreeMap::new();
        for (destination, key, number) in ended {
            prop_assert!(last.insert((destination, key), number).is_none_or(|before| before < number));
        }
    }
}
