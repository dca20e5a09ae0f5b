//! Functions for points in time.
//!
//! Times are integers: seconds, milliseconds, microseconds or nanoseconds since 1970 in UTC. Dates are those of the
//! Gregorian calendar from year 0 on, as in Erlang. `calendar` has the conversions.

use num_traits::ToPrimitive;

use super::calendar::{DateFormat, Unit, format, format_rfc3339, offset_of, parse, parse_rfc3339};
use super::{Function, Theme, function};
use crate::environment::Environment;
use crate::failure::Failure;
use crate::value::Value;

/// A row for a function that needs the clock or the time zone; otherwise as [`function`].
macro_rules! timed {
    ($name:literal, $arguments:expr, $signature:literal, $about:literal, $call:expr) => {
        Function {
            name: $name,
            arguments: $arguments,
            signature: $signature,
            about: $about,
            call: |arguments, environment| {
                let call: fn(&[Value<'_>], &Environment<'_>) -> Option<Value<'static>> = $call;
                call(arguments, environment).ok_or_else(|| Failure::argument($name, arguments))
            },
        }
    };
}

pub(super) const THEME: Theme = Theme {
    title: "Dates",
    functions: &[
        timed!(
            "now_timestamp",
            0..=1,
            "now_timestamp([unit])",
            "The time in seconds since 1970, or in a unit: `'second'`, `'millisecond'`, `'microsecond'` or `'nanosecond'`.",
            |arguments, environment| Some(Value::Integer(now(environment, unit(arguments.first())?)))
        ),
        timed!(
            "now_rfc3339",
            0..=1,
            "now_rfc3339([unit])",
            "The local time in the format of RFC 3339, with the digits of a unit.",
            |arguments, environment| {
                let unit = unit(arguments.first())?;
                rfc3339(now(environment, unit), unit, environment)
            }
        ),
        timed!(
            "unix_ts_to_rfc3339",
            1..=2,
            "unix_ts_to_rfc3339(time[, unit])",
            "A time, in seconds or a unit, as local time in the format of RFC 3339.",
            |arguments, environment| {
                let unit = unit(arguments.get(1))?;
                rfc3339(integer(arguments.first()?)?, unit, environment)
            }
        ),
        function!(
            "rfc3339_to_unix_ts",
            1..=2,
            "rfc3339_to_unix_ts(text[, unit])",
            "The time of a date in the format of RFC 3339, in seconds or a unit.",
            |arguments| {
                let unit = unit(arguments.get(1))?;
                parse_rfc3339(arguments.first()?.as_text()?, unit).map(Value::Integer)
            }
        ),
        timed!(
            "format_date",
            3..=4,
            "format_date(unit, offset, format[, time])",
            "A time, or now, as a date. `offset` is seconds or a text such as `'+02:00'`, `'Z'` or `'local'`; `format` has \
             `%Y`, `%m`, `%d`, `%H`, `%M`, `%S`, `%N` (nanoseconds), `%3N`, `%6N`, `%z` (`+0200`), `%:z` and `%::z`.",
            |arguments, environment| {
                let unit = unit(arguments.first())?;
                let offset = offset(arguments.get(1)?, environment)?;
                let time = match arguments.get(3) {
                    Some(time) => integer(time)?,
                    None => now(environment, unit),
                };
                let bytes = format(time, unit, offset, &DateFormat::new(arguments.get(2)?.as_bytes()?))?;
                // EMQX takes the bytes for characters of Latin-1.
                let characters = Value::List(bytes.into_iter().map(Value::from).collect());
                Some(Value::bytes(characters.to_bytes()))
            }
        ),
        timed!(
            "date_to_unix_ts",
            3..=4,
            "date_to_unix_ts(unit, [offset, ]format, text)",
            "The time of a date in a format as for `format_date`. Characters of the format that are no directives match any \
             characters.",
            |arguments, environment| {
                let unit = unit(arguments.first())?;
                let (offset_seconds, format, text) = match arguments {
                    [_, format, text] => (0, format, text),
                    [_, zone, format, text] => (offset(zone, environment)?, format, text),
                    _ => return None,
                };
                let local = environment.system.local_offset();
                let time = parse(text.as_bytes()?, unit, &DateFormat::new(format.as_bytes()?), local)?;
                time.checked_sub(offset_seconds.checked_mul(unit.per_second())?)
                    .map(Value::Integer)
            }
        ),
        timed!(
            "timezone_to_second",
            1..=1,
            "timezone_to_second(offset)",
            "As `timezone_to_offset_seconds`.",
            zone_seconds
        ),
        timed!(
            "timezone_to_offset_seconds",
            1..=1,
            "timezone_to_offset_seconds(offset)",
            "The seconds of an offset from UTC, such as `'+02:00'`, `'-0130'`, `'Z'` or `'local'`.",
            zone_seconds
        ),
    ],
};

fn zone_seconds(arguments: &[Value<'_>], environment: &Environment<'_>) -> Option<Value<'static>> {
    offset(arguments.first()?, environment).map(Value::Integer)
}

fn now(environment: &Environment<'_>, unit: Unit) -> i128 {
    environment
        .system
        .now_ns()
        .div_euclid(1_000_000_000 / unit.per_second())
}

/// The unit of an argument, or seconds.
fn unit(argument: Option<&Value<'_>>) -> Option<Unit> {
    argument.map_or(Some(Unit::Second), |unit| Unit::from_name(unit.as_text()?))
}

fn integer(value: &Value<'_>) -> Option<i128> {
    value.as_integer()?.to_i128()
}

/// Seconds that a zone is ahead of UTC.
fn offset(value: &Value<'_>, environment: &Environment<'_>) -> Option<i128> {
    match value {
        Value::Undefined => Some(0),
        Value::Text(text) => offset_of(text, environment.system.local_offset()),
        value => integer(value),
    }
}

fn rfc3339(time: i128, unit: Unit, environment: &Environment<'_>) -> Option<Value<'static>> {
    format_rfc3339(time, unit, environment.system.local_offset()).map(Value::from)
}

#[cfg(test)]
mod tests {
    use crate::functions::testing::check;

    /// Times without a zone are those of a host in UTC in the recording; here local time is two hours ahead.
    #[test]
    fn as_recorded() {
        check(&[
            ("now_rfc3339()", "\"2023-11-15T00:13:20+02:00\""),
            ("now_rfc3339('second')", "\"2023-11-15T00:13:20+02:00\""),
            ("now_rfc3339('millisecond')", "\"2023-11-15T00:13:20.123+02:00\""),
            ("now_rfc3339('minute')", "fails"),
            ("unix_ts_to_rfc3339(1700000000)", "\"2023-11-15T00:13:20+02:00\""),
            (
                "unix_ts_to_rfc3339(1700000000123, 'millisecond')",
                "\"2023-11-15T00:13:20.123+02:00\"",
            ),
            (
                "unix_ts_to_rfc3339(1700000000123456, 'microsecond')",
                "\"2023-11-15T00:13:20.123456+02:00\"",
            ),
            (
                "unix_ts_to_rfc3339(1700000000123456789, 'nanosecond')",
                "\"2023-11-15T00:13:20.123456789+02:00\"",
            ),
            ("unix_ts_to_rfc3339('1700000000')", "fails"),
            ("unix_ts_to_rfc3339(1700000000, 'day')", "fails"),
            (
                "unix_ts_to_rfc3339(1700000000000, 'millisecond')",
                "\"2023-11-15T00:13:20.000+02:00\"",
            ),
            ("rfc3339_to_unix_ts('2023-11-14T22:13:20Z')", "1700000000"),
            (
                "rfc3339_to_unix_ts('2023-11-14T22:13:20Z', 'millisecond')",
                "1700000000000",
            ),
            ("rfc3339_to_unix_ts('2023-11-14 22:13:20Z')", "1700000000"),
            ("rfc3339_to_unix_ts(5)", "fails"),
            ("rfc3339_to_unix_ts('2023-13-14T22:13:20Z')", "fails"),
            ("rfc3339_to_unix_ts('2023-11-14t22:13:20z')", "1700000000"),
            ("now_timestamp()", "1700000000"),
            ("now_timestamp('millisecond')", "1700000000123"),
            ("now_timestamp('nanosecond')", "1700000000123456789"),
            ("now_timestamp('hour')", "fails"),
            (
                "format_date('second', '+08:00', '%Y-%m-%d %H:%M:%S%z', 1700000000)",
                "\"2023-11-15 06:13:20+0800\"",
            ),
            (
                "format_date('second', 'Z', '%Y%m%dT%H%M%S', 1700000000)",
                "\"20231114T221320\"",
            ),
            (
                "format_date('microsecond', 0, '%H:%M:%S.%6N', 1700000000123456)",
                "\"22:13:20.123456\"",
            ),
            (
                "format_date('nanosecond', '+0100', '%N %::z', 1700000000123456789)",
                "\"123456789 +01:00:00\"",
            ),
            ("format_date('second', '8', '%Y', 1700000000)", "fails"),
            ("format_date('day', 'Z', '%Y', 1)", "fails"),
            ("format_date('second', '', '%Y', 1700000000)", "fails"),
            ("format_date('second', 3600, '%H:%M', 0)", "\"01:00\""),
            ("format_date('second', 'local', '%H:%M%z', 0)", "\"02:00+0200\""),
            (
                "format_date('second', 'Z', '%Y-%m-%d %H:%M:%S', -1)",
                "\"1969-12-31 23:59:59\"",
            ),
            (
                "format_date('millisecond', 'Z', '%N %6N %3N', 1)",
                "\"001000000 001000 001\"",
            ),
            ("format_date('millisecond', 'Z', '%H:%M:%S.%3N')", "\"22:13:20.123\""),
            (
                "date_to_unix_ts('second', '%Y-%m-%d %H:%M:%S', '2023-11-14 22:13:20')",
                "1700000000",
            ),
            (
                "date_to_unix_ts('second', '+08:00', '%Y-%m-%d %H:%M:%S', '2023-11-14 22:13:20')",
                "1699971200",
            ),
            (
                "date_to_unix_ts('second', '%Y-%m-%d %H:%M:%S%:z', '2023-11-14 22:13:20+01:00')",
                "1699996400",
            ),
            ("date_to_unix_ts('second', '%Y-%m-%d %H:%M:%S', 'garbage')", "fails"),
            (
                "date_to_unix_ts('nanosecond', '%Y-%m-%dT%H:%M:%S.%N', '2023-11-14T22:13:20.123456789')",
                "1700000000123456789",
            ),
            (
                "date_to_unix_ts('second', '%Y/%m/%d %H-%M-%S', '2023-11-14 22:13:20')",
                "1700000000",
            ),
            ("timezone_to_second('+08:00')", "28800"),
            ("timezone_to_second('Z')", "0"),
            ("timezone_to_second('-0130')", "-5400"),
            ("timezone_to_second(60)", "60"),
            ("timezone_to_offset_seconds('+02:30')", "9000"),
            ("timezone_to_offset_seconds('z')", "0"),
            ("timezone_to_offset_seconds('+01:02:03')", "3723"),
            ("timezone_to_offset_seconds('+25:00')", "fails"),
            ("timezone_to_offset_seconds('local')", "7200"),
        ]);
    }

    /// Compared with Erlang 25.2.3.
    #[test]
    fn as_erlang() {
        check(&[
            (
                "rfc3339_to_unix_ts('2023-11-14T22:13:20.5+01:00', 'millisecond')",
                "1699996400500",
            ),
            ("rfc3339_to_unix_ts('1969-12-31T23:59:59.5Z', 'millisecond')", "-1500"),
            ("rfc3339_to_unix_ts('2023-02-29T00:00:00Z')", "fails"),
            ("rfc3339_to_unix_ts('2023-11-14T22:13:20')", "fails"),
            ("rfc3339_to_unix_ts('2023-11-14T22:13:20.Z', 'millisecond')", "fails"),
            ("rfc3339_to_unix_ts('2023-11-14T22:13:20.Z')", "1700000000"),
            ("rfc3339_to_unix_ts('10000-01-01T00:00:00Z')", "fails"),
            (
                "unix_ts_to_rfc3339(-1, 'millisecond')",
                "\"1970-01-01T01:59:59.999+02:00\"",
            ),
            ("unix_ts_to_rfc3339(253402300800)", "fails"),
            ("format_date('second', 'Z', '%y %% %Y', 0)", "\"%y %% 1970\""),
            ("format_date('second', 'Z', '%Yä', 0)", "\"1970Ã¤\""),
            ("format_date('millisecond', 'Z', '%S.%3N', -1)", "\"00.0-1\""),
            ("format_date('second', 'Z', '%Y', -62167219201)", "fails"),
            ("format_date('second', 'Z', '%Y', 'x')", "fails"),
            ("date_to_unix_ts('second', '%Y-%m-%d', '2023-11-14')", "fails"),
            (
                "date_to_unix_ts('second', '%Y-%m-%d %H:%M:%S', '2023-11-14 22:13:20 and more')",
                "1700000000",
            ),
            (
                "date_to_unix_ts('second', '%Y-%m-%d %H:%M:%S', '2023-11-14 25:61:61')",
                "1700013721",
            ),
            (
                "date_to_unix_ts('second', '%Y-%m-%d %H:%M:%S.%3N', '1969-12-31 23:59:59.999')",
                "-1",
            ),
            (
                "date_to_unix_ts('millisecond', '%Y-%m-%d %H:%M:%S', '2023-11-14 22:13:20')",
                "1700000000000",
            ),
        ]);
    }
}
