//! A module in the host's engine: the cost of its start, and of each event.

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, ensure};
use hookhost_contract::Outcome;
use hookhost_event::Node;
use hookhost_kv::{Kv, KvBounds};
use hookhost_wasm::{Component, Engine, EngineSettings, Identity, Instance, Limits};

use crate::events::Sample;
use crate::table::{Table, micros_per_round};

/// Events of a batch: the default maximum of the host.
pub(crate) const BATCH: usize = 64;

/// The measured module.
pub(crate) struct Subject {
    pub(crate) wasm: Vec<u8>,
    /// Settings as JSON.
    pub(crate) config: String,
}

impl Subject {
    fn compile(&self, settings: &EngineSettings) -> anyhow::Result<(Component, f64)> {
        let engine = Engine::new(settings)?;
        let start = Instant::now();
        let component = engine.compile(&self.wasm)?;
        Ok((component, start.elapsed().as_secs_f64() * 1000.0))
    }

    fn instance(&self, component: &Component, kv: &Arc<Kv>) -> anyhow::Result<Instance> {
        let identity = Identity {
            node: Node {
                name: "hookhost@127.0.0.1".into(),
                id: 1,
            },
            module: "bench".into(),
            generation: 1,
        };
        let mut instance = component.instantiate(&identity, &Limits::default(), kv)?;
        instance.configure(&self.config).context("the settings")?;
        Ok(instance)
    }
}

fn kv() -> Arc<Kv> {
    Kv::new(KvBounds::default())
}

/// Size, compiling, a fresh instance, memory.
pub(crate) fn start(table: &mut Table, subject: &Subject, sample: &Sample, rounds: usize) -> anyhow::Result<()> {
    table.add("component, kB", subject.wasm.len() as f64 / 1000.0);
    let event = sample.batch(1);
    for _ in 0..rounds {
        let cache = tempfile::tempdir()?;
        let settings = EngineSettings {
            cache_dir: Some(cache.path().to_owned()),
            ..EngineSettings::default()
        };
        let (component, cold) = subject.compile(&settings)?;
        table.add("compile, ms", cold);
        table.add("load from cache, ms", subject.compile(&settings)?.1);
        let kv = kv();
        let mut failure = None;
        let fresh = micros_per_round(1, || {
            let first = subject.instance(&component, &kv);
            if let Err(error) = first.and_then(|mut instance| Ok(instance.handle(&event)?)) {
                failure = Some(error);
            }
        });
        if let Some(error) = failure {
            return Err(error.context("a fresh instance"));
        }
        table.add("fresh instance, configured, with one event, µs", fresh);
    }
    let (component, _) = subject.compile(&EngineSettings::default())?;
    let mut instance = subject.instance(&component, &kv())?;
    let batch = sample.batch(BATCH);
    for _ in 0..100 {
        instance.handle(&batch)?;
    }
    table.add("linear memory after 100 batches, MB", instance.memory() as f64 / 1e6);
    Ok(())
}

/// Time of an event alone and in a batch.
pub(crate) fn events(
    table: &mut Table,
    name: &str,
    subject: &Subject,
    sample: &Sample,
    rounds: usize,
) -> anyhow::Result<()> {
    let (component, _) = subject.compile(&EngineSettings::default())?;
    let mut instance = subject.instance(&component, &kv())?;
    for count in [BATCH, 1] {
        let batch = sample.batch(count);
        let outcomes = instance.handle(&batch)?;
        let failed = outcomes.iter().find_map(|outcome| match outcome {
            Outcome::Fail(text) => Some(text.clone()),
            _ => None,
        });
        ensure!(failed.is_none(), "{name}: the module failed: {failed:?}");
        for _ in 0..rounds {
            let mut dead = None;
            let time = micros_per_round(count, || {
                if let Err(error) = instance.handle(&batch) {
                    dead = Some(error);
                }
            });
            if let Some(error) = dead {
                return Err(error.into());
            }
            let form = if count == 1 { "alone" } else { "in a batch of 64" };
            table.add(format!("{name}, {form}, µs"), time);
        }
    }
    Ok(())
}
