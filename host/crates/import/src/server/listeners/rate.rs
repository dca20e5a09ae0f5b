//! `max_conn_rate` of a listener, as `mqtt.max_connection_rate`: a number in EMQX 4, `"1000/s"` or `"500/10s"` in EMQX 5.
//!
//! hookhost has one rate for all listeners, so the highest one counts, and none if a listener has none.

use hookhost_settings::{Place, Section, Setting, Value, parse_duration};

use super::super::Part;

/// The highest rate of hookhost.
const MAX_PER_SECOND: i64 = 1_000_000;

/// Takes the new connections in a second, with their place. Without a limit, or with one that hookhost does not have, the
/// result is `None`.
pub(super) fn take(fields: &mut Section<'_>) -> Option<(Place, i64)> {
    let setting = fields.take("max_conn_rate")?;
    let written = setting.value.written().unwrap_or_default();
    match per_second(written.trim()) {
        Some(rate) => Some((setting.place, rate)),
        None => {
            ignored(fields, &setting, &written);
            None
        }
    }
}

/// Sets the rate of all listeners that are opened.
pub(super) fn set(rates: Vec<Option<(Place, i64)>>, part: &mut Part) {
    let has_all = rates.iter().all(Option::is_some);
    let highest = rates.into_iter().flatten().max_by_key(|(_, rate)| *rate);
    match highest {
        Some((place, rate)) if has_all => part.set(&["mqtt", "max_connection_rate"], &place, Value::Integer(rate)),
        Some((place, _)) => part.warn(
            &place,
            "is ignored, because another listener has no such rate; max_connection_rate of [mqtt] is for all listeners",
        ),
        None => {}
    }
}

fn ignored(fields: &Section<'_>, setting: &Setting, written: &str) {
    if written.trim() != "infinity" {
        let text = format!("is ignored: {written:?} is not a number of connections in a time, such as \"1000/s\"");
        fields.warning(setting.place.problem(text));
    }
}

/// The rate in connections per second, at least 1.
fn per_second(text: &str) -> Option<i64> {
    let (count, time) = text.split_once('/').unwrap_or((text, "s"));
    let count: i64 = count.trim().parse().ok()?;
    // "s" is one second.
    let time = time.trim();
    let time = match time.starts_with(|first: char| first.is_ascii_digit()) {
        true => parse_duration(time),
        false => parse_duration(&format!("1{time}")),
    };
    let time = i64::try_from(time.ok()?.as_millis()).ok().filter(|time| *time > 0)?;
    let rate = count.checked_mul(1_000)?.checked_div(time)?;
    (count > 0).then_some(rate.clamp(1, MAX_PER_SECOND))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates() {
        for (text, expected) in [
            ("1000", Some(1_000)),
            ("1000/s", Some(1_000)),
            ("500/10s", Some(50)),
            ("600 / 1m", Some(10)),
            ("5/100ms", Some(50)),
            ("1/h", Some(1)),
            ("99999999999/s", Some(1_000_000)),
            ("0", None),
            ("0/s", None),
            ("10/0s", None),
            ("10/y", None),
            ("infinity", None),
            ("-1/s", None),
            ("", None),
            ("9223372036854775807/s", None),
        ] {
            assert_eq!(per_second(text), expected, "{text}");
        }
    }
}
