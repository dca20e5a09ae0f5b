//! W3C trace context: the user properties `traceparent` and `tracestate` of a published message become headers of the
//! HTTP requests that the message causes. Pure.
//!
//! A request is a span of its own, so it gets an id of its own; the trace and the sampled flag stay. The id is made of the
//! event, the module and the place of the request among those of the event: the same request always has the same one.
//! Source: <https://www.w3.org/TR/trace-context/>.

use std::hash::{DefaultHasher, Hash, Hasher};

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
    trace_id: String,
    flags: u8,
    state: Option<String>,
}

impl TraceContext {
    /// The trace that the message of an event belongs to. `None` without a message, without the property, or if the
    /// property is invalid or repeated.
    pub(super) fn of(event: &Event) -> Option<TraceContext> {
        let message = event.detail.message()?;
        let parents = values(message, TRACEPARENT);
        let [parent] = *parents else { return None };
        let (trace_id, flags) = parse(parent)?;
        let state = values(message, TRACESTATE).join(",");
        Some(TraceContext {
            trace_id: trace_id.to_owned(),
            flags,
            state: Some(state).filter(|state| is_state(state)),
        })
    }

    /// Adds the headers to a request, the `place`th of its event. Headers that it has already win.
    ///
    /// Only requests over HTTP get them, and none that goes out in a batch: a batch belongs to several traces.
    pub(super) fn add_to(&self, request: &mut Request, event: &Event, module: &str, place: usize) {
        let is_batched = request.options.iter().any(|(name, _)| name == "batch");
        let is_http = request.destination.is_some() || request.url.starts_with("http");
        if is_batched || !is_http {
            return;
        }
        let headers = &mut request.headers;
        let has = |headers: &[(String, String)], wanted: &str| {
            headers.iter().any(|(name, _)| name.eq_ignore_ascii_case(wanted))
        };
        if has(headers, TRACEPARENT) {
            return;
        }
        let TraceContext { trace_id, flags, state } = self;
        let span = span_id(event, module, place);
        headers.push((TRACEPARENT.to_owned(), format!("00-{trace_id}-{span:016x}-{flags:02x}")));
        if let Some(state) = state.as_ref().filter(|_| !has(headers, TRACESTATE)) {
            headers.push((TRACESTATE.to_owned(), state.clone()));
        }
    }
}

/// The values of a user property, in order.
fn values<'m>(message: &'m Message, wanted: &str) -> Vec<&'m str> {
    let user = message.properties.iter().flat_map(|properties| &properties.user);
    user.filter(|(name, _)| **name == *wanted)
        .map(|(_, value)| &**value)
        .collect()
}

/// The id of the trace and the known flags of a `traceparent`.
fn parse(value: &str) -> Option<(&str, u8)> {
    let mut fields = value.split('-');
    let (version, trace_id) = (fields.next()?, fields.next()?);
    let (parent_id, flags) = (fields.next()?, fields.next()?);
    let is_known = version == "00";
    let is_valid = is_hex(version, 2)
        && version != "ff"
        && is_hex(trace_id, 32)
        && is_hex(parent_id, 16)
        && is_hex(flags, 2)
        && [trace_id, parent_id].iter().all(|id| id.bytes().any(|digit| digit != b'0'))
        // Later versions may have more fields.
        && (!is_known || fields.next().is_none());
    /// Sampled, and random trace id.
    const KNOWN_FLAGS: u8 = 3;
    let flags = u8::from_str_radix(flags, 16).ok().filter(|_| is_valid)?;
    Some((trace_id, flags & KNOWN_FLAGS))
}

/// Whether a text is this many lower-case hex digits.
fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn is_state(state: &str) -> bool {
    let length = 1..=MAX_TRACESTATE_BYTES;
    length.contains(&state.len()) && state.contains('=') && state.bytes().all(|byte| matches!(byte, b' '..=b'~'))
}

/// Never 0, which is not an id.
fn span_id(event: &Event, module: &str, place: usize) -> u64 {
    let mut hasher = DefaultHasher::new();
    (event.id, module, place).hash(&mut hasher);
    hasher.finish().max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hookhost_contract::Method;
    use hookhost_event::{Id, json};
    use serde_json::json;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

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
        if let Some(trace) = TraceContext::of(&event) {
            trace.add_to(&mut request, &event, "m", place);
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
    fn files_and_batches_get_no_headers() {
        let event = event(&[("traceparent", PARENT)]);
        let trace = TraceContext::of(&event).unwrap();
        let batch = Request {
            options: vec![("batch".to_owned(), "{}".to_owned())],
            ..request("http://h/")
        };
        for mut request in [batch, request("file:/tmp/x"), request("mqtt:t"), request("stdout:")] {
            trace.add_to(&mut request, &event, "m", 0);
            assert_eq!(request.headers, [], "{}", request.url);
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
        let span = &value[36..52];
        assert!(
            is_hex(span, 16) && span != "00f067aa0ba902b7" && span != "0000000000000000",
            "{value}"
        );
        let again = headers(&[("traceparent", PARENT)], &[], 0);
        assert_eq!(again, one[..1], "the same request, the same span");
        assert_ne!(headers(&[("traceparent", PARENT)], &[], 1), again);
    }

    #[test]
    fn the_sampled_flag_stays_and_unknown_flags_do_not() {
        let flags = |given: &str| {
            let parent = PARENT.replace("-01", given);
            let headers = headers(&[("traceparent", &parent)], &[], 0);
            headers[0].1[53..].to_owned()
        };
        for (given, expected) in [
            ("-00", "00"),
            ("-01", "01"),
            ("-03", "03"),
            ("-ff", "03"),
            ("-fe", "02"),
        ] {
            assert_eq!(flags(given), expected, "{given}");
        }
    }

    #[test]
    fn invalid_properties_are_ignored() {
        for parent in [
            "",
            "00",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\nx: y",
        ] {
            assert_eq!(
                headers(&[("traceparent", parent), ("tracestate", "a=1")], &[], 0),
                [],
                "{parent}"
            );
        }
        assert_eq!(headers(&[("traceparent", PARENT), ("traceparent", PARENT)], &[], 0), []);
        assert_eq!(headers(&[("Traceparent", PARENT)], &[], 0), []);
        assert_eq!(headers(&[], &[], 0), []);
        for state in ["", "x", "a=\u{7}", "a=é", &"a=".repeat(257)] {
            let headers = headers(&[("traceparent", PARENT), ("tracestate", state)], &[], 0);
            assert_eq!(headers.len(), 1, "{state:?}");
        }
        let later = "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what-comes";
        assert!(headers(&[("traceparent", later)], &[], 0)[0].1.starts_with("00-4bf92f"));
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
