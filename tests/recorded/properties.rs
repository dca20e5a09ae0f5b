//! Properties of MQTT 5 as bytes.

use hookhost_tests::packet::string;

/// The bytes of some properties, one after the other.
#[derive(Default, Clone)]
pub(crate) struct Properties(pub(crate) Vec<u8>);

impl Properties {
    /// A property of one byte.
    pub(crate) fn byte(mut self, id: u8, value: u8) -> Properties {
        self.0.extend([id, value]);
        self
    }

    /// A property of two bytes.
    pub(crate) fn short(mut self, id: u8, value: u16) -> Properties {
        self.0.push(id);
        self.0.extend(value.to_be_bytes());
        self
    }

    /// A property of four bytes.
    pub(crate) fn long(mut self, id: u8, value: u32) -> Properties {
        self.0.push(id);
        self.0.extend(value.to_be_bytes());
        self
    }

    /// A text, or bytes.
    pub(crate) fn text(mut self, id: u8, value: &[u8]) -> Properties {
        self.0.push(id);
        string(&mut self.0, value);
        self
    }

    /// A user property.
    pub(crate) fn user(mut self, name: &str, value: &str) -> Properties {
        self.0.push(id::USER_PROPERTY);
        string(&mut self.0, name.as_bytes());
        string(&mut self.0, value.as_bytes());
        self
    }
}

/// Identifiers of properties.
pub(crate) mod id {
    pub(crate) const PAYLOAD_FORMAT_INDICATOR: u8 = 0x01;
    pub(crate) const MESSAGE_EXPIRY_INTERVAL: u8 = 0x02;
    pub(crate) const CONTENT_TYPE: u8 = 0x03;
    pub(crate) const RESPONSE_TOPIC: u8 = 0x08;
    pub(crate) const CORRELATION_DATA: u8 = 0x09;
    pub(crate) const SUBSCRIPTION_IDENTIFIER: u8 = 0x0b;
    pub(crate) const SESSION_EXPIRY_INTERVAL: u8 = 0x11;
    pub(crate) const WILL_DELAY_INTERVAL: u8 = 0x18;
    pub(crate) const REASON_STRING: u8 = 0x1f;
    pub(crate) const RECEIVE_MAXIMUM: u8 = 0x21;
    pub(crate) const TOPIC_ALIAS: u8 = 0x23;
    pub(crate) const USER_PROPERTY: u8 = 0x26;
}
