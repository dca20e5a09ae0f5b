//! The header of the PROXY protocol, version 2: it tells the upstream the client's address.

use std::net::SocketAddr;

const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";

/// The header for a client's connection to this host; without addresses, that of a connection of the proxy itself.
pub(super) fn header(client: Option<SocketAddr>, local: Option<SocketAddr>) -> Vec<u8> {
    let mut out = SIGNATURE.to_vec();
    let (Some(client), Some(local)) = (client, local) else {
        // Version 2, command LOCAL, no addresses.
        out.extend([0x20, 0, 0, 0]);
        return out;
    };
    // Version 2, command PROXY.
    out.push(0x21);
    let ports = [client.port().to_be_bytes(), local.port().to_be_bytes()].concat();
    match (client, local) {
        (SocketAddr::V4(client), SocketAddr::V4(local)) => {
            out.extend([0x11, 0, 12]);
            out.extend(client.ip().octets());
            out.extend(local.ip().octets());
        }
        _ => {
            let octets = |address: SocketAddr| match address {
                SocketAddr::V4(address) => address.ip().to_ipv6_mapped().octets(),
                SocketAddr::V6(address) => address.ip().octets(),
            };
            out.extend([0x21, 0, 36]);
            out.extend(octets(client));
            out.extend(octets(local));
        }
    }
    out.extend(ports);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers() {
        let header = |client: &str, local: &str| header(client.parse().ok(), local.parse().ok());
        let four = header("10.0.0.5:50000", "127.0.0.1:1883");
        assert_eq!(
            four,
            b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x0a\0\0\x05\x7f\0\0\x01\xc3\x50\x07\x5b"
        );
        let six = header("[::1]:50000", "[::1]:1883");
        assert_eq!(&six[12..16], [0x21, 0x21, 0, 36]);
        assert_eq!(six.len(), 16 + 36);
        let mixed = header("10.0.0.5:1", "[::1]:1883");
        assert_eq!(header("", ""), b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0");
        assert_eq!(&mixed[16..32], b"\0\0\0\0\0\0\0\0\0\0\xff\xff\x0a\0\0\x05");
    }
}
