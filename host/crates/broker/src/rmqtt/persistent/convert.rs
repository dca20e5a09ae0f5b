//! RMQTT's types as records of the store, and back.

use std::num::{NonZeroU16, NonZeroU32};
use std::time::Duration;

use ::rmqtt::codec::types::{Protocol, QoS};
use ::rmqtt::codec::v5::{self, PublishProperties, RetainHandling};
use ::rmqtt::codec::{types::MQTT_LEVEL_5, v3};
use ::rmqtt::session::Session as RmqttSession;
use ::rmqtt::types::{
    CodecPublish, ConnectInfo, From as Sender, FromType, Id as ClientKey, LastWill, NodeId, Publish, SubOptionsV3,
    SubOptionsV5, SubscriptionOptions,
};

use hookhost_listener::Peer;
use hookhost_sessions::{
    DeliveryRecord, DeliveryState, MessageRecord, Properties, Publisher, PublisherKind, SessionRecord,
    SubscriptionOptions as StoredOptions, SubscriptionRecord, WillRecord,
};

/// For how long a session outlives its connection; RMQTT counts in seconds, and MQTT's largest number is forever.
pub(super) fn expiry(time: Duration) -> Option<u64> {
    let forever = Duration::from_secs(u32::MAX.into());
    (time < forever).then(|| u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
}

/// The record of a session that a client, which comes from `peer`, has just opened or resumed.
pub(in crate::rmqtt) async fn session_record(session: &RmqttSession, peer: &Peer) -> Option<SessionRecord> {
    let info = session.connect_info().await.ok()?;
    let (max_packet_size, receive_maximum) = match &*info {
        ConnectInfo::V3(..) => (None, None),
        ConnectInfo::V5(_, connect) => (connect.max_packet_size, connect.receive_max),
    };
    let key = &session.id;
    Some(SessionRecord {
        client_id: key.client_id.clone(),
        username: key.username.clone(),
        version: info.proto_ver(),
        created_at: session.created_at().await.unwrap_or_default(),
        connected_at: session.connected_at().await.unwrap_or_default(),
        disconnected_at: None,
        expiry: expiry(session.fitter.session_expiry_interval(None)),
        keep_alive: info.keep_alive(),
        clean_start: info.clean_start(),
        max_packet_size: max_packet_size.map(NonZeroU32::get),
        receive_maximum: receive_maximum.map(NonZeroU16::get),
        listener: key.lid,
        local: peer.local,
        peer: peer.address,
        will: info.last_will().map(will_record),
    })
}

fn will_record(will: LastWill<'_>) -> WillRecord {
    match will {
        LastWill::V3(will) => WillRecord {
            topic: will.topic.clone(),
            payload: will.message.clone(),
            qos: will.qos.value(),
            retain: will.retain,
            delay: None,
            properties: None,
        },
        LastWill::V5(will) => WillRecord {
            topic: will.topic.clone(),
            payload: will.message.clone(),
            qos: will.qos.value(),
            retain: will.retain,
            delay: will.will_delay_interval_sec,
            properties: Some(Properties {
                is_text: will.is_utf8_payload,
                expiry: will.message_expiry_interval.map(NonZeroU32::get),
                content_type: will.content_type.clone(),
                response_topic: will.response_topic.clone(),
                correlation: will.correlation_data.clone(),
                user: will.user_properties.clone(),
            }),
        },
    }
}

/// The CONNECT of a session that is restored, without password. `will_delay` is what is left of the will's delay.
pub(super) fn connect_info(key: &ClientKey, record: &SessionRecord, will_delay: Option<u32>) -> ConnectInfo {
    let will = record.will.as_ref();
    if record.version == MQTT_LEVEL_5 {
        let connect = v5::Connect {
            clean_start: record.clean_start,
            keep_alive: record.keep_alive,
            session_expiry_interval_secs: record
                .expiry
                .and_then(|expiry| u32::try_from(expiry / 1000).ok())
                .unwrap_or(u32::MAX),
            receive_max: record.receive_maximum.and_then(NonZeroU16::new),
            max_packet_size: record.max_packet_size.and_then(NonZeroU32::new),
            client_id: record.client_id.clone(),
            username: record.username.clone(),
            last_will: will.map(|will| {
                let properties = will.properties.clone().unwrap_or_default();
                v5::LastWill {
                    qos: qos(will.qos),
                    retain: will.retain,
                    topic: will.topic.clone(),
                    message: will.payload.clone(),
                    will_delay_interval_sec: will_delay,
                    correlation_data: properties.correlation,
                    message_expiry_interval: properties.expiry.and_then(NonZeroU32::new),
                    content_type: properties.content_type,
                    user_properties: properties.user,
                    is_utf8_payload: properties.is_text,
                    response_topic: properties.response_topic,
                }
            }),
            ..v5::Connect::default()
        };
        return ConnectInfo::V5(key.clone(), Box::new(connect));
    }
    let connect = v3::Connect {
        protocol: Protocol(record.version),
        clean_session: false,
        keep_alive: record.keep_alive,
        client_id: record.client_id.clone(),
        username: record.username.clone(),
        last_will: will.map(|will| v3::LastWill {
            qos: qos(will.qos),
            retain: will.retain,
            topic: will.topic.clone(),
            message: will.payload.clone(),
        }),
        ..v3::Connect::default()
    };
    ConnectInfo::V3(key.clone(), Box::new(connect))
}

/// A QoS; numbers above 2 do not occur.
fn qos(qos: u8) -> QoS {
    QoS::try_from(qos).unwrap_or(QoS::AtMostOnce)
}

/// A subscription as it is stored.
pub(super) fn subscription_record(options: &SubscriptionOptions) -> SubscriptionRecord {
    SubscriptionRecord {
        qos: options.qos_value(),
        group: options.shared_group().cloned(),
        limit: options.limit_subs().map(|limit| limit as u64),
        options: match options {
            SubscriptionOptions::V3(_) => None,
            SubscriptionOptions::V5(options) => Some(StoredOptions {
                no_local: options.no_local,
                retain_as_published: options.retain_as_published,
                retain_handling: options.retain_handling_value(),
                identifier: options.id.map(NonZeroU32::get),
            }),
        },
    }
}

/// A stored subscription as RMQTT has it.
pub(super) fn subscription_options(record: &SubscriptionRecord) -> SubscriptionOptions {
    let limit_subs = record.limit.and_then(|limit| usize::try_from(limit).ok());
    match &record.options {
        None => SubscriptionOptions::V3(SubOptionsV3 {
            qos: qos(record.qos),
            shared_group: record.group.clone(),
            limit_subs,
        }),
        Some(options) => SubscriptionOptions::V5(SubOptionsV5 {
            qos: qos(record.qos),
            shared_group: record.group.clone(),
            limit_subs,
            no_local: options.no_local,
            retain_as_published: options.retain_as_published,
            retain_handling: match options.retain_handling {
                0 => RetainHandling::AtSubscribe,
                1 => RetainHandling::AtSubscribeNew,
                _ => RetainHandling::NoAtSubscribe,
            },
            id: options.identifier.and_then(NonZeroU32::new),
        }),
    }
}

/// A message as it is stored.
pub(in crate::rmqtt) fn message_record(sender: &Sender, publish: &Publish) -> MessageRecord {
    MessageRecord {
        publisher: Publisher {
            kind: match sender.typ() {
                FromType::Custom => PublisherKind::Client,
                FromType::LastWill => PublisherKind::Will,
                FromType::Admin => PublisherKind::Admin,
                FromType::System => PublisherKind::System,
                FromType::Bridge => PublisherKind::Bridge,
            },
            node: sender.node_id,
            listener: sender.lid,
            client_id: sender.client_id.clone(),
            username: sender.username.clone(),
            local: sender.local_addr,
            peer: sender.remote_addr,
        },
        topic: publish.topic.clone(),
        payload: publish.payload.clone(),
        qos: publish.qos.value(),
        retain: publish.retain,
        created_at: publish.create_time,
        tag: publish.delay_interval,
        properties: publish.properties.as_ref().map(|properties| Properties {
            is_text: Some(properties.is_utf8_payload),
            expiry: properties.message_expiry_interval.map(NonZeroU32::get),
            content_type: properties.content_type.clone(),
            response_topic: properties.response_topic.clone(),
            correlation: properties.correlation_data.clone(),
            user: properties.user_properties.clone(),
        }),
    }
}

/// A stored message as RMQTT has it.
pub(in crate::rmqtt) fn message(record: &MessageRecord) -> (Sender, Publish) {
    let publisher = &record.publisher;
    let key = ClientKey::new(
        publisher.node as NodeId,
        publisher.listener,
        publisher.local,
        publisher.peer,
        publisher.client_id.clone(),
        publisher.username.clone(),
    );
    let sender = match publisher.kind {
        PublisherKind::Client => Sender::from_custom(key),
        PublisherKind::Will => Sender::from_lastwill(key),
        PublisherKind::Admin => Sender::from_admin(key),
        PublisherKind::System => Sender::from_system(key),
        PublisherKind::Bridge => Sender::from_bridge(key),
    };
    let mut publish = Publish::from(CodecPublish {
        dup: false,
        retain: record.retain,
        qos: qos(record.qos),
        topic: record.topic.clone(),
        packet_id: None,
        payload: record.payload.clone(),
        properties: record.properties.as_ref().map(|properties| PublishProperties {
            topic_alias: None,
            correlation_data: properties.correlation.clone(),
            message_expiry_interval: properties.expiry.and_then(NonZeroU32::new),
            content_type: properties.content_type.clone(),
            user_properties: properties.user.clone(),
            is_utf8_payload: properties.is_text.unwrap_or(false),
            response_topic: properties.response_topic.clone(),
            subscription_ids: Vec::new(),
        }),
    });
    publish.create_time = record.created_at;
    publish.delay_interval = record.tag;
    (sender, publish)
}

/// A message on its way to one client, as it is stored.
pub(super) fn delivery_record(
    copy: &Publish,
    group: Option<&bytestring::ByteString>,
    state: DeliveryState,
    packet_id: Option<u16>,
) -> DeliveryRecord {
    DeliveryRecord {
        qos: copy.qos.value(),
        retain: copy.retain,
        state,
        packet_id,
        group: group.cloned(),
        subscription_ids: match &copy.properties {
            Some(properties) => properties.subscription_ids.iter().map(|id| id.get()).collect(),
            None => Vec::new(),
        },
    }
}

/// The copy for one client, from what is stored.
pub(super) fn copy(message: &Publish, delivery: &DeliveryRecord) -> Publish {
    let mut copy = message.clone();
    copy.qos = qos(delivery.qos);
    copy.retain = delivery.retain;
    let ids: Vec<NonZeroU32> = delivery
        .subscription_ids
        .iter()
        .filter_map(|id| NonZeroU32::new(*id))
        .collect();
    if !ids.is_empty() {
        copy.properties
            .get_or_insert_with(PublishProperties::default)
            .subscription_ids = ids;
    }
    copy
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_and_its_copy_survive_the_store() {
        let key = ClientKey::new(
            3,
            1,
            Some(([127, 0, 0, 1], 1883).into()),
            Some(([127, 0, 0, 1], 5).into()),
            "p".into(),
            Some("u".into()),
        );
        let properties = PublishProperties {
            correlation_data: Some(vec![1, 2].into()),
            message_expiry_interval: NonZeroU32::new(60),
            content_type: Some("t".into()),
            user_properties: vec![("a".into(), "b".into()); 2],
            is_utf8_payload: true,
            response_topic: Some("r".into()),
            ..PublishProperties::default()
        };
        let mut publish = Publish::from(CodecPublish {
            dup: false,
            retain: true,
            qos: QoS::ExactlyOnce,
            topic: "a/b".into(),
            packet_id: None,
            payload: vec![0, 255].into(),
            properties: Some(properties),
        })
        .create_time(7);
        publish.delay_interval = Some(9);
        let record = message_record(&Sender::from_lastwill(key.clone()), &publish);
        let (sender, again) = message(&record);
        assert_eq!(message_record(&sender, &again), record);
        assert_eq!(
            (&again.inner, again.create_time, again.delay_interval),
            (&publish.inner, Some(7), Some(9))
        );
        assert_eq!(sender.username, key.username);
        let delivery = DeliveryRecord {
            qos: 1,
            retain: false,
            state: DeliveryState::Waiting,
            packet_id: None,
            group: Some("g".into()),
            subscription_ids: vec![4, 5],
        };
        let copy = copy(&again, &delivery);
        let group = Some("g".into());
        assert_eq!(
            delivery_record(&copy, group.as_ref(), DeliveryState::Waiting, None),
            delivery
        );
        assert_eq!((copy.qos, copy.retain), (QoS::AtLeastOnce, false));
    }

    #[test]
    fn options_of_subscriptions_survive_the_store() {
        let v3 = SubscriptionOptions::V3(SubOptionsV3 {
            qos: QoS::AtLeastOnce,
            shared_group: Some("g".into()),
            limit_subs: Some(2),
        });
        let v5 = SubscriptionOptions::V5(SubOptionsV5 {
            qos: QoS::ExactlyOnce,
            shared_group: None,
            limit_subs: None,
            no_local: true,
            retain_as_published: true,
            retain_handling: RetainHandling::NoAtSubscribe,
            id: NonZeroU32::new(8),
        });
        for options in [v3, v5] {
            assert_eq!(subscription_options(&subscription_record(&options)), options);
        }
    }

    #[test]
    fn the_largest_expiry_is_forever() {
        assert_eq!(expiry(Duration::from_secs(u32::MAX.into())), None);
        assert_eq!(expiry(Duration::from_secs(2)), Some(2000));
    }
}
