//! Files and variables with secrets.

use super::*;

/// Publishes until a request arrives with an authorization.
async fn until_authorized(client: &mut Client, sink: &Sink, expected: &str) {
    for number in 0..1000 {
        let before = sink.count();
        client.publish("t", 1, number.to_string()).await;
        let requests = sink.wait_for(before + 1, PATIENCE).await;
        if requests[before].header("authorization") == Some(expected) {
            return;
        }
    }
    panic!("never authorized as {expected}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_are_read_again_when_somebody_asks() {
    let sink = Sink::start().await;
    let setup = Setup::new();
    let token = setup.dir().join("token");
    std::fs::write(&token, "one\n").unwrap();
    let config = |more: &str| {
        format!(
            "[webhook]\nurls = [\"{url}\"]\nrule.message_publish = [{{ action = \"message_publish\" }}]\n\
             [destinations.own]\nurls = [\"{url}\"]\nbearer_file = \"token\"\n{more}",
            url = sink.url("/hook")
        )
    };
    let mut host = setup.config(&config("")).start().await;
    let mut client = Client::connect(host.address, V, "c1").await;
    client.publish("t", 1, "first").await;
    let first = &sink.wait_for(1, PATIENCE).await[0];
    assert_eq!(first.header("authorization"), Some("Bearer one"));

    std::fs::write(&token, "two\n").unwrap();
    assert_eq!(
        host.ask(&["modules", "rescan"]).await,
        "configuration: in force\nthe host has no modules folder; --modules DIR names one when it starts\n\
         webhook: generation 2 is active\n"
    );
    client.publish("t", 1, "second").await;
    let second = &sink.wait_for(2, PATIENCE).await[1];
    assert_eq!(second.header("authorization"), Some("Bearer two"));

    std::fs::write(&token, "three\n").unwrap();
    let mark = host.log().mark();
    host.process.signal(Signal::HUP);
    lines_until(&host, mark, "configuration reloaded").await;
    client.publish("t", 1, "third").await;
    let third = &sink.wait_for(3, PATIENCE).await[2];
    assert_eq!(third.header("authorization"), Some("Bearer three"));

    // Without a change nothing happens.
    let found: Value = serde_json::from_str(&host.ask(&["modules", "rescan", "--json"]).await).unwrap();
    let unchanged = json!({"state": "unchanged", "problems": [], "warnings": []});
    assert_eq!((&found["configuration"], &found["loaded"]), (&unchanged, &json!([])));

    // A missing secret: the active one stays, and no output shows it.
    std::fs::remove_file(&token).unwrap();
    let refused = host.try_ask(&["modules", "rescan"]).await;
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(
        refused
            .stdout
            .contains("hookhost.toml:6: destinations.own.bearer_file: cannot read token"),
        "{refused:?}"
    );
    until_authorized(&mut client, &sink, "Bearer three").await;

    // The configuration file is watched. The host reports the settings that need a restart; the rest takes effect.
    std::fs::write(&token, "four\n").unwrap();
    let mark = host.log().mark();
    replace(
        &host.dir().join("hookhost.toml"),
        &config("[mqtt]\nmax_clientid_len = 9\n"),
    );
    let lines = lines_until(&host, mark, "configuration reloaded").await;
    let warning = "hookhost.toml:8: mqtt.max_clientid_len: needs a restart: it cannot change while the host runs";
    assert!(lines.iter().any(|line| line.contains(warning)), "{lines:#?}");
    until_authorized(&mut client, &sink, "Bearer four").await;
    let found: Value = serde_json::from_str(&host.ask(&["modules", "rescan", "--json"]).await).unwrap();
    let warnings = found["configuration"]["warnings"].as_array().unwrap();
    assert!(warnings[0].as_str().unwrap().ends_with(warning), "{found}");
    client.disconnect().await;
    host.stop().await;
    for secret in ["one", "two", "three", "four"] {
        let shown = host
            .log()
            .lines()
            .into_iter()
            .find(|line| line.contains(&format!("Bearer {secret}")));
        assert_eq!(shown, None);
    }
}
