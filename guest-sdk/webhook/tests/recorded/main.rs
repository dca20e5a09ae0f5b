//! Every statement that was recorded from EMQX 5 gives the same bodies to the letter, but for [`EXCEPTIONS`].

#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing)]

mod events;
mod mask;
mod raw;

use hookhost_guest::{Event, testing};
use hookhost_webhook::Rules;
use hookhost_webhook::sql::{Source, Statement};
use serde_json::{Value, json};

use events::Clients;

/// Statements whose bodies differ, each with the reason.
const EXCEPTIONS: &[(&str, &str)] = &[("s363", NOT_LOADED), ("s716", NOT_LOADED)];

/// An artefact of the recording: Erlang had not loaded the module of the function when this statement was the first to call
/// it. A packaged EMQX loads all modules at its start.
const NOT_LOADED: &str = "the recorded broker had not loaded the function yet";

/// A recorded statement.
struct Recorded<'r> {
    id: &'r str,
    sql: String,
    /// Whether EMQX refuses the statement.
    is_refused: bool,
    /// The bodies, by step.
    bodies: Vec<(&'r str, Vec<&'r str>)>,
}

impl<'r> Recorded<'r> {
    fn parse(line: &'r str) -> Recorded<'r> {
        let results = raw::get(line, "results").map(raw::entries).unwrap_or_default();
        let bodies = results.into_iter().map(|(step, result)| {
            let bodies = raw::get(result, "bodies").map(raw::items).unwrap_or_default();
            (step, bodies)
        });
        Recorded {
            id: raw::get(line, "id").unwrap().trim_matches('"'),
            sql: serde_json::from_str(raw::get(line, "sql").unwrap()).unwrap(),
            is_refused: raw::get(line, "refused").is_some(),
            bodies: bodies.collect(),
        }
    }

    fn bodies(&self, step: &str) -> &[&'r str] {
        let known = self.bodies.iter().find(|(known, _)| *known == step);
        known.map(|(_, bodies)| bodies.as_slice()).unwrap_or_default()
    }
}

/// The rules of a statement; the error if it does not load.
fn rules(id: &str, sql: &str) -> Result<Rules, String> {
    let statement = Statement::parse(sql).map_err(|error| error.to_string())?;
    let mut keys = json!({});
    for source in Source::all(&statement) {
        let (key, topics) = match source {
            Source::Event(key) => (key.name(), json!([])),
            Source::Topic(topic) => ("message_publish", json!([topic])),
            _ => continue,
        };
        let known = keys[key].as_array().cloned().unwrap_or_default();
        let mut rule = json!({"action": id, "topics": topics, "select": statement.select});
        if let Some(condition) = &statement.condition {
            rule["where"] = json!(condition);
        }
        keys[key] = known.into_iter().chain([rule]).collect();
    }
    let variables = json!({"SQLTEST": "set ä"});
    let config = json!({"urls": ["http://127.0.0.1/"], "format": "emqx5", "rule": keys, "variables": variables});
    Rules::parse(&config, &testing::host()).map_err(|problems| problems.to_string())
}

fn sent(rules: &Rules, events: &[Event]) -> Vec<String> {
    let outcomes = events.iter().map(|event| rules.webhooks(event));
    let bodies = outcomes.flat_map(|outcome| {
        let requests = outcome.requests().iter();
        requests
            .map(|request| request.body_str().unwrap_or("bytes").to_owned())
            .collect::<Vec<_>>()
    });
    bodies.collect()
}

/// What differs for one statement.
fn differences(recorded: &Recorded<'_>, steps: &[(String, Vec<Event>)]) -> Vec<String> {
    let rules = match rules(recorded.id, &recorded.sql) {
        Ok(rules) => rules,
        Err(_) if recorded.is_refused => return Vec::new(),
        Err(error) => return vec![format!("does not load: {error}")],
    };
    if recorded.is_refused {
        return vec!["loads, and EMQX refuses it".to_owned()];
    }
    let mut differences = Vec::new();
    for (step, events) in steps {
        let expected = recorded.bodies(step);
        let bodies = sent(&rules, events);
        let is_equal = expected.len() == bodies.len()
            && expected
                .iter()
                .zip(&bodies)
                .all(|(one, other)| mask::matches(one, other));
        if !is_equal {
            differences.push(format!(
                "{step}: {}\n     EMQX: {}",
                bodies.join(" "),
                expected.join(" ")
            ));
        }
    }
    differences
}

/// Fails if the statements that differ are not the exceptions.
///
/// `steps` makes the events anew for each statement, because some compare the time of the event with the clock.
fn check(all: &[Recorded<'_>], steps: &dyn Fn() -> Vec<(String, Vec<Event>)>) {
    let mut differing = Vec::new();
    for recorded in all {
        let differences = differences(recorded, &steps());
        if !differences.is_empty() {
            differing.push(recorded.id);
            let is_known = EXCEPTIONS.iter().any(|(id, _)| *id == recorded.id);
            if !is_known {
                println!("{} {}", recorded.id, recorded.sql);
                differences.iter().for_each(|difference| println!("     {difference}"));
            }
        }
    }
    let mut known = EXCEPTIONS
        .iter()
        .map(|(id, _)| *id)
        .filter(|id| all.iter().any(|recorded| recorded.id == *id));
    let equal = known.find(|id| !differing.contains(id));
    assert_eq!(equal, None, "is an exception and does not differ");
    differing.retain(|id| !EXCEPTIONS.iter().any(|(known, _)| known == id));
    println!("{} of {} statements agree", all.len() - differing.len(), all.len());
    assert!(
        differing.is_empty(),
        "{} statements differ: {}",
        differing.len(),
        differing.join(" ")
    );
}

#[test]
fn statements() {
    let (first, lines) = include_str!("emqx5-sql.jsonl").split_once('\n').unwrap();
    let first: Value = serde_json::from_str(first).unwrap();
    let steps = || -> Vec<(String, Vec<Event>)> {
        let mut clients = Clients::default();
        let steps = first["steps"].as_array().unwrap().iter().map(|step| {
            let actions = step["do"].as_array().unwrap().iter();
            let events = actions.flat_map(|action| clients.events(action)).collect();
            (step["step"].as_str().unwrap().to_owned(), events)
        });
        steps.collect()
    };
    let all: Vec<_> = lines.lines().map(Recorded::parse).collect();
    assert_eq!(all.len(), 642);
    check(&all, &steps);
}

#[test]
fn select_and_where() {
    let (first, lines) = include_str!("emqx5-select-where.jsonl").split_once('\n').unwrap();
    let first: Value = serde_json::from_str(first).unwrap();
    let steps = || -> Vec<(String, Vec<Event>)> {
        let mut clients = Clients::default();
        clients.events(&json!({"op": "connect", "client": "pub", "version": 5}));
        let messages = first["messages"].as_array().unwrap();
        let steps = messages.iter().map(|message| {
            let mut action = message.clone();
            action["op"] = json!("publish");
            action["client"] = json!("pub");
            action["qos"] = json!(1);
            action["properties"] = json!({});
            for (name, property) in [("user_properties", "UserProperty"), ("content_type", "ContentType")] {
                if let Some(value) = message.get(name) {
                    action["properties"][property] = value.clone();
                }
            }
            (message["step"].as_str().unwrap().to_owned(), clients.events(&action))
        });
        steps.collect()
    };
    // The statements are in the configuration, and the bodies by step and path.
    let requests: Vec<Value> = lines
        .lines()
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let rules = first["config"].as_str().unwrap().lines().filter_map(|line| {
        let (id, rest) = line.strip_prefix("rule_engine.rules.")?.split_once(" { sql = ")?;
        let (sql, _) = rest.split_once(", actions = ")?;
        // EMQX reads this as a backslash and a quote.
        let sql = sql.replace("\\\\\"", "\\\\\\\"");
        Some((id, serde_json::from_str::<String>(&sql).unwrap()))
    });
    let all: Vec<_> = rules
        .map(|(rule, sql)| Recorded {
            id: rule,
            sql,
            is_refused: false,
            bodies: requests
                .iter()
                .map(|step| {
                    let requests = step["requests"].as_array().unwrap().iter();
                    let path = rule.replace("r_", "/");
                    let own = requests.filter(|request| request["path"] == json!(path));
                    let bodies = own.map(|request| request["body"].as_str().unwrap());
                    (step["step"].as_str().unwrap(), bodies.collect())
                })
                .collect(),
        })
        .collect();
    assert_eq!(all.len(), 51);
    check(&all, &steps);
}
