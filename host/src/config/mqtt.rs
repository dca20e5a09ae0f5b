//! `[mqtt]`: where clients connect and what they may ask for.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::reader::Section;
use super::units::parse_duration;

/// The listener and its limits.
#[derive(Debug, Clone, PartialEq)]
pub struct Mqtt {
    /// Address of the MQTT listener; port 0 takes a free one. Loopback by default, because anybody may connect.
    pub listen: SocketAddr,
    /// What clients may ask for.
    pub limits: Limits,
}

impl Default for Mqtt {
    fn default() -> Mqtt {
        Mqtt {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 1883)),
            limits: Limits::default(),
        }
    }
}

/// Who of a shared group gets a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SharedStrategy {
    /// Each in turn.
    #[default]
    RoundRobin,
    /// Each in turn, counted for each group.
    RoundRobinPerGroup,
    /// Anyone.
    Random,
    /// The same one for one publisher, as long as it is connected.
    Sticky,
    /// One on the publisher's node if possible.
    Local,
    /// Chosen by the publisher's client id.
    HashClientId,
    /// Chosen by the topic.
    HashTopic,
}

/// What clients may ask for, and what bounds them.
#[derive(Debug, Clone, PartialEq)]
pub struct Limits {
    /// Connections that the kernel holds ready for acceptance. 512.
    pub backlog: u32,
    /// How many accepted connections may wait for their handshake; RMQTT counts no others. 1,000,000.
    pub max_connections: usize,
    /// Handshakes carried out at a time; the rest wait. 1,000.
    pub max_handshaking_limit: usize,
    /// Sessions, connected or away, above which new clients are refused (code 136); 0: no limit, RMQTT's default.
    pub max_sessions: usize,
    /// How long CONNECT may take, once its first bytes are there. 30 s.
    pub handshake_timeout: Duration,
    /// How long one packet may wait for a client that does not read, before the connection is given up (too slow);
    /// 0: for ever. It also bounds the time in which messages pile up for such a client. 10 s.
    pub send_timeout: Duration,
    /// Whether the system sends small packets at once. On, unlike in RMQTT: otherwise a confirmation can wait 40 ms
    /// for company.
    pub nodelay: bool,
    /// Whether the system probes idle connections. On.
    pub tcp_keepalive: bool,
    /// Whether the address may be taken while connections of a former process still linger. On, unlike in RMQTT:
    /// a restart must not fail because of them.
    pub reuse_address: bool,
    /// Whether several processes may listen on the address. Off.
    pub reuse_port: bool,

    /// Longest packet in bytes, without its fixed header; a longer one ends the connection (code 149). 1 MiB.
    pub max_packet_size: u32,
    /// Whether clients without credentials, or with credentials that nobody judges, get in. On.
    pub allow_anonymous: bool,
    /// Longest client id in bytes. 65,535: what fits.
    pub max_clientid_len: usize,
    /// Shortest keep alive in seconds: 3.x clients that ask for less are refused, 5.0 clients are told this one. 0.
    pub min_keepalive: u16,
    /// Longest keep alive in seconds, by the same rule. 65,535.
    pub max_keepalive: u16,
    /// Whether a client may do without keep alive. On.
    pub allow_zero_keepalive: bool,
    /// Half of the multiple of keep alive after which a silent client is given up. 0.75: one and a half times.
    pub keepalive_backoff: f32,
    /// Highest QoS: subscriptions that ask for more get this. 2.
    pub max_qos_allowed: u8,
    /// Levels that a topic or filter may have. 128, not RMQTT's 0 (no limit): its trees recurse once per level, and a
    /// topic with 65,000 levels would end the process.
    pub max_topic_levels: usize,
    /// Topic aliases of one client, in each direction. 0: none.
    pub max_topic_aliases: u16,

    /// Unconfirmed messages of one client, in each direction. 128, not RMQTT's 16: a 3.1.1 client cannot be told the
    /// number and loses its connection when it has that many QoS 2 publishes open.
    pub max_inflight: u16,
    /// Messages that wait for one client; when full the oldest goes, or the new one if it is QoS 0. 1,000.
    pub max_mqueue_len: usize,
    /// How many messages are sent to one client in which time. 4,294,967,295 in 1 s: as many as it takes.
    pub mqueue_rate_limit: (u32, Duration),
    /// After how long an unconfirmed message is sent again on the same connection; 0: not before the client
    /// returns. 20 s.
    pub message_retry_interval: Duration,
    /// How long a message waits for a client if its publisher said nothing; 0: for ever. 5 min.
    pub message_expiry_interval: Duration,

    /// How long the session of a 3.x client without clean session outlives its connection. 2 h.
    pub session_expiry_interval: Duration,
    /// Longest time that a 5.0 client may ask for; 0: no limit. 0.
    pub max_session_expiry_interval: Duration,
    /// Subscriptions of one client; 0: no limit. 0.
    pub max_subscriptions: usize,
    /// Whether `$limit/N/…` and `$exclusive/…` bound how many clients hold a filter. Off.
    pub limit_subscription: bool,
    /// Whether `$share/…` works. On.
    pub shared_subscription: bool,
    /// Who of a shared group gets a message. Each in turn.
    pub shared_strategy: SharedStrategy,

    /// Whether retained messages are kept. On.
    pub retain: bool,
    /// Retained messages; when there are as many, messages on new topics are routed and not kept. 1,000,000.
    pub max_retained_messages: usize,
    /// Bytes of topics and payloads of all retained messages together, by the same rule. 256 MiB: RMQTT has no such
    /// limit, and clients would decide about the host's memory.
    pub max_retained_bytes: usize,
    /// How long a retained message is kept if its publisher said nothing; 0: until it is replaced. 0, as the standard
    /// has it; RMQTT would use `message_expiry_interval`.
    pub retained_message_ttl: Duration,

    /// Whether clients are refused while the machine is busy (90 % of its processors). Off, unlike in RMQTT: a busy
    /// neighbour is no reason to refuse a client.
    pub busy_check: bool,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            backlog: 512,
            max_connections: 1_000_000,
            max_handshaking_limit: 1_000,
            max_sessions: 0,
            handshake_timeout: Duration::from_secs(30),
            send_timeout: Duration::from_secs(10),
            nodelay: true,
            tcp_keepalive: true,
            reuse_address: true,
            reuse_port: false,
            max_packet_size: 1024 * 1024,
            allow_anonymous: true,
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
            mqueue_rate_limit: (u32::MAX, Duration::from_secs(1)),
            message_retry_interval: Duration::from_secs(20),
            message_expiry_interval: Duration::from_secs(5 * 60),
            session_expiry_interval: Duration::from_secs(2 * 60 * 60),
            max_session_expiry_interval: Duration::ZERO,
            max_subscriptions: 0,
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

const DAY: Duration = Duration::from_secs(24 * 3600);
/// The longest time that MQTT 5 can name in seconds.
const LONGEST: Duration = Duration::from_secs(u32::MAX as u64);

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
    pub(super) fn read(mut at: Section<'_>) -> Mqtt {
        let listen = at.address("listen", Mqtt::default().listen);
        Mqtt {
            listen,
            limits: limits(&mut at),
        }
    }
}

fn limits(at: &mut Section<'_>) -> Limits {
    let d = Limits::default();
    let (zero, millisecond) = (Duration::ZERO, Duration::from_millis(1));
    let limits = Limits {
        backlog: at.count("backlog", d.backlog, 1..=65_535),
        max_connections: at.count("max_connections", d.max_connections, 1..=100_000_000),
        max_handshaking_limit: at.count("max_handshaking_limit", d.max_handshaking_limit, 1..=1_000_000),
        max_sessions: at.count("max_sessions", d.max_sessions, 0..=100_000_000),
        handshake_timeout: at.duration("handshake_timeout", d.handshake_timeout, millisecond..=DAY),
        send_timeout: at.duration("send_timeout", d.send_timeout, zero..=DAY),
        nodelay: at.boolean("nodelay", d.nodelay),
        tcp_keepalive: at.boolean("tcp_keepalive", d.tcp_keepalive),
        reuse_address: at.boolean("reuse_address", d.reuse_address),
        reuse_port: at.boolean("reuse_port", d.reuse_port),
        max_packet_size: packet_size(at, d.max_packet_size),
        allow_anonymous: at.boolean("allow_anonymous", d.allow_anonymous),
        max_clientid_len: at.count("max_clientid_len", d.max_clientid_len, 1..=65_535),
        min_keepalive: at.seconds("min_keepalive", d.min_keepalive),
        max_keepalive: at.seconds("max_keepalive", d.max_keepalive),
        allow_zero_keepalive: at.boolean("allow_zero_keepalive", d.allow_zero_keepalive),
        keepalive_backoff: at.fraction("keepalive_backoff", f64::from(d.keepalive_backoff), 0.5..=10.0) as f32,
        max_qos_allowed: at.count("max_qos_allowed", d.max_qos_allowed, 0..=2),
        max_topic_levels: at.count("max_topic_levels", d.max_topic_levels, 1..=1_024),
        max_topic_aliases: at.count("max_topic_aliases", d.max_topic_aliases, 0..=65_535),
        max_inflight: at.count("max_inflight", d.max_inflight, 1..=65_535),
        max_mqueue_len: at.count("max_mqueue_len", d.max_mqueue_len, 1..=100_000_000),
        mqueue_rate_limit: at.text("mqueue_rate_limit", d.mqueue_rate_limit, rate),
        message_retry_interval: at.duration("message_retry_interval", d.message_retry_interval, zero..=DAY),
        message_expiry_interval: at.duration("message_expiry_interval", d.message_expiry_interval, zero..=LONGEST),
        session_expiry_interval: at.duration("session_expiry_interval", d.session_expiry_interval, zero..=LONGEST),
        max_session_expiry_interval: at.duration(
            "max_session_expiry_interval",
            d.max_session_expiry_interval,
            zero..=LONGEST,
        ),
        max_subscriptions: at.count("max_subscriptions", d.max_subscriptions, 0..=100_000_000),
        limit_subscription: at.boolean("limit_subscription", d.limit_subscription),
        shared_subscription: at.boolean("shared_subscription", d.shared_subscription),
        shared_strategy: at.choice("shared_strategy", d.shared_strategy, &STRATEGIES),
        retain: at.boolean("retain", d.retain),
        max_retained_messages: at.count("max_retained_messages", d.max_retained_messages, 0..=100_000_000),
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

/// At most what the 28 bits of the packet length allow.
fn packet_size(at: &mut Section<'_>, default: u32) -> u32 {
    let size = at.size("max_packet_size", default as usize, 16..=268_435_455);
    u32::try_from(size).unwrap_or(default)
}

/// Messages in a time, written `1000/1s`.
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
