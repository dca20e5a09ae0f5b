//! The engine with real sockets: what each step of a client's life causes, in which order, and what hostile clients
//! cannot do.

mod hostile;
mod life;
mod messages;

use std::sync::Arc;
use std::time::Duration;

use super::Limits;
use crate::broker::testing::{DEADLINE, Host, client, line, settings};
use crate::broker::{Settings, start};
use crate::event::{Detail, Event, Hook};
