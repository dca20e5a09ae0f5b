//! Receivers that misbehave.

use super::modules::replace_module;
use super::*;

/// A receiver gives a wrong answer to some requests while clients publish, and is well afterwards. Meanwhile the module is
/// replaced twice, and the host crashes.
async fn survives(name: &str, fault: fn(&Received, usize) -> Answer) {
    let sink = Sink::start().await;
    let urls = [sink.url("/hook")];
    let data = tempfile::tempdir().unwrap();
    let mut host = host(data.path(), &urls, "").await;
    let publishers = Publishers::start(host.address, &Plan::default());
    publishers.go_on(BEFORE).await;
    sink.answer(fault);
    sink.wait_for(sink.count() + 50, PATIENCE).await;
    for _ in 0..2 {
        publishers.go_on(AFTER / 2).await;
        replace_module(&host, &urls).await;
    }
    publishers.go_on(AFTER / 2).await;
    kill(&mut host).await;
    let host = super::host(data.path(), &urls, "").await;
    publishers.move_to(host.address);
    publishers.go_on(AFTER).await;
    sink.answer(|_, _| Answer::Status(200));
    publishers.go_on(AFTER).await;
    let published = publishers.stop().await;
    let tally = tally(&sink, &published, |_| true).await;
    println!("{name}: {tally}");
    tally.assert_complete();
    stop_balanced(host, 0).await;
}

#[tokio::test]
async fn a_receiver_that_is_slow() {
    survives("slow", |_, earlier| match earlier % 10 {
        0 => Answer::After(Duration::from_millis(200), 200),
        _ => Answer::Status(200),
    })
    .await;
}

#[tokio::test]
async fn a_receiver_that_fails_half_of_the_time() {
    survives("500", |_, earlier| {
        Answer::Status(if earlier % 2 == 0 { 500 } else { 200 })
    })
    .await;
}

#[tokio::test]
async fn a_receiver_that_closes_within_its_answer() {
    survives("half an answer", |_, earlier| match earlier % 3 {
        0 => Answer::Bytes(b"HTTP/1.1 20".to_vec()),
        1 => Answer::Close,
        _ => Answer::Status(200),
    })
    .await;
}

#[tokio::test]
async fn a_receiver_that_does_not_answer() {
    survives("no answer", |_, earlier| match earlier % 20 {
        0 => Answer::Hang,
        _ => Answer::Status(200),
    })
    .await;
}

#[tokio::test]
async fn a_receiver_whose_answer_never_ends() {
    // The status line decides, so these requests are delivered.
    survives("endless", |_, earlier| match earlier % 10 {
        0 => Answer::Endless,
        _ => Answer::Status(200),
    })
    .await;
}

#[tokio::test]
async fn a_receiver_that_does_not_speak_http() {
    survives("no HTTP", |_, earlier| match earlier % 3 {
        0 => Answer::Bytes(b"\x16\x03\x01\x00\xffnonsense\0\0".to_vec()),
        1 => Answer::Bytes(b"HTTP/1.1 abc\r\ncontent-length: -1\r\n\r\n".to_vec()),
        _ => Answer::Status(200),
    })
    .await;
}

#[tokio::test]
async fn a_receiver_that_is_down() {
    let mut sink = Sink::start().await;
    let urls = [sink.url("/hook")];
    let data = tempfile::tempdir().unwrap();
    let mut host = host(data.path(), &urls, "").await;
    let publishers = Publishers::start(host.address, &Plan::default());
    publishers.go_on(BEFORE).await;
    sink.down().await;
    // More than fits into memory.
    publishers.go_on(500).await;
    replace_module(&host, &urls).await;
    publishers.go_on(500).await;
    kill(&mut host).await;
    let host = super::host(data.path(), &urls, "").await;
    publishers.move_to(host.address);
    publishers.go_on(AFTER).await;
    sink.up();
    let published = publishers.stop().await;
    let tally = tally(&sink, &published, |_| true).await;
    println!("down: {tally}");
    tally.assert_complete();
    stop_balanced(host, 0).await;
}

#[tokio::test]
async fn a_receiver_that_refuses_one_client_for_ever() {
    let sink = Sink::start().await;
    sink.answer(|request, _| {
        let payload = String::from_utf8(body::payload(&request.json())).unwrap();
        Answer::Status(if payload.starts_with("p-0 ") { 422 } else { 200 })
    });
    let urls = [sink.url("/hook")];
    let data = tempfile::tempdir().unwrap();
    let host = host(data.path(), &urls, "").await;
    let publishers = Publishers::start(host.address, &Plan::default());
    publishers.go_on(500).await;
    replace_module(&host, &urls).await;
    publishers.go_on(500).await;
    let mut published = publishers.stop().await;
    let refused = published.remove(0);
    let tally = tally(&sink, &published, |_| true).await;
    println!("422 to one client: {tally}");
    tally.assert_complete();
    assert_eq!(tally.doubled, 0, "{tally}");
    // Each request of the refused client came once, in order: none was retried and none held up the next one.
    let all = sink
        .wait_until("the refused ones", PATIENCE, |all| {
            all.iter().filter(|request| !request.accepted()).count() >= refused.count as usize
        })
        .await;
    let of_refused = numbers(all.iter().filter(|request| !request.accepted()));
    assert_eq!(of_refused[&refused.id], (1..=refused.count).collect::<Vec<_>>());
    let metrics = stop_balanced(host, 0).await;
    let dead = metrics.sum("hookhost_dead_requests_total{reason=\"refused\"}");
    assert_eq!(dead, f64::from(refused.count));
}

#[tokio::test]
async fn two_receivers_of_which_one_is_dead() {
    let (good, mut dead) = (Sink::start().await, Sink::start().await);
    dead.down().await;
    let urls = [good.url("/hook"), dead.url("/hook")];
    let data = tempfile::tempdir().unwrap();
    let mut host = host(data.path(), &urls, "").await;
    let publishers = Publishers::start(host.address, &Plan::default());
    publishers.go_on(300).await;
    replace_module(&host, &urls).await;
    publishers.go_on(300).await;
    kill(&mut host).await;
    let host = super::host(data.path(), &urls, "").await;
    publishers.move_to(host.address);
    publishers.go_on(AFTER).await;
    let published = publishers.stop().await;
    let of_good = tally(&good, &published, |_| true).await;
    dead.up();
    let of_dead = tally(&dead, &published, |_| true).await;
    println!("good: {of_good}\ndead: {of_dead}");
    of_good.assert_complete();
    of_dead.assert_complete();
    stop_balanced(host, 0).await;
}
