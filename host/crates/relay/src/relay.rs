//! Both directions of a connection after CONNACK.
//!
//! What is read on one side is inspected, reported, and written on the other side, in this order. A side is read only
//! when the other one has taken what came before: so each direction holds one piece of bounded length, and a slow
//! receiver slows its sender down. Pieces are read into a buffer of the thread and copied only if they cannot be written
//! at once; a connection without traffic holds none.

use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use hookhost_listener::ClientStream;
use tokio::time::{Instant, Sleep, sleep_until};

use super::direction::{Direction, Fault};
use super::inspector::{EndCause, Inspected, Inspector, Side};
use super::liveness::Liveness;
use super::stream::UpstreamStream;
use super::traffic::Traffic;

/// How long one side may stay open when the other one has closed.
const LINGER: Duration = Duration::from_secs(10);

/// Bytes that were read before the relay began.
#[derive(Debug, Default)]
pub struct ReadAhead {
    /// CONNACK, which has been inspected.
    pub connack: Vec<u8>,
    /// What the client has sent after CONNECT.
    pub client: Vec<u8>,
    /// What the upstream has sent after CONNACK.
    pub upstream: Vec<u8>,
}

/// Time limits of a connection.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Timeouts {
    /// Effective keep alive in seconds; 0: none.
    pub keep_alive: u16,
    /// Half of the multiple of keep alive for which a client may be silent.
    pub keepalive_backoff: f32,
    /// How long a client may not read; zero: for ever.
    pub send: Duration,
    /// How long the upstream may leave a PINGREQ unanswered; zero: for ever.
    pub response: Duration,
}

/// A connection after CONNACK.
pub struct Relay<I, U> {
    pub(crate) inspector: I,
    pub(crate) client: ClientStream,
    pub(crate) upstream: U,
    pub(crate) from_client: Direction,
    pub(crate) from_upstream: Direction,
    pub(crate) liveness: Liveness,
    timeouts: Timeouts,
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

impl<I: Inspector, U: UpstreamStream> Relay<I, U> {
    /// A relay that begins with what was read ahead. `longest`: of what length packets of the client and of the
    /// upstream are found, in bytes. `traffic`: counts them; the caller has counted CONNECT. It is boxed, because a task
    /// would keep space for each place that it is moved to.
    pub fn new(
        inspector: I,
        client: ClientStream,
        upstream: U,
        ahead: ReadAhead,
        timeouts: Timeouts,
        [of_client, of_upstream]: [usize; 2],
        traffic: &Traffic,
    ) -> Box<Relay<I, U>> {
        let [client_counter, upstream_counter] = traffic.connection();
        if let Some(first) = ahead.connack.first() {
            upstream_counter.count(*first, ahead.connack.len());
        }
        let from_client = Direction::counted(of_client, client_counter);
        let from_upstream = Direction::counted(of_upstream, upstream_counter);
        let liveness = Liveness::new(Instant::now(), timeouts.keep_alive, timeouts.keepalive_backoff);
        let mut relay = Box::new(Relay {
            inspector,
            client,
            upstream,
            from_client,
            from_upstream,
            liveness,
            timeouts,
        });
        relay.from_upstream.out = ahead.connack;
        for (from, bytes) in [(Side::Upstream, ahead.upstream), (Side::Client, ahead.client)] {
            if relay.inspect(from, &bytes) {
                relay.direction(from).out.extend_from_slice(&bytes);
            }
        }
        relay
    }

    /// Relays until both sides are closed, or until `interrupt` ends the connection. `interrupt` is pinned by the caller,
    /// because the task would have space for it twice.
    pub async fn run(mut self: Box<Self>, mut interrupt: Pin<&mut (impl Future<Output = EndCause> + Send)>) {
        let mut timer = pin!(sleep_until(Instant::now()));
        let mut armed = None;
        // Whatever was read ahead is reported before it is written.
        self.inspector.flush().await;
        loop {
            let stop = std::future::poll_fn(|cx| {
                if let Poll::Ready(stop) = self.poll_directions(cx) {
                    return Poll::Ready(stop);
                }
                if let Poll::Ready(cause) = interrupt.as_mut().poll(cx) {
                    return Poll::Ready(Stop::Over(cause));
                }
                self.poll_liveness(cx, timer.as_mut(), &mut armed)
            })
            .await;
            match stop {
                Stop::Flush => self.inspector.flush().await,
                Stop::Closed => {
                    self.inspector.end(EndCause::ClientClosed);
                    self.inspector.flush().await;
                    return;
                }
                // Boxed, so that the task of a connected client has no space for it.
                Stop::Over(cause) => return Box::pin(self.over(cause)).await,
            }
        }
    }

    /// Moves what can be moved, in both directions.
    fn poll_directions(&mut self, cx: &mut Context<'_>) -> Poll<Stop> {
        loop {
            let mut moved = false;
            if self.from_upstream.framer.is_between() {
                self.inspector.release(cx, &mut self.from_upstream.out);
            }
            if self.resume(cx) {
                moved = true;
                if !self.inspector.is_clear() {
                    return Poll::Ready(Stop::Flush);
                }
            }
            for side in [Side::Upstream, Side::Client] {
                let wrote = self.write(side, cx);
                // What came before the violation is written.
                if let Some(code) = self.inspector.violation()
                    && self.from_client.is_clear()
                {
                    return Poll::Ready(Stop::Over(EndCause::Protocol(code)));
                }
                let result = match wrote {
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
                if !self.inspector.is_clear() {
                    return Poll::Ready(Stop::Flush);
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

    /// Inspects a piece of input. True if the piece has to be written as it is.
    pub(crate) fn inspect(&mut self, from: Side, piece: &[u8]) -> bool {
        match from {
            Side::Client if self.liveness.silence.is_some() => self.liveness.heard = Instant::now(),
            Side::Client => {}
            Side::Upstream => self.liveness.pinged = None,
        }
        let direction = match from {
            Side::Client => &mut self.from_client,
            Side::Upstream => &mut self.from_upstream,
        };
        let inspected = self.inspector.inspect(from, piece, direction);
        self.note(inspected);
        inspected.passes
    }

    /// Goes on with packets of the client that had to wait; whether there were any.
    fn resume(&mut self, cx: &mut Context<'_>) -> bool {
        if !self.from_client.is_clear() {
            return false;
        }
        let Poll::Ready(inspected) = self.inspector.resume(cx, &mut self.from_client) else {
            return false;
        };
        // The client was not read until now.
        self.liveness.heard = Instant::now();
        self.note(inspected);
        true
    }

    /// Notes what the time limits depend on.
    fn note(&mut self, inspected: Inspected) {
        if inspected.has_ping {
            self.liveness.pinged.get_or_insert_with(Instant::now);
        }
        if self.inspector.is_leaving() && self.liveness.closing.is_none() {
            self.liveness.closing = Some(Instant::now() + LINGER);
        }
    }

    /// One side has closed.
    pub(crate) fn ended(&mut self, from: Side) {
        self.direction(from).ended = true;
        self.liveness.closing.get_or_insert(Instant::now() + LINGER);
        if from == Side::Client && !self.inspector.is_leaving() {
            self.inspector.end(EndCause::ClientClosed);
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
            let reads = self.from_client.is_clear() && !self.inspector.is_congested();
            let listens = reads && !self.from_client.ended;
            let Timeouts { send, response, .. } = self.timeouts;
            let Some((due, cause)) = self.liveness.due(listens, send, response) else {
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
