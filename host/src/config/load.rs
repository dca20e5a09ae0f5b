//! Reads the files of a configuration, for [`super::read`].

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use hookhost_settings::{Place, Problem, document, error_line, find};

use super::file::{self, Time};
use super::{Environment, Flags, Inputs, Loaded, Refused, TextFile, read_with};
use crate::admin::TokenFrom;

/// The default configuration file, in the current folder.
const DEFAULT_FILE: &str = "hookhost.toml";

/// The variables that name the configuration file.
const CONFIG_VARIABLES: [&str; 1] = ["HOOKHOST_CONFIG"];

/// The configuration file of the current folder, `hookhost.toml`, if it exists and neither flags nor environment name
/// another one.
pub fn default_file(flags: &Flags, environment: &Environment) -> Option<PathBuf> {
    let path = PathBuf::from(DEFAULT_FILE);
    let is_named = named(&flags.config, "--config", &CONFIG_VARIABLES, environment).is_some();
    (!is_named && path.exists()).then_some(path)
}

/// Reads the files that flags, environment (`HOOKHOST_CONFIG`, `HOOKHOST_WEBHOOK_CONFIG`) and the configuration file
/// (`webhook.config`) name, and makes a configuration of all of them. Blocks.
///
/// # Errors
///
/// All errors: those of [`read`](super::read), and files that cannot be read.
pub fn load(flags: Flags, environment: Environment) -> Result<Loaded, Refused> {
    let inputs = Inputs {
        flags,
        environment,
        ..Inputs::default()
    };
    load_at(Time::Start, inputs)
}

/// As [`load`], in a running host: all files must be regular files, because opening others may block forever. `inputs`
/// contains everything but the configuration file and the webhook file.
///
/// # Errors
///
/// As [`load`].
pub fn load_again(inputs: Inputs) -> Result<Loaded, Refused> {
    load_at(Time::Running, inputs)
}

fn load_at(time: Time, inputs: Inputs) -> Result<Loaded, Refused> {
    let Inputs { flags, environment, .. } = &inputs;
    let mut problems = Vec::new();
    if time == Time::Start {
        problems.extend(missing_modules(flags));
    }
    let config = named(&flags.config, "--config", &CONFIG_VARIABLES, environment);
    let default = || {
        let path = flags.default_config.clone()?;
        Some((Place::file(path.as_path()), path))
    };
    let config = config.or_else(default);
    let config = config.and_then(|(place, path)| text_file(&place, path, time, &mut problems));
    let variables = ["HOOKHOST_WEBHOOK_CONFIG", "HOOKHOST_WEBHOOK__CONFIG"];
    let webhook_file = named(&flags.webhook_config, "--webhook-config", &variables, environment);
    let webhook_file = webhook_file.or_else(|| named_in(config.as_ref()?));
    let webhook_file = webhook_file.and_then(|(place, path)| text_file(&place, path, time, &mut problems));
    let all_read = problems.is_empty();
    let inputs = Inputs {
        file: config,
        webhook_file,
        ..inputs
    };
    let read = read_with(&inputs, &|path| file::read(path, time));
    // The tokens are read again when they are needed; this reports a file that cannot be read.
    let admin = &read.as_ref().map_or_else(Refused::rest, |loaded| &loaded.config).admin;
    problems.extend(admin.tokens().err().map(|error| {
        let is_viewer = admin.viewer_token == Some(TokenFrom::File(error.path().to_owned()));
        let key = if is_viewer {
            "admin.viewer_token_file"
        } else {
            "admin.token_file"
        };
        Place::file(error.path()).below(key).problem(error_line(&error))
    }));
    match read {
        Ok(loaded) if problems.is_empty() => Ok(loaded),
        Ok(Loaded { config, files, .. }) => Err(Refused {
            problems,
            rest: Box::new(config),
            has_rules: all_read,
            files,
        }),
        Err(refused) => {
            problems.extend(refused.problems);
            Err(Refused {
                problems,
                has_rules: refused.has_rules && all_read,
                ..refused
            })
        }
    }
}

/// The folder that `--modules` names must exist. The folder of a setting may appear later, because a service may start
/// before its modules are installed.
fn missing_modules(flags: &Flags) -> Option<Problem> {
    let dir = flags.modules.as_ref().filter(|dir| !dir.is_dir())?;
    let text = if dir.exists() {
        format!(
            "{} is not a folder; name the folder that holds the modules",
            dir.display()
        )
    } else {
        format!(
            "there is no folder {}; make it first, or leave --modules out",
            dir.display()
        )
    };
    Some(Place::flag("--modules").problem(text))
}

/// The file that a flag or one of some variables names.
fn named(
    flag: &Option<PathBuf>,
    flag_name: &str,
    variables: &[&str],
    environment: &Environment,
) -> Option<(Place, PathBuf)> {
    let by_flag = flag.clone().map(|path| (Place::flag(flag_name), path));
    let by_variable = || {
        variables.iter().find_map(|variable| {
            let path = environment.get(*variable).filter(|path| !path.is_empty())?;
            Some((Place::variable(*variable), PathBuf::from(path)))
        })
    };
    by_flag.or_else(by_variable)
}

/// The webhook file that a configuration file names. Errors in both are reported when they are read.
fn named_in(config: &TextFile) -> Option<(Place, PathBuf)> {
    let (table, _) = document::parse(&config.path, &config.text);
    let setting = find(&table, &["webhook", "config"])?;
    let path = setting.as_text().filter(|path| !path.is_empty())?;
    Some((setting.place.clone(), PathBuf::from(path)))
}

fn text_file(place: &Place, path: PathBuf, time: Time, problems: &mut Vec<Problem>) -> Option<TextFile> {
    let read = read_utf8(&path, time);
    let cannot = |error| place.problem(format!("cannot read {}: {error}", path.display()));
    let text = read.map_err(|error| problems.push(cannot(error))).ok()?;
    Some(TextFile { path, text })
}

/// Reads a configuration file, which is UTF-8 and at most 32 MiB. Blocks.
///
/// # Errors
///
/// It cannot be read.
pub fn read_text(path: PathBuf) -> io::Result<TextFile> {
    let text = read_utf8(&path, Time::Start)?;
    Ok(TextFile { path, text })
}

/// Reads a file that a configuration includes: at most 4 MiB. Blocks.
///
/// # Errors
///
/// It cannot be read.
pub fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    file::read(path, Time::Start)
}

/// The environment of this process. Variables that are not UTF-8 are left out: they cannot be settings.
pub fn environment() -> Environment {
    let text = |text: OsString| text.into_string().ok();
    std::env::vars_os()
        .filter_map(|(name, value)| Some((text(name)?, text(value)?)))
        .collect()
}

fn read_utf8(path: &Path, time: Time) -> io::Result<String> {
    String::from_utf8(file::read(path, time)?).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "not UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(flags: Flags, environment: Environment) -> Vec<String> {
        load(flags, environment)
            .unwrap_err()
            .problems
            .iter()
            .map(Problem::to_string)
            .collect()
    }

    #[test]
    fn files_are_named_by_flags_or_environment() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str, text: &str| {
            let path = dir.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let (one, two) = (path("one", "node.id = 1"), path("two", "node.id = 2"));
        let hooks = path("hooks", "concurrency_limit = 7");
        let environment = Environment::from([
            ("HOOKHOST_CONFIG".to_owned(), two.display().to_string()),
            ("HOOKHOST_WEBHOOK_CONFIG".to_owned(), hooks.display().to_string()),
        ]);
        let config = load(Flags::default(), environment.clone()).unwrap().config;
        assert_eq!((config.node.id, config.delivery.terms.concurrency_limit), (2, 7));
        let flags = Flags {
            config: Some(one),
            ..Flags::default()
        };
        assert_eq!(load(flags, environment).unwrap().config.node.id, 1);
    }

    #[test]
    fn a_file_that_cannot_be_read_hides_no_other_mistake() {
        let dir = tempfile::tempdir().unwrap();
        let latin = dir.path().join("latin");
        std::fs::write(&latin, b"\xff").unwrap();
        let flags = Flags {
            config: Some("/nowhere/at/all".into()),
            webhook_config: Some(latin.clone()),
            listen: Some("x".to_owned()),
            ..Flags::default()
        };
        let shown = problems(flags, Environment::default());
        assert_eq!(
            shown[0],
            "--config: cannot read /nowhere/at/all: No such file or directory (os error 2)"
        );
        assert_eq!(
            shown[1],
            format!("--webhook-config: cannot read {}: not UTF-8", latin.display())
        );
        assert!(shown[2].starts_with("--listen: should be an address"), "{shown:?}");
        assert_eq!(shown.len(), 3);

        let flags = Flags {
            config: Some("/dev/zero".into()),
            ..Flags::default()
        };
        assert_eq!(
            problems(flags, Environment::default()),
            ["--config: cannot read /dev/zero: it is not a regular file"]
        );
    }

    #[test]
    fn a_modules_folder_of_the_command_line_has_to_be_there() {
        let dir = tempfile::tempdir().unwrap();
        let (missing, file) = (dir.path().join("nosuch"), dir.path().join("file"));
        std::fs::write(&file, "").unwrap();
        let told = |modules: &Path| {
            let flags = Flags {
                modules: Some(modules.to_owned()),
                ..Flags::default()
            };
            load(flags.clone(), Environment::default()).err().map(|refused| {
                let inputs = Inputs {
                    flags,
                    ..Inputs::default()
                };
                assert!(load_again(inputs).is_ok(), "a running host keeps running");
                refused.problems.iter().map(Problem::to_string).collect::<Vec<_>>()
            })
        };
        assert_eq!(told(dir.path()), None);
        let expected = format!(
            "--modules: there is no folder {}; make it first, or leave --modules out",
            missing.display()
        );
        assert_eq!(told(&missing), Some(vec![expected]));
        let expected = format!(
            "--modules: {} is not a folder; name the folder that holds the modules",
            file.display()
        );
        assert_eq!(told(&file), Some(vec![expected]));
        // A setting may name a folder that appears later.
        let config = dir.path().join("h.toml");
        std::fs::write(
            &config,
            format!("[modules]\ndir = {:?}\n", missing.display().to_string()),
        )
        .unwrap();
        let flags = Flags {
            config: Some(config),
            ..Flags::default()
        };
        assert!(load(flags, Environment::default()).is_ok());
    }

    #[test]
    fn a_default_file_that_was_read_has_to_stay() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("hookhost.toml");
        let flags = Flags {
            default_config: Some(path.clone()),
            ..Flags::default()
        };
        std::fs::write(&path, "node.id = 5").unwrap();
        assert_eq!(load(flags.clone(), Environment::default()).unwrap().config.node.id, 5);
        std::fs::remove_file(&path).unwrap();
        let shown = problems(flags, Environment::default());
        assert_eq!(shown.len(), 1, "{shown:?}");
        assert!(shown[0].contains("hookhost.toml: No such file"), "{shown:?}");
    }
}
