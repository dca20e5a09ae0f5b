//! One host of a simulation: what the coordinator and the reader do, with events instead of waits. A turn renews the lease
//! first, with the time limits of `renewal.rs`, and the rest of a turn ends after a third of the lease, as in `coordinator.rs`.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::time::{Duration, Instant};

use fastrand::Rng;

use super::super::membership::{MAX_FOLLOWING_TURNS, Membership, Snapshot, Step};

/// How long a request or its answer is under way, in microseconds.
const WAY_MICROS: Range<u64> = 150..2_500;

/// After this time without an answer a request has failed, as in `api.rs`, unless its limit is shorter.
const TIMEOUT: Duration = Duration::from_secs(2);

/// How long the reader needs for another consumer, in milliseconds.
const OPEN_MILLIS: Range<u64> = 5..100;

/// How long the attempts of a partition still take when it is given up, in milliseconds.
const ATTEMPT_MILLIS: Range<u64> = 1..500;

/// What happens to a host after a time.
pub(super) enum Event {
    /// The coordinator begins a turn.
    Turn,
    /// A request reaches NATS. The number is that of [`Host::request`].
    Request(u64, Request),
    /// Its answer reaches the host.
    Answer(u64, Answer),
    /// The request has failed if there was no answer.
    Timeout(u64),
    /// The reader has a consumer for the partitions of this change.
    Opened(u64),
}

/// A request to NATS.
pub(super) enum Request {
    /// Create what is missing, after a turn that has failed.
    Prepare,
    /// Delete the key of an id that is not used any longer.
    Forget { id: String, revision: u64 },
    /// Write the key of the host.
    Renew { id: String, revision: u64, sent: Instant },
    /// Read all keys.
    Read(Purpose),
    /// Delete the keys of other hosts, and write owners.
    Write(Writes),
}

/// Why the keys are read.
#[derive(Clone, Copy)]
pub(super) enum Purpose {
    /// To find the key of this host, after a renewal that did not match.
    OwnKey,
    /// To follow them, for this time in one turn.
    Follow(usize),
}

/// Writes of one turn.
#[derive(Default)]
pub(super) struct Writes {
    pub(super) removals: Vec<(String, u64)>,
    /// Partitions with the revisions of their keys and the owners to write.
    pub(super) owners: Vec<(u16, u64, String)>,
    pub(super) round: usize,
}

/// The answer to a request.
pub(super) enum Answer {
    Prepared,
    Forgotten,
    Renewed {
        sent: Instant,
        revision: Option<u64>,
    },
    Keys(Purpose, Snapshot),
    /// The writes that matched, with the new revisions of the owners.
    Written(Writes),
}

/// A host.
pub(super) struct Host {
    membership: Membership,
    partitions: u16,
    lease: Duration,
    revision: u64,
    previous: Option<(String, u64)>,
    claims_from: Option<Instant>,
    /// When the turn has begun, and whether it has failed.
    began: Option<Instant>,
    has_failed: bool,
    /// Partitions that are given up, and when their attempts end.
    leaving: BTreeMap<u16, Instant>,
    /// The partitions that the reader shall read, and how often they have changed.
    assigned: BTreeSet<u16>,
    changes: u64,
    /// The partitions of its consumer.
    reading: BTreeSet<u16>,
    /// The number of the last request, which waits for its answer unless it is answered.
    request: u64,
    is_answered: bool,
    random: Rng,
    pub(super) is_dead: bool,
    pub(super) paused_until: Option<Instant>,
    pub(super) cut_until: Option<Instant>,
}

/// Events of this host, each after a time.
pub(super) type Events = Vec<(Duration, Event)>;

impl Host {
    pub(super) fn new(partitions: u16, lease: Duration, mut random: Rng) -> Host {
        Host {
            membership: Membership::new(id(&mut random), partitions, lease),
            partitions,
            lease,
            revision: 0,
            previous: None,
            claims_from: None,
            began: None,
            has_failed: false,
            leaving: BTreeMap::new(),
            assigned: BTreeSet::new(),
            changes: 0,
            reading: BTreeSet::new(),
            request: 0,
            is_answered: true,
            random,
            is_dead: false,
            paused_until: None,
            cut_until: None,
        }
    }

    /// The partitions whose requests it may send at this time.
    pub(super) fn serves(&self, now: Instant) -> impl Iterator<Item = u16> {
        let is_valid = !self.is_dead && !self.membership.has_lapsed(now);
        let served = is_valid.then(|| self.assigned.intersection(&self.reading).copied());
        served.into_iter().flatten()
    }

    /// Returns whether it is stopped with SIGSTOP at this time.
    pub(super) fn is_paused(&self, now: Instant) -> bool {
        self.paused_until.is_some_and(|until| now < until)
    }

    /// Returns whether it cannot reach NATS at this time.
    pub(super) fn is_cut(&self, now: Instant) -> bool {
        self.cut_until.is_some_and(|until| now < until)
    }

    /// How long the way of an answer takes.
    pub(super) fn way(&mut self) -> Duration {
        Duration::from_micros(self.random.u64(WAY_MICROS))
    }

    /// Does what an event causes, except for requests, which are those of NATS. Returns what follows.
    pub(super) fn on(&mut self, event: Event, now: Instant) -> Events {
        match event {
            Event::Turn => self.begin(now),
            Event::Opened(changes) => {
                if changes == self.changes {
                    self.reading = self.assigned.clone();
                }
                Vec::new()
            }
            Event::Timeout(number) if number == self.request && !self.is_answered => {
                if std::mem::replace(&mut self.has_failed, true) {
                    return self.wait(now);
                }
                self.send(Request::Prepare, self.lease / 3)
            }
            Event::Answer(number, answer) if number == self.request && !self.is_answered => {
                self.is_answered = true;
                self.answered(answer, now)
            }
            Event::Timeout(_) | Event::Answer(..) | Event::Request(..) => Vec::new(),
        }
    }

    /// Ends in order. Returns its last request.
    pub(super) fn stop(&mut self) -> Events {
        let free = |(partition, revision)| (partition, revision, String::new());
        let writes = Writes {
            removals: vec![(self.membership.id().to_owned(), self.revision)],
            owners: self.membership.owned().into_iter().map(free).collect(),
            round: 0,
        };
        self.is_dead = true;
        let attempts = Duration::from_millis(self.random.u64(ATTEMPT_MILLIS));
        vec![(attempts, Event::Request(0, Request::Write(writes)))]
    }

    fn begin(&mut self, now: Instant) -> Events {
        (self.began, self.has_failed) = (Some(now), false);
        if self.membership.has_lapsed(now) {
            self.lapse();
        }
        self.renew(now)
    }

    fn renew(&mut self, now: Instant) -> Events {
        let renew = Request::Renew {
            id: self.membership.id().to_owned(),
            revision: self.revision,
            sent: now,
        };
        self.send(renew, self.lease / 3)
    }

    /// The end of the turn: the next renewal must not wait for what follows the last one.
    fn end_of_turn(&self, now: Instant) -> Instant {
        self.began.unwrap_or(now) + self.lease / 3
    }

    /// Makes a request that follows the renewal.
    fn work(&mut self, request: Request, now: Instant) -> Events {
        let limit = self.end_of_turn(now).saturating_duration_since(now);
        self.send(request, limit.min(TIMEOUT))
    }

    fn answered(&mut self, answer: Answer, now: Instant) -> Events {
        match answer {
            Answer::Prepared => self.wait(now),
            Answer::Forgotten => {
                self.previous = None;
                self.work(Request::Read(Purpose::Follow(0)), now)
            }
            Answer::Renewed { revision: None, .. } => self.send(Request::Read(Purpose::OwnKey), TIMEOUT),
            Answer::Renewed {
                sent,
                revision: Some(revision),
            } => {
                self.revision = revision;
                if self.membership.renewed(sent, now).is_none() {
                    self.lapse();
                    return self.wait(now);
                }
                match self.previous.clone() {
                    Some((id, revision)) => self.work(Request::Forget { id, revision }, now),
                    None => self.work(Request::Read(Purpose::Follow(0)), now),
                }
            }
            Answer::Keys(Purpose::OwnKey, keys) => {
                match keys.hosts.get(self.membership.id()) {
                    Some(revision) if !self.membership.has_lapsed(now) => {
                        self.revision = *revision;
                        return self.renew(now);
                    }
                    Some(_) => self.lapse(),
                    None => {
                        self.lapse();
                        self.claims_from = Some(now + self.lease);
                    }
                }
                self.wait(now)
            }
            Answer::Keys(Purpose::Follow(round), keys) => self.follow(&keys, round, now),
            Answer::Written(writes) => {
                for (host, _) in &writes.removals {
                    self.membership.set_removed(host);
                }
                for (partition, revision, owner) in &writes.owners {
                    self.membership.set_owner(*partition, *revision, owner);
                    self.leaving.remove(partition);
                }
                let mut events = self.assign();
                let is_last = writes.removals.is_empty() || writes.round + 1 == MAX_FOLLOWING_TURNS;
                events.extend(if is_last {
                    self.wait(now)
                } else {
                    self.work(Request::Read(Purpose::Follow(writes.round + 1)), now)
                });
                events
            }
        }
    }

    fn follow(&mut self, keys: &Snapshot, round: usize, now: Instant) -> Events {
        self.membership.observe(keys, now);
        let mut writes = Writes {
            round,
            ..Writes::default()
        };
        for step in self.membership.steps(now) {
            match step {
                Step::Remove { host, revision } => writes.removals.push((host, revision)),
                Step::Claim { .. } if self.claims_from.is_some_and(|from| now < from) => {}
                Step::Claim { partition, revision } => {
                    let id = self.membership.id().to_owned();
                    writes.owners.push((partition, revision, id));
                }
                Step::GiveUp { partition } => {
                    let attempts = Duration::from_millis(self.random.u64(ATTEMPT_MILLIS));
                    self.leaving.insert(partition, now + attempts);
                }
            }
        }
        let owned = self.membership.owned();
        self.leaving.retain(|partition, _| owned.contains_key(partition));
        for (partition, idle) in &self.leaving {
            if now >= *idle && !self.reading.contains(partition) {
                writes.owners.push((*partition, owned[partition], String::new()));
            }
        }
        let mut events = self.assign();
        events.extend(if writes.removals.is_empty() && writes.owners.is_empty() {
            self.wait(now)
        } else {
            self.work(Request::Write(writes), now)
        });
        events
    }

    fn assign(&mut self) -> Events {
        let owned = self.membership.owned().into_keys();
        let assigned = owned
            .filter(|partition| !self.leaving.contains_key(partition))
            .collect();
        if assigned == self.assigned {
            return Vec::new();
        }
        self.assigned = assigned;
        self.changes += 1;
        let open = Duration::from_millis(self.random.u64(OPEN_MILLIS));
        vec![(open, Event::Opened(self.changes))]
    }

    fn lapse(&mut self) {
        let next = Membership::new(id(&mut self.random), self.partitions, self.lease);
        let previous = std::mem::replace(&mut self.membership, next);
        self.previous = Some((previous.id().to_owned(), self.revision));
        self.revision = 0;
        self.leaving.clear();
        self.assigned.clear();
        self.reading.clear();
        self.changes += 1;
    }

    fn wait(&mut self, now: Instant) -> Events {
        self.is_answered = true;
        let next = self.membership.next_turn(self.began.unwrap_or(now), now);
        vec![(next.saturating_duration_since(now), Event::Turn)]
    }

    /// Makes a request that fails without an answer within `limit`.
    fn send(&mut self, request: Request, limit: Duration) -> Events {
        self.request += 1;
        self.is_answered = false;
        let request = Event::Request(self.request, request);
        vec![(self.way(), request), (limit, Event::Timeout(self.request))]
    }
}

fn id(random: &mut Rng) -> String {
    format!("{:016x}", random.u64(..))
}
