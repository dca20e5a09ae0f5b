//! The chunks that were read last.

use std::collections::VecDeque;

use bytes::Bytes;
use hookhost_outbox::{Chunk, StoreError};

/// How many chunks are in memory. The requests of many keys wait in the order in which they came, so the next request of
/// each key is in one of a few chunks.
const MAX_CHUNKS: usize = 32;

/// A larger chunk is one large request, which is not read again.
const MAX_CHUNK_BYTES: usize = 32 << 10;

/// The chunks that were read last, the newest one first. A record that was removed in the meantime may still be in one.
#[derive(Default)]
pub(super) struct RecentChunks {
    chunks: VecDeque<Chunk>,
}

impl RecentChunks {
    pub(super) fn get(&self, number: u64) -> Option<Result<Bytes, StoreError>> {
        self.chunks.iter().find_map(|chunk| chunk.get(number))
    }

    pub(super) fn add(&mut self, chunk: Chunk) {
        if chunk.bytes() > MAX_CHUNK_BYTES {
            return;
        }
        self.chunks.truncate(MAX_CHUNKS - 1);
        self.chunks.push_front(chunk);
    }
}
