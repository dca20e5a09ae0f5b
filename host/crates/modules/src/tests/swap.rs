//! Generations that change while events arrive.

use super::*;

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
    host.rescan();
    assert_eq!((host.number("count"), count(2)), (Some(2), 3));
    // Only the settings change, including the number of instances: the queues change and the state stays.
    put(
        dir.path(),
        "count.toml",
        granted.replace("instances = 1", "instances = 3"),
    );
    host.rescan();
    assert_eq!((host.number("count"), count(3)), (Some(3), 4));
    put(dir.path(), "count.toml", ONE_AT_A_TIME);
    host.rescan();
    assert!(host.emit("c", 4));
    until("the refusal", || {
        host.state("count").unwrap().counts.refused_requests == 1
    });
    // A removed module leaves nothing behind.
    fs::remove_file(dir.path().join("count.wasm")).unwrap();
    host.rescan();
    put(dir.path(), "count.wasm", counter());
    put(dir.path(), "count.toml", &granted);
    host.rescan();
    assert_eq!(count(5), 1);
}

/// Events arrive while the module is replaced, reconfigured, given other queues, broken and corrected. Every event
/// gives one request, and those of one client arrive in order.
#[test]
fn swaps_under_load_lose_and_double_nothing() {
    const CLIENTS: u32 = 3;
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "a.wasm", variant(0));
    put(dir.path(), "a.toml", rules_toml("http://h/"));
    let host = Host::start(Settings {
        queue: QueueLimits {
            overflow: hookhost_hooks::Overflow::Wait(Duration::from_secs(3600)),
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
    let put_in_force = |file: &str, content: Vec<u8>| {
        let before = host.number("a");
        put(dir.path(), file, content);
        host.rescan();
        assert!(host.number("a") > before, "{file}: {}", host.problem("a"));
    };
    for turn in 1..=3u8 {
        put_in_force("a.wasm", variant(turn));
        put(dir.path(), "a.wasm", "broken");
        host.rescan();
        assert!(host.problem("a").contains("not WebAssembly"));
        put_in_force("a.wasm", variant(turn));
        let other_queues = format!("{}[limits]\ninstances = {turn}", rules_toml("http://h/"));
        put_in_force("a.toml", other_queues.into_bytes());
    }
    done.store(true, Ordering::Relaxed);
    let sent: u32 = producers.into_iter().map(|producer| producer.join().unwrap()).sum();
    let mut by_client: BTreeMap<String, Vec<OutboxRequest>> = BTreeMap::new();
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
