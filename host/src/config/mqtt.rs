//! `[mqtt]` and `[[listener]]`: where clients arrive, and their limits.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::time::Duration;

use hookhost_broker::{Conventions, Limits, SharedStrategy, default_threads};
use hookhost_listener::ListenerSettings;
use hookhost_settings::{Section, Setting, parse_duration};

/// The listener and its limits.
#[derive(Debug, Clone, PartialEq)]
pub struct Mqtt {
    /// Where clients arrive: the plain TCP listener of `mqtt.listen`, then those of `[[listener]]`. Without any, a
    /// plain TCP listener on loopback, because clients are not authenticated by default.
    pub listeners: Vec<ListenerSettings>,
    /// Threads that serve clients, by default [`default_threads`]. Under CPU pressure, more threads leave modules and delivery
    /// a smaller share.
    pub threads: usize,
    /// Limits of clients.
    pub limits: Limits,
    /// The broker whose conventions the built-in broker follows: the one whose format bodies have.
    pub conventions: Conventions,
    /// Whether clients without credentials are accepted, if it is given.
    pub allow_anonymous: Option<bool>,
}

impl Default for Mqtt {
    fn default() -> Mqtt {
        Mqtt {
            listeners: vec![ListenerSettings::tcp(DEFAULT_LISTENER, DEFAULT_ADDRESS)],
            threads: default_threads(),
            limits: Limits::default(),
            conventions: Conventions::default(),
            allow_anonymous: None,
        }
    }
}

/// Name of the listener of `mqtt.listen`.
const DEFAULT_LISTENER: &str = "tcp:default";
/// Where it listens.
const DEFAULT_ADDRESS: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 1883));

/// An upper bound for times.
const DAY: Duration = Duration::from_secs(24 * 3600);
/// The longest time that MQTT 5 can express.
const LONGEST: Duration = Duration::from_secs(u32::MAX as u64);

/// How often NanoMQ looks for sessions that have ended. A session of MQTT 5 without an expiry ends at the next look.
const NANOMQ_SESSION_CHECK: Duration = Duration::from_secs(10);

/// EMQX's default of `max_inflight`, which bodies of EMQX contain.
const EMQX_MAX_INFLIGHT: u16 = 32;

const STRATEGIES: [(&str, SharedStrategy); 7] = [
    ("round_robin", SharedStrategy::RoundRobin),
    ("round_robin_per_group", SharedStrategy::RoundRobinPerGroup),
    ("random", SharedStrategy::Random),
    ("sticky", SharedStrategy::Sticky),
    ("local", SharedStrategy::Local),
    ("hash_clientid", SharedStrategy::HashClientId),
    ("hash_topic", SharedStrategy::HashTopic),
];

impl Mqtt {
    /// The network addresses of the listeners, each with the name of its listener.
    pub fn addresses(&self) -> impl Iterator<Item = (&str, SocketAddr)> {
        let listeners = self.listeners.iter();
        listeners.filter_map(|listener| Some((&*listener.name, listener.address.network()?)))
    }

    /// `own` are the listeners of `[[listener]]`; `format` is that of bodies.
    pub(super) fn read(mut at: Section<'_>, own: Vec<ListenerSettings>, format: Option<&str>) -> Mqtt {
        let mut d = Mqtt::default();
        match format {
            Some("emqx4" | "emqx5") => d.limits.max_inflight = EMQX_MAX_INFLIGHT,
            Some("nanomq") => d.limits.default_session_expiry_interval = NANOMQ_SESSION_CHECK,
            _ => {}
        }
        Mqtt {
            listeners: listeners(&mut at, own),
            threads: at.integer("threads", d.threads, 1..=1_024),
            limits: limits(&mut at, d.limits),
            conventions: match format {
                Some("emqx4") => Conventions::Emqx4,
                Some("nanomq") => Conventions::Nanomq,
                Some("rmqtt") => Conventions::Rmqtt,
                _ => Conventions::Hookhost,
            },
            allow_anonymous: at.optional("allow_anonymous", Setting::boolean).map(|(_, allow)| allow),
        }
    }
}

fn listeners(at: &mut Section<'_>, own: Vec<ListenerSettings>) -> Vec<ListenerSettings> {
    let address = at.address("listen", DEFAULT_ADDRESS);
    if !at.is_given("listen") && !own.is_empty() {
        return own;
    }
    if own.iter().any(|listener| listener.name == DEFAULT_LISTENER) {
        let text = format!("has the name {DEFAULT_LISTENER}, which a [[listener]] has too");
        at.problem_of("listen", &text);
    }
    let mut listeners = vec![ListenerSettings::tcp(DEFAULT_LISTENER, address)];
    listeners.extend(own);
    listeners
}

fn limits(at: &mut Section<'_>, d: Limits) -> Limits {
    let (zero, millisecond) = (Duration::ZERO, Duration::from_millis(1));
    let limits = Limits {
        backlog: at.integer("backlog", d.backlog, 1..=65_535),
        max_connections: at.integer("max_connections", d.max_connections, 1..=100_000_000),
        max_connections_per_address: at.integer(
            "max_connections_per_address",
            d.max_connections_per_address,
            0..=100_000_000,
        ),
        max_connection_rate: at.integer("max_connection_rate", d.max_connection_rate, 0..=1_000_000),
        max_handshaking_limit: at.integer("max_handshaking_limit", d.max_handshaking_limit, 1..=1_000_000),
        max_sessions: at.integer("max_sessions", d.max_sessions, 0..=100_000_000),
        first_byte_timeout: at.duration("first_byte_timeout", d.first_byte_timeout, millisecond..=DAY),
        tls_handshake_timeout: at.duration("tls_handshake_timeout", d.tls_handshake_timeout, millisecond..=DAY),
        websocket_timeout: at.duration("websocket_timeout", d.websocket_timeout, millisecond..=DAY),
        handshake_timeout: at.duration("handshake_timeout", d.handshake_timeout, millisecond..=DAY),
        send_timeout: at.duration("send_timeout", d.send_timeout, zero..=DAY),
        nodelay: at.boolean("nodelay", d.nodelay),
        tcp_keepalive: at.boolean("tcp_keepalive", d.tcp_keepalive),
        reuse_address: at.boolean("reuse_address", d.reuse_address),
        reuse_port: at.boolean("reuse_port", d.reuse_port),
        max_packet_size: packet_size(at, d.max_packet_size),
        max_clientid_len: at.integer("max_clientid_len", d.max_clientid_len, 1..=65_535),
        min_keepalive: at.seconds("min_keepalive", d.min_keepalive),
        max_keepalive: at.seconds("max_keepalive", d.max_keepalive),
        allow_zero_keepalive: at.boolean("allow_zero_keepalive", d.allow_zero_keepalive),
        keepalive_backoff: at.number("keepalive_backoff", f64::from(d.keepalive_backoff), 0.5..=10.0) as f32,
        max_qos_allowed: at.integer("max_qos_allowed", d.max_qos_allowed, 0..=2),
        max_topic_levels: at.integer("max_topic_levels", d.max_topic_levels, 1..=1_024),
        max_topic_aliases: at.integer("max_topic_aliases", d.max_topic_aliases, 0..=65_535),
        max_inflight: at.integer("max_inflight", d.max_inflight, 1..=65_535),
        max_mqueue_len: at.integer("max_mqueue_len", d.max_mqueue_len, 1..=100_000_000),
        max_mqueue_bytes: at.size("max_mqueue_bytes", d.max_mqueue_bytes, 0..=1 << 40),
        max_queued_messages: at.integer("max_queued_messages", d.max_queued_messages, 0..=1_000_000_000),
        max_queued_bytes: at.size("max_queued_bytes", d.max_queued_bytes, 0..=1 << 44),
        mqueue_rate_limit: at.text("mqueue_rate_limit", d.mqueue_rate_limit, rate),
        message_retry_interval: at.duration("message_retry_interval", d.message_retry_interval, zero..=DAY),
        message_expiry_interval: at.duration("message_expiry_interval", d.message_expiry_interval, zero..=LONGEST),
        session_expiry_interval: at.duration("session_expiry_interval", d.session_expiry_interval, zero..=LONGEST),
        default_session_expiry_interval: at.duration(
            "default_session_expiry_interval",
            d.default_session_expiry_interval,
            zero..=LONGEST,
        ),
        max_session_expiry_interval: at.duration(
            "max_session_expiry_interval",
            d.max_session_expiry_interval,
            zero..=LONGEST,
        ),
        max_subscriptions: at.integer("max_subscriptions", d.max_subscriptions, 0..=100_000_000),
        max_total_subscriptions: at.integer("max_total_subscriptions", d.max_total_subscriptions, 0..=100_000_000),
        limit_subscription: at.boolean("limit_subscription", d.limit_subscription),
        shared_subscription: at.boolean("shared_subscription", d.shared_subscription),
        shared_strategy: at.choice("shared_strategy", d.shared_strategy, &STRATEGIES),
        retain: at.boolean("retain", d.retain),
        max_retained_messages: at.integer("max_retained_messages", d.max_retained_messages, 0..=100_000_000),
        max_retained_bytes: at.size("max_retained_bytes", d.max_retained_bytes, 0..=1 << 40),
        retained_message_ttl: at.duration("retained_message_ttl", d.retained_message_ttl, zero..=LONGEST),
        busy_check: at.boolean("busy_check", d.busy_check),
    };
    if limits.min_keepalive > limits.max_keepalive {
        // At least one of the two was given, because the defaults agree.
        let key = if at.is_given("min_keepalive") {
            "min_keepalive"
        } else {
            "max_keepalive"
        };
        at.problem_of(key, "leaves no room between mqtt.min_keepalive and mqtt.max_keepalive");
    }
    limits
}

/// The upper bound is that of the 28 bits of the packet length.
fn packet_size(at: &mut Section<'_>, default: u32) -> u32 {
    let size = at.size("max_packet_size", default as usize, 16..=268_435_455);
    u32::try_from(size).unwrap_or(default)
}

/// Messages per time, such as `1000/1s`.
fn rate(text: &str) -> Result<(u32, Duration), String> {
    let parts = text.split_once('/').and_then(|(messages, per)| {
        let messages = messages
            .trim()
            .replace('_', "")
            .parse()
            .ok()
            .filter(|messages| *messages > 0)?;
        Some((messages, parse_duration(per).ok().filter(|per| !per.is_zero())?))
    });
    parts.ok_or_else(|| "should be messages per time, such as \"1000/1s\"".to_owned())
}
