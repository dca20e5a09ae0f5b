//! Which files belong to which module, and what has changed from one listing to another.

use std::collections::BTreeMap;

use super::{Content, ModuleName, Print};

/// The files of one module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Files<T> {
    pub(crate) wasm: Option<T>,
    pub(crate) toml: Option<T>,
}

/// The files of all modules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listing<T>(pub(crate) BTreeMap<ModuleName, Files<T>>);

/// What has become of a module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// It was not there before.
    New,
    /// It was there, and its code, its settings or both are different.
    Replaced,
    /// It is no longer there.
    Removed,
}

impl<T> Default for Files<T> {
    fn default() -> Self {
        Files { wasm: None, toml: None }
    }
}

impl<T> Default for Listing<T> {
    fn default() -> Self {
        Listing(BTreeMap::new())
    }
}

impl Listing<Content> {
    /// The listing without the bytes.
    pub(crate) fn prints(&self) -> Listing<Print> {
        let prints = |(name, files): (&ModuleName, &Files<Content>)| (name.clone(), files.prints());
        Listing(self.0.iter().map(prints).collect())
    }
}

impl Listing<Print> {
    /// What has changed from this listing to a later one, by name.
    pub(crate) fn changes(&self, later: &Listing<Print>) -> Vec<(ModuleName, Change)> {
        let names: std::collections::BTreeSet<_> = self.0.keys().chain(later.0.keys()).collect();
        let change = |name: &&ModuleName| {
            let (before, now) = (self.of(name), later.of(name));
            let there = |files: &Files<Print>| name.is_webhook() || files.wasm.is_some();
            let change = match (there(&before), there(&now)) {
                (false, false) => return None,
                (false, true) => Change::New,
                (true, false) => Change::Removed,
                (true, true) if before == now => return None,
                (true, true) => Change::Replaced,
            };
            Some(((*name).clone(), change))
        };
        names.iter().filter_map(change).collect()
    }

    /// Settings of modules that are not there.
    pub(crate) fn orphans(&self) -> impl Iterator<Item = &ModuleName> {
        let orphan = |(name, files): &(&ModuleName, &Files<Print>)| files.wasm.is_none() && !name.is_webhook();
        self.0.iter().filter(orphan).map(|(name, _)| name)
    }
}

impl<T: Clone> Listing<T> {
    /// The files of one module; the default module may have none.
    pub(crate) fn of(&self, name: &ModuleName) -> Files<T> {
        self.0.get(name).cloned().unwrap_or_default()
    }
}

impl Files<Content> {
    /// What is remembered of them.
    pub(crate) fn prints(&self) -> Files<Print> {
        let print = |content: &Option<Content>| content.as_ref().map(|content| content.print);
        Files {
            wasm: print(&self.wasm),
            toml: print(&self.toml),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn name(text: &str) -> ModuleName {
        text.parse().unwrap()
    }

    fn print(byte: u8) -> Print {
        Print::Content([byte; 32])
    }

    fn listing(files: &[(&str, Option<u8>, Option<u8>)]) -> Listing<Print> {
        let files = files.iter().map(|(module, wasm, toml)| {
            (
                name(module),
                Files {
                    wasm: wasm.map(print),
                    toml: toml.map(print),
                },
            )
        });
        Listing(files.collect())
    }

    #[test]
    fn changes_are_found_by_content() {
        for (before, now, expected) in [
            (listing(&[]), listing(&[]), vec![]),
            (listing(&[]), listing(&[("a", Some(1), None)]), vec![("a", Change::New)]),
            (
                listing(&[("a", Some(1), None)]),
                listing(&[("a", Some(1), None)]),
                vec![],
            ),
            (
                listing(&[("a", Some(1), None)]),
                listing(&[("a", Some(2), None)]),
                vec![("a", Change::Replaced)],
            ),
            (
                listing(&[("a", Some(1), None)]),
                listing(&[("a", Some(1), Some(1))]),
                vec![("a", Change::Replaced)],
            ),
            (
                listing(&[("a", Some(1), Some(1))]),
                listing(&[("a", Some(1), None)]),
                vec![("a", Change::Replaced)],
            ),
            (
                listing(&[("a", Some(1), Some(1))]),
                listing(&[("a", None, Some(1))]),
                vec![("a", Change::Removed)],
            ),
            (listing(&[]), listing(&[("a", None, Some(1))]), vec![]),
            (
                listing(&[("a", None, Some(1))]),
                listing(&[("a", Some(1), Some(1))]),
                vec![("a", Change::New)],
            ),
            // The default module is there without files.
            (
                listing(&[]),
                listing(&[("webhook", Some(1), None)]),
                vec![("webhook", Change::Replaced)],
            ),
            (
                listing(&[("webhook", Some(1), None)]),
                listing(&[]),
                vec![("webhook", Change::Replaced)],
            ),
            (
                listing(&[]),
                listing(&[("webhook", None, Some(1))]),
                vec![("webhook", Change::Replaced)],
            ),
        ] {
            let expected: Vec<_> = expected
                .into_iter()
                .map(|(module, change)| (name(module), change))
                .collect();
            assert_eq!(before.changes(&now), expected, "{before:?} to {now:?}");
        }
    }

    #[test]
    fn settings_alone_are_orphans() {
        let listing = listing(&[
            ("a", None, Some(1)),
            ("b", Some(1), Some(1)),
            ("webhook", None, Some(1)),
        ]);
        assert_eq!(listing.orphans().collect::<Vec<_>>(), [&name("a")]);
    }

    proptest! {
        /// Carrying out the changes leads from one listing to the other.
        #[test]
        fn changes_lead_from_one_to_the_other(
            before in proptest::collection::btree_map("[ab]|webhook", (0u8..3, 0u8..3), 0..4),
            now in proptest::collection::btree_map("[ab]|webhook", (0u8..3, 0u8..3), 0..4),
        ) {
            let listing = |files: &BTreeMap<String, (u8, u8)>| -> Listing<Print> {
                let file = |byte: u8| (byte > 0).then(|| print(byte));
                Listing(files.iter().map(|(module, (wasm, toml))| (name(module), Files { wasm: file(*wasm), toml: file(*toml) })).collect())
            };
            let modules = |listing: &Listing<Print>| -> BTreeMap<ModuleName, Files<Print>> {
                let mut modules = listing.0.clone();
                modules.entry(ModuleName::webhook()).or_default();
                modules.retain(|name, files| name.is_webhook() || files.wasm.is_some());
                modules
            };
            let (before, now) = (listing(&before), listing(&now));
            let mut carried_out = modules(&before);
            for (name, change) in before.changes(&now) {
                let gone = carried_out.remove(&name);
                prop_assert_eq!(gone.is_none(), change == Change::New);
                if change != Change::Removed {
                    carried_out.insert(name.clone(), now.of(&name));
                }
            }
            prop_assert_eq!(carried_out, modules(&now));
        }
    }
}
