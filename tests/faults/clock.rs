//! Clocks that jump.

use hookhost_tests::system::FaultySystem;

use super::modules::replace_module;
use super::*;

const DAY: i64 = 24 * 3600;

/// The clock jumps forward and back while requests wait for retries and while the host starts. No request expires, none is
/// retried too late, and nothing is lost.
#[tokio::test]
async fn a_clock_that_jumps() {
    let system = FaultySystem::new();
    let sink = Sink::start().await;
    sink.answer(|_, earlier| Answer::Status(if earlier % 2 == 0 { 503 } else { 200 }));
    let data = tempfile::tempdir().unwrap();
    let urls = [sink.url("/hook")];
    let start = || system.below(setup(data.path(), &urls, "")).start();
    let mut host = start().await;
    let publishers = Publishers::start(host.address, &Plan::default());
    for days in [1, -1, 400, 0] {
        publishers.go_on(100).await;
        system.set_clock(days * DAY);
        publishers.go_on(100).await;
        replace_module(&host, &urls).await;
        publishers.go_on(100).await;
        kill(&mut host).await;
        host = start().await;
        publishers.move_to(host.address);
        system.set_clock(-days * DAY);
    }
    publishers.go_on(AFTER).await;
    let published = publishers.stop().await;
    let tally = tally(&sink, &published, |_| true).await;
    println!("clock: {tally}");
    tally.assert_complete();
    let metrics = stop_balanced(host, 0).await;
    assert_eq!(metrics.sum("hookhost_dead_requests_total"), 0.0);
}
