//! The host side of an instance: the functions that a guest imports.
//!
//! `log` and `kv` belong to the contract. WASI is that of wasmtime, with an empty context. Only waiting is implemented
//! here, because a sleeping host function cannot be interrupted. A guest that polls a clock is woken at the deadline of
//! its call.

use std::sync::{Arc, Mutex};
use std::time::Instant;

use bytes::Bytes;
use tracing::Level;
use wasmtime::component::{HasData, HasSelf, Linker, Resource, ResourceTable};
use wasmtime_wasi::p2::DynPollable;
use wasmtime_wasi::p2::bindings::io::poll as wait;
use wasmtime_wasi::p2::bindings::sync::io::poll;
use wasmtime_wasi::runtime::in_tokio;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use super::bindings::HookModule;
use super::bindings::hookhost::hook::{kv, log, types};
use super::limits::{Limiter, Limits};
use super::lines::{self, Source};
use super::stdio::{self, GuestStream, Output, Stream};
use hookhost_kv::{Kv, KvAccess};

/// Limit of the WASI resources that a guest may have: streams, pollables, errors. Each costs the host a few hundred
/// bytes.
const RESOURCES: usize = 1_000;

/// Limit of the random bytes that a guest gets at once. The host generates them, and no deadline interrupts it.
const RANDOM_BYTES: u64 = 1 << 20;

/// The data of a store.
pub(super) struct State {
    pub(super) limiter: Limiter,
    pub(super) kv: KvAccess,
    pub(super) output: Arc<Mutex<Output>>,
    /// The deadline of the running call.
    pub(super) deadline: Instant,
    /// Whether the engine counts executed instructions.
    pub(super) metered: bool,
    wasi: WasiCtx,
    resources: ResourceTable,
}

impl State {
    pub(super) fn new(source: Source, limits: &Limits, kv: &Arc<Kv>, metered: bool, now: Instant) -> State {
        let output = Arc::new(Mutex::new(Output::new(source, now)));
        let wasi = WasiCtx::builder()
            .stdout(GuestStream::new(&output, Stream::Out))
            .stderr(GuestStream::new(&output, Stream::Err))
            // These are the defaults of wasmtime, set explicitly so that an update cannot change them.
            .allow_tcp(false)
            .allow_udp(false)
            .allow_ip_name_lookup(false)
            .max_random_size(RANDOM_BYTES)
            .build();
        let mut resources = ResourceTable::new();
        resources.set_max_capacity(RESOURCES);
        State {
            limiter: Limiter::new(limits),
            kv: KvAccess::new(Arc::clone(kv)),
            output,
            deadline: now + limits.start_deadline,
            metered,
            wasi,
            resources,
        }
    }
}

/// Adds everything that a module may import to a linker.
pub(super) fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    wasmtime_wasi::p2::add_to_linker_sync(linker)?;
    // Replaces the implementation of wasmtime, which would wait forever.
    linker.allow_shadowing(true);
    poll::add_to_linker::<State, Waiting<'static>>(linker, |state| Waiting {
        resources: &mut state.resources,
        deadline: state.deadline,
    })?;
    linker.allow_shadowing(false);
    HookModule::add_to_linker::<State, HasSelf<State>>(linker, |state| state)
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.resources,
        }
    }
}

/// The call has reached its deadline.
#[derive(Debug, thiserror::Error)]
#[error("the call exceeded its deadline")]
pub(super) struct DeadlineReached;

/// `wasi:io/poll`, limited by the deadline of the call.
struct Waiting<'a> {
    resources: &'a mut ResourceTable,
    deadline: Instant,
}

impl HasData for Waiting<'static> {
    type Data<'a> = Waiting<'a>;
}

impl Waiting<'_> {
    fn until_deadline<T>(deadline: Instant, ready: impl Future<Output = wasmtime::Result<T>>) -> wasmtime::Result<T> {
        in_tokio(async {
            match tokio::time::timeout_at(deadline.into(), ready).await {
                Ok(ready) => ready,
                Err(_) => Err(DeadlineReached.into()),
            }
        })
    }
}

impl poll::Host for Waiting<'_> {
    fn poll(&mut self, pollables: Vec<Resource<DynPollable>>) -> wasmtime::Result<Vec<u32>> {
        Self::until_deadline(self.deadline, wait::Host::poll(self.resources, pollables))
    }
}

impl poll::HostPollable for Waiting<'_> {
    fn ready(&mut self, pollable: Resource<DynPollable>) -> wasmtime::Result<bool> {
        Self::until_deadline(self.deadline, wait::HostPollable::ready(self.resources, pollable))
    }

    fn block(&mut self, pollable: Resource<DynPollable>) -> wasmtime::Result<()> {
        Self::until_deadline(self.deadline, wait::HostPollable::block(self.resources, pollable))
    }

    fn drop(&mut self, pollable: Resource<DynPollable>) -> wasmtime::Result<()> {
        wait::HostPollable::drop(self.resources, pollable)
    }
}

impl types::Host for State {}

impl log::Host for State {
    fn enabled(&mut self, level: log::Level) -> bool {
        lines::is_enabled(self::level(level))
    }

    fn write(&mut self, level: log::Level, line: String) {
        stdio::lock(&self.output).log(self::level(level), &line, Instant::now());
    }
}

fn level(level: log::Level) -> Level {
    match level {
        log::Level::Error => Level::ERROR,
        log::Level::Warn => Level::WARN,
        log::Level::Info => Level::INFO,
        log::Level::Debug => Level::DEBUG,
        log::Level::Trace => Level::TRACE,
    }
}

impl kv::Host for State {
    fn get(&mut self, key: String) -> Option<Vec<u8>> {
        self.kv.get(&key, Instant::now()).map(Vec::from)
    }

    fn set(&mut self, key: String, value: Vec<u8>, ttl: Option<u32>) -> Result<(), String> {
        self.swap(key, value, ttl).map(drop)
    }

    fn swap(&mut self, key: String, value: Vec<u8>, ttl: Option<u32>) -> Result<Option<Vec<u8>>, String> {
        let before = self.kv.swap(&key, Bytes::from(value), ttl, Instant::now());
        before
            .map(|before| before.map(Vec::from))
            .map_err(|error| error.to_string())
    }

    fn insert(&mut self, key: String, value: Vec<u8>, ttl: Option<u32>) -> Result<bool, String> {
        self.kv
            .insert(&key, Bytes::from(value), ttl, Instant::now())
            .map_err(|error| error.to_string())
    }

    fn add(&mut self, key: String, amount: i64, ttl: Option<u32>) -> Result<i64, String> {
        self.kv
            .add(&key, amount, ttl, Instant::now())
            .map_err(|error| error.to_string())
    }

    fn remove(&mut self, key: String) -> wasmtime::Result<bool> {
        Ok(self.kv.remove(&key, Instant::now())?)
    }
}
