//! The engine with real sockets: what each step of a client's life causes, in which order, and what hostile clients
//! cannot do.

mod conventions;
mod durable;
mod front;
mod hostile;
mod life;
mod messages;
mod persistent;
mod queues;

use std::sync::Arc;
use std::time::Duration;

use hookhost_broker::{BrokerSettings, Limits, start};
use hookhost_event::{Detail, Event, Hook};
use hookhost_testing::client;
use hookhost_testing::engine::{DEADLINE, Host, line, settings, settings_at};
