//! Reading from streams: whole packets, and the rest until the end.

use tokio::io::{AsyncRead, AsyncReadExt};

use super::frame;
use super::packet::kind;

/// Why no packet was read.
#[derive(Debug)]
pub enum PacketReadError {
    /// The connection was closed or has failed.
    Closed,
    /// The bytes are not the expected packet, or not MQTT at all.
    NotMqtt,
}

/// Reads CONNECT; returns it and the bytes after it.
///
/// # Errors
///
/// [`PacketReadError`] if the connection does not begin with a CONNECT of up to `max_packet_size` bytes.
pub async fn read_connect(
    from: &mut (impl AsyncRead + Unpin + ?Sized),
    max_packet_size: usize,
) -> Result<(Vec<u8>, Vec<u8>), PacketReadError> {
    let mut bytes = Vec::new();
    let is_connect = |first: u8| first == kind::CONNECT << 4;
    let length = read_packet(from, &mut bytes, max_packet_size, is_connect).await?;
    let early = bytes.split_off(length);
    Ok((bytes, early))
}

/// Reads until a whole packet is in `bytes`; returns its length. `is_expected` checks its first byte, type and flags.
pub async fn read_packet(
    from: &mut (impl AsyncRead + Unpin + ?Sized),
    bytes: &mut Vec<u8>,
    max_packet_size: usize,
    is_expected: impl Fn(u8) -> bool,
) -> Result<usize, PacketReadError> {
    loop {
        if bytes.first().is_some_and(|first| !is_expected(*first)) {
            return Err(PacketReadError::NotMqtt);
        }
        match frame::whole(bytes, max_packet_size) {
            Ok(Some(length)) => return Ok(length),
            Ok(None) => {}
            Err(frame::InvalidLength) => return Err(PacketReadError::NotMqtt),
        }
        match from.read_buf(bytes).await {
            Ok(0) | Err(_) => return Err(PacketReadError::Closed),
            Ok(_) => {}
        }
    }
}

/// Waits until the other side has closed. Bytes that arrive meanwhile are appended to `held`; once it has `limit` bytes,
/// nothing more is read and the wait does not end.
pub async fn closed(stream: &mut (impl AsyncRead + Unpin + ?Sized), held: &mut Vec<u8>, limit: usize) {
    while held.len() < limit {
        // Not into an array: the task of each client would have space for it.
        if !matches!(stream.read_buf(held).await, Ok(1..)) {
            return;
        }
    }
    std::future::pending().await
}

/// Reads until the other side has closed.
pub async fn drain(stream: &mut (impl AsyncRead + Unpin + ?Sized)) {
    let mut rest = [0; 1024];
    while matches!(stream.read(&mut rest).await, Ok(count) if count > 0) {}
}
