//! Reads the configuration of one broker: finds the broker, collects its file and variables, and calls its reader.

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use hookhost_settings::{Files, Place, Problem, Report, Setting, UnknownKeys, Value, find, insert};

use super::env_file::{self, Variable};
use super::recognise::{FileKind, by_other_signs, recognise};
use super::{Broker, Environment, Import, Input, ServerSettings};
use super::{emqx4, emqx5, nanomq, node, rmqtt, server, verify};

/// As [`read`](super::read), without the summary of the keys without a meaning.
pub(super) fn read_in_full(input: &Input<'_>) -> Option<Import> {
    match input.file {
        Some(file) => Some(read_file(input, &file.path, &file.text)),
        None => read_variables(input),
    }
}

/// Problems about included files that do not exist and may contain users or access rules.
#[derive(Default)]
pub(super) struct MissingRestrictions {
    pub(super) users: Vec<Problem>,
    pub(super) rules: Vec<Problem>,
}

/// The input of the reader of one broker.
pub(super) struct Sources<'a> {
    /// A file in the broker's own format.
    pub(super) file: Option<(&'a Path, &'a str)>,
    /// A file of variables.
    pub(super) variables_in: Option<&'a Path>,
    /// The strongest last.
    pub(super) variables: Vec<Variable>,
    pub(super) environment: &'a Environment,
    pub(super) urls: Option<&'a [String]>,
    pub(super) files: &'a Files<'a>,
    /// The files that the file includes.
    pub(super) included: RefCell<Vec<PathBuf>>,
    /// Users and access rules in included files that do not exist.
    pub(super) missing_restrictions: RefCell<MissingRestrictions>,
    /// What file and variables say about the server itself.
    pub(super) server: RefCell<ServerSettings>,
}

impl Sources<'_> {
    /// The place of the whole configuration.
    pub(super) fn place(&self) -> Place {
        match self.file.map(|(path, _)| path).or(self.variables_in) {
            Some(path) => Place::line(path, 1, ""),
            None => Place::variable(""),
        }
    }

    pub(super) fn environment(&self, name: &str) -> Option<String> {
        self.environment.get(name).cloned()
    }

    /// The URLs that requests go to if the broker's configuration has this one.
    pub(super) fn urls_instead_of(&self, own: Option<&str>) -> Vec<String> {
        match self.urls {
            Some(urls) => urls.to_vec(),
            None => own.map(str::to_owned).into_iter().collect(),
        }
    }
}

fn read_file(input: &Input<'_>, path: &Path, text: &str) -> Import {
    let kind = match recognise(path, text, input.files) {
        FileKind::Unknown => by_other_signs(text, input.environment).map_or(FileKind::Unknown, FileKind::File),
        kind => kind,
    };
    let (broker, is_variables) = match (kind, input.broker) {
        (FileKind::Own, None) => {
            let text = "is a configuration of hookhost itself: use --config for it";
            return Import::refused(Problem::of_file(path, text));
        }
        (FileKind::Yaml, _) => {
            let text = "is a compose file or a Kubernetes manifest (YAML): write the variables of the broker into a file of \
                        their own, one NAME=value in each line, and name that file";
            return Import::refused(Problem::of_file(path, text));
        }
        (FileKind::Unknown, None) => {
            let text = "has none of the keys of a configuration of RMQTT, EMQX 4, EMQX 5 or NanoMQ; \
                        --webhook-format says which it is";
            return Import::refused(Problem::of_file(path, text));
        }
        (FileKind::Variables(_), Some(broker)) => (broker, true),
        (_, Some(broker)) => (broker, false),
        (FileKind::Variables(broker), None) => (broker, true),
        (FileKind::File(broker), None) => (broker, false),
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
        missing_restrictions: RefCell::default(),
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
        missing_restrictions: RefCell::default(),
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
