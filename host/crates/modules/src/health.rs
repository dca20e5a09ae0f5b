//! Decides whether a generation works: when it is rolled back, and when it has to pause.
//!
//! Pure: the caller passes the events and the time.
//!
//! Only a **failed** event counts. The module trapped on it or timed out, twice, the second time alone in its call and
//! in a new instance. An event to which the module returns an outcome, even `fail`, is **handled**, and ends the run of
//! failures. So occasional bad events never affect other events, however many there are.
//!
//! A **run** is too long when it has
//!
//! - [`EVENTS`] events, if the generation has handled nothing so far, or nothing since its last pause;
//! - events of [`CLIENTS`] clients, or [`EVENTS_OF_FEW`] events, if it has: the failing events of one client must not
//!   stop a working module.
//!
//! The same applies if no instance can be made, [`ATTEMPTS`] times in a row. The module then rolls back if there is an
//! earlier generation. Else it pauses, 100 ms at first and each time twice as long, up to 30 s. After a healthy minute
//! the pause starts at 100 ms again. A new run follows every pause, and its events are handled normally.

use std::time::{Duration, Instant};

use smallvec::SmallVec;

use hookhost_event::ByteString;

/// Failed events in a row that a generation may have before it has handled any event.
pub(super) const EVENTS: usize = 5;
/// Clients whose events may fail in a row in a working generation.
pub(super) const CLIENTS: usize = 5;
/// Failed events in a row of fewer clients that a working generation may have.
pub(super) const EVENTS_OF_FEW: usize = 50;
/// Attempts in a row to make an instance before a generation is rolled back.
pub(super) const ATTEMPTS: u32 = 3;

/// The state of a generation when it becomes active.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct InitialHealth {
    pub(super) generation: u32,
    /// Whether it has handled events before: it was activated by a rollback.
    pub(super) proven: bool,
    /// Whether there is a generation to roll back to.
    pub(super) predecessor: bool,
}

/// The action after a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// No action.
    GoOn,
    /// Roll back to the previous generation. Returned once.
    RollBack,
    /// Handle no event before this time is over.
    Pause(Duration),
}

/// The health of the active generation, over all workers. Reports about another generation are ignored, because a
/// worker may be late.
#[derive(Debug)]
pub(super) struct Health {
    initial: InitialHealth,
    /// It has handled an event, at any time.
    handled: bool,
    /// Failed events since one was handled, or since the last pause.
    run: Run,
    backoff: Backoff,
    pause: Option<Instant>,
    /// It has paused, and has handled nothing since.
    backing_off: bool,
}

#[derive(Debug, Default)]
struct Run {
    events: usize,
    /// The clients of these events, at most as many as the decision needs.
    clients: SmallVec<[ByteString; CLIENTS]>,
}

impl Health {
    pub(super) fn new(initial: InitialHealth) -> Health {
        Health {
            initial,
            handled: initial.proven,
            run: Run::default(),
            backoff: Backoff::new(),
            pause: None,
            backing_off: false,
        }
    }

    /// Records a handled event. Returns whether that ends the backoff.
    pub(super) fn handled(&mut self, generation: u32, now: Instant) -> bool {
        if generation != self.initial.generation {
            return false;
        }
        (self.handled, self.initial.proven) = (true, true);
        self.run = Run::default();
        self.pause = None;
        self.backoff.recover(now);
        std::mem::take(&mut self.backing_off)
    }

    /// Records a failed event of this client.
    pub(super) fn failed(&mut self, generation: u32, client: &ByteString, now: Instant) -> Verdict {
        if generation != self.initial.generation {
            return Verdict::GoOn;
        }
        if self.left(now).is_some() {
            // Another worker's call was already running when the pause began.
            return Verdict::GoOn;
        }
        self.run.add(client);
        if !self.run.is_too_long(self.initial.proven) {
            return Verdict::GoOn;
        }
        if std::mem::take(&mut self.initial.predecessor) {
            return Verdict::RollBack;
        }
        self.run = Run::default();
        self.initial.proven = false;
        self.backing_off = true;
        let time = self.backoff.fail(now);
        self.pause = Some(now + time);
        Verdict::Pause(time)
    }

    /// Records that a worker could not make an instance, `attempts` times in a row. The delay of that worker is its
    /// own: other workers may have working instances.
    pub(super) fn unmade(&mut self, generation: u32, attempts: u32) -> Verdict {
        let gives_up = generation == self.initial.generation && attempts >= ATTEMPTS;
        if gives_up && std::mem::take(&mut self.initial.predecessor) {
            Verdict::RollBack
        } else {
            Verdict::GoOn
        }
    }

    /// How long a worker has to wait before it handles an event.
    pub(super) fn pause(&self, generation: u32, now: Instant) -> Option<Duration> {
        self.left(now).filter(|_| generation == self.initial.generation)
    }

    /// Whether it has paused and handled nothing since.
    pub(super) fn is_backing_off(&self) -> bool {
        self.backing_off
    }

    /// Whether another generation could be rolled back to this one.
    pub(super) fn is_good(&self) -> bool {
        self.handled && !self.backing_off
    }

    /// Whether there is nothing to record: the next handled event changes nothing.
    pub(super) fn is_calm(&self) -> bool {
        self.handled && self.initial.proven && self.run.events == 0 && !self.backing_off
    }

    /// Events of the run.
    pub(super) fn run(&self) -> usize {
        self.run.events
    }

    fn left(&self, now: Instant) -> Option<Duration> {
        self.pause?.checked_duration_since(now).filter(|left| !left.is_zero())
    }
}

impl Run {
    fn add(&mut self, client: &ByteString) {
        self.events += 1;
        if self.clients.len() < CLIENTS && !self.clients.contains(client) {
            self.clients.push(client.clone());
        }
    }

    fn is_too_long(&self, proven: bool) -> bool {
        if proven {
            self.clients.len() >= CLIENTS || self.events >= EVENTS_OF_FEW
        } else {
            self.events >= EVENTS
        }
    }
}

/// The delay after each failure in a row.
#[derive(Debug)]
pub(super) struct Backoff {
    next: Duration,
    /// The time since which it works, if it does.
    well_since: Option<Instant>,
}

impl Backoff {
    pub(super) const FIRST: Duration = Duration::from_millis(100);
    const LONGEST: Duration = Duration::from_secs(30);
    /// Time without failures after which the next failure counts as the first one.
    const HEALTHY: Duration = Duration::from_secs(60);

    pub(super) fn new() -> Backoff {
        Backoff {
            next: Self::FIRST,
            well_since: None,
        }
    }

    /// Records a failure. Returns the delay.
    pub(super) fn fail(&mut self, now: Instant) -> Duration {
        let well = self.well_since.take().map(|since| now.saturating_duration_since(since));
        if well.is_some_and(|time| time >= Self::HEALTHY) {
            self.next = Self::FIRST;
        }
        let time = self.next;
        self.next = (time * 2).min(Self::LONGEST);
        time
    }

    /// Records a success.
    pub(super) fn recover(&mut self, now: Instant) {
        self.well_since.get_or_insert(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NEW: InitialHealth = InitialHealth {
        generation: 1,
        proven: false,
        predecessor: false,
    };
    const WITH_PREDECESSOR: InitialHealth = InitialHealth {
        predecessor: true,
        ..NEW
    };
    const PROVEN: InitialHealth = InitialHealth { proven: true, ..NEW };

    fn ms(time: u64) -> Duration {
        Duration::from_millis(time)
    }

    /// A scenario as a line: `+` an event is handled, a letter: an event of that client fails, `_` a second passes.
    /// Returns the verdicts: `.` continue, `R` roll back, or the milliseconds of a pause. Waits after each pause until
    /// it is over.
    fn verdicts(initial: InitialHealth, story: &str) -> String {
        let mut health = Health::new(initial);
        let mut now = Instant::now();
        let mut said = String::new();
        for what in story.chars() {
            match what {
                '+' => {
                    health.handled(1, now);
                }
                '_' => now += ms(1000),
                client => match health.failed(1, &client.to_string().into(), now) {
                    Verdict::GoOn => said.push('.'),
                    Verdict::RollBack => said.push('R'),
                    Verdict::Pause(time) => {
                        said.push_str(&format!("{} ", time.as_millis()));
                        now += time;
                    }
                },
            }
        }
        said
    }

    #[test]
    fn runs_that_are_too_long() {
        let few = "a".repeat(EVENTS_OF_FEW - 1);
        for (initial, story, expected) in [
            // Nothing handled so far: five events, from any client.
            (NEW, "aaaa", "....".to_owned()),
            (NEW, "aaaaa", "....100 ".to_owned()),
            (NEW, "abcde", "....100 ".to_owned()),
            (WITH_PREDECESSOR, "aaaaa", "....R".to_owned()),
            // A rollback is requested only once.
            (WITH_PREDECESSOR, "aaaaaa", "....R100 ".to_owned()),
            // A handled event ends the run.
            (NEW, "aaaa+abcd", "........".to_owned()),
            // A working module fails on many events of few clients, or on events of five clients in a row.
            (PROVEN, "abcde", "....100 ".to_owned()),
            (PROVEN, "aabbccdde", "........100 ".to_owned()),
            (PROVEN, "abcd+e", ".....".to_owned()),
            (PROVEN, &few, ".".repeat(EVENTS_OF_FEW - 1)),
            (PROVEN, &format!("{few}b"), ".".repeat(EVENTS_OF_FEW - 1) + "100 "),
            (NEW, "+abcd", "....".to_owned()),
            // Each pause is followed by a new run, and is twice as long.
            (NEW, &"a".repeat(15), "....100 ....200 ....400 ".to_owned()),
            (PROVEN, "abcdeaaaaa", "....100 ....200 ".to_owned()),
            // After less than a minute of work the pause continues to double. After more it restarts at 100 ms.
            (
                NEW,
                &format!("aaaaa+{}abcde", "_".repeat(59)),
                "....100 ....200 ".to_owned(),
            ),
            (
                NEW,
                &format!("aaaaa+{}abcde", "_".repeat(60)),
                "....100 ....100 ".to_owned(),
            ),
            // Time alone does not reset the record.
            (
                NEW,
                &format!("aaaaa{}aaaaa", "_".repeat(100)),
                "....100 ....200 ".to_owned(),
            ),
        ] {
            assert_eq!(verdicts(initial, story), expected, "{initial:?} {story}");
        }
    }

    #[test]
    fn what_comes_late_changes_nothing() {
        let mut health = Health::new(WITH_PREDECESSOR);
        let (now, client) = (Instant::now(), ByteString::from("a"));
        for _ in 0..100 {
            assert_eq!(health.failed(0, &client, now), Verdict::GoOn);
        }
        assert!(!health.handled(0, now) && !health.is_good());
        assert_eq!(health.unmade(0, 100), Verdict::GoOn);
        let mut health = Health::new(NEW);
        for _ in 0..EVENTS {
            health.failed(1, &client, now);
        }
        assert_eq!(health.pause(2, now), None);
        // During a pause, calls that were already running do not extend the pause.
        assert_eq!(health.failed(1, &client, now + ms(40)), Verdict::GoOn);
        assert_eq!(health.pause(1, now + ms(99)), Some(ms(1)));
        assert_eq!(health.pause(1, now + ms(100)), None);
    }

    #[test]
    fn instances_that_cannot_be_made() {
        let mut health = Health::new(WITH_PREDECESSOR);
        let verdicts = [1, 2, 3, 4].map(|attempts| health.unmade(1, attempts));
        assert_eq!(
            verdicts,
            [Verdict::GoOn, Verdict::GoOn, Verdict::RollBack, Verdict::GoOn]
        );
        assert_eq!(Health::new(NEW).unmade(1, 100), Verdict::GoOn);
    }

    #[test]
    fn good_is_what_has_handled_something_and_still_does() {
        let (now, client) = (Instant::now(), ByteString::from("a"));
        let mut health = Health::new(NEW);
        assert!(!health.is_good() && !health.is_calm());
        assert!(!health.handled(1, now), "it did not back off");
        assert!(health.is_good() && health.is_calm());
        assert_eq!(health.failed(1, &client, now), Verdict::GoOn);
        assert!(health.is_good() && !health.is_calm(), "one bad event");
        for _ in 1..EVENTS_OF_FEW {
            health.failed(1, &client, now);
        }
        assert!(health.is_backing_off() && !health.is_good());
        assert!(health.handled(1, now), "it backed off");
        assert!(!health.is_backing_off() && health.is_good());
        assert!(Health::new(PROVEN).is_good());
    }

    #[test]
    fn waits_double_up_to_half_a_minute() {
        let (mut backoff, now) = (Backoff::new(), Instant::now());
        let waits: Vec<u64> = (0..11).map(|_| backoff.fail(now).as_millis() as u64).collect();
        assert_eq!(
            waits,
            [100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 30_000, 30_000]
        );
    }

    proptest! {
        /// As long as every fourth event is handled, nothing happens, whichever clients send the others.
        #[test]
        fn a_module_that_handles_enough_is_left_alone(clients in proptest::collection::vec("[a-z]", 0..300)) {
            let story: String = clients.chunks(3).map(|clients| format!("{}+", clients.concat())).collect();
            prop_assert!(verdicts(WITH_PREDECESSOR, &story).chars().all(|verdict| verdict == '.'));
        }
    }
}
