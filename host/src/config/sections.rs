//! The sections of settings other than those of MQTT and of webhooks, read into the settings of the parts they are for.
//!
//! Defaults and their reasons stand with those parts; here are the keys and what each may be.

use std::path::PathBuf;
use std::time::Duration;

use crate::admin::{self, TokenFrom};
use hookhost_event::Node;
use hookhost_hooks::{Overflow, QueueLimits};
use hookhost_modules::Instances;
use hookhost_settings::reader::Section;
use {hookhost_delivery as delivery, hookhost_modules as modules, hookhost_wasm as wasm};

const MILLISECOND: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// `[node]`: who this host is, as events tell it. Number 1 by default, as with RMQTT.
pub(super) fn node(mut at: Section<'_>) -> Node {
    Node {
        id: at.count("id", 1, 1..=i64::from(u32::MAX)),
        name: at
            .text("name", "hookhost@127.0.0.1".to_owned(), |text| match text {
                _ if text.is_empty() || text.len() > 255 => Err("should have 1 to 255 bytes".to_owned()),
                _ if text.contains(char::is_control) => Err("should have no control characters".to_owned()),
                _ => Ok(text.to_owned()),
            })
            .into(),
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

/// `[hooks]`: the queues between broker and modules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hooks {
    /// Bounds of one queue; a module has one for each of its instances.
    pub queue: QueueLimits,
    /// Events handed to a module in one call, if so many wait; it is never waited for them. 64: calls then cost next to
    /// nothing for each event, and one that traps has few others replayed.
    pub batch: usize,
}

impl Hooks {
    pub(super) fn read(mut at: Section<'_>) -> Hooks {
        let queue = QueueLimits::default();
        Hooks {
            queue: QueueLimits {
                events: at.count("queue_events", queue.events, 1..=100_000_000),
                bytes: at.size("queue_bytes", queue.bytes, 64 << 10..=1 << 40),
                overflow: at.choice(
                    "overflow",
                    queue.overflow,
                    &[("drop", Overflow::Drop), ("wait", Overflow::Wait)],
                ),
            },
            batch: at.count("batch", 64, 1..=4_096),
        }
    }
}

/// `[wasm]`: the engine, and what one instance of a module may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wasm {
    /// Instances of each module, which share the clients among them. At most half as many as there are processors, the
    /// other half serves clients and sends webhooks, and only as many as memory allows: [`Instances`] has the rule.
    pub instances: Instances,
    /// What one instance may use.
    pub limits: wasm::Limits,
    /// How long compiling a module may take. 60 s: ten times what Python takes on two processors.
    pub compile_time: Duration,
    /// Bytes of a `.wasm`. 256 MiB, and no more can be set: Python has 19 MB, and more would take minutes to compile.
    pub module_size: usize,
    /// Niceness of the threads of modules. 1, so that clients get somewhat more when processors are short; with 19 a third
    /// more publishes were measured than with 0, and a third fewer webhooks.
    pub nice: i32,
    /// Where compiled modules are kept, so that a start takes milliseconds: by default `hookhost` in the user's cache
    /// folder; nowhere if the user has none.
    pub cache_dir: Option<PathBuf>,
}

impl Wasm {
    pub(super) fn read(mut at: Section<'_>, user_cache: Option<PathBuf>) -> Wasm {
        let d = wasm::Limits::default();
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Wasm {
            instances: at
                .optional_count("instances", 1..=256)
                .map_or(Instances::UpTo(processors.div_ceil(2)), Instances::Exactly),
            limits: wasm::Limits {
                // A 32-bit guest cannot have more than 4 GiB.
                memory: at.size("memory", d.memory, 1 << 20..=4 << 30),
                table_elements: at.count("table_elements", d.table_elements, 1_000..=10_000_000),
                deadline: at.duration("deadline", d.deadline, 10 * MILLISECOND..=HOUR),
                start_deadline: at.duration("start_deadline", d.start_deadline, 100 * MILLISECOND..=HOUR),
                outcome_bytes: at.size("outcome_bytes", d.outcome_bytes, 1 << 10..=1 << 30),
            },
            compile_time: at.duration("compile_time", 60 * SECOND, 10 * MILLISECOND..=HOUR),
            module_size: at.size("module_size", 256 << 20, 1 << 10..=256 << 20),
            nice: at.count("nice", 1, 0..=19),
            cache_dir: at.path("cache_dir").or_else(|| Some(user_cache?.join("hookhost"))),
        }
    }
}

/// `[quarantine]`: what is kept of events that a module could not handle.
pub(super) fn quarantine(mut at: Section<'_>) -> modules::Bounds {
    let d = modules::Bounds::default();
    modules::Bounds {
        events: at.count("events", d.events, 1..=1_000_000),
        bytes: at.size("bytes", d.bytes, 64 << 10..=1 << 40),
    }
}

/// `[admin]`: where the host can be administered, and by whom.
pub(super) fn admin(mut at: Section<'_>) -> admin::Settings {
    let expected = "should be an address with a port, such as \"127.0.0.1:18083\", or \"off\"";
    let chosen = at.is_given("listen");
    let listen = at.text("listen", admin::Settings::default().listen, |text| match text.trim() {
        "off" => Ok(None),
        address => address.parse().map(Some).map_err(|_| expected.to_owned()),
    });
    let token = at.text("token", None, |text| match text.parse() {
        Ok(token) => Ok(Some(TokenFrom::Given(token))),
        Err(error) => Err(error.to_string()),
    });
    let file = at.path("token_file").map(TokenFrom::File);
    if token.is_some() && file.is_some() {
        at.problem_of("token_file", "stands beside admin.token; one of them is enough");
    }
    // A token that was given and is wrong is a problem already.
    let none = !at.is_given("token") && !at.is_given("token_file");
    if none && listen.is_some_and(|address| !address.ip().is_loopback()) {
        let text = "can be reached from elsewhere and needs admin.token or admin.token_file";
        at.problem_of("listen", text);
    }
    admin::Settings {
        listen,
        chosen,
        token: token.or(file),
    }
}

/// How requests to one receiver are sent: a part of `[delivery]`, and of each of `[destinations]`.
pub(super) fn terms(at: &mut Section<'_>, d: &delivery::Terms) -> delivery::Terms {
    delivery::Terms {
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
    }
}

/// `[delivery]`: how requests are sent.
pub(super) fn delivery(mut at: Section<'_>) -> delivery::Settings {
    let d = delivery::Settings::default();
    let terms = terms(&mut at, &delivery::Terms::from(&d));
    delivery::Settings {
        threads: at.optional_count("threads", 1..=256).unwrap_or(d.threads),
        concurrency_limit: terms.concurrency_limit,
        http_timeout: terms.http_timeout,
        connect_timeout: terms.connect_timeout,
        retry_initial_interval: terms.retry_initial_interval,
        retry_multiplier: terms.retry_multiplier,
        retry_max_interval: terms.retry_max_interval,
        retry_max_elapsed_time: terms.retry_max_elapsed_time,
        queue_requests: at.count("queue_requests", d.queue_requests, 1..=100_000_000),
        queue_bytes: at.size("queue_bytes", d.queue_bytes, 64 << 10..=1 << 40),
        nice: at.count("nice", d.nice, 0..=19),
        stdout: at.choice("stdout", d.stdout, &delivery::StdoutFormat::NAMES),
        destinations: d.destinations,
    }
}

/// `[data]`: what outlives the host. Without a folder nothing does.
pub(super) fn data(mut at: Section<'_>) -> Option<hookhost_kv::DataSettings> {
    let keep_removed = at.duration("keep_removed", 7 * DAY, Duration::ZERO..=3650 * DAY);
    let dir = at.path("dir")?;
    Some(hookhost_kv::DataSettings { dir, keep_removed })
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
