//! What `rmqtt-codec` says about a packet that it cannot read, as a code of MQTT 5: the same for both engines.

use rmqtt_codec::error::DecodeError;

/// The code of MQTT 5 for an error.
pub fn code(error: &DecodeError) -> u8 {
    match error {
        DecodeError::InvalidProtocol | DecodeError::UnsupportedPacketType | DecodeError::PacketIdRequired => 130,
        DecodeError::UnsupportedProtocolLevel => 132,
        DecodeError::InvalidClientId => 133,
        DecodeError::InvalidTopicFilter => 143,
        DecodeError::InvalidTopicName => 144,
        DecodeError::MaxSizeExceeded { .. } => 149,
        DecodeError::InvalidLength
        | DecodeError::MalformedPacket
        | DecodeError::ConnectReservedFlagSet
        | DecodeError::InvalidConnectFlags
        | DecodeError::ConnAckReservedFlagSet
        | DecodeError::Utf8Error
        | DecodeError::Io(_) => 129,
    }
}
