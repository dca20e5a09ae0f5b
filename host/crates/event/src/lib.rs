//! The event model: what happens in a broker, independent of the broker.
//!
//! A broker engine builds an [`Event`] when a module is interested; it is shared by `Arc` and never changed. The types are
//! the records of `wit/hook.wit`, one to one. Text is [`ByteString`] and payloads are [`Bytes`], because engines have
//! both already and a clone costs one reference count. [`json`] is their text form. Nothing here does I/O, reads a clock
//! or depends on an engine, a module or HTTP.

mod client;
mod detail;
mod filter;
pub mod json;
mod message;
mod subscription;
mod vocabulary;

use serde::{Deserialize, Serialize};

pub use bytes::Bytes;
pub use bytestring::ByteString;

pub use client::{
    Authentication, Authorization, Certificate, Client, Connack, Connection, Disconnection, End, Node, Session,
    Termination,
};
pub use detail::{Detail, Hook, OtherEvent};
pub use filter::{FilterError, FilterTree, SharedFilter, TopicFilter};
pub use message::{Acknowledgement, Delivery, DeliveryDrop, DeliveryLoss, Message, MessageDrop, Properties};
pub use subscription::{Subscription, Unsubscription};
pub use vocabulary::{Access, DropReason, EndReason, Origin, Property, Transport};

/// Names and values, in the order given.
pub type Pairs = Vec<(ByteString, ByteString)>;

/// The [extras](Event::extras) of an event about the end of a session, which describe its last connection: whether it had
/// `clean_start`, and whether it ended `by_disconnect`.
pub fn last_connection(clean_start: bool, by_disconnect: bool) -> Pairs {
    let text = |yes| ByteString::from_static(if yes { "true" } else { "false" });
    vec![
        ("clean_start".into(), text(clean_start)),
        ("by_disconnect".into(), text(by_disconnect)),
    ]
}

/// The [extras](Event::extras) of the events of a CONNECT without client id: the broker has assigned the client's id.
pub fn assigned_client_id() -> Pairs {
    vec![("client_id_assigned".into(), "true".into())]
}

/// The [extras](Event::extras) of a decision that the same connection got for the same operation a short time before.
pub fn repeated_decision() -> Pairs {
    vec![("repeated".into(), "true".into())]
}

/// Milliseconds since 1970-01-01T00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Millis(pub u64);

/// A 128-bit identifier, written as 32 upper-case hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Id(pub u128);

impl Id {
    /// The 32 hex digits.
    pub fn hex(self) -> [u8; 32] {
        const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
        let mut out = [0; 32];
        for (place, digit) in out.iter_mut().rev().enumerate() {
            #[expect(clippy::indexing_slicing, reason = "four bits are less than the 16 digits")]
            let value = DIGITS[(self.0 >> (4 * place)) as usize & 15];
            *digit = value;
        }
        out
    }
}

impl std::fmt::Display for Id {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(std::str::from_utf8(&self.hex()).map_err(|_| std::fmt::Error)?)
    }
}

impl From<Id> for String {
    fn from(id: Id) -> String {
        id.to_string()
    }
}

/// Reads 1 to 32 hex digits of either case.
impl TryFrom<String> for Id {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Id, &'static str> {
        let is_hex = text.len() <= 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let id = is_hex.then(|| u128::from_str_radix(&text, 16).ok()).flatten();
        id.map(Id).ok_or("must be 1 to 32 hex digits")
    }
}

/// Something that happened in the broker.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Unique among the events of a host.
    pub id: Id,
    /// When it happened.
    pub at: Millis,
    /// Minutes that the host's local time was ahead of UTC at that moment.
    pub utc_offset: i16,
    /// What happened.
    pub detail: Detail,
    /// Names and values beyond the contract.
    pub extras: Pairs,
}
