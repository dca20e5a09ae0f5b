//! Spans: what a collector gets, and what one that does not answer costs.

use hookhost_tests::client::Client;
use hookhost_tests::host::{Host, Setup};
use hookhost_tests::metrics::until;
use hookhost_tests::raw::Raw;
use hookhost_tests::sink::{Answer, Sink};
use hookhost_tests::{PATIENCE, Version};
use serde_json::{Value, json};

use crate::events::publish_with;

const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// A host that sends publishes to a receiver, and spans to a collector.
async fn host(receiver: &Sink, collector: &Sink, tracing: &str) -> Host {
    let config = format!(
        "[webhook]\nurls = [{:?}]\n[[webhook.rule.message_publish]]\naction = \"x\"\n\
         [delivery]\nretry_initial_interval = \"10ms\"\n\
         [tracing]\notlp_endpoint = {:?}\nheaders = {{ x-key = \"k\" }}\n{tracing}",
        receiver.url("/hook"),
        collector.url("/otlp")
    );
    Setup::new().config(&config).start().await
}

/// The spans that the collector has accepted, once there are this many.
async fn spans(collector: &Sink, count: usize) -> Vec<Value> {
    let accepted = |requests: &[std::sync::Arc<hookhost_tests::sink::Received>]| -> Vec<Value> {
        let bodies = requests
            .iter()
            .filter(|request| request.accepted())
            .map(|request| request.json());
        bodies
            .flat_map(|body| {
                let spans = body.pointer("/resourceSpans/0/scopeSpans/0/spans");
                spans.and_then(Value::as_array).cloned().unwrap_or_default()
            })
            .collect()
    };
    let requests = collector
        .wait_until("spans", PATIENCE, |requests| accepted(requests).len() >= count)
        .await;
    let spans = accepted(&requests);
    assert_eq!(spans.len(), count, "{spans:#?}");
    spans
}

/// The only span with a name.
fn named<'s>(spans: &'s [Value], name: &str) -> &'s Value {
    let found: Vec<&Value> = spans.iter().filter(|span| span["name"] == name).collect();
    let [span] = *found else { panic!("{name} in {spans:#?}") };
    span
}

fn time(span: &Value, key: &str) -> u64 {
    span[key].as_str().unwrap().parse().unwrap()
}

fn attribute<'s>(span: &'s Value, name: &str) -> &'s Value {
    let attributes = span["attributes"].as_array().unwrap();
    let found = attributes.iter().find(|attribute| attribute["key"] == name);
    &found.unwrap_or_else(|| panic!("{name} in {span:#}"))["value"]
}

#[tokio::test]
async fn the_spans_of_a_sampled_message_reach_the_collector() {
    let (receiver, collector) = (Sink::start().await, Sink::start().await);
    let fails_first = |_: &_, before| Answer::Status(if before == 0 { 503 } else { 200 });
    receiver.answer(fails_first);
    // The exporter retries once.
    collector.answer(fails_first);
    let host = host(&receiver, &collector, "").await;
    let mut client = Raw::client(host.address, Version::V5, "c").await;
    // Neither a message without a trace nor one that is not sampled has spans.
    client.send(&publish_with(&[])).await;
    client
        .send(&publish_with(&[("traceparent", &PARENT.replace("-01", "-00"))]))
        .await;
    receiver.wait_for(3, PATIENCE).await;
    client.send(&publish_with(&[("traceparent", PARENT)])).await;
    let spans = spans(&collector, 4).await;
    let (event, call) = (named(&spans, "message-publish"), named(&spans, "call webhook"));
    let (request, attempt) = (named(&spans, "request"), named(&spans, "POST"));
    assert!(
        spans
            .iter()
            .all(|span| span["traceId"] == "4bf92f3577b34da6a3ce929d0e0e4736"),
        "{spans:#?}"
    );
    assert_eq!(event["parentSpanId"], "00f067aa0ba902b7");
    for (child, parent) in [(call, event), (request, call), (attempt, request)] {
        assert_eq!(child["parentSpanId"], parent["spanId"], "{spans:#?}");
    }
    let [start, end] = ["startTimeUnixNano", "endTimeUnixNano"];
    for span in &spans {
        assert!(time(span, start) <= time(span, end), "{span:#}");
        assert_eq!(span.get("status"), None, "{span:#}");
    }
    assert!(
        time(event, start) <= time(call, start) && time(call, end) <= time(attempt, start),
        "{spans:#?}"
    );
    assert_eq!(
        attribute(event, "messaging.destination.name"),
        &json!({"stringValue": "t/1"})
    );
    assert_eq!(
        attribute(attempt, "http.request.method"),
        &json!({"stringValue": "POST"})
    );
    // The receiver gets the id of the request.
    let sent = receiver.requests();
    let header = sent.last().unwrap().header("traceparent").unwrap();
    assert_eq!(
        header,
        format!(
            "00-4bf92f3577b34da6a3ce929d0e0e4736-{}-01",
            request["spanId"].as_str().unwrap()
        )
    );

    let posts = collector.requests();
    let [failed, retried, ..] = &*posts else {
        panic!("{posts:#?}")
    };
    assert_eq!((&*failed.method, &*failed.path), ("POST", "/otlp/v1/traces"));
    assert_eq!(
        (failed.header("content-type"), failed.header("x-key")),
        (Some("application/json"), Some("k"))
    );
    assert_eq!(failed.body, retried.body);
    let metrics = until(&host, "the spans are counted", |metrics| {
        metrics.sum("hookhost_trace_spans_total{result=\"exported\"}") == 4.0
    });
    assert_eq!(metrics.await.sum("hookhost_trace_spans_total"), 4.0);
    client.disconnect().await;
}

#[tokio::test]
async fn sampled_events_without_a_trace_begin_one() {
    let (receiver, collector) = (Sink::start().await, Sink::start().await);
    receiver.answer(|_, before| Answer::Status(if before == 0 { 503 } else { 200 }));
    let host = host(&receiver, &collector, "sample_ratio = 1.0\n").await;
    let mut client = Client::connect(host.address, Version::V311, "c").await;
    client.publish("t/1", 1, "x").await;
    let spans = spans(&collector, 5).await;
    let event = named(&spans, "message-publish");
    assert_eq!(event.get("parentSpanId"), None);
    let attempts = || spans.iter().filter(|span| span["name"] == "POST");
    let failed = attempts().find(|span| span["status"] == json!({"code": 2, "message": "answered with status 503"}));
    assert!(failed.is_some() && attempts().count() == 2, "{spans:#?}");
    let request = named(&spans, "request")["spanId"].as_str().unwrap();
    let header = format!("00-{}-{request}-01", event["traceId"].as_str().unwrap());
    for sent in receiver.requests() {
        assert_eq!(sent.header("traceparent"), Some(&*header));
    }
    client.disconnect().await;
}

#[tokio::test]
async fn requests_in_batches_and_to_files_have_spans() {
    let (receiver, collector) = (Sink::start().await, Sink::start().await);
    let dir = tempfile::tempdir().unwrap();
    let file = format!("file://{}", dir.path().join("lines").display());
    let config = format!(
        "[[webhook.rule.message_publish]]\naction = \"b\"\nurls = [{:?}]\nbatch = {{ max_delay = \"10ms\" }}\n\
         [[webhook.rule.message_publish]]\naction = \"f\"\nurls = [{file:?}]\n\
         [tracing]\notlp_endpoint = {:?}\nsample_ratio = 1.0\n",
        receiver.url("/hook"),
        collector.url("/otlp")
    );
    // On disk, the span is part of the record.
    let host = Setup::new()
        .arg("--data")
        .arg(dir.path().join("data"))
        .config(&config)
        .start()
        .await;
    let mut client = Raw::client(host.address, Version::V5, "c").await;
    client.send(&publish_with(&[("traceparent", PARENT)])).await;
    let spans = spans(&collector, 6).await;
    let (call, trace) = (named(&spans, "call webhook"), "4bf92f3577b34da6a3ce929d0e0e4736");
    assert!(spans.iter().all(|span| span["traceId"] == trace), "{spans:#?}");
    let requests: Vec<&Value> = spans.iter().filter(|span| span["name"] == "request").collect();
    assert!(
        requests.iter().all(|request| request["parentSpanId"] == call["spanId"]),
        "{spans:#?}"
    );
    let parent = |name| &named(&spans, name)["parentSpanId"];
    let ids: Vec<&Value> = requests.iter().map(|request| &request["spanId"]).collect();
    assert!(
        ids.contains(&parent("POST")) && ids.contains(&parent("write")),
        "{spans:#?}"
    );
    assert_ne!(parent("POST"), parent("write"));
    assert_eq!(
        attribute(named(&spans, "POST"), "http.response.status_code"),
        &json!({"intValue": "200"})
    );
    for sent in receiver.requests() {
        assert_eq!(sent.header("traceparent"), None);
    }
    client.disconnect().await;
}

#[tokio::test]
async fn a_collector_that_does_not_answer_costs_only_spans() {
    /// Each makes two entries. The queue of the exporter has 4,096, and a request up to 512 spans.
    const MESSAGES: usize = 3_000;
    let (receiver, collector) = (Sink::start().await, Sink::start().await);
    collector.answer(|_, _| Answer::Hang);
    let mut host = host(&receiver, &collector, "sample_ratio = 1.0\n").await;
    let mut client = Client::connect(host.address, Version::V311, "c").await;
    client.publish("t/1", 1, "first").await;
    collector.wait_for(1, PATIENCE).await;
    for _ in 0..MESSAGES {
        client.publish("t/1", 0, "x").await;
    }
    receiver.wait_for(MESSAGES + 1, PATIENCE).await;
    until(&host, "entries are dropped", |metrics| {
        metrics.sum("hookhost_trace_dropped_records_total") > 0.0
            && metrics.sum("hookhost_delivered_requests_total") == (MESSAGES + 1) as f64
            && metrics.sum("hookhost_module_dropped_events_total") == 0.0
    })
    .await;
    client.disconnect().await;
    host.stop().await;
}
