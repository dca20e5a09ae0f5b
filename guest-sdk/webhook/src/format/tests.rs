//! Which events each format reports, and under which keys.

use super::*;
use hookhost_guest::event::{
    DeliveryDrop, Detail, Disconnection, DropReason, EndReason, Message, MessageDrop, Origin, Subscription,
};
use hookhost_guest::testing;

/// The keys whose rules of this format would send something for an event.
fn told(format: Format, detail: Detail, documented: bool) -> Vec<&'static str> {
    let event = testing::event(detail);
    let keys = RuleKey::of(event.hook()).iter();
    keys.filter(|key| format.hooks(**key).contains(&event.hook()) && format.reports(**key, &event, documented))
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
        (EndReason::Disconnect, false, true, false),
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
