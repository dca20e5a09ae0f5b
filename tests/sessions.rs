//! Sessions and retained messages over crashes of the real binary.

use hookhost_tests::crash::{Counts, Crash};

#[tokio::test]
async fn what_was_acknowledged_survives_a_kill_under_load_in_order_and_once() {
    hookhost_tests::raise_file_limit();
    let crash = Crash {
        sessions: 34,
        publishers: 8,
        messages: 500,
    };
    let counts = crash.run().await;
    eprintln!("{counts:?}");
    let Counts {
        lost,
        sessions_lost,
        out_of_order,
        doubled,
        acknowledged,
        ..
    } = counts;
    assert!(acknowledged >= 500);
    assert_eq!((lost, sessions_lost, out_of_order, doubled), (0, 0, 0, 0));
}
