//! Guests that return invalid values, and guests that exhaust the resources of the host.

use super::*;

fn short() -> Limits {
    Limits {
        deadline: Duration::from_millis(200),
        ..Limits::default()
    }
}

/// Passes a batch of two events to a guest and returns the error. The host keeps running, and the guest is not used
/// again.
fn fault(guest: &Guest, limits: &Limits) -> CallError {
    fault_of(&guest.component(), limits)
}

fn fault_of(component: &Component, limits: &Limits) -> CallError {
    let mut instance = component.instantiate(&identity(), limits, &kv()).unwrap();
    let error = instance.handle(&events(2)).unwrap_err();
    assert_eq!(instance.handle(&events(1)), Err(CallError::Dead));
    error
}

/// Two outcomes at address 64; the caller defines the first.
fn first(outcome: &str) -> String {
    format!("{outcome} {}", QUIET.handle)
}

#[test]
fn an_answer_that_is_none_is_an_error_and_nothing_is_read_outside_of_the_guest() {
    let list = |at: &str, count: &str| {
        format!(
            "(i32.store (i32.const 32) (i32.const {at})) (i32.store (i32.const 36) (i32.const {count})) (i32.const 32)"
        )
    };
    let text = |at: &str, len: &str| {
        first(&format!(
            "(i32.store8 (i32.const 64) (i32.const 2))
             (i32.store (i32.const 68) (i32.const {at})) (i32.store (i32.const 72) (i32.const {len}))"
        ))
    };
    let requests = |at: &str, count: &str| {
        first(&format!(
            "(i32.store8 (i32.const 64) (i32.const 1))
             (i32.store (i32.const 68) (i32.const {at})) (i32.store (i32.const 72) (i32.const {count}))"
        ))
    };
    for (what, handle) in [
        ("more outcomes than memory", list("64", "0x7fffffff")),
        ("as many outcomes as there are numbers", list("64", "-1")),
        ("outcomes outside of memory", list("0x7ffffff0", "2")),
        ("outcomes that end outside of memory", list("131068", "2")),
        ("outcomes at an odd address", list("65", "2")),
        (
            "an outcome of no kind",
            first("(i32.store8 (i32.const 64) (i32.const 3))"),
        ),
        ("a text outside of memory", text("-16", "8")),
        ("a text that wraps around", text("-16", "32")),
        ("a text of two gigabytes", text("1024", "0x7fffffff")),
        ("a text of four gigabytes", text("0", "-1")),
        ("requests outside of memory", requests("-64", "1")),
        ("more requests than memory", requests("128", "0x0fffffff")),
        ("requests at an odd address", requests("129", "1")),
        ("a request of no method", requests("1024", "1")),
        ("a result outside of memory", "(i32.const -4)".to_owned()),
        ("a result at an odd address", "(i32.const 33)".to_owned()),
        ("a result that ends outside of memory", "(i32.const 131068)".to_owned()),
    ] {
        let guest = Guest {
            data: "\\ff\\ff\\ff\\ff",
            handle: &handle,
            ..QUIET
        };
        match fault(&guest, &Limits::default()) {
            CallError::UnreadableAnswer { message, .. } => assert!(!message.is_empty(), "{what}"),
            other => panic!("{what}: {other:?}"),
        }
    }
}

#[test]
fn a_gigabyte_is_refused_before_it_is_copied() {
    let limits = Limits {
        memory: 2 << 30,
        ..Limits::default()
    };
    let handle = first(
        "(i32.store8 (i32.const 64) (i32.const 2))
         (i32.store (i32.const 68) (i32.const 65536)) (i32.store (i32.const 72) (i32.const 0x40000000))",
    );
    let guest = Guest {
        pages: (1 << 14) + 2,
        handle: &handle,
        ..QUIET
    };
    match fault(&guest, &limits) {
        CallError::UnreadableAnswer { limit, .. } => assert_eq!(limit, 3 * (4 << 20), "two outcomes and one more"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_allocator_that_misbehaves_is_the_guests_fault() {
    let text = QUIET.text();
    let last = "      (local.get $at)))\n  (core instance $memory";
    assert!(text.contains(last));
    for (instead, is_expected) in [
        ("(i32.const -8)", None),
        ("(i32.const 1)", None),
        ("unreachable", Some("unreachable")),
        (
            "(loop $again (br $again)) (i32.const 0)",
            Some("did not answer within 200ms"),
        ),
    ] {
        let with = last.replace("(local.get $at)", instead);
        let component = compile(&text.replace(last, &with)).unwrap();
        let error = fault_of(&component, &short()).to_string();
        assert!(
            is_expected.is_none_or(|words| error.contains(words)),
            "{instead}: {error}"
        );
    }
}

#[test]
fn calls_of_the_host_do_not_stop_the_clock() {
    let limits = short();
    let log = "(call $log (i32.const 3) (i32.const 1024) (i32.const 3))";
    let kv = "(call $kv-add (i32.const 1024) (i32.const 1) (i64.const 1) (i32.const 0) (i32.const 0) (i32.const 512))";
    let blink = "(call $block (call $subscribe (i64.const 1)))";
    for call in [log, kv] {
        let handle = format!("(loop $again {call} (br $again)) (i32.const 32)");
        let guest = Guest {
            data: "nnn",
            handle: &handle,
            ..QUIET
        };
        assert_eq!(
            fault(&guest, &limits),
            CallError::Deadline { limit: limits.deadline },
            "{call}"
        );
    }
    // Resources that the guest does not return reach a limit earlier.
    for call in [blink, "(drop (call $subscribe (i64.const 1)))", "(drop (call $stderr))"] {
        let handle = format!("(loop $again {call} (br $again)) (i32.const 32)");
        let guest = Guest {
            handle: &handle,
            ..QUIET
        };
        let limits = Limits {
            deadline: Duration::from_secs(60),
            ..Limits::default()
        };
        match fault(&guest, &limits) {
            CallError::Trap { .. } | CallError::UnreadableAnswer { .. } => {}
            other => panic!("{call}: {other:?}"),
        }
    }
}
