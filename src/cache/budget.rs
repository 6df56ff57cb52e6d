//! How many bytes of blocks one thread may keep to itself, and which rows have them.

use std::cell::Cell;
use std::sync::Arc;

use crate::cache::free_blocks::FreeBlocks;
use crate::fault::Result;
use crate::heap::DENSE_END;
use crate::process::rows::{
    LARGE_SPARE, OVER_IDLE, OVER_IDLE_BELOW, Rows, SPARE, most_width, row_bytes, spare_of,
};

/// Bytes of blocks that an idle thread may keep to itself, in a heap that has many times as many.
pub const IDLE_BYTES: u32 = 56 * 1024;
/// In a small one it may keep one part in this many of what a busy one may.
pub const IDLE_SHARE: u32 = 8;
/// All busy threads together may keep one part in this many of the heap to themselves.
const BUSY_SHARE: u64 = 16;
/// A thread that has the heap to itself may keep one part in this many of it ...
const SOLE_SHARE: u64 = 4;
/// ... if those are not more bytes than this.
pub const SOLE_BYTES: u32 = 256 * 1024;
/// A row begins with one part in this many of what its thread may have, but for one block at least
/// ...
const FIRST_SHARE: u32 = 64;
/// ... in one of large blocks, which are few, with one in this many ...
const FIRST_LARGE_SHARE: u32 = 16;
/// ... and with this many blocks at most, ...
pub const MOST_FIRST: u32 = 32;
/// ... if there could be this many ...
pub const LEAST_BLOCKS: u32 = 4;
/// ... and none is longer than so many bytes.
const MOST_OWN: u32 = 1024 * 1024;

/// Bytes that a thread may keep, of those that only one that has the heap to itself may: `most` at
/// most, in a heap of so many.
pub fn sole_bytes(heap: u64, most: u32) -> u32 {
    most.min((heap / SOLE_SHARE) as u32)
}

/// Bytes of the longest blocks that are not long for a thread that may keep `bytes`.
pub fn longest_of(bytes: u32) -> u32 {
    MOST_OWN.min(bytes / LEAST_BLOCKS)
}

/// What one thread may keep to itself.
pub struct Budget {
    rows: Arc<Rows>,
    /// Bytes that the own parts of all classes together may have besides a block of each, those to
    /// spare included; those of large blocks may have as many.
    bytes: Cell<u32>,
    /// Bytes of one block of each row that is in use.
    first: Cell<u32>,
}

impl Budget {
    /// Nothing, of a cache that has `rows`.
    pub fn new(rows: &Arc<Rows>) -> Self {
        Self { rows: Arc::clone(rows), bytes: Cell::new(0), first: Cell::new(0) }
    }

    /// The bytes at present.
    pub const fn bytes(&self) -> u32 {
        self.bytes.get()
    }

    /// Nothing any more.
    pub fn clear(&self) {
        self.bytes.set(0);
        self.first.set(0);
    }

    /// Bytes that the busy threads of a heap may have together.
    ///
    /// # Errors
    /// [`Fault::Corrupted`](crate::fault::Fault::Corrupted).
    pub fn share(free_blocks: &FreeBlocks<'_>) -> Result<u32> {
        let heap = free_blocks.heap_bytes()?;
        let busy = (heap / BUSY_SHARE) as u32;
        let sole = sole_bytes(heap, SOLE_BYTES);
        Ok(if free_blocks.is_alone() { busy.max(sole) } else { busy })
    }

    /// Gives the thread its part of `share`. What that is more than before is to spare. Returns what
    /// it may have now: it may have had more.
    pub fn update(&self, free_blocks: &mut FreeBlocks<'_>, share: u32) -> u32 {
        let busy = share / free_blocks.depot.busy_with(free_blocks.thread) as u32;
        let bytes = IDLE_BYTES.max(busy).min(share);
        let more = bytes.saturating_sub(self.bytes.get());
        if more > 0 {
            free_blocks.depot.set_busy(free_blocks.thread, true);
            self.bytes.set(bytes);
            for spare in [SPARE, LARGE_SPARE] {
                self.rows.set_figure(spare, self.rows.figure(spare) + more);
            }
            self.note_over_idle_below();
        }
        bytes
    }

    /// How many blocks a row has that had none until now, of a thread that may keep `bytes`.
    pub fn first_width(&self, index: usize, bytes: u32) -> u32 {
        let share = if index < DENSE_END { FIRST_SHARE } else { FIRST_LARGE_SHARE };
        let wanted = bytes / share / row_bytes(index);
        self.reserve(index, wanted.clamp(1, MOST_FIRST.min(most_width(index))))
    }

    /// How many blocks of `wanted` there may be in a row: one in any case, the others if there are
    /// bytes to spare. Large blocks have bytes of their own.
    pub fn reserve(&self, index: usize, wanted: u32) -> u32 {
        let (bytes, figure) = (row_bytes(index), spare_of(index));
        let spare = self.rows.figure(figure);
        let more = (wanted - 1).min(spare / bytes);
        let spare = spare - more * bytes;
        self.rows.set_figure(figure, spare);
        self.first.set(self.first.get() + bytes);
        self.note_over_idle_below();
        if (spare as i32) < self.rows.figure(OVER_IDLE_BELOW) as i32 {
            self.rows.set_figure(OVER_IDLE, 1);
        }
        1 + more
    }

    // All that the thread may have to itself is more than an idle one should keep when less is
    // spare than this: a negative number, if that cannot be.
    fn note_over_idle_below(&self) {
        let bytes = self.bytes.get();
        let idle = IDLE_BYTES.min(bytes / IDLE_SHARE);
        let below = (bytes + self.first.get()).wrapping_sub(idle);
        self.rows.set_figure(OVER_IDLE_BELOW, below);
    }
}
