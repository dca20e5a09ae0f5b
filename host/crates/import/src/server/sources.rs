//! The settings of the server in variables, and in the lines of EMQX 4 and of older versions of NanoMQ, as one tree.

use hookhost_settings::{Place, Setting, Table, insert, merge};

use crate::checks::untyped;
use crate::env_file::{Variable, without_empty_quotes};
use crate::{Broker, Environment, Sources, hocon};

/// Lines of older versions of NanoMQ that have other names now.
const NANOMQ_LINES: [(&str, &str); 20] = [
    ("allow_anonymous", "auth.allow_anonymous"),
    ("auth_enable", "auth.enable"),
    ("acl_enable", "auth.acl.enable"),
    ("acl_nomatch", "auth.no_match"),
    ("acl_deny_action", "auth.deny_action"),
    ("enable_acl_cache", "auth.cache.enable"),
    ("acl_cache_max_size", "auth.cache.max_size"),
    ("acl_cache_ttl", "auth.cache.ttl"),
    ("url", "listeners.tcp.bind"),
    ("tls.enable", "listeners.ssl.enable"),
    ("tls.url", "listeners.ssl.bind"),
    ("tls.keyfile", "listeners.ssl.keyfile"),
    ("tls.certfile", "listeners.ssl.certfile"),
    ("tls.cacertfile", "listeners.ssl.cacertfile"),
    ("tls.key_password", "listeners.ssl.key_password"),
    ("tls.verify_peer", "listeners.ssl.verify_peer"),
    ("tls.fail_if_no_peer_cert", "listeners.ssl.fail_if_no_peer_cert"),
    ("websocket.enable", "listeners.ws.enable"),
    ("websocket.url", "listeners.ws.bind"),
    ("websocket.tls_url", "listeners.wss.bind"),
];

/// Whether a part of a broker's configuration is about the server, by the first part of its key.
fn is_about_server(broker: Broker, root: &str) -> bool {
    match broker {
        Broker::Emqx5 if matches!(root, "authentication" | "authorization" | "listeners" | "mqtt") => true,
        Broker::Emqx4
            if matches!(
                root,
                "listener" | "mqtt" | "zone" | "auth" | "enable_acl_cache" | "loaded_plugins"
            ) =>
        {
            true
        }
        // EMQX 5 does not know them, but they show that the operator wants to restrict clients.
        Broker::Emqx4 | Broker::Emqx5 => root == "allow_anonymous" || root.starts_with("acl_"),
        Broker::Nanomq => root == "allow_anonymous",
        Broker::Rmqtt => false,
    }
}

/// The path of a variable of a broker that is about the server, in lower case.
fn path_of(broker: Broker, name: &str) -> Option<Vec<String>> {
    let prefix = match broker {
        Broker::Emqx4 | Broker::Emqx5 => "EMQX_",
        Broker::Nanomq => "NANOMQ_",
        Broker::Rmqtt => return None,
    };
    let upper = name.to_ascii_uppercase();
    let path: Vec<String> = upper
        .strip_prefix(prefix)?
        .split("__")
        .map(str::to_ascii_lowercase)
        .collect();
    let is_complete = path.iter().all(|part| !part.is_empty());
    (is_complete && is_about_server(broker, path.first()?)).then_some(path)
}

/// Whether a variable of a broker is about the server.
pub(crate) fn is_variable(broker: Broker, name: &str) -> bool {
    path_of(broker, name).is_some()
}

/// The broker whose variables about access control the environment contains.
pub(super) fn broker_of(environment: &Environment) -> Option<Broker> {
    let has = |test: &dyn Fn(&str) -> bool| environment.keys().any(|name| test(&name.to_ascii_uppercase()));
    if has(&|name| name.starts_with("EMQX_AUTHENTICATION") || name.starts_with("EMQX_AUTHORIZATION")) {
        Some(Broker::Emqx5)
    } else if has(&|name| name.starts_with("EMQX_")) {
        Some(Broker::Emqx4)
    } else if has(&|name| name.starts_with("NANOMQ_")) {
        Some(Broker::Nanomq)
    } else {
        has(&|name| name.starts_with("RMQTT_")).then_some(Broker::Rmqtt)
    }
}

/// Merges the variables of the broker that are about the server into the tree. Returns all other variables.
pub(super) fn variables_into(broker: Broker, tree: &mut Table, sources: &Sources<'_>) -> Vec<Variable> {
    let of_file = sources
        .variables
        .iter()
        .filter(|variable| variable.place.is_file())
        .cloned();
    let of_environment = sources.environment.iter().map(|(name, value)| Variable {
        name: name.clone(),
        value: without_empty_quotes(value).to_owned(),
        place: Place::variable(name),
    });
    let mut others = Vec::new();
    for variable in of_file.chain(of_environment) {
        let path = path_of(broker, &variable.name);
        let value = variable.value.trim();
        match path {
            None => others.push(variable),
            // An empty variable is not given.
            Some(_) if value.is_empty() => {}
            Some(path) => {
                if broker != Broker::Emqx5 {
                    line(broker, tree, &path.join("."), untyped(variable.place.clone(), value));
                    continue;
                }
                let setting = hocon::read_value(&variable.place, value);
                let setting = setting.unwrap_or_else(|| untyped(variable.place.clone(), value));
                let mut nested = Table::new();
                insert(
                    &mut nested,
                    &path.iter().map(String::as_str).collect::<Vec<_>>(),
                    setting,
                );
                merge(tree, nested, &|_| false);
            }
        }
    }
    others
}

/// Puts a line `key = value` into the tree, under the names that newer configurations have.
pub(super) fn line(broker: Broker, tree: &mut Table, key: &str, setting: Setting) {
    let (written, key) = (key, key.to_ascii_lowercase());
    let parts: Vec<&str> = key.split('.').collect();
    let renamed = NANOMQ_LINES.iter().find(|(line, _)| *line == key);
    let path: Vec<&str> = match (broker, parts.as_slice()) {
        // The line of a listener has its address, and those below it have its settings.
        (Broker::Emqx4, ["listener", kind, name]) => vec!["listeners", kind, name, "bind"],
        (Broker::Emqx4, ["listener", rest @ ..]) => [&["listeners"], rest].concat(),
        // Up to 4.1, the line of a request has its URL, and those below it have its settings.
        (Broker::Emqx4, ["auth", "http", request @ ("auth_req" | "acl_req" | "super_req")]) => {
            vec!["auth", "http", request, "url"]
        }
        // `verify_claims` itself is a switch. The names of claims are case-sensitive.
        (Broker::Emqx4, ["auth", "jwt", "verify_claims", ..]) if parts.len() > 3 => {
            let name = written.splitn(4, '.').last().unwrap_or_default();
            vec!["auth", "jwt", "claims", name]
        }
        (Broker::Nanomq, ["acl", "rule", number]) => {
            let rule = setting
                .as_text()
                .and_then(|text| hocon::read_value(&setting.place, text));
            insert(tree, &["auth", "acl", "rules", number], rule.unwrap_or(setting));
            return;
        }
        (Broker::Nanomq, ["auth", "http", rest @ ..]) => [&["auth", "http_auth"], rest].concat(),
        (Broker::Nanomq, ["auth", number, key]) => vec!["auth", "users", number, key],
        (Broker::Nanomq, _) => renamed.map_or(parts, |(_, path)| path.split('.').collect()),
        _ => parts,
    };
    insert(tree, &path, setting);
}
