//! EMQX 5 and 6: `connectors.http`, `actions.http` and `rule_engine.rules` of their HOCON files, the older
//! `bridges.webhook`, and `EMQX_CONNECTORS__…`.
//!
//! Each rule becomes one rule of hookhost for each of its events and actions. The parts of a request (method, path, body,
//! templated headers) go into the rule. What may be secret and what belongs to the connection (other headers, TLS, timeouts)
//! goes into a destination with the action's name, which the rule names. So actions with one URL keep their credentials
//! apart.
//!
//! Connectors, actions, bridges and rules are items: a mistake leaves out the item and what depends on it. A disabled item
//! is not looked at, and neither is a rule without a webhook among its actions. Keys that EMQX 5.0 to 6.x write by
//! themselves are known. Parts of the file that are not about webhooks are ignored with a warning.
//!
//! | key | setting of hookhost |
//! | --- | --- |
//! | connector `url` + action `parameters.path` | `urls` of the rule |
//! | `headers` of both; the action's win | with placeholders: `headers` of the rule; others: of the destination |
//! | connector `ssl` | `tls` of the destination; not used unless `enable = true` and the URL is https |
//! | connector `oauth2` | `oauth2` of the destination, unless `enable = false` |
//! | connector `connect_timeout`, `pool_size` | `connect_timeout`, `concurrency_limit` of the destination |
//! | action `parameters.method`, `parameters.body` | `method`, `body` of the rule |
//! | action `resource_opts.request_ttl` | `http_timeout` and `retry_max_elapsed_time` of the destination |
//! | action `resource_opts.max_buffer_bytes` | `delivery.queue_bytes`, the sum of all |
//! | action `fallback_actions` | not carried out, with a warning |
//! | action `local_topic` | a rule of its own |
//! | rule `sql` | event and `topics`, `select`, `where` |
//! | rule `actions`: `"http:NAME"`; `{function = console}` | `urls`, `destination`; `stdout:` |
//! | rule `actions`: `{function = republish, args {…}}` | `urls` with `mqtt:TOPIC`, `body` |
//! | `node.name` | `node.name` |
//! | `enable = false` of any | left out |

mod action;
mod connector;
mod oauth2;
mod options;
mod republish;
mod rule;
mod target;
pub(super) mod tls;

use std::collections::BTreeMap;

use hookhost_settings::{Place, Report, Section, Setting, Table, Value, insert, merge};

use super::canonical::Canonical;
use super::checks::{ignore_parts, switch, untyped};
use super::{Broker, Settings, Sources, hocon, node, server, verify};
use target::Targets;

/// The first part of a variable's name after `EMQX_`, in lower case.
pub(super) const ROOTS: [&str; 4] = ["connectors", "actions", "bridges", "rule_engine"];

const PREFIX: &str = "EMQX_";

/// What has no effect anywhere. EMQX writes some of it by itself.
const REMARKS: [&str; 6] = [
    "name",
    "tags",
    "description",
    "metadata",
    "created_at",
    "last_modified_at",
];

/// Reads file and variables; the module's documentation lists the keys.
pub(super) fn read(sources: &Sources<'_>, report: &Report) -> Settings {
    let place = sources.place();
    let mut canonical = Canonical::new(Broker::Emqx5, place.clone());
    let mut settings = Table::new();
    if let Some((path, text)) = sources.file {
        match hocon::read_file(path, text, sources, report) {
            Some(table) => settings = table,
            None => return canonical.into_settings(report),
        }
    }
    for variable in &sources.variables {
        merge(
            &mut settings,
            variable_table(&variable.name, &variable.value, &variable.place),
            &|_| false,
        );
    }
    whole(&mut canonical, Section::root(report, place, settings), sources);
    canonical.into_settings(report)
}

/// Whether a variable is about one of the parts read here.
pub(super) fn is_variable(name: &str) -> bool {
    path_of(name).is_some()
}

fn path_of(name: &str) -> Option<Vec<String>> {
    let lower = name.strip_prefix(PREFIX)?.to_ascii_lowercase();
    let path: Vec<String> = lower.split("__").map(str::to_owned).collect();
    let root = path.first()?;
    (ROOTS.contains(&root.as_str()) && path.iter().all(|part| !part.is_empty())).then_some(path)
}

/// The settings of a variable: HOCON, or else the text as it is.
fn variable_table(name: &str, value: &str, place: &Place) -> Table {
    let mut table = Table::new();
    let setting = hocon::read_value(place, value).unwrap_or_else(|| untyped(place.clone(), value));
    let path = path_of(name).unwrap_or_default();
    insert(
        &mut table,
        &path.iter().map(String::as_str).collect::<Vec<_>>(),
        setting,
    );
    table
}

fn whole(canonical: &mut Canonical, mut root: Section<'_>, sources: &Sources<'_>) {
    let report = root.report();
    let mut others = Table::new();
    let connectors = connector::all(&mut root, &mut others, sources);
    let mut targets = Targets::new();
    action::all(&mut root, &mut others, &connectors, &mut targets);
    action::bridges(&mut root, &mut others, &connectors, &mut targets, sources);
    rule::all(&mut root, &mut targets, canonical);
    others.append(&mut root.rest());
    if let Some((place, name)) = node::of_file(&mut others) {
        canonical.set("node.name", &place, Value::Text(name));
    }
    ignore_parts(report, &server::take(Broker::Emqx5, others, sources));
    drop(root);
    verify::leave_out_invalid(canonical, report);
    target::destinations(report, canonical, targets);
}

/// The named entries below `kinds` of a part such as `connectors`. Entries of other kinds are added to `others`.
fn named(root: &mut Section<'_>, part: &str, kinds: [&str; 2], others: &mut Table) -> Vec<(String, Setting)> {
    let Some(mut section) = root.section_if_given(part) else {
        return Vec::new();
    };
    let mut entries = Vec::new();
    for kind in kinds {
        let table = section.section_if_given(kind);
        entries.extend(table.map(|mut table| table.rest()).unwrap_or_default());
    }
    for (kind, setting) in section.rest() {
        others.insert(format!("{part}.{kind}"), setting);
    }
    entries
}

/// Reads an item, unless it is disabled. `None` if it is disabled or has a mistake, which is reported.
fn item<T>(report: &Report, setting: Setting, read: impl FnOnce(Section<'_>) -> Option<T>) -> Option<T> {
    let own = report.item();
    let value = Section::of(&own, setting).and_then(|mut fields| {
        let enabled = fields.take("enable").and_then(|setting| own.check(switch(&setting)));
        if enabled == Some(false) {
            own.note(fields.place(), "is disabled");
            drop(fields.rest());
            return None;
        }
        remark(&mut fields, &REMARKS);
        read(fields)
    });
    report.add_item(own).then_some(value).flatten()
}

/// Takes keys that have no effect by nature, such as a description.
fn remark(section: &mut Section<'_>, keys: &[&str]) {
    for key in keys {
        if let Some(setting) = section.take(key) {
            section.report().note(&setting.place, "has no effect on requests");
        }
    }
}

/// Looks an entry up by name, ignoring case: variables have names in lower case.
fn by_name<'a, T>(entries: &'a BTreeMap<String, T>, name: &str) -> Option<(&'a String, &'a T)> {
    let same = |(known, _): &(&String, &T)| known.eq_ignore_ascii_case(name);
    entries.get_key_value(name).or_else(|| entries.iter().find(same))
}
