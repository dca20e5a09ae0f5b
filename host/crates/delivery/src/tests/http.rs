//! Options of HTTP: compression, HTTP/2, proxies, Unix sockets and access tokens.

use std::convert::Infallible;
use std::io::Read;

use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response, Version};
use hyper_util::rt::{TokioExecutor, TokioIo};

use super::*;

/// Settings with one destination for these URLs.
fn settings_of(urls: &[&str], change: impl FnOnce(&mut Destination)) -> Settings {
    let mut own = destination::tests::destination("own", urls);
    own.terms = settings().terms;
    change(&mut own);
    Settings {
        destinations: [own].into_iter().collect(),
        ..settings()
    }
}

#[test]
fn bodies_are_compressed_and_signatures_are_those_of_what_is_sent() {
    for (compression, encoding) in [(Compression::Gzip, "gzip"), (Compression::Zstd, "zstd")] {
        let sink = Sink::start(|_| Reply::Status(200));
        let key = SigningKey::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let settings = settings_of(&[&sink.url("/")], |own| {
            own.terms.http.compression = Some(compression);
            own.signing = vec![key.clone()];
        });
        let delivery = start(&settings, None).unwrap();
        let text = "{\"a\":1}".repeat(1000);
        let mut encoded = request(&sink.url("/"), "k", "already");
        encoded.headers.push(("Content-Encoding".into(), "br".into()));
        let first = OutboxRequest {
            id: "0".into(),
            ..request(&sink.url("/"), "k", &text)
        };
        let batch = vec![first, request(&sink.url("/"), "k", ""), encoded];
        delivery.outbox().append(batch).unwrap();
        let list = sink.wait_for(3);
        assert!(
            list[0].head.contains(&format!("content-encoding: {encoding}\r\n")),
            "{}",
            list[0].head
        );
        let mut body = Vec::new();
        match compression {
            Compression::Gzip => drop(flate2::read::GzDecoder::new(&list[0].bytes[..]).read_to_end(&mut body)),
            Compression::Zstd => body = zstd::stream::decode_all(&list[0].bytes[..]).unwrap(),
        }
        assert!(body == text.as_bytes() && list[0].bytes.len() < 700);
        let value = |name: &str| {
            let mut lines = list[0]
                .head
                .lines()
                .filter_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
            lines.next().unwrap().to_owned()
        };
        // The head is in lower case here, and so is the signature.
        let id = value("webhook-id");
        let expected = signing::signatures(&[key], &id, value("webhook-timestamp").parse().unwrap(), &list[0].bytes);
        assert_eq!(value("webhook-signature"), expected.to_lowercase());
        assert!(!list[1].head.contains("content-encoding"), "an empty body stays empty");
        assert!(list[2].head.contains("content-encoding: br\r\n") && list[2].body == "already");
    }
}

/// Starts a receiver that speaks HTTP/2 only. The sender gets the body of each request.
fn http2_receiver() -> (
    String,
    std::sync::mpsc::Receiver<(Version, String)>,
    tokio::runtime::Runtime,
) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let (sender, received) = std::sync::mpsc::channel();
    runtime.spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let sender = sender.clone();
            let answer = move |request: Request<Incoming>| {
                let sender = sender.clone();
                async move {
                    let version = request.version();
                    let body = request.into_body().collect().await.unwrap().to_bytes();
                    sender.send((version, String::from_utf8(body.to_vec()).unwrap())).ok();
                    Ok::<_, Infallible>(Response::new(Full::new(bytes::Bytes::new())))
                }
            };
            let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            tokio::spawn(server.serve_connection(TokioIo::new(stream), service_fn(answer)));
        }
    });
    (url, received, runtime)
}

#[test]
fn http_2_is_spoken_to_receivers_that_are_known_to_support_it() {
    let (url, received, _runtime) = http2_receiver();
    let settings = settings_of(&[&url], |own| own.terms.http.version = HttpVersion::Http2);
    let delivery = start(&settings, None).unwrap();
    let batch = (0..50).map(|n| {
        let mut request = request(&url, &format!("k{}", n % 5), &n.to_string());
        request.headers.push(("connection".into(), "keep-alive".into()));
        request
    });
    delivery.outbox().append(batch.collect()).unwrap();
    let counters = wait(&delivery, "all delivered", nothing_left);
    assert_eq!((counters.delivered, counters.retried), (50, 0));
    let list: Vec<_> = received.try_iter().collect();
    assert_eq!(list.len(), 50);
    assert!(list.iter().all(|(version, _)| *version == Version::HTTP_2));
    // Without the option, HTTP/1.1 is spoken, which this receiver refuses.
    let settings = settings_of(&[&url], |own| own.terms.retry.max_elapsed_time = Duration::ZERO);
    let delivery = start(&settings, None).unwrap();
    delivery.outbox().append(vec![request(&url, "k", "x")]).unwrap();
    wait(&delivery, "given up", |counters| counters.dead.gave_up == 1);
}

#[test]
fn a_proxy_gets_the_requests_and_its_own_credentials() {
    let proxy = Sink::start(|_| Reply::Status(200));
    let at_proxy = proxy.url("").replace("http://", "http://me:p%40ss@");
    let settings = settings_of(&["http://receiver.invalid/"], |own| {
        own.terms.http.proxy = Proxy::parse(&at_proxy).unwrap();
    });
    let delivery = start(&settings, None).unwrap();
    let url = "http://receiver.invalid/hook?x=1";
    delivery
        .outbox()
        .append(vec![request(url, "k", "one"), request(url, "k", "two")])
        .unwrap();
    let list = proxy.wait_for(2);
    for received in &list {
        assert_eq!(received.path, url);
        assert!(
            received.head.contains("host: receiver.invalid\r\n"),
            "{}",
            received.head
        );
        assert!(
            received.head.contains("proxy-authorization: basic bwu6cebzcw==\r\n"),
            "{}",
            received.head
        );
    }
    assert_eq!(proxy.bodies(), ["one", "two"]);
    // A host that a module chose is checked by its address, which only a direct connection can do.
    let chosen = OutboxRequest {
        reach: Reach::Public,
        via: DestinationSelector::Nothing,
        ..request("http://127.0.0.1:9/", "k", "three")
    };
    delivery.outbox().append(vec![chosen]).unwrap();
    wait(&delivery, "barred", |counters| counters.dead.barred == 1);
    assert_eq!(proxy.received().len(), 2);
}

#[test]
fn a_unix_socket_takes_the_place_of_host_and_port() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hook.sock");
    let sink = Sink::on_unix(&path, |_| Reply::Status(200));
    let settings = settings_of(&["http://hooks.internal/a"], |own| own.unix = Some(path.clone()));
    let delivery = start(&settings, None).unwrap();
    let batch = (0..20).map(|n| request("http://hooks.internal/a/b", "k", &format!("k {n}")));
    delivery.outbox().append(batch.collect()).unwrap();
    let list = sink.wait_for(20);
    check_order(&sink.bodies(), 1, 20);
    assert_eq!(list[0].path, "/a/b");
    assert!(list[0].head.contains("host: hooks.internal\r\n"), "{}", list[0].head);
    assert!(
        list.iter().all(|received| received.connection < 3),
        "connections are used again"
    );
    drop(sink);
    fs::remove_file(&path).unwrap();
    let at = format!("k {}", 20);
    delivery
        .outbox()
        .append(vec![request("http://hooks.internal/a/b", "k", &at)])
        .unwrap();
    wait(&delivery, "retries", |counters| counters.retried > 1);
    let sink = Sink::on_unix(&path, |_| Reply::Status(200));
    assert_eq!(sink.wait_for(1)[0].body, at);
}

fn oauth2(token_url: &str) -> OAuth2 {
    OAuth2 {
        token_url: token_url.to_owned(),
        client_id: "me".into(),
        client_secret: Secret::new("p@ss"),
        scope: Some("hooks write".into()),
        parameters: vec![("audience".into(), "https://h/".into())],
        client_auth: ClientAuth::Basic,
        ca: None,
        timeout: Duration::from_secs(10),
    }
}

#[test]
fn a_token_is_fetched_once_kept_and_replaced_when_it_is_refused() {
    let fetched = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&fetched);
    let server = Sink::start(move |_| match count.fetch_add(1, SeqCst) {
        0 => Reply::Status(503),
        1 => Reply::Text(r#"{"access_token":"t1","token_type":"Bearer","expires_in":3600}"#),
        _ => Reply::Text(r#"{"access_token":"t2","token_type":"Bearer","expires_in":3600}"#),
    });
    // The receiver accepts the second token only, once the first is revoked.
    let seen = AtomicUsize::new(0);
    let sink = Sink::start(move |received| {
        let revoked = seen.fetch_add(1, SeqCst) >= 10;
        let is_valid = received.head.contains(if revoked { "bearer t2" } else { "bearer t1" });
        Reply::Status(if is_valid { 200 } else { 401 })
    });
    let settings = settings_of(&[&sink.url("/")], |own| {
        own.oauth2 = Some(Arc::new(oauth2(&server.url("/token"))))
    });
    let delivery = start(&settings, None).unwrap();
    for n in 0..20 {
        let mut request = request(&sink.url("/"), "k", &format!("k {n}"));
        request.headers.push(("authorization".into(), "Basic bW9kdWxl".into()));
        delivery.outbox().append(vec![request]).unwrap();
    }
    let counters = wait(&delivery, "all delivered", nothing_left);
    assert_eq!(counters.delivered, 20);
    assert!(counters.retried >= 1, "the first fetch fails");
    check_order(&sink.bodies(), 1, 20);
    assert_eq!(sink.received().len(), 21, "one answer 401");
    let list = server.received();
    assert_eq!(list.len(), 3);
    assert_eq!((list[1].method.as_str(), list[1].path.as_str()), ("POST", "/token"));
    assert_eq!(
        list[1].body,
        "grant_type=client_credentials&scope=hooks+write&audience=https%3A%2F%2Fh%2F"
    );
    assert!(
        list[1].head.contains("authorization: basic bwu6ccu0mhnz\r\n"),
        "{}",
        list[1].head
    );
}

#[test]
fn without_a_token_nothing_is_sent_and_a_short_token_is_renewed() {
    let fetched = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&fetched);
    let server = Sink::start(move |_| {
        count.fetch_add(1, SeqCst);
        Reply::Text(r#"{"access_token":"short","expires_in":0}"#)
    });
    let refusing = Sink::start(|_| Reply::With(401, "content-type: text/plain\r\n"));
    let sink = Sink::start(|_| Reply::Status(200));
    let settings = settings_of(&[&sink.url("/")], |own| {
        own.oauth2 = Some(Arc::new(OAuth2 {
            client_auth: ClientAuth::Body,
            ..oauth2(&server.url("/token"))
        }));
    });
    let delivery = start(&settings, None).unwrap();
    let batch = (0..3).map(|n| request(&sink.url("/"), "k", &format!("k {n}")));
    delivery.outbox().append(batch.collect()).unwrap();
    wait(&delivery, "all delivered", nothing_left);
    assert_eq!(fetched.load(SeqCst), 3, "each request needs a new one");
    assert!(server.received()[0].body.contains("client_id=me&client_secret=p%40ss"));

    let settings = settings_of(&[&sink.url("/")], |own| {
        own.oauth2 = Some(Arc::new(oauth2(&refusing.url("/token"))));
        own.terms.retry.max_elapsed_time = Duration::ZERO;
    });
    let delivery = start(&settings, None).unwrap();
    delivery
        .outbox()
        .append(vec![request(&sink.url("/"), "k", "k 3")])
        .unwrap();
    wait(&delivery, "given up", |counters| counters.dead.gave_up == 1);
    assert_eq!(sink.received().len(), 3);
}
