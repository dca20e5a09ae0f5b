//! Hosts whose clocks differ.

use std::path::Path;

use hookhost_tests::PATIENCE;
use hookhost_tests::flow::Flow;
use hookhost_tests::host::Setup;
use hookhost_tests::nats::Nats;
use hookhost_tests::sink::Sink;
use rustix::process::Signal;

use super::{assert_all_in_order, config};

/// Debian's package `faketime` has it.
const FAKETIME: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1";

/// The host's clock shows another time: such as `+60s`, or the right one with an empty text. Its monotonic clock is right.
pub(super) fn with_clock(setup: Setup, clock: &str) -> Setup {
    if clock.is_empty() {
        return setup;
    }
    setup
        .env("LD_PRELOAD", FAKETIME)
        .env("FAKETIME", clock)
        .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
}

/// Returns false, with a visible message, if the clock of a host cannot be changed.
pub(super) fn can_change_clocks() -> bool {
    let is_installed = Path::new(FAKETIME).exists();
    if !is_installed {
        eprintln!("SKIPPED: the clocks of hosts are not changed without Debian's package faketime");
    }
    is_installed
}

/// Two hosts share the work, and the one whose clock is ahead is killed under load.
#[tokio::test]
async fn hosts_whose_clocks_differ_by_a_minute_share_the_work_and_take_over() {
    if !can_change_clocks() {
        return;
    }
    let Some(nats) = Nats::start(1).await else { return };
    let sink = Sink::start().await;
    // Shorter than the difference of the clocks, and so long that a busy machine does not miss it.
    let config = config(&nats, &sink, "").replace("lease = \"1s\"", "lease = \"10s\"");
    let host = |clock| with_clock(Setup::new().config(&config), clock).start();
    let mut ahead = host("+60s").await;
    let mut right = host("").await;
    let share = |line: &str| line.contains("partitions=32");
    ahead.log().wait("its share", PATIENCE, share).await;
    right.log().wait("its share", PATIENCE, share).await;
    let flow = Flow::start(right.address, "f", 20, 400, "t").await;
    flow.go_on(400).await;
    // No host takes the other one for stopped.
    for host in [&ahead, &right] {
        let lines = host.log().lines();
        let stopped =
            |line: &&String| line.contains("a host has stopped") || line.contains("did not confirm the lease");
        assert_eq!(lines.iter().find(stopped), None);
    }
    ahead.process.signal(Signal::KILL);
    ahead.process.wait(PATIENCE).await;
    let takes_over = |line: &str| line.contains("a host has stopped");
    right.log().wait("the take-over", PATIENCE, takes_over).await;
    flow.go_on(400).await;
    let sent = flow.stop().await;
    assert_all_in_order(&sink, &sent).await;
    right.stop().await;
}
