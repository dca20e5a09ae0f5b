//! Publishers that are faster than the receiver: they are slowed down and lose nothing, and a dead receiver holds them
//! back no longer than `overflow_wait`.

use std::time::{Duration, Instant};

use hookhost_tests::PATIENCE;
use hookhost_tests::flow::{Flow, numbers, total};
use hookhost_tests::host::{Host, Setup};
use hookhost_tests::http::ask;
use hookhost_tests::publishers::{Plan, Publishers, Tally};
use hookhost_tests::sink::{Answer, Sink};

/// A host with room for few events and requests in memory.
async fn host(sink: &Sink, hooks: &str, data: Option<&std::path::Path>) -> Host {
    let data = data.map_or(String::new(), |data| format!("[data]\ndir = {data:?}\n"));
    let config = format!(
        "{data}[hooks]\nqueue_events = 50\n{hooks}\n[delivery]\nqueue_requests = 50\nretry_max_elapsed_time = \"1h\"\n\
         breaker_pause = \"50ms\"\nbreaker_max_pause = \"200ms\"\n\
         [webhook]\nurls = [{:?}]\n[webhook.rule]\nmessage_publish = [{{ action = \"a\" }}]\n",
        sink.url("/hook")
    );
    Setup::new().config(&config).start().await
}

fn flood() -> Plan {
    Plan {
        window: 500,
        ..Plan::default()
    }
}

fn lost(host: &Host) -> usize {
    let lines = host.log().lines();
    lines.iter().filter(|line| line.contains("event dropped")).count()
}

#[tokio::test]
async fn a_flood_is_slowed_down_to_the_speed_of_the_receiver() {
    let sink = Sink::start().await;
    sink.answer(|_, _| Answer::After(Duration::from_millis(2), 200));
    let mut host = host(&sink, "", None).await;
    let publishers = Publishers::start(host.address, &flood());
    publishers.go_on(3000).await;
    let published = publishers.stop().await;
    let count = published.iter().map(|client| client.count as usize).sum();
    let all = sink.wait_for(count, PATIENCE).await;
    let tally = Tally::of(&published, &numbers(&all));
    println!("without a data folder: {tally}");
    tally.assert_complete();
    assert_eq!((tally.doubled, lost(&host)), (0, 0));
    host.stop().await;
}

#[tokio::test]
async fn a_flood_waits_on_disk_while_the_receiver_is_down() {
    let mut sink = Sink::start().await;
    sink.down().await;
    let data = tempfile::tempdir().unwrap();
    let mut host = host(&sink, "", Some(data.path())).await;
    let publishers = Publishers::start(host.address, &flood());
    publishers.go_on(3000).await;
    let published = publishers.stop().await;
    sink.up();
    let count = published.iter().map(|client| client.count as usize).sum();
    let all = sink.wait_for(count, PATIENCE).await;
    let tally = Tally::of(&published, &numbers(&all));
    println!("with a data folder: {tally}");
    tally.assert_complete();
    assert_eq!((tally.doubled, lost(&host)), (0, 0));
    host.stop().await;
}

#[tokio::test]
async fn a_dead_receiver_holds_a_client_back_once_and_not_longer_than_allowed() {
    const LIMIT: Duration = Duration::from_millis(500);
    let sink = Sink::start().await;
    sink.answer(|_, _| Answer::Hang);
    let host = host(&sink, "overflow_wait = \"500ms\"", None).await;
    let start = Instant::now();
    let flow = Flow::start(host.address, "f", 1, 2000, "t").await;
    flow.go_on(3000).await;
    let sent = flow.stop().await;
    assert!(total(&sent) >= 3000);
    let dropped = |line: &str| line.contains("event dropped") && line.contains("the queue is full");
    host.log().wait("that events are dropped", PATIENCE, dropped).await;
    assert!(sent[0].slowest >= LIMIT, "{sent:?}");
    // Not once for each of the 2,900 events without room.
    assert!(start.elapsed() < 60 * LIMIT, "{:?}", start.elapsed());
    host.process.signal(rustix::process::Signal::KILL);
}

/// One client publishes faster than its requests can go out one after another: the destination names the key.
#[tokio::test]
async fn a_key_that_lags_is_named() {
    let sink = Sink::start().await;
    sink.answer(|_, _| Answer::After(Duration::from_millis(200), 200));
    let data = tempfile::tempdir().unwrap();
    let mut host = host(&sink, "", Some(data.path())).await;
    let flow = Flow::start(host.address, "slow", 1, 2000, "t").await;
    flow.go_on(300).await;
    flow.stop().await;
    sink.wait_for(2, PATIENCE).await;
    let lags = |line: &str| line.contains("requests of one key lag") && line.contains("key=\"slow-0\"");
    host.log().wait("that the key lags", PATIENCE, lags).await;
    let shown = host.ask(&["destinations"]).await;
    assert!(shown.contains("requests with the key slow-0 lag: "), "{shown}");
    let metrics = ask(host.admin.unwrap(), "GET /metrics", "").await.body;
    let lag = metrics.lines().find_map(|line| {
        let (_, value) = line
            .strip_prefix("hookhost_destination_lag_seconds")?
            .rsplit_once(' ')?;
        value.parse::<f64>().ok()
    });
    assert!(lag.is_some_and(|lag| lag > 10.0), "{metrics}");
    sink.answer(|_, _| Answer::Status(200));
    host.stop().await;
}
