//! Both directions of a connection after CONNACK.
//!
//! What is read on one side is inspected, reported, and written on the other side, in this order. A side is read only
//! when the other one has taken what came before: so each direction holds one piece of bounded length, and a slow
//! receiver slows its sender down. Pieces are read into a buffer of the thread and copied only if they cannot be written
//! at once; a connection without traffic holds none.

mod closing;
mod direction;
mod inspect;

use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep_until};

use super::emitter::Emitter;
use super::liveness::Liveness;
use super::protocol::{ClientSession, EndCause, Side};
use super::publisher_property;
use super::sessions::ConnectionHandle;
use super::shared::Shared;
use super::stream::UpstreamStream;
use direction::{Direction, Fault};

pub(crate) use closing::linger;

/// How long one side may stay open when the other one has closed.
const LINGER: Duration = Duration::from_secs(10);

/// Bytes that were read before the relay began.
pub(crate) struct ReadAhead {
    /// CONNACK, which has been inspected.
    pub(crate) connack: Vec<u8>,
    pub(crate) client: Vec<u8>,
    pub(crate) upstream: Vec<u8>,
}

/// A connection after CONNACK.
pub(crate) struct Relay {
    shared: Arc<Shared>,
    /// `None` if CONNECT cannot be decoded.
    session: Option<ClientSession>,
    emitter: Emitter,
    client: TcpStream,
    upstream: Box<dyn UpstreamStream>,
    from_client: Direction,
    from_upstream: Direction,
    liveness: Liveness,
    /// Whether packets are rewritten, so that publishes carry their publisher.
    rewrites: bool,
    /// How the bytes of the upstream are passed on if packets are not rewritten.
    passing: Passing,
    /// The client has sent what may not pass; code of MQTT 5.
    violation: Option<u8>,
}

/// How the bytes of the upstream are passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Passing {
    /// As they come.
    Whole,
    /// As they come up to the end of the packet that has begun, then packet by packet.
    ByNextPacket,
    /// Packet by packet, so that an acknowledgement can be held back.
    ByPacket,
}

/// Why the polling of both directions has stopped.
enum Stop {
    /// Events have to be waited for before anything is written.
    Flush,
    /// The connection is over.
    Over(EndCause),
    /// Both sides have closed.
    Closed,
}

impl Relay {
    pub(crate) fn new(
        shared: Arc<Shared>,
        session: Option<ClientSession>,
        emitter: Emitter,
        client: TcpStream,
        upstream: Box<dyn UpstreamStream>,
        ahead: ReadAhead,
    ) -> Relay {
        let longest = shared.limits.max_packet_size as usize;
        let rewrites = shared.adds_publishers() && session.as_ref().is_some_and(|session| session.version() == 5);
        let added = if rewrites {
            publisher_property::MAX_ADDED_BYTES
        } else {
            0
        };
        let keep_alive = session.as_ref().map_or(0, ClientSession::keep_alive);
        let liveness = Liveness::new(Instant::now(), keep_alive, shared.limits.keepalive_backoff);
        let mut relay = Relay {
            shared,
            session,
            emitter,
            client,
            upstream,
            rewrites,
            passing: Passing::Whole,
            violation: None,
            from_client: Direction::new(longest),
            from_upstream: Direction::new(longest + added),
            liveness,
        };
        relay.from_upstream.out = ahead.connack;
        for (from, bytes) in [(Side::Upstream, ahead.upstream), (Side::Client, ahead.client)] {
            if relay.inspect(from, &bytes) {
                relay.direction(from).out.extend_from_slice(&bytes);
            }
        }
        relay
    }

    /// Relays until both sides are closed.
    pub(crate) async fn run(mut self) {
        let handle = match &self.session {
            Some(session) => session.handle(),
            None => Arc::new(ConnectionHandle::default()),
        };
        let shared = Arc::clone(&self.shared);
        let mut stopping = pin!(shared.stopping.cancelled());
        let mut kicked = pin!(handle.kick.notified());
        let mut timer = pin!(sleep_until(Instant::now()));
        let mut armed = None;
        // Whatever was read ahead is reported before it is written.
        self.emitter.flush().await;
        loop {
            let stop = std::future::poll_fn(|cx| {
                if let Poll::Ready(stop) = self.poll_directions(cx) {
                    return Poll::Ready(stop);
                }
                if stopping.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(Stop::Over(EndCause::Stopping));
                }
                if kicked.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(Stop::Over(EndCause::Kicked));
                }
                self.poll_liveness(cx, timer.as_mut(), &mut armed)
            })
            .await;
            match stop {
                Stop::Flush => self.emitter.flush().await,
                Stop::Closed => {
                    self.end(EndCause::ClientClosed);
                    self.emitter.flush().await;
                    return;
                }
                Stop::Over(cause) => return self.over(cause).await,
            }
        }
    }

    /// Moves what can be moved, in both directions.
    fn poll_directions(&mut self, cx: &mut Context<'_>) -> Poll<Stop> {
        loop {
            let mut moved = false;
            self.emitter.held_acks.release(cx, &mut self.from_upstream.out);
            for side in [Side::Upstream, Side::Client] {
                let result = match self.write(side, cx) {
                    Ok(wrote) => self.read(side, cx).map(|read| wrote | read),
                    Err(fault) => Err(fault),
                };
                match result {
                    Ok(progress) => moved |= progress,
                    Err(Fault::Client(error)) => {
                        return Poll::Ready(Stop::Over(EndCause::ClientFailed(name_of(&error))));
                    }
                    Err(Fault::Upstream) => return Poll::Ready(Stop::Over(self.upstream_closed())),
                }
                if !self.emitter.is_empty() {
                    return Poll::Ready(Stop::Flush);
                }
                if let Some(code) = self.violation {
                    return Poll::Ready(Stop::Over(EndCause::Protocol(code)));
                }
            }
            if self.from_upstream.ended && self.from_upstream.is_clear() {
                return Poll::Ready(if self.from_client.ended {
                    Stop::Closed
                } else {
                    Stop::Over(self.upstream_closed())
                });
            }
            if !moved {
                return Poll::Pending;
            }
        }
    }

    /// Why the upstream has closed.
    fn upstream_closed(&self) -> EndCause {
        let violation = self.upstream.violation().map(EndCause::Protocol);
        violation.unwrap_or(EndCause::UpstreamClosed)
    }

    /// One side has closed.
    fn ended(&mut self, from: Side) {
        self.direction(from).ended = true;
        self.liveness.closing.get_or_insert(Instant::now() + LINGER);
        let is_leaving = self.session.as_ref().is_some_and(ClientSession::is_leaving);
        if from == Side::Client && !is_leaving {
            self.end(EndCause::ClientClosed);
        }
    }

    /// Reports the end of the connection, unless that is done.
    fn end(&mut self, cause: EndCause) {
        if let Some(session) = &mut self.session {
            self.emitter.run(|step| session.end(cause, step));
        }
    }

    /// Waits for the next time limit that ends the connection.
    fn poll_liveness(
        &mut self,
        cx: &mut Context<'_>,
        mut timer: Pin<&mut Sleep>,
        armed: &mut Option<Instant>,
    ) -> Poll<Stop> {
        loop {
            let listens = self.from_client.is_clear() && !self.from_client.ended;
            let (send, answer) = (self.shared.limits.send_timeout, self.shared.settings.response_timeout);
            let Some((due, cause)) = self.liveness.due(listens, send, answer) else {
                *armed = None;
                return Poll::Pending;
            };
            if due <= Instant::now() {
                return Poll::Ready(cause.map_or(Stop::Closed, Stop::Over));
            }
            // A limit that has moved away is noticed when the timer rings, and not before.
            if armed.is_none_or(|armed| due < armed) {
                timer.as_mut().reset(due);
                *armed = Some(due);
            }
            if timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            *armed = None;
        }
    }
}

/// The POSIX name of a socket's error.
fn name_of(error: &io::Error) -> Option<&'static str> {
    Some(match error.kind() {
        io::ErrorKind::ConnectionReset => "econnreset",
        io::ErrorKind::BrokenPipe => "epipe",
        io::ErrorKind::TimedOut => "etimedout",
        io::ErrorKind::ConnectionAborted => "econnaborted",
        io::ErrorKind::NotConnected => "enotconn",
        io::ErrorKind::NetworkDown => "enetdown",
        io::ErrorKind::NetworkUnreachable => "enetunreach",
        io::ErrorKind::HostUnreachable => "ehostunreach",
        _ => return None,
    })
}
