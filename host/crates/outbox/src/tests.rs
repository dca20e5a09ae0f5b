//! Tests of the store against a model, and with damaged files.

use std::fs;

use proptest::prelude::*;
use redb::{Database, TableHandle};

use super::*;

const FILE: &str = "outbox.redb";
const ABOUT: TableDefinition<&str, &str> = TableDefinition::new("hookhost");
const CONTENT: (&str, &str) = ("content", "outbox, version 3");

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
    let error = opened_as(&file, "outbox, version 4", &[]).err().unwrap().to_string();
    assert!(
        error.contains("outbox, version 4") && error.contains("outbox, version 3"),
        "{error}"
    );
}

/// Opens a store whose file says that it has this format, with these values in the table of earlier versions.
fn opened_as(file: &Path, format: &str, values: &[(u64, Vec<u8>)]) -> Result<Store, StoreError> {
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
    for (number, value) in values {
        let mut records = transaction.open_table(upgrade::RECORDS).unwrap();
        records.insert(number, &**value).unwrap();
    }
    transaction.commit().unwrap();
    drop(database);
    Store::open(file.parent().unwrap(), Flush::Always)
}

/// A value of earlier versions: a record after its checksum.
fn earlier(record: &[u8]) -> Vec<u8> {
    [&crc32fast::hash(record).to_le_bytes()[..], record].concat()
}

#[test]
fn files_of_earlier_formats_are_converted_with_their_records() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join(FILE);
    let large = vec![9; 100_000];
    for format in ["outbox, version 1", "outbox, version 2"] {
        let mut values: Vec<(u64, Vec<u8>)> = (7..300).map(|number| (number, earlier(&record(number)))).collect();
        values.extend((300..400).map(|number| (number, earlier(&large))));
        values[2].1[0] ^= 1;
        values.push((1000, vec![1, 2]));
        let store = opened_as(&file, format, &values).unwrap();
        assert_eq!(store.next_number(), 1001);
        for (number, found) in store.range(0, usize::MAX).unwrap() {
            match number {
                9 | 1000 => assert!(found.unwrap_err().is_damage()),
                7..300 => assert_eq!(found.unwrap(), record(number)),
                _ => assert_eq!(found.unwrap(), large),
            }
        }
        assert_eq!(store.range(0, usize::MAX).unwrap().len(), values.len());
        store.write(&put(1001..1003), &[1000]).unwrap();
        drop(store);
        let database = Database::open(&file).unwrap();
        let read = database.begin_read().unwrap();
        let about = read.open_table(ABOUT).unwrap();
        assert_eq!(about.get(CONTENT.0).unwrap().unwrap().value(), CONTENT.1);
        assert!(
            read.list_tables()
                .unwrap()
                .all(|table| table.name() != upgrade::RECORDS.name())
        );
    }
}

/// A crash between two transactions of a conversion leaves both tables.
#[test]
fn a_conversion_that_was_interrupted_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join(FILE);
    drop(opened_as(&file, "outbox, version 2", &[(3, earlier(&record(3)))]).unwrap());
    let database = Database::open(&file).unwrap();
    let transaction = database.begin_write().unwrap();
    let mut records = transaction.open_table(upgrade::RECORDS).unwrap();
    records.insert(5, &*earlier(&record(5))).unwrap();
    drop(records);
    transaction.commit().unwrap();
    drop(database);
    let store = Store::open(dir.path(), Flush::Always).unwrap();
    assert_eq!(all(&store), put([3, 5]));
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

#[test]
fn a_chunk_of_which_little_is_left_gives_its_space_back() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), Flush::Never).unwrap();
    let large = Bytes::from(vec![7; 1000]);
    for first in (0..30_000).step_by(300) {
        let records = (first..first + 300).map(|number| (number, large.clone()));
        store.write(&records.collect(), &[]).unwrap();
    }
    let before = store.file_bytes();
    let left = |number: &u64| number.is_multiple_of(30);
    let removed: Vec<u64> = (0..30_000).filter(|number| !left(number)).collect();
    removed
        .chunks(500)
        .for_each(|removed| store.write(&BTreeMap::new(), removed).unwrap());
    assert!(store.compact().unwrap());
    assert!(store.file_bytes() < before / 8, "{} of {before}", store.file_bytes());
    let expected = (0..30_000).filter(left).map(|number| (number, large.clone())).collect();
    assert_eq!(all(&store), expected);
}

/// A damaged set of the records that are left brings removed ones back, and loses none.
#[test]
fn a_damaged_set_of_records_loses_none() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), Flush::Always).unwrap();
    store.write(&put([0, 1, 2, 5]), &[1]).unwrap();
    drop(store);
    let database = Database::open(dir.path().join(FILE)).unwrap();
    let transaction = database.begin_write().unwrap();
    let mut live = transaction.open_table(LIVE).unwrap();
    live.insert(0, &[0, 0, 0, 0, 1][..]).unwrap();
    drop(live);
    transaction.commit().unwrap();
    drop(database);
    let store = Store::open(dir.path(), Flush::Always).unwrap();
    assert_eq!((all(&store), store.next_number()), (put([0, 1, 2, 5]), 6));
    assert_eq!((store.get(1).unwrap(), store.get(3).unwrap()), (Some(record(1)), None));
    store.write(&BTreeMap::new(), &[0, 1]).unwrap();
    assert_eq!(all(&store), put([2, 5]));
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
