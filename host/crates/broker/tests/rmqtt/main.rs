//! The engine with real sockets: what each step of a client's life causes, in which order, and what hostile clients
//! cannot do.

mod conventions;
mod durable;
mod expiry;
mod front;
mod hostile;
mod life;
mod long_packets;
mod messages;
mod persistent;
mod queues;

use std::sync::Arc;
use std::time::Duration;

use hookhost_broker::{BrokerSettings, Limits, start};
use hookhost_event::{Detail, Event, Hook, Id};
use hookhost_testing::client;
use hookhost_testing::engine::{DEADLINE, Host, line, settings, settings_at};

/// The hook and the message id of each event about a message.
fn ids(events: &[Arc<Event>]) -> Vec<(Hook, Id)> {
    let id = |event: &Arc<Event>| {
        let message = match &event.detail {
            Detail::MessagePublish(message) => message,
            Detail::MessageDelivered(delivery) | Detail::MessageQueued(delivery) => &delivery.message,
            Detail::MessageAcked(acknowledgement) => &acknowledgement.delivery.message,
            Detail::MessageDropped(drop) | Detail::MessageRefused(drop) => &drop.message,
            Detail::DeliveryDropped(drop) => &drop.delivery.message,
            _ => return None,
        };
        Some((event.detail.hook(), message.id))
    };
    events.iter().filter_map(id).collect()
}
