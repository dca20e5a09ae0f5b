//! What differs between the object store and the mirror: pure.

use std::collections::{BTreeMap, BTreeSet};

use hookhost_jetstream::ObjectInfo;
use hookhost_modules::ModulesFolder;

/// The note of an object that takes the place of a module that has failed: the reason.
pub(super) const ROLLED_BACK: &str = "hookhost-rolled-back";

/// The files of the mirror with the hashes of their content.
pub(super) type Versions = BTreeMap<String, String>;

/// What the mirror lacks.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Plan {
    /// The modules whose files differ.
    pub(super) modules: BTreeSet<String>,
    /// Those of them that take the place of a failed version, with the reason.
    pub(super) rolled_back: BTreeMap<String, String>,
    /// Something new is to be loaded.
    pub(super) needs_turn: bool,
}

/// The module of a file; `None`: it is not a file of a module.
pub(super) fn module_of(file: &str) -> Option<&str> {
    let (name, ending) = file.rsplit_once('.')?;
    (matches!(ending, "wasm" | "toml") && ModulesFolder::is_name(name)).then_some(name)
}

/// The files of modules in a store.
pub(super) fn module_files(list: &BTreeMap<String, ObjectInfo>) -> BTreeMap<String, ObjectInfo> {
    let files = list
        .iter()
        .filter(|(name, info)| !info.deleted && module_of(name).is_some());
    files.map(|(name, info)| (name.clone(), info.clone())).collect()
}

/// Compares the files of the store with those of the mirror.
pub(super) fn plan(mirror: &Versions, files: &BTreeMap<String, ObjectInfo>) -> Plan {
    let mut plan = Plan::default();
    let modules = |name: &str| module_of(name).map(str::to_owned);
    plan.modules.extend(
        mirror
            .keys()
            .filter(|name| !files.contains_key(*name))
            .filter_map(|name| modules(name)),
    );
    for (name, info) in files {
        if mirror.get(name) == Some(&info.digest) {
            continue;
        }
        let Some(module) = modules(name) else { continue };
        match info.metadata.get(ROLLED_BACK) {
            Some(reason) => drop(plan.rolled_back.insert(module.clone(), reason.clone())),
            None => plan.needs_turn = true,
        }
        plan.modules.insert(module);
    }
    plan
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn info(name: &str, digest: &str, more: serde_json::Value) -> ObjectInfo {
        let mut info = json!({"name": name, "bucket": "b", "nuid": "n", "size": 1, "chunks": 1, "digest": digest});
        info.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        serde_json::from_value(info).unwrap()
    }

    #[test]
    fn only_new_content_needs_a_turn() {
        let mirror = Versions::from([
            ("a.wasm".to_owned(), "1".to_owned()),
            ("a.toml".to_owned(), "1".to_owned()),
        ]);
        let same = [info("a.wasm", "1", json!({})), info("a.toml", "1", json!({}))];
        let back = json!({"metadata": {ROLLED_BACK: "it trapped"}});
        for (objects, modules, rolled_back, needs_turn) in [
            (same.to_vec(), "", "", false),
            (vec![same[0].clone(), info("a.toml", "2", json!({}))], "a", "", true),
            (vec![same[0].clone()], "a", "", false),
            (vec![], "a", "", false),
            (
                vec![info("a.wasm", "0", back.clone()), same[1].clone()],
                "a",
                "a",
                false,
            ),
            (
                vec![
                    info("a.wasm", "0", back),
                    same[1].clone(),
                    info("b.wasm", "1", json!({})),
                ],
                "a b",
                "a",
                true,
            ),
            (
                vec![
                    same[0].clone(),
                    same[1].clone(),
                    info("c.wasm", "1", json!({"deleted": true})),
                    info("d.wasm.disabled", "1", json!({})),
                    info("a/b.wasm", "1", json!({})),
                ],
                "",
                "",
                false,
            ),
        ] {
            let list = objects.into_iter().map(|info| (info.name.clone(), info)).collect();
            let plan = plan(&mirror, &module_files(&list));
            let found: Vec<_> = plan.modules.iter().map(String::as_str).collect();
            let back: Vec<_> = plan.rolled_back.keys().map(String::as_str).collect();
            assert_eq!(
                (found.join(" ").as_str(), back.join(" ").as_str(), plan.needs_turn),
                (modules, rolled_back, needs_turn)
            );
        }
    }
}
