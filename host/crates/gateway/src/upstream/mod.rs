//! The upstream brokers: which ones to try for a client, and in which order.
//!
//! A [`Target`] is one upstream with its `health` and its connections. `balance` decides about the order: pure. An upstream
//! that has failed is down: clients are sent to it only if no other one answers, and a task tries to connect to it, with
//! pauses that grow, until it is up. `dial` connects. A reload replaces the list through [`UpstreamControl`]; the
//! connections of an upstream that it removes are closed evenly over `drain_timeout`.

mod balance;
mod control;
mod dial;
mod health;
mod target;

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use smallvec::SmallVec;
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::settings::{GatewaySettings, UpstreamSettings};
use super::stream::UpstreamStream;
use dial::{Address, Dialer};
use hookhost_broker::{Limits, UpstreamState};
use hookhost_listener::Peer;

pub use balance::Balance;
pub use control::UpstreamControl;
pub(crate) use dial::LocalBroker;
pub(crate) use target::{Target, UpstreamGuard, VersionProbe};

/// The upstream brokers.
pub(crate) struct Upstreams {
    lists: Mutex<Lists>,
    dialer: Arc<Dialer>,
    connect_timeout: Duration,
    /// How many clients were sent somewhere.
    turn: AtomicUsize,
    stopping: CancellationToken,
    _stops: DropGuard,
}

struct Lists {
    balance: Balance,
    listed: Arc<[Arc<Target>]>,
    /// Removed by a reload; they have connections left.
    draining: Vec<Arc<Target>>,
}

impl Upstreams {
    /// Reads the TLS files, if they are needed; starts the broker in this process, if the list of upstreams is empty.
    ///
    /// # Errors
    ///
    /// What is wrong with the files, or why the broker in this process does not start, as a sentence.
    pub(crate) async fn new(settings: &GatewaySettings, limits: &Limits) -> Result<Upstreams, String> {
        let dialer = Dialer::new(settings);
        let UpstreamSettings { list, balance, .. } = &settings.upstreams;
        dialer.prepare(list)?;
        let addresses = if list.is_empty() {
            vec![Address::Local(start_local(settings, limits).await?)]
        } else {
            list.iter().cloned().map(Address::Network).collect()
        };
        let stopping = CancellationToken::new();
        Ok(Upstreams {
            lists: Mutex::new(Lists {
                balance: *balance,
                listed: addresses.into_iter().map(Target::new).collect(),
                draining: Vec::new(),
            }),
            dialer: Arc::new(dialer),
            connect_timeout: settings.connect_timeout,
            turn: AtomicUsize::new(0),
            _stops: stopping.clone().drop_guard(),
            stopping,
        })
    }

    fn lists(&self) -> MutexGuard<'_, Lists> {
        self.lists.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The upstreams in the order in which to try them for a client, whose id may be empty, or for the host itself.
    pub(crate) fn order(&self, client_id: Option<&str>) -> SmallVec<[Arc<Target>; 4]> {
        let (balance, listed) = {
            let lists = self.lists();
            (lists.balance, Arc::clone(&lists.listed))
        };
        // Messages of the host take no turns of clients.
        let turns = usize::from(client_id.is_some());
        let turn = self.turn.fetch_add(turns, Ordering::Relaxed);
        let client_id = client_id.filter(|id| !id.is_empty() && balance == Balance::ClientId);
        let candidates: SmallVec<[_; 4]> = listed.iter().map(|target| target.candidate(client_id)).collect();
        let order = balance::order(balance, &candidates, turn).into_iter();
        order.filter_map(|place| listed.get(place).cloned()).collect()
    }

    /// One has failed: it is left out until a connection attempt succeeds.
    pub(crate) fn failed(&self, target: &Arc<Target>, why: &str) {
        if target.state().health.failed(why) {
            tracing::warn!(upstream = target.name(), why, "the upstream broker is down");
        }
        self.probe(target);
    }

    /// Starts a task that tries to connect to an upstream that is down, unless there is one.
    fn probe(&self, target: &Arc<Target>) {
        {
            let mut state = target.state();
            if !state.health.is_down() || state.is_probed {
                return;
            }
            state.is_probed = true;
        }
        let probing = probe(Arc::clone(target), Arc::clone(&self.dialer), self.connect_timeout);
        let stopping = self.stopping.clone();
        drop(tokio::spawn(async move {
            stopping.run_until_cancelled(probing).await;
        }));
    }

    /// What the broker in this process counts; empty for brokers elsewhere.
    pub(crate) fn counters(&self) -> Vec<(&'static str, u64)> {
        let listed = Arc::clone(&self.lists().listed);
        let counters = |target: &Arc<Target>| match &target.address {
            Address::Network(_) => Vec::new(),
            Address::Local(broker) => broker.counters(),
        };
        listed.iter().flat_map(counters).collect()
    }

    /// All upstreams for people and metrics: those of the list in its order, then those that are being drained.
    pub(crate) fn states(&self) -> Vec<UpstreamState> {
        let mut lists = self.lists();
        lists.draining.retain(|target| target.connections() > 0);
        let all = lists.listed.iter().chain(&lists.draining);
        all.map(|target| target.report()).collect()
    }

    /// The broker in this process, if it is of this type.
    #[cfg(test)]
    pub(crate) fn with_local<T: std::any::Any, R>(&self, with: impl FnOnce(&T) -> R) -> Option<R> {
        let listed = Arc::clone(&self.lists().listed);
        let local = listed.iter().find_map(|target| match &target.address {
            Address::Network(_) => None,
            Address::Local(broker) => broker.as_any().downcast_ref(),
        })?;
        Some(with(local))
    }

    /// Connects to one for a client; without one, for the host itself.
    pub(crate) async fn connect(&self, target: &Target, client: Option<&Peer>) -> io::Result<Box<dyn UpstreamStream>> {
        self.dialer.connect(&target.address, client).await
    }

    /// Uses this list from now on.
    pub(crate) fn replace(&self, settings: &UpstreamSettings) {
        let is_local = |target: &Arc<Target>| matches!(target.address, Address::Local(_));
        // This reads files, and clients wait for the lock.
        let prepared = self.dialer.prepare(&settings.list);
        let mut lists = self.lists();
        lists.draining.retain(|target| target.connections() > 0);
        if settings.list.is_empty() || lists.listed.iter().any(is_local) {
            if !settings.list.is_empty() || !lists.listed.iter().any(is_local) {
                tracing::warn!("a change between rumqttd and other upstreams needs a restart");
            }
            return;
        }
        if let Err(error) = prepared {
            tracing::error!(error, "the upstreams are not changed");
            return;
        }
        let known: Vec<Arc<Target>> = lists.listed.iter().chain(&lists.draining).cloned().collect();
        let listed = settings.list.iter().map(|upstream| {
            let name = upstream.to_string();
            let known = known.iter().find(|target| target.name() == name);
            known.map_or_else(|| Target::new(Address::Network(upstream.clone())), Arc::clone)
        });
        lists.balance = settings.balance;
        lists.listed = listed.collect();
        let is_listed = |target: &Arc<Target>| lists.listed.iter().any(|listed| Arc::ptr_eq(listed, target));
        let (kept, removed): (Vec<_>, Vec<_>) = known.iter().cloned().partition(is_listed);
        for target in lists.listed.iter().filter(|target| !target.is_listed()) {
            target.drain(None);
            self.probe(target);
        }
        for target in removed.iter().filter(|target| target.is_listed()) {
            target.drain(Some(settings.drain_timeout));
            let connections = target.connections();
            tracing::info!(upstream = target.name(), connections, "the upstream broker is drained");
        }
        let added = lists.listed.len() - kept.len();
        if added > 0 {
            tracing::info!(added, "upstream brokers added");
        }
        lists.draining = removed;
    }
}

/// Tries to connect until it succeeds or the upstream is not listed any more.
async fn probe(target: Arc<Target>, dialer: Arc<Dialer>, limit: Duration) {
    loop {
        let pause = target.state().health.pause();
        tokio::time::sleep(pause).await;
        {
            // A client may have succeeded meanwhile.
            let mut state = target.state();
            if !target.is_listed() || !state.health.is_down() {
                state.is_probed = false;
                return;
            }
        }
        let attempt = timeout(limit, dialer.connect(&target.address, None)).await;
        let mut state = target.state();
        match attempt {
            Ok(Ok(_)) => {
                if state.health.reached() {
                    tracing::info!(
                        upstream = target.name(),
                        "the upstream broker accepts connections again"
                    );
                }
                state.is_probed = false;
                return;
            }
            Ok(Err(error)) => state.health.probe_failed(&error.to_string()),
            Err(_) => state.health.probe_failed("no connection in time"),
        };
    }
}

/// Starts the broker in this process.
#[cfg(feature = "rumqttd")]
async fn start_local(settings: &GatewaySettings, limits: &Limits) -> Result<Box<dyn LocalBroker>, String> {
    let started = super::rumqttd::Rumqttd::start(settings, limits).await;
    let broker = started.map_err(|error| format!("rumqttd does not start: {error}"))?;
    Ok(Box::new(broker))
}

/// This build has no broker to start.
#[cfg(not(feature = "rumqttd"))]
async fn start_local(_: &GatewaySettings, _: &Limits) -> Result<Box<dyn LocalBroker>, String> {
    Err("this build has no rumqttd: give the address of a broker, or build with the feature \"rumqttd\"".to_owned())
}

#[cfg(test)]
mod tests;
