//! What an engine contributes to a relay.

use std::future::Future;
use std::task::{Context, Poll};

use super::direction::Direction;

/// Who sent a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The client.
    Client,
    /// The upstream broker.
    Upstream,
}

/// Why a connection ended, other than by DISCONNECT.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EndCause {
    /// The client closed.
    ClientClosed,
    /// The client's socket failed; POSIX name of the error, if it has one.
    ClientFailed(Option<&'static str>),
    /// The upstream closed, or its socket failed.
    UpstreamClosed,
    /// The upstream has left a PINGREQ unanswered.
    UpstreamSilent,
    /// The client sent nothing for longer than its keep alive allows.
    KeepAlive,
    /// The client does not read.
    TooSlow,
    /// The inspector has ended it ([`Inspector::violation`]); code of MQTT 5.
    Protocol(u8),
    /// An administrator ended it.
    Kicked,
    /// The client's credentials have expired.
    Expired,
    /// The connection to the upstream has to end, because the settings do not list the upstream any more.
    Draining,
    /// The host stops.
    Stopping,
}

/// What becomes of a piece of input that was inspected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Inspected {
    /// Whether the piece is written as it is. Otherwise what has to be written is in the direction's `out`.
    pub passes: bool,
    /// Whether there was a PINGREQ, which the upstream has to answer.
    pub has_ping: bool,
}

/// What both sides are sent at the end of a connection.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ClosingPackets {
    /// Code of the DISCONNECT for a client of MQTT 5; `None` if it gets none.
    pub code: Option<u8>,
    /// A packet for the upstream; then the relay waits for a moment until the upstream has closed.
    pub to_upstream: &'static [u8],
}

/// Sees what passes through a relay. Its functions run in the client's task.
pub trait Inspector: Send {
    /// Inspects a piece of input from one side. Has to hand all bytes to the direction's `framer`, if packets may be
    /// added in this direction.
    fn inspect(&mut self, from: Side, piece: &[u8], direction: &mut Direction) -> Inspected;

    /// Whether nothing has to be waited for before what was inspected is written.
    fn is_clear(&self) -> bool {
        true
    }

    /// Waits until [`is_clear`](Inspector::is_clear).
    fn flush(&mut self) -> impl Future<Output = ()> + Send {
        async {}
    }

    /// Writes to the end of `out`, which goes to the client, what was held back before and may pass now. Wakes the task
    /// when there is more. Called only between two packets.
    fn release(&mut self, _: &mut Context<'_>, _out: &mut Vec<u8>) {}

    /// Goes on with packets of the client that had to wait, if they need not wait any longer; what has to be written is
    /// added to the direction's `out`. Wakes the task when there is more. `Pending` if nothing waits. While something
    /// waits, the inspector is [congested](Inspector::is_congested).
    fn resume(&mut self, _: &mut Context<'_>, _from_client: &mut Direction) -> Poll<Inspected> {
        Poll::Pending
    }

    /// Whether the client is not to be read for now, because too many packets for it wait: those that
    /// [`release`](Inspector::release) writes, or acknowledgements that are held back. Or because its own packets wait.
    fn is_congested(&self) -> bool {
        false
    }

    /// Why the connection has to end, as a code of MQTT 5: the client has sent a packet that may not pass, it publishes too
    /// fast, or an acknowledgement can never be sent. What passed before is written first. `None`: it stays open.
    fn violation(&self) -> Option<u8> {
        None
    }

    /// Whether the client has sent DISCONNECT.
    fn is_leaving(&self) -> bool {
        false
    }

    /// How many bytes may be read from a side at a time, at most 64 KiB.
    fn max_piece(&self, _: Side) -> usize {
        super::direction::MAX_PIECE_BYTES
    }

    /// The client has closed: reports it, unless an end is reported already.
    fn end(&mut self, cause: EndCause);

    /// The connection is over: reports it, unless an end is reported already, and returns what both sides are sent.
    fn closing_packets(&mut self, cause: EndCause) -> impl Future<Output = ClosingPackets> + Send;
}
