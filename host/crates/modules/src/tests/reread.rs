//! How modules change when the host's configuration is read again, besides taking its values.

use super::*;
use hookhost_delivery::Receivers;

const GRANT: &str = "[limits]\ninstances = 1\n[egress]\nallow = ['http://h/']";

/// Receivers that tests can tell apart.
fn receivers(concurrency_limit: usize) -> Arc<Receivers> {
    let mut receivers = Receivers::default();
    receivers.terms.concurrency_limit = concurrency_limit;
    Arc::new(receivers)
}

/// Applies a configuration with these receivers and rules, as after a reload.
fn read_again(host: &Host, receivers: &Arc<Receivers>, webhook_config: &Value) -> Applied {
    host.apply(false, new_configuration(receivers, webhook_config))
}

fn new_configuration(receivers: &Arc<Receivers>, webhook_config: &Value) -> DesiredConfiguration {
    DesiredConfiguration::Valid(ReloadableSettings {
        webhook_config: webhook_config.clone(),
        places: Default::default(),
        receivers: Arc::clone(receivers),
    })
}

/// A host whose module `a` has handled an event. Its folder is listed only by [`Host::look`] and [`read_again`].
fn host_with_a(dir: &Path) -> Host {
    put(dir, "a.wasm", counter());
    put(dir, "a.toml", GRANT);
    let host = Host::start(settings(Some(dir), json!({})));
    assert_eq!(host.answer("c", 0).generation, 1);
    host
}

/// Sends enough events for a rollback to a module that fails on every event. `requests` includes the earlier requests.
fn fail_until_rolled_back(host: &Host, name: &str, requests: usize) {
    (0..5).for_each(|number| assert!(host.emit("c", 1000 + number)));
    until("the rollback", || {
        host.state(name).unwrap().status == Status::RolledBack
    });
    until("all requests", || host.requests().len() == requests);
}

#[test]
fn a_module_that_was_rolled_back_stays_so_and_takes_what_is_new() {
    let dir = tempfile::tempdir().unwrap();
    let host = host_with_a(dir.path());
    put(dir.path(), "a.wasm", guest("", "unreachable"));
    put(dir.path(), "a.toml", format!("{GRANT}\n[config]\nother = 1"));
    host.look();
    fail_until_rolled_back(&host, "a", 6);
    for (turn, number) in [(0, 3), (1, 4)] {
        let new = receivers(7 + turn);
        let found = read_again(&host, &new, &json!({}));
        assert_eq!(
            found.loaded,
            [("webhook".into(), 2 + turn as u32), ("a".into(), number)]
        );
        assert_eq!(found.rejected, []);
        let state = host.state("a").unwrap();
        assert_eq!(state.status, Status::RolledBack);
        let problem = state.problem.unwrap();
        assert!(problem.starts_with("generation 2 was rolled back: "), "{problem}");
        let request = host.answer("c", 10 + number);
        assert_eq!((request.generation, request.receivers), (number, Some(new)));
    }
    // Other files are loaded as usual.
    put(dir.path(), "a.wasm", counter());
    host.look();
    assert_eq!((host.number("a"), host.problem("a").as_str()), (Some(5), ""));
    assert_eq!(host.answer("c", 20).generation, 5);
}

#[test]
fn whoever_asks_has_a_module_that_was_rolled_back_tried_again() {
    let dir = tempfile::tempdir().unwrap();
    let host = host_with_a(dir.path());
    put(dir.path(), "a.wasm", guest("", "unreachable"));
    host.look();
    fail_until_rolled_back(&host, "a", 6);
    host.apply(true, new_configuration(&receivers(7), &json!({})));
    assert_eq!((host.number("a"), host.problem("a").as_str()), (Some(3), ""));
}

#[test]
fn the_default_module_that_was_rolled_back_stays_so_and_takes_what_is_new() {
    let dir = tempfile::tempdir().unwrap();
    let host = Host::start(settings(Some(dir.path()), rules("http://one/")));
    assert_eq!(host.answer("c", 0).url, "http://one/");
    put(dir.path(), "webhook.wasm", guest("", "unreachable"));
    host.look();
    fail_until_rolled_back(&host, "webhook", 6);
    let found = read_again(&host, &receivers(7), &rules("http://two/"));
    assert_eq!(found.loaded, [("webhook".into(), 3)]);
    assert_eq!(host.state("webhook").unwrap().status, Status::RolledBack);
    assert_eq!(host.origin("webhook"), Some(Origin::BuiltIn));
    let request = host.answer("c", 1);
    assert_eq!((request.generation, request.url.as_str()), (3, "http://two/"));
    // An invalid configuration is rejected as usual.
    let found = read_again(&host, &receivers(8), &json!({ "urls": 1 }));
    assert!(matches!(found.configuration, Some(ConfigurationOutcome::Rejected(_))));
    assert_eq!(host.answer("c", 2).generation, 3);
    // A module is not rolled back for a configuration that was applied and reverted.
    fs::remove_file(dir.path().join("webhook.wasm")).unwrap();
    read_again(&host, &receivers(7), &rules("http://three/"));
    assert_eq!(host.problem("webhook"), "");
    assert_eq!(host.answer("c", 3).url, "http://three/");
}

#[test]
fn a_module_whose_files_do_not_load_takes_what_is_new() {
    let dir = tempfile::tempdir().unwrap();
    let host = host_with_a(dir.path());
    let mut number = 1;
    for (file, garbage) in [("a.wasm", "no module"), ("a.toml", "no = 'settings'")] {
        put(dir.path(), file, garbage);
        // The file is listed before the configuration changes, or together with it.
        for is_known in [true, false] {
            if is_known {
                host.look();
                assert_eq!(host.number("a"), Some(number));
            }
            let new = receivers(10 + number as usize);
            let found = read_again(&host, &new, &json!({}));
            number += 1;
            assert!(found.loaded.contains(&("a".into(), number)), "{found:?}");
            assert_eq!(found.rejected.len(), 1, "{found:?}");
            let state = host.state("a").unwrap();
            assert_eq!(state.status, Status::Running);
            assert!(state.problem.unwrap().contains(file));
            let request = host.answer("c", number);
            assert_eq!((request.generation, request.receivers), (number, Some(new)));
            if is_known {
                // The same files, but new to the host.
                put(dir.path(), file, format!("{garbage} "));
            }
        }
        put(dir.path(), "a.wasm", counter());
        put(dir.path(), "a.toml", GRANT);
        host.look();
        number += 1;
        assert_eq!((host.number("a"), host.problem("a").as_str()), (Some(number), ""));
    }
}
