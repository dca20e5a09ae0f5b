//! One client from its first byte to CONNACK; then [`relay`](super::relay) takes over.
//!
//! CONNECT is read whole before an upstream is asked. Upstreams are asked one after the other until one has answered
//! CONNECT, within their time each; if none does, the client is told that the server is unavailable. An upstream that
//! answers anything but CONNACK or AUTH has not answered.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};

use super::frame;
use super::machine::{Counted, Facts, Host, Machine};
use super::packet::{self, Unreadable, kind};
use super::relay::{Ahead, Relay, linger};
use super::rumqttd::shield::Shield;
use super::shared::{Guard, Shared, Teller};
use super::stamp;
use super::stream::Stream;
use super::turns::Turn;

/// Bytes of the client that are held while it waits for CONNACK.
const HELD: usize = 64 << 10;
/// The longest CONNACK or AUTH.
const ANSWER: usize = 256 << 10;
/// The shortest time that a packet of the gateway's own may take to the client.
const PATIENCE: Duration = Duration::from_secs(5);

/// Serves one client until it is gone.
pub(super) async fn serve(guard: Guard, mut client: TcpStream, peer: SocketAddr) {
    let shared = Arc::clone(&guard.shared);
    let longest = shared.limits.max_packet_size as usize;
    let mut bytes = Vec::new();
    let deadline = Instant::now() + shared.limits.handshake_timeout;
    let is_connect = |first: u8| first == kind::CONNECT << 4;
    let reading = first_packet(&mut client, &mut bytes, longest, is_connect);
    let stopping = shared.stopping.clone();
    let read = tokio::select! {
        read = timeout_at(deadline, reading) => read,
        () = stopping.cancelled() => return,
    };
    let length = match read {
        Ok(Ok(length)) => length,
        Ok(Err(NoAnswer::Closed)) | Err(_) => return,
        Ok(Err(NoAnswer::NotMqtt)) => {
            shared.counts.not_mqtt.fetch_add(1, Ordering::Relaxed);
            return;
        }
    };
    let rest = bytes.split_off(length);
    let stamps = shared.stamps() && shared.upstreams.rumqttd().is_none();
    if stamps && let Some(clean) = stamp::take_from_will(&bytes) {
        bytes = clean;
    }
    let mut teller = Teller::new(&shared);
    let facts = Facts {
        number: guard.number,
        peer,
        local: shared.address,
        listener: shared.listener.clone(),
    };
    let connect = frame::parse(&bytes).map(|frame| packet::connect(frame.body));
    let mut ask = Ask {
        connect: bytes,
        discard: None,
    };
    let (mut shield, mut refusal) = (None, None);
    let machine = match (connect, shared.upstreams.rumqttd()) {
        (Some(Ok(connect)), rumqttd) => {
            if let Some(rumqttd) = rumqttd {
                let id = || format!("hookhost-{}", teller.id()).into();
                match Shield::open(&connect, rumqttd.password(), id) {
                    Ok(opened) => {
                        shield = Some(Box::new(opened.shield));
                        ask = Ask {
                            connect: opened.connect,
                            discard: opened.discard,
                        };
                    }
                    Err(code) => refusal = Some(code),
                }
            }
            let mut machine = Machine::connect(facts, connect, &teller);
            if stamps
                && let Some(stamp) = machine.stamp_will(&teller)
                && let Some(stamped) = stamp::put_into_will(&ask.connect, &stamp, longest)
            {
                ask.connect = stamped;
            }
            Some(machine)
        }
        // What it publishes could not be looked at.
        (_, None) if stamps => {
            teller.count(Counted::Unreadable);
            return;
        }
        // Somebody else may understand it; nothing can be told about it.
        (_, None) => {
            teller.count(Counted::Unreadable);
            None
        }
        (_, Some(_)) => {
            teller.count(Counted::Unreadable);
            return;
        }
    };
    teller.flush().await;
    let mut opening = Opening {
        shared,
        machine,
        shield,
        lease: None,
        teller,
        client,
        peer,
        rest,
    };
    if let Some(code) = refusal {
        opening.refuse(code).await;
        return;
    }
    let relay = {
        let _turn = opening.turn().await;
        if !opening.lease().await {
            opening.refuse(136).await;
            return;
        }
        if let Some(machine) = opening.machine.as_ref().filter(|_| opening.shield.is_none()) {
            machine.announce(&opening.teller);
        }
        let asked = tokio::select! {
            asked = opening.ask(&ask) => asked,
            () = stopping.cancelled() => {
                opening.refuse(136).await;
                None
            }
        };
        drop(ask);
        match asked {
            Some((upstream, answer)) => opening.answered(upstream, answer).await,
            None => None,
        }
    };
    if let Some(relay) = relay {
        relay.run().await;
    }
}

/// A client that waits for CONNACK.
struct Opening {
    shared: Arc<Shared>,
    machine: Option<Machine>,
    shield: Option<Box<Shield>>,
    lease: Option<Turn>,
    teller: Teller,
    client: TcpStream,
    peer: SocketAddr,
    /// What the client has sent after CONNECT.
    rest: Vec<u8>,
}

/// Why there is no packet.
#[derive(Debug)]
enum NoAnswer {
    /// The connection was closed or has failed.
    Closed,
    /// Something else than the packet that was expected.
    NotMqtt,
}

impl Opening {
    /// Waits until no other connection of the same client is being opened.
    async fn turn(&mut self) -> Option<Turn> {
        let client_id = self.machine.as_ref()?.client_id().clone();
        self.shared
            .turns
            .wait(&client_id, self.shared.settings.connect_timeout)
            .await
    }

    /// Takes the client's place at rumqttd, from an older connection of its own if need be; false if that one does not
    /// go in time.
    async fn lease(&mut self) -> bool {
        let (Some(machine), true) = (&self.machine, self.shield.is_some()) else {
            return true;
        };
        let client_id = machine.client_id().clone();
        if client_id.is_empty() {
            return true;
        }
        machine.announce(&self.teller);
        if let Some(live) = self.shared.sessions.of(&client_id) {
            live.handle.superseded.store(true, Ordering::Relaxed);
            live.handle.kick.notify_one();
        }
        let longest = self.shared.settings.connect_timeout;
        self.lease = self.shared.leases.wait(&client_id, longest).await;
        self.lease.as_ref().is_some_and(Turn::is_held)
    }

    /// Asks the upstreams; gives the first one that answers, and the bytes of its answer.
    async fn ask(&mut self, connect: &Ask) -> Option<(Stream, Vec<u8>)> {
        for place in self.shared.upstreams.order() {
            let shared = Arc::clone(&self.shared);
            let asking = timeout(shared.settings.connect_timeout, ask(&shared, place, self.peer, connect));
            let asked = tokio::select! {
                asked = asking => asked,
                () = gone(&self.client, &mut self.rest) => {
                    self.give_up().await;
                    return None;
                }
            };
            let Unanswered { why, shun } = match asked {
                Ok(Ok(answered)) => {
                    shared.upstreams.worked(place);
                    return Some(answered);
                }
                Ok(Err(unanswered)) => unanswered,
                Err(_) => Unanswered {
                    why: "no answer to CONNECT in time".to_owned(),
                    shun: true,
                },
            };
            if shun {
                shared.upstreams.failed(place);
            }
            shared.report(&shared.upstreams.name(place), &why);
        }
        self.shared.counts.unanswered.fetch_add(1, Ordering::Relaxed);
        self.refuse(136).await;
        None
    }

    /// The upstream has answered: relays what it says until that was CONNACK.
    async fn answered(mut self, mut upstream: Stream, mut answer: Vec<u8>) -> Option<Relay> {
        let Some(version) = self.machine.as_ref().map(Machine::version) else {
            return Some(self.relay(upstream, Vec::new(), answer));
        };
        loop {
            let Ok(Some(length)) = frame::whole(&answer, ANSWER) else {
                self.refuse(136).await;
                return None;
            };
            let is_connack = answer.first().is_some_and(|first| *first >> 4 == kind::CONNACK);
            if is_connack {
                let ahead = answer.split_off(length);
                let wire = if self.shield.is_some() { 5 } else { version };
                let read = frame::parse(&answer).map(|frame| packet::connack(wire, frame.body));
                let said = match (read, &mut self.shield) {
                    (Some(Ok(said)), None) => Ok((answer, said)),
                    (Some(Ok(said)), Some(shield)) => shield.connack(&said),
                    _ => Err(Unreadable(129)),
                };
                let Ok((connack, said)) = said else {
                    self.refuse(136).await;
                    return None;
                };
                if let Some(machine) = &mut self.machine {
                    machine.connack(&said, &self.teller);
                }
                self.teller.flush().await;
                return Some(self.relay(upstream, connack, ahead));
            }
            // Extended authentication: both talk in turn.
            let after = answer.split_off(length);
            let time = self.shared.limits.handshake_timeout;
            let asked = std::mem::replace(&mut answer, after);
            let talk = self.exchange(&mut upstream, &asked);
            if !matches!(timeout(time, talk).await, Ok(Ok(()))) {
                self.give_up().await;
                return None;
            }
            let longest = self.shared.settings.connect_timeout;
            let reading = first_packet(&mut upstream, &mut answer, ANSWER, is_answer);
            if !matches!(timeout(longest, reading).await, Ok(Ok(_))) {
                self.refuse(136).await;
                return None;
            }
        }
    }

    /// Hands a packet of the upstream to the client and one of the client to the upstream.
    async fn exchange(&mut self, upstream: &mut Stream, packet: &[u8]) -> Result<(), NoAnswer> {
        let closed = |_: io::Error| NoAnswer::Closed;
        self.client.write_all(packet).await.map_err(closed)?;
        let is_auth = |first: u8| matches!(first >> 4, kind::AUTH | kind::DISCONNECT);
        let length = first_packet(&mut self.client, &mut self.rest, ANSWER, is_auth).await?;
        let rest = self.rest.split_off(length);
        upstream.write_all(&self.rest).await.map_err(closed)?;
        upstream.flush().await.map_err(closed)?;
        self.rest = rest;
        Ok(())
    }

    fn relay(self, upstream: Stream, connack: Vec<u8>, ahead: Vec<u8>) -> Relay {
        let ahead = Ahead {
            connack,
            client: self.rest,
            upstream: ahead,
        };
        Relay::new(
            self.shared,
            self.machine,
            self.teller,
            self.client,
            upstream,
            self.shield.map(|shield| (shield, self.lease)),
            ahead,
        )
    }

    /// Refuses the client in the gateway's own name.
    async fn refuse(&mut self, code: u8) {
        let Some(machine) = &mut self.machine else { return };
        machine.refuse(code, &self.teller);
        let refusal = packet::refusal(machine.version(), code);
        self.teller.flush().await;
        // A client that has gone does not need to be told.
        if timeout(PATIENCE, self.client.write_all(&refusal)).await.is_ok() {
            linger(&mut self.client).await;
        }
    }

    async fn give_up(&mut self) {
        if let Some(machine) = &mut self.machine {
            machine.give_up(&self.teller);
            self.teller.flush().await;
        }
    }
}

fn is_answer(first: u8) -> bool {
    matches!(first >> 4, kind::CONNACK | kind::AUTH)
}

/// What an upstream is asked.
struct Ask {
    connect: Vec<u8>,
    /// A CONNECT to be sent before, through a connection of its own, which ends at once.
    discard: Option<Vec<u8>>,
}

/// Why an upstream has not answered CONNECT.
struct Unanswered {
    /// In a few words, for the log.
    why: String,
    /// Whether it would do the same to other clients.
    shun: bool,
}

/// Sends CONNECT to one upstream and waits for its answer.
async fn ask(shared: &Shared, place: usize, peer: SocketAddr, asked: &Ask) -> Result<(Stream, Vec<u8>), Unanswered> {
    let words = |error: io::Error| Unanswered {
        why: error.to_string(),
        shun: true,
    };
    // A client that the upstream does not like may be the reason why it closes.
    let odd = |why: &str| Unanswered {
        why: why.to_owned(),
        shun: false,
    };
    if let Some(discard) = &asked.discard {
        let mut upstream = shared
            .upstreams
            .connect(place, peer, shared.address)
            .await
            .map_err(words)?;
        upstream.write_all(discard).await.map_err(words)?;
        if first_packet(&mut upstream, &mut Vec::new(), ANSWER, is_answer)
            .await
            .is_ok()
        {
            upstream.write_all(&[kind::DISCONNECT << 4, 0]).await.map_err(words)?;
            // Once it has closed, the session is gone.
            drop(upstream.read_to_end(&mut Vec::new()).await);
        }
    }
    let mut upstream = shared
        .upstreams
        .connect(place, peer, shared.address)
        .await
        .map_err(words)?;
    upstream.write_all(&asked.connect).await.map_err(words)?;
    upstream.flush().await.map_err(words)?;
    let mut answer = Vec::new();
    match first_packet(&mut upstream, &mut answer, ANSWER, is_answer).await {
        Ok(_) => Ok((upstream, answer)),
        Err(NoAnswer::Closed) => Err(odd("closed without an answer to CONNECT")),
        Err(NoAnswer::NotMqtt) => Err(odd("does not answer CONNECT as a broker does")),
    }
}

/// Reads until a whole packet is in `bytes`, whose type and flags must be acceptable; gives its length.
async fn first_packet(
    from: &mut (impl AsyncRead + Unpin),
    bytes: &mut Vec<u8>,
    longest: usize,
    is_acceptable: impl Fn(u8) -> bool,
) -> Result<usize, NoAnswer> {
    loop {
        if bytes.first().is_some_and(|first| !is_acceptable(*first)) {
            return Err(NoAnswer::NotMqtt);
        }
        match frame::whole(bytes, longest) {
            Ok(Some(length)) => return Ok(length),
            Ok(None) => {}
            Err(frame::NoPacket) => return Err(NoAnswer::NotMqtt),
        }
        match from.read_buf(bytes).await {
            Ok(0) | Err(_) => return Err(NoAnswer::Closed),
            Ok(_) => {}
        }
    }
}

/// Waits until the client has closed; what it sends meanwhile is held, as much as fits.
async fn gone(client: &TcpStream, held: &mut Vec<u8>) {
    while held.len() < HELD {
        if client.readable().await.is_err() {
            return;
        }
        let mut piece = [0; 4096];
        match client.try_read(&mut piece) {
            Ok(0) => return,
            Ok(count) => held.extend_from_slice(piece.get(..count).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => return,
        }
    }
    std::future::pending().await
}
