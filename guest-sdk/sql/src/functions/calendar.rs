//! Points in time as texts: RFC 3339 and formats such as `%Y-%m-%d`.
//!
//! Erlang rounds towards zero where it drops fractions, so that times before 1970 have their own look: it is kept.

use chrono::{DateTime, Datelike, NaiveDate, Timelike};

/// The unit of a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Unit {
    Second,
    Millisecond,
    Microsecond,
    Nanosecond,
}

impl Unit {
    pub(super) fn from_name(name: &str) -> Option<Unit> {
        Some(match name {
            "second" => Unit::Second,
            "millisecond" => Unit::Millisecond,
            "microsecond" => Unit::Microsecond,
            "nanosecond" => Unit::Nanosecond,
            _ => return None,
        })
    }

    /// Number of digits behind seconds.
    fn digits(self) -> usize {
        match self {
            Unit::Second => 0,
            Unit::Millisecond => 3,
            Unit::Microsecond => 6,
            Unit::Nanosecond => 9,
        }
    }

    pub(super) fn per_second(self) -> i128 {
        match self {
            Unit::Second => 1,
            Unit::Millisecond => 1_000,
            Unit::Microsecond => 1_000_000,
            Unit::Nanosecond => 1_000_000_000,
        }
    }
}

/// First second of year 0, since 1970.
const FIRST_SECOND: i128 = -62_167_219_200;
/// First second of year 10000, which RFC 3339 cannot write.
const TOO_LATE_SECOND: i128 = 253_402_300_800;

/// Year, month, day, hour, minute and second of a time in UTC.
fn fields(seconds: i128) -> Option<[i64; 6]> {
    let time = DateTime::from_timestamp(i64::try_from(seconds).ok()?, 0).filter(|_| seconds >= FIRST_SECOND)?;
    let [month, day, hour, minute, second] =
        [time.month(), time.day(), time.hour(), time.minute(), time.second()].map(i64::from);
    Some([time.year().into(), month, day, hour, minute, second])
}

/// The time of a date in UTC. Erlang checks the date and not the time of day.
fn seconds([year, month, day, hour, minute, second]: [i64; 6]) -> Option<i128> {
    let year = i32::try_from(year).ok().filter(|year| (0..=9999).contains(year))?;
    let date = NaiveDate::from_ymd_opt(year, u32::try_from(month).ok()?, u32::try_from(day).ok()?)?;
    let midnight = date.and_hms_opt(0, 0, 0)?.and_utc().timestamp();
    Some(i128::from(midnight) + i128::from(hour) * 3600 + i128::from(minute) * 60 + i128::from(second))
}

/// A time as local time in the format of RFC 3339; `None` outside of the years 0 to 9999.
pub(super) fn format_rfc3339(time: i128, unit: Unit, local_offset: i32) -> Option<String> {
    let per_second = unit.per_second();
    let local = time.checked_add(i128::from(local_offset) * per_second)?;
    let in_seconds = local / per_second;
    let [year, month, day, hour, minute, second] = fields(in_seconds).filter(|_| in_seconds < TOO_LATE_SECOND)?;
    let mut text = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}");
    if unit != Unit::Second {
        text += &format!(".{:0width$}", (local % per_second).abs(), width = unit.digits());
    }
    Some(text + &zone(local_offset.into(), ":", false)?)
}

/// An offset from UTC such as `+02:00`; `None` for a day or more.
fn zone(offset: i128, colon: &str, has_seconds: bool) -> Option<String> {
    let sign = if offset < 0 { '-' } else { '+' };
    let offset = offset.checked_abs().filter(|offset| *offset < 86_400)?;
    let [hours, minutes, seconds] = [offset / 3600, offset / 60 % 60, offset % 60];
    let seconds = if has_seconds {
        format!("{colon}{seconds:02}")
    } else {
        String::new()
    };
    Some(format!("{sign}{hours:02}{colon}{minutes:02}{seconds}"))
}

/// The time of a date in the format of RFC 3339.
pub(super) fn parse_rfc3339(text: &str, unit: Unit) -> Option<i128> {
    let part = |from: usize, to: usize| text.get(from..to)?.parse::<i64>().ok();
    let separators = [(4, "-"), (7, "-"), (13, ":"), (16, ":")];
    if !separators
        .iter()
        .all(|(at, separator)| text.get(*at..at + 1) == Some(separator))
    {
        return None;
    }
    let fields = [
        part(0, 4)?,
        part(5, 7)?,
        part(8, 10)?,
        part(11, 13)?,
        part(14, 16)?,
        part(17, 19)?,
    ];
    let rest = text.get(19..)?;
    let (fraction, zone) = rest.split_at(
        rest.find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(rest.len()),
    );
    let offset = match zone {
        "Z" | "z" => 0,
        zone => {
            let sign = match zone.get(..1)? {
                "+" => 1,
                "-" => -1,
                _ => return None,
            };
            let (hours, minutes) = zone
                .get(1..)?
                .split_once(':')
                .filter(|(hours, minutes)| hours.len() == 2 && minutes.len() == 2)?;
            sign * (hours.parse::<i64>().ok()? * 3600 + minutes.parse::<i64>().ok()? * 60)
        }
    };
    let seconds = seconds(fields)? - i128::from(offset);
    if !(FIRST_SECOND..TOO_LATE_SECOND).contains(&seconds) {
        return None;
    }
    let time = seconds * unit.per_second();
    if unit == Unit::Second || fraction.is_empty() {
        return Some(time);
    }
    let digits = fraction
        .strip_prefix('.')
        .filter(|digits| !digits.is_empty() && !digits.contains('.'))?;
    let fraction = (format!("0.{digits}").parse::<f64>().ok()? * unit.per_second() as f64).round() as i128;
    // Erlang gives the fraction the sign of the seconds.
    Some(if time < 0 { time - fraction } else { time + fraction })
}

/// The seconds of an offset from UTC as a text.
pub(super) fn offset_of(text: &str, local_offset: i32) -> Option<i128> {
    match text {
        "local" => return Some(local_offset.into()),
        "Z" | "z" => return Some(0),
        _ => {}
    }
    let sign = match text.get(..1)? {
        "+" => 1,
        "-" => -1,
        _ => return None,
    };
    let parts: Vec<&str> = text.get(1..)?.split(':').filter(|part| !part.is_empty()).collect();
    let (hours, minutes, seconds) = match *parts {
        [hours, minutes] => (hours, minutes, "0"),
        [hours, minutes, seconds] => (hours, minutes, seconds),
        [together] if together.len() == 4 => (together.get(..2)?, together.get(2..)?, "0"),
        _ => return None,
    };
    let number = |digits: &str, most: i128| digits.parse::<i128>().ok().filter(|number| *number <= most);
    Some(sign * (number(hours, 23)? * 3600 + number(minutes, 59)? * 60 + number(seconds, 59)?))
}

/// A format, in parts.
pub(super) struct DateFormat<'f>(Vec<Part<'f>>);

#[derive(Clone, Copy)]
enum Part<'f> {
    /// A byte that stays as it is.
    Plain(&'f [u8]),
    /// Year to second, by the index in the fields of a date.
    Field(usize),
    /// Digits behind seconds.
    Fraction(Unit),
    /// `+0200`, `+02:00` or `+02:00:00`: the text between the numbers, and whether there are seconds.
    Zone(&'static str, bool),
}

impl<'f> DateFormat<'f> {
    const DIRECTIVES: [(&'static str, Part<'static>); 12] = [
        ("%Y", Part::Field(0)),
        ("%m", Part::Field(1)),
        ("%d", Part::Field(2)),
        ("%H", Part::Field(3)),
        ("%M", Part::Field(4)),
        ("%S", Part::Field(5)),
        ("%N", Part::Fraction(Unit::Nanosecond)),
        ("%3N", Part::Fraction(Unit::Millisecond)),
        ("%6N", Part::Fraction(Unit::Microsecond)),
        ("%z", Part::Zone("", false)),
        ("%:z", Part::Zone(":", false)),
        ("%::z", Part::Zone(":", true)),
    ];

    /// Finds the directives; other bytes stay as they are.
    pub(super) fn new(format: &'f [u8]) -> DateFormat<'f> {
        let mut parts = Vec::new();
        let mut rest = format;
        while !rest.is_empty() {
            let directive = Self::DIRECTIVES
                .iter()
                .find_map(|(text, part)| Some((*part, rest.strip_prefix(text.as_bytes())?)));
            let (part, behind) = match directive {
                Some(found) => found,
                None => {
                    let (plain, behind) = rest.split_at(1);
                    (Part::Plain(plain), behind)
                }
            };
            parts.push(part);
            rest = behind;
        }
        DateFormat(parts)
    }
}

/// A time in a format; `None` before year 0.
pub(super) fn format(time: i128, unit: Unit, offset: i128, format: &DateFormat<'_>) -> Option<Vec<u8>> {
    let per_second = unit.per_second();
    let fields = fields(time.checked_add(offset.checked_mul(per_second)?)? / per_second)?;
    let mut out = Vec::new();
    for part in &format.0 {
        match part {
            Part::Plain(byte) => out.extend_from_slice(byte),
            Part::Field(at) => {
                let width = if *at == 0 { 4 } else { 2 };
                out.extend(format!("{:0width$}", fields.get(*at)?).bytes());
            }
            Part::Fraction(shown) => {
                // Of more digits the first ones, and zeros for missing ones.
                let fraction = match unit <= *shown {
                    true => time % per_second * (shown.per_second() / per_second),
                    false => time / (per_second / shown.per_second()) % shown.per_second(),
                };
                // Erlang pads in front of the sign.
                let digits = fraction.to_string();
                out.extend(std::iter::repeat_n(b'0', shown.digits().saturating_sub(digits.len())));
                out.extend(digits.bytes());
            }
            Part::Zone(colon, has_seconds) => out.extend(zone(offset, colon, *has_seconds)?.bytes()),
        }
    }
    Some(out)
}

/// The time of a date in a format. What follows the last part is ignored.
pub(super) fn parse(text: &[u8], unit: Unit, format: &DateFormat<'_>, local_offset: i32) -> Option<i128> {
    let mut fields = [None; 6];
    let mut fraction = 0;
    let mut offset = 0;
    let mut rest = text;
    for part in &format.0 {
        if rest.is_empty() {
            break;
        }
        let length = match part {
            Part::Plain(_) => 1,
            Part::Field(0) => 4,
            Part::Field(_) => 2,
            Part::Fraction(unit) => unit.digits(),
            Part::Zone("", _) => 5,
            Part::Zone(_, has_seconds) => {
                if *has_seconds {
                    9
                } else {
                    6
                }
            }
        };
        let (taken, behind) = rest.split_at_checked(length)?;
        rest = behind;
        match part {
            Part::Plain(_) => {}
            Part::Field(at) => *fields.get_mut(*at)? = Some(str::from_utf8(taken).ok()?.parse().ok()?),
            Part::Fraction(unit) => {
                let number: i128 = str::from_utf8(taken).ok()?.parse().ok()?;
                fraction += number * (1_000_000_000 / unit.per_second());
            }
            Part::Zone(..) => offset = offset_of(str::from_utf8(taken).ok()?, local_offset)?,
        }
    }
    let [year, month, day, hour, minute, second] = fields;
    let seconds = seconds([year?, month?, day?, hour?, minute?, second?])? - offset;
    if !(FIRST_SECOND..TOO_LATE_SECOND).contains(&seconds) {
        return None;
    }
    Some((seconds * 1_000_000_000 + fraction).div_euclid(1_000_000_000 / unit.per_second()))
}
