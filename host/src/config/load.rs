//! The files of a configuration, read for [`super::read`].

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use super::file::{self, Time};
use super::{Environment, Flags, Inputs, Loaded, Problem, Refused, Source, TextFile, read_with};
use hookhost_modules::explain;
use hookhost_settings::document::{self, Node, Value};
use hookhost_settings::reader::{Given, Place, file_layer};

/// Reads the files that flags, environment (`HOOKHOST_CONFIG`, `HOOKHOST_WEBHOOK_CONFIG`) or the configuration file
/// itself (`webhook.config`) name and makes a configuration of everything. Blocks while it reads.
///
/// # Errors
///
/// All mistakes, those of [`read`](super::read) and files that cannot be read.
pub fn load(flags: Flags, environment: Environment) -> Result<Loaded, Refused> {
    load_at(Time::Start, flags, environment)
}

/// As [`load`], in a process that does other things meanwhile: all files must be regular ones, because opening others
/// may take forever.
///
/// # Errors
///
/// As [`load`].
pub fn load_again(flags: Flags, environment: Environment) -> Result<Loaded, Refused> {
    load_at(Time::Running, flags, environment)
}

fn load_at(time: Time, flags: Flags, environment: Environment) -> Result<Loaded, Refused> {
    let mut problems = Vec::new();
    let config = named(&flags.config, "--config", &["HOOKHOST_CONFIG"], &environment);
    let config = config.and_then(|(place, path)| text_file(&place, path, time, &mut problems));
    let variables = ["HOOKHOST_WEBHOOK_CONFIG", "HOOKHOST_WEBHOOK__CONFIG"];
    let webhook_file = named(&flags.webhook_config, "--webhook-config", &variables, &environment);
    let webhook_file = webhook_file.or_else(|| named_in(config.as_ref()?));
    let webhook_file = webhook_file.and_then(|(place, path)| text_file(&place, path, time, &mut problems));
    let all_read = problems.is_empty();
    let inputs = Inputs {
        flags,
        environment,
        file: config,
        webhook_file,
    };
    let read = read_with(&inputs, &|path| file::read(path, time));
    // What is secret is read again when it is needed; here it counts that it can be.
    let token = read
        .as_ref()
        .map_or_else(Refused::rest, |loaded| &loaded.config)
        .admin
        .token();
    problems.extend(token.err().map(|error| Problem {
        source: Source::File {
            path: error.path().to_owned(),
            line: None,
        },
        key: "admin.token_file".to_owned(),
        text: explain(&error),
    }));
    match read {
        Ok(loaded) if problems.is_empty() => Ok(loaded),
        Ok(Loaded { config, .. }) => Err(Refused {
            problems,
            rest: Box::new(config),
            has_rules: all_read,
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

/// The file that a flag or one of some variables names.
fn named(
    flag: &Option<PathBuf>,
    flag_name: &str,
    variables: &[&str],
    environment: &Environment,
) -> Option<(Place, PathBuf)> {
    let place = |source, key: &str| Place {
        source,
        key: key.to_owned(),
    };
    let by_flag = flag.clone().map(|path| (place(Source::Flag, flag_name), path));
    let by_variable = || {
        variables.iter().find_map(|variable| {
            let path = environment.get(*variable).filter(|path| !path.is_empty())?;
            Some((place(Source::Environment, variable), PathBuf::from(path)))
        })
    };
    by_flag.or_else(by_variable)
}

/// The webhook file that a configuration file names. What is wrong with either is reported by whoever reads them.
fn named_in(config: &TextFile) -> Option<(Place, PathBuf)> {
    let (table, _) = document::parse(&config.text);
    let (place, given) = file_layer(&config.path, table).remove("webhook.config")?;
    match given {
        Given::Node(Node {
            value: Value::Text(path),
            ..
        }) if !path.is_empty() => Some((place, PathBuf::from(path))),
        _ => None,
    }
}

fn text_file(place: &Place, path: PathBuf, time: Time, problems: &mut Vec<Problem>) -> Option<TextFile> {
    let read = read_utf8(&path, time);
    let cannot = |error| place.problem(format!("cannot read {}: {error}", path.display()));
    let text = read.map_err(|error| problems.push(cannot(error))).ok()?;
    Some(TextFile { path, text })
}

/// Reads a configuration file, which is UTF-8 and at most 4 MiB. Blocks.
///
/// # Errors
///
/// Why it cannot be read.
pub fn read_text(path: PathBuf) -> io::Result<TextFile> {
    let text = read_utf8(&path, Time::Start)?;
    Ok(TextFile { path, text })
}

/// The environment of this process, as far as it is text: a variable that is not cannot be one of ours.
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
        assert_eq!((config.node.id, config.delivery.concurrency_limit), (2, 7));
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
            ["--config: cannot read /dev/zero: it is no regular file"]
        );
    }
}
