use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;

use super::*;

fn small() -> KvBounds {
    KvBounds {
        keys: 4,
        key_bytes: 8,
        value_bytes: 16,
        total_bytes: 4 * 128 + 40,
    }
}

fn text(value: Option<Bytes>) -> Option<String> {
    value.map(|value| String::from_utf8(value.to_vec()).unwrap())
}

fn bytes(value: &str) -> Bytes {
    Bytes::copy_from_slice(value.as_bytes())
}

struct Clock(Instant);

impl Clock {
    fn at(&self, seconds: u64) -> Instant {
        self.0 + Duration::from_secs(seconds)
    }
}

fn access() -> (KvAccess, Clock) {
    (KvAccess::new(Kv::new(small())), Clock(Instant::now()))
}

#[test]
fn set_swap_insert_remove() {
    let (mut kv, clock) = access();
    let now = clock.at(0);
    assert_eq!(kv.get("a", now), None);
    assert_eq!(kv.swap("a", bytes("1"), None, now), Ok(None));
    assert_eq!(text(kv.swap("a", bytes("2"), None, now).unwrap()).as_deref(), Some("1"));
    assert_eq!(kv.insert("a", bytes("3"), None, now), Ok(false));
    assert_eq!(text(kv.get("a", now)).as_deref(), Some("2"));
    assert_eq!(kv.remove("a", now), Ok(true));
    assert_eq!(kv.remove("a", now), Ok(false));
    assert_eq!(kv.insert("a", bytes("3"), None, now), Ok(true));
    assert_eq!(
        kv.kv.usage(),
        KvUsage {
            keys: 1,
            bytes: 128 + 2
        }
    );
}

#[test]
fn counters_are_digits() {
    let (mut kv, clock) = access();
    let now = clock.at(0);
    assert_eq!(kv.add("n", 5, None, now), Ok(5));
    assert_eq!(kv.add("n", -8, None, now), Ok(-3));
    assert_eq!(text(kv.get("n", now)).as_deref(), Some("-3"));
    kv.swap("n", bytes("41"), None, now).unwrap();
    assert_eq!(kv.add("n", 1, None, now), Ok(42));
    for (value, error) in [
        ("x", KvError::NotACounter),
        ("", KvError::NotACounter),
        ("+1", KvError::NotACounter),
        (" 1", KvError::NotACounter),
    ] {
        kv.swap("n", bytes(value), None, now).unwrap();
        assert_eq!(kv.add("n", 1, None, now), Err(error), "{value:?}");
    }
    // 19 digits are more than a value may have here.
    assert_eq!(
        kv.add("m", i64::MAX, None, now),
        Err(KvError::ValueTooLong { got: 19, limit: 16 })
    );
}

#[test]
fn a_counter_does_not_wrap() {
    let mut kv = KvAccess::new(Kv::new(KvBounds::default()));
    let now = Instant::now();
    kv.add("n", i64::MAX, None, now).unwrap();
    assert_eq!(kv.add("n", 1, None, now), Err(KvError::Overflow));
    assert_eq!(kv.add("n", -1, None, now), Ok(i64::MAX - 1));
}

#[test]
fn time_to_live() {
    let (mut kv, clock) = access();
    kv.swap("a", bytes("1"), Some(10), clock.at(0)).unwrap();
    assert!(kv.get("a", clock.at(9)).is_some());
    assert!(kv.get("a", clock.at(10)).is_none());
    assert_eq!(
        kv.insert("a", bytes("2"), Some(10), clock.at(10)),
        Ok(true),
        "what is over is not there"
    );
    kv.swap("a", bytes("3"), None, clock.at(11)).unwrap();
    assert!(
        kv.get("a", clock.at(10_000)).is_some(),
        "a value without a time to live has none of the old"
    );

    kv.add("n", 1, Some(10), clock.at(0)).unwrap();
    assert_eq!(kv.add("n", 1, Some(10), clock.at(9)), Ok(2), "counts from the start");
    assert_eq!(kv.add("n", 1, Some(10), clock.at(10)), Ok(1));
    kv.swap("z", bytes(""), Some(0), clock.at(20)).unwrap();
    assert_eq!(kv.get("z", clock.at(20)), None);
}

#[test]
fn bounds_say_which() {
    let (mut kv, clock) = access();
    let now = clock.at(0);
    let cases = [
        ("123456789", "", KvError::KeyTooLong { got: 9, limit: 8 }),
        ("k", "12345678901234567", KvError::ValueTooLong { got: 17, limit: 16 }),
    ];
    for (key, value, error) in cases {
        assert_eq!(kv.swap(key, bytes(value), None, now), Err(error));
        assert_eq!(kv.insert(key, bytes(value), None, now), Err(error));
    }
    for key in ["a", "b", "c", "d"] {
        kv.swap(key, bytes("12345678"), None, now).unwrap();
    }
    kv.commit();
    assert_eq!(
        kv.swap("e", bytes(""), None, now),
        Err(KvError::TooManyKeys { limit: 4 })
    );
    let full = KvError::Full {
        wanted: 4 * 128 + 4 + 3 * 8 + 16,
        limit: 4 * 128 + 40,
    };
    assert_eq!(kv.swap("a", bytes("1234567890123456"), None, now), Err(full));
    kv.swap("a", bytes("123456789012"), None, now).unwrap();
    assert_eq!(kv.kv.usage().bytes, 4 * 128 + 40);
}

#[test]
fn what_is_over_makes_room() {
    let (mut kv, clock) = access();
    for key in ["a", "b", "c", "d"] {
        kv.swap(key, bytes(""), Some(1), clock.at(0)).unwrap();
    }
    kv.commit();
    kv.swap("e", bytes(""), None, clock.at(1)).unwrap();
    assert_eq!(
        kv.kv.usage(),
        KvUsage {
            keys: 1,
            bytes: 128 + 1
        }
    );
}

#[test]
fn a_call_cannot_make_the_host_keep_more() {
    let (mut kv, clock) = access();
    let now = clock.at(0);
    for key in ["a", "b", "c", "d"] {
        assert_eq!(kv.insert(key, bytes("12345678"), None, now), Ok(true));
        assert_eq!(kv.remove(key, now), Ok(true));
    }
    assert_eq!(
        kv.insert("e", bytes(""), None, now),
        Err(KvError::TooManyChanges { limit: 4 })
    );
    kv.commit();
    assert_eq!(kv.insert("e", bytes(""), None, now), Ok(true));
}

#[test]
fn undo_restores_everything() {
    let (mut kv, clock) = access();
    let now = clock.at(0);
    kv.swap("a", bytes("1"), Some(10), now).unwrap();
    kv.add("n", 5, Some(10), now).unwrap();
    kv.commit();

    kv.swap("a", bytes("2"), None, now).unwrap();
    kv.swap("a", bytes("3"), None, now).unwrap();
    kv.add("n", 1, None, now).unwrap();
    kv.remove("n", now).unwrap();
    kv.add("n", 100, None, now).unwrap();
    kv.insert("b", bytes("new"), None, now).unwrap();
    kv.undo(now);

    assert_eq!(text(kv.get("a", now)).as_deref(), Some("1"));
    assert_eq!(kv.get("a", clock.at(10)), None, "with its time to live");
    assert_eq!(text(kv.get("n", now)).as_deref(), Some("5"));
    assert_eq!(kv.get("b", now), None);
    assert_eq!(kv.kv.usage().keys, 2);
    kv.undo(now);
    assert_eq!(text(kv.get("a", now)).as_deref(), Some("1"), "nothing is undone twice");
}

#[test]
fn undo_beside_another_instance() {
    let (mut ours, clock) = access();
    let mut theirs = KvAccess::new(Arc::clone(&ours.kv));
    let now = clock.at(0);

    // Counters: theirs stays, ours goes, in whatever order they came.
    ours.add("n", 1, None, now).unwrap();
    theirs.add("n", 10, None, now).unwrap();
    ours.add("n", 2, None, now).unwrap();
    // Values: the one who did not fail wins.
    ours.swap("a", bytes("ours"), None, now).unwrap();
    theirs.swap("a", bytes("theirs"), None, now).unwrap();
    // Ours last: back to what they wrote.
    ours.swap("b", bytes("ours"), None, now).unwrap();
    theirs.swap("b", bytes("theirs"), None, now).unwrap();
    ours.swap("b", bytes("again"), None, now).unwrap();
    // Added by both, then overwritten by us: back to theirs alone.
    ours.add("m", 1, None, now).unwrap();
    theirs.add("m", 10, None, now).unwrap();
    ours.swap("m", bytes("x"), None, now).unwrap();
    theirs.commit();
    ours.undo(now);

    for (key, value) in [("n", "10"), ("a", "theirs"), ("b", "theirs"), ("m", "10")] {
        assert_eq!(text(ours.get(key, now)).as_deref(), Some(value), "{key}");
    }
}

#[test]
fn undo_after_what_was_written_is_over() {
    let (mut kv, clock) = access();
    kv.swap("a", bytes("1"), None, clock.at(0)).unwrap();
    kv.commit();
    kv.swap("a", bytes("2"), Some(1), clock.at(0)).unwrap();
    // Clears "a" away.
    kv.swap("b", bytes(""), None, clock.at(1)).unwrap();
    kv.undo(clock.at(1));
    assert_eq!(text(kv.get("a", clock.at(1))).as_deref(), Some("1"));
}

#[derive(Debug, Clone)]
enum Step {
    Set(u8, u8, Option<u32>),
    Insert(u8, u8, Option<u32>),
    Add(u8, i8, Option<u32>),
    Remove(u8),
    Wait(u8),
    Commit,
    Undo,
}

fn step() -> impl Strategy<Value = Step> {
    let key = 0..6u8;
    let ttl = proptest::option::of(0..5u32);
    prop_oneof![
        (key.clone(), any::<u8>(), ttl.clone()).prop_map(|(k, v, t)| Step::Set(k, v, t)),
        (key.clone(), any::<u8>(), ttl.clone()).prop_map(|(k, v, t)| Step::Insert(k, v, t)),
        (key.clone(), any::<i8>(), ttl).prop_map(|(k, v, t)| Step::Add(k, v, t)),
        key.prop_map(Step::Remove),
        (0..3u8).prop_map(Step::Wait),
        Just(Step::Commit),
        Just(Step::Undo),
    ]
}

/// The same in the simplest way: a map from key to value and end, copied at the start of each call.
#[derive(Debug, Clone, Default)]
struct Model(BTreeMap<String, (String, Option<u64>)>);

impl Model {
    fn get(&self, key: &str, now: u64) -> Option<&str> {
        self.0
            .get(key)
            .filter(|(_, end)| end.is_none_or(|end| now < end))
            .map(|(value, _)| value.as_str())
    }

    fn set(&mut self, key: &str, value: &str, ttl: Option<u32>, now: u64) {
        self.0
            .insert(key.into(), (value.into(), ttl.map(|ttl| now + u64::from(ttl))));
    }
}

proptest! {
    /// One instance: what a guest reads is what the model says, after any steps, commits and undos.
    #[test]
    fn behaves_as_the_model(steps in proptest::collection::vec(step(), 1..80)) {
        let mut kv = KvAccess::new(Kv::new(KvBounds::default()));
        let clock = Clock(Instant::now());
        let (mut model, mut before, mut time) = (Model::default(), Model::default(), 0);
        for step in steps {
            let now = clock.at(time);
            match step {
                Step::Set(key, value, ttl) => {
                    let (key, value) = (key.to_string(), value.to_string());
                    let old = kv.swap(&key, bytes(&value), ttl, now).unwrap();
                    prop_assert_eq!(text(old), model.get(&key, time).map(str::to_owned));
                    model.set(&key, &value, ttl, time);
                }
                Step::Insert(key, value, ttl) => {
                    let (key, value) = (key.to_string(), value.to_string());
                    let free = model.get(&key, time).is_none();
                    prop_assert_eq!(kv.insert(&key, bytes(&value), ttl, now), Ok(free));
                    if free {
                        model.set(&key, &value, ttl, time);
                    }
                }
                Step::Add(key, amount, ttl) => {
                    let key = key.to_string();
                    let sum = match model.get(&key, time).map(|value| value.parse::<i64>().unwrap()) {
                        None => {
                            model.set(&key, &amount.to_string(), ttl, time);
                            i64::from(amount)
                        }
                        Some(old) => {
                            let sum = old + i64::from(amount);
                            model.0.get_mut(&key).unwrap().0 = sum.to_string();
                            sum
                        }
                    };
                    prop_assert_eq!(kv.add(&key, amount.into(), ttl, now), Ok(sum));
                }
                Step::Remove(key) => {
                    let key = key.to_string();
                    let there = model.get(&key, time).is_some();
                    prop_assert_eq!(kv.remove(&key, now), Ok(there));
                    model.0.remove(&key);
                }
                Step::Wait(seconds) => time += u64::from(seconds),
                Step::Commit => {
                    kv.commit();
                    before = model.clone();
                }
                Step::Undo => {
                    kv.undo(now);
                    model = before.clone();
                }
            }
            for key in 0..6u8 {
                let key = key.to_string();
                prop_assert_eq!(text(kv.get(&key, clock.at(time))), model.get(&key, time).map(str::to_owned));
            }
        }
        // Nothing is left behind: all gone, nothing counted.
        for key in 0..6u8 {
            kv.remove(&key.to_string(), clock.at(time)).unwrap();
            kv.swap("x", bytes(""), None, clock.at(time + 10)).unwrap();
        }
        kv.remove("x", clock.at(time + 10)).unwrap();
        prop_assert_eq!(kv.kv.usage(), KvUsage { keys: 0, bytes: 0 });
    }

    /// Two instances that only count: what remains is what the calls that did not fail have added.
    #[test]
    fn counters_survive_the_failures_of_others(
        steps in proptest::collection::vec((0..2usize, 0..3u8, any::<i8>()), 1..80),
    ) {
        let mut ours = [KvAccess::new(Kv::new(KvBounds::default())), KvAccess::new(Kv::new(KvBounds::default()))];
        ours[1] = KvAccess::new(Arc::clone(&ours[0].kv));
        let now = Instant::now();
        let (mut kept, mut open) = (0i64, [0i64; 2]);
        for (who, what, amount) in steps {
            match what {
                0 => {
                    ours[who].add("n", amount.into(), None, now).unwrap();
                    open[who] += i64::from(amount);
                }
                1 => {
                    ours[who].commit();
                    kept += std::mem::take(&mut open[who]);
                }
                _ => {
                    ours[who].undo(now);
                    open[who] = 0;
                }
            }
            let sum = ours[0].add("n", 0, None, now).unwrap();
            prop_assert_eq!(sum, kept + open[0] + open[1]);
        }
    }
}
