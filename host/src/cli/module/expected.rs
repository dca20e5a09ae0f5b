//! Expected results of a module: a line of JSON for each event, compared with the actual result.
//!
//! A line has the form that `module test --format json` prints. Fields that it leaves out are not compared, so a
//! hand-written line may be short: `{"outcome":"ignore"}`. A body that is JSON instead of a string is compared as JSON.
//! Pure: the input is texts, the output is differences.

use std::fmt;

use hookhost_shared::nearest::nearest;
use serde::Serialize;
use serde_json::{Map, Value};

use hookhost_modules::trial::{TrialOutcome, TrialResult};

const KEYS: [&str; 6] = ["event", "outcome", "text", "requests", "micros", "fuel"];
const REQUEST_KEYS: [&str; 9] = [
    "method",
    "url",
    "headers",
    "body",
    "body_base64",
    "ordering_key",
    "destination",
    "options",
    "refused",
];
/// Fields that differ in each run.
const NOT_COMPARED: [&str; 2] = ["micros", "fuel"];

/// An expected result, and the number of its line.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Expected {
    pub(super) line: usize,
    value: Map<String, Value>,
}

/// A difference between the expected and the actual result.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Difference {
    pub(super) path: String,
    /// `None`: no value was expected.
    pub(super) expected: Option<Value>,
    /// `None`: there is no value.
    pub(super) actual: Option<Value>,
}

/// Reads a file of expected results; skips empty lines.
///
/// # Errors
///
/// All errors, each with its line.
pub(super) fn parse(text: &str) -> Result<Vec<Expected>, Vec<String>> {
    let mut problems = Vec::new();
    let mut expected = Vec::new();
    for (index, text) in text.lines().enumerate().filter(|(_, text)| !text.trim().is_empty()) {
        let line = index + 1;
        let value = match serde_json::from_str(text) {
            Ok(Value::Object(value)) => value,
            Ok(_) => {
                problems.push(format!("line {line}: must be an object"));
                continue;
            }
            Err(error) => {
                problems.push(format!("line {line}: is not JSON at column {}", error.column()));
                continue;
            }
        };
        let mut problem = |text: String| problems.push(format!("line {line}: {text}"));
        check(&value, &mut problem);
        expected.push(Expected { line, value });
    }
    if problems.is_empty() {
        Ok(expected)
    } else {
        Err(problems)
    }
}

fn check(value: &Map<String, Value>, problem: &mut impl FnMut(String)) {
    unknown_keys(value, "", &KEYS, problem);
    match value.get("outcome") {
        Some(Value::String(name)) if TrialOutcome::NAMES.contains(&name.as_str()) => {}
        Some(Value::String(name)) => problem(format!(
            "outcome: '{name}' is unknown; {}",
            hint(name, &TrialOutcome::NAMES)
        )),
        _ => problem(format!("outcome: must be one of {}", TrialOutcome::NAMES.join(", "))),
    }
    match value.get("requests") {
        None => {}
        Some(Value::Array(requests)) => {
            for (index, request) in requests.iter().enumerate() {
                match request {
                    Value::Object(request) => {
                        unknown_keys(request, &format!("requests.{index}."), &REQUEST_KEYS, problem);
                    }
                    _ => problem(format!("requests.{index}: must be an object")),
                }
            }
        }
        Some(_) => problem("requests: must be a list".to_owned()),
    }
}

fn unknown_keys(value: &Map<String, Value>, path: &str, known: &[&str], problem: &mut impl FnMut(String)) {
    for key in value.keys().filter(|key| !known.contains(&key.as_str())) {
        problem(format!("{path}{key}: is an unknown key; {}", hint(key, known)));
    }
}

fn hint(word: &str, known: &[&str]) -> String {
    match nearest(word, known.iter().copied()) {
        Some(meant) => format!("did you mean {meant}?"),
        None => format!("known are {}", known.join(", ")),
    }
}

impl Expected {
    /// The differences between the expected and the actual result of an event.
    pub(super) fn differences(&self, result: &TrialResult) -> Vec<Difference> {
        let mut differences = Vec::new();
        let expected = Value::Object(self.value.clone());
        // A map of strings and numbers always converts to JSON.
        let actual = serde_json::to_value(result).unwrap_or_default();
        compare("", &expected, Some(&actual), Strictness::WhatIsSaid, &mut differences);
        differences
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Strictness {
    /// Further keys may be present.
    WhatIsSaid,
    /// No other keys may be present.
    Exact,
}

fn compare(path: &str, expected: &Value, actual: Option<&Value>, strictness: Strictness, found: &mut Vec<Difference>) {
    let below = |segment: &dyn fmt::Display| match path {
        "" => segment.to_string(),
        path => format!("{path}.{segment}"),
    };
    let mut differ = |path: String, expected: Option<&Value>, actual: Option<&Value>| {
        found.push(Difference {
            path,
            expected: expected.cloned(),
            actual: actual.cloned(),
        });
    };
    match (expected, actual) {
        (Value::Object(expected), Some(Value::Object(actual))) => {
            if strictness == Strictness::Exact {
                for (key, value) in actual.iter().filter(|(key, _)| !expected.contains_key(*key)) {
                    differ(below(key), None, Some(value));
                }
            }
            let said = expected
                .iter()
                .filter(|(key, _)| !path.is_empty() || !NOT_COMPARED.contains(&key.as_str()));
            for (key, value) in said {
                let actual = actual.get(key);
                // A body that is written as JSON.
                let parsed = match (key.as_str(), value, actual) {
                    ("body", Value::String(_), _) => None,
                    ("body", _, Some(Value::String(text))) if strictness == Strictness::WhatIsSaid => {
                        serde_json::from_str(text).ok()
                    }
                    _ => None,
                };
                let strictness = if parsed.is_some() {
                    Strictness::Exact
                } else {
                    strictness
                };
                compare(&below(key), value, parsed.as_ref().or(actual), strictness, found);
            }
        }
        (Value::Array(expected), Some(Value::Array(actual))) => {
            for (index, value) in actual.iter().enumerate().skip(expected.len()) {
                differ(below(&index), None, Some(value));
            }
            for (index, value) in expected.iter().enumerate() {
                compare(&below(&index), value, actual.get(index), strictness, found);
            }
        }
        (expected, Some(actual)) if expected == actual => {}
        (expected, actual) => differ(path.to_owned(), Some(expected), actual),
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let side = |value: &Option<Value>| match value {
            None => "nothing".to_owned(),
            Some(value) => value.to_string(),
        };
        write!(
            f,
            "{}\n  expected  {}\n  got       {}",
            self.path,
            side(&self.expected),
            side(&self.actual)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hookhost_event::Id;
    use hookhost_modules::trial::TrialRequest;

    fn result() -> TrialResult {
        let request = TrialRequest {
            method: "POST",
            url: "http://h/a".into(),
            headers: vec![("x".into(), "y".into())],
            body: r#"{"a":1,"b":[1,2]}"#.into(),
            ordering_key: Some("k7".into()),
            destination: None,
            options: vec![],
            refused: None,
        };
        TrialResult {
            event: Id(1),
            outcome: TrialOutcome::Delivered(vec![request]),
            time: None,
            fuel: Some(5),
            is_again: false,
        }
    }

    fn differences(line: &str) -> Vec<String> {
        let expected = parse(line).unwrap_or_else(|problems| panic!("{problems:?}"));
        expected[0]
            .differences(&result())
            .iter()
            .map(|it| it.path.clone())
            .collect()
    }

    #[test]
    fn what_is_said_is_compared() {
        for (line, paths) in [
            (r#"{"outcome":"deliver"}"#, &[][..]),
            (r#"{"outcome":"deliver","micros":1,"fuel":7}"#, &[]),
            (r#"{"outcome":"ignore"}"#, &["outcome"]),
            (r#"{"outcome":"deliver","text":"x"}"#, &["text"]),
            (r#"{"outcome":"deliver","requests":[]}"#, &["requests.0"]),
            (r#"{"outcome":"deliver","requests":[{},{}]}"#, &["requests.1"]),
            (
                r#"{"outcome":"deliver","requests":[{"url":"http://h/a","ordering_key":"k7"}]}"#,
                &[],
            ),
            (
                r#"{"outcome":"deliver","requests":[{"url":"http://h/b","method":"PUT"}]}"#,
                &["requests.0.method", "requests.0.url"],
            ),
            (
                r#"{"outcome":"deliver","requests":[{"headers":[["x","z"]]}]}"#,
                &["requests.0.headers.0.1"],
            ),
            (
                r#"{"outcome":"deliver","requests":[{"refused":"x"}]}"#,
                &["requests.0.refused"],
            ),
            (
                r#"{"outcome":"deliver","requests":[{"body":"{\"a\":1,\"b\":[1,2]}"}]}"#,
                &[],
            ),
            (r#"{"outcome":"deliver","requests":[{"body":{"b":[1,2],"a":1}}]}"#, &[]),
            (
                r#"{"outcome":"deliver","requests":[{"body":{"a":1}}]}"#,
                &["requests.0.body.b"],
            ),
            (
                r#"{"outcome":"deliver","requests":[{"body":{"a":2,"b":[1],"c":0}}]}"#,
                &["requests.0.body.a", "requests.0.body.b.1", "requests.0.body.c"],
            ),
        ] {
            assert_eq!(differences(line), paths, "{line}");
        }
    }

    #[test]
    fn what_was_written_down_is_what_is_expected() {
        let line = serde_json::to_string(&result()).unwrap();
        assert_eq!(
            line,
            r#"{"event":"00000000000000000000000000000001","outcome":"deliver","requests":[{"method":"POST","url":"http://h/a","headers":[["x","y"]],"body":"{\"a\":1,\"b\":[1,2]}","ordering_key":"k7"}]}"#
        );
        assert_eq!(differences(&line), Vec::<String>::new());
    }

    #[test]
    fn a_difference_shows_both_sides() {
        let expected = parse(r#"{"outcome":"deliver","requests":[{"body":{"a":1}},{}]}"#).unwrap();
        let shown: Vec<String> = expected[0]
            .differences(&result())
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(
            shown,
            [
                "requests.0.body.b\n  expected  nothing\n  got       [1,2]",
                "requests.1\n  expected  {}\n  got       nothing",
            ]
        );
    }

    #[test]
    fn mistakes_are_told_with_their_line() {
        let text = "{\"outcome\":\"ignore\"}\n\n{\"outcom\":\"ignore\"}\n[]\n{\n{\"outcome\":\"delivr\",\"requests\":[{\"urll\":1},2]}";
        assert_eq!(
            parse(text).unwrap_err(),
            [
                "line 3: outcom: is an unknown key; did you mean outcome?",
                "line 3: outcome: must be one of not-wanted, ignore, deliver, fail, trap, timeout, no-instance",
                "line 4: must be an object",
                "line 5: is not JSON at column 1",
                "line 6: outcome: 'delivr' is unknown; did you mean deliver?",
                "line 6: requests.0.urll: is an unknown key; did you mean url?",
                "line 6: requests.1: must be an object",
            ]
        );
        assert_eq!(parse("\n{\"outcome\":\"ignore\"}").unwrap()[0].line, 2);
    }
}
