//! Log lines on standard error; standard output belongs to webhooks.
//!
//! One event is one line, whatever its fields contain: clients must not be able to forge a line. Events of `tracing`
//! are shown from level info on. Events of `log`, which the broker engine uses, are shown from level warn on.
//! `HOOKHOST_LOG`, or else `RUST_LOG`, overrides that with the usual directives, such as `debug` or `info,rmqtt=debug`.
//! [`LogControl`] changes them while the process runs.
//!
//! A line is text for people, or a JSON object ([`Format`]). Lines that clients can cause are
//! limited per second (`limit.rs`).

mod limit;

pub(crate) use limit::REFUSED_TARGET;

use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Mutex, PoisonError};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, reload};

use hookhost_settings::{Place, Problem};

use crate::config::Environment;

/// Precedes the directives of the environment, so that `HOOKHOST_LOG=debug` does not show the engine's own lines.
/// rumqttd's spans have level error and cost microseconds for each message, so rumqttd is off.
const DEFAULTS: &str = "info,rmqtt=warn,rumqttd=off";

/// Settings of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Settings {
    /// The form of a line.
    pub format: Format,
}

/// The form of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// Text if standard error is a terminal, otherwise JSON.
    Auto,
    /// Text for people.
    #[default]
    Text,
    /// One JSON object: `timestamp`, `level`, `target`, `message` and the fields of the line.
    Json,
}

impl Format {
    /// All values, by their names in a configuration.
    pub const NAMES: [(&'static str, Format); 3] =
        [("auto", Format::Auto), ("text", Format::Text), ("json", Format::Json)];

    fn is_json(self) -> bool {
        match self {
            Format::Auto => !io::stderr().is_terminal(),
            Format::Text => false,
            Format::Json => true,
        }
    }
}

/// The filter of log lines.
#[derive(Debug)]
pub struct Filter {
    filter: EnvFilter,
    /// The level for `log`, which is compared before a line is built.
    log: tracing_log::log::LevelFilter,
    /// The directives, without the defaults.
    given: String,
}

/// Directives that are not valid.
#[derive(Debug, thiserror::Error)]
#[error("is not a log filter such as \"debug\" or \"info,rmqtt=debug\": {0}")]
pub struct FilterError(tracing_subscriber::filter::ParseError);

/// Reads and changes the filter of a log that was started. Clones control the same log.
#[derive(Clone)]
pub struct LogControl {
    given: Arc<Mutex<String>>,
    /// `None` if this is not the log of the process.
    handle: Option<reload::Handle<EnvFilter, Registry>>,
}

impl fmt::Debug for LogControl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LogControl").field(&self.filter()).finish()
    }
}

impl LogControl {
    /// The directives in effect; empty for the defaults.
    pub fn filter(&self) -> String {
        self.given.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Selects other log lines from now on. An empty text selects the defaults.
    ///
    /// # Errors
    ///
    /// The directives are invalid; nothing is changed then.
    pub fn set_filter(&self, directives: &str) -> Result<(), FilterError> {
        let Filter { filter, log, given } = Filter::parse(directives)?;
        if let Some(handle) = &self.handle {
            // Fails only if the subscriber is gone, and with it the log.
            handle.reload(filter).ok();
            tracing_log::log::set_max_level(log);
        }
        *self.given.lock().unwrap_or_else(PoisonError::into_inner) = given;
        Ok(())
    }
}

impl Filter {
    /// Reads `HOOKHOST_LOG` or `RUST_LOG`.
    ///
    /// # Errors
    ///
    /// The directives are invalid.
    pub fn read(environment: &Environment) -> Result<Filter, Problem> {
        let given = ["HOOKHOST_LOG", "RUST_LOG"].into_iter().find_map(|name| {
            let value = environment.get(name).filter(|value| !value.trim().is_empty())?;
            Some((name, value))
        });
        let (name, value) = given.map_or(("", ""), |(name, value)| (name, value.as_str()));
        Filter::parse(value).map_err(|error| Place::variable(name).problem(error.to_string()))
    }

    fn parse(directives: &str) -> Result<Filter, FilterError> {
        let given = directives.trim();
        if given.is_empty() {
            return Ok(Filter {
                filter: EnvFilter::new(DEFAULTS),
                log: tracing_log::log::LevelFilter::Warn,
                given: String::new(),
            });
        }
        let filter = EnvFilter::builder()
            .parse(format!("{DEFAULTS},{given}"))
            .map_err(FilterError)?;
        let level = filter.max_level_hint().unwrap_or(LevelFilter::TRACE);
        Ok(Filter {
            filter,
            log: tracing_log::AsLog::as_log(&level),
            given: given.to_owned(),
        })
    }

    /// Starts logging for the rest of the process. Changes nothing if logging was started before.
    pub fn install(self, format: Format) -> LogControl {
        let Filter { filter, log, given } = self;
        let (filter, handle) = reload::Layer::new(filter);
        let lines = tracing_subscriber::fmt::layer();
        let lines: Box<dyn Layer<_> + Send + Sync> = if format.is_json() {
            let lines = lines.json().flatten_event(true);
            // JSON escapes line feeds.
            Box::new(
                lines
                    .with_current_span(false)
                    .with_span_list(false)
                    .with_writer(io::stderr),
            )
        } else {
            let colours = io::stderr().is_terminal();
            Box::new(lines.compact().with_ansi(colours).with_writer(OneLine(io::stderr)))
        };
        let subscriber = tracing_subscriber::registry()
            .with(filter)
            .with(limit::LineLimit::new())
            .with(lines);
        let installed = tracing::dispatcher::set_global_default(tracing::Dispatch::new(subscriber)).is_ok();
        if installed {
            // This fails only if there is a logger already.
            drop(tracing_log::LogTracer::builder().with_max_level(log).init());
        }
        LogControl {
            given: Arc::new(Mutex::new(given)),
            handle: installed.then_some(handle),
        }
    }
}

/// Writes each event as one line. An event arrives in one piece.
struct OneLine<M>(M);

impl<'a, M: MakeWriter<'a>> MakeWriter<'a> for OneLine<M> {
    type Writer = OneLine<M::Writer>;

    fn make_writer(&'a self) -> Self::Writer {
        OneLine(self.0.make_writer())
    }
}

impl<W: Write> Write for OneLine<W> {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let (text, end) = match event.split_last() {
            Some((b'\n', text)) => (text, &b"\n"[..]),
            _ => (event, &b""[..]),
        };
        if !text.iter().any(|byte| matches!(byte, b'\n' | b'\r')) {
            self.0.write_all(event)?;
            return Ok(event.len());
        }
        let mut line = Vec::with_capacity(event.len() + 16);
        for byte in text {
            match byte {
                b'\n' => line.extend_from_slice(b"\\n"),
                b'\r' => line.extend_from_slice(b"\\r"),
                byte => line.push(*byte),
            }
        }
        line.extend_from_slice(end);
        self.0.write_all(&line)?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    fn environment(variables: &[(&str, &str)]) -> Environment {
        variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn filters() {
        let shown = |variables: &[(&str, &str)]| {
            let Filter { filter, log, .. } = Filter::read(&environment(variables)).unwrap();
            let mut directives: Vec<String> = filter.to_string().split(',').map(str::to_owned).collect();
            directives.sort();
            (directives.join(","), log.to_string())
        };
        let pair = |filter: &str, log: &str| (filter.to_owned(), log.to_owned());
        assert_eq!(shown(&[]), pair("info,rmqtt=warn,rumqttd=off", "WARN"));
        assert_eq!(
            shown(&[("RUST_LOG", "debug")]),
            pair("debug,rmqtt=warn,rumqttd=off", "DEBUG")
        );
        assert_eq!(
            shown(&[("RUST_LOG", "debug"), ("HOOKHOST_LOG", "error")]).0,
            "error,rmqtt=warn,rumqttd=off"
        );
        assert_eq!(
            shown(&[("HOOKHOST_LOG", "rmqtt=trace")]),
            pair("info,rmqtt=trace,rumqttd=off", "TRACE")
        );
        assert_eq!(
            shown(&[("HOOKHOST_LOG", " ")]),
            pair("info,rmqtt=warn,rumqttd=off", "WARN")
        );
        let problem = Filter::read(&environment(&[("HOOKHOST_LOG", "hookhost=loud")]))
            .unwrap_err()
            .to_string();
        assert!(
            problem.starts_with("environment: HOOKHOST_LOG: is not a log filter"),
            "{problem}"
        );
    }

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn an_event_is_one_line_whatever_a_client_is_called() {
        let sink = Sink::default();
        let writer = {
            let sink = sink.clone();
            move || sink.clone()
        };
        let lines = tracing_subscriber::fmt()
            .compact()
            .with_ansi(false)
            .with_writer(OneLine(writer))
            .finish();
        tracing::subscriber::with_default(lines, || {
            tracing::info!(client = %"a\r\n2026 ERROR forged", mqtt = 1883, "ready");
            tracing::warn!("second");
        });
        let text = String::from_utf8(sink.0.lock().unwrap().clone()).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 2, "{text}");
        assert!(
            lines[0].ends_with(" ready client=a\\r\\n2026 ERROR forged mqtt=1883"),
            "{text}"
        );
    }
}
