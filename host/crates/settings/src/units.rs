//! Durations and sizes as people write them: `"1h30m15s"`, `"64MiB"`.
//!
//! Durations use the units of the brokers that the configuration comes from: `f` (fortnight), `w`, `d`, `h`, `m`, `s`
//! and `ms`, joined in any order and added up. Sizes count in steps of 1024 whether the `i` is written or not, because
//! that is what `MB` means to those brokers. Case does not matter. A value that does not fit is an error, never zero.

use std::time::Duration;

/// Why a text is not a duration or a size; the text itself is not repeated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UnitError {
    /// Nothing to read.
    #[error("is empty")]
    Empty,
    /// A unit without a number before it, or an unexpected character.
    #[error("needs a whole number before the unit")]
    NoNumber,
    /// A number without a unit.
    #[error("needs a unit after each number: one of {0}")]
    NoUnit(&'static str),
    /// An unknown unit.
    #[error("has the unknown unit `{got}`: use one of {known}")]
    UnknownUnit {
        /// What was written.
        got: String,
        /// What could have been.
        known: &'static str,
    },
    /// The value does not fit its type.
    #[error("is too large")]
    TooLarge,
}

const DURATION_UNITS: [(&str, u64); 7] = [
    ("f", 14 * 24 * 3_600_000),
    ("w", 7 * 24 * 3_600_000),
    ("d", 24 * 3_600_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];
const DURATION_NAMES: &str = "f, w, d, h, m, s, ms";
const SIZE_NAMES: &str = "B, KiB, MiB, GiB, TiB";

/// Reads a duration such as `500ms`, `8s` or `1h30m15s`, exact to the millisecond.
///
/// ```
/// use std::time::Duration;
/// assert_eq!(hookhost_settings::parse_duration("1h30m15s"), Ok(Duration::from_secs(5415)));
/// assert!(hookhost_settings::parse_duration("30").is_err());
/// ```
pub fn parse_duration(text: &str) -> Result<Duration, UnitError> {
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(UnitError::Empty);
    }
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let (number, unit, after) = number_and_unit(rest)?;
        if unit.is_empty() {
            return Err(UnitError::NoUnit(DURATION_NAMES));
        }
        let Some((_, millis)) = DURATION_UNITS.iter().find(|(name, _)| unit.eq_ignore_ascii_case(name)) else {
            return Err(UnitError::UnknownUnit {
                got: unit.to_owned(),
                known: DURATION_NAMES,
            });
        };
        let part = number.checked_mul(*millis).ok_or(UnitError::TooLarge)?;
        total = total.checked_add(part).ok_or(UnitError::TooLarge)?;
        rest = after;
    }
    Ok(Duration::from_millis(total))
}

/// Writes a duration so that [`parse_duration`] reads it again; fractions of a millisecond are cut off.
///
/// Weeks and fortnights are not used: days are easier to read.
pub fn format_duration(duration: Duration) -> String {
    let mut left = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    if left == 0 {
        return "0s".to_owned();
    }
    let mut text = String::new();
    for (unit, millis) in DURATION_UNITS.iter().filter(|(unit, _)| !matches!(*unit, "f" | "w")) {
        if left >= *millis {
            text.push_str(&format!("{}{unit}", left / millis));
            left %= millis;
        }
    }
    text
}

/// Reads a number of bytes such as `64MiB`, `1MB`, `512KiB`, `512k` or `4096`.
///
/// ```
/// assert_eq!(hookhost_settings::parse_size("64MiB"), Ok(64 << 20));
/// assert_eq!(hookhost_settings::parse_size("1MB"), Ok(1 << 20));
/// ```
pub fn parse_size(text: &str) -> Result<usize, UnitError> {
    let text = text.trim();
    if text.is_empty() {
        return Err(UnitError::Empty);
    }
    let (number, unit, after) = number_and_unit(text)?;
    if !after.is_empty() {
        return Err(UnitError::UnknownUnit {
            got: format!("{unit}{after}"),
            known: SIZE_NAMES,
        });
    }
    let shift = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        "t" | "tb" | "tib" => 40,
        _ => {
            return Err(UnitError::UnknownUnit {
                got: unit.to_owned(),
                known: SIZE_NAMES,
            });
        }
    };
    let bytes = number.checked_mul(1 << shift).ok_or(UnitError::TooLarge)?;
    usize::try_from(bytes).map_err(|_| UnitError::TooLarge)
}

/// Writes a number of bytes so that [`parse_size`] reads exactly the same again.
pub fn format_size(bytes: usize) -> String {
    let units = [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")];
    let exact = units
        .into_iter()
        .find(|(shift, _)| bytes > 0 && bytes.trailing_zeros() >= *shift);
    match exact {
        Some((shift, unit)) => format!("{}{unit}", bytes >> shift),
        None => format!("{bytes}B"),
    }
}

/// The number at the front (digits, `_` between them), the letters after it, and what follows both and any blanks.
fn number_and_unit(text: &str) -> Result<(u64, &str, &str), UnitError> {
    let digits = text
        .find(|c: char| !c.is_ascii_digit() && c != '_')
        .unwrap_or(text.len());
    let (number, rest) = text.split_at(digits);
    let number = number.replace('_', "");
    if number.is_empty() {
        return Err(UnitError::NoNumber);
    }
    let rest = rest.trim_start();
    let letters = rest.find(|c: char| !c.is_alphabetic()).unwrap_or(rest.len());
    let (unit, after) = rest.split_at(letters);
    // Only digits are left, so the only way to fail is to be too long.
    Ok((
        number.parse().map_err(|_| UnitError::TooLarge)?,
        unit,
        after.trim_start(),
    ))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations() {
        let good = [
            ("500ms", 500),
            ("8s", 8_000),
            ("1h30m15s", 5_415_000),
            ("2w3d12h", 1_512_000_000),
            ("1f", 1_209_600_000),
            (" 1m 5S ", 65_000),
            ("1s1s", 2_000),
            ("0s", 0),
            ("1_000ms", 1_000),
        ];
        for (text, millis) in good {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        let bad = [
            ("", "is empty"),
            ("  ", "is empty"),
            ("5", "needs a unit after each number: one of f, w, d, h, m, s, ms"),
            ("1h30", "needs a unit after each number: one of f, w, d, h, m, s, ms"),
            ("s", "needs a whole number before the unit"),
            ("-1s", "needs a whole number before the unit"),
            ("1.5s", "needs a unit after each number: one of f, w, d, h, m, s, ms"),
            ("1y", "has the unknown unit `y`: use one of f, w, d, h, m, s, ms"),
            ("99999999999999999999s", "is too large"),
            ("99999999999999999f", "is too large"),
            ("18446744073709551615ms1ms", "is too large"),
        ];
        for (text, message) in bad {
            assert_eq!(parse_duration(text).unwrap_err().to_string(), message, "{text}");
        }
    }

    #[test]
    fn sizes() {
        let good = [
            ("64MiB", 64 << 20),
            ("1MB", 1 << 20),
            ("512KiB", 512 << 10),
            ("512k", 512 << 10),
            ("4096", 4096),
            ("10 B", 10),
            ("2gb", 2 << 30),
            ("0", 0),
        ];
        for (text, bytes) in good {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
        let bad = [
            ("", "is empty"),
            ("MiB", "needs a whole number before the unit"),
            (
                "1.5MiB",
                "has the unknown unit `.5MiB`: use one of B, KiB, MiB, GiB, TiB",
            ),
            ("1s", "has the unknown unit `s`: use one of B, KiB, MiB, GiB, TiB"),
            ("1M2K", "has the unknown unit `M2K`: use one of B, KiB, MiB, GiB, TiB"),
            ("99999999999TiB", "is too large"),
        ];
        for (text, message) in bad {
            assert_eq!(parse_size(text).unwrap_err().to_string(), message, "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_written_duration_reads_the_same(millis in any::<u64>()) {
            let duration = Duration::from_millis(millis);
            prop_assert_eq!(parse_duration(&format_duration(duration)), Ok(duration));
        }

        #[test]
        fn a_written_size_reads_the_same(bytes in any::<usize>(), shift in 0_u32..60) {
            let bytes = (bytes >> shift) << (shift / 2);
            prop_assert_eq!(parse_size(&format_size(bytes)), Ok(bytes));
        }

        #[test]
        fn no_text_panics(text in any::<String>(), close in "[0-9_ .]{0,22}[a-zA-Z ]{0,4}[0-9]{0,3}") {
            for text in [text, close] {
                drop((parse_duration(&text), parse_size(&text)));
            }
        }
    }
}
