//! `actions.http.NAME`: what a request looks like and how long it is tried; and `bridges.webhook.NAME`, which is both
//! connector and action.

use std::collections::BTreeMap;

use super::super::canonical::Entry;
use super::super::said::{Fields, Report, Said};
use super::super::{HOUR, MILLISECOND};
use super::connector::{Connector, HEALTH, Headers, read_headers};
use super::named;
use hookhost_settings::document::Value;
use hookhost_settings::reader::Place;
use hookhost_settings::units::format_duration;

/// What an action says.
#[derive(Debug, Clone)]
pub(super) struct Action {
    pub(super) place: Place,
    pub(super) enabled: bool,
    pub(super) connector: Option<(Place, String)>,
    pub(super) path: Option<(Place, String)>,
    pub(super) method: Option<String>,
    /// None: not given, so that EMQX's own hold.
    pub(super) headers: Option<Headers>,
    pub(super) body: Option<(Place, String)>,
    pub(super) local_topic: Option<Said>,
    pub(super) settings: BTreeMap<&'static str, Entry>,
}

pub(super) fn all(report: &mut Report, said: Option<Said>) -> BTreeMap<String, Action> {
    let mut actions = BTreeMap::new();
    for (name, mut fields) in named(report, said, ["http", "webhook"], "actions") {
        let connector = fields.take("connector").and_then(|said| {
            let text = said.as_text(report)?;
            Some((said.place, text))
        });
        if connector.is_none() {
            report.problem(
                &fields.place,
                "needs a connector: the name of one below connectors.http",
            );
        }
        let mut action = Action {
            place: fields.place.clone(),
            enabled: fields
                .take("enable")
                .and_then(|said| said.as_boolean(report))
                .unwrap_or(true),
            connector,
            path: None,
            method: None,
            headers: None,
            body: None,
            local_topic: fields.take("local_topic"),
            settings: BTreeMap::new(),
        };
        if let Some(mut parameters) = fields.table("parameters", report) {
            action.path = text(report, parameters.take("path"));
            action.request(report, &mut parameters);
            parameters.finish(report, true);
        }
        if let Some(mut opts) = fields.table("resource_opts", report) {
            opts.ignore(&HEALTH, report);
            action.settings.extend(resource_options(report, opts));
        }
        fields.remark(&["tags", "description", "created_at", "last_modified_at"], report);
        fields.finish(report, true);
        actions.insert(name, action);
    }
    actions
}

/// Adds each bridge as a connector and an action of its name.
pub(super) fn bridges(
    report: &mut Report,
    said: Option<Said>,
    connectors: &mut BTreeMap<String, Connector>,
    actions: &mut BTreeMap<String, Action>,
) {
    for (name, mut fields) in named(report, said, ["webhook", "http"], "bridges") {
        let place = fields.place.clone();
        if actions.contains_key(&name) || connectors.contains_key(&name) {
            report.problem(
                &place,
                "has the name of an action or a connector; EMQX would replace one by the other",
            );
            continue;
        }
        let connector = Connector::read(report, &mut fields);
        let mut action = Action {
            place: place.clone(),
            enabled: true,
            connector: Some((place, name.clone())),
            path: None,
            method: None,
            headers: Some(Headers::new()),
            body: None,
            local_topic: fields.take("local_topic"),
            settings: BTreeMap::new(),
        };
        action.request(report, &mut fields);
        fields.ignore(&[("direction", "a bridge for webhooks only sends")], report);
        fields.finish(report, true);
        connectors.insert(name.clone(), connector);
        actions.insert(name, action);
    }
}

impl Action {
    /// Takes what is about one request.
    fn request(&mut self, report: &mut Report, fields: &mut Fields) {
        self.method = fields.take("method").and_then(|said| {
            let method = said.as_text(report)?.to_ascii_lowercase();
            if !["post", "put", "get", "delete"].contains(&method.as_str()) {
                report.problem(&said.place, "should be post, put, get or delete");
                return None;
            }
            Some(method)
        });
        if let Some(said) = fields.take("headers") {
            self.headers = Some(read_headers(report, said));
        }
        self.body = text(report, fields.take("body"));
        fields.ignore(
            &[
                (
                    "max_retries",
                    "EMQX 5 ignores it, too; requests are tried again for retry_max_elapsed_time",
                ),
                (
                    "request_timeout",
                    "EMQX 5 ignores it, too; resource_opts.request_ttl is the limit",
                ),
            ],
            report,
        );
    }
}

/// Options of the buffer before an action.
pub(super) fn resource_options(report: &mut Report, mut fields: Fields) -> BTreeMap<&'static str, Entry> {
    let mut settings = BTreeMap::new();
    if let Some(said) = fields.take_either("request_ttl", "request_timeout") {
        let limits = [("http_timeout", HOUR), ("retry_max_elapsed_time", 30 * 24 * HOUR)];
        if said.as_text(report).as_deref() == Some("infinity") {
            let text = "is 30 days here, the longest time that a request is tried";
            report.warning(&said.place, text);
            settings.insert("retry_max_elapsed_time", (said.place, Value::Text("30d".to_owned())));
        } else if let Some(ttl) = said.as_duration(report, MILLISECOND..=30 * 24 * HOUR) {
            for (key, limit) in limits {
                let text = format_duration(ttl.min(limit));
                settings.insert(key, (said.place.clone(), Value::Text(text)));
            }
        }
    }
    if let Some(said) = fields.take_either("max_buffer_bytes", "max_queue_bytes")
        && let Some(bytes) = said.as_size(report)
    {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        settings.insert("queue_bytes", (said.place, Value::Integer(bytes)));
    }
    let mut accepted = |key: &'static str, value: &str, reason: &str| {
        if let Some(said) = fields.take(key)
            && said.as_text(report).is_some_and(|text| text != value)
        {
            report.warning(&said.place, format!("is ignored: {reason}"));
        }
    };
    accepted("query_mode", "async", "clients never wait for requests here");
    accepted("buffer_mode", "memory_only", "what waits is kept in memory");
    fields.ignore(
        &[
            ("worker_pool_size", "one queue serves all senders"),
            (
                "inflight_window",
                "concurrency_limit of a destination bounds what is under way",
            ),
            ("buffer_seg_bytes", "what waits is kept in memory"),
            (
                "resume_interval",
                "a failed request waits for retry_initial_interval and longer each time",
            ),
            ("metrics_flush_interval", "it is about EMQX's metrics"),
            ("dispatch_strategy", "requests of one client keep their order"),
            ("batch_size", "EMQX 5 has no batches of HTTP requests either"),
            ("batch_time", "EMQX 5 has no batches of HTTP requests either"),
            (
                "async_inflight_window",
                "concurrency_limit of a destination bounds what is under way",
            ),
        ],
        report,
    );
    fields.finish(report, true);
    settings
}

fn text(report: &mut Report, said: Option<Said>) -> Option<(Place, String)> {
    let said = said?;
    let text = said.as_text(report)?;
    Some((said.place, text))
}
