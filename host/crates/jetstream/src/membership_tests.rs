use proptest::prelude::*;

use super::*;
use crate::simulation::bucket::Bucket;

const LEASE: Duration = Duration::from_secs(3);

/// A host whose turns take no time.
struct Host {
    membership: Membership,
    revision: u64,
    /// The last snapshot that it has read, which may be old.
    view: Snapshot,
}

impl Host {
    fn new(id: &str, partitions: u16) -> Host {
        Host {
            membership: Membership::new(id.to_owned(), partitions, LEASE),
            revision: 0,
            view: Snapshot::default(),
        }
    }

    /// One turn of the coordinator; `reads`: whether it sees the current keys.
    fn turn(&mut self, bucket: &mut Bucket, now: Instant, reads: bool) {
        let Some(revision) = bucket.write_host(self.membership.id(), self.revision) else {
            return self.restart();
        };
        self.revision = revision;
        if self.membership.renewed(now, now).is_none() {
            return self.restart();
        }
        if reads {
            self.view = bucket.keys().clone();
        }
        self.membership.observe(&self.view, now);
        for step in self.membership.steps(now) {
            let id = self.membership.id().to_owned();
            match step {
                Step::Remove { host, revision } => {
                    if bucket.delete_host(&host, revision) {
                        self.membership.set_removed(&host);
                    }
                }
                Step::Claim { partition, revision } => {
                    if let Some(revision) = bucket.write_owner(partition, revision, &id) {
                        self.membership.set_owner(partition, revision, &id);
                    }
                }
                Step::GiveUp { partition } => {
                    let known = self.membership.owned()[&partition];
                    if let Some(revision) = bucket.write_owner(partition, known, "") {
                        self.membership.set_owner(partition, revision, "");
                    }
                }
            }
        }
    }

    fn restart(&mut self) {
        let next = format!("{}'", self.membership.id());
        let partitions = u16::try_from(self.membership.partitions.len()).unwrap();
        *self = Host::new(&next, partitions);
    }

    /// The partitions that it may deliver now.
    fn delivers(&self, now: Instant) -> BTreeSet<u16> {
        if self.membership.until.is_none() || self.membership.has_lapsed(now) {
            return BTreeSet::new();
        }
        self.membership.owned().into_keys().collect()
    }
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[test]
fn one_host_takes_all_partitions() {
    let (mut bucket, start) = (Bucket::default(), Instant::now());
    let mut host = Host::new("a", 64);
    host.turn(&mut bucket, start, true);
    assert_eq!(host.delivers(start).len(), 64);
    assert_eq!(host.delivers(start + millis(2499)).len(), 64);
    assert_eq!(host.delivers(start + millis(2500)).len(), 0, "five sixths of the lease");
}

#[test]
fn each_host_gets_its_share() {
    let (mut bucket, start) = (Bucket::default(), Instant::now());
    let mut hosts: Vec<Host> = Vec::new();
    let mut turn = 0;
    for (id, expected) in [("b", vec![64]), ("a", vec![32, 32]), ("c", vec![21, 22, 21])] {
        hosts.push(Host::new(id, 64));
        for _ in 0..5 {
            turn += 1;
            hosts
                .iter_mut()
                .for_each(|host| host.turn(&mut bucket, start + millis(turn * 1000), true));
        }
        let now = start + millis(turn * 1000);
        let counts: Vec<usize> = hosts.iter().map(|host| host.delivers(now).len()).collect();
        assert_eq!(counts, expected);
    }
}

#[test]
fn the_partitions_of_a_host_that_stops_are_taken_over_after_a_lease() {
    let (mut bucket, start) = (Bucket::default(), Instant::now());
    let (mut one, mut two) = (Host::new("a", 8), Host::new("b", 8));
    for turn in 0..3 {
        one.turn(&mut bucket, start + millis(turn * 1000), true);
        two.turn(&mut bucket, start + millis(turn * 1000), true);
    }
    assert_eq!(
        (
            one.delivers(start + millis(2000)).len(),
            two.delivers(start + millis(2000)).len()
        ),
        (4, 4)
    );
    // `one` stops after its renewal at 2 s, which `two` saw at 2 s.
    for (turn, expected) in [(3, 4), (4, 4), (5, 4), (6, 8)] {
        two.turn(&mut bucket, start + millis(turn * 1000), true);
        let now = start + millis(turn * 1000);
        // The step at 5 s removes the key, and the partitions are claimed in the next turn.
        assert_eq!(two.delivers(now).len(), expected, "{turn}");
    }
    // It wakes up: its key is gone, so it starts under another id, without a partition.
    let now = start + millis(7000);
    assert_eq!(one.delivers(now).len(), 0);
    one.turn(&mut bucket, now, true);
    assert_eq!(one.membership.id(), "a'");
    assert_eq!(one.delivers(now).len(), 0);
}

#[test]
fn with_the_default_lease_a_killed_host_is_replaced_within_five_seconds() {
    assert_eq!(super::super::settings::Settings::default().lease, LEASE);
    let turn = LEASE / 3;
    for tenths in 0..10 {
        // When the turns of the other host are, compared with those of the killed one.
        let phase = turn / 10 * tenths;
        let (mut bucket, start) = (Bucket::default(), Instant::now());
        let (mut killed, mut other) = (Host::new("a", 8), Host::new("b", 8));
        for number in 0..4 {
            killed.turn(&mut bucket, start + turn * number, true);
            other.turn(&mut bucket, start + turn * number + phase, true);
        }
        let kill = start + turn * 3;
        assert_eq!(killed.delivers(kill).len(), 4);
        let replaced = (4..).map(|number| start + turn * number + phase).find(|now| {
            // The coordinator claims partitions right after the turn that removes the key of their owner.
            (0..2).for_each(|_| other.turn(&mut bucket, *now, true));
            other.delivers(*now).len() == 8
        });
        let time = replaced.unwrap() - kill;
        assert!(
            time <= LEASE + turn && time < Duration::from_secs(5),
            "{phase:?}: {time:?}"
        );
    }
}

#[test]
fn a_renewal_that_is_confirmed_after_the_end_of_the_lease_does_not_revive_it() {
    let start = Instant::now();
    let mut membership = Membership::new("a".to_owned(), 1, LEASE);
    assert_eq!(
        membership.renewed(start, start + millis(100)),
        Some(start + millis(2500))
    );
    assert_eq!(
        membership.renewed(start + millis(1000), start + millis(2499)),
        Some(start + millis(3500))
    );
    assert_eq!(membership.renewed(start + millis(3400), start + millis(3500)), None);
}

#[test]
fn an_old_view_does_not_undo_what_is_known() {
    let mut membership = Membership::new("a".to_owned(), 1, LEASE);
    membership.set_owner(0, 5, "a");
    membership.set_owner(0, 6, "");
    membership.set_owner(0, 5, "a");
    assert_eq!(membership.owned(), BTreeMap::new());
}

proptest! {
    /// Hosts that run, are paused, and read old keys: no partition is ever delivered by two hosts, and those that run get
    /// all partitions in the end.
    #[test]
    fn no_partition_is_delivered_by_two_hosts(
        turns in proptest::collection::vec((0_usize..4, 0_u64..1500, any::<bool>()), 1..200),
    ) {
        let (mut bucket, start) = (Bucket::default(), Instant::now());
        let mut hosts: Vec<Host> = ["a", "b", "c", "d"].iter().map(|id| Host::new(id, 10)).collect();
        let mut at = 0;
        for (host, wait, reads) in turns {
            at += wait;
            let now = start + millis(at);
            hosts[host].turn(&mut bucket, now, reads);
            let mut all = BTreeSet::new();
            for host in &hosts {
                for partition in host.delivers(now) {
                    prop_assert!(all.insert(partition), "{partition} is delivered twice at {at} ms");
                }
            }
        }
        for _ in 0..20 {
            at += 500;
            for host in &mut hosts[..2] {
                host.turn(&mut bucket, start + millis(at), true);
            }
        }
        let now = start + millis(at);
        let delivered: usize = hosts.iter().map(|host| host.delivers(now).len()).sum();
        prop_assert_eq!(delivered, 10);
        prop_assert!(hosts[..2].iter().all(|host| host.delivers(now).len() == 5));
    }
}

#[test]
fn the_next_turn_begins_when_the_key_of_another_host_is_too_old() {
    let start = Instant::now();
    let mut membership = Membership::new("a".to_owned(), 1, LEASE);
    assert_eq!(membership.next_turn(start, start), start + LEASE / 3);
    let mut snapshot = Snapshot::default();
    snapshot.hosts.insert("b".to_owned(), 1);
    membership.observe(&snapshot, start);
    for (began, next) in [(100, 1100), (1900, 2900), (2500, 3000), (3000, 4000)] {
        let began = start + millis(began);
        assert_eq!(membership.next_turn(began, began), start + millis(next));
    }
}
