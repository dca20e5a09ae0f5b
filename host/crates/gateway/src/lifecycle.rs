//! How a connection enters the session table, and how it gives up.
//!
//! Each function returns the lock of the table's shard. The caller carries out the actions of the step before it drops
//! that lock, so that the events of one session come in the order of its changes.

use super::packet::ConnackPacket;
use super::protocol::{self, ClientSession, Opening, Step};
use super::sessions::{Sessions, ShardGuard};

/// CONNECT goes to the upstream: from here on this connection may replace another one of its client.
pub(crate) fn announce(sessions: &Sessions, opening: &Opening) {
    if !opening.client_id().is_empty() {
        sessions.announce(opening.client_id(), opening.number());
    }
}

/// The upstream has accepted the connection.
pub(crate) fn accept<'s>(
    sessions: &'s Sessions,
    mut opening: Opening,
    answer: &ConnackPacket,
    step: &mut Step<'_>,
) -> (ClientSession, ShardGuard<'s>) {
    opening.negotiate(answer);
    let former = sessions.find(opening.client_id(), opening.number());
    let accepted = opening.accept(answer, former, sessions.new_state(), step);
    let (old, guard) = sessions.open(accepted.entry());
    (accepted.open(answer, old.as_ref(), step), guard)
}

/// The connection is not accepted: it was refused, or its client has gone.
pub(crate) fn retract<'s>(sessions: &'s Sessions, opening: &Opening, step: &mut Step<'_>) -> Option<ShardGuard<'s>> {
    if opening.client_id().is_empty() {
        return None;
    }
    let (old, guard) = sessions.retract(opening.client_id(), opening.number(), step.now())?;
    protocol::abandoned(&old, step);
    Some(guard)
}
