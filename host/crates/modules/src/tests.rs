//! Whole modules: real folders, the real engine, the built-in module and small modules in WebAssembly text.

mod failing;
mod files;
mod limits;
mod reread;
mod swap;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{LazyLock, Mutex};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::builtin::WEBHOOK;
use super::generation::lock;
use super::*;
use hookhost_delivery::{OutboxClosed, OutboxRequest};
use hookhost_event::{ByteString, Event};
use hookhost_settings::error_line;
use hookhost_testing::events as testing;
use hookhost_wasm as wasm;
use hookhost_wasm::EngineSettings;

/// One engine for all tests, with a cache, because most tests load the same code.
fn engine() -> Engine {
    static ENGINE: LazyLock<(Engine, TempDir)> = LazyLock::new(|| {
        let dir = tempfile::tempdir().unwrap();
        let settings = EngineSettings {
            cache_dir: Some(dir.path().join("cache")),
            ..EngineSettings::default()
        };
        (Engine::new(&settings).unwrap(), dir)
    });
    ENGINE.0.clone()
}

fn settings(dir: Option<&Path>, webhook_config: Value) -> Settings {
    Settings {
        dir: dir.map(Path::to_path_buf),
        node: Node {
            name: ByteString::from_static("n@h"),
            id: 1,
        },
        reloadable: ReloadableSettings {
            webhook_config,
            places: Default::default(),
            receivers: Arc::default(),
        },
        queue: QueueLimits::default(),
        instances: Instances::UpTo(2),
        limits: wasm::Limits::default(),
        compile_time: Duration::from_secs(600),
        module_size: 256 << 20,
        stores: KvStores::in_memory(),
        batch: 64,
        quarantine: quarantine::tests::in_memory(),
        nice: 0,
        not_durable: None,
        activity: Default::default(),
    }
}

/// Rules for publishes below `t`.
fn rules(url: &str) -> Value {
    json!({ "urls": [url], "rule": {"message_publish": [{"action": "message_publish", "topics": ["t/#"]}]} })
}

/// The same as settings of a module.
fn rules_toml(url: &str) -> String {
    format!(
        "[config]\nurls = ['{url}']\n[[config.rule.message_publish]]\naction = 'message_publish'\ntopics = ['t/#']\n"
    )
}

/// The built-in module with other bytes: it has one more custom section.
fn variant(number: u8) -> Vec<u8> {
    let mut bytes = WEBHOOK.to_vec();
    bytes.extend([0, 3, 1, b'v', number]);
    bytes
}

/// A module in WebAssembly text that subscribes to all publishes, see `guest.wat` beside the tests of `wasm`.
fn guest(data: &str, handle: &str) -> Vec<u8> {
    guest_with(2, data, handle)
}

/// The same with this number of memory pages.
fn guest_with(pages: u32, data: &str, handle: &str) -> Vec<u8> {
    let configure = "(i32.store (i32.const 20) (i32.const 128)) (i32.store (i32.const 24) (i32.const 1)) \
                     (i32.store8 (i32.const 128) (i32.const 15)) (i32.const 16)";
    guest_that(pages, data, configure, handle)
}

/// The same with its own `configure`.
fn guest_that(pages: u32, data: &str, configure: &str, handle: &str) -> Vec<u8> {
    let text = include_str!("../../wasm/src/tests/guest.wat")
        .lines()
        .filter(|line| !line.starts_with(";;"));
    let text = text.collect::<Vec<_>>().join("\n");
    let text = text
        .replace("{types}", include_str!("../../wasm/src/tests/types.wat"))
        .replace("{pages}", &pages.to_string());
    let text = text.replace("{start}", "").replace("{data}", data);
    wat::parse_str(text.replace("{configure}", configure).replace("{handle}", handle)).unwrap()
}

/// Counts its events in `kv` and sends the count.
fn counter() -> Vec<u8> {
    let handle = "
        (call $kv-add (i32.const 1024) (i32.const 1) (i64.const 1) (i32.const 0) (i32.const 0) (i32.const 512))
        (i32.store8 (i32.const 256) (i32.const 1))
        (i32.store (i32.const 260) (i32.const 1025)) (i32.store (i32.const 264) (i32.const 9))
        (i32.store8 (i32.const 276) (i32.const 1))
        (i32.store (i32.const 280) (i32.const 520)) (i32.store (i32.const 284) (i32.const 8))
        (i32.store8 (i32.const 64) (i32.const 1))
        (i32.store (i32.const 68) (i32.const 256)) (i32.store (i32.const 72) (i32.const 1))
        (i32.store (i32.const 32) (i32.const 64)) (i32.store (i32.const 36) (i32.const 1)) (i32.const 32)";
    guest("nhttp://h/", handle)
}

const ONE_AT_A_TIME: &str = "[limits]\nbatch = 1\ninstances = 1\n";

#[derive(Default)]
struct Kept(Mutex<Vec<OutboxRequest>>);

impl Outbox for Kept {
    fn append(&self, requests: Vec<OutboxRequest>) -> Result<(), OutboxClosed> {
        lock(&self.0).extend(requests);
        Ok(())
    }
}

/// Running modules over a folder, with the bus and the outbox that they use.
struct Host {
    modules: Modules,
    folder: Mutex<ModulesFolder>,
    bus: Bus,
    outbox: Arc<Kept>,
}

impl Host {
    fn start(settings: Settings) -> Host {
        Host::start_with(engine(), settings)
    }

    /// Modules with their own compiler.
    fn start_with(compiler: impl load::Compile + 'static, settings: Settings) -> Host {
        let (bus, outbox) = (Bus::new(), Arc::new(Kept::default()));
        let mut folder = ModulesFolder::new(settings.dir.clone());
        let quarantine = Arc::new(Quarantine::new(settings.quarantine.clone()));
        let to = Arc::clone(&outbox) as Arc<dyn Outbox>;
        let controller = Controller::new(Loader::new(compiler, settings), bus.clone(), to, quarantine);
        let started = controller.start(folder.list().unwrap());
        started.unwrap_or_else(|error| panic!("{}", error_line(&error)));
        Host {
            modules: Modules { controller },
            folder: Mutex::new(folder),
            bus,
            outbox,
        }
    }

    /// Applies the folder as after a change.
    fn look(&self) -> Applied {
        self.apply(false, DesiredConfiguration::Unread)
    }

    /// Applies the folder as on request.
    fn rescan(&self) -> Applied {
        self.apply(true, DesiredConfiguration::Unread)
    }

    fn apply(&self, retry: bool, configuration: DesiredConfiguration) -> Applied {
        let folder = lock(&self.folder).list().unwrap();
        self.modules.handle().apply(Desired {
            folder,
            configuration,
            retry,
        })
    }

    fn state(&self, name: &str) -> Option<ModuleState> {
        self.modules
            .handle()
            .states()
            .into_iter()
            .find(|state| &*state.name == name)
    }

    fn number(&self, name: &str) -> Option<u32> {
        self.state(name)?.generation.map(|generation| generation.number)
    }

    fn origin(&self, name: &str) -> Option<Origin> {
        self.state(name)?.generation.map(|generation| generation.origin)
    }

    fn problem(&self, name: &str) -> String {
        self.state(name).and_then(|state| state.problem).unwrap_or_default()
    }

    /// Emits an event. Returns whether any module subscribes to it.
    fn emit(&self, client: &str, number: u32) -> bool {
        emit(&self.bus, client, number)
    }

    fn requests(&self) -> Vec<OutboxRequest> {
        lock(&self.outbox.0).clone()
    }

    /// Emits one event and waits for its request.
    fn answer(&self, client: &str, number: u32) -> OutboxRequest {
        let before = self.requests().len();
        assert!(self.emit(client, number));
        until("a request", || self.requests().len() > before);
        self.requests().pop().unwrap()
    }

    /// Stops the modules and returns all requests.
    fn stop(self) -> Vec<OutboxRequest> {
        self.modules.stop(Duration::from_secs(20));
        std::mem::take(&mut *lock(&self.outbox.0))
    }
}

fn emit(bus: &Bus, client: &str, number: u32) -> bool {
    let to = bus.interested(Hook::MessagePublish, Some("t/x"));
    let wanted = !to.is_empty();
    let event = Event {
        id: hookhost_event::Id(number.into()),
        ..testing::publish(client, "t/x", b"payload")
    };
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap()
        .block_on(bus.emit(to, event));
    wanted
}

fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(300);
    while !condition() {
        assert!(Instant::now() < end, "waited in vain for {what}");
        std::thread::yield_now();
    }
}

fn put(dir: &Path, name: &str, content: impl AsRef<[u8]>) {
    let hidden = dir.join(format!(".{name}"));
    fs::write(&hidden, content).unwrap();
    fs::rename(hidden, dir.join(name)).unwrap();
}

fn start_error(settings: Settings) -> String {
    let folder = ModulesFolder::new(settings.dir.clone()).list();
    let started =
        folder.and_then(|folder| Modules::start(settings, engine(), Bus::new(), Arc::new(Kept::default()), folder));
    error_line(&started.err().expect("the start fails"))
}

#[test]
fn without_a_folder_there_is_the_default_module() {
    let host = Host::start(settings(None, rules("http://h/hook")));
    let request = host.answer("client", 7);
    assert_eq!(
        (request.url.as_str(), &*request.source, request.generation),
        ("http://h/hook", "webhook", 1)
    );
    assert_eq!(request.ordering_key, "client");
    assert_eq!(request.id, "00000000000000000000000000000007");
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    assert_eq!(body["action"], "message_publish");
    let state = host.state("webhook").unwrap();
    assert_eq!(
        (state.status, host.origin("webhook")),
        (Status::Running, Some(Origin::BuiltIn))
    );
    assert_eq!(state.generation.unwrap().egress, ["http://h:80/hook"]);
    host.rescan();
    assert_eq!(host.number("webhook"), Some(1));
    let bus = host.bus.clone();
    assert_eq!(host.stop().len(), 1);
    assert!(!emit(&bus, "client", 8), "detached");
}

#[test]
fn a_default_module_that_cannot_be_configured_stops_the_start() {
    let error = start_error(settings(None, json!({ "url": [] })));
    assert!(
        error.contains("refuses its configuration") && error.contains("url"),
        "{error}"
    );
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "webhook.toml", "[limit]");
    let error = start_error(settings(Some(dir.path()), rules("http://h/")));
    assert!(
        error.contains("webhook.toml:1: limit: ") && error.contains("the nearest known one is limits"),
        "{error}"
    );
    let error = start_error(settings(Some(&dir.path().join("webhook.toml")), rules("http://h/")));
    assert!(error.contains("cannot be listed"), "{error}");
}

#[test]
fn modules_are_independent() {
    let dir = tempfile::tempdir().unwrap();
    for (number, name) in ["a", "b"].into_iter().enumerate() {
        put(dir.path(), &format!("{name}.wasm"), variant(number as u8));
        put(
            dir.path(),
            &format!("{name}.toml"),
            rules_toml(&format!("http://{name}/")),
        );
    }
    put(dir.path(), "trap.wasm", guest("", "unreachable"));
    put(
        dir.path(),
        "hang.wasm",
        guest("", "(loop $again (br $again)) unreachable"),
    );
    put(dir.path(), "hang.toml", "[limits]\ndeadline = '20ms'\ninstances = 1");
    let host = Host::start(settings(Some(dir.path()), json!({})));
    assert!((0..20).all(|number| host.emit(&format!("c{number}"), number)));
    until("the requests of both", || host.requests().len() == 40);
    until("the traps", || host.state("trap").unwrap().counts.trapped == 20);
    until("the deadlines", || host.state("hang").unwrap().counts.timed_out == 20);
    let trap = host.state("trap").unwrap();
    assert_eq!((trap.status, trap.quarantined.events), (Status::BackingOff, 20));
    assert!(host.problem("trap").contains("trapped"), "{}", host.problem("trap"));
    // One module is removed and the other stays. Both have handled their queued events.
    fs::remove_file(dir.path().join("a.wasm")).unwrap();
    host.look();
    until("the removal", || host.state("a").is_none());
    assert_eq!(&*host.answer("c", 20).source, "b");
    let requests = host.stop();
    for (name, expected) in [("a", 20), ("b", 21)] {
        let own: Vec<_> = requests.iter().filter(|request| &*request.source == name).collect();
        assert_eq!(own.len(), expected, "{name}");
        assert!(own.iter().all(|request| request.url == format!("http://{name}/")));
    }
}

#[test]
fn check_reports_everything_and_starts_nothing() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "good.wasm", variant(1));
    put(dir.path(), "good.toml", rules_toml("http://good/"));
    put(dir.path(), "bad.wasm", variant(2));
    put(dir.path(), "bad.toml", "[config]\nurlz = 1\nrules = 2");
    put(dir.path(), "alone.toml", "");
    put(dir.path(), "no name.wasm", "");
    let reports = Modules::check(settings(Some(dir.path()), rules("http://h/")), engine());
    let texts: BTreeMap<_, _> = reports
        .iter()
        .map(|report| {
            let text = match &report.result {
                Ok(plan) => format!("{:?} {:?}", plan.origin, plan.egress),
                Err(error) => error_line(error),
            };
            (&*report.module, text)
        })
        .collect();
    assert_eq!(texts["good"], "File [\"http://good:80/\"]");
    assert_eq!(texts["webhook"], "BuiltIn [\"http://h:80/\"]");
    assert!(
        texts["alone"].contains("alone.toml has no effect: there is no alone.wasm"),
        "{texts:?}"
    );
    assert!(texts["no name.wasm"].contains("letters, digits"), "{texts:?}");
    let bad = reports.iter().find(|report| &*report.module == "bad").unwrap();
    let problems = bad.result.as_ref().unwrap_err().problems();
    let keys: Vec<_> = problems.iter().map(|problem| problem.place.key.as_str()).collect();
    assert_eq!(keys, ["config.rules", "config.urlz"], "all at once");
    assert_eq!(reports.len(), 5);
    let missing = Modules::check(settings(Some(&dir.path().join("none")), json!({})), engine());
    assert_eq!(missing.len(), 1, "the built-in module");
}
