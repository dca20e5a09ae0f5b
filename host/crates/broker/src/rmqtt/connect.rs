//! CONNECT and CONNACK, as events show them. Pure functions.

use std::time::Duration;

use bytestring::ByteString;

use ::rmqtt::codec::types::Protocol;
use ::rmqtt::types::ConnectInfo;

use super::fitter::granted_keep_alive;
use super::limits::Limits;
use super::translate::client;
use hookhost_event::{Connack, Connection, Millis, Properties, Property};
use hookhost_listener::Peer;
use hookhost_relay::packet::Connect;
use hookhost_relay::properties::{self, SentProperties};

/// A connection, from its CONNECT, the client behind it and the limits.
pub(super) fn connection(info: &ConnectInfo, peer: &Peer, limits: &Limits) -> Connection {
    let (expiry, receive_maximum, protocol_name, properties) = match info {
        ConnectInfo::V3(_, connect) => (
            session_expiry(connect.clean_session, None, limits),
            limits.max_inflight,
            connect.protocol.name(),
            None,
        ),
        ConnectInfo::V5(_, connect) => (
            session_expiry(connect.clean_start, Some(connect.session_expiry_interval_secs), limits),
            connect
                .receive_max
                .map_or(limits.max_inflight, |max| limits.max_inflight.min(max.get())),
            Protocol(5).name(),
            // RMQTT does not pass on the packet's bytes.
            properties::of_connect(connect, SentProperties::default()),
        ),
    };
    Connection {
        client: client(info.id(), peer.address, info.proto_ver()),
        listener: peer.listener.clone(),
        transport: peer.transport(),
        local: peer.local,
        protocol_name: ByteString::from_static(protocol_name),
        // The codec refuses a protocol version with the bridge bit.
        bridge: false,
        keep_alive: info.keep_alive(),
        clean_start: info.clean_start(),
        session_expiry: expiry,
        receive_maximum,
        mountpoint: None,
        certificate: peer.event_certificate(),
        properties,
    }
}

/// How long a session outlives its connection, in seconds. `asked`: the property of CONNECT; `None` before MQTT 5.
pub(super) fn session_expiry(clean_start: bool, asked: Option<u32>, limits: &Limits) -> u32 {
    let expiry = match asked {
        Some(asked) => seconds(requested_expiry(clean_start, asked, limits)),
        None if clean_start => 0,
        None => seconds(limits.session_expiry_interval),
    };
    match seconds(limits.max_session_expiry_interval) {
        0 => expiry,
        most => expiry.min(most),
    }
}

/// The session expiry interval that counts as requested by a client of MQTT 5, before `max_session_expiry_interval` bounds
/// it. `asked`: the property of CONNECT in seconds; 0 without it.
pub(super) fn requested_expiry(clean_start: bool, asked: u32, limits: &Limits) -> Duration {
    match asked {
        0 if !clean_start => limits.default_session_expiry_interval,
        asked => Duration::from_secs(asked.into()),
    }
}

fn seconds(span: Duration) -> u32 {
    u32::try_from(span.as_secs()).unwrap_or(u32::MAX)
}

/// The connection that a CONNECT asks for which RMQTT does not get, with what RMQTT would have granted.
pub(super) fn refused_connection(connect: &Connect, peer: &Peer, limits: &Limits) -> Connection {
    let asked = (connect.version == 5).then_some(connect.session_expiry);
    Connection {
        session_expiry: session_expiry(connect.clean_start, asked, limits),
        receive_maximum: limits.max_inflight.min(connect.receive_maximum),
        ..connect.connection(peer)
    }
}

/// The code with which RMQTT will refuse a CONNECT because of its content; none if it will not.
pub(super) fn refusal(info: &ConnectInfo, limits: &Limits) -> Option<u8> {
    if info.client_id().len() > limits.max_clientid_len {
        return Some(133);
    }
    if info.auth_method().is_some() {
        return Some(140);
    }
    if !limits.retain && matches!(info, ConnectInfo::V5(..)) && info.last_will().is_some_and(|will| will.retain()) {
        return Some(154);
    }
    None
}

/// The code with which RMQTT will refuse a CONNECT after it was authenticated.
pub(super) fn late_refusal(info: &ConnectInfo, limits: &Limits) -> Option<u8> {
    let fine = match info.keep_alive() {
        0 => limits.allow_zero_keepalive,
        // For MQTT 5 the broker sends its own keep alive instead.
        asked => matches!(info, ConnectInfo::V5(..)) || (limits.min_keepalive..=limits.max_keepalive).contains(&asked),
    };
    (!fine).then_some(136)
}

/// Topic, QoS and retain flag of the will in a CONNECT.
pub(super) fn will(info: &ConnectInfo) -> Option<(&str, u8, bool)> {
    match info {
        ConnectInfo::V3(_, connect) => connect
            .last_will
            .as_ref()
            .map(|will| (&*will.topic, will.qos.value(), will.retain)),
        ConnectInfo::V5(_, connect) => connect
            .last_will
            .as_ref()
            .map(|will| (&*will.topic, will.qos.value(), will.retain)),
    }
}

/// The answer to a CONNECT that was accepted.
pub(super) fn accepted(
    info: &ConnectInfo,
    peer: &Peer,
    limits: &Limits,
    session_present: bool,
    connected_at: Option<Millis>,
) -> Connack {
    let connection = connection(info, peer, limits);
    let properties = matches!(info, ConnectInfo::V5(..)).then(|| connack_properties(&connection, limits));
    Connack {
        connection,
        code: 0,
        session_present,
        connected_at,
        properties,
    }
}

/// The answer to a CONNECT that was refused.
pub(super) fn refused(info: &ConnectInfo, peer: &Peer, limits: &Limits, code: u8) -> Connack {
    Connack {
        connection: connection(info, peer, limits),
        code,
        session_present: false,
        connected_at: None,
        properties: None,
    }
}

/// The properties that RMQTT writes into a CONNACK of MQTT 5, without the client id that it assigns.
fn connack_properties(connection: &Connection, limits: &Limits) -> Box<Properties> {
    let mut standard = Vec::with_capacity(5);
    if connection.session_expiry > 0 {
        standard.push(Property::SessionExpiryInterval(connection.session_expiry));
    }
    standard.push(Property::ReceiveMaximum(connection.receive_maximum));
    if limits.max_qos_allowed < 2 {
        standard.push(Property::MaximumQos(limits.max_qos_allowed));
    }
    if !limits.retain {
        standard.push(Property::RetainAvailable(false));
    }
    standard.push(Property::MaximumPacketSize(limits.max_packet_size));
    if limits.max_topic_aliases > 0 {
        standard.push(Property::TopicAliasMaximum(limits.max_topic_aliases));
    }
    if !limits.shared_subscription {
        standard.push(Property::SharedSubscriptionAvailable(false));
    }
    let keep_alive = granted_keep_alive(connection.keep_alive, limits.min_keepalive..=limits.max_keepalive);
    standard.push(Property::ServerKeepAlive(keep_alive));
    Box::new(Properties {
        standard,
        user: Vec::new(),
    })
}

#[cfg(test)]
#[path = "connect_tests.rs"]
mod tests;
