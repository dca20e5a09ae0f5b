//! The protocol core: what the packets of one connection mean.
//!
//! Packets with their direction go in; [`Action`]s come out, in the order in which the caller has to carry them out. The
//! core does no I/O, has no clock, waits for nothing and makes no callbacks: the time and the tables that it reads come in
//! with each [`Step`].
//!
//! A connection is an [`Opening`] from CONNECT to CONNACK and a [`ClientSession`] from then on. A session delegates to
//! its parts, `gate` (the host's own access rules), `subscriptions`, `publishes` of the client and `deliveries` to it, which
//! share one `connection_state`.
//! `end` has the reasons why connections and sessions end.
//! `ended` has the events of connections and sessions whose end another connection reports, or none.
//!
//! The core remembers what awaits an answer, up to [`MAX_PENDING_BYTES`](connection_state::MAX_PENDING_BYTES) per
//! connection. What outlives the connection is in its `session_state`, which the client's next connection finds in the
//! session table. What does not fit is dropped and counted: then an event is missing, never a packet.

mod aliases;
mod connection_state;
mod deliveries;
mod end;
mod ended;
mod gate;
mod opening;
mod publishes;
mod session;
mod step;
mod subscriptions;
mod wanted_publish;

pub(crate) use self::end::{expired, kicked};
pub(crate) use self::ended::{abandoned, failed, publish_will, terminated};
pub(crate) use self::gate::Passage;
pub(crate) use self::opening::{Opening, SocketInfo, UPSTREAM};
pub(crate) use self::publishes::announce_publish;
pub(crate) use self::session::ClientSession;
pub(crate) use self::step::{Action, Counter, Lookup, Step};

#[cfg(test)]
mod tests;
