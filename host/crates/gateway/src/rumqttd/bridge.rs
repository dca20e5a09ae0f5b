//! Both directions between the gateway and rumqttd, through the [`Shield`].
//!
//! A side is read only when the other one has taken what came before, so each direction holds the packets of one piece.
//! rumqttd is read while it does not read itself, because it may wait for that.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWriteExt, DuplexStream, ReadBuf, WriteHalf};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::shield::{Out, Shield};
use crate::frame::{Framer, Piece};
use crate::packet::{self, InvalidPacket, kind};
use crate::publisher_property;

/// Bytes that are read at a time.
const PIECE: usize = 64 << 10;
/// How long rumqttd may stay connected when the client has gone.
const LINGER: Duration = Duration::from_secs(10);
/// How long the last packets may take to the client.
const CLOSING_TIMEOUT: Duration = Duration::from_secs(2);
/// By how much a packet may become longer in rumqttd's form.
const SHIELD_BYTES: usize = 1024;

thread_local! {
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; PIECE].into_boxed_slice());
}

/// Why a bridge has ended.
pub(super) enum Ended {
    /// One side has closed, or another connection of the client takes over.
    Closed,
    /// The client has sent a packet that may not reach rumqttd; code of MQTT 5.
    Violation(u8),
}

/// One client's connection to rumqttd after CONNACK.
pub(super) struct Bridge {
    shield: Shield,
    from_client: Framer,
    from_rumqttd: Framer,
    /// Packets that are not yet written.
    out: Out,
    /// Nothing more is read from the client.
    client_ended: bool,
    /// Nothing more can be written to the client. What it has sent before still goes to rumqttd.
    client_gone: bool,
    has_disconnected: bool,
    violation: Option<u8>,
}

impl Bridge {
    /// A bridge whose client has to be sent CONNACK first, and whose packets have at most this length.
    pub(super) fn new(shield: Shield, max_packet_size: usize, connack: Vec<u8>) -> Bridge {
        Bridge {
            shield,
            from_client: Framer::new(max_packet_size),
            from_rumqttd: Framer::new(max_packet_size + SHIELD_BYTES + publisher_property::MAX_ADDED_BYTES),
            out: Out {
                up: Vec::new(),
                down: connack,
                close: false,
            },
            client_ended: false,
            client_gone: false,
            has_disconnected: false,
            violation: None,
        }
    }

    /// Whether DISCONNECT has gone to rumqttd.
    pub(super) fn has_disconnected(&self) -> bool {
        self.has_disconnected && self.out.up.is_empty()
    }

    /// Moves packets until one side closes or `replaced` is cancelled. `early` and `ahead`: what the client and rumqttd
    /// have sent already.
    pub(super) async fn run(
        &mut self,
        client: &mut DuplexStream,
        rumqttd: &mut TcpStream,
        early: Vec<u8>,
        ahead: Vec<u8>,
        replaced: &CancellationToken,
    ) -> Ended {
        let (mut client_in, mut client_out) = tokio::io::split(client);
        let (mut rumqttd_in, mut rumqttd_out) = rumqttd.split();
        self.take_from_rumqttd(&ahead);
        self.take_from_client(&early);
        let mut deadline = None;
        let mut is_shut = false;
        loop {
            if let Some(code) = self.violation {
                self.flush(&mut client_out).await;
                return Ended::Violation(code);
            }
            if self.client_ended && deadline.is_none() {
                deadline = Some(Instant::now() + LINGER);
            }
            if self.client_ended && !self.has_disconnected && !is_shut && self.out.up.is_empty() {
                is_shut = true;
                // A connection that has failed is noticed when it is read.
                drop(rumqttd_out.shutdown().await);
            }
            if self.client_gone {
                self.out.down.clear();
            }
            let is_clear = self.out.down.is_empty();
            let reads_client = is_clear && self.out.up.is_empty() && !self.client_ended;
            tokio::select! {
                written = client_out.write(&self.out.down), if !is_clear => {
                    self.client_gone = !advance(&mut self.out.down, written);
                }
                written = rumqttd_out.write(&self.out.up), if !self.out.up.is_empty() => {
                    if !advance(&mut self.out.up, written) {
                        self.flush(&mut client_out).await;
                        return Ended::Closed;
                    }
                }
                piece = read_piece(&mut rumqttd_in), if is_clear => match piece {
                    Some(piece) => self.take_from_rumqttd(&piece),
                    None => return Ended::Closed,
                },
                piece = read_piece(&mut client_in), if reads_client => match piece {
                    Some(piece) => self.take_from_client(&piece),
                    None => self.client_ended = true,
                },
                () = replaced.cancelled() => {
                    if self.shield.version() == 5 {
                        self.out.down.extend(packet::disconnect(142));
                    }
                    self.flush(&mut client_out).await;
                    return Ended::Closed;
                }
                () = sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() => {
                    return Ended::Closed;
                }
            }
        }
    }

    fn take_from_client(&mut self, mut bytes: &[u8]) {
        while let Some(piece) = self.from_client.next(&mut bytes) {
            let taken = match piece {
                Piece::Packet(frame) => {
                    let taken = self.shield.up(frame, &mut self.out);
                    if frame.kind() == kind::DISCONNECT {
                        self.client_ended = true;
                        self.has_disconnected = taken.is_ok() && !self.out.close;
                    }
                    taken
                }
                Piece::TooLong => Err(InvalidPacket(149)),
                Piece::Broken => Err(InvalidPacket(129)),
            };
            if let Err(InvalidPacket(code)) = taken {
                self.violation = Some(code);
            }
            if self.client_ended || self.violation.is_some() {
                return;
            }
        }
    }

    fn take_from_rumqttd(&mut self, mut bytes: &[u8]) {
        while let Some(piece) = self.from_rumqttd.next(&mut bytes) {
            let taken = match piece {
                Piece::Packet(frame) => self.shield.down(frame, &mut self.out),
                Piece::TooLong => Err(InvalidPacket(149)),
                Piece::Broken => Err(InvalidPacket(129)),
            };
            if let Err(InvalidPacket(code)) = taken {
                self.violation = Some(code);
                return;
            }
        }
    }

    /// Writes what the client has not yet got, as far as it takes it in time.
    async fn flush(&mut self, client_out: &mut WriteHalf<&mut DuplexStream>) {
        drop(timeout(CLOSING_TIMEOUT, client_out.write_all(&self.out.down)).await);
    }
}

/// Removes what was written; false if the stream is closed.
fn advance(out: &mut Vec<u8>, written: io::Result<usize>) -> bool {
    match written {
        Ok(count) if count > 0 => {
            out.drain(..count);
            true
        }
        _ => false,
    }
}

/// Reads what is there; `None` when the stream is closed. Holds no memory while it waits.
async fn read_piece(from: &mut (impl AsyncRead + Unpin)) -> Option<Vec<u8>> {
    std::future::poll_fn(|cx| {
        SCRATCH.with_borrow_mut(|scratch| {
            let mut buffer = ReadBuf::new(scratch);
            match Pin::new(&mut *from).poll_read(cx, &mut buffer) {
                Poll::Pending => Poll::Pending,
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => Poll::Ready(Some(buffer.filled().to_vec())),
                Poll::Ready(_) => Poll::Ready(None),
            }
        })
    })
    .await
}
