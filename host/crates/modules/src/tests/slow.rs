//! Modules that are too slow only because they were compiled quickly. In these tests quickly compiled code is other code,
//! which never ends; so nothing depends on how fast the machine is.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};

use sha2::{Digest, Sha256};

use super::super::load::Ways;
use super::*;
use hookhost_wasm as wasm;

const ENDLESS: &str = "(loop $again (br $again)) (unreachable)";

fn marked(mut wasm: Vec<u8>, mark: u8) -> Vec<u8> {
    wasm.extend([0, 3, 1, b'v', mark]);
    wasm
}

/// Ways of compiling that have quickly compiled code of `slow` be `instead`, and compile it well only when `gate` lets
/// them; and how often they were asked to do that.
fn ways(slow: &[u8], instead: Vec<u8>, gate: Option<Receiver<()>>) -> (Ways, Arc<AtomicUsize>) {
    // Without a cache, in which there may be better code of the same.
    let quick = Engine::new(&EngineSettings::default()).unwrap();
    let (well, well_at_once) = (engine(), engine());
    let (of, slow) = (slow.to_vec(), slow.to_vec());
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let gate = gate.map(Mutex::new);
    let hash = |wasm: &[u8]| <[u8; 32]>::from(Sha256::digest(wasm));
    let ways = Ways {
        kept: Arc::new(|_| None),
        quick: Arc::new(move |_, wasm, limit| {
            if wasm == of {
                quick.compile_quickly(&instead, hash(&instead), limit)
            } else {
                well_at_once.compile(wasm)
            }
        }),
        well: Arc::new(move |_, wasm, limit| {
            if wasm == slow {
                count.fetch_add(1, Ordering::SeqCst);
                gate.iter().for_each(|gate| lock(gate).recv().unwrap());
            }
            well.optimise(wasm, hash(wasm), limit)
        }),
    };
    (ways, asked)
}

fn with_deadlines(dir: &Path, start_deadline: Duration, deadline: Duration) -> Settings {
    let settings = settings(Some(dir), json!({}));
    Settings {
        instances: Instances::UpTo(1),
        limits: wasm::Limits {
            deadline,
            start_deadline,
            ..settings.limits.clone()
        },
        ..settings
    }
}

const GRANT: &str = "[egress]\nallow = ['http://h/']";

#[test]
fn a_module_that_starts_too_slowly_is_compiled_well_first() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "a.wasm", counter());
    put(dir.path(), "a.toml", GRANT);
    let (ways, asked) = ways(&counter(), guest_that(2, "", ENDLESS, "unreachable"), None);
    let long = Duration::from_secs(2);
    let loader = Loader::with(ways, with_deadlines(dir.path(), long, long));
    let host = Host::start_loader(loader, Bounds::default());
    assert_eq!(host.problem("a"), "");
    assert_eq!(host.answer("c", 0).generation, 1);
    assert_eq!(asked.load(Ordering::SeqCst), 1, "it is not compiled once more");
}

#[test]
fn a_module_that_starts_too_slowly_in_any_code_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let endless = guest_that(2, "", ENDLESS, "unreachable");
    put(dir.path(), "a.wasm", &endless);
    let (ways, asked) = ways(&endless, endless.clone(), None);
    let short = Duration::from_millis(100);
    // The built-in module has to start within the same time.
    let settings = with_deadlines(dir.path(), Duration::from_secs(60), short);
    put(dir.path(), "a.toml", "[limits]\nstart_deadline = '100ms'");
    let host = Host::start_loader(Loader::with(ways, settings), Bounds::default());
    let problem = host.problem("a");
    assert!(
        problem.contains("fails while it is configured: the module did not answer within 100ms"),
        "{problem}"
    );
    assert_eq!(host.state("a").unwrap().status, Status::Rejected);
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}

#[test]
fn a_module_that_is_too_slow_waits_for_better_code_and_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let newer = marked(counter(), 1);
    put(dir.path(), "a.wasm", counter());
    put(dir.path(), "a.toml", GRANT);
    let (open, gate) = channel();
    let (ways, _) = ways(&newer, guest("", ENDLESS), Some(gate));
    let settings = with_deadlines(dir.path(), Duration::from_secs(60), Duration::from_millis(500));
    let host = Host::start_loader(Loader::with(ways, settings), Bounds::default());
    assert_eq!(host.answer("c", 0).generation, 1);
    put(dir.path(), "a.wasm", &newer);
    host.modules.registry.look(false, None);
    (1..8).for_each(|number| assert!(host.emit("c", number)));
    until("the pause", || host.state("a").unwrap().status == Status::BackingOff);
    assert_eq!(host.number("a"), Some(2), "it is not rolled back");
    let problem = host.problem("a");
    assert!(problem.ends_with("it is being compiled well"), "{problem}");
    open.send(()).unwrap();
    until("all requests", || host.requests().len() == 8);
    let state = host.state("a").unwrap();
    assert_eq!((state.status, state.held.events), (Status::Running, 0));
    let requests = host.stop();
    let handled: Vec<_> = requests
        .iter()
        .map(|request| (request.id.clone(), request.generation))
        .collect();
    let expected: Vec<_> = (0..8)
        .map(|number| (format!("{number:032X}"), if number == 0 { 1 } else { 2 }))
        .collect();
    assert_eq!(handled, expected, "each once, and in order");
}

/// What the host's configuration gives changes meanwhile, and the module's file is another by then, which does not load: the
/// same code goes on in the new configuration, and better code is still on its way.
#[test]
fn a_module_that_waits_for_better_code_may_be_configured_anew() {
    let dir = tempfile::tempdir().unwrap();
    let newer = marked(counter(), 1);
    put(dir.path(), "webhook.wasm", counter());
    put(dir.path(), "webhook.toml", GRANT);
    let (open, gate) = channel();
    let (ways, asked) = ways(&newer, guest("", ENDLESS), Some(gate));
    let settings = with_deadlines(dir.path(), Duration::from_secs(60), Duration::from_millis(500));
    let host = Host::start_loader(Loader::with(ways, settings), Bounds::default());
    let registry = &host.modules.registry;
    assert_eq!(host.answer("c", 0).generation, 1);
    put(dir.path(), "webhook.wasm", &newer);
    registry.look(false, None);
    until("the compiler", || asked.load(Ordering::SeqCst) == 1);
    put(dir.path(), "webhook.wasm", "no module");
    let given = Given {
        webhook_config: json!({ "other": 1 }),
        ..registry.given()
    };
    let fresh = Fresh {
        given: Ok(given),
        warnings: Vec::new(),
    };
    registry.look(false, Some(fresh));
    assert_eq!(host.number("webhook"), Some(3));
    (1..8).for_each(|number| assert!(host.emit("c", number)));
    until("the pause", || {
        host.state("webhook").unwrap().status == Status::BackingOff
    });
    assert_eq!(host.number("webhook"), Some(3), "it is not rolled back");
    let problem = host.problem("webhook");
    assert!(problem.ends_with("it is being compiled well"), "{problem}");
    open.send(()).unwrap();
    until("all requests", || host.requests().len() == 8);
    assert_eq!(host.state("webhook").unwrap().held.events, 0);
    assert!(host.requests()[1..].iter().all(|request| request.generation == 3));
}

/// Where no better code comes, slow code is given up as any other.
#[test]
fn a_module_that_stays_too_slow_is_rolled_back() {
    let dir = tempfile::tempdir().unwrap();
    let newer = marked(counter(), 1);
    put(dir.path(), "a.wasm", counter());
    put(dir.path(), "a.toml", GRANT);
    let (mut ways, _) = ways(&newer, guest("", ENDLESS), None);
    let (well, of) = (Arc::clone(&ways.well), newer.clone());
    ways.well = Arc::new(move |code, wasm, limit| {
        if wasm == of {
            return Err(wasm::LoadError::CompilerKilled { limit });
        }
        well(code, wasm, limit)
    });
    let settings = with_deadlines(dir.path(), Duration::from_secs(60), Duration::from_millis(500));
    let host = Host::start_loader(Loader::with(ways, settings), Bounds::default());
    assert_eq!(host.answer("c", 0).generation, 1);
    put(dir.path(), "a.wasm", &newer);
    host.modules.registry.look(false, None);
    (1..12).for_each(|number| assert!(host.emit("c", number)));
    until("the rollback", || host.state("a").unwrap().status == Status::RolledBack);
    until("all requests", || host.requests().len() == 12);
    assert_eq!(host.number("a"), Some(1));
    assert_eq!(host.state("a").unwrap().held.events, 0);
}
