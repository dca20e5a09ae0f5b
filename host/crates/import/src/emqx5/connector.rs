//! `connectors.http.NAME`: where requests go and over which connection.

use std::collections::BTreeMap;

use super::super::canonical::{Entry, Tls};
use super::super::said::{Fields, Report, Said};
use super::super::{HOUR, MILLISECOND, checks};
use super::named;
use hookhost_settings::document::Value;
use hookhost_settings::reader::Place;
use hookhost_settings::units::format_duration;

/// What a connector says.
#[derive(Debug, Clone)]
pub(super) struct Connector {
    pub(super) place: Place,
    pub(super) enabled: bool,
    pub(super) url: Option<(Place, String)>,
    /// None: not given, so that EMQX's own hold.
    pub(super) headers: Option<Headers>,
    pub(super) ssl: Option<Fields>,
    pub(super) settings: BTreeMap<&'static str, Entry>,
}

/// Headers by lower-case name, each with its place.
pub(super) type Headers = BTreeMap<String, (Place, String)>;

pub(super) fn all(report: &mut Report, said: Option<Said>) -> BTreeMap<String, Connector> {
    let entries = named(report, said, ["http", "webhook"], "connectors");
    let read = |(name, mut fields): (String, Fields)| {
        let connector = Connector::read(report, &mut fields);
        fields.finish(report, true);
        (name, connector)
    };
    entries.into_iter().map(read).collect()
}

impl Connector {
    /// Takes the keys of a connector; those of a bridge are left to its action.
    pub(super) fn read(report: &mut Report, fields: &mut Fields) -> Connector {
        let place = fields.place.clone();
        let enabled = fields
            .take("enable")
            .and_then(|said| said.as_boolean(report))
            .unwrap_or(true);
        if !fields.has("url") {
            report.problem(&place, "needs a url");
        }
        let url = fields.take("url").and_then(|said| {
            let text = said.as_text(report)?;
            Some((said.place.clone(), checks::http_url(report, &said.place, &text)?))
        });
        let headers = fields.take("headers").map(|said| read_headers(report, said));
        let ssl = fields.table("ssl", report);
        let mut settings = BTreeMap::new();
        if let Some(said) = fields.take("connect_timeout")
            && let Some(duration) = said.as_duration(report, MILLISECOND..=HOUR)
        {
            settings.insert("connect_timeout", (said.place, Value::Text(format_duration(duration))));
        }
        if let Some(said) = fields.take("pool_size")
            && let Some(count) = said.as_count(report, 1..=65_535)
        {
            settings.insert("concurrency_limit", (said.place, Value::Integer(count)));
        }
        fields.remark(&["tags", "description"], report);
        fields.ignore(
            &[
                (
                    "pool_type",
                    "requests of one client keep their order whatever connection they take",
                ),
                (
                    "enable_pipelining",
                    "a connection carries one request at a time, as many connections as concurrency_limit are used",
                ),
                ("max_inactive", "the host decides how long idle connections stay open"),
                ("request", "EMQX 5 ignores it, too"),
                ("retry_interval", "EMQX 5 ignores it, too"),
            ],
            report,
        );
        if let Some(mut opts) = fields.table("resource_opts", report) {
            opts.ignore(&HEALTH, report);
            // A bridge has the options of an action here.
            settings.extend(super::action::resource_options(report, opts));
        }
        if let Some(mut oauth) = fields.table("oauth2", report) {
            let on = oauth
                .take("enable")
                .and_then(|said| said.as_boolean(report))
                .unwrap_or(true);
            if on {
                let text = "is not supported, and requests would go without a token: \
                            let something else fetch tokens and name its file as bearer_file of a destination";
                report.problem(&oauth.place, text);
            }
        }
        Connector {
            place,
            enabled,
            url,
            headers,
            ssl,
            settings,
        }
    }
}

/// Options about health checks, which connectors and actions share.
pub(super) const HEALTH: [(&str, &str); 6] = [
    (
        "start_after_created",
        "there is nothing to start before the first request",
    ),
    ("start_timeout", "there is nothing to start before the first request"),
    (
        "health_check_interval",
        "there are no health checks: a request that fails is tried again",
    ),
    (
        "health_check_interval_jitter",
        "there are no health checks: a request that fails is tried again",
    ),
    (
        "health_check_timeout",
        "there are no health checks: a request that fails is tried again",
    ),
    (
        "auto_restart_interval",
        "there are no health checks: a request that fails is tried again",
    ),
];

pub(super) fn read_headers(report: &mut Report, said: Said) -> Headers {
    let mut headers = Headers::new();
    let Some(mut fields) = said.into_fields(report) else {
        return headers;
    };
    for (name, said) in fields.rest() {
        let Some(text) = said.as_text(report) else { continue };
        if let Some((name, text)) = checks::header(report, &said.place, &name, &text) {
            headers.insert(name, (said.place, text));
        }
    }
    headers
}

/// The `ssl` of a connector whose URL is https.
pub(super) fn tls(
    report: &mut Report,
    mut fields: Fields,
    secure: bool,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Tls {
    let mut tls = Tls::default();
    let enabled = fields
        .take("enable")
        .and_then(|said| said.as_boolean(report))
        .unwrap_or(false);
    let mut file = |key| {
        let said = fields.take(key)?;
        let text = said.as_text(report)?;
        if text.contains("-----BEGIN") {
            report.problem(&said.place, "should be the name of a file, not what is in it");
            return None;
        }
        (!text.is_empty()).then(|| (said.place, expanded(&text, variable)))
    };
    let files = [file("cacertfile"), file("certfile"), file("keyfile")];
    let verify = fields.take("verify");
    let name = fields.take("server_name_indication");
    fields.ignore(
        &[
            ("password", "a private key must not be encrypted here"),
            ("versions", "TLS 1.3 and 1.2 are negotiated"),
            ("ciphers", "the host's own choice holds"),
            ("depth", "chains are verified whatever their length"),
            ("hibernate_after", "it is about EMQX's processes"),
            ("partial_chain", "chains are verified up to a root"),
            (
                "verify_peer_ext_key_usage",
                "a server's certificate must be one for servers",
            ),
            ("reuse_sessions", "the host's own choice holds"),
            ("secure_renegotiate", "the host's own choice holds"),
            ("user_lookup_fun", "it is about EMQX's code"),
            ("log_level", "logs have a level of their own"),
        ],
        report,
    );
    let place = fields.place.clone();
    fields.finish(report, true);
    if !enabled || !secure {
        if enabled {
            report.warning(&place, "is ignored: it is for https, and the URL is http");
        } else if files.iter().any(Option::is_some) {
            report.warning(&place, "is ignored: it needs enable = true");
        }
        return tls;
    }
    [tls.ca, tls.certificate, tls.key] = files;
    let verify = verify.and_then(|said| match said.as_text(report)?.as_str() {
        "verify_peer" => Some((said.place, true)),
        "verify_none" => Some((said.place, false)),
        _ => {
            report.problem(&said.place, "should be verify_peer or verify_none");
            None
        }
    });
    let (verify_place, verify) = verify.unwrap_or((place, false));
    if !verify {
        report.warning(
            &verify_place,
            "the server's certificate is not verified, as EMQX 5 does it unless verify = verify_peer",
        );
    }
    tls.verify = Some((verify_place, verify));
    if let Some(said) = name {
        match said.as_text(report).as_deref() {
            Some("disable") if verify => {
                report.warning(
                    &said.place,
                    "is ignored: a verified certificate must have the server's name",
                );
            }
            Some("disable" | "auto" | "") | None => {}
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
            report.problem(place, format!("needs {missing} beside it"));
        }
        (tls.certificate, tls.key) = (None, None);
    }
    tls
}

/// `${EMQX_ETC_DIR}/certs/ca.pem` with the variable's value, if it has one.
fn expanded(path: &str, variable: &dyn Fn(&str) -> Option<String>) -> String {
    let Some((before, rest)) = path.split_once("${") else {
        return path.to_owned();
    };
    match rest.split_once('}') {
        Some((name, after)) => match variable(name) {
            Some(value) => format!("{before}{value}{after}"),
            None => path.to_owned(),
        },
        None => path.to_owned(),
    }
}
