//! Limits of clients below `mqtt`, which have the same meaning in hookhost.

use hookhost_settings::{Problem, Setting, Table, Value};

use super::Part;
use crate::checks::switch;
use crate::summary;

/// A limit: its name in the broker, its name below `mqtt` here, and how it is read.
type Limit = (&'static str, &'static str, fn(&Setting) -> Result<Value, Problem>);

const LIMITS: [Limit; 8] = [
    ("max_packet_size", "max_packet_size", size),
    ("max_clientid_len", "max_clientid_len", |setting| {
        number(setting, 1, 65_535)
    }),
    ("max_topic_levels", "max_topic_levels", |setting| {
        number(setting, 1, 1_024)
    }),
    ("max_qos_allowed", "max_qos_allowed", |setting| number(setting, 0, 2)),
    ("max_mqueue_len", "max_mqueue_len", |setting| {
        number(setting, 1, 100_000_000)
    }),
    ("max_inflight", "max_inflight", |setting| number(setting, 1, 65_535)),
    ("retain_available", "retain", boolean),
    ("shared_subscription", "shared_subscription", boolean),
];

/// Takes the limits. A value that hookhost does not support, such as `infinity`, is a warning.
pub(super) fn read(tree: &mut Table, part: &mut Part) {
    let Some(Setting {
        value: Value::Table(mqtt),
        ..
    }) = tree.get_mut("mqtt")
    else {
        return;
    };
    for (theirs, ours, read) in LIMITS {
        let Some(setting) = mqtt.remove(theirs) else { continue };
        match read(&setting) {
            Ok(value) => part.set(&["mqtt", ours], &setting.place, value),
            Err(problem) => part.warnings.push(Problem {
                text: format!("{}; it is ignored", problem.text),
                ..problem
            }),
        }
    }
}

/// Takes all other keys of `mqtt`, with one warning.
pub(super) fn rest(tree: &mut Table, part: &mut Part) {
    let Some(setting) = tree.remove("mqtt") else { return };
    let ignored = |setting: &Setting| setting.place.problem("hookhost does not have this limit");
    let ignored: Vec<Problem> = match &setting.value {
        Value::Table(mqtt) => mqtt.values().map(ignored).collect(),
        _ => vec![ignored(&setting)],
    };
    part.warnings.extend(summary(&ignored));
}

fn size(setting: &Setting) -> Result<Value, Problem> {
    let bytes = setting.size(16..=268_435_455)?;
    Ok(Value::Integer(i64::try_from(bytes).unwrap_or(i64::MAX)))
}

fn number(setting: &Setting, least: i64, most: i64) -> Result<Value, Problem> {
    setting.integer(least..=most).map(Value::Integer)
}

fn boolean(setting: &Setting) -> Result<Value, Problem> {
    switch(setting).map(Value::Boolean)
}
