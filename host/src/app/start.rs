//! What a start does before the parts of the host run.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::time::Duration;

use anyhow::Context;
use rustix::process::{Resource as Limited, Rlimit, getrlimit, setrlimit};
use tracing::warn;

use crate::config::Config;
use crate::module_bucket::{Mirror, Rollout};
use crate::webhooks::{KeptStore, SharedWebhookStore, WebhookStore};
use crate::{admin, reload, version};
use hookhost_activity::ActivityLog;
use hookhost_delivery::Storage;
use hookhost_jetstream::{SharedKeys, SharedObjects, SharedOutbox, WhenUnreachable};
use hookhost_listener::BindError;
use hookhost_otlp::{Exporter, Resource};
use hookhost_outbox::Store;

/// How long the start waits for a bucket of NATS.
const BUCKET_WAIT: Duration = Duration::from_secs(10);

/// Below this limit of open files, the log says so at the start: each client needs three.
const FEW_OPEN_FILES: u64 = 1_024;

/// Raises the limit of open files to the maximum of the system. The usual limit of 1,024 exists for programs that use
/// `select`.
pub(super) fn raise_file_limit() {
    let Rlimit { maximum, .. } = getrlimit(Limited::Nofile);
    let limit = Rlimit {
        current: maximum,
        maximum,
    };
    if let Err(error) = setrlimit(Limited::Nofile, limit) {
        warn!(%error, "cannot raise the limit of open files");
    }
    if let Some(maximum) = maximum.filter(|maximum| *maximum < FEW_OPEN_FILES) {
        let clients = maximum / 3;
        let what = "few files may be open, so few clients can connect";
        warn!(
            maximum,
            clients, "{what}; raise the limit with ulimit -n, or LimitNOFILE= of systemd"
        );
    }
}

/// Listens on the addresses for a moment, before modules are loaded. A start that is refused because of an address then
/// reports this at once and nothing else.
pub(super) fn try_addresses(config: &Config) -> anyhow::Result<()> {
    // With this option, several hosts share a port.
    if !config.mqtt.limits.reuse_port {
        for listener in &config.mqtt.listeners {
            if let Some(address) = listener.address.network() {
                TcpListener::bind(address).map_err(|source| BindError::Address {
                    name: listener.name.to_string(),
                    address: listener.address.clone(),
                    source,
                })?;
            }
        }
    }
    if let Some(address) = config.admin.listen.filter(|_| config.admin.chosen) {
        TcpListener::bind(address).map_err(|source| admin::StartError::Listen { address, source })?;
    }
    Ok(())
}

/// Where requests wait.
pub(super) fn storage(config: &Config) -> anyhow::Result<Storage> {
    let open = |data: &hookhost_kv::DataSettings| Store::open(&data.dir, config.delivery.disk.sync.flush());
    let store = config.data.as_ref().map(open).transpose()?;
    let Some(settings) = &config.shared_outbox else {
        return Ok(store.into());
    };
    // With a data folder, requests can wait there.
    let when_unreachable = match store {
        Some(_) => WhenUnreachable::Wait,
        None => WhenUnreachable::Fail,
    };
    let outbox = SharedOutbox::start(settings, when_unreachable);
    Ok(Storage::Shared {
        outbox: outbox.context("cannot start the shared outbox")?,
        backlog: store,
    })
}

/// The webhooks that the admin API changes.
///
/// # Errors
///
/// The file in the data folder cannot be read.
pub(super) fn kept_webhooks(config: &Config, outbox: Option<&SharedOutbox>) -> std::io::Result<KeptStore> {
    if let (Some(outbox), Some(settings)) = (outbox, &config.shared_outbox) {
        let bucket = format!("{}-webhooks", settings.name);
        return SharedWebhookStore::open(outbox, &bucket, config).map(KeptStore::Shared);
    }
    WebhookStore::new(config.data.as_ref().map(|data| data.dir.as_path())).map(KeptStore::Own)
}

/// The rollout of the modules in an object store, and the store; `None`: they are not in one. Fills a new mirror.
///
/// # Errors
///
/// The store has another form, or the mirror cannot be read or written.
pub(super) fn rollout(
    config: &Config,
    outbox: Option<&SharedOutbox>,
) -> anyhow::Result<Option<(Rollout, SharedObjects)>> {
    let (Some(outbox), Some(bucket), Some(data)) = (outbox, &config.modules.bucket, &config.data) else {
        return Ok(None);
    };
    let objects = SharedObjects::open(outbox, &bucket.name);
    let turns = SharedKeys::open(outbox, &bucket.name, BTreeMap::new());
    let mirror = Mirror::open(&data.dir).context("cannot read the copy of the modules in the data folder")?;
    let mut random = [0; 8];
    getrandom::fill(&mut random).context("cannot make a random id")?;
    let host = config.node.name.to_string();
    let id = format!("{host} {:016x}", u64::from_ne_bytes(random));
    let mut rollout = Rollout::new(objects.clone(), turns, mirror, bucket.rollout_wait, (host, id));
    let limit = if outbox.is_ready() { BUCKET_WAIT } else { Duration::ZERO };
    rollout.prepare(limit).context("cannot use the modules of the bucket")?;
    Ok(Some((rollout, objects)))
}

/// Uses the webhooks of the bucket before the host serves clients, so that no event misses them. Without NATS, a host with a
/// data folder uses its copy.
///
/// # Errors
///
/// The bucket has another form, or there is no copy.
pub(super) fn wait_for_webhooks(
    webhooks: &SharedKeys,
    outbox: &SharedOutbox,
    reload: &reload::Handle,
    has_copy: bool,
) -> anyhow::Result<()> {
    // An outbox that is not ready has waited for NATS already.
    let limit = if outbox.is_ready() { BUCKET_WAIT } else { Duration::ZERO };
    let is_read = webhooks.wait_until_read(limit).map_err(anyhow::Error::msg)?;
    if is_read {
        reload.use_shared_webhooks();
    } else if has_copy {
        warn!("NATS cannot be reached; the webhooks are those of the last time, and cannot be changed");
    } else {
        anyhow::bail!(
            "the webhooks in the bucket {} of NATS cannot be read",
            webhooks.bucket()
        );
    }
    Ok(())
}

/// Starts the export of spans, if an endpoint is set.
pub(super) fn start_exporter(config: &Config, activity: &ActivityLog) -> anyhow::Result<Option<Exporter>> {
    let Some(settings) = &config.tracing else {
        return Ok(None);
    };
    let resource = Resource {
        instance: config.node.name.to_string(),
        version: version::VERSION,
    };
    Ok(Some(Exporter::start(settings, resource, activity)?))
}
