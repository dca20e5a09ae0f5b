//! What people may ask about the configuration that has effect.

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value as Json;

use crate::config::{Config, Given, KeptWebhooks, Problem};
use crate::webhooks::ListedWebhook;
use hookhost_delivery::Terms;

/// Facts about a configuration.
#[derive(Default)]
pub(crate) struct Facts {
    /// The mistakes in rules that it leaves out.
    pub(super) left_out: Vec<String>,
    /// The settings that it gives.
    pub(super) given: Vec<Given>,
    /// The named webhooks by name, then the rules of the configuration.
    pub(super) webhooks: Arc<[ListedWebhook]>,
    /// The settings for all requests.
    pub(super) terms: Terms,
    /// `[webhook.variables]`, which all rules may read.
    pub(super) variables: Option<Json>,
}

impl Facts {
    /// Of a configuration. `kept` are the webhooks of the admin API if they do not come from the data folder.
    pub(super) fn of(config: &Config, left_out: &[Problem], given: Vec<Given>, kept: Option<&KeptWebhooks>) -> Facts {
        let usable = config.webhooks.iter().map(ListedWebhook::from);
        let mut named: Vec<ListedWebhook> = usable.chain(config.left_out_webhooks.iter().map(Into::into)).collect();
        named.sort_by(|one, other| one.name.cmp(&other.name));
        if let Some(KeptWebhooks::Shared(shared)) = kept {
            for webhook in named.iter_mut().filter(|webhook| webhook.can_change) {
                webhook.revision = shared.webhooks.get(&webhook.name).map(|shared| shared.revision);
            }
        }
        Facts {
            left_out: left_out.iter().map(Problem::to_string).collect(),
            given,
            webhooks: named.into_iter().chain(config.webhook.listed()).collect(),
            terms: config.delivery.terms.clone(),
            variables: config.webhook.config.get("variables").cloned(),
        }
    }
}

/// Facts that the reload thread replaces and other threads read. Clones share them.
#[derive(Clone)]
pub(super) struct SharedFacts(Arc<Mutex<Arc<Facts>>>);

impl SharedFacts {
    pub(super) fn new(facts: &Arc<Facts>) -> SharedFacts {
        SharedFacts(Arc::new(Mutex::new(Arc::clone(facts))))
    }

    /// The facts at this moment.
    pub(super) fn get(&self) -> Arc<Facts> {
        Arc::clone(&self.lock())
    }

    /// Replaces them.
    pub(super) fn set(&self, facts: &Arc<Facts>) {
        *self.lock() = Arc::clone(facts);
    }

    /// A panic under the lock leaves no partial change: each change is one assignment.
    fn lock(&self) -> std::sync::MutexGuard<'_, Arc<Facts>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
