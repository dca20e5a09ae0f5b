//! The system's watch on the modules folder and on the folders of the configuration files.
//!
//! It watches the folder itself and the nearest existing folder above it. It thus notices a folder that appears later,
//! is replaced, or is a link that changes. An event only triggers a look: the watcher does not rely on the names in it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use notify::event::{AccessKind, AccessMode};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tracing::{debug, warn};

use super::settle::Snapshot;

/// The files that are watched, by absolute paths. Clones share them.
#[derive(Debug, Clone, Default)]
pub(super) struct WatchedFiles(Arc<Mutex<Vec<PathBuf>>>);

impl WatchedFiles {
    pub(super) fn set(&self, files: Vec<PathBuf>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = files;
    }

    fn get(&self) -> Vec<PathBuf> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Identifies a folder, so that a replacement is noticed.
type FolderIdentity = (u64, u64);

/// A folder and files, and the system's watch on them.
pub(super) struct Watched {
    dir: Option<PathBuf>,
    files: WatchedFiles,
    /// `None` if the system cannot watch. Then only the periodic looks remain.
    pub(super) watcher: Option<RecommendedWatcher>,
    watched: BTreeMap<PathBuf, FolderIdentity>,
    /// Whether the log already reports that something cannot be watched.
    has_warned: bool,
}

impl Watched {
    /// Starts to watch a folder and files, which need not exist. `changed` is called after each event.
    ///
    /// # Errors
    ///
    /// If the folder's path cannot be made absolute.
    pub(super) fn new(
        dir: Option<&Path>,
        files: WatchedFiles,
        changed: impl Fn() + Send + 'static,
    ) -> std::io::Result<Watched> {
        let dir = dir.map(std::path::absolute).transpose()?;
        let (watched_dir, watched_files) = (dir.clone(), files.clone());
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            let matters = |event: notify::Event| concerns(&event, watched_dir.as_deref(), &watched_files.get());
            // After an error events may be lost.
            if event.map_or(true, matters) {
                changed();
            }
        });
        let watcher = watcher
            .inspect_err(
                |error| warn!(%error, "the system cannot watch folders; hookhost checks them every two seconds"),
            )
            .ok();
        let mut watched = Watched {
            dir,
            files,
            watcher,
            watched: BTreeMap::new(),
            has_warned: false,
        };
        watched.follow();
        Ok(watched)
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        Snapshot::take(self.dir.as_deref(), &self.files.get())
    }

    /// Updates the watched folders to those that exist now. Repeats the update to catch changes during it.
    pub(super) fn follow(&mut self) {
        const TRIES: usize = 3;
        for _ in 0..TRIES {
            if !self.adjust() {
                return;
            }
        }
    }

    /// The folder if it exists, the nearest existing folder above it, and the folders of the files.
    fn wanted(&self) -> BTreeMap<PathBuf, FolderIdentity> {
        let above = |path: &Path| {
            path.ancestors()
                .skip(1)
                .find(|path| path.is_dir())
                .map(Path::to_path_buf)
        };
        let itself = self.dir.clone().filter(|path| path.is_dir());
        let of_files: Vec<_> = self.files.get().iter().filter_map(|file| above(file)).collect();
        let there = [self.dir.as_deref().and_then(above), itself];
        let there = there.into_iter().flatten().chain(of_files);
        there
            .filter_map(|path| identity(&path).map(|identity| (path, identity)))
            .collect()
    }

    /// Whether the update changed anything.
    fn adjust(&mut self) -> bool {
        let wanted = self.wanted();
        let Some(watcher) = &mut self.watcher else { return false };
        if wanted == self.watched {
            return false;
        }
        for path in self
            .watched
            .keys()
            .filter(|path| wanted.get(*path) != self.watched.get(*path))
        {
            // The system removes the watch of a deleted folder itself.
            drop(watcher.unwatch(path));
        }
        let mut watched = BTreeMap::new();
        for (path, identity) in wanted {
            if self.watched.get(&path) != Some(&identity)
                && let Err(error) = watcher.watch(&path, RecursiveMode::NonRecursive)
            {
                if !std::mem::replace(&mut self.has_warned, true) {
                    warn!(folder = %path.display(), %error, "folder cannot be watched; hookhost checks it every two seconds");
                }
                continue;
            }
            debug!(folder = %path.display(), "folder watched");
            watched.insert(path, identity);
        }
        let changed = watched != self.watched;
        self.watched = watched;
        changed
    }
}

/// Whether an event can mean that a module or a file has changed. A look causes events itself: opening and reading must
/// not lead to another look.
fn concerns(event: &notify::Event, dir: Option<&Path>, files: &[PathBuf]) -> bool {
    if event.need_rescan() {
        return true;
    }
    if let EventKind::Access(access) = event.kind
        && access != AccessKind::Close(AccessMode::Write)
    {
        return false;
    }
    // Below the folder, the folder itself, or a folder above it.
    let is_folder = |path: &PathBuf| dir.is_some_and(|dir| path.starts_with(dir) || dir.starts_with(path));
    let is_file = |path: &PathBuf| files.iter().any(|file| file.starts_with(path));
    event.paths.is_empty() || event.paths.iter().any(|path| is_folder(path) || is_file(path))
}

fn identity(path: &Path) -> Option<FolderIdentity> {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(path)
        .ok()
        .map(|metadata| (metadata.dev(), metadata.ino()))
}

#[cfg(test)]
mod tests {
    use notify::event::{CreateKind, ModifyKind, RemoveKind, RenameMode};

    use super::*;

    #[test]
    fn looking_is_not_noticed() {
        let dir = Path::new("/some/where/modules");
        let event = |kind| notify::Event::new(kind).add_path(dir.join("a"));
        let renamed = |mode| EventKind::Modify(ModifyKind::Name(mode));
        for (kind, expected) in [
            (EventKind::Access(AccessKind::Open(AccessMode::Any)), false),
            (EventKind::Access(AccessKind::Close(AccessMode::Read)), false),
            (EventKind::Access(AccessKind::Close(AccessMode::Write)), true),
            (EventKind::Create(CreateKind::File), true),
            (EventKind::Remove(RemoveKind::File), true),
            (renamed(RenameMode::To), true),
            (renamed(RenameMode::Both), true),
            (renamed(RenameMode::From), true),
            (renamed(RenameMode::Any), true),
        ] {
            assert_eq!(concerns(&event(kind), Some(dir), &[]), expected, "{kind:?}");
        }
    }

    #[test]
    fn what_happens_elsewhere_does_not_matter() {
        let dir = Path::new("/some/where/modules");
        let create = |path: &Path| notify::Event::new(EventKind::Create(CreateKind::File)).add_path(path.to_owned());
        let beside = create(&dir.with_file_name("other"));
        assert!(!concerns(&beside, Some(dir), &[]), "beside the folder");
        let files = [dir.with_file_name("other")];
        assert!(concerns(&beside, Some(dir), &files), "a file");
        let another = create(&dir.with_file_name("another"));
        assert!(!concerns(&another, None, &files), "beside a file");
        let above = create(dir.parent().unwrap());
        assert!(concerns(&above, Some(dir), &[]), "the folder above");
        assert!(concerns(&above, None, &files), "the folder that a file is in");
    }
}
