//! Whole modules: real folders, the real engine, the default module and small ones of WebAssembly text.

mod limits;
mod reread;
mod slow;

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
use crate::delivery::{OutboxClosed, Request};
use crate::event::{ByteString, Event};
use crate::hooks::testing;
use crate::wasm::EngineSettings;

/// One engine for all tests, with a cache: most of them load the same code.
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
        given: Given {
            webhook_config,
            places: Default::default(),
            receivers: Arc::default(),
        },
        queue: QueueLimits::default(),
        instances: Instances::UpTo(2),
        limits: wasm::Limits::default(),
        compile_time: Duration::from_secs(600),
        module_size: 256 << 20,
        shelf: Shelf::in_memory(),
        batch: 64,
        quarantine: Bounds::default(),
        nice: 0,
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

/// The default module with other bytes: a custom section more.
fn variant(number: u8) -> Vec<u8> {
    let mut bytes = WEBHOOK.to_vec();
    bytes.extend([0, 3, 1, b'v', number]);
    bytes
}

/// A module of WebAssembly text that wants all publishes, see `guest.wat` beside the tests of `wasm`.
fn guest(data: &str, handle: &str) -> Vec<u8> {
    guest_with(2, data, handle)
}

/// The same with so many pages of memory.
fn guest_with(pages: u32, data: &str, handle: &str) -> Vec<u8> {
    let configure = "(i32.store (i32.const 20) (i32.const 128)) (i32.store (i32.const 24) (i32.const 1)) \
                     (i32.store8 (i32.const 128) (i32.const 15)) (i32.const 16)";
    guest_that(pages, data, configure, handle)
}

/// The same with a `configure` of its own.
fn guest_that(pages: u32, data: &str, configure: &str, handle: &str) -> Vec<u8> {
    let text = include_str!("../wasm/tests/guest.wat")
        .lines()
        .filter(|line| !line.starts_with(";;"));
    let text = text.collect::<Vec<_>>().join("\n");
    let text = text
        .replace("{types}", include_str!("../wasm/tests/types.wat"))
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
struct Kept(Mutex<Vec<Request>>);

impl Outbox for Kept {
    fn append(&self, requests: Vec<Request>) -> Result<(), OutboxClosed> {
        lock(&self.0).extend(requests);
        Ok(())
    }
}

/// Running modules over a folder, and both ends of what they are connected to.
struct Host {
    modules: Modules,
    bus: Bus,
    outbox: Arc<Kept>,
}

impl Host {
    fn start(settings: Settings) -> Host {
        Host::start_with(engine(), settings)
    }

    fn start_with(engine: Engine, settings: Settings) -> Host {
        let (bus, outbox) = (Bus::new(), Arc::new(Kept::default()));
        let started = Modules::start(
            settings,
            engine,
            bus.clone(),
            Arc::clone(&outbox) as Arc<dyn Outbox>,
            None,
        );
        Host {
            modules: started.unwrap_or_else(|error| panic!("{}", explain(&error))),
            bus,
            outbox,
        }
    }

    /// Modules that a loader of its own loads; what changes in the folder takes effect when somebody asks.
    fn start_loader(loader: Loader, quarantine: Bounds) -> Host {
        let (bus, outbox) = (Bus::new(), Arc::new(Kept::default()));
        let quarantine = Arc::new(Quarantine::new(quarantine));
        let to = Arc::clone(&outbox) as Arc<dyn Outbox>;
        let registry = Registry::new(loader, bus.clone(), to, quarantine);
        registry.start().unwrap_or_else(|error| panic!("{}", explain(&error)));
        let modules = Modules { registry, watch: None };
        Host { modules, bus, outbox }
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

    /// Whether somebody wanted the event.
    fn emit(&self, client: &str, number: u32) -> bool {
        emit(&self.bus, client, number)
    }

    fn requests(&self) -> Vec<Request> {
        lock(&self.outbox.0).clone()
    }

    /// Emits one event and waits for its request.
    fn answer(&self, client: &str, number: u32) -> Request {
        let before = self.requests().len();
        assert!(self.emit(client, number));
        until("a request", || self.requests().len() > before);
        self.requests().pop().unwrap()
    }

    /// Stops the modules and gives all requests.
    fn stop(self) -> Vec<Request> {
        self.modules.stop(Duration::from_secs(20));
        std::mem::take(&mut *lock(&self.outbox.0))
    }
}

fn emit(bus: &Bus, client: &str, number: u32) -> bool {
    let to = bus.interested(Hook::MessagePublish, Some("t/x"));
    let wanted = !to.is_empty();
    let event = Event {
        id: crate::event::Id(number.into()),
        ..testing::publish(client, "t/x", b"payload")
    };
    tokio::runtime::Builder::new_current_thread()
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
    let started = Modules::start(settings, engine(), Bus::new(), Arc::new(Kept::default()), None);
    explain(&started.err().expect("the start fails"))
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
    host.modules.handle().rescan();
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
        error.contains("webhook.toml:1: limit: ") && error.contains("did you mean limits?"),
        "{error}"
    );
    let error = start_error(settings(Some(&dir.path().join("webhook.toml")), rules("http://h/")));
    assert!(error.contains("cannot be listed"), "{error}");
}

#[test]
fn a_dropped_file_takes_the_place_of_the_default_module_and_back() {
    let dir = tempfile::tempdir().unwrap();
    let host = Host::start(settings(Some(dir.path()), rules("http://h/hook")));
    put(dir.path(), "webhook.wasm", variant(1));
    until("the file", || host.origin("webhook") == Some(Origin::File));
    assert_eq!(host.answer("c", 1).generation, 2);
    put(dir.path(), "webhook.toml", rules_toml("http://other/"));
    until("the settings", || host.number("webhook") == Some(3));
    assert_eq!(host.answer("c", 2).url, "http://other/");
    fs::remove_file(dir.path().join("webhook.wasm")).unwrap();
    until("the default module", || host.origin("webhook") == Some(Origin::BuiltIn));
    let request = host.answer("c", 3);
    assert_eq!((request.url.as_str(), request.generation), ("http://other/", 4));
    // The same content again is no change.
    put(dir.path(), "webhook.toml", rules_toml("http://other/"));
    host.modules.handle().rescan();
    assert_eq!(host.number("webhook"), Some(4));
}

#[test]
fn files_that_do_not_load_change_nothing_and_say_why() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "a.wasm", variant(1));
    put(dir.path(), "a.toml", rules_toml("http://h/"));
    let host = Host::start(settings(Some(dir.path()), json!({})));
    assert_eq!(host.number("a"), Some(1));
    let other_world = wat::parse_str("(component)").unwrap();
    let good = rules_toml("http://h/");
    for (number, (file, content, expected)) in [
        (
            "a.wasm",
            b"not wasm".to_vec(),
            "a.wasm cannot be loaded: this is not WebAssembly",
        ),
        ("a.wasm", wat::parse_str("(module)").unwrap(), "core WebAssembly module"),
        ("a.wasm", other_world, "does not export hookhost:hook/handler@0.1.0"),
        ("a.wasm", WEBHOOK[..WEBHOOK.len() / 2].to_vec(), "cannot be compiled"),
        ("a.toml", b"x = ".to_vec(), "a.toml:1: is not TOML: "),
        (
            "a.toml",
            b"[limits]\nmemory = '1GiBB'".to_vec(),
            "a.toml:2: limits.memory: ",
        ),
        (
            "a.toml",
            b"[config]\nurlz = []".to_vec(),
            "a.toml:2: config.urlz: is not known",
        ),
        (
            "a.toml",
            format!("{good}[limits]\nmemory = '64KiB'").into_bytes(),
            "a.wasm cannot be loaded: ",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        put(dir.path(), file, content);
        host.modules.handle().rescan();
        assert!(
            host.problem("a").contains(expected),
            "{} for {expected}",
            host.problem("a")
        );
        let state = host.state("a").unwrap();
        assert_eq!(
            (state.status, host.number("a")),
            (Status::Running, Some(1 + number as u32))
        );
        assert_eq!(host.answer("c", number as u32).generation, 1 + number as u32);
        // Mended: a new generation, although the files are what they were.
        put(dir.path(), "a.wasm", variant(1));
        put(dir.path(), "a.toml", &good);
        host.modules.handle().rescan();
        assert_eq!(
            (host.problem("a").as_str(), host.number("a")),
            ("", Some(2 + number as u32))
        );
    }
}

/// What a file was when it was looked at, and what it is afterwards, may be the same although it was not in between.
#[test]
fn a_file_that_was_another_while_it_was_loaded_is_tried_again() {
    let dir = tempfile::tempdir().unwrap();
    let (a, webhook) = (dir.path().join("a.wasm"), dir.path().join("webhook.wasm"));
    for (file, variants) in [(a, [1, 2]), (webhook, [3, 4])] {
        let name = file.file_stem().unwrap().to_str().unwrap().to_owned();
        let mut current = variant(variants[0]);
        fs::write(&file, &current).unwrap();
        put(dir.path(), &format!("{name}.toml"), rules_toml("http://h/"));
        // The loader asks for what is kept between the look at the file and reading it.
        let meddles = Arc::new(AtomicBool::new(true));
        let (engine, meddler, meddled) = (engine(), Arc::clone(&meddles), file.clone());
        let (quick, well) = (engine.clone(), engine.clone());
        let ways = load::Ways {
            kept: Arc::new(move |_| {
                if meddler.load(Ordering::SeqCst) {
                    fs::write(&meddled, "half a mod").unwrap();
                }
                None
            }),
            quick: Arc::new(move |_, wasm, _| quick.compile(wasm)),
            well: Arc::new(move |_, wasm, _| well.compile(wasm)),
        };
        let loader = Loader::with(ways, settings(Some(dir.path()), json!({})));
        let host = Host::start_loader(loader, Bounds::default());
        let look = || host.modules.registry.look(false, None);
        for number in variants {
            let expected = format!("{name}.wasm was changed while it was being loaded");
            assert!(host.problem(&name).contains(&expected), "{}", host.problem(&name));
            let before = host.number(&name);
            fs::write(&file, &current).unwrap();
            meddles.store(false, Ordering::SeqCst);
            look();
            assert_eq!(host.problem(&name), "");
            assert_eq!(host.number(&name), before.map_or(Some(1), |before| Some(before + 1)));
            assert_eq!(look().loaded, [], "it is what it was");
            // Once more, in the place of what is in force.
            current = variant(number + 10);
            fs::write(&file, &current).unwrap();
            meddles.store(true, Ordering::SeqCst);
            look();
        }
        // What is gone by then is gone.
        fs::remove_file(&file).unwrap();
        look();
        assert_eq!(host.problem(&name), "");
        assert_eq!(host.number(&name).is_some(), name == "webhook");
        fs::remove_file(dir.path().join(format!("{name}.toml"))).unwrap();
    }
}

#[test]
fn at_the_start_bad_files_are_reported_and_the_rest_runs() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "bad.wasm", "not wasm");
    put(dir.path(), "good.wasm", variant(1));
    put(dir.path(), "good.toml", rules_toml("http://good/"));
    put(dir.path(), "webhook.wasm", "not wasm either");
    let host = Host::start(settings(Some(dir.path()), json!({})));
    assert_eq!(host.state("bad").unwrap().status, Status::Rejected);
    assert!(host.problem("bad").contains("bad.wasm cannot be loaded"));
    assert_eq!(host.state("good").unwrap().status, Status::Running);
    // The file changes nothing, as it would if it came later: the module in the binary runs.
    assert_eq!(host.origin("webhook"), Some(Origin::BuiltIn));
    assert!(host.problem("webhook").contains("webhook.wasm cannot be loaded"));
    assert_eq!(&*host.answer("c", 1).source, "good");
    fs::remove_file(dir.path().join("bad.wasm")).unwrap();
    host.modules.handle().rescan();
    assert_eq!(host.state("bad"), None);
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
    assert_eq!((trap.status, trap.held.events), (Status::BackingOff, 20));
    assert!(host.problem("trap").contains("trapped"), "{}", host.problem("trap"));
    // One leaves; the other stays, and what was queued for both was handled.
    fs::remove_file(dir.path().join("a.wasm")).unwrap();
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
fn what_a_module_keeps_survives_a_swap_and_requests_need_a_grant() {
    let dir = tempfile::tempdir().unwrap();
    let granted = format!("{ONE_AT_A_TIME}[egress]\nallow = ['http://h/']");
    put(dir.path(), "count.wasm", counter());
    put(dir.path(), "count.toml", &granted);
    let host = Host::start(settings(Some(dir.path()), json!({})));
    let count = |number| i64::from_le_bytes(host.answer("c", number).body[..].try_into().unwrap());
    assert_eq!((count(0), count(1)), (1, 2));
    let mut other = counter();
    other.extend([0, 2, 1, b'v']);
    put(dir.path(), "count.wasm", other);
    host.modules.handle().rescan();
    assert_eq!((host.number("count"), count(2)), (Some(2), 3));
    // Settings alone, and with them the number of instances: the queues change, the state stays.
    put(
        dir.path(),
        "count.toml",
        granted.replace("instances = 1", "instances = 3"),
    );
    host.modules.handle().rescan();
    assert_eq!((host.number("count"), count(3)), (Some(3), 4));
    put(dir.path(), "count.toml", ONE_AT_A_TIME);
    host.modules.handle().rescan();
    assert!(host.emit("c", 4));
    until("the refusal", || {
        host.state("count").unwrap().counts.refused_requests == 1
    });
    // A removed module has left nothing behind.
    fs::remove_file(dir.path().join("count.wasm")).unwrap();
    host.modules.handle().rescan();
    put(dir.path(), "count.wasm", counter());
    put(dir.path(), "count.toml", &granted);
    host.modules.handle().rescan();
    assert_eq!(count(5), 1);
}

#[test]
fn a_generation_that_fails_on_everything_is_rolled_back() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "a.wasm", counter());
    // Other queues as well: those of the bad generation are emptied by the good one.
    put(
        dir.path(),
        "a.toml",
        "[limits]\ninstances = 1\n[egress]\nallow = ['http://h/']",
    );
    let host = Host::start(settings(Some(dir.path()), json!({})));
    assert_eq!(host.answer("c", 0).generation, 1);
    let instances = |number: u32| format!("[limits]\ninstances = {number}\n[egress]\nallow = ['http://h/']");
    for (turn, instances) in [(0, instances(1)), (1, instances(3))] {
        put(dir.path(), "a.toml", &instances);
        put(dir.path(), "a.wasm", guest("", "unreachable"));
        host.modules.handle().rescan();
        let first = 1 + 20 * turn;
        (first..first + 20).for_each(|number| assert!(host.emit(&format!("c{}", number % 3), number)));
        until("the rollback", || host.state("a").unwrap().status == Status::RolledBack);
        assert!(
            host.problem("a")
                .contains("was rolled back: it failed on 5 events in a row"),
            "{}",
            host.problem("a")
        );
        until("all requests", || host.requests().len() as u32 == first + 20);
        assert_eq!(host.number("a"), Some(1));
        assert_eq!(host.state("a").unwrap().held.events, 0);
        // By itself nothing comes of the same files; whoever asks gets another try, which ends as the first.
        put(dir.path(), "a.wasm", guest("", "unreachable"));
    }
    let bad = host.modules.handle().rescan();
    assert_eq!(bad.loaded.iter().map(|(name, _)| &**name).collect::<Vec<_>>(), ["a"]);
    assert_eq!(host.state("a").unwrap().status, Status::Running);
    // What is mended is a new generation.
    let mut mended = counter();
    mended.extend([0, 2, 1, b'v']);
    put(dir.path(), "a.wasm", mended);
    host.modules.handle().rescan();
    assert_eq!(host.state("a").unwrap().status, Status::Running);
    assert!(host.answer("c", 100).generation > 3);
    let requests = host.stop();
    let mut ids: Vec<_> = requests.iter().map(|request| request.id.clone()).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), requests.len(), "each event once");
}

#[test]
fn an_event_of_the_quarantine_is_handled_again() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "a.wasm", guest("", "unreachable"));
    let host = Host::start(settings(Some(dir.path()), json!({})));
    let handle = host.modules.handle();
    assert!(host.emit("c", 1) && host.emit("c", 2));
    until("two entries", || handle.quarantined(None, None, 10).len() == 2);
    let ids = handle.entries_of("a");
    assert_eq!((handle.entry(ids[0]).unwrap().event.id.0, ids.len()), (1, 2));
    // It fails again: back under another number.
    assert_eq!(handle.replay(ids[0]).unwrap().1, 1);
    until("the event again", || handle.entries_of("a").len() == 2);
    assert!(handle.entry(ids[0]).is_none());
    put(dir.path(), "a.wasm", counter());
    put(dir.path(), "a.toml", "[egress]\nallow = ['http://h/']");
    handle.rescan();
    for id in handle.entries_of("a") {
        assert_eq!(
            handle.replay(id).unwrap().1,
            handle.state("a").unwrap().generation.unwrap().number
        );
    }
    until("both requests", || host.requests().len() == 2);
    assert!(handle.quarantined(None, None, 10).is_empty());
    assert_eq!(handle.replay(99).unwrap_err(), ReplayError::Unknown(99));
    host.stop();
}

#[test]
fn what_cannot_be_replayed_stays() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "a.wasm", guest("", "unreachable"));
    let host = Host::start(settings(Some(dir.path()), json!({})));
    let handle = host.modules.handle();
    assert!(host.emit("c", 1));
    until("an entry", || handle.quarantined(None, None, 10).len() == 1);
    let id = handle.entries_of("a")[0];
    // The module now wants other topics, and then there is none.
    put(dir.path(), "a.wasm", variant(1));
    put(dir.path(), "a.toml", rules_toml("http://h/").replace("t/#", "other"));
    handle.rescan();
    let error = handle.replay(id).unwrap_err();
    assert!(matches!(error, ReplayError::NotWanted { .. }), "{error}");
    fs::remove_file(dir.path().join("a.wasm")).unwrap();
    handle.rescan();
    assert_eq!(handle.replay(id).unwrap_err(), ReplayError::NoModule("a".into()));
    assert_eq!(handle.discard(id).unwrap().event.id.0, 1);
    assert!(handle.entry(id).is_none());
    host.stop();
}

/// Events keep coming while the module is replaced, reconfigured, given other queues, broken and mended: every event
/// gives one request, and those of one client come in order.
#[test]
fn swaps_under_load_lose_and_double_nothing() {
    const CLIENTS: u32 = 3;
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "a.wasm", variant(0));
    put(dir.path(), "a.toml", rules_toml("http://h/"));
    let host = Host::start(Settings {
        queue: QueueLimits {
            overflow: crate::hooks::Overflow::Wait,
            events: 64,
            ..QueueLimits::default()
        },
        ..settings(Some(dir.path()), json!({}))
    });
    let done = Arc::new(AtomicBool::new(false));
    let producers: Vec<_> = (0..CLIENTS)
        .map(|client| {
            let (bus, done) = (host.bus.clone(), Arc::clone(&done));
            std::thread::spawn(move || {
                let mut number = 0;
                while !done.load(Ordering::Relaxed) {
                    assert!(emit(&bus, &format!("client-{client}"), number));
                    number += 1;
                }
                number
            })
        })
        .collect();
    // By the watch or by the rescan, whichever is first.
    let put_in_force = |file: &str, content: Vec<u8>| {
        let before = host.number("a");
        put(dir.path(), file, content);
        host.modules.handle().rescan();
        assert!(host.number("a") > before, "{file}: {}", host.problem("a"));
    };
    for turn in 1..=3u8 {
        put_in_force("a.wasm", variant(turn));
        put(dir.path(), "a.wasm", "broken");
        host.modules.handle().rescan();
        assert!(host.problem("a").contains("not WebAssembly"));
        put_in_force("a.wasm", variant(turn));
        let other_queues = format!("{}[limits]\ninstances = {turn}", rules_toml("http://h/"));
        put_in_force("a.toml", other_queues.into_bytes());
    }
    done.store(true, Ordering::Relaxed);
    let sent: u32 = producers.into_iter().map(|producer| producer.join().unwrap()).sum();
    let mut by_client: BTreeMap<String, Vec<Request>> = BTreeMap::new();
    for request in host.stop() {
        by_client.entry(request.ordering_key.clone()).or_default().push(request);
    }
    let mut answered = 0;
    for (client, requests) in by_client {
        answered += requests.len() as u32;
        for (number, request) in requests.iter().enumerate() {
            assert_eq!(request.id, format!("{number:032X}"), "{client}");
        }
        assert!(requests.is_sorted_by_key(|request| request.generation), "{client}");
    }
    assert_eq!(answered, sent);
}

/// Nothing is in the cache: every module begins in quickly compiled code and goes on in better code, as the same
/// generation, while events keep coming. The default module's largest function needs more stack in the first of them
/// than code has in the second.
#[test]
fn quickly_compiled_code_gives_way_to_better_code() {
    let cache = tempfile::tempdir().unwrap();
    let settings = Settings {
        queue: QueueLimits {
            overflow: crate::hooks::Overflow::Wait,
            events: 64,
            ..QueueLimits::default()
        },
        ..settings(None, rules("http://h/"))
    };
    let engine_settings = EngineSettings {
        cache_dir: Some(cache.path().to_owned()),
        ..EngineSettings::default()
    };
    let host = Host::start_with(Engine::new(&engine_settings).unwrap(), settings);
    let mut sent = 0;
    while sent == 0 || host.modules.registry.can_improve(None) {
        assert!(host.emit("c", sent));
        sent += 1;
    }
    assert_eq!(
        fs::read_dir(cache.path()).unwrap().count(),
        1,
        "what was compiled well is kept"
    );
    // These are handled by the new code, which did not have to do with the ones before.
    for _ in 0..10 {
        assert!(host.emit("c", sent));
        sent += 1;
    }
    assert_eq!(host.number("webhook"), Some(1));
    let requests = host.stop();
    let ids: Vec<String> = requests.iter().map(|request| request.id.clone()).collect();
    let expected: Vec<String> = (0..sent).map(|number| format!("{number:032X}")).collect();
    assert_eq!(ids, expected, "each once, and in order");
    assert!(requests.iter().all(|request| request.generation == 1));
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
                Err(error) => explain(error),
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
    let keys: Vec<_> = problems.iter().map(|problem| problem.key.as_str()).collect();
    assert_eq!(keys, ["config.rules", "config.urlz"], "all at once");
    assert_eq!(reports.len(), 5);
    let missing = Modules::check(settings(Some(&dir.path().join("none")), json!({})), engine());
    assert_eq!(missing.len(), 1, "the default module");
}
