//! What became of events: the last deliveries, live followers, and what happened to one event.

use hookhost_tests::client::Client;
use hookhost_tests::host::{self, Host, Setup};
use hookhost_tests::http::{ask, ask_until};
use hookhost_tests::process::Process;
use hookhost_tests::raw::Raw;
use hookhost_tests::sink::{Answer as SinkAnswer, Sink};
use hookhost_tests::{PATIENCE, Version, packet};
use serde_json::{Value, json};

use crate::{V, probe};

#[tokio::test]
async fn deliveries_are_listed_and_followed() {
    let sink = Sink::start().await;
    sink.answer(|request, _| match request.json()["payload"].as_str() {
        Some("refused") => SinkAnswer::Status(422),
        _ => SinkAnswer::Status(200),
    });
    let host = probe(&sink, "").await;
    let mut tap = host::command(host.dir());
    tap.args([
        "tap", "--json", "--client", "c", "--topic", "t/+", "--module", "webhook",
    ]);
    tap.env("HOOKHOST_ADMIN", host.admin.unwrap().to_string());
    let tap = Process::start(tap);
    let mut other = Client::connect(host.address, V, "other").await;
    let mut client = Client::connect(host.address, V, "c").await;
    other.publish("t/1", 1, "refused").await;
    // The first publishes may come before the tap follows.
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while tap.stdout.lines().is_empty() {
        other.publish("t/1", 1, "x").await;
        client.publish("t/1", 1, "x").await;
        assert!(tokio::time::Instant::now() < deadline, "nothing is followed");
    }
    client.publish("t/1", 1, "fail").await;
    let failed = |line: &str| line.contains("\"failed\"");
    let line = tap.stdout.wait("the failure", PATIENCE, failed).await;
    let line: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(line["kind"], "outcome");
    assert_eq!((&line["module"], &line["topic"]), (&json!("webhook"), &json!("t/1")));
    let lines: Vec<Value> = tap
        .stdout
        .lines()
        .iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(lines.iter().all(|line| line["client"] == "c"), "{lines:#?}");
    let attempts = lines.iter().filter(|line| line["kind"] == "attempt");
    assert!(attempts.clone().all(|line| line["result"] == "delivered"), "{lines:#?}");

    let admin = host.admin.unwrap();
    let failed = ask_until(admin, "GET /api/v1/deliveries?failed=true", |answer| {
        answer.json()["deliveries"].as_array().unwrap().len() == 1
    })
    .await;
    let failed = failed.json()["deliveries"][0].clone();
    assert_eq!((&failed["status"], &failed["result"]), (&json!(422), &json!("dropped")));
    assert_eq!(
        (&failed["hook"], &failed["topic"]),
        (&json!("message-publish"), &json!("t/1"))
    );
    assert_eq!(
        (&failed["attempt"], &failed["url"]),
        (&json!(1), &json!(sink.url("/hook")))
    );
    let event = failed["event"].as_str().unwrap();
    let of_event = ask(admin, &format!("GET /api/v1/deliveries?event={event}"), "")
        .await
        .json();
    assert_eq!(of_event["deliveries"], json!([failed]));
    // The client has published more than once.
    ask_until(admin, "GET /api/v1/deliveries?client=c&limit=1", |answer| {
        answer.json()["deliveries"].as_array().unwrap().len() == 1
    })
    .await;
    for (query, is_found) in [
        ("module=webhook", true),
        ("module=other", false),
        ("webhook=other", false),
    ] {
        let found = ask(admin, &format!("GET /api/v1/deliveries?{query}"), "").await.json();
        assert_eq!(!found["deliveries"].as_array().unwrap().is_empty(), is_found, "{query}");
    }
    for wrong in ["topic=a/%23/b", "limit=0", "status=x", "falied=true"] {
        let answer = ask(admin, &format!("GET /api/v1/deliveries?{wrong}"), "").await;
        assert_eq!(answer.status, 400, "{wrong}: {answer:?}");
    }
    client.disconnect().await;
    other.disconnect().await;
}

/// The id of the only event in a list, once there is one.
async fn only_event(host: &Host, path: &str, key: &str, id: &str) -> String {
    let what = format!("GET /api/v1/{path}");
    let answer = ask_until(host.admin.unwrap(), &what, |answer| {
        answer.json()[key].as_array().unwrap().len() == 1
    });
    answer.await.json()[key][0]
        .pointer(id)
        .unwrap()
        .as_str()
        .unwrap()
        .to_owned()
}

#[tokio::test]
async fn what_happened_to_an_event_is_shown_from_the_client_to_the_answer() {
    let sink = Sink::start().await;
    sink.answer(|request, before| match request.json()["payload"].as_str() {
        Some("refused") => SinkAnswer::Status(422),
        _ if before == 0 => {
            SinkAnswer::Bytes(b"HTTP/1.1 503 x\r\nconnection: close\r\ncontent-length: 4\r\n\r\nbusy".to_vec())
        }
        _ => SinkAnswer::Status(200),
    });
    let host = probe(&sink, "").await;
    let admin = host.admin.unwrap();
    let mut client = Client::connect(host.address, V, "c").await;
    client.publish("t/1", 1, "retried").await;
    let event = only_event(&host, "deliveries?failed=true", "deliveries", "/event").await;
    let path = format!("GET /api/v1/events/{event}");
    let delivered = ask_until(admin, &path, |answer| answer.json()["state"] == "delivered").await;
    let way = delivered.json();
    assert_eq!(
        (&way["event"], &way["hook"]),
        (&json!(event), &json!("message-publish"))
    );
    assert_eq!((&way["client"], &way["topic"]), (&json!("c"), &json!("t/1")));
    let [outcome] = &**way["outcomes"].as_array().unwrap() else {
        panic!("{way:#}")
    };
    assert_eq!(
        (&outcome["outcome"], &outcome["requests"]),
        (&json!("answered"), &json!(1))
    );
    assert_eq!(outcome["call_events"], 1);
    let attempts = way["attempts"].as_array().unwrap();
    let results: Vec<(&Value, &Value, &Value)> = attempts
        .iter()
        .map(|attempt| (&attempt["attempt"], &attempt["result"], &attempt["status"]))
        .collect();
    let (one, two, ok) = (json!(1), json!(2), json!(200));
    let (retried, busy, done) = (json!("retried"), json!(503), json!("delivered"));
    assert_eq!(results, [(&one, &retried, &busy), (&two, &done, &ok)], "{way:#}");
    assert_eq!(
        (&attempts[0]["answer"], &attempts[1]["answer"]),
        (&json!("busy"), &json!(""))
    );
    let with_status = ask(admin, "GET /api/v1/deliveries?status=200", "").await.json();
    assert_eq!(
        with_status["deliveries"].as_array().unwrap().len(),
        1,
        "{with_status:#}"
    );
    assert_eq!(attempts[0]["request"], attempts[1]["request"]);
    let times = ["received", "/outcomes/0/at", "/attempts/0/at", "/attempts/1/at"];
    let times = times.map(|key| way.pointer(key).or(way.get(key)).unwrap().as_str().unwrap());
    assert!(times.is_sorted(), "{times:?}");
    // The command prints the same, in lines.
    let text = host.ask(&["trace", &event]).await;
    let words = [
        "received",
        "webhook (generation 1): 1 requests",
        "attempt 1 503 retried",
        "it answered: busy",
        "attempt 2 200 delivered",
        "state: delivered",
    ];
    let mut rest = text.as_str();
    for word in words {
        let (_, after) = rest.split_once(word).unwrap_or_else(|| panic!("{word} in {text}"));
        rest = after;
    }

    client.publish("t/1", 1, "refused").await;
    let event = only_event(&host, "dead-letters", "letters", "/event/id").await;
    let way = ask(admin, &format!("GET /api/v1/events/{}", event.to_lowercase()), "")
        .await
        .json();
    assert_eq!(way["state"], "given up");
    assert_eq!(way["dead_letters"][0]["status"], 422);
    let letters = ask(admin, &format!("GET /api/v1/dead-letters?event={event}"), "")
        .await
        .json();
    assert_eq!(letters["letters"].as_array().unwrap().len(), 1);

    client.publish("t/1", 1, "fail").await;
    let event = only_event(&host, "quarantine", "entries", "/event_id").await;
    let way = ask(admin, &format!("GET /api/v1/events/{event}"), "").await.json();
    assert_eq!(
        (&way["state"], &way["outcomes"][0]["outcome"]),
        (&json!("quarantined"), &json!("failed"))
    );
    assert_eq!(way["quarantine"][0]["fault"], "failed");

    for (id, expected) in [("0", 404), ("x", 400), ("0123456789abcdef0123456789abcdef0", 400)] {
        let answer = ask(admin, &format!("GET /api/v1/events/{id}"), "").await;
        assert_eq!(answer.status, expected, "{id}: {answer:?}");
    }
    let unknown = host.try_ask(&["trace", "0"]).await;
    assert_eq!(unknown.code, Some(1));
    assert!(unknown.stderr.contains("nothing is known about event"), "{unknown:?}");
    client.disconnect().await;
}

/// A PUBLISH of MQTT 5 with user properties.
pub(crate) fn publish_with(user: &[(&str, &str)]) -> Vec<u8> {
    const USER_PROPERTY: u8 = 0x26;
    let mut properties = Vec::new();
    for (name, value) in user {
        properties.push(USER_PROPERTY);
        packet::string(&mut properties, name.as_bytes());
        packet::string(&mut properties, value.as_bytes());
    }
    let publish = packet::Publish {
        topic: b"t/1",
        qos: 0,
        id: 0,
        retain: false,
        dup: false,
        properties: &properties,
        payload: b"x",
    };
    publish.encode(Version::V5)
}

#[tokio::test]
async fn the_trace_of_a_message_goes_on_in_its_requests() {
    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let sink = Sink::start().await;
    let rules = format!(
        "[webhook]\nurls = [{:?}]\n[[webhook.rule.message_publish]]\naction = \"x\"\n\
         [[webhook.rule.message_publish]]\naction = \"own\"\nheaders = {{ traceparent = \"mine\" }}\n",
        sink.url("/hook")
    );
    let host = Setup::new().config(&rules).start().await;
    let mut client = Raw::client(host.address, Version::V5, "c").await;
    // Only the first message has a valid trace.
    let user = [("traceparent", PARENT), ("tracestate", "a=1")];
    client.send(&publish_with(&user)).await;
    client
        .send(&publish_with(&[("traceparent", "00-x"), ("tracestate", "a=1")]))
        .await;
    client.send(&publish_with(&[])).await;
    let requests = sink.wait_for(6, PATIENCE).await;
    let headers = |action: &str, name: &str| -> Vec<Option<String>> {
        let of_action = requests.iter().filter(|request| request.json()["action"] == action);
        of_action
            .map(|request| request.header(name).map(str::to_owned))
            .collect()
    };
    let [Some(parent), None, None] = &*headers("x", "traceparent") else {
        panic!("{:?}", headers("x", "traceparent"))
    };
    assert!(parent.starts_with(&PARENT[..36]) && parent.ends_with("-01"), "{parent}");
    assert!(
        parent.len() == PARENT.len() && parent != PARENT,
        "a span of its own: {parent}"
    );
    assert_eq!(headers("x", "tracestate"), [Some("a=1".to_owned()), None, None]);
    let mine = Some("mine".to_owned());
    assert_eq!(headers("own", "traceparent"), [mine.clone(), mine.clone(), mine]);
    client.disconnect().await;
}
