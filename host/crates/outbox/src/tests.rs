//! Tests of the store against a model, and with damaged files.

use std::fs;

use proptest::prelude::*;

use super::*;

fn record(number: u64) -> Bytes {
    format!("record {number}").into()
}

fn put(numbers: impl IntoIterator<Item = u64>) -> BTreeMap<u64, Bytes> {
    numbers.into_iter().map(|number| (number, record(number))).collect()
}

/// All records, which must not be damaged.
fn all(store: &Store) -> BTreeMap<u64, Bytes> {
    let list = store.range(0, usize::MAX).unwrap();
    list.into_iter()
        .map(|(number, record)| (number, record.unwrap()))
        .collect()
}

#[test]
fn records_survive_a_restart_and_are_read_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("new/data");
    let store = Store::open(&folder).unwrap();
    assert_eq!((store.next_number(), all(&store)), (0, BTreeMap::new()));
    store.write(&put(0..10), &[]).unwrap();
    store.write(&put(10..12), &[0, 5, 99]).unwrap();
    drop(store);
    let store = Store::open(&folder).unwrap();
    assert_eq!(store.next_number(), 12);
    assert_eq!(all(&store), put((1..5).chain(6..12)));
    assert_eq!((store.get(5).unwrap(), store.get(6).unwrap()), (None, Some(record(6))));
    let numbers: Vec<u64> = store.range(4, 3).unwrap().iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, [4, 6, 7]);
}

#[test]
fn two_hosts_cannot_share_a_folder() {
    let dir = tempfile::tempdir().unwrap();
    let first = Store::open(dir.path()).unwrap();
    let second = Store::open(dir.path()).err().unwrap();
    assert!(matches!(second, StoreError::InUse { .. }), "{second}");
    drop(first);
    Store::open(dir.path()).unwrap();
}

#[test]
fn a_damaged_record_is_found_and_affects_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    store.write(&put(0..5), &[]).unwrap();
    drop(store);
    let file = dir.path().join(FILE);
    let mut bytes = fs::read(&file).unwrap();
    let mut changed = 0;
    for at in 0..bytes.len() {
        if bytes[at..].starts_with(b"record 3") {
            bytes[at] = b'R';
            changed += 1;
        }
    }
    assert!(changed > 0);
    fs::write(&file, bytes).unwrap();
    let store = Store::open(dir.path()).unwrap();
    assert!(matches!(store.get(3), Err(StoreError::Damaged { number: 3 })));
    let list = store.range(0, 9).unwrap();
    let good: Vec<u64> = list
        .iter()
        .filter(|(_, record)| record.is_ok())
        .map(|(number, _)| *number)
        .collect();
    assert_eq!((list.len(), good), (5, vec![0, 1, 2, 4]));
}

#[test]
fn files_of_another_kind_or_version_are_refused_and_stay_as_they_are() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join(FILE);
    let refused = |content: &[u8]| {
        fs::write(&file, content).unwrap();
        let error = Store::open(dir.path()).err().unwrap();
        assert!(matches!(error, StoreError::Unusable { .. }), "{error}");
        assert_eq!(fs::read(&file).unwrap(), content);
        error.to_string()
    };
    refused(b"not a store at all, but long enough to look like one to a careless reader");
    fs::remove_file(&file).unwrap();
    let database = Database::create(&file).unwrap();
    let transaction = database.begin_write().unwrap();
    transaction
        .open_table(ABOUT)
        .unwrap()
        .insert(CONTENT.0, "outbox, version 2")
        .unwrap();
    transaction.commit().unwrap();
    drop(database);
    let error = Store::open(dir.path()).err().unwrap().to_string();
    assert!(
        error.contains("outbox, version 2") && error.contains("outbox, version 1"),
        "{error}"
    );
}

#[derive(Debug, Clone)]
enum Step {
    Write(Vec<u64>, Vec<u64>),
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    let numbers = || prop::collection::vec(0..30_u64, 0..10);
    prop_oneof![
        5 => (numbers(), numbers()).prop_map(|(put, remove)| Step::Write(put, remove)),
        1 => Just(Step::Reopen),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20))]
    #[test]
    fn behaves_like_a_map(steps in prop::collection::vec(step(), 0..20)) {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open(dir.path()).unwrap();
        let mut model = BTreeMap::new();
        for step in steps {
            match step {
                Step::Write(numbers, remove) => {
                    store.write(&put(numbers.clone()), &remove).unwrap();
                    model.extend(put(numbers));
                    model.retain(|number, _| !remove.contains(number));
                }
                Step::Reopen => {
                    drop(store);
                    store = Store::open(dir.path()).unwrap();
                    let next = model.keys().last().map_or(0, |last: &u64| last + 1);
                    prop_assert_eq!(store.next_number(), next);
                }
            }
            prop_assert_eq!(all(&store), model.clone());
        }
    }
}
