//! Requests that the host has given up: listed, sent again after the receiver is mended, and counted.

use std::path::Path;
use std::sync::Arc;

use hookhost_tests::client::Client;
use hookhost_tests::host::{Host, Setup};
use hookhost_tests::sink::{Answer, Received, Sink};
use hookhost_tests::{PATIENCE, Version, body};
use rustix::process::Signal;
use serde_json::Value;

/// A host that sends every publish to the sink, with its id and the number of the attempt.
async fn host(sink: &Sink, data: &Path) -> Host {
    let config = format!(
        "[data]\ndir = {data:?}\n[delivery]\nid_header = \"webhook-id\"\nattempt_header = \"webhook-attempt\"\n\
         [destinations.crm]\nurls = [{:?}]\nheaders = {{ x-api-key = \"hidden-1\" }}\n\
         [webhook]\nurls = [{:?}]\nheaders = {{ authorization = \"hidden-2\", x-kind = \"hook\" }}\n\
         [webhook.rule]\nmessage_publish = [{{ action = \"a\" }}]\n",
        sink.url("/"),
        sink.url("/hook"),
    );
    Setup::new().config(&config).start().await
}

async fn json(host: &Host, args: &[&str]) -> Value {
    serde_json::from_str(&host.ask(args).await).unwrap()
}

/// Waits until the host has this many dead letters on disk, and returns them, newest first.
async fn until_letters(host: &Host, count: usize) -> Vec<Value> {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let list = json(host, &["dead-letters", "list", "--json"]).await;
        let letters = list["letters"].as_array().unwrap().clone();
        let counts = json(host, &["destinations", "--json"]).await;
        if letters.len() == count && counts["all"]["waiting"]["requests"] == 0 {
            return letters;
        }
        assert!(
            tokio::time::Instant::now() < deadline,
            "not {count} letters: {letters:#?}"
        );
    }
}

#[tokio::test]
async fn a_refused_message_is_seen_and_sent_again_when_the_receiver_is_mended() {
    let sink = Sink::start().await;
    sink.answer(|request, _| match body::payload(&request.json()).as_slice() {
        b"bad" => Answer::Bytes(b"HTTP/1.1 422 x\r\ncontent-length: 12\r\n\r\nno such unit".to_vec()),
        _ => Answer::Status(200),
    });
    let data = tempfile::tempdir().unwrap();
    let mut first = host(&sink, data.path()).await;
    let mut client = Client::connect(first.address, Version::V5, "meter-7").await;
    for payload in ["one", "bad", "two"] {
        client.publish("plant/7", 1, payload).await;
    }
    // The next message of this client does not wait.
    let all = sink.wait_for(3, PATIENCE).await;
    let id = all[1].header("webhook-id").unwrap().to_owned();
    assert_eq!(all[1].header("webhook-attempt"), Some("1"));
    let letters = until_letters(&first, 1).await;
    assert_eq!(letters[0]["webhook_id"], id.as_str());
    let list = first.ask(&["dead-letters", "list"]).await;
    for word in ["crm", "refused", "422", "message-publish plant/7", "meter-7"] {
        assert!(list.contains(word), "{word}: {list}");
    }
    let shown = first.ask(&["dead-letters", "show", "1"]).await;
    for word in [
        "answer: no such unit",
        "answered with status 422",
        "x-kind: hook",
        "attempts: 1",
        &id,
    ] {
        assert!(shown.contains(word), "{word}: {shown}");
    }
    let exported = first.ask(&["dead-letters", "export", "--status", "422"]).await;
    let line: Value = serde_json::from_str(exported.trim_end()).unwrap();
    assert_eq!(
        (&line["reason"], &line["answer"]),
        (&"refused".into(), &"no such unit".into())
    );
    for text in [&list, &shown, &exported] {
        assert!(!text.contains("hidden"), "{text}");
    }
    let modules = json(&first, &["modules", "--json"]).await;
    assert_eq!(modules["modules"][0]["requests"]["dead"], 1);

    // A request counts as dead when its letter is on disk. It then survives a crash.
    let dead = json(&first, &["destinations", "--json"]).await["all"]["dead"]["total"].clone();
    assert_eq!(dead, 1);
    first.process.signal(Signal::KILL);
    assert_eq!(first.process.wait(PATIENCE).await, None);
    sink.answer(|_, _| Answer::Status(200));
    let mut second = host(&sink, data.path()).await;
    assert_eq!(until_letters(&second, 1).await, letters);
    assert_eq!(second.ask(&["dead-letters", "resend", "--client", "other"]).await, "");
    assert_eq!(
        second.ask(&["dead-letters", "resend", "--client", "meter-7"]).await,
        "1: sent again\n"
    );
    let is_again = |request: &&Arc<Received>| request.header("webhook-id") == Some(id.as_str()) && request.accepted();
    let all = sink
        .wait_until("the refused one", PATIENCE, |all| {
            all.iter().any(|request| is_again(&request))
        })
        .await;
    let again = all.iter().find(is_again).unwrap();
    assert_eq!(again.header("x-api-key"), Some("hidden-1"));
    assert_eq!(again.body, all[1].body);
    until_letters(&second, 0).await;
    let again = second.try_ask(&["dead-letters", "resend", "1"]).await;
    assert!(
        again.code == Some(1) && again.stderr.contains("there is no dead letter 1"),
        "{again:?}"
    );
    second.stop().await;
    let third = host(&sink, data.path()).await;
    until_letters(&third, 0).await;
}

#[tokio::test]
async fn letters_are_selected_by_conditions_and_bounded() {
    let sink = Sink::start().await;
    sink.answer(|_, _| Answer::Status(400));
    let config = format!(
        "[webhook]\nurls = [{:?}]\n[webhook.rule]\nmessage_publish = [{{ action = \"a\" }}]\n\
         [dead_letters]\nrequests = 4\n",
        sink.url("/")
    );
    let host = Setup::new().config(&config).start().await;
    for number in 0..3 {
        let name = format!("c{number}");
        let mut client = Client::connect(host.address, Version::V5, &name).await;
        client.publish(&format!("t/{number}"), 1, "x").await;
        client.publish("other", 1, "x").await;
        // The clients one after the other, so that the letters have a known order.
        until_dead(&host, 2 * (number + 1)).await;
    }
    let kept = json(&host, &["destinations", "--json"]).await["dead_letters"].clone();
    assert_eq!((&kept["letters"], &kept["evicted"]), (&4.into(), &2.into()));
    for (conditions, expected) in [
        (&["--event", "message-publish"][..], 4),
        (&["--event", "client-connected"], 0),
        (&["--client", "c2"], 2),
        (&["--topic", "t/+"], 2),
        (&["--topic", "t/2", "--client", "c2"], 1),
        (&["--status", "422"], 0),
        (&["--since", "1h"], 4),
        (&["--until", "1h"], 0),
        (&["--reason", "refused", "--status", "400"], 4),
        (&["--reason", "gave-up"], 0),
    ] {
        let list = json(&host, &[&["dead-letters", "list", "--json"][..], conditions].concat()).await;
        let letters = list["letters"].as_array().unwrap();
        assert_eq!(letters.len(), expected, "{conditions:?}: {list:#}");
    }
    let bad = host.try_ask(&["dead-letters", "list", "--topic", "a/#/b"]).await;
    assert!(bad.code == Some(1) && bad.stderr.contains("topic"), "{bad:?}");
    assert_eq!(
        host.ask(&["dead-letters", "drop", "--client", "c2"]).await,
        "5: dropped\n6: dropped\n"
    );
    assert_eq!(
        host.ask(&["dead-letters", "drop", "--all"]).await,
        "3: dropped\n4: dropped\n"
    );
    until_letters(&host, 0).await;
}

/// Waits until this many requests became dead letters since the start.
async fn until_dead(host: &Host, count: u64) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let counts = json(host, &["destinations", "--json"]).await;
        if counts["all"]["dead"]["total"] == count {
            return;
        }
        assert!(
            tokio::time::Instant::now() < deadline,
            "not {count} are dead: {counts:#}"
        );
    }
}

fn is_balanced(counted: &Value) -> bool {
    let number = |path: &str| counted.pointer(path).unwrap().as_u64().unwrap();
    let ended = number("/delivered") + number("/dead/total") + number("/dropped/total");
    number("/accepted") == ended + number("/waiting/requests")
}

/// Every request is delivered, a dead letter, dropped or waiting: when the receiver refuses, is down, is too slow, and
/// when the outbox is full.
#[tokio::test]
async fn every_request_is_counted_in_every_fault() {
    let (good, refusing, slow, full) = tokio::join!(Sink::start(), Sink::start(), Sink::start(), Sink::start());
    refusing.answer(|_, _| Answer::Status(422));
    slow.answer(|_, _| Answer::Status(503));
    full.answer(|_, _| Answer::Hang);
    let mut down = Sink::start().await;
    down.down().await;
    let data = tempfile::tempdir().unwrap();
    let rule = |topic: &str, sink: &Sink, more: &str| {
        format!(
            "[[webhook.rule.message_publish]]\naction = \"a\"\ntopics = [\"{topic}\"]\nurls = [{:?}]\n{more}\n",
            sink.url("/")
        )
    };
    let rules = [
        rule("good", &good, ""),
        rule("refused", &refusing, ""),
        rule("down", &down, ""),
        rule("expired", &slow, "max_age = \"100ms\""),
        rule("full", &full, ""),
    ];
    let config = format!(
        "[data]\ndir = {:?}\n[outbox]\nmax_bytes = \"1MiB\"\nwhen_full = \"drop-newest\"\n\
         [delivery]\nbreaker = false\nretry_max_elapsed_time = \"200ms\"\nhttp_timeout = \"1h\"\n{}",
        data.path(),
        rules.concat()
    );
    let host = Setup::new().config(&config).start().await;
    let mut client = Client::connect(host.address, Version::V5, "c").await;
    for topic in ["good", "refused", "down", "expired"] {
        for _ in 0..10 {
            client.publish(topic, 1, "x").await;
        }
    }
    let counts = async || json(&host, &["destinations", "--json"]).await;
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let counts = counts().await;
        let all = &counts["all"];
        if all["waiting"]["requests"] == 0 && all["accepted"] == 40 {
            assert_eq!((&all["delivered"], &all["dead"]["total"]), (&10.into(), &30.into()));
            assert_eq!(
                (&all["dead"]["refused"], &all["dead"]["gave_up"]),
                (&10.into(), &10.into())
            );
            assert_eq!(all["dead"]["expired"], 10);
            break;
        }
        assert!(tokio::time::Instant::now() < deadline, "they never end: {counts:#}");
    }
    for _ in 0..40 {
        client.publish("full", 1, vec![b'x'; 100_000]).await;
    }
    client.publish("good", 1, "last").await;
    loop {
        let counts = counts().await;
        let all = &counts["all"];
        let destinations = counts["destinations"].as_array().unwrap();
        // A request that ends during the reading is counted the next time.
        let is_over = all["accepted"] == 81 && all["delivered"] == 11;
        if is_over && destinations.iter().chain([all]).all(is_balanced) {
            let full_url = full.url("");
            let of_full = destinations.iter().find(|one| one["url"] == full_url.as_str()).unwrap();
            assert!(of_full["dropped"]["full"].as_u64().unwrap() > 10, "{counts:#}");
            assert!(of_full["waiting"]["requests"].as_u64().unwrap() > 1, "{counts:#}");
            break;
        }
        assert!(
            tokio::time::Instant::now() < deadline,
            "not all are counted: {counts:#}"
        );
    }
    let table = host.ask(&["destinations"]).await;
    assert!(
        table.contains("last error at") && table.contains("answered with status 422"),
        "{table}"
    );
}
