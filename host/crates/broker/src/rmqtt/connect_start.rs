//! A CONNECT that cannot be read because of its version or client id: what events say about it.

use hookhost_event::Client;
use hookhost_relay::packet::{self, FieldReader};

/// The flag of CONNECT for a clean session.
const CLEAN_SESSION: u8 = 2;

/// The beginning of a CONNECT, as far as its version allows to read it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ConnectStart<'b> {
    /// `MQTT` or `MQIsdp`.
    pub(super) name: &'b str,
    /// The version.
    pub(super) level: u8,
    pub(super) clean_start: bool,
    /// In seconds.
    pub(super) keep_alive: u16,
}

impl ConnectStart<'_> {
    /// Reads it; `None` if it is not MQTT.
    pub(super) fn read(body: &[u8]) -> Option<ConnectStart<'_>> {
        let mut fields = FieldReader::new(body);
        let name = std::str::from_utf8(fields.text()?).ok()?;
        let (level, flags, keep_alive) = (fields.byte()?, fields.byte()?, fields.number()?);
        matches!(name, "MQTT" | "MQIsdp").then_some(ConnectStart {
            name,
            level,
            clean_start: flags & CLEAN_SESSION != 0,
            keep_alive,
        })
    }

    /// Client id and user name, if the rest of the packet is that of its version, or of 3.1.1 if the version is unknown.
    pub(super) fn client(&self, body: &[u8]) -> Client {
        let mut body = body.to_vec();
        // The protocol's name and its length come first, then version and flags.
        if let Some([level, flags]) = body.get_mut(2 + self.name.len()..).and_then(<[u8]>::first_chunk_mut) {
            *level = if matches!(self.level, 3 | 5) { self.level } else { 4 };
            *flags |= CLEAN_SESSION;
        }
        match packet::connect(&body) {
            Ok(connect) => Client {
                id: connect.client_id,
                username: connect.username,
                ..Client::default()
            },
            Err(_) => Client::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_of_a_connect_is_read_whatever_its_version() {
        let start = |body| ConnectStart::read(body);
        assert_eq!(
            start(b"\0\x04MQTT\x09\x02\0\x3c\0\x01c"),
            Some(ConnectStart {
                name: "MQTT",
                level: 9,
                clean_start: true,
                keep_alive: 60
            })
        );
        assert_eq!(start(b"\0\x06MQIsdp\x03\0\0\0").map(|start| start.level), Some(3));
        for (body, id, username) in [
            (&b"\0\x04MQTT\x09\x02\0\x3c\0\x01c"[..], "c", None),
            (b"\0\x04MQTT\x04\x80\0\x3c\0\0\0\x01u", "", Some("u")),
            (b"\0\x06MQIsdp\x03\0\0\0\0\0", "", None),
            (b"\0\x04MQTT\x09\x02\0\x3c\0\x09c", "", None),
        ] {
            let client = start(body).unwrap().client(body);
            assert_eq!((&*client.id, client.username.as_deref()), (id, username), "{body:?}");
        }
        for body in [
            &b""[..],
            b"\0\x04MQTT\x04\x02\0",
            b"\0\x04mqtt\x04\x02\0\0",
            b"\xff\xffMQTT",
            b"\0\x01\xff\x04\0\0\0",
        ] {
            assert_eq!(start(body), None, "{body:?}");
        }
    }
}
