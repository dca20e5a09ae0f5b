//! EMQX 5: `connectors.http`, `actions.http` and `rule_engine.rules` of its HOCON files, the older `bridges.webhook`,
//! and `EMQX_CONNECTORS__…`.
//!
//! A rule becomes one rule here for each event that it names and each action that it has. What an action and its
//! connector say about a request (method, path, body, templated headers) goes into the rule; what may be secret or is
//! about the connection (other headers, TLS, timeouts) into a destination named like the action. An unknown key is a
//! mistake, as EMQX does not start with one; parts of the file that are about something else are named and ignored.
//!
//! | key | here |
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

use super::canonical::Canonical;
use super::said::{Fields, Report, Said, What, place_in};
use super::{Format, Reading, Sources};
use crate::hocon;
use hookhost_settings::Source;
use hookhost_settings::reader::Place;
use target::Target;

/// What variables begin with, after `EMQX_`, in lower case.
pub(super) const ROOTS: [&str; 4] = ["connectors", "actions", "bridges", "rule_engine"];

const PREFIX: &str = "EMQX_";

/// Reads file and variables; see the module's page.
pub(super) fn read(sources: &Sources<'_>) -> Reading {
    let mut report = Report::default();
    let place = match sources.path() {
        Some(path) => place_in(path, 1, ""),
        None => Place {
            source: Source::Environment,
            key: String::new(),
        },
    };
    let mut canonical = Canonical::new(Format::Emqx5, place.clone());
    let mut root = Said {
        place,
        what: What::Table(BTreeMap::new()),
    };
    if let Some((path, text)) = sources.file {
        let hocon = hocon::read(text, &|name| sources.environment(name));
        for (line, text) in hocon.errors {
            report.problem(&place_in(path, line, ""), text);
        }
        for (line, text) in hocon.warnings {
            report.warning(&place_in(path, line, ""), text);
        }
        // What a broken file seems to say would only add mistakes that are none.
        if !report.problems.is_empty() {
            return canonical.into_reading(report);
        }
        root.what = What::Table(Said::table_in_file(path, "", hocon.table));
    }
    for variable in &sources.variables {
        if let Some(said) = variable_at(&variable.name, &variable.value, &variable.place) {
            root.overlay(said);
        }
    }
    if let Some(root) = root.into_fields(&mut report) {
        whole(&mut report, &mut canonical, root, sources);
    }
    canonical.into_reading(report)
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

/// What a variable says, as a tree: HOCON, or else the text as it is.
fn variable_at(name: &str, value: &str, place: &Place) -> Option<Said> {
    let path = path_of(name)?;
    let said = match hocon::read_value(value) {
        Some(node) => Said::in_variable(place, node),
        None => Said::text(place.clone(), value),
    };
    Some(path.into_iter().rev().fold(said, |said, key| Said {
        place: place.clone(),
        what: What::Table(BTreeMap::from([(key, said)])),
    }))
}

fn whole(report: &mut Report, canonical: &mut Canonical, mut root: Fields, sources: &Sources<'_>) {
    let mut connectors = connector::all(report, root.take("connectors"));
    let mut actions = action::all(report, root.take("actions"));
    action::bridges(report, root.take("bridges"), &mut connectors, &mut actions);
    let known: Vec<String> = actions.keys().cloned().collect();
    let mut targets: BTreeMap<String, Target> = BTreeMap::new();
    for (name, action) in actions {
        if let Some(target) = target::of(report, &name, action, &connectors, sources) {
            targets.insert(name, target);
        }
    }
    let rules = rule::all(report, root.take("rule_engine"));
    report.elsewhere(&root.rest());
    rule::canonical(report, canonical, rules, &mut targets, &known);
    target::destinations(report, canonical, targets);
}

/// Named entries below `kind` (and another name for it) of a part; those of other kinds are told and left out.
fn named(report: &mut Report, part: Option<Said>, kinds: [&'static str; 2], what: &str) -> Vec<(String, Fields)> {
    let Some(mut part) = part.and_then(|said| said.into_fields(report)) else {
        return Vec::new();
    };
    let mut entries = Vec::new();
    for kind in kinds {
        let Some(mut table) = part.table(kind, report) else {
            continue;
        };
        for (name, said) in table.rest() {
            entries.extend(said.into_fields(report).map(|fields| (name, fields)));
        }
    }
    for (kind, said) in part.rest() {
        report.warning(
            &said.place,
            format!("is ignored: {kind} {what} have nothing to do with webhooks"),
        );
    }
    entries
}

/// An entry by its name. Variables write names in lower case.
fn by_name<'a, T>(entries: &'a BTreeMap<String, T>, name: &str) -> Option<(&'a String, &'a T)> {
    let same = |(known, _): &(&String, &T)| known.eq_ignore_ascii_case(name);
    entries.get_key_value(name).or_else(|| entries.iter().find(same))
}
