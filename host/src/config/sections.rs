//! The sections of settings other than those of MQTT and of webhooks, each with its defaults and the reason for them.

use std::path::PathBuf;
use std::time::Duration;

use super::reader::Section;

const MILLISECOND: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// `[node]`: who this host is, as events tell it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Its number: `node` in the bodies of the RMQTT format.
    pub id: u32,
    /// Its name, for formats that name nodes.
    pub name: String,
}

impl Default for Node {
    fn default() -> Node {
        Node {
            id: 1,
            name: "hookhost@127.0.0.1".to_owned(),
        }
    }
}

impl Node {
    pub(super) fn read(mut at: Section<'_>) -> Node {
        let d = Node::default();
        Node {
            id: at.count("id", d.id, 1..=i64::from(u32::MAX)),
            name: at.text("name", d.name, |text| match text {
                _ if text.is_empty() || text.len() > 255 => Err("should have 1 to 255 bytes".to_owned()),
                _ if text.contains(char::is_control) => Err("should have no control characters".to_owned()),
                _ => Ok(text.to_owned()),
            }),
        }
    }
}

/// `[modules]`: where modules come from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Modules {
    /// The folder of `NAME.wasm` and `NAME.toml`; without one there is only the default module.
    pub dir: Option<PathBuf>,
}

impl Modules {
    pub(super) fn read(mut at: Section<'_>) -> Modules {
        Modules { dir: at.path("dir") }
    }
}

/// `[hooks]`: the queues between broker and modules. A module has one for each of its instances.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hooks {
    /// Events in one queue. 10,000: a second of a busy broker, so that a reload or a slow batch drops nothing.
    pub queue_events: usize,
    /// Bytes in one queue: payloads, texts and a fixed cost for each event. 64 MiB: ten thousand events of 6 KiB.
    pub queue_bytes: usize,
    /// What happens to an event for which there is no room.
    pub overflow: Overflow,
    /// Events handed to a module in one call, if so many wait; it is never waited for them. 64: calls then cost next to
    /// nothing for each event, and one that traps has few others replayed.
    pub batch: usize,
}

/// What happens to an event for which a queue has no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overflow {
    /// It is dropped and counted; MQTT clients never wait.
    Drop,
    /// The client that caused it waits, as with RMQTT's own web-hook; nothing is lost here.
    Wait,
}

impl Default for Hooks {
    fn default() -> Hooks {
        Hooks {
            queue_events: 10_000,
            queue_bytes: 64 << 20,
            overflow: Overflow::Drop,
            batch: 64,
        }
    }
}

impl Hooks {
    pub(super) fn read(mut at: Section<'_>) -> Hooks {
        let d = Hooks::default();
        Hooks {
            queue_events: at.count("queue_events", d.queue_events, 1..=100_000_000),
            queue_bytes: at.size("queue_bytes", d.queue_bytes, 64 << 10..=1 << 40),
            overflow: at.choice(
                "overflow",
                d.overflow,
                &[("drop", Overflow::Drop), ("wait", Overflow::Wait)],
            ),
            batch: at.count("batch", d.batch, 1..=4_096),
        }
    }
}

/// `[wasm]`: what one instance of a module may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wasm {
    /// Instances of each module, which share the clients among them; by the number of processors if none.
    pub instances: Option<usize>,
    /// Bytes of linear memory, all memories together. 256 MiB: Python needs 110, JavaScript 26, Rust 2.
    pub memory: usize,
    /// Elements of all tables together. 200,000: Python has some 30,000; each costs the host up to 16 bytes.
    pub table_elements: usize,
    /// How long one batch may take. 1 s: a thousand times what a slow guest needs, and short enough that a module that
    /// hangs is noticed before its queue is full.
    pub deadline: Duration,
    /// How long starting and configuring may take. 10 s: interpreters start slowly on a busy machine.
    pub start_deadline: Duration,
    /// Bytes of all requests that come of one event. 4 MiB: the largest usual payload as base64 to two receivers.
    pub outcome_bytes: usize,
}

impl Default for Wasm {
    fn default() -> Wasm {
        Wasm {
            instances: None,
            memory: 256 << 20,
            table_elements: 200_000,
            deadline: SECOND,
            start_deadline: 10 * SECOND,
            outcome_bytes: 4 << 20,
        }
    }
}

impl Wasm {
    pub(super) fn read(mut at: Section<'_>) -> Wasm {
        let d = Wasm::default();
        Wasm {
            instances: at.optional_count("instances", 1..=256),
            // A 32-bit guest cannot have more than 4 GiB.
            memory: at.size("memory", d.memory, 1 << 20..=4 << 30),
            table_elements: at.count("table_elements", d.table_elements, 1_000..=10_000_000),
            deadline: at.duration("deadline", d.deadline, 10 * MILLISECOND..=HOUR),
            start_deadline: at.duration("start_deadline", d.start_deadline, 100 * MILLISECOND..=HOUR),
            outcome_bytes: at.size("outcome_bytes", d.outcome_bytes, 1 << 10..=1 << 30),
        }
    }
}

/// `[delivery]`: how requests are sent. Defaults are those of RMQTT's web-hook where it has the setting.
#[derive(Debug, Clone, PartialEq)]
pub struct Delivery {
    /// Sender threads; by the number of processors if none.
    pub threads: Option<usize>,
    /// Requests under way at the same time to one destination. 128.
    pub concurrency_limit: usize,
    /// Longest time for one attempt. 5 s.
    pub http_timeout: Duration,
    /// Longest time for making a connection. 5 s: a receiver that takes longer will not make the other limit either.
    pub connect_timeout: Duration,
    /// First wait between two attempts, varied by half. 500 ms.
    pub retry_initial_interval: Duration,
    /// How much longer each further wait is. 2.5.
    pub retry_multiplier: f64,
    /// Longest wait between two attempts. 60 s.
    pub retry_max_interval: Duration,
    /// When to give a request up, counted from its first attempt; 0: after one attempt. 60 s.
    pub retry_max_elapsed_time: Duration,
    /// Requests that wait or are under way. 100,000: a receiver may be away for a while at usual rates.
    pub queue_requests: usize,
    /// Their bytes. 64 MiB.
    pub queue_bytes: usize,
    /// Niceness of the sender threads, 0 to 19. 5: when processors are short, clients go before webhooks.
    pub nice: i32,
}

impl Default for Delivery {
    fn default() -> Delivery {
        Delivery {
            threads: None,
            concurrency_limit: 128,
            http_timeout: 5 * SECOND,
            connect_timeout: 5 * SECOND,
            retry_initial_interval: 500 * MILLISECOND,
            retry_multiplier: 2.5,
            retry_max_interval: 60 * SECOND,
            retry_max_elapsed_time: 60 * SECOND,
            queue_requests: 100_000,
            queue_bytes: 64 << 20,
            nice: 5,
        }
    }
}

impl Delivery {
    pub(super) fn read(mut at: Section<'_>) -> Delivery {
        let d = Delivery::default();
        Delivery {
            threads: at.optional_count("threads", 1..=256),
            concurrency_limit: at.count("concurrency_limit", d.concurrency_limit, 1..=65_535),
            http_timeout: at.duration("http_timeout", d.http_timeout, MILLISECOND..=HOUR),
            connect_timeout: at.duration("connect_timeout", d.connect_timeout, MILLISECOND..=HOUR),
            retry_initial_interval: at.duration("retry_initial_interval", d.retry_initial_interval, MILLISECOND..=HOUR),
            retry_multiplier: at.fraction("retry_multiplier", d.retry_multiplier, 1.0..=100.0),
            retry_max_interval: at.duration("retry_max_interval", d.retry_max_interval, MILLISECOND..=DAY),
            retry_max_elapsed_time: at.duration(
                "retry_max_elapsed_time",
                d.retry_max_elapsed_time,
                Duration::ZERO..=30 * DAY,
            ),
            queue_requests: at.count("queue_requests", d.queue_requests, 1..=100_000_000),
            queue_bytes: at.size("queue_bytes", d.queue_bytes, 64 << 10..=1 << 40),
            nice: at.count("nice", d.nice, 0..=19),
        }
    }
}

/// `[shutdown]`: how the host ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shutdown {
    /// How long events and requests under way may take to finish. 5 s: within what service managers allow.
    pub grace: Duration,
}

impl Default for Shutdown {
    fn default() -> Shutdown {
        Shutdown { grace: 5 * SECOND }
    }
}

impl Shutdown {
    pub(super) fn read(mut at: Section<'_>) -> Shutdown {
        Shutdown {
            grace: at.duration("grace", Shutdown::default().grace, Duration::ZERO..=HOUR),
        }
    }
}
