//! `select` and `where` with EMQX 5's columns.

use hookhost_tests::host::Setup;
use hookhost_tests::raw::Raw;
use hookhost_tests::scene::Scene;
use hookhost_tests::sink::Sink;
use hookhost_tests::{PATIENCE, Version};

/// A client id for each version.
fn id(version: Version) -> &'static str {
    match version {
        Version::V311 => "v311",
        Version::V5 => "v5",
    }
}

#[tokio::test]
async fn clauses_of_sql_choose_events_and_columns() {
    let rules = r#"
        [webhook]
        format = "emqx5"

        [[webhook.rule.message_publish]]
        action = "hot"
        topics = ["sensors/+/temp"]
        select = "payload.t as temperature, clientid, topic, metadata.rule_id as rule"
        where = "temperature > 30 and topic =~ 'sensors/#'"
        headers = { "X-Temp" = "${temperature} C" }

        [[webhook.rule.message_publish]]
        where = "payload.t <= 30"
        body = '{"cold": "${clientid}", "t": ${payload.t}, "none": "${payload.x}"}'
        method = "put"

        [[webhook.rule.client_disconnected]]
        format = "nanomq"
        action = "gone"
        where = "reason = 'normal' and proto_ver = 5"
    "#;
    let mut scene = Scene::with(Setup::new().config(rules)).await;
    for version in [Version::V311, Version::V5] {
        let mut client = Raw::client(scene.host.address, version, id(version)).await;
        // The third payload is not JSON: a lookup inside it finds nothing.
        for (id, payload) in [(1, r#"{"t": 31.5}"#), (2, r#"{"t": 3}"#), (3, "cold"), (4, "{}")] {
            client.publish(version, "sensors/k/temp", id, payload.as_bytes()).await;
        }
        client.publish(version, "other", 5, br#"{"t": 99}"#).await;
        client.disconnect().await;
    }
    // If the host stops before it reads DISCONNECT, the reason of the end would be different.
    scene.sink.wait_for(5, PATIENCE).await;
    scene.host.stop().await;
    let sent = |version: Version| -> Vec<(String, String)> {
        let requests = scene.sink.requests();
        let of_version = requests.iter().filter(|request| request.body.contains(id(version)));
        of_version
            .map(|request| (request.method.clone(), request.body.clone()))
            .collect()
    };
    for version in [Version::V311, Version::V5] {
        let mut expected = vec![
            (
                "POST",
                r#"{"topic":"sensors/k/temp","temperature":31.5,"rule":"hot","clientid":"$id"}"#,
            ),
            ("PUT", r#"{"cold": "$id", "t": 3, "none": "undefined"}"#),
        ];
        if version == Version::V5 {
            let gone = r#"{"reason":"normal","username":"undefined","clientid":"$id","action":"gone"}"#;
            expected.push(("POST", gone));
        }
        let expected: Vec<_> = expected
            .into_iter()
            .map(|(method, body)| (method.to_owned(), body.replace("$id", id(version))))
            .collect();
        assert_eq!(sent(version), expected);
    }
    let hot = scene.sink.requests();
    let hot = hot.iter().find(|request| request.body.contains("31.5")).unwrap();
    assert_eq!(hot.header("x-temp"), Some("31.5 C"));
}

/// Functions such as regular expressions are in the larger build of the built-in module, which the host loads when a rule
/// calls one.
#[tokio::test]
async fn a_reload_may_bring_large_functions() {
    let sink = Sink::start().await;
    let config = |select: &str| {
        let url = sink.url("/");
        format!(
            "[webhook]\nformat = \"emqx5\"\nurls = [\"{url}\"]\n\
             [[webhook.rule.message_publish]]\nselect = \"{select}\"\n"
        )
    };
    let setup = Setup::new().config(&config("upper(topic) as t, format_date('second', 0, '%Y', 0) as y"));
    let host = setup.start().await;
    let mut client = Raw::client(host.address, Version::V5, "c").await;
    for (number, (select, expected)) in [
        ("", r#"{"y":"1970","t":"A/B"}"#),
        (
            "regex_replace(topic, '/', '-') as t, sprintf('~p', qos) as q, jq('.a', payload) as j, md5('') as m",
            r#"{"t":"a-b","q":"1","m":"d41d8cd98f00b204e9800998ecf8427e","j":[7]}"#,
        ),
        ("lower(topic) as t", r#"{"t":"a/b"}"#),
    ]
    .into_iter()
    .enumerate()
    {
        if !select.is_empty() {
            std::fs::write(host.dir().join("hookhost.toml"), config(select)).unwrap();
            host.ask(&["modules", "rescan"]).await;
        }
        let id = u16::try_from(number + 1).unwrap();
        client.publish(Version::V5, "a/b", id, br#"{"a":7}"#).await;
        let requests = sink.wait_for(number + 1, PATIENCE).await;
        assert_eq!(requests[number].body, expected);
    }
}
