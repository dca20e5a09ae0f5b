//! The files of a new module's project, by language. Pure: names and texts in, files out.
//!
//! The templates are in `host/templates/module/`. Parts that equal the examples come from the examples, so there is one
//! version of them. Every project contains the contract, and a project in Rust also contains the SDK's sources. A
//! project builds with the language's own tools. Of hookhost it needs only the binary that created it.

mod rust;

use std::fmt;
use std::str::FromStr;

use clap::ValueEnum;

/// The languages of a new module.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Language {
    /// Rust, with the SDK
    Rust,
    /// JavaScript, in QuickJS
    Js,
    /// Python, in CPython
    Python,
    /// C, with clang
    C,
}

/// A name that is valid for a module, a folder and a package of each language: `too-hot`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ModuleName(String);

/// A file: its path in the project and its content.
pub(super) type File = (String, String);

/// Maximum length of a name.
const NAME_BYTES: usize = 64;

impl FromStr for ModuleName {
    type Err = String;

    fn from_str(text: &str) -> Result<ModuleName, String> {
        let is_part = |part: &str| {
            !part.is_empty()
                && part
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
        };
        let is_name = text.starts_with(|first: char| first.is_ascii_lowercase()) && text.split('-').all(is_part);
        if !is_name {
            return Err("must be small letters and digits, in words joined by '-', such as too-hot".to_owned());
        }
        if text.len() > NAME_BYTES {
            return Err(format!("must have at most {NAME_BYTES} characters"));
        }
        Ok(ModuleName(text.to_owned()))
    }
}

impl ModuleName {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// The name as a Rust crate: `too_hot`.
    fn crate_name(&self) -> String {
        self.0.replace('-', "_")
    }

    /// The name as a Rust type: `TooHot`.
    fn type_name(&self) -> String {
        let capital = |part: &str| {
            let (first, rest) = part.split_at(part.len().min(1));
            first.to_ascii_uppercase() + rest
        };
        self.0.split('-').map(capital).collect()
    }
}

impl fmt::Display for ModuleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

const WIT: &str = include_str!("../../../../../wit/hook.wit");

macro_rules! template {
    ($path:literal) => {
        include_str!(concat!("../../../../templates/module/", $path))
    };
}

macro_rules! example {
    ($path:literal) => {
        include_str!(concat!("../../../../../examples/", $path))
    };
}

use {example, template};

/// A lock file of npm, and the name that it has for its own package.
struct Lock {
    text: &'static str,
    name: &'static str,
}

const JS_LOCK: Lock = Lock {
    text: example!("js-vehicle-position/package-lock.json"),
    name: "vehicle-position",
};

const C_LOCK: Lock = Lock {
    text: example!("c-dead-band/package-lock.json"),
    name: "dead-band",
};

impl Lock {
    /// The lock file of another package with the same dependencies.
    fn of(&self, name: &ModuleName) -> String {
        let own = format!("\"name\": \"{}\"", self.name);
        self.text.replace(&own, &format!("\"name\": \"{name}\""))
    }

    /// The version of a dependency that is locked.
    fn version(&self, dependency: &str) -> String {
        let lock: serde_json::Value = serde_json::from_str(self.text).unwrap_or_default();
        let dependencies = lock.pointer("/packages//devDependencies");
        let version = dependencies.and_then(|dependencies| dependencies.get(dependency));
        version.and_then(serde_json::Value::as_str).unwrap_or("*").to_owned()
    }
}

/// The files of a project.
///
/// # Errors
///
/// The reason why a name is invalid in this language.
pub(super) fn project(name: &ModuleName, language: Language) -> Result<Vec<File>, String> {
    let mut files = vec![
        file("wit/hook.wit", WIT),
        file("events.ndjson", template!("common/events.ndjson")),
        file("expected.ndjson", &fill(template!("common/expected.ndjson"), name)),
        file(&format!("{name}.toml"), &fill(template!("common/settings.toml"), name)),
    ];
    match language {
        Language::Rust => files.extend(rust::files(name)?),
        Language::Js => files.extend(js(name)),
        Language::Python => files.extend(python(name)),
        Language::C => files.extend(c(name)),
    }
    Ok(files)
}

fn js(name: &ModuleName) -> Vec<File> {
    let package = fill(template!("js/package.json"), name);
    let package = package.replace("{{componentize-qjs}}", &JS_LOCK.version("componentize-qjs"));
    vec![
        file("package.json", &package),
        file("package-lock.json", &JS_LOCK.of(name)),
        file(".gitignore", template!("js/gitignore")),
        file("README.md", &fill(template!("js/README.md"), name)),
        file("src/main.js", template!("js/main.js")),
        file("src/module.js", &fill(template!("js/module.js"), name)),
        file("src/hookhost.js", example!("js-vehicle-position/src/hookhost.js")),
        file("test/module.test.js", &fill(template!("js/module.test.js"), name)),
    ]
}

fn python(name: &ModuleName) -> Vec<File> {
    vec![
        file("requirements.txt", example!("python-flapping/requirements.txt")),
        file(".gitignore", template!("python/gitignore")),
        file("README.md", &fill(template!("python/README.md"), name)),
        file("src/app.py", template!("python/app.py")),
        file("src/module.py", &fill(template!("python/module.py"), name)),
        file("src/hookhost.py", example!("python-flapping/src/hookhost.py")),
        file("tests/test_module.py", &fill(template!("python/test_module.py"), name)),
    ]
}

fn c(name: &ModuleName) -> Vec<File> {
    let package = fill(template!("c/package.json"), name);
    let version = C_LOCK.version("@bytecodealliance/jco-transpile");
    vec![
        file("package.json", &package.replace("{{jco-transpile}}", &version)),
        file("package-lock.json", &C_LOCK.of(name)),
        file("requirements.txt", example!("c-dead-band/requirements.txt")),
        file("componentize.mjs", example!("c-dead-band/componentize.mjs")),
        file(".gitignore", template!("c/gitignore")),
        file("README.md", &fill(template!("c/README.md"), name)),
        file("bindings/hook.h", example!("c-dead-band/bindings/hook.h")),
        file("bindings/hook.c", example!("c-dead-band/bindings/hook.c")),
        file("src/module.c", &fill(template!("c/module.c"), name)),
        file("src/hookhost.h", example!("c-dead-band/src/hookhost.h")),
        file("src/hookhost.c", example!("c-dead-band/src/hookhost.c")),
        file("src/world.c", example!("c-dead-band/src/world.c")),
        file("tests/module_test.c", &fill(template!("c/module_test.c"), name)),
    ]
}

fn file(path: &str, content: &str) -> File {
    (path.to_owned(), content.to_owned())
}

/// A template with its names filled in.
fn fill(template: &str, name: &ModuleName) -> String {
    template
        .replace("{{name}}", name.as_str())
        .replace("{{crate}}", &name.crate_name())
        .replace("{{type}}", &name.type_name())
        .replace("{{version}}", env!("CARGO_PKG_VERSION"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> ModuleName {
        text.parse().unwrap()
    }

    #[test]
    fn names() {
        for (text, crate_name, type_name) in [
            ("too-hot", "too_hot", "TooHot"),
            ("x", "x", "X"),
            ("a1-2b", "a1_2b", "A12b"),
        ] {
            assert_eq!(
                (name(text).crate_name(), name(text).type_name()),
                (crate_name.into(), type_name.into())
            );
        }
        for text in [
            "",
            "-",
            "a-",
            "-a",
            "a--b",
            "1a",
            "TooHot",
            "too_hot",
            "a b",
            "ä",
            "../x",
            "a/b",
            &"a".repeat(65),
        ] {
            assert!(text.parse::<ModuleName>().is_err(), "{text}");
        }
    }

    #[test]
    fn everything_is_filled_in_and_each_file_is_there_once() {
        for language in [Language::Rust, Language::Js, Language::Python, Language::C] {
            let files = project(&name("too-hot"), language).unwrap();
            let mut paths: Vec<_> = files.iter().map(|(path, _)| path).collect();
            paths.sort();
            paths.dedup();
            assert_eq!(paths.len(), files.len(), "{language:?}");
            let is_sdk_source = |path: &str| path.starts_with("hookhost-guest/") && path.ends_with(".rs");
            for (path, content) in files.iter().filter(|(path, _)| !is_sdk_source(path)) {
                assert!(!content.contains("{{"), "{path} has a placeholder");
                assert!(!content.is_empty(), "{path} is empty");
            }
            for needed in [
                "README.md",
                "wit/hook.wit",
                "too-hot.toml",
                "events.ndjson",
                "expected.ndjson",
                ".gitignore",
            ] {
                assert!(files.iter().any(|(path, _)| path == needed), "{needed}");
            }
        }
    }

    #[test]
    fn versions_are_pinned_as_in_the_examples() {
        let name = name("too-hot");
        for (files, lock, pinned) in [
            (js(&name), JS_LOCK, "componentize-qjs"),
            (c(&name), C_LOCK, "@bytecodealliance/jco-transpile"),
        ] {
            let version = lock.version(pinned);
            assert!(version.starts_with(|digit: char| digit.is_ascii_digit()), "{version}");
            let json = |wanted: &str| -> serde_json::Value {
                let (_, content) = files.iter().find(|(path, _)| path == wanted).unwrap();
                serde_json::from_str(content).unwrap()
            };
            let (package, locked) = (json("package.json"), json("package-lock.json"));
            assert_eq!(package["devDependencies"][pinned], version);
            assert_eq!(package["devDependencies"], locked["packages"][""]["devDependencies"]);
            assert_eq!(package["engines"], locked["packages"][""]["engines"]);
            assert_eq!(locked["name"], "too-hot");
            assert_eq!(locked["packages"][""]["name"], "too-hot");
            assert!(!locked.to_string().contains(lock.name));
        }
        assert!(example!("python-flapping/requirements.txt").contains("componentize-py=="));
        assert!(example!("c-dead-band/requirements.txt").contains("ziglang=="));
    }
}
