//! `actions.http.NAME`: what a request looks like and how long it is tried; and `bridges.webhook.NAME`, which is both
//! connector and action.

use hookhost_settings::{Place, Report, Section, Table};
use hookhost_shared::nearest::nearest;

use super::super::Sources;
use super::super::checks::{self, text};
use super::connector::{Connector, Connectors, Headers, read_headers};
use super::target::{Target, Targets};
use super::{by_name, item, named, options};

/// What an action adds to its connector.
#[derive(Debug, Clone)]
pub(super) struct Action {
    pub(super) place: Place,
    pub(super) path: Option<String>,
    pub(super) method: Option<String>,
    /// `None` if not given: EMQX then sends headers of its own.
    pub(super) headers: Option<Headers>,
    pub(super) body: Option<String>,
    /// The messages that are sent without a rule.
    pub(super) local_topic: Option<(Place, String)>,
    /// Keys of a destination.
    pub(super) settings: Table,
}

pub(super) fn all(root: &mut Section<'_>, others: &mut Table, connectors: &Connectors, targets: &mut Targets) {
    let report = root.report();
    for (name, setting) in named(root, "actions", ["http", "webhook"], others) {
        let target = item(report, setting, |fields| read(fields, connectors));
        targets.insert(name, target);
    }
}

fn read(mut fields: Section<'_>, connectors: &Connectors) -> Option<Target> {
    let report = fields.report();
    let wanted = fields.take("connector").and_then(|setting| text(report, setting));
    if wanted.is_none() {
        report.problem(
            fields.place(),
            "needs a connector: the name of one below connectors.http",
        );
    }
    let mut action = Action::new(&mut fields);
    if let Some(mut parameters) = fields.section_if_given("parameters") {
        action.path = parameters
            .take("path")
            .and_then(|setting| text(report, setting))
            .map(|(_, path)| path);
        action.request(&mut parameters);
    }
    if let Some(opts) = fields.section_if_given("resource_opts") {
        action.settings.extend(options::read(opts));
    }
    let connector = connector(report, &wanted?, connectors)?;
    Some(Target::new(report, action, connector))
}

/// The connector with a name. `None` if it is missing, which is reported, or disabled or left out.
fn connector<'c>(
    report: &Report,
    (place, wanted): &(Place, String),
    connectors: &'c Connectors,
) -> Option<&'c Connector> {
    if let Some((_, connector)) = by_name(connectors, wanted) {
        if connector.is_none() {
            report.note(place, "is disabled or left out, and so is this action");
        }
        return connector.as_ref();
    }
    let known: Vec<&str> = connectors.keys().map(String::as_str).collect();
    let known = match nearest(wanted, known.iter().copied()) {
        Some(near) => format!("the nearest known one is {near}"),
        None if known.is_empty() => "no connector is defined".to_owned(),
        None => format!("known are {}", known.join(", ")),
    };
    let text = format!("connector `{wanted}` is not defined below connectors.http; {known}");
    report.problem(place, text);
    None
}

/// Adds each bridge as the target of its name.
pub(super) fn bridges(
    root: &mut Section<'_>,
    others: &mut Table,
    connectors: &Connectors,
    targets: &mut Targets,
    sources: &Sources<'_>,
) {
    let report = root.report();
    for (name, setting) in named(root, "bridges", ["webhook", "http"], others) {
        let is_known = targets.contains_key(&name) || connectors.contains_key(&name);
        let target = item(report, setting, |fields| bridge(fields, is_known, sources));
        // The first of two with one name stays.
        if !is_known || target.is_some() {
            targets.insert(name, target);
        }
    }
}

fn bridge(mut fields: Section<'_>, is_known: bool, sources: &Sources<'_>) -> Option<Target> {
    let report = fields.report();
    if is_known {
        report.problem(
            fields.place(),
            "has the name of an action or a connector; EMQX would replace one by the other",
        );
    }
    let connector = Connector::read(&mut fields, sources);
    let mut action = Action::new(&mut fields);
    action.headers = Some(Headers::new());
    action.request(&mut fields);
    fields.ignore(&[("direction", "a bridge for webhooks only sends")]);
    Some(Target::new(report, action, &connector?))
}

impl Action {
    /// Takes the keys that actions and bridges have beside those of a request.
    fn new(fields: &mut Section<'_>) -> Action {
        let report = fields.report();
        let local_topic = fields.take("local_topic").and_then(|setting| text(report, setting));
        let local_topic = local_topic.filter(|(_, topic)| !topic.is_empty());
        let local_topic = local_topic.and_then(|(place, topic)| {
            let topic = checks::topic(report, &place, &topic)?;
            Some((place, topic))
        });
        if let Some(setting) = fields.take("fallback_actions")
            && !setting.is_empty()
        {
            report.warning(
                &setting.place,
                "is ignored: no other action is run if a request fails; the request is retried",
            );
        }
        Action {
            place: fields.place().clone(),
            path: None,
            method: None,
            headers: None,
            body: None,
            local_topic,
            settings: Table::new(),
        }
    }

    /// Takes the keys of a single request.
    fn request(&mut self, fields: &mut Section<'_>) {
        let report = fields.report();
        self.method = fields.take("method").and_then(|setting| {
            let method = report.check(setting.written())?.to_ascii_lowercase();
            if !["post", "put", "get", "delete"].contains(&method.as_str()) {
                report.problem(&setting.place, "should be post, put, get or delete");
                return None;
            }
            Some(method)
        });
        if let Some(setting) = fields.take("headers") {
            self.headers = Some(read_headers(report, setting));
        }
        let body = fields.take("body").and_then(|setting| text(report, setting));
        self.body = body.map(|(_, body)| body);
        fields.ignore(&[
            (
                "max_retries",
                "EMQX 5 ignores it, too; requests are retried for retry_max_elapsed_time",
            ),
            (
                "request_timeout",
                "EMQX 5 ignores it, too; resource_opts.request_ttl is the limit",
            ),
        ]);
    }
}
