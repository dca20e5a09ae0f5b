use std::time::{Duration, Instant};

use super::experiments::{Failure, Form, backlog, devices_by_host, devices_by_partition, failover};

const LEASE: Duration = Duration::from_secs(3);

/// Seeds of each case.
const SEEDS: u64 = 5;

fn form(hosts: usize) -> Form {
    Form {
        hosts,
        partitions: 64,
        lease: LEASE,
    }
}

/// A key changes at most a third of a lease before the failure. Another host sees that within a third, deletes the key a
/// lease later, and the slowest host claims its share another third later. `Stop` needs no lease.
#[test]
fn other_hosts_deliver_all_partitions_within_two_leases_and_never_two_at_a_time() {
    let start = Instant::now();
    for failure in [
        Failure::Kill,
        Failure::Pause,
        Failure::Cut,
        Failure::Stop,
        Failure::Nats,
    ] {
        for hosts in [2, 3, 5] {
            for seed in 0..SEEDS {
                let result = failover(form(hosts), failure, seed, start);
                let limit = if failure == Failure::Stop { LEASE } else { LEASE * 2 };
                let case = format!("{failure:?} {hosts} hosts, seed {seed}: {result:?}");
                assert_eq!(result.doubled, 0, "{case}");
                assert!(result.time.is_some_and(|time| time <= limit), "{case}");
            }
        }
    }
}

#[test]
fn the_same_seed_has_the_same_result() {
    let start = Instant::now();
    let run = |seed| failover(form(3), Failure::Kill, seed, start);
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}

#[test]
fn devices_are_spread_over_partitions_and_hosts() {
    let by_partition = devices_by_partition(10_000, 64);
    assert_eq!(by_partition.iter().sum::<u32>(), 10_000);
    assert!(
        by_partition.iter().all(|devices| (100..220).contains(devices)),
        "{by_partition:?}"
    );
    let by_host = devices_by_host(form(4), &by_partition, 1, Instant::now());
    assert_eq!(by_host.iter().sum::<u32>(), 10_000);
    assert!(
        by_host.iter().all(|devices| (2_200..2_800).contains(devices)),
        "{by_host:?}"
    );
}

/// 600 of 1000 requests a second for a minute are 36,000, and 400 a second are left to send them.
#[test]
fn the_backlog_of_a_minute_is_drained_with_the_capacity_that_is_left() {
    let by_partition = devices_by_partition(10_000, 64);
    let run = |failure| backlog(form(2), failure, &by_partition, (600.0, 500.0), 1, Instant::now());
    let receiver = run(Failure::Receiver);
    assert!((35_000.0..37_000.0).contains(&receiver.highest), "{receiver:?}");
    let drained = receiver.drained.expect("there is capacity left").as_secs();
    assert!((80..110).contains(&drained), "{receiver:?}");
    // One host of two can send 500 of 600 requests a second, after it has taken over.
    let kill = run(Failure::Kill);
    assert!((6_000.0..9_000.0).contains(&kill.highest), "{kill:?}");
    assert!(kill.drained.is_some(), "{kill:?}");
    let overload = backlog(
        form(2),
        Failure::Receiver,
        &by_partition,
        (600.0, 290.0),
        1,
        Instant::now(),
    );
    assert_eq!(overload.drained, None, "the hosts can send less than arrives");
}
