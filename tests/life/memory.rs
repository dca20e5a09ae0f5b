//! The memory of clients that send nothing.

use std::time::{Duration, Instant};

use hookhost_tests::host::Setup;
use hookhost_tests::raw::Raw;
use hookhost_tests::{PATIENCE, Version, raise_file_limit};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_of_clients_that_have_left_is_given_back() {
    const CLIENTS: u64 = 1000;
    raise_file_limit();
    let mut host = Setup::new().start().await;
    let before = host.resident();
    let mut clients = Vec::new();
    for number in 0..CLIENTS {
        clients.push(Raw::client(host.address, Version::V311, &format!("idle-{number}")).await);
    }
    let grown = host.resident().saturating_sub(before);
    drop(clients);
    let start = Instant::now();
    let mut kept = grown;
    while kept > grown / 2 {
        assert!(
            start.elapsed() < PATIENCE,
            "{CLIENTS} clients took {grown} kB, of which {kept} kB are kept"
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
        kept = host.resident().saturating_sub(before);
    }
    println!(
        "{CLIENTS} clients took {grown} kB; {kept} kB were left after {:?}",
        start.elapsed()
    );
    assert!(grown < CLIENTS * 40, "{CLIENTS} clients took {grown} kB");
    host.stop().await;
}
