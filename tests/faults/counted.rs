//! Every event becomes a request that is delivered, given up, dropped or waits, and the counters say so.

use super::modules::replace_module;
use super::*;

/// The events that the publishers cause.
const EVENTS: &str = "hookhost_events_total{hook=\"message-publish\"}";

/// The host has one rule, and its receiver treats each client in another way. So each event is one request, and the
/// publishers know how many requests end in which way.
#[tokio::test]
async fn events_in_are_requests_delivered_given_up_and_waiting() {
    let sink = Sink::start().await;
    // Each client publishes to a topic of its own: p-0 works, p-1 is refused, p-2 fails half of the time, p-3 always.
    sink.answer(|request, earlier| {
        let payload = String::from_utf8(body::payload(&request.json())).unwrap();
        Answer::Status(match &payload[..3] {
            "p-1" => 422,
            "p-2" if earlier % 2 == 0 => 503,
            "p-3" => 503,
            _ => 200,
        })
    });
    let urls = [sink.url("/hook")];
    let data = tempfile::tempdir().unwrap();
    // No breaker: p-3 alone is nearly every attempt in the end.
    let host = host(data.path(), &urls, "breaker = false").await;
    let publishers = Publishers::start(host.address, &Plan::default());
    for _ in 0..3 {
        publishers.go_on(BEFORE).await;
        replace_module(&host, &urls).await;
    }
    publishers.go_on(AFTER).await;
    let published = publishers.stop().await;
    let count = |client: usize| f64::from(published[client].count);
    let total = (0..4).map(count).sum::<f64>();
    until(&host, "emitted", |metrics| metrics.sum(EVENTS) == total).await;
    let metrics = stop_balanced(host, published[3].count).await;
    assert_eq!(total, metrics.ended() + metrics.waiting());
    assert_eq!(metrics.sum("hookhost_delivered_requests_total"), count(0) + count(2));
    assert_eq!(
        metrics.sum("hookhost_dead_requests_total{reason=\"refused\"}"),
        count(1)
    );
    assert_eq!(metrics.sum("hookhost_dropped_requests_total"), 0.0);
    assert_eq!(metrics.waiting(), count(3));
    // What waited is accepted, and delivered, by the next host.
    sink.answer(|_, _| Answer::Status(200));
    let host = super::host(data.path(), &urls, "").await;
    let delivered = |metrics: &Metrics| metrics.sum("hookhost_delivered_requests_total") == count(3);
    until(&host, "delivered", delivered).await;
    let metrics = stop_balanced(host, 0).await;
    assert_eq!(metrics.sum("hookhost_outbox_accepted_requests_total"), count(3));
}

/// Without a data folder, while the receiver does not answer and all queues are full, events are dropped and counted.
#[tokio::test]
async fn events_in_are_events_dropped_and_requests_delivered() {
    let sink = Sink::start().await;
    sink.answer(|_, _| Answer::Hang);
    let urls = [sink.url("/hook")];
    let config = format!(
        "[hooks]\nqueue_events = 20\noverflow_wait = \"50ms\"\n\
         [delivery]\nqueue_requests = 20\nhttp_timeout = \"2s\"\nretry_initial_interval = \"10ms\"\nbreaker = false\n\
         [webhook]\nurls = {urls:?}\n[webhook.rule]\nmessage_publish = [{{ action = \"a\" }}]\n"
    );
    let host = Setup::new().config(&config).start().await;
    let publishers = Publishers::start(host.address, &Plan::default());
    publishers.go_on(500).await;
    let published = publishers.stop().await;
    let total: f64 = published.iter().map(|client| f64::from(client.count)).sum();
    sink.answer(|_, _| Answer::Status(200));
    until(&host, "emitted", |metrics| metrics.sum(EVENTS) == total).await;
    let metrics = stop_balanced(host, 0).await;
    let dropped = metrics.sum("hookhost_module_dropped_events_total{module=\"webhook\",reason=\"full\"}");
    assert!(dropped > 0.0);
    assert_eq!(total, dropped + metrics.ended());
    assert!(metrics.sum("hookhost_delivered_requests_total") > 0.0);
}
