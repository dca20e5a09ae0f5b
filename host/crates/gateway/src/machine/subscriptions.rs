//! SUBSCRIBE and UNSUBSCRIBE: told when the upstream has answered, because only then it is known what is in force.
//!
//! Whether the client may is not shown by any packet but the answer: a filter that is granted was allowed, one that is
//! refused with 135, or before MQTT 5 with 128, was not.

use std::sync::atomic::Ordering;

use super::*;
use crate::memory::Held;
use crate::packet::Asked;
use hookhost_event::{Access, Authorization, Properties, Subscription, TopicFilter, Unsubscription};

/// A SUBSCRIBE that the upstream has not answered.
pub(super) struct Subscribing {
    filters: Vec<Asked>,
    identifier: Option<u32>,
    properties: Option<Box<Properties>>,
    weight: usize,
}

/// An UNSUBSCRIBE that the upstream has not answered.
pub(super) struct Unsubscribing {
    filters: Vec<ByteString>,
    properties: Option<Box<Properties>>,
    weight: usize,
}

/// Group and filter of what a client wrote.
fn parts(sent: &ByteString) -> (Option<ByteString>, ByteString) {
    let split = |rest: &str, group: &str| (Some(ByteString::from(group)), ByteString::from(rest));
    if let Some((group, filter)) = sent.strip_prefix("$share/").and_then(|rest| rest.split_once('/')) {
        return split(filter, group);
    }
    match sent.strip_prefix("$queue/") {
        Some(filter) => split(filter, "$queue"),
        None => (None, sent.clone()),
    }
}

impl Machine {
    pub(super) fn subscription(&mut self, frame: Frame<'_>, host: &impl Host) -> Result<(), Unreadable> {
        match self.read(frame)? {
            Packet::Subscribe {
                id,
                filters,
                identifier,
                properties,
            } => {
                if let Some(old) = self.subscribing.remove(&id) {
                    self.budget.give(old.weight);
                }
                let weight = frame.body.len() + filters.len() * FIXED;
                if self.budget.take(weight) {
                    let asked = Subscribing {
                        filters,
                        identifier,
                        properties,
                        weight,
                    };
                    self.subscribing.insert(id, asked);
                } else {
                    host.count(Counted::Forgotten);
                }
            }
            Packet::Unsubscribe {
                id,
                filters,
                properties,
            } => {
                if let Some(old) = self.unsubscribing.remove(&id) {
                    self.budget.give(old.weight);
                }
                let weight = frame.body.len() + filters.len() * FIXED;
                if self.budget.take(weight) {
                    let asked = Unsubscribing {
                        filters,
                        properties,
                        weight,
                    };
                    self.unsubscribing.insert(id, asked);
                } else {
                    host.count(Counted::Forgotten);
                }
            }
            Packet::Suback { id, codes } => match self.subscribing.remove(&id) {
                Some(asked) => {
                    self.budget.give(asked.weight);
                    self.subscribed(asked, &codes, host);
                }
                None => host.count(Counted::Unexpected),
            },
            Packet::Unsuback { id, codes } => match self.unsubscribing.remove(&id) {
                Some(asked) => {
                    self.budget.give(asked.weight);
                    self.unsubscribed(asked, &codes, host);
                }
                None => host.count(Counted::Unexpected),
            },
            _ => return Err(Unreadable(130)),
        }
        Ok(())
    }

    fn subscribed(&mut self, asked: Subscribing, codes: &[u8], host: &impl Host) {
        for (filter, code) in asked.filters.iter().zip(codes) {
            self.granted(filter, *code, &asked, host);
        }
        self.handle
            .subscriptions
            .store(self.memory().subscriptions(), Ordering::Relaxed);
    }

    fn granted(&mut self, asked: &Asked, code: u8, all: &Subscribing, host: &impl Host) {
        let (group, filter) = parts(&asked.filter);
        let granted = code < 128;
        // Without a reason for the refusal this is the likeliest one.
        let forbidden = code == 135 || code == 128 && self.version() < 5;
        if (granted || forbidden) && host.wants(Hook::ClientAuthorized, Some(&filter)) {
            host.tell(Detail::ClientAuthorized(Authorization {
                client: self.client(),
                access: Access::Subscribe,
                topic: filter.clone(),
                allowed: granted,
                source: ByteString::from_static("upstream"),
            }));
        }
        let is_new = self.memory().subscribed(&asked.filter).is_none();
        if granted {
            let held = Held {
                qos: code,
                group: group.clone(),
                filter: filter.parse::<TopicFilter>().ok(),
                retain_as_published: asked.retain_as_published,
            };
            if !self.memory().subscribe(&asked.filter, held) {
                host.count(Counted::Forgotten);
            }
        }
        let subscription = |qos| Subscription {
            client: self.client(),
            filter: filter.clone(),
            group: group.clone(),
            qos,
            no_local: asked.no_local,
            retain_as_published: asked.retain_as_published,
            retain_handling: asked.retain_handling,
            id: all.identifier,
            limit: None,
            code,
            is_new,
            properties: all.properties.clone(),
        };
        if host.wants(Hook::ClientSubscribe, Some(&filter)) {
            host.tell(Detail::ClientSubscribe(subscription(asked.qos)));
        }
        if granted && host.wants(Hook::SessionSubscribed, Some(&filter)) {
            host.tell(Detail::SessionSubscribed(subscription(code)));
        }
    }

    fn unsubscribed(&mut self, asked: Unsubscribing, codes: &[u8], host: &impl Host) {
        for (index, sent) in asked.filters.iter().enumerate() {
            let (group, filter) = parts(sent);
            let had = self.memory().subscribed(sent);
            // Before MQTT 5 there are no codes, and what the upstream held of a session of earlier days is not known.
            let code = match codes.get(index) {
                Some(code) => *code,
                None if had.is_some() => 0,
                None => 17,
            };
            if code < 128 {
                self.memory().unsubscribe(sent);
            }
            let unsubscription = || Unsubscription {
                client: self.client(),
                filter: filter.clone(),
                group: group.clone(),
                qos: had.unwrap_or(0),
                code,
                properties: asked.properties.clone(),
            };
            if host.wants(Hook::ClientUnsubscribe, Some(&filter)) {
                host.tell(Detail::ClientUnsubscribe(unsubscription()));
            }
            if code == 0 && host.wants(Hook::SessionUnsubscribed, Some(&filter)) {
                host.tell(Detail::SessionUnsubscribed(unsubscription()));
            }
        }
        self.handle
            .subscriptions
            .store(self.memory().subscriptions(), Ordering::Relaxed);
    }
}
