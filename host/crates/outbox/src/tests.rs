//! Tests of the store against a model, and with damaged files.

use std::fs;

use proptest::prelude::*;
use redb::Database;

use super::*;

const FILE: &str = "outbox.redb";
const ABOUT: TableDefinition<&str, &str> = TableDefinition::new("hookhost");
const CONTENT: (&str, &str) = ("content", "outbox, version 2");
const PREVIOUS: &str = "outbox, version 1";

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
    let store = Store::open(&folder, Flush::Always).unwrap();
    assert_eq!((store.next_number(), all(&store)), (0, BTreeMap::new()));
    store.write(&put(0..10), &[]).unwrap();
    store.write(&put(10..12), &[0, 5, 99]).unwrap();
    drop(store);
    let store = Store::open(&folder, Flush::Always).unwrap();
    assert_eq!(store.next_number(), 12);
    assert_eq!(all(&store), put((1..5).chain(6..12)));
    assert_eq!((store.get(5).unwrap(), store.get(6).unwrap()), (None, Some(record(6))));
    let numbers: Vec<u64> = store.range(4, 3).unwrap().iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, [4, 6, 7]);
}

#[test]
fn two_hosts_cannot_share_a_folder() {
    let dir = tempfile::tempdir().unwrap();
    let first = Store::open(dir.path(), Flush::Always).unwrap();
    let second = Store::open(dir.path(), Flush::Always).err().unwrap();
    assert!(matches!(second, StoreError::File(FileError::InUse { .. })), "{second}");
    drop(first);
    Store::open(dir.path(), Flush::Always).unwrap();
}

#[test]
fn a_damaged_record_is_found_and_affects_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), Flush::Always).unwrap();
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
    let store = Store::open(dir.path(), Flush::Always).unwrap();
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
        let error = Store::open(dir.path(), Flush::Always).err().unwrap();
        assert!(matches!(error, StoreError::File(FileError::Unusable { .. })), "{error}");
        assert_eq!(fs::read(&file).unwrap(), content);
        error.to_string()
    };
    refused(b"not a store at all, but long enough to look like one to a careless reader");
    let error = opened_as(&file, "outbox, version 3").err().unwrap().to_string();
    assert!(
        error.contains("outbox, version 3") && error.contains("outbox, version 2"),
        "{error}"
    );
}

/// Opens a store whose file says that it has this format.
fn opened_as(file: &Path, format: &str) -> Result<Store, StoreError> {
    if file.exists() {
        fs::remove_file(file).unwrap();
    }
    let database = Database::create(file).unwrap();
    let transaction = database.begin_write().unwrap();
    transaction
        .open_table(ABOUT)
        .unwrap()
        .insert(CONTENT.0, format)
        .unwrap();
    transaction.commit().unwrap();
    drop(database);
    Store::open(file.parent().unwrap(), Flush::Always)
}

#[test]
fn a_file_of_the_previous_format_becomes_one_of_this() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join(FILE);
    drop(opened_as(&file, PREVIOUS).unwrap());
    let database = Database::open(&file).unwrap();
    let about = database.begin_read().unwrap().open_table(ABOUT).unwrap();
    assert_eq!(about.get(CONTENT.0).unwrap().unwrap().value(), CONTENT.1);
}

#[test]
fn space_is_given_back_and_records_stay() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), Flush::Never).unwrap();
    let large = Bytes::from(vec![7; 10_000]);
    for first in (0..1000).step_by(100) {
        let records = (first..first + 100).map(|number| (number, large.clone()));
        store.write(&records.collect(), &[]).unwrap();
    }
    let before = store.file_bytes();
    assert!(before > 10_000_000);
    store.write(&put(1000..1010), &(0..1000).collect::<Vec<_>>()).unwrap();
    assert!(store.compact().unwrap());
    assert!(store.file_bytes() < before / 4, "{} of {before}", store.file_bytes());
    assert_eq!(all(&store), put(1000..1010));
    store.write(&put(1010..1020), &[1000]).unwrap();
    drop(store);
    let store = Store::open(dir.path(), Flush::Always).unwrap();
    assert_eq!(all(&store), put(1001..1020));
}

/// A file that lost its end, or has a page of zeros or of noise: it is refused, or an operation fails, or a record is
/// reported as damaged. No record is ever read with other content.
#[test]
fn no_damage_of_the_file_leads_to_a_wrong_record() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), Flush::Always).unwrap();
    for first in (0..600).step_by(100) {
        store.write(&put(first..first + 100), &[]).unwrap();
    }
    store.write(&BTreeMap::new(), &(100..300).collect::<Vec<_>>()).unwrap();
    drop(store);
    let good = fs::read(dir.path().join(FILE)).unwrap();
    let page = 4096;
    let noise: Vec<u8> = (0..page).map(|at| (at * 7919 % 251) as u8).collect();
    let has_content = |number: &usize| good[number * page..(number + 1) * page].iter().any(|byte| *byte != 0);
    let damaged = (0..good.len() / page).filter(has_content).flat_map(|number| {
        let range = number * page..(number + 1) * page;
        let with = |content: &[u8]| {
            let mut bytes = good.clone();
            bytes[range.clone()].copy_from_slice(content);
            bytes
        };
        [good[..range.start].to_vec(), with(&vec![0; page]), with(&noise)]
    });
    let (mut refused, mut failed, mut read) = (0, 0, 0);
    for bytes in damaged.skip(1) {
        let copy = tempfile::tempdir().unwrap();
        fs::write(copy.path().join(FILE), bytes).unwrap();
        let store = match Store::open(copy.path(), Flush::Always) {
            Ok(store) => store,
            Err(error) => {
                assert!(matches!(error, StoreError::File(FileError::Unusable { .. })), "{error}");
                refused += 1;
                continue;
            }
        };
        match store.range(0, usize::MAX) {
            Ok(list) => {
                read += 1;
                for (number, found) in list {
                    match found {
                        Ok(found) => assert_eq!(found, record(number)),
                        Err(error) => assert!(error.is_damage(), "{error}"),
                    }
                }
            }
            Err(error) => {
                assert!(matches!(error, StoreError::File(FileError::Failed { .. })), "{error}");
                failed += 1;
            }
        }
    }
    assert!(
        refused > 0 && read > 0,
        "refused {refused}, failed {failed}, read {read}"
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
        let mut store = Store::open(dir.path(), Flush::Always).unwrap();
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
                    store = Store::open(dir.path(), Flush::Always).unwrap();
                    let next = model.keys().last().map_or(0, |last: &u64| last + 1);
                    prop_assert_eq!(store.next_number(), next);
                }
            }
            prop_assert_eq!(all(&store), model.clone());
        }
    }
}
