//! The settings that need a restart.
//!
//! A reload changes rules and bodies, destinations, the settings of delivery, users and access rules, and the brokers behind
//! a gateway. All other settings, from listeners to
//! the limits of queues, keep their values until the host ends. [`Fixed`] holds their given values, so that a reload
//! can report the differences.

use std::collections::BTreeMap;
use std::fmt;

use hookhost_settings::{JsonDates, Place, Problem, Report, Table, Value};
use serde_json::Value as Json;

/// Sections that a reload changes.
const SECTIONS: [&str; 5] = ["webhook", "webhooks", "destinations", "authentication", "access"];

/// Keys in other sections that a reload changes: one about authentication, those about the brokers behind a gateway, and
/// those in [`Terms`](hookhost_delivery::Terms).
const KEYS: [&str; 27] = [
    "mqtt.allow_anonymous",
    "broker.upstream",
    "broker.balance",
    "broker.drain_timeout",
    "delivery.concurrency_limit",
    "delivery.http_timeout",
    "delivery.connect_timeout",
    "delivery.retry",
    "delivery.retry_on",
    "delivery.retry_delays",
    "delivery.gone_pause",
    "delivery.follow_redirects",
    "delivery.retry_initial_interval",
    "delivery.retry_multiplier",
    "delivery.retry_max_interval",
    "delivery.retry_max_elapsed_time",
    "delivery.id_header",
    "delivery.attempt_header",
    "delivery.http_version",
    "delivery.compression",
    "delivery.proxy",
    "delivery.breaker",
    "delivery.breaker_failure_rate",
    "delivery.breaker_pause",
    "delivery.breaker_max_pause",
    "delivery.rate_limit",
    "delivery.rate_burst",
];

/// The settings that need a restart, each with its place and value.
#[derive(Clone, PartialEq, Default)]
pub struct Fixed(BTreeMap<String, (Place, Json)>);

/// Only the keys: values may be secrets.
impl fmt::Debug for Fixed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Fixed {
    /// The given settings that need a restart.
    pub(super) fn of(settings: &Table) -> Fixed {
        // A value that JSON cannot express is reported by its reader.
        let report = Report::default();
        let mut fixed = BTreeMap::new();
        for (section, setting) in settings {
            let Value::Table(table) = &setting.value else {
                // `[[listener]]`
                let value = setting.to_json(&report, JsonDates::Text);
                fixed.insert(section.clone(), (setting.place.clone(), value));
                continue;
            };
            for (key, setting) in table {
                let path = format!("{section}.{key}");
                if !SECTIONS.contains(&section.as_str()) && !KEYS.contains(&path.as_str()) {
                    let value = setting.to_json(&report, JsonDates::Text);
                    fixed.insert(path, (setting.place.clone(), value));
                }
            }
        }
        Fixed(fixed)
    }

    /// The settings that differ from those at the start of the host, each with its place.
    pub fn differences(&self, started: &Fixed) -> Vec<Problem> {
        let of = |fixed: &Fixed, path: &String| fixed.0.get(path).map(|(_, value)| value.clone());
        let changed = self.0.iter().filter(|(path, _)| of(started, path) != of(self, path));
        let changed =
            changed.map(|(_, (place, _))| place.problem("needs a restart: it cannot change while the host runs"));
        let gone = started.0.iter().filter(|(path, _)| !self.0.contains_key(*path));
        let gone = gone
            .map(|(_, (place, _))| place.problem("is removed, which needs a restart: its value is used until then"));
        changed.chain(gone).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Inputs, TextFile, read};
    use super::*;

    fn fixed(text: &str) -> Fixed {
        let file = Some(TextFile {
            path: "h.toml".into(),
            text: text.to_owned(),
        });
        let inputs = Inputs {
            file,
            ..Inputs::default()
        };
        read(&inputs).unwrap().fixed
    }

    #[test]
    fn what_needs_a_restart_is_named_and_nothing_else() {
        let started = fixed(
            "[mqtt]\nlisten = \"127.0.0.1:1\"\n[hooks]\nbatch = 5\n[webhook]\nurls = [\"http://a/\"]\n\
             [delivery]\nhttp_timeout = \"1s\"\nqueue_requests = 9\n",
        );
        let lines = |text: &str| -> Vec<String> {
            fixed(text)
                .differences(&started)
                .iter()
                .map(Problem::to_string)
                .collect()
        };
        // The same values on other lines and in another order. Only settings that a reload changes differ.
        let same = "[delivery]\nqueue_requests = 9\nhttp_timeout = \"2s\"\nbreaker = false\nrate_limit = 5\n\
                    compression = \"gzip\"\nproxy = \"environment\"\nhttp_version = \"2\"\n\n[hooks]\nbatch = 5\n\
                    [mqtt]\nlisten = \"127.0.0.1:1\"\n[destinations.d]\nurls = [\"https://d/\"]\n";
        assert_eq!(lines(same), [""; 0]);
        assert_eq!(
            lines("[mqtt]\nlisten = \"127.0.0.1:2\"\nmax_clientid_len = 9\n[hooks]\nbatch = 5\n"),
            [
                "h.toml:2: mqtt.listen: needs a restart: it cannot change while the host runs",
                "h.toml:3: mqtt.max_clientid_len: needs a restart: it cannot change while the host runs",
                "h.toml:9: delivery.queue_requests: is removed, which needs a restart: its value is used until then",
            ]
        );
    }
}
