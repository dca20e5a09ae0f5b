//! Recognises the broker of a file by the keys at the beginnings of its lines; the first matching test decides. Without such
//! keys, the first included file with one decides. A file without webhooks belongs to the broker whose variables are set,
//! or else to the broker that has its other keys.

use std::path::Path;

use hookhost_settings::Files;

use super::includes::{At, Includes, Loaded};
use super::{Broker, Environment, emqx5, rmqtt};

/// The content of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FileKind {
    /// A broker's file.
    File(Broker),
    /// Variables of a broker's environment, one to a line.
    Variables(Broker),
    /// A configuration of hookhost.
    Own,
    /// A compose file or a Kubernetes manifest, which may contain variables.
    Yaml,
    Unknown,
}

/// Recognises a file.
pub(super) fn recognise(path: &Path, text: &str, files: &Files<'_>) -> FileKind {
    match recognise_at(0, text, &mut Includes::of(path, files)) {
        FileKind::Variables(_) | FileKind::Unknown if is_yaml(text) => FileKind::Yaml,
        kind => kind,
    }
}

/// Whether a file is a compose file or a Kubernetes manifest. Both have such a key without indentation.
fn is_yaml(text: &str) -> bool {
    let is_key = |line: &str| line.trim_end() == "services:" || line.starts_with("apiVersion:");
    text.trim_start_matches('\u{feff}').lines().any(is_key)
}

fn recognise_at(file: usize, text: &str, includes: &mut Includes<'_>) -> FileKind {
    let kind = by_keys(&roots(text));
    if kind != FileKind::Unknown {
        return kind;
    }
    for (index, line) in text.lines().enumerate() {
        let Some(name) = included(line) else { continue };
        // What is wrong with an include is reported when the file is read.
        let at = At { file, line: index + 1 };
        let Ok(Some(Loaded { file, text })) = includes.load(at, name, false) else {
            continue;
        };
        let kind = recognise_at(file, &text, includes);
        includes.leave(file);
        if kind != FileKind::Unknown {
            return kind;
        }
    }
    FileKind::Unknown
}

/// The broker of a file without webhooks.
pub(super) fn by_other_signs(text: &str, environment: &Environment) -> Option<Broker> {
    let has_variables = |broker: &Broker| environment.keys().any(|name| broker.has_variable(name));
    let mut brokers = Broker::ALL.into_iter().filter(has_variables);
    if let (Some(broker), None) = (brokers.next(), brokers.next()) {
        return Some(broker);
    }
    let roots = roots(text);
    OTHER_KEYS.into_iter().find_map(|(broker, keys)| {
        let is_of_broker = |root: &&str| keys.contains(&root.split('.').next().unwrap_or_default());
        roots.iter().any(is_of_broker).then_some(broker)
    })
}

/// First parts of keys that are not about webhooks and that only one broker has. The first matching broker counts.
const OTHER_KEYS: [(Broker, &[&str]); 3] = [
    (Broker::Emqx4, &["listener", "zone"]),
    (Broker::Nanomq, &["http_server", "auth", "sqlite", "exchange_client"]),
    (
        Broker::Emqx5,
        &[
            "node",
            "cluster",
            "dashboard",
            "authentication",
            "authorization",
            "listeners",
            "mqtt",
        ],
    ),
];

/// The file that a line includes: in quotes in HOCON, without in the lines of EMQX 4.
fn included(line: &str) -> Option<&str> {
    let rest = line.trim_start().strip_prefix("include")?;
    match rest.split_once('"') {
        Some((before, name)) if !before.contains(['=', ':', '{']) => Some(name.split('"').next().unwrap_or_default()),
        Some(_) => None,
        None => rest.starts_with(char::is_whitespace).then(|| rest.trim()),
    }
}

/// Recognises the keys that lines begin with.
fn by_keys(keys: &[&str]) -> FileKind {
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
        "[destinations",
    ];
    if any(&|key| own.contains(&key.split('.').next().unwrap_or_default()) || key == "webhook.urls") {
        FileKind::Own
    } else if let Some(broker) = Broker::ALL
        .into_iter()
        .find(|broker| any(&|key| broker.has_variable(key)))
    {
        FileKind::Variables(broker)
    } else if any(&|key| matches!(key, "web.hook.enable" | "web.hook.cancel_timeout")) {
        FileKind::File(Broker::Nanomq)
    } else if any(&|key| below(key, "web.hook")) {
        FileKind::File(Broker::Emqx4)
    } else if any(&|key| below(key, "webhook")) {
        // NanoMQ has bridges, too.
        FileKind::File(Broker::Nanomq)
    } else if any(&|key| emqx5::ROOTS.iter().any(|root| below(key, root))) {
        FileKind::File(Broker::Emqx5)
    } else if any(&|key| rmqtt::KEYS.contains(&key) || below(key, "rule") || below(key, "[rule")) {
        FileKind::File(Broker::Rmqtt)
    } else {
        FileKind::Unknown
    }
}

/// The keys that lines begin with, outside of braces and brackets; the header of a TOML table with a bracket in front.
fn roots(text: &str) -> Vec<&str> {
    let text = text.trim_start_matches('\u{feff}').trim_start();
    // A JSON text is one pair of braces.
    let text = text.strip_prefix('{').unwrap_or(text);
    let (mut keys, mut depth, mut long) = (Vec::new(), 0_usize, false);
    for line in text.lines().map(str::trim_start) {
        if !long && line.starts_with(['#', '/']) {
            continue;
        }
        if !long && depth == 0 {
            keys.extend(Some(key(line)).filter(|key| !key.is_empty()));
        }
        for (index, part) in line.split("\"\"\"").enumerate() {
            long ^= index > 0;
            if !long {
                depth = depth_after(depth, part);
            }
        }
    }
    keys
}

/// How deep the end of a line is; what stands in quotes does not count.
fn depth_after(mut depth: usize, line: &str) -> usize {
    let (mut quoted, mut escaped) = (false, false);
    for c in line.chars() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '#' if !quoted => break,
            '{' | '[' if !quoted => depth += 1,
            '}' | ']' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    depth
}

fn key(line: &str) -> &str {
    // A line of a list in a compose file is reported where the variables are read.
    let line = line.strip_prefix("- ").unwrap_or(line);
    let line = line.strip_prefix("export ").unwrap_or(line).trim_start();
    if let Some((name, rest)) = line.strip_prefix('"').and_then(|line| line.split_once('"')) {
        let is_key = rest.trim_start().starts_with(['=', ':', '{', '.']);
        return if is_key { name } else { "" };
    }
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
    fn a_file_without_webhooks_belongs_to_a_broker_too() {
        let broker = |text, names: &[&str]| {
            let environment = names.iter().map(|name| ((*name).to_owned(), "x".to_owned())).collect();
            by_other_signs(text, &environment)
        };
        let (of_emqx4, of_emqx5) = ("EMQX_WEB__HOOK__URL", "EMQX_ACTIONS__HTTP__A__CONNECTOR");
        for (text, variables, expected) in [
            (
                "node { name = x }\ndashboard.listeners.http.bind = 1",
                &[][..],
                Some(Broker::Emqx5),
            ),
            ("listeners.tcp.default {\n  bind = 1883\n}", &[], Some(Broker::Emqx5)),
            ("authentication = [\n  { mechanism = jwt }\n]", &[], Some(Broker::Emqx5)),
            (
                "node.name = a@b\nlistener.tcp.external = 1883",
                &[],
                Some(Broker::Emqx4),
            ),
            ("node {\n}\nallow_anonymous = true", &[], Some(Broker::Emqx5)),
            ("mqtt { }\nlisteners.tcp { }\nauth { }", &[], Some(Broker::Nanomq)),
            ("node.name = a@b", &[of_emqx4], Some(Broker::Emqx4)),
            ("", &[of_emqx5], Some(Broker::Emqx5)),
            ("node.name = a@b", &[of_emqx4, of_emqx5], Some(Broker::Emqx5)),
            ("urlsx = []\nnodes = 1", &["EMQX_NODE__NAME"], None),
        ] {
            assert_eq!(broker(text, variables), expected, "{text}");
        }
    }

    #[test]
    fn formats_are_told_by_their_keys() {
        use Broker::*;
        use FileKind::*;
        let cases = [
            ("queue_capacity = 1\n", File(Rmqtt)),
            ("# x\n\nurls=[\"http://a\"]", File(Rmqtt)),
            ("  rule.client_connect = [{action = \"a\"}]", File(Rmqtt)),
            ("[[rule.client_connect]]\naction = 1", File(Rmqtt)),
            ("[rule]\n", File(Rmqtt)),
            ("web.hook.url = http://a", File(Emqx4)),
            ("web.hook.api.url = http://a", File(Emqx4)),
            ("# c\nEMQX_WEB__HOOK__URL=http://a", Variables(Emqx4)),
            ("export EMQX_ACTIONS__HTTP__A__CONNECTOR=c", Variables(Emqx5)),
            ("- EMQX_WEB__HOOK__URL=http://a", Variables(Emqx4)),
            ("node.name = x\ninclude \"cluster.hocon\"", File(Emqx5)),
            ("include required(\"more.conf\")", File(Emqx5)),
            ("include \"nothing.conf\"", Unknown),
            ("node.name = x\ninclude plugins/emqx_web_hook.conf", File(Emqx4)),
            ("include \"emqx.conf\"", Unknown),
            ("RMQTT_PLUGIN_RMQTT_WEB_HOOK_URLS=http://a", Variables(Rmqtt)),
            ("connectors.http.a {\n url = \"x\" }", File(Emqx5)),
            ("{\"connectors\": {\"http\": {}}}", File(Emqx5)),
            ("node { name = x }\nbridges {\n webhook {", File(Emqx5)),
            (
                "actions {\n webhook { a { x = \"{\" } }\n }\nrule_engine { rules { r { actions = [\n\"webhook:a\"\n] } } }",
                File(Emqx5),
            ),
            ("rule_engine.rules.a { sql = \"SELECT\" }", File(Emqx5)),
            ("webhook {\n url = \"x\"", File(Nanomq)),
            ("bridges.mqtt.a { }\nwebhook {\n url = \"x\"", File(Nanomq)),
            ("webhook.events = [\n", File(Nanomq)),
            ("mqtt.x = 1\nweb.hook.enable=false\nweb.hook.url=http://a", File(Nanomq)),
            ("[webhook]\nurls = []", Own),
            ("[webhook.rule]\nclient_connect = []", Own),
            ("[delivery]\nconcurrency_limit = 1", Own),
            (
                "services:\n  emqx:\n    environment:\n      - EMQX_WEB__HOOK__URL=http://a",
                Yaml,
            ),
            (
                "services:\n  emqx:\n    environment:\n      EMQX_WEB__HOOK__URL: http://a",
                Yaml,
            ),
            ("apiVersion: v1\ndata:\n  EMQX_ACTIONS__HTTP__A__CONNECTOR: c", Yaml),
            ("EMQX_WEB__HOOK__URL=http://a\n  services:", Variables(Emqx4)),
            ("", Unknown),
            ("# urls = []", Unknown),
            ("urlsx = []\nwebhooks = 1", Unknown),
            ("\u{0}\u{fffd}[[[[", Unknown),
        ];
        let files: &Files<'_> = &|path| match path.to_str() {
            Some("etc/plugins/emqx_web_hook.conf") => Ok(b"web.hook.url = http://a".to_vec()),
            Some("etc/cluster.hocon") => Ok(b"actions.http.a { connector = c }".to_vec()),
            Some("etc/more.conf") => Ok(b"include \"cluster.hocon\"".to_vec()),
            _ => Err(std::io::ErrorKind::NotFound.into()),
        };
        for (text, expected) in cases {
            assert_eq!(recognise(Path::new("etc/emqx.conf"), text, files), expected, "{text}");
        }
    }
}
