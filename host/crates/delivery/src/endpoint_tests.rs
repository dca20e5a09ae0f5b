//! Tests of URLs, headers and the settings of destinations.

use super::super::destination::tests::destination;
use super::super::secret::Secret;
use super::super::signing::SigningKey;
use super::super::tls::ServerName;
use super::*;

fn http() -> Http {
    Http::new()
}

fn prepare(endpoint: &Endpoint, list: &[(&str, &str)]) -> Result<Prepared, String> {
    endpoint.prepare(&pairs(list), endpoint.pool().as_ref())
}

fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter()
        .map(|(name, value)| (name.to_string(), value.to_string()))
        .collect()
}

#[test]
fn urls_are_checked_once() {
    for (url, origin) in [
        ("http://127.0.0.1:5656/hook?x=1", "http://127.0.0.1:5656"),
        ("HTTP://Example.COM:80", "http://example.com"),
        ("https://[::1]/a b", "https://[::1]"),
        ("http://user:secret@host/", "http://host"),
    ] {
        let endpoint = Endpoint::parse(&http(), url, &Terms::default(), |_| None).unwrap();
        assert_eq!(endpoint.origin(), origin);
    }
    for url in [
        "",
        "http://",
        "http://a b/",
        "hook",
        "/hook",
        "ftp://host/",
        "http://h:99999/",
        "http://[::1",
    ] {
        let error = Endpoint::parse(&http(), url, &Terms::default(), |_| None)
            .err()
            .unwrap_or_else(|| panic!("{url} is not valid"));
        assert!(error.contains("URL"), "{url}: {error}");
    }
}

#[test]
fn user_and_password_become_a_header_that_an_own_one_replaces() {
    let endpoint = Endpoint::parse(&http(), "https://me:p%40ss@host/", &Terms::default(), |_| None).unwrap();
    assert_eq!(endpoint.url.as_str(), "https://host/");
    let prepared = prepare(&endpoint, &[]).unwrap();
    assert_eq!(prepared.headers[AUTHORIZATION], "Basic bWU6cEBzcw==");
    assert!(prepared.headers[AUTHORIZATION].is_sensitive());
    let prepared = prepare(&endpoint, &[("Authorization", "Bearer x")]).unwrap();
    assert_eq!(prepared.headers[AUTHORIZATION], "Bearer x");
    assert_eq!(prepared.headers.len(), 1);
}

fn configured(destination: Destination, url: &str) -> Endpoint {
    Endpoint::parse(&http(), url, &Terms::default(), |_| Some(Arc::new(destination))).unwrap()
}

#[test]
fn what_a_destination_gives_takes_the_place_of_what_a_module_made() {
    let mut destination = destination("d", &["https://host/"]);
    destination.headers = [("authorization", "Bearer own"), ("x-one", "own")]
        .map(|(name, value)| (name.to_owned(), Secret::new(value)))
        .to_vec();
    let list = [
        ("Authorization", "Basic bW9kdWxl"),
        ("X-One", "module"),
        ("x-one", "module"),
        ("x-two", "module"),
        ("webhook-id", "module"),
        ("Host", "other"),
    ];
    let prepared = prepare(&configured(destination.clone(), "https://u:p@host/"), &list).unwrap();
    let got: Vec<_> = prepared
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.to_str().unwrap()))
        .collect();
    assert_eq!(
        got,
        [
            ("x-two", "module"),
            ("webhook-id", "module"),
            ("authorization", "Bearer own"),
            ("x-one", "own")
        ]
    );
    assert!(!format!("{:?}", prepared.headers).contains("own"));

    destination.signing = vec![SigningKey::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap()];
    let prepared = prepare(&configured(destination, "https://host/"), &list).unwrap();
    assert!(prepared.is_signed() && !prepared.headers.contains_key("webhook-id"));
    let now = SystemTime::UNIX_EPOCH + Duration::from_millis(1_614_265_330_999);
    let id = Some("msg_p5jXN8AQM9LWM0D4loKWxJek");
    let headers = prepared.headers(id, now, br#"{"test": 2432232314}"#).unwrap();
    assert_eq!(headers["webhook-id"], "msg_p5jXN8AQM9LWM0D4loKWxJek");
    assert_eq!(headers["webhook-timestamp"], "1614265330");
    assert_eq!(
        headers["webhook-signature"],
        "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    );
    assert_eq!(
        (&headers["x-one"], headers.len()),
        (&HeaderValue::from_static("own"), 6)
    );
}

#[test]
fn a_server_name_is_asked_for_and_the_host_is_still_told() {
    let mut destination = destination("d", &["https://10.0.0.1:8443/"]);
    destination.tls.server_name = Some(ServerName {
        name: "inner.example".into(),
        host: "10.0.0.1".into(),
    });
    let prepared = prepare(&configured(destination.clone(), "https://10.0.0.1:8443/a?b"), &[]).unwrap();
    assert_eq!(prepared.url.as_str(), "https://inner.example:8443/a?b");
    assert_eq!(prepared.headers[HOST], "10.0.0.1:8443");
    let plain = prepare(&configured(destination, "http://10.0.0.1/"), &[]).unwrap();
    assert_eq!(plain.url.as_str(), "http://10.0.0.1/");
    assert_eq!(plain.headers[HOST], "10.0.0.1");
}

#[test]
fn headers_are_checked_and_those_of_the_connection_left_out() {
    let endpoint = Endpoint::parse(&http(), "https://host/", &Terms::default(), |_| None).unwrap();
    let list = [
        ("Content-Type", "a/b"),
        ("x", "1"),
        ("X", "é"),
        ("Content-Length", "7"),
        ("connection", "close"),
        ("Connection", "keep-alive"),
        ("keep-alive", "timeout=5"),
    ];
    let prepared = prepare(&endpoint, &list).unwrap();
    assert_eq!(prepared.headers.len(), 5);
    assert_eq!(prepared.headers[CONNECTION], "keep-alive");
    assert_eq!(prepared.headers.get_all("x").iter().count(), 2);
    for (name, value, at_fault) in [
        ("", "1", "\"\""),
        ("a b", "1", "\"a b\""),
        ("a\r\nb", "1", "\"a\\r\\nb\""),
        ("x-token", "secret\r\nEvil: 1", "`x-token`"),
        ("x-token", "secret\0", "`x-token`"),
    ] {
        let error = prepare(&endpoint, &[(name, value)]).err().unwrap();
        assert!(error.contains(at_fault) && !error.contains("secret"), "{error}");
    }
}
