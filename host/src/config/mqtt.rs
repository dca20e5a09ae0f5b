//! `[mqtt]`: where clients connect and what each of them may use.

use std::net::{Ipv4Addr, SocketAddr};
use std::num::{NonZeroU16, NonZeroU32};
use std::time::Duration;

use super::reader::Section;
use super::units::{format_duration, parse_duration};

/// The listener and its limits.
#[derive(Debug, Clone, PartialEq)]
pub struct Mqtt {
    /// Address of the MQTT listener; port 0 takes a free one. Loopback by default, because anybody may connect.
    pub listen: SocketAddr,
    /// What clients may use.
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

/// What clients may use. The defaults are those of RMQTT, which mature use has settled.
#[derive(Debug, Clone, PartialEq)]
pub struct Limits {
    /// Clients connected at the same time. A million: more than the file descriptors of one process usually allow.
    pub max_connections: usize,
    /// Connections whose CONNECT is being handled at the same time. 1000: a crowd that reconnects waits in the backlog.
    pub max_handshaking: usize,
    /// Connections that the system keeps until they are accepted. 512.
    pub backlog: i32,
    /// Whether small packets are sent at once instead of being collected (TCP_NODELAY).
    pub nodelay: bool,
    /// Whether the system probes idle connections, so that a peer that vanished is noticed.
    pub tcp_keepalive: bool,
    /// Bytes of the largest packet. 1 MiB.
    pub max_packet_size: u32,
    /// Whether a client may connect without a login.
    pub allow_anonymous: bool,
    /// How long a client may take from connecting to CONNECT. 30 s: long enough for a bad mobile network.
    pub handshake_timeout: Duration,
    /// How long writing to a client may take before it counts as gone. 10 s.
    pub send_timeout: Duration,
    /// Smallest keep-alive that a client may ask for, in whole seconds.
    pub min_keepalive: Duration,
    /// Largest keep-alive that a client may ask for, in whole seconds.
    pub max_keepalive: Duration,
    /// Whether a client may do without keep-alive.
    pub allow_zero_keepalive: bool,
    /// A client is gone after its keep-alive time, twice and times this: 0.75 gives the 1.5 of the standard.
    pub keepalive_backoff: f32,
    /// Messages of QoS 1 and 2 under way to one client without its confirmation. 16.
    pub max_inflight: NonZeroU16,
    /// Messages that wait for one client. 1000; what does not fit is dropped and told as an event.
    pub max_mqueue_len: usize,
    /// How fast messages leave that queue; unlimited if none.
    pub mqueue_rate_limit: Option<RateLimit>,
    /// Bytes of a client id. 65535, what the protocol allows.
    pub max_clientid_len: usize,
    /// Highest QoS of a publish: 0, 1 or 2.
    pub max_qos: u8,
    /// Levels of a topic; 0: as many as fit.
    pub max_topic_levels: usize,
    /// How long a session outlives its connection if the client does not say. 2 h.
    pub session_expiry_interval: Duration,
    /// Longest time that a session may outlive its connection, whatever the client says; 0: no limit.
    pub max_session_expiry_interval: Duration,
    /// When a message without confirmation is sent again. 20 s.
    pub message_retry_interval: Duration,
    /// How long a message waits for its receiver if the publisher does not say. 5 min.
    pub message_expiry_interval: Duration,
    /// Subscriptions of one client; 0: no limit.
    pub max_subscriptions: usize,
    /// Topic aliases of one MQTT 5 connection; 0: none are allowed.
    pub max_topic_aliases: u16,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            max_connections: 1_000_000,
            max_handshaking: 1_000,
            backlog: 512,
            nodelay: false,
            tcp_keepalive: true,
            max_packet_size: 1 << 20,
            allow_anonymous: true,
            handshake_timeout: Duration::from_secs(30),
            send_timeout: Duration::from_secs(10),
            min_keepalive: Duration::ZERO,
            max_keepalive: Duration::from_secs(65_535),
            allow_zero_keepalive: true,
            keepalive_backoff: 0.75,
            max_inflight: const { NonZeroU16::new(16).unwrap() },
            max_mqueue_len: 1_000,
            mqueue_rate_limit: None,
            max_clientid_len: 65_535,
            max_qos: 2,
            max_topic_levels: 0,
            session_expiry_interval: Duration::from_secs(2 * 3600),
            max_session_expiry_interval: Duration::ZERO,
            message_retry_interval: Duration::from_secs(20),
            message_expiry_interval: Duration::from_secs(300),
            max_subscriptions: 0,
            max_topic_aliases: 0,
        }
    }
}

/// A number of messages in a span of time, written `1000/1s`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    /// How many.
    pub messages: NonZeroU32,
    /// In which time; never zero.
    pub per: Duration,
}

impl std::fmt::Display for RateLimit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.messages, format_duration(self.per))
    }
}

impl RateLimit {
    fn parse(text: &str) -> Result<RateLimit, String> {
        let parts = text.split_once('/').and_then(|(messages, per)| {
            let per = parse_duration(per).ok().filter(|per| !per.is_zero())?;
            Some(RateLimit {
                messages: messages.trim().replace('_', "").parse().ok()?,
                per,
            })
        });
        parts.ok_or_else(|| "should be messages per time, such as \"1000/1s\"".to_owned())
    }
}

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(24 * 3600);
/// The longest time that MQTT 5 can name in seconds.
const LONGEST: Duration = Duration::from_secs(u32::MAX as u64);

impl Mqtt {
    pub(super) fn read(mut at: Section<'_>) -> Mqtt {
        let default = Mqtt::default();
        let listen = at.address("listen", default.listen);
        Mqtt {
            listen,
            limits: Limits::read(&mut at),
        }
    }
}

impl Limits {
    fn read(at: &mut Section<'_>) -> Limits {
        let d = Limits::default();
        let (ms, keepalive) = (Duration::from_millis(1), Duration::ZERO..=Duration::from_secs(65_535));
        let limits = Limits {
            max_connections: at.count("max_connections", d.max_connections, 1..=100_000_000),
            max_handshaking: at.count("max_handshaking", d.max_handshaking, 1..=1_000_000),
            backlog: at.count("backlog", d.backlog, 1..=65_535),
            nodelay: at.boolean("nodelay", d.nodelay),
            tcp_keepalive: at.boolean("tcp_keepalive", d.tcp_keepalive),
            // The packet length of MQTT has 28 bits.
            max_packet_size: at.size("max_packet_size", d.max_packet_size as usize, 128..=(1 << 28)) as u32,
            allow_anonymous: at.boolean("allow_anonymous", d.allow_anonymous),
            handshake_timeout: at.duration("handshake_timeout", d.handshake_timeout, ms..=DAY),
            send_timeout: at.duration("send_timeout", d.send_timeout, ms..=DAY),
            min_keepalive: at.duration("min_keepalive", d.min_keepalive, keepalive.clone()),
            max_keepalive: at.duration("max_keepalive", d.max_keepalive, keepalive),
            allow_zero_keepalive: at.boolean("allow_zero_keepalive", d.allow_zero_keepalive),
            keepalive_backoff: at.fraction("keepalive_backoff", f64::from(d.keepalive_backoff), 0.5..=10.0) as f32,
            max_inflight: at.non_zero("max_inflight", d.max_inflight, 65_535),
            max_mqueue_len: at.count("max_mqueue_len", d.max_mqueue_len, 1..=100_000_000),
            mqueue_rate_limit: at.text("mqueue_rate_limit", d.mqueue_rate_limit, |text| {
                RateLimit::parse(text).map(Some)
            }),
            max_clientid_len: at.count("max_clientid_len", d.max_clientid_len, 1..=65_535),
            max_qos: at.count("max_qos", d.max_qos, 0..=2),
            max_topic_levels: at.count("max_topic_levels", d.max_topic_levels, 0..=65_535),
            session_expiry_interval: at.duration(
                "session_expiry_interval",
                d.session_expiry_interval,
                Duration::ZERO..=LONGEST,
            ),
            max_session_expiry_interval: at.duration(
                "max_session_expiry_interval",
                d.max_session_expiry_interval,
                Duration::ZERO..=LONGEST,
            ),
            message_retry_interval: at.duration("message_retry_interval", d.message_retry_interval, SECOND..=DAY),
            message_expiry_interval: at.duration(
                "message_expiry_interval",
                d.message_expiry_interval,
                SECOND..=LONGEST,
            ),
            max_subscriptions: at.count("max_subscriptions", d.max_subscriptions, 0..=100_000_000),
            max_topic_aliases: at.count("max_topic_aliases", d.max_topic_aliases, 0..=65_535),
        };
        for (key, keepalive) in [
            ("min_keepalive", limits.min_keepalive),
            ("max_keepalive", limits.max_keepalive),
        ] {
            if keepalive.subsec_nanos() != 0 {
                at.problem_of(key, "should be whole seconds, as MQTT counts");
            }
        }
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
}
