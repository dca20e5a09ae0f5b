//! Both directions of a connection after CONNACK.
//!
//! What is read on one side is looked at, told, and written on the other side, in this order; nothing is read from a side
//! as long as the other one has not taken what came before, so each direction holds one piece of bounded length and what
//! is slow on one side is slow on the other. Pieces are read into a buffer of the thread and copied only if they cannot be
//! written at once; a connection without traffic holds none.

mod closing;
mod look;
mod way;

use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep_until};

use super::machine::{Cause, Machine, Side};
use super::rumqttd::shield::Shield;
use super::sessions::Handle;
use super::shared::{Shared, Teller};
use super::stamp;
use super::stream::Stream;
use super::turns::Turn;
use super::watch::Watch;
use way::{Fault, Way};

pub(super) use closing::linger;

/// How long one side may stay when the other one has closed.
const LINGER: Duration = Duration::from_secs(10);

/// Bytes that were read before the relay began.
pub(super) struct Ahead {
    /// CONNACK, which has been looked at.
    pub(super) connack: Vec<u8>,
    pub(super) client: Vec<u8>,
    pub(super) upstream: Vec<u8>,
}

/// A connection after CONNACK.
pub(super) struct Relay {
    shared: Arc<Shared>,
    /// None if CONNECT could not be read.
    machine: Option<Machine>,
    teller: Teller,
    client: TcpStream,
    upstream: Stream,
    /// Between the client and rumqttd; none for other upstreams.
    shield: Option<Box<Shield>>,
    /// The client's place at rumqttd, until rumqttd has closed.
    lease: Option<Turn>,
    from_client: Way,
    from_upstream: Way,
    watch: Watch,
    /// Whether messages say who has published them.
    stamps: bool,
    /// The client has sent what cannot be let pass.
    unfit: Option<u8>,
}

/// Why the polling of both directions has stopped.
enum End {
    /// Something is to be told before anything is written.
    Told,
    /// It is over.
    Over(Cause),
    /// Both sides have closed.
    Closed,
}

impl Relay {
    pub(super) fn new(
        shared: Arc<Shared>,
        machine: Option<Machine>,
        teller: Teller,
        client: TcpStream,
        upstream: Stream,
        shielded: Option<(Box<Shield>, Option<Turn>)>,
        ahead: Ahead,
    ) -> Relay {
        let longest = shared.limits.max_packet_size as usize;
        let stamps = shared.stamps() && machine.as_ref().is_some_and(|machine| machine.version() == 5);
        let slack = if stamps { stamp::LONGEST } else { 0 };
        let keep_alive = machine.as_ref().map_or(0, Machine::keep_alive);
        let watch = Watch::new(Instant::now(), keep_alive, shared.limits.keepalive_backoff);
        let (shield, lease) = shielded.map_or((None, None), |(shield, lease)| (Some(shield), lease));
        let mut relay = Relay {
            lease,
            shared,
            machine,
            teller,
            client,
            upstream,
            shield,
            stamps,
            unfit: None,
            from_client: Way::new(longest),
            from_upstream: Way::new(longest + slack),
            watch,
        };
        relay.from_upstream.out = ahead.connack;
        for (from, bytes) in [(Side::Upstream, ahead.upstream), (Side::Client, ahead.client)] {
            if relay.look(from, &bytes) {
                relay.way(from).out.extend_from_slice(&bytes);
            }
        }
        relay
    }

    /// Relays until both sides are closed.
    pub(super) async fn run(mut self) {
        let handle = match &self.machine {
            Some(machine) => machine.handle(),
            None => Arc::new(Handle::default()),
        };
        let shared = Arc::clone(&self.shared);
        let mut stopping = pin!(shared.stopping.cancelled());
        let mut kicked = pin!(handle.kick.notified());
        let mut timer = pin!(sleep_until(Instant::now()));
        let mut armed = None;
        // Whatever was read ahead is told before it is written.
        self.teller.flush().await;
        loop {
            let turn = std::future::poll_fn(|cx| {
                if let Poll::Ready(turn) = self.turn(cx) {
                    return Poll::Ready(turn);
                }
                if stopping.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(End::Over(Cause::Stopping));
                }
                if kicked.as_mut().poll(cx).is_ready() {
                    let superseded = handle.superseded.load(Ordering::Relaxed);
                    let cause = if superseded { Cause::Superseded } else { Cause::Kicked };
                    return Poll::Ready(End::Over(cause));
                }
                self.time(cx, timer.as_mut(), &mut armed)
            })
            .await;
            match turn {
                End::Told => self.teller.flush().await,
                End::Closed => {
                    if let Some(machine) = &mut self.machine {
                        machine.end(Cause::ClientClosed, &self.teller);
                    }
                    self.teller.flush().await;
                    break;
                }
                End::Over(cause) => {
                    self.over(cause).await;
                    break;
                }
            }
        }
        self.settle().await;
    }

    /// Moves what can be moved, in both directions.
    fn turn(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        loop {
            let mut moved = false;
            for side in [Side::Upstream, Side::Client] {
                let result = match self.write(side, cx) {
                    Ok(wrote) => self.read(side, cx).map(|read| wrote | read),
                    Err(fault) => Err(fault),
                };
                match result {
                    Ok(progress) => moved |= progress,
                    Err(Fault::Client(error)) => {
                        return Poll::Ready(End::Over(Cause::ClientFailed(name_of(&error))));
                    }
                    Err(Fault::Upstream) => return Poll::Ready(End::Over(Cause::UpstreamClosed)),
                }
                if !self.teller.is_empty() {
                    return Poll::Ready(End::Told);
                }
                if let Some(code) = self.unfit {
                    return Poll::Ready(End::Over(Cause::Protocol(code)));
                }
            }
            if self.from_upstream.ended && self.from_upstream.is_clear() {
                // There is nobody left to say anything to.
                return Poll::Ready(if self.from_client.ended {
                    End::Closed
                } else {
                    End::Over(Cause::UpstreamClosed)
                });
            }
            if !moved {
                return Poll::Pending;
            }
        }
    }

    /// One side has closed.
    fn ended(&mut self, from: Side) {
        self.way(from).ended = true;
        self.watch.closing.get_or_insert(Instant::now() + LINGER);
        if from == Side::Client
            && let Some(machine) = &mut self.machine
            && !machine.is_leaving()
        {
            machine.end(Cause::ClientClosed, &self.teller);
        }
    }

    /// Waits for the next time that ends something.
    fn time(&mut self, cx: &mut Context<'_>, mut timer: Pin<&mut Sleep>, armed: &mut Option<Instant>) -> Poll<End> {
        loop {
            let listens = self.from_client.is_clear() && !self.from_client.ended;
            let (send, answer) = (self.shared.limits.send_timeout, self.shared.settings.response_timeout);
            let Some((due, cause)) = self.watch.due(listens, send, answer) else {
                *armed = None;
                return Poll::Pending;
            };
            if due <= Instant::now() {
                return Poll::Ready(cause.map_or(End::Closed, End::Over));
            }
            // A time that has moved away is noticed when the timer rings, and not before.
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
