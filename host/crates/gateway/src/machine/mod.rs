//! What one connection's packets mean: packets with their direction in, events out.
//!
//! A [`Machine`] begins with CONNECT and is given every further packet in the order in which it passes, and at last why
//! the connection ended. It does no I/O, has no clock and waits for nothing; what it needs to know it asks its [`Host`],
//! and what it finds out it tells that host. It remembers what is asked and not yet answered, up to [`KEPT`] bytes; what
//! belongs to the session and not to the connection is in [`Memory`], which the next connection of the client finds in
//! [`Sessions`]. What does not fit is forgotten and counted: then an event is missing, never a packet.
//!
//! `opening` has CONNECT and CONNACK, `subscriptions`, `publishes` and `deliveries` what happens in between, `ending`
//! why it is over.

mod aliases;
mod deliveries;
mod ending;
mod opening;
mod publishes;
mod subscriptions;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::frame::Frame;
use super::memory::Memory;
use super::packet::{self, Connect, Packet, Unreadable, kind};
use super::publishers::Publishers;
use super::sessions::{Handle, Sessions};
use super::stamp::Stamp;
use hookhost_event::{ByteString, Client, Connection, Detail, End, Hook, Id, Message, Millis, Origin, OtherEvent};

use self::aliases::Aliases;
pub(super) use self::ending::{Cause, publish_will};
pub(super) use self::opening::{Facts, expired, failed, terminated};
pub(super) use self::publishes::announce;

/// Bytes that one connection may keep of what is under way.
const KEPT: usize = 16 << 20;
/// What anything kept takes besides its texts, roughly.
const FIXED: usize = 128;

/// Who sent a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// The client.
    Client,
    /// The upstream broker.
    Upstream,
}

/// What happens often enough to be counted and not to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Counted {
    /// A packet that could not be read.
    Unreadable,
    /// A packet too long to be looked at.
    TooLong,
    /// A packet that its sender may not send, or not now.
    Unexpected,
    /// Something that had to be forgotten because too much was under way.
    Forgotten,
}

/// What a machine asks and tells.
pub(super) trait Host {
    /// Whether anybody is interested in such an event.
    fn wants(&self, hook: Hook, subject: Option<&str>) -> bool;
    /// Something has happened.
    fn tell(&self, detail: Detail);
    /// The time.
    fn now(&self) -> Millis;
    /// An id for a message.
    fn id(&self) -> Id;
    /// Something is to be counted.
    fn count(&self, what: Counted);
    /// The sessions that this gateway knows.
    fn sessions(&self) -> &Sessions;
    /// Who published what, if that is to be known.
    fn publishers(&self) -> Option<&Publishers>;
    /// Whether every client of the upstream comes through this gateway.
    fn sees_all(&self) -> bool;
    /// A will is to be told after so many seconds, unless the client comes back before.
    fn delay(&self, will: Arc<Message>, seconds: u32);
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// CONNECT has passed, CONNACK has not.
    Opening,
    /// Both have.
    Open,
    /// The client has sent DISCONNECT, and nobody has closed.
    Leaving,
    /// Its end is told.
    Over,
}

/// One connection.
pub(super) struct Machine {
    number: u64,
    phase: Phase,
    /// The connection as events show it.
    connection: Connection,
    /// What CONNECT said that events do not show.
    asked: Box<Connect>,
    connected_at: Option<Millis>,
    session_created_at: Option<Millis>,
    memory: Arc<Mutex<Memory>>,
    handle: Arc<Handle>,
    will: Option<Arc<Message>>,
    /// The will's id, if CONNECT says it to the upstream.
    will_id: Option<Id>,
    /// The longest packet that the upstream takes, in bytes.
    longest: usize,
    /// Keep alive in seconds as in force.
    keep_alive: u16,
    /// Aliases that the client sets, and those that the upstream sets.
    client_aliases: Aliases,
    upstream_aliases: Aliases,
    subscribing: HashMap<u16, subscriptions::Subscribing>,
    unsubscribing: HashMap<u16, subscriptions::Unsubscribing>,
    /// Publishes of the client that the upstream has not answered and whose answer may be an event.
    unanswered: HashMap<u16, Message>,
    budget: Budget,
    /// Where the last delivery's publish stands in the order of publishes.
    last_found: u64,
    /// What DISCONNECT said, while its sender is leaving: and how long the session remains.
    leaving: Option<Box<(End, u32)>>,
    /// What the client did wrong last, if the upstream has not answered anything since.
    fault: Option<u8>,
}

/// Bytes that may still be kept.
struct Budget(usize);

impl Budget {
    fn take(&mut self, bytes: usize) -> bool {
        match self.0.checked_sub(bytes + FIXED) {
            Some(left) => {
                self.0 = left;
                true
            }
            None => false,
        }
    }

    fn give(&mut self, bytes: usize) {
        self.0 += bytes + FIXED;
    }
}

/// What is needed to keep a message.
fn weight(message: &Message) -> usize {
    size_of::<Message>() + message.topic.len() + message.payload.len()
}

impl Machine {
    /// A packet passes. One that is none of ours is ignored.
    pub(super) fn packet(&mut self, from: Side, frame: Frame<'_>, host: &impl Host) {
        self.pass(from, frame, None, host);
    }

    /// A PUBLISH of the upstream passes that says itself who has published it.
    pub(super) fn stamped(&mut self, frame: Frame<'_>, stamp: Stamp, host: &impl Host) {
        self.pass(Side::Upstream, frame, Some(stamp), host);
    }

    /// A PUBLISH of the client passes; gives what it is to say about its publisher, and how long it may be with that.
    pub(super) fn stamp(&mut self, frame: Frame<'_>, host: &impl Host) -> Option<(Stamp, usize)> {
        if self.phase != Phase::Open {
            return None;
        }
        let stamp = Stamp {
            id: host.id(),
            publisher: self.client(),
            origin: Origin::Client,
            qos: frame.first >> 1 & 3,
            retain: frame.first & 1 != 0,
            received_at: host.now(),
        };
        self.pass(Side::Client, frame, Some(stamp.clone()), host);
        Some((stamp, self.longest))
    }

    /// What the client's will is to say about its publisher, if there is a will and a name.
    pub(super) fn stamp_will(&mut self, host: &impl Host) -> Option<Stamp> {
        let will = self
            .asked
            .will
            .as_ref()
            .filter(|_| !self.connection.client.id.is_empty())?;
        let id = host.id();
        self.will_id = Some(id);
        Some(Stamp {
            id,
            publisher: self.client(),
            origin: Origin::Will,
            qos: will.qos,
            retain: will.retain,
            received_at: host.now(),
        })
    }

    fn pass(&mut self, from: Side, frame: Frame<'_>, stamp: Option<Stamp>, host: &impl Host) {
        if self.phase != Phase::Open {
            return;
        }
        let kind = frame.kind();
        if from == Side::Upstream && kind != kind::PUBLISH {
            // It goes on answering, so the client has done nothing that it minds.
            self.fault = None;
        }
        let read = match (from, kind) {
            (Side::Client, kind::PUBLISH) => self.publish(frame, stamp, host),
            (Side::Upstream, kind::PUBLISH) => self.delivery(frame, stamp, host),
            (Side::Client, kind::PUBACK | kind::PUBREC | kind::PUBCOMP) => self.confirmation(frame, host),
            (Side::Upstream, kind::PUBACK | kind::PUBREC | kind::PUBCOMP) => self.answer(frame, host),
            (_, kind::PUBREL) | (Side::Upstream, kind::PINGRESP) => Ok(()),
            (Side::Client, kind::SUBSCRIBE | kind::UNSUBSCRIBE) | (Side::Upstream, kind::SUBACK | kind::UNSUBACK) => {
                self.subscription(frame, host)
            }
            (Side::Client, kind::PINGREQ) => {
                self.pinged(host);
                Ok(())
            }
            (_, kind::DISCONNECT) if from == Side::Client || self.version() == 5 => self.disconnect(from, frame, host),
            (_, kind::AUTH) if self.version() == 5 => Ok(()),
            _ => {
                host.count(Counted::Unexpected);
                if from == Side::Client {
                    self.fault = Some(130);
                }
                return;
            }
        };
        if let Err(Unreadable(code)) = read {
            host.count(Counted::Unreadable);
            if from == Side::Client {
                self.fault = Some(code);
            }
        }
    }

    /// A packet passes that is too long to be looked at.
    pub(super) fn too_long(&mut self, from: Side, host: &impl Host) {
        host.count(Counted::TooLong);
        if from == Side::Client {
            self.fault = Some(149);
        }
    }

    /// From here on what one side sends is no MQTT.
    pub(super) fn broken(&mut self, from: Side, host: &impl Host) {
        host.count(Counted::Unreadable);
        if from == Side::Client {
            self.fault = Some(129);
        }
    }

    /// Keep alive in seconds as in force; 0: none.
    pub(super) fn keep_alive(&self) -> u16 {
        self.keep_alive
    }

    /// The protocol version: 3, 4 or 5.
    pub(super) fn version(&self) -> u8 {
        self.asked.version
    }

    /// Whether the client has said that it leaves: its end is told when the upstream has closed.
    pub(super) fn is_leaving(&self) -> bool {
        self.phase == Phase::Leaving
    }

    /// The client's id as far as it is known.
    pub(super) fn client_id(&self) -> &ByteString {
        &self.connection.client.id
    }

    /// Whether CONNACK has passed and the end has not been told.
    pub(super) fn is_open(&self) -> bool {
        self.phase == Phase::Open
    }

    fn client(&self) -> Client {
        self.connection.client.clone()
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self, frame: Frame<'_>) -> Result<Packet, Unreadable> {
        packet::read(self.version(), frame)
    }

    fn pinged(&self, host: &impl Host) {
        const NAME: &str = "client.ping";
        if host.wants(Hook::Other, Some(NAME)) {
            host.tell(Detail::Other(OtherEvent {
                name: NAME.into(),
                client: Some(self.client()),
                data: "{}".into(),
            }));
        }
    }

    /// How many bytes this connection keeps, as it counts them itself.
    #[cfg(test)]
    pub(super) fn kept(&self) -> usize {
        KEPT - self.budget.0 + self.memory().kept()
    }
}

#[cfg(test)]
mod tests;
