//! Properties of MQTT 5 packets as `rmqtt-codec` reads them, in neutral words: the same for both engines.

use std::num::NonZeroU32;

use bytestring::ByteString;
use rmqtt_codec::v5::{Connect, ConnectAck, Disconnect, LastWill, PublishProperties, QoS};

use hookhost_event::{Properties, Property};

/// The properties of a packet; none if it has none.
pub fn some(standard: Vec<Property>, user: Vec<(ByteString, ByteString)>) -> Option<Box<Properties>> {
    (!standard.is_empty() || !user.is_empty()).then(|| Box::new(Properties { standard, user }))
}

/// Which properties a CONNECT has. The codec does not distinguish the default of a property from its absence, so this has
/// to be read from the packet's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SentProperties {
    /// Session Expiry Interval.
    pub session_expiry_interval: bool,
    /// Topic Alias Maximum.
    pub topic_alias_maximum: bool,
    /// Request Response Information.
    pub request_response_information: bool,
    /// Request Problem Information.
    pub request_problem_information: bool,
}

/// The properties of CONNECT. A property that has its default value is one of them only if `sent` says so.
pub fn of_connect(connect: &Connect, sent: SentProperties) -> Option<Box<Properties>> {
    let mut standard = Vec::new();
    if connect.session_expiry_interval_secs > 0 || sent.session_expiry_interval {
        standard.push(Property::SessionExpiryInterval(connect.session_expiry_interval_secs));
    }
    if let Some(maximum) = connect.receive_max {
        standard.push(Property::ReceiveMaximum(maximum.get()));
    }
    if let Some(size) = connect.max_packet_size {
        standard.push(Property::MaximumPacketSize(size.get()));
    }
    if connect.topic_alias_max > 0 || sent.topic_alias_maximum {
        standard.push(Property::TopicAliasMaximum(connect.topic_alias_max));
    }
    if connect.request_response_info || sent.request_response_information {
        standard.push(Property::RequestResponseInformation(connect.request_response_info));
    }
    if !connect.request_problem_info || sent.request_problem_information {
        standard.push(Property::RequestProblemInformation(connect.request_problem_info));
    }
    if let Some(method) = &connect.auth_method {
        standard.push(Property::AuthenticationMethod(method.clone()));
    }
    some(standard, connect.user_properties.clone())
}

/// The properties of CONNACK, without those that have their default value.
pub fn of_connack(connack: &ConnectAck) -> Option<Box<Properties>> {
    let mut standard = Vec::new();
    if let Some(interval) = connack.session_expiry_interval_secs {
        standard.push(Property::SessionExpiryInterval(interval));
    }
    if connack.receive_max.get() < u16::MAX {
        standard.push(Property::ReceiveMaximum(connack.receive_max.get()));
    }
    if connack.max_qos != QoS::ExactlyOnce {
        standard.push(Property::MaximumQos(connack.max_qos.value()));
    }
    if !connack.retain_available {
        standard.push(Property::RetainAvailable(false));
    }
    if let Some(size) = connack.max_packet_size {
        standard.push(Property::MaximumPacketSize(size));
    }
    if let Some(id) = &connack.assigned_client_id {
        standard.push(Property::AssignedClientIdentifier(id.clone()));
    }
    if connack.topic_alias_max > 0 {
        standard.push(Property::TopicAliasMaximum(connack.topic_alias_max));
    }
    if let Some(reason) = &connack.reason_string {
        standard.push(Property::ReasonString(reason.clone()));
    }
    if !connack.wildcard_subscription_available {
        standard.push(Property::WildcardSubscriptionAvailable(false));
    }
    if !connack.subscription_identifiers_available {
        standard.push(Property::SubscriptionIdentifierAvailable(false));
    }
    if !connack.shared_subscription_available {
        standard.push(Property::SharedSubscriptionAvailable(false));
    }
    if let Some(keep_alive) = connack.server_keepalive_sec {
        standard.push(Property::ServerKeepAlive(keep_alive));
    }
    if let Some(information) = &connack.response_info {
        standard.push(Property::ResponseInformation(information.clone()));
    }
    if let Some(server) = &connack.server_reference {
        standard.push(Property::ServerReference(server.clone()));
    }
    if let Some(method) = &connack.auth_method {
        standard.push(Property::AuthenticationMethod(method.clone()));
    }
    some(standard, connack.user_properties.clone())
}

/// The properties of PUBLISH without the subscription identifiers, which belong to a delivery.
pub fn of_publish(properties: &PublishProperties) -> Option<Box<Properties>> {
    let mut standard = Vec::new();
    if properties.is_utf8_payload {
        standard.push(Property::PayloadFormatIndicator(1));
    }
    if let Some(interval) = properties.message_expiry_interval {
        standard.push(Property::MessageExpiryInterval(interval.get()));
    }
    if let Some(kind) = &properties.content_type {
        standard.push(Property::ContentType(kind.clone()));
    }
    if let Some(topic) = &properties.response_topic {
        standard.push(Property::ResponseTopic(topic.clone()));
    }
    if let Some(data) = &properties.correlation_data {
        standard.push(Property::CorrelationData(data.clone()));
    }
    if let Some(alias) = properties.topic_alias {
        standard.push(Property::TopicAlias(alias.get()));
    }
    some(standard, properties.user_properties.clone())
}

/// The properties of a message of the host, for its subscribers; `None` if it has none.
pub fn to_publish(properties: Properties) -> Option<PublishProperties> {
    if properties == Properties::default() {
        return None;
    }
    let mut publish = PublishProperties {
        user_properties: properties.user,
        ..PublishProperties::default()
    };
    for property in properties.standard {
        match property {
            Property::PayloadFormatIndicator(format) => publish.is_utf8_payload = format == 1,
            Property::MessageExpiryInterval(seconds) => publish.message_expiry_interval = NonZeroU32::new(seconds),
            Property::ContentType(kind) => publish.content_type = Some(kind),
            Property::ResponseTopic(topic) => publish.response_topic = Some(topic),
            Property::CorrelationData(data) => publish.correlation_data = Some(data),
            _ => {}
        }
    }
    Some(publish)
}

/// The properties of a will.
pub fn of_will(will: &LastWill) -> Option<Box<Properties>> {
    let mut standard = Vec::new();
    if let Some(delay) = will.will_delay_interval_sec {
        standard.push(Property::WillDelayInterval(delay));
    }
    if will.is_utf8_payload == Some(true) {
        standard.push(Property::PayloadFormatIndicator(1));
    }
    if let Some(interval) = will.message_expiry_interval {
        standard.push(Property::MessageExpiryInterval(interval.get()));
    }
    if let Some(kind) = &will.content_type {
        standard.push(Property::ContentType(kind.clone()));
    }
    if let Some(topic) = &will.response_topic {
        standard.push(Property::ResponseTopic(topic.clone()));
    }
    if let Some(data) = &will.correlation_data {
        standard.push(Property::CorrelationData(data.clone()));
    }
    some(standard, will.user_properties.clone())
}

/// The properties of DISCONNECT.
pub fn of_disconnect(packet: &Disconnect) -> Option<Box<Properties>> {
    let mut standard = Vec::new();
    if let Some(interval) = packet.session_expiry_interval_secs {
        standard.push(Property::SessionExpiryInterval(interval));
    }
    if let Some(server) = &packet.server_reference {
        standard.push(Property::ServerReference(server.clone()));
    }
    if let Some(reason) = &packet.reason_string {
        standard.push(Property::ReasonString(reason.clone()));
    }
    some(standard, packet.user_properties.clone())
}
