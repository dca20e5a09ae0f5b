//! RMQTT's types as types of the event model. Pure functions.

use std::net::SocketAddr;

use ::rmqtt::codec::v5::RetainHandling;
use ::rmqtt::types::{From as Sender, FromType, Id as ClientKey, Publish, Subscribe, Unsubscribe};

use super::backlog;
use super::tag::{MessageNumbers, MessageTag};
use hookhost_event::{
    Client, Delivery, Message, Millis, Origin, Pairs, Property, Session, Subscription, Unsubscription,
};
use hookhost_relay::properties;

/// The first of the listener numbers of messages that modules publish: RMQTT has no kind of sender for them. The number
/// after it also says how often a message was republished.
const MODULE_LISTENER: u16 = u16::MAX - u8::MAX as u16;

/// The listener number of a message that a module publishes.
pub(super) fn module_listener(republishes: u8) -> u16 {
    MODULE_LISTENER + u16::from(republishes)
}

/// How often a message was republished, if a module has published it.
fn republishes(listener: u16) -> Option<u8> {
    u8::try_from(listener.checked_sub(MODULE_LISTENER)?).ok()
}

/// A client with its own address.
pub(super) fn client(key: &ClientKey, address: Option<SocketAddr>, protocol_version: u8) -> Client {
    Client {
        id: key.client_id.clone(),
        username: key.username.clone(),
        peer: address,
        protocol_version,
        node: None,
        attributes: Vec::new(),
    }
}

/// A session.
pub(super) fn session(client: Client, created_at: i64) -> Session {
    Session {
        client,
        created_at: millis(created_at),
    }
}

/// A time of RMQTT's, in milliseconds; none if it is not set.
pub(super) fn millis(time: i64) -> Option<Millis> {
    u64::try_from(time).ok().filter(|time| *time > 0).map(Millis)
}

/// A subscription; `code` is that of SUBACK, `user` are the user properties of SUBSCRIBE.
pub(super) fn subscription(client: Client, subscribe: &Subscribe, code: u8, is_new: bool, user: Pairs) -> Subscription {
    let (filter, options) = (&subscribe.topic_filter, &subscribe.opts);
    let id = options.subscription_identifier().map(|id| id.get());
    Subscription {
        client,
        filter: filter.clone(),
        group: options.shared_group().cloned(),
        qos: options.qos_value(),
        no_local: options.no_local().unwrap_or(false),
        retain_as_published: options.retain_as_published().unwrap_or(false),
        retain_handling: match options.retain_handling() {
            None | Some(RetainHandling::AtSubscribe) => 0,
            Some(RetainHandling::AtSubscribeNew) => 1,
            Some(RetainHandling::NoAtSubscribe) => 2,
        },
        id,
        limit: options.limit_subs().and_then(|limit| u32::try_from(limit).ok()),
        code,
        is_new,
        properties: properties::some(id.map(Property::SubscriptionIdentifier).into_iter().collect(), user),
    }
}

/// The end of a subscription that had this QoS, or none; `user` are the user properties of UNSUBSCRIBE.
pub(super) fn unsubscription(
    client: Client,
    unsubscribe: &Unsubscribe,
    had: Option<u8>,
    user: Pairs,
) -> Unsubscription {
    Unsubscription {
        client,
        filter: unsubscribe.topic_filter.clone(),
        group: unsubscribe.shared_group.clone(),
        qos: had.unwrap_or(0),
        code: if had.is_some() { 0 } else { 17 },
        properties: properties::some(Vec::new(), user),
    }
}

/// A message as it was published, restored from a copy on its way. `publisher` is the sender's key with its own address,
/// `protocol_version` the publisher's; `published`: the copy is the publish itself, and only then it has the packet
/// identifier.
pub(super) fn message(
    numbers: &MessageNumbers,
    sender: &Sender,
    publisher: &ClientKey,
    protocol_version: u8,
    publish: &Publish,
    published: bool,
) -> Message {
    let tag = MessageTag::of(publish);
    let (origin, protocol_version) = match sender.typ() {
        FromType::Custom => (Origin::Client, protocol_version),
        FromType::LastWill => (Origin::Will, protocol_version),
        FromType::Admin if republishes(sender.lid).is_some() => (Origin::Module, 0),
        FromType::Admin => (Origin::Admin, 0),
        FromType::System => (Origin::System, 0),
        FromType::Bridge => (Origin::Bridge, 0),
    };
    Message {
        id: if published {
            numbers.first_id(publisher, publish)
        } else {
            numbers.id(publisher, publish)
        },
        publisher: client(publisher, publisher.remote_addr, protocol_version),
        origin,
        topic: publish.topic.clone(),
        payload: publish.payload.clone(),
        qos: tag.qos,
        retain: tag.retain,
        dup: if published { publish.dup } else { tag.dup },
        packet_id: publish.packet_id.filter(|_| published).map(|id| id.get()),
        // RMQTT stamps every publish; 0 means that the system clock is before 1970.
        received_at: publish.create_time.and_then(millis).unwrap_or(Millis(0)),
        properties: publish.properties.as_ref().and_then(properties::of_publish),
        republishes: republishes(sender.lid).unwrap_or(0),
    }
}

/// A message on its way to one receiver.
pub(super) fn delivery(receiver: Client, message: Message, publish: &Publish) -> Delivery {
    Delivery {
        receiver,
        message,
        qos: publish.qos.value(),
        retain: publish.retain,
        dup: publish.dup,
        packet_id: publish.packet_id.map(|id| id.get()),
        retained: MessageTag::of(publish).stored,
        group: backlog::group(publish),
        subscription_ids: match &publish.properties {
            Some(properties) => properties.subscription_ids.iter().map(|id| id.get()).collect(),
            None => Vec::new(),
        },
    }
}

#[cfg(test)]
#[path = "translate_tests.rs"]
mod tests;
