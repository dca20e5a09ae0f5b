//! What one connected client may do.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::compiled::{CompiledRules, Local};
use crate::control::Shared;
use crate::rate::{RateLimit, TokenBucket};
use crate::rules::{Operation, OwnedOperation, RuleSet};
use crate::service::{Service, ServiceAnswer};
use crate::{DenyAction, Identity, Login};

/// Whether an operation is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision {
    /// Whether the client may.
    pub allowed: bool,
    /// What decided: `rules`, `file`, `http`, `jwt`, `superuser`, `cache` or `default`.
    pub source: &'static str,
}

impl Decision {
    /// The decision without any rules.
    pub const UNRESTRICTED: Decision = Decision {
        allowed: true,
        source: "default",
    };
}

/// What one connected client may do, from CONNECT to the end of its connection. Clones are the same client.
#[derive(Clone)]
pub struct ClientAccess(Arc<Client>);

struct Client {
    shared: Arc<Shared>,
    granted: Granted,
    compiled: Mutex<CompiledRules>,
    /// What the client has used of `publish_rate` and of `publish_bytes`.
    published: Mutex<[TokenBucket; 2]>,
}

/// What authentication grants to a client.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Granted {
    /// The source that accepted the client.
    pub(crate) source: &'static str,
    /// The user name, if it is not the one in CONNECT.
    pub(crate) username: Option<String>,
    /// Whether the client was accepted without credentials.
    pub(crate) is_anonymous: bool,
    /// Whether the client may do everything.
    pub(crate) is_superuser: bool,
    /// Names and values for events.
    pub(crate) attributes: Vec<(String, String)>,
    /// The client's own rules, which come before all others.
    pub(crate) own: Option<OwnRules>,
    /// When the connection ends, in seconds since 1970.
    pub(crate) expires_at: Option<u64>,
}

/// Rules that authentication brings for one client.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct OwnRules {
    /// The rules.
    pub(crate) rules: RuleSet,
    /// Whether what no rule matches is denied. Otherwise the other rules decide.
    pub(crate) is_complete: bool,
    /// Name of the source that brought them.
    pub(crate) source: &'static str,
}

/// The web service has failed, or cannot be asked.
const DENIED_BY_SERVICE: Decision = Decision {
    allowed: false,
    source: "http",
};

impl ClientAccess {
    pub(crate) fn new(shared: Arc<Shared>, identity: Identity, granted: Granted) -> ClientAccess {
        if granted.own.is_some() {
            shared.note_own_rules();
        }
        let settings = shared.settings();
        let compiled = CompiledRules::new(identity, settings, &granted);
        ClientAccess(Arc::new(Client {
            shared,
            compiled: Mutex::new(compiled),
            published: Mutex::default(),
            granted,
        }))
    }

    /// The source that accepted the client; `default` if no source was needed.
    pub fn source(&self) -> &'static str {
        self.0.granted.source
    }

    /// The user name that rules are about.
    #[cfg(test)]
    pub(crate) fn username(&self) -> Option<String> {
        self.0.compiled().identity.username.clone()
    }

    /// Whether the client was accepted without credentials.
    pub fn is_anonymous(&self) -> bool {
        self.0.granted.is_anonymous
    }

    /// Whether the client may do everything.
    pub fn is_superuser(&self) -> bool {
        self.0.granted.is_superuser
    }

    /// Names and values that authentication attached to the client, for events.
    pub fn attributes(&self) -> &[(String, String)] {
        &self.0.granted.attributes
    }

    /// Waits until the connection has to end; forever if it has not.
    pub async fn expired(&self) {
        /// The clock may be set meanwhile, so it is read again after this.
        const LONGEST_SLEEP: Duration = Duration::from_secs(60);
        let Some(expires_at) = self.0.granted.expires_at else {
            return std::future::pending().await;
        };
        let end = UNIX_EPOCH.checked_add(Duration::from_secs(expires_at));
        while let Some(Ok(left)) = end.map(|end| end.duration_since(SystemTime::now())) {
            tokio::time::sleep(left.min(LONGEST_SLEEP)).await;
        }
        if end.is_none() {
            std::future::pending().await
        }
    }

    /// The broker has assigned a client id.
    pub fn assign_client_id(&self, client_id: &str) {
        let mut compiled = self.0.compiled();
        let identity = Identity {
            client_id: client_id.to_owned(),
            ..compiled.identity.clone()
        };
        *compiled = CompiledRules::new(identity, Arc::clone(&compiled.settings), &self.0.granted);
    }

    /// Whether every operation is allowed at any rate, now and until the next reload.
    pub fn is_unrestricted(&self) -> bool {
        let settings = self.0.shared.settings();
        let allows = self.0.granted.is_superuser || self.0.granted.own.is_none() && settings.allows_everything();
        allows && !settings.limits_publishes()
    }

    /// Counts a publish whose topic and payload have `bytes` bytes together. Returns false if it exceeds `publish_rate` or
    /// `publish_bytes`; the connection has to end then.
    pub fn count_publish(&self, bytes: usize) -> bool {
        let settings = self.0.shared.settings();
        if !settings.limits_publishes() {
            return true;
        }
        let now = Instant::now();
        let [messages, sizes] = &mut *self.0.published.lock().unwrap_or_else(PoisonError::into_inner);
        let is_within = |bucket: &mut TokenBucket, limit: Option<RateLimit>, units| {
            limit.is_none_or(|limit| bucket.take(limit, units, now))
        };
        let may = is_within(messages, settings.publish_rate, 1)
            && is_within(sizes, settings.publish_bytes, u64::try_from(bytes).unwrap_or(u64::MAX));
        if !may {
            self.0.shared.count_too_fast();
        }
        may
    }

    /// What happens to a publish that is denied.
    pub fn deny_action(&self) -> DenyAction {
        self.0.shared.settings().deny_action
    }

    /// The code in SUBACK of MQTT 5 for a filter that is denied: 135 or 128.
    pub fn denied_subscription_code(&self) -> u8 {
        self.0.shared.settings().denied_subscription_code
    }

    /// Whether the client may do something. Waits for the web service of the settings, if no source before it decides.
    pub async fn authorize(&self, operation: &Operation<'_>) -> Decision {
        self.authorize_after(&mut false, operation).await
    }

    /// As [`authorize`](ClientAccess::authorize). `has_failed`: whether the web service has failed; then it is not asked.
    async fn authorize_after(&self, has_failed: &mut bool, operation: &Operation<'_>) -> Decision {
        let decision = match self.decide(operation, 0) {
            Local::Decided(decision) => decision,
            Local::Ask { service, next } => self.ask(&service, next, operation, has_failed).await,
        };
        self.counted(decision, operation)
    }

    /// As [`authorize`](ClientAccess::authorize), without waiting. `None`: the web service has to be asked.
    pub fn authorize_now(&self, operation: &Operation<'_>) -> Option<Decision> {
        match self.decide(operation, 0) {
            Local::Decided(decision) => Some(self.counted(decision, operation)),
            Local::Ask { .. } => None,
        }
    }

    /// [`authorize`](ClientAccess::authorize) for several operations, one after the other. The decisions are in the order
    /// of the operations. When the web service has failed, it is not asked about the rest, so that this takes no longer
    /// than one failure.
    pub async fn authorize_all(&self, operations: &[OwnedOperation]) -> Vec<Decision> {
        let mut decisions = Vec::with_capacity(operations.len());
        let mut has_failed = false;
        for operation in operations {
            decisions.push(self.authorize_after(&mut has_failed, &operation.borrowed()).await);
        }
        decisions
    }

    fn counted(&self, decision: Decision, operation: &Operation<'_>) -> Decision {
        if !decision.allowed {
            self.0.shared.count_denied(operation.action);
        }
        decision
    }

    /// What the sources of rules from this one on say.
    fn decide(&self, operation: &Operation<'_>, first: usize) -> Local {
        if self.0.granted.is_superuser {
            return Local::Decided(Decision {
                allowed: true,
                source: "superuser",
            });
        }
        self.0.compiled().decide(&self.0.granted, operation, first)
    }

    /// Asks the web service; the sources from `next` on decide if it does not.
    async fn ask(&self, service: &Service, next: usize, operation: &Operation<'_>, has_failed: &mut bool) -> Decision {
        let identity = self.0.compiled().identity.clone();
        let login = Login {
            client_id: &identity.client_id,
            username: identity.username.as_deref(),
            password: None,
            address: identity.address,
            protocol: identity.protocol,
            certificate: None,
            will: None,
        };
        let answer = match *has_failed {
            true => ServiceAnswer::Failed,
            false => service.ask(&login, Some(operation)).await,
        };
        *has_failed |= answer == ServiceAnswer::Failed;
        let allowed = match answer {
            ServiceAnswer::Allow(_) => true,
            ServiceAnswer::Deny => false,
            ServiceAnswer::Failed if !service.continues_after_error => return DENIED_BY_SERVICE,
            ServiceAnswer::Ignore | ServiceAnswer::Failed => {
                return match self.decide(operation, next) {
                    Local::Decided(decision) => decision,
                    // A service is listed once.
                    Local::Ask { .. } => DENIED_BY_SERVICE,
                };
            }
        };
        if !service.cache.is_zero() {
            self.0.compiled().cache(operation, allowed, service.cache);
        }
        Decision {
            allowed,
            source: "http",
        }
    }
}

impl Client {
    /// The compiled rules, of the current settings.
    fn compiled(&self) -> MutexGuard<'_, CompiledRules> {
        let mut compiled = self.compiled.lock().unwrap_or_else(PoisonError::into_inner);
        let settings = self.shared.settings();
        if !Arc::ptr_eq(&settings, &compiled.settings) {
            *compiled = CompiledRules::new(compiled.identity.clone(), settings, &self.granted);
        }
        compiled
    }
}

/// Without the rules.
impl fmt::Debug for ClientAccess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientAccess")
            .field("granted", &self.0.granted)
            .finish_non_exhaustive()
    }
}
