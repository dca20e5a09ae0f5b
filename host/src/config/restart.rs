//! What of a configuration cannot change while the host runs.
//!
//! Rules and bodies, destinations, and the terms on which requests are sent follow a configuration that is read again.
//! Everything else, from listeners to the bounds of queues, is what it was at the start: [`Fixed`] remembers what was
//! given for it, so that a difference can be named.

use std::collections::BTreeMap;
use std::fmt;

use hookhost_settings::Problem;
use hookhost_settings::reader::{Given, Layer, Place};

/// Sections that take effect at once.
const SECTIONS: [&str; 2] = ["webhook.", "destinations."];

/// Keys that do, beside those; what they hold is in [`Terms`](hookhost_delivery::Terms).
const KEYS: [&str; 7] = [
    "delivery.concurrency_limit",
    "delivery.http_timeout",
    "delivery.connect_timeout",
    "delivery.retry_initial_interval",
    "delivery.retry_multiplier",
    "delivery.retry_max_interval",
    "delivery.retry_max_elapsed_time",
];

/// What was given for settings that hold until the host ends.
#[derive(Clone, PartialEq, Default)]
pub struct Fixed(BTreeMap<String, (Place, Said)>);

/// A value without the place where it stands.
#[derive(Clone, PartialEq)]
enum Said {
    Texts(Vec<String>),
    Json(serde_json::Value),
    /// Nothing that JSON has; a problem of its own.
    Other,
}

/// Only the keys: values may be secrets.
impl fmt::Debug for Fixed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Fixed {
    /// Of what is in force of all layers.
    pub(super) fn of(given: Layer) -> Fixed {
        let fixed = given.into_iter().filter(|(path, _)| {
            let at_once = SECTIONS.iter().any(|section| path.starts_with(section)) || KEYS.contains(&path.as_str());
            !at_once
        });
        Fixed(
            fixed
                .map(|(path, (place, given))| (path, (place, said(given))))
                .collect(),
        )
    }

    /// What differs from how the host was started, each with its place.
    pub fn differences(&self, started: &Fixed) -> Vec<Problem> {
        let of = |fixed: &Fixed, path: &String| fixed.0.get(path).map(|(_, said)| said.clone());
        let changed = self.0.iter().filter(|(path, _)| of(started, path) != of(self, path));
        let changed =
            changed.map(|(_, (place, _))| place.problem("needs a restart: it cannot change while the host runs"));
        let gone = started.0.iter().filter(|(path, _)| !self.0.contains_key(*path));
        let gone =
            gone.map(|(_, (place, _))| place.problem("is gone, which needs a restart: what it said holds until then"));
        changed.chain(gone).collect()
    }
}

fn said(given: Given) -> Said {
    match given {
        Given::Text(text) => Said::Texts(vec![text]),
        Given::Texts(texts) => Said::Texts(texts),
        Given::Node(node) => node.to_json().map_or(Said::Other, Said::Json),
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
        // Other lines, other order, the same values; what takes effect at once is different.
        let same = "[delivery]\nqueue_requests = 9\nhttp_timeout = \"2s\"\n\n[hooks]\nbatch = 5\n\
                    [mqtt]\nlisten = \"127.0.0.1:1\"\n[destinations.d]\nurls = [\"http://d/\"]\n";
        assert_eq!(lines(same), [""; 0]);
        assert_eq!(
            lines("[mqtt]\nlisten = \"127.0.0.1:2\"\nmax_clientid_len = 9\n[hooks]\nbatch = 5\n"),
            [
                "h.toml:2: mqtt.listen: needs a restart: it cannot change while the host runs",
                "h.toml:3: mqtt.max_clientid_len: needs a restart: it cannot change while the host runs",
                "h.toml:9: delivery.queue_requests: is gone, which needs a restart: what it said holds until then",
            ]
        );
    }
}
