//! Table tests of the reconciler, without threads, files or an engine.

use proptest::prelude::*;

use super::*;

fn name(text: &str) -> ModuleName {
    text.parse().unwrap()
}

fn hash(byte: u8) -> FileHash {
    FileHash::Content([byte; 32])
}

fn files(wasm: u8, toml: u8) -> Files<FileHash> {
    let file = |byte: u8| (byte > 0).then(|| hash(byte));
    Files {
        wasm: file(wasm),
        toml: file(toml),
    }
}

/// The files of one module: code and settings, 0 for a missing file.
fn listing(module: &str, (wasm, toml): (u8, u8)) -> Listing<FileHash> {
    let is_there = wasm > 0 || toml > 0;
    Listing(
        is_there
            .then(|| (name(module), files(wasm, toml)))
            .into_iter()
            .collect(),
    )
}

/// A module that runs from these files, which are the files in the folder.
fn running((wasm, toml): (u8, u8)) -> ModuleFacts {
    ModuleFacts {
        seen: Some(files(wasm, toml)),
        active: Some(files(wasm, toml)),
        ..ModuleFacts::default()
    }
}

/// A module whose files were rejected. It runs from other files, if any.
fn rejected(seen: (u8, u8), active: Option<(u8, u8)>) -> ModuleFacts {
    ModuleFacts {
        seen: Some(files(seen.0, seen.1)),
        active: active.map(|(wasm, toml)| files(wasm, toml)),
        is_rejected: true,
        is_rolled_back: false,
    }
}

/// A module that was rolled back from the files in the folder to other files.
fn rolled_back(seen: (u8, u8), active: (u8, u8)) -> ModuleFacts {
    ModuleFacts {
        is_rolled_back: true,
        ..rejected(seen, Some(active))
    }
}

/// The action for one module, as a word.
fn said(action: Option<Action>) -> &'static str {
    match action {
        None => "nothing",
        Some(Action::Load(Fallback::None)) => "load",
        Some(Action::Load(Fallback::ActiveFiles)) => "load, else its active files",
        Some(Action::Load(Fallback::ActiveCode)) => "load, else its active code",
        Some(Action::ReloadActive) => "reload",
        Some(Action::Retire) => "retire",
    }
}

const NOTICED: Trigger = Trigger {
    retry: false,
    configuration: Configuration::Unread,
    new_receivers: false,
};
const ASKED: Trigger = Trigger { retry: true, ..NOTICED };
const NEW_RECEIVERS: Trigger = Trigger {
    configuration: Configuration::New,
    new_receivers: true,
    ..NOTICED
};

#[test]
fn what_is_done_about_a_module() {
    for (facts, in_folder, trigger, expected) in [
        // Files that appear, change and disappear.
        (None, (0, 0), NOTICED, "nothing"),
        (None, (1, 0), NOTICED, "load"),
        (None, (1, 1), NOTICED, "load"),
        (None, (0, 1), NOTICED, "nothing"),
        (Some(running((1, 0))), (1, 0), NOTICED, "nothing"),
        (Some(running((1, 0))), (2, 0), NOTICED, "load"),
        (Some(running((1, 0))), (1, 1), NOTICED, "load"),
        (Some(running((1, 1))), (1, 0), NOTICED, "load"),
        (Some(running((1, 1))), (0, 1), NOTICED, "retire"),
        (Some(running((1, 1))), (0, 0), NOTICED, "retire"),
        (Some(rejected((1, 0), None)), (0, 0), NOTICED, "retire"),
        // A module of which only the queue is left.
        (Some(ModuleFacts::default()), (0, 0), NOTICED, "nothing"),
        (Some(ModuleFacts::default()), (1, 0), NOTICED, "load"),
        // Files that changed while they were loaded are loaded again, whatever they contain.
        (
            Some(ModuleFacts {
                seen: None,
                ..rejected((2, 0), Some((1, 0)))
            }),
            (2, 0),
            NOTICED,
            "load",
        ),
        // Failed files cause no action on their own. A request retries them.
        (Some(rejected((2, 0), Some((1, 0)))), (2, 0), NOTICED, "nothing"),
        (Some(rejected((2, 0), Some((1, 0)))), (2, 0), ASKED, "load"),
        (Some(rejected((2, 0), None)), (2, 0), ASKED, "load"),
        (Some(rolled_back((2, 0), (1, 0))), (2, 0), NOTICED, "nothing"),
        (Some(rolled_back((2, 0), (1, 0))), (2, 0), ASKED, "load"),
        (Some(running((1, 0))), (1, 0), ASKED, "nothing"),
        // New receivers affect every module.
        (Some(running((1, 0))), (1, 0), NEW_RECEIVERS, "load"),
        (
            Some(running((1, 0))),
            (2, 0),
            NEW_RECEIVERS,
            "load, else its active files",
        ),
        (
            Some(rejected((2, 0), Some((1, 0)))),
            (2, 0),
            NEW_RECEIVERS,
            "load, else its active files",
        ),
        (Some(rejected((2, 0), None)), (2, 0), NEW_RECEIVERS, "load"),
        (Some(rolled_back((2, 0), (1, 0))), (2, 0), NEW_RECEIVERS, "reload"),
        (
            Some(rolled_back((2, 0), (1, 0))),
            (3, 0),
            NEW_RECEIVERS,
            "load, else its active files",
        ),
        (Some(running((1, 0))), (0, 0), NEW_RECEIVERS, "retire"),
    ] {
        let table: BTreeMap<_, _> = facts.iter().map(|facts| (name("a"), facts.clone())).collect();
        let actions = actions(&listing("a", in_folder), &table, trigger);
        let of_a = actions.iter().find(|(module, _)| *module == name("a"));
        assert_eq!(
            said(of_a.map(|(_, action)| *action)),
            expected,
            "{facts:?} {in_folder:?} {trigger:?}"
        );
    }
}

#[test]
fn the_default_module_is_always_there() {
    let unchanged = Trigger {
        configuration: Configuration::Unchanged,
        ..NOTICED
    };
    let invalid = Trigger {
        configuration: Configuration::Invalid,
        ..ASKED
    };
    for (facts, in_folder, trigger, expected) in [
        (None, (0, 0), NOTICED, "load"),
        (None, (0, 1), NOTICED, "load"),
        // The built-in code runs if the file does not load.
        (None, (1, 0), NOTICED, "load, else its active code"),
        (Some(running((0, 0))), (0, 0), NOTICED, "nothing"),
        (Some(running((0, 0))), (1, 0), NOTICED, "load"),
        (Some(running((1, 0))), (0, 0), NOTICED, "load"),
        (Some(running((0, 0))), (0, 1), NOTICED, "load"),
        // It has already been loaded with a new configuration.
        (Some(running((0, 0))), (0, 0), NEW_RECEIVERS, "nothing"),
        // The configuration is the same as before it had errors.
        (Some(rejected((0, 0), Some((0, 0)))), (0, 0), unchanged, "load"),
        (Some(running((0, 0))), (0, 0), unchanged, "nothing"),
        // A retry does not correct the configuration.
        (Some(rejected((0, 0), Some((0, 0)))), (0, 0), invalid, "nothing"),
        (Some(rejected((0, 0), Some((0, 0)))), (1, 0), invalid, "load"),
    ] {
        let table: BTreeMap<_, _> = facts
            .iter()
            .map(|facts| (ModuleName::webhook(), facts.clone()))
            .collect();
        let actions = actions(&listing("webhook", in_folder), &table, trigger);
        assert_eq!(
            said(actions.first().map(|(_, action)| *action)),
            expected,
            "{facts:?} {in_folder:?} {trigger:?}"
        );
    }
}

#[test]
fn how_the_default_module_takes_a_new_configuration() {
    for (facts, in_folder, retry, expected) in [
        (running((0, 0)), (0, 0), false, "load"),
        (running((0, 0)), (0, 1), false, "load"),
        (running((1, 0)), (1, 0), false, "load"),
        // As at the start, a file that does not load does not block other changes.
        (running((0, 0)), (1, 0), false, "load, else its active code"),
        (running((1, 0)), (2, 0), false, "load, else its active code"),
        (
            rejected((2, 0), Some((1, 0))),
            (2, 0),
            false,
            "load, else its active code",
        ),
        (rejected((1, 0), None), (1, 0), false, "load, else its active code"),
        (running((1, 0)), (0, 0), false, "load"),
        // A rolled-back module stays so, unless a retry is requested or the files are new.
        (rolled_back((1, 0), (0, 0)), (1, 0), false, "reload"),
        (rolled_back((1, 0), (0, 0)), (1, 0), true, "load, else its active code"),
        (rolled_back((1, 0), (0, 0)), (2, 0), false, "load, else its active code"),
    ] {
        let action = configure(&files(in_folder.0, in_folder.1), &facts, retry);
        assert_eq!(said(Some(action)), expected, "{facts:?} {in_folder:?} {retry}");
    }
}

proptest! {
    /// If everything loads, the actions lead to the modules in the folder, and no action is left.
    #[test]
    fn actions_lead_to_what_is_desired(
        before in proptest::collection::btree_map("[ab]|webhook", (0u8..3, 0u8..3), 0..4),
        now in proptest::collection::btree_map("[ab]|webhook", (0u8..3, 0u8..3), 0..4),
        retry: bool,
        new_receivers: bool,
    ) {
        let listing = |modules: &BTreeMap<String, (u8, u8)>| -> Listing<FileHash> {
            Listing(modules.iter().map(|(module, (wasm, toml))| (name(module), files(*wasm, *toml))).collect())
        };
        let modules = |listing: &Listing<FileHash>| -> BTreeMap<ModuleName, ModuleFacts> {
            let mut names: Vec<_> = listing.0.keys().cloned().collect();
            names.push(ModuleName::webhook());
            names.retain(|name| name.is_webhook() || listing.of(name).wasm.is_some());
            let facts = |files: Files<FileHash>| ModuleFacts { seen: Some(files.clone()), active: Some(files), ..ModuleFacts::default() };
            names.into_iter().map(|name| (name.clone(), facts(listing.of(&name)))).collect()
        };
        let (before, now) = (listing(&before), listing(&now));
        let mut table = modules(&before);
        let trigger = Trigger { retry, new_receivers, ..NOTICED };
        for (name, action) in actions(&now, &table, trigger) {
            match action {
                Action::Retire => drop(table.remove(&name)),
                Action::Load(_) => {
                    let files = now.of(&name);
                    table.insert(name, ModuleFacts { seen: Some(files.clone()), active: Some(files), ..ModuleFacts::default() });
                }
                Action::ReloadActive => prop_assert!(false, "nothing was rolled back"),
            }
        }
        prop_assert_eq!(&table, &modules(&now));
        prop_assert_eq!(actions(&now, &table, NOTICED), []);
    }
}
