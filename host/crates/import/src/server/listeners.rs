//! `listeners` of EMQX 4, EMQX 5 and NanoMQ, as `[[listener]]`.
//!
//! hookhost does not open an unsupported listener, and warns. [`super::restrictions`] reports listeners with authentication or
//! rules of their own, too. One warning names all keys without a meaning in hookhost.

mod address;
mod rate;
mod tls;

use hookhost_settings::{Place, Problem, Report, Section, Setting, Table, UnknownKeys, Value};

use super::service::is_on;
use super::{Part, ServerSettings, text};
use crate::{Broker, Sources, summary};
use address::address;
use tls::tls;

/// The kinds of listeners in EMQX, in hookhost, and their ports in EMQX.
const KINDS: [(&str, &str, &str); 4] = [
    ("tcp", "tcp", "1883"),
    ("ssl", "tls", "8883"),
    ("ws", "ws", "8083"),
    ("wss", "wss", "8084"),
];

/// Settings whose listeners hookhost does not open.
const UNSUPPORTED: [(&str, &str); 7] = [
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
    ("peer_cert_as_clientid", "clients choose their client ids"),
];

pub(super) fn read(broker: Broker, tree: &mut Table, server: &mut ServerSettings, sources: &Sources<'_>) {
    let Some(Setting {
        value: Value::Table(kinds),
        place,
    }) = tree.remove("listeners")
    else {
        return;
    };
    let mut left = Table::new();
    let mut connections = Some(0_i64);
    let mut rates = Vec::new();
    let mut ignored = Vec::new();
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
                let text = "has authentication or rules of its own; the listener is not opened";
                server.listeners.warn(&setting.place, text);
                restricted.insert(name, setting);
                continue;
            }
            let reader = Reader {
                broker,
                kind: &kind,
                name: &name,
                sources,
            };
            let Some(limits) = reader.listener(setting, &mut server.listeners, &mut ignored) else {
                continue;
            };
            connections = connections
                .zip(limits.connections)
                .and_then(|(sum, limit)| sum.checked_add(limit));
            rates.push(limits.rate);
        }
        if !restricted.is_empty() {
            left.insert(kind, Setting::new(setting.place, Value::Table(restricted)));
        }
    }
    server.listeners.warnings.extend(summary(&ignored));
    if let Some(sum @ 1..=100_000_000) = connections
        && server.listeners.settings.contains_key("listener")
    {
        server
            .listeners
            .set(&["mqtt", "max_connections"], &place, Value::Integer(sum));
    }
    rate::set(rates, &mut server.listeners);
    if !left.is_empty() {
        tree.insert("listeners".to_owned(), Setting::new(place, Value::Table(left)));
    }
}

/// Whether a listener checks clients in another way than the others.
fn has_rules_of_its_own(setting: &Setting) -> bool {
    let Value::Table(fields) = &setting.value else {
        return false;
    };
    let has_chain = |setting: &Setting| !matches!(&setting.value, Value::List(list) if list.is_empty());
    fields.get("authentication").is_some_and(has_chain)
        || fields.get("access_rules").is_some_and(denies)
        || fields.get("access").is_some_and(denies)
}

/// Whether a rule, or one of a list or table of rules, denies something.
fn denies(rules: &Setting) -> bool {
    match &rules.value {
        Value::List(list) => list.iter().any(denies),
        Value::Table(table) => table.values().any(denies),
        rule => rule.written().is_some_and(|rule| rule.contains("deny")),
    }
}

/// The reader of one listener.
struct Reader<'a> {
    broker: Broker,
    kind: &'a str,
    name: &'a str,
    sources: &'a Sources<'a>,
}

/// The limits of one listener, if it has them.
struct Limits {
    connections: Option<i64>,
    /// New connections in a second.
    rate: Option<(Place, i64)>,
}

impl Reader<'_> {
    /// Adds the listener to `part`, and the keys without a meaning to `ignored`. Returns its limits; `None` if the listener
    /// is not opened.
    fn listener(&self, setting: Setting, part: &mut Part, ignored: &mut Vec<Problem>) -> Option<Limits> {
        let place = setting.place.clone();
        let report = Report::new(UnknownKeys::Listed);
        let read = Section::of(&report, setting).and_then(|mut fields| {
            let switches = [is_on(&mut fields, "enable"), is_on(&mut fields, "enabled")];
            if switches.contains(&Some(false)) {
                fields.rest();
                return None;
            }
            let limits = Limits {
                connections: fields
                    .take("max_connections")
                    .and_then(|setting| setting.integer(1..=100_000_000).ok()),
                rate: rate::take(&mut fields),
            };
            Some((self.table(&mut fields)?, limits))
        });
        let findings = report.finish();
        part.warnings.extend(findings.warnings);
        ignored.extend(findings.ignored);
        let is_good = findings.problems.is_empty();
        for problem in findings.problems {
            let text = format!(
                "{}; the listener {}:{} is not opened",
                problem.text, self.kind, self.name
            );
            part.warn(&problem.place, text);
        }
        let (listener, limits) = read.filter(|_| is_good)?;
        part.push("listener", &place, listener);
        Some(limits)
    }

    /// The settings of the listener. Reports why hookhost does not open it.
    fn table(&self, fields: &mut Section<'_>) -> Option<Table> {
        let place = fields.place().clone();
        let mut listener = Table::new();
        let Some((_, ours, port)) = KINDS.iter().find(|(theirs, ..)| *theirs == self.kind) else {
            fields.rest();
            fields.problem(place.problem("is not supported: hookhost has listeners for tcp, ssl, ws and wss"));
            return None;
        };
        let mut put = |key: &str, place: &Place, value: Value| {
            listener.insert(key.to_owned(), Setting::new(place.clone(), value));
        };
        let name = format!("{}:{}", self.kind, crate::canonical::key_name(self.name));
        put("name", &place, Value::Text(name));
        put("kind", &place, Value::Text((*ours).to_owned()));
        let is_default = self.broker == Broker::Emqx5 && self.name == "default";
        match text(fields, "bind") {
            Some((place, bind)) => match address(&bind) {
                Some((address, path)) => {
                    put("address", &place, Value::Text(address));
                    if let Some(path) = path.filter(|_| self.kind.starts_with("ws")) {
                        put("path", &place, Value::Text(path));
                    }
                }
                None => fields.problem(place.problem("is not an IP address with a port")),
            },
            None if is_default => put("address", &place, Value::Text(format!("0.0.0.0:{port}"))),
            None => fields.problem(place.problem("has no address")),
        }
        if self.kind.starts_with("ws") {
            let path = fields.section_if_given("websocket").and_then(|mut websocket| {
                let path = text(&mut websocket, "mqtt_path");
                ignore_rest(&mut websocket);
                path
            });
            if let Some((place, path)) = path.or_else(|| text(fields, "mqtt_path")) {
                put("path", &place, Value::Text(path));
            }
        }
        let proxy_place = fields.given("proxy_protocol").map(|setting| setting.place.clone());
        if let (Some(place), Some(true)) = (proxy_place, is_on(fields, "proxy_protocol")) {
            let text = "every address may send a PROXY header, as in that broker; proxy_protocol_from of a [[listener]] names the proxies";
            fields.warning(place.problem(text));
            let everywhere = Value::texts(&place, ["0.0.0.0/0", "::/0"].map(str::to_owned));
            put("proxy_protocol_from", &place, everywhere);
        }
        unsupported(fields);
        // The settings of TLS are in a block in EMQX 5, and beside the others elsewhere.
        let mut options = fields.section_if_given("ssl_options");
        if matches!(*ours, "tls" | "wss") {
            let options = options.as_mut().unwrap_or(fields);
            unsupported(options);
            tls(options, &place, self.sources, &mut put);
        }
        options.iter_mut().for_each(ignore_rest);
        // They permit every client, see `has_rules_of_its_own`.
        for key in ["access", "access_rules", "authentication"] {
            fields.take(key);
        }
        ignore_rest(fields);
        Some(listener)
    }
}

/// Takes the keys without a meaning in hookhost.
fn ignore_rest(fields: &mut Section<'_>) {
    let report = fields.report();
    for (_, setting) in fields.rest() {
        report.ignored(&setting.place, "listeners of hookhost do not have this key");
    }
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
