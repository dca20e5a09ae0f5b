//! Each of RMQTT's reasons, and what is shown of its texts.

use ::rmqtt::codec::types::{Protocol, QoS};
use ::rmqtt::codec::{v3, v5};
use ::rmqtt::types::Packet;

use super::*;

const PLAIN: EndContext = EndContext {
    discarded: false,
    stopping: false,
};

fn check(reason: Reason, expected: (EndReason, Option<u8>, Option<&str>)) {
    let got = end(&reason, PLAIN);
    assert_eq!((got.reason, got.code, got.text.as_deref()), expected, "{reason:?}");
}

#[test]
fn ends() {
    use EndReason as E;
    let io = |n: i32| DecodeError::from(io::Error::from_raw_os_error(n));
    for (reason, expected) in [
        (
            Reason::Reasons(vec![
                Reason::ConnectDisconnect(Some(Disconnect::V3)),
                Reason::ConnectRemoteClose,
            ]),
            (E::Disconnect, Some(0), None),
        ),
        (Reason::ConnectDisconnect(None), (E::Disconnect, Some(0), None)),
        (Reason::ConnectRemoteClose, (E::Closed, None, None)),
        (Reason::ConnectReadWriteTimeout, (E::IoTimeout, None, None)),
        (Reason::ConnectReadWriteError, (E::SocketError, None, None)),
        (Reason::ConnectKeepaliveTimeout, (E::KeepAliveTimeout, Some(141), None)),
        (Reason::ConnectKicked(true), (E::Kicked, Some(152), None)),
        (Reason::ConnectKicked(false), (E::TakenOver, Some(142), None)),
        (Reason::HandshakeRateExceeded, (E::LimitExceeded, Some(159), None)),
        (Reason::SessionExpiration, (E::Expired, None, None)),
        (
            Reason::SubscribeFailed(Some("no".into())),
            (E::SubscribeFailed, Some(128), Some("no")),
        ),
        (Reason::UnsubscribeFailed(None), (E::UnsubscribeFailed, Some(128), None)),
        (
            Reason::PublishResult(PublishResult::reason_code(PublishAckReason::NotAuthorized, None, true)),
            (E::NotAuthorized, Some(135), None),
        ),
        (Reason::SubscribeRefused, (E::NotAuthorized, Some(135), None)),
        (Reason::DelayedPublishRefused, (E::LimitExceeded, Some(151), None)),
        (Reason::InflightWindowFull, (E::LimitExceeded, Some(147), None)),
        (
            Reason::ProtocolError("x".into()),
            (E::ProtocolError, Some(130), Some("ProtocolError(x)")),
        ),
        (Reason::Unknown, (E::Other, None, None)),
        (Reason::Reasons(vec![]), (E::Other, None, None)),
        (
            Reason::MqttError(MqttError::PublishAckReason(
                PublishAckReason::TopicNameInvalid,
                "t".into(),
            )),
            (E::ProtocolError, Some(144), Some("t")),
        ),
        (Reason::MqttError(MqttError::WriteTimeout), (E::TooSlow, None, None)),
        (
            Reason::MqttError(MqttError::SendPacket(SendPacketError::Encode(
                io::Error::from_raw_os_error(32).into(),
            ))),
            (E::SocketError, None, Some("epipe")),
        ),
        // As they come out of RMQTT's connection loop: text only.
        (
            Reason::Error(DecodeError::MalformedPacket.to_string().into()),
            (E::ProtocolError, Some(129), Some("Malformed packet")),
        ),
        (
            Reason::Error(io(104).to_string().into()),
            (E::SocketError, None, Some("econnreset")),
        ),
        (
            Reason::Error(
                DecodeError::from(io::Error::other("bytes remaining on stream"))
                    .to_string()
                    .into(),
            ),
            (E::Closed, None, None),
        ),
    ] {
        check(reason, expected);
    }
}

#[test]
fn what_the_decoder_says_survives_being_text() {
    for (error, code) in [
        (DecodeError::InvalidLength, 129),
        (DecodeError::Utf8Error, 129),
        (DecodeError::UnsupportedPacketType, 130),
        (DecodeError::InvalidTopicName, 144),
        (DecodeError::InvalidTopicFilter, 143),
        (
            DecodeError::MaxSizeExceeded {
                size: 5_000_000,
                max: 1_048_576,
            },
            149,
        ),
    ] {
        let text = error.to_string();
        check(
            Reason::Error(text.clone().into()),
            (EndReason::ProtocolError, Some(code), Some(&text)),
        );
    }
}

/// RMQTT's text for a packet that a client must not send.
fn unexpected(packet: &impl std::fmt::Debug) -> String {
    format!("Received an unimplemented message, {packet:?}")
}

#[test]
fn a_second_connect_is_a_protocol_error_in_the_words_of_rmqtt() {
    let short = |text: &str| (EndReason::ProtocolError, Some(130), Some(text.to_owned()));
    let connect = v3::Connect {
        protocol: Protocol(4),
        clean_session: true,
        keep_alive: 60,
        client_id: "c2".into(),
        ..v3::Connect::default()
    };
    let secret = Some(bytes::Bytes::from_static(b"secret"));
    let will = v3::LastWill {
        qos: QoS::AtMostOnce,
        retain: false,
        topic: "t".into(),
        message: "private".into(),
    };
    let v3 = |connect: &v3::Connect| unexpected(&Packet::V3(v3::Packet::Connect(Box::new(connect.clone()))));
    let whole = "Received an unimplemented message, V3(Connect(Connect { protocol: Protocol(4), clean_session: true, \
                 keep_alive: 60, last_will: None, client_id: \"c2\", username: None, password: None, cert: None }))";
    let v5 = v5::Connect {
        auth_data: secret.clone(),
        client_id: "c2".into(),
        ..v5::Connect::default()
    };
    let cut = |version: &str| short(&format!("Received an unimplemented message, V{version}"));
    for (text, expected) in [
        (v3(&connect), short(whole)),
        (
            v3(&v3::Connect {
                password: secret.clone(),
                ..connect.clone()
            }),
            cut("3"),
        ),
        (
            v3(&v3::Connect {
                last_will: Some(will),
                ..connect.clone()
            }),
            cut("3"),
        ),
        (
            v3(&v3::Connect {
                client_id: "c".repeat(1000).into(),
                ..connect
            }),
            cut("3"),
        ),
        (unexpected(&Packet::V5(v5::Packet::Connect(Box::new(v5)))), cut("5")),
        (
            unexpected(&Packet::V3(v3::Packet::PingResponse)),
            short("Received an unimplemented message, V3(PingResponse)"),
        ),
    ] {
        let (reason, code, expected) = expected;
        check(Reason::Error(text.into()), (reason, code, expected.as_deref()));
    }
}

#[test]
fn a_packet_in_a_free_text_is_not_shown() {
    let text = "something else, V3(Connect(Connect { password: Some(b\"secret\") }))";
    check(
        Reason::Error(text.into()),
        (EndReason::Other, Some(128), Some("something else, V3")),
    );
}

#[test]
fn kicks_have_the_reason_of_who_kicked() {
    let kicked = |admin, discarded, stopping| {
        let end = end(&Reason::ConnectKicked(admin), EndContext { discarded, stopping });
        (end.reason, end.code)
    };
    assert_eq!(kicked(false, true, false), (EndReason::Discarded, Some(142)));
    assert_eq!(kicked(true, true, true), (EndReason::Shutdown, Some(139)));
    assert_eq!(kicked(false, false, true), (EndReason::TakenOver, Some(142)));
}

#[test]
fn a_disconnect_of_mqtt_5_keeps_its_code_and_properties() {
    let mut packet = v5::Disconnect::new(v5::DisconnectReasonCode::DisconnectWithWillMessage);
    packet.reason_string = Some("bye".into());
    packet.session_expiry_interval_secs = Some(7);
    let reason = Reason::Reasons(vec![
        Reason::ConnectDisconnect(Some(Disconnect::V5(packet))),
        Reason::ConnectRemoteClose,
    ]);
    let end = end(&reason, PLAIN);
    assert_eq!((end.reason, end.code), (EndReason::Disconnect, Some(4)));
    let properties = end.properties.expect("it has some");
    assert_eq!(properties.standard.len(), 2);
}

#[test]
fn drops() {
    use DropReason as D;
    let refused = |code| Reason::PublishResult(PublishResult::reason_code(code, None, false));
    for (reason, receiver, expected) in [
        (Reason::MessageExpiration, true, (D::Expired, 0)),
        (Reason::MessageQueueFull, true, (D::QueueFull, 151)),
        (Reason::InflightWindowFull, true, (D::WindowFull, 0)),
        (Reason::InflightWindowFull, false, (D::ReceiveMaximumExceeded, 147)),
        (refused(PublishAckReason::NotAuthorized), false, (D::NotAuthorized, 135)),
        (refused(PublishAckReason::TopicNameInvalid), false, (D::Invalid, 144)),
        (refused(PublishAckReason::QuotaExceeded), false, (D::LimitExceeded, 150)),
        (Reason::from_static("Tx is closed"), true, (D::Disconnected, 0)),
        (Reason::SessionExpiration, true, (D::SessionEnded, 0)),
        (
            Reason::Reasons(vec![Reason::ConnectRemoteClose]),
            true,
            (D::SessionEnded, 0),
        ),
        (Reason::Unknown, false, (D::Other, 128)),
    ] {
        let (got, code, _) = drop_reason(&reason, receiver);
        assert_eq!((got, code), expected, "{reason:?}");
    }
}
