//! Answers of receivers.

use super::*;

/// What the broker does is in `shared/recorded`: EMQX 4 and 5 send one request, and the next events at once.
#[tokio::test]
async fn a_final_answer_to_one_event_does_not_delay_the_next() {
    for retry in ["standard", "emqx4", "emqx5", "nanomq"] {
        for status in [404, 302, 422] {
            let sink = Sink::start().await;
            sink.answer(move |request, _| Answer::Status(if payload(request) == "bad" { status } else { 200 }));
            let keys = format!("retry = \"{retry}\"\nretry_initial_interval = \"1h\"\nretry_max_interval = \"1h\"");
            let rule = format!("{{ action = \"a\", urls = [\"{}\"] }}", sink.url("/hook"));
            let host = host_of(&rule, &keys).await;
            let mut client = Client::connect(host.address, V, "c1").await;
            client.publish("t", 1, "bad").await;
            client.publish("t", 1, "good").await;
            let requests = sink.wait_for(2, PATIENCE).await;
            let payloads: Vec<_> = requests.iter().map(|request| payload(request)).collect();
            assert_eq!(payloads, ["bad", "good"], "{retry} {status}");
            let line = |line: &str| line.contains("request dropped: the answer of the receiver is final");
            host.log()
                .wait("a line about the refused request", PATIENCE, line)
                .await;
        }
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let sink = Sink::start().await;
    let elsewhere = sink.url("/elsewhere");
    sink.answer(move |_, before| match before {
        0 => Answer::Redirect(elsewhere.clone()),
        _ => Answer::Status(200),
    });
    let mut host = host_for(&[sink.url("/hook")]).await;
    let mut client = Client::connect(host.address, V, "c1").await;
    client.publish("t", 1, "x").await;
    client.publish("t", 1, "y").await;
    sink.wait_for(2, PATIENCE).await;
    host.stop().await;
    assert!(sink.requests().iter().all(|request| request.path == "/hook"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nonsense_for_an_answer_is_a_failure_like_any_other() {
    let nonsense: Vec<(&str, Answer)> = vec![
        ("nothing", Answer::Close),
        ("binary", Answer::Bytes(vec![0, 255, 13, 10, 13, 10, 128])),
        ("half a status line", Answer::Bytes(b"HTTP/1.".to_vec())),
        ("half a head", Answer::Bytes(b"HTTP/1.1 200 OK\r\ncontent-le".to_vec())),
        (
            "another protocol",
            Answer::Bytes(b"220 mail.example ESMTP\r\n".to_vec()),
        ),
        ("no status", Answer::Bytes(b"HTTP/1.1 \r\n\r\n".to_vec())),
        (
            "an impossible status",
            Answer::Bytes(b"HTTP/1.1 999999 OK\r\n\r\n".to_vec()),
        ),
        (
            "a header without end",
            Answer::Bytes([b"HTTP/1.1 200 OK\r\nx: ".to_vec(), vec![b'y'; 4 << 20]].concat()),
        ),
        (
            "an early answer only",
            Answer::Bytes(b"HTTP/1.1 100 Continue\r\n\r\n".to_vec()),
        ),
    ];
    let sink = Sink::start().await;
    let answers: Vec<Answer> = nonsense.iter().map(|(_, answer)| answer.clone()).collect();
    let tried = std::sync::Mutex::new(vec![false; answers.len()]);
    // The payload names the answer. The second attempt is accepted.
    sink.answer(move |request, _| {
        let Ok(index) = payload(request).parse::<usize>() else {
            return Answer::Status(200);
        };
        match std::mem::replace(&mut tried.lock().unwrap()[index], true) {
            false => answers[index].clone(),
            true => Answer::Status(200),
        }
    });
    let host = host_for(&[sink.url("/hook")]).await;
    let mut clients = Vec::new();
    for index in 0..nonsense.len() {
        let mut client = Client::connect(host.address, V, &format!("c{index}")).await;
        client.publish("t", 1, index.to_string()).await;
        client.publish("t", 1, "after").await;
        clients.push(client);
    }
    let requests = sink
        .wait_until("all accepted", PATIENCE, |all| {
            accepted(all).count() == 2 * nonsense.len()
        })
        .await;
    for (index, (name, _)) in nonsense.iter().enumerate() {
        let client = format!("c{index}");
        let of_client = requests
            .iter()
            .filter(|request| request.json()["from_clientid"] == client.as_str());
        let got: Vec<_> = of_client
            .map(|request| (payload(request), request.accepted()))
            .collect();
        let number = index.to_string();
        assert_eq!(
            got,
            [(number.clone(), false), (number, true), ("after".into(), true)],
            "{name}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_without_end_costs_no_memory() {
    let sink = Sink::start().await;
    sink.answer(|request, _| {
        if request.path == "/endless" {
            Answer::Endless
        } else {
            Answer::Status(200)
        }
    });
    let host = host_for(&[sink.url("/endless"), sink.url("/hook")]).await;
    let before = host.resident();
    let flow = Flow::start(host.address, "flow", 20, 500, "t").await;
    flow.go_on(2500).await;
    let sent = flow.stop().await;
    let total = flow::total(&sent);
    let of_hook = |all: &[Arc<Received>]| all.iter().filter(|request| request.path == "/hook").count();
    sink.wait_until("all at /hook", PATIENCE, |all| of_hook(all) >= total)
        .await;
    let grown = host.resident().saturating_sub(before);
    println!("grown by {grown} kB");
    assert!(grown < 100_000, "grown by {grown} kB");
}
