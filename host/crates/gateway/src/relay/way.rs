//! One direction: what is read on one side and written on the other.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use super::Relay;
use crate::frame::Framer;
use crate::machine::{Machine, Side};

/// Bytes that are read at a time.
const PIECE: usize = 64 << 10;
/// The same for what becomes longer on its way: at most some 700 messages, which become 750 kB.
const STAMPED: usize = 4 << 10;

thread_local! {
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; PIECE].into_boxed_slice());
}

/// One direction.
pub(super) struct Way {
    pub(super) framer: Framer,
    /// What was read and is not yet written.
    pub(super) out: Vec<u8>,
    pub(super) sent: usize,
    /// Whether what was written may still lie in a buffer of TLS.
    unflushed: bool,
    /// Whether the sender has closed, and whether the receiver has been told.
    pub(super) ended: bool,
    shut: bool,
}

impl Way {
    pub(super) fn new(longest: usize) -> Way {
        Way {
            framer: Framer::new(longest),
            out: Vec::new(),
            sent: 0,
            unflushed: false,
            ended: false,
            shut: false,
        }
    }

    pub(super) fn is_clear(&self) -> bool {
        self.out.is_empty()
    }
}

/// Which side has failed.
pub(super) enum Fault {
    Client(io::Error),
    Upstream,
}

impl Relay {
    /// Writes what came from one side to the other one; whether anything moved.
    pub(super) fn write(&mut self, from: Side, cx: &mut Context<'_>) -> Result<bool, Fault> {
        let mut moved = false;
        loop {
            let way = self.way(from);
            if way.is_clear() {
                break;
            }
            let (out, sent) = (std::mem::take(&mut way.out), way.sent);
            let wrote = self.write_to(from, cx, out.get(sent..).unwrap_or_default());
            let way = self.way(from);
            match wrote {
                Poll::Ready(Ok(count)) => {
                    moved = true;
                    way.unflushed = true;
                    if sent + count < out.len() {
                        way.sent = sent + count;
                        way.out = out;
                    } else {
                        way.sent = 0;
                    }
                    self.unblocked(from);
                }
                Poll::Ready(Err(fault)) => return Err(fault),
                Poll::Pending => {
                    way.out = out;
                    self.blocked(from);
                    return Ok(moved);
                }
            }
        }
        if self.way(from).unflushed && self.flush_to(from, cx)?.is_ready() {
            self.way(from).unflushed = false;
        }
        // The client learns of the upstream's end from `over`, which may have something to say before.
        // rumqttd ends a stranger's connection if it gets DISCONNECT and the end of the socket one after the other.
        let waits = self.shield.is_some() && self.machine.as_ref().is_some_and(Machine::is_leaving);
        let way = &mut self.from_client;
        if from == Side::Client && !waits && way.ended && !way.shut && !way.unflushed {
            way.shut = true;
            moved = true;
            // An upstream that has closed as well needs no farewell.
            drop(Pin::new(&mut self.upstream).poll_shutdown(cx));
        }
        Ok(moved)
    }

    /// Reads from one side what the other one can take; whether anything moved.
    pub(super) fn read(&mut self, from: Side, cx: &mut Context<'_>) -> Result<bool, Fault> {
        let way = self.way(from);
        if !way.is_clear() || way.ended {
            return Ok(false);
        }
        if from == Side::Client && self.shield.is_some() && !self.from_upstream.is_clear() {
            // What the gateway answers itself waits for the client as well.
            return Ok(false);
        }
        // Small packets become much longer when they say who published them.
        let most = if self.stamps && from == Side::Client {
            STAMPED
        } else {
            PIECE
        };
        SCRATCH.with_borrow_mut(|scratch| {
            let mut buffer = ReadBuf::new(scratch.get_mut(..most).unwrap_or_default());
            let poll = match from {
                Side::Client => Pin::new(&mut self.client).poll_read(cx, &mut buffer),
                Side::Upstream => Pin::new(&mut self.upstream).poll_read(cx, &mut buffer),
            };
            match poll {
                Poll::Pending => return Ok(false),
                Poll::Ready(Err(error)) => return Err(fault(from, error)),
                Poll::Ready(Ok(())) => {}
            }
            let piece = buffer.filled();
            if piece.is_empty() {
                self.ended(from);
                return Ok(true);
            }
            if !self.look(from, piece) {
                return Ok(true);
            }
            let mut rest = piece;
            // What nobody is told about can go on at once.
            while self.teller.is_empty() && !rest.is_empty() {
                match self.write_to(from, cx, rest) {
                    Poll::Ready(Ok(count)) => {
                        self.way(from).unflushed = true;
                        rest = rest.get(count..).unwrap_or_default();
                    }
                    Poll::Ready(Err(fault)) => return Err(fault),
                    Poll::Pending => break,
                }
            }
            if !rest.is_empty() {
                self.way(from).out = rest.to_vec();
            }
            Ok(true)
        })
    }

    pub(super) fn way(&mut self, from: Side) -> &mut Way {
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
        if from == Side::Upstream && self.watch.stalled.is_none() {
            self.watch.stalled = Some(Instant::now());
        }
    }

    /// What came from one side was written.
    fn unblocked(&mut self, from: Side) {
        match from {
            Side::Upstream => self.watch.stalled = None,
            // It could not speak as long as nobody listened.
            Side::Client => self.watch.heard = Instant::now(),
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
