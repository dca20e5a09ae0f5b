//! A look at the folder, and what it leads to.

use std::sync::Arc;

use tracing::{error, warn};

use super::Registry;
use super::roll::Module;
use crate::explain;
use crate::folder::{self, Change, Files, Known, Listing, ModuleName, Print};
use crate::generation::lock;
use crate::load::LoadError;
use crate::{Fresh, Rescan};

#[derive(Default)]
pub(super) struct Seen {
    files: Listing<Print>,
    /// Code that need not be read again.
    known: Known,
    /// Files that were reported as strays.
    strays: Vec<Arc<str>>,
    /// Whether the folder could not be listed, so that this is said once.
    unlisted: bool,
    /// A configuration that waits for the folder.
    fresh: Option<Fresh>,
    /// What was wrong with the configuration when it was last read, if it was refused.
    refused: Option<Vec<String>>,
}

impl Registry {
    /// The first look: every module is new. Those that do not load are reported and left out.
    ///
    /// # Errors
    ///
    /// If the folder cannot be listed, or if the default module in the binary is wanted and does not load.
    pub(in super::super) fn start(&self) -> Result<(), LoadError> {
        let mut seen = lock(&self.seen);
        let scan = self.scan(&mut seen.known)?;
        let webhook = ModuleName::webhook();
        let files = scan.files.of(&webhook);
        if let Err(error) = self.put(&webhook, &files) {
            if files.wasm.is_none() {
                return Err(error);
            }
            // As if the file had come while the one in the binary ran: it changes nothing.
            let built_in = Files { wasm: None, ..files };
            if let Err(other) = self.put(&webhook, &built_in) {
                error!(module = %webhook, reason = explain(&other), "the built-in module does not take its place");
            }
            self.reject(&webhook, &error);
        }
        for (name, files) in scan.modules().filter(|(name, _)| !name.is_webhook()) {
            if let Err(error) = self.put(name, files) {
                self.reject(name, &error);
            }
        }
        self.report_strays(&scan, &mut seen);
        seen.files = scan.files.prints();
        Ok(())
    }

    /// Looks at the folder and carries out what has changed. With `again`, files that did not load or were rolled back
    /// are tried again although they have not changed. What a configuration gives that was read again is carried out
    /// first: the default module takes it, or all stays as it is.
    pub(in super::super) fn look(&self, again: bool, fresh: Option<Fresh>) -> Rescan {
        let mut found = Rescan {
            folder: self.loader.dir().cloned(),
            ..Rescan::default()
        };
        let mut seen = lock(&self.seen);
        if fresh.is_some() {
            seen.fresh = fresh;
        }
        if again {
            // Whoever asks wants to know.
            seen.known = Known::default();
        }
        let scan = match self.scan(&mut seen.known) {
            Ok(scan) => scan,
            Err(error) => {
                let reason = explain(&error);
                if !std::mem::replace(&mut seen.unlisted, true) {
                    error!(reason, "modules stay as they are");
                }
                found.problem = Some(reason);
                return found;
            }
        };
        seen.unlisted = false;
        let prints = scan.files.prints();
        let mut changes = seen.files.changes(&prints);
        let missed = self.names_of(|module| module.missed).into_iter();
        let is_listed = |name: &ModuleName| changes.iter().any(|(changed, _)| changed == name);
        let missed: Vec<_> = missed.filter(|name| !is_listed(name)).collect();
        changes.extend(missed.into_iter().map(|name| (name, Change::Replaced)));
        let given_before = self.loader.given().receivers;
        let fresh = seen.fresh.take();
        let told = seen.refused.take();
        let refused = match fresh {
            Some(fresh) => {
                let known = told.filter(|_| !again);
                self.configure(fresh, &scan, again, &mut changes, &mut found, known.as_deref())
            }
            None => {
                seen.refused = told;
                None
            }
        };
        if let (Some(_), Some(reread)) = (&refused, &found.configuration) {
            seen.refused = Some(reread.problems.clone());
        }
        let given_anew = self.loader.given().receivers != given_before;
        if again {
            let changed: Vec<_> = changes.iter().map(|(name, _)| name.clone()).collect();
            // Another try does not change what is wrong with the configuration.
            let is_hopeless = |name: &ModuleName| refused.is_some() && name.is_webhook();
            let not_in_force = |module: &Module| module.rejected.is_some() || module.rolled_back.is_some();
            let more = self.names_of(not_in_force).into_iter();
            let was_tried = |name: &ModuleName| found.rejected.iter().any(|(tried, _)| **tried == *name.shared());
            let more = more.filter(|name| !changed.contains(name) && !is_hopeless(name) && !was_tried(name));
            changes.extend(more.map(|name| (name, Change::Replaced)).collect::<Vec<_>>());
        }
        for (name, change) in &changes {
            let files = scan.files.of(name);
            match change {
                Change::Removed => {
                    self.remove(name);
                    found.removed.push(name.shared());
                }
                Change::New | Change::Replaced => self.take_up(name, &files, given_anew, &mut found),
            }
        }
        if given_anew {
            for (name, files) in scan.modules() {
                let is_changed = changes.iter().any(|(changed, _)| changed == name);
                if name.is_webhook() || is_changed {
                    continue;
                }
                if self.has_given_way(name, files) {
                    self.renew(name, &mut found);
                } else {
                    self.take_up(name, files, true, &mut found);
                }
            }
        }
        if let Some(reason) = refused {
            self.note(&ModuleName::webhook(), reason);
        }
        found.ignored = self.report_strays(&scan, &mut seen);
        seen.files = prints;
        let mut roll = lock(&self.roll);
        roll.modules.retain(|_, module| module.is_in_use());
        let touched = |name: &Arc<str>| {
            let loaded = found.loaded.iter().map(|(name, _)| name);
            let rejected = found.rejected.iter().map(|(name, _)| name);
            loaded.chain(rejected).chain(&found.removed).any(|other| other == name)
        };
        let names = roll.modules.keys().map(ModuleName::shared);
        found.unchanged = names.filter(|name| !touched(name)).collect();
        found
    }

    /// Whether the configuration was refused when it was last read: then whatever changes may be what it lacked, and it
    /// is to be read again.
    pub(in super::super) fn has_refused(&self) -> bool {
        lock(&self.seen).refused.is_some()
    }

    fn scan(&self, known: &mut Known) -> Result<folder::Scan, LoadError> {
        let Some(dir) = self.loader.dir() else {
            return Ok(folder::Scan::default());
        };
        folder::scan(dir, known).map_err(|source| LoadError::Folder {
            folder: dir.display().to_string(),
            source,
        })
    }

    /// Says once of each stray file that it is one; gives what is to be said of all.
    fn report_strays(&self, scan: &folder::Scan, seen: &mut Seen) -> Vec<String> {
        let strays = self.loader.strays(scan);
        for (name, error) in &strays {
            if !seen.strays.contains(name) {
                warn!(reason = explain(error), "file in the modules folder ignored");
            }
        }
        let texts = strays.iter().map(|(_, error)| explain(error)).collect();
        seen.strays = strays.into_iter().map(|(name, _)| name).collect();
        texts
    }
}
