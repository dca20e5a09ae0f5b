//! EMQX 4: `emqx_web_hook.conf` of all versions, and `EMQX_WEB__HOOK__…`.
//!
//! An unknown key `web.…` of the file is a problem, because the plugin does not load with one. Other keys are those of the
//! broker, in a file that includes the plugin's. The plugin ignores unknown variables;
//! here they are a warning. `message.dropped` and the spelling of session rules in a docker-compose page work with a warning.
//!
//! | key (older spellings) | setting of hookhost |
//! | --- | --- |
//! | `web.hook.url` (`api.url`) | `webhook.urls` |
//! | `web.hook.headers.NAME` | a header of the destination `web_hook`; `content-type` is always JSON, as there |
//! | `web.hook.body.encoding_of_payload_field` (`encode_payload`) | `webhook.payload_encoding` |
//! | `web.hook.ssl.cacertfile` (`cafile`), `certfile`, `keyfile`, `verify`, `server_name_indication` | `tls` of the destination |
//! | `web.hook.ssl` | ignored: the URL's scheme decides |
//! | `web.hook.pool_size` | `delivery.concurrency_limit` |
//! | `web.hook.enable_pipelining` | ignored: a connection carries one request at a time |
//! | `web.hook.request_timeout`, `connect_timeout` | `delivery.http_timeout`, `connect_timeout`; EMQX has them fixed at 5 s |
//! | `web.hook.rule.HOOK.EVENT.N` | `webhook.rule.EVENT` |

use hookhost_settings::{Place, Report, Setting, Table, Value, format_duration, suggestion};

use super::canonical::{Canonical, Destination, Rule, Tls};
use super::checks::{self, untyped};
use super::events::EVENTS;
use super::web_hook::{self, RULE};
use super::{Broker, HOUR, MILLISECOND, Settings, Sources, server};

/// The prefix of variables.
pub(super) const PREFIX: &str = "EMQX_WEB__HOOK__";

/// The destination that headers and TLS belong to.
const DESTINATION: &str = "web_hook";

/// All keys but rules and headers, to suggest the nearest one for an unknown key.
const KEYS: [&str; 18] = [
    "web.hook.url",
    "web.hook.api.url",
    "web.hook.headers.NAME",
    "web.hook.body.encoding_of_payload_field",
    "web.hook.encode_payload",
    "web.hook.ssl",
    "web.hook.ssl.cacertfile",
    "web.hook.ssl.cafile",
    "web.hook.ssl.certfile",
    "web.hook.ssl.keyfile",
    "web.hook.ssl.verify",
    "web.hook.ssl.server_name_indication",
    "web.hook.pool_size",
    "web.hook.enable_pipelining",
    "web.hook.request_timeout",
    "web.hook.connect_timeout",
    "web.hook.rule.client.connected.1",
    "web.hook.encoding_of_payload_field",
];

/// Reads file and variables; the module's documentation lists the keys.
pub(super) fn read(sources: &Sources<'_>, report: &Report) -> Settings {
    let mut settings = web_hook::lines(sources, report);
    for variable in &sources.variables {
        let upper = variable.name.to_ascii_uppercase();
        let Some(key) = upper.strip_prefix(PREFIX) else {
            continue;
        };
        let key = format!("web.hook.{}", key.replace("__", ".").to_ascii_lowercase());
        // An empty variable removes the setting.
        if variable.value.trim().is_empty() {
            settings.remove(&key);
        } else {
            settings.insert(key, untyped(variable.place.clone(), variable.value.trim()));
        }
    }
    let has_webhooks = settings.keys().any(|key| key.starts_with("web.hook."));
    let mut canonical = Canonical::new(Broker::Emqx4, sources.place());
    // One setting in the spellings of several versions: the first given one counts.
    let mut take = |keys: &[&str]| {
        let mut given = keys.iter().filter_map(|key| settings.remove(*key));
        let first = given.next()?;
        for other in given {
            let text = format!("is not used: {} is the same setting", first.place.key);
            report.warning(&other.place, text);
        }
        Some(first)
    };

    let url = take(&["web.hook.url", "web.hook.api.url"]);
    let encoding = take(&[
        "web.hook.body.encoding_of_payload_field",
        "web.hook.encoding_of_payload_field",
        "web.hook.encode_payload",
    ]);
    let switch = take(&["web.hook.ssl"]);
    let tls = TlsKeys {
        ca: take(&["web.hook.ssl.cacertfile", "web.hook.ssl.cafile"]),
        certificate: take(&["web.hook.ssl.certfile"]),
        key: take(&["web.hook.ssl.keyfile"]),
        verify: take(&["web.hook.ssl.verify"]),
        name: take(&["web.hook.ssl.server_name_indication"]),
    };
    let pool = take(&["web.hook.pool_size"]);
    let pipelining = take(&["web.hook.enable_pipelining"]);
    let timeouts = [
        (take(&["web.hook.request_timeout"]), "delivery.http_timeout"),
        (take(&["web.hook.connect_timeout"]), "delivery.connect_timeout"),
    ];

    let missing = url.is_none() && (has_webhooks || sources.file.is_none());
    let (url, urls) = checks::only_url(report, &mut canonical, url, sources);
    if missing && urls.is_empty() {
        let place = canonical.place.clone();
        report.problem(&place, "web.hook.url is missing: requests have no URL");
    }
    if let Some(setting) = encoding {
        payload_encoding(report, &mut canonical, &setting);
    }
    let place = url
        .as_ref()
        .map_or_else(|| canonical.place.clone(), |(place, _)| place.clone());
    let mut destination = Destination::new(place, DESTINATION);
    let secure = urls.iter().any(|url| url.to_ascii_lowercase().starts_with("https:"));
    destination.tls = tls.read(report, switch, secure, &destination.place);
    destination.urls = urls;
    if let Some(setting) = pool
        && let Some(count) = report.check(setting.integer(1..=65_535))
    {
        canonical.set("delivery.concurrency_limit", &setting.place, Value::Integer(count));
    }
    if let Some(setting) = pipelining {
        let _: Option<bool> = report.check(checks::switch(&setting));
        report.warning(
            &setting.place,
            "is ignored: a connection carries one request at a time; concurrency_limit sets the number of connections",
        );
    }
    for (setting, key) in timeouts {
        let Some(setting) = setting else { continue };
        if let Some(duration) = report.check(setting.milliseconds(MILLISECOND..=HOUR)) {
            report.warning(&setting.place, "is used here; EMQX 4 itself has no such key");
            canonical.set(key, &setting.place, Value::Text(format_duration(duration)));
        }
    }
    let mut rules: Vec<(String, Rule)> = Vec::new();
    let mut others = Table::new();
    for (key, setting) in settings {
        if let Some(name) = key.strip_prefix("web.hook.headers.") {
            let text = report.check(setting.written()).unwrap_or_default();
            header(report, &mut destination, &setting.place, name, &text);
        } else if let Some(name) = key.strip_prefix(RULE) {
            if let Some(rule) = web_hook::rule(report, name, &setting, &EVENTS, "EMQX 4") {
                rules.push((number(name), rule));
            }
        } else if key == "node.name" {
            let name = report.check(setting.written()).unwrap_or_default();
            canonical.set("node.name", &setting.place, Value::Text(name));
        } else if key.starts_with("web.") {
            unknown_key(report, &setting.place, &key, sources.file.is_some());
        } else {
            others.insert(key, setting);
        }
    }
    checks::ignore_parts(report, &server::take(Broker::Emqx4, others, sources));
    rules.sort_by(|(one, _), (other, _)| one.cmp(other));
    let rules = rules.into_iter().map(|(_, rule)| rule).collect();
    canonical.rules = web_hook::without_repetition(report, rules);
    canonical.destinations.push(destination);
    canonical.into_settings(report)
}

/// An unknown key. The plugin does not load with one in its file, and ignores one in a variable.
fn unknown_key(report: &Report, place: &Place, key: &str, has_file: bool) {
    if has_file && !place.is_variable() {
        report.problem(place, format!("unknown key; {}", suggestion(key, &KEYS, str::to_owned)));
    } else {
        report.unknown_name(place, key, &KEYS);
    }
}

/// The sort key of a rule: 2 before 10.
fn number(name: &str) -> String {
    let last = name.rsplit('.').next().unwrap_or_default();
    format!("{last:0>20}")
}

/// `plain`, `base64` or `base62`.
pub(super) fn payload_encoding(report: &Report, canonical: &mut Canonical, setting: &Setting) {
    let Some(text) = report.check(setting.written()) else {
        return;
    };
    let lower = text.trim().to_ascii_lowercase();
    if matches!(lower.as_str(), "plain" | "undefined") {
        // The default. It is not set, because not every format of bodies has the key.
    } else if matches!(lower.as_str(), "base64" | "base62") {
        canonical.set("webhook.payload_encoding", &setting.place, Value::Text(lower));
    } else {
        report.problem(&setting.place, "should be plain, base64 or base62");
    }
}

/// A header as EMQX sends it: in lower case, with its first `_` as `-`, and never in place of its own content type.
fn header(report: &Report, destination: &mut Destination, place: &Place, name: &str, value: &str) {
    let name = name.replacen('_', "-", 1);
    let Some((name, value)) = checks::header(report, place, &name, value) else {
        return;
    };
    if name != "content-type" {
        destination.headers.insert(name, value);
    } else if !value.eq_ignore_ascii_case("application/json") {
        report.warning(place, "is ignored: EMQX 4 always sends application/json");
    }
}

/// The TLS keys as given.
struct TlsKeys {
    ca: Option<Setting>,
    certificate: Option<Setting>,
    key: Option<Setting>,
    verify: Option<Setting>,
    name: Option<Setting>,
}

impl TlsKeys {
    /// The settings are used if `secure` is true, that is, if a URL is `https`. The server is verified only if `verify` is true.
    fn read(self, report: &Report, switch: Option<Setting>, secure: bool, place: &Place) -> Tls {
        let mut tls = Tls::default();
        if let Some(setting) = switch {
            report.warning(
                &setting.place,
                "is ignored: the scheme of the URL decides whether TLS is used",
            );
        }
        if !secure {
            for setting in [&self.ca, &self.certificate, &self.key, &self.verify, &self.name]
                .into_iter()
                .flatten()
            {
                report.warning(&setting.place, "is ignored: it is for https, and the URL is http");
            }
            return tls;
        }
        let file = |setting: &Option<Setting>| {
            let setting = setting.as_ref()?;
            let text = report.check(setting.written())?;
            (!text.is_empty()).then(|| (setting.place.clone(), text))
        };
        tls.ca = file(&self.ca);
        tls.certificate = file(&self.certificate);
        tls.key = file(&self.key);
        let verify = self.verify.as_ref().map(|setting| {
            (
                setting.place.clone(),
                report.check(checks::switch(setting)).unwrap_or(true),
            )
        });
        let (verify_place, verify) = verify.unwrap_or((place.clone(), false));
        if !verify {
            report.warning(
                &verify_place,
                "the server's certificate is not verified, as in EMQX 4, unless web.hook.ssl.verify = true",
            );
        }
        tls.verify = Some((verify_place, verify));
        if let Some(setting) = self.name {
            match report.check(setting.written()).as_deref() {
                Some("disable") if verify => report.warning(
                    &setting.place,
                    "is ignored: a verified certificate must have the server's name",
                ),
                Some("disable" | "") | None => {}
                Some(name) => tls.server_name = Some((setting.place.clone(), name.to_owned())),
            }
        }
        tls.has_pair(report, "web.hook.ssl.");
        tls
    }
}
