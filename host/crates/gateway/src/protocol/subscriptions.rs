//! SUBSCRIBE and UNSUBSCRIBE: reported when the upstream has answered, because only the answer says what is active.
//!
//! Only the answer shows whether the client is allowed to subscribe. A filter that is granted is allowed. A filter is not
//! allowed if the host itself has denied it, or if the upstream refuses it with 135, or with 128 before MQTT 5.

use std::collections::HashMap;
use std::sync::atomic::Ordering;

use super::connection_state::{Budget, ConnectionState, ENTRY_BYTES};
use super::gate::DeniedBy;
use super::opening::UPSTREAM;
use super::step::{Counter, Step};
use crate::frame::Frame;
use crate::packet::{InvalidPacket, Packet, RequestedFilter};
use crate::session_state::GrantedSubscription;
use hookhost_event::{
    Access, Authorization, ByteString, Detail, Hook, Properties, Subscription, TopicFilter, Unsubscription,
};

/// SUBSCRIBEs and UNSUBSCRIBEs that the upstream has not answered.
#[derive(Default)]
pub(super) struct Subscriptions {
    subscribing: UnansweredRequests<Subscribing>,
    unsubscribing: UnansweredRequests<Unsubscribing>,
}

struct Subscribing {
    filters: Vec<RequestedFilter>,
    identifier: Option<u32>,
    properties: Option<Box<Properties>>,
    /// What the host itself denied; empty if it denied nothing.
    denied: Vec<DeniedBy>,
}

struct Unsubscribing {
    filters: Vec<ByteString>,
    properties: Option<Box<Properties>>,
}

/// Requests by their packet identifiers, with the bytes that each takes of the budget.
struct UnansweredRequests<T>(HashMap<u16, (T, usize)>);

impl<T> Default for UnansweredRequests<T> {
    fn default() -> Self {
        UnansweredRequests(HashMap::new())
    }
}

impl<T> UnansweredRequests<T> {
    /// Keeps a request; false if the budget does not allow it.
    fn insert(&mut self, id: u16, request: T, bytes: usize, budget: &mut Budget) -> bool {
        self.remove(id, budget);
        let fits = budget.take(bytes);
        if fits {
            self.0.insert(id, (request, bytes));
        }
        fits
    }

    /// The request with this identifier, which is kept no longer.
    fn remove(&mut self, id: u16, budget: &mut Budget) -> Option<T> {
        let (request, bytes) = self.0.remove(&id)?;
        budget.give_back(bytes);
        Some(request)
    }
}

impl Subscriptions {
    /// Notes what the host itself denied of the last SUBSCRIBE with this identifier.
    pub(super) fn note_denied(&mut self, id: u16, denied: Vec<DeniedBy>) {
        if let Some((request, _)) = self.subscribing.0.get_mut(&id) {
            request.denied = denied;
        }
    }

    /// SUBSCRIBE or UNSUBSCRIBE of the client, SUBACK or UNSUBACK of the upstream.
    pub(super) fn packet(
        &mut self,
        state: &mut ConnectionState,
        frame: Frame<'_>,
        step: &mut Step<'_>,
    ) -> Result<(), InvalidPacket> {
        match state.decode(frame)? {
            Packet::Subscribe {
                id,
                filters,
                identifier,
                properties,
            } => {
                let bytes = frame.body.len() + filters.len() * ENTRY_BYTES;
                let request = Subscribing {
                    filters,
                    identifier,
                    properties,
                    denied: Vec::new(),
                };
                if !self.subscribing.insert(id, request, bytes, &mut state.budget) {
                    step.count(Counter::Forgotten);
                }
            }
            Packet::Unsubscribe {
                id,
                filters,
                properties,
            } => {
                let bytes = frame.body.len() + filters.len() * ENTRY_BYTES;
                let request = Unsubscribing { filters, properties };
                if !self.unsubscribing.insert(id, request, bytes, &mut state.budget) {
                    step.count(Counter::Forgotten);
                }
            }
            Packet::Suback { id, codes } => match self.subscribing.remove(id, &mut state.budget) {
                Some(request) => subscribed(state, &request, &codes, step),
                None => step.count(Counter::Unexpected),
            },
            Packet::Unsuback { id, codes } => match self.unsubscribing.remove(id, &mut state.budget) {
                Some(request) => unsubscribed(state, &request, &codes, step),
                None => step.count(Counter::Unexpected),
            },
            _ => return Err(InvalidPacket(130)),
        }
        Ok(())
    }
}

/// The upstream has answered SUBSCRIBE with these codes.
fn subscribed(state: &ConnectionState, request: &Subscribing, codes: &[u8], step: &mut Step<'_>) {
    for (index, (filter, code)) in request.filters.iter().zip(codes).enumerate() {
        let denied_by = request.denied.get(index).copied().flatten();
        answered(state, filter, (*code, denied_by), request, step);
    }
    update_count(state);
}

/// One filter of a SUBSCRIBE is answered: the code, and what of the host has denied it.
fn answered(
    state: &ConnectionState,
    requested: &RequestedFilter,
    (code, denied_by): (u8, DeniedBy),
    request: &Subscribing,
    step: &mut Step<'_>,
) {
    let (group, filter) = group_and_filter(&requested.filter);
    let is_granted = code < 128;
    // The upstream gives no other reason before MQTT 5, and this is the most likely one.
    let is_forbidden = denied_by.is_some() || code == 135 || code == 128 && state.version() < 5;
    let hooks = [Hook::ClientAuthorized, Hook::ClientSubscribe, Hook::SessionSubscribed];
    let interested = step.interested_in(&hooks, Some(&filter));
    if is_granted || is_forbidden {
        step.emit_to(&interested, Hook::ClientAuthorized, || {
            Detail::ClientAuthorized(Authorization {
                client: state.client(),
                access: Access::Subscribe,
                topic: filter.clone(),
                allowed: is_granted,
                source: ByteString::from_static(denied_by.unwrap_or(UPSTREAM)),
            })
        });
    }
    let is_new = state.session().subscribed(&requested.filter).is_none();
    if is_granted {
        let granted = GrantedSubscription {
            qos: code,
            group: group.clone(),
            filter: filter.parse::<TopicFilter>().ok(),
            retain_as_published: requested.retain_as_published,
        };
        if !state.session().subscribe(&requested.filter, granted) {
            step.count(Counter::Forgotten);
        }
    }
    let subscription = |qos| Subscription {
        client: state.client(),
        filter: filter.clone(),
        group: group.clone(),
        qos,
        no_local: requested.no_local,
        retain_as_published: requested.retain_as_published,
        retain_handling: requested.retain_handling,
        id: request.identifier,
        limit: None,
        code,
        is_new,
        properties: request.properties.clone(),
    };
    step.emit_to(&interested, Hook::ClientSubscribe, || {
        Detail::ClientSubscribe(subscription(requested.qos))
    });
    if is_granted {
        step.emit_to(&interested, Hook::SessionSubscribed, || {
            Detail::SessionSubscribed(subscription(code))
        });
    }
}

/// The upstream has answered UNSUBSCRIBE; without codes before MQTT 5.
fn unsubscribed(state: &ConnectionState, request: &Unsubscribing, codes: &[u8], step: &mut Step<'_>) {
    for (index, sent) in request.filters.iter().enumerate() {
        let (group, filter) = group_and_filter(sent);
        let held_qos = state.session().subscribed(sent);
        // Without a code: the upstream may hold subscriptions of an earlier connection that are not known here.
        let code = match codes.get(index) {
            Some(code) => *code,
            None if held_qos.is_some() => 0,
            None => 17,
        };
        if code < 128 {
            state.session().unsubscribe(sent);
        }
        let unsubscription = || Unsubscription {
            client: state.client(),
            filter: filter.clone(),
            group: group.clone(),
            qos: held_qos.unwrap_or(0),
            code,
            properties: request.properties.clone(),
        };
        let hooks = [Hook::ClientUnsubscribe, Hook::SessionUnsubscribed];
        let interested = step.interested_in(&hooks, Some(&filter));
        step.emit_to(&interested, Hook::ClientUnsubscribe, || {
            Detail::ClientUnsubscribe(unsubscription())
        });
        if code == 0 {
            step.emit_to(&interested, Hook::SessionUnsubscribed, || {
                Detail::SessionUnsubscribed(unsubscription())
            });
        }
    }
    update_count(state);
}

/// Publishes the number of subscriptions for the rest of the gateway.
fn update_count(state: &ConnectionState) {
    let count = state.session().subscriptions();
    state.handle.subscriptions.store(count, Ordering::Relaxed);
}

/// Group and filter of a filter as the client wrote it.
pub(super) fn group_and_filter(sent: &ByteString) -> (Option<ByteString>, ByteString) {
    let split = |rest: &str, group: &str| (Some(ByteString::from(group)), ByteString::from(rest));
    if let Some((group, filter)) = sent.strip_prefix("$share/").and_then(|rest| rest.split_once('/')) {
        return split(filter, group);
    }
    match sent.strip_prefix("$queue/") {
        Some(filter) => split(filter, "$queue"),
        None => (None, sent.clone()),
    }
}
