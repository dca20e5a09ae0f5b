//! Calls of modules: settings, events, outcomes, traps and log lines.

use std::io::Write;
use std::sync::Mutex;

use bytes::Bytes;

use super::*;
use hookhost_contract::{Interest, Method, Outcome, Problem, Request};
use hookhost_event::Hook;

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

#[test]
fn there_is_one_outcome_per_event() {
    let handle = "(i32.store (i32.const 32) (i32.const 64)) (i32.store (i32.const 36) (i32.const 3)) (i32.const 32)";
    let mut instance = Guest { handle, ..QUIET }.instance(&Limits::default());
    assert!(instance.handle(&events(3)).is_ok());
    assert_eq!(
        instance.handle(&events(2)),
        Err(CallError::WrongOutcomeCount { events: 2, outcomes: 3 })
    );
    assert_eq!(instance.handle(&events(1)), Err(CallError::Dead));
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
    assert_eq!(instance.handle(&events(1)), Err(CallError::Dead));
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
    let count = || hookhost_kv::KvAccess::new(Arc::clone(&kv)).get("n", Instant::now());

    let mut first = instance();
    first.handle(&events(1)).unwrap();
    first.handle(&events(1)).unwrap();
    assert_eq!(count().as_deref(), Some(&b"2"[..]));
    first.handle(&events(2)).unwrap_err();
    assert_eq!(count().as_deref(), Some(&b"2"[..]));
    let mut second = instance();
    second.handle(&events(1)).unwrap();
    assert_eq!(count().as_deref(), Some(&b"3"[..]));
    // Any other failure also undoes the changes.
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

/// The writer of a test's log.
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
