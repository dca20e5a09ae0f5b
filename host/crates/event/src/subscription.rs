//! Subscriptions and their ends.

use serde::{Deserialize, Serialize};

use super::json::defaults;
use super::{ByteString, Client, Properties};

/// A requested or an active subscription.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subscription {
    /// The subscriber.
    #[serde(default = "defaults::client")]
    pub client: Client,
    /// The filter, without `$share/…/`; with the mountpoint once it is active.
    pub filter: ByteString,
    /// Shared group: `g` of `$share/g/…`, and `$queue` for `$queue/…`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<ByteString>,
    /// Highest QoS, as asked for and then as granted.
    #[serde(default)]
    pub qos: u8,
    /// Whether the client does not get its own messages.
    #[serde(default)]
    pub no_local: bool,
    /// Whether messages keep the retain flag with which they were published.
    #[serde(default)]
    pub retain_as_published: bool,
    /// When retained messages are sent: 0 always, 1 for a new subscription, 2 never.
    #[serde(default)]
    pub retain_handling: u8,
    /// Subscription identifier.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<u32>,
    /// How many clients may hold this filter at a time, where the broker has such limits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// Reason code of SUBACK for this filter; 128 and above: refused.
    #[serde(default)]
    pub code: u8,
    /// Whether it is new; false if it replaces an active one.
    #[serde(default = "defaults::yes")]
    pub is_new: bool,
    /// Properties of SUBSCRIBE.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub properties: Option<Box<Properties>>,
}

/// The end of a subscription, asked for or done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unsubscription {
    /// The subscriber.
    #[serde(default = "defaults::client")]
    pub client: Client,
    /// The filter, without `$share/…/`; with the mountpoint once done.
    pub filter: ByteString,
    /// Shared group, as in [`Subscription`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<ByteString>,
    /// QoS of the subscription; 0 if there was no subscription.
    #[serde(default)]
    pub qos: u8,
    /// Reason code of UNSUBACK for this filter; 17: there was no subscription.
    #[serde(default)]
    pub code: u8,
    /// Properties of UNSUBSCRIBE.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub properties: Option<Box<Properties>>,
}
