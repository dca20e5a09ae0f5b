//! Tokens and web services.

use super::*;

/// A token for a shared secret.
fn token(claims: &Value) -> String {
    let key = jsonwebtoken::EncodingKey::from_secret(b"a secret that only the issuer knows");
    jsonwebtoken::encode(&jsonwebtoken::Header::default(), claims, &key).unwrap()
}

/// Tokens in the engine that `settings` select.
async fn tokens_are_checked(settings: &str) {
    let source = "[[authentication]]\nsource = \"jwt\"\nsecret = \"a secret that only the issuer knows\"\n\
                  claims = { sub = \"${username}\" }\n";
    let host = host(&format!("{source}{settings}")).await;
    for version in VERSIONS {
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap()
            .as_secs();
        let claims = json!({"sub": "alice", "exp": now + 3600, "client_attrs": {"site": "hall 3"},
            "acl": {"pub": ["a/#"], "sub": ["b/#"]}});
        let good = token(&claims);
        let (head, signature) = good.rsplit_once('.').unwrap();
        let none = format!("eyJhbGciOiJub25lIn0.{}.", head.split_once('.').unwrap().1);
        let wrong: String = signature.chars().rev().collect();
        for (name, password, expected) in [
            ("alice", good.clone(), 0),
            ("bob", good.clone(), 134),
            ("alice", format!("{head}.{wrong}"), 134),
            ("alice", none, 134),
            ("alice", token(&json!({"sub": "alice", "exp": now - 60})), 134),
            ("alice", "secret".to_owned(), 134),
        ] {
            let connect = login(version, &format!("c{expected}"), Some((name, &password)));
            assert_eq!(
                connack(&host, &connect).await,
                code(version, expected),
                "{name} {password}"
            );
        }
        let mut alice = connect(&host, version, "c1", "alice", &good).await;
        let denied = if version == Version::V5 { 135 } else { 128 };
        assert_eq!(
            suback(&mut alice, version, &[("b/x", 1), ("a/x", 1)]).await,
            [1, denied]
        );
        alice.disconnect().await;
        // The connection ends with its token.
        let short = token(&json!({"sub": "dave", "exp": now + 4}));
        let mut dave = connect(&host, version, "c2", "dave", &short).await;
        dave.closed().await;
    }
    let ended = events(&host, "client-disconnected", 6).await;
    let expired = ended
        .iter()
        .filter(|event| event["disconnection"]["end"]["reason"] == "expired");
    assert_eq!(expired.count(), 2, "{ended:#?}");
    let connected = events(&host, "client-connected", 4).await;
    let attributes = &connected[0]["connack"]["connection"]["client"]["attributes"];
    assert_eq!(*attributes, json!([["site", "hall 3"]]), "{connected:#?}");
}

#[tokio::test]
async fn tokens_are_checked_by_the_built_in_broker() {
    tokens_are_checked("").await;
}

#[tokio::test]
async fn tokens_are_checked_by_the_gateway() {
    let (_upstream, settings) = open_broker().await;
    tokens_are_checked(&settings).await;
}

/// A web service that answers with JSON as EMQX 5 asks.
fn answer(json: &Value) -> Answer {
    let body = json.to_string();
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    Answer::Bytes(format!("{head}{body}").into_bytes())
}

/// Web services in the engine that `engine` selects. `unavailable`: the code for a login that the service does not answer.
async fn web_services_decide(engine: &str, unavailable: u8) {
    let service = Sink::start().await;
    service.answer(|request, _| {
        let sent = request.json();
        match (request.path.as_str(), sent["username"].as_str()) {
            ("/auth", Some("alice")) if sent["password"] == "secret" => answer(&json!({"result": "allow"})),
            ("/auth", Some("root")) => answer(&json!({"result": "allow", "is_superuser": true})),
            ("/auth", Some("own")) => answer(&json!({"result": "allow", "acl": [
                {"permission": "deny", "action": "publish", "topic": "a/x"}]})),
            ("/auth", Some("hang")) => Answer::Hang,
            ("/auth", Some("endless")) => Answer::Endless,
            ("/auth", Some("lies")) => Answer::Bytes(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nallow".to_vec()),
            ("/auth", _) => answer(&json!({"result": "deny"})),
            ("/acl", _) if sent["topic"].as_str().is_some_and(|topic| topic.starts_with("a/")) => Answer::Status(204),
            ("/acl", _) if sent["topic"] == "hang" => Answer::Hang,
            ("/acl", _) if sent["topic"] == "nonsense" => Answer::Bytes(b"\x16\x03\x01 HTTP? 200\r\n".to_vec()),
            ("/acl", _) if sent["topic"] == "endless" => Answer::Endless,
            _ => answer(&json!({"result": "deny"})),
        }
    });
    let settings = format!(
        "[[authentication]]\nsource = \"http\"\nurl = \"{}\"\ntimeout = \"500ms\"\n\
         [access.http]\nurl = \"{}\"\ntimeout = \"500ms\"\n{engine}",
        service.url("/auth"),
        service.url("/acl")
    );
    let host = host(&settings).await;
    for version in VERSIONS {
        let denied = if version == Version::V5 { 135 } else { 128 };
        for (name, password, expected) in [
            ("alice", "secret", 0),
            ("alice", "wrong", 134),
            ("hang", "x", unavailable),
            ("endless", "x", unavailable),
            ("lies", "x", unavailable),
        ] {
            let connect = login(version, "c", Some((name, password)));
            assert_eq!(
                connack(&host, &connect).await,
                code(version, expected),
                "{name} {password}"
            );
        }
        let mut alice = connect(&host, version, "c1", "alice", "secret").await;
        assert_eq!(
            suback(&mut alice, version, &[("a/x", 1), ("b", 1), ("hang", 1)]).await,
            [1, denied, denied]
        );
        for topic in ["nonsense", "endless"] {
            assert_eq!(suback(&mut alice, version, &[(topic, 1)]).await, [denied], "{topic}");
        }
        let before = service.count();
        for _ in 0..3 {
            alice.send(&packet::publish(version, "a/x", 0, 0, b"allowed")).await;
            alice.expect(kind::PUBLISH).await;
        }
        assert_eq!(service.count(), before + 1, "the connection keeps the decision");
        let mut own = connect(&host, version, "c2", "own", "x").await;
        own.send(&packet::publish(version, "a/x", 1, 7, b"denied")).await;
        let puback = own.expect(kind::PUBACK).await;
        assert_eq!(
            puback.body.get(2).copied().unwrap_or(0),
            if denied == 135 { 135 } else { 0 }
        );
        let mut root = connect(&host, version, "c3", "root", "x").await;
        assert_eq!(suback(&mut root, version, &[("#", 1)]).await, [1]);
    }
}

#[tokio::test]
async fn web_services_decide_for_the_built_in_broker() {
    web_services_decide("", 135).await;
}

#[tokio::test]
async fn web_services_decide_for_the_gateway() {
    let (_upstream, engine) = open_broker().await;
    web_services_decide(&engine, 136).await;
}

#[tokio::test]
async fn a_web_service_that_hangs_delays_only_its_own_client_of_a_gateway() {
    let (_upstream, engine) = open_broker().await;
    for version in VERSIONS {
        let mut service = Sink::start().await;
        service.answer(|_, _| Answer::Hang);
        // The service answers nothing before the test stops it.
        let host = host(&format!(
            "[access.http]\nurl = \"{}\"\ntimeout = \"1m\"\n\
             [[access.rule]]\npermit = \"allow\"\ntopics = [\"a/#\"]\n{engine}",
            service.url("/acl")
        ))
        .await;
        let mut other = connect(&host, version, "other", "alice", "secret").await;
        other.subscribe(version, "a/own", 0).await;
        let mut client = connect(&host, version, "c", "bob", "hidden").await;
        client.subscribe(version, "a/in", 0).await;
        let publish = |topic: &str, id: u16| packet::publish(version, topic, 1, id, b"x");
        let packets = [
            publish("a/1", 1),
            publish("asked", 2),
            publish("a/own", 3),
            packet::packet(kind::PINGREQ << 4, &[]),
        ];
        client.send(&packets.concat()).await;
        assert_eq!(client.expect(kind::PUBACK).await.id(), 1);
        service
            .wait_until("a question", PATIENCE, |requests| !requests.is_empty())
            .await;
        // Meanwhile the other client works, and its messages reach the one that waits.
        other.send(&packet::publish(version, "a/in", 1, 7, b"meanwhile")).await;
        assert_eq!(other.expect(kind::PUBACK).await.id(), 7);
        let delivered = client.expect(kind::PUBLISH).await;
        assert!(delivered.body.ends_with(b"meanwhile"));
        service.down().await;
        // The publish is denied, and what came after it passes in its order.
        for id in [2, 3] {
            assert_eq!(client.expect(kind::PUBACK).await.id(), id);
        }
        client.expect(kind::PINGRESP).await;
        other.expect(kind::PUBLISH).await;
        assert_eq!(service.count(), 1);
    }
}
