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
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        5 => (0..4_u64, prop::sample::select(vec!["", "a", "b", "c"])).prop_map(|(d, k)| Step::Push(d, k)),
        5 => Just(Step::Next),
        3 => any::<usize>().prop_map(Step::Done),
        2 => (any::<usize>(), 0..9_u64).prop_map(|(i, t)| Step::Retry(i, t)),
        1 => (0..4_u64, 0..9_u64).prop_map(|(d, t)| Step::Pause(d, t)),
        2 => (0..9_u64).prop_map(Step::Resume),
    ]
}

/// An item contains its lane. An item without a key uses a number as its key, so that its lane has no other item.
type Item = (u64, String, usize);

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
        self.under_way.iter().filter(|(_, item)| item.0 == destination).count()
    }

    fn may_go(&self, lane: &(u64, String)) -> bool {
        let taken = self
            .under_way
            .iter()
            .any(|(_, item)| (item.0, &item.1) == (lane.0, &lane.1));
        let held = self.parked.contains_key(lane) || self.paused.contains_key(&lane.0);
        !taken && !held && self.busy(lane.0) < LIMIT && self.under_way.len() < TOTAL
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
        let mut queue = Queue::new(LIMIT, TOTAL);
        let mut model = Model::default();
        let (mut pushed, mut ended, mut clock) = (0, Vec::new(), 0);
        for step in steps {
            match step {
                Step::Push(destination, key) => {
                    pushed += 1;
                    let name = if key.is_empty() { pushed.to_string() } else { key.to_owned() };
                    let item = (destination, name.clone(), pushed);
                    queue.push(DestinationId(destination), None, key, item.clone());
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
            }
            prop_assert_eq!(queue.len(), model.len());
            let due = model.parked.values().chain(model.paused.values()).min();
            prop_assert_eq!(queue.next_due(), due.map(|due| at(*due)));
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
    let mut queue = Queue::new(8, 8);
    for (destination, key, item) in [(1, "a", "1a1"), (1, "a", "1a2"), (1, "b", "1b1"), (2, "a", "2a1")] {
        queue.push(DestinationId(destination), None, key, item);
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
    let mut queue = Queue::new(1, 1);
    queue.push(DestinationId(1), None, "bad", 1);
    queue.push(DestinationId(1), None, "bad", 2);
    queue.push(DestinationId(1), None, "good", 3);
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
    let mut queue = Queue::new(1, 1);
    for (destination, item) in [(1, "1a"), (1, "1b"), (2, "2a")] {
        queue.push(DestinationId(destination), None, "", item);
    }
    let (taken, item) = queue.next().unwrap();
    assert_eq!(item, "1a");
    queue.pause(DestinationId(1), later);
    queue.done(taken);
    let (taken, item) = queue.next().unwrap();
    assert_eq!(item, "2a");
    queue.done(taken);
    assert!(queue.next().is_none() && !queue.is_active());
    assert_eq!(queue.next_due(), Some(later));
    queue.pause(DestinationId(1), now);
    queue.resume(now);
    assert!(queue.next().is_none(), "a shorter pause does not end a longer one");
    queue.resume(later);
    assert_eq!(queue.next().map(|(_, item)| item), Some("1b"));
}
