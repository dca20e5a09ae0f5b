//! Requests of a rule that are sent together.
//!
//! The host makes the batches. The module gives each request the option `batch`: words `KEY=VALUE`, separated by spaces.
//! The host checks the values of the default module's settings, because it knows the units.

use hookhost_guest::problems::Problems;
use hookhost_guest::request::Request;
use serde_json::{Map, Value};

use crate::format::{CloudEventsMode, Format};
use crate::parse::values::{once, unknown};
use crate::shape::Shape;

/// The keys of a batch.
const KEYS: [&str; 4] = ["format", "max_events", "max_bytes", "max_delay"];

/// How the requests of a rule are sent together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// The value of the option.
    option: String,
}

impl Batch {
    /// Reads a table such as `{"max_events": 500, "max_delay": "50ms"}`. The default `format` is that of the rule:
    /// `cloudevents` for CloudEvents, `json_array` for others.
    pub(crate) fn parse(at: &str, table: &Map<String, Value>, shape: &Shape, problems: &mut Problems) -> Batch {
        let mut words = Vec::new();
        for (name, value) in table {
            let at = format!("{at}.{name}");
            if !KEYS.contains(&name.as_str()) {
                unknown(&at, name, &KEYS, problems);
                continue;
            }
            let text = match value {
                Value::String(text) if !text.is_empty() && !text.contains(char::is_whitespace) => text.clone(),
                Value::Number(number) => number.to_string(),
                _ => {
                    once(
                        &at,
                        "a number, or a string without spaces, was expected".to_owned(),
                        problems,
                    );
                    continue;
                }
            };
            if name == "format" && text == "cloudevents" && shape.format != Format::Cloudevents {
                once(
                    &at,
                    "\"cloudevents\" needs bodies of the format \"cloudevents\"".to_owned(),
                    problems,
                );
            }
            words.push(format!("{name}={text}"));
        }
        if shape.format == Format::Cloudevents {
            if shape.cloudevents.mode != CloudEventsMode::Structured {
                let text = "needs cloudevents_mode \"structured\", its default with `batch`";
                once(at, text.to_owned(), problems);
            }
            if !table.contains_key("format") {
                words.push("format=cloudevents".to_owned());
            }
        }
        if !shape.method.has_body() {
            once(
                at,
                "needs a `method` with a body: post, put or patch".to_owned(),
                problems,
            );
        }
        Batch {
            option: words.join(" "),
        }
    }

    /// Adds the option to a request.
    pub(crate) fn add_to(&self, request: &mut Request) {
        request.options.push(("batch".to_owned(), self.option.clone()));
    }
}
