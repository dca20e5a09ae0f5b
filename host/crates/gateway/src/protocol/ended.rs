//! The ends of connections and sessions that their own [`ClientSession`](super::ClientSession) does not report: because a
//! successor does, because the client is away, or because the connection's task has panicked.

use super::end::{expired, plain};
use super::publishes::announce_publish;
use super::step::Step;
use crate::sessions::{Presence, SessionEntry};
use hookhost_event::{Connection, Detail, Disconnection, End, EndReason, Hook, Message, Session, Termination};

/// The connection's task has panicked.
pub(crate) fn failed(entry: &SessionEntry, step: &mut Step<'_>) {
    closed(entry, plain(EndReason::InternalError, Some(131), None), step);
}

/// The upstream has ended the connection, and no successor was accepted that would have reported it.
pub(crate) fn abandoned(entry: &SessionEntry, step: &mut Step<'_>) {
    if let Presence::EndPending(end) = &entry.presence {
        closed(entry, end.clone(), step);
    }
}

/// A session ends.
pub(crate) fn terminated(entry: &SessionEntry, end: End, step: &mut Step<'_>) {
    let by_disconnect = entry.by_disconnect || end.reason == EndReason::Disconnect;
    let clean_start = entry.connection.clean_start;
    step.emit_session_end(Hook::SessionTerminated, clean_start, by_disconnect, || {
        Detail::SessionTerminated(Termination {
            session: session(entry),
            end,
        })
    });
}

/// The upstream publishes a will now.
pub(crate) fn publish_will(will: &Message, step: &mut Step<'_>) {
    let message = Message {
        received_at: step.now,
        ..will.clone()
    };
    announce_publish(message, step);
}

/// A new connection of the client takes the place of the entry `old`. `resumed`: the new one continues the session.
/// `clean_start`: it asked for a new session.
pub(super) fn replaced(old: &SessionEntry, resumed: bool, clean_start: bool, step: &mut Step<'_>) {
    let mut was_away = matches!(old.presence, Presence::Away(_));
    if let Some((end, session_expiry)) = old.leaving.clone() {
        // The client had sent DISCONNECT, and only its socket was still open.
        disconnected(old, end.clone(), step);
        if session_expiry == 0 {
            terminated(old, end, step);
            return;
        }
        was_away = true;
    }
    if !was_away {
        let properties = match &old.presence {
            Presence::EndPending(end) => end.properties.clone(),
            _ => None,
        };
        let reason = if resumed {
            EndReason::TakenOver
        } else {
            EndReason::Discarded
        };
        let end = End {
            properties,
            ..plain(reason, Some(142), None)
        };
        ended(old, end, step);
    }
    if resumed {
        if !was_away {
            step.emit(Hook::SessionTakenOver, None, || Detail::SessionTakenOver(session(old)));
        }
    } else if !was_away || clean_start {
        let clean_start = old.connection.clean_start;
        step.emit_session_end(Hook::SessionDiscarded, clean_start, old.by_disconnect, || {
            Detail::SessionDiscarded(session(old))
        });
    } else {
        // No client discarded it, and the upstream does not have it any more.
        terminated(old, expired(), step);
    }
}

/// A connection ends, and its session with it unless that remains.
fn closed(entry: &SessionEntry, end: End, step: &mut Step<'_>) {
    ended(entry, end.clone(), step);
    if entry.connection.session_expiry == 0 {
        terminated(entry, end, step);
    }
}

/// A connection ends, and the upstream publishes its will.
fn ended(entry: &SessionEntry, end: End, step: &mut Step<'_>) {
    if let Some(will) = &entry.will {
        publish_will(will, step);
    }
    disconnected(entry, end, step);
}

fn disconnected(entry: &SessionEntry, end: End, step: &mut Step<'_>) {
    let disconnected_at = step.now;
    step.emit(Hook::ClientDisconnected, None, || {
        Detail::ClientDisconnected(Disconnection {
            connection: Connection::clone(&entry.connection),
            end,
            connected_at: entry.connected_at,
            disconnected_at,
        })
    });
}

fn session(entry: &SessionEntry) -> Session {
    Session {
        client: entry.connection.client.clone(),
        created_at: entry.created_at,
    }
}
