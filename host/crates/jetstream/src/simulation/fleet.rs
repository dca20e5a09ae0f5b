//! The hosts of a simulation, NATS, and the queue of events.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use fastrand::Rng;

use super::bucket::Bucket;
use super::host::{Answer, Event, Events, Host, Purpose, Request, Writes};

/// One read in this number comes from a server that lags.
const READS_PER_OLD_READ: usize = 20;

/// The hosts, NATS and the time.
pub(crate) struct Fleet {
    now: Instant,
    partitions: u16,
    lease: Duration,
    bucket: Bucket,
    hosts: Vec<Host>,
    /// The events to come by time; the number keeps those of one time in order.
    queue: BTreeMap<(Instant, u64), (usize, Event)>,
    events: u64,
    random: Rng,
    doubled: usize,
}

impl Fleet {
    /// A fleet without hosts.
    pub(crate) fn new(partitions: u16, lease: Duration, seed: u64, start: Instant) -> Fleet {
        Fleet {
            now: start,
            partitions,
            lease,
            bucket: Bucket::default(),
            hosts: Vec::new(),
            queue: BTreeMap::new(),
            events: 0,
            random: Rng::with_seed(seed),
            doubled: 0,
        }
    }

    /// The simulated time.
    pub(crate) fn now(&self) -> Instant {
        self.now
    }

    /// How often two hosts could send the requests of one partition at the same time. It has to be 0.
    pub(crate) fn doubled(&self) -> usize {
        self.doubled
    }

    /// Starts a host. Returns its number.
    pub(crate) fn start(&mut self) -> usize {
        let random = self.random.fork();
        self.hosts.push(Host::new(self.partitions, self.lease, random));
        let host = self.hosts.len() - 1;
        self.schedule(host, vec![(Duration::ZERO, Event::Turn)]);
        host
    }

    /// Kills a host.
    pub(crate) fn kill(&mut self, host: usize) {
        self.hosts[host].is_dead = true;
    }

    /// Stops a host in order.
    pub(crate) fn stop(&mut self, host: usize) {
        let last = self.hosts[host].stop();
        self.schedule(host, last);
    }

    /// Pauses a host for this time: it does nothing, and what it has sent arrives.
    pub(crate) fn pause(&mut self, host: usize, time: Duration) {
        self.hosts[host].paused_until = Some(self.now + time);
    }

    /// Cuts a host off from NATS for this time.
    pub(crate) fn cut(&mut self, host: usize, time: Duration) {
        self.hosts[host].cut_until = Some(self.now + time);
    }

    /// Cuts all hosts off from NATS for this time.
    pub(crate) fn cut_all(&mut self, time: Duration) {
        (0..self.hosts.len()).for_each(|host| self.cut(host, time));
    }

    /// Lets this time pass.
    pub(crate) fn run_for(&mut self, time: Duration) {
        let end = self.now + time;
        while self.next_is_before(end) {
            self.step();
        }
        self.now = end;
    }

    /// Lets time pass until the hosts that send the requests of the partitions fulfil a condition. Returns the time that
    /// it took; `None` if it is longer than `limit`.
    pub(crate) fn run_until(
        &mut self,
        limit: Duration,
        condition: impl Fn(&[Option<usize>]) -> bool,
    ) -> Option<Duration> {
        let begin = self.now;
        while !condition(&self.owners()) {
            if !self.next_is_before(begin + limit) {
                return None;
            }
            self.step();
        }
        Some(self.now - begin)
    }

    /// The host that sends the requests of each partition now.
    pub(crate) fn owners(&self) -> Vec<Option<usize>> {
        let mut owners = vec![None; usize::from(self.partitions)];
        for (number, host) in self.hosts.iter().enumerate() {
            if !host.is_paused(self.now) {
                host.serves(self.now)
                    .for_each(|partition| owners[usize::from(partition)] = Some(number));
            }
        }
        owners
    }

    fn next_is_before(&self, end: Instant) -> bool {
        self.queue.first_key_value().is_some_and(|((at, _), _)| *at <= end)
    }

    /// Handles the next event.
    fn step(&mut self) {
        let Some(((at, _), (number, event))) = self.queue.pop_first() else {
            return;
        };
        self.now = self.now.max(at);
        if let Event::Request(request, content) = event {
            if !self.hosts[number].is_cut(self.now) {
                let answer = self.answer(content);
                let way = self.hosts[number].way();
                self.schedule(number, vec![(way, Event::Answer(request, answer))]);
            }
            return;
        }
        let host = &mut self.hosts[number];
        let is_lost = matches!(event, Event::Answer(..)) && host.is_cut(self.now);
        if host.is_dead || is_lost {
            return;
        }
        if let Some(until) = host.paused_until.filter(|until| self.now < *until) {
            let wait = until - self.now;
            return self.schedule(number, vec![(wait, event)]);
        }
        let may_add = matches!(event, Event::Opened(_) | Event::Answer(_, Answer::Written(_)));
        let following = host.on(event, self.now);
        self.schedule(number, following);
        if may_add {
            self.count_doubled(number);
        }
    }

    /// What NATS does with a request.
    fn answer(&mut self, request: Request) -> Answer {
        match request {
            Request::Prepare => Answer::Prepared,
            Request::Forget { id, revision } => {
                self.bucket.delete_host(&id, revision);
                Answer::Forgotten
            }
            Request::Renew { id, revision, sent } => Answer::Renewed {
                sent,
                revision: self.bucket.write_host(&id, revision),
            },
            Request::Read(purpose) => Answer::Keys(purpose, self.read(purpose)),
            Request::Write(writes) => Answer::Written(self.write(writes)),
        }
    }

    fn read(&mut self, purpose: Purpose) -> super::super::membership::Snapshot {
        let is_old = self.random.usize(..READS_PER_OLD_READ) == 0;
        match purpose {
            Purpose::Follow(_) if is_old => self.bucket.keys_before(self.random.usize(1..5)).clone(),
            Purpose::Follow(_) | Purpose::OwnKey => self.bucket.keys().clone(),
        }
    }

    /// Returns the writes that matched, with the new revisions.
    fn write(&mut self, writes: Writes) -> Writes {
        let mut written = Writes {
            round: writes.round,
            ..Writes::default()
        };
        for (host, revision) in writes.removals {
            if self.bucket.delete_host(&host, revision) {
                written.removals.push((host, revision));
            }
        }
        for (partition, revision, owner) in writes.owners {
            if let Some(revision) = self.bucket.write_owner(partition, revision, &owner) {
                written.owners.push((partition, revision, owner));
            }
        }
        written
    }

    fn count_doubled(&mut self, number: usize) {
        let own: BTreeSet<u16> = self.hosts[number].serves(self.now).collect();
        let others = self.hosts.iter().enumerate().filter(|(other, _)| *other != number);
        let doubled = others
            .flat_map(|(_, host)| host.serves(self.now))
            .filter(|other| own.contains(other));
        self.doubled += doubled.count();
    }

    fn schedule(&mut self, host: usize, events: Events) {
        for (wait, event) in events {
            self.events += 1;
            self.queue.insert((self.now + wait, self.events), (host, event));
        }
    }
}
