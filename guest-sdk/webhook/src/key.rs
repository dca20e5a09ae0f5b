//! The keys of rules: one for each kind of event.
//!
//! The meaning of a key depends on the [`Format`](crate::Format) where brokers differ.

use hookhost_guest::event::Hook;

/// The kind of event that a rule is for: the `KEY` of `rule.KEY`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RuleKey {
    /// The broker has read a CONNECT packet.
    ClientConnect,
    /// The broker is about to send CONNACK.
    ClientConnack,
    /// The broker has accepted a connection.
    ClientConnected,
    /// A connection has ended.
    ClientDisconnected,
    /// A client asked for a topic filter in SUBSCRIBE.
    ClientSubscribe,
    /// A client asked to remove a topic filter in UNSUBSCRIBE.
    ClientUnsubscribe,
    /// The broker has created a session.
    SessionCreated,
    /// A session has ended.
    SessionTerminated,
    /// A subscription is active.
    SessionSubscribed,
    /// A subscription was removed by UNSUBSCRIBE.
    SessionUnsubscribed,
    /// The broker has accepted a message.
    MessagePublish,
    /// The broker is about to send a message to a receiver.
    MessageDelivered,
    /// A receiver has acknowledged a message.
    MessageAcked,
    /// A message was dropped. Which drops these are depends on the format.
    MessageDropped,
    /// A message was stored for a receiver that is offline.
    OfflineMessage,
    /// Authentication has accepted or refused a client.
    ClientAuthenticated,
    /// Authorization has allowed or denied a publish or a topic filter.
    ClientAuthorized,
    /// A connection has resumed its existing session.
    SessionResumed,
    /// A session was discarded because of a clean start.
    SessionDiscarded,
    /// A session has moved to another connection.
    SessionTakenOver,
    /// The broker has refused a message.
    MessageRefused,
    /// A message was dropped for one receiver.
    DeliveryDropped,
    /// Messages for one receiver were lost before they were read.
    DeliveryLost,
    /// An event of kind [`Hook::Other`]. The `topics` of its rules are names of events.
    Other,
}

impl RuleKey {
    /// All keys.
    pub const ALL: [RuleKey; 24] = [
        RuleKey::ClientConnect,
        RuleKey::ClientConnack,
        RuleKey::ClientConnected,
        RuleKey::ClientDisconnected,
        RuleKey::ClientSubscribe,
        RuleKey::ClientUnsubscribe,
        RuleKey::SessionCreated,
        RuleKey::SessionTerminated,
        RuleKey::SessionSubscribed,
        RuleKey::SessionUnsubscribed,
        RuleKey::MessagePublish,
        RuleKey::MessageDelivered,
        RuleKey::MessageAcked,
        RuleKey::MessageDropped,
        RuleKey::OfflineMessage,
        RuleKey::ClientAuthenticated,
        RuleKey::ClientAuthorized,
        RuleKey::SessionResumed,
        RuleKey::SessionDiscarded,
        RuleKey::SessionTakenOver,
        RuleKey::MessageRefused,
        RuleKey::DeliveryDropped,
        RuleKey::DeliveryLost,
        RuleKey::Other,
    ];

    /// The name in a configuration.
    pub fn name(self) -> &'static str {
        match self {
            RuleKey::ClientConnect => "client_connect",
            RuleKey::ClientConnack => "client_connack",
            RuleKey::ClientConnected => "client_connected",
            RuleKey::ClientDisconnected => "client_disconnected",
            RuleKey::ClientSubscribe => "client_subscribe",
            RuleKey::ClientUnsubscribe => "client_unsubscribe",
            RuleKey::SessionCreated => "session_created",
            RuleKey::SessionTerminated => "session_terminated",
            RuleKey::SessionSubscribed => "session_subscribed",
            RuleKey::SessionUnsubscribed => "session_unsubscribed",
            RuleKey::MessagePublish => "message_publish",
            RuleKey::MessageDelivered => "message_delivered",
            RuleKey::MessageAcked => "message_acked",
            RuleKey::MessageDropped => "message_dropped",
            RuleKey::OfflineMessage => "offline_message",
            RuleKey::ClientAuthenticated => "client_authenticated",
            RuleKey::ClientAuthorized => "client_authorized",
            RuleKey::SessionResumed => "session_resumed",
            RuleKey::SessionDiscarded => "session_discarded",
            RuleKey::SessionTakenOver => "session_taken_over",
            RuleKey::MessageRefused => "message_refused",
            RuleKey::DeliveryDropped => "delivery_dropped",
            RuleKey::DeliveryLost => "delivery_lost",
            RuleKey::Other => "other",
        }
    }

    /// The key with this name in a configuration.
    pub fn from_name(name: &str) -> Option<RuleKey> {
        RuleKey::ALL.into_iter().find(|key| key.name() == name)
    }

    /// The hook with the same meaning, as a list of one.
    pub fn hook(self) -> &'static [Hook; 1] {
        match self {
            RuleKey::ClientConnect => &[Hook::ClientConnect],
            RuleKey::ClientConnack => &[Hook::ClientConnack],
            RuleKey::ClientConnected => &[Hook::ClientConnected],
            RuleKey::ClientDisconnected => &[Hook::ClientDisconnected],
            RuleKey::ClientSubscribe => &[Hook::ClientSubscribe],
            RuleKey::ClientUnsubscribe => &[Hook::ClientUnsubscribe],
            RuleKey::SessionCreated => &[Hook::SessionCreated],
            RuleKey::SessionTerminated => &[Hook::SessionTerminated],
            RuleKey::SessionSubscribed => &[Hook::SessionSubscribed],
            RuleKey::SessionUnsubscribed => &[Hook::SessionUnsubscribed],
            RuleKey::MessagePublish => &[Hook::MessagePublish],
            RuleKey::MessageDelivered => &[Hook::MessageDelivered],
            RuleKey::MessageAcked => &[Hook::MessageAcked],
            RuleKey::MessageDropped => &[Hook::MessageDropped],
            RuleKey::OfflineMessage => &[Hook::MessageQueued],
            RuleKey::ClientAuthenticated => &[Hook::ClientAuthenticated],
            RuleKey::ClientAuthorized => &[Hook::ClientAuthorized],
            RuleKey::SessionResumed => &[Hook::SessionResumed],
            RuleKey::SessionDiscarded => &[Hook::SessionDiscarded],
            RuleKey::SessionTakenOver => &[Hook::SessionTakenOver],
            RuleKey::MessageRefused => &[Hook::MessageRefused],
            RuleKey::DeliveryDropped => &[Hook::DeliveryDropped],
            RuleKey::DeliveryLost => &[Hook::DeliveryLost],
            RuleKey::Other => &[Hook::Other],
        }
    }

    /// The keys whose rules may be for events of this kind, in the order of their requests. The format of each rule decides,
    /// see [`Format::reports`](crate::Format::reports).
    pub(super) fn of(hook: Hook) -> &'static [RuleKey] {
        match hook {
            Hook::ClientConnect => &[RuleKey::ClientConnect],
            Hook::ClientConnack => &[RuleKey::ClientConnack],
            // EMQX reports CONNACK after the connection: see `format::emqx::hooks`.
            Hook::ClientConnected => &[RuleKey::ClientConnected, RuleKey::ClientConnack],
            Hook::ClientDisconnected => &[RuleKey::ClientDisconnected],
            Hook::ClientAuthenticated => &[RuleKey::ClientAuthenticated],
            Hook::ClientAuthorized => &[RuleKey::ClientAuthorized],
            Hook::ClientSubscribe => &[RuleKey::ClientSubscribe],
            Hook::ClientUnsubscribe => &[RuleKey::ClientUnsubscribe],
            Hook::SessionCreated => &[RuleKey::SessionCreated],
            Hook::SessionResumed => &[RuleKey::SessionResumed],
            Hook::SessionSubscribed => &[RuleKey::SessionSubscribed],
            Hook::SessionUnsubscribed => &[RuleKey::SessionUnsubscribed],
            Hook::SessionDiscarded => &[RuleKey::SessionDiscarded],
            Hook::SessionTakenOver => &[RuleKey::SessionTakenOver],
            Hook::SessionTerminated => &[RuleKey::SessionTerminated],
            Hook::MessagePublish => &[RuleKey::MessagePublish],
            Hook::MessageDelivered => &[RuleKey::MessageDelivered],
            Hook::MessageAcked => &[RuleKey::MessageAcked],
            Hook::MessageDropped => &[RuleKey::MessageDropped],
            Hook::MessageRefused => &[
                RuleKey::MessagePublish,
                RuleKey::MessageDropped,
                RuleKey::MessageRefused,
            ],
            Hook::DeliveryDropped => &[RuleKey::MessageDropped, RuleKey::DeliveryDropped],
            Hook::MessageQueued => &[RuleKey::OfflineMessage],
            Hook::DeliveryLost => &[RuleKey::DeliveryLost],
            Hook::Other => &[RuleKey::Other],
        }
    }

    /// Whether events of this key have a topic, a filter or a name, so that `topics` can restrict rules.
    pub fn has_subject(self) -> bool {
        matches!(
            self,
            RuleKey::ClientAuthorized
                | RuleKey::ClientSubscribe
                | RuleKey::ClientUnsubscribe
                | RuleKey::SessionSubscribed
                | RuleKey::SessionUnsubscribed
                | RuleKey::MessagePublish
                | RuleKey::MessageDelivered
                | RuleKey::MessageAcked
                | RuleKey::MessageDropped
                | RuleKey::MessageRefused
                | RuleKey::OfflineMessage
                | RuleKey::DeliveryDropped
                | RuleKey::DeliveryLost
                | RuleKey::Other
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Format;

    #[test]
    fn all_keys_are_in_order_and_each_has_its_hook() {
        for (index, key) in RuleKey::ALL.into_iter().enumerate() {
            assert_eq!(key as usize, index);
            assert_eq!(RuleKey::from_name(key.name()), Some(key));
            let [hook] = *key.hook();
            assert!(RuleKey::of(hook).contains(&key));
        }
    }

    /// An event reaches the rules of every key whose format asks for it.
    #[test]
    fn keys_of_a_hook_are_those_that_ask_for_it() {
        for format in Format::ALL {
            for key in RuleKey::ALL {
                for hook in format.hooks(key) {
                    assert!(RuleKey::of(*hook).contains(&key), "{format:?} {key:?} {hook:?}");
                }
            }
        }
    }
}
