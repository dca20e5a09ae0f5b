//! W3C trace context: `traceparent`, and the ids of the spans of a host. Pure.
//!
//! Source: <https://www.w3.org/TR/trace-context/>. The ids of a host's own traces and spans are hashes of what they
//! identify. Each part of the host that knows an event and its module therefore knows the ids of their spans too.

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};

use hookhost_event::Id;

/// The flag of a trace that is recorded.
pub const SAMPLED: u8 = 1;
/// [`SAMPLED`], and random trace id. Other flags are not passed on.
const KNOWN_FLAGS: u8 = 3;
/// The bits of a span id that number the requests of a call.
const REQUEST_BITS: u64 = (1 << 24) - 1;

/// A `traceparent`: a trace, and a span of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceParent {
    /// The trace; not 0.
    pub trace_id: u128,
    /// The span; not 0.
    pub span_id: u64,
    /// Whether the trace is recorded, and whether its id is random.
    pub flags: u8,
}

/// The share of the events without a trace that begin one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SampleRatio(f64);

impl TraceParent {
    /// Reads the value of a property or a header. Returns `None` if it is invalid. Ignores the fields that later versions
    /// may add.
    pub fn parse(value: &str) -> Option<TraceParent> {
        let mut fields = value.split('-');
        let (version, trace_id) = (fields.next()?, fields.next()?);
        let (span_id, flags) = (fields.next()?, fields.next()?);
        let is_valid = is_hex(version, 2)
            && version != "ff"
            && is_hex(trace_id, 32)
            && is_hex(span_id, 16)
            && is_hex(flags, 2)
            && (version != "00" || fields.next().is_none());
        let parent = TraceParent {
            trace_id: u128::from_str_radix(trace_id, 16).ok().filter(|_| is_valid)?,
            span_id: u64::from_str_radix(span_id, 16).ok()?,
            flags: u8::from_str_radix(flags, 16).ok()? & KNOWN_FLAGS,
        };
        (parent.trace_id != 0 && parent.span_id != 0).then_some(parent)
    }

    /// Whether the trace is recorded.
    pub fn is_sampled(self) -> bool {
        self.flags & SAMPLED != 0
    }
}

/// The value of the header.
impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let TraceParent {
            trace_id,
            span_id,
            flags,
        } = self;
        write!(f, "00-{trace_id:032x}-{span_id:016x}-{flags:02x}")
    }
}

impl SampleRatio {
    /// Each event.
    pub const ALL: SampleRatio = SampleRatio(1.0);

    /// A share from 0 (no event) to 1 (each event). Other values count as the nearest of these.
    pub fn new(share: f64) -> SampleRatio {
        SampleRatio(share)
    }

    /// Returns the id of the trace that an event without a trace begins, if it begins one. The same event always gets the
    /// same answer.
    pub fn own_trace(self, event: Id) -> Option<u128> {
        if self.0 <= 0.0 {
            return None;
        }
        let (first, second) = (hash(&(event, "trace")), hash(&(event, "sample")));
        /// The values that a number of 53 bits has; they fit into an `f64`.
        const VALUES: f64 = (1_u64 << 53) as f64;
        let is_sampled = ((second >> 11) as f64) < self.0 * VALUES;
        is_sampled.then_some((u128::from(first) << 64 | u128::from(second)).max(1))
    }
}

/// The id of the span of an event: from its arrival until a module has handled it.
pub fn event_span(event: Id) -> u64 {
    hash(&(event, "event")).max(1)
}

/// The id of the span of the call in which a module returned an outcome for an event.
pub fn call_span(event: Id, module: &str, generation: u32) -> u64 {
    // With the highest bit it is never 0.
    (hash(&(event, module, generation)) | 1 << 63) & !REQUEST_BITS
}

/// The id of the span of a request, the `place`th that a call returned for its event. Requests after the 16 millionth have
/// the same id.
pub fn request_span(call: u64, place: usize) -> u64 {
    let number = u64::try_from(place).unwrap_or(u64::MAX).saturating_add(1);
    call | number.min(REQUEST_BITS)
}

/// Whether a span is that of a request of a call.
pub fn is_request_of(span: u64, call: u64) -> bool {
    span & !REQUEST_BITS == call && span != call
}

/// The id of a span below `parent` that is distinguished by `what`.
pub fn span_below(parent: u64, what: impl Hash) -> u64 {
    hash(&(parent, what)).max(1)
}

fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// Whether a text is this many lower-case hex digits.
fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_traceparent_is_read_and_written() {
        let parent = TraceParent::parse(PARENT).unwrap();
        assert_eq!(parent.trace_id, 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736);
        assert_eq!(parent.span_id, 0x00f0_67aa_0ba9_02b7);
        assert_eq!(parent.to_string(), PARENT);
        let later = "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what-comes";
        assert_eq!(TraceParent::parse(later), Some(parent));
    }

    #[test]
    fn unknown_flags_are_dropped() {
        for (given, expected, is_sampled) in [
            ("-00", 0, false),
            ("-01", 1, true),
            ("-03", 3, true),
            ("-ff", 3, true),
            ("-fe", 2, false),
        ] {
            let parent = TraceParent::parse(&PARENT.replace("-01", given)).unwrap();
            assert_eq!((parent.flags, parent.is_sampled()), (expected, is_sampled), "{given}");
        }
    }

    #[test]
    fn invalid_values_are_refused() {
        for value in [
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
            "00-+bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ] {
            assert_eq!(TraceParent::parse(value), None, "{value:?}");
        }
    }

    #[test]
    fn the_ratio_is_the_share_of_events_that_begin_a_trace() {
        let sampled = |ratio: f64| {
            let events = (0..10_000).map(|number| SampleRatio::new(ratio).own_trace(Id(number << 64)));
            events.flatten().count()
        };
        assert_eq!((sampled(0.0), sampled(1.0)), (0, 10_000));
        assert!((2_300..2_700).contains(&sampled(0.25)), "{}", sampled(0.25));
        // A greater share contains the events of a smaller one.
        for number in 0..1_000 {
            let [small, large] = [0.1, 0.2].map(|ratio| SampleRatio::new(ratio).own_trace(Id(number)));
            assert!(small.is_none() || small == large, "{number}");
        }
    }

    #[test]
    fn the_requests_of_a_call_are_recognised() {
        let call = call_span(Id(7), "m", 1);
        for place in [0, 1, 1_000, usize::MAX] {
            assert!(is_request_of(request_span(call, place), call), "{place}");
        }
        assert_ne!(request_span(call, 0), request_span(call, 1));
        assert!(!is_request_of(call, call));
        let others = [
            call_span(Id(8), "m", 1),
            call_span(Id(7), "n", 1),
            call_span(Id(7), "m", 2),
        ];
        for other in others {
            assert!(!is_request_of(request_span(call, 0), other));
        }
    }
}
