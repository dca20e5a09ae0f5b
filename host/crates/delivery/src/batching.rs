//! Batches: several requests sent as one HTTP request. Pure: no I/O and no clock.
//!
//! A request names its [`Batching`]. Requests with the same batching, URL, method and headers may go out together, in
//! order of their keys. Each remains a request of its own: it is retried, dropped and counted alone.
//!
//! Every body of a batch must be one JSON value. Otherwise a body such as `1},{"forged":2` would add elements to a JSON
//! array. [`BatchFormat::check`] checks each body once, before it joins a batch.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use bytes::Bytes;
use hookhost_settings::{format_duration, format_size, parse_duration, parse_size};
use serde::de::IgnoredAny;

/// How requests are sent together.
///
/// As text: words `KEY=VALUE`, separated by spaces, such as `format=ndjson max_events=500`. Missing keys have their
/// defaults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Batching {
    /// The form of the body.
    pub format: BatchFormat,
    /// Limit of the requests in one batch: 1 to 10,000. Default: 100.
    pub max_events: usize,
    /// Limit of the bytes of the body: 1 KiB to 64 MiB. A longer body is sent alone. Default: 1 MiB.
    pub max_bytes: usize,
    /// How long a request waits for others: 0 ms to 60 s, whole milliseconds. Default: 20 ms.
    pub max_delay: Duration,
}

/// The form of the body of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum BatchFormat {
    /// A JSON array with one element per request.
    #[default]
    JsonArray,
    /// One line of JSON per request.
    Ndjson,
    /// The batch of the CloudEvents HTTP binding: a JSON array of structured events.
    CloudEvents,
}

/// Why a text is not a [`Batching`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BatchingError {
    /// A word is not `KEY=VALUE`, or its key is unknown.
    #[error("a batch has the keys format, max_events, max_bytes and max_delay")]
    Key,
    /// The format is unknown.
    #[error("`format` of a batch should be json_array, ndjson or cloudevents")]
    Format,
    /// The number of requests is not a number or out of range.
    #[error("`max_events` of a batch should be 1 to 10000")]
    Events,
    /// The size cannot be read or is out of range.
    #[error("`max_bytes` of a batch should be a size of 1KiB to 64MiB, such as 1MiB")]
    Bytes,
    /// The duration cannot be read or is out of range.
    #[error("`max_delay` of a batch should be a duration of 0ms to 60s, such as 20ms")]
    Delay,
}

impl Default for Batching {
    fn default() -> Batching {
        Batching {
            format: BatchFormat::default(),
            max_events: 100,
            max_bytes: 1 << 20,
            max_delay: Duration::from_millis(20),
        }
    }
}

impl FromStr for Batching {
    type Err = BatchingError;

    fn from_str(text: &str) -> Result<Batching, BatchingError> {
        let mut batching = Batching::default();
        for word in text.split_ascii_whitespace() {
            let (key, value) = word.split_once('=').ok_or(BatchingError::Key)?;
            match key {
                "format" => {
                    let found = BatchFormat::NAMES.iter().find(|(name, _)| *name == value);
                    batching.format = found.ok_or(BatchingError::Format)?.1;
                }
                "max_events" => {
                    let events = value.parse().ok().filter(|events| (1..=10_000).contains(events));
                    batching.max_events = events.ok_or(BatchingError::Events)?;
                }
                "max_bytes" => {
                    let bytes = parse_size(value).ok();
                    let bytes = bytes.filter(|bytes| (1 << 10..=64 << 20).contains(bytes));
                    batching.max_bytes = bytes.ok_or(BatchingError::Bytes)?;
                }
                "max_delay" => {
                    let delay = parse_duration(value).ok();
                    let delay = delay.filter(|delay| *delay <= Duration::from_secs(60));
                    batching.max_delay = delay.ok_or(BatchingError::Delay)?;
                }
                _ => return Err(BatchingError::Key),
            }
        }
        Ok(batching)
    }
}

impl fmt::Display for Batching {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (format, events) = (self.format.name(), self.max_events);
        let (bytes, delay) = (format_size(self.max_bytes), format_duration(self.max_delay));
        write!(
            f,
            "format={format} max_events={events} max_bytes={bytes} max_delay={delay}"
        )
    }
}

impl BatchFormat {
    /// All formats, by their names in a configuration.
    pub const NAMES: [(&'static str, BatchFormat); 3] = [
        ("json_array", BatchFormat::JsonArray),
        ("ndjson", BatchFormat::Ndjson),
        ("cloudevents", BatchFormat::CloudEvents),
    ];

    fn name(self) -> &'static str {
        match self {
            BatchFormat::JsonArray => "json_array",
            BatchFormat::Ndjson => "ndjson",
            BatchFormat::CloudEvents => "cloudevents",
        }
    }

    /// The `content-type` of a batch.
    pub(super) fn content_type(self) -> &'static str {
        match self {
            BatchFormat::JsonArray => "application/json",
            BatchFormat::Ndjson => "application/x-ndjson",
            BatchFormat::CloudEvents => "application/cloudevents-batch+json",
        }
    }

    /// Checks that a body can be part of a batch.
    ///
    /// # Errors
    ///
    /// What is wrong with the body, without the body itself.
    pub(super) fn check(self, body: &[u8]) -> Result<(), String> {
        let text = std::str::from_utf8(body).ok();
        let is_json = text.is_some_and(|text| serde_json::from_str::<IgnoredAny>(text).is_ok());
        if !is_json {
            return Err("the body is not JSON, as every body of a batch must be".to_owned());
        }
        let is_object = || body.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{');
        if self == BatchFormat::CloudEvents && !is_object() {
            return Err("the body is not a JSON object, as a CloudEvent in a batch must be".to_owned());
        }
        Ok(())
    }

    /// The bytes that a batch needs for a body of this length.
    pub(super) fn bytes_of(self, body: usize) -> usize {
        body + 1
    }

    /// Joins checked bodies, in this order.
    pub(super) fn join<'a>(self, bodies: impl Iterator<Item = &'a Bytes> + Clone) -> Bytes {
        let length: usize = bodies.clone().map(|body| self.bytes_of(body.len())).sum();
        let mut joined = Vec::with_capacity(length + 1);
        match self {
            BatchFormat::JsonArray | BatchFormat::CloudEvents => {
                joined.push(b'[');
                for (index, body) in bodies.enumerate() {
                    if index > 0 {
                        joined.push(b',');
                    }
                    joined.extend_from_slice(body);
                }
                joined.push(b']');
            }
            BatchFormat::Ndjson => {
                for body in bodies {
                    let start = joined.len();
                    joined.extend_from_slice(body);
                    // In JSON, a line break between tokens means the same as a space; there are none within tokens.
                    let line = joined.get_mut(start..).into_iter().flatten();
                    line.filter(|byte| matches!(byte, b'\n' | b'\r'))
                        .for_each(|byte| *byte = b' ');
                    joined.push(b'\n');
                }
            }
        }
        joined.into()
    }
}

#[cfg(test)]
#[path = "batching_tests.rs"]
mod tests;
