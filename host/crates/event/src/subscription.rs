//! Subscriptions and their ends.

use super::{ByteString, Client, Properties};

/// A subscription, asked for or in force.
#[derive(Debug, Clone, PartialEq)]
pub struct Subscription {
    /// The subscriber.
    pub client: Client,
    /// The filter, without `$share/…/`; with the mountpoint once in force.
    pub filter: ByteString,
    /// Shared group: `g` of `$share/g/…`, and `$queue` for `$queue/…`.
    pub group: Option<ByteString>,
    /// Highest QoS, as asked for and then as granted.
    pub qos: u8,
    /// Whether the client's own messages are left out.
    pub no_local: bool,
    /// Whether the retain flag is kept.
    pub retain_as_published: bool,
    /// When retained messages are sent: 0 always, 1 for a new subscription, 2 never.
    pub retain_handling: u8,
    /// Subscription identifier.
    pub id: Option<u32>,
    /// How many clients may hold this filter at a time, where the broker has such limits.
    pub limit: Option<u32>,
    /// Reason code of SUBACK for this filter; 128 and above: refused.
    pub code: u8,
    /// Whether it is new rather than a change of one in force.
    pub is_new: bool,
    /// Properties of SUBSCRIBE.
    pub properties: Option<Box<Properties>>,
}

/// The end of a subscription, asked for or done.
#[derive(Debug, Clone, PartialEq)]
pub struct Unsubscription {
    /// The subscriber.
    pub client: Client,
    /// The filter, without `$share/…/`; with the mountpoint once done.
    pub filter: ByteString,
    /// Shared group, as in [`Subscription`].
    pub group: Option<ByteString>,
    /// QoS that the subscription had; 0 if there was none.
    pub qos: u8,
    /// Reason code of UNSUBACK for this filter; 17: there was none.
    pub code: u8,
    /// Properties of UNSUBSCRIBE.
    pub properties: Option<Box<Properties>>,
}
