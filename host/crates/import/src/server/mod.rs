//! What a broker's configuration says about the server itself: who may connect, who may do what, and where clients connect.
//!
//! Each broker's reader hands over the parts of its configuration that are not about webhooks, as one table. Variables are
//! merged into it. The readers here take out of the table what hookhost can carry out, as settings of hookhost:
//!
//! | [`Part`] | settings |
//! | --- | --- |
//! | [`authentication`](ServerSettings::authentication) | `authentication`, `mqtt.allow_anonymous` |
//! | [`rules`](ServerSettings::rules) | `access` |
//! | [`listeners`](ServerSettings::listeners) | `listener`, `mqtt.max_connections` |
//!
//! The host may replace each part as a whole by settings of its own. What restricts clients and cannot be carried out is in
//! [`Part::lost`], so that no configuration becomes more open by being imported: an unknown key beside a restriction is lost
//! as well, and what no reader has taken is searched for restrictions ([`restrictions`]).

mod authentication;
mod authorization;
mod limits;
mod listeners;
mod nanomq;
mod plugins;
mod restrictions;
mod service;
mod sources;

use std::time::Duration;

use hookhost_settings::{Place, Problem, Report, Section, Setting, Table, UnknownKeys, Value, insert};

use super::{Broker, Sources};
use restrictions::Restrictions;
pub(super) use sources::is_variable;
use sources::{broker_of, line, variables_into};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

/// Settings of hookhost that a broker's configuration gives, and what of it hookhost cannot carry out.
#[derive(Debug, Default)]
pub struct Part {
    /// The settings, with their places in the broker's configuration.
    pub settings: Table,
    /// What restricts clients and cannot be carried out. Clients would be allowed more than in the broker.
    pub lost: Vec<Problem>,
    /// What is different here and does not allow clients more.
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
        self.push_at(&[list], place, element);
    }

    fn push_at(&mut self, path: &[&str], place: &Place, element: Table) {
        let element = Setting::new(place.clone(), Value::Table(element));
        match hookhost_settings::find_mut(&mut self.settings, path) {
            Some(Setting {
                value: Value::List(list),
                ..
            }) => list.push(element),
            _ => self.set(path, place, Value::List(vec![element])),
        }
    }

    /// Reads one item, such as a source of users. `None` if anything in it cannot be carried out: an unknown key, too.
    fn item<T>(&mut self, setting: Setting, read: impl FnOnce(&mut Section<'_>) -> Option<T>) -> Option<T> {
        let report = Report::new(UnknownKeys::Problem);
        let value = Section::of(&report, setting).and_then(|mut fields| read(&mut fields));
        let findings = report.finish();
        self.warnings.extend(findings.warnings);
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

/// Takes out of a broker's configuration what is about the server. Returns the parts that are left.
///
/// `parts` is a tree of settings, or has keys with dots: the lines of EMQX 4 and of older versions of NanoMQ.
pub(super) fn take(broker: Broker, parts: Table, sources: &Sources<'_>) -> Table {
    let mut tree = Table::new();
    for (key, setting) in parts {
        line_or_tree(broker, &mut tree, key, setting);
    }
    let others = variables_into(broker, &mut tree, sources);
    let mut server = ServerSettings::default();
    match broker {
        Broker::Emqx5 => {
            authentication::emqx5(&mut tree, &mut server.authentication, sources);
            authorization::emqx5(&mut tree, &mut server.rules, sources);
        }
        Broker::Emqx4 => plugins::emqx4(&mut tree, &mut server, sources),
        Broker::Nanomq => nanomq::read(&mut tree, &mut server),
        Broker::Rmqtt => {}
    }
    listeners::read(broker, &mut tree, &mut server);
    limits::read(&mut tree, &mut server.limits);
    let mut left = Restrictions::default();
    left.parts(&tree);
    for variable in others {
        left.variable(&variable.name, &variable.value, &variable.place);
    }
    left.add_to(&mut server);
    tree.retain(|name, part| !is_variable(broker, &part.place.key) && !is_handled(name));
    *sources.server.borrow_mut() = server;
    tree
}

/// What the variables of an environment say about the server if there is no webhook configuration of any broker.
pub(super) fn of_environment(sources: &Sources<'_>) {
    if let Some(broker) = broker_of(sources.environment) {
        drop(take(broker, Table::new(), sources));
    }
}

/// Parts that are about access control alone: what is left of them is reported as a restriction, if it is one.
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

/// A text with its place, without blanks around it.
fn text(fields: &mut Section<'_>, key: &str) -> Option<(Place, String)> {
    let setting = fields.take(key)?;
    let text = fields.report().check(setting.written())?;
    Some((setting.place, text.trim().to_owned()))
}
