use super::*;
use axum::http::HeaderName;

const TOKEN: &str = "0123456789abcdef";

fn admit(guard: &Guard, method: &Method, path: &str, headers: &[(HeaderName, &str)]) -> u16 {
    let headers = headers
        .iter()
        .map(|(name, value)| (name.clone(), value.parse().unwrap()));
    let admitted = guard.authenticate(method, path, &headers.collect());
    match admitted.and_then(|admitted| admitted.authorize(method, path)) {
        Ok(()) => 200,
        Err(error) => error.status().as_u16(),
    }
}

#[test]
fn hosts_that_are_local() {
    for (host, expected) in [
        ("127.0.0.1", true),
        ("127.0.0.1:18083", true),
        ("[::1]", true),
        ("[::1]:18083", true),
        ("localhost", true),
        ("LocalHost:1", true),
        ("10.0.0.1:1", true),
        ("", false),
        ("evil.example", false),
        ("localhost.evil.example", false),
        ("127.0.0.1.evil.example:18083", false),
        ("127.0.0.1:18083.evil.example", false),
        ("127.0.0.1@evil.example", false),
        ("[::1].evil.example", false),
        ("[evil]", false),
        ("::1", false),
        ("[::1", false),
    ] {
        assert_eq!(is_local(host), expected, "{host}");
    }
}

#[test]
fn origins_that_are_ours() {
    for (origin, host, expected) in [
        ("http://127.0.0.1:1", "127.0.0.1:1", true),
        ("https://Host", "host", true),
        ("http://127.0.0.1:2", "127.0.0.1:1", false),
        ("http://evil.example", "127.0.0.1:1", false),
        ("null", "127.0.0.1:1", false),
        ("file://", "", false),
        ("http://", "", false),
        ("", "", false),
    ] {
        assert_eq!(is_own(origin, host), expected, "{origin} at {host}");
    }
}

#[test]
fn without_a_token_local_requests_are_admitted() {
    let guard = Guard::new("127.0.0.1:1".parse().unwrap(), None);
    let (local, evil) = ((header::HOST, "127.0.0.1:1"), (header::HOST, "evil.example:1"));
    let from = |origin| (header::ORIGIN, origin);
    for (method, headers, expected) in [
        (Method::GET, vec![local.clone()], 200),
        (Method::GET, vec![evil.clone()], 403),
        (Method::GET, vec![], 403),
        (Method::POST, vec![local.clone()], 200),
        (Method::POST, vec![local.clone(), from("http://127.0.0.1:1")], 200),
        (Method::POST, vec![local.clone(), from("http://evil.example")], 403),
        (Method::DELETE, vec![local.clone(), from("null")], 403),
        // The same origin, under a name that points to this machine.
        (Method::POST, vec![evil, from("http://evil.example:1")], 403),
        // The browser blocks reading the answer, because no header allows it.
        (Method::GET, vec![local, from("http://evil.example")], 200),
    ] {
        assert_eq!(
            admit(&guard, &method, "/api/v1/modules", &headers),
            expected,
            "{method} {headers:?}"
        );
    }
}

#[test]
fn requests_with_the_token_are_admitted() {
    let bearer = |text| (header::AUTHORIZATION, text);
    for address in ["127.0.0.1:1", "0.0.0.0:1"] {
        let tokens = Tokens {
            admin: TOKEN.parse().unwrap(),
            viewer: None,
        };
        let guard = Guard::new(address.parse().unwrap(), Some(tokens));
        for (path, headers, expected) in [
            ("/api/v1/modules", vec![], 401),
            ("/api/v1/modules", vec![bearer("Bearer 0123456789abcdef")], 200),
            ("/api/v1/modules", vec![bearer("bearer  0123456789abcdef ")], 200),
            ("/api/v1/modules", vec![bearer("Bearer 0123456789abcdeF")], 401),
            ("/api/v1/modules", vec![bearer("Basic 0123456789abcdef")], 401),
            ("/api/v1/modules", vec![bearer("0123456789abcdef")], 401),
            ("/api/v1/health", vec![], 200),
            ("/api/v1/health/", vec![], 401),
            ("/healthz", vec![], 200),
            ("/readyz", vec![], 200),
            ("/metrics", vec![], 401),
            ("/", vec![], 200),
            ("/dashboard/main.js", vec![], 200),
            ("/dashboard/../api/v1/modules", vec![], 401),
            ("/nothing", vec![], 401),
        ] {
            // A proxy may use any name.
            let host = (header::HOST, "admin.example");
            let headers = [headers, vec![host]].concat();
            assert_eq!(
                admit(&guard, &Method::GET, path, &headers),
                expected,
                "{path} {headers:?}"
            );
        }
        let evil = [
            bearer("Bearer 0123456789abcdef"),
            (header::ORIGIN, "http://evil.example"),
        ];
        assert_eq!(admit(&guard, &Method::POST, "/api/v1/modules/rescan", &evil), 403);
    }
}

#[test]
fn a_viewer_reads_and_changes_nothing() {
    let tokens = Tokens {
        admin: TOKEN.parse().unwrap(),
        viewer: Some("viewer-viewer-viewer".parse().unwrap()),
    };
    let guard = Guard::new("0.0.0.0:1".parse().unwrap(), Some(tokens));
    let viewer = [(header::AUTHORIZATION, "Bearer viewer-viewer-viewer")];
    for (method, path, expected) in [
        (Method::GET, "/api/v1/modules", 200),
        (Method::GET, "/metrics", 200),
        (Method::POST, "/api/v1/session", 200),
        (Method::POST, "/api/v1/event-trials", 200),
        (Method::POST, "/api/v1/webhooks", 403),
        (Method::POST, "/api/v1/webhook-tests", 403),
        (Method::PUT, "/api/v1/log", 403),
        (Method::DELETE, "/api/v1/clients/session", 403),
    ] {
        assert_eq!(admit(&guard, &method, path, &viewer), expected, "{method} {path}");
    }
    // A session allows what the token allowed with which it was opened.
    let (id, session) = guard.sessions.open(Role::Viewer, Instant::now()).unwrap();
    let cookie = format!("hookhost_session={id}");
    let csrf = HeaderName::from_static(super::super::session::CSRF_HEADER);
    let headers = [(header::COOKIE, cookie.as_str()), (csrf, session.csrf())];
    assert_eq!(admit(&guard, &Method::GET, "/api/v1/modules", &headers), 200);
    assert_eq!(admit(&guard, &Method::POST, "/api/v1/modules/rescan", &headers), 403);
}
#[test]
fn a_refused_viewer_is_still_known() {
    let tokens = Tokens {
        admin: TOKEN.parse().unwrap(),
        viewer: Some("viewer-viewer-viewer".parse().unwrap()),
    };
    let guard = Guard::new("0.0.0.0:1".parse().unwrap(), Some(tokens));
    let headers = [(header::AUTHORIZATION, "Bearer viewer-viewer-viewer".parse().unwrap())];
    let (method, path) = (Method::POST, "/api/v1/webhooks");
    let sender = guard
        .authenticate(&method, path, &headers.into_iter().collect())
        .unwrap();
    assert_eq!((sender.role, sender.by), (Role::Viewer, "token"));
    assert!(sender.authorize(&method, path).is_err());
    // A session without its second secret reads only.
    let (id, _) = guard.sessions.open(Role::Admin, Instant::now()).unwrap();
    let headers = [(header::COOKIE, format!("hookhost_session={id}").parse().unwrap())];
    let sender = guard
        .authenticate(&method, path, &headers.into_iter().collect())
        .unwrap();
    assert_eq!((sender.role, sender.by), (Role::Admin, "session"));
    assert!(sender.authorize(&method, path).is_err());
    assert!(sender.authorize(&Method::GET, path).is_ok());
}
