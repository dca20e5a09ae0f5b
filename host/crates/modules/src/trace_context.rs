//! The trace of an event: the user properties `traceparent` and `tracestate` of its message, or a trace of the host's own.
//! They become headers of the HTTP requests that the event causes. Pure.
//!
//! A request is a span of its own, so it gets an id of its own; the trace and the sampled flag stay.
//! Source: <https://www.w3.org/TR/trace-context/>.

use hookhost_activity::trace_parent::{SAMPLED, request_span};
use hookhost_activity::{CallSpan, SampleRatio, TraceParent};
use hookhost_contract::Request;
use hookhost_event::{Event, Message};

/// The name of the property and of the header.
const TRACEPARENT: &str = "traceparent";
const TRACESTATE: &str = "tracestate";
/// Longest `tracestate` that is passed on, in bytes: what the standard asks for at least.
const MAX_TRACESTATE_BYTES: usize = 512;

/// The trace of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TraceContext {
    trace_id: u128,
    /// The span of the client; `None` if the host begins the trace.
    parent: Option<u64>,
    flags: u8,
    state: Option<String>,
}

impl TraceContext {
    /// The trace that the message of an event belongs to. If the message has no valid `traceparent`, or several, or if the
    /// event has no message: a trace that `sampling` lets the event begin.
    pub(super) fn of(event: &Event, sampling: Option<SampleRatio>) -> Option<TraceContext> {
        Self::of_message(event).or_else(|| {
            Some(TraceContext {
                trace_id: sampling?.own_trace(event.id)?,
                parent: None,
                flags: SAMPLED,
                state: None,
            })
        })
    }

    fn of_message(event: &Event) -> Option<TraceContext> {
        let message = event.detail.message()?;
        let parents = values(message, TRACEPARENT);
        let [parent] = *parents else { return None };
        let parent = TraceParent::parse(parent)?;
        let state = values(message, TRACESTATE).join(",");
        Some(TraceContext {
            trace_id: parent.trace_id,
            parent: Some(parent.span_id),
            flags: parent.flags,
            state: Some(state).filter(|state| is_state(state)),
        })
    }

    /// What the span of a call that ended at this time, in nanoseconds since 1970, needs; `None` if the trace is not sampled.
    pub(super) fn call_span(&self, ended: u64) -> Option<CallSpan> {
        (self.flags & SAMPLED != 0).then_some(CallSpan {
            trace_id: self.trace_id,
            parent: self.parent,
            ended,
        })
    }

    /// Adds the headers to a request, the `place`th that the call with the span `call` returned for its event. Headers that
    /// it has already win.
    ///
    /// Only requests over HTTP get them, and none that goes out in a batch: a batch belongs to several traces. Returns the
    /// span of a request without them, if the trace is sampled.
    pub(super) fn add_to(&self, request: &mut Request, call: u64, place: usize) -> Option<TraceParent> {
        let is_batched = request.options.iter().any(|(name, _)| name == "batch");
        let is_http = request.destination.is_some() || request.url.starts_with("http");
        let span = TraceParent {
            trace_id: self.trace_id,
            span_id: request_span(call, place),
            flags: self.flags,
        };
        if is_batched || !is_http {
            return Some(span).filter(|span| span.is_sampled());
        }
        let headers = &mut request.headers;
        let has = |headers: &[(String, String)], wanted: &str| {
            headers.iter().any(|(name, _)| name.eq_ignore_ascii_case(wanted))
        };
        if has(headers, TRACEPARENT) {
            return None;
        }
        headers.push((TRACEPARENT.to_owned(), span.to_string()));
        if let Some(state) = self.state.as_ref().filter(|_| !has(headers, TRACESTATE)) {
            headers.push((TRACESTATE.to_owned(), state.clone()));
        }
        None
    }
}

/// The values of a user property, in order.
fn values<'m>(message: &'m Message, wanted: &str) -> Vec<&'m str> {
    let user = message.properties.iter().flat_map(|properties| &properties.user);
    user.filter(|(name, _)| **name == *wanted)
        .map(|(_, value)| &**value)
        .collect()
}

fn is_state(state: &str) -> bool {
    let length = 1..=MAX_TRACESTATE_BYTES;
    length.contains(&state.len()) && state.contains('=') && state.bytes().all(|byte| matches!(byte, b' '..=b'~'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hookhost_contract::Method;
    use hookhost_event::{Id, json};
    use serde_json::json;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    const ALL: Option<SampleRatio> = Some(SampleRatio::ALL);

    fn event(user: &[(&str, &str)]) -> Event {
        let message = json!({"topic": "t", "properties": {"user": user}});
        let text = json!({"hook": "message-publish", "message": message}).to_string();
        json::read(&text, Id(7)).unwrap()
    }

    fn headers(user: &[(&str, &str)], own: &[(&str, &str)], place: usize) -> Vec<(String, String)> {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let mut request = request("http://h/");
        request.headers = own.iter().map(owned).collect();
        let event = event(user);
        if let Some(trace) = TraceContext::of(&event, None) {
            trace.add_to(&mut request, 1 << 24, place);
        }
        request.headers
    }

    fn request(url: &str) -> Request {
        Request {
            method: Method::Post,
            url: url.to_owned(),
            headers: vec![],
            body: Default::default(),
            ordering_key: None,
            destination: None,
            options: vec![],
        }
    }

    #[test]
    fn files_and_batches_get_no_headers_but_a_span() {
        let event = event(&[("traceparent", PARENT)]);
        let trace = TraceContext::of(&event, ALL).unwrap();
        let batch = Request {
            options: vec![("batch".to_owned(), "{}".to_owned())],
            ..request("http://h/")
        };
        for mut request in [batch, request("file:/tmp/x"), request("mqtt:t"), request("stdout:")] {
            let span = trace.add_to(&mut request, 1 << 24, 0).unwrap();
            assert_eq!(request.headers, [], "{}", request.url);
            assert_eq!(span.span_id, request_span(1 << 24, 0));
        }
    }

    #[test]
    fn a_request_is_a_span_of_the_trace_of_its_message() {
        let one = headers(
            &[("traceparent", PARENT), ("tracestate", "a=1"), ("tracestate", "b=2")],
            &[],
            0,
        );
        let [(name, value), (state_name, state)] = &*one else {
            panic!("{one:?}")
        };
        assert_eq!(
            (name.as_str(), state_name.as_str(), state.as_str()),
            ("traceparent", "tracestate", "a=1,b=2")
        );
        let (head, tail) = (&value[..36], &value[52..]);
        assert_eq!((head, tail), ("00-4bf92f3577b34da6a3ce929d0e0e4736-", "-01"));
        assert_eq!(&value[36..52], "0000000001000001", "a span of its own");
        let again = headers(&[("traceparent", PARENT)], &[], 0);
        assert_eq!(again, one[..1], "the same request, the same span");
        assert_ne!(headers(&[("traceparent", PARENT)], &[], 1), again);
    }

    #[test]
    fn the_sampled_flag_stays() {
        for (given, expected, is_exported) in [("-00", "-00", false), ("-01", "-01", true), ("-ff", "-03", true)] {
            let parent = PARENT.replace("-01", given);
            let user = [("traceparent", parent.as_str())];
            assert!(headers(&user, &[], 0)[0].1.ends_with(expected), "{given}");
            let span = TraceContext::of(&event(&user), ALL).unwrap().call_span(5);
            let expected = CallSpan {
                trace_id: 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736,
                parent: Some(0x00f0_67aa_0ba9_02b7),
                ended: 5,
            };
            assert_eq!(span, is_exported.then_some(expected), "{given}");
        }
    }

    #[test]
    fn invalid_properties_are_ignored() {
        for parent in ["", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\nx: y"] {
            let user = [("traceparent", parent), ("tracestate", "a=1")];
            assert_eq!(headers(&user, &[], 0), [], "{parent}");
        }
        assert_eq!(headers(&[("traceparent", PARENT), ("traceparent", PARENT)], &[], 0), []);
        assert_eq!(headers(&[("Traceparent", PARENT)], &[], 0), []);
        assert_eq!(headers(&[], &[], 0), []);
        for state in ["", "x", "a=\u{7}", "a=é", &"a=".repeat(257)] {
            let headers = headers(&[("traceparent", PARENT), ("tracestate", state)], &[], 0);
            assert_eq!(headers.len(), 1, "{state:?}");
        }
    }

    #[test]
    fn an_event_without_a_trace_begins_one_if_it_is_sampled() {
        for user in [&[][..], &[("traceparent", "00-x")], &[("traceparent", PARENT); 2]] {
            let event = event(user);
            assert_eq!(TraceContext::of(&event, Some(SampleRatio::new(0.0))), None);
            let trace = TraceContext::of(&event, ALL).unwrap();
            assert_eq!(trace.call_span(5).unwrap().parent, None);
            let mut request = request("http://h/");
            trace.add_to(&mut request, 1 << 24, 0);
            let header = TraceParent::parse(&request.headers[0].1).unwrap();
            assert!(header.is_sampled() && header.trace_id == trace.trace_id, "{header}");
        }
    }

    #[test]
    fn headers_of_the_module_win() {
        let own = [("TraceParent", "mine")];
        let user = [("traceparent", PARENT), ("tracestate", "a=1")];
        assert_eq!(headers(&user, &own, 0), [("TraceParent".to_owned(), "mine".to_owned())]);
        let state = headers(&user, &[("tracestate", "m=1")], 0);
        assert_eq!(state.len(), 2, "{state:?}");
        assert_eq!(state[0].1, "m=1");
    }
}
