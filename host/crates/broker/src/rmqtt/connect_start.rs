//! The beginning of a CONNECT that cannot be read as a whole.

/// The beginning of a CONNECT, as far as its version allows to read it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ConnectStart<'b> {
    /// Name of the protocol.
    pub(super) name: &'b str,
    /// Version of the protocol.
    pub(super) level: u8,
    /// Whether the client wants a new session.
    pub(super) clean_start: bool,
    /// In seconds.
    pub(super) keep_alive: u16,
}

impl ConnectStart<'_> {
    /// Reads it; `None` if it is not MQTT.
    pub(super) fn read(body: &[u8]) -> Option<ConnectStart<'_>> {
        let (length, rest) = body.split_first_chunk::<2>()?;
        let length = usize::from(u16::from_be_bytes(*length));
        let name = std::str::from_utf8(rest.get(..length)?).ok()?;
        let ([level, flags, high, low], _) = rest.get(length..)?.split_first_chunk::<4>()?;
        matches!(name, "MQTT" | "MQIsdp").then_some(ConnectStart {
            name,
            level: *level,
            clean_start: flags & 2 != 0,
            keep_alive: u16::from_be_bytes([*high, *low]),
        })
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
