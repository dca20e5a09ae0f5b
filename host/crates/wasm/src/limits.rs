//! What one instance may use, and the part of it that wasmtime asks about while the guest runs.

use std::time::Duration;

use wasmtime::ResourceLimiter;

/// What one instance may use. The defaults fit guests from Rust to Python.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of linear memory, all memories of the instance together. 256 MiB: Python begins with 13, and may read large payloads.
    pub memory: usize,
    /// Elements of all tables together. 200,000: Python has some 30,000; each costs the host up to 16 bytes.
    pub table_elements: usize,
    /// How long one batch may take. 1 s: a thousand times what a slow guest needs for 64 events, and still short
    /// enough that a module that hangs is noticed before its queue has run full.
    pub deadline: Duration,
    /// How long instantiation may take, and after it `configure`. 10 s: interpreters start slowly on a busy machine.
    pub start_deadline: Duration,
    /// Bytes of all requests that come of one event, with 64 for each part. 4 MiB: the largest usual payload (1 MiB)
    /// as base64 to two receivers.
    pub outcome_bytes: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            memory: 256 << 20,
            table_elements: 200_000,
            deadline: Duration::from_secs(1),
            start_deadline: Duration::from_secs(10),
            outcome_bytes: 4 << 20,
        }
    }
}

impl Limits {
    /// Bytes that the answer to a batch may have, checked while it is read: one outcome more than there are events, so
    /// that the one that is too large can usually be named. More than its memory an honest guest cannot return; one
    /// that returns the same bytes over and over would multiply them here.
    pub(super) fn answer_bytes(&self, events: usize) -> usize {
        self.outcome_bytes
            .saturating_mul(events.saturating_add(1))
            .min(self.memory)
            .max(1 << 16)
    }
}

/// Core instances, memories and tables of one component instance. Python has some 30 instances.
const PARTS: usize = 1_000;

/// What was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Bytes of memory: wanted in all.
    Memory(usize),
    /// Elements of tables: wanted in all.
    Table(usize),
}

/// Sums memories and tables of a store. A refusal is remembered, because the guest sees only that growing has failed
/// and dies of something else; an interpreter may also collect its garbage and go on, so that refusing does not trap.
#[derive(Debug)]
pub(super) struct Limiter {
    memory: Meter,
    table: Meter,
    refusal: Option<Refusal>,
}

#[derive(Debug)]
struct Meter {
    used: usize,
    limit: usize,
    /// The growth granted last, to be taken back if it then fails.
    granted: usize,
}

impl Meter {
    fn new(limit: usize) -> Meter {
        Meter {
            used: 0,
            limit,
            granted: 0,
        }
    }

    /// Grants the growth, or says how much there would be.
    fn grow(&mut self, current: usize, desired: usize) -> Result<(), usize> {
        let more = desired.saturating_sub(current);
        let wanted = self.used.saturating_add(more);
        if wanted > self.limit {
            return Err(wanted);
        }
        self.used = wanted;
        self.granted = more;
        Ok(())
    }

    fn take_back(&mut self) {
        self.used = self.used.saturating_sub(std::mem::take(&mut self.granted));
    }
}

impl Limiter {
    pub(super) fn new(limits: &Limits) -> Limiter {
        Limiter {
            memory: Meter::new(limits.memory),
            table: Meter::new(limits.table_elements),
            refusal: None,
        }
    }

    /// What was refused since the last time that this was asked.
    pub(super) fn take_refusal(&mut self) -> Option<Refusal> {
        self.refusal.take()
    }

    /// Bytes of linear memory in use.
    pub(super) fn memory(&self) -> usize {
        self.memory.used
    }

    pub(super) fn memory_limit(&self) -> usize {
        self.memory.limit
    }

    pub(super) fn table_limit(&self) -> usize {
        self.table.limit
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        let grown = self.memory.grow(current, desired);
        Ok(grown
            .map_err(|wanted| self.refusal = Some(Refusal::Memory(wanted)))
            .is_ok())
    }

    fn memory_grow_failed(&mut self, _: wasmtime::Error) -> wasmtime::Result<()> {
        self.memory.take_back();
        Ok(())
    }

    fn table_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        let grown = self.table.grow(current, desired);
        Ok(grown
            .map_err(|wanted| self.refusal = Some(Refusal::Table(wanted)))
            .is_ok())
    }

    fn table_grow_failed(&mut self, _: wasmtime::Error) -> wasmtime::Result<()> {
        self.table.take_back();
        Ok(())
    }

    fn instances(&self) -> usize {
        PARTS
    }

    fn tables(&self) -> usize {
        PARTS
    }

    fn memories(&self) -> usize {
        PARTS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: usize = 1 << 16;

    fn limiter(pages: usize) -> Limiter {
        Limiter::new(&Limits {
            memory: pages * PAGE,
            table_elements: 10,
            ..Limits::default()
        })
    }

    #[test]
    fn memories_are_summed() {
        let mut limiter = limiter(10);
        assert!(limiter.memory_growing(0, 6 * PAGE, None).unwrap());
        assert!(
            !limiter.memory_growing(0, 5 * PAGE, None).unwrap(),
            "the second memory counts too"
        );
        assert_eq!(limiter.take_refusal(), Some(Refusal::Memory(11 * PAGE)));
        assert_eq!(limiter.take_refusal(), None);
        assert!(limiter.memory_growing(0, 4 * PAGE, None).unwrap());
        assert!(!limiter.memory_growing(6 * PAGE, 7 * PAGE, None).unwrap());
    }

    #[test]
    fn growth_that_fails_costs_nothing() {
        let mut limiter = limiter(10);
        assert!(limiter.memory_growing(0, 10 * PAGE, None).unwrap());
        limiter.memory_grow_failed(wasmtime::Error::msg("no room")).unwrap();
        assert_eq!(limiter.memory(), 0);
        assert!(limiter.memory_growing(0, 10 * PAGE, None).unwrap());
    }

    #[test]
    fn a_guest_at_its_own_maximum_is_not_our_refusal() {
        let mut limiter = limiter(10);
        assert!(!limiter.memory_growing(PAGE, 2 * PAGE, Some(PAGE)).unwrap());
        assert!(!limiter.table_growing(1, 2, Some(1)).unwrap());
        assert_eq!(limiter.take_refusal(), None);
    }

    #[test]
    fn tables_are_summed() {
        let mut limiter = limiter(1);
        assert!(limiter.table_growing(0, 6, None).unwrap());
        assert!(!limiter.table_growing(0, 6, None).unwrap());
        assert_eq!(limiter.take_refusal(), Some(Refusal::Table(12)));
    }

    #[test]
    fn an_answer_is_bounded_by_events_and_by_memory() {
        let limits = Limits {
            memory: 10 << 20,
            outcome_bytes: 1 << 20,
            ..Limits::default()
        };
        assert_eq!(limits.answer_bytes(3), 4 << 20);
        assert_eq!(limits.answer_bytes(64), 10 << 20);
    }
}
