//! The rules of one client, compiled under the current settings, and what the web service has decided for it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::client::{Decision, Granted};
use crate::rules::{ClientRules, Operation, OwnedOperation, Permission};
use crate::service::Service;
use crate::settings::RuleSource;
use crate::{Identity, Settings};

/// The rules for this client under the current settings.
pub(crate) struct CompiledRules {
    pub(crate) identity: Identity,
    pub(crate) settings: Arc<Settings>,
    own: ClientRules,
    listed: ClientRules,
    file: ClientRules,
    /// Decisions of the web service, the oldest first.
    cached: VecDeque<CachedDecision>,
}

/// A decision of the web service.
struct CachedDecision {
    operation: OwnedOperation,
    allowed: bool,
    until: Instant,
}

/// What the settings say without a web service.
pub(crate) enum Local {
    Decided(Decision),
    /// This service decides, and after it the sources from `next` on.
    Ask {
        service: Box<Service>,
        next: usize,
    },
}

/// Decisions of the web service that one client keeps.
const MAX_CACHED_DECISIONS: usize = 64;

impl CompiledRules {
    pub(crate) fn new(identity: Identity, settings: Arc<Settings>, granted: &Granted) -> CompiledRules {
        CompiledRules {
            own: granted
                .own
                .as_ref()
                .map(|own| own.rules.for_client(&identity))
                .unwrap_or_default(),
            listed: settings.rules.for_client(&identity),
            file: settings.file_rules.for_client(&identity),
            identity,
            settings,
            cached: VecDeque::new(),
        }
    }

    /// The client's own rules decide first, then the sources from `first` on in their order, then the default.
    pub(crate) fn decide(&self, granted: &Granted, operation: &Operation<'_>, first: usize) -> Local {
        let decided = |permission, source| {
            Local::Decided(Decision {
                allowed: permission == Permission::Allow,
                source,
            })
        };
        if let Some(own) = granted.own.as_ref().filter(|_| first == 0) {
            match own.rules.decide(&self.own, operation) {
                Some(permission) => return decided(permission, own.source),
                None if own.is_complete => return decided(Permission::Deny, own.source),
                None => {}
            }
        }
        for (index, source) in self.settings.order.iter().enumerate().skip(first) {
            let (rules, client, name) = match source {
                RuleSource::Http => match (&self.settings.service, self.cached(operation)) {
                    (_, Some(allowed)) => {
                        return Local::Decided(Decision {
                            allowed,
                            source: "cache",
                        });
                    }
                    (Some(service), None) => {
                        return Local::Ask {
                            service: service.clone(),
                            next: index + 1,
                        };
                    }
                    (None, None) => continue,
                },
                RuleSource::Rules => (&self.settings.rules, &self.listed, "rules"),
                RuleSource::File => (&self.settings.file_rules, &self.file, "file"),
            };
            if let Some(permission) = rules.decide(client, operation) {
                return decided(permission, name);
            }
        }
        decided(self.settings.default, "default")
    }

    /// What the web service has decided about the same operation.
    fn cached(&self, operation: &Operation<'_>) -> Option<bool> {
        let cached = self.cached.iter().find(|cached| cached.operation == *operation)?;
        (Instant::now() < cached.until).then_some(cached.allowed)
    }

    /// Keeps a decision of the web service; the oldest one gives way.
    pub(crate) fn cache(&mut self, operation: &Operation<'_>, allowed: bool, lifetime: Duration) {
        let now = Instant::now();
        self.cached.retain(|cached| now < cached.until);
        if self.cached.len() >= MAX_CACHED_DECISIONS {
            self.cached.pop_front();
        }
        self.cached.push_back(CachedDecision {
            operation: operation.into(),
            allowed,
            until: now + lifetime,
        });
    }
}
