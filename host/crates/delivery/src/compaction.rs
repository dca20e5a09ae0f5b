//! Gives free space of the file of the outbox back to the file system.

use std::time::Instant;

use hookhost_outbox::Store;
use hookhost_settings::error_line;
use tracing::{debug, error};

/// A file that is smaller is not compacted.
const MIN_COMPACTED_BYTES: u64 = 64 << 20;

/// A file is compacted when its requests have at most this part of its size.
const MAX_COMPACTED_PART: u64 = 8;

/// Compacts a file whose requests have `live` bytes, if most of it is free. Blocks while the file is rewritten; an error is
/// logged.
pub(super) fn compact(store: &Store, live: usize) {
    let before = store.file_bytes();
    if before < MIN_COMPACTED_BYTES || live as u64 > before / MAX_COMPACTED_PART {
        return;
    }
    let start = Instant::now();
    match store.compact() {
        Ok(true) => {
            let (after, time) = (store.file_bytes(), start.elapsed());
            debug!(before, after, ?time, "the file of the outbox is compacted");
        }
        Ok(false) => {}
        Err(error) => {
            let error = error_line(&error);
            error!(error, "the file of the outbox cannot be compacted");
        }
    }
}
