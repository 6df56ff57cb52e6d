//! What is done when a heap has no room for a block, in this order. (Spans that nobody uses are
//! freed before, if what is free is in pieces: see
//! [`ThreadCache::tidy`](crate::cache::ThreadCache::tidy). What threads left behind goes back into
//! the spans even if there is room.)
//!
//! 0. Where that was so several times since the heap has grown, lib/cache/thread-cache.js gives a block of a
//!    longer class that the thread keeps.
//! 1. [`ThreadCache::refill`](crate::cache::ThreadCache::refill) looks into the depot, the spans
//!    that have room and the spare ones, and cuts a new span, or, in a small heap that is nearly
//!    full, leaves it to malloc to give a longer block or one in mixed units; [`Heap::malloc`] looks
//!    for a span or a run of its own (see its [`Search`]), takes in pages that
//!    anyone has grown, and frees the spare spans.
//! 2. A small heap that was short of room often since it last grew is left to grow, if it can: what
//!    is given back next would be fetched again soon.
//! 3. What threads keep goes back into the spans: a quarter of what this thread has and of the
//!    depot, the oldest, then half of the rest, then all of it and what the other threads have
//!    published. After each step the spare spans are freed and step 1 is tried again: what is given
//!    back has to be fetched again. If several processes have the heap, what dead ones kept comes
//!    last.
//! 4. It is out of memory: lib/heap/heap.js has malloc try what refill did not get.
//! 5. [`Session::grow_for`] grows the memory: as much as is usual, else as little as will do. If
//!    it is as long as it may be, step 7 comes next. In a file it may find that the memory is long
//!    enough, and that there is room for its pages now.
//! 6. Another thread may have grown it meanwhile: lib/heap/growth.js looks at it anew.
//! 7. An exhaustive search: mixed units, and free blocks of slightly longer classes, too; of much longer
//!    ones, if few are misplaced so, or nothing is freed:
//!    [`Misplaced`](crate::process::misplaced::Misplaced). Then ERR_OUT_OF_MEMORY.

use super::{Bytes, Session};
use crate::cache::free_blocks::FreeBlocks;
use crate::fault::{Fault, Result};
use crate::heap::{Heap, Search};
use crate::process::registry::Guarded;

/// Which part of what is kept goes back at each step.
const PARTS: [usize; 3] = [4, 2, 1];

impl<B: Bytes> Session<B> {
    /// Allocates, with steps 1 to 4.
    pub(super) fn with_room<T: PartialEq>(
        &self,
        state: &mut Guarded,
        heap: Heap<'_>,
        search: Search,
        allocate: impl Fn(&mut FreeBlocks<'_>) -> Result<T>,
    ) -> Result<T> {
        let mut free_blocks = self.free_blocks(state, heap);
        // Whoever kept it could not put it back, which is no fault of this call's.
        drop(free_blocks.put_left_behind());
        let mut allocated = allocate(&mut free_blocks);
        if matches!(allocated, Err(Fault::OutOfMemory)) {
            free_blocks.depot.note_shortage();
            self.cache.note_short(free_blocks.depot.is_short(), heap.can_grow()?);
            let is_often = free_blocks.depot.is_often_short() && search != Search::Exhaustive;
            if is_often && heap.is_cheap_to_grow()? {
                return allocated;
            }
        }
        for part in PARTS {
            if !matches!(allocated, Err(Fault::OutOfMemory)) {
                return allocated;
            }
            if self.cache.give_back(&mut free_blocks, part)? {
                free_blocks.depot.misplaced.note_given_back();
                heap.free_spare_spans()?;
                allocated = allocate(&mut free_blocks);
            }
        }
        if allocated == Err(Fault::OutOfMemory) && self.recover_in(state)? > 0 {
            heap.free_spare_spans()?;
            allocated = allocate(&mut self.free_blocks(state, heap));
        }
        allocated
    }
}
