//! A fleet of hosts in simulated time: [`Membership`](super::membership::Membership) and [`partition`](super::partition())
//! as they are, with a model of NATS, the network and the load around them.
//!
//! Nothing here reads a clock or waits. The caller gives the time of the start and a seed; the same seed has the same
//! result. `Fleet` owns the hosts, the bucket and the queue of events. A `Host` makes the same requests in the same order as
//! the coordinator, and each of them takes a random time. The tests of this crate and the example `fleet-simulation`
//! compile this module; the host does not.
//!
//! What the model leaves out: the elections inside NATS, the time that a request waits for its next attempt, and the order
//! of the requests of one key.

pub(crate) mod bucket;
pub(crate) mod experiments;
pub(crate) mod fleet;
mod host;
mod load;

#[cfg(test)]
mod tests;
