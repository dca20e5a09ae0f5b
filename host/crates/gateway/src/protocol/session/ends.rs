//! How a connection ends, and the events of that.

use super::super::step::{Action, Closing, Step};
use super::super::{end, ended};
use super::{ClientSession, Deliveries, Phase, Publishes, Subscriptions};
use crate::frame::Frame;
use crate::packet::{InvalidPacket, Packet};
use hookhost_event::{Detail, Disconnection, End, EndReason, Hook, Session, Termination};
use hookhost_relay::{EndCause, Side};

impl ClientSession {
    /// The connection is over; later packets are ignored.
    pub(crate) fn end(&mut self, cause: EndCause, step: &mut Step<'_>) {
        match std::mem::replace(&mut self.phase, Phase::Over) {
            Phase::Over => {}
            Phase::Leaving(leaving) => {
                let (end, expiry) = *leaving;
                self.over(end, false, false, Some(expiry), step);
            }
            Phase::Open => {
                let by_upstream = cause == EndCause::UpstreamClosed;
                let (end, has_will) = end::end_of(cause, self.state.fault);
                self.over(end, by_upstream, has_will, None, step);
            }
        }
    }

    pub(super) fn disconnect(
        &mut self,
        from: Side,
        frame: Frame<'_>,
        step: &mut Step<'_>,
    ) -> Result<(), InvalidPacket> {
        let Packet::Disconnect {
            code,
            session_expiry,
            text,
            properties,
        } = self.state.decode(frame)?
        else {
            return Err(InvalidPacket(130));
        };
        let by_upstream = from == Side::Upstream;
        let end = End {
            reason: if by_upstream {
                end::reason_of(code)
            } else {
                EndReason::Disconnect
            },
            code: Some(code),
            text,
            properties,
        };
        let has_will = if by_upstream { code != 139 } else { code != 0 };
        let connection = &self.state.connection;
        let session_expiry = session_expiry.filter(|_| !by_upstream && connection.session_expiry > 0);
        if !by_upstream && (!has_will || self.will.is_none()) {
            // Reported when the upstream has acted on it, so that it comes after everything the client is still sent.
            let expiry = session_expiry.unwrap_or(connection.session_expiry);
            step.push(Action::Leave {
                client_id: connection.client.id.clone(),
                number: self.state.number,
                end: end.clone(),
                session_expiry: expiry,
            });
            self.phase = Phase::Leaving(Box::new((end, expiry)));
            return Ok(());
        }
        self.over(end, by_upstream, has_will, session_expiry, step);
        Ok(())
    }

    /// The connection has ended. `by_upstream`: a successor may report it. `has_will`: the upstream publishes the will.
    fn over(&mut self, end: End, by_upstream: bool, has_will: bool, session_expiry: Option<u32>, step: &mut Step<'_>) {
        self.phase = Phase::Over;
        self.subscriptions = Subscriptions::default();
        self.publishes = Publishes::default();
        self.deliveries = Deliveries::default();
        let connection = &self.state.connection;
        let session_expiry = session_expiry.unwrap_or(connection.session_expiry);
        let will = self.will.take().filter(|_| has_will);
        let will_delay = self.will_delay.min(session_expiry);
        let by_end = by_upstream.then(|| end.clone());
        let now = step.now;
        let actions = step.apart(|step| {
            match (will, will_delay) {
                (Some(will), 0) => ended::publish_will(&will, step),
                // The session's end publishes it at the latest.
                (Some(will), delay) => step.push(Action::PublishWillLater(will, delay)),
                (None, _) => {}
            }
            step.emit(Hook::ClientDisconnected, None, || {
                Detail::ClientDisconnected(Disconnection {
                    connection: connection.clone(),
                    end: end.clone(),
                    connected_at: self.connected_at,
                    disconnected_at: now,
                })
            });
            if session_expiry == 0 {
                let by_disconnect = end.reason == EndReason::Disconnect;
                step.emit_session_end(Hook::SessionTerminated, connection.clean_start, by_disconnect, || {
                    Detail::SessionTerminated(Termination {
                        session: Session {
                            client: connection.client.clone(),
                            created_at: self.created_at,
                        },
                        end,
                    })
                });
            }
        });
        step.push(Action::Close(Box::new(Closing {
            client_id: connection.client.id.clone(),
            number: self.state.number,
            by_upstream: by_end,
            session_expiry,
            actions,
        })));
    }
}
