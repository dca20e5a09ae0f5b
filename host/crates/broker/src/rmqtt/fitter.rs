//! What RMQTT settles with each client, with three of its faults fixed and one addition.
//!
//! - The number of messages that a client may leave unacknowledged is a limit of its own. RMQTT bounds the client's
//!   publishes by the same number, and disconnects a client that exceeds it.
//! - A client of MQTT 5 with a keep alive of 0 gets `max_keepalive` as server keep alive, if that is less than 65,535. RMQTT
//!   lets it be silent for ever.
//! - A silent client is disconnected after one and a half times its keep alive, in whole seconds rounded up. RMQTT adds 3
//!   seconds to a keep alive below 6 and rounds others down.
//!
//! The addition: a session of MQTT 5 without an expiry can outlive its connection (`default_session_expiry_interval`).
//!
//! Everything else is passed on to RMQTT.

use std::num::{NonZeroU16, NonZeroU32};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use ::rmqtt::fitter::{DefaultFitter, Fitter, FitterManager};
use ::rmqtt::types::{CodecPublish, ConnectInfo, Disconnect, FitterType, Id as ClientKey, ListenerConfig};

use super::connect::requested_expiry;
use super::limits::Limits;

/// Makes a [`ClientFitter`] for each client.
pub(super) struct ClientFitters {
    pub(super) limits: Limits,
}

impl FitterManager for ClientFitters {
    fn create(&self, info: Arc<ConnectInfo>, key: ClientKey, listener: ListenerConfig) -> FitterType {
        Arc::new(ClientFitter {
            window: self.limits.window(),
            expiry_without_request: expiry_without_request(&info, &self.limits),
            backoff: listener.keepalive_backoff,
            keep_alive: match info.proto_ver() {
                5 => listener.min_keepalive..=listener.max_keepalive,
                _ => 0..=u16::MAX,
            },
            inner: DefaultFitter::new(info, key, listener),
        })
    }
}

/// What is settled with one client.
struct ClientFitter {
    inner: DefaultFitter,
    /// How many messages the client may leave unacknowledged.
    window: NonZeroU16,
    /// The session expiry if neither CONNECT nor DISCONNECT requests one.
    expiry_without_request: Option<Duration>,
    /// Half of the multiple of keep alive after which a silent client is disconnected.
    backoff: f32,
    /// The keep alive that the broker may choose for the client. Before MQTT 5 it cannot tell the client.
    keep_alive: RangeInclusive<u16>,
}

/// The keep alive of a client of MQTT 5 that asks for this one, in seconds. 0: it may be silent for ever, which is possible
/// only if the highest keep alive is not limited.
pub(super) fn granted_keep_alive(asked: u16, allowed: RangeInclusive<u16>) -> u16 {
    match asked {
        0 if *allowed.end() == u16::MAX => 0,
        0 => *allowed.end(),
        asked => asked.clamp(*allowed.start(), *allowed.end()),
    }
}

/// The session expiry of a client of MQTT 5 whose CONNECT requests none; `None` if it requests one, and before MQTT 5.
fn expiry_without_request(info: &ConnectInfo, limits: &Limits) -> Option<Duration> {
    let ConnectInfo::V5(_, connect) = info else { return None };
    if connect.session_expiry_interval_secs > 0 {
        return None;
    }
    let expiry = requested_expiry(connect.clean_start, 0, limits);
    let most = limits.max_session_expiry_interval;
    Some(if most.is_zero() { expiry } else { expiry.min(most) })
}

/// The seconds of silence after which a client with this keep alive is disconnected; 0 for never.
fn longest_silence(keep_alive: u16, backoff: f32) -> u16 {
    // The conversion ends at 65535.
    (f32::from(keep_alive) * backoff * 2.0).ceil() as u16
}

#[async_trait]
impl Fitter for ClientFitter {
    fn keep_alive(&self, keep_alive: &mut u16) -> ::rmqtt::Result<u16> {
        // Sets the keep alive that the client gets, and refuses what the limits do not allow.
        self.inner.keep_alive(keep_alive)?;
        *keep_alive = granted_keep_alive(*keep_alive, self.keep_alive.clone());
        Ok(longest_silence(*keep_alive, self.backoff))
    }

    fn max_mqueue_len(&self) -> usize {
        self.inner.max_mqueue_len()
    }

    fn mqueue_rate_limit(&self) -> (NonZeroU32, Duration) {
        self.inner.mqueue_rate_limit()
    }

    fn max_inflight(&self) -> NonZeroU16 {
        // That of the listener, or what the client asked for if that is less.
        self.inner.max_inflight().min(self.window)
    }

    fn session_expiry_interval(&self, disconnect: Option<&Disconnect>) -> Duration {
        let is_requested =
            matches!(disconnect, Some(Disconnect::V5(packet)) if packet.session_expiry_interval_secs.is_some());
        match self.expiry_without_request {
            Some(expiry) if !is_requested => expiry,
            _ => self.inner.session_expiry_interval(disconnect),
        }
    }

    fn message_expiry_interval(&self, publish: &CodecPublish) -> Duration {
        self.inner.message_expiry_interval(publish)
    }

    fn max_client_topic_aliases(&self) -> u16 {
        self.inner.max_client_topic_aliases()
    }

    fn max_server_topic_aliases(&self) -> u16 {
        self.inner.max_server_topic_aliases()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_keep_alive_also_bounds_none() {
        for (asked, allowed, granted) in [
            (0, 0..=65_535, 0),
            (0, 0..=60, 60),
            (0, 10..=60, 60),
            (5, 10..=60, 10),
            (60, 10..=60, 60),
            (61, 10..=60, 60),
            (65_535, 0..=65_535, 65_535),
        ] {
            assert_eq!(
                granted_keep_alive(asked, allowed.clone()),
                granted,
                "{asked} {allowed:?}"
            );
        }
    }

    #[test]
    fn silence_lasts_one_and_a_half_times_the_keep_alive() {
        for (keep_alive, seconds) in [
            (0, 0),
            (1, 2),
            (2, 3),
            (3, 5),
            (5, 8),
            (6, 9),
            (7, 11),
            (60, 90),
            (65_535, 65_535),
        ] {
            assert_eq!(longest_silence(keep_alive, 0.75), seconds, "{keep_alive}");
        }
        assert_eq!(longest_silence(10, 1.0), 20);
    }
}
