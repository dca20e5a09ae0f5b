//! The sections other than `[mqtt]`, `[broker]`, `[webhook]` and `[destinations]`, as settings of the parts that use
//! them.
//!
//! Those parts document the defaults. This module defines the keys and their ranges.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::admin::{self, TokenFrom};
use crate::logging;
use crate::module_bucket::mirror_dir;
use hookhost_dead_letters::Limits;
use hookhost_event::Node;
use hookhost_hooks::{Overflow, QueueLimits};
use hookhost_modules::Instances;
use hookhost_settings::{Section, parse_duration};
use {hookhost_delivery as delivery, hookhost_wasm as wasm};

pub(super) const MILLISECOND: Duration = Duration::from_millis(1);
pub(super) const SECOND: Duration = Duration::from_secs(1);
pub(super) const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// The name of the node in events.
const NODE: &str = "hookhost@127.0.0.1";
/// The name in bodies of EMQX, where receivers know it.
const EMQX_NODE: &str = "emqx@127.0.0.1";

/// `[node]`: the name and number of this host in events. Number 1 by default, as in RMQTT. `format` is that of bodies.
pub(super) fn node(mut at: Section<'_>, format: Option<&str>) -> Node {
    let name = match format {
        Some("emqx4" | "emqx5") => EMQX_NODE,
        _ => NODE,
    };
    Node {
        id: at.integer("id", 1, 1..=i64::from(u32::MAX)),
        name: at
            .text("name", name.to_owned(), |text| match text {
                _ if text.is_empty() || text.len() > 255 => Err("should have 1 to 255 bytes".to_owned()),
                _ if text.contains(char::is_control) => Err("should have no control characters".to_owned()),
                _ => Ok(text.to_owned()),
            })
            .into(),
    }
}

/// `[modules]`: the source of modules.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Modules {
    /// The folder of `NAME.wasm` and `NAME.toml`. Without a folder there is only the built-in module.
    pub dir: Option<PathBuf>,
    /// The object store of NATS with the same files; `dir` is then its mirror below the data folder.
    pub bucket: Option<ModulesBucket>,
}

/// Modules in an object store of NATS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModulesBucket {
    /// Its name.
    pub name: String,
    /// How long a host observes new modules before the next host loads them. 5 s: a module that fails on every event is
    /// rolled back much earlier.
    pub rollout_wait: Duration,
}

impl Modules {
    /// `data` is the data folder; `is_shared`: the hosts share an outbox.
    pub(super) fn read(mut at: Section<'_>, data: Option<&Path>, is_shared: bool) -> Modules {
        let dir = at.path("dir");
        let bucket = at.text("bucket", None, |text| super::shared_outbox::stream(text).map(Some));
        let rollout_wait = at.duration("rollout_wait", 5 * SECOND, Duration::ZERO..=HOUR);
        let Some(name) = bucket else {
            return Modules { dir, bucket: None };
        };
        let place = at.place().below("bucket");
        let refuse = |text: &str| at.problem(place.problem(text));
        if dir.is_some() {
            refuse("replaces `dir` and --modules: use one of them");
        }
        if !is_shared {
            refuse("needs NATS: set `outbox` in [delivery], such as \"nats://10.0.0.1:4222\"");
        }
        let Some(data) = data else {
            refuse("needs a data folder for a copy of the modules: set `dir` in [data], or --data DIR");
            return Modules::default();
        };
        Modules {
            dir: Some(mirror_dir(data)),
            bucket: Some(ModulesBucket { name, rollout_wait }),
        }
    }
}

/// `[hooks]`: the queues between broker and modules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hooks {
    /// Limits of one queue. A module has one queue for each of its instances.
    pub queue: QueueLimits,
    /// Maximum number of events in one call of a module. A worker takes the queued events and never waits for more. The
    /// default is 64: the cost of a call is then small for each event, and a trap causes retries of few other events.
    pub batch: usize,
}

impl Hooks {
    pub(super) fn read(mut at: Section<'_>) -> Hooks {
        let queue = QueueLimits::default();
        Hooks {
            queue: QueueLimits {
                events: at.integer("queue_events", queue.events, 1..=100_000_000),
                bytes: at.size("queue_bytes", queue.bytes, 64 << 10..=1 << 40),
                overflow: overflow(&mut at, queue.overflow),
            },
            batch: at.integer("batch", 64, 1..=4_096),
        }
    }
}

/// What happens to an event for which its queue has no room.
fn overflow(at: &mut Section<'_>, default: Overflow) -> Overflow {
    let waits = at.choice("overflow", None, &[("drop", Some(false)), ("wait", Some(true))]);
    let limit = at.optional("overflow_wait", |setting| setting.duration(MILLISECOND..=DAY));
    Overflow::from_settings(waits, limit.map(|(_, limit)| limit), default)
}

/// `[wasm]`: the engine, and the limits of one instance of a module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wasm {
    /// Instances of each module; each serves a share of the clients. By default half the number of processors, because
    /// the other half serves clients and sends webhooks, and fewer if memory is short ([`Instances`]).
    pub instances: Instances,
    /// Limits of one instance.
    pub limits: wasm::Limits,
    /// Timeout of compiling a module. 60 s: ten times what Python takes on two processors.
    pub compile_time: Duration,
    /// Maximum size of a `.wasm` in bytes. 256 MiB, which is also the upper bound: Python has 19 MB, and more would
    /// take minutes to compile.
    pub module_size: usize,
    /// Niceness of the threads of modules. Default 1: under CPU pressure clients get a slightly larger share. With 19
    /// instead of 0, publishes increased by a third and webhooks decreased by a third.
    pub nice: i32,
    /// The cache of compiled modules, with which a start takes milliseconds: by default `hookhost` in the user's cache
    /// folder; `None` if the user has none.
    pub cache_dir: Option<PathBuf>,
}

impl Wasm {
    pub(super) fn read(mut at: Section<'_>, user_cache: Option<PathBuf>) -> Wasm {
        let d = wasm::Limits::default();
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Wasm {
            instances: at
                .optional("instances", |setting| setting.integer(1..=256))
                .map_or(Instances::UpTo(processors.div_ceil(2)), |(_, count)| {
                    Instances::Exactly(count)
                }),
            limits: wasm::Limits {
                // A 32-bit guest cannot have more than 4 GiB.
                memory: at.size("memory", d.memory, 1 << 20..=4 << 30),
                table_elements: at.integer("table_elements", d.table_elements, 1_000..=10_000_000),
                deadline: at.duration("deadline", d.deadline, 10 * MILLISECOND..=HOUR),
                start_deadline: at.duration("start_deadline", d.start_deadline, 100 * MILLISECOND..=HOUR),
                outcome_bytes: at.size("outcome_bytes", d.outcome_bytes, 1 << 10..=1 << 30),
            },
            compile_time: at.duration("compile_time", 60 * SECOND, 10 * MILLISECOND..=HOUR),
            module_size: at.size("module_size", 256 << 20, 1 << 10..=256 << 20),
            nice: at.integer("nice", 1, 0..=19),
            cache_dir: at.path("cache_dir").or_else(|| Some(user_cache?.join("hookhost"))),
        }
    }
}

/// `[quarantine]`: limits of the events that one module could not handle. Default: 1,000 events, more than a person
/// inspects one by one, and 16 MiB.
pub(super) fn quarantine(mut at: Section<'_>) -> Limits {
    Limits {
        records: at.integer("events", 1_000, 1..=1_000_000),
        bytes: at.size("bytes", 16 << 20, 64 << 10..=1 << 40),
        age: None,
    }
}

/// `[dead_letters]`: limits of the requests that the host has given up. Default: 10,000 requests and 64 MiB, which fit into
/// memory, and a month.
pub(super) fn dead_letters(mut at: Section<'_>) -> Limits {
    Limits {
        records: at.integer("requests", 10_000, 1..=10_000_000),
        bytes: at.size("bytes", 64 << 20, 64 << 10..=1 << 40),
        age: Some(at.duration("age", 30 * DAY, SECOND..=3650 * DAY)),
    }
}

/// `[admin]`: the address of the admin API, its tokens, and TLS.
pub(super) fn admin(mut at: Section<'_>) -> admin::Settings {
    let expected = "should be an address with a port, such as \"127.0.0.1:18083\", or \"off\"";
    let chosen = at.is_given("listen");
    let listen = at.text("listen", admin::Settings::default().listen, |text| match text.trim() {
        "off" => Ok(None),
        address => address.parse().map(Some).map_err(|_| expected.to_owned()),
    });
    let token = token(&mut at, "token", "token_file");
    let viewer_token = self::token(&mut at, "viewer_token", "viewer_token_file");
    // A token that is given and wrong is already reported.
    let none = !at.is_given("token") && !at.is_given("token_file");
    if none {
        for key in ["viewer_token", "viewer_token_file"] {
            at.problem_of(
                key,
                "needs admin.token or admin.token_file, because without them every request is allowed",
            );
        }
    }
    if none && listen.is_some_and(|address| !address.ip().is_loopback()) {
        let text = "can be reached from elsewhere and needs admin.token or admin.token_file";
        at.problem_of("listen", text);
    }
    admin::Settings {
        listen,
        chosen,
        token,
        viewer_token,
        tls: hookhost_listener::read_tls(&mut at),
    }
}

/// A token that is given, or in a file.
fn token(at: &mut Section<'_>, key: &str, file_key: &str) -> Option<TokenFrom> {
    let token = at.text(key, None, |text| match text.parse() {
        Ok(token) => Ok(Some(TokenFrom::Given(token))),
        Err(error) => Err(error.to_string()),
    });
    let file = at.path(file_key).map(TokenFrom::File);
    if token.is_some() && file.is_some() {
        at.problem_of(
            file_key,
            &format!("is set together with admin.{key}; one of them is enough"),
        );
    }
    token.or(file)
}

/// How requests to one receiver are sent: a part of `[delivery]`, and of each of `[destinations]`.
pub(super) fn terms(at: &mut Section<'_>, d: &delivery::Terms) -> delivery::Terms {
    delivery::Terms {
        concurrency_limit: at.integer("concurrency_limit", d.concurrency_limit, 1..=65_535),
        http_timeout: at.duration("http_timeout", d.http_timeout, MILLISECOND..=HOUR),
        connect_timeout: at.duration("connect_timeout", d.connect_timeout, MILLISECOND..=HOUR),
        retry: retry(at, &d.retry),
        http: http_options(at, &d.http),
        breaker: breaker(at, d.breaker),
        rate_limit: rate_limit(at, d.rate_limit),
    }
}

/// When requests wait because most attempts fail.
fn breaker(at: &mut Section<'_>, d: Option<delivery::BreakerPolicy>) -> Option<delivery::BreakerPolicy> {
    let is_on = at.boolean("breaker", d.is_some());
    let d = d.unwrap_or_default();
    let policy = delivery::BreakerPolicy {
        failure_rate: at.number("breaker_failure_rate", d.failure_rate, 0.01..=1.0),
        min_attempts: d.min_attempts,
        pause: at.duration("breaker_pause", d.pause, MILLISECOND..=HOUR),
        max_pause: at.duration("breaker_max_pause", d.max_pause, MILLISECOND..=DAY),
    };
    if policy.max_pause < policy.pause {
        at.problem_of("breaker_max_pause", "should be at least as long as `breaker_pause`");
        at.problem_of("breaker_pause", "should be at most as long as `breaker_max_pause`");
    }
    is_on.then_some(policy)
}

/// Requests per second. 0 is no limit.
fn rate_limit(at: &mut Section<'_>, d: Option<delivery::RateLimit>) -> Option<delivery::RateLimit> {
    let per_second = at.number("rate_limit", d.map_or(0.0, |d| d.per_second), 0.0..=1_000_000.0);
    if per_second > 0.0 && per_second < 0.001 {
        at.problem_of("rate_limit", "should be 0, or at least 0.001");
    }
    // What a second brings.
    let usual = d.filter(|d| d.per_second == per_second);
    let usual = usual.map_or(per_second.ceil().max(1.0) as u32, |d| d.burst);
    let burst = at.integer("rate_burst", usual, 1..=1_000_000);
    if per_second == 0.0 {
        at.problem_of("rate_burst", "needs `rate_limit`");
    }
    (per_second > 0.0).then_some(delivery::RateLimit { per_second, burst })
}

/// Version of HTTP, compression and proxy.
fn http_options(at: &mut Section<'_>, d: &delivery::HttpOptions) -> delivery::HttpOptions {
    let proxy = at.optional("proxy", |setting| {
        setting.parse(|text| delivery::Proxy::parse(text).map_err(|error| error.to_string()))
    });
    // An empty text turns off a header that `[delivery]` sets.
    let header = |text: &str| match text {
        "" => Ok(None),
        name => delivery::header_name(name).map(Some),
    };
    delivery::HttpOptions {
        id_header: at.text("id_header", d.id_header.clone(), header),
        attempt_header: at.text("attempt_header", d.attempt_header.clone(), header),
        version: at.choice("http_version", d.version, &delivery::HttpVersion::NAMES),
        compression: at.choice("compression", d.compression, &delivery::Compression::NAMES),
        proxy: proxy.map_or_else(|| d.proxy.clone(), |(_, proxy)| proxy),
    }
}

/// When requests are retried. `retry` replaces the defaults by those of a broker; the other keys override them.
fn retry(at: &mut Section<'_>, d: &delivery::RetryPolicy) -> delivery::RetryPolicy {
    let names = delivery::RetryPreset::NAMES.map(|(name, preset)| (name, Some(preset)));
    let named = at.choice("retry", None, &names).map(delivery::RetryPolicy::from);
    let d = named.as_ref().unwrap_or(d);
    let on = at.list("retry_on", |word| {
        word.parse().map_err(|error: delivery::RetryOnError| error.to_string())
    });
    let on = on.map(|(_, words)| {
        words
            .into_iter()
            .fold(delivery::RetryOn::NOTHING, delivery::RetryOn::with)
    });
    let delays = at.list("retry_delays", |text| match parse_duration(text) {
        Ok(delay) if delay <= 30 * DAY => Ok(delay),
        Ok(_) => Err("should be at most 30d".to_owned()),
        Err(error) => Err(error.to_string()),
    });
    delivery::RetryPolicy {
        on: on.unwrap_or(d.on),
        initial_interval: at.duration("retry_initial_interval", d.initial_interval, MILLISECOND..=HOUR),
        multiplier: at.number("retry_multiplier", d.multiplier, 1.0..=100.0),
        max_interval: at.duration("retry_max_interval", d.max_interval, MILLISECOND..=DAY),
        max_elapsed_time: at.duration("retry_max_elapsed_time", d.max_elapsed_time, Duration::ZERO..=30 * DAY),
        delays: delays.map_or_else(|| d.delays.clone(), |(_, delays)| delays),
        gone_pause: at.duration("gone_pause", d.gone_pause, Duration::ZERO..=30 * DAY),
        follow_redirects: at.boolean("follow_redirects", d.follow_redirects),
    }
}

/// `[delivery]`: how requests are sent.
pub(super) fn delivery(mut at: Section<'_>) -> delivery::Settings {
    let d = delivery::Settings::default();
    delivery::Settings {
        threads: at.integer("threads", d.threads, 1..=256),
        terms: terms(&mut at, &d.terms),
        queue_requests: at.integer("queue_requests", d.queue_requests, 1..=100_000_000),
        queue_bytes: at.size("queue_bytes", d.queue_bytes, 64 << 10..=1 << 40),
        nice: at.integer("nice", d.nice, 0..=19),
        disk: d.disk,
        stdout: at.choice("stdout", d.stdout, &delivery::StdoutFormat::NAMES),
        files: files(&mut at, d.files),
        destinations: d.destinations,
    }
}

/// How `file:` URLs are written. Zero turns a kind of rotation off.
fn files(at: &mut Section<'_>, d: delivery::FileSettings) -> delivery::FileSettings {
    let max_bytes = at.size("file_max_bytes", 0, 0..=1 << 44);
    let max_age = at.duration("file_max_age", Duration::ZERO, Duration::ZERO..=3650 * DAY);
    if max_bytes > 0 && max_bytes < 1 << 10 {
        at.problem_of("file_max_bytes", "should be 0B, or at least 1KiB");
    }
    if !max_age.is_zero() && max_age < SECOND {
        at.problem_of("file_max_age", "should be 0s, or at least 1s");
    }
    delivery::FileSettings {
        max_bytes: (max_bytes > 0).then_some(max_bytes as u64),
        max_age: (!max_age.is_zero()).then_some(max_age),
        keep: at.integer("file_keep", d.keep, 1..=100_000),
        sync: at.choice("file_sync", d.sync, &delivery::FileSync::NAMES),
    }
}

/// `[log]`: the log lines. `HOOKHOST_LOG` selects them.
pub(super) fn log(mut at: Section<'_>) -> logging::Settings {
    let d = logging::Settings::default();
    logging::Settings {
        format: at.choice("format", d.format, &logging::Format::NAMES),
    }
}

/// `[outbox]`: the requests on disk. Without a data folder it has no effect.
pub(super) fn outbox(mut at: Section<'_>, is_shared: bool) -> delivery::DiskSettings {
    let d = delivery::DiskSettings::default();
    let settings = delivery::DiskSettings {
        sync: at.choice("sync", d.sync, &delivery::Sync::NAMES),
        max_bytes: at.size("max_bytes", d.max_bytes, 1 << 20..=1 << 44),
        when_full: at.choice("when_full", d.when_full, &delivery::WhenFull::NAMES),
    };
    if is_shared && settings.when_full != delivery::WhenFull::Wait {
        let problem = at
            .place()
            .problem("should have when_full = \"wait\", because [delivery] has a shared `outbox`");
        at.problem(problem);
    }
    settings
}

/// `[data]`: the folder of the state that survives a restart. Without it, no state survives.
pub(super) fn data(mut at: Section<'_>) -> Option<hookhost_kv::DataSettings> {
    let keep_removed = at.duration("keep_removed", 7 * DAY, Duration::ZERO..=3650 * DAY);
    let dir = at.path("dir")?;
    Some(hookhost_kv::DataSettings { dir, keep_removed })
}

/// `[shutdown]`: the shutdown of the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shutdown {
    /// Time for queued events and requests to finish. 5 s: within the limits of service managers.
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
