//! The webhook configuration of other brokers, read as it is: their files and their environment.
//!
//! A format gives what its file and its variables say as a layer of settings, under the names that those settings
//! have here and with the places where they were found. What is wrong is reported where it stands there; from there on
//! the layer is checked like any other. Which format a file has is told by its keys, as brokers do not agree on file
//! names, unless somebody says so. Variables beat the file, as with those brokers, and are enough without one. A file
//! may also hold nothing but variables.
//!
//! Each format's page lists its keys and what becomes of them. A key is honoured, or named in a warning with the reason.

mod canonical;
mod checks;
mod convert;
mod emqx4;
mod emqx5;
mod env_file;
mod events;
mod hocon;
mod nanomq;
mod recognise;
mod rmqtt;
mod said;
#[cfg(test)]
mod tests;
mod verify;
mod web_hook;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hookhost_settings::document::{Node, Value};
use hookhost_settings::{Given, Layer, Place, Problem, Source};
use recognise::{Kind, recognise};
use said::{Report, Variable};

pub use convert::Convert;

/// Environment variables by name.
pub type Environment = BTreeMap<String, String>;

/// A file that has been read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextFile {
    /// As it was named.
    pub path: PathBuf,
    /// What it holds.
    pub text: String,
}

const MILLISECOND: Duration = Duration::from_millis(1);
const HOUR: Duration = Duration::from_secs(3600);

/// The events of the RMQTT format: what a rule may be written for.
pub const EVENTS: [&str; 15] = [
    "client_connect",
    "client_connack",
    "client_connected",
    "client_disconnected",
    "client_subscribe",
    "client_unsubscribe",
    "session_created",
    "session_terminated",
    "session_subscribed",
    "session_unsubscribed",
    "message_publish",
    "message_delivered",
    "message_acked",
    "message_dropped",
    "offline_message",
];

/// Whose webhook configuration it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// RMQTT's `rmqtt-web-hook.toml`.
    Rmqtt,
    /// EMQX 4: `emqx_web_hook.conf`, or its environment.
    Emqx4,
    /// EMQX 5: HOCON with connectors, actions and rules.
    Emqx5,
    /// NanoMQ: HOCON, or the older lines of `key=value`.
    Nanomq,
}

impl Format {
    /// All of them.
    pub const ALL: [Format; 4] = [Format::Rmqtt, Format::Emqx4, Format::Emqx5, Format::Nanomq];

    /// The name as it is written in a configuration, which is that of its bodies, too.
    pub fn name(self) -> &'static str {
        match self {
            Format::Rmqtt => "rmqtt",
            Format::Emqx4 => "emqx4",
            Format::Emqx5 => "emqx5",
            Format::Nanomq => "nanomq",
        }
    }

    /// The format of that name.
    pub fn from_name(name: &str) -> Option<Format> {
        Format::ALL.into_iter().find(|format| format.name() == name)
    }

    /// Whether a variable is one of this broker's about webhooks.
    fn has_variable(self, name: &str) -> bool {
        match self {
            // RMQTT does not care for case.
            Format::Rmqtt => name.to_ascii_uppercase().starts_with(rmqtt::PREFIX),
            Format::Emqx4 => name.starts_with(emqx4::PREFIX),
            Format::Emqx5 => emqx5::is_variable(name),
            Format::Nanomq => false,
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Format::Rmqtt => "RMQTT",
            Format::Emqx4 => "EMQX 4",
            Format::Emqx5 => "EMQX 5",
            Format::Nanomq => "NanoMQ",
        })
    }
}

/// What a broker's configuration says.
#[derive(Debug, Default)]
pub struct Reading {
    pub layer: Layer,
    /// Where each rule was found, by its key here, such as `webhook.rule.message_publish.0`.
    pub origins: BTreeMap<String, Place>,
    pub problems: Vec<Problem>,
    pub warnings: Vec<Problem>,
    /// What works and is only worth a remark in a conversion.
    pub notes: Vec<Problem>,
}

/// The format that a layer names, as `webhook.config_format`.
pub fn named(layer: &Layer) -> Option<Format> {
    let (Given::Text(text)
    | Given::Node(Node {
        value: Value::Text(text),
        ..
    })) = &layer.get("webhook.config_format")?.1
    else {
        return None;
    };
    Format::from_name(text.trim())
}

/// Makes a broker's settings fit another format of bodies that somebody asks for. Gives what has to be told.
pub fn fit(broker: &mut Layer, format: &Given) -> Option<Problem> {
    let (Given::Text(format)
    | Given::Node(Node {
        value: Value::Text(format),
        ..
    })) = format
    else {
        return None;
    };
    let format = format.trim();
    // Bodies of RMQTT repeat the action of their rule; others have a name of their own for the event.
    if format == Format::Rmqtt.name()
        && let Some((_, Given::Node(node))) = broker.get_mut("webhook.rule")
    {
        with_actions(node);
    }
    if !matches!(format, "rmqtt" | "cloudevents" | "template") {
        return None;
    }
    let (place, _) = broker.remove("webhook.payload_encoding")?;
    Some(place.problem("is ignored: bodies of the format that is asked for have no use for it"))
}

/// Gives each rule without an action the name of its event.
fn with_actions(rules: &mut Node) {
    let Value::Table(events) = &mut rules.value else { return };
    for (event, node) in events {
        let Value::List(list) = &mut node.value else { continue };
        for rule in list {
            let line = rule.line;
            if let Value::Table(fields) = &mut rule.value {
                let action = || Node {
                    line,
                    value: Value::Text(event.clone()),
                };
                fields.entry("action".to_owned()).or_insert_with(action);
            }
        }
    }
}

/// What is to be read.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    pub file: Option<(&'a Path, &'a str)>,
    pub environment: &'a BTreeMap<String, String>,
    /// Somebody has said which format it is.
    pub format: Option<Format>,
    /// URLs that stronger layers give in place of those for all rules.
    pub urls: Option<&'a [String]>,
}

/// What a format reads.
struct Sources<'a> {
    /// A file in the broker's own form.
    file: Option<(&'a Path, &'a str)>,
    /// A file of variables.
    variables_in: Option<&'a Path>,
    /// The strongest last.
    variables: Vec<Variable>,
    environment: &'a BTreeMap<String, String>,
    urls: Option<&'a [String]>,
}

impl Sources<'_> {
    fn path(&self) -> Option<&Path> {
        self.file.map(|(path, _)| path).or(self.variables_in)
    }

    fn environment(&self, name: &str) -> Option<String> {
        self.environment.get(name).cloned()
    }

    /// The URLs that requests will go to when the broker's configuration has this one.
    fn urls_instead_of(&self, own: Option<&str>) -> Vec<String> {
        match self.urls {
            Some(urls) => urls.to_vec(),
            None => own.map(str::to_owned).into_iter().collect(),
        }
    }
}

/// Reads a broker's configuration, if there is one: a file, or variables of one broker. A file that cannot be read is a
/// problem, and so is one in no known format.
pub fn read(request: &Request<'_>) -> Option<(Option<Format>, Reading)> {
    match request.file {
        Some((path, text)) => Some(of_file(request, path, text)),
        None => of_variables(request),
    }
}

fn of_file(request: &Request<'_>, path: &Path, text: &str) -> (Option<Format>, Reading) {
    let refuse = |text: &str| {
        let problems = vec![Problem::of_file(path, text)];
        let reading = Reading {
            problems,
            ..Reading::default()
        };
        (None, reading)
    };
    let kind = recognise(text);
    let (format, in_lines) = match (kind, request.format) {
        (Kind::Own, None) => return refuse("is a configuration of hookhost itself: give it with --config"),
        (Kind::Unknown, None) => {
            return refuse(
                "has none of the keys of a webhook configuration of RMQTT, EMQX 4, EMQX 5 or NanoMQ; \
                 --webhook-format says which it is",
            );
        }
        (Kind::Variables(_), Some(format)) => (format, true),
        (_, Some(format)) => (format, false),
        (Kind::Variables(format), None) => (format, true),
        (Kind::File(format), None) => (format, false),
    };
    let mut report = Report::default();
    let mut variables = Vec::new();
    if in_lines {
        variables = env_file::read(path, text, &mut report);
        for variable in variables.iter().filter(|variable| !format.has_variable(&variable.name)) {
            report.warning(
                &variable.place,
                format!("is ignored: it is not about webhooks of {format}"),
            );
        }
    }
    variables.extend(environment(request.environment, format));
    let sources = Sources {
        file: (!in_lines).then_some((path, text)),
        variables_in: in_lines.then_some(path),
        variables,
        environment: request.environment,
        urls: request.urls,
    };
    for other in Format::ALL.into_iter().filter(|other| *other != format) {
        if let Some(variable) = environment(request.environment, other).into_iter().next() {
            let text = format!(
                "is ignored, and so are others of {other}: {} is of {format}",
                path.display()
            );
            report.warning(&variable.place, text);
        }
    }
    (Some(format), with(report, dispatch(format, &sources)))
}

fn of_variables(request: &Request<'_>) -> Option<(Option<Format>, Reading)> {
    let given = |format: &Format| !environment(request.environment, *format).is_empty();
    let formats: Vec<Format> = match request.format {
        Some(format) => vec![format],
        None => Format::ALL.into_iter().filter(given).collect(),
    };
    let [format] = formats.as_slice() else {
        if formats.is_empty() {
            return None;
        }
        let names: Vec<String> = formats.iter().map(Format::to_string).collect();
        let problem = Problem {
            source: Source::Environment,
            key: String::new(),
            text: format!(
                "has webhook settings of {}: --webhook-format says which of them hold",
                names.join(" and ")
            ),
        };
        let problems = vec![problem];
        let reading = Reading {
            problems,
            ..Reading::default()
        };
        return Some((None, reading));
    };
    if !given(format) {
        return None;
    }
    let sources = Sources {
        file: None,
        variables_in: None,
        variables: environment(request.environment, *format),
        environment: request.environment,
        urls: request.urls,
    };
    Some((Some(*format), dispatch(*format, &sources)))
}

fn dispatch(format: Format, sources: &Sources<'_>) -> Reading {
    let mut reading = match format {
        // Its rules are those of the canonical form, and checked with that.
        Format::Rmqtt => return rmqtt::read(sources),
        Format::Emqx4 => emqx4::read(sources),
        Format::Emqx5 => emqx5::read(sources),
        Format::Nanomq => nanomq::read(sources),
    };
    verify::verify(&mut reading);
    reading
}

/// What was found before a format began to read, before what it has found.
fn with(report: Report, mut reading: Reading) -> Reading {
    reading.problems.splice(0..0, report.problems);
    reading.warnings.splice(0..0, report.warnings);
    reading
}

/// The variables of a format, by name.
fn environment(environment: &BTreeMap<String, String>, format: Format) -> Vec<Variable> {
    let own = environment.iter().filter(|(name, _)| format.has_variable(name));
    let variables = own.map(|(name, value)| Variable {
        name: name.clone(),
        value: value.clone(),
        place: Place {
            source: Source::Environment,
            key: name.clone(),
        },
    });
    variables.collect()
}
