//! Blocks that are long for their heap: there is no room for many of them in what a thread may have
//! to itself, and they would lie in the way of others. They are kept all the same, for as long as the
//! thread does not ask the heap for room: a program that takes and frees some of them goes on without
//! a native call. There are some bytes for those that it has to itself. Large ones may be more, and
//! the others are everyone's, unless other processes have the heap, which cannot get at them.

use std::cell::Cell;
use std::sync::Arc;

use crate::cache::budget::{LEAST_BLOCKS, longest_of, sole_bytes};
use crate::cache::free_blocks::FreeBlocks;
use crate::fault::Result;
use crate::heap::DENSE_END;
use crate::process::rows::{
    COMMON, LONG, LONG_KEPT, LONG_SPARE, OVER_IDLE, Row, Rows, SINCE_PUT, long_bit, row_bytes,
    rows_with_bits,
};

/// Bytes of them that a thread may have to itself which has the heap to itself, at most; ...
pub const SOLE_LONG_BYTES: u32 = 2 * 1024 * 1024;
/// ... or one part in this many of what the memory may have, so little that no other thread would miss it.
const MAXIMUM_SHARE: u64 = 32;

/// Bytes of them that a thread may have to itself which has the heap to itself.
///
/// # Errors
/// [`Fault::Corrupted`](crate::fault::Fault::Corrupted).
fn sole_long_bytes(free_blocks: &FreeBlocks<'_>) -> Result<u32> {
    let share = free_blocks.maximum_bytes()? / MAXIMUM_SHARE;
    Ok(sole_bytes(free_blocks.heap_bytes()?, SOLE_LONG_BYTES).max(share as u32))
}

/// Those of one thread's cache.
pub struct LongBlocks {
    rows: Arc<Rows>,
    /// Bytes of them that the thread may have to itself.
    bytes: Cell<u32>,
}

impl LongBlocks {
    /// None, of a cache that has `rows`.
    pub fn new(rows: &Arc<Rows>) -> Self {
        Self { rows: Arc::clone(rows), bytes: Cell::new(0) }
    }

    /// Bytes of them that the thread may have to itself.
    pub const fn bytes(&self) -> u32 {
        self.bytes.get()
    }

    /// Whether there may be some.
    pub fn are_kept(&self) -> bool {
        self.rows.figure(LONG_KEPT) != 0
    }

    /// Lets the thread have those of a row in common with others too, and returns it; or none but its
    /// own, if there is room for one in a quarter of the heap, or, where several threads have it, in
    /// `budget`. Puts back what was kept.
    ///
    /// # Errors
    /// As [`LongBlocks::put`]; [`Fault::Corrupted`](crate::fault::Fault::Corrupted).
    pub fn open(
        &self,
        free_blocks: &mut FreeBlocks<'_>,
        index: usize,
        budget: u32,
    ) -> Result<Option<Row<'_>>> {
        let row = self.rows.row(index);
        if row.length() != COMMON {
            let bytes = if free_blocks.is_alone() { sole_long_bytes(free_blocks)? } else { budget };
            self.bytes.set(bytes);
            let put = self.put(free_blocks, longest_of(budget));
            self.rows.set_figure(OVER_IDLE, 1);
            let is_common = index >= DENSE_END && free_blocks.attachment.is_none();
            if row.length() == 0 && (is_common || row_bytes(index) <= bytes) {
                row.set_length(if is_common { COMMON } else { LONG });
            }
            put?;
        }
        Ok((row.length() == COMMON).then(|| {
            self.rows.set_figure(LONG_KEPT, self.rows.figure(LONG_KEPT) | long_bit(index));
            row
        }))
    }

    /// Puts large ones of lengths back that nobody has asked for since the last time, and all others, before the heap is asked for
    /// room: of some lengths that are taken in turn each would put back the others. As [`LongBlocks::put`].
    ///
    /// # Errors
    /// As there.
    pub fn put_stale(&self, free_blocks: &mut FreeBlocks<'_>, longest: u32) -> Result<()> {
        let is_asked = |index| index >= DENSE_END && self.rows.row(index).clear_taken(SINCE_PUT);
        self.put_unless(free_blocks, longest, is_asked)
    }

    /// Puts all of them back. Those of `longest` bytes are not long for the heap any more; if there
    /// were many, they are kept as others are from now on.
    ///
    /// # Errors
    /// Those of [`FreeBlocks::put`]; what was to be put back left the cache.
    pub fn put(&self, free_blocks: &mut FreeBlocks<'_>, longest: u32) -> Result<()> {
        self.put_unless(free_blocks, longest, |_| false)
    }

    fn put_unless(
        &self,
        free_blocks: &mut FreeBlocks<'_>,
        longest: u32,
        stays: impl Fn(usize) -> bool,
    ) -> Result<()> {
        let mut outcome = Ok(());
        let kept = self.rows.figure(LONG_KEPT);
        self.rows.set_figure(LONG_KEPT, 0);
        self.rows.set_figure(LONG_SPARE, self.bytes.get());
        for index in rows_with_bits(kept) {
            let row = self.rows.row(index);
            if row.length() == 0 {
                continue;
            }
            if stays(index) {
                let spare = self.rows.figure(LONG_SPARE);
                let own = row.width() * row_bytes(index);
                self.rows.set_figure(LONG_SPARE, spare.saturating_sub(own));
                self.rows.set_figure(LONG_KEPT, self.rows.figure(LONG_KEPT) | long_bit(index));
                continue;
            }
            let is_long = row_bytes(index) > longest || row.blocks().len() < LEAST_BLOCKS as usize;
            outcome = outcome.and(free_blocks.put_whole_row(&row, index));
            row.set_length(if is_long { row.length() } else { 0 });
        }
        outcome
    }

    /// None any more.
    pub fn clear(&self) {
        self.bytes.set(0);
    }
}
