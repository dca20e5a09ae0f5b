//! Log lines on standard error; standard output belongs to webhooks.
//!
//! One event is one line, whatever its fields contain: clients must not be able to forge a line. Events of `tracing`
//! are shown from level info on. Events of `log`, which the broker engine uses, are shown from level warn on.
//! `HOOKHOST_LOG`, or else `RUST_LOG`, overrides that with the usual directives, such as `debug` or `info,rmqtt=debug`.

use std::io::{self, IsTerminal, Write};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use hookhost_settings::{Place, Problem};

use crate::config::Environment;

/// Precedes the directives of the environment, so that `HOOKHOST_LOG=debug` does not show the engine's own lines.
/// rumqttd's spans have level error and cost microseconds for each message, so rumqttd is off.
const DEFAULTS: &str = "info,rmqtt=warn,rumqttd=off";

/// The filter of log lines.
#[derive(Debug)]
pub struct Filter {
    filter: EnvFilter,
    /// The level for `log`, which is compared before a line is built.
    log: tracing_log::log::LevelFilter,
}

impl Filter {
    /// Reads `HOOKHOST_LOG` or `RUST_LOG`.
    ///
    /// # Errors
    ///
    /// The directives are invalid.
    pub fn read(environment: &Environment) -> Result<Filter, Problem> {
        let given = ["HOOKHOST_LOG", "RUST_LOG"].into_iter().find_map(|name| {
            let value = environment
                .get(name)
                .map(|value| value.trim())
                .filter(|value| !value.is_empty())?;
            Some((name, value))
        });
        let Some((name, value)) = given else {
            return Ok(Filter {
                filter: EnvFilter::new(DEFAULTS),
                log: tracing_log::log::LevelFilter::Warn,
            });
        };
        let filter = EnvFilter::builder()
            .parse(format!("{DEFAULTS},{value}"))
            .map_err(|error| {
                Place::variable(name).problem(format!(
                    "is not a log filter such as \"debug\" or \"info,rmqtt=debug\": {error}"
                ))
            })?;
        let log = filter.max_level_hint().unwrap_or(LevelFilter::TRACE);
        Ok(Filter {
            filter,
            log: tracing_log::AsLog::as_log(&log),
        })
    }

    /// Starts logging for the rest of the process. Does nothing if logging was started before.
    pub fn install(self) {
        let colours = io::stderr().is_terminal();
        let lines = tracing_subscriber::fmt()
            .compact()
            .with_ansi(colours)
            .with_env_filter(self.filter);
        let dispatch = tracing::Dispatch::new(lines.with_writer(OneLine(io::stderr)).finish());
        let installed = tracing::dispatcher::set_global_default(dispatch).is_ok();
        if installed {
            // This fails only if there is a logger already.
            drop(tracing_log::LogTracer::builder().with_max_level(self.log).init());
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
            let Filter { filter, log } = Filter::read(&environment(variables)).unwrap();
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
