//! An allocator for modules that keep nothing from one batch of events to the next.
//!
//! Nearly all that such a module allocates is made for one batch, by the host and by the module, and is gone after it.
//! So memory is handed out by counting up through chunks of 64 KiB, and a chunk is used again from its start when the
//! last of its allocations is given back. That is all it takes: no search, no lists of free blocks.
//!
//! It is sound for every module. But a chunk stays in use for as long as one allocation in it does, so a module that
//! keeps small values between batches, such as a map that grows by an entry now and then, may hold up to 64 KiB for
//! each: such a module stays with the allocator of the standard library, or keeps its state in [`kv`](crate::kv).
//!
//! With [`abi`](crate::abi), where unsafe code is beside the bindings.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ptr::{self, NonNull};

/// Size and alignment of a chunk; a page of WebAssembly's memory.
const CHUNK: usize = 65_536;

/// What is larger, or has to be aligned more strictly, goes to the allocator of the standard library.
const LARGEST: usize = CHUNK / 8;
const STRICTEST: usize = 64;

/// The beginning of a chunk. The chunk of an allocation is found by rounding its address down.
#[repr(C)]
struct Chunk {
    /// How many allocations in the chunk are not given back.
    live: Cell<usize>,
    /// The next one of the chunks without any, if this is one.
    next: Cell<Option<NonNull<Chunk>>>,
}

/// Chunks and the place in one of them from which memory is handed out. For one thread.
struct Arena {
    /// The chunk that memory is handed out from, if there is one.
    current: Cell<Option<NonNull<Chunk>>>,
    /// Offset of the first free byte of it.
    top: Cell<usize>,
    /// Chunks without live allocations, but for the current one.
    free: Cell<Option<NonNull<Chunk>>>,
    /// Gives a new chunk: `CHUNK` bytes at a multiple of `CHUNK`, for ever; null if there is no memory.
    grow: fn() -> *mut u8,
}

impl Arena {
    #[cfg_attr(not(target_arch = "wasm32"), allow(dead_code, reason = "natively for tests alone"))]
    const fn new(grow: fn() -> *mut u8) -> Arena {
        Arena {
            current: Cell::new(None),
            top: Cell::new(0),
            free: Cell::new(None),
            grow,
        }
    }

    fn takes(layout: Layout) -> bool {
        layout.size() <= LARGEST && layout.align() <= STRICTEST
    }

    /// Memory for a layout that the arena [`takes`](Arena::takes); null if there is none.
    fn alloc(&self, layout: Layout) -> *mut u8 {
        loop {
            if let Some(chunk) = self.current.get() {
                // Alignments are powers of two; `next_multiple_of` would divide.
                let start = (self.top.get() + layout.align() - 1) & !(layout.align() - 1);
                let end = start + layout.size();
                if end <= CHUNK {
                    self.top.set(end);
                    // SAFETY: chunks live for ever, and only this thread knows them; `start` is inside of it.
                    return unsafe {
                        let live = &chunk.as_ref().live;
                        live.set(live.get() + 1);
                        chunk.as_ptr().cast::<u8>().add(start)
                    };
                }
            }
            // A chunk of its own holds every layout that is taken, so the loop ends here or in the next round.
            if !self.next_chunk() {
                return ptr::null_mut();
            }
        }
    }

    #[cold]
    fn next_chunk(&self) -> bool {
        let chunk = match self.free.get() {
            // SAFETY: chunks live for ever, and only this thread knows them.
            Some(chunk) => unsafe {
                self.free.set(chunk.as_ref().next.take());
                chunk
            },
            None => {
                let Some(chunk) = NonNull::new((self.grow)().cast::<Chunk>()) else {
                    return false;
                };
                // SAFETY: a new chunk is large enough, aligned and nobody else's.
                unsafe {
                    chunk.write(Chunk {
                        live: Cell::new(0),
                        next: Cell::new(None),
                    })
                };
                chunk
            }
        };
        self.current.set(Some(chunk));
        self.top.set(size_of::<Chunk>());
        true
    }

    /// Takes an allocation back.
    ///
    /// # Safety
    ///
    /// `pointer` is an allocation of this arena that was not taken back before.
    unsafe fn dealloc(&self, pointer: *mut u8) {
        // SAFETY: the allocation is inside of a chunk, behind its header, and chunks begin at multiples of their size.
        let chunk =
            unsafe { NonNull::new_unchecked(pointer.map_addr(|address| address & !(CHUNK - 1)).cast::<Chunk>()) };
        // SAFETY: chunks live for ever, and only this thread knows them.
        let header = unsafe { chunk.as_ref() };
        let live = header.live.get() - 1;
        header.live.set(live);
        if live > 0 {
            return;
        }
        if self.current.get() == Some(chunk) {
            self.top.set(size_of::<Chunk>());
        } else {
            header.next.set(self.free.replace(Some(chunk)));
        }
    }

    /// Makes an allocation larger or smaller where it is, if it can be.
    ///
    /// # Safety
    ///
    /// `pointer` is an allocation of this arena with `layout`, and `size` is a size that the arena takes.
    unsafe fn resize(&self, pointer: *mut u8, layout: Layout, size: usize) -> bool {
        if size <= layout.size() {
            return true;
        }
        let Some(chunk) = self.current.get() else { return false };
        let start = pointer.addr().wrapping_sub(chunk.as_ptr().addr());
        // Only the newest allocation of the current chunk has free memory behind it.
        if start > CHUNK || start + layout.size() != self.top.get() || start + size > CHUNK {
            return false;
        }
        self.top.set(start + size);
        true
    }
}

/// The allocator; see [`batch_allocator!`](crate::batch_allocator).
pub struct BatchAllocator(Arena);

#[cfg(all(target_arch = "wasm32", not(target_feature = "atomics")))]
impl BatchAllocator {
    /// An allocator without memory. For [`batch_allocator!`](crate::batch_allocator) alone.
    #[doc(hidden)]
    #[allow(clippy::new_without_default, reason = "lives in statics only")]
    pub const fn new() -> BatchAllocator {
        BatchAllocator(Arena::new(|| match core::arch::wasm32::memory_grow::<0>(1) {
            usize::MAX => ptr::null_mut(),
            page => ptr::with_exposed_provenance_mut(page * CHUNK),
        }))
    }
}

// SAFETY: without the feature `atomics` WebAssembly has one thread.
#[cfg(all(target_arch = "wasm32", not(target_feature = "atomics")))]
unsafe impl Sync for BatchAllocator {}

// SAFETY: memory is from the arena or from `System`; which of them is decided by the layout, in the same way each time.
unsafe impl GlobalAlloc for BatchAllocator {
    // Inlined into each place that allocates, the three would make a module a fifth larger.
    #[inline(never)]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if Arena::takes(layout) {
            return self.0.alloc(layout);
        }
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    #[inline(never)]
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe {
            if Arena::takes(layout) {
                self.0.dealloc(pointer)
            } else {
                System.dealloc(pointer, layout)
            }
        }
    }

    #[inline(never)]
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller promises that `size` with this alignment is a layout, and the rest.
        unsafe {
            let resized = Layout::from_size_align_unchecked(size, layout.align());
            match (Arena::takes(layout), Arena::takes(resized)) {
                (false, false) => return System.realloc(pointer, layout, size),
                (true, true) if self.0.resize(pointer, layout, size) => return pointer,
                _ => {}
            }
            let moved = self.alloc(resized);
            if !moved.is_null() {
                ptr::copy_nonoverlapping(pointer, moved, layout.size().min(size));
                self.dealloc(pointer, layout);
            }
            moved
        }
    }
}

/// Makes [`BatchAllocator`](crate::alloc::BatchAllocator) the allocator of a module that keeps nothing from one batch
/// of events to the next; once in its crate. Native tests are not affected.
///
/// ```
/// hookhost_guest::batch_allocator!();
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! batch_allocator {
    () => {
        #[cfg(target_arch = "wasm32")]
        #[global_allocator]
        static BATCH_ALLOCATOR: $crate::alloc::BatchAllocator = $crate::alloc::BatchAllocator::new();
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn grow() -> *mut u8 {
        let layout = Layout::from_size_align(CHUNK, CHUNK).unwrap();
        // SAFETY: the size is not zero. Never given back: chunks live for ever.
        unsafe { System.alloc(layout) }
    }

    fn allocator() -> BatchAllocator {
        BatchAllocator(Arena::new(grow))
    }

    fn layout(size: usize) -> Layout {
        Layout::from_size_align(size, 8).unwrap()
    }

    #[test]
    fn memory_is_used_again_when_all_is_given_back() {
        let allocator = allocator();
        // SAFETY: each allocation is given back once, with its layout.
        unsafe {
            let first = allocator.alloc(layout(100));
            let second = allocator.alloc(layout(100));
            assert_ne!(first, second);
            allocator.dealloc(first, layout(100));
            allocator.dealloc(second, layout(100));
            assert_eq!(allocator.alloc(layout(100)), first);
        }
    }

    #[test]
    fn a_chunk_with_something_in_it_stays() {
        let allocator = allocator();
        // SAFETY: each allocation is given back once, with its layout.
        unsafe {
            let kept = allocator.alloc(layout(LARGEST));
            kept.write_bytes(7, LARGEST);
            let rest: Vec<_> = (0..20).map(|_| allocator.alloc(layout(LARGEST))).collect();
            for pointer in rest {
                pointer.write_bytes(1, LARGEST);
                allocator.dealloc(pointer, layout(LARGEST));
            }
            for _ in 0..20 {
                let pointer = allocator.alloc(layout(LARGEST));
                pointer.write_bytes(2, LARGEST);
            }
            assert!(std::slice::from_raw_parts(kept, LARGEST).iter().all(|byte| *byte == 7));
        }
    }

    #[test]
    fn the_newest_allocation_grows_in_place() {
        let allocator = allocator();
        // SAFETY: each allocation is used with its layout.
        unsafe {
            let first = allocator.alloc(layout(10));
            assert_eq!(allocator.realloc(first, layout(10), 1_000), first);
            let second = allocator.alloc(layout(10));
            let moved = allocator.realloc(first, layout(1_000), 2_000);
            assert_ne!(moved, first);
            assert_eq!(allocator.realloc(second, layout(10), 5), second);
        }
    }

    proptest! {
        /// Allocations are aligned, hold what is written to them and do not overlap, whatever their order.
        #[test]
        fn behaves_as_an_allocator(
            steps in prop::collection::vec((0_usize..12, 1_usize..20_000, 0_u32..8, 0_u8..4), 1..200),
        ) {
            let allocator = allocator();
            let mut held: Vec<(*mut u8, Layout, u8)> = Vec::new();
            // SAFETY: each allocation is used with its layout until it is given back.
            unsafe {
                for (count, (at, size, align, action)) in steps.into_iter().enumerate() {
                    let mark = count as u8;
                    if action < 2 || held.is_empty() {
                        let layout = Layout::from_size_align(size, 1 << align).unwrap();
                        let pointer = allocator.alloc(layout);
                        prop_assert_eq!(pointer.addr() % layout.align(), 0);
                        pointer.write_bytes(mark, size);
                        held.push((pointer, layout, mark));
                    } else {
                        let at = at % held.len();
                        let (pointer, layout, mark) = held.swap_remove(at);
                        if action == 2 {
                            allocator.dealloc(pointer, layout);
                        } else {
                            let pointer = allocator.realloc(pointer, layout, size);
                            let kept = std::slice::from_raw_parts(pointer, layout.size().min(size));
                            prop_assert!(kept.iter().all(|byte| *byte == mark));
                            pointer.write_bytes(mark, size);
                            held.push((pointer, Layout::from_size_align(size, layout.align()).unwrap(), mark));
                        }
                    }
                    for (pointer, layout, mark) in &held {
                        let bytes = std::slice::from_raw_parts(*pointer, layout.size());
                        prop_assert!(bytes.first() == Some(mark) && bytes.last() == Some(mark));
                    }
                }
            }
        }
    }
}
