//! The metrics of a host, and the check that it counts each event and each request once.

use std::collections::BTreeMap;

use tokio::time::{Duration, Instant, interval};

use crate::PATIENCE;
use crate::host::Host;
use crate::http::ask;

/// The samples of `/metrics`, by name with labels.
#[derive(Debug)]
pub struct Metrics(BTreeMap<String, f64>);

impl Metrics {
    /// Reads the metrics of a host.
    pub async fn read(host: &Host) -> Metrics {
        let answer = ask(host.admin.expect("the admin API is on"), "GET /metrics", "").await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(
            answer.header("content-type"),
            Some("text/plain; version=0.0.4; charset=utf-8")
        );
        let samples = answer.body.lines().filter(|line| !line.starts_with('#'));
        let samples = samples.map(|line| {
            let (name, value) = line.rsplit_once(' ').expect("a sample has a value");
            (name.to_owned(), value.parse().expect("a value is a number"))
        });
        Metrics(samples.collect())
    }

    /// The sum of all samples whose name and labels begin with `begin`. Panics without such a sample.
    pub fn sum(&self, begin: &str) -> f64 {
        let mut samples = self.0.iter().filter(|(name, _)| name.starts_with(begin)).peekable();
        assert!(samples.peek().is_some(), "no {begin} in {:#?}", self.0.keys());
        samples.map(|(_, value)| value).sum()
    }

    /// Whether each event is dropped, waits or has an outcome, and each request is delivered, dead, dropped or waits. This
    /// may be false while the host processes an event or a request. The host has one module.
    pub fn are_balanced(&self) -> bool {
        let dropped = self.sum("hookhost_module_dropped_events_total");
        let queued = self.sum("hookhost_module_queued_events_total");
        let left = self.sum("hookhost_module_queue_events") + self.sum("hookhost_module_events_total");
        let taken_back = self.sum("hookhost_module_taken_back_events_total");
        // Nothing is emitted before the first event.
        let is_emitting = queued + dropped > 0.0;
        let events = !is_emitting || self.sum("hookhost_events_total") == queued + dropped;
        let requests = self.sum("hookhost_outbox_accepted_requests_total") == self.ended() + self.waiting();
        events && queued + taken_back == left && requests
    }

    /// Requests that are delivered, dead or dropped.
    pub fn ended(&self) -> f64 {
        self.sum("hookhost_delivered_requests_total")
            + self.sum("hookhost_dead_requests_total")
            + self.sum("hookhost_dropped_requests_total")
    }

    /// Requests that wait or are being sent.
    pub fn waiting(&self) -> f64 {
        self.sum("hookhost_outbox_requests")
    }
}

/// Reads the metrics of a host until they are as wanted.
pub async fn until(host: &Host, what: &str, wanted: impl Fn(&Metrics) -> bool) -> Metrics {
    let deadline = Instant::now() + PATIENCE;
    let mut tick = interval(Duration::from_millis(20));
    loop {
        tick.tick().await;
        let metrics = Metrics::read(host).await;
        if wanted(&metrics) {
            return metrics;
        }
        assert!(Instant::now() < deadline, "never {what}: {metrics:#?}");
    }
}
