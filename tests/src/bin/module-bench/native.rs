//! The baseline: the same Rust code on the same events in this process, without the WebAssembly boundary.

use anyhow::anyhow;
use hookhost_guest::{Module, testing};

use crate::events::Sample;
use crate::guest::BATCH;
use crate::table::{Table, micros_per_round};

/// Time of an event.
pub(crate) fn events<M: Module>(
    table: &mut Table,
    name: &str,
    config: &str,
    sample: &Sample,
    rounds: usize,
) -> anyhow::Result<()> {
    let mut module: M = testing::configure(serde_json::from_str(config)?).map_err(|problems| anyhow!("{problems}"))?;
    let batch = sample.guest_batch(BATCH);
    for _ in 0..rounds {
        let time = micros_per_round(BATCH, || {
            // Keeps the outcomes until the end of the batch, as a module keeps them for the host.
            let outcomes: Vec<_> = batch.iter().map(|event| module.on_event(event)).collect();
            std::hint::black_box(outcomes);
        });
        table.add(format!("{name}, natively, µs"), time);
    }
    Ok(())
}
