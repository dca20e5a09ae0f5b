//! The watch on real folders, with conditions instead of sleeps.

use std::fs;
use std::sync::mpsc;

use super::*;

const SOON: Duration = Duration::from_secs(20);

/// A watched folder and what its watch reports.
struct Looks {
    watch: Watch<()>,
    reports: mpsc::Receiver<(Reason, Vec<String>)>,
}

impl Looks {
    /// Each report has the names in the folder.
    fn at(dir: &Path) -> Looks {
        let (sender, reports) = mpsc::channel();
        let watched = dir.to_path_buf();
        let look = move |reason| drop(sender.send((reason, names(&watched))));
        Looks {
            watch: prepare(Some(dir), Watched::default()).unwrap().start(look).unwrap(),
            reports,
        }
    }

    /// Waits until a look has seen these names.
    fn until(&self, expected: &[&str]) {
        let end = Instant::now() + SOON;
        let mut seen = Vec::new();
        while seen != expected {
            let time = end.saturating_duration_since(Instant::now());
            seen = self
                .reports
                .recv_timeout(time)
                .unwrap_or_else(|_| panic!("last seen {seen:?}, not {expected:?}"))
                .1;
        }
    }
}

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let mut names: Vec<_> = entries
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[test]
fn files_are_noticed_however_they_come_and_go() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("modules");
    fs::create_dir(&dir).unwrap();
    let looks = Looks::at(&dir);
    fs::write(dir.join("a"), "in place").unwrap();
    looks.until(&["a"]);
    fs::write(root.path().join("b"), "elsewhere first").unwrap();
    fs::rename(root.path().join("b"), dir.join("b")).unwrap();
    looks.until(&["a", "b"]);
    fs::copy(dir.join("a"), dir.join("c")).unwrap();
    looks.until(&["a", "b", "c"]);
    fs::remove_file(dir.join("a")).unwrap();
    looks.until(&["b", "c"]);
}

#[test]
fn a_folder_may_appear_later_go_and_come_back() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("some/where/modules");
    let looks = Looks::at(&dir);
    fs::create_dir_all(&dir).unwrap();
    fs::write(dir.join("a"), "").unwrap();
    looks.until(&["a"]);
    fs::rename(root.path().join("some"), root.path().join("other")).unwrap();
    looks.until(&[]);
    fs::create_dir_all(&dir).unwrap();
    fs::write(dir.join("b"), "").unwrap();
    looks.until(&["b"]);
    fs::write(dir.join("c"), "").unwrap();
    looks.until(&["b", "c"]);
}

#[test]
fn a_folder_and_a_link_may_be_replaced() {
    let root = tempfile::tempdir().unwrap();
    for (folder, file) in [("one", "1"), ("two", "2")] {
        fs::create_dir(root.path().join(folder)).unwrap();
        fs::write(root.path().join(folder).join(file), "").unwrap();
    }
    let dir = root.path().join("modules");
    std::os::unix::fs::symlink("one", &dir).unwrap();
    let looks = Looks::at(&dir);
    // As `ln -sfn` does it.
    std::os::unix::fs::symlink("two", root.path().join("new")).unwrap();
    fs::rename(root.path().join("new"), &dir).unwrap();
    looks.until(&["2"]);
    fs::write(root.path().join("two/3"), "").unwrap();
    looks.until(&["2", "3"]);
}

#[test]
fn files_are_noticed_whatever_becomes_of_them() {
    let root = tempfile::tempdir().unwrap();
    let path = |name: &str| root.path().join(name);
    fs::write(path("file"), "1").unwrap();
    let (sender, reports) = mpsc::channel();
    let file = path("file");
    let look = move |reason| drop(sender.send((reason, fs::read_to_string(&file).ok())));
    let watched = Arc::new(Mutex::new(vec![path("file")]));
    let _watch: Watch<()> = prepare(None, Arc::clone(&watched)).unwrap().start(look).unwrap();
    let until = |expected: Option<&str>| {
        let end = Instant::now() + SOON;
        loop {
            let time = end.saturating_duration_since(Instant::now());
            let (reason, text) = reports
                .recv_timeout(time)
                .unwrap_or_else(|_| panic!("not seen: {expected:?}"));
            if reason == Reason::File && text.as_deref() == expected {
                return;
            }
        }
    };
    until(Some("1"));
    fs::write(path("file"), "in place").unwrap();
    until(Some("in place"));
    fs::write(path("beside"), "renamed").unwrap();
    fs::rename(path("beside"), path("file")).unwrap();
    until(Some("renamed"));
    fs::remove_file(path("file")).unwrap();
    until(None);
    // As a ConfigMap is mounted: the file is a link by way of another one, which is turned round.
    for (folder, text) in [("one", "first"), ("two", "second")] {
        fs::create_dir(path(folder)).unwrap();
        fs::write(path(folder).join("file"), text).unwrap();
    }
    std::os::unix::fs::symlink("one", path("data")).unwrap();
    std::os::unix::fs::symlink("data/file", path("file")).unwrap();
    until(Some("first"));
    std::os::unix::fs::symlink("two", path("new")).unwrap();
    fs::rename(path("new"), path("data")).unwrap();
    until(Some("second"));
}

#[test]
fn a_look_can_be_asked_for() {
    let root = tempfile::tempdir().unwrap();
    let looks = Looks::at(root.path());
    looks.watch.asker().look();
    assert_eq!(looks.reports.try_recv().unwrap(), (Reason::Asked, vec![]));
}

#[test]
fn looking_is_not_noticed_and_what_was_renamed_is_whole() {
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join("a"), "content").unwrap();
    let dir = std::path::absolute(root.path()).unwrap();
    let event = |kind| notify::Event::new(kind).add_path(dir.join("a"));
    let renamed = |mode| EventKind::Modify(ModifyKind::Name(mode));
    for (kind, millis) in [
        (EventKind::Access(AccessKind::Open(AccessMode::Any)), None),
        (EventKind::Access(AccessKind::Close(AccessMode::Read)), None),
        (EventKind::Access(AccessKind::Close(AccessMode::Write)), Some(50)),
        (EventKind::Create(notify::event::CreateKind::File), Some(50)),
        (EventKind::Remove(notify::event::RemoveKind::File), Some(50)),
        (renamed(RenameMode::To), Some(10)),
        (renamed(RenameMode::Both), Some(10)),
        (renamed(RenameMode::From), Some(10)),
        (renamed(RenameMode::Any), Some(50)),
    ] {
        let expected = millis.map(|millis| Sign {
            quiet: Duration::from_millis(millis),
            file: false,
        });
        assert_eq!(sign(&event(kind), Some(&dir), &[]), expected, "{kind:?}");
    }
    let create = EventKind::Create(notify::event::CreateKind::File);
    let beside = notify::Event::new(create).add_path(dir.with_file_name("other"));
    assert_eq!(sign(&beside, Some(&dir), &[]), None, "beside the folder");
    let files = [dir.with_file_name("other")];
    let of_file = Some(Sign {
        quiet: QUIET,
        file: true,
    });
    assert_eq!(sign(&beside, Some(&dir), &files), of_file, "a file");
    let another = notify::Event::new(create).add_path(dir.with_file_name("another"));
    assert_eq!(sign(&another, None, &files), None, "beside a file");
    let above = notify::Event::new(create).add_path(dir.parent().unwrap().to_path_buf());
    assert_eq!(
        sign(&above, Some(&dir), &[]),
        Some(Sign {
            quiet: QUIET,
            file: false
        })
    );
    assert_eq!(sign(&above, None, &files), of_file, "the folder that a file is in");
}

#[test]
fn a_folder_settles_after_a_quiet_time_or_the_longest_wait() {
    let start = Instant::now();
    let after = |ms| start + Duration::from_millis(ms);
    for (list, expected) in [
        (&[(0, 50)][..], 50),
        (&[(0, 50), (30, 50)], 80),
        (&[(0, 10)], 10),
        (&[(0, 10), (5, 10)], 15),
        (&[(0, 50), (5, 10)], 55),
        (&[(0, 10), (5, 50)], 55),
        (&[(0, 50), (449, 50)], 499),
        (&[(0, 50), (450, 50)], 500),
        (&[(0, 50), (10_000, 10)], 500),
    ] {
        let mut changes = Changes::new(start);
        for (at, quiet) in list {
            changes.add(after(*at), Duration::from_millis(*quiet));
        }
        assert_eq!(changes.due(), after(expected), "{list:?}");
    }
}

#[test]
fn a_file_of_which_nobody_tells_is_looked_at_until_it_rests() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("hookhost.toml");
    fs::write(&file, "one").unwrap();
    let mut eyes = prepare::<()>(None, Arc::new(Mutex::new(vec![file.clone()])))
        .unwrap()
        .eyes;
    // As on a system that tells nothing.
    eyes.watcher = None;
    assert!(eyes.glance() && !eyes.glance(), "once for each change");
    assert!(eyes.compare() && !eyes.compare());
    fs::write(&file, "half").unwrap();
    assert!(eyes.glance());
    fs::write(&file, "the whole").unwrap();
    assert!(
        eyes.glance() && !eyes.glance(),
        "written to between two glances, and then at rest"
    );
    assert!(
        eyes.compare() && !eyes.glance(),
        "that it was seen keeps no look from finding it changed"
    );
    fs::write(&file, "another").unwrap();
    assert!(
        eyes.compare() && !eyes.glance(),
        "nor does a look leave anything to be seen"
    );

    let (sender, reports) = mpsc::channel();
    let files = Arc::new(Mutex::new(vec![file.clone()]));
    let mut prepared = prepare::<()>(None, files).unwrap();
    prepared.eyes.watcher = None;
    let _watch = prepared
        .start(move |reason| sender.send(reason).unwrap_or_default())
        .unwrap();
    let until_file = || while reports.recv_timeout(SOON).unwrap() != Reason::File {};
    until_file();
    fs::write(&file, "something else").unwrap();
    until_file();
}
