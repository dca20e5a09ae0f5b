//! Access control of a running host: the current settings, and what survives a reload.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use arc_swap::ArcSwap;

use crate::failures::Failures;
use crate::passwords::PasswordChecker;
use crate::rules::Action;
use crate::{DenyAction, Login, Settings, Verdict};

/// Access control of a running host. Clones share everything.
#[derive(Clone)]
pub struct AccessControl(Arc<Shared>);

/// What all clients share.
pub(crate) struct Shared {
    settings: ArcSwap<Settings>,
    pub(crate) passwords: PasswordChecker,
    pub(crate) failures: Mutex<Failures>,
    /// Logins that wait because others failed.
    pub(crate) waiting: AtomicUsize,
    /// Whether any client ever had rules of its own.
    has_own_rules: AtomicBool,
    refused_logins: AtomicU64,
    denied_publishes: AtomicU64,
    denied_subscriptions: AtomicU64,
    too_fast: AtomicU64,
}

/// What access control has refused since the start of the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Clients that could not authenticate.
    pub refused_logins: u64,
    /// Publishes that rules denied.
    pub denied_publishes: u64,
    /// Filters of SUBSCRIBE packets that rules denied.
    pub denied_subscriptions: u64,
    /// Publishes above the rate of their client, each of which ended a connection.
    pub publish_rate_exceeded: u64,
}

impl Counters {
    /// All counters by name.
    pub fn named(self) -> [(&'static str, u64); 4] {
        [
            ("refused_logins", self.refused_logins),
            ("denied_publishes", self.denied_publishes),
            ("denied_subscriptions", self.denied_subscriptions),
            ("publish_rate_exceeded", self.publish_rate_exceeded),
        ]
    }
}

impl AccessControl {
    /// Access control with these settings.
    pub fn new(settings: Settings) -> AccessControl {
        AccessControl(Arc::new(Shared {
            settings: ArcSwap::from_pointee(settings),
            passwords: PasswordChecker::new(),
            failures: Mutex::default(),
            waiting: AtomicUsize::new(0),
            has_own_rules: AtomicBool::new(false),
            refused_logins: AtomicU64::new(0),
            denied_publishes: AtomicU64::new(0),
            denied_subscriptions: AtomicU64::new(0),
            too_fast: AtomicU64::new(0),
        }))
    }

    /// Replaces the settings, unless they are the same. Connected clients stay connected; their next operation is
    /// decided by the new rules.
    pub fn replace(&self, settings: Settings) {
        if **self.0.settings.load() != settings {
            self.0.settings.store(Arc::new(settings));
            self.0.passwords.forget();
            tracing::info!("users and access rules reloaded");
        }
    }

    /// Decides whether a client may connect. Waits while its password is checked, or after failed logins.
    pub async fn authenticate(&self, login: Login<'_>) -> Verdict {
        let verdict = crate::chain::authenticate(&self.0, login).await;
        if matches!(verdict, Verdict::Refused { .. }) {
            self.0.refused_logins.fetch_add(1, Ordering::Relaxed);
        }
        verdict
    }

    /// Whether every client is accepted, with any credentials, now and until the next reload.
    pub fn accepts_everybody(&self) -> bool {
        self.0.settings.load().accepts_everybody()
    }

    /// Whether every client may do everything, now and until the next reload. Costs nanoseconds.
    pub fn is_unrestricted(&self) -> bool {
        self.0.settings.load().allows_everything() && !self.0.has_own_rules.load(Ordering::Relaxed)
    }

    /// Whether clients may publish only so fast, now and until the next reload.
    pub fn limits_publishes(&self) -> bool {
        self.0.settings.load().limits_publishes()
    }

    /// What happens to a publish that is denied.
    pub fn deny_action(&self) -> DenyAction {
        self.0.settings.load().deny_action
    }

    /// The code in SUBACK of MQTT 5 for a filter that is denied: 135 or 128.
    pub fn denied_subscription_code(&self) -> u8 {
        self.0.settings.load().denied_subscription_code
    }

    /// What was refused since the start of the host.
    pub fn counters(&self) -> Counters {
        Counters {
            refused_logins: self.0.refused_logins.load(Ordering::Relaxed),
            denied_publishes: self.0.denied_publishes.load(Ordering::Relaxed),
            denied_subscriptions: self.0.denied_subscriptions.load(Ordering::Relaxed),
            publish_rate_exceeded: self.0.too_fast.load(Ordering::Relaxed),
        }
    }
}

/// Only the settings.
impl fmt::Debug for AccessControl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AccessControl").field(&self.0.settings()).finish()
    }
}

impl Shared {
    /// The current settings.
    pub(crate) fn settings(&self) -> Arc<Settings> {
        self.settings.load_full()
    }

    pub(crate) fn note_own_rules(&self) {
        self.has_own_rules.store(true, Ordering::Relaxed);
    }

    pub(crate) fn count_denied(&self, action: Action) {
        let counter = match action {
            Action::Publish => &self.denied_publishes,
            Action::Subscribe => &self.denied_subscriptions,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_too_fast(&self) {
        self.too_fast.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn failures(&self) -> std::sync::MutexGuard<'_, Failures> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
