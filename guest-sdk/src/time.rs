//! Local time and timestamps. A module does not know the time zone of the host; each event has the offset from UTC.

use std::fmt;

/// A local time of the host, in the Gregorian calendar.
///
/// ```
/// use hookhost_guest::time::LocalTime;
///
/// let time = LocalTime::new(1_790_000_001_002, 120);
/// assert_eq!(time.to_string(), "2026-09-21 16:13:21.002");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LocalTime {
    /// Year; at least 1969.
    pub year: i64,
    /// Month, 1 to 12.
    pub month: u8,
    /// Day of the month, 1 to 31.
    pub day: u8,
    /// Hour, 0 to 23.
    pub hour: u8,
    /// Minute, 0 to 59.
    pub minute: u8,
    /// Second, 0 to 59.
    pub second: u8,
    /// Millisecond, 0 to 999.
    pub millisecond: u16,
}

const DAY: i64 = 86_400_000;

impl LocalTime {
    /// The local time at `at`, in milliseconds since 1970-01-01T00:00Z, in a time zone that is `utc_offset` minutes ahead
    /// of UTC.
    pub fn new(at: u64, utc_offset: i16) -> LocalTime {
        let local = i64::try_from(at)
            .unwrap_or(i64::MAX)
            .saturating_add(i64::from(utc_offset) * 60_000);
        let (year, month, day) = date(local.div_euclid(DAY));
        let in_day = local.rem_euclid(DAY);
        LocalTime {
            year,
            month,
            day,
            hour: small(in_day / 3_600_000),
            minute: small(in_day / 60_000 % 60),
            second: small(in_day / 1_000 % 60),
            millisecond: (in_day % 1_000) as u16,
        }
    }

    /// Appends the same text as `Display`. Faster, because it uses no formatter.
    pub fn push_to(self, out: &mut String) {
        if self.year < 1_000 {
            out.push('0');
        }
        out.push_str(itoa::Buffer::new().format(self.year));
        for (separator, number) in [
            ('-', self.month),
            ('-', self.day),
            (' ', self.hour),
            (':', self.minute),
            (':', self.second),
        ] {
            out.push(separator);
            out.push(char::from(b'0' + number / 10));
            out.push(char::from(b'0' + number % 10));
        }
        out.push('.');
        for digit in [
            self.millisecond / 100,
            self.millisecond / 10 % 10,
            self.millisecond % 10,
        ] {
            out.push(char::from(b'0' + digit as u8));
        }
    }
}

/// `YYYY-MM-DD HH:MM:SS.mmm`.
impl fmt::Display for LocalTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::with_capacity(23);
        self.push_to(&mut text);
        f.write_str(&text)
    }
}

/// Formats a time in milliseconds since 1970-01-01T00:00Z as RFC 3339, in UTC and with milliseconds.
///
/// ```
/// use hookhost_guest::time::rfc3339;
///
/// assert_eq!(rfc3339(1_790_000_001_002), "2026-09-21T14:13:21.002Z");
/// ```
pub fn rfc3339(at: u64) -> String {
    let mut text = LocalTime::new(at, 0).to_string().replace(' ', "T");
    text.push('Z');
    text
}

fn small(number: i64) -> u8 {
    number as u8
}

/// Year, month and day of a day number; day 0 is 1970-01-01.
///
/// The computation uses eras of 400 years, which all have the same number of days, and years that begin in March, so that
/// a leap day is the last day of its year.
fn date(days: i64) -> (i64, u8, u8) {
    const DAYS_OF_ERA: i64 = 146_097;
    // From 0000-03-01 to 1970-01-01.
    let days = days + 719_468;
    let era = days.div_euclid(DAYS_OF_ERA);
    let day_of_era = days.rem_euclid(DAYS_OF_ERA);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    // March is 0; the lengths of months repeat every five months with 153 days.
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let (year, month) = if month < 10 {
        (year_of_era, month + 3)
    } else {
        (year_of_era + 1, month - 9)
    };
    (era * 400 + year, small(month), small(day))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_on_the_wall_clock() {
        for (at, offset, expected) in [
            (0, 0, "1970-01-01 00:00:00.000"),
            (0, -60, "1969-12-31 23:00:00.000"),
            (951_782_399_999, 0, "2000-02-28 23:59:59.999"),
            (951_782_400_000, 0, "2000-02-29 00:00:00.000"),
            (951_868_800_000, 0, "2000-03-01 00:00:00.000"),
            (1_735_689_599_007, 0, "2024-12-31 23:59:59.007"),
            (1_735_689_599_007, 330, "2025-01-01 05:29:59.007"),
            (1_790_000_001_000, 0, "2026-09-21 14:13:21.000"),
            (1_790_000_001_000, -480, "2026-09-21 06:13:21.000"),
            (4_107_542_400_000, 0, "2100-03-01 00:00:00.000"),
            (253_402_300_799_999, 0, "9999-12-31 23:59:59.999"),
        ] {
            assert_eq!(LocalTime::new(at, offset).to_string(), expected);
        }
    }

    #[test]
    fn every_day_of_800_years_follows_the_one_before() {
        let mut before = date(-1);
        assert_eq!(before, (1969, 12, 31));
        for day in 0..292_194 {
            let (year, month, day) = date(day);
            let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            let length = |month: u8| match month {
                2 => 28 + u8::from(leap),
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
            let expected = match before {
                (year, 12, 31) => (year + 1, 1, 1),
                (year, month, day) if day < length(month) => (year, month, day + 1),
                (year, month, _) => (year, month + 1, 1),
            };
            assert_eq!((year, month, day), expected);
            before = expected;
        }
    }

    #[test]
    fn a_moment_at_the_end_of_time_is_printed() {
        assert!(
            LocalTime::new(u64::MAX, i16::MAX)
                .to_string()
                .starts_with("292278994-08-17")
        );
    }
}
