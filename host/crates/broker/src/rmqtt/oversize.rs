//! Drops messages that are longer than their receiver accepts.
//!
//! MQTT 5 says that a broker drops such a message for that receiver. RMQTT ends the receiver's connection instead, so one
//! long message would disconnect every client with a lower limit. RMQTT's hook for expiry can drop a message for one
//! receiver, so this uses that hook. The hook costs something for every delivery; it is registered when the first
//! client sets a limit, or when the first message nearly fills the longest packet.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::BytesMut;
use tokio::sync::OnceCell;
use tokio_util::codec::Encoder;

use ::rmqtt::codec::types::QoS;
use ::rmqtt::codec::v5;
use ::rmqtt::context::ServerContext;
use ::rmqtt::hook::{Handler, HookResult, Parameter, ReturnType, Type};
use ::rmqtt::session::Session as RmqttSession;
use ::rmqtt::types::{_Id, ConnectInfo, Id as ClientKey, Publish};

use super::handler::EventSource;

/// Upper bound on what an MQTT 5 publish has besides topic, payload and properties.
const MAX_HEADER_BYTES: usize = 64;

/// The messages that were found to be too long, until their drop is emitted.
pub(super) struct Oversize {
    engine: ServerContext,
    registered: OnceCell<()>,
    /// By the address of the receiver's key; RMQTT drops the message as the next thing in the same task.
    found: Mutex<HashSet<usize>>,
}

impl Oversize {
    /// Not registered yet.
    pub(super) fn new(engine: ServerContext) -> Oversize {
        Oversize {
            engine,
            registered: OnceCell::new(),
            found: Mutex::default(),
        }
    }

    fn found(&self) -> MutexGuard<'_, HashSet<usize>> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Checks every delivery from now on.
    pub(super) async fn register(&self, source: &Arc<EventSource>) {
        let add = || async {
            let hooks = self.engine.extends.hook_mgr().register();
            hooks
                .add(Type::MessageExpiryCheck, Box::new(SizeHandler(Arc::clone(source))))
                .await;
            hooks.start().await;
        };
        self.registered.get_or_init(add).await;
    }

    /// Whether the message that was dropped for this receiver was too long for it.
    pub(super) fn take(&self, receiver: &ClientKey) -> bool {
        self.registered.initialized() && self.found().remove(&place(receiver))
    }
}

/// Whether a publish may come out longer for an MQTT 5 receiver than the longest packet that may come in.
pub(super) fn nearly_fills(publish: &Publish, max_packet_size: u32) -> bool {
    longest(publish) > max_packet_size as usize
}

/// No publish packet of this message is longer.
fn longest(publish: &Publish) -> usize {
    let properties = publish.properties.as_ref().map_or(0, |properties| {
        let text = |text: &Option<bytestring::ByteString>| text.as_ref().map_or(0, |text| text.len());
        let user = properties
            .user_properties
            .iter()
            .map(|(name, value)| name.len() + value.len() + 5);
        text(&properties.content_type)
            + text(&properties.response_topic)
            + properties.correlation_data.as_ref().map_or(0, |data| data.len())
            + properties.subscription_ids.len() * 5
            + user.sum::<usize>()
    });
    publish.topic.len() + publish.payload.len() + properties + MAX_HEADER_BYTES
}

fn place(receiver: &ClientKey) -> usize {
    std::ptr::from_ref::<_Id>(receiver) as usize
}

/// Whether the receiver accepts the message; encodes it if the upper bound does not decide.
fn fits(info: &ConnectInfo, max_packet_size: u32, max_topic_aliases: u16, publish: &Publish) -> bool {
    let ConnectInfo::V5(_, connect) = info else { return true };
    let mut codec = v5::Codec::new(0, max_packet_size);
    if let Some(own) = connect.max_packet_size {
        codec.set_max_outbound_size(own.get());
    }
    if longest(publish) <= codec.max_outbound_size() as usize {
        return true;
    }
    let mut packet = publish.inner.clone();
    if let Some(properties) = &mut packet.properties {
        // RMQTT writes the remaining expiry interval even if the publisher gave none.
        properties.message_expiry_interval = std::num::NonZeroU32::new(1);
        properties.topic_alias = std::num::NonZeroU16::new(connect.topic_alias_max.min(max_topic_aliases));
    }
    // Only these have one; RMQTT does not write a packet with QoS 0 and an identifier.
    packet.packet_id = std::num::NonZeroU16::new(1).filter(|_| packet.qos != QoS::AtMostOnce);
    codec.encode(v5::Packet::Publish(packet), &mut BytesMut::new()).is_ok()
}

/// The hook that drops messages.
struct SizeHandler(Arc<EventSource>);

impl SizeHandler {
    async fn is_too_long(&self, session: &RmqttSession, publish: &Publish) -> bool {
        match session.connect_info().await {
            Ok(info) => !fits(
                &info,
                self.0.limits.max_packet_size,
                self.0.limits.max_topic_aliases,
                publish,
            ),
            Err(_) => false,
        }
    }
}

#[async_trait]
impl Handler for SizeHandler {
    async fn hook(&self, parameter: &Parameter, acc: Option<HookResult>) -> ReturnType {
        if let Parameter::MessageExpiryCheck(session, _, publish) = parameter
            && acc.is_none()
            && self.is_too_long(session, publish).await
        {
            self.0.oversize.found().insert(place(&session.id));
            return (false, Some(HookResult::MessageExpiry));
        }
        (true, acc)
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use ::rmqtt::types::CodecPublish;

    use super::*;

    fn publish(length: usize, properties: Option<v5::PublishProperties>) -> Publish {
        Publish::from(CodecPublish {
            dup: false,
            retain: false,
            qos: QoS::AtLeastOnce,
            topic: "t".into(),
            packet_id: None,
            payload: vec![0; length].into(),
            properties,
        })
    }

    fn v5(own: Option<u32>) -> ConnectInfo {
        let connect = v5::Connect {
            max_packet_size: own.and_then(NonZeroU32::new),
            ..v5::Connect::default()
        };
        ConnectInfo::V5(ClientKey::from(1, "c".into()), Box::new(connect))
    }

    #[test]
    fn what_fits() {
        let v3 = ConnectInfo::from(ClientKey::from(1, "c".into()));
        // Topic 3, packet identifier 2, property length 1, and 5 that RMQTT takes off a limit of the client's own.
        for (info, length, fine) in [
            (&v3, 1_000, true),
            (&v5(None), 94, true),
            (&v5(None), 95, false),
            (&v5(Some(60)), 49, true),
            (&v5(Some(60)), 50, false),
            (&v5(Some(1_000)), 900, true),
        ] {
            assert_eq!(fits(info, 100, 0, &publish(length, None)), fine, "{info:?} {length}");
        }
        let properties = Some(v5::PublishProperties::default());
        assert!(fits(&v5(None), 100, 0, &publish(89, properties.clone())));
        assert!(
            !fits(&v5(None), 100, 0, &publish(90, properties)),
            "RMQTT adds an expiry of 5 bytes"
        );
        // A packet with QoS 0 has no identifier.
        for (length, fine) in [(51, true), (52, false)] {
            let mut publish = publish(length, None);
            publish.qos = QoS::AtMostOnce;
            assert_eq!(fits(&v5(Some(60)), 100, 0, &publish), fine, "{length}");
        }
    }

    #[test]
    fn the_longest_is_never_exceeded() {
        let properties = v5::PublishProperties {
            correlation_data: Some(vec![1; 10].into()),
            content_type: Some("text".into()),
            response_topic: Some("a/b".into()),
            is_utf8_payload: true,
            message_expiry_interval: NonZeroU32::new(5),
            topic_alias: std::num::NonZeroU16::new(5),
            user_properties: vec![("a".into(), "b".into()); 20],
            subscription_ids: vec![NonZeroU32::new(200_000_000).expect("not 0"); 20],
        };
        let mut publish = publish(10, Some(properties));
        publish.packet_id = std::num::NonZeroU16::new(7);
        let mut bytes = BytesMut::new();
        v5::Codec::default()
            .encode(v5::Packet::Publish(publish.inner.clone()), &mut bytes)
            .expect("a packet");
        assert!(longest(&publish) >= bytes.len());
    }
}
