//! EMQX 5: `connectors.http`, `actions.http` and `rule_engine.rules` of its HOCON files, the older `bridges.webhook`,
//! and `EMQX_CONNECTORS__…`.
//!
//! Each rule becomes one rule of hookhost for each of its events and actions. The parts of a request (method, path, body,
//! templated headers) go into the rule. What may be secret and what belongs to the connection (other headers, TLS, timeouts)
//! goes into a destination named like the action. An unknown key is a problem, because EMQX does not start with one. Parts
//! of the file that are not about webhooks are ignored with a warning.
//!
//! | key | setting of hookhost |
//! | --- | --- |
//! | connector `url` + action `parameters.path` | `urls` of the rule |
//! | `headers` of both; the action's win | with placeholders: `headers` of the rule; others: of the destination |
//! | connector `ssl` | `tls` of the destination; not used unless `enable = true` and the URL is https |
//! | connector `connect_timeout`, `pool_size` | `connect_timeout`, `concurrency_limit` of the destination |
//! | action `parameters.method`, `parameters.body` | `method`, `body` of the rule |
//! | action `resource_opts.request_ttl` | `http_timeout` and `retry_max_elapsed_time` of the destination |
//! | action `resource_opts.max_buffer_bytes` | `delivery.queue_bytes`, the sum of all |
//! | action `local_topic` | a rule of its own |
//! | rule `sql` | event and `topics`, `select`, `where` |
//! | rule `actions`: `"http:NAME"`; `{function = console}` | `urls`; `stdout:` |
//! | `enable = false` of any | left out |

mod action;
mod connector;
mod rule;
mod target;

use std::collections::BTreeMap;

use hookhost_settings::{Place, Report, Section, Table, insert, merge};

use super::canonical::Canonical;
use super::checks::{ignore_parts, untyped};
use super::{Broker, Settings, Sources, hocon};
use target::Target;

/// The first part of a variable's name after `EMQX_`, in lower case.
pub(super) const ROOTS: [&str; 4] = ["connectors", "actions", "bridges", "rule_engine"];

const PREFIX: &str = "EMQX_";

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
    (path.len() > 1 && ROOTS.contains(&root.as_str()) && path.iter().all(|part| !part.is_empty())).then_some(path)
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
    let mut connectors = connector::all(&mut root);
    let mut actions = action::all(&mut root);
    action::bridges(&mut root, &mut connectors, &mut actions);
    let known: Vec<String> = actions.keys().cloned().collect();
    let mut targets: BTreeMap<String, Target> = BTreeMap::new();
    for (name, action) in actions {
        if let Some(target) = target::of(report, &name, action, &connectors, sources) {
            targets.insert(name, target);
        }
    }
    let rules = rule::all(&mut root);
    ignore_parts(report, &root.rest());
    drop(root);
    rule::canonical(report, canonical, rules, &mut targets, &known);
    target::destinations(report, canonical, targets);
}

/// The named entries below `kinds` of a part such as `connectors`; those of other kinds are ignored with a warning.
fn named<'r>(root: &mut Section<'r>, part: &str, kinds: [&str; 2]) -> Vec<(String, Section<'r>)> {
    let Some(mut section) = root.section_if_given(part) else {
        return Vec::new();
    };
    let mut entries = Vec::new();
    for kind in kinds {
        let table = section.section_if_given(kind);
        entries.extend(table.map(|mut table| table.sections()).unwrap_or_default());
    }
    for (kind, setting) in section.rest() {
        let text = format!("is ignored: {kind} {part} have nothing to do with webhooks");
        root.report().warning(&setting.place, text);
    }
    entries
}

/// Looks an entry up by name, ignoring case: variables have names in lower case.
fn by_name<'a, T>(entries: &'a BTreeMap<String, T>, name: &str) -> Option<(&'a String, &'a T)> {
    let same = |(known, _): &(&String, &T)| known.eq_ignore_ascii_case(name);
    entries.get_key_value(name).or_else(|| entries.iter().find(same))
}
