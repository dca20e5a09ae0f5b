//! A project in Rust: the module, and beside it the sources of the SDK, which no registry has.
//!
//! The folder `hookhost-guest/` of a project has the layout of `guest-sdk/` in hookhost's repository: the SDK's crate,
//! and in it the crates `shared/` and `webhook/`. The SDK's manifests inherit from hookhost's workspace. The manifests
//! of the project have the inherited values written out. The lock file is that of the examples, reduced to the packages
//! that a module needs.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use toml::{Table, Value};

use super::{File, ModuleName, example, file, fill, template};

/// The sources and manifests of the SDK's crates: path below `guest-sdk`, content.
const SDK: &[(&str, &str)] = &include!(concat!(env!("OUT_DIR"), "/sdk_sources.rs"));
const WORKSPACE_MANIFEST: &str = include_str!("../../../../../Cargo.toml");
const TOOLCHAIN: &str = include_str!("../../../../../rust-toolchain.toml");
const LOCK: &str = example!("Cargo.lock");

/// Invalid names of crates: the keywords of the language, and the names of existing crates.
const RESERVED: &[&str] = &[
    "abstract", "alloc", "as", "async", "await", "become", "box", "break", "const", "continue", "core", "crate", "do",
    "dyn", "else", "enum", "extern", "final", "fn", "for", "gen", "if", "impl", "in", "let", "loop", "macro", "match",
    "mod", "move", "mut", "override", "priv", "pub", "ref", "return", "std", "static", "struct", "super", "test",
    "trait", "try", "type", "unsafe", "use", "virtual", "where", "while", "yield",
];

/// The files in addition to those of all projects.
///
/// # Errors
///
/// A name that is not valid for a crate here.
pub(super) fn files(name: &ModuleName) -> Result<Vec<File>, String> {
    if RESERVED.contains(&name.as_str()) || is_locked(LOCK, name.as_str()) {
        return Err(format!(
            "{name} is the name of something else in Rust; give the module another one"
        ));
    }
    let manifest = fill(template!("rust/Cargo.toml"), name);
    let lock = lock(name.as_str(), &manifest, LOCK, &sdk_manifests())?;
    let mut files = vec![
        file("Cargo.toml", &manifest),
        file("Cargo.lock", &lock),
        file("rust-toolchain.toml", TOOLCHAIN),
        file(".gitignore", template!("rust/gitignore")),
        file("README.md", &fill(template!("rust/README.md"), name)),
        file("src/lib.rs", &fill(template!("rust/lib.rs"), name)),
        file("hookhost-guest/README.md", &fill(template!("rust/sdk-readme.md"), name)),
    ];
    for (path, content) in SDK {
        let path = format!("hookhost-guest/{path}");
        if path.ends_with("/Cargo.toml") {
            files.push((path, standalone(content, WORKSPACE_MANIFEST)?));
        } else {
            files.push(file(&path, content));
        }
    }
    Ok(files)
}

/// The manifests of the SDK's crates.
fn sdk_manifests() -> Vec<&'static str> {
    let manifests = SDK.iter().filter(|(path, _)| path.ends_with("Cargo.toml"));
    manifests.map(|(_, content)| *content).collect()
}

/// A manifest of the SDK with the inherited values written out, and without what only the SDK's own tests need.
fn standalone(manifest: &str, workspace: &str) -> Result<String, String> {
    let own = |error: toml::de::Error| format!("hookhost's own manifests cannot be read: {error}");
    let mut manifest: Table = manifest.parse().map_err(own)?;
    let workspace: Table = workspace.parse().map_err(own)?;
    manifest.remove("dev-dependencies");
    manifest.remove("lints");
    for (section, inherited) in [("package", "package"), ("dependencies", "dependencies")] {
        let from = workspace
            .get("workspace")
            .and_then(|workspace| workspace.get(inherited));
        let Some(Value::Table(entries)) = manifest.get_mut(section) else {
            continue;
        };
        for (key, value) in entries.iter_mut() {
            if value.get("workspace").and_then(Value::as_bool) == Some(true) {
                let inherited = from.and_then(|from| from.get(key));
                *value = inherited
                    .cloned()
                    .ok_or_else(|| format!("{key} is not in hookhost's workspace"))?;
            }
        }
    }
    Ok(format!("# Generated from a manifest of hookhost's SDK.\n{manifest}"))
}

/// The crate that an entry of a lock file names: `name`, or `name version` if there are several.
fn crate_of(reference: &str) -> &str {
    reference.split_once(' ').map_or(reference, |(name, _)| name)
}

fn is_locked(lock: &str, name: &str) -> bool {
    lock.lines().any(|line| line == format!("name = \"{name}\""))
}

/// The names of the crates in a section of a manifest.
fn named(manifest: &Table, section: &str) -> BTreeSet<String> {
    let entries = manifest.get(section).and_then(Value::as_table);
    entries
        .map(|entries| entries.keys().cloned().collect())
        .unwrap_or_default()
}

/// The lock file of a module with this `manifest`: the package of the module, the SDK's crates without what only their
/// tests need, and all that these depend on.
fn lock(name: &str, manifest: &str, lock: &str, sdk_manifests: &[&str]) -> Result<String, String> {
    let own = |error: toml::de::Error| format!("hookhost's own lock file cannot be read: {error}");
    let lock: Table = lock.parse().map_err(own)?;
    let manifest: Table = manifest.parse().map_err(own)?;
    let mut sdk_needs = BTreeMap::new();
    for manifest in sdk_manifests {
        let manifest: Table = manifest.parse().map_err(own)?;
        let name = manifest.get("package").and_then(|package| package.get("name"));
        if let Some(name) = name.and_then(Value::as_str) {
            sdk_needs.insert(name.to_owned(), named(&manifest, "dependencies"));
        }
    }
    let packages = lock
        .get("package")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();

    let mut module = Table::new();
    module.insert("name".to_owned(), name.into());
    module.insert("version".to_owned(), "0.1.0".into());
    let mut direct = named(&manifest, "dependencies");
    direct.extend(named(&manifest, "dev-dependencies"));
    let direct: Vec<Value> = direct.into_iter().map(Value::from).collect();
    module.insert("dependencies".to_owned(), direct.clone().into());

    let mut wanted: VecDeque<String> = direct.iter().filter_map(Value::as_str).map(str::to_owned).collect();
    let mut kept = vec![Value::Table(module)];
    while let Some(reference) = wanted.pop_front() {
        let name = crate_of(&reference);
        let version = reference.split_once(' ').map(|(_, version)| version);
        let is_it = |package: &Value| {
            let says = |key: &str, text: &str| package.get(key).and_then(Value::as_str) == Some(text);
            says("name", name) && version.is_none_or(|version| says("version", version))
        };
        if kept.iter().any(is_it) {
            continue;
        }
        let mut package = packages.iter().find(|package| is_it(package)).cloned();
        let package_of = package.as_mut().and_then(Value::as_table_mut);
        let package_of = package_of.ok_or_else(|| format!("{reference} is not in hookhost's own lock file"))?;
        if let Some(Value::Array(needs)) = package_of.get_mut("dependencies") {
            if let Some(declared) = sdk_needs.get(name) {
                needs.retain(|need| need.as_str().is_some_and(|need| declared.contains(crate_of(need))));
            }
            wanted.extend(needs.iter().filter_map(Value::as_str).map(str::to_owned));
        }
        kept.extend(package);
    }
    let key = |package: &Value, key: &str| package.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    kept.sort_by_key(|package| (key(package, "name"), key(package, "version")));

    let mut cut = Table::new();
    if let Some(version) = lock.get("version") {
        cut.insert("version".to_owned(), version.clone());
    }
    cut.insert("package".to_owned(), kept.into());
    Ok(format!("# This file is automatically @generated by Cargo.\n{cut}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sdk_stands_alone() {
        let manifest = "[package]\nname = \"sdk\"\nversion.workspace = true\n[dependencies]\na.workspace = true\nb = \"2\"\n\
                        [dev-dependencies]\nc.workspace = true\n[lints]\nworkspace = true\n";
        let workspace = "[workspace.package]\nversion = \"0.1.0\"\n[workspace.dependencies]\n\
                         a = { version = \"1\", default-features = false }\n";
        let alone: Table = standalone(manifest, workspace).unwrap().parse().unwrap();
        let expected: Table = "package = { name = \"sdk\", version = \"0.1.0\" }\n\
                               dependencies = { a = { version = \"1\", default-features = false }, b = \"2\" }\n"
            .parse()
            .unwrap();
        assert_eq!(alone, expected);
        let lost = standalone("[dependencies]\nz.workspace = true\n", workspace).unwrap_err();
        assert_eq!(lost, "z is not in hookhost's workspace");
        let manifests = sdk_manifests();
        assert_eq!(manifests.len(), 4);
        for manifest in manifests {
            assert!(!standalone(manifest, WORKSPACE_MANIFEST).unwrap().contains("workspace"));
        }
    }

    #[test]
    fn the_lock_file_has_what_is_needed_and_nothing_else() {
        let lock_of_examples = r#"
version = 4
[[package]]
name = "a"
version = "1.0.0"
source = "registry+x"
[[package]]
name = "a"
version = "2.0.0"
dependencies = ["c"]
[[package]]
name = "c"
version = "1.0.0"
[[package]]
name = "example"
version = "0.1.0"
dependencies = ["hookhost-guest"]
[[package]]
name = "hookhost-guest"
version = "0.1.0"
dependencies = ["a 1.0.0", "proptest"]
[[package]]
name = "proptest"
version = "1.0.0"
"#;
        let manifest = "[dependencies]\nhookhost-guest = {}\n[dev-dependencies]\nc = \"1\"\n";
        let sdk =
            "[package]\nname = \"hookhost-guest\"\n[dependencies]\na = \"1\"\n[dev-dependencies]\nproptest = \"1\"\n";
        let cut: Table = lock("m", manifest, lock_of_examples, &[sdk]).unwrap().parse().unwrap();
        let packages: Vec<_> = cut["package"]
            .as_array()
            .unwrap()
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(cut["version"].as_integer(), Some(4));
        assert_eq!(packages.len(), 4, "{packages:#?}");
        for (package, part) in packages.iter().zip(["1.0.0", "\"c\"", "\"hookhost-guest\"", "\"m\""]) {
            assert!(package.contains(part), "{part} in {packages:#?}");
        }
        let lost = lock("m", "[dependencies]\nnowhere = \"1\"\n", lock_of_examples, &[sdk]).unwrap_err();
        assert_eq!(lost, "nowhere is not in hookhost's own lock file");
    }

    #[test]
    fn names_that_mean_something_else_are_refused() {
        for taken in ["serde", "hookhost-guest", "match", "while", "core"] {
            let name: ModuleName = taken.parse().unwrap();
            assert!(files(&name).unwrap_err().contains("something else in Rust"), "{taken}");
        }
    }
}
