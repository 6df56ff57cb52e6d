//! Blocks that are long for their heap: there is no room for many of them in what a thread may keep,
//! and they would lie in the way of others. They are kept one by one all the same, for as long as
//! the thread does not ask the heap for room: a program that takes and frees a few of them goes on
//! without a native call.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use crate::cache::budget::sole_bytes;
use crate::cache::free_blocks::FreeBlocks;
use crate::fault::Result;
use crate::process::rows::{LONG_SPARE, OVER_IDLE, Rows, row_bytes};

/// Bytes of them that a thread which has the heap to itself may keep, at most.
pub const SOLE_LONG_BYTES: u32 = 2 * 1024 * 1024;

/// Those of one thread's cache.
pub struct LongBlocks {
    rows: Arc<Rows>,
    /// The rows that have some, or had.
    indices: RefCell<Vec<usize>>,
    /// Bytes of them that may be kept.
    bytes: Cell<u32>,
}

impl LongBlocks {
    /// None, of a cache that has `rows`.
    pub fn new(rows: &Arc<Rows>) -> Self {
        Self { rows: Arc::clone(rows), indices: RefCell::new(Vec::new()), bytes: Cell::new(0) }
    }

    /// Bytes of them that may be kept.
    pub const fn bytes(&self) -> u32 {
        self.bytes.get()
    }

    /// Whether there may be some.
    pub fn are_kept(&self) -> bool {
        self.rows.figure(LONG_SPARE) != self.bytes.get()
    }

    /// Lets JavaScript keep blocks of one more row, if there is room for one in a quarter of the heap,
    /// or, where several threads have it, in `budget`. Puts back what was kept.
    ///
    /// # Errors
    /// As [`LongBlocks::put`]; [`Fault::Corrupted`](crate::fault::Fault::Corrupted).
    pub fn keep(&self, free_blocks: &mut FreeBlocks<'_>, index: usize, budget: u32) -> Result<()> {
        let put = self.put(free_blocks);
        let bytes = if free_blocks.is_alone() {
            sole_bytes(free_blocks.heap_bytes()?, SOLE_LONG_BYTES)
        } else {
            budget
        };
        self.bytes.set(bytes);
        self.rows.set_figure(LONG_SPARE, bytes);
        self.rows.set_figure(OVER_IDLE, 1);
        let row = self.rows.row(index);
        if row_bytes(index) <= bytes && !row.is_long() {
            row.set_long(true);
            self.indices.borrow_mut().push(index);
        }
        put
    }

    /// Puts all of them back, before the heap is asked for room.
    ///
    /// # Errors
    /// Those of [`FreeBlocks::put`]; what was to be put back left the cache.
    pub fn put(&self, free_blocks: &mut FreeBlocks<'_>) -> Result<()> {
        let mut used = self.bytes.get().saturating_sub(self.rows.figure(LONG_SPARE));
        let mut outcome = Ok(());
        for &index in self.indices.borrow().iter() {
            let row = self.rows.row(index);
            if used > 0 && row.width() == 0 && row.room() > 0 {
                used = used.saturating_sub(row.room() * row_bytes(index));
                outcome = outcome.and(free_blocks.put_row(&row));
            }
        }
        self.rows.set_figure(LONG_SPARE, self.bytes.get());
        outcome
    }

    /// None any more.
    pub fn clear(&self) {
        self.indices.borrow_mut().clear();
        self.bytes.set(0);
    }
}
