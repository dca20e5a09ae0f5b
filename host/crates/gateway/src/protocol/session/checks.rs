//! The host's own access rules in a connection: what passes, and which events a packet that does not pass causes.

use super::super::gate::Passage;
use super::{ClientSession, Phase, Step};
use crate::frame::{Frame, parse};
use crate::packet::kind;
use hookhost_access::Decision;
use hookhost_relay::Side;

impl ClientSession {
    /// Whether the host's own rules are checked: then packets have to be handed to [`check`](ClientSession::check) first.
    pub(crate) fn has_rules(&self) -> bool {
        self.gate.is_some()
    }

    /// What the host's own rules make of a packet of the client. Does not report a packet that passes.
    pub(crate) fn check(&mut self, frame: Frame<'_>, step: &mut Step<'_>) -> Passage {
        let Some(gate) = &mut self.gate else {
            return Passage::Pass;
        };
        if !matches!(self.phase, Phase::Open) {
            return Passage::Answer(Vec::new());
        }
        let passage = gate.check(&mut self.state, frame, step);
        self.checked(passage, frame, step)
    }

    /// As [`check`](ClientSession::check), for a packet that the web service had to decide about ([`Passage::Ask`]).
    pub(crate) fn decided(&mut self, frame: Frame<'_>, decisions: Vec<Decision>, step: &mut Step<'_>) -> Passage {
        let Some(gate) = self.gate.as_mut().filter(|_| matches!(self.phase, Phase::Open)) else {
            return Passage::Answer(Vec::new());
        };
        let passage = gate.decided(&mut self.state, frame, decisions, step);
        self.checked(passage, frame, step)
    }

    fn checked(&mut self, passage: Passage, frame: Frame<'_>, step: &mut Step<'_>) -> Passage {
        let id = frame.body.first_chunk().map(|id| u16::from_be_bytes(*id));
        match (frame.kind(), id) {
            (kind::SUBSCRIBE, Some(id)) => self.subscribe(id, passage, frame, step),
            _ => passage,
        }
    }

    /// Reports a SUBSCRIBE of which some filters do not pass, and its SUBACK if none passes.
    fn subscribe(&mut self, id: u16, passage: Passage, frame: Frame<'_>, step: &mut Step<'_>) -> Passage {
        let is_final = !matches!(passage, Passage::Pass | Passage::Ask(_));
        let Some(gate) = self.gate.as_mut().filter(|_| is_final) else {
            return passage;
        };
        // The events of all filters come with SUBACK.
        let denied = gate.denied_filters(id);
        self.pass(Side::Client, frame, None, step);
        self.subscriptions.note_denied(id, denied);
        let Passage::Answer(_) = passage else { return passage };
        let suback = self
            .gate
            .as_mut()
            .and_then(|gate| gate.suback_without_upstream(&mut self.state, id));
        let suback = suback.unwrap_or_default();
        if let Some(frame) = parse(&suback) {
            self.pass(Side::Upstream, frame, None, step);
        }
        Passage::Answer(suback)
    }

    /// The SUBACK that the client gets in place of this packet of the upstream; `None` if the packet passes as it is.
    pub(crate) fn completed_suback(&mut self, frame: Frame<'_>) -> Option<Vec<u8>> {
        self.gate.as_mut()?.suback(&mut self.state, frame)
    }
}
