use std::path::Path;

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::KvAccess;

const WEEK: Duration = Duration::from_secs(7 * 24 * 3600);

fn open(dir: &Path) -> Result<KvStores, DataError> {
    KvStores::open(&DataSettings {
        dir: dir.to_owned(),
        keep_removed: WEEK,
    })
}

fn write(kv: &Arc<Kv>, key: &str, value: &str, ttl: Option<u32>) {
    let mut access = KvAccess::new(Arc::clone(kv));
    access
        .swap(key, Bytes::copy_from_slice(value.as_bytes()), ttl, Instant::now())
        .unwrap();
    access.commit();
}

fn read(kv: &Arc<Kv>, key: &str) -> Option<String> {
    let value = KvAccess::new(Arc::clone(kv)).get(key, Instant::now())?;
    Some(String::from_utf8(value.to_vec()).unwrap())
}

/// What the file has for a module.
fn on_disk(dir: &Path, module: &str) -> BTreeMap<String, StoredValue> {
    Disk::open(dir).unwrap().load(module).unwrap().into_iter().collect()
}

fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !condition() {
        assert!(Instant::now() < end, "waited in vain for {what}");
        std::thread::yield_now();
    }
}

#[test]
fn both_clocks_agree() {
    let now = Now {
        at: Instant::now(),
        wall: 1_000_000,
    };
    let second = Duration::from_secs(1);
    assert_eq!(now.to_wall(now.at + second), 1_001_000);
    assert_eq!(now.to_wall(now.at - second), 1_000_000, "what is over ends now");
    assert_eq!(now.to_instant(1_001_000), Some(now.at + second));
    assert_eq!(now.to_instant(1_000_000), None);
    assert_eq!(now.to_instant(5), None);
    // Somebody has set the clock back by a thousand years.
    let longest = Duration::from_secs(u32::MAX.into());
    assert_eq!(now.to_instant(u64::MAX - 1), Some(now.at + longest));
}

#[test]
fn in_memory_state_lives_as_long_as_its_module() {
    let stores = KvStores::in_memory();
    write(&stores.kv("a"), "k", "1", None);
    assert_eq!(read(&stores.kv("a"), "k").as_deref(), Some("1"), "whoever asks again");
    assert_eq!(read(&stores.kv("b"), "k"), None, "modules see their own");
    stores.remove("a");
    assert_eq!(read(&stores.kv("a"), "k"), None);
    stores.close();
}

#[test]
fn what_is_written_is_there_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("new/folder");
    let stores = open(&dir).unwrap();
    let (a, b) = (stores.kv("a"), stores.kv("b"));
    write(&a, "k", "1", None);
    write(&a, "gone", "x", None);
    write(&a, "soon over", "x", Some(0));
    write(&a, "long", "x", Some(1000));
    write(&b, "k", "of b", None);
    let mut access = KvAccess::new(Arc::clone(&a));
    access.remove("gone", Instant::now()).unwrap();
    access.add("n", 41, None, Instant::now()).unwrap();
    access.commit();
    access.add("n", 100, None, Instant::now()).unwrap();
    access
        .swap("k", Bytes::from_static(b"2"), None, Instant::now())
        .unwrap();
    access.undo(Instant::now());
    stores.close();
    drop((stores, a, b));

    let stores = open(&dir).unwrap();
    let (a, b) = (stores.kv("a"), stores.kv("b"));
    assert_eq!(read(&a, "k").as_deref(), Some("1"), "what was undone is not kept");
    assert_eq!(read(&a, "n").as_deref(), Some("41"));
    assert_eq!(read(&a, "long").as_deref(), Some("x"));
    assert_eq!((read(&a, "gone"), read(&a, "soon over")), (None, None));
    assert_eq!(read(&b, "k").as_deref(), Some("of b"));
    assert_eq!((a.usage().keys, b.usage().keys), (3, 1));
    drop(stores);
    let kept = on_disk(&dir, "a");
    assert_eq!(kept.keys().map(String::as_str).collect::<Vec<_>>(), ["k", "long", "n"]);
    let left = Duration::from_millis(kept["long"].end.unwrap() - Now::read().wall);
    assert!(
        left > Duration::from_secs(900) && left <= Duration::from_secs(1000),
        "{left:?}"
    );
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&dir).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o700, "closed to others");
}

/// Whoever still has a part of a host that has ended does not keep the next one from starting.
#[test]
fn a_closed_folder_is_free_whoever_still_has_the_shelf() {
    let dir = tempfile::tempdir().unwrap();
    let first = open(dir.path()).unwrap();
    let kv = first.kv("a");
    write(&kv, "k", "1", None);
    first.close();
    let second = open(dir.path()).unwrap();
    assert_eq!(read(&second.kv("a"), "k").as_deref(), Some("1"));
    write(&kv, "k", "too late", None);
    first.close();
    assert_eq!(read(&first.kv("new"), "k"), None);
    drop((first, kv));
    second.close();
    assert_eq!(on_disk(dir.path(), "a")["k"].value, "1");
}

#[test]
fn changes_reach_the_disk_while_the_host_runs() {
    let dir = tempfile::tempdir().unwrap();
    let stores = open(dir.path()).unwrap();
    let kv = stores.kv("a");
    write(&kv, "k", "1", Some(1));
    let kept = |key: &str| {
        let disk = stores.0.shared.disk.as_ref().unwrap();
        lock(disk).load("a").unwrap().into_iter().any(|(kept, _)| kept == key)
    };
    until("the key", || kept("k"));
    // What is over is cleared away by whoever writes next, and then from the disk as well.
    until("its end", || read(&kv, "k").is_none());
    write(&kv, "other", "1", None);
    until("its place to be cleared", || !kept("k"));
    assert!(kept("other"));
}

#[derive(Debug, Clone)]
enum Step {
    Set(u8, u8, Option<u32>),
    Add(u8, i8),
    Remove(u8),
    Wait(u8),
    Commit,
    Undo,
    Write,
}

fn step() -> impl Strategy<Value = Step> {
    let key = 0..6u8;
    prop_oneof![
        (key.clone(), any::<u8>(), proptest::option::of(0..5u32)).prop_map(|(k, v, t)| Step::Set(k, v, t)),
        (key.clone(), any::<i8>()).prop_map(|(k, a)| Step::Add(k, a)),
        key.prop_map(Step::Remove),
        (0..3u8).prop_map(Step::Wait),
        Just(Step::Commit),
        Just(Step::Undo),
        Just(Step::Write),
    ]
}

proptest! {
    /// Whatever happens, and whenever it is written: in the end the written state is the one in memory.
    #[test]
    fn what_is_written_is_what_is_there(steps in proptest::collection::vec(step(), 1..60)) {
        let (kv, _) = Kv::restored(KvBounds::default(), Vec::new(), Now::read());
        let start = Instant::now();
        let mut access = KvAccess::new(Arc::clone(&kv));
        let mut disk: BTreeMap<String, StoredValue> = BTreeMap::new();
        let mut time = 0;
        let mut write = |time: u64| {
            let now = Now { at: start + Duration::from_secs(time), wall: time * 1000 };
            let Some((reset, names)) = kv.take_changed() else { return disk.clone() };
            if reset {
                disk.clear();
            }
            let mut keys = Vec::new();
            kv.read(&names, now, &mut keys);
            for (key, saved) in keys {
                match saved {
                    Some(saved) => disk.insert(key.to_string(), saved),
                    None => disk.remove(&*key),
                };
            }
            disk.clone()
        };
        for step in steps {
            let now = start + Duration::from_secs(time);
            match step {
                Step::Set(key, value, ttl) => {
                    access.swap(&key.to_string(), Bytes::from(value.to_string()), ttl, now).unwrap();
                }
                Step::Add(key, amount) => drop(access.add(&key.to_string(), amount.into(), Some(3), now)),
                Step::Remove(key) => drop(access.remove(&key.to_string(), now).unwrap()),
                Step::Wait(seconds) => time += u64::from(seconds),
                Step::Commit => access.commit(),
                Step::Undo => access.undo(now),
                Step::Write => drop(write(time)),
            }
        }
        let (kept, now) = (write(time), start + Duration::from_secs(time));
        let later = Now { at: now, wall: time * 1000 };
        let (again, left_out) = Kv::restored(KvBounds::default(), kept.into_iter().collect(), later);
        prop_assert_eq!(left_out, 0);
        for after in [0, 1, 2, 10] {
            let then = now + Duration::from_secs(after);
            for key in 0..6u8 {
                let read = |kv: &Arc<Kv>| KvAccess::new(Arc::clone(kv)).get(&key.to_string(), then);
                prop_assert_eq!(read(&again), read(&kv), "key {} after {}", key, after);
            }
        }
    }
}

#[test]
fn more_changes_than_can_be_noted_are_everything() {
    let bounds = KvBounds {
        keys: 4,
        total_bytes: 1000,
        ..KvBounds::default()
    };
    let dir = tempfile::tempdir().unwrap();
    let mut disk = Disk::open(dir.path()).unwrap();
    let (kv, _) = Kv::restored(bounds, Vec::new(), Now::read());
    let module: Arc<str> = "a".into();
    let mut store = |kv: &Kv| disk.write(&[changed(&module, kv).unwrap()]).unwrap();
    let mut access = KvAccess::new(Arc::clone(&kv));
    let now = Instant::now();
    access.insert("stays", Bytes::new(), None, now).unwrap();
    access.insert("goes", Bytes::new(), None, now).unwrap();
    access.commit();
    store(&kv);
    assert!(changed(&module, &kv).is_none(), "all is written");
    access.remove("goes", now).unwrap();
    for number in 0..100 {
        let key = format!("passing {number}");
        access.insert(&key, Bytes::new(), None, now).unwrap();
        access.remove(&key, now).unwrap();
        access.commit();
    }
    let noted = kv.lock().take_tracked().unwrap();
    assert!(noted.reset && noted.keys.len() <= 16, "{} keys", noted.keys.len());
    kv.track_all();
    store(&kv);
    drop(disk);
    assert_eq!(on_disk(dir.path(), "a").into_keys().collect::<Vec<_>>(), ["stays"]);
}

#[test]
fn a_removed_module_finds_its_state_when_it_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let stores = open(dir.path()).unwrap();
    write(&stores.kv("a"), "k", "1", None);
    write(&stores.kv("b"), "k", "1", None);
    stores.remove("a");
    let is_open = |module: &str| lock(&stores.0.shared.open).contains_key(module);
    until("memory to be free", || !is_open("a"));
    assert!(is_open("b"));
    let disk = || lock(stores.0.shared.disk.as_ref().unwrap());
    until("the mark", || disk().modules().unwrap()["a"].is_some());
    assert_eq!(read(&stores.kv("a"), "k").as_deref(), Some("1"));
    assert_eq!(
        disk().modules().unwrap(),
        [("a".into(), None), ("b".into(), None)].into(),
        "not removed any more"
    );
    // One that comes back before it has gone.
    let held = stores.kv("a");
    stores.remove("a");
    assert!(Arc::ptr_eq(&held, &stores.kv("a")));
    stores.close();
    let mut disk = Disk::open(dir.path()).unwrap();
    assert_eq!(disk.modules().unwrap()["a"], None);
}

#[test]
fn what_was_removed_long_ago_is_forgotten() {
    let modules: BTreeMap<String, Option<u64>> = [
        ("there", None),
        ("long ago", Some(1_000)),
        ("lately", Some(2_000)),
        ("later", Some(9_000)),
    ]
    .map(|(module, since)| (module.to_owned(), since))
    .into();
    let keep = Duration::from_secs(2);
    assert!(overdue(&modules, 2_999, keep).is_empty());
    assert_eq!(overdue(&modules, 3_000, keep), ["long ago"]);
    assert_eq!(overdue(&modules, 4_000, keep), ["lately", "long ago"]);

    let dir = tempfile::tempdir().unwrap();
    let mut disk = Disk::open(dir.path()).unwrap();
    let kept = |module: &str| StoreChanges {
        module: module.into(),
        reset: false,
        keys: vec![("k".into(), Some(saved(Bytes::from_static(b"1"), None, Now::read())))],
    };
    disk.write(&[kept("old"), kept("lately"), kept("there")]).unwrap();
    let now = Now::read().wall;
    disk.mark("old", Some(now - milliseconds(WEEK))).unwrap();
    disk.mark("lately", Some(now - 1000)).unwrap();
    drop(disk);
    let stores = open(dir.path()).unwrap();
    let disk = || lock(stores.0.shared.disk.as_ref().unwrap());
    until("the old one to go", || !disk().modules().unwrap().contains_key("old"));
    assert_eq!(disk().modules().unwrap().len(), 2);
    // After an hour: what nobody has asked for is removed, what is in use is not.
    let _used = stores.kv("there");
    disk().write(&[kept("never asked for")]).unwrap();
    stores
        .0
        .shared
        .forget_removed(stores.0.shared.disk.as_ref().unwrap(), WEEK, true);
    let modules = disk().modules().unwrap();
    assert!(modules["never asked for"].is_some() && modules["there"].is_none());
    assert_eq!(modules["lately"], Some(now - 1000), "since then, and not since now");
}

#[test]
fn nothing_is_kept_of_a_removed_module_if_so_configured() {
    let dir = tempfile::tempdir().unwrap();
    let settings = DataSettings {
        dir: dir.path().to_owned(),
        keep_removed: Duration::ZERO,
    };
    let stores = KvStores::open(&settings).unwrap();
    let old = stores.kv("a");
    write(&old, "k", "1", None);
    stores.remove("a");
    // An instance that still works through its queue.
    write(&old, "late", "1", None);
    let new = stores.kv("a");
    assert_eq!(new.usage().keys, 0);
    write(&new, "new", "1", None);
    stores.close();
    drop(stores);
    assert_eq!(on_disk(dir.path(), "a").into_keys().collect::<Vec<_>>(), ["new"]);
}

fn error(dir: &Path) -> String {
    match open(dir) {
        Err(error) => {
            let mut text = error.to_string();
            if let Some(source) = std::error::Error::source(&error) {
                text = format!("{text}: {source}");
            }
            text
        }
        Ok(_) => panic!("{} was taken", dir.display()),
    }
}

#[test]
fn a_folder_that_cannot_be_used_is_an_error_with_its_name() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    let text = error(&file.join("below"));
    assert!(text.contains("below cannot be created; choose another one"), "{text}");
    assert!(text.contains("Not a directory"), "{text}");
    for content in [&b"hello"[..], &[0; 10_000], b"SQLite format 3\0 and more", b"redb"] {
        std::fs::write(dir.path().join("kv.redb"), content).unwrap();
        let text = error(dir.path());
        assert!(text.contains("kv.redb cannot be used: "), "{text}");
        assert_eq!(
            std::fs::read(dir.path().join("kv.redb")).unwrap(),
            content,
            "left as it is"
        );
    }
    // A file of the same library that is somebody else's, and one of a later version.
    for (table, key, expected) in [
        ("theirs", "content", "its format is not stated"),
        ("hookhost", "other", "its format is not stated"),
        ("hookhost", "content", "its format is \"something\", not"),
    ] {
        std::fs::remove_file(dir.path().join("kv.redb")).unwrap();
        let database = redb::Database::create(dir.path().join("kv.redb")).unwrap();
        let transaction = database.begin_write().unwrap();
        let definition = redb::TableDefinition::<&str, &str>::new(table);
        transaction
            .open_table(definition)
            .unwrap()
            .insert(key, "something")
            .unwrap();
        transaction.commit().unwrap();
        drop(database);
        let text = error(dir.path());
        assert!(text.contains(expected) && text.contains("kv.redb"), "{text}");
    }
}

#[test]
fn a_damaged_file_is_an_error_or_harmless_but_never_other_state() {
    let dir = tempfile::tempdir().unwrap();
    let stores = open(dir.path()).unwrap();
    let kv = stores.kv("a");
    for number in 0..200 {
        write(&kv, &format!("key {number}"), &format!("value {number}"), None);
    }
    stores.close();
    drop((stores, kv));
    let path = dir.path().join("kv.redb");
    let good = std::fs::read(&path).unwrap();
    let expected = on_disk(dir.path(), "a");
    assert_eq!(expected.len(), 200);
    let (mut refused, mut harmless) = (0, 0);
    let used = good.iter().rposition(|byte| *byte != 0).unwrap();
    for at in (0..used).step_by(used / 60) {
        let mut bad = good.clone();
        bad[at] ^= 0x55;
        std::fs::write(&path, bad).unwrap();
        match Disk::open(dir.path()) {
            Err(error) => {
                assert!(error.to_string().contains("kv.redb"), "{error}");
                refused += 1;
            }
            Ok(mut disk) => {
                let kept: BTreeMap<_, _> = disk.load("a").unwrap().into_iter().collect();
                assert_eq!(kept, expected, "byte {at}");
                harmless += 1;
            }
        }
    }
    assert!(refused > 0, "{refused} refused, {harmless} harmless");
    // Cut off, as by a full disk.
    for length in [good.len() / 2, 5000, 100] {
        std::fs::write(&path, &good[..length]).unwrap();
        assert!(error(dir.path()).contains("kv.redb cannot be used"), "{length} bytes");
    }
}

#[test]
fn a_disk_that_cannot_be_written_costs_nothing_once_it_can() {
    let dir = tempfile::tempdir().unwrap();
    let (data, elsewhere) = (dir.path().join("data"), dir.path().join("elsewhere"));
    let stores = open(&data).unwrap();
    let kv = stores.kv("a");
    write(&kv, "before", "1", None);
    let shared = &stores.0.shared;
    let disk = shared.disk.as_ref().unwrap();
    // After an error of the disk the file has to be opened again, and its folder is missing.
    std::fs::rename(&data, &elsewhere).unwrap();
    lock(disk).fail();
    write(&kv, "meanwhile", "1", None);
    assert!(shared.write(disk).is_err() || kv.has_changed());
    std::fs::rename(&elsewhere, &data).unwrap();
    shared.write(disk).unwrap();
    drop((stores, kv));
    assert_eq!(
        on_disk(&data, "a").into_keys().collect::<Vec<_>>(),
        ["before", "meanwhile"]
    );
}
