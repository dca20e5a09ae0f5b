//! The webhook files of other brokers, read as they are.
//!
//! A format gives what its file and its environment say as a layer of settings, under the names that those settings
//! have here and with the places where they were found; from there on they are checked like any other. Which format a
//! file has is told by its keys, as brokers do not agree on file names.

mod rmqtt;

use std::fmt;
use std::path::Path;

use super::problem::Problem;
use super::reader::Layer;

/// Whose webhook file it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// RMQTT's `rmqtt-web-hook.toml`.
    Rmqtt,
    /// EMQX 4: `emqx_web_hook.conf`, or its environment.
    Emqx4,
    /// EMQX 5: HOCON with connectors, actions and rules.
    Emqx5,
    /// NanoMQ: HOCON, or the older lines of `key=value`.
    Nanomq,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Format::Rmqtt => "RMQTT",
            Format::Emqx4 => "EMQX 4",
            Format::Emqx5 => "EMQX 5",
            Format::Nanomq => "NanoMQ",
        })
    }
}

/// What a broker's file says.
#[derive(Debug, Default)]
pub(super) struct Reading {
    pub(super) layer: Layer,
    pub(super) problems: Vec<Problem>,
    pub(super) warnings: Vec<Problem>,
}

/// Reads a file in whichever format it is. A format that cannot be read is a problem, and so is none.
pub(super) fn read<'a>(
    path: &Path,
    text: &str,
    environment: impl Iterator<Item = (&'a str, &'a str)>,
) -> (Option<Format>, Reading) {
    let refuse = |text: String| {
        let problems = vec![Problem::of_file(path, text)];
        Reading {
            problems,
            ..Reading::default()
        }
    };
    match recognise(text) {
        Ok(Format::Rmqtt) => (Some(Format::Rmqtt), rmqtt::read(path, text, environment)),
        Ok(format) => {
            let text = format!("is in the format of {format}, which is not supported yet; the format of RMQTT is");
            (Some(format), refuse(text))
        }
        Err(Unrecognised::Own) => (
            None,
            refuse("is a configuration of hookhost itself: give it with --config".to_owned()),
        ),
        Err(Unrecognised::Unknown) => {
            let text = "has none of the keys of a webhook configuration of RMQTT, EMQX 4, EMQX 5 or NanoMQ";
            (None, refuse(text.to_owned()))
        }
    }
}

/// Why a text has no broker's format.
#[derive(Debug, PartialEq, Eq)]
enum Unrecognised {
    /// It has the sections of this program's own files.
    Own,
    Unknown,
}

/// Tells the format by the keys at the beginnings of lines; the first test that fits decides.
fn recognise(text: &str) -> Result<Format, Unrecognised> {
    let lines = text
        .lines()
        .map(str::trim_start)
        .filter(|line| !line.starts_with(['#', '/']));
    let keys: Vec<&str> = lines.map(key).filter(|key| !key.is_empty()).collect();
    let any = |test: &dyn Fn(&str) -> bool| keys.iter().any(|key| test(key));
    let below = |key: &str, root: &str| {
        key.strip_prefix(root)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };

    let own = [
        "[mqtt",
        "[webhook",
        "[delivery",
        "[hooks",
        "[wasm",
        "[modules",
        "[node",
        "[shutdown",
    ];
    if any(&|key| own.contains(&key.split('.').next().unwrap_or_default()) || key == "webhook.urls") {
        Err(Unrecognised::Own)
    } else if any(&|key| matches!(key, "web.hook.enable" | "web.hook.cancel_timeout")) {
        Ok(Format::Nanomq)
    } else if any(&|key| below(key, "web.hook") || key.starts_with("EMQX_WEB__HOOK__")) {
        Ok(Format::Emqx4)
    } else if any(&|key| {
        ["connectors", "actions", "bridges", "rule_engine"]
            .iter()
            .any(|root| below(key, root))
    }) {
        Ok(Format::Emqx5)
    } else if any(&|key| below(key, "webhook")) {
        Ok(Format::Nanomq)
    } else if any(&|key| rmqtt::KEYS.contains(&key) || below(key, "rule") || below(key, "[rule")) {
        Ok(Format::Rmqtt)
    } else {
        Err(Unrecognised::Unknown)
    }
}

/// The key that a line begins with; the header of a TOML table with its bracket in front.
fn key(line: &str) -> &str {
    let header = line.bytes().take_while(|byte| *byte == b'[').count().saturating_sub(1);
    let line = line.get(header..).unwrap_or_default();
    let end = line
        .find(|c: char| c.is_whitespace() || matches!(c, '=' | ':' | '{' | ']'))
        .unwrap_or(line.len());
    line.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_told_by_their_keys() {
        use Format::*;
        let cases = [
            ("queue_capacity = 1\n", Ok(Rmqtt)),
            ("# x\n\nurls=[\"http://a\"]", Ok(Rmqtt)),
            ("  rule.client_connect = [{action = \"a\"}]", Ok(Rmqtt)),
            ("[[rule.client_connect]]\naction = 1", Ok(Rmqtt)),
            ("[rule]\n", Ok(Rmqtt)),
            ("web.hook.url = http://a", Ok(Emqx4)),
            ("web.hook.api.url = http://a", Ok(Emqx4)),
            ("EMQX_WEB__HOOK__URL=http://a", Ok(Emqx4)),
            ("connectors.http.a {\n url = \"x\" }", Ok(Emqx5)),
            ("bridges {\n webhook {", Ok(Emqx5)),
            ("rule_engine.rules.a { sql = \"SELECT\" }", Ok(Emqx5)),
            ("webhook {\n url = \"x\"", Ok(Nanomq)),
            ("webhook.events = [\n", Ok(Nanomq)),
            ("mqtt.x = 1\nweb.hook.enable=false\nweb.hook.url=http://a", Ok(Nanomq)),
            ("[webhook]\nurls = []", Err(Unrecognised::Own)),
            ("[webhook.rule]\nclient_connect = []", Err(Unrecognised::Own)),
            ("[delivery]\nconcurrency_limit = 1", Err(Unrecognised::Own)),
            ("", Err(Unrecognised::Unknown)),
            ("# urls = []", Err(Unrecognised::Unknown)),
            ("urlsx = []\nwebhooks = 1", Err(Unrecognised::Unknown)),
            ("\u{0}\u{fffd}[[[[", Err(Unrecognised::Unknown)),
        ];
        for (text, expected) in cases {
            assert_eq!(recognise(text), expected, "{text}");
        }
    }

    #[test]
    fn what_cannot_be_read_says_so() {
        let cases = [
            (
                "web.hook.url = x",
                "f: is in the format of EMQX 4, which is not supported yet; the format of RMQTT is",
            ),
            (
                "actions { }",
                "f: is in the format of EMQX 5, which is not supported yet; the format of RMQTT is",
            ),
            (
                "webhook { }",
                "f: is in the format of NanoMQ, which is not supported yet; the format of RMQTT is",
            ),
            (
                "[webhook]",
                "f: is a configuration of hookhost itself: give it with --config",
            ),
            (
                "x = 1",
                "f: has none of the keys of a webhook configuration of RMQTT, EMQX 4, EMQX 5 or NanoMQ",
            ),
        ];
        for (text, message) in cases {
            let (_, reading) = read(Path::new("f"), text, std::iter::empty());
            let problems: Vec<String> = reading.problems.iter().map(Problem::to_string).collect();
            assert_eq!(problems, [message], "{text}");
        }
    }
}
