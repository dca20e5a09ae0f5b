//! What is measured in a simulation: the time of a failover, the skew over partitions and hosts, and the backlog of an
//! outage.

use std::time::{Duration, Instant};

use super::super::partition::partition;
use super::fleet::Fleet;
use super::load::Load;

/// How long an outage, a pause or a cut lasts.
pub(crate) const OUTAGE: Duration = Duration::from_secs(60);

/// The time in which hosts find their shares, and after which something counts as never.
const LIMIT: Duration = Duration::from_secs(600);

/// The time between two looks at the load.
const STEP: Duration = Duration::from_millis(50);

/// What fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    /// A host ends without a word.
    Kill,
    /// A host does nothing for [`OUTAGE`].
    Pause,
    /// A host cannot reach NATS for [`OUTAGE`].
    Cut,
    /// A host is stopped in order.
    Stop,
    /// No host can reach NATS for [`OUTAGE`].
    Nats,
    /// The receiver accepts nothing for [`OUTAGE`].
    Receiver,
}

/// The form of a fleet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Form {
    pub(crate) hosts: usize,
    pub(crate) partitions: u16,
    pub(crate) lease: Duration,
}

impl Form {
    /// A fleet in which the hosts have found their shares.
    fn fleet(self, seed: u64, start: Instant) -> Fleet {
        let mut fleet = Fleet::new(self.partitions, self.lease, seed, start);
        let mut random = fastrand::Rng::with_seed(seed ^ 1);
        for _ in 0..self.hosts {
            fleet.start();
            fleet.run_for(self.lease.mul_f64(random.f64()));
        }
        fleet.run_for(self.lease * 10 + self.lease.mul_f64(random.f64()));
        fleet
    }
}

/// The result of one failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Failover {
    /// From the failure, or from the end of an outage of NATS, until other hosts send the requests of all partitions.
    /// `None`: never.
    pub(crate) time: Option<Duration>,
    /// How often two hosts could send the requests of one partition, also after the failure is over. It has to be 0.
    pub(crate) doubled: usize,
}

/// Lets the first host of a fleet fail.
pub(crate) fn failover(form: Form, failure: Failure, seed: u64, start: Instant) -> Failover {
    let mut fleet = form.fleet(seed, start);
    fail(&mut fleet, failure);
    let is_nats = failure == Failure::Nats;
    if is_nats {
        fleet.run_for(OUTAGE);
    }
    let time = fleet.run_until(LIMIT, |owners| {
        owners
            .iter()
            .all(|owner| owner.is_some_and(|owner| owner != 0 || is_nats))
    });
    // The host wakes up or reaches NATS again, and gets a share.
    fleet.run_for(OUTAGE + form.lease * 4);
    Failover {
        time,
        doubled: fleet.doubled(),
    }
}

fn fail(fleet: &mut Fleet, failure: Failure) {
    match failure {
        Failure::Kill => fleet.kill(0),
        Failure::Pause => fleet.pause(0, OUTAGE),
        Failure::Cut => fleet.cut(0, OUTAGE),
        Failure::Stop => fleet.stop(0),
        Failure::Nats => fleet.cut_all(OUTAGE),
        Failure::Receiver => {}
    }
}

/// The number of devices in each partition.
pub(crate) fn devices_by_partition(devices: u32, partitions: u16) -> Vec<u32> {
    let mut counts = vec![0; usize::from(partitions)];
    for device in 0..devices {
        counts[usize::from(partition(
            &format!("device-{device}"),
            "https://example.com",
            partitions,
        ))] += 1;
    }
    counts
}

/// The number of devices of each host, when the hosts have found their shares.
pub(crate) fn devices_by_host(form: Form, by_partition: &[u32], seed: u64, start: Instant) -> Vec<u32> {
    let mut counts = vec![0; form.hosts];
    for (owner, devices) in form.fleet(seed, start).owners().into_iter().zip(by_partition) {
        if let Some(owner) = owner {
            counts[owner] += devices;
        }
    }
    counts
}

/// The backlog of a failure.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Backlog {
    /// The highest number of requests that wait.
    pub(crate) highest: f64,
    /// From the end of the outage until no more than the requests of a second wait. `None`: never.
    pub(crate) drained: Option<Duration>,
}

/// Lets a failure last for [`OUTAGE`], while devices send `rate` requests a second in all, and a host can send `capacity`
/// requests a second. A host that was killed is started again after it.
pub(crate) fn backlog(
    form: Form,
    failure: Failure,
    by_partition: &[u32],
    (rate, capacity): (f64, f64),
    seed: u64,
    start: Instant,
) -> Backlog {
    let mut fleet = form.fleet(seed, start);
    let devices: u32 = by_partition.iter().sum();
    let rates = by_partition
        .iter()
        .map(|own| f64::from(*own) / f64::from(devices) * rate);
    let mut load = Load::new(rates.collect(), capacity);
    let (mut highest, over) = (0.0_f64, fleet.now() + OUTAGE);
    fail(&mut fleet, failure);
    let mut is_over = false;
    while fleet.now() < over + LIMIT {
        fleet.run_for(STEP);
        let mut owners = fleet.owners();
        if failure == Failure::Receiver && !is_over {
            owners.fill(None);
        }
        load.pass(STEP, &owners);
        highest = highest.max(load.waiting());
        if is_over && load.waiting() <= rate {
            let drained = Some(fleet.now() - over);
            return Backlog { highest, drained };
        }
        if !is_over && fleet.now() >= over {
            is_over = true;
            if matches!(failure, Failure::Kill | Failure::Stop) {
                fleet.start();
            }
        }
    }
    let drained = None;
    Backlog { highest, drained }
}
