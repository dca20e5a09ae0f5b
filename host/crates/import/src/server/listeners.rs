//! `listeners` of EMQX 4, EMQX 5 and NanoMQ, as `[[listener]]`.
//!
//! A listener that hookhost cannot have is left out with a warning. One with authentication or with rules of its own is left
//! to [`super::restrictions`], which reports it.

use hookhost_settings::{Place, Report, Section, Setting, Table, UnknownKeys, Value};

use super::{Part, ServerSettings, text};
use crate::Broker;
use crate::checks::switch;

/// The kinds of listeners that hookhost has, and their ports in EMQX.
const KINDS: [(&str, &str, &str); 4] = [
    ("tcp", "tcp", "1883"),
    ("ssl", "tls", "8883"),
    ("ws", "ws", "8083"),
    ("wss", "wss", "8084"),
];

/// Settings that cannot be had together with a listener.
const UNSUPPORTED: [(&str, &str); 6] = [
    ("mountpoint", "hookhost has no mount points"),
    ("password", "hookhost reads no encrypted keys"),
    ("key_password", "hookhost reads no encrypted keys"),
    ("keyfile_password", "hookhost reads no encrypted keys"),
    (
        "enable_crl_check",
        "hookhost reads lists of revoked certificates from files: client_crl",
    ),
    (
        "peer_cert_as_username",
        "use an own [[authentication]] with source = \"certificate\"",
    ),
];

pub(super) fn read(broker: Broker, tree: &mut Table, server: &mut ServerSettings) {
    let Some(Setting {
        value: Value::Table(kinds),
        place,
    }) = tree.remove("listeners")
    else {
        return;
    };
    let mut left = Table::new();
    let mut connections = Some(0_i64);
    for (kind, setting) in kinds {
        let Value::Table(listeners) = setting.value else {
            server.listeners.warn(&setting.place, "is not a listener");
            continue;
        };
        // NanoMQ has one listener of each kind, or several with names.
        let is_one = listeners
            .values()
            .any(|setting| !matches!(setting.value, Value::Table(_)));
        let listeners = match is_one && broker == Broker::Nanomq {
            true => Table::from([(
                "default".to_owned(),
                Setting::new(setting.place.clone(), Value::Table(listeners)),
            )]),
            false => listeners,
        };
        let mut restricted = Table::new();
        for (name, setting) in listeners {
            if has_rules_of_its_own(&setting) {
                restricted.insert(name, setting);
                continue;
            }
            let limit = listener(broker, &kind, &name, setting, &mut server.listeners);
            connections = match (connections, limit) {
                (sum, Opened::Not) => sum,
                (Some(sum), Opened::With(Some(limit))) => sum.checked_add(limit),
                _ => None,
            };
        }
        if !restricted.is_empty() {
            left.insert(kind, Setting::new(setting.place, Value::Table(restricted)));
        }
    }
    if let Some(sum @ 1..=100_000_000) = connections
        && server.listeners.settings.contains_key("listener")
    {
        server
            .listeners
            .set(&["mqtt", "max_connections"], &place, Value::Integer(sum));
    }
    if !left.is_empty() {
        tree.insert("listeners".to_owned(), Setting::new(place, Value::Table(left)));
    }
}

/// Whether a listener checks clients in another way than the others.
fn has_rules_of_its_own(setting: &Setting) -> bool {
    let Value::Table(fields) = &setting.value else {
        return false;
    };
    let denies = |setting: &Setting| match &setting.value {
        Value::List(list) => list
            .iter()
            .any(|rule| rule.value.written().is_some_and(|rule| rule.contains("deny"))),
        Value::Table(table) => table
            .values()
            .any(|rule| rule.value.written().is_some_and(|rule| rule.contains("deny"))),
        value => value.written().is_some_and(|rule| rule.contains("deny")),
    };
    let has_chain = |setting: &Setting| !matches!(&setting.value, Value::List(list) if list.is_empty());
    fields.get("authentication").is_some_and(has_chain)
        || fields.get("access_rules").is_some_and(denies)
        || fields.get("access").is_some_and(denies)
}

/// Whether a listener is opened, and how many connections it may have.
enum Opened {
    Not,
    With(Option<i64>),
}

fn listener(broker: Broker, kind: &str, name: &str, setting: Setting, part: &mut Part) -> Opened {
    let place = setting.place.clone();
    let report = Report::new(UnknownKeys::Listed);
    let read = Section::of(&report, setting).and_then(|mut fields| {
        let is_off = |setting: Setting| matches!(switch(&setting), Ok(false));
        if fields.take("enable").is_some_and(is_off) || fields.take("enabled").is_some_and(is_off) {
            fields.rest();
            return None;
        }
        Some(table(broker, kind, name, &mut fields))
    });
    let findings = report.finish();
    part.warnings.extend(findings.warnings);
    let Some((listener, limit)) = read else {
        return Opened::Not;
    };
    match (findings.problems.is_empty(), listener) {
        (true, Some(listener)) => {
            part.push("listener", &place, listener);
            Opened::With(limit)
        }
        _ => {
            for problem in findings.problems {
                let text = format!("{}; the listener {kind}:{name} is not opened", problem.text);
                part.warn(&problem.place, text);
            }
            Opened::Not
        }
    }
}

/// The listener, unless it has problems, and its limit of connections.
fn table(broker: Broker, kind: &str, name: &str, fields: &mut Section<'_>) -> (Option<Table>, Option<i64>) {
    let place = fields.place().clone();
    let mut listener = Table::new();
    let limit = fields
        .take("max_connections")
        .and_then(|setting| setting.integer(1..=100_000_000).ok());
    let Some((_, ours, port)) = KINDS.iter().find(|(theirs, ..)| *theirs == kind) else {
        fields.rest();
        fields.problem(place.problem("is not supported: hookhost has listeners for tcp, ssl, ws and wss"));
        return (None, None);
    };
    let mut put = |key: &str, place: &Place, value: Value| {
        listener.insert(key.to_owned(), Setting::new(place.clone(), value));
    };
    put(
        "name",
        &place,
        Value::Text(format!("{kind}:{}", crate::canonical::key_name(name))),
    );
    put("kind", &place, Value::Text((*ours).to_owned()));
    let bind = text(fields, "bind");
    let is_default = broker == Broker::Emqx5 && name == "default";
    match bind {
        Some((place, bind)) => match address(&bind) {
            Some((address, path)) => {
                put("address", &place, Value::Text(address));
                if let Some(path) = path.filter(|_| kind.starts_with("ws")) {
                    put("path", &place, Value::Text(path));
                }
            }
            None => fields.problem(place.problem("is not an IP address with a port")),
        },
        None if is_default => put("address", &place, Value::Text(format!("0.0.0.0:{port}"))),
        None => fields.problem(place.problem("has no address")),
    }
    if kind.starts_with("ws") {
        let path = fields.section_if_given("websocket").and_then(|mut websocket| {
            let path = text(&mut websocket, "mqtt_path");
            websocket.rest();
            path
        });
        if let Some((place, path)) = path.or_else(|| text(fields, "mqtt_path")) {
            put("path", &place, Value::Text(path));
        }
    }
    let proxy = fields.take("proxy_protocol");
    if let Some(setting) = proxy.filter(|setting| matches!(switch(setting), Ok(true))) {
        let text = "every address may send a PROXY header, as in that broker; proxy_protocol_from of a [[listener]] names the proxies";
        fields.warning(setting.place.problem(text));
        let everywhere = Value::texts(&setting.place, ["0.0.0.0/0", "::/0"].map(str::to_owned));
        put("proxy_protocol_from", &setting.place, everywhere);
    }
    unsupported(fields);
    // The settings of TLS are in a block in EMQX 5, and beside the others elsewhere.
    let mut options = fields.section_if_given("ssl_options");
    if ours.contains("tls") || *ours == "wss" {
        let options = options.as_mut().unwrap_or(fields);
        unsupported(options);
        tls(options, &place, &mut put);
    }
    options.iter_mut().for_each(|options| drop(options.rest()));
    fields.rest();
    (Some(listener), limit)
}

fn unsupported(fields: &mut Section<'_>) {
    for (key, reason) in UNSUPPORTED {
        let Some(setting) = fields.take(key) else { continue };
        let value = setting.value.written().unwrap_or_default();
        if !matches!(value.trim(), "" | "false" | "off" | "disabled" | "undefined") {
            fields.problem(setting.place.problem(format!("is not supported: {reason}")));
        }
    }
}

fn tls(options: &mut Section<'_>, listener: &Place, put: &mut dyn FnMut(&str, &Place, Value)) {
    let report = options.report();
    for (theirs, ours) in [("certfile", "certificate"), ("keyfile", "key")] {
        match text(options, theirs) {
            Some((place, path)) => put(ours, &place, Value::Text(path)),
            None => report.problem(
                listener,
                format!("needs {theirs}: hookhost has no certificate of its own"),
            ),
        }
    }
    let (ca, verify) = (text(options, "cacertfile"), text(options, "verify"));
    let mut is_on = |key: &str| {
        options
            .take(key)
            .is_some_and(|setting| matches!(switch(&setting), Ok(true)))
    };
    let (verify_peer, is_required) = (is_on("verify_peer"), is_on("fail_if_no_peer_cert"));
    if verify_peer || verify.as_ref().is_some_and(|(_, verify)| verify == "verify_peer") {
        let demand = if is_required { "required" } else { "optional" };
        let place = verify.map_or_else(|| options.place().clone(), |(place, _)| place);
        put("client_certificates", &place, Value::Text(demand.to_owned()));
        match ca {
            Some((place, path)) => put("client_ca", &place, Value::Text(path)),
            None => report.problem(&place, "needs cacertfile: the authorities of clients' certificates"),
        }
    }
    let versions = options.take("versions").or_else(|| options.take("tls_versions"));
    let versions = versions.map(|setting| {
        let list = match &setting.value {
            Value::List(list) => list.iter().filter_map(|version| version.value.written()).collect(),
            value => value.written().unwrap_or_default(),
        };
        (setting.place, list)
    });
    if let Some((place, versions)) =
        versions.filter(|(_, list): &(Place, String)| list.contains("1.3") && !list.contains("1.2"))
    {
        drop(versions);
        put("min_tls_version", &place, Value::Text("1.3".to_owned()));
    }
}

/// The address of `1883`, `:1883`, `10.0.0.1:1883`, `[::]:1883` or `nmq-ws://0.0.0.0:8083/mqtt`, and the path.
fn address(bind: &str) -> Option<(String, Option<String>)> {
    let bind = bind.trim();
    let bind = bind.split_once("://").map_or(bind, |(_, rest)| rest);
    let (address, path) = match bind.split_once('/') {
        Some((address, path)) => (address, Some(format!("/{path}"))),
        None => (bind, None),
    };
    let port = address.strip_prefix(':').unwrap_or(address);
    let address = match port.parse::<u16>() {
        Ok(port) => format!("0.0.0.0:{port}"),
        Err(_) => address.parse::<std::net::SocketAddr>().ok()?.to_string(),
    };
    Some((address, path))
}

#[cfg(test)]
mod tests {
    use super::address;

    #[test]
    fn addresses() {
        for (bind, expected) in [
            ("1883", Some(("0.0.0.0:1883", None))),
            (":1883", Some(("0.0.0.0:1883", None))),
            ("127.0.0.1:11883", Some(("127.0.0.1:11883", None))),
            ("[::]:1883", Some(("[::]:1883", None))),
            ("nmq-tcp://0.0.0.0:1883", Some(("0.0.0.0:1883", None))),
            ("nmq-ws://0.0.0.0:8083/mqtt", Some(("0.0.0.0:8083", Some("/mqtt")))),
            ("localhost:1883", None),
            ("99999", None),
            ("", None),
        ] {
            let expected = expected.map(|(address, path)| (address.to_owned(), path.map(str::to_owned)));
            assert_eq!(address(bind), expected, "{bind}");
        }
    }
}
