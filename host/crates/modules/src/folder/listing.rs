//! The files of each module, and the changes between two listings.

use std::collections::BTreeMap;

use super::{Content, FileHash, ModuleName};

/// The files of one module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Files<T> {
    pub(crate) wasm: Option<T>,
    pub(crate) toml: Option<T>,
}

/// The files of all modules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listing<T>(pub(crate) BTreeMap<ModuleName, Files<T>>);

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
    /// The listing without the content.
    pub(crate) fn hashes(&self) -> Listing<FileHash> {
        let prints = |(name, files): (&ModuleName, &Files<Content>)| (name.clone(), files.hashes());
        Listing(self.0.iter().map(prints).collect())
    }
}

impl Listing<FileHash> {
    /// Settings without a module.
    pub(crate) fn orphans(&self) -> impl Iterator<Item = &ModuleName> {
        let orphan = |(name, files): &(&ModuleName, &Files<FileHash>)| files.wasm.is_none() && !name.is_webhook();
        self.0.iter().filter(orphan).map(|(name, _)| name)
    }
}

impl<T: Clone> Listing<T> {
    /// The files of one module. The built-in module may have no files.
    pub(crate) fn of(&self, name: &ModuleName) -> Files<T> {
        self.0.get(name).cloned().unwrap_or_default()
    }
}

impl Files<Content> {
    /// The hashes of the files.
    pub(crate) fn hashes(&self) -> Files<FileHash> {
        let hash = |content: &Option<Content>| content.as_ref().map(|content| content.hash);
        Files {
            wasm: hash(&self.wasm),
            toml: hash(&self.toml),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> ModuleName {
        text.parse().unwrap()
    }

    fn hash(byte: u8) -> FileHash {
        FileHash::Content([byte; 32])
    }

    fn listing(files: &[(&str, Option<u8>, Option<u8>)]) -> Listing<FileHash> {
        let files = files.iter().map(|(module, wasm, toml)| {
            (
                name(module),
                Files {
                    wasm: wasm.map(hash),
                    toml: toml.map(hash),
                },
            )
        });
        Listing(files.collect())
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
}
