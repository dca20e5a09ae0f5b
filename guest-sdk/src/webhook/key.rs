//! What rules are about, and which events those are.

use crate::event::{Detail, DropReason, Event, Hook, Origin};

/// What a rule is about: the `KEY` of `rule.KEY`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RuleKey {
    /// CONNECT was read.
    ClientConnect,
    /// CONNACK is about to be sent.
    ClientConnack,
    /// A connection was accepted.
    ClientConnected,
    /// A connection has ended.
    ClientDisconnected,
    /// A filter was asked for.
    ClientSubscribe,
    /// A filter was given back.
    ClientUnsubscribe,
    /// A session is new.
    SessionCreated,
    /// A session has ended.
    SessionTerminated,
    /// A subscription is in force.
    SessionSubscribed,
    /// A subscription was given up.
    SessionUnsubscribed,
    /// A message was published, also one that is then refused.
    MessagePublish,
    /// A message is being written to a receiver.
    MessageDelivered,
    /// A receiver has confirmed a message.
    MessageAcked,
    /// A message was refused, or dropped for one receiver.
    MessageDropped,
    /// A message was stored for a receiver that is away.
    OfflineMessage,
}

impl RuleKey {
    /// All of them.
    pub const ALL: [RuleKey; 15] = [
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
    ];

    /// The key as it is written.
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
        }
    }

    /// The key that is written so.
    pub fn from_name(name: &str) -> Option<RuleKey> {
        RuleKey::ALL.into_iter().find(|key| key.name() == name)
    }

    /// The keys whose rules an event is for, in the order of their requests.
    ///
    /// RMQTT announces a publish before it asks for permission, so one that is refused is for two. It says nothing of
    /// publishes that nobody subscribes to, and nothing of what becomes of the broker's own messages.
    pub fn of(event: &Event) -> &'static [RuleKey] {
        let system = event.message().is_some_and(|message| message.origin == Origin::System);
        match &event.detail {
            Detail::ClientConnect(_) => &[RuleKey::ClientConnect],
            Detail::ClientConnack(_) => &[RuleKey::ClientConnack],
            Detail::ClientConnected(_) => &[RuleKey::ClientConnected],
            Detail::ClientDisconnected(_) => &[RuleKey::ClientDisconnected],
            Detail::ClientSubscribe(_) => &[RuleKey::ClientSubscribe],
            Detail::ClientUnsubscribe(_) => &[RuleKey::ClientUnsubscribe],
            Detail::SessionCreated(_) => &[RuleKey::SessionCreated],
            Detail::SessionTerminated(_) => &[RuleKey::SessionTerminated],
            Detail::SessionSubscribed(_) => &[RuleKey::SessionSubscribed],
            Detail::SessionUnsubscribed(_) => &[RuleKey::SessionUnsubscribed],
            Detail::MessagePublish(_) => &[RuleKey::MessagePublish],
            Detail::MessageDelivered(_) if !system => &[RuleKey::MessageDelivered],
            Detail::MessageAcked(_) if !system => &[RuleKey::MessageAcked],
            Detail::MessageQueued(_) if !system => &[RuleKey::OfflineMessage],
            Detail::DeliveryDropped(_) if !system => &[RuleKey::MessageDropped],
            Detail::MessageRefused(drop) => match drop.reason {
                DropReason::NotAuthorized if system => &[RuleKey::MessagePublish],
                DropReason::NotAuthorized => &[RuleKey::MessagePublish, RuleKey::MessageDropped],
                _ if system => &[],
                _ => &[RuleKey::MessageDropped],
            },
            _ => &[],
        }
    }

    /// The hooks whose events are for this key.
    pub(super) fn hooks(self) -> &'static [Hook] {
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
            RuleKey::MessagePublish => &[Hook::MessagePublish, Hook::MessageRefused],
            RuleKey::MessageDelivered => &[Hook::MessageDelivered],
            RuleKey::MessageAcked => &[Hook::MessageAcked],
            RuleKey::MessageDropped => &[Hook::DeliveryDropped, Hook::MessageRefused],
            RuleKey::OfflineMessage => &[Hook::MessageQueued],
        }
    }

    /// Whether `topics` of its rules say anything. RMQTT gives them to rules of other keys without looking at them.
    pub(super) fn heeds_topics(self) -> bool {
        matches!(
            self,
            RuleKey::ClientSubscribe
                | RuleKey::ClientUnsubscribe
                | RuleKey::SessionSubscribed
                | RuleKey::SessionUnsubscribed
                | RuleKey::MessagePublish
                | RuleKey::MessageDelivered
                | RuleKey::MessageAcked
                | RuleKey::OfflineMessage
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{DeliveryDrop, MessageDrop};
    use crate::testing;

    #[test]
    fn all_keys_are_in_order() {
        for (index, key) in RuleKey::ALL.into_iter().enumerate() {
            assert_eq!(key as usize, index);
            assert_eq!(RuleKey::from_name(key.name()), Some(key));
        }
    }

    #[test]
    fn the_brokers_own_messages_are_only_announced() {
        let of = |detail: Detail| RuleKey::of(&testing::event(detail)).to_vec();
        let mut message = testing::message("$SYS/x", b"");
        let mut delivery = testing::delivery("$SYS/x", b"");
        let drop = |delivery, reason| DeliveryDrop {
            delivery,
            reason,
            code: 0,
            text: None,
        };
        assert_eq!(of(Detail::MessageQueued(delivery.clone())), [RuleKey::OfflineMessage]);
        assert_eq!(
            of(Detail::DeliveryDropped(drop(delivery.clone(), DropReason::QueueFull))),
            [RuleKey::MessageDropped]
        );
        message.origin = Origin::System;
        delivery.message.origin = Origin::System;
        assert_eq!(of(Detail::MessagePublish(message.clone())), [RuleKey::MessagePublish]);
        assert_eq!(of(Detail::MessageDelivered(delivery.clone())), []);
        assert_eq!(of(Detail::MessageQueued(delivery.clone())), []);
        assert_eq!(of(Detail::DeliveryDropped(drop(delivery, DropReason::QueueFull))), []);
        for (reason, expected) in [
            (DropReason::NotAuthorized, &[RuleKey::MessagePublish][..]),
            (DropReason::PacketIdInUse, &[]),
        ] {
            let drop = MessageDrop {
                message: message.clone(),
                reason,
                code: 0,
                text: None,
            };
            assert_eq!(of(Detail::MessageRefused(drop)), expected);
        }
    }

    #[test]
    fn a_refused_publish_is_told_and_one_without_subscribers_is_not() {
        assert_eq!(RuleKey::of(&testing::dropped("a", b"")), []);
        let of = |reason| RuleKey::of(&testing::refused("a", b"", reason, 0)).to_vec();
        assert_eq!(of(DropReason::PacketIdInUse), [RuleKey::MessageDropped]);
        assert_eq!(
            of(DropReason::NotAuthorized),
            [RuleKey::MessagePublish, RuleKey::MessageDropped]
        );
    }
}
