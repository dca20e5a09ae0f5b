//! The watcher on real folders, with conditions instead of sleeps.

use std::fs;
use std::path::PathBuf;
use std::sync::mpsc;

use super::*;

const SOON: Duration = Duration::from_secs(20);

/// A watched folder and the reports of its watcher.
struct Looks {
    watcher: FolderWatcher<()>,
    reports: mpsc::Receiver<(Reason, Vec<String>)>,
}

impl Looks {
    /// Each report has the names in the folder.
    fn at(dir: &Path) -> Looks {
        let (sender, reports) = mpsc::channel();
        let watched = dir.to_path_buf();
        let reload = move |reason| drop(sender.send((reason, names(&watched))));
        Looks {
            watcher: FolderWatcher::prepare(Some(dir), WatchedFiles::default())
                .unwrap()
                .start(reload)
                .unwrap(),
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
    // The same as `ln -sfn`.
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
    let reload = move |reason| drop(sender.send((reason, fs::read_to_string(&file).ok())));
    let _watcher: FolderWatcher<()> = FolderWatcher::prepare(None, watched(path("file")))
        .unwrap()
        .start(reload)
        .unwrap();
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
    // A mounted ConfigMap: the file is a link through a second link, which is then redirected.
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
    looks.watcher.reload_trigger().ask(Reason::Asked);
    assert_eq!(looks.reports.try_recv().unwrap(), (Reason::Asked, vec![]));
}

/// As on a file system without events.
#[test]
fn a_file_of_which_nobody_tells_is_looked_at() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("hookhost.toml");
    fs::write(&file, "one").unwrap();
    let (sender, reports) = mpsc::channel();
    let mut prepared = FolderWatcher::<()>::prepare(None, watched(file.clone())).unwrap();
    prepared.watched.watcher = None;
    let _watcher = prepared
        .start(move |reason| sender.send(reason).unwrap_or_default())
        .unwrap();
    let until_file = || while reports.recv_timeout(SOON).unwrap() != Reason::File {};
    until_file();
    fs::write(&file, "something else").unwrap();
    until_file();
}

/// A program writes to a file without a pause. The file is read after the maximum wait, and again when it is complete.
#[test]
fn a_file_that_never_settles_is_read_in_the_end() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("hookhost.toml");
    let (sender, reports) = mpsc::channel();
    let read = file.clone();
    let reload = move |_| {
        let length = fs::read_to_string(&read).map_or(0, |text| text.len());
        sender.send(length).unwrap_or_default();
    };
    let _watcher: FolderWatcher<()> = FolderWatcher::prepare(None, watched(file.clone()))
        .unwrap()
        .start(reload)
        .unwrap();
    let mut text = String::new();
    let mut seen = loop {
        text.push('x');
        fs::write(&file, &text).unwrap();
        match reports.try_recv() {
            Ok(seen) if seen > 0 => break seen,
            _ => std::thread::sleep(Duration::from_millis(1)),
        }
    };
    // The first report may be about the complete file already.
    let end = Instant::now() + SOON;
    while seen != text.len() {
        let left = end.saturating_duration_since(Instant::now());
        seen = reports.recv_timeout(left).unwrap();
    }
}

fn watched(file: PathBuf) -> WatchedFiles {
    let files = WatchedFiles::default();
    files.set(vec![file]);
    files
}
