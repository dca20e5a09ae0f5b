//! The bytes of a request on disk.
//!
//! A record begins with the version of its form. Numbers are little-endian; a text or body is its length in bytes (four
//! bytes) and its content. The store adds a checksum. The receivers of a request are not part of it: they contain
//! secrets. After a restart a request uses the receivers of the new configuration.
//!
//! Version 1 had no summary of the event. It is still read.

use std::time::{Duration, SystemTime};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use hookhost_activity::TraceParent;

use super::destination::DestinationSelector;
use super::request::{EventSummary, OutboxRequest, Reach};
use hookhost_contract::Method;
use hookhost_event::ByteString;

/// The form of a record.
const VERSION: u8 = 2;

/// The form without a summary of the event.
const VERSION_WITHOUT_EVENT: u8 = 1;

/// The bit of the byte of [`DestinationSelector`] that is set if a [`Batching`](super::Batching) follows the body, as text.
const HAS_BATCHING: u8 = 0x80;

/// The bit of the same byte that is set if a span follows after that: a `traceparent`, as text.
const HAS_SPAN: u8 = 0x40;

/// A record that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum RecordError {
    /// A later version of hookhost wrote it.
    #[error("the record has the unknown version {0}")]
    Version(u8),
    /// It ends too early, or a part of it is invalid.
    #[error("the record is damaged")]
    Damaged,
}

/// Methods and their numbers in a record.
const METHODS: [(Method, u8); 5] = [
    (Method::Get, 1),
    (Method::Post, 2),
    (Method::Put, 3),
    (Method::Patch, 4),
    (Method::Delete, 5),
];

/// Returns the record of a request.
pub(super) fn encode(request: &OutboxRequest) -> Bytes {
    let mut record = BytesMut::with_capacity(request.size());
    put_request(&mut record, request);
    record.freeze()
}

/// Reads a record.
///
/// # Errors
///
/// [`RecordError`] if it has another version or is damaged.
pub(super) fn decode(record: Bytes) -> Result<OutboxRequest, RecordError> {
    let mut reader = Reader(record);
    let request = reader.request()?;
    reader.end().map(|()| request)
}

/// Appends a request.
pub(super) fn put_request(record: &mut BytesMut, request: &OutboxRequest) {
    record.put_u8(VERSION);
    let method = METHODS.iter().find(|(method, _)| *method == request.method);
    record.put_u8(method.map_or(0, |(_, number)| *number));
    let reach = match request.reach {
        Reach::Anywhere => 0,
        Reach::Public => 1,
    };
    // The other seven bits. More are too many in any case.
    record.put_u8(reach | request.republishes.min(0x7f) << 1);
    let (via, name) = match &request.via {
        DestinationSelector::Url => (0, ""),
        DestinationSelector::Named(name) => (1, &**name),
        DestinationSelector::Nothing => (2, ""),
    };
    let has_batching = if request.batching.is_some() { HAS_BATCHING } else { 0 };
    let has_span = if request.span.is_some() { HAS_SPAN } else { 0 };
    record.put_u8(via | has_batching | has_span);
    record.put_u32_le(request.generation);
    record.put_u64_le(request.expires.map_or(0, millis));
    let event = &request.event;
    record.put_u64_le(event.at);
    for text in [&event.hook, &event.client, &event.topic] {
        put_bytes(record, text.as_bytes());
    }
    for text in [&request.id, &*request.source, &request.url, name, &request.ordering_key] {
        put_bytes(record, text.as_bytes());
    }
    record.put_u32_le(length(request.headers.len()));
    for (name, value) in &request.headers {
        put_bytes(record, name.as_bytes());
        put_bytes(record, value.as_bytes());
    }
    put_bytes(record, &request.body);
    if let Some(batching) = &request.batching {
        put_bytes(record, batching.to_string().as_bytes());
    }
    if let Some(span) = &request.span {
        put_bytes(record, span.to_string().as_bytes());
    }
}

/// Appends a text or body.
pub(super) fn put_bytes(record: &mut BytesMut, bytes: &[u8]) {
    record.put_u32_le(length(bytes.len()));
    record.put_slice(bytes);
}

/// Lengths fit into 32 bits: the largest outcome of a module is 1 GiB.
pub(super) fn length(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

/// Milliseconds since 1970, at least 1.
pub(super) fn millis(at: SystemTime) -> u64 {
    let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX).max(1)
}

/// Reads the parts of a record in order.
pub(super) struct Reader(pub(super) Bytes);

impl Reader {
    pub(super) fn request(&mut self) -> Result<OutboxRequest, RecordError> {
        let has_event = match self.u8()? {
            VERSION => true,
            VERSION_WITHOUT_EVENT => false,
            version => return Err(RecordError::Version(version)),
        };
        let method = self.u8()?;
        let method = METHODS.iter().find(|(_, number)| *number == method);
        let byte = self.u8()?;
        let (reach, republishes) = match byte & 1 {
            0 => (Reach::Anywhere, byte >> 1),
            _ => (Reach::Public, byte >> 1),
        };
        let via = self.u8()?;
        let (has_batching, has_span) = (via & HAS_BATCHING != 0, via & HAS_SPAN != 0);
        let via = via & !(HAS_BATCHING | HAS_SPAN);
        let (generation, expires) = (self.u32()?, self.u64()?);
        let event = if has_event {
            EventSummary {
                at: self.u64()?,
                hook: self.byte_string()?,
                client: self.byte_string()?,
                topic: self.byte_string()?,
            }
        } else {
            EventSummary::default()
        };
        let (id, source, url, name, ordering_key) =
            (self.text()?, self.text()?, self.text()?, self.text()?, self.text()?);
        let headers = (0..self.u32()?).map(|_| Ok((self.text()?, self.text()?)));
        let headers = headers.collect::<Result<_, _>>()?;
        Ok(OutboxRequest {
            id,
            event,
            source: source.into(),
            generation,
            method: method.map(|(method, _)| *method).ok_or(RecordError::Damaged)?,
            url,
            receivers: None,
            via: match via {
                0 => DestinationSelector::Url,
                1 => DestinationSelector::Named(name.into()),
                2 => DestinationSelector::Nothing,
                _ => return Err(RecordError::Damaged),
            },
            reach,
            headers,
            body: self.bytes()?,
            batching: match has_batching {
                true => Some(self.text()?.parse().map_err(|_| RecordError::Damaged)?),
                false => None,
            },
            span: match has_span {
                true => Some(Box::new(TraceParent::parse(&self.text()?).ok_or(RecordError::Damaged)?)),
                false => None,
            },
            ordering_key,
            expires: self.time(expires)?,
            republishes,
            ticket: None,
        })
    }

    /// Returns the time of `millis` milliseconds since 1970; 0 is no time.
    pub(super) fn time(&self, millis: u64) -> Result<Option<SystemTime>, RecordError> {
        let at = SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(millis));
        let at = at.ok_or(RecordError::Damaged)?;
        Ok((millis != 0).then_some(at))
    }

    pub(super) fn u8(&mut self) -> Result<u8, RecordError> {
        self.0.try_get_u8().map_err(|_| RecordError::Damaged)
    }

    pub(super) fn u16(&mut self) -> Result<u16, RecordError> {
        self.0.try_get_u16_le().map_err(|_| RecordError::Damaged)
    }

    pub(super) fn u32(&mut self) -> Result<u32, RecordError> {
        self.0.try_get_u32_le().map_err(|_| RecordError::Damaged)
    }

    pub(super) fn u64(&mut self) -> Result<u64, RecordError> {
        self.0.try_get_u64_le().map_err(|_| RecordError::Damaged)
    }

    pub(super) fn bytes(&mut self) -> Result<Bytes, RecordError> {
        let length = usize::try_from(self.u32()?).map_err(|_| RecordError::Damaged)?;
        if length > self.0.len() {
            return Err(RecordError::Damaged);
        }
        Ok(self.0.split_to(length))
    }

    pub(super) fn text(&mut self) -> Result<String, RecordError> {
        let length = usize::try_from(self.u32()?).map_err(|_| RecordError::Damaged)?;
        let bytes = self.0.get(..length).ok_or(RecordError::Damaged)?;
        let text = std::str::from_utf8(bytes).map_err(|_| RecordError::Damaged)?;
        let text = text.to_owned();
        self.0.advance(length);
        Ok(text)
    }

    fn byte_string(&mut self) -> Result<ByteString, RecordError> {
        ByteString::try_from(self.bytes()?).map_err(|_| RecordError::Damaged)
    }

    /// Checks that nothing is left.
    pub(super) fn end(&self) -> Result<(), RecordError> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(RecordError::Damaged)
        }
    }
}

#[cfg(test)]
#[path = "record_tests.rs"]
pub(super) mod tests;
