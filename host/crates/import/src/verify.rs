//! The imported rules, checked as the default module will check them.
//!
//! The readers check what they take over where it is given. What only the module knows (placeholders, columns of SQL) is
//! checked here, before anything starts, so that the problem names the place in the broker's file. The module itself
//! would name a key that is nowhere in that file.

use std::collections::BTreeMap;

use hookhost_guest::{Host, event};
use hookhost_settings::{JsonDates, Place, Problem, Report, Table, Value};
use hookhost_webhook::Rules;

/// Adds the problems that the module would find.
pub(super) fn verify(settings: &Table, origins: &BTreeMap<String, Place>, report: &Report) {
    let Some(webhook) = settings.get("webhook") else { return };
    let config = webhook.to_json(report, JsonDates::Invalid);
    let host = Host {
        node: event::Node {
            id: 1,
            name: String::new(),
        },
        version: String::new(),
        module: "webhook".to_owned(),
        generation: 1,
    };
    let Err(problems) = Rules::parse(&config, &host) else {
        return;
    };
    let located = |key: &str, text: &str| -> Option<Problem> {
        let (mut place, below) = place_of(settings, origins, key)?;
        // A known problem of the place may be the cause of this one.
        if report.has_problem_below(&place) {
            return None;
        }
        if !below.is_empty() {
            place.key = format!("{} ({below})", place.key);
        }
        Some(place.problem(text))
    };
    let problems: Vec<Problem> = problems
        .iter()
        .filter_map(|problem| located(&problem.key, &problem.text))
        .collect();
    problems.into_iter().for_each(|problem| report.add_problem(problem));
}

/// The place of a rule or setting, and the rest of the key inside a rule. `None` for what the readers have checked, such
/// as the URLs for all rules.
fn place_of(settings: &Table, origins: &BTreeMap<String, Place>, key: &str) -> Option<(Place, String)> {
    let path = format!("webhook.{key}");
    let rule = origins
        .iter()
        .find(|(origin, _)| path == **origin || path.starts_with(&format!("{origin}.")));
    if let Some((origin, place)) = rule {
        let below = path.get(origin.len() + 1..).unwrap_or_default();
        return Some((place.clone(), below.to_owned()));
    }
    let Value::Table(webhook) = &settings.get("webhook")?.value else {
        return None;
    };
    let setting = webhook.get(key.split('.').next()?)?;
    Some((setting.place.clone(), String::new()))
}
