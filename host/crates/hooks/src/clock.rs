//! Time and ids of events.
//!
//! A [`Clock`] gives the time, the offset of local time to UTC, and ids. The offset changes on whole seconds only, so it
//! is looked up once a second and cached.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use chrono::{Local, Offset, TimeZone};

use hookhost_event::{Detail, Event, Id, Millis};

/// Wall clock and source of ids; one for each engine.
pub(crate) struct Clock {
    /// High half of every id: start time and random bits, different for two hosts and for two runs of one host.
    epoch: u64,
    /// Low half of the next id.
    next: AtomicU64,
    /// Second in which the offset was looked up (upper 48 bits) and the offset in minutes (lower 16 bits).
    offset: AtomicU64,
}

impl Clock {
    /// A clock whose ids no other clock gives.
    pub(crate) fn new() -> Clock {
        let chance = RandomState::new().build_hasher().finish();
        Clock {
            epoch: wall().0 << 20 | chance >> 44,
            next: AtomicU64::new(1),
            offset: AtomicU64::new(0),
        }
    }

    /// Now.
    pub(crate) fn now(&self) -> Millis {
        wall()
    }

    /// An event that happens now.
    pub(crate) fn event(&self, detail: Detail) -> Event {
        let at = wall();
        Event {
            id: self.id(),
            at,
            utc_offset: self.utc_offset(at),
            detail,
            extras: Vec::new(),
        }
    }

    /// Bits that differ between two runs of a host.
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// An id that nothing else has.
    pub(crate) fn id(&self) -> Id {
        Id(u128::from(self.epoch) << 64 | u128::from(self.next.fetch_add(1, Ordering::Relaxed)))
    }

    /// Minutes that local time is ahead of UTC at that time; 0 if the time zone is unknown.
    fn utc_offset(&self, at: Millis) -> i16 {
        let second = at.0 / 1000;
        let remembered = self.offset.load(Ordering::Relaxed);
        if remembered >> 16 == second {
            return remembered as u16 as i16;
        }
        let minutes = Local
            .timestamp_millis_opt(at.0 as i64)
            .single()
            .map_or(0, |local| (local.offset().fix().local_minus_utc() / 60) as i16);
        self.offset
            .store(second << 16 | u64::from(minutes as u16), Ordering::Relaxed);
        minutes
    }
}

fn wall() -> Millis {
    Millis(
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_millis() as u64),
    )
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use hookhost_event::OtherEvent;

    fn other() -> Detail {
        Detail::Other(OtherEvent {
            name: "x".into(),
            client: None,
            data: "{}".into(),
        })
    }

    #[test]
    fn ids_never_repeat_within_and_across_clocks() {
        let clocks = [Clock::new(), Clock::new()];
        let ids: HashSet<_> = (0..1000)
            .flat_map(|_| clocks.iter().map(|clock| clock.event(other()).id))
            .collect();
        assert_eq!(ids.len(), 2000);
    }

    #[test]
    fn the_offset_is_that_of_local_time() {
        let clock = Clock::new();
        let expected = (Local::now().offset().fix().local_minus_utc() / 60) as i16;
        assert_eq!(clock.event(other()).utc_offset, expected);
        assert_eq!(clock.event(other()).utc_offset, expected, "the remembered one");
    }

    #[test]
    fn offsets_west_of_greenwich_survive_being_remembered() {
        let clock = Clock::new();
        let at = Millis(1_790_000_000_123);
        clock
            .offset
            .store(((at.0 / 1000) << 16) | u64::from(-210i16 as u16), Ordering::Relaxed);
        assert_eq!(clock.utc_offset(at), -210);
    }
}
