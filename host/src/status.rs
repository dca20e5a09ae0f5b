//! The state of the host at one moment: broker, event queues, modules and delivery.
//!
//! [`StatusReader`] reads counters that the parts keep anyway, so a reading costs the path of events nothing. Metrics,
//! readiness and the dashboard use the same [`HostStatus`].

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use hookhost_broker::{EngineHandle, EngineState};
use hookhost_delivery::{Counters, DestinationState, Monitor};
use hookhost_event::{Hook, Millis};
use hookhost_hooks::Bus;
use hookhost_modules::{Handle, ModuleState, Status};
use hookhost_otlp::{ExportCounters, ExportCounts};

/// The engine counts as not ready if it does not answer within this time.
const ENGINE_TIMEOUT: Duration = Duration::from_secs(1);
/// How old the state of the engine may be: reading it takes longer the more sessions there are.
const ENGINE_STATE_AGE: Duration = Duration::from_secs(2);

/// Reads the state of a running host. Clones read the same host.
#[derive(Clone)]
pub struct StatusReader {
    bus: Bus,
    modules: Handle,
    delivery: Monitor,
    engine: EngineHandle,
    spans: Option<ExportCounters>,
    started: Millis,
    /// The last state of the engine. Locked while the engine answers, so that it answers one reader at a time.
    last: Arc<Mutex<Option<(Instant, EngineState)>>>,
}

/// The state of a host.
#[derive(Debug, Clone)]
pub struct HostStatus {
    /// When the state was read.
    pub at: Millis,
    /// When the host started.
    pub started: Millis,
    /// The broker engine, at most two seconds ago; `None` if it does not answer.
    pub engine: Option<EngineState>,
    /// Events by hook that at least one module wanted.
    pub emitted: Vec<(Hook, u64)>,
    /// The modules, by name.
    pub modules: Vec<ModuleState>,
    /// How many requests of each module became dead letters.
    pub dead_of_modules: BTreeMap<Arc<str>, u64>,
    /// The counters of delivery.
    pub delivery: Counters,
    /// Requests that wait in the data folder until NATS can be used, and their bytes; 0 if the outbox is not shared.
    pub waiting_for_nats: (usize, usize),
    /// The destinations that have got a request, by name and URL.
    pub destinations: Vec<DestinationState>,
    /// The export of spans; `None` if they are not exported.
    pub spans: Option<ExportCounts>,
    /// Whether the outbox takes new requests.
    pub is_outbox_open: bool,
}

impl StatusReader {
    /// Reads the state of a host with these parts, which starts now. `spans` are the counters of the exporter, if there is
    /// one.
    pub fn new(
        bus: Bus,
        modules: Handle,
        delivery: Monitor,
        engine: EngineHandle,
        spans: Option<ExportCounters>,
    ) -> StatusReader {
        StatusReader {
            bus,
            modules,
            delivery,
            engine,
            spans,
            started: now(),
            last: Arc::default(),
        }
    }

    /// The state now. Takes at most a second longer than the engine needs to answer other readers.
    pub async fn read(&self) -> HostStatus {
        let engine = self.engine().await;
        let modules = self.modules.states();
        let dead = |module: &ModuleState| (Arc::clone(&module.name), self.delivery.dead_of(&module.name));
        HostStatus {
            engine,
            at: now(),
            started: self.started,
            emitted: self.bus.emitted().collect(),
            dead_of_modules: modules.iter().map(dead).collect(),
            modules,
            delivery: self.delivery.counters(),
            waiting_for_nats: self.delivery.waiting_for_nats(),
            destinations: self.delivery.destinations(),
            spans: self.spans.as_ref().map(ExportCounters::read),
            is_outbox_open: self.delivery.is_accepting(),
        }
    }

    async fn engine(&self) -> Option<EngineState> {
        let mut last = self.last.lock().await;
        if let Some((at, state)) = &*last
            && at.elapsed() < ENGINE_STATE_AGE
        {
            return Some(state.clone());
        }
        *last = match timeout(ENGINE_TIMEOUT, self.engine.state()).await {
            Ok(Ok(state)) => Some((Instant::now(), state)),
            Ok(Err(_)) | Err(_) => None,
        };
        last.as_ref().map(|(_, state)| state.clone())
    }
}

impl HostStatus {
    /// The parts that do not work now, each with the reason; empty if the host is ready.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if self.engine.is_none() {
            problems.push("broker: it has not started, or does not answer".to_owned());
        }
        if !self.is_outbox_open {
            problems.push("outbox: it is being restored, or has stopped".to_owned());
        }
        let failing = self.modules.iter().filter(|module| match module.status {
            Status::BackingOff | Status::Rejected => true,
            Status::Running | Status::RolledBack | Status::Draining => false,
            _ => true,
        });
        problems.extend(failing.map(|module| format!("module {}: {}", module.name, module.status.name())));
        problems
    }
}

/// The current time.
pub(crate) fn now() -> Millis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
