//! EMQX 4: `emqx_web_hook.conf` of all its generations, and `EMQX_WEB__HOOK__…`.
//!
//! An unknown key of the file is a mistake, as the plugin does not load with one; an unknown variable is ignored, as it
//! is there, but told. Session rules in a docker-compose page's spelling and `message.dropped` work, with a warning.
//!
//! | key (older spellings) | here |
//! | --- | --- |
//! | `web.hook.url` (`api.url`) | `webhook.urls` |
//! | `web.hook.headers.NAME` | a header of the destination `web_hook`; `content-type` is always JSON, as there |
//! | `web.hook.body.encoding_of_payload_field` (`encode_payload`) | `webhook.payload_encoding` |
//! | `web.hook.ssl.cacertfile` (`cafile`), `certfile`, `keyfile`, `verify`, `server_name_indication` | `tls` of the destination |
//! | `web.hook.ssl` | nothing: the URL's scheme decides |
//! | `web.hook.pool_size` | `delivery.concurrency_limit` |
//! | `web.hook.enable_pipelining` | nothing: one request at a time on a connection |
//! | `web.hook.request_timeout`, `connect_timeout` | `delivery.http_timeout`, `connect_timeout`; EMQX has them fixed at 5 s |
//! | `web.hook.rule.HOOK.EVENT.N` | `webhook.rule.EVENT` |

use super::canonical::{Canonical, Destination, Rule, Tls, texts};
use super::events::EVENTS;
use super::said::{Report, Said, place_in};
use super::web_hook::{self, RULE, Settings};
use super::{Format, HOUR, MILLISECOND, Reading, Sources, checks};
use hookhost_settings::Source;
use hookhost_settings::document::Value;
use hookhost_settings::reader::Place;
use hookhost_settings::units::format_duration;

/// What variables begin with.
pub(super) const PREFIX: &str = "EMQX_WEB__HOOK__";

/// The destination that headers and TLS belong to.
const DESTINATION: &str = "web_hook";

/// All keys but rules and headers, as a mistyped one is compared with them.
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

/// Reads file and variables; see the module's page.
pub(super) fn read(sources: &Sources<'_>) -> Reading {
    let mut report = Report::default();
    let mut settings = match sources.file {
        Some((path, text)) => web_hook::lines(path, text, &mut report),
        None => Settings::new(),
    };
    for variable in &sources.variables {
        let upper = variable.name.to_ascii_uppercase();
        let Some(key) = upper.strip_prefix(PREFIX) else {
            continue;
        };
        let key = format!("web.hook.{}", key.replace("__", ".").to_ascii_lowercase());
        // An empty one takes the setting away.
        if variable.value.trim().is_empty() {
            settings.remove(&key);
        } else {
            settings.insert(key, Said::text(variable.place.clone(), variable.value.trim()));
        }
    }
    let place = match sources.path() {
        Some(path) => place_in(path, 1, ""),
        None => Place {
            source: Source::Environment,
            key: String::new(),
        },
    };
    let mut canonical = Canonical::new(Format::Emqx4, place);
    // One setting in the spellings of several versions: the first that is given holds.
    let mut take = |keys: &[&str]| {
        let mut given = keys.iter().filter_map(|key| settings.remove(*key));
        let first = given.next()?;
        for other in given {
            let text = format!("is not used: {} stands for the same setting", first.place.key);
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

    let missing = url.is_none();
    let url = url.and_then(|said| {
        let text = said.as_text(&mut report)?;
        Some((said.place.clone(), checks::http_url(&mut report, &said.place, &text)?))
    });
    let urls = sources.urls_instead_of(url.as_ref().map(|(_, url)| url.as_str()));
    if let Some((place, url)) = &url {
        canonical.set("webhook.urls", place, texts(vec![url.clone()], 1));
    } else if missing && urls.is_empty() {
        let place = canonical.place.clone();
        report.problem(&place, "web.hook.url is missing: nobody says where requests go");
    }
    if let Some(said) = encoding {
        payload_encoding(&mut report, &mut canonical, &said);
    }
    let place = url
        .as_ref()
        .map_or_else(|| canonical.place.clone(), |(place, _)| place.clone());
    let mut destination = Destination::new(place, DESTINATION);
    let secure = urls.iter().any(|url| url.to_ascii_lowercase().starts_with("https:"));
    destination.tls = tls.read(&mut report, switch, secure, &destination.place);
    destination.urls = urls;
    if let Some(said) = pool
        && let Some(count) = said.as_count(&mut report, 1..=65_535)
    {
        canonical.set("delivery.concurrency_limit", &said.place, Value::Integer(count));
    }
    if let Some(said) = pipelining {
        let _: Option<bool> = said.as_boolean(&mut report);
        report.warning(
            &said.place,
            "is ignored: a connection carries one request at a time, as many connections as concurrency_limit are used",
        );
    }
    for (said, key) in timeouts {
        let Some(said) = said else { continue };
        if let Some(duration) = said.as_duration(&mut report, MILLISECOND..=HOUR) {
            report.warning(&said.place, "is honoured here; EMQX 4 itself knows no such key");
            canonical.set(key, &said.place, Value::Text(format_duration(duration)));
        }
    }
    let mut rules: Vec<(String, Rule)> = Vec::new();
    for (key, said) in settings {
        if let Some(name) = key.strip_prefix("web.hook.headers.") {
            let text = said.as_text(&mut report).unwrap_or_default();
            header(&mut report, &mut destination, &said.place, name, &text);
        } else if let Some(name) = key.strip_prefix(RULE) {
            if let Some(rule) = web_hook::rule(&mut report, name, &said, &EVENTS, "EMQX 4") {
                rules.push((number(name), rule));
            }
        } else {
            report.unknown(
                &said.place,
                &key,
                &KEYS,
                said.place.source != Source::Environment && sources.file.is_some(),
            );
        }
    }
    rules.sort_by(|(one, _), (other, _)| one.cmp(other));
    let rules = rules.into_iter().map(|(_, rule)| rule).collect();
    canonical.rules = web_hook::without_repetition(&mut report, rules);
    canonical.destinations.push(destination);
    canonical.into_reading(report)
}

/// What rules are sorted by: 2 before 10.
fn number(name: &str) -> String {
    let last = name.rsplit('.').next().unwrap_or_default();
    format!("{last:0>20}")
}

/// `plain`, `base64` or `base62`.
pub(super) fn payload_encoding(report: &mut Report, canonical: &mut Canonical, said: &Said) {
    let Some(text) = said.as_text(report) else { return };
    let lower = text.trim().to_ascii_lowercase();
    if lower == "plain" {
        // What holds anyway; another format that somebody prefers may have no use for the key.
    } else if matches!(lower.as_str(), "base64" | "base62") {
        canonical.set("webhook.payload_encoding", &said.place, Value::Text(lower));
    } else {
        report.problem(&said.place, "should be plain, base64 or base62");
    }
}

/// A header as EMQX sends it: in lower case, with its first `_` as `-`, and never in place of its own content type.
fn header(report: &mut Report, destination: &mut Destination, place: &Place, name: &str, value: &str) {
    let name = name.replacen('_', "-", 1);
    let Some((name, value)) = checks::header(report, place, &name, value) else {
        return;
    };
    if name != "content-type" {
        destination.headers.insert(name, value);
    } else if !value.eq_ignore_ascii_case("application/json") {
        report.warning(place, "is ignored: EMQX 4 always says application/json");
    }
}

/// The TLS keys as given.
struct TlsKeys {
    ca: Option<Said>,
    certificate: Option<Said>,
    key: Option<Said>,
    verify: Option<Said>,
    name: Option<Said>,
}

impl TlsKeys {
    /// `secure`: some URL is `https`; otherwise none of it is used. The server is not verified unless that is asked for.
    fn read(self, report: &mut Report, switch: Option<Said>, secure: bool, place: &Place) -> Tls {
        let mut tls = Tls::default();
        if let Some(said) = switch {
            report.warning(
                &said.place,
                "is ignored: the scheme of the URL says whether TLS is used",
            );
        }
        if !secure {
            for said in [&self.ca, &self.certificate, &self.key, &self.verify, &self.name]
                .into_iter()
                .flatten()
            {
                report.warning(&said.place, "is ignored: it is for https, and the URL is http");
            }
            return tls;
        }
        let mut file = |said: &Option<Said>| {
            let said = said.as_ref()?;
            let text = said.as_text(report)?;
            (!text.is_empty()).then(|| (said.place.clone(), text))
        };
        tls.ca = file(&self.ca);
        tls.certificate = file(&self.certificate);
        tls.key = file(&self.key);
        let verify = self
            .verify
            .as_ref()
            .map(|said| (said.place.clone(), said.as_boolean(report).unwrap_or(true)));
        let (verify_place, verify) = verify.unwrap_or((place.clone(), false));
        if !verify {
            report.warning(
                &verify_place,
                "the server's certificate is not verified, as EMQX 4 does it unless web.hook.ssl.verify = true",
            );
        }
        tls.verify = Some((verify_place, verify));
        if let Some(said) = self.name {
            match said.as_text(report).as_deref() {
                Some("disable") if verify => report.warning(
                    &said.place,
                    "is ignored: a verified certificate must have the server's name",
                ),
                Some("disable" | "") | None => {}
                Some(name) => tls.server_name = Some((said.place.clone(), name.to_owned())),
            }
        }
        if tls.certificate.is_some() != tls.key.is_some() {
            let (missing, present) = if tls.key.is_none() {
                ("keyfile", &tls.certificate)
            } else {
                ("certfile", &tls.key)
            };
            if let Some((place, _)) = present {
                report.problem(place, format!("needs web.hook.ssl.{missing} beside it"));
            }
        }
        tls
    }
}
