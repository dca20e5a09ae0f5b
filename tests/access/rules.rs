//! What clients may do: rules, and what a client gets that may not.

use super::*;

const RULES: &str = r##"
[access]
file = "acl.toml"
"##;

const ACL: &str = r##"
[[rule]]
permit = "deny"
action = "publish"
topics = ["a/locked"]

[[rule]]
permit = "allow"
username = "alice"
topics = ["a/#"]

[[rule]]
permit = "allow"
topics = ["own/${clientid}/#", "users/${username}"]
"##;

/// A host with access rules and these further settings.
async fn ruled(settings: &str) -> Host {
    let setup = Setup::new();
    add(setup.dir(), "alice", "secret");
    add(setup.dir(), "bob", "hidden");
    std::fs::write(setup.dir().join("acl.toml"), ACL).unwrap();
    let setup = setup.config(&format!("[webhook.rule]\n{PASSWORDS}{RULES}{settings}"));
    setup.recording().start().await
}

/// What the rules allow and deny, in the engine that `settings` select. `allowed_by`: what events name as the source of
/// what is allowed.
async fn rules_are_enforced(settings: &str, allowed_by: &str) {
    let mut host = ruled(settings).await;
    for version in VERSIONS {
        let denied = if version == Version::V5 { 135 } else { 128 };
        let mut alice = connect(&host, version, "c1", "alice", "secret").await;
        let mut bob = connect(&host, version, "c2", "bob", "hidden").await;
        let filters = [
            ("a/#", 1),
            ("#", 0),
            ("own/c1/x", 1),
            ("own/+/x", 1),
            ("$share/g/a/b", 1),
            ("users/alice", 2),
        ];
        assert_eq!(
            suback(&mut alice, version, &filters).await,
            [1, denied, 1, denied, 1, 2]
        );
        assert_eq!(suback(&mut bob, version, &[("a/b", 1)]).await, [denied]);
        assert_eq!(suback(&mut bob, version, &[("own/c2/#", 1)]).await, [1]);

        // Nothing of what is denied arrives; what is allowed does.
        bob.send(&packet::publish(version, "a/x", 0, 0, b"denied")).await;
        bob.send(&packet::publish(version, "a/x", 1, 7, b"denied")).await;
        let puback = bob.expect(kind::PUBACK).await;
        assert_eq!(
            (puback.id(), puback.body.get(2).copied().unwrap_or(0)),
            (7, if denied == 135 { 135 } else { 0 })
        );
        bob.send(&packet::publish(version, "a/x", 2, 8, b"denied")).await;
        let pubrec = bob.expect(kind::PUBREC).await;
        assert_eq!(
            (pubrec.id(), pubrec.body.get(2).copied().unwrap_or(0)),
            (8, if denied == 135 { 135 } else { 0 })
        );
        if version == Version::V311 {
            bob.send(&packet::ack(kind::PUBREL, 8)).await;
            assert_eq!(bob.expect(kind::PUBCOMP).await.id(), 8);
        }
        alice.send(&packet::publish(version, "a/locked", 0, 0, b"denied")).await;
        alice.send(&packet::publish(version, "a/x", 0, 0, b"allowed")).await;
        let publish = alice.expect(kind::PUBLISH).await;
        assert!(publish.body.ends_with(b"allowed"), "{publish:?}");
        bob.send(&packet::publish(version, "own/c2/y", 0, 0, b"own")).await;
        assert!(bob.expect(kind::PUBLISH).await.body.ends_with(b"own"));
        alice.ping().await;
        bob.ping().await;

        // A will is a publish.
        let will = |topic: &str| Connect {
            will: Some((topic.to_owned(), b"will".to_vec(), 1, false)),
            ..login(version, "c3", Some(("bob", "hidden")))
        };
        assert_eq!(connack(&host, &will("a/x")).await, code(version, 135));
        assert_eq!(connack(&host, &will("own/c3/x")).await, 0);
        alice.disconnect().await;
        bob.disconnect().await;
    }
    let refused: Vec<Value> = events(&host, "message-refused", 8).await;
    assert_eq!(refused.len(), 8);
    assert_eq!(refused[0]["message_drop"]["reason"], "not-authorized");
    let authorized = events(&host, "client-authorized", 20).await;
    let of = |source: &str, allowed: bool| {
        authorized
            .iter()
            .map(|event| &event["authorization"])
            .filter(|authorization| authorization["source"] == source && authorization["allowed"] == allowed)
            .count()
    };
    assert!(
        of(allowed_by, true) > 0 && of("file", false) > 0 && of("default", false) > 0,
        "{authorized:#?}"
    );

    // New rules and users are in force for connected clients, too, without a restart.
    let mut bob = connect(&host, Version::V5, "c2", "bob", "hidden").await;
    assert_eq!(suback(&mut bob, Version::V5, &[("a/b", 1)]).await, [135]);
    let mark = host.process.stderr.mark();
    let acl = ACL.replace("\"alice\"", "[\"alice\", \"bob\"]");
    std::fs::write(host.dir().join("acl.toml"), acl).unwrap();
    add(host.dir(), "dave", "new");
    let is_reloaded = |line: &str| line.contains("users and access rules reloaded");
    host.process
        .stderr
        .wait_after(mark, "the reload", PATIENCE, is_reloaded)
        .await;
    let deadline = std::time::Instant::now() + PATIENCE;
    while connack(&host, &login(Version::V5, "c4", Some(("dave", "new")))).await != 0 {
        assert!(std::time::Instant::now() < deadline, "dave never gets in");
    }
    assert_eq!(suback(&mut bob, Version::V5, &[("a/b", 1)]).await, [1]);

    // Invalid rules change nothing.
    let mark = host.process.stderr.mark();
    std::fs::write(host.dir().join("acl.toml"), "[[rule]]\npermit = \"alow\"\n").unwrap();
    let is_reported = |line: &str| line.contains("acl.toml:2: rule[0].permit: should be \"allow\" or \"deny\"");
    host.process
        .stderr
        .wait_after(mark, "the problem", PATIENCE, is_reported)
        .await;
    assert_eq!(suback(&mut bob, Version::V5, &[("a/c", 1), ("b", 1)]).await, [1, 135]);
    host.stop().await;
}

#[tokio::test]
async fn rules_are_enforced_by_the_built_in_broker() {
    rules_are_enforced("", "file").await;
}

#[tokio::test]
async fn rules_are_enforced_by_the_gateway() {
    let (_upstream, settings) = open_broker().await;
    rules_are_enforced(&settings, "upstream").await;
}

/// A denied publish ends the connection if the settings say so.
async fn a_denied_publish_disconnects(settings: &str) {
    let host = ruled(&format!("deny_action = \"disconnect\"\n{settings}")).await;
    for version in VERSIONS {
        let mut bob = connect(&host, version, "c2", "bob", "hidden").await;
        bob.send(&packet::publish(version, "own/c2/x", 0, 0, b"allowed")).await;
        bob.ping().await;
        bob.send(&packet::publish(version, "a/x", 0, 0, b"denied")).await;
        bob.closed().await;
    }
}

#[tokio::test]
async fn a_denied_publish_disconnects_from_the_built_in_broker() {
    a_denied_publish_disconnects("").await;
}

#[tokio::test]
async fn a_denied_publish_disconnects_from_the_gateway() {
    let (_upstream, settings) = open_broker().await;
    a_denied_publish_disconnects(&settings).await;
}

/// mosquitto_pub with a right and with a wrong password, if it is installed.
#[tokio::test]
async fn a_denied_subscription_need_not_say_why() {
    let setup = Setup::new().config(
        "[access]\ndefault = \"allow\"\ndenied_subscription_code = 128\n\
         [[access.rule]]\npermit = \"deny\"\ntopics = [\"closed\"]\n",
    );
    let host = setup.start().await;
    for version in VERSIONS {
        let mut client = Raw::client(host.address, version, "c").await;
        assert_eq!(
            suback(&mut client, version, &[("closed", 1), ("open", 1)]).await,
            [128, 1]
        );
    }
}
