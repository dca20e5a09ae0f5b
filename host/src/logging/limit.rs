//! Limits the log lines that clients can cause, so that no client can fill a disk or hide other lines.
//!
//! The broker engine and its neighbours log what clients do, and the admin API logs requests without a valid token. Each of their places in the source may write
//! [`LINES_PER_SECOND`] lines. The next line from the same place after that second is preceded by a line with the number
//! of suppressed lines. The host's own lines about configuration and modules are not limited: clients cannot cause them.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use tracing::callsite::Identifier;
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

/// Lines from one place within a second.
const LINES_PER_SECOND: u32 = 20;

/// The crates whose lines clients can cause; `log` is the target of lines of other libraries, such as the engine's.
const LIMITED: [&str; 10] = [
    "log",
    "rmqtt",
    "rumqttd",
    "hookhost_broker",
    "hookhost_gateway",
    "hookhost_listener",
    "hookhost_access",
    "hookhost_sessions",
    "hookhost_hooks",
    "hookhost_delivery",
];

/// The target of the lines of the audit log about requests whose sender is unknown: anybody can cause them.
pub(crate) const REFUSED_TARGET: &str = "audit::refused";

/// A layer that limits the lines of all layers.
pub(super) struct LineLimit {
    start: Instant,
    places: Mutex<HashMap<Identifier, LineCount>>,
}

/// The lines of one place.
#[derive(Debug, Default)]
struct LineCount {
    /// Number of the second, from the start on.
    second: u64,
    /// Lines written in that second.
    written: u32,
    /// Lines not written since the last report.
    suppressed: u64,
}

impl LineLimit {
    pub(super) fn new() -> LineLimit {
        LineLimit {
            start: Instant::now(),
            places: Mutex::default(),
        }
    }
}

impl LineCount {
    /// Whether to write a line in this second. If so, returns how many were suppressed before.
    fn pass(&mut self, second: u64) -> Option<u64> {
        if self.second != second {
            (self.second, self.written) = (second, 0);
        }
        if self.written >= LINES_PER_SECOND {
            self.suppressed += 1;
            return None;
        }
        self.written += 1;
        Some(std::mem::take(&mut self.suppressed))
    }
}

fn is_limited(target: &str) -> bool {
    let name = target.split("::").next().unwrap_or(target);
    LIMITED.contains(&name) || name.starts_with("rmqtt_") || target == REFUSED_TARGET
}

impl<S: Subscriber> Layer<S> for LineLimit {
    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        let metadata = event.metadata();
        if !is_limited(metadata.target()) {
            return true;
        }
        let passed = {
            let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
            places
                .entry(metadata.callsite())
                .or_default()
                .pass(self.start.elapsed().as_secs())
        };
        // The lock is released: the report is an event as well.
        if let Some(suppressed @ 1..) = passed {
            let file = metadata.file().unwrap_or_else(|| metadata.target());
            tracing::warn!(
                suppressed,
                file,
                line = metadata.line(),
                "log lines suppressed: too many per second"
            );
        }
        passed.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_above_the_limit_are_counted_and_reported_once() {
        let mut count = LineCount::default();
        let mut written = |second: u64, lines: u32| -> (usize, u64) {
            let passed: Vec<u64> = (0..lines).filter_map(|_| count.pass(second)).collect();
            (passed.len(), passed.iter().sum())
        };
        assert_eq!(written(0, 5), (5, 0));
        assert_eq!(written(0, 100), (15, 0));
        assert_eq!(written(1, 3), (3, 85), "the first line of the next second reports");
        assert_eq!(written(9, 21), (20, 0));
        assert_eq!(written(10, 1), (1, 1));
    }

    #[test]
    fn lines_of_the_host_itself_are_not_limited() {
        for (target, expected) in [
            ("rmqtt::session", true),
            ("rmqtt_codec::v5", true),
            ("hookhost_broker::rmqtt::handler", true),
            ("log", true),
            ("hookhost::reload", false),
            ("hookhost_modules::control", false),
            ("logging", false),
            ("audit", false),
            ("audit::refused", true),
        ] {
            assert_eq!(is_limited(target), expected, "{target}");
        }
    }
}
