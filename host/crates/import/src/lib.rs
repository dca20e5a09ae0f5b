//! The webhook configuration of EMQX, NanoMQ and RMQTT as settings of hookhost.
//!
//! [`read`] takes a broker's file, the environment, or both, and returns an [`Import`]: the same settings under the names
//! that hookhost has for them, each with the place where the broker's configuration gives it, and all findings. The host
//! checks these settings like any other. [`Convert`] writes them as a configuration file.
//!
//! The keys of a file show which broker it belongs to, because brokers do not agree on file names; the caller may name the
//! broker instead. Variables override the file, as they do with those brokers, and can replace it. A file may also contain
//! only variables.
//!
//! Each broker's module lists its keys and their results:
//!
//! | key | result |
//! | --- | --- |
//! | known, with a meaning here | a setting |
//! | known, without a meaning here | [`Findings::ignored`], and one warning that names all of them |
//! | known, but not supported by hookhost | a warning; an error if other requests would be sent |
//! | unknown | [`Findings::unknown`] |
//!
//! EMQX 5 starts although a rule or webhook has an error. So hookhost leaves out only this rule or webhook
//! ([`Findings::left_out`]), as long as a rule is left. Other errors are [`Findings::problems`].
//!
//! Nothing here reads the environment. Files are read only by the function that the caller passes ([`Input::files`]).

mod broker;
mod canonical;
mod checks;
mod convert;
mod emqx4;
mod emqx5;
mod env_file;
mod events;
mod fit;
mod hocon;
mod includes;
mod nanomq;
mod node;
mod read;
mod recognise;
mod rmqtt;
mod server;
#[cfg(test)]
mod tests;
mod verify;
mod web_hook;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use hookhost_settings::{Files, Findings, Place, Problem, Table};

pub use broker::Broker;
pub use convert::Convert;
use read::{Sources, read_in_full};
pub use server::{Part, ServerSettings};

/// Environment variables by name.
pub type Environment = BTreeMap<String, String>;

/// A file that has been read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextFile {
    /// The path as the user wrote it.
    pub path: PathBuf,
    /// The content.
    pub text: String,
}

const MILLISECOND: Duration = Duration::from_millis(1);
const HOUR: Duration = Duration::from_secs(3600);

/// A broker's configuration.
#[derive(Clone, Copy)]
pub struct Input<'a> {
    /// The broker's file; `None` for the environment alone.
    pub file: Option<&'a TextFile>,
    /// The environment, with variables of other programs.
    pub environment: &'a Environment,
    /// The broker, if the user has named it.
    pub broker: Option<Broker>,
    /// URLs that override those for all rules.
    pub urls: Option<&'a [String]>,
    /// Reads the files that the broker's file includes.
    pub files: &'a Files<'a>,
}

/// A broker's configuration as settings of hookhost.
#[derive(Debug, Default)]
pub struct Import {
    /// The broker; `None` if it is unknown, which is a problem.
    pub broker: Option<Broker>,
    /// The settings, such as `webhook.rule`, with their places in the broker's configuration.
    pub settings: Table,
    /// The place of each rule, by its path here, such as `webhook.rule.message_publish.0`.
    pub origins: BTreeMap<String, Place>,
    /// Problems and warnings; notes are for a converted file.
    pub findings: Findings,
    /// The files that the broker's file includes, also those that do not exist.
    pub included: Vec<PathBuf>,
    /// Access control, listeners and limits.
    pub server: ServerSettings,
}

impl Import {
    fn refused(problem: Problem) -> Import {
        let findings = Findings {
            problems: vec![problem],
            ..Findings::default()
        };
        Import {
            findings,
            ..Import::default()
        }
    }
}

/// The settings, and the place of each rule by its path.
type Settings = (Table, BTreeMap<String, Place>);

/// Reads a broker's configuration: a file, or the variables of one broker. `None` if there is neither.
///
/// A file of an unknown format is a problem, and so are variables of several brokers without a file.
pub fn read(input: &Input<'_>) -> Option<Import> {
    let mut import = read_in_full(input)?;
    import.findings.warnings.extend(summary(&import.findings.ignored));
    Some(import)
}

/// Reads the variables about access control, listeners and limits, for a host without a webhook configuration of a broker.
pub fn server_of_environment(environment: &Environment) -> ServerSettings {
    let sources = Sources {
        file: None,
        variables_in: None,
        variables: Vec::new(),
        environment,
        urls: None,
        files: &|_| Err(std::io::ErrorKind::Unsupported.into()),
        included: RefCell::default(),
        missing_restrictions: RefCell::default(),
        server: RefCell::default(),
    };
    server::of_environment(&sources);
    sources.server.take()
}

/// One warning that names all keys without a meaning.
fn summary(ignored: &[Problem]) -> Option<Problem> {
    let first = &ignored.first()?.place;
    let mut names: Vec<&str> = Vec::new();
    let mut known = BTreeSet::new();
    for problem in ignored {
        let name = match problem.place.is_variable() {
            true => problem.place.key.as_str(),
            false => problem.place.key.rsplit('.').next().unwrap_or_default(),
        };
        if known.insert(name) {
            names.push(name);
        }
    }
    let place = Place {
        key: names.join(", "),
        ..first.clone()
    };
    let verb = if names.len() == 1 { "has" } else { "have" };
    Some(place.problem(format!("{verb} no meaning in hookhost")))
}
