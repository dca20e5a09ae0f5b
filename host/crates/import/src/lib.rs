//! The webhook configuration of EMQX, NanoMQ and RMQTT as settings of hookhost.
//!
//! [`read`] takes a broker's file, the environment, or both, and returns an [`Import`]: the same settings under the names
//! that hookhost has for them, each with the place where the broker's configuration gives it, and all findings. The host
//! checks these settings like any other. [`Convert`] writes them as a configuration file.
//!
//! The keys of a file tell which broker it belongs to, because brokers do not agree on file names; the caller may name the
//! broker instead. Variables override the file, as they do with those brokers, and are enough without one. A file may
//! also hold nothing but variables.
//!
//! Each broker's module lists its keys and their results:
//!
//! | key | result |
//! | --- | --- |
//! | known, with a meaning here | a setting |
//! | known, without a meaning here | [`Findings::ignored`], and one warning that names all of them |
//! | known, and hookhost cannot carry out what it asks for | a warning; a mistake if other requests would be sent |
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
mod recognise;
mod rmqtt;
mod server;
#[cfg(test)]
mod tests;
mod verify;
mod web_hook;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use hookhost_settings::{Files, Findings, Place, Problem, Report, Setting, Table, UnknownKeys, Value, find, insert};

pub use broker::Broker;
pub use convert::Convert;
use env_file::Variable;
use recognise::{Kind, by_other_signs, recognise};
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
    /// What file and environment say about the server itself: access control and listeners.
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

/// Settings and, by their paths, the places of rules.
type Settings = (Table, BTreeMap<String, Place>);

/// Reads a broker's configuration: a file, or the variables of one broker. `None` if there is neither.
///
/// A file of an unknown format is a problem, and so are variables of several brokers without a file.
pub fn read(input: &Input<'_>) -> Option<Import> {
    let mut import = read_in_full(input)?;
    import.findings.warnings.extend(summary(&import.findings.ignored));
    Some(import)
}

/// What variables of brokers say about access control, if there is no webhook configuration of any broker.
pub fn server_of_environment(environment: &Environment) -> ServerSettings {
    let sources = Sources {
        file: None,
        variables_in: None,
        variables: Vec::new(),
        environment,
        urls: None,
        files: &|_| Err(std::io::ErrorKind::Unsupported.into()),
        included: RefCell::default(),
        server: RefCell::default(),
    };
    server::of_environment(&sources);
    sources.server.take()
}

/// As [`read`], without the warning that sums up the keys without a meaning.
fn read_in_full(input: &Input<'_>) -> Option<Import> {
    match input.file {
        Some(file) => Some(read_file(input, &file.path, &file.text)),
        None => read_variables(input),
    }
}

/// The input of the reader of one broker.
struct Sources<'a> {
    /// A file in the broker's own format.
    file: Option<(&'a Path, &'a str)>,
    /// A file of variables.
    variables_in: Option<&'a Path>,
    /// The strongest last.
    variables: Vec<Variable>,
    environment: &'a Environment,
    urls: Option<&'a [String]>,
    files: &'a Files<'a>,
    /// The files that the file includes.
    included: RefCell<Vec<PathBuf>>,
    /// What file and variables say about the server itself.
    server: RefCell<ServerSettings>,
}

impl Sources<'_> {
    /// The place of the whole configuration.
    fn place(&self) -> Place {
        match self.file.map(|(path, _)| path).or(self.variables_in) {
            Some(path) => Place::line(path, 1, ""),
            None => Place::variable(""),
        }
    }

    fn environment(&self, name: &str) -> Option<String> {
        self.environment.get(name).cloned()
    }

    /// The URLs that requests go to if the broker's configuration has this one.
    fn urls_instead_of(&self, own: Option<&str>) -> Vec<String> {
        match self.urls {
            Some(urls) => urls.to_vec(),
            None => own.map(str::to_owned).into_iter().collect(),
        }
    }
}

fn read_file(input: &Input<'_>, path: &Path, text: &str) -> Import {
    let kind = match recognise(path, text, input.files) {
        Kind::Unknown => by_other_signs(text, input.environment).map_or(Kind::Unknown, Kind::File),
        kind => kind,
    };
    let (broker, is_variables) = match (kind, input.broker) {
        (Kind::Own, None) => {
            let text = "is a configuration of hookhost itself: use --config for it";
            return Import::refused(Problem::of_file(path, text));
        }
        (Kind::Unknown, None) => {
            let text = "has none of the keys of a configuration of RMQTT, EMQX 4, EMQX 5 or NanoMQ; \
                        --webhook-format says which it is";
            return Import::refused(Problem::of_file(path, text));
        }
        (Kind::Variables(_), Some(broker)) => (broker, true),
        (_, Some(broker)) => (broker, false),
        (Kind::Variables(broker), None) => (broker, true),
        (Kind::File(broker), None) => (broker, false),
    };
    let report = Report::new(UnknownKeys::Listed);
    let mut variables = Vec::new();
    if is_variables {
        variables = env_file::read(path, text, &report);
        let is_other = |variable: &&Variable| {
            let name = &variable.name;
            !broker.has_variable(name)
                && !node::VARIABLES.contains(&name.as_str())
                && !server::is_variable(broker, name)
        };
        let others = variables.iter().filter(is_other);
        let others: Vec<&Variable> = others.collect();
        if let Some(first) = others.first() {
            let names: Vec<&str> = others.iter().map(|variable| variable.name.as_str()).collect();
            let verb = if names.len() == 1 { "is" } else { "are" };
            let place = Place {
                key: names.join(", "),
                ..first.place.clone()
            };
            report.warning(&place, format!("{verb} ignored: {broker} has no such webhook settings"));
        }
    }
    variables.extend(variables_of(broker, input.environment));
    let sources = Sources {
        file: (!is_variables).then_some((path, text)),
        variables_in: is_variables.then_some(path),
        variables,
        environment: input.environment,
        urls: input.urls,
        files: input.files,
        included: RefCell::default(),
        server: RefCell::default(),
    };
    for other in Broker::ALL.into_iter().filter(|other| *other != broker) {
        if let Some(variable) = variables_of(other, input.environment).first() {
            let text = format!(
                "is ignored, and so are all webhook settings of {other}: {} is of {broker}",
                path.display()
            );
            report.warning(&variable.place, text);
        }
    }
    import(broker, &sources, report)
}

fn read_variables(input: &Input<'_>) -> Option<Import> {
    let is_given = |broker: &Broker| !variables_of(*broker, input.environment).is_empty();
    let brokers: Vec<Broker> = match input.broker {
        Some(broker) => vec![broker],
        None => Broker::ALL.into_iter().collect(),
    };
    let brokers: Vec<Broker> = brokers.into_iter().filter(is_given).collect();
    let [broker] = brokers.as_slice() else {
        let names: Vec<String> = brokers.iter().map(Broker::to_string).collect();
        let text = format!(
            "has webhook settings of {}: --webhook-format says which of them to use",
            names.join(" and ")
        );
        let problem = Place::variable("").problem(text);
        return (!brokers.is_empty()).then(|| Import::refused(problem));
    };
    let sources = Sources {
        file: None,
        variables_in: None,
        variables: variables_of(*broker, input.environment),
        environment: input.environment,
        urls: input.urls,
        files: input.files,
        included: RefCell::default(),
        server: RefCell::default(),
    };
    Some(import(*broker, &sources, Report::new(UnknownKeys::Listed)))
}

fn import(broker: Broker, sources: &Sources<'_>, report: Report) -> Import {
    let (mut settings, origins) = match broker {
        Broker::Rmqtt => rmqtt::read(sources, &report),
        Broker::Emqx4 => emqx4::read(sources, &report),
        Broker::Emqx5 => emqx5::read(sources, &report),
        Broker::Nanomq => nanomq::read(sources, &report),
    };
    if matches!(broker, Broker::Emqx4 | Broker::Emqx5) {
        let variables: Vec<Variable> = sources
            .variables
            .iter()
            .cloned()
            .chain(node::of_environment(sources.environment))
            .collect();
        if let Some((place, name)) = node::of_variables(&variables) {
            insert(&mut settings, &["node", "name"], Setting::new(place, Value::Text(name)));
        }
        if let Some(most) = sources
            .environment("EMQX_MQTT__MAX_INFLIGHT")
            .filter(|most| !most.trim().is_empty())
        {
            let place = Place::variable("EMQX_MQTT__MAX_INFLIGHT");
            insert(
                &mut settings,
                &["mqtt", "max_inflight"],
                Setting::new(place, Value::Untyped(most)),
            );
        }
    }
    // RMQTT's rules have hookhost's own form, and the built-in module checks them; those of EMQX 5 are checked one by one.
    if matches!(broker, Broker::Emqx4 | Broker::Nanomq) {
        verify::verify(&settings, &origins, &report);
    }
    let mut findings = report.finish();
    // Without any rule there is nothing that could start.
    let rules = find(&settings, &["webhook", "rule"]).map(|setting| &setting.value);
    if matches!(rules, Some(Value::Table(rules)) if rules.is_empty()) {
        findings.problems.append(&mut findings.left_out);
    }
    Import {
        broker: Some(broker),
        settings,
        origins,
        findings,
        included: sources.included.take(),
        server: sources.server.take(),
    }
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

/// The variables of a broker, by name.
fn variables_of(broker: Broker, environment: &Environment) -> Vec<Variable> {
    let own = environment.iter().filter(|(name, _)| broker.has_variable(name));
    let variables = own.map(|(name, value)| Variable {
        name: name.clone(),
        value: env_file::without_empty_quotes(value).to_owned(),
        place: Place::variable(name),
    });
    variables.collect()
}
