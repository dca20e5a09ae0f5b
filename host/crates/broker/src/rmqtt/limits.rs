//! Limits of the MQTT listener, each with its default and the reason for it.
//!
//! They are the limits of RMQTT's listener, with RMQTT's defaults except where a doc comment says otherwise, and a few
//! that RMQTT has elsewhere or lacks. `listener_limits` checks them and hands them to the listeners.

use std::time::Duration;

/// Which member of a shared group gets a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SharedStrategy {
    /// Each member in turn.
    #[default]
    RoundRobin,
    /// Each member in turn, counted for each group.
    RoundRobinPerGroup,
    /// Any member.
    Random,
    /// The same member for one publisher, as long as that member is connected.
    Sticky,
    /// A member on the publisher's node if possible.
    Local,
    /// Chosen by the publisher's client id.
    HashClientId,
    /// Chosen by the topic.
    HashTopic,
}

impl SharedStrategy {
    /// RMQTT's name for it.
    pub fn name(self) -> &'static str {
        match self {
            SharedStrategy::RoundRobin => "round_robin",
            SharedStrategy::RoundRobinPerGroup => "round_robin_per_group",
            SharedStrategy::Random => "random",
            SharedStrategy::Sticky => "sticky",
            SharedStrategy::Local => "local",
            SharedStrategy::HashClientId => "hash_clientid",
            SharedStrategy::HashTopic => "hash_topic",
        }
    }
}

/// What clients may ask for, and what bounds them.
#[derive(Debug, Clone, PartialEq)]
pub struct Limits {
    /// Connections that the kernel keeps until they are accepted. 512.
    pub backlog: u32,
    /// Connections of all listeners; more are closed at once. 1,000,000.
    pub max_connections: usize,
    /// Connections of one IP address, or of the 64 bits of one IPv6 network; more are closed at once. 0: no limit, because
    /// all clients behind one router or load balancer have one address.
    pub max_connections_per_address: usize,
    /// Connections that a listener accepts in a second; more wait. 0: no limit. 10,000: a crowd that reconnects after
    /// an outage leaves time for the clients that are connected.
    pub max_connection_rate: u32,
    /// Handshakes carried out at a time; the rest wait. 1,000.
    pub max_handshaking_limit: usize,
    /// Sessions, of connected and disconnected clients, above which new clients are refused (code 136); 0: no limit.
    /// 1,000,000, as many as connections.
    pub max_sessions: usize,
    /// Longest time from a connection to its first byte. 10 s: clients speak first, so only a broken or hostile client
    /// says nothing.
    pub first_byte_timeout: Duration,
    /// Longest time for a TLS handshake. 10 s.
    pub tls_handshake_timeout: Duration,
    /// Longest time for a WebSocket upgrade. 10 s.
    pub websocket_timeout: Duration,
    /// Longest time for CONNECT, once the layers below MQTT are open. 30 s.
    pub handshake_timeout: Duration,
    /// How long one packet may wait for a client that does not read, before the connection is closed (too slow);
    /// 0: no limit. It also bounds how long messages accumulate for such a client. 10 s.
    pub send_timeout: Duration,
    /// Whether the system sends small packets at once. On, unlike in RMQTT: otherwise an acknowledgement can be delayed
    /// by 40 ms.
    pub nodelay: bool,
    /// Whether the system probes idle connections. On.
    pub tcp_keepalive: bool,
    /// Whether the host can listen on the address while connections of an earlier process are closing. On, unlike in
    /// RMQTT: otherwise a restart can fail.
    pub reuse_address: bool,
    /// Whether several processes may listen on the address. Off.
    pub reuse_port: bool,

    /// Longest packet in bytes, without its fixed header; a longer one ends the connection (code 149). 1 MiB.
    pub max_packet_size: u32,
    /// Longest client id in bytes. 65,535, the longest that MQTT allows.
    pub max_clientid_len: usize,
    /// Shortest keep alive in seconds: 3.x clients that ask for less are refused, 5.0 clients get this one. 0.
    pub min_keepalive: u16,
    /// Longest keep alive in seconds, by the same rule. 65,535.
    pub max_keepalive: u16,
    /// Whether a client may connect with keep alive 0, which disables it. On.
    pub allow_zero_keepalive: bool,
    /// Half of the multiple of keep alive after which a silent client is disconnected. 0.75: one and a half times.
    pub keepalive_backoff: f32,
    /// Highest QoS: subscriptions that ask for more get this. 2.
    pub max_qos_allowed: u8,
    /// Levels that a topic or filter may have. 128, not RMQTT's 0 (no limit): its trees recurse once per level, and a
    /// topic with 65,000 levels would end the process.
    pub max_topic_levels: usize,
    /// Topic aliases that one client may use, and that the broker uses at most for a client that accepts some; a higher one
    /// ends the connection (code 148). 0, the default: the broker uses none, ignores one next to a topic, and ends the
    /// connection for one without a topic (code 144).
    pub max_topic_aliases: u16,

    /// Messages that one client may leave unacknowledged; MQTT 5 clients learn it as the Receive Maximum. 128, not
    /// RMQTT's 16. Publishes of a client that are not complete are bounded by this too, but never by less than
    /// 128.
    pub max_inflight: u16,
    /// Messages that wait for one client; when full, the oldest is dropped, or the new one if it is QoS 0. 1,000.
    pub max_mqueue_len: usize,
    /// Bytes of topics and payloads that wait for one client; above that, new messages are dropped for it. 0: no limit,
    /// as in RMQTT. 128 MiB, because a thousand of the longest messages for each slow client would exhaust any machine.
    pub max_mqueue_bytes: usize,
    /// Messages with QoS 1 or 2 that wait for all sessions that outlive their connection; above that, new messages are
    /// dropped for these sessions. 0: no limit. 1,000,000.
    pub max_queued_messages: usize,
    /// Bytes of topics and payloads of these messages, with 512 for each message; the same happens at this limit. 0: no
    /// limit. 512 MiB, because they are in memory, too.
    pub max_queued_bytes: usize,
    /// How many messages are sent to one client per time span. 4,294,967,295 in 1 s: no limit in practice.
    pub mqueue_rate_limit: (u32, Duration),
    /// After how long an unacknowledged message is sent again on the same connection; 0: only when the client
    /// reconnects. 20 s.
    pub message_retry_interval: Duration,
    /// After how long a waiting message expires if its publisher set no expiry; 0: never. 5 min.
    pub message_expiry_interval: Duration,

    /// Time for which the session of a 3.x client without clean session outlives its connection. 2 h.
    pub session_expiry_interval: Duration,
    /// Time for which the session of a 5.0 client with clean start 0 outlives its connection if the client asks for no
    /// expiry or for 0. The CONNACK tells the client. 0, the default: the session ends with its connection.
    pub default_session_expiry_interval: Duration,
    /// Longest time that a session of any client outlives its connection; 0: no limit. 0.
    pub max_session_expiry_interval: Duration,
    /// Subscriptions of one client; 0: no limit. 0.
    pub max_subscriptions: usize,
    /// Subscriptions of all clients; 0: no limit. 1,000,000.
    pub max_total_subscriptions: usize,
    /// Whether `$limit/N/…` and `$exclusive/…` bound how many clients hold a filter. Off.
    pub limit_subscription: bool,
    /// Whether `$share/…` works. On.
    pub shared_subscription: bool,
    /// Which member of a shared group gets a message. Each in turn.
    pub shared_strategy: SharedStrategy,

    /// Whether retained messages are kept. On.
    pub retain: bool,
    /// Number of retained messages; when it is reached, messages on new topics are routed and not retained. 1,000,000.
    pub max_retained_messages: usize,
    /// Bytes of topics and payloads of all retained messages; the same happens at this limit. 256 MiB: RMQTT has no such
    /// limit, so clients could fill the host's memory.
    pub max_retained_bytes: usize,
    /// After how long a retained message expires if its publisher set no expiry; 0: never. 0, as in the MQTT standard;
    /// RMQTT would use `message_expiry_interval`.
    pub retained_message_ttl: Duration,

    /// Whether clients are refused while the machine's processors are 90 % busy. Off, unlike in RMQTT: another busy
    /// process is no reason to refuse a client.
    pub busy_check: bool,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            backlog: 512,
            max_connections: 1_000_000,
            max_connections_per_address: 0,
            max_connection_rate: 10_000,
            max_handshaking_limit: 1_000,
            max_sessions: 1_000_000,
            first_byte_timeout: Duration::from_secs(10),
            tls_handshake_timeout: Duration::from_secs(10),
            websocket_timeout: Duration::from_secs(10),
            handshake_timeout: Duration::from_secs(30),
            send_timeout: Duration::from_secs(10),
            nodelay: true,
            tcp_keepalive: true,
            reuse_address: true,
            reuse_port: false,
            max_packet_size: 1024 * 1024,
            max_clientid_len: 65_535,
            min_keepalive: 0,
            max_keepalive: 65_535,
            allow_zero_keepalive: true,
            keepalive_backoff: 0.75,
            max_qos_allowed: 2,
            max_topic_levels: 128,
            max_topic_aliases: 0,
            max_inflight: 128,
            max_mqueue_len: 1_000,
            max_mqueue_bytes: 128 * 1024 * 1024,
            max_queued_messages: 1_000_000,
            max_queued_bytes: 512 * 1024 * 1024,
            mqueue_rate_limit: (u32::MAX, Duration::from_secs(1)),
            message_retry_interval: Duration::from_secs(20),
            message_expiry_interval: Duration::from_secs(5 * 60),
            session_expiry_interval: Duration::from_secs(2 * 60 * 60),
            default_session_expiry_interval: Duration::ZERO,
            max_session_expiry_interval: Duration::ZERO,
            max_subscriptions: 0,
            max_total_subscriptions: 1_000_000,
            limit_subscription: false,
            shared_subscription: true,
            shared_strategy: SharedStrategy::RoundRobin,
            retain: true,
            max_retained_messages: 1_000_000,
            max_retained_bytes: 256 * 1024 * 1024,
            retained_message_ttl: Duration::ZERO,
            busy_check: false,
        }
    }
}

impl Limits {
    /// Whether a topic is valid for a publish and has no more levels than allowed.
    pub(super) fn is_topic(&self, topic: &str) -> bool {
        let mut levels = 1;
        for byte in topic.bytes() {
            match byte {
                b'+' | b'#' | 0 => return false,
                b'/' => levels += 1,
                _ => {}
            }
        }
        levels <= self.max_topic_levels && !topic.is_empty()
    }
}

#[cfg(test)]
#[path = "limits_tests.rs"]
mod tests;
