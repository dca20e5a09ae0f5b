//! What is wrong with a line and where.

use hookhost_shared::nearest::nearest;
use hookhost_shared::problems::Problem;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_path_to_error::Segment;

/// Endings of serde's texts, and their replacements for readers who do not write Rust.
const ENDINGS: [(&str, &str); 6] = [
    ("expected u8", "expected a whole number from 0 to 255"),
    ("expected u16", "expected a whole number from 0 to 65535"),
    ("expected u32", "expected a whole number from 0 to 4294967295"),
    ("expected u64", "expected a whole number from 0 to 18446744073709551615"),
    ("expected i16", "expected a whole number from -32768 to 32767"),
    (
        "invalid socket address syntax",
        "must be an address such as \"127.0.0.1:50716\"",
    ),
];

/// Parses one line.
pub(super) fn parse(line: &str) -> Result<Value, Problem> {
    serde_json::from_str(line).map_err(|error| {
        // The line that serde_json names is always 1.
        let text = error.to_string();
        let text = text.rsplit_once(" at line ").map_or(text.as_str(), |(text, _)| text);
        Problem {
            key: String::new(),
            text: format!("is not JSON at column {}: {text}", error.column()),
        }
    })
}

/// Reads a value that is at `key`, or that is the whole if `key` is empty.
///
/// # Errors
///
/// The first mistake, with its path.
pub(super) fn read<T: DeserializeOwned>(key: &str, value: Value) -> Result<T, Problem> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let key = Some(key.to_owned()).filter(|key| !key.is_empty());
        let below = error.path().iter().filter_map(|segment| match segment {
            Segment::Seq { index } => Some(index.to_string()),
            Segment::Map { key } => Some(key.clone()),
            Segment::Enum { variant } => Some(variant.clone()),
            Segment::Unknown => None,
        });
        let path: Vec<_> = key.into_iter().chain(below).collect();
        Problem {
            key: path.join("."),
            text: explained(&error.inner().to_string()),
        }
    })
}

/// Refuses a list where there must be none: serde would read it as a record, by the order of its fields.
pub(super) fn refuse_lists(path: &str, value: &Value) -> Result<(), Problem> {
    const LISTS: [&str; 4] = ["attributes", "standard", "user", "subscription_ids"];
    match value {
        Value::Object(object) => {
            let mut others = object.iter().filter(|(key, _)| !LISTS.contains(&key.as_str()));
            others.try_for_each(|(key, value)| refuse_lists(&format!("{path}.{key}"), value))
        }
        Value::Array(_) => Err(Problem {
            key: path.to_owned(),
            text: "must not be a list".to_owned(),
        }),
        _ => Ok(()),
    }
}

/// A key that does not belong to an object.
pub(super) fn unknown_key(key: &str, known: &[&str]) -> Problem {
    let known: Vec<_> = known.iter().map(|name| format!("`{name}`")).collect();
    Problem {
        key: key.to_owned(),
        text: explained(&format!("unknown key `{key}`, expected one of {}", known.join(", "))),
    }
}

/// What serde says in the words of JSON, with the nearest known name instead of all of them.
fn explained(text: &str) -> String {
    if let Some((ending, instead)) = ENDINGS.iter().find(|(ending, _)| text.ends_with(ending)) {
        return text.replace(ending, instead);
    }
    if let Some((found, _)) = text.split_once(", expected struct ") {
        return format!("{found}, expected an object");
    }
    let text = text
        .replacen("unknown field", "unknown key", 1)
        .replacen("unknown variant", "unknown name", 1);
    let quoted = |text: &str| {
        text.split('`')
            .skip(1)
            .step_by(2)
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let Some((unknown, known)) = text.split_once(", expected one of ") else {
        return text;
    };
    let (word, known) = (quoted(unknown).concat(), quoted(known));
    match nearest(&word, known.iter().map(String::as_str)) {
        Some(meant) => format!("{unknown}; did you mean `{meant}`?"),
        None => text,
    }
}
