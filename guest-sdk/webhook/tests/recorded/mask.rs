//! Compares bodies with recorded ones, in which values that change from run to run are masked.

use std::time::{SystemTime, UNIX_EPOCH};

/// The masks; those with quotes stand for a value that is not a text.
const MASKS: [&str; 13] = [
    "\"<number: now in ms>\"",
    "\"<number: now in s>\"",
    "\"<ms>\"",
    "\"<random number>\"",
    "<now ns>",
    "<now rfc3339 3 digits +00:00>",
    "<now rfc3339 0 digits +00:00>",
    "<today>",
    "<uuid v4>",
    "<id>",
    "<port>",
    "<node>",
    "<ms>",
];

/// Whether a body is what was recorded.
pub(crate) fn matches(recorded: &str, body: &str) -> bool {
    let first = MASKS
        .iter()
        .filter_map(|mask| Some((recorded.find(mask)?, *mask)))
        .min_by_key(|(at, mask)| (*at, std::cmp::Reverse(mask.len())));
    let Some((at, mask)) = first else {
        return recorded == body;
    };
    let Some(rest) = body.strip_prefix(&recorded[..at]) else {
        return false;
    };
    let recorded = &recorded[at + mask.len()..];
    let length = length(mask, rest);
    length > 0 && is_valid(mask, &rest[..length]) && matches(recorded, &rest[length..])
}

/// How much of a text a mask stands for.
fn length(mask: &str, text: &str) -> usize {
    let leading = |is: fn(char) -> bool| text.find(|c| !is(c)).unwrap_or(text.len());
    match mask {
        "<node>" => "hookhost@127.0.0.1".len().min(text.len()),
        "\"<random number>\"" => leading(|c| c.is_ascii_digit() || ".e-".contains(c)),
        "<id>" | "<uuid v4>" => leading(|c| c.is_ascii_hexdigit() || c == '-'),
        mask if mask.contains("rfc3339") => leading(|c| c.is_ascii_digit() || "-+:.TZ".contains(c)),
        "<today>" => leading(|c| c.is_ascii_digit() || c == '-'),
        _ => leading(|c| c.is_ascii_digit()),
    }
}

fn is_valid(mask: &str, value: &str) -> bool {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    // Events have a fixed time; functions read the clock.
    let near = |value: u128, now: u128, day: u128| {
        let event = u128::from(hookhost_guest::testing::AT) * (day / 86_400_000);
        now.abs_diff(value) < 2 * day || event.abs_diff(value) < day
    };
    let number: u128 = value.parse().unwrap_or_default();
    match mask {
        "\"<number: now in ms>\"" | "\"<ms>\"" | "<ms>" => near(number, now.as_millis(), 86_400_000),
        "\"<number: now in s>\"" => near(number * 1000, now.as_millis(), 86_400_000),
        "<now ns>" => near(number, now.as_nanos(), 86_400_000_000_000),
        "<now rfc3339 3 digits +00:00>" => value.len() == 29 && value.ends_with("+00:00"),
        "<now rfc3339 0 digits +00:00>" => value.len() == 25 && value.ends_with("+00:00"),
        "<today>" => value.len() == 10,
        "<uuid v4>" => value.len() == 36 && value.as_bytes()[14] == b'4',
        "<id>" => value.len() == 32,
        "<node>" => value == "hookhost@127.0.0.1",
        "\"<random number>\"" => value.parse::<f64>().is_ok_and(|number| (0.0..1.0).contains(&number)),
        _ => number > 0,
    }
}
