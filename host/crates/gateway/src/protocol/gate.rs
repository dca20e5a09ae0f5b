//! The host's own access rules: decides about packets of the client before the upstream gets them.
//!
//! A packet that the rules deny does not pass, and the gateway answers it itself. Of a SUBSCRIBE only the allowed filters
//! pass, and the codes of the denied ones are put into the SUBACK of the upstream. With rules, a packet that cannot be
//! decoded ends the connection, because it cannot be checked.

use std::collections::{HashMap, HashSet};

use super::aliases::{Aliases, Resolved};
use super::connection_state::ConnectionState;
use super::publishes;
use super::step::Step;
use super::subscriptions::group_and_filter;
use crate::frame::{Frame, header};
use crate::packet::{
    FieldReader, InvalidPacket, Packet, QOS_NOT_SUPPORTED, has_invalid_qos, kind, payload, publish_id, topic,
};
use hookhost_access::rules::{Action, Operation};
use hookhost_access::{ClientAccess, DenyAction};
use hookhost_event::ByteString;

/// The reason code "not authorized" of MQTT 5.
const NOT_AUTHORIZED: u8 = 135;
/// The reason code "message rate too high" of MQTT 5.
const MESSAGE_RATE_TOO_HIGH: u8 = 150;
/// The code of SUBACK for a refusal before MQTT 5.
const FAILURE: u8 = 128;

/// The decision about a packet of the client.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Passage {
    /// It passes as it is.
    Pass,
    /// This packet passes in its place.
    Replace(Vec<u8>),
    /// Nothing passes, and the client gets this packet; it may be empty.
    Answer(Vec<u8>),
    /// The connection ends, with this code of MQTT 5.
    End(u8),
}

/// What one filter of a SUBSCRIBE was denied by; `None` if it is allowed.
pub(super) type DeniedBy = Option<&'static str>;

/// Checks the packets of one client.
pub(super) struct Gate {
    access: ClientAccess,
    aliases: Aliases,
    /// Aliases that the upstream does not know, because the publish that set them was denied.
    unannounced: HashSet<u16>,
    /// QoS 2 publishes of MQTT 3 that were denied and whose PUBREL is still to come.
    denied_publishes: HashSet<u16>,
    /// SUBSCRIBEs of which some filters were denied, until the upstream answers, with the bytes that each takes of the
    /// budget.
    subscribing: HashMap<u16, (Vec<DeniedBy>, usize)>,
}

impl Gate {
    /// The upstream accepts topic aliases up to this maximum.
    pub(super) fn new(access: ClientAccess, alias_maximum: u16) -> Gate {
        Gate {
            access,
            aliases: Aliases::new(alias_maximum),
            unannounced: HashSet::new(),
            denied_publishes: HashSet::new(),
            subscribing: HashMap::new(),
        }
    }

    /// Checks a packet of the client, and emits the events of a publish that is denied.
    pub(super) fn check(&mut self, state: &mut ConnectionState, frame: Frame<'_>, step: &mut Step<'_>) -> Passage {
        let checked = match frame.kind() {
            kind::PUBLISH => self.publish(state, frame, step),
            kind::PUBREL => Ok(self.release(frame)),
            kind::SUBSCRIBE => self.subscribe(state, frame),
            _ => Ok(Passage::Pass),
        };
        checked.unwrap_or_else(|InvalidPacket(code)| Passage::End(code))
    }

    fn publish(
        &mut self,
        state: &mut ConnectionState,
        frame: Frame<'_>,
        step: &mut Step<'_>,
    ) -> Result<Passage, InvalidPacket> {
        let sent = topic(frame.body).ok_or(InvalidPacket(129))?;
        let qos = frame.first >> 1 & 3;
        if has_invalid_qos(frame) {
            return Err(InvalidPacket(QOS_NOT_SUPPORTED));
        }
        if qos > 0 && publish_id(frame).is_none() {
            return Err(InvalidPacket(129));
        }
        let payload = payload(state.version(), frame).ok_or(InvalidPacket(129))?;
        let mut alias = None;
        let mut topic = ByteString::from(sent);
        // With aliases the topic is known only after decoding.
        if state.version() == 5 && (self.aliases.any() || sent.is_empty()) {
            let Packet::Publish(publish) = state.decode(frame)? else {
                return Err(InvalidPacket(130));
            };
            alias = publish.alias;
            topic = match self.aliases.resolve(publish.topic, alias, &mut state.budget) {
                Resolved::Topic(topic) => topic,
                Resolved::OutOfRange => return Err(InvalidPacket(148)),
                Resolved::Unknown => return Err(InvalidPacket(130)),
            };
        }
        if !self.access.count_publish(topic.len() + payload.len()) {
            return Ok(Passage::End(MESSAGE_RATE_TOO_HIGH));
        }
        let operation = Operation {
            action: Action::Publish,
            topic: &topic,
            qos,
            retain: frame.first & 1 != 0,
        };
        let decision = self.access.authorize_now(&operation);
        let sets_alias = alias.filter(|_| !sent.is_empty());
        if decision.allowed {
            if let Some(alias) = sets_alias {
                self.unannounced.remove(&alias);
            }
            let is_unannounced = alias.is_some_and(|alias| self.unannounced.remove(&alias));
            return Ok(match is_unannounced {
                true => Passage::Replace(with_topic(frame, &topic)),
                false => Passage::Pass,
            });
        }
        self.unannounced.extend(sets_alias);
        publishes::denied(state, frame, topic, decision.source, step)?;
        if self.access.deny_action() == DenyAction::Disconnect {
            return Ok(Passage::End(NOT_AUTHORIZED));
        }
        let answer = match (qos, publish_id(frame)) {
            (1, Some(id)) => ack(kind::PUBACK, id, state.version()),
            (2, Some(id)) => {
                if state.version() < 5 {
                    self.denied_publishes.insert(id);
                }
                ack(kind::PUBREC, id, state.version())
            }
            _ => Vec::new(),
        };
        Ok(Passage::Answer(answer))
    }

    /// PUBREL of a client.
    fn release(&mut self, frame: Frame<'_>) -> Passage {
        let id = FieldReader::new(frame.body).number();
        match id.filter(|id| self.denied_publishes.remove(id)) {
            Some(id) => Passage::Answer(ack(kind::PUBCOMP, id, 4)),
            None => Passage::Pass,
        }
    }

    fn subscribe(&mut self, state: &mut ConnectionState, frame: Frame<'_>) -> Result<Passage, InvalidPacket> {
        let Packet::Subscribe { id, filters, .. } = state.decode(frame)? else {
            return Err(InvalidPacket(130));
        };
        let denied_by = |sent: &ByteString, qos: u8| {
            let (_, filter) = group_and_filter(sent);
            let operation = Operation {
                action: Action::Subscribe,
                topic: &filter,
                qos,
                retain: false,
            };
            let decision = self.access.authorize_now(&operation);
            (!decision.allowed).then_some(decision.source)
        };
        let denied: Vec<DeniedBy> = filters.iter().map(|one| denied_by(&one.filter, one.qos)).collect();
        self.forget_subscribe(state, id);
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
    pub(super) fn suback_without_upstream(&mut self, state: &mut ConnectionState, id: u16) -> Option<Vec<u8>> {
        let mut body = id.to_be_bytes().to_vec();
        if state.version() == 5 {
            body.push(0);
        }
        let first = kind::SUBACK << 4;
        self.suback(state, Frame { first, body: &body })
    }

    /// The filters of this SUBSCRIBE that were denied, in their order; empty if none was.
    pub(super) fn denied_filters(&self, id: u16) -> Vec<DeniedBy> {
        self.subscribing
            .get(&id)
            .map(|(denied, _)| denied.clone())
            .unwrap_or_default()
    }

    /// A packet of the upstream: the SUBACK that the client gets in its place, if some filters were denied.
    pub(super) fn suback(&mut self, state: &mut ConnectionState, frame: Frame<'_>) -> Option<Vec<u8>> {
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
        Some(packet(kind::SUBACK << 4, &body))
    }

    fn forget_subscribe(&mut self, state: &mut ConnectionState, id: u16) {
        if let Some((_, bytes)) = self.subscribing.remove(&id) {
            state.budget.give_back(bytes);
        }
    }
}

fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let mut packet = Vec::with_capacity(5 + body.len());
    header(&mut packet, first, body.len());
    packet.extend_from_slice(body);
    packet
}

/// An acknowledgement: before MQTT 5 it cannot say that the publish was denied.
fn ack(kind: u8, id: u16, version: u8) -> Vec<u8> {
    let mut body = id.to_be_bytes().to_vec();
    if version == 5 {
        body.push(NOT_AUTHORIZED);
    }
    packet(kind << 4, &body)
}

/// Where the properties of a SUBSCRIBE or SUBACK end, which come after its packet identifier.
fn properties_end(body: &[u8], version: u8) -> Option<usize> {
    let mut fields = FieldReader::new(body);
    fields.number()?;
    if version == 5 {
        fields.properties()?;
    }
    Some(body.len() - fields.rest().len())
}

/// A PUBLISH that has only an alias, with the topic in it.
fn with_topic(frame: Frame<'_>, topic: &str) -> Vec<u8> {
    let rest = frame.body.get(2..).unwrap_or_default();
    // A topic that came in a packet has at most 65,535 bytes.
    let length = u16::try_from(topic.len()).unwrap_or(u16::MAX);
    let mut body = length.to_be_bytes().to_vec();
    body.extend_from_slice(topic.as_bytes());
    body.extend_from_slice(rest);
    packet(frame.first, &body)
}

/// A SUBSCRIBE without the filters that are denied; `None` if it is malformed.
fn without_filters(frame: Frame<'_>, version: u8, denied: &[DeniedBy]) -> Option<Vec<u8>> {
    let start = properties_end(frame.body, version)?;
    let (head, mut filters) = frame.body.split_at_checked(start)?;
    let mut body = head.to_vec();
    for denied in denied {
        let mut fields = FieldReader::new(filters);
        let (_filter, _options) = (fields.text()?, fields.byte()?);
        let (requested, rest) = filters.split_at_checked(filters.len() - fields.rest().len())?;
        if denied.is_none() {
            body.extend_from_slice(requested);
        }
        filters = rest;
    }
    Some(packet(frame.first, &body))
}
