//! Computes the actions that bring the running modules to the desired state.
//!
//! Pure: the input is a listing of the folder, the record of each module, and what else has changed. The output is
//! [`Action`]s. The [`Controller`](super::Controller) carries them out.

use std::collections::{BTreeMap, BTreeSet};

use super::super::folder::{FileHash, Files, Listing, ModuleName};
use super::table::ModuleFacts;

/// The action for one module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    /// Load the files in the folder and activate them.
    Load(Fallback),
    /// Reload the files of the active release with the current configuration of the host.
    ReloadActive,
    /// Take no further events and empty the queue.
    Retire,
}

/// The fallback if the files in the folder do not load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fallback {
    /// No fallback: the active release keeps running unchanged.
    None,
    /// The files of the active release, because the host's configuration has changed.
    ActiveFiles,
    /// The code of the active release, or the built-in code if nothing is active, with the settings in the folder.
    ActiveCode,
}

/// The result of reading the host's configuration again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Configuration {
    /// It was not read.
    Unread,
    /// It is unchanged.
    Unchanged,
    /// The built-in module has been loaded with the new configuration, or has rejected it.
    New,
    /// It has errors.
    Invalid,
}

/// Why the reconciler runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Trigger {
    /// On request: retry what was rejected or rolled back.
    pub(super) retry: bool,
    pub(super) configuration: Configuration,
    /// The destinations of requests have changed. This affects every module.
    pub(super) new_receivers: bool,
}

/// The actions for all modules, by name.
pub(super) fn actions(
    listing: &Listing<FileHash>,
    table: &BTreeMap<ModuleName, ModuleFacts>,
    trigger: Trigger,
) -> Vec<(ModuleName, Action)> {
    let webhook = ModuleName::webhook();
    let names: BTreeSet<&ModuleName> = listing.0.keys().chain(table.keys()).chain([&webhook]).collect();
    let unknown = ModuleFacts::default();
    let action = |name: &ModuleName| {
        let facts = table.get(name).unwrap_or(&unknown);
        action(name, &listing.of(name), facts, trigger)
    };
    names
        .into_iter()
        .filter_map(|name| Some((name.clone(), action(name)?)))
        .collect()
}

fn action(name: &ModuleName, files: &Files<FileHash>, facts: &ModuleFacts, trigger: Trigger) -> Option<Action> {
    let is_webhook = name.is_webhook();
    if !is_webhook && files.wasm.is_none() {
        return (facts.active.is_some() || facts.is_rejected).then_some(Action::Retire);
    }
    let configuration = if is_webhook {
        trigger.configuration
    } else {
        Configuration::Unread
    };
    if configuration == Configuration::New {
        return None;
    }
    // A retry does not correct the configuration.
    let is_retried = trigger.retry && configuration != Configuration::Invalid && facts.needs_retry();
    // After a configuration with errors, even the unchanged one is new to the built-in module.
    let is_mended = configuration == Configuration::Unchanged && facts.is_rejected;
    if facts.seen.as_ref() != Some(files) || is_retried || is_mended {
        return Some(Action::Load(match (&facts.active, trigger.new_receivers) {
            // Treat the file as one that appears while the built-in module runs: it changes nothing.
            (None, _) if is_webhook && files.wasm.is_some() => Fallback::ActiveCode,
            // The same files would fail again.
            (Some(active), true) if active != files => Fallback::ActiveFiles,
            _ => Fallback::None,
        }));
    }
    if !trigger.new_receivers {
        return None;
    }
    Some(match &facts.active {
        Some(active) if facts.is_rolled_back && active != files => Action::ReloadActive,
        Some(active) if active != files => Action::Load(Fallback::ActiveFiles),
        _ => Action::Load(Fallback::None),
    })
}

/// The action with which the built-in module takes a new configuration of the host. A module that was rolled back stays
/// so, unless its files are new or a retry was requested.
pub(super) fn configure(files: &Files<FileHash>, facts: &ModuleFacts, retry: bool) -> Action {
    let is_new = facts.seen.as_ref() != Some(files);
    if !retry && !is_new && facts.is_rolled_back && facts.active.as_ref().is_some_and(|active| active != files) {
        return Action::ReloadActive;
    }
    // As at the start, a file that does not load does not block other changes.
    let active_code = facts.active.as_ref().and_then(|active| active.wasm);
    Action::Load(if files.wasm.is_some() && files.wasm != active_code {
        Fallback::ActiveCode
    } else {
        Fallback::None
    })
}

impl ModuleFacts {
    fn needs_retry(&self) -> bool {
        self.is_rejected || self.is_rolled_back
    }
}

#[cfg(test)]
#[path = "reconcile_tests.rs"]
mod tests;
