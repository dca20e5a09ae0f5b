//! A setting as the type that is asked for, or the problem with it.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::units::{UnitError, format_duration, format_size, parse_duration, parse_size};
use super::{Problem, Setting, Value};

impl Setting {
    /// A string.
    ///
    /// # Errors
    ///
    /// The value has another type.
    pub fn text(&self) -> Result<&str, Problem> {
        self.as_text().ok_or_else(|| self.mismatch("a string"))
    }

    /// A string, turned into what `read` makes of it.
    ///
    /// # Errors
    ///
    /// The value has another type, or the text that `read` returned.
    pub fn parse<'s, T>(&'s self, read: impl FnOnce(&'s str) -> Result<T, String>) -> Result<T, Problem> {
        read(self.text()?).map_err(|text| self.place.problem(text))
    }

    /// A string, number or boolean as it would be written.
    ///
    /// # Errors
    ///
    /// The value is a date, a list or a table.
    pub fn written(&self) -> Result<String, Problem> {
        self.value.written().ok_or_else(|| self.mismatch("a string"))
    }

    /// `true` or `false`.
    ///
    /// # Errors
    ///
    /// The value is neither.
    pub fn boolean(&self) -> Result<bool, Problem> {
        match &self.value {
            Value::Boolean(boolean) => Ok(*boolean),
            Value::Untyped(text) if text.trim() == "true" => Ok(true),
            Value::Untyped(text) if text.trim() == "false" => Ok(false),
            _ => Err(self.mismatch("true or false")),
        }
    }

    /// A whole number.
    ///
    /// # Errors
    ///
    /// The value has another type, is out of bounds or does not fit `T`.
    pub fn integer<T: TryFrom<i64>>(&self, bounds: RangeInclusive<i64>) -> Result<T, Problem> {
        let number = self.as_integer().ok_or_else(|| self.mismatch("a whole number"))?;
        let number = self.within(number, &bounds, i64::to_string)?;
        T::try_from(number).map_err(|_| self.place.problem("is too large"))
    }

    /// A number.
    ///
    /// # Errors
    ///
    /// The value has another type or is out of bounds.
    pub fn number(&self, bounds: RangeInclusive<f64>) -> Result<f64, Problem> {
        let number = match &self.value {
            Value::Float(number) => Some(*number),
            Value::Integer(number) => Some(*number as f64),
            Value::Untyped(text) => text.trim().parse().ok(),
            _ => None,
        };
        let number = number.ok_or_else(|| self.mismatch("a number"))?;
        self.within(number, &bounds, f64::to_string)
    }

    /// A duration with its unit, such as `1m30s`.
    ///
    /// # Errors
    ///
    /// The value has another type, no unit, or is out of bounds.
    pub fn duration(&self, bounds: RangeInclusive<Duration>) -> Result<Duration, Problem> {
        let text = self
            .as_text()
            .ok_or_else(|| self.mismatch("a duration such as \"1m30s\""))?;
        let duration = self.unit(parse_duration(text))?;
        self.within(duration, &bounds, |duration| format_duration(*duration))
    }

    /// A duration with its unit, or a number of milliseconds, as EMQX and NanoMQ write it.
    ///
    /// # Errors
    ///
    /// As [`duration`](Setting::duration).
    pub fn milliseconds(&self, bounds: RangeInclusive<Duration>) -> Result<Duration, Problem> {
        let Some(number) = self.as_integer() else {
            return self.duration(bounds);
        };
        let number = u64::try_from(number).map_err(|_| self.place.problem("should not be negative"))?;
        self.within(Duration::from_millis(number), &bounds, |duration| {
            format_duration(*duration)
        })
    }

    /// A number of bytes, with or without a unit such as `64MiB`.
    ///
    /// # Errors
    ///
    /// The value has another type, an unknown unit, or is out of bounds.
    pub fn size(&self, bounds: RangeInclusive<usize>) -> Result<usize, Problem> {
        let size = match (&self.value, self.as_text()) {
            (_, Some(text)) => self.unit(parse_size(text))?,
            (Value::Integer(number), _) => {
                usize::try_from(*number).map_err(|_| self.place.problem("should not be negative"))?
            }
            _ => return Err(self.mismatch("a size such as \"64MiB\"")),
        };
        self.within(size, &bounds, |size| format_size(*size))
    }

    /// The value that belongs to one of some names.
    ///
    /// # Errors
    ///
    /// The value is not one of the names.
    pub fn choice<T: Copy>(&self, choices: &[(&str, T)]) -> Result<T, Problem> {
        let text = self.as_text().map(str::trim);
        let chosen = choices.iter().find(|(name, _)| Some(*name) == text);
        chosen.map(|(_, value)| *value).ok_or_else(|| {
            let names: Vec<String> = choices.iter().map(|(name, _)| format!("\"{name}\"")).collect();
            self.place.problem(format!("should be {}", names.join(" or ")))
        })
    }

    /// A list of strings, each turned into what `read` makes of it: an untyped text is separated at blanks, and so is a
    /// string if `single` allows one in place of a list. Each bad element is a problem of its own.
    pub fn texts<T>(&self, single: bool, read: impl Fn(&str) -> Result<T, String>) -> (Vec<T>, Vec<Problem>) {
        let mut results: Vec<Result<T, Problem>> = Vec::new();
        match &self.value {
            Value::List(list) => results.extend(list.iter().map(|element| element.parse(&read))),
            Value::Untyped(_) => results.extend(self.words(&read)),
            Value::Text(_) if single => results.extend(self.words(&read)),
            _ if single => results.push(Err(self.mismatch("a string or a list of strings"))),
            _ => results.push(Err(self.mismatch("a list of strings"))),
        }
        let (mut values, mut problems) = (Vec::new(), Vec::new());
        for result in results {
            match result {
                Ok(value) => values.push(value),
                Err(problem) => problems.push(problem),
            }
        }
        (values, problems)
    }

    fn words<T>(&self, read: impl Fn(&str) -> Result<T, String>) -> impl Iterator<Item = Result<T, Problem>> {
        let words = self.as_text().unwrap_or_default().split_whitespace();
        words.map(move |word| read(word).map_err(|text| self.place.problem(text)))
    }

    /// A whole number, if it is one.
    fn as_integer(&self) -> Option<i64> {
        match &self.value {
            Value::Integer(number) => Some(*number),
            Value::Untyped(text) => text.trim().replace('_', "").parse().ok(),
            _ => None,
        }
    }

    /// The problem that the value has another type than the expected one.
    pub fn mismatch(&self, expected: &str) -> Problem {
        self.place.problem(match &self.value {
            Value::Untyped(_) => format!("should be {expected}"),
            value => format!("should be {expected}, not {}", value.kind()),
        })
    }

    fn unit<T>(&self, read: Result<T, UnitError>) -> Result<T, Problem> {
        read.map_err(|error| self.place.problem(error.to_string()))
    }

    fn within<T: PartialOrd>(
        &self,
        value: T,
        bounds: &RangeInclusive<T>,
        shown: impl Fn(&T) -> String,
    ) -> Result<T, Problem> {
        if bounds.contains(&value) {
            return Ok(value);
        }
        let (low, high) = (shown(bounds.start()), shown(bounds.end()));
        Err(self.place.problem(format!("should be between {low} and {high}")))
    }
}
