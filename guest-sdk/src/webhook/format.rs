//! The forms that bodies have, and which events a rule key stands for in each.
//!
//! Brokers use one word for different things and tell some things not at all. So that a web service behind one of them
//! sees the same requests, both the kinds of events ([`Format::hooks`], which interests are made of) and the events
//! themselves ([`Format::tells`]) depend on the format.

use super::key::RuleKey;
use crate::event::{Detail, DropReason, EndReason, Event, Hook, Message, Origin};

/// Whose bodies a rule sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// RMQTT's web-hook plugin, 0.24.
    #[default]
    Rmqtt,
    /// EMQX 4's web-hook plugin, 4.4.19.
    Emqx4,
    /// The columns of EMQX 5's rule engine, 5.8.9, or what `select` or `body` make of them.
    Emqx5,
    /// NanoMQ's web hook, 0.25.
    Nanomq,
    /// CloudEvents 1.0 over HTTP.
    Cloudevents,
    /// A body of the user's own.
    Template,
}

impl Format {
    /// All of them.
    pub const ALL: [Format; 6] = [
        Format::Rmqtt,
        Format::Emqx4,
        Format::Emqx5,
        Format::Nanomq,
        Format::Cloudevents,
        Format::Template,
    ];

    /// The format as it is written in a configuration.
    pub fn name(self) -> &'static str {
        match self {
            Format::Rmqtt => "rmqtt",
            Format::Emqx4 => "emqx4",
            Format::Emqx5 => "emqx5",
            Format::Nanomq => "nanomq",
            Format::Cloudevents => "cloudevents",
            Format::Template => "template",
        }
    }

    /// The format that is written so.
    pub fn from_name(name: &str) -> Option<Format> {
        Format::ALL.into_iter().find(|format| format.name() == name)
    }

    /// The keys that rules of this format may have: those with an event.
    pub fn keys(self) -> impl Iterator<Item = RuleKey> {
        RuleKey::ALL.into_iter().filter(move |key| !self.hooks(*key).is_empty())
    }

    /// The keys of the events that the broker tells if it is asked for all: not those that are here besides, such as
    /// `other`.
    pub fn usual_keys(self) -> impl Iterator<Item = RuleKey> {
        self.keys().filter(move |key| match self {
            Format::Emqx5 => matches!(
                key,
                RuleKey::ClientConnack
                    | RuleKey::ClientConnected
                    | RuleKey::ClientDisconnected
                    | RuleKey::ClientAuthenticated
                    | RuleKey::ClientAuthorized
                    | RuleKey::SessionSubscribed
                    | RuleKey::SessionUnsubscribed
                    | RuleKey::MessagePublish
                    | RuleKey::MessageDelivered
                    | RuleKey::MessageAcked
                    | RuleKey::MessageDropped
                    | RuleKey::DeliveryDropped
            ),
            _ => *key != RuleKey::Other,
        })
    }

    /// The hooks whose events a key stands for; none: the format has no such event.
    pub fn hooks(self, key: RuleKey) -> &'static [Hook] {
        match (self, key) {
            (Format::Rmqtt, RuleKey::MessagePublish) => &[Hook::MessagePublish, Hook::MessageRefused],
            (Format::Rmqtt, RuleKey::MessageDropped) => &[Hook::DeliveryDropped, Hook::MessageRefused],
            (Format::Rmqtt, key) if key <= RuleKey::OfflineMessage => key.hook(),
            (Format::Emqx4 | Format::Emqx5, RuleKey::MessageDropped) => &[Hook::MessageDropped, Hook::MessageRefused],
            (Format::Emqx4 | Format::Nanomq, RuleKey::SessionCreated | RuleKey::MessageDropped) => &[],
            (Format::Emqx4 | Format::Nanomq, key) if key <= RuleKey::MessageAcked => key.hook(),
            (Format::Rmqtt | Format::Emqx4 | Format::Nanomq, _) => &[],
            (Format::Emqx5 | Format::Cloudevents | Format::Template, key) => key.hook(),
        }
    }

    /// Whether the broker would tell an event of one of the [`hooks`](Format::hooks) of the key; `documented`: by its
    /// documentation rather than by its source.
    pub fn tells(self, key: RuleKey, event: &Event, documented: bool) -> bool {
        match self {
            Format::Rmqtt => rmqtt_tells(key, event),
            Format::Emqx4 => emqx4_tells(key, event, documented),
            Format::Emqx5 => emqx5_tells(key, event),
            Format::Nanomq => nanomq_tells(event, documented),
            Format::Cloudevents | Format::Template => true,
        }
    }

    /// Whether `topics` of a rule say anything. RMQTT does not look at them when a message was dropped.
    pub fn heeds_topics(self, key: RuleKey) -> bool {
        key.has_subject() && !(self == Format::Rmqtt && key == RuleKey::MessageDropped)
    }

    /// Whether a filter that begins with a wildcard matches `$…`, too, as NanoMQ has it.
    pub(super) fn wildcards_match_dollar(self) -> bool {
        self == Format::Nanomq
    }
}

/// RMQTT announces a publish before it asks for permission, so one that is refused is told twice. It says nothing of
/// what becomes of the broker's own messages.
fn rmqtt_tells(key: RuleKey, event: &Event) -> bool {
    let system = event.message().is_some_and(is_system);
    match (key, &event.detail) {
        (RuleKey::MessagePublish, Detail::MessageRefused(drop)) => drop.reason == DropReason::NotAuthorized,
        (RuleKey::MessagePublish, _) => true,
        _ => !system,
    }
}

/// EMQX 4 asks for permission before it tells of a subscription, is silent about the end of a connection whose session
/// goes on elsewhere or was discarded, and leaves `$SYS/` out.
fn emqx4_tells(key: RuleKey, event: &Event, documented: bool) -> bool {
    match &event.detail {
        Detail::ClientSubscribe(subscription) => documented || subscription.code < 128,
        Detail::ClientDisconnected(disconnection) => {
            let elsewhere = [EndReason::TakenOver, EndReason::Discarded];
            documented || !elsewhere.contains(&disconnection.end.reason)
        }
        _ => {
            dropped_in_emqx(key, event)
                && event
                    .message()
                    .is_none_or(|message| !message.topic.starts_with("$SYS/"))
        }
    }
}

/// EMQX 5 leaves the broker's own messages out, as long as `rule_engine.ignore_sys_message` is on.
fn emqx5_tells(key: RuleKey, event: &Event) -> bool {
    dropped_in_emqx(key, event) && !event.message().is_some_and(is_system)
}

/// NanoMQ is silent about the end of a connection whose session stays, unless the client sent DISCONNECT.
fn nanomq_tells(event: &Event, documented: bool) -> bool {
    match &event.detail {
        Detail::ClientSubscribe(subscription) => subscription.code < 128,
        Detail::ClientDisconnected(disconnection) => {
            documented || disconnection.connection.clean_start || disconnection.end.reason == EndReason::Disconnect
        }
        _ => true,
    }
}

/// Of the refused publishes, EMQX tells as dropped those of QoS 2 that it could not take.
fn dropped_in_emqx(key: RuleKey, event: &Event) -> bool {
    match (key, &event.detail) {
        (RuleKey::MessageDropped, Detail::MessageRefused(drop)) => matches!(
            drop.reason,
            DropReason::PacketIdInUse | DropReason::ReceiveMaximumExceeded
        ),
        _ => true,
    }
}

fn is_system(message: &Message) -> bool {
    message.origin == Origin::System
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{DeliveryDrop, Disconnection, MessageDrop, Subscription};
    use crate::testing;

    /// The keys whose rules of this format would send something for an event.
    fn told(format: Format, detail: Detail, documented: bool) -> Vec<&'static str> {
        let event = testing::event(detail);
        let keys = RuleKey::of(event.hook()).iter();
        keys.filter(|key| format.hooks(**key).contains(&event.hook()) && format.tells(**key, &event, documented))
            .map(|key| key.name())
            .collect()
    }

    #[test]
    fn keys_of_each_format() {
        let names = |format: Format| format.keys().map(RuleKey::name).collect::<Vec<_>>();
        let rmqtt = RuleKey::ALL.map(RuleKey::name)[..15].to_vec();
        assert_eq!(names(Format::Rmqtt), rmqtt);
        let nanomq: Vec<_> = rmqtt
            .iter()
            .filter(|name| !["session_created", "message_dropped", "offline_message"].contains(name))
            .copied()
            .collect();
        assert_eq!(nanomq.len(), 12);
        assert_eq!(names(Format::Nanomq), nanomq);
        let mut emqx4 = nanomq;
        emqx4.push("message_dropped");
        assert_eq!(names(Format::Emqx4), emqx4);
        for format in [Format::Emqx5, Format::Cloudevents, Format::Template] {
            assert_eq!(names(format), RuleKey::ALL.map(RuleKey::name));
        }
        for (format, usual) in Format::ALL.into_iter().zip([15, 13, 12, 12, 23, 23]) {
            assert_eq!(Format::from_name(format.name()), Some(format));
            assert_eq!(format.usual_keys().count(), usual, "{format:?}");
        }
    }

    fn refused(reason: DropReason, origin: Origin) -> Detail {
        let mut message = testing::message("a", b"");
        message.origin = origin;
        Detail::MessageRefused(MessageDrop {
            message,
            reason,
            code: 0,
            text: None,
        })
    }

    #[test]
    fn what_becomes_of_a_message() {
        let nobody = || testing::dropped("a", b"").detail;
        let delivery = || {
            Detail::DeliveryDropped(DeliveryDrop {
                delivery: testing::delivery("a", b""),
                reason: DropReason::QueueFull,
                code: 0,
                text: None,
            })
        };
        let denied = || refused(DropReason::NotAuthorized, Origin::Client);
        let in_use = || refused(DropReason::PacketIdInUse, Origin::Client);
        for (format, subscribers, dropped, forbidden, repeated) in [
            (
                Format::Rmqtt,
                &[][..],
                &["message_dropped"][..],
                &["message_publish", "message_dropped"][..],
                &["message_dropped"][..],
            ),
            (Format::Emqx4, &["message_dropped"], &[], &[], &["message_dropped"]),
            (
                Format::Emqx5,
                &["message_dropped"],
                &["delivery_dropped"],
                &["message_refused"],
                &["message_dropped", "message_refused"],
            ),
            (Format::Nanomq, &[], &[], &[], &[]),
            (
                Format::Template,
                &["message_dropped"],
                &["delivery_dropped"],
                &["message_refused"],
                &["message_refused"],
            ),
        ] {
            assert_eq!(told(format, nobody(), false), subscribers, "{format:?}");
            assert_eq!(told(format, delivery(), false), dropped, "{format:?}");
            assert_eq!(told(format, denied(), false), forbidden, "{format:?}");
            assert_eq!(told(format, in_use(), false), repeated, "{format:?}");
        }
    }

    #[test]
    fn the_brokers_own_messages() {
        let mut message = testing::message("$SYS/x", b"");
        let mut delivery = testing::delivery("$SYS/x", b"");
        // Somebody else may publish there, too.
        let publish = |message: &Message| Detail::MessagePublish(message.clone());
        for (format, client, system) in [
            (Format::Rmqtt, &["message_publish"][..], &["message_publish"][..]),
            (Format::Emqx4, &[], &[]),
            (Format::Emqx5, &["message_publish"], &[]),
            (Format::Nanomq, &["message_publish"], &["message_publish"]),
            (Format::Cloudevents, &["message_publish"], &["message_publish"]),
        ] {
            message.origin = Origin::Client;
            assert_eq!(told(format, publish(&message), false), client, "{format:?}");
            message.origin = Origin::System;
            assert_eq!(told(format, publish(&message), false), system, "{format:?}");
        }
        delivery.message.origin = Origin::System;
        for detail in [
            Detail::MessageDelivered(delivery.clone()),
            Detail::MessageQueued(delivery.clone()),
        ] {
            assert_eq!(told(Format::Rmqtt, detail.clone(), false), [""; 0]);
            assert_eq!(told(Format::Emqx5, detail.clone(), false), [""; 0]);
            assert_eq!(told(Format::Template, detail, false).len(), 1);
        }
        assert_eq!(
            told(Format::Rmqtt, refused(DropReason::NotAuthorized, Origin::System), false),
            ["message_publish"]
        );
        assert_eq!(
            told(Format::Rmqtt, refused(DropReason::PacketIdInUse, Origin::System), false),
            [""; 0]
        );
    }

    #[test]
    fn subscriptions_that_are_refused() {
        let refused = || {
            Detail::ClientSubscribe(Subscription {
                code: 135,
                ..testing::subscription("a")
            })
        };
        for (format, source, documented) in [
            (Format::Rmqtt, 1, 1),
            (Format::Emqx4, 0, 1),
            (Format::Emqx5, 1, 1),
            (Format::Nanomq, 0, 0),
        ] {
            assert_eq!(told(format, refused(), false).len(), source, "{format:?}");
            assert_eq!(told(format, refused(), true).len(), documented, "{format:?}");
        }
    }

    #[test]
    fn ends_of_connections_that_are_not_told() {
        let ended = |reason, clean_start| {
            let mut disconnection: Disconnection = testing::disconnection("c", reason);
            disconnection.connection.clean_start = clean_start;
            Detail::ClientDisconnected(disconnection)
        };
        for (reason, clean_start, emqx4, nanomq) in [
            (EndReason::Closed, true, true, true),
            (EndReason::Closed, false, true, false),
            (EndReason::Disconnect, false, true, true),
            (EndReason::TakenOver, true, false, true),
            (EndReason::Discarded, true, false, true),
            (EndReason::Kicked, true, true, true),
        ] {
            let is_told = |format, documented| !told(format, ended(reason, clean_start), documented).is_empty();
            assert_eq!(is_told(Format::Emqx4, false), emqx4, "{reason:?}");
            assert_eq!(is_told(Format::Nanomq, false), nanomq, "{reason:?}");
            for format in [Format::Emqx4, Format::Nanomq] {
                assert!(is_told(format, true), "{reason:?}");
            }
            for format in [Format::Rmqtt, Format::Emqx5] {
                assert!(is_told(format, false), "{reason:?}");
            }
        }
    }
}
