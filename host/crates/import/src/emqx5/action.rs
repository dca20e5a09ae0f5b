//! `actions.http.NAME`: what a request looks like and how long it is tried; and `bridges.webhook.NAME`, which is both
//! connector and action.

use std::collections::BTreeMap;

use hookhost_settings::{Place, Report, Section, Setting, Table, Value, format_duration};

use super::super::checks::{remark, switch, text};
use super::super::{HOUR, MILLISECOND};
use super::connector::{Connector, HEALTH, Headers, read_headers};
use super::named;

/// An action of EMQX.
#[derive(Debug, Clone)]
pub(super) struct Action {
    pub(super) place: Place,
    pub(super) enabled: bool,
    pub(super) connector: Option<(Place, String)>,
    pub(super) path: Option<(Place, String)>,
    pub(super) method: Option<String>,
    /// `None` if not given: EMQX then sends headers of its own.
    pub(super) headers: Option<Headers>,
    pub(super) body: Option<(Place, String)>,
    pub(super) local_topic: Option<Setting>,
    pub(super) settings: Table,
}

pub(super) fn all(root: &mut Section<'_>) -> BTreeMap<String, Action> {
    let report = root.report();
    let mut actions = BTreeMap::new();
    for (name, mut fields) in named(root, "actions", ["http", "webhook"]) {
        let connector = fields.take("connector").and_then(|setting| text(report, setting));
        if connector.is_none() {
            report.problem(
                fields.place(),
                "needs a connector: the name of one below connectors.http",
            );
        }
        let mut action = Action {
            place: fields.place().clone(),
            enabled: fields
                .take("enable")
                .and_then(|setting| report.check(switch(&setting)))
                .unwrap_or(true),
            connector,
            path: None,
            method: None,
            headers: None,
            body: None,
            local_topic: fields.take("local_topic"),
            settings: Table::new(),
        };
        if let Some(mut parameters) = fields.section_if_given("parameters") {
            action.path = parameters.take("path").and_then(|setting| text(report, setting));
            action.request(report, &mut parameters);
            drop(parameters);
        }
        if let Some(mut opts) = fields.section_if_given("resource_opts") {
            opts.ignore(&HEALTH);
            action.settings.extend(resource_options(report, opts));
        }
        remark(&mut fields, &["tags", "description", "created_at", "last_modified_at"]);
        drop(fields);
        actions.insert(name, action);
    }
    actions
}

/// Adds each bridge as a connector and an action of its name.
pub(super) fn bridges(
    root: &mut Section<'_>,
    connectors: &mut BTreeMap<String, Connector>,
    actions: &mut BTreeMap<String, Action>,
) {
    let report = root.report();
    for (name, mut fields) in named(root, "bridges", ["webhook", "http"]) {
        let place = fields.place().clone();
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
            settings: Table::new(),
        };
        action.request(report, &mut fields);
        fields.ignore(&[("direction", "a bridge for webhooks only sends")]);
        drop(fields);
        connectors.insert(name.clone(), connector);
        actions.insert(name, action);
    }
}

impl Action {
    /// Reads the keys of a single request.
    fn request(&mut self, report: &Report, fields: &mut Section<'_>) {
        self.method = fields.take("method").and_then(|setting| {
            let method = report.check(setting.written())?.to_ascii_lowercase();
            if !["post", "put", "get", "delete"].contains(&method.as_str()) {
                report.problem(&setting.place, "should be post, put, get or delete");
                return None;
            }
            Some(method)
        });
        if let Some(setting) = fields.take("headers") {
            self.headers = Some(read_headers(report, setting));
        }
        self.body = fields.take("body").and_then(|setting| text(report, setting));
        fields.ignore(&[
            (
                "max_retries",
                "EMQX 5 ignores it, too; requests are retried for retry_max_elapsed_time",
            ),
            (
                "request_timeout",
                "EMQX 5 ignores it, too; resource_opts.request_ttl is the limit",
            ),
        ]);
    }
}

/// Options of the buffer before an action.
pub(super) fn resource_options(report: &Report, mut fields: Section<'_>) -> Table {
    let mut settings = Table::new();
    if let Some(setting) = fields.take_either("request_ttl", "request_timeout") {
        let limits = [("http_timeout", HOUR), ("retry_max_elapsed_time", 30 * 24 * HOUR)];
        if report.check(setting.written()).as_deref() == Some("infinity") {
            let text = "is limited to 30 days, the longest time for retries";
            report.warning(&setting.place, text);
            settings.insert(
                "retry_max_elapsed_time".to_owned(),
                Setting::new(setting.place, Value::Text("30d".to_owned())),
            );
        } else if let Some(ttl) = report.check(setting.milliseconds(MILLISECOND..=30 * 24 * HOUR)) {
            for (key, limit) in limits {
                let text = format_duration(ttl.min(limit));
                settings.insert(key.to_owned(), Setting::new(setting.place.clone(), Value::Text(text)));
            }
        }
    }
    if let Some(setting) = fields.take_either("max_buffer_bytes", "max_queue_bytes")
        && let Some(bytes) = report.check(setting.size(0..=usize::MAX))
    {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        settings.insert(
            "queue_bytes".to_owned(),
            Setting::new(setting.place, Value::Integer(bytes)),
        );
    }
    let mut accepted = |key: &'static str, value: &str, reason: &str| {
        if let Some(setting) = fields.take(key)
            && report.check(setting.written()).is_some_and(|text| text != value)
        {
            report.warning(&setting.place, format!("is ignored: {reason}"));
        }
    };
    accepted("query_mode", "async", "clients never wait for requests here");
    accepted("buffer_mode", "memory_only", "the queue is kept in memory");
    fields.ignore(&[
        ("worker_pool_size", "one queue serves all senders"),
        (
            "inflight_window",
            "concurrency_limit of a destination limits the requests in flight",
        ),
        ("buffer_seg_bytes", "the queue is kept in memory"),
        (
            "resume_interval",
            "a failed request is retried after retry_initial_interval, then after longer and longer times",
        ),
        ("metrics_flush_interval", "it is about EMQX's metrics"),
        ("dispatch_strategy", "requests of one client keep their order"),
        ("batch_size", "EMQX 5 has no batches of HTTP requests either"),
        ("batch_time", "EMQX 5 has no batches of HTTP requests either"),
        (
            "async_inflight_window",
            "concurrency_limit of a destination limits the requests in flight",
        ),
    ]);
    drop(fields);
    settings
}
