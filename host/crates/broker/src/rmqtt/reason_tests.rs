//! Each of RMQTT's reasons, and what is shown of its texts.

use ::rmqtt::codec::v5;

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
            (E::ProtocolError, Some(130), Some("x")),
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

#[test]
fn a_packet_in_a_free_text_is_not_shown() {
    let text = "Received an unimplemented message, V3(Connect(Connect { password: Some(b\"secret\") }))";
    check(
        Reason::Error(text.into()),
        (
            EndReason::Other,
            Some(128),
            Some("Received an unimplemented message, V3"),
        ),
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
        (refused(PublishAckReason::QuotaExceeded), false, (D::LimitExceeded, 151)),
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
