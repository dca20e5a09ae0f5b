//! How a destination is sent to: options of HTTP, access tokens, circuit breakers, rate limits, batches.

use super::*;

#[test]
fn options_of_http() {
    let all = loaded(
        r#"
        [delivery]
        proxy = "http://me:hidden@proxy:3128"
        compression = "gzip"
        [destinations.a]
        urls = ["https://h/"]
        http_version = "2"
        [destinations.b]
        urls = ["http://h/"]
        proxy = "off"
        compression = "off"
        unix = "/run/h.sock"
        "#,
        &[],
    );
    let [a, b] = all.as_slice() else { panic!("{all:?}") };
    assert_eq!(
        (a.terms.http.version, a.terms.http.compression, &a.unix),
        (HttpVersion::Http2, Some(Compression::Gzip), &None)
    );
    assert_eq!(a.terms.http.proxy, Proxy::parse("http://me:hidden@proxy:3128").unwrap());
    assert_eq!(b.terms.http, HttpOptions::default());
    assert_eq!(b.unix, Some(PathBuf::from("/run/h.sock")));
}

#[test]
fn options_of_http_that_do_not_fit_are_refused() {
    for (keys, expected) in [
        (
            "proxy = \"socks5://hidden\"",
            "f:3: destinations.d.proxy: should be \"off\", \"environment\" or the URL",
        ),
        ("http_version = \"3\"", "f:3: destinations.d.http_version: "),
        ("http_version = 2", "f:3: destinations.d.http_version: "),
        ("compression = \"br\"", "f:3: destinations.d.compression: "),
        (
            "unix = \"h.sock\"",
            "f:3: destinations.d.unix: should be an absolute path",
        ),
        (
            "unix = \"/h\"\nhttp_version = \"2\"",
            "f:3: destinations.d.unix: needs `http_version = \"1.1\"`",
        ),
        (
            "unix = \"/h\"\nproxy = \"environment\"",
            "f:3: destinations.d.unix: needs `http_version = \"1.1\"`",
        ),
        (
            "http_version = \"2\"\nproxy = \"http://p\"",
            "f:1: destinations.d: cannot reach its http: URLs over HTTP/2 and a proxy",
        ),
        (
            "http_version = \"2\"\ntls = { server_name = \"x\" }",
            "f:1: destinations.d: cannot use `tls.server_name` with HTTP/2",
        ),
    ] {
        let found = problems(&format!("[destinations.d]\nurls = [\"http://h/\"]\n{keys}\n"), &[]);
        assert!(found.iter().any(|line| line.starts_with(expected)), "{keys}: {found:?}");
    }
    let found = problems("[destinations.d]\nurls = [\"https://h/\"]\nunix = \"/h\"\n", &[]);
    assert_eq!(found, ["f:3: destinations.d.unix: needs `urls` that begin with http:"]);
}

#[test]
fn access_tokens() {
    let text = r#"
        [destinations.d]
        urls = ["https://h/"]
        [destinations.d.oauth2]
        token_url = "https://id.example.com/token"
        client_id = "me"
        client_secret_file = "token"
        scope = "hooks"
        client_auth = "body"
        parameters = { audience = "https://h/" }
        timeout = "9s"
        ca = "cert.pem"
        "#;
    let all = loaded(text, &[]);
    let oauth2 = all[0].oauth2.as_deref().unwrap();
    assert_eq!(oauth2.token_url, "https://id.example.com/token");
    assert_eq!(
        (oauth2.client_id.as_str(), oauth2.client_secret.expose()),
        ("me", "hidden-token")
    );
    assert_eq!(
        (oauth2.scope.as_deref(), oauth2.client_auth, oauth2.timeout),
        (Some("hooks"), ClientAuth::Body, Duration::from_secs(9))
    );
    assert_eq!(oauth2.parameters, [("audience".to_owned(), "https://h/".to_owned())]);
    assert!(oauth2.ca.is_some());
    for (keys, expected) in [
        (
            "{}",
            vec![
                "f:3: destinations.d.oauth2: needs `client_id`",
                "f:3: destinations.d.oauth2: needs `client_secret`",
                "f:3: destinations.d.oauth2: needs `token_url`",
            ],
        ),
        (
            "{ token_url = \"hidden\", client_id = \"\", client_secret = \"hidden\", client_auth = \"x\" }",
            vec![
                "f:3: destinations.d.oauth2.client_auth: should be \"basic\" or \"body\"",
                "f:3: destinations.d.oauth2.client_id: is empty",
                "f:3: destinations.d.oauth2.token_url: should be a URL such as \"https://id.example.com/oauth2/token\"",
            ],
        ),
        (
            "{ token_url = \"https://u:hidden@h/\", client_id = \"a\", client_secret = \"hidden\", parameters = 1 }",
            vec![
                "f:3: destinations.d.oauth2.parameters: should be a table of names and values, not an integer",
                "f:3: destinations.d.oauth2.token_url: should have no user, password or fragment: use client_id and client_secret",
            ],
        ),
        (
            "{ token_url = \"https://h/\", client_id = \"a\", client_secret = \"hidden\" }\nbearer = \"hidden\"",
            vec![
                "f:1: destinations.d.oauth2: should not be set together with an authorization by `basic`, `bearer` or a header",
            ],
        ),
    ] {
        let mut found = problems(
            &format!("[destinations.d]\nurls = [\"https://h/\"]\noauth2 = {keys}\n"),
            &[],
        );
        found.sort();
        assert_eq!(found, expected, "{keys}");
    }
}

#[test]
fn breakers_and_rate_limits() {
    let all = loaded(
        r#"
        [delivery]
        rate_limit = 5
        rate_burst = 7
        breaker_pause = "2s"
        [destinations.a]
        urls = ["https://h/"]
        breaker_failure_rate = 0.5
        rate_limit = 2.5
        [destinations.b]
        urls = ["http://h/"]
        breaker = false
        rate_limit = 0
        [destinations.c]
        urls = ["http://g/"]
        "#,
        &[],
    );
    let limits: Vec<_> = all
        .iter()
        .map(|one| one.terms.rate_limit.map(|rate| (rate.per_second, rate.burst)))
        .collect();
    assert_eq!(limits, [Some((2.5, 3)), None, Some((5.0, 7))]);
    let breakers: Vec<_> = all
        .iter()
        .map(|one| {
            one.terms
                .breaker
                .map(|policy| (policy.failure_rate, policy.pause.as_secs()))
        })
        .collect();
    assert_eq!(breakers, [Some((0.5, 2)), None, Some((0.9, 2))]);
    for (keys, expected) in [
        ("rate_limit = -1", "f:3: destinations.d.rate_limit: "),
        (
            "rate_limit = 0.0001",
            "f:3: destinations.d.rate_limit: should be 0, or at least 0.001",
        ),
        ("rate_burst = 5", "f:3: destinations.d.rate_burst: needs `rate_limit`"),
        (
            "breaker_failure_rate = 2.0",
            "f:3: destinations.d.breaker_failure_rate: ",
        ),
        (
            "breaker_pause = \"1m\"",
            "f:3: destinations.d.breaker_pause: should be at most as long as `breaker_max_pause`",
        ),
        ("breaker = \"often\"", "f:3: destinations.d.breaker: "),
    ] {
        let found = problems(&format!("[destinations.d]\nurls = [\"http://h/\"]\n{keys}\n"), &[]);
        assert!(found.iter().any(|line| line.starts_with(expected)), "{keys}: {found:?}");
    }
    for (keys, expected) in [
        (
            "file_max_bytes = \"5B\"",
            "f:2: delivery.file_max_bytes: should be 0B, or at least 1KiB",
        ),
        (
            "file_max_age = \"5ms\"",
            "f:2: delivery.file_max_age: should be 0s, or at least 1s",
        ),
        ("file_keep = 0", "f:2: delivery.file_keep: "),
        ("file_sync = \"sometimes\"", "f:2: delivery.file_sync: "),
    ] {
        let found = problems(&format!("[delivery]\n{keys}\n"), &[]);
        assert!(found.iter().any(|line| line.starts_with(expected)), "{keys}: {found:?}");
    }
}

#[test]
fn batches_of_rules_are_checked_by_the_host() {
    let rule = |batch: &str| format!("[webhook.rule]\nmessage_publish = [{{ action = \"a\", batch = {batch} }}]\n");
    drop(loaded(
        &rule("{ max_events = 10, max_bytes = \"2KiB\", max_delay = \"1s\", format = \"ndjson\" }"),
        &[],
    ));
    for (batch, expected) in [
        ("{ max_events = 0 }", "`max_events` of a batch should be 1 to 10000"),
        (
            "{ max_delay = \"2m\" }",
            "`max_delay` of a batch should be a duration of 0ms to 60s, such as 20ms",
        ),
        (
            "{ max_bytes = \"1B\" }",
            "`max_bytes` of a batch should be a size of 1KiB to 64MiB, such as 1MiB",
        ),
        (
            "{ format = \"xml\" }",
            "`format` of a batch should be json_array, ndjson or cloudevents",
        ),
    ] {
        let found = problems(&rule(batch), &[]);
        assert!(found.iter().any(|line| line.contains(expected)), "{batch}: {found:?}");
    }
}
