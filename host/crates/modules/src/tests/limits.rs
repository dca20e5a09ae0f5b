//! The limits of whole modules, and the limits that an operator may change.

use super::*;
use hookhost_delivery::Reach;

/// A module with this number of 64 KiB pages, which ignores everything.
fn with_pages(pages: u32) -> Vec<u8> {
    let ignore = "(i32.store (i32.const 32) (i32.const 64)) (i32.store (i32.const 36) (local.get 1)) (i32.const 32)";
    guest_with(pages, "", ignore)
}

fn instances(host: &Host, name: &str) -> usize {
    host.state(name).unwrap().generation.unwrap().instances
}

#[test]
fn a_module_gets_as_many_instances_as_memory_allows_or_as_somebody_said() {
    let dir = tempfile::tempdir().unwrap();
    for (name, pages) in [("small", 2), ("large", 1500), ("said", 1500)] {
        put(dir.path(), &format!("{name}.wasm"), with_pages(pages));
    }
    put(dir.path(), "said.toml", "[limits]\ninstances = 3");
    let up_to = |instances| Settings {
        instances,
        ..settings(Some(dir.path()), json!({}))
    };
    let host = Host::start(up_to(Instances::UpTo(2)));
    let of = |host: &Host| ["small", "large", "said"].map(|name| instances(host, name));
    assert_eq!(of(&host), [2, 1, 3]);
    // More memory after a change: the number of instances follows.
    put(dir.path(), "small.wasm", with_pages(1500));
    host.rescan();
    assert_eq!(instances(&host, "small"), 1);
    put(dir.path(), "large.toml", "[limits]\ninstances = 2");
    host.rescan();
    assert_eq!(instances(&host, "large"), 2);
    drop(host);
    let host = Host::start(up_to(Instances::Exactly(4)));
    assert_eq!(of(&host), [4, 2, 3]);
}

/// A compiler that is killed if its limit is below a second.
struct Slow(Engine);

impl load::Compile for Slow {
    fn cached(&self, _: [u8; 32]) -> Option<Result<wasm::Component, wasm::LoadError>> {
        None
    }

    fn compile(&self, wasm: &[u8], _: [u8; 32], limit: Duration) -> Result<wasm::Component, wasm::LoadError> {
        if limit < Duration::from_secs(1) {
            return Err(wasm::LoadError::CompilerKilled { limit });
        }
        self.0.compile(wasm)
    }
}

#[test]
fn compiling_has_an_end_and_is_tried_again_with_more_time() {
    let dir = tempfile::tempdir().unwrap();
    let host = Host::start_with(Slow(engine()), settings(Some(dir.path()), rules("http://h/")));
    let limited = |time: &str| format!("{}[limits]\ncompile_time = '{time}'", rules_toml("http://slow/"));
    put(dir.path(), "slow.wasm", variant(1));
    put(dir.path(), "slow.toml", limited("1ms"));
    host.look();
    let problem = host.problem("slow");
    assert!(
        problem.contains("slow.wasm was not compiled within 1ms (limits.compile_time)"),
        "{problem}"
    );
    assert_eq!(host.state("slow").unwrap().status, Status::Rejected);
    assert_eq!(&*host.answer("c", 1).source, "webhook");
    put(dir.path(), "slow.toml", limited("1m"));
    host.look();
    assert_eq!((host.number("slow"), host.problem("slow").as_str()), (Some(1), ""));
}

/// As on a system where it starts more slowly than its limit allows.
#[test]
fn a_module_that_starts_too_slowly_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    put(
        dir.path(),
        "a.wasm",
        guest_that(2, "", "(loop $again (br $again)) (unreachable)", "unreachable"),
    );
    put(dir.path(), "a.toml", "[limits]\nstart_deadline = '100ms'");
    let host = Host::start(settings(Some(dir.path()), json!({})));
    let problem = host.problem("a");
    assert!(
        problem.contains("fails while it is configured: the module did not answer within 100ms"),
        "{problem}"
    );
    assert_eq!(host.state("a").unwrap().status, Status::Rejected);
}

/// A module that starts and then always times out is rolled back like any other failing module. No event is lost.
#[test]
fn a_module_that_is_too_slow_is_rolled_back() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "a.wasm", counter());
    put(
        dir.path(),
        "a.toml",
        "[limits]\ninstances = 1\ndeadline = '500ms'\n[egress]\nallow = ['http://h/']",
    );
    let host = Host::start(settings(Some(dir.path()), json!({})));
    assert_eq!(host.answer("c", 0).generation, 1);
    put(
        dir.path(),
        "a.wasm",
        guest("", "(loop $again (br $again)) (unreachable)"),
    );
    host.look();
    (1..12).for_each(|number| assert!(host.emit("c", number)));
    until("the rollback", || host.state("a").unwrap().status == Status::RolledBack);
    until("all requests", || host.requests().len() == 12);
    assert_eq!(host.number("a"), Some(1));
    assert_eq!(host.state("a").unwrap().quarantined.events, 0);
}

#[test]
fn files_have_a_largest_size() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "a.wasm", variant(1));
    let host = Host::start(Settings {
        module_size: 1000,
        ..settings(Some(dir.path()), rules("http://h/"))
    });
    let expected = format!("a.wasm has {} bytes; the limit is 1000", variant(1).len());
    assert!(host.problem("a").contains(&expected), "{}", host.problem("a"));
    assert_eq!(host.origin("webhook"), Some(Origin::BuiltIn), "which is ours");
}

#[test]
fn what_a_module_returns_wrongly_costs_others_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let list = |count: &str| {
        format!("(i32.store (i32.const 32) (i32.const 64)) (i32.store (i32.const 36) {count}) (i32.const 32)")
    };
    let bad = [
        ("none", list("(i32.const 0)")),
        ("more", list("(i32.add (local.get 1) (i32.const 1))")),
        ("lies", list("(i32.const 0x7fffffff)")),
        ("outside", "(i32.const -4)".to_owned()),
    ];
    for (name, handle) in &bad {
        put(dir.path(), &format!("{name}.wasm"), guest("", handle));
    }
    put(dir.path(), "good.wasm", variant(1));
    put(dir.path(), "good.toml", rules_toml("http://good/"));
    let host = Host::start(settings(Some(dir.path()), json!({})));
    assert!((0..20).all(|number| host.emit(&format!("c{number}"), number)));
    until("the requests of the good one", || host.requests().len() == 20);
    for (name, _) in bad {
        until(name, || host.state(name).unwrap().counts.trapped == 20);
        assert_eq!(host.state(name).unwrap().counts.requests, 0);
    }
}

#[test]
fn an_open_grant_travels_with_the_request() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "count.wasm", counter());
    for (number, (allow, reach)) in [
        ("http://*/", Reach::Public),
        ("http://h/", Reach::Anywhere),
        ("http://*/', 'http://h/", Reach::Anywhere),
    ]
    .into_iter()
    .enumerate()
    {
        put(
            dir.path(),
            "count.toml",
            format!("{ONE_AT_A_TIME}[egress]\nallow = ['{allow}']"),
        );
        let host = Host::start(settings(Some(dir.path()), json!({})));
        assert_eq!(host.answer("c", number as u32).reach, reach, "{allow}");
        let shown = host.state("count").unwrap().generation.unwrap().egress;
        assert!(shown[0].starts_with(if allow.contains('*') {
            "http://*:80/"
        } else {
            "http://h:80/"
        }));
    }
}

#[test]
fn with_a_data_folder_a_module_finds_its_state_again() {
    let (dir, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let granted = format!("{ONE_AT_A_TIME}[egress]\nallow = ['http://h/']");
    put(dir.path(), "count.toml", &granted);
    let open = || {
        let settings = hookhost_kv::DataSettings {
            dir: data.path().to_owned(),
            keep_removed: Duration::from_secs(3600),
        };
        KvStores::open(&settings).unwrap()
    };
    let count = |host: &Host, number| i64::from_le_bytes(host.answer("c", number).body[..].try_into().unwrap());
    let mut expected = 0;
    for _ in 0..2 {
        put(dir.path(), "count.wasm", counter());
        let stores = open();
        let host = Host::start(Settings {
            stores: stores.clone(),
            ..settings(Some(dir.path()), json!({}))
        });
        for number in 0..2 {
            expected += 1;
            assert_eq!(count(&host, number), expected);
        }
        // The module is removed, and returns.
        fs::remove_file(dir.path().join("count.wasm")).unwrap();
        host.rescan();
        put(dir.path(), "count.wasm", counter());
        host.rescan();
        expected += 1;
        assert_eq!(count(&host, 2), expected);
        drop(host);
        stores.close();
    }
}
