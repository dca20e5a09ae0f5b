//! `connectors.http.NAME`: where requests go and over which connection.

use std::collections::BTreeMap;

use hookhost_settings::{Place, Report, Section, Setting, Table, Value, format_duration};

use super::super::canonical::Tls;
use super::super::checks::{self, remark, switch};
use super::super::{HOUR, MILLISECOND};
use super::named;

/// A connector of EMQX.
#[derive(Debug, Clone)]
pub(super) struct Connector {
    pub(super) place: Place,
    pub(super) enabled: bool,
    pub(super) url: Option<(Place, String)>,
    /// `None` if not given: EMQX then sends headers of its own.
    pub(super) headers: Option<Headers>,
    pub(super) ssl: Option<Setting>,
    pub(super) settings: Table,
}

/// Headers by lower-case name, each with its place.
pub(super) type Headers = BTreeMap<String, (Place, String)>;

pub(super) fn all(root: &mut Section<'_>) -> BTreeMap<String, Connector> {
    let report = root.report();
    let entries = named(root, "connectors", ["http", "webhook"]);
    let read = |(name, mut fields): (String, Section<'_>)| {
        let connector = Connector::read(report, &mut fields);
        drop(fields);
        (name, connector)
    };
    entries.into_iter().map(read).collect()
}

impl Connector {
    /// Takes the keys of a connector; those of a bridge are left to its action.
    pub(super) fn read(report: &Report, fields: &mut Section<'_>) -> Connector {
        let place = fields.place().clone();
        let enabled = fields
            .take("enable")
            .and_then(|setting| report.check(switch(&setting)))
            .unwrap_or(true);
        if !fields.is_given("url") {
            report.problem(&place, "needs a url");
        }
        let url = fields.take("url").and_then(|setting| {
            let text = report.check(setting.written())?;
            Some((setting.place.clone(), checks::http_url(report, &setting.place, &text)?))
        });
        let headers = fields.take("headers").map(|setting| read_headers(report, setting));
        let ssl = fields.take("ssl");
        let mut settings = Table::new();
        if let Some(setting) = fields.take("connect_timeout")
            && let Some(duration) = report.check(setting.milliseconds(MILLISECOND..=HOUR))
        {
            settings.insert(
                "connect_timeout".to_owned(),
                Setting::new(setting.place, Value::Text(format_duration(duration))),
            );
        }
        if let Some(setting) = fields.take("pool_size")
            && let Some(count) = report.check(setting.integer(1..=65_535))
        {
            settings.insert(
                "concurrency_limit".to_owned(),
                Setting::new(setting.place, Value::Integer(count)),
            );
        }
        remark(fields, &["tags", "description"]);
        fields.ignore(&[
            ("pool_type", "requests of one client keep their order on any connection"),
            (
                "enable_pipelining",
                "a connection carries one request at a time; concurrency_limit sets the number of connections",
            ),
            ("max_inactive", "the host decides how long idle connections stay open"),
            ("request", "EMQX 5 ignores it, too"),
            ("retry_interval", "EMQX 5 ignores it, too"),
        ]);
        if let Some(mut opts) = fields.section_if_given("resource_opts") {
            opts.ignore(&HEALTH);
            // The options of a bridge include those of an action.
            settings.extend(super::action::resource_options(report, opts));
        }
        if let Some(mut oauth) = fields.section_if_given("oauth2") {
            let on = oauth
                .take("enable")
                .and_then(|setting| report.check(switch(&setting)))
                .unwrap_or(true);
            if on {
                let text = "is not supported, and requests would go without a token: \
                            let something else fetch tokens and name its file as bearer_file of a destination";
                report.problem(oauth.place(), text);
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
        "there are no health checks: a failed request is retried",
    ),
    (
        "health_check_interval_jitter",
        "there are no health checks: a failed request is retried",
    ),
    (
        "health_check_timeout",
        "there are no health checks: a failed request is retried",
    ),
    (
        "auto_restart_interval",
        "there are no health checks: a failed request is retried",
    ),
];

pub(super) fn read_headers(report: &Report, setting: Setting) -> Headers {
    let mut headers = Headers::new();
    let Some(mut fields) = Section::of(report, setting) else {
        return headers;
    };
    for (name, setting) in fields.rest() {
        let Some(text) = report.check(setting.written()) else {
            continue;
        };
        if name.eq_ignore_ascii_case("connection") && text == "keep-alive" {
            // A default of EMQX 5, and true of the host's connections.
            headers.insert("connection".to_owned(), (setting.place, text));
        } else if let Some((name, text)) = checks::header(report, &setting.place, &name, &text) {
            headers.insert(name, (setting.place, text));
        }
    }
    headers
}

/// The `ssl` of a connector whose URL is https.
pub(super) fn tls(
    report: &Report,
    mut fields: Section<'_>,
    secure: bool,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Tls {
    let mut tls = Tls::default();
    let enabled = fields
        .take("enable")
        .and_then(|setting| report.check(switch(&setting)))
        .unwrap_or(false);
    let mut file = |key| {
        let setting = fields.take(key)?;
        let text = report.check(setting.written())?;
        if text.contains("-----BEGIN") {
            report.problem(&setting.place, "should be the name of a file, not its content");
            return None;
        }
        (!text.is_empty()).then(|| (setting.place, expanded(&text, variable)))
    };
    let files = [file("cacertfile"), file("certfile"), file("keyfile")];
    let verify = fields.take("verify");
    let name = fields.take("server_name_indication");
    fields.ignore(&[
        ("password", "a private key must not be encrypted here"),
        ("versions", "TLS 1.3 and 1.2 are negotiated"),
        ("ciphers", "the host decides this"),
        ("depth", "chains of any length are verified"),
        ("hibernate_after", "it is about EMQX's processes"),
        ("partial_chain", "chains are verified up to a root"),
        (
            "verify_peer_ext_key_usage",
            "a server's certificate must be for servers",
        ),
        ("reuse_sessions", "the host decides this"),
        ("secure_renegotiate", "the host decides this"),
        ("user_lookup_fun", "it is about EMQX's code"),
        ("log_level", "HOOKHOST_LOG sets the log level"),
    ]);
    let place = fields.place().clone();
    drop(fields);
    if !enabled || !secure {
        if enabled {
            report.warning(&place, "is ignored: it is for https, and the URL is http");
        } else if files.iter().any(Option::is_some) {
            report.warning(&place, "is ignored: it needs enable = true");
        }
        return tls;
    }
    [tls.ca, tls.certificate, tls.key] = files;
    let verify = verify.and_then(|setting| match report.check(setting.written())?.as_str() {
        "verify_peer" => Some((setting.place, true)),
        "verify_none" => Some((setting.place, false)),
        _ => {
            report.problem(&setting.place, "should be verify_peer or verify_none");
            None
        }
    });
    let (verify_place, verify) = verify.unwrap_or((place, false));
    if !verify {
        report.warning(
            &verify_place,
            "the server's certificate is not verified, as in EMQX 5, unless verify = verify_peer",
        );
    }
    tls.verify = Some((verify_place, verify));
    if let Some(setting) = name {
        match report.check(setting.written()).as_deref() {
            Some("disable") if verify => {
                report.warning(
                    &setting.place,
                    "is ignored: a verified certificate must have the server's name",
                );
            }
            Some("disable" | "auto" | "") | None => {}
            Some(name) => tls.server_name = Some((setting.place.clone(), name.to_owned())),
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
