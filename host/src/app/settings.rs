//! The settings of the parts of the host, from its configuration.

use crate::config::Config;
use crate::reload;
use hookhost_activity::ActivityLog;
use hookhost_dead_letters::{Collection, Kind, Limits, Store as RecordStore};
use hookhost_delivery::{Sync, WhenFull};
use hookhost_kv::KvStores;
use {hookhost_modules as modules, hookhost_wasm as wasm};

/// The limits of dead letters and of the quarantine.
pub(super) fn kept_limits(config: &Config) -> impl Fn(Kind) -> Limits {
    let (requests, events) = (config.dead_letters, config.quarantine);
    move |kind| match kind {
        Kind::Requests => requests,
        Kind::Events => events,
    }
}

/// The settings of the engine.
pub(crate) fn engine_settings(config: &Config) -> wasm::EngineSettings {
    wasm::EngineSettings {
        cache_dir: config.wasm.cache_dir.clone(),
        apart: true,
    }
}

/// The settings of modules that do not run. What is on disk belongs to the running host.
pub(crate) fn trial_settings(config: &Config) -> modules::Settings {
    let kept = RecordStore::in_memory(kept_limits(config));
    module_settings(
        config,
        &KvStores::in_memory(),
        kept.collection(Kind::Events),
        ActivityLog::new(),
    )
}

/// Why requests are not kept on disk until they are delivered, as `acknowledge = "durable"` needs.
fn not_durable(config: &Config) -> Option<&'static str> {
    if config.shared_outbox.is_some() {
        None
    } else if config.data.is_none() {
        Some("\"durable\" needs a data folder: set `dir` in [data] or --data DIR")
    } else if config.delivery.disk.when_full != WhenFull::Wait {
        Some("\"durable\" needs when_full = \"wait\" in [outbox]")
    } else if config.delivery.disk.sync == Sync::Never {
        Some("\"durable\" needs sync = \"always\" or \"interval\" in [outbox]")
    } else {
        None
    }
}

/// The settings of modules.
pub(super) fn module_settings(
    config: &Config,
    stores: &KvStores,
    quarantine: Collection,
    activity: ActivityLog,
) -> modules::Settings {
    modules::Settings {
        dir: config.modules.dir.clone(),
        node: config.node.clone(),
        reloadable: reload::reloadable(config),
        queue: config.hooks.queue,
        instances: config.wasm.instances,
        limits: config.wasm.limits.clone(),
        compile_time: config.wasm.compile_time,
        module_size: config.wasm.module_size as u64,
        stores: stores.clone(),
        batch: config.hooks.batch,
        quarantine,
        nice: config.wasm.nice,
        not_durable: not_durable(config),
        activity,
    }
}
