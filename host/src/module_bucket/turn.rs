//! The turn of a host to load modules: a key that only one host can create.

use std::time::{Duration, Instant};

use hookhost_jetstream::{KeyChange, SharedKeys};

/// The key.
const KEY: &str = "turn";
/// The server ends the turn of a host that does not renew it for this time.
const LIFETIME: Duration = Duration::from_secs(15);
/// The time between two renewals.
const RENEWAL: Duration = Duration::from_secs(4);

/// The turn of this host, or none.
pub(super) struct Turn {
    keys: SharedKeys,
    /// Tells hosts apart.
    host: String,
    /// When it was renewed; `None`: it is not the turn of this host.
    renewed: Option<Instant>,
}

impl Turn {
    /// The turn in a bucket. `host` differs between all hosts.
    pub(super) fn new(keys: SharedKeys, host: String) -> Turn {
        Turn {
            keys,
            host,
            renewed: None,
        }
    }

    /// The bucket.
    pub(super) fn keys(&self) -> &SharedKeys {
        &self.keys
    }

    /// Tries to take the turn. Returns whether this host has it.
    pub(super) fn take(&mut self) -> bool {
        if self.renewed.is_some() {
            return self.renew();
        }
        // The mark of an ended turn has a revision. A turn of another host must not be replaced.
        let known = self.keys.values().and_then(|values| values.get(KEY).cloned());
        let revision = known
            .filter(|known| known.value.is_none())
            .map_or(0, |known| known.revision);
        self.write(revision, true)
    }

    /// Renews the turn when it is time. Returns whether this host still has it.
    pub(super) fn renew(&mut self) -> bool {
        match self.renewed {
            Some(renewed) if renewed.elapsed() < RENEWAL => true,
            Some(_) => match self.own_revision() {
                Some(revision) => self.write(revision, true),
                None => {
                    self.renewed = None;
                    false
                }
            },
            None => false,
        }
    }

    /// Ends the turn.
    pub(super) fn end(&mut self) {
        if self.renewed.is_some()
            && let Some(revision) = self.own_revision()
        {
            // The lifetime ends it otherwise.
            self.write(revision, false);
        }
        self.renewed = None;
    }

    fn own_revision(&self) -> Option<u64> {
        let known = self.keys.values()?.get(KEY).cloned()?;
        (known.value.as_deref() == Some(self.host.as_bytes())).then_some(known.revision)
    }

    fn write(&mut self, revision: u64, has_turn: bool) -> bool {
        let sent = Instant::now();
        let written = self.keys.write(&[KeyChange {
            key: KEY.to_owned(),
            revision,
            value: has_turn.then(|| self.host.clone().into()),
            lifetime: has_turn.then_some(LIFETIME),
        }]);
        self.renewed = (has_turn && written.is_ok()).then_some(sent);
        self.renewed.is_some()
    }
}
