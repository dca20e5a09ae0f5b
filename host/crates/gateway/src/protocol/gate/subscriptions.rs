//! SUBSCRIBE and SUBACK at a gate: which filters pass, and the codes of the others.

use super::packets::{properties_end, without_filters};
use super::{Asked, DeniedBy, FAILURE, Gate, Passage};
use crate::frame::Frame;
use crate::packet::{FieldReader, InvalidPacket, Packet, kind};
use crate::protocol::connection_state::ConnectionState;
use crate::protocol::subscriptions::group_and_filter;
use hookhost_access::Decision;
use hookhost_access::rules::{Action, Operation, OwnedOperation};

impl Gate {
    pub(super) fn subscribe(
        &mut self,
        state: &mut ConnectionState,
        frame: Frame<'_>,
    ) -> Result<Passage, InvalidPacket> {
        let Packet::Subscribe { id, filters, .. } = state.decode(frame)? else {
            return Err(InvalidPacket(130));
        };
        self.forget_subscribe(state, id);
        let mut operations = Vec::new();
        let known = filters.iter().map(|requested| {
            let (_, filter) = group_and_filter(&requested.filter);
            let operation = Operation {
                action: Action::Subscribe,
                topic: &filter,
                qos: requested.qos,
                retain: false,
            };
            let decision = self.access.authorize_now(&operation);
            if decision.is_none() {
                operations.push(OwnedOperation::from(&operation));
            }
            decision
        });
        let known: Vec<Option<Decision>> = known.collect();
        if !operations.is_empty() {
            self.asked = Some(Asked::Subscribe(known));
            return Ok(Passage::Ask(operations));
        }
        let decisions: Vec<Decision> = known.into_iter().flatten().collect();
        self.decided_subscribe(state, frame, &decisions)
    }

    /// A SUBSCRIBE, with a decision about each of its filters.
    pub(super) fn decided_subscribe(
        &mut self,
        state: &mut ConnectionState,
        frame: Frame<'_>,
        decisions: &[Decision],
    ) -> Result<Passage, InvalidPacket> {
        let id = FieldReader::new(frame.body).number().ok_or(InvalidPacket(129))?;
        let denied_by = |decision: &Decision| (!decision.allowed).then_some(decision.source);
        let denied: Vec<DeniedBy> = decisions.iter().map(denied_by).collect();
        if denied.iter().all(Option::is_none) {
            return Ok(Passage::Pass);
        }
        let passing = without_filters(frame, state.version(), &denied).ok_or(InvalidPacket(129))?;
        let bytes = size_of_val(denied.as_slice());
        if !state.budget.take(bytes) {
            return Err(InvalidPacket(151));
        }
        let is_any_allowed = denied.iter().any(Option::is_none);
        self.subscribing.insert(id, (denied, bytes));
        Ok(match is_any_allowed {
            true => Passage::Replace(passing),
            false => Passage::Answer(Vec::new()),
        })
    }

    /// The SUBACK for a SUBSCRIBE of which no filter passes.
    pub(in crate::protocol) fn suback_without_upstream(
        &mut self,
        state: &mut ConnectionState,
        id: u16,
    ) -> Option<Vec<u8>> {
        let mut body = id.to_be_bytes().to_vec();
        if state.version() == 5 {
            body.push(0);
        }
        let first = kind::SUBACK << 4;
        self.suback(state, Frame { first, body: &body })
    }

    /// The filters of this SUBSCRIBE that were denied, in their order; empty if none was.
    pub(in crate::protocol) fn denied_filters(&self, id: u16) -> Vec<DeniedBy> {
        self.subscribing
            .get(&id)
            .map(|(denied, _)| denied.clone())
            .unwrap_or_default()
    }

    /// A packet of the upstream: the SUBACK that the client gets in its place, if some filters were denied.
    pub(in crate::protocol) fn suback(&mut self, state: &mut ConnectionState, frame: Frame<'_>) -> Option<Vec<u8>> {
        if frame.kind() != kind::SUBACK {
            return None;
        }
        let mut fields = FieldReader::new(frame.body);
        let id = fields.number()?;
        let denied = self.denied_filters(id);
        if denied.is_empty() {
            return None;
        }
        self.forget_subscribe(state, id);
        let before_codes = properties_end(frame.body, state.version())?;
        let (head, codes) = frame.body.split_at_checked(before_codes)?;
        let mut codes = codes.iter().copied();
        let refusal = match state.version() {
            5 => self.access.denied_subscription_code(),
            _ => FAILURE,
        };
        let merged = denied.iter().map(|denied| match denied {
            Some(_) => refusal,
            None => codes.next().unwrap_or(FAILURE),
        });
        let mut body = head.to_vec();
        body.extend(merged);
        let first = kind::SUBACK << 4;
        Some(Frame { first, body: &body }.packet())
    }

    fn forget_subscribe(&mut self, state: &mut ConnectionState, id: u16) {
        if let Some((_, bytes)) = self.subscribing.remove(&id) {
            state.budget.give_back(bytes);
        }
    }
}
