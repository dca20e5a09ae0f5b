//! Both directions of a connection after CONNACK.
//!
//! What is read on one side is looked at, told, and written on the other side, in this order; nothing is read from a side
//! as long as the other one has not taken what came before, so each direction holds one piece of at most [`PIECE`] bytes
//! and what is slow on one side is slow on the other. Pieces are read into a buffer of the thread and copied only if they
//! cannot be written at once; a connection without traffic holds none.

use std::cell::RefCell;
use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep_until, timeout};

use super::frame::{self, Frame, Framer, Piece};
use super::machine::{Cause, Machine, Side};
use super::packet::{self, Unreadable, kind};
use super::rumqttd::shield::{Out, Shield};
use super::sessions::Handle;
use super::shared::{Shared, Teller};
use super::stamp;
use super::stream::Stream;
use super::turns::Turn;
use super::watch::Watch;

/// Bytes that are read at a time.
const PIECE: usize = 64 << 10;

/// The same for what becomes longer on its way: at most some 700 messages, which become 750 kB.
const STAMPED: usize = 4 << 10;
/// How long one side may stay when the other one has closed.
const LINGER: Duration = Duration::from_secs(10);
/// How long the last bytes may take to a client.
const FAREWELL: Duration = Duration::from_secs(2);

thread_local! {
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; PIECE].into_boxed_slice());
}

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

/// One direction.
struct Way {
    framer: Framer,
    /// What was read and is not yet written.
    out: Vec<u8>,
    sent: usize,
    /// Whether what was written may still lie in a buffer of TLS.
    unflushed: bool,
    /// Whether the sender has closed, and whether the receiver has been told.
    ended: bool,
    shut: bool,
}

impl Way {
    fn new(longest: usize) -> Way {
        Way {
            framer: Framer::new(longest),
            out: Vec::new(),
            sent: 0,
            unflushed: false,
            ended: false,
            shut: false,
        }
    }

    fn is_clear(&self) -> bool {
        self.out.is_empty()
    }
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

enum Fault {
    Client(io::Error),
    Upstream,
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

    /// Waits until rumqttd has closed, so that the next connection of the client does not meet this one there. Other
    /// upstreams need no such care.
    async fn settle(&mut self) {
        let Some(lease) = self.lease.take() else { return };
        if self.upstream.shutdown().await.is_err() {
            return;
        }
        drop(timeout(LINGER, drained(&mut self.upstream)).await);
        drop(lease);
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

    /// Writes what came from one side to the other one; whether anything moved.
    fn write(&mut self, from: Side, cx: &mut Context<'_>) -> Result<bool, Fault> {
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
    fn read(&mut self, from: Side, cx: &mut Context<'_>) -> Result<bool, Fault> {
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

    /// Looks at a piece; whether it is to go on as it is.
    fn look(&mut self, from: Side, piece: &[u8]) -> bool {
        match from {
            Side::Client if self.watch.silence.is_some() => self.watch.heard = Instant::now(),
            Side::Client => {}
            Side::Upstream => self.watch.pinged = None,
        }
        let way = match from {
            Side::Client => &mut self.from_client,
            Side::Upstream => &mut self.from_upstream,
        };
        let Some(machine) = &mut self.machine else { return true };
        let mut changed = Out::default();
        let mut input = piece;
        let whole = self.stamps || self.shield.is_some();
        loop {
            if whole && from == Side::Upstream {
                changed.down.extend_from_slice(way.framer.unseen(&mut input));
            }
            let Some(found) = way.framer.next(&mut input) else {
                break;
            };
            match (found, &mut self.shield) {
                (Piece::Packet(frame), Some(shield)) => {
                    let mut shielded = Out::default();
                    let passed = match from {
                        Side::Client if self.stamps => {
                            let mut packet = Vec::new();
                            stamped(machine, frame, &self.teller, &mut packet).and_then(|()| {
                                let frame = frame::parse(&packet);
                                frame.map_or(Ok(()), |frame| shield.up(frame, &mut shielded))
                            })
                        }
                        Side::Client => {
                            machine.packet(from, frame, &self.teller);
                            shield.up(frame, &mut shielded)
                        }
                        Side::Upstream => shield.down(frame, &mut shielded),
                    };
                    // The client's side of it is what is told.
                    let mut told = Framer::new(usize::MAX);
                    let mut down = &shielded.down[..];
                    while let Some(Piece::Packet(frame)) = told.next(&mut down) {
                        unstamped(machine, frame, self.stamps, &self.teller, &mut changed.down);
                    }
                    changed.up.append(&mut shielded.up);
                    changed.close |= shielded.close;
                    if let Err(Unreadable(code)) = passed {
                        self.unfit = Some(code);
                    }
                }
                (Piece::TooLong, Some(_)) => self.unfit = Some(149),
                (Piece::Broken, Some(_)) => self.unfit = Some(129),
                (Piece::Packet(frame), None) => {
                    if from == Side::Client && frame.kind() == kind::PINGREQ && self.watch.pinged.is_none() {
                        self.watch.pinged = Some(Instant::now());
                    }
                    match from {
                        _ if !self.stamps => machine.packet(from, frame, &self.teller),
                        Side::Client => {
                            if let Err(Unreadable(code)) = stamped(machine, frame, &self.teller, &mut changed.up) {
                                self.unfit = Some(code);
                            }
                        }
                        Side::Upstream => unstamped(machine, frame, true, &self.teller, &mut changed.down),
                    }
                }
                (Piece::TooLong, None) => {
                    machine.too_long(from, &self.teller);
                    match from {
                        Side::Client => self.unfit = self.unfit.or(self.stamps.then_some(149)),
                        Side::Upstream => changed.down.extend_from_slice(way.framer.head()),
                    }
                }
                (Piece::Broken, None) => {
                    machine.broken(from, &self.teller);
                    match from {
                        Side::Client => self.unfit = self.unfit.or(self.stamps.then_some(129)),
                        Side::Upstream => changed.down.extend_from_slice(way.framer.head()),
                    }
                }
            }
            if self.unfit.is_some() {
                break;
            }
        }
        if machine.is_leaving() && self.watch.closing.is_none() {
            self.watch.closing = Some(Instant::now() + LINGER);
        }
        if !whole {
            return true;
        }
        if changed.close {
            self.from_client.ended = true;
            self.watch.closing.get_or_insert(Instant::now() + LINGER);
        }
        self.from_client.out.extend(changed.up);
        self.from_upstream.out.extend(changed.down);
        false
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

    /// Ends both sides for a reason that is not that both have closed.
    async fn over(&mut self, cause: Cause) {
        let farewell = match cause {
            Cause::ClientClosed | Cause::ClientFailed(_) | Cause::TooSlow => None,
            Cause::UpstreamClosed | Cause::UpstreamSilent => Some(128),
            Cause::KeepAlive => Some(141),
            Cause::Kicked => Some(152),
            Cause::Superseded => Some(142),
            Cause::Stopping => Some(139),
            Cause::Protocol(code) => Some(code),
        };
        let reaches_client = !matches!(cause, Cause::ClientFailed(_) | Cause::TooSlow);
        let ends_session = cause == Cause::Kicked;
        if let Some(machine) = &mut self.machine {
            let may_speak = machine.is_open() && machine.version() == 5;
            if may_speak
                && self.from_upstream.framer.is_between()
                && let Some(code) = farewell
            {
                self.from_upstream.out.extend(packet::disconnect(code));
            }
            if ends_session && may_speak && self.shield.is_none() && self.from_client.framer.is_between() {
                self.from_client.out.extend(packet::DISCONNECT_FOR_EVER);
            }
            machine.end(cause, &self.teller);
        }
        self.teller.flush().await;
        if ends_session && !self.from_client.is_clear() {
            let last = self.from_client.out.split_off(self.from_client.sent);
            drop(timeout(FAREWELL, self.upstream.write_all(&last)).await);
            drop(timeout(FAREWELL, self.upstream.shutdown()).await);
            // When the upstream has closed, it has acted on it: then the client may come back.
            drop(timeout(FAREWELL, drained(&mut self.upstream)).await);
        }
        self.settle().await;
        if reaches_client {
            let last = self.from_upstream.out.split_off(self.from_upstream.sent);
            if let Ok(Ok(())) = timeout(FAREWELL, self.client.write_all(&last)).await {
                linger(&mut self.client).await;
            }
        }
    }

    fn way(&mut self, from: Side) -> &mut Way {
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

/// A packet of the client passes; whoever published it is put in, and whatever the client says about that is taken out.
/// A PUBLISH in which nobody can look for that does not pass.
fn stamped(machine: &mut Machine, frame: Frame<'_>, teller: &Teller, out: &mut Vec<u8>) -> Result<(), Unreadable> {
    if frame.kind() != kind::PUBLISH {
        machine.packet(Side::Client, frame, teller);
        frame.write(out);
        return Ok(());
    }
    if !stamp::is_readable(frame) {
        machine.broken(Side::Client, teller);
        return Err(Unreadable(129));
    }
    let taken = stamp::take(frame);
    let clean = Frame {
        body: taken.as_ref().map_or(frame.body, |taken| &taken.body),
        ..frame
    };
    let stamp = machine.stamp(clean, teller);
    match stamp.and_then(|(stamp, longest)| stamp::put(clean, &stamp, longest)) {
        Some(packet) => out.extend(packet),
        None => clean.write(out),
    }
    Ok(())
}

/// A packet of the upstream passes; what it says about its publisher is taken out, if `stamps`.
fn unstamped(machine: &mut Machine, frame: Frame<'_>, stamps: bool, teller: &Teller, out: &mut Vec<u8>) {
    let is_publish = stamps && frame.kind() == kind::PUBLISH;
    let Some(taken) = is_publish.then(|| stamp::take(frame)).flatten() else {
        machine.packet(Side::Upstream, frame, teller);
        return frame.write(out);
    };
    let clean = Frame {
        body: &taken.body,
        ..frame
    };
    match taken.stamp {
        Some(stamp) => machine.stamped(clean, stamp, teller),
        None => machine.packet(Side::Upstream, clean, teller),
    }
    clean.write(out);
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

/// Closes this side and waits for the client to close its own: a socket that is dropped with something unread in it is
/// reset, and what was written last would be lost.
pub(super) async fn linger(client: &mut TcpStream) {
    if client.shutdown().await.is_err() {
        return;
    }
    drop(timeout(FAREWELL, drained(client)).await);
}

/// Reads until the other side has closed.
async fn drained(stream: &mut (impl AsyncRead + Unpin)) {
    let mut rest = [0; 1024];
    while matches!(stream.read(&mut rest).await, Ok(count) if count > 0) {}
}
