//! One direction: what is read on one side and written on the other.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use super::frame::Framer;
use super::inspector::{Inspector, Side};
use super::relay::Relay;
use super::stream::UpstreamStream;

/// Bytes that are read at a time.
pub(crate) const MAX_PIECE_BYTES: usize = 64 << 10;

thread_local! {
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; MAX_PIECE_BYTES].into_boxed_slice());
}

/// One direction.
pub struct Direction {
    /// Finds packets.
    pub framer: Framer,
    /// What was read and is not yet written.
    pub out: Vec<u8>,
    pub(crate) sent: usize,
    /// Whether what was written may still be in a buffer of TLS.
    unflushed: bool,
    /// Whether the sender has closed, and whether the receiver's side was shut down.
    pub(crate) ended: bool,
    shut: bool,
}

impl Direction {
    /// A direction in which nothing was read; packets of up to `longest` bytes are found.
    pub fn new(longest: usize) -> Direction {
        Direction {
            framer: Framer::new(longest),
            out: Vec::new(),
            sent: 0,
            unflushed: false,
            ended: false,
            shut: false,
        }
    }

    pub(crate) fn is_clear(&self) -> bool {
        self.out.is_empty()
    }
}

/// Which side has failed.
pub(crate) enum Fault {
    Client(io::Error),
    Upstream,
}

impl<I: Inspector, U: UpstreamStream> Relay<I, U> {
    /// Writes what came from one side to the other one; whether anything moved.
    pub(crate) fn write(&mut self, from: Side, cx: &mut Context<'_>) -> Result<bool, Fault> {
        let mut moved = false;
        loop {
            let direction = self.direction(from);
            if direction.is_clear() {
                break;
            }
            let (out, sent) = (std::mem::take(&mut direction.out), direction.sent);
            let wrote = self.write_to(from, cx, out.get(sent..).unwrap_or_default());
            let direction = self.direction(from);
            match wrote {
                Poll::Ready(Ok(count)) => {
                    moved = true;
                    direction.unflushed = true;
                    if sent + count < out.len() {
                        direction.sent = sent + count;
                        direction.out = out;
                    } else {
                        direction.sent = 0;
                    }
                    self.unblocked(from);
                }
                Poll::Ready(Err(fault)) => return Err(fault),
                Poll::Pending => {
                    direction.out = out;
                    self.blocked(from);
                    return Ok(moved);
                }
            }
        }
        if self.direction(from).unflushed && self.flush_to(from, cx)?.is_ready() {
            self.direction(from).unflushed = false;
        }
        // The client learns of the upstream's end from `over`, which may send it DISCONNECT first.
        let direction = &mut self.from_client;
        if from == Side::Client && direction.ended && !direction.shut && !direction.unflushed {
            direction.shut = true;
            moved = true;
            // It fails if the upstream has closed as well.
            drop(Pin::new(&mut self.upstream).poll_shutdown(cx));
        }
        Ok(moved)
    }

    /// Reads from one side what the other one can take; whether anything moved.
    pub(crate) fn read(&mut self, from: Side, cx: &mut Context<'_>) -> Result<bool, Fault> {
        let direction = self.direction(from);
        if !direction.is_clear() || direction.ended {
            return Ok(false);
        }
        if from == Side::Client && self.inspector.is_congested() {
            return Ok(false);
        }
        let size = self.inspector.max_piece(from);
        SCRATCH.with_borrow_mut(|scratch| {
            let mut buffer = ReadBuf::new(scratch.get_mut(..size).unwrap_or_default());
            let poll = match from {
                Side::Client => Pin::new(&mut self.client).poll_read(cx, &mut buffer),
                Side::Upstream => Pin::new(&mut self.upstream).poll_read(cx, &mut buffer),
            };
            match poll {
                Poll::Pending => return Ok(false),
                // TLS was closed without its own end, as most clients do.
                Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {}
                Poll::Ready(Err(error)) => return Err(fault(from, error)),
                Poll::Ready(Ok(())) => {}
            }
            let piece = buffer.filled();
            if piece.is_empty() {
                self.ended(from);
                return Ok(true);
            }
            if !self.inspect(from, piece) {
                return Ok(true);
            }
            let mut rest = piece;
            // Without events to wait for, it is written at once.
            while self.inspector.is_clear() && !rest.is_empty() {
                match self.write_to(from, cx, rest) {
                    Poll::Ready(Ok(count)) => {
                        self.direction(from).unflushed = true;
                        rest = rest.get(count..).unwrap_or_default();
                    }
                    Poll::Ready(Err(fault)) => return Err(fault),
                    Poll::Pending => break,
                }
            }
            if !rest.is_empty() {
                self.direction(from).out = rest.to_vec();
            }
            Ok(true)
        })
    }

    pub(crate) fn direction(&mut self, from: Side) -> &mut Direction {
        match from {
            Side::Client => &mut self.from_client,
            Side::Upstream => &mut self.from_upstream,
        }
    }

    fn write_to(&mut self, from: Side, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize, Fault>> {
        let poll = match from {
            Side::Client => Pin::new(&mut self.upstream).poll_write(cx, bytes),
            Side::Upstream => Pin::new(&mut self.client).poll_write(cx, bytes),
        };
        poll.map(|wrote| match wrote {
            Ok(0) => Err(fault(to(from), io::ErrorKind::WriteZero.into())),
            Ok(count) => Ok(count),
            Err(error) => Err(fault(to(from), error)),
        })
    }

    fn flush_to(&mut self, from: Side, cx: &mut Context<'_>) -> Result<Poll<()>, Fault> {
        let poll = match from {
            Side::Client => Pin::new(&mut self.upstream).poll_flush(cx),
            Side::Upstream => Pin::new(&mut self.client).poll_flush(cx),
        };
        match poll {
            Poll::Ready(Err(error)) => Err(fault(to(from), error)),
            Poll::Ready(Ok(())) => Ok(Poll::Ready(())),
            Poll::Pending => Ok(Poll::Pending),
        }
    }

    /// What came from one side cannot be written now.
    fn blocked(&mut self, from: Side) {
        if from == Side::Upstream && self.liveness.stalled.is_none() {
            self.liveness.stalled = Some(Instant::now());
        }
    }

    /// What came from one side was written.
    fn unblocked(&mut self, from: Side) {
        match from {
            Side::Upstream => self.liveness.stalled = None,
            // The client was not read until now.
            Side::Client => self.liveness.heard = Instant::now(),
        }
    }
}

fn to(from: Side) -> Side {
    match from {
        Side::Client => Side::Upstream,
        Side::Upstream => Side::Client,
    }
}

fn fault(side: Side, error: io::Error) -> Fault {
    match side {
        Side::Client => Fault::Client(error),
        Side::Upstream => Fault::Upstream,
    }
}
