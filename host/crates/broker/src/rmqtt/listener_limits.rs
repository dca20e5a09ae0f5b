//! Checks [`Limits`] and hands them to the listeners: to those of the host and to that of RMQTT.

use std::net::SocketAddr;
use std::num::{NonZeroU16, NonZeroU32};

use ::rmqtt::codec::types::QoS;
use ::rmqtt::net::Builder;
use hookhost_listener::SocketSettings;

use super::limits::Limits;

/// How many QoS 2 publishes any client may have incomplete. A 3.1.1 client does not learn the limit and is disconnected
/// when it has more.
const MIN_INCOMPLETE_PUBLISHES: u16 = 128;

/// What a WebSocket message may have beside the longest packet.
const MAX_EXTRA_MESSAGE_BYTES: usize = 64 << 10;

impl Limits {
    /// The invalid limits: each with its name and what it must be.
    pub fn check(&self) -> Vec<(&'static str, &'static str)> {
        let rules = [
            ("backlog", (1..=65_535).contains(&self.backlog), "must be 1 to 65535"),
            ("max_connections", self.max_connections > 0, "must be at least 1"),
            (
                "max_handshaking_limit",
                self.max_handshaking_limit > 0,
                "must be at least 1",
            ),
            (
                "first_byte_timeout",
                !self.first_byte_timeout.is_zero(),
                "must be longer than 0",
            ),
            (
                "tls_handshake_timeout",
                !self.tls_handshake_timeout.is_zero(),
                "must be longer than 0",
            ),
            (
                "websocket_timeout",
                !self.websocket_timeout.is_zero(),
                "must be longer than 0",
            ),
            (
                "handshake_timeout",
                !self.handshake_timeout.is_zero(),
                "must be longer than 0",
            ),
            (
                "max_packet_size",
                (16..=268_435_455).contains(&self.max_packet_size),
                "must be 16 to 268435455",
            ),
            ("max_clientid_len", self.max_clientid_len > 0, "must be at least 1"),
            (
                "max_keepalive",
                self.min_keepalive <= self.max_keepalive,
                "must not be less than min_keepalive",
            ),
            (
                "keepalive_backoff",
                self.keepalive_backoff >= 0.5 && self.keepalive_backoff <= 10.0,
                "must be 0.5 to 10",
            ),
            ("max_qos_allowed", self.max_qos_allowed <= 2, "must be 0, 1 or 2"),
            (
                "max_topic_levels",
                (1..=1_024).contains(&self.max_topic_levels),
                "must be 1 to 1024",
            ),
            ("max_inflight", self.max_inflight > 0, "must be at least 1"),
            ("max_mqueue_len", self.max_mqueue_len > 0, "must be at least 1"),
            (
                "mqueue_rate_limit",
                self.mqueue_rate_limit.0 > 0,
                "must allow at least one message",
            ),
        ];
        rules
            .into_iter()
            .filter(|(_, fine, _)| !fine)
            .map(|(key, _, problem)| (key, problem))
            .collect()
    }

    /// The limits of sockets, which all listeners share.
    pub fn sockets(&self) -> SocketSettings {
        SocketSettings {
            backlog: self.backlog,
            nodelay: self.nodelay,
            tcp_keepalive: self.tcp_keepalive,
            reuse_address: self.reuse_address,
            reuse_port: self.reuse_port,
            max_connections: self.max_connections,
            max_connections_per_address: self.max_connections_per_address,
            max_connection_rate: self.max_connection_rate,
            first_byte_timeout: self.first_byte_timeout,
            tls_handshake_timeout: self.tls_handshake_timeout,
            websocket_timeout: self.websocket_timeout,
            // A message may hold the longest packet and others beside it.
            max_message_bytes: self.max_packet_size as usize + MAX_EXTRA_MESSAGE_BYTES,
        }
    }

    /// RMQTT's listener with these limits, which [`check`](Self::check) has found valid. Without `allow_anonymous` the hook of
    /// authentication decides about every client.
    #[expect(
        clippy::expect_used,
        reason = "`Broker::start` refuses limits that `check` finds invalid"
    )]
    pub(super) fn builder(&self, name: &str, listen: SocketAddr, allow_anonymous: bool) -> Builder {
        Builder::new()
            .name(name)
            .laddr(listen)
            .backlog(i32::try_from(self.backlog).expect("at most 65535"))
            .nodelay(self.nodelay)
            .reuseaddr(Some(self.reuse_address))
            .reuseport(self.reuse_port.then_some(true))
            .tcp_keepalive(self.tcp_keepalive)
            .max_connections(self.max_connections)
            .max_handshaking_limit(self.max_handshaking_limit)
            .max_packet_size(self.max_packet_size)
            .allow_anonymous(allow_anonymous)
            .min_keepalive(self.min_keepalive)
            .max_keepalive(self.max_keepalive)
            .allow_zero_keepalive(self.allow_zero_keepalive)
            .keepalive_backoff(self.keepalive_backoff)
            .max_inflight(NonZeroU16::new(self.incomplete_publishes()).expect("at least 1"))
            .handshake_timeout(self.handshake_timeout)
            .send_timeout(self.send_timeout)
            .max_mqueue_len(self.max_mqueue_len)
            .mqueue_rate_limit(
                NonZeroU32::new(self.mqueue_rate_limit.0).expect("at least 1"),
                self.mqueue_rate_limit.1,
            )
            .max_clientid_len(self.max_clientid_len)
            .max_qos_allowed(QoS::try_from(self.max_qos_allowed).expect("at most 2"))
            .max_topic_levels(self.max_topic_levels)
            .session_expiry_interval(self.session_expiry_interval)
            .max_session_expiry_interval(self.max_session_expiry_interval)
            .message_retry_interval(self.message_retry_interval)
            .message_expiry_interval(self.message_expiry_interval)
            // See `super::subscription_limits`.
            .max_subscriptions(0)
            .max_topic_aliases(self.max_topic_aliases)
            .limit_subscription(self.limit_subscription)
    }

    /// How many QoS 2 publishes of a client may be incomplete.
    pub(super) fn incomplete_publishes(&self) -> u16 {
        self.max_inflight.max(MIN_INCOMPLETE_PUBLISHES)
    }

    /// How many messages one client may leave unacknowledged.
    #[expect(
        clippy::expect_used,
        reason = "`Broker::start` refuses limits that `check` finds invalid"
    )]
    pub(super) fn window(&self) -> NonZeroU16 {
        NonZeroU16::new(self.max_inflight).expect("at least 1")
    }
}
