//! `connectors.http.NAME`: where requests go and over which connection.

use std::collections::BTreeMap;

use hookhost_settings::{Place, Report, Section, Setting, Table, Value, format_duration};

use super::super::canonical::Tls;
use super::super::checks;
use super::super::{HOUR, MILLISECOND, Sources};
use super::{item, named, oauth2, options, tls};

/// A connector of EMQX.
#[derive(Debug, Clone)]
pub(super) struct Connector {
    pub(super) url: (Place, String),
    /// `None` if not given: EMQX then sends headers of its own.
    pub(super) headers: Option<Headers>,
    pub(super) tls: Tls,
    /// Keys of a destination.
    pub(super) settings: Table,
}

/// Headers by lower-case name, each with its place.
pub(super) type Headers = BTreeMap<String, (Place, String)>;

/// Connectors by name; `None` for one that is disabled or left out.
pub(super) type Connectors = BTreeMap<String, Option<Connector>>;

pub(super) fn all(root: &mut Section<'_>, others: &mut Table, sources: &Sources<'_>) -> Connectors {
    let report = root.report();
    let entries = named(root, "connectors", ["http", "webhook"], others);
    let read = |(name, setting)| {
        (
            name,
            item(report, setting, |mut fields| Connector::read(&mut fields, sources)),
        )
    };
    entries.into_iter().map(read).collect()
}

impl Connector {
    /// Takes the keys of a connector; those of a bridge are left to its action. `None` if there is no valid URL, which is
    /// reported.
    pub(super) fn read(fields: &mut Section<'_>, sources: &Sources<'_>) -> Option<Connector> {
        let report = fields.report();
        if !fields.is_given("url") {
            report.problem(fields.place(), "needs a url");
        }
        let url = fields.take("url").and_then(|setting| {
            let text = report.check(setting.written())?;
            Some((setting.place.clone(), checks::http_url(report, &setting.place, &text)?))
        });
        let headers = fields.take("headers").map(|setting| read_headers(report, setting));
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
        fields.ignore(&[
            ("pool_type", "requests of one client keep their order on any connection"),
            (
                "enable_pipelining",
                "a connection carries one request at a time; concurrency_limit sets the number of connections",
            ),
            ("max_inactive", "the host decides how long idle connections stay open"),
            ("request", "EMQX 5 ignores it, too"),
            ("retry_interval", "EMQX 5 ignores it, too"),
            (
                "max_retries",
                "EMQX 5 ignores it, too; requests are retried for retry_max_elapsed_time",
            ),
        ]);
        if let Some(opts) = fields.section_if_given("resource_opts") {
            // The options of a bridge include those of an action.
            settings.extend(options::read(opts));
        }
        if let Some(oauth2) = oauth2::read(fields) {
            settings.insert("oauth2".to_owned(), oauth2);
        }
        let secure = url
            .as_ref()
            .is_some_and(|(_, url)| url.to_ascii_lowercase().starts_with("https:"));
        let ssl = fields.section_if_given("ssl");
        let tls = ssl.map(|ssl| tls::read(ssl, secure, &|name| sources.environment(name)));
        Some(Connector {
            url: url?,
            headers,
            tls: tls.unwrap_or_default(),
            settings,
        })
    }
}

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
