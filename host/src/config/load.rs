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
#[path = "load_tests.rs"]
mod tests;
