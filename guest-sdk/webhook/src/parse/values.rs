//! Converts JSON values to the expected types, and reports other types as errors.

use serde_json::{Map, Value};

use hookhost_guest::nearest::nearest;
use hookhost_guest::problems::Problems;
use hookhost_guest::topic::TopicFilter;

pub(super) fn is_empty(value: &Value) -> bool {
    value.as_array().is_some_and(Vec::is_empty)
}

pub(super) fn topics(at: &str, value: &Value, problems: &mut Problems) -> Vec<TopicFilter> {
    let mut topics = Vec::new();
    for (at, topic) in texts(at, value, problems).unwrap_or_default() {
        match topic.parse() {
            Ok(filter) => topics.push(filter),
            Err(error) => problems.add(at, format_args!("'{topic}': {error}")),
        }
    }
    topics
}

pub(super) fn sql<T, E: std::fmt::Display>(at: &str, parsed: Result<T, E>, problems: &mut Problems) -> Option<T> {
    parsed.map_err(|error| problems.add(at, error)).ok()
}

/// The strings of a list, each with its key.
pub(super) fn texts<'a>(at: &str, value: &'a Value, problems: &mut Problems) -> Option<Vec<(String, &'a str)>> {
    let Some(list) = value.as_array() else {
        once(at, "a list of strings was expected".to_owned(), problems);
        return None;
    };
    let mut texts = Vec::new();
    for (index, value) in list.iter().enumerate() {
        let at = format!("{at}.{index}");
        texts.extend(text(&at, value, problems).map(|text| (at, text)));
    }
    Some(texts)
}

pub(super) fn text<'a>(at: &str, value: &'a Value, problems: &mut Problems) -> Option<&'a str> {
    let text = value.as_str();
    if text.is_none() {
        once(at, "a string was expected".to_owned(), problems);
    }
    text
}

pub(super) fn object<'a>(at: &str, value: &'a Value, problems: &mut Problems) -> Option<&'a Map<String, Value>> {
    let object = value.as_object();
    if object.is_none() {
        once(at, "a table was expected".to_owned(), problems);
    }
    object
}

pub(crate) fn once(at: &str, text: String, problems: &mut Problems) {
    if !problems.iter().any(|known| known.key == at && known.text == text) {
        problems.add(at, text);
    }
}

pub(crate) fn unknown(at: &str, name: &str, known: &[&str], problems: &mut Problems) {
    match nearest(name, known.iter().copied()) {
        Some(near) => problems.add(at, format_args!("is not known; is '{near}' meant?")),
        None => problems.add(at, format_args!("is not known; known are {}", known.join(", "))),
    }
}

pub(super) fn unknown_choice(name: &str, names: &[&str]) -> String {
    match nearest(name, names.iter().copied()) {
        Some(near) => format!("\"{name}\" is not known; is \"{near}\" meant?"),
        None => format!("\"{name}\" is not known; known are \"{}\"", names.join("\", \"")),
    }
}
