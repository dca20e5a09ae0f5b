//! `resource_opts`: the buffer before a connector or an action.

use hookhost_settings::{Section, Setting, Table, Value, format_duration};

use super::super::{HOUR, MILLISECOND};

/// Reads the table of a connector, an action or a bridge.
pub(super) fn read(mut fields: Section<'_>) -> Table {
    let report = fields.report();
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
    fields.ignore(&WITHOUT_MEANING);
    drop(fields);
    settings
}

/// Keys of all versions.
const WITHOUT_MEANING: [(&str, &str); 20] = [
    ("start_after_created", NO_START),
    ("start_timeout", NO_START),
    ("health_check_interval", NO_HEALTH_CHECKS),
    ("health_check_interval_jitter", NO_HEALTH_CHECKS),
    ("health_check_timeout", NO_HEALTH_CHECKS),
    ("auto_restart_interval", NO_HEALTH_CHECKS),
    ("worker_pool_size", "one queue serves all senders"),
    ("inflight_window", IN_FLIGHT),
    ("async_inflight_window", IN_FLIGHT),
    ("buffer_seg_bytes", IN_MEMORY),
    ("enable_queue", IN_MEMORY),
    ("resume_interval", RETRIES),
    ("auto_retry_interval", RETRIES),
    ("retry_interval", RETRIES),
    ("metrics_flush_interval", "it is about EMQX's metrics"),
    ("dispatch_strategy", "requests of one client keep their order"),
    ("enable_batch", NO_BATCHES),
    ("batch_size", NO_BATCHES),
    ("batch_time", NO_BATCHES),
    ("created_at", "it is about EMQX's own records"),
];

const NO_START: &str = "there is nothing to start before the first request";
const NO_HEALTH_CHECKS: &str = "there are no health checks: a failed request is retried";
const IN_FLIGHT: &str = "concurrency_limit of a destination limits the requests in flight";
const IN_MEMORY: &str = "the queue is kept in memory";
const RETRIES: &str = "a failed request is retried after retry_initial_interval, then after longer and longer times";
const NO_BATCHES: &str = "EMQX 5 has no batches of HTTP requests either";
