//! The attached modules and, built from them, the table that says who is interested in which hook.

use std::collections::HashMap;
use std::sync::Arc;

use super::counters::ModuleCounters;
use super::interests::Interests;
use super::queue::{Overflow, Sender};
use super::recipients::Recipient;
use super::target::ModuleQueues;
use hookhost_event::Hook;

/// Numbers the changes of interests on one bus: a later change has a greater version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Version(pub(crate) u64);

/// Runs before hooks get their first subscriber.
pub(super) type Prepare = Arc<dyn Fn(&[Hook]) + Send + Sync>;

/// For each hook, the modules that are interested.
#[derive(Default)]
pub(super) struct InterestTable {
    by_hook: [Vec<InterestEntry>; Hook::COUNT],
}

impl InterestTable {
    #[expect(
        clippy::indexing_slicing,
        reason = "Hook::COUNT is one more than the number of the last hook"
    )]
    /// The modules that are interested in a hook.
    pub(super) fn of(&self, hook: Hook) -> &[InterestEntry] {
        &self.by_hook[hook as usize]
    }
}

/// One module's interest in a hook.
#[derive(Clone)]
pub(super) struct InterestEntry {
    pub(super) target: Arc<ModuleQueues>,
    pub(super) interests: Interests,
    version: Version,
}

impl InterestEntry {
    pub(super) fn recipient(&self, is_durable: bool) -> Recipient {
        Recipient {
            target: Arc::clone(&self.target),
            version: self.version,
            is_durable,
        }
    }

    pub(super) fn is_durable(&self, hook: Hook, subject: Option<&str>) -> bool {
        hook == Hook::MessagePublish && subject.is_some_and(|topic| self.interests.is_durable(topic))
    }
}

/// The attached modules with their interests.
#[derive(Default)]
pub(super) struct Attachments {
    next_id: u64,
    pub(super) version: Version,
    pub(super) attached: Vec<Attached>,
    counters: HashMap<Arc<str>, Arc<ModuleCounters>>,
    pub(super) prepare: Option<Prepare>,
}

pub(super) struct Attached {
    pub(super) id: u64,
    pub(super) target: Arc<ModuleQueues>,
    pub(super) interests: Option<(Interests, Version)>,
}

impl Attachments {
    /// Adds a module without interests. Returns its number and its queues.
    pub(super) fn add(
        &mut self,
        module: Arc<str>,
        overflow: Overflow,
        senders: Vec<Sender>,
    ) -> (u64, Arc<ModuleQueues>) {
        let counters = Arc::clone(self.counters.entry(Arc::clone(&module)).or_default());
        let target = Arc::new(ModuleQueues::new(module, overflow, senders, counters));
        let id = self.next_id;
        self.next_id += 1;
        self.attached.push(Attached {
            id,
            target: Arc::clone(&target),
            interests: None,
        });
        (id, target)
    }

    /// The table of the current interests.
    pub(super) fn table(&self) -> InterestTable {
        let mut table = InterestTable::default();
        for Attached { target, interests, .. } in &self.attached {
            let Some((interests, version)) = interests else {
                continue;
            };
            let entry = InterestEntry {
                target: Arc::clone(target),
                interests: interests.clone(),
                version: *version,
            };
            for hook in interests.hooks() {
                #[expect(
                    clippy::indexing_slicing,
                    reason = "Hook::COUNT is one more than the number of the last hook"
                )]
                table.by_hook[hook as usize].push(entry.clone());
            }
        }
        table
    }
}
