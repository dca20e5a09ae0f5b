//! The files of a module under trial, in any folder.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

use bytes::Bytes;
use serde_json::Value;

use super::Trial;
use crate::folder::{self, Content, FileHash, Files, MAX_TOML_BYTES, MAX_WASM_BYTES, ModuleName};
use crate::load::{Compiled, LoadError, Loader, ModuleSource};
use crate::{ReloadableSettings, Settings};
use hookhost_kv::{Kv, KvBounds};
use hookhost_settings::{Problem, Source};
use hookhost_wasm::{Anatomy, Component, Engine};

/// A module's file and its settings, already read.
pub struct Subject {
    name: ModuleName,
    wasm: (PathBuf, Content),
    settings: Option<(PathBuf, Content)>,
}

impl Subject {
    /// Reads a `.wasm` and its settings: a `.toml` as in the modules folder, or a `.json` with the content of its
    /// `[config]`.
    ///
    /// Without `settings`, reads the `.toml` of the same name beside the `.wasm`, if it exists.
    ///
    /// # Errors
    ///
    /// Unreadable files, and JSON that is not valid as settings.
    pub fn read(wasm: &Path, settings: Option<&Path>) -> Result<Subject, LoadError> {
        let content = read(wasm, MAX_WASM_BYTES)?;
        let settings = match settings {
            Some(path) => {
                let content = read(path, MAX_TOML_BYTES)?;
                let content = if is_json(path) {
                    from_json(path, &content)?
                } else {
                    content
                };
                Some((path.to_owned(), content))
            }
            None => {
                let beside = wasm.with_extension("toml");
                folder::read(&beside, MAX_TOML_BYTES).map(|content| (beside, content))
            }
        };
        Ok(Subject {
            name: name(wasm),
            wasm: (wasm.to_owned(), content),
            settings,
        })
    }

    /// Bytes of the `.wasm`.
    pub fn size(&self) -> usize {
        usize::try_from(self.wasm.1.size).unwrap_or(usize::MAX)
    }

    /// The name under which the module is loaded: its file name, changed to a valid module name.
    pub fn name(&self) -> String {
        self.name.to_string()
    }

    /// The source of its settings, if it has any.
    pub fn settings(&self) -> Option<&Path> {
        self.settings.as_ref().map(|(path, _)| path.as_path())
    }

    /// Compiles the module and describes its interface.
    ///
    /// # Errors
    ///
    /// If the file is not a component or does not compile.
    pub fn examine(&self, engine: &Engine) -> Result<Anatomy, LoadError> {
        engine
            .examine(&self.wasm.1.held())
            .map_err(|source| self.code_error(source))
    }

    /// The error in the code, in the words of a host.
    pub fn code_error(&self, source: hookhost_wasm::LoadError) -> LoadError {
        let file = self.wasm.0.display().to_string();
        LoadError::Code { file, source }
    }

    /// Makes an instance and configures it, as a host with these settings does. `component` is the result of
    /// [`examine`](Subject::examine) for the file with the same engine.
    ///
    /// # Errors
    ///
    /// As for a host: invalid settings, an invalid configuration, a module that does not start, and more.
    pub fn load(&self, component: Component, engine: Engine, settings: Settings) -> Result<Trial, LoadError> {
        let settings = Settings {
            dir: self.wasm.0.parent().map(Path::to_owned),
            reloadable: ReloadableSettings {
                webhook_config: Value::Object(serde_json::Map::new()),
                places: Default::default(),
                ..settings.reloadable
            },
            ..settings
        };
        let files = Files {
            wasm: Some(self.wasm.1.clone()),
            toml: self.settings.as_ref().map(|(_, content)| content.clone()),
        };
        let compiled = Compiled::of(&self.wasm.1, component);
        let loader = Loader::new(engine, settings);
        let start = Instant::now();
        let loaded = loader.load(ModuleSource {
            name: &self.name,
            files: &files,
            number: 1,
            kv: &Kv::new(KvBounds::default()),
            compiled: Some(&compiled),
        });
        let loaded = loaded.map_err(|error| self.renamed(error))?;
        Ok(Trial::new(self.name.shared(), loaded, start.elapsed()))
    }

    /// The loader names the files after the module. These files may have other names.
    fn renamed(&self, mut error: LoadError) -> LoadError {
        match &mut error {
            LoadError::Settings { problems } => self.replaced(problems),
            LoadError::Refused { file, problems, .. } => {
                *file = self.wasm.0.display().to_string();
                self.replaced(problems);
            }
            LoadError::Code { file, .. } | LoadError::Configure { file, .. } | LoadError::Interests { file, .. } => {
                *file = self.wasm.0.display().to_string()
            }
            _ => {}
        }
        error
    }

    /// Errors in settings name the given file. If that file is JSON, the line numbers do not apply to it.
    fn replaced(&self, problems: &mut [Problem]) {
        let Some((given, _)) = &self.settings else { return };
        for problem in problems {
            if let Source::File { path, line } = &mut problem.place.source {
                *path = given.as_path().into();
                *line = line.filter(|_| !is_json(given));
            }
        }
    }
}

/// The file name without its extension. Characters that are invalid in a module name are replaced.
fn name(wasm: &Path) -> ModuleName {
    let stem = wasm
        .file_stem()
        .map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
    let fit = |character: char| match character {
        'a'..='z' | 'A'..='Z' | '0'..='9' | '_' | '-' => character,
        _ => '-',
    };
    let name: String = stem.chars().map(fit).collect();
    // The fallback is the built-in module's name, which is always valid.
    name.parse().unwrap_or_else(|_| ModuleName::webhook())
}

fn is_json(settings: &Path) -> bool {
    settings.extension() == Some(OsStr::new("json"))
}

fn read(path: &Path, limit: u64) -> Result<Content, LoadError> {
    let file = || path.display().to_string();
    let unreadable = |kind| LoadError::Unreadable { file: file(), kind };
    let content = folder::read(path, limit).ok_or_else(|| {
        let is_dir = path.is_dir();
        unreadable(if is_dir {
            io::ErrorKind::IsADirectory
        } else {
            io::ErrorKind::NotFound
        })
    })?;
    match content.hash {
        FileHash::Content(_) => Ok(content),
        FileHash::TooLarge(bytes) => Err(LoadError::TooLarge {
            file: file(),
            bytes,
            limit,
        }),
        FileHash::Unreadable(kind) => Err(unreadable(kind)),
    }
}

/// Settings whose `[config]` was written as JSON.
fn from_json(path: &Path, content: &Content) -> Result<Content, LoadError> {
    let problem = |text: String| LoadError::Settings {
        problems: vec![Problem::of_file(path, text)],
    };
    let config: Value =
        serde_json::from_slice(&content.held()).map_err(|error| problem(format!("is not JSON: {error}")))?;
    if !config.is_object() {
        return Err(problem("must be an object, the module's configuration".to_owned()));
    }
    let config = toml::Value::try_from(config).map_err(|error| {
        problem(format!(
            "cannot be the [config] of a module's settings, which are TOML: {error}"
        ))
    })?;
    let settings = toml::Table::from_iter([("config".to_owned(), config)]);
    Ok(Content::of(Bytes::from(settings.to_string())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_modules() {
        for (path, expected) in [
            ("modules/too-hot.wasm", "too-hot"),
            ("target/release/too_hot.wasm", "too_hot"),
            ("x.v2.wasm", "x-v2"),
            ("grüße.wasm", "gr--e"),
        ] {
            assert_eq!(name(Path::new(path)).to_string(), expected);
        }
    }

    #[test]
    fn json_is_what_stands_in_config() {
        let read = |text: &str| {
            from_json(
                Path::new("c.json"),
                &Content::of(Bytes::copy_from_slice(text.as_bytes())),
            )
        };
        let content = read(r#"{"url":"http://h/","n":1.5,"deep":[{"a":true}]}"#).unwrap();
        let table: toml::Table = std::str::from_utf8(&content.held()).unwrap().parse().unwrap();
        assert_eq!(table["config"]["url"].as_str(), Some("http://h/"));
        assert_eq!(table["config"]["deep"][0]["a"].as_bool(), Some(true));
        for (text, words) in [
            ("[]", "must be an object"),
            ("{", "c.json: is not JSON"),
            (r#"{"a":null}"#, "cannot be the [config]"),
        ] {
            let error = read(text).err().unwrap().to_string();
            assert!(error.contains(words), "{error}");
        }
    }
}
