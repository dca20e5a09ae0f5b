//! The limits of one instance, and the resource limiter that wasmtime calls while the guest runs.

use std::time::Duration;

use wasmtime::ResourceLimiter;

/// Limits of one instance. The defaults fit guests from Rust to Python.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of linear memory, summed over all memories of the instance. The default is 256 MiB: Python starts with 13
    /// MiB and may read large payloads.
    pub memory: usize,
    /// Elements of all tables together. The default is 200,000: Python has about 30,000. Each element costs the host up
    /// to 16 bytes.
    pub table_elements: usize,
    /// Time limit of one batch. The default is 1 s. A slow guest needs a thousandth of that for 64 events, and a module
    /// that hangs is detected before its queue is full.
    pub deadline: Duration,
    /// Time limit of the instantiation, and of `configure` after it. The default is 10 s, because interpreters start
    /// slowly on a busy machine.
    pub start_deadline: Duration,
    /// Bytes of all requests made from one event, plus 64 for each part. The default is 4 MiB: the largest usual
    /// payload (1 MiB) as base64 to two receivers.
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
    /// Returns the limit of the answer to a batch in bytes, checked while the answer is read. It allows one outcome
    /// more than there are events, so that an error can usually name the oversized outcome. The limit never exceeds the
    /// memory limit, because an honest guest cannot return more. A guest that returns the same bytes repeatedly would
    /// otherwise multiply them in the host.
    pub(super) fn answer_bytes(&self, events: usize) -> usize {
        self.outcome_bytes
            .saturating_mul(events.saturating_add(1))
            .min(self.memory)
            .max(1 << 16)
    }
}

/// Limit of the core instances, memories and tables of one component instance. Python has about 30 instances.
const PARTS: usize = 1_000;

/// A rejected growth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The total bytes of memory that were requested.
    Memory(usize),
    /// The total elements of tables that were requested.
    Table(usize),
}

/// Sums the memories and tables of a store. It remembers a rejected growth, because the guest only sees that the growth
/// failed and then fails for another reason. A rejection does not trap, because an interpreter may collect its garbage
/// and continue.
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
    /// The last growth that was granted. It is undone if the growth then fails.
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

    /// Grants a growth, or returns the total that was requested.
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

    /// Returns and clears the last rejected growth.
    pub(super) fn take_refusal(&mut self) -> Option<Refusal> {
        self.refusal.take()
    }

    /// Returns the bytes of linear memory in use.
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
