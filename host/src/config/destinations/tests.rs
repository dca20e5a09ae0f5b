use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use rcgen::{CertificateParams, KeyPair};

use std::io;

use super::super::{Inputs, Loaded, Problem, TextFile, read_with};
use super::*;
use hookhost_delivery::{
    ClientAuth, Compression, Destination, HttpOptions, HttpVersion, Proxy, RetryOn, RetryPolicy, ServerName,
};

mod terms;

const KEY: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// The files that exist. Every other file is not found.
fn files() -> BTreeMap<PathBuf, Vec<u8>> {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(["h".to_owned()])
        .unwrap()
        .self_signed(&key)
        .unwrap();
    let other = KeyPair::generate().unwrap();
    [
        ("token", b" hidden-token\n".to_vec()),
        ("signing", format!("{KEY}\n").into_bytes()),
        ("empty", b" \n".to_vec()),
        ("latin", b"hidden\xff".to_vec()),
        ("lines", b"hidden\nhidden".to_vec()),
        ("cert.pem", certificate.pem().into_bytes()),
        ("key.pem", key.serialize_pem().into_bytes()),
        ("other.pem", other.serialize_pem().into_bytes()),
    ]
    .map(|(name, bytes)| (PathBuf::from(name), bytes))
    .into()
}

fn read_text(text: &str, environment: &[(&str, &str)]) -> Result<Loaded, Vec<Problem>> {
    let files = files();
    let inputs = Inputs {
        environment: environment
            .iter()
            .map(|(name, value)| ((*name).into(), (*value).into()))
            .collect(),
        file: Some(TextFile {
            path: "f".into(),
            text: text.into(),
        }),
        ..Inputs::default()
    };
    read_with(&inputs, &|path| {
        files.get(path).cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
    })
    .map_err(|refused| refused.problems)
}

fn loaded(text: &str, environment: &[(&str, &str)]) -> Vec<Destination> {
    let loaded = read_text(text, environment).unwrap_or_else(|problems| panic!("{problems:?}"));
    loaded.config.delivery.destinations.iter().cloned().collect()
}

fn problems(text: &str, environment: &[(&str, &str)]) -> Vec<String> {
    let problems = read_text(text, environment).expect_err(text);
    let shown: Vec<String> = problems.iter().map(Problem::to_string).collect();
    assert!(!shown.iter().any(|line| line.contains("hidden")), "{shown:?}");
    shown
}

fn headers(destination: &Destination) -> Vec<(&str, &str)> {
    destination
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.expose()))
        .collect()
}

#[test]
fn a_retry_policy_by_name_replaces_the_common_one_and_single_keys_override_it() {
    let text = r#"
        [delivery]
        retry_on = ["connection", "5xx"]
        retry_multiplier = 3
        gone_pause = "0s"
        [destinations.common]
        urls = ["http://a/"]
        [destinations.emqx]
        urls = ["http://b/"]
        retry = "emqx5"
        retry_on = ["429"]
        [destinations.listed]
        urls = ["http://c/"]
        retry = "rmqtt"
        retry_delays = ["5s", "1h"]
        follow_redirects = false
        "#;
    let list = loaded(text, &[]);
    let [common, emqx, listed] = [&list[0], &list[1], &list[2]].map(|destination| &destination.terms.retry);
    let on = |words: &[&str]| {
        let words = words.iter().map(|word| word.parse::<RetryOn>().unwrap());
        words.fold(RetryOn::NOTHING, RetryOn::with)
    };
    let standard = RetryPolicy::default();
    let expected = RetryPolicy {
        on: on(&["connection", "5xx"]),
        multiplier: 3.0,
        gone_pause: Duration::ZERO,
        ..standard.clone()
    };
    assert_eq!(*common, expected);
    let expected = RetryPolicy {
        on: on(&["429"]),
        delays: [0, 0, 15, 15].map(Duration::from_secs).to_vec(),
        gone_pause: Duration::ZERO,
        ..standard.clone()
    };
    assert_eq!(*emqx, expected);
    let expected = RetryPolicy {
        on: on(&["connection", "timeout", "any"]),
        delays: vec![Duration::from_secs(5), Duration::from_secs(3600)],
        gone_pause: Duration::ZERO,
        ..standard
    };
    assert_eq!(*listed, expected);
    let text = r#"
        [delivery]
        retry = "emqx6"
        retry_on = ["200", "connection"]
        retry_delays = ["5", "31d"]
        "#;
    assert_eq!(
        problems(text, &[]),
        [
            r#"f:3: delivery.retry: should be "standard" or "emqx4" or "emqx5" or "nanomq" or "rmqtt""#,
            "f:4: delivery.retry_on[0]: should be connection, timeout, any, a status such as 503, or a class of \
             statuses such as 5xx",
            "f:5: delivery.retry_delays[0]: needs a unit after each number: one of f, w, d, h, m, s, ms",
            "f:5: delivery.retry_delays[1]: should be at most 30d",
        ]
    );
}

#[test]
fn a_destination_with_everything() {
    let text = format!(
        r#"
        [delivery]
        http_timeout = "9s"
        retry_multiplier = 3
        [destinations.a]
        urls = ["https://h/hook", "https://h:444"]
        headers = {{ X-One = "1" }}
        header_files = {{ x-two = "token" }}
        header_envs = {{ x-three = "THREE" }}
        basic = {{ user = "u", password_env = "PASSWORD" }}
        sign = {{ secrets = ["{KEY}"], secret_files = ["signing"] }}
        concurrency_limit = 3
        retry_max_elapsed_time = "1h"
        [destinations.a.tls]
        ca = "cert.pem"
        certificate = "cert.pem"
        key = "key.pem"
        server_name = "Inner.Example"
        [destinations.b-2]
        urls = ["http://127.0.0.1:1"]
        bearer_file = "token"
        "#
    );
    let list = loaded(&text, &[("THREE", "3"), ("PASSWORD", "p:w")]);
    let [a, b] = list.as_slice() else { panic!("{list:?}") };
    assert_eq!((&*a.name, &*b.name), ("a", "b-2"));
    let urls: Vec<_> = a.urls.iter().map(|url| url.url().as_str()).collect();
    assert_eq!(urls, ["https://h/hook", "https://h:444/"]);
    assert_eq!(
        headers(a),
        [
            ("x-one", "1"),
            ("x-two", "hidden-token"),
            ("x-three", "3"),
            ("authorization", "Basic dTpwOnc="),
        ]
    );
    assert_eq!(headers(b), [("authorization", "Bearer hidden-token")]);
    assert_eq!(
        a.signing,
        [SigningKey::parse(KEY).unwrap(), SigningKey::parse(KEY).unwrap()]
    );
    assert!(a.tls.ca.is_some() && a.tls.identity.is_some() && a.tls.verify);
    let server_name = ServerName {
        name: "inner.example".into(),
        host: "h".into(),
    };
    assert_eq!(a.tls.server_name, Some(server_name));
    assert_eq!(b.tls, Tls::default());
    assert_eq!((a.terms.concurrency_limit, b.terms.concurrency_limit), (3, 128));
    assert_eq!(
        (a.terms.http_timeout, a.terms.retry.multiplier),
        (Duration::from_secs(9), 3.0)
    );
    assert_eq!(a.terms.retry.max_elapsed_time, Duration::from_secs(3600));
    assert!(!format!("{list:?}").contains("hidden"));
}

#[test]
fn the_environment_beats_the_file_and_stands_alone() {
    let text = "[destinations.main]\nurls = [\"https://h/\"]\nbearer = \"one\"\ntls.verify = false";
    let list = loaded(
        text,
        &[
            ("HOOKHOST_DESTINATIONS__MAIN__BEARER", "two"),
            ("HOOKHOST_DESTINATIONS__MAIN__TLS__VERIFY", "true"),
            ("HOOKHOST_DESTINATIONS__OTHER__URLS", "https://a/ https://b/"),
            ("HOOKHOST_DESTINATIONS__OTHER__BASIC__USER", "u"),
            ("HOOKHOST_DESTINATIONS__OTHER__BASIC__PASSWORD", "p"),
        ],
    );
    assert_eq!(headers(&list[0]), [("authorization", "Bearer two")]);
    assert!(list[0].tls.verify);
    assert_eq!((&*list[1].name, list[1].urls.len()), ("other", 2));
    assert_eq!(headers(&list[1]), [("authorization", "Basic dTpw")]);
}

#[test]
fn every_mistake_is_told_with_its_key_and_without_its_value() {
    // Each key alone, in a destination that has URLs.
    for (text, expected) in [
        (
            "bearr = \"hidden\"",
            "f:3: destinations.a.bearr: unknown key; the nearest known one is destinations.a.bearer",
        ),
        (
            "tls = \"hidden\"",
            "f:3: destinations.a.tls: should be a table, not a string",
        ),
        (
            "tls.cert = \"hidden\"",
            "f:3: destinations.a.tls.cert: unknown key; the nearest known one is destinations.a.tls.ca",
        ),
        (
            "http_timeout = 5",
            "f:3: destinations.a.http_timeout: should be a duration such as \"1m30s\", not an integer",
        ),
        ("bearer = \"\"", "f:3: destinations.a.bearer: is empty"),
        (
            "bearer = \"hid\\nden\"",
            "f:3: destinations.a.bearer: should have no control characters",
        ),
        (
            "bearer = \"hidden hidden\"",
            "f:3: destinations.a.bearer: should be a token: letters, digits and signs, without blanks",
        ),
        (
            "bearer_file = \"nowhere\"",
            "f:3: destinations.a.bearer_file: cannot read nowhere: entity not found",
        ),
        (
            "bearer_file = \"empty\"",
            "f:3: destinations.a.bearer_file: names empty, which is empty",
        ),
        (
            "bearer_file = \"latin\"",
            "f:3: destinations.a.bearer_file: cannot read latin: not UTF-8",
        ),
        (
            "bearer_file = \"lines\"",
            "f:3: destinations.a.bearer_file: should have no control characters",
        ),
        (
            "bearer_env = \"NOWHERE\"",
            "f:3: destinations.a.bearer_env: names the variable NOWHERE, which the environment does not have",
        ),
        (
            "bearer = \"hidden\"\nbearer_file = \"token\"",
            "f:4: destinations.a.bearer_file: should be the only one: `bearer` is given in another way too",
        ),
        (
            "basic = { user = \"u\", password = \"hidden\" }\nbearer = \"hidden\"",
            "f:3: destinations.a.basic.user: should not be set together with `bearer`: a request has one authorization",
        ),
        (
            "basic = { user = \"u\" }",
            "f:3: destinations.a.basic.user: needs `password`, `password_file` or `password_env` beside it",
        ),
        (
            "basic = { password = \"hidden\" }",
            "f:3: destinations.a.basic.password: needs `user` beside it",
        ),
        (
            "basic = { user = \"hidden:\", password = \"x\" }",
            "f:3: destinations.a.basic.user: should have no colon: it ends the user's name",
        ),
        (
            "headers = [\"hidden\"]",
            "f:3: destinations.a.headers: should be a table of names and values, not a list",
        ),
        (
            "headers = { x = 1 }",
            "f:3: destinations.a.headers.x: should be a string, not an integer",
        ),
        (
            "headers = { \"a b\" = \"hidden\" }",
            "f:3: destinations.a.headers.a b: header name \"a b\" is not valid",
        ),
        (
            "headers = { x = \"hid\\nden\" }",
            "f:3: destinations.a.headers.x: value of header `x` is not valid: it has control characters",
        ),
        (
            "headers = { Content-Length = \"1\" }",
            "f:3: destinations.a.headers.Content-Length: header `content-length` belongs to the connection: the host sets it",
        ),
        (
            "headers = { x = \"1\" }\nheader_envs = { X = \"V\" }",
            "f:4: destinations.a.header_envs.X: is a header that is given already",
        ),
        (
            "header_files = { x = \"nowhere\" }",
            "f:3: destinations.a.header_files.x: cannot read nowhere: entity not found",
        ),
        (
            "headers = { Authorization = \"hidden\" }\nbearer = \"hidden\"",
            "f:3: destinations.a.headers: has `authorization`, which `basic` or `bearer` set",
        ),
        (
            "headers = { webhook-id = \"1\" }\nsign.secret_files = [\"signing\"]",
            "f:3: destinations.a.headers: should have no webhook-…: signatures set them",
        ),
        (
            "sign = { secrets = [\"hidden\"] }",
            "f:3: destinations.a.sign.secrets[0]: should begin with `whsec_`, followed by the key in base64",
        ),
        (
            "sign = { secrets = [\"whsec_aGlkZGVu\"] }",
            "f:3: destinations.a.sign.secrets[0]: holds a key of 6 bytes; 24 to 64 are required (`openssl rand -base64 32` creates one)",
        ),
        (
            "sign.secret_files = [\"token\"]",
            "f:3: destinations.a.sign.secret_files[0]: should begin with `whsec_`, followed by the key in base64",
        ),
        (
            "tls.ca = \"nowhere\"",
            "f:3: destinations.a.tls.ca: cannot read nowhere: entity not found",
        ),
        (
            "tls.ca = \"key.pem\"",
            "f:3: destinations.a.tls.ca: key.pem holds no certificate in PEM (-----BEGIN CERTIFICATE-----)",
        ),
        (
            "tls.certificate = \"cert.pem\"",
            "f:3: destinations.a.tls.certificate: needs `key` beside it",
        ),
        (
            "tls.key = \"key.pem\"",
            "f:3: destinations.a.tls.key: needs `certificate` beside it",
        ),
        (
            "tls = { certificate = \"cert.pem\", key = \"cert.pem\" }",
            "f:3: destinations.a.tls.key: cert.pem holds no private key in PEM without a password (-----BEGIN PRIVATE KEY-----)",
        ),
        (
            "tls.server_name = \"10.0.0.1\"",
            "f:3: destinations.a.tls.server_name: should be the name of a host, as in the receiver's certificate",
        ),
    ] {
        let text = format!("[destinations.a]\nurls = [\"https://h/\"]\n{text}");
        assert_eq!(problems(&text, &[("V", "v")]), [expected], "{text}");
    }
    let text = "[destinations.a]\nurls = [\"https://h/\"]\ntls = { certificate = \"cert.pem\", key = \"other.pem\" }";
    let shown = problems(text, &[]);
    assert!(
        shown[0].starts_with("f:3: destinations.a.tls.certificate: cannot be used: "),
        "{shown:?}"
    );
    assert_eq!(shown.len(), 1);
}

#[test]
fn urls_and_names_are_checked() {
    for (text, expected) in [
        (
            "[destinations.a]",
            &[
                "f:1: destinations.a: needs `urls`: the beginnings of the URLs that it is for, such as [\"https://example.com/hooks\"]",
            ][..],
        ),
        (
            "[destinations]\na = 1",
            &["f:2: destinations.a: should be a table, not an integer"],
        ),
        (
            "[destinations.a]\nurls = []",
            &["f:2: destinations.a.urls: should be at least one beginning of a URL, such as https://example.com/hooks"],
        ),
        (
            "[destinations.\"a b\"]\nurls = [\"https://h\"]",
            &["f:1: destinations.a b: is not a valid name: use 1 to 64 letters, digits, '_' and '-'"],
        ),
        (
            "[destinations.a]\nurls = [\"https://hidden@h/\", \"file:///hidden\"]",
            &[
                "f:2: destinations.a.urls[0]: should have no user, password, query or fragment: it is a URL prefix",
                "f:2: destinations.a.urls[1]: should begin with http:// or https://",
            ],
        ),
        (
            "[destinations.a]\nurls = [\"https://h/x\"]\n[destinations.b]\nurls = [\"https://b/\", \"https://H:443/x\"]\n\
             [webhook]\nurls = [\"https://h/x/${topic}\"]\nrule.client_connect = [\n {action = \"c\"},\n \
             {action = \"c\", destination = \"b\"},\n {action = \"c\", urls = [\"https://b/\"]},\n \
             {action = \"c\", destination = \"elsewhere\"},\n]",
            &[
                "f:8: webhook.rule.client_connect[0]: needs a `destination`: its URL is one of `a` and `b`",
                "f:11: webhook.rule.client_connect[3].destination: there is no destination `elsewhere`; known are a, b",
            ],
        ),
        (
            "[destinations.a]\nurls = [\"https://h/x\", \"https://g/\"]\ntls.server_name = \"x.example\"",
            &["f:3: destinations.a.tls.server_name: needs `urls` with one and the same host"],
        ),
    ] {
        assert_eq!(problems(text, &[]), expected, "{text}");
    }
}

#[test]
fn what_is_unwise_is_a_warning() {
    let text = r#"
        [destinations.a]
        urls = ["http://h/"]
        bearer = "hidden"
        tls.ca = "cert.pem"
        [destinations.b]
        urls = ["https://h/"]
        tls.verify = false
        [destinations.c]
        urls = ["http://localhost:1/", "http://127.0.0.1/", "http://[::1]/"]
        bearer = "hidden"
        "#;
    let warnings = read_text(text, &[]).unwrap().warnings;
    let shown: Vec<_> = warnings.iter().map(Problem::to_string).collect();
    assert_eq!(
        shown,
        [
            "f:2: destinations.a: sends its headers unencrypted, credentials too: its URL does not begin with https:",
            "f:2: destinations.a: has a `tls` without effect: http://h/ does not begin with https:",
            "f:6: destinations.b: does not check the receiver's certificate: anybody on the network path can read and change requests",
        ]
    );
}

#[test]
fn the_example_in_the_example_file_is_one() {
    let example = include_str!("../../../../hookhost.example.toml");
    let lines = example.lines().skip_while(|line| *line != "#[destinations.example]");
    let lines = lines.take_while(|line| !line.starts_with('['));
    let text: Vec<_> = lines
        .filter_map(|line| line.strip_prefix('#'))
        .filter(|line| !line.starts_with(' '))
        .collect();
    let text = text.join("\n");
    let expected = [
        "api-key",
        "password",
        "signing-key",
        "ca.pem",
        "client.pem",
        "client.key",
    ];
    let shown = problems(&text, &[("SITE", "s")]);
    // Missing files and variables are the only errors.
    assert_eq!(shown.len(), expected.len() + 1, "{shown:#?}");
    for name in expected {
        assert!(
            shown
                .iter()
                .any(|line| line.contains("cannot read") && line.contains(name)),
            "{name} {shown:#?}"
        );
    }
    assert!(
        shown
            .iter()
            .any(|line| line.contains("bearer_env: names the variable HOOK_TOKEN")),
        "{shown:#?}"
    );
}
