//! The host's own access rules: decides about packets of the client before the upstream gets them.
//!
//! A packet that the rules deny does not pass, and the gateway answers it itself. Of a SUBSCRIBE only the allowed filters
//! pass, and the codes of the denied ones are put into the SUBACK of the upstream. With rules, a packet that cannot be
//! decoded ends the connection, because it cannot be checked.

mod packets;
mod subscriptions;

use std::collections::{HashMap, HashSet};

use self::packets::{ack, with_topic};
use super::aliases::{Aliases, Resolved};
use super::connection_state::ConnectionState;
use super::publishes;
use super::step::Step;
use crate::frame::Frame;
use crate::packet::{
    FieldReader, InvalidPacket, Packet, QOS_NOT_SUPPORTED, has_invalid_qos, kind, payload, publish_id,
    topic as topic_of,
};
use hookhost_access::rules::{Action, Operation, OwnedOperation};
use hookhost_access::{ClientAccess, Decision, DenyAction};
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
    /// A web service decides about these operations. The client's later packets have to wait until
    /// [`decided`](super::ClientSession::decided).
    Ask(Vec<OwnedOperation>),
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
    /// What is known of the packet that the web service has to decide about.
    asked: Option<Asked>,
}

/// A packet that waits for the decisions of the web service.
enum Asked {
    /// A PUBLISH.
    Publish(CheckedPublish),
    /// A SUBSCRIBE; the decisions about its filters that are known already.
    Subscribe(Vec<Option<Decision>>),
}

/// A PUBLISH that is well-formed and not too fast.
struct CheckedPublish {
    topic: ByteString,
    alias: Option<u16>,
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
            asked: None,
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

    /// As [`check`](Gate::check), for the packet that [`Passage::Ask`] was about: these are the decisions.
    pub(super) fn decided(
        &mut self,
        state: &mut ConnectionState,
        frame: Frame<'_>,
        decisions: Vec<Decision>,
        step: &mut Step<'_>,
    ) -> Passage {
        let mut decisions = decisions.into_iter();
        let passage = match self.asked.take() {
            Some(Asked::Publish(publish)) => match decisions.next() {
                Some(decision) => self.decided_publish(state, frame, publish, decision, step),
                None => Err(InvalidPacket(NOT_AUTHORIZED)),
            },
            Some(Asked::Subscribe(known)) => {
                let all = known.into_iter().filter_map(|known| known.or_else(|| decisions.next()));
                self.decided_subscribe(state, frame, &all.collect::<Vec<_>>())
            }
            None => Err(InvalidPacket(NOT_AUTHORIZED)),
        };
        passage.unwrap_or_else(|InvalidPacket(code)| Passage::End(code))
    }

    fn publish(
        &mut self,
        state: &mut ConnectionState,
        frame: Frame<'_>,
        step: &mut Step<'_>,
    ) -> Result<Passage, InvalidPacket> {
        let sent = topic_of(frame.body).ok_or(InvalidPacket(129))?;
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
        let Some(decision) = self.access.authorize_now(&operation) else {
            let operations = vec![OwnedOperation::from(&operation)];
            self.asked = Some(Asked::Publish(CheckedPublish { topic, alias }));
            return Ok(Passage::Ask(operations));
        };
        self.decided_publish(state, frame, CheckedPublish { topic, alias }, decision, step)
    }

    fn decided_publish(
        &mut self,
        state: &mut ConnectionState,
        frame: Frame<'_>,
        publish: CheckedPublish,
        decision: Decision,
        step: &mut Step<'_>,
    ) -> Result<Passage, InvalidPacket> {
        let CheckedPublish { topic, alias } = publish;
        let has_topic = topic_of(frame.body).is_some_and(|sent| !sent.is_empty());
        let sets_alias = alias.filter(|_| has_topic);
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
        let answer = match (frame.first >> 1 & 3, publish_id(frame)) {
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
}
