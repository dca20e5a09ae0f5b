//! Recordings of real brokers, and what hookhost is known to send instead.
//!
//! A recording has the bodies of each step of a client script. A list beside it has the steps in which hookhost differs,
//! each with the reason and the bodies that hookhost sends: all other steps must be as recorded, and these must be as
//! listed. A step of the list that is as recorded is an error too, so the list stays true.

use std::collections::{BTreeMap, HashMap};

use serde::Deserialize;

use crate::mask::{self, masked};

/// In which order a broker sends its requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// Those about one client in the order of its events.
    PerClient,
    /// None.
    None,
}

/// What a broker sent, and what hookhost sends.
pub(crate) struct Recording {
    /// The configuration that the broker had; `@SINK@` is the port of the receiver.
    pub(crate) config: String,
    order: Order,
    /// Method, path and headers of all requests.
    head: String,
    recorded: HashMap<String, Vec<String>>,
    listed: BTreeMap<String, Difference>,
}

#[derive(Deserialize)]
struct FirstLine {
    config: String,
    method: String,
    path: String,
    headers: Vec<(String, String)>,
}

#[derive(Deserialize)]
struct Line {
    step: String,
    bodies: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    #[serde(default)]
    step: Vec<Difference>,
}

/// A step that hookhost does not play as the broker did.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Difference {
    name: String,
    /// Why.
    #[serde(rename = "reason")]
    _reason: String,
    /// What hookhost sends, one body in each line.
    bodies: String,
}

/// The step of the list that is about method, path and headers.
pub(crate) const HEAD: &str = "method, path and headers";

/// What is expected of a step.
pub(crate) enum Expected {
    /// These bodies.
    Bodies(Vec<String>),
    /// Bodies of events with the same names: the step was not recorded, but the same step of another version was.
    Names(Vec<String>),
}

impl Expected {
    /// The number of requests.
    pub(crate) fn len(&self) -> usize {
        match self {
            Expected::Bodies(bodies) | Expected::Names(bodies) => bodies.len(),
        }
    }
}

impl Recording {
    /// Reads a recording and its list.
    pub(crate) fn read(recording: &str, list: &str, order: Order) -> Recording {
        let mut lines = recording.lines();
        let first: FirstLine =
            serde_json::from_str(lines.next().expect("a first line")).expect("it is about all steps");
        let step = |line| -> (String, Vec<String>) {
            let line: Line = serde_json::from_str(line).expect("a step");
            let bodies = line.bodies.iter();
            let bodies = bodies
                .map(|body| mask::of_recording(mask::compared(&line.step, body)))
                .collect();
            (line.step, bodies)
        };
        let list: List = toml::from_str(list).unwrap_or_else(|error| panic!("the list of differences: {error}"));
        Recording {
            config: first.config,
            order,
            head: head(&first.method, &first.path, &first.headers),
            recorded: lines.map(step).collect(),
            listed: list.step.into_iter().map(|step| (step.name.clone(), step)).collect(),
        }
    }

    /// What is expected of a step.
    pub(crate) fn expected(&self, step: &str) -> Expected {
        if let Some(listed) = self.listed.get(step) {
            return Expected::Bodies(listed.bodies.lines().map(str::to_owned).collect());
        }
        if let Some(recorded) = self.recorded.get(step) {
            return Expected::Bodies(recorded.clone());
        }
        let twin = step.replacen("v5", "v4", 1);
        match self.expected(&twin) {
            Expected::Bodies(bodies) if twin != step => Expected::Names(bodies),
            _ => panic!("step {step:?} is neither in the recording nor in the list"),
        }
    }

    /// Compares what came in all steps with what is expected. Returns the mistakes; empty if there are none.
    pub(crate) fn compare(&self, run: &[(String, Vec<String>)], heads: &[String]) -> Vec<String> {
        let mut mistakes = Vec::new();
        let came: HashMap<&str, &Vec<String>> = run.iter().map(|(name, bodies)| (name.as_str(), bodies)).collect();
        for name in self.recorded.keys().chain(self.listed.keys()) {
            if name != HEAD && !came.contains_key(name.as_str()) {
                mistakes.push(format!("{name}: the script has no such step"));
            }
        }
        for (name, bodies) in run {
            let is_as_recorded = self
                .recorded
                .get(name)
                .is_some_and(|recorded| self.equal(recorded, bodies));
            match self.expected(name) {
                _ if is_as_recorded && self.listed.contains_key(name) => {
                    mistakes.push(format!(
                        "{name}: is as recorded; remove it from the list of differences"
                    ));
                }
                Expected::Bodies(expected) if !self.equal(&expected, bodies) => {
                    mistakes.push(difference(name, &expected, bodies));
                }
                Expected::Names(twin) if !same_names(&twin, bodies) => mistakes.push(difference(name, &twin, bodies)),
                _ => (),
            }
        }
        let listed = self.listed.get(HEAD).map(|listed| listed.bodies.trim_end());
        match listed {
            Some(listed) if listed == self.head => {
                mistakes.push(format!(
                    "{HEAD}: are as recorded; remove them from the list of differences"
                ));
            }
            _ => {
                let expected = vec![listed.unwrap_or(&self.head).to_owned()];
                if heads != expected {
                    mistakes.push(difference(HEAD, &expected, heads));
                }
            }
        }
        mistakes
    }

    fn equal(&self, expected: &[String], came: &[String]) -> bool {
        let (mut expected, mut came) = (expected.to_vec(), came.to_vec());
        for bodies in [&mut expected, &mut came] {
            match self.order {
                // A stable sort: the order of each client's bodies stays. When a client acknowledges is its own affair.
                Order::PerClient => bodies.sort_by_key(|body| {
                    let is_acked = value(body, "action") == Some("message_acked");
                    (subject(body).to_owned(), is_acked)
                }),
                Order::None => bodies.sort(),
            }
        }
        expected == came
    }
}

/// Method, path and headers as one text, without the headers that differ from run to run.
pub(crate) fn head(method: &str, path: &str, headers: &[(String, String)]) -> String {
    let mut headers: Vec<String> = headers
        .iter()
        .map(|(name, value)| (name.to_lowercase(), value))
        .filter(|(name, _)| !["host", "content-length", "connection", "keep-alive"].contains(&name.as_str()))
        .map(|(name, value)| format!("; {name}: {value}"))
        .collect();
    headers.sort();
    masked(&format!("{method} {path}{}", headers.concat()))
}

/// The client whose events have an order among themselves.
fn subject(body: &str) -> &str {
    ["clientid", "from_clientid", "from_client_id"]
        .iter()
        .find_map(|key| value(body, key))
        .unwrap_or_default()
}

fn same_names(twin: &[String], came: &[String]) -> bool {
    let names = |bodies: &[String]| {
        // EMQX 5 also has an `action`: the requested permission.
        let name = |body: &String| {
            value(body, "event")
                .or_else(|| value(body, "action"))
                .map(str::to_owned)
        };
        let mut names: Vec<_> = bodies.iter().map(name).collect();
        names.sort();
        names
    };
    names(twin) == names(came)
}

/// The text behind a key.
fn value<'a>(body: &'a str, key: &str) -> Option<&'a str> {
    let (_, rest) = body.split_once(&format!("\"{key}\":\""))?;
    rest.split('"').next()
}

/// What is missing in a step, and then everything that came, in order.
fn difference(step: &str, expected: &[String], came: &[String]) -> String {
    let mut text = format!("{step}:");
    let mut missing: Vec<&String> = expected.iter().collect();
    let mut lines = String::new();
    for body in came {
        let at = missing.iter().position(|other| *other == body);
        let word = match at.map(|at| missing.remove(at)) {
            Some(_) => "as expected",
            None => "unexpected ",
        };
        lines.push_str(&format!("\n  {word} {body}"));
    }
    for body in missing {
        text.push_str(&format!("\n  missing     {body}"));
    }
    text + &lines
}
