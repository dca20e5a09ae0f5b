//! Tests of which destination a request has.

use super::*;

/// Creates a destination with default settings.
pub(crate) fn destination(name: &str, urls: &[&str]) -> Destination {
    Destination {
        name: name.into(),
        is_private: false,
        urls: urls.iter().map(|url| UrlPrefix::parse(url).unwrap()).collect(),
        headers: Vec::new(),
        signing: Vec::new(),
        oauth2: None,
        tls: Tls::default(),
        unix: None,
        terms: Terms::default(),
    }
}

#[test]
fn the_longest_beginning_wins_and_a_name_beats_it() {
    let all: Destinations = [
        destination("host", &["https://h/"]),
        destination("hook", &["https://other/", "https://h/hook"]),
        destination("deep", &["https://h/hook/a/"]),
    ]
    .into_iter()
    .collect();
    let named = |name: &str| DestinationSelector::Named(name.into());
    for (via, url, expected) in [
        (DestinationSelector::Url, "https://h/x", Some("host")),
        (DestinationSelector::Url, "https://h/hook?x", Some("hook")),
        (DestinationSelector::Url, "https://h/hooks", Some("host")),
        (DestinationSelector::Url, "https://h/hook/a", Some("hook")),
        (DestinationSelector::Url, "https://h/hook/a/b", Some("deep")),
        (DestinationSelector::Url, "https://other/b", Some("hook")),
        (DestinationSelector::Url, "http://h/hook", None),
        (named("host"), "https://h/hook/a/b", Some("host")),
        (named("none"), "https://h/hook/a/b", None),
        (DestinationSelector::Nothing, "https://h/hook/a/b", None),
    ] {
        let found = all.find(&via, &url.parse().unwrap());
        assert_eq!(found.map(|found| &*found.name), expected, "{via:?} {url}");
    }
}

#[test]
fn a_private_destination_is_found_by_name_only() {
    let all: Destinations = [
        Destination {
            is_private: true,
            ..destination("webhooks/a", &["https://h/hook"])
        },
        destination("host", &["https://h/"]),
    ]
    .into_iter()
    .collect();
    let url: Url = "https://h/hook".parse().unwrap();
    let name = |via: &DestinationSelector| all.find(via, &url).map(|found| found.name.to_string());
    assert_eq!(name(&DestinationSelector::Url).as_deref(), Some("host"));
    assert_eq!(
        name(&DestinationSelector::Named("webhooks/a".into())).as_deref(),
        Some("webhooks/a")
    );
}

#[test]
fn a_module_may_name_a_path_below_a_destination() {
    let all: Destinations = [destination("hook", &["https://h/hook", "https://g/"])]
        .into_iter()
        .collect();
    for (name, text, expected) in [
        ("hook", "", Ok("https://h/hook")),
        ("hook", "a?b", Ok("https://h/hook/a?b")),
        ("hook", "/a", Ok("https://h/hook/a")),
        ("hook", "https://g/x", Ok("https://g/x")),
        ("hook", "https://h/hook/x", Ok("https://h/hook/x")),
        ("hook", "https://h/", Err(DestinationError::Outside)),
        ("hook", "https://evil/", Err(DestinationError::Outside)),
        ("hook", "../a", Err(DestinationError::Outside)),
        ("hook", "stdout:", Err(DestinationError::Outside)),
        ("other", "", Err(DestinationError::Unknown)),
    ] {
        let got = all.url(name, text);
        assert_eq!(
            got.as_ref().map(Url::as_str).map_err(|error| *error),
            expected,
            "{text}"
        );
    }
}
