//! The imported rules, checked as the built-in module will check them.
//!
//! The readers check what they take over where it is given. What only the module knows (placeholders, columns of SQL) is
//! checked here, before anything starts, so that the problem names the place in the broker's file. The module itself
//! would name a key that is nowhere in that file.

use std::collections::{BTreeMap, BTreeSet};

use hookhost_guest::{Host, event};
use hookhost_settings::{JsonDates, Place, Problem, Report, Table, Value};
use hookhost_webhook::Rules;

use super::canonical::Canonical;

/// Adds the problems that the module would find.
pub(super) fn verify(settings: &Table, origins: &BTreeMap<String, Place>, report: &Report) {
    for (_, problem) in problems(settings, origins, report) {
        report.add_problem(problem);
    }
}

/// Leaves out the rules in which the module would find problems, and adds these problems.
pub(super) fn leave_out_invalid(canonical: &mut Canonical, report: &Report) {
    let (settings, origins) = canonical.clone().into_settings(&Report::default());
    let (mut places, mut known) = (BTreeSet::new(), BTreeSet::new());
    for (place, problem) in problems(&settings, &origins, report) {
        places.insert(place);
        // Rules of several events repeat a problem.
        if known.insert(problem.clone()) {
            report.left_out(problem);
        }
    }
    canonical.rules.retain(|rule| !places.contains(&rule.place));
}

/// The problems that the module would find, each with the place of its rule or setting.
fn problems(settings: &Table, origins: &BTreeMap<String, Place>, report: &Report) -> Vec<(Place, Problem)> {
    let Some(webhook) = settings.get("webhook") else {
        return Vec::new();
    };
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
        return Vec::new();
    };
    let located = |key: &str, text: &str| -> Option<(Place, Problem)> {
        let (place, below) = place_of(settings, origins, key)?;
        // A known problem of the place may be the cause of this one.
        if report.has_problem_below(&place) {
            return None;
        }
        let key = match below.as_str() {
            "" => place.key.clone(),
            below => format!("{} ({below})", place.key),
        };
        let shown = Place { key, ..place.clone() };
        Some((place, shown.problem(text)))
    };
    let located = problems
        .iter()
        .filter_map(|problem| located(&problem.key, &problem.text));
    located.collect()
}

/// The place of a rule or setting, and the rest of the key inside a rule. `None` for what the readers have checked, such
/// as the URLs for all rules.
fn place_of(settings: &Table, origins: &BTreeMap<String, Place>, key: &str) -> Option<(Place, String)> {
    let path = format!("webhook.{key}");
    // `webhook.rule.EVENT.INDEX`, and what follows.
    let end = path.match_indices('.').nth(3).map_or(path.len(), |(at, _)| at);
    if let Some((rule, place)) = path.get(..end).and_then(|rule| origins.get_key_value(rule)) {
        let below = path.get(rule.len() + 1..).unwrap_or_default();
        return Some((place.clone(), below.to_owned()));
    }
    let Value::Table(webhook) = &settings.get("webhook")?.value else {
        return None;
    };
    let setting = webhook.get(key.split('.').next()?)?;
    Some((setting.place.clone(), String::new()))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::Broker;
    use super::super::canonical::Rule;
    use super::*;

    #[test]
    fn a_rule_that_the_module_refuses_is_left_out() {
        let mut canonical = Canonical::new(Broker::Emqx5, Place::file(Path::new("f")));
        for (line, condition, event) in [
            (1, "qos = 1", "message_publish"),
            (2, "qos =", "message_publish"),
            (2, "qos =", "message_acked"),
        ] {
            let mut rule = Rule::new(Place::line(Path::new("f"), line, "r"), event);
            rule.urls.push("http://h/".to_owned());
            rule.condition = Some(condition.to_owned());
            canonical.rules.push(rule);
        }
        let report = Report::default();
        leave_out_invalid(&mut canonical, &report);
        assert_eq!(canonical.rules.len(), 1);
        let left_out = report.finish().left_out;
        assert_eq!(left_out.len(), 1, "{left_out:?}");
        assert!(left_out[0].to_string().starts_with("f:2: r (where): "), "{left_out:?}");
    }
}
