//! One MQTT client between its socket and a broker: both engines relay clients with this.
//!
//! A [`Relay`] owns both connections of a client from CONNACK on. It moves bytes and decides when a connection has
//! ended ([`EndCause`]); an [`Inspector`] of the engine sees what passes, may change it, and says what the client is sent
//! last. Bytes are read in large pieces and written as they are: nothing is copied or allocated for a packet, except while
//! acknowledgements are held back.
//!
//! - `frame` finds packets in a stream of bytes; `packet` decodes those that matter (by `rmqtt-codec`), with
//!   `properties` and `decode_error` as events have them;
//! - `held_acks` holds acknowledgements back until a publish is stored;
//! - `traffic` counts packets, messages and bytes;
//! - `wire` reads the first packet of a connection;
//! - `liveness` has the time limits, pure;
//! - `direction` and `closing` are the two halves of a [`Relay`]: moving bytes, and ending.

mod closing;
pub mod decode_error;
mod direction;
pub mod frame;
mod held_acks;
mod inspector;
mod liveness;
pub mod packet;
pub mod properties;
mod relay;
pub mod stream;
mod traffic;
pub mod wire;

pub use closing::linger;
pub use direction::Direction;
pub use held_acks::HeldAcks;
pub use inspector::{ClosingPackets, EndCause, Inspected, Inspector, Side};
pub use relay::{ReadAhead, Relay, Timeouts};
pub use traffic::{DirectionCounts, PACKET_TYPES, Traffic, TrafficCounts};
