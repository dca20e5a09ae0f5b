//! What passes with access rules, packet by packet.

use super::*;
use hookhost_access::{AccessControl, Decision, Login, Settings, Surroundings, Verdict};

/// A client with these rules and nothing else allowed.
async fn ruled(version: u8, rules: &str, recorder: &Recorder) -> TestClient {
    let settings = Settings::parse(rules, &Surroundings::default(), &|_| panic!("no files")).unwrap();
    let login = Login {
        client_id: "c",
        username: None,
        password: None,
        address: None,
        protocol: 4,
        certificate: None,
        will: None,
    };
    let Verdict::Accepted(access) = AccessControl::new(settings).authenticate(login).await else {
        panic!("anybody may connect");
    };
    let mut client = TestClient::connect(socket_info(1), connect(version), recorder);
    if let TestClient::Opening(opening) = &mut client {
        opening.set_access(access);
    }
    client.announce(recorder);
    let connack = ConnackPacket {
        topic_alias_maximum: 10,
        ..ConnackPacket::default()
    };
    client.connack(&connack, recorder);
    recorder.hooks();
    client
}

const RULES: &str = "[[access.rule]]\npermit = \"allow\"\ntopics = [\"a/#\"]\n";

/// What becomes of a packet of the client; one that passes is handed to the session.
fn check(client: &mut TestClient, first: u8, body: &[u8], recorder: &Recorder) -> Passage {
    let frame = Frame { first, body };
    let passage = recorder.run(|step| client.session().check(frame, step));
    if passage == Passage::Pass {
        client.packet(Side::Client, frame, recorder);
    }
    passage
}

#[tokio::test]
async fn publishes() {
    for version in [4, 5] {
        let recorder = Recorder::new();
        let mut client = ruled(version, RULES, &recorder).await;
        let properties: &[u8] = if version == 5 { b"\0" } else { b"" };
        let publish = |topic: &[u8], id: &[u8]| [&[0, topic.len() as u8], topic, id, properties, b"x"].concat();
        let denied: &[u8] = if version == 5 { &[135] } else { &[] };
        let ack = |first: u8| [&[first, 2 + denied.len() as u8, 0, 7], denied].concat();
        assert_eq!(
            check(&mut client, 0x32, &publish(b"a/b", b"\0\x07"), &recorder),
            Passage::Pass
        );
        assert_eq!(recorder.hooks(), [Hook::MessagePublish]);
        for (first, id, answer) in [
            (0x30, &b""[..], Vec::new()),
            (0x32, b"\0\x07", ack(0x40)),
            (0x34, b"\0\x07", ack(0x50)),
        ] {
            assert_eq!(
                check(&mut client, first, &publish(b"b", id), &recorder),
                Passage::Answer(answer)
            );
            assert_eq!(recorder.hooks(), [Hook::ClientAuthorized, Hook::MessageRefused]);
        }
        let completed = if version == 5 {
            Passage::Pass
        } else {
            Passage::Answer(vec![0x70, 2, 0, 7])
        };
        assert_eq!(check(&mut client, 0x62, &[0, 7], &recorder), completed);
        assert_eq!(check(&mut client, 0x62, &[0, 7], &recorder), Passage::Pass, "only once");
        assert_eq!(
            check(&mut client, 0x36, &publish(b"a/b", b"\0\x07"), &recorder),
            Passage::End(155)
        );
        for (first, body) in [(0x32, vec![0, 3, b'a']), (0x32, publish(b"a/b", b""))] {
            assert!(matches!(
                check(&mut client, first, &body, &recorder),
                Passage::End(129 | 130) | Passage::Answer(_)
            ));
        }
    }
}

#[tokio::test]
async fn the_rate_counts_topic_and_payload_only() {
    // The second publish uses up the amount exactly; a packet identifier and properties would exceed it.
    let settings = "[access]\npublish_bytes = \"8B/1h\"\n";
    for (version, first, body) in [
        (4, 0x32, &b"\0\x03a/b\0\x07x"[..]),
        (5, 0x30, b"\0\x03a/b\x05\x02\0\0\0\x05x"),
        (5, 0x30, b"\0\x03a/b\x02\x01\x01x"),
    ] {
        let recorder = Recorder::new();
        let mut client = ruled(version, settings, &recorder).await;
        let passages: Vec<Passage> = (0..3).map(|_| check(&mut client, first, body, &recorder)).collect();
        assert_eq!(passages, [Passage::Pass, Passage::Pass, Passage::End(150)], "{body:?}");
    }
}

#[tokio::test]
async fn an_alias_of_a_denied_publish_reaches_the_upstream_when_it_is_used() {
    let rules = "[[access.rule]]\npermit = \"allow\"\nqos = 0\ntopics = [\"t\"]\n";
    let recorder = Recorder::new();
    let mut client = ruled(5, rules, &recorder).await;
    let sets = b"\0\x01t\0\x07\x03\x23\0\x02x";
    let uses = b"\0\0\x03\x23\0\x02y";
    let whole = b"\0\x01t\x03\x23\0\x02y";
    // QoS 1 is denied, so the upstream does not learn the alias.
    assert!(matches!(check(&mut client, 0x32, sets, &recorder), Passage::Answer(_)));
    let expected = [&[0x30, whole.len() as u8], &whole[..]].concat();
    assert_eq!(check(&mut client, 0x30, uses, &recorder), Passage::Replace(expected));
    client.packet(
        Side::Client,
        Frame {
            first: 0x30,
            body: whole,
        },
        &recorder,
    );
    assert_eq!(check(&mut client, 0x30, uses, &recorder), Passage::Pass);
    assert_eq!(
        check(&mut client, 0x30, b"\0\0\x03\x23\0\x09y", &recorder),
        Passage::End(130)
    );
    assert_eq!(
        check(&mut client, 0x30, b"\0\0\x03\x23\0\x0by", &recorder),
        Passage::End(148)
    );
}

#[tokio::test]
async fn subscriptions() {
    for (version, code, refusal) in [(4, 135, 128), (5, 135, 135), (5, 128, 128)] {
        let recorder = Recorder::new();
        let rules = format!("[access]\ndenied_subscription_code = {code}\n{RULES}");
        let mut client = ruled(version, &rules, &recorder).await;
        let properties: &[u8] = if version == 5 { b"\0" } else { b"" };
        let filters = |list: &[&[u8]]| {
            let filter = |filter: &&[u8]| [&[0, filter.len() as u8], *filter, &[1]].concat();
            [
                b"\0\x09",
                properties,
                &list.iter().map(filter).collect::<Vec<_>>().concat(),
            ]
            .concat()
        };
        let packet = |first: u8, body: Vec<u8>| [vec![first, body.len() as u8], body].concat();
        let suback = |codes: &[u8]| [b"\0\x09", properties, codes].concat();
        let answer = |client: &mut TestClient, codes: &[u8]| {
            let body = suback(codes);
            let frame = Frame {
                first: 0x90,
                body: &body,
            };
            let completed = client.session().completed_suback(frame);
            let frame = completed.as_deref().and_then(crate::frame::parse).unwrap_or(frame);
            client.packet(Side::Upstream, frame, &recorder);
            completed
        };

        assert_eq!(check(&mut client, 0x82, &filters(&[b"a/b"]), &recorder), Passage::Pass);
        assert_eq!(answer(&mut client, &[1]), None);
        assert_eq!(
            recorder.hooks(),
            [Hook::ClientAuthorized, Hook::ClientSubscribe, Hook::SessionSubscribed]
        );

        let some = filters(&[b"#", b"a/c", b"b", b"$share/g/a/d"]);
        let passing = packet(0x82, filters(&[b"a/c", b"$share/g/a/d"]));
        assert_eq!(check(&mut client, 0x82, &some, &recorder), Passage::Replace(passing));
        let merged = packet(0x90, suback(&[refusal, 1, refusal, 0]));
        assert_eq!(answer(&mut client, &[1, 0]), Some(merged));
        let decisions: Vec<(String, bool, String)> = recorder
            .events
            .borrow_mut()
            .drain(..)
            .filter_map(|detail| match detail {
                Detail::ClientAuthorized(one) => Some((one.topic.to_string(), one.allowed, one.source.to_string())),
                _ => None,
            })
            .collect();
        let shown = |topic: &str, allowed, source: &str| (topic.to_owned(), allowed, source.to_owned());
        assert_eq!(
            decisions,
            [
                shown("#", false, "default"),
                shown("a/c", true, "upstream"),
                shown("b", false, "default"),
                shown("a/d", true, "upstream"),
            ]
        );

        let all = packet(0x90, suback(&[refusal, refusal]));
        assert_eq!(
            check(&mut client, 0x82, &filters(&[b"b", b"c"]), &recorder),
            Passage::Answer(all)
        );
        let expected = [
            Hook::ClientAuthorized,
            Hook::ClientSubscribe,
            Hook::ClientAuthorized,
            Hook::ClientSubscribe,
        ];
        assert_eq!(recorder.hooks(), expected);
        assert!(matches!(check(&mut client, 0x82, &[0, 9], &recorder), Passage::End(_)));
    }
}

#[tokio::test]
async fn nothing_passes_after_the_end() {
    let recorder = Recorder::new();
    let mut client = ruled(4, RULES, &recorder).await;
    assert_eq!(check(&mut client, 0xe0, &[], &recorder), Passage::Pass);
    assert_eq!(
        check(&mut client, 0x30, b"\0\x03a/bx", &recorder),
        Passage::Answer(Vec::new())
    );
}

/// Rules, and a web service that decides about the rest. No test asks it: the decisions come from the tests.
const SERVICE: &str =
    "[access.http]\nurl = \"http://127.0.0.1:9/\"\n[[access.rule]]\npermit = \"allow\"\ntopics = [\"a/#\"]\n";

/// The topics that the web service is asked about.
fn asked(passage: Passage) -> Vec<String> {
    let Passage::Ask(operations) = passage else {
        panic!("{passage:?}")
    };
    let topic = |operation: &hookhost_access::rules::OwnedOperation| operation.borrowed().topic.to_owned();
    operations.iter().map(topic).collect()
}

/// What the web service decides.
fn decisions(allowed: &[bool]) -> Vec<Decision> {
    let source = "http";
    allowed
        .iter()
        .map(|allowed| Decision {
            allowed: *allowed,
            source,
        })
        .collect()
}

#[tokio::test]
async fn a_publish_that_a_web_service_decides_about() {
    for (allowed, hooks) in [
        (true, vec![Hook::MessagePublish]),
        (false, vec![Hook::ClientAuthorized, Hook::MessageRefused]),
    ] {
        let recorder = Recorder::new();
        let mut client = ruled(5, SERVICE, &recorder).await;
        // The alias that the publish sets is known to the upstream only if the publish passes.
        let body = b"\0\x01b\0\x07\x03\x23\0\x02x";
        assert_eq!(asked(check(&mut client, 0x32, body, &recorder)), ["b"]);
        assert_eq!(recorder.hooks(), []);
        let frame = Frame { first: 0x32, body };
        let passage = recorder.run(|step| client.session().decided(frame, decisions(&[allowed]), step));
        if passage == Passage::Pass {
            client.packet(Side::Client, frame, &recorder);
        }
        assert_eq!(recorder.hooks(), hooks);
        let expected = match allowed {
            true => Passage::Pass,
            false => Passage::Answer(vec![0x40, 3, 0, 7, 135]),
        };
        assert_eq!(passage, expected);
        let uses = b"\0\0\0\x08\x03\x23\0\x02y";
        assert_eq!(asked(check(&mut client, 0x32, uses, &recorder)), ["b"]);
        let frame = Frame {
            first: 0x32,
            body: uses,
        };
        let passage = recorder.run(|step| client.session().decided(frame, decisions(&[true]), step));
        let whole = b"\0\x01b\0\x08\x03\x23\0\x02y";
        let expected = match allowed {
            true => Passage::Pass,
            false => Passage::Replace([&[0x32, whole.len() as u8], &whole[..]].concat()),
        };
        assert_eq!(passage, expected);
    }
}

#[tokio::test]
async fn a_web_service_is_asked_about_the_filters_that_no_rule_decides() {
    let recorder = Recorder::new();
    let mut client = ruled(4, SERVICE, &recorder).await;
    let body = b"\0\x09\0\x01b\x01\0\x03a/b\x01\0\x01c\x01";
    assert_eq!(asked(check(&mut client, 0x82, body, &recorder)), ["b", "c"]);
    let frame = Frame { first: 0x82, body };
    let passage = recorder.run(|step| client.session().decided(frame, decisions(&[false, true]), step));
    let passing = b"\x82\x0c\0\x09\0\x03a/b\x01\0\x01c\x01".to_vec();
    assert_eq!(passage, Passage::Replace(passing));
    let suback = Frame {
        first: 0x90,
        body: &[0, 9, 1, 0],
    };
    let merged = client.session().completed_suback(suback);
    assert_eq!(merged, Some(vec![0x90, 5, 0, 9, 128, 1, 0]));
}

#[tokio::test]
async fn a_decision_after_the_end_lets_nothing_pass() {
    let recorder = Recorder::new();
    let mut client = ruled(4, SERVICE, &recorder).await;
    let frame = Frame {
        first: 0x30,
        body: b"\0\x01bx",
    };
    assert_eq!(asked(check(&mut client, frame.first, frame.body, &recorder)), ["b"]);
    client.end(EndCause::UpstreamClosed, &recorder);
    let passage = recorder.run(|step| client.session().decided(frame, decisions(&[true]), step));
    assert_eq!(passage, Passage::Answer(Vec::new()));
}
