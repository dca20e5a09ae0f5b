//! Tests of targets and their destinations.

use std::sync::LazyLock;
use std::time::Duration;

use super::super::destination::tests::destination;
use super::*;

fn receivers(list: impl IntoIterator<Item = super::super::Destination>) -> Arc<Receivers> {
    Arc::new(Receivers {
        destinations: list.into_iter().collect(),
        ..Receivers::default()
    })
}

/// Returns the same receivers each time, as in a running host.
fn usual() -> Arc<Receivers> {
    static USUAL: LazyLock<Arc<Receivers>> = LazyLock::new(Arc::default);
    Arc::clone(&USUAL)
}

fn id(targets: &mut Targets, http: &Http, url: &str) -> DestinationId {
    targets
        .target(http, &usual(), url, &DestinationSelector::Url)
        .unwrap_or_else(|e| panic!("{url}: {e}"))
        .destination
        .id
}

#[test]
fn one_receiver_is_one_destination() {
    let http = Http::new();
    let mut targets = Targets::new(StdoutFormat::Json, Arc::default());
    let a = id(&mut targets, &http, "http://h/a");
    for same in ["http://h/b?c", "http://me@h:80", "HTTP://H/"] {
        assert_eq!(id(&mut targets, &http, same), a, "{same}");
    }
    let file = id(&mut targets, &http, "file:///a");
    assert_eq!(id(&mut targets, &http, "FILE:/%61"), file);
    let stdout = id(&mut targets, &http, "stdout:");
    let mut all = vec![a, file, stdout];
    for other in ["https://h/", "http://h:81/", "http://g/", "file:///b"] {
        all.push(id(&mut targets, &http, other));
    }
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 7);
}

#[test]
fn a_configured_destination_is_a_receiver_of_its_own() {
    let http = Http::new();
    let configured = receivers([destination("hook", &["http://h/hook"])]);
    let mut targets = Targets::new(StdoutFormat::Json, Arc::default());
    let mut id = |url: &str, via: DestinationSelector| {
        let target = targets.target(&http, &configured, url, &via);
        target.ok().unwrap().destination.id
    };
    let hook = id("http://h/hook", DestinationSelector::Url);
    assert_eq!(id("http://h/hook/x", DestinationSelector::Url), hook);
    assert_eq!(id("http://h/hook", DestinationSelector::Named("hook".into())), hook);
    let host = id("http://h/", DestinationSelector::Url);
    assert_ne!(host, hook);
    assert_eq!(id("http://h/hook", DestinationSelector::Nothing), host);
    assert_eq!(id("http://h/hook", DestinationSelector::Named("gone".into())), host);
}

#[test]
fn receivers_that_change_leave_the_order_and_change_the_terms() {
    let http = Http::new();
    let mut targets = Targets::new(StdoutFormat::Json, Arc::default());
    let hook = |timeout: u64| {
        let mut hook = destination("hook", &["http://h/hook", "https://h/hook"]);
        hook.terms.http_timeout = Duration::from_secs(timeout);
        receivers([hook])
    };
    let (before, after) = (hook(1), hook(2));
    for url in ["http://h/hook/a", "https://h/hook/a"] {
        let mut target = |under: &Arc<Receivers>| {
            targets
                .target(&http, under, url, &DestinationSelector::Url)
                .ok()
                .unwrap()
        };
        let old = target(&before);
        assert!(Rc::ptr_eq(&old, &target(&before)));
        let new = target(&after);
        assert_eq!(
            new.destination.id, old.destination.id,
            "requests under way are waited for"
        );
        assert_eq!(new.terms().http_timeout, Duration::from_secs(2));
        assert_eq!(
            old.terms().http_timeout,
            Duration::from_secs(1),
            "what is under way goes on"
        );
        // A late request of the previous generation.
        assert_eq!(target(&before).terms().http_timeout, Duration::from_secs(1));
        let gone = target(&receivers([]));
        assert_eq!(gone.terms().http_timeout, Terms::default().http_timeout);
        assert_ne!(gone.destination.id, old.destination.id);
    }
}

#[test]
fn modules_under_different_configurations_do_not_drive_each_other_out() {
    let http = Http::new();
    let mut targets = Targets::new(StdoutFormat::Json, Arc::default());
    let own = |token: &str| {
        let mut own = destination("own", &["http://h/", "https://h/"]);
        own.headers = vec![("x-token".to_owned(), super::super::Secret::new(token))];
        receivers([own])
    };
    let (old, new) = (own("old"), own("new"));
    for url in ["http://h/a", "https://h/a"] {
        let mut target = |under: &Arc<Receivers>| {
            targets
                .target(&http, under, url, &DestinationSelector::Url)
                .ok()
                .unwrap()
        };
        let (of_old, of_new) = (target(&old), target(&new));
        assert_eq!(of_old.destination.id, of_new.destination.id);
        for _ in 0..3 {
            assert!(
                Rc::ptr_eq(&target(&old), &of_old) && Rc::ptr_eq(&target(&new), &of_new),
                "{url}"
            );
        }
    }
    // After many configurations in turn, the tables in use and a few others remain.
    for number in 0..50 {
        let next = own(&number.to_string());
        targets
            .target(&http, &next, "https://h/a", &DestinationSelector::Url)
            .ok()
            .unwrap();
        targets
            .target(&http, &old, "https://h/a", &DestinationSelector::Url)
            .ok()
            .unwrap();
    }
    assert_eq!(targets.tables.len(), CONFIGURATIONS);
    assert!(targets.tables.iter().any(|table| Arc::ptr_eq(&table.receivers, &old)));
    assert_eq!(targets.destinations.len(), 2);
}

#[test]
fn invalid_urls_are_refused_without_showing_them() {
    let http = Http::new();
    let mut targets = Targets::new(StdoutFormat::Json, Arc::default());
    for url in [
        "",
        "secret",
        "stdout:secret",
        "file:secret",
        "ftp://secret/",
        "http://secret host/",
        "javascript:secret",
    ] {
        let error = targets
            .target(&http, &usual(), url, &DestinationSelector::Url)
            .err()
            .unwrap_or_else(|| panic!("{url} was taken"));
        assert!(!error.contains("secret"), "{error}");
    }
    assert!(targets.tables.iter().all(|table| table.urls.is_empty()));
}

#[test]
fn full_tables_are_emptied_but_destinations_in_use_stay() {
    let http = Http::new();
    let mut targets = Targets::new(StdoutFormat::Json, Arc::default());
    let held = targets
        .target(&http, &usual(), "http://held/", &DestinationSelector::Url)
        .ok()
        .unwrap();
    for number in 0..3 * URLS {
        id(&mut targets, &http, &format!("http://h{number}/"));
    }
    assert!(targets.tables[0].urls.len() <= URLS && targets.destinations.len() <= 2 * URLS);
    assert_eq!(id(&mut targets, &http, "http://held/other"), held.destination.id);
}

#[test]
fn header_sets_are_remembered_within_bounds() {
    let http = Http::new();
    let target = Targets::new(StdoutFormat::Json, Arc::default())
        .target(&http, &usual(), "http://h/", &DestinationSelector::Url)
        .ok()
        .unwrap();
    for number in (0..50).flat_map(|number| [number, 1000]) {
        let headers = vec![("x".to_owned(), number.to_string())];
        assert!(matches!(target.route(&headers), Ok(Route::Http(_))));
    }
    assert_eq!(target.prepared.borrow().len(), HEADERS);
    assert!(target.route(&[("a b".into(), String::new())]).is_err());
}
