//! Spans as the body of a request, and what an answer says: pure.
//!
//! The JSON form of OTLP: ids are hex, numbers of 64 bits are texts, enums are numbers.
//! Source: <https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding>.

use std::time::Duration;

use serde_json::{Value as Json, json};

use crate::Resource;
use crate::span::{Span, Value};

/// The status of a span that failed.
const STATUS_ERROR: u8 = 2;
/// The statuses after which a client may retry.
const RETRYABLE: [u16; 4] = [429, 502, 503, 504];

/// What follows from an answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The collector has the spans, except so many, for this reason.
    Accepted { rejected: u64, reason: String },
    /// They may be sent again, after this time if the collector names one.
    Retry { after: Option<Duration> },
    /// The collector will not accept them.
    Refused,
}

/// The body of a request with these spans.
pub(crate) fn body(resource: &Resource, spans: &[Span]) -> Json {
    let Resource { instance, version } = resource;
    json!({"resourceSpans": [{
        "resource": {"attributes": [
            attribute("service.name", &Value::Text("hookhost".to_owned())),
            attribute("service.instance.id", &Value::Text(instance.clone())),
            attribute("service.version", &Value::Text((*version).to_owned())),
        ]},
        "scopeSpans": [{
            "scope": {"name": "hookhost", "version": version},
            "spans": spans.iter().map(span).collect::<Vec<Json>>(),
        }],
    }]})
}

fn span(span: &Span) -> Json {
    let attributes = span.attributes.iter().map(|(name, value)| attribute(name, value));
    let mut json = json!({
        "traceId": format!("{:032x}", span.trace_id),
        "spanId": format!("{:016x}", span.span_id),
        "name": span.name,
        "kind": span.kind as u8,
        "startTimeUnixNano": span.start.to_string(),
        "endTimeUnixNano": span.end.to_string(),
        "attributes": attributes.collect::<Vec<Json>>(),
    });
    if let Json::Object(fields) = &mut json {
        if let Some(parent) = span.parent {
            fields.insert("parentSpanId".to_owned(), format!("{parent:016x}").into());
        }
        if let Some(error) = &span.error {
            fields.insert("status".to_owned(), json!({"code": STATUS_ERROR, "message": error}));
        }
    }
    json
}

fn attribute(name: &str, value: &Value) -> Json {
    let value = match value {
        Value::Text(text) => json!({"stringValue": text}),
        Value::Number(number) => json!({"intValue": number.to_string()}),
    };
    json!({"key": name, "value": value})
}

/// What an answer says. `retry_after` is its header `Retry-After`, in seconds.
pub(crate) fn verdict(status: u16, retry_after: Option<&str>, body: &[u8]) -> Verdict {
    if (200..300).contains(&status) {
        // An answer that is not JSON says nothing against the spans.
        let answer: Json = serde_json::from_slice(body).unwrap_or_default();
        let partial = answer.get("partialSuccess");
        let rejected = partial.and_then(|partial| partial.get("rejectedSpans"));
        // A number of 64 bits is a text; some collectors write it as a number.
        let rejected = rejected.and_then(|count| count.as_u64().or_else(|| count.as_str()?.parse().ok()));
        let reason = partial.and_then(|partial| partial.get("errorMessage")?.as_str());
        return Verdict::Accepted {
            rejected: rejected.unwrap_or(0),
            reason: reason.unwrap_or_default().to_owned(),
        };
    }
    if RETRYABLE.contains(&status) {
        let after = retry_after.and_then(|seconds| seconds.trim().parse().ok());
        return Verdict::Retry {
            after: after.map(Duration::from_secs),
        };
    }
    Verdict::Refused
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::span::tests::{called, spans};

    #[test]
    fn spans_have_the_json_form_of_otlp() {
        let spans = spans(&[called("webhook", "trapped", "unreachable")]);
        let resource = Resource {
            instance: "node@1".to_owned(),
            version: "1.2.3",
        };
        let body = body(&resource, &spans);
        let resource = body.pointer("/resourceSpans/0/resource/attributes").unwrap();
        assert_eq!(
            resource[0],
            json!({"key": "service.name", "value": {"stringValue": "hookhost"}})
        );
        assert_eq!(resource[1]["value"]["stringValue"], "node@1");
        let spans = body.pointer("/resourceSpans/0/scopeSpans/0/spans").unwrap();
        let (event, call) = (&spans[0], &spans[1]);
        assert_eq!(event["traceId"], "0000000000000000000000004bf92f35");
        assert_eq!(event["parentSpanId"], "0000000000000007");
        assert_eq!(call["parentSpanId"], event["spanId"]);
        assert_eq!((&event["kind"], &call["kind"]), (&json!(2), &json!(1)));
        assert_eq!(event["startTimeUnixNano"], "2000000");
        assert_eq!(event.get("status"), None);
        assert_eq!(call["status"], json!({"code": 2, "message": "unreachable"}));
        let events = json!({"key": "hookhost.call.events", "value": {"intValue": "3"}});
        assert!(call["attributes"].as_array().unwrap().contains(&events), "{call:#}");
    }

    #[test]
    fn a_span_of_a_trace_of_the_host_has_no_parent() {
        let mut spans = spans(&[called("webhook", "answered", "")]);
        spans[0].parent = None;
        assert_eq!(span(&spans[0]).get("parentSpanId"), None);
    }

    #[test]
    fn answers_are_understood() {
        let accepted = |rejected, reason: &str| Verdict::Accepted {
            rejected,
            reason: reason.to_owned(),
        };
        let retry = |after: Option<u64>| Verdict::Retry {
            after: after.map(Duration::from_secs),
        };
        for (status, retry_after, body, expected) in [
            (200, None, "{}", accepted(0, "")),
            (200, None, "", accepted(0, "")),
            (202, None, "\u{1}", accepted(0, "")),
            (
                200,
                None,
                r#"{"partialSuccess":{"rejectedSpans":"2","errorMessage":"too old"}}"#,
                accepted(2, "too old"),
            ),
            (200, None, r#"{"partialSuccess":{"rejectedSpans":2}}"#, accepted(2, "")),
            (429, Some("3"), "", retry(Some(3))),
            (503, Some("Wed, 21 Oct 2026 07:28:00 GMT"), "", retry(None)),
            (502, None, "", retry(None)),
            (504, None, "", retry(None)),
            (400, None, "", Verdict::Refused),
            (404, None, "", Verdict::Refused),
            (500, None, "", Verdict::Refused),
            (301, None, "", Verdict::Refused),
        ] {
            assert_eq!(
                verdict(status, retry_after, body.as_bytes()),
                expected,
                "{status} {body}"
            );
        }
    }
}
