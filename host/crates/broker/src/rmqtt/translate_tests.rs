//! RMQTT's types and the neutral ones, side by side.

use std::num::{NonZeroU16, NonZeroU32};

use ::rmqtt::codec::types::QoS;
use ::rmqtt::codec::v5;
use ::rmqtt::types::{CodecPublish, SubOptionsV5, SubscriptionOptions};

use super::*;

fn key() -> ClientKey {
    ClientKey::new(
        1,
        1,
        None,
        Some(([10, 0, 0, 5], 50_000).into()),
        "c".into(),
        Some("u".into()),
    )
}

#[test]
fn options_of_a_subscription() {
    let options = SubscriptionOptions::V5(SubOptionsV5 {
        qos: QoS::AtLeastOnce,
        shared_group: Some("g".into()),
        limit_subs: Some(2),
        no_local: true,
        retain_as_published: true,
        retain_handling: RetainHandling::NoAtSubscribe,
        id: NonZeroU32::new(9),
    });
    let subscribe = Subscribe {
        topic_filter: "a/+".into(),
        opts: options,
    };
    let user: Pairs = vec![("k".into(), "v".into())];
    let client = client(&key(), key().remote_addr, 5);
    let subscription = subscription(client, &subscribe, 1, true, user.clone());
    assert_eq!(
        (subscription.filter.as_ref(), subscription.group.as_deref()),
        ("a/+", Some("g"))
    );
    assert_eq!(
        (subscription.qos, subscription.retain_handling, subscription.id),
        (1, 2, Some(9))
    );
    assert!(subscription.no_local && subscription.retain_as_published && subscription.is_new);
    assert_eq!(subscription.limit, Some(2));
    let properties = subscription.properties.unwrap();
    assert_eq!(properties.standard, [Property::SubscriptionIdentifier(9)]);
    assert_eq!(properties.user, user);
}

#[test]
fn origins() {
    let publish = Publish::from(CodecPublish {
        dup: true,
        retain: false,
        qos: QoS::AtLeastOnce,
        topic: "t".into(),
        packet_id: NonZeroU16::new(3),
        payload: "x".into(),
        properties: None,
    });
    let numbers = MessageNumbers::new(1);
    let module = ClientKey::new(1, module_listener(3), None, None, "m".into(), None);
    for (sender, origin, version) in [
        (Sender::from_custom(key()), Origin::Client, 4),
        (Sender::from_lastwill(key()), Origin::Will, 4),
        (Sender::from_admin(key()), Origin::Admin, 0),
        (Sender::from_admin(module), Origin::Module, 0),
        (Sender::from_system(key()), Origin::System, 0),
        (Sender::from_bridge(key()), Origin::Bridge, 0),
    ] {
        let published = message(&numbers, &sender, &sender.id, 4, &publish, true);
        assert_eq!(
            (published.origin, published.publisher.protocol_version),
            (origin, version)
        );
        let republishes = if origin == Origin::Module { 3 } else { 0 };
        assert_eq!(published.republishes, republishes);
        assert_eq!((published.packet_id, published.dup), (Some(3), true));
        let on_its_way = message(&numbers, &sender, &sender.id, 4, &publish, false);
        assert_eq!((on_its_way.packet_id, on_its_way.dup), (None, false));
    }
}

#[test]
fn a_disconnect_without_properties_has_none() {
    assert_eq!(properties::of_disconnect(&v5::Disconnect::default()), None);
}
