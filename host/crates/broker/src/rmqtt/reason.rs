//! Why connections, sessions and messages end: RMQTT's reasons in neutral words.
//!
//! Every variant of RMQTT's `Reason` is translated here and nowhere else. RMQTT turns errors of its decoder into text
//! before the hook sees them. [`decoding_text`] finds the error again by comparing with the texts of all errors, so
//! nothing there depends on their wording. A second CONNECT is found by the first words of RMQTT's text for it.
//!
//! Codes are those that MQTT 5 defines for the reason. RMQTT itself sends 135 instead of 142 to a client that was taken
//! over.

use std::io;

use bytestring::ByteString;

use hookhost_event::{DropReason, End, EndReason};
use hookhost_relay::{decode_error, properties};

use ::rmqtt::codec::error::{DecodeError, EncodeError, HandshakeError, ProtocolError, SendPacketError};
use ::rmqtt::codec::v5::PublishAckReason;
use ::rmqtt::net::MqttError;
use ::rmqtt::types::{Disconnect, PublishResult, Reason};

/// What RMQTT does not say about a kick.
#[derive(Debug, Clone, Copy)]
pub(super) struct EndContext {
    /// The successor asked for a clean start.
    pub(super) discarded: bool,
    /// The node is stopping.
    pub(super) stopping: bool,
}

/// Why a connection or a session has ended.
pub(super) fn end(reason: &Reason, context: EndContext) -> End {
    use EndReason as E;
    match reason {
        Reason::ConnectDisconnect(Some(Disconnect::V5(packet))) => End {
            reason: E::Disconnect,
            code: Some(packet.reason_code.into()),
            text: packet.reason_string.clone(),
            properties: properties::of_disconnect(packet),
        },
        Reason::ConnectDisconnect(Some(Disconnect::Other(text))) => plain(E::Disconnect, 0, Some(text.clone())),
        Reason::ConnectDisconnect(Some(Disconnect::V3) | None) => plain(E::Disconnect, 0, None),
        Reason::ConnectReadWriteTimeout => plain(E::IoTimeout, None, None),
        Reason::ConnectReadWriteError => plain(E::SocketError, None, None),
        Reason::ConnectRemoteClose => plain(E::Closed, None, None),
        Reason::ConnectKeepaliveTimeout => plain(E::KeepAliveTimeout, 141, None),
        Reason::ConnectKicked(true) if context.stopping => plain(E::Shutdown, 139, Some("Server shutting down".into())),
        Reason::ConnectKicked(true) => plain(E::Kicked, 152, None),
        Reason::ConnectKicked(false) if context.discarded => plain(E::Discarded, 142, None),
        Reason::ConnectKicked(false) => plain(E::TakenOver, 142, None),
        Reason::HandshakeRateExceeded => plain(E::LimitExceeded, 159, None),
        Reason::SessionExpiration => plain(E::Expired, None, None),
        Reason::SubscribeFailed(text) => plain(E::SubscribeFailed, 128, text.clone()),
        Reason::UnsubscribeFailed(text) => plain(E::UnsubscribeFailed, 128, text.clone()),
        Reason::PublishResult(result) => publish_refused(result.reason_code, result.reason_string.clone()),
        Reason::SubscribeRefused => plain(E::NotAuthorized, 135, None),
        Reason::DelayedPublishRefused | Reason::MessageQueueFull => plain(E::LimitExceeded, 151, None),
        Reason::MessageExpiration => plain(E::Expired, None, None),
        Reason::InflightWindowFull => plain(E::LimitExceeded, 147, None),
        Reason::ProtocolError(_) => plain(E::ProtocolError, 130, Some(reason.to_string().into())),
        Reason::Error(text) if text.starts_with(UNEXPECTED_PACKET) => {
            plain(E::ProtocolError, 130, Some(unexpected_packet(text)))
        }
        Reason::Error(text) => match decoding_text(text) {
            Some(end) => end,
            None => plain(E::Other, 128, Some(shown(text))),
        },
        Reason::MqttError(error) => mqtt_error(error),
        // The first one is the cause, the others are its consequences: [DISCONNECT, socket closed].
        Reason::Reasons(reasons) => reasons
            .first()
            .map_or_else(|| plain(E::Other, None, None), |r| end(r, context)),
        Reason::Unknown => plain(E::Other, None, None),
    }
}

/// Why a message was dropped, with its code and more detail in words; `receiver`: it was dropped for one receiver.
pub(super) fn drop_reason(reason: &Reason, receiver: bool) -> (DropReason, u8, Option<ByteString>) {
    use DropReason as D;
    match reason {
        Reason::MessageExpiration => (D::Expired, 0, None),
        Reason::MessageQueueFull => (D::QueueFull, 151, None),
        Reason::InflightWindowFull if receiver => (D::WindowFull, 0, None),
        Reason::InflightWindowFull => (D::ReceiveMaximumExceeded, 147, None),
        Reason::DelayedPublishRefused => (D::LimitExceeded, 151, None),
        Reason::PublishResult(result) => publish_result(result),
        Reason::MqttError(MqttError::PacketIdInUse(_)) => (D::PacketIdInUse, 145, None),
        // RMQTT has no variant for a disconnected receiver; all of its free texts about one receiver mean that.
        Reason::Error(text) if receiver => (D::Disconnected, 0, Some(shown(text))),
        Reason::Error(text) => (D::Other, 128, Some(shown(text))),
        Reason::MqttError(_) | Reason::Unknown if !receiver => (D::Other, 128, None),
        Reason::ConnectDisconnect(_)
        | Reason::ConnectReadWriteTimeout
        | Reason::ConnectReadWriteError
        | Reason::ConnectRemoteClose
        | Reason::ConnectKeepaliveTimeout
        | Reason::ConnectKicked(_)
        | Reason::HandshakeRateExceeded
        | Reason::SessionExpiration
        | Reason::SubscribeFailed(_)
        | Reason::UnsubscribeFailed(_)
        | Reason::SubscribeRefused
        | Reason::ProtocolError(_)
        | Reason::MqttError(_)
        | Reason::Reasons(_)
        | Reason::Unknown => (D::SessionEnded, 0, None),
    }
}

fn plain(reason: EndReason, code: impl Into<Option<u8>>, text: Option<ByteString>) -> End {
    End {
        reason,
        code: code.into(),
        text,
        properties: None,
    }
}

fn publish_refused(code: PublishAckReason, text: Option<ByteString>) -> End {
    let reason = match code {
        PublishAckReason::NotAuthorized => EndReason::NotAuthorized,
        PublishAckReason::QuotaExceeded => EndReason::LimitExceeded,
        PublishAckReason::TopicNameInvalid
        | PublishAckReason::PacketIdentifierInUse
        | PublishAckReason::PayloadFormatInvalid
        // RMQTT's code for a topic alias that is unknown or too high.
        | PublishAckReason::ImplementationSpecificError => EndReason::ProtocolError,
        PublishAckReason::Success | PublishAckReason::NoMatchingSubscribers | PublishAckReason::UnspecifiedError => {
            EndReason::Other
        }
    };
    plain(reason, code_of(code), text.filter(|text| !text.is_empty()))
}

/// The code of MQTT 5 for RMQTT's code, which PUBACK can have.
fn code_of(code: PublishAckReason) -> u8 {
    match code {
        // A topic alias that is unknown or too high.
        PublishAckReason::ImplementationSpecificError => 148,
        // A client that publishes too fast.
        PublishAckReason::QuotaExceeded => 150,
        code => code.into(),
    }
}

fn publish_result(result: &PublishResult) -> (DropReason, u8, Option<ByteString>) {
    let reason = match result.reason_code {
        PublishAckReason::NotAuthorized => DropReason::NotAuthorized,
        PublishAckReason::QuotaExceeded => DropReason::LimitExceeded,
        PublishAckReason::TopicNameInvalid | PublishAckReason::PayloadFormatInvalid => DropReason::Invalid,
        PublishAckReason::PacketIdentifierInUse => DropReason::PacketIdInUse,
        PublishAckReason::NoMatchingSubscribers => DropReason::NoSubscribers,
        PublishAckReason::Success
        | PublishAckReason::UnspecifiedError
        | PublishAckReason::ImplementationSpecificError => DropReason::Other,
    };
    (reason, code_of(result.reason_code), result.reason_string.clone())
}

fn mqtt_error(error: &MqttError) -> End {
    match error {
        MqttError::Handshake(HandshakeError::Protocol(error)) | MqttError::Protocol(error) => protocol_error(error),
        MqttError::Handshake(HandshakeError::Timeout) => plain(EndReason::IoTimeout, 160, None),
        MqttError::Decode(error) => decoding(error),
        MqttError::Encode(error) | MqttError::SendPacket(SendPacketError::Encode(error)) => encoding(error),
        MqttError::ReadTimeout | MqttError::CloseTimeout => plain(EndReason::IoTimeout, None, None),
        // The client did not read the packet before the timeout.
        MqttError::WriteTimeout | MqttError::FlushTimeout => plain(EndReason::TooSlow, None, None),
        MqttError::PublishAckReason(code, text) => publish_refused(*code, Some(text.clone())),
        MqttError::ServiceUnavailable => plain(EndReason::Other, 136, None),
        MqttError::InvalidProtocol => plain(EndReason::ProtocolError, 130, None),
        MqttError::TooManySubscriptions => plain(EndReason::LimitExceeded, 151, None),
        MqttError::TooManyTopicLevels => plain(EndReason::ProtocolError, 144, None),
        MqttError::SubscribeLimited(_) => plain(EndReason::LimitExceeded, 151, None),
        MqttError::IdentifierRejected => plain(EndReason::ProtocolError, 133, None),
        MqttError::PacketIdInUse(_) => plain(EndReason::ProtocolError, 145, None),
        MqttError::None => plain(EndReason::Other, 128, None),
    }
}

fn protocol_error(error: &ProtocolError) -> End {
    match error {
        ProtocolError::Decode(error) => decoding(error),
        ProtocolError::Encode(error) => encoding(error),
        ProtocolError::KeepAliveTimeout => plain(EndReason::KeepAliveTimeout, 141, None),
    }
}

/// An error of the decoder in a packet of the client.
fn decoding(error: &DecodeError) -> End {
    match error {
        DecodeError::Io(text) => socket(text),
        error => plain(
            EndReason::ProtocolError,
            decode_error::code(error),
            Some(error.to_string().into()),
        ),
    }
}

/// An error of the encoder in a packet for the client.
fn encoding(error: &EncodeError) -> End {
    match error {
        EncodeError::Io(text) => socket(text),
        EncodeError::OverMaxPacketSize { .. } => plain(EndReason::LimitExceeded, 149, None),
        EncodeError::InvalidLength
        | EncodeError::MalformedPacket
        | EncodeError::PacketIdRequired
        | EncodeError::UnsupportedVersion => plain(EndReason::InternalError, 131, Some(error.to_string().into())),
    }
}

/// The end of a socket, by the system's error text; without a system error the client closed it within a packet.
fn socket(text: &str) -> End {
    const ERRORS: [(i32, &str); 9] = [
        (32, "epipe"),
        (100, "enetdown"),
        (101, "enetunreach"),
        (103, "econnaborted"),
        (104, "econnreset"),
        (107, "enotconn"),
        (110, "etimedout"),
        (112, "ehostdown"),
        (113, "ehostunreach"),
    ];
    let named = |(number, _): &&(i32, &str)| text == io::Error::from_raw_os_error(*number).to_string();
    match ERRORS.iter().find(named) {
        Some((_, name)) => plain(EndReason::SocketError, None, Some(ByteString::from_static(name))),
        None => plain(EndReason::Closed, None, None),
    }
}

/// The decoder's error that has this text.
fn decoding_text(text: &str) -> Option<End> {
    const PLAIN: [DecodeError; 13] = [
        DecodeError::InvalidProtocol,
        DecodeError::InvalidLength,
        DecodeError::MalformedPacket,
        DecodeError::UnsupportedProtocolLevel,
        DecodeError::ConnectReservedFlagSet,
        DecodeError::InvalidConnectFlags,
        DecodeError::ConnAckReservedFlagSet,
        DecodeError::InvalidClientId,
        DecodeError::UnsupportedPacketType,
        DecodeError::PacketIdRequired,
        DecodeError::InvalidTopicFilter,
        DecodeError::InvalidTopicName,
        DecodeError::Utf8Error,
    ];
    if let Some(error) = PLAIN.iter().find(|error| error.to_string() == text) {
        return Some(decoding(error));
    }
    let too_large = DecodeError::MaxSizeExceeded { size: 0, max: 0 };
    if text.starts_with(up_to(&too_large.to_string(), '0')) {
        return Some(decoding(&too_large)).map(|end| End {
            text: Some(text.into()),
            ..end
        });
    }
    let quoted = DecodeError::Io(ByteString::new()).to_string();
    let io = text.strip_prefix(up_to(&quoted, '"'))?.strip_prefix('"')?;
    Some(socket(io.strip_suffix('"').unwrap_or(io)))
}

fn up_to(text: &str, end: char) -> &str {
    text.split(end).next().unwrap_or(text)
}

/// How RMQTT's text begins for a packet that a client must not send at this time; the debug text of the packet follows.
const UNEXPECTED_PACKET: &str = "Received an unimplemented message, ";
/// Longest text with the debug text of a packet that is shown whole, in bytes.
const MAX_PACKET_TEXT_BYTES: usize = 512;

/// The text for an unexpected packet: whole if the packet is short and has neither a password nor a payload.
fn unexpected_packet(text: &ByteString) -> ByteString {
    let has_secrets = match text.find("Connect(Connect {") {
        Some(_) => {
            !text.ends_with("password: None, cert: None }))")
                || !text.contains("last_will: None")
                || text.contains("auth_data: Some")
        }
        None => text.contains(['{', '"']),
    };
    if has_secrets || text.len() > MAX_PACKET_TEXT_BYTES {
        shown(text)
    } else {
        text.clone()
    }
}

/// The part of a free text of RMQTT's that is safe to show: after a bracket there can be a packet with a password.
fn shown(text: &str) -> ByteString {
    let safe = text.split(['(', '{', '[', '"']).next().unwrap_or_default();
    safe.chars().take(120).collect::<String>().trim_end().into()
}

#[cfg(test)]
#[path = "reason_tests.rs"]
mod tests;
