//! The header of the PROXY protocol, versions 1 and 2: a proxy names the client's address in it.
//!
//! The header is read byte by byte up to its end and no further, however it is split over segments. What follows it
//! belongs to the next layer.

use std::io;
use std::net::SocketAddr;

use ppp::HeaderResult;
use tokio::io::{AsyncRead, AsyncReadExt};

/// How version 2 begins.
const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// Bytes of version 2 before its addresses.
const FIXED_BYTES: usize = 16;
/// The longest header of version 1.
const MAX_V1_BYTES: usize = 107;
/// The longest header of version 2 that is read: addresses and extensions such as a certificate's subject.
const MAX_V2_BYTES: usize = 4096;

/// The addresses that a header names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ProxyAddresses {
    /// The client's address and the one that it connected to.
    Addresses(SocketAddr, SocketAddr),
    /// None: the proxy itself connects, for example to check that the listener lives.
    Nothing,
}

/// Why a header is not read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HeaderError {
    /// The connection has failed or ended.
    #[error("the connection ended within the PROXY header")]
    Io(#[from] io::Error),
    /// It is not a header.
    #[error("no valid PROXY header")]
    Invalid,
}

/// Reads a header, which the connection must begin with.
pub(crate) async fn read(from: &mut (impl AsyncRead + Unpin)) -> Result<ProxyAddresses, HeaderError> {
    let mut bytes = vec![0; SIGNATURE.len()];
    from.read_exact(&mut bytes).await?;
    if bytes == SIGNATURE {
        grow(from, &mut bytes, FIXED_BYTES).await?;
        let length = match bytes.as_slice() {
            [.., high, low] => usize::from(u16::from_be_bytes([*high, *low])),
            _ => 0,
        };
        if FIXED_BYTES + length > MAX_V2_BYTES {
            return Err(HeaderError::Invalid);
        }
        grow(from, &mut bytes, FIXED_BYTES + length).await?;
    } else {
        // Version 1 is a line, longer than the signature in every case.
        while !bytes.ends_with(b"\n") {
            if !bytes.starts_with(b"PROXY ") || bytes.len() >= MAX_V1_BYTES {
                return Err(HeaderError::Invalid);
            }
            let length = bytes.len() + 1;
            grow(from, &mut bytes, length).await?;
        }
    }
    parse(&bytes).ok_or(HeaderError::Invalid)
}

/// Reads until `bytes` are as many as `length`.
async fn grow(from: &mut (impl AsyncRead + Unpin), bytes: &mut Vec<u8>, length: usize) -> io::Result<()> {
    let had = bytes.len();
    bytes.resize(length, 0);
    from.read_exact(bytes.get_mut(had..).unwrap_or_default()).await?;
    Ok(())
}

/// The addresses in a whole header; `None` if it is not one.
pub(crate) fn parse(header: &[u8]) -> Option<ProxyAddresses> {
    let (four, six) = match HeaderResult::parse(header) {
        HeaderResult::V1(header) => match header.ok()?.addresses {
            ppp::v1::Addresses::Unknown => return Some(ProxyAddresses::Nothing),
            ppp::v1::Addresses::Tcp4(four) => (Some(four), None),
            ppp::v1::Addresses::Tcp6(six) => (None, Some(six)),
        },
        HeaderResult::V2(header) => {
            let header = header.ok()?;
            if header.command == ppp::v2::Command::Local {
                return Some(ProxyAddresses::Nothing);
            }
            match header.addresses {
                ppp::v2::Addresses::Unspecified | ppp::v2::Addresses::Unix(_) => return Some(ProxyAddresses::Nothing),
                ppp::v2::Addresses::IPv4(four) => (Some(four), None),
                ppp::v2::Addresses::IPv6(six) => (None, Some(six)),
            }
        }
    };
    let four = four.map(|four| {
        let to = (four.destination_address, four.destination_port).into();
        ProxyAddresses::Addresses((four.source_address, four.source_port).into(), to)
    });
    let six = six.map(|six| {
        let to = (six.destination_address, six.destination_port).into();
        ProxyAddresses::Addresses((six.source_address, six.source_port).into(), to)
    });
    four.or(six)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x0a\0\0\x05\x7f\0\0\x01\xc3\x50\x07\x5b";

    fn named() -> ProxyAddresses {
        ProxyAddresses::Addresses("10.0.0.5:50000".parse().unwrap(), "127.0.0.1:1883".parse().unwrap())
    }

    /// Version 2 with extensions.
    fn with_extensions() -> Vec<u8> {
        let mut header = V2.to_vec();
        header[15] = 12 + 8;
        header.extend(b"\x04\0\x05hello");
        header
    }

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().build().unwrap()
    }

    /// Reads a header from these bytes; returns it and how many bytes are left.
    fn read_all(bytes: &[u8]) -> (Result<ProxyAddresses, HeaderError>, usize) {
        let mut rest = bytes;
        let read = runtime().block_on(read(&mut rest));
        (read, rest.len())
    }

    #[test]
    fn headers() {
        let six = [
            b"\r\n\r\n\0\r\nQUIT\n\x21\x21\0\x24".as_slice(),
            &[0; 15],
            &[1],
            &[0; 15],
            &[1],
            b"\xc3\x50\x07\x5b",
        ]
        .concat();
        let local = b"\r\n\r\n\0\r\nQUIT\n\x20\x00\0\0";
        let of_six = ProxyAddresses::Addresses("[::1]:50000".parse().unwrap(), "[::1]:1883".parse().unwrap());
        for (bytes, expected) in [
            (V2, named()),
            (&with_extensions(), named()),
            (&six, of_six),
            (local, ProxyAddresses::Nothing),
            (b"PROXY TCP4 10.0.0.5 127.0.0.1 50000 1883\r\n", named()),
            (b"PROXY TCP6 ::1 ::1 50000 1883\r\n", of_six),
            (b"PROXY UNKNOWN\r\n", ProxyAddresses::Nothing),
            (b"PROXY UNKNOWN what ever\r\n", ProxyAddresses::Nothing),
        ] {
            let and_more = [bytes, b"\x10\x0c\0\x04MQTT"].concat();
            let (read, rest) = read_all(&and_more);
            assert_eq!((read.unwrap(), rest), (expected, 8), "{bytes:?}");
        }
    }

    #[test]
    fn what_is_no_header() {
        let mut long = V2.to_vec();
        long[14..16].copy_from_slice(&[0xff, 0xff]);
        long.resize(70_000, 0);
        let mut version = V2.to_vec();
        version[12] = 0x31;
        for bytes in [
            b"\x10\x0c\0\x04MQTT\x04\x02\0\x3c\0\0".as_slice(),
            b"GET /mqtt HTTP/1.1\r\n\r\n",
            b"PROXY TCP4 10.0.0.5 127.0.0.1 50000 1883\n",
            b"PROXY TCP4 10.0.0.500 127.0.0.1 50000 1883\r\n",
            b"PROXY TCP4 10.0.0.5 127.0.0.1 70000 1883\r\n",
            b"proxy tcp4 10.0.0.5 127.0.0.1 50000 1883\r\n",
            &long,
            &version,
            &[b"PROXY TCP4 ".as_slice(), &[b'1'; 200]].concat(),
        ] {
            let (read, _) = read_all(bytes);
            assert!(matches!(read, Err(HeaderError::Invalid)), "{bytes:?}: {read:?}");
        }
        let (cut, _) = read_all(&V2[..20]);
        assert!(matches!(cut, Err(HeaderError::Io(_))));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _any = read_all(&bytes);
            let _any = read_all(&[V2.get(..14).unwrap(), &bytes].concat());
            let _any = read_all(&[b"PROXY TCP".as_slice(), &bytes].concat());
        }

        #[test]
        fn a_header_may_be_split_anywhere(cut in 1usize..36, version_1 in any::<bool>()) {
            let header = if version_1 { b"PROXY TCP4 10.0.0.5 127.0.0.1 50000 1883\r\n".to_vec() } else { with_extensions() };
            runtime().block_on(async {
                let (mut client, mut server) = tokio::io::duplex(1024);
                let (first, second) = header.split_at(cut);
                tokio::io::AsyncWriteExt::write_all(&mut client, first).await.unwrap();
                let reading = async { read(&mut server).await.unwrap() };
                let writing = async {
                    tokio::task::yield_now().await;
                    tokio::io::AsyncWriteExt::write_all(&mut client, second).await.unwrap();
                };
                let (read, ()) = tokio::join!(reading, writing);
                assert_eq!(read, named());
            });
        }
    }
}
