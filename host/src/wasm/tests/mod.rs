//! Whole modules in the real engine: small components whose behaviour is a few lines of WebAssembly text.

mod hostile;

use std::io::Write;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::*;
use crate::event::{Client, Detail, Event, Hook, Id, Millis, Node, OtherEvent};

/// A module for tests; see `guest.wat` for what its parts may be.
struct Guest<'a> {
    pages: u32,
    data: &'a str,
    start: &'a str,
    configure: &'a str,
    handle: &'a str,
}

/// Ignores everything.
const QUIET: Guest<'static> = Guest {
    pages: 2,
    data: "",
    start: "",
    configure: "(i32.const 16)",
    handle: "(i32.store (i32.const 32) (i32.const 64)) (i32.store (i32.const 36) (local.get $count)) (i32.const 32)",
};

impl Guest<'_> {
    fn text(&self) -> String {
        include_str!("guest.wat")
            .replace("{types}", include_str!("types.wat"))
            .replace("{pages}", &self.pages.to_string())
            .replace("{data}", self.data)
            .replace("{start}", self.start)
            .replace("{configure}", self.configure)
            .replace("{handle}", self.handle)
    }

    fn component(&self) -> Component {
        compile(&self.text()).unwrap()
    }

    fn instance(&self, limits: &Limits) -> Instance {
        self.component().instantiate(&identity(), limits, &kv()).unwrap()
    }
}

fn engine() -> &'static Engine {
    static ENGINE: LazyLock<Engine> = LazyLock::new(|| Engine::new(&EngineSettings::default()).unwrap());
    &ENGINE
}

fn compile(text: &str) -> Result<Component, LoadError> {
    engine().compile(&wat::parse_str(text).unwrap())
}

fn identity() -> Identity {
    Identity {
        node: Node {
            name: "n@h".into(),
            id: 1,
        },
        module: "test".into(),
        generation: 7,
    }
}

fn kv() -> Arc<Kv> {
    Kv::new(KvBounds::default())
}

fn events(count: usize) -> Vec<Arc<Event>> {
    let event = |id| Event {
        id: Id(id as u128),
        at: Millis(0),
        utc_offset: 0,
        detail: Detail::Other(OtherEvent {
            name: "test".into(),
            client: Some(Client::default()),
            data: "{}".into(),
        }),
        extras: vec![],
    };
    (0..count).map(|id| Arc::new(event(id))).collect()
}

#[test]
fn instances_can_go_to_another_thread() {
    fn is_send<T: Send>() {}
    fn is_shared<T: Send + Sync>() {}
    is_send::<Instance>();
    is_shared::<Engine>();
    is_shared::<Component>();
    is_shared::<Kv>();
}

#[test]
fn what_is_no_module_is_refused_with_the_reason() {
    let refused = |bytes: &[u8]| engine().compile(bytes).err().unwrap();
    assert_eq!(refused(b"hello"), LoadError::NotWasm { what: "something else" });
    assert_eq!(refused(&wat::parse_str("(module)").unwrap()), LoadError::CoreModule);
    assert_eq!(
        refused(&wat::parse_str("(component)").unwrap()),
        LoadError::NoHandler { exports: vec![] }
    );
    let cut = wat::parse_str(QUIET.text()).unwrap();
    assert!(matches!(refused(&cut[..cut.len() / 2]), LoadError::Invalid(_)));

    let text = QUIET
        .text()
        .replace("hookhost:hook/handler@0.1.0", "hookhost:hook/handler@0.2.0");
    let error = compile(&text).err().unwrap();
    assert_eq!(
        error,
        LoadError::OtherVersion {
            found: "hookhost:hook/handler@0.2.0".into()
        }
    );

    let text = QUIET.text().replacen(
        "(component",
        "(component (import \"wasi:http/outgoing-handler@0.2.0\" (instance (export \"handle\" (func))))",
        1,
    );
    assert!(text.starts_with(";;"), "the comment goes first");
    let error = compile(&text).err().unwrap();
    assert_eq!(
        error,
        LoadError::UnknownImport {
            name: "wasi:http/outgoing-handler@0.2.0".into()
        }
    );

    // A function that a known interface does not have.
    let text = QUIET
        .text()
        .replacen("(export \"add\"", "(export \"multiply\" (func)) (export \"add\"", 1);
    match compile(&text) {
        Err(LoadError::OtherTypes(text)) => assert!(text.contains("multiply"), "{text}"),
        other => panic!("{:?}", other.err()),
    }
}

#[test]
fn a_handler_without_one_of_its_functions_is_refused() {
    let text = QUIET.text();
    let export = "(export \"handle\" (func $handle))";
    assert!(text.contains(export));
    let renamed = "(export \"handel\" (func $handle))";
    assert_eq!(
        compile(&text.replace(export, renamed)).err().unwrap(),
        LoadError::LacksFunction { function: "handle" }
    );
}

#[test]
fn what_is_no_module_is_looked_at_all_the_same() {
    let text = QUIET
        .text()
        .replace("hookhost:hook/handler@0.1.0", "hookhost:hook/handler@0.2.0");
    let anatomy = engine().examine(&wat::parse_str(text).unwrap()).unwrap();
    assert_eq!(anatomy.exports, ["hookhost:hook/handler@0.2.0"]);
    assert!(anatomy.imports.contains(&"hookhost:hook/log@0.1.0".to_owned()));
    assert!(anatomy.component.is_err());
}

#[test]
fn fuel_is_counted_by_the_engine_that_was_asked_to() {
    let wasm = wat::parse_str(QUIET.text()).unwrap();
    let used = |engine: &Engine| {
        let component = engine.compile(&wasm).unwrap();
        let mut instance = component.instantiate(&identity(), &Limits::default(), &kv()).unwrap();
        instance.configure("{}").unwrap();
        let mut used = || {
            instance.handle(&events(1)).unwrap();
            instance.fuel()
        };
        (used(), used())
    };
    assert_eq!(used(engine()), (None, None));
    let (first, second) = used(&Engine::metered(&EngineSettings::default()).unwrap());
    assert!(first.is_some_and(|fuel| (1..1_000_000).contains(&fuel)), "{first:?}");
    assert_eq!(first, second, "the same is the same");
}

#[test]
fn a_module_built_from_another_contract_is_refused_when_it_is_instantiated() {
    for (from, to, named) in [
        ("(field \"port\" u16)", "(field \"port\" u32)", "u16"),
        ("(case \"ignore\")", "(case \"ignored\")", "ignore"),
        (
            "\"delivery-lost\" \"other\"",
            "\"delivery-lost\" \"more\" \"other\"",
            "",
        ),
    ] {
        let text = QUIET.text();
        assert!(text.contains(from), "{from}");
        let component = compile(&text.replace(from, to)).unwrap();
        match component.instantiate(&identity(), &Limits::default(), &kv()) {
            Err(LoadError::OtherTypes(text)) => assert!(text.contains(named), "{text}"),
            other => panic!("{to}: {other:?}"),
        }
    }
}

#[test]
fn configure_gives_interests() {
    let mut instance = Guest {
        data: "a/#",
        configure: "
            ;; ok, one interest in message.publish with the filter at 1024
            (i32.store (i32.const 20) (i32.const 64)) (i32.store (i32.const 24) (i32.const 1))
            (i32.store8 (i32.const 64) (i32.const 15))
            (i32.store (i32.const 68) (i32.const 80)) (i32.store (i32.const 72) (i32.const 1))
            (i32.store (i32.const 80) (i32.const 1024)) (i32.store (i32.const 84) (i32.const 3))
            (i32.const 16)",
        ..QUIET
    }
    .instance(&Limits::default());
    let interests = instance.configure("{}").unwrap();
    assert_eq!(
        interests,
        [Interest {
            hook: Hook::MessagePublish,
            filters: vec!["a/#".into()]
        }]
    );
}

#[test]
fn configure_refuses() {
    let mut instance = Guest {
        data: "keywrong",
        configure: "
            (i32.store8 (i32.const 16) (i32.const 1))
            (i32.store (i32.const 20) (i32.const 64)) (i32.store (i32.const 24) (i32.const 1))
            (i32.store (i32.const 64) (i32.const 1024)) (i32.store (i32.const 68) (i32.const 3))
            (i32.store (i32.const 72) (i32.const 1027)) (i32.store (i32.const 76) (i32.const 5))
            (i32.const 16)",
        ..QUIET
    }
    .instance(&Limits::default());
    let error = instance.configure("{}").unwrap_err();
    assert_eq!(
        error,
        ConfigureError::Refused(vec![Problem {
            key: "key".into(),
            text: "wrong".into()
        }])
    );
    assert_eq!(error.to_string(), "the module refused its configuration: key: wrong");

    let mut instance = Guest {
        configure: "(i32.store8 (i32.const 16) (i32.const 1)) (i32.const 16)",
        ..QUIET
    }
    .instance(&Limits::default());
    assert_eq!(
        instance.configure("{}"),
        Err(ConfigureError::Refused(vec![])),
        "no problem is a refusal too"
    );
}

#[test]
fn outcomes_come_in_order_and_the_id_arrives_in_hex() {
    let mut instance = Guest {
        data: "http://h/broken",
        handle: "
            ;; 64: deliver one request, 76: ignore, 88: fail
            (i32.store8 (i32.const 64) (i32.const 1))
            (i32.store (i32.const 68) (i32.const 128)) (i32.store (i32.const 72) (i32.const 1))
            (i32.store8 (i32.const 88) (i32.const 2))
            (i32.store (i32.const 92) (i32.const 1033)) (i32.store (i32.const 96) (i32.const 6))
            ;; the request: POST, url, no headers, body = bytes of the id of the first event, key is empty
            (i32.store8 (i32.const 128) (i32.const 1))
            (i32.store (i32.const 132) (i32.const 1024)) (i32.store (i32.const 136) (i32.const 9))
            (i32.store8 (i32.const 148) (i32.const 1))
            (i32.store (i32.const 152) (i32.load (local.get $events)))
            (i32.store (i32.const 156) (i32.load offset=4 (local.get $events)))
            (i32.store8 (i32.const 160) (i32.const 1))
            (i32.store (i32.const 32) (i32.const 64)) (i32.store (i32.const 36) (local.get $count))
            (i32.const 32)",
        ..QUIET
    }
    .instance(&Limits::default());
    let mut batch = events(3);
    Arc::get_mut(&mut batch[0]).unwrap().id = Id(0x00FF_0000_0000_0000_0000_0000_0000_ABCD);
    let request = Request {
        method: Method::Post,
        url: "http://h/".into(),
        headers: vec![],
        body: Bytes::from_static(b"00FF000000000000000000000000ABCD"),
        ordering_key: Some("".into()),
        destination: None,
        options: vec![],
    };
    for _ in 0..2 {
        let outcomes = instance.handle(&batch).unwrap();
        assert_eq!(
            outcomes,
            [
                Outcome::Deliver(vec![request.clone()]),
                Outcome::Ignore,
                Outcome::Fail("broken".into())
            ]
        );
    }
    assert_eq!(instance.handle(&[]), Ok(vec![]));
}

const SPIN: &str = "(loop $again (br $again)) (i32.const 32)";

#[test]
fn a_loop_ends_at_its_deadline_and_its_neighbour_answers() {
    let deadline = Duration::from_millis(300);
    let spins = Guest { handle: SPIN, ..QUIET }.component();
    let quiet = QUIET.component();
    let mut neighbour = quiet.instantiate(&identity(), &Limits::default(), &kv()).unwrap();
    let looping = std::thread::spawn(move || {
        let limits = Limits {
            deadline,
            ..Limits::default()
        };
        let mut instance = spins.instantiate(&identity(), &limits, &kv()).unwrap();
        let start = Instant::now();
        (instance.handle(&events(1)), start.elapsed(), instance.is_dead())
    });
    let mut answers = 0;
    while !looping.is_finished() {
        assert_eq!(neighbour.handle(&events(2)), Ok(vec![Outcome::Ignore, Outcome::Ignore]));
        answers += 1;
    }
    let (result, took, dead) = looping.join().unwrap();
    assert_eq!(result, Err(CallError::Deadline { limit: deadline }));
    assert!(dead);
    assert!(took >= deadline && took < deadline * 100, "{took:?}");
    assert!(answers > 0);
}

#[test]
fn a_deadline_is_per_call() {
    let limits = Limits {
        deadline: Duration::from_secs(1),
        ..Limits::default()
    };
    let mut instance = QUIET.instance(&limits);
    let start = Instant::now();
    while start.elapsed() < limits.deadline * 2 {
        instance.handle(&events(1)).unwrap();
    }
}

#[test]
fn a_guest_that_sleeps_is_woken_at_its_deadline() {
    let limits = Limits {
        deadline: Duration::from_millis(100),
        ..Limits::default()
    };
    let hour = "(call $block (call $subscribe (i64.const 3600000000000))) unreachable";
    let mut instance = Guest { handle: hour, ..QUIET }.instance(&limits);
    assert_eq!(
        instance.handle(&events(1)),
        Err(CallError::Deadline { limit: limits.deadline })
    );

    let blink = format!("(call $block (call $subscribe (i64.const 1000))) {}", QUIET.handle);
    let mut instance = Guest {
        handle: &blink,
        ..QUIET
    }
    .instance(&Limits::default());
    assert_eq!(instance.handle(&events(1)), Ok(vec![Outcome::Ignore]));
}

#[test]
fn start_and_configure_have_a_deadline_of_their_own() {
    let limits = Limits {
        start_deadline: Duration::from_secs(1),
        ..Limits::default()
    };
    let expected = CallError::Deadline {
        limit: limits.start_deadline,
    };
    let start = Guest {
        start: "(loop $again (br $again))",
        ..QUIET
    }
    .component();
    let error = start.instantiate(&identity(), &limits, &kv()).unwrap_err();
    assert_eq!(error, LoadError::Start(expected.clone()));
    let mut instance = Guest {
        configure: SPIN,
        ..QUIET
    }
    .instance(&limits);
    assert_eq!(instance.configure("{}"), Err(ConfigureError::Call(expected)));
    assert_eq!(instance.handle(&events(1)), Err(CallError::Dead));
}

#[test]
fn memory_is_limited_and_the_error_says_so() {
    let limits = Limits {
        memory: 1 << 20,
        ..Limits::default()
    };
    let bomb = "(loop $again (br_if $again (i32.ne (memory.grow (i32.const 1)) (i32.const -1)))) unreachable";
    let mut instance = Guest { handle: bomb, ..QUIET }.instance(&limits);
    assert_eq!(instance.memory(), 2 << 16);
    match instance.handle(&events(1)) {
        Err(CallError::Memory { wanted, limit, .. }) => assert_eq!((wanted, limit), ((1 << 20) + (1 << 16), 1 << 20)),
        other => panic!("{other:?}"),
    }

    // A guest that does without goes on.
    let modest = format!("(drop (memory.grow (i32.const 1000))) {}", QUIET.handle);
    let mut instance = Guest {
        handle: &modest,
        ..QUIET
    }
    .instance(&limits);
    assert_eq!(instance.handle(&events(1)), Ok(vec![Outcome::Ignore]));

    let error = Guest { pages: 17, ..QUIET }
        .component()
        .instantiate(&identity(), &limits, &kv())
        .unwrap_err();
    assert!(
        matches!(error, LoadError::Start(CallError::Memory { wanted: 0x11_0000, .. })),
        "{error:?}"
    );
}

#[test]
fn a_trap_carries_the_panic() {
    let panic = "thread '<unnamed>' panicked at src/lib.rs:12:5:\\0ano such topic\\0a";
    let handle = format!("(call $say (i32.const {})) unreachable", panic.len() - 4);
    let mut instance = Guest {
        data: panic,
        handle: &handle,
        ..QUIET
    }
    .instance(&Limits::default());
    let error = instance.handle(&events(1)).unwrap_err();
    assert_eq!(
        error,
        CallError::Trap {
            message: "panicked at src/lib.rs:12:5: no such topic".into(),
            frames: vec!["handle".into()],
        }
    );
    assert!(error.is_guest_fault());
    assert_eq!(instance.handle(&events(1)), Err(CallError::Dead));
    assert!(!CallError::Dead.is_guest_fault());
}

#[test]
fn a_trap_without_words_is_named() {
    for (handle, words) in [
        ("unreachable", "wasm trap: wasm `unreachable` instruction executed"),
        (
            "(i32.div_u (i32.const 1) (i32.const 0))",
            "wasm trap: integer divide by zero",
        ),
        (
            "(call $exit (i32.const 1)) unreachable",
            "Exited with i32 exit status 1",
        ),
        (
            "(call $handle (local.get 0) (local.get 1))",
            "wasm trap: call stack exhausted",
        ),
    ] {
        let mut instance = Guest { handle, ..QUIET }.instance(&Limits::default());
        match instance.handle(&events(1)) {
            Err(CallError::Trap { message, .. }) => assert_eq!(message, words),
            other => panic!("{handle}: {other:?}"),
        }
    }
}

#[test]
fn the_sandbox_is_empty() {
    // Each list has length 0, and the socket is an error (1), namely access-denied (1).
    let handle = format!(
        "(call $env (i32.const 512)) (if (i32.load (i32.const 516)) (then unreachable))
         (call $args (i32.const 512)) (if (i32.load (i32.const 516)) (then unreachable))
         (call $dirs (i32.const 512)) (if (i32.load (i32.const 516)) (then unreachable))
         (call $tcp (i32.const 0) (i32.const 512))
         (if (i32.ne (i32.load8_u (i32.const 512)) (i32.const 1)) (then unreachable))
         (if (i32.ne (i32.load8_u (i32.const 516)) (i32.const 1)) (then unreachable))
         {}",
        QUIET.handle
    );
    let mut instance = Guest {
        handle: &handle,
        ..QUIET
    }
    .instance(&Limits::default());
    assert_eq!(instance.handle(&events(1)), Ok(vec![Outcome::Ignore]));
}

#[test]
fn there_is_one_outcome_per_event() {
    let handle = "(i32.store (i32.const 32) (i32.const 64)) (i32.store (i32.const 36) (i32.const 3)) (i32.const 32)";
    let mut instance = Guest { handle, ..QUIET }.instance(&Limits::default());
    assert!(instance.handle(&events(3)).is_ok());
    assert_eq!(
        instance.handle(&events(2)),
        Err(CallError::WrongOutcomeCount { events: 2, outcomes: 3 })
    );
    assert!(instance.is_dead());
}

/// Fails each event with a text of `len` bytes, the same for all.
fn talkative(len: usize) -> String {
    format!(
        "(local $at i32)
         (loop $next
           (i32.store8 (i32.add (i32.const 64) (i32.mul (local.get $at) (i32.const 12))) (i32.const 2))
           (i32.store offset=4 (i32.add (i32.const 64) (i32.mul (local.get $at) (i32.const 12))) (i32.const 1024))
           (i32.store offset=8 (i32.add (i32.const 64) (i32.mul (local.get $at) (i32.const 12))) (i32.const {len}))
           (local.set $at (i32.add (local.get $at) (i32.const 1)))
           (br_if $next (i32.lt_u (local.get $at) (local.get $count))))
         {}",
        QUIET.handle
    )
}

#[test]
fn an_outcome_is_bounded() {
    let limits = Limits {
        outcome_bytes: 10_000,
        ..Limits::default()
    };
    let mut instance = Guest {
        handle: &talkative(9_000),
        ..QUIET
    }
    .instance(&limits);
    assert_eq!(instance.handle(&events(64)).unwrap().len(), 64);
    let mut instance = Guest {
        handle: &talkative(10_000),
        ..QUIET
    }
    .instance(&limits);
    assert_eq!(
        instance.handle(&events(64)),
        Err(CallError::OutcomeTooLarge {
            event: 0,
            bytes: 10_064,
            limit: 10_000
        })
    );
    assert!(instance.is_dead());
}

#[test]
fn the_whole_answer_is_bounded_before_it_is_read() {
    // 64 times the same megabyte from a guest that may have two.
    let limits = Limits {
        memory: 2 << 20,
        outcome_bytes: 1 << 20,
        ..Limits::default()
    };
    let mut instance = Guest {
        pages: 20,
        handle: &talkative(1_000_000),
        ..QUIET
    }
    .instance(&limits);
    match instance.handle(&events(64)) {
        Err(CallError::UnreadableAnswer { limit, .. }) => assert_eq!(limit, 2 << 20),
        other => panic!("{other:?}"),
    }
    // What is not UTF-8 cannot be read either.
    let mut instance = Guest {
        data: "\\ff\\ff",
        handle: &talkative(2),
        ..QUIET
    }
    .instance(&limits);
    assert!(matches!(
        instance.handle(&events(1)),
        Err(CallError::UnreadableAnswer { .. })
    ));
}

#[test]
fn what_a_failed_call_wrote_is_undone() {
    let add = "(call $kv-add (i32.const 1024) (i32.const 1) (i64.const 1) (i32.const 0) (i32.const 0) (i32.const 512))";
    let fails = format!(
        "{add} (if (i32.eq (local.get $count) (i32.const 2)) (then unreachable)) {}",
        QUIET.handle
    );
    let component = Guest {
        data: "n",
        handle: &fails,
        ..QUIET
    }
    .component();
    let kv = kv();
    let instance = || component.instantiate(&identity(), &Limits::default(), &kv).unwrap();
    let count = || kv::Access::new(Arc::clone(&kv)).get("n", Instant::now());

    let mut first = instance();
    first.handle(&events(1)).unwrap();
    first.handle(&events(1)).unwrap();
    assert_eq!(count().as_deref(), Some(&b"2"[..]));
    first.handle(&events(2)).unwrap_err();
    assert_eq!(count().as_deref(), Some(&b"2"[..]));
    let mut second = instance();
    second.handle(&events(1)).unwrap();
    assert_eq!(count().as_deref(), Some(&b"3"[..]));
    // Any other failure undoes too.
    let miscounts = format!(
        "{add} (i32.store (i32.const 32) (i32.const 64)) (i32.store (i32.const 36) (i32.const 9)) (i32.const 32)"
    );
    let component = Guest {
        data: "n",
        handle: &miscounts,
        ..QUIET
    }
    .component();
    let mut third = component.instantiate(&identity(), &Limits::default(), &kv).unwrap();
    third.handle(&events(1)).unwrap_err();
    assert_eq!(count().as_deref(), Some(&b"3"[..]));
}

/// Where a test's log goes.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn lines_reach_the_log_clean_and_say_whose_they_are() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let handle = format!(
        "(call $log (i32.const 1) (i32.const 1024) (i32.const 11))
         (call $log (i32.const 4) (i32.const 1024) (i32.const 11))
         (call $say (i32.const 12))
         {}",
        QUIET.handle
    );
    let mut instance = Guest {
        data: "\\1b[31mred\\0d\\0atwo\\0a",
        handle: &handle,
        ..QUIET
    }
    .instance(&Limits::default());
    tracing::subscriber::with_default(subscriber, || instance.handle(&events(1)).unwrap());
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let lines: Vec<&str> = log.lines().map(|line| line.split_once(' ').unwrap().1.trim()).collect();
    assert_eq!(
        lines,
        [
            "WARN hookhost::module: red  t module=test generation=7 stream=\"log\"",
            "WARN hookhost::module: red module=test generation=7 stream=\"stderr\"",
        ]
    );
}
