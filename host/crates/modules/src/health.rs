//! Whether a generation works: when it is given up for the one before, and when it has to pause.
//!
//! Pure: whoever asks says what has happened and what time it is.
//!
//! What counts is an event that **fails**: the module trapped on it or did not answer in time, twice, the second time
//! alone in its call and in a new instance. An event that the module answers, be it with `fail`, is **handled**, and
//! ends the run of failures. So a bad event now and then never has consequences for others, however many there are.
//!
//! A **run** is too long when it has
//!
//! - [`EVENTS`] events, if the generation has handled nothing so far, or nothing since its last pause;
//! - events of [`CLIENTS`] clients, or [`EVENTS_OF_FEW`] events, if it has: one client that sends what a working
//!   module chokes on must not be able to stop it.
//!
//! The same holds if no instance can be made, [`ATTEMPTS`] times in a row. What follows is a rollback if there is a
//! generation to go back to. Else the module pauses, 100 ms at first and each time twice as long, up to 30 s; after a
//! healthy minute it begins with 100 ms again. Every pause ends with a new run, whose events are tried for real.
//!
//! **Slow code** is no reason to give a generation up while better code is on its way: then what was not done in time has a
//! run of its own, after which the module pauses and nothing else. Better code ends the pause and begins with a clean
//! book; if none comes, what is not done in time counts as everything else.

use std::time::{Duration, Instant};

use smallvec::SmallVec;

use hookhost_event::ByteString;

/// Events in a row that a generation may fail on before it has handled any.
pub(super) const EVENTS: usize = 5;
/// Clients whose events a generation that works may fail on in a row.
pub(super) const CLIENTS: usize = 5;
/// Events of fewer clients that a generation that works may fail on in a row.
pub(super) const EVENTS_OF_FEW: usize = 50;
/// Attempts in a row to make an instance before a generation is given up for the one before.
pub(super) const ATTEMPTS: u32 = 3;

/// A generation when it is put in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) generation: u32,
    /// Whether it has handled events before: it comes back after a rollback.
    pub(super) proven: bool,
    /// Whether there is one to go back to.
    pub(super) predecessor: bool,
    /// Whether its code is slow and better code is on its way.
    pub(super) improving: bool,
}

/// What to do after a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing.
    GoOn,
    /// The generation before takes over. Said once.
    RollBack,
    /// No event is handled before the time is over.
    Pause(Duration),
    /// The same, or before better code is there.
    Wait(Duration),
}

/// How the generation in force is doing, over all workers. Reports about another one change nothing: a worker may be
/// late.
#[derive(Debug)]
pub(super) struct Health {
    standing: Standing,
    /// It has handled an event, at any time.
    handled: bool,
    /// Failed events since one was handled, or since the last pause.
    run: Run,
    /// The same for events that were not done in time by code that is about to be replaced.
    late: Run,
    backoff: Backoff,
    pause: Option<Instant>,
    /// It has paused, and handled nothing since.
    backing_off: bool,
}

#[derive(Debug, Default)]
struct Run {
    events: usize,
    /// Whose they were; not more of them than matter.
    clients: SmallVec<[ByteString; CLIENTS]>,
}

impl Health {
    pub(super) fn new(standing: Standing) -> Health {
        Health {
            standing,
            handled: standing.proven,
            run: Run::default(),
            late: Run::default(),
            backoff: Backoff::new(),
            pause: None,
            backing_off: false,
        }
    }

    /// An event was handled. Gives whether that ends its backing off.
    pub(super) fn handled(&mut self, generation: u32, now: Instant) -> bool {
        if generation != self.standing.generation {
            return false;
        }
        (self.handled, self.standing.proven) = (true, true);
        (self.run, self.late) = Default::default();
        self.pause = None;
        self.backoff.recover(now);
        std::mem::take(&mut self.backing_off)
    }

    /// An event of this client failed; `late`: it was not done in time.
    pub(super) fn failed(&mut self, generation: u32, client: &ByteString, late: bool, now: Instant) -> Verdict {
        if generation != self.standing.generation {
            return Verdict::GoOn;
        }
        if self.left(now).is_some() {
            // A call of another worker that was under way when the pause began.
            return Verdict::GoOn;
        }
        let waits = late && self.standing.improving;
        let run = if waits { &mut self.late } else { &mut self.run };
        run.add(client);
        if !run.is_too_long(self.standing.proven) {
            return Verdict::GoOn;
        }
        if waits {
            self.late = Run::default();
            return Verdict::Wait(self.begin_pause(now));
        }
        if std::mem::take(&mut self.standing.predecessor) {
            return Verdict::RollBack;
        }
        self.run = Run::default();
        Verdict::Pause(self.begin_pause(now))
    }

    fn begin_pause(&mut self, now: Instant) -> Duration {
        self.standing.proven = false;
        self.backing_off = true;
        let time = self.backoff.fail(now);
        self.pause = Some(now + time);
        time
    }

    /// The generation goes on in better code.
    pub(super) fn improved(&mut self, generation: u32) {
        if generation == self.standing.generation {
            let standing = Standing {
                improving: false,
                ..self.standing
            };
            let handled = self.handled;
            *self = Health {
                handled,
                ..Health::new(standing)
            };
        }
    }

    /// No better code comes for the generation.
    pub(super) fn not_improved(&mut self, generation: u32) {
        if generation == self.standing.generation {
            self.standing.improving = false;
            self.late = Run::default();
        }
    }

    /// A worker could not make an instance, so many times in a row, the last time because it was `late`. How long that
    /// worker waits is its own affair: others may have instances that work.
    pub(super) fn unmade(&mut self, generation: u32, attempts: u32, late: bool) -> Verdict {
        let waits = late && self.standing.improving;
        let gives_up = generation == self.standing.generation && attempts >= ATTEMPTS && !waits;
        if gives_up && std::mem::take(&mut self.standing.predecessor) {
            Verdict::RollBack
        } else {
            Verdict::GoOn
        }
    }

    /// How long a worker has to wait before it handles an event.
    pub(super) fn pause(&self, generation: u32, now: Instant) -> Option<Duration> {
        self.left(now).filter(|_| generation == self.standing.generation)
    }

    /// Whether it has paused and handled nothing since.
    pub(super) fn is_backing_off(&self) -> bool {
        self.backing_off
    }

    /// Whether another generation could be rolled back to this one.
    pub(super) fn is_good(&self) -> bool {
        self.handled && !self.backing_off
    }

    /// Whether there is nothing to remember: the next event that is handled changes nothing.
    pub(super) fn is_calm(&self) -> bool {
        self.handled && self.standing.proven && self.run.events + self.late.events == 0 && !self.backing_off
    }

    /// Events of the runs.
    pub(super) fn run(&self) -> usize {
        self.run.events + self.late.events
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

/// How long to wait after each failure in a row.
#[derive(Debug)]
pub(super) struct Backoff {
    next: Duration,
    /// Since when all is well, if it is.
    well_since: Option<Instant>,
}

impl Backoff {
    pub(super) const FIRST: Duration = Duration::from_millis(100);
    const LONGEST: Duration = Duration::from_secs(30);
    /// So long all must be well for the next failure to be a first one.
    const HEALTHY: Duration = Duration::from_secs(60);

    pub(super) fn new() -> Backoff {
        Backoff {
            next: Self::FIRST,
            well_since: None,
        }
    }

    /// It failed; how long to wait.
    pub(super) fn fail(&mut self, now: Instant) -> Duration {
        let well = self.well_since.take().map(|since| now.saturating_duration_since(since));
        if well.is_some_and(|time| time >= Self::HEALTHY) {
            self.next = Self::FIRST;
        }
        let time = self.next;
        self.next = (time * 2).min(Self::LONGEST);
        time
    }

    /// It works.
    pub(super) fn recover(&mut self, now: Instant) {
        self.well_since.get_or_insert(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NEW: Standing = Standing {
        generation: 1,
        proven: false,
        predecessor: false,
        improving: false,
    };
    const WITH_PREDECESSOR: Standing = Standing {
        predecessor: true,
        ..NEW
    };
    const PROVEN: Standing = Standing { proven: true, ..NEW };
    const IMPROVING: Standing = Standing {
        improving: true,
        ..WITH_PREDECESSOR
    };

    fn ms(time: u64) -> Duration {
        Duration::from_millis(time)
    }

    /// What happens, in a line: `+` an event is handled, a letter: an event of that client fails, a capital: is not done
    /// in time, `_` a second passes, `!` better code is there, `?` none comes.
    /// Gives the verdicts: `.` go on, `R` roll back, or the milliseconds of a pause, each after waiting it out; with `w` if
    /// it ends with better code.
    fn verdicts(standing: Standing, story: &str) -> String {
        let mut health = Health::new(standing);
        let mut now = Instant::now();
        let mut said = String::new();
        for what in story.chars() {
            match what {
                '+' => {
                    health.handled(1, now);
                }
                '_' => now += ms(1000),
                '!' => health.improved(1),
                '?' => health.not_improved(1),
                client => {
                    let late = client.is_ascii_uppercase();
                    match health.failed(1, &client.to_string().into(), late, now) {
                        Verdict::GoOn => said.push('.'),
                        Verdict::RollBack => said.push('R'),
                        Verdict::Pause(time) => {
                            said.push_str(&format!("{} ", time.as_millis()));
                            now += time;
                        }
                        Verdict::Wait(time) => {
                            said.push_str(&format!("w{} ", time.as_millis()));
                            now += time;
                        }
                    }
                }
            }
        }
        said
    }

    #[test]
    fn runs_that_are_too_long() {
        let few = "a".repeat(EVENTS_OF_FEW - 1);
        for (standing, story, expected) in [
            // Nothing handled so far: five events, whoever sends them.
            (NEW, "aaaa", "....".to_owned()),
            (NEW, "aaaaa", "....100 ".to_owned()),
            (NEW, "abcde", "....100 ".to_owned()),
            (WITH_PREDECESSOR, "aaaaa", "....R".to_owned()),
            // Nobody can be asked twice.
            (WITH_PREDECESSOR, "aaaaaa", "....R100 ".to_owned()),
            // An event that is handled ends the run.
            (NEW, "aaaa+abcd", "........".to_owned()),
            // A module that works stumbles over many events of few clients, or over five clients in a row.
            (PROVEN, "abcde", "....100 ".to_owned()),
            (PROVEN, "aabbccdde", "........100 ".to_owned()),
            (PROVEN, "abcd+e", ".....".to_owned()),
            (PROVEN, &few, ".".repeat(EVENTS_OF_FEW - 1)),
            (PROVEN, &format!("{few}b"), ".".repeat(EVENTS_OF_FEW - 1) + "100 "),
            (NEW, "+abcd", "....".to_owned()),
            // What is not done in time is a failure like others.
            (WITH_PREDECESSOR, "aAaaA", "....R".to_owned()),
            // But not while better code is on its way.
            (IMPROVING, "AAAAAAAAAA", "....w100 ....w200 ".to_owned()),
            (IMPROVING, "AAAA+AAAA", "........".to_owned()),
            (IMPROVING, "AAaaaaAA", "........".to_owned()),
            (IMPROVING, "AAaaaaa", "......R".to_owned()),
            (IMPROVING, "AAAAAaaaaa", "....w100 ....R".to_owned()),
            // Better code ends the pause, and gets as many attempts as new code.
            (IMPROVING, "AAAAA!AAAAA", "....w100 ....R".to_owned()),
            (IMPROVING, "AAAAA!AAAA+AAAA", "....w100 ........".to_owned()),
            (IMPROVING, "aaaa!AAAAA", "........R".to_owned()),
            // Where none comes, what is late counts from then on.
            (IMPROVING, "AAAA?AAAA", "........".to_owned()),
            (IMPROVING, "AAAAA?AAAAA", "....w100 ....R".to_owned()),
            // Each pause is followed by a new run, and is twice as long.
            (NEW, &"a".repeat(15), "....100 ....200 ....400 ".to_owned()),
            (PROVEN, "abcdeaaaaa", "....100 ....200 ".to_owned()),
            // What works for less than a minute does not begin anew; what works longer does.
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
            // Time alone heals nothing.
            (
                NEW,
                &format!("aaaaa{}aaaaa", "_".repeat(100)),
                "....100 ....200 ".to_owned(),
            ),
        ] {
            assert_eq!(verdicts(standing, story), expected, "{standing:?} {story}");
        }
    }

    #[test]
    fn what_comes_late_changes_nothing() {
        let mut health = Health::new(WITH_PREDECESSOR);
        let (now, client) = (Instant::now(), ByteString::from("a"));
        for _ in 0..100 {
            assert_eq!(health.failed(0, &client, false, now), Verdict::GoOn);
        }
        assert!(!health.handled(0, now) && !health.is_good());
        assert_eq!(health.unmade(0, 100, false), Verdict::GoOn);
        let mut health = Health::new(NEW);
        for _ in 0..EVENTS {
            health.failed(1, &client, false, now);
        }
        assert_eq!(health.pause(2, now), None);
        // While it pauses, calls that were under way do not make the pause longer.
        assert_eq!(health.failed(1, &client, false, now + ms(40)), Verdict::GoOn);
        assert_eq!(health.pause(1, now + ms(99)), Some(ms(1)));
        assert_eq!(health.pause(1, now + ms(100)), None);
    }

    #[test]
    fn better_code_ends_a_pause() {
        let (now, client) = (Instant::now(), ByteString::from("a"));
        let mut health = Health::new(IMPROVING);
        for _ in 0..EVENTS {
            health.failed(1, &client, true, now);
        }
        assert!(health.is_backing_off());
        assert_eq!(health.pause(1, now), Some(ms(100)));
        health.not_improved(0);
        health.improved(0);
        health.not_improved(1);
        assert_eq!(health.pause(1, now), Some(ms(100)), "it goes on as it is");
        health.improved(1);
        assert_eq!(health.pause(1, now), None);
        assert!(
            !health.is_backing_off() && !health.is_good(),
            "nothing is handled so far"
        );
        health.handled(1, now);
        health.improved(1);
        assert!(health.is_good());
    }

    #[test]
    fn instances_that_cannot_be_made() {
        let mut health = Health::new(WITH_PREDECESSOR);
        let verdicts = [1, 2, 3, 4].map(|attempts| health.unmade(1, attempts, false));
        assert_eq!(
            verdicts,
            [Verdict::GoOn, Verdict::GoOn, Verdict::RollBack, Verdict::GoOn]
        );
        assert_eq!(Health::new(NEW).unmade(1, 100, false), Verdict::GoOn);
        let mut health = Health::new(IMPROVING);
        assert_eq!(health.unmade(1, 100, true), Verdict::GoOn, "it only needs better code");
        assert_eq!(health.unmade(1, 100, false), Verdict::RollBack);
    }

    #[test]
    fn good_is_what_has_handled_something_and_still_does() {
        let (now, client) = (Instant::now(), ByteString::from("a"));
        let mut health = Health::new(NEW);
        assert!(!health.is_good() && !health.is_calm());
        assert!(!health.handled(1, now), "it did not back off");
        assert!(health.is_good() && health.is_calm());
        assert_eq!(health.failed(1, &client, false, now), Verdict::GoOn);
        assert!(health.is_good() && !health.is_calm(), "one bad event");
        for _ in 1..EVENTS_OF_FEW {
            health.failed(1, &client, false, now);
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
        /// As long as every fourth event is handled, nothing happens, whoever sends the others.
        #[test]
        fn a_module_that_handles_enough_is_left_alone(clients in proptest::collection::vec("[a-z]", 0..300)) {
            let story: String = clients.chunks(3).map(|clients| format!("{}+", clients.concat())).collect();
            prop_assert!(verdicts(WITH_PREDECESSOR, &story).chars().all(|verdict| verdict == '.'));
        }
    }
}
