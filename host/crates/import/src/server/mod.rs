//! Access control, listeners and limits in a broker's configuration.
//!
//! Each broker's reader passes the parts of its configuration that are not about webhooks, as one table. The readers here
//! merge variables into it and take out what hookhost supports, as settings of hookhost:
//!
//! | [`Part`] | settings |
//! | --- | --- |
//! | [`authentication`](ServerSettings::authentication) | `authentication`, `mqtt.allow_anonymous` |
//! | [`rules`](ServerSettings::rules) | `access` |
//! | [`listeners`](ServerSettings::listeners) | `listener`, `mqtt.max_connections` |
//! | [`limits`](ServerSettings::limits) | keys of `mqtt`, such as `max_packet_size` |
//!
//! The host may replace each part by settings of its own. [`Part::lost`] lists unsupported restrictions of clients, unknown
//! keys beside a restriction, and restrictions that no reader took ([`restrictions`]). So an import never permits more than
//! the broker.

mod authentication;
mod authorization;
mod limits;
mod listeners;
mod local;
mod nanomq;
mod plugins;
mod restrictions;
mod rmqtt;
mod service;
mod sources;
#[cfg(test)]
mod tests;
mod web_service;

use std::time::Duration;

use hookhost_settings::{Place, Problem, Report, Section, Setting, Table, UnknownKeys, Value, insert};

use super::{Broker, Sources, summary};
use crate::checks::switch;
use restrictions::Restrictions;
pub(super) use sources::is_variable;
use sources::{broker_of, line, variables_into};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

/// A part of a broker's configuration: the settings of hookhost that it becomes, and what hookhost does not support.
#[derive(Debug, Default)]
pub struct Part {
    /// The settings, with their places in the broker's configuration.
    pub settings: Table,
    /// Restrictions of clients that hookhost does not support. Without them, hookhost permits more than the broker.
    pub lost: Vec<Problem>,
    /// Differences from the broker that do not permit more.
    pub warnings: Vec<Problem>,
}

impl Part {
    fn set(&mut self, path: &[&str], place: &Place, value: Value) {
        insert(&mut self.settings, path, Setting::new(place.clone(), value));
    }

    fn lose(&mut self, place: &Place, text: impl Into<String>) {
        self.lost.push(place.problem(text));
    }

    fn warn(&mut self, place: &Place, text: impl Into<String>) {
        self.warnings.push(place.problem(text));
    }

    /// Adds an element to a list of settings, `authentication` or `listener`.
    fn push(&mut self, list: &str, place: &Place, element: Table) {
        self.push_at(&[list], place, Value::Table(element));
    }

    /// Adds an element to the list at a path, such as `access.order`.
    fn push_at(&mut self, path: &[&str], place: &Place, element: Value) {
        let element = Setting::new(place.clone(), element);
        match hookhost_settings::find_mut(&mut self.settings, path) {
            Some(Setting {
                value: Value::List(list),
                ..
            }) => list.push(element),
            _ => self.set(path, place, Value::List(vec![element])),
        }
    }

    /// Reads a switch. A value that is neither on nor off is lost.
    fn is_on(&mut self, setting: Option<Setting>) -> Option<bool> {
        switch(&setting?).map_err(|problem| self.lost.push(problem)).ok()
    }

    /// Reads one item, such as a source of users. Returns `None` if hookhost does not support a key in it.
    fn item<T>(&mut self, setting: Setting, read: impl FnOnce(&mut Section<'_>) -> Option<T>) -> Option<T> {
        let report = Report::new(UnknownKeys::Problem);
        let value = Section::of(&report, setting).and_then(|mut fields| read(&mut fields));
        let findings = report.finish();
        self.warnings.extend(findings.warnings);
        self.warnings.extend(summary(&findings.ignored));
        let is_good = findings.problems.is_empty();
        self.lost.extend(findings.problems);
        value.filter(|_| is_good)
    }
}

/// The settings of the server.
#[derive(Debug, Default)]
pub struct ServerSettings {
    /// Who may connect.
    pub authentication: Part,
    /// Who may publish and subscribe to what.
    pub rules: Part,
    /// Where clients connect.
    pub listeners: Part,
    /// Limits of clients: settings below `mqtt`.
    pub limits: Part,
}

impl ServerSettings {
    /// Each part.
    pub fn parts(&mut self) -> [&mut Part; 4] {
        [
            &mut self.authentication,
            &mut self.rules,
            &mut self.listeners,
            &mut self.limits,
        ]
    }
}

/// Takes the parts about the server out of a broker's configuration, into [`Sources::server`]. Returns the other parts.
///
/// `parts` is a tree of settings, or has keys with dots: the lines of EMQX 4 and of older versions of NanoMQ.
pub(super) fn take(broker: Broker, parts: Table, sources: &Sources<'_>) -> Table {
    let mut tree = Table::new();
    for (key, setting) in parts {
        line_or_tree(broker, &mut tree, key, setting);
    }
    let mut others = variables_into(broker, &mut tree, sources);
    let mut server = ServerSettings::default();
    match broker {
        Broker::Emqx5 => {
            authentication::emqx5(&mut tree, &mut server.authentication, sources);
            authorization::emqx5(&mut tree, &mut server.rules, sources);
        }
        Broker::Emqx4 => plugins::emqx4(&mut tree, &mut server, sources),
        Broker::Nanomq => nanomq::read(&mut tree, &mut server),
        Broker::Rmqtt => rmqtt::read(&mut server, sources, &mut others),
    }
    listeners::read(broker, &mut tree, &mut server, sources);
    limits::read(&mut tree, &mut server.limits);
    let mut left = Restrictions::default();
    left.parts(&tree);
    for variable in others {
        left.variable(&variable.name, &variable.value, &variable.place);
    }
    left.add_to(&mut server);
    let missing = sources.missing_restrictions.take();
    server.authentication.lost.extend(missing.users);
    server.rules.lost.extend(missing.rules);
    limits::rest(&mut tree, &mut server.limits);
    tree.retain(|name, part| !is_variable(broker, &part.place.key) && !is_handled(name));
    *sources.server.borrow_mut() = server;
    tree
}

/// Reads the variables about the server if no broker has a webhook configuration.
pub(super) fn of_environment(sources: &Sources<'_>) {
    if let Some(broker) = broker_of(sources.environment) {
        drop(take(broker, Table::new(), sources));
    }
}

/// Parts that are only about access control. [`Restrictions`] reports what is left of them.
fn is_handled(name: &str) -> bool {
    matches!(
        name,
        "authentication" | "authorization" | "auth" | "acl" | "allow_anonymous" | "enable_acl_cache"
    ) || name.starts_with("acl_")
}

fn line_or_tree(broker: Broker, tree: &mut Table, key: String, setting: Setting) {
    match broker {
        Broker::Emqx4 | Broker::Nanomq => line(broker, tree, &key, setting),
        _ => drop(tree.insert(key, setting)),
    }
}

/// Puts a setting into a table of settings that a part of a broker's configuration becomes.
fn put(table: &mut Table, key: &str, place: &Place, value: Value) {
    table.insert(key.to_owned(), Setting::new(place.clone(), value));
}

/// An element of `authentication` without settings other than its kind.
fn source(kind: &str, place: &Place) -> Table {
    let mut source = Table::new();
    put(&mut source, "source", place, Value::Text(kind.to_owned()));
    source
}

/// A text with its place, without blanks around it.
fn text(fields: &mut Section<'_>, key: &str) -> Option<(Place, String)> {
    let setting = fields.take(key)?;
    let text = fields.report().check(setting.written())?;
    Some((setting.place, text.trim().to_owned()))
}
