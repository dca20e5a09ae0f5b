//! Limits of the time of a call, of the memory of a module and of its answer.

use super::*;
use hookhost_contract::Outcome;

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
        let first = (instance.handle(&events(1)), start.elapsed());
        (first, instance.handle(&events(1)))
    });
    let mut answers = 0;
    while !looping.is_finished() {
        assert_eq!(neighbour.handle(&events(2)), Ok(vec![Outcome::Ignore, Outcome::Ignore]));
        answers += 1;
    }
    let ((result, took), second) = looping.join().unwrap();
    assert_eq!(result, Err(CallError::Deadline { limit: deadline }));
    assert_eq!(second, Err(CallError::Dead));
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

    // A guest that handles the failed growth continues.
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

/// Fails each event with the same text of `len` bytes.
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
    assert_eq!(instance.handle(&events(1)), Err(CallError::Dead));
}

#[test]
fn the_whole_answer_is_bounded_before_it_is_read() {
    // 64 times the same megabyte, from a guest whose memory limit is two megabytes.
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
    // Text that is not UTF-8 cannot be read either.
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
