//! The free blocks that one thread keeps for itself, so that most calls need neither the heap's
//! lock nor a call into native code: JavaScript pops and pushes, Rust refills and empties in
//! batches.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use crate::cache::budget::{Budget, longest_of};
use crate::cache::free_blocks::FreeBlocks;
use crate::cache::idle_spans::KeptBlocks;
use crate::cache::long_blocks::LongBlocks;
use crate::fault::{Fault, Result};
use crate::heap::{DENSE_END, GRAIN};
use crate::process::depot::Depot;
use crate::process::rows::{FULL, LONG_KEPT, OVER_IDLE, ROWS, Row, Rows, SHORT, row_bytes};

/// Much more is kept than before when it is more than this many bytes ...
const UNTIDY_BYTES: u64 = 128 * 1024;
/// ... and one part in this many of the heap besides.
const UNTIDY_SHARE: u64 = 20;
/// Little is kept when it is less than one part in this many of the heap.
const LITTLE_SHARE: u64 = 6;

/// The cache of one thread for one heap.
pub struct ThreadCache {
    pub(super) rows: Arc<Rows>,
    budget: Budget,
    long: LongBlocks,
    /// The classes that may have blocks: the bit of each.
    classes: Cell<u128>,
}

// As many bits as classes.
const _: () = assert!(DENSE_END <= u128::BITS as usize);

impl ThreadCache {
    /// An empty cache.
    ///
    /// # Errors
    /// [`Fault::OutOfMemory`].
    pub fn new() -> Result<Self> {
        let rows = Arc::new(Rows::new()?);
        let (budget, long) = (Budget::new(&rows), LongBlocks::new(&rows));
        Ok(Self { rows, budget, long, classes: Cell::new(0) })
    }

    /// The words that JavaScript works on.
    pub const fn rows(&self) -> &Arc<Rows> {
        &self.rows
    }

    /// Fetches blocks of a size class if it has none left. Returns how many there are.
    ///
    /// # Errors
    /// When there is none: [`Fault::OutOfMemory`],
    /// [`Fault::Corrupted`].
    pub fn refill(&self, free_blocks: &mut FreeBlocks<'_>, class: usize) -> Result<usize> {
        if self.rows.row(class).blocks().is_empty() {
            if !free_blocks.depot.has(free_blocks.thread, class) {
                free_blocks.depot.fetch(free_blocks.thread, class);
            }
            if !free_blocks.has(class)? {
                self.tidy(free_blocks)?;
            }
        }
        let Some(row) = self.open(free_blocks, class)? else { return Ok(0) };
        if row.blocks().is_empty() {
            row.fill(0);
            if self.is_served_by_heap(free_blocks, class)? {
                return Ok(0);
            }
            let fetched = self
                .or_without_long(free_blocks, |free_blocks| free_blocks.take(class, row.slots()))?;
            row.fill(fetched);
            // A small heap rather grows than fetches the same blocks again and again.
            if free_blocks.heap.is_dear_to_grow()? {
                free_blocks.depot.note_fetched(fetched as u64 * u64::from(row_bytes(class)));
            }
        }
        Ok(row.blocks().len())
    }

    // Whether another block serves this class, of a longer one or in mixed units: the heap has it
    // then, and gives it to whoever asks for one of this class. A block in mixed units cannot be
    // kept, so what can be given back comes before.
    fn is_served_by_heap(&self, free_blocks: &mut FreeBlocks<'_>, class: usize) -> Result<bool> {
        let is_kept = |class| !self.rows.row(class).blocks().is_empty();
        let has = |class| Ok(is_kept(class) || free_blocks.has(class)?);
        let Some(longer) = free_blocks.heap.longer_class(class, GRAIN, has)? else {
            return Ok(free_blocks.depot.may_mix()
                && !has(class)?
                && free_blocks.heap.mixes(class)?
                && self.keeps_little(free_blocks)?);
        };
        if !free_blocks.heap.has_free_blocks(longer)? {
            self.give_one_back(free_blocks, longer)?;
        }
        Ok(true)
    }

    // Whether what threads keep would not make much room.
    fn keeps_little(&self, free_blocks: &FreeBlocks<'_>) -> Result<bool> {
        let kept = self.kept_bytes(free_blocks);
        Ok(kept * LITTLE_SHARE < free_blocks.heap_bytes()?)
    }

    /// Puts a block of a row back, the oldest of this thread's or one of the depot.
    pub(super) fn give_one_back(&self, free_blocks: &mut FreeBlocks<'_>, row: usize) -> Result<()> {
        if !self.rows.row(row).blocks().is_empty() {
            return free_blocks.put_oldest(&self.rows.row(row), 1);
        }
        let slots = [AtomicU32::new(0)];
        let taken = free_blocks.depot.take(free_blocks.thread, row, &slots);
        free_blocks.put(slots.iter().take(taken).map(|slot| slot.load(Relaxed)))
    }

    /// What is done before a span or a large block takes units: puts the blocks back that are long
    /// for the heap, and frees the spans of which nobody uses a block, if much is kept, what is free is
    /// in pieces, and it may be done again. Else such spans stay where they are, what is used spreads
    /// over the whole heap, and it grows again and again though much of it is free.
    ///
    /// # Errors
    /// Those of [`FreeBlocks::put`]; what was to be put back left the cache and the depot.
    pub fn tidy(&self, free_blocks: &mut FreeBlocks<'_>) -> Result<()> {
        self.long.put_stale(free_blocks, longest_of(self.budget.bytes()))?;
        if !free_blocks.may_be_tidied()? {
            return Ok(());
        }
        let heap = free_blocks.heap_bytes()?;
        let kept = self.kept_bytes(free_blocks);
        if !free_blocks.depot.is_untidy(kept, UNTIDY_BYTES + heap / UNTIDY_SHARE) {
            return Ok(());
        }
        let freed = self.free_idle_spans(free_blocks).and(self.put_large(free_blocks));
        let left = self.kept_bytes(free_blocks);
        free_blocks.depot.note_tidied(kept, left);
        freed.and(free_blocks.heap.free_spare_spans())
    }

    // Bytes of the blocks that this thread and the depot keep; of large ones only those of the depot.
    fn kept_bytes(&self, free_blocks: &FreeBlocks<'_>) -> u64 {
        self.rows.class_bytes(self.classes.get()) + free_blocks.depot.bytes()
    }

    fn free_idle_spans(&self, free_blocks: &mut FreeBlocks<'_>) -> Result<()> {
        let rows = (1..DENSE_END).map(|class| self.rows.row(class));
        let mut kept = KeptBlocks::none(&free_blocks.heap);
        free_blocks.depot.blocks().for_each(|block| kept.add(block));
        for row in rows.clone() {
            row.blocks().iter().for_each(|block| kept.add(block.load(Relaxed)));
        }
        let idle = kept.take_idle_spans(&free_blocks.heap, free_blocks.live_blocks);
        free_blocks.depot.retain(|block| kept.has(block));
        rows.for_each(|row| row.retain(|block| kept.has(block)));
        free_blocks.free_idle_spans(&idle)
    }

    /// Makes room in a row if its blocks are kept in a heap of this size: of what is more than
    /// half of a full stack the oldest goes to the depot.
    ///
    /// # Errors
    /// [`Fault::Corrupted`]; those of [`FreeBlocks::put`].
    pub fn make_room(&self, free_blocks: &mut FreeBlocks<'_>, index: usize) -> Result<()> {
        let Some(row) = self.open(free_blocks, index)? else { return Ok(()) };
        if !row.is_full() {
            return Ok(());
        }
        // What other threads took has left room below.
        let oldest = row.blocks().len().saturating_sub(row.slots().len() / 2);
        self.lay_down(free_blocks, index, oldest);
        Ok(())
    }

    /// Brings everything to where all threads can have it: large blocks to the heap, so that they may
    /// become part of longer ones.
    ///
    /// # Errors
    /// Those of [`FreeBlocks::put`]; the cache is empty then too.
    pub fn rest(&self, free_blocks: &mut FreeBlocks<'_>) -> Result<()> {
        for class in 1..DENSE_END {
            self.lay_down(free_blocks, class, self.rows.row(class).blocks().len());
        }
        let put = self.put_large(free_blocks);
        self.close(free_blocks);
        put
    }

    fn lay_down(&self, free_blocks: &mut FreeBlocks<'_>, index: usize, oldest: usize) {
        let row = self.rows.row(index);
        free_blocks.depot.put(free_blocks.thread, index, &row.blocks()[..oldest]);
        row.drop_oldest(oldest);
    }

    /// Puts one part in `part` of what this thread keeps, and of what all threads can have, back
    /// into the spans: the oldest blocks. Returns whether there were any.
    ///
    /// # Errors
    /// Those of [`FreeBlocks::put`]; all of them left the cache and the depot.
    pub fn give_back(&self, free_blocks: &mut FreeBlocks<'_>, part: usize) -> Result<bool> {
        let (mut any, mut outcome) = (false, free_blocks.collect(part));
        for index in self.rows.kept() {
            let oldest = self.rows.row(index).blocks().len() / part;
            if oldest == 0 {
                continue;
            }
            any = true;
            let put = free_blocks.put_oldest(&self.rows.row(index), oldest);
            outcome = outcome.and_then(|some| put.map(|()| some));
        }
        outcome.map(|some| some || any)
    }

    /// Puts all blocks back into their spans.
    ///
    /// # Errors
    /// Those of [`FreeBlocks::put`]; the cache is empty then too.
    pub fn drain(&self, free_blocks: &mut FreeBlocks<'_>) -> Result<()> {
        let drained = ROWS.map(|index| free_blocks.put_row(&self.rows.row(index)));
        let outcome = drained.fold(Ok(()), Result::and);
        self.close(free_blocks);
        outcome
    }

    /// Takes out all blocks of a thread that goes when the heap cannot be used, and leaves them to
    /// those that can use it next.
    pub fn leave_behind(&self, depot: &mut Depot, thread: usize) {
        let blocks = ROWS.flat_map(|index| self.rows.row(index).blocks());
        depot.leave_behind(thread, blocks.map(|block| block.load(Relaxed)));
        self.empty();
    }

    /// Lets the thread have blocks of a row to itself. None when they are long for the heap, and it may
    /// have none in common with others.
    pub(super) fn open(
        &self,
        free_blocks: &mut FreeBlocks<'_>,
        index: usize,
    ) -> Result<Option<Row<'_>>> {
        let budget = self.update_budget(free_blocks)?;
        let row = self.rows.row(index);
        if index < DENSE_END {
            self.classes.set(self.classes.get() | 1 << index);
        }
        if row.length() == 0 && row.width() > 0 {
            row.set_width(row.width());
        } else if row_bytes(index) <= longest_of(budget) {
            row.set_length(0);
            row.set_width(self.budget.first_width(index, budget));
        } else {
            return self.long.open(free_blocks, index, budget);
        }
        Ok(Some(row))
    }

    // What the thread kept when it had the heap to itself goes to the depot once there are others.
    fn update_budget(&self, free_blocks: &mut FreeBlocks<'_>) -> Result<u32> {
        let share = Budget::share(free_blocks)?;
        if self.budget.bytes().max(self.long.bytes()) > share && !free_blocks.is_alone() {
            self.rest(free_blocks)?;
            if free_blocks.depot.is_for_one_thread() {
                // The others are of other processes, which cannot get at this depot.
                free_blocks.collect(1)?;
            }
        }
        Ok(self.budget.update(free_blocks, share))
    }

    /// Does something that takes room, and once more without the blocks that are long for the heap, if there is none else.
    ///
    /// # Errors
    /// Those of what is done; those of [`FreeBlocks::put`].
    pub(super) fn or_without_long<T>(
        &self,
        free_blocks: &mut FreeBlocks<'_>,
        act: impl Fn(&mut FreeBlocks<'_>) -> Result<T>,
    ) -> Result<T> {
        match act(free_blocks) {
            Err(Fault::OutOfMemory) if self.long.are_kept() => {
                self.put_long(free_blocks)?;
                act(free_blocks)
            }
            outcome => outcome,
        }
    }

    /// Puts the blocks back that are long for the heap, before it is asked for room.
    ///
    /// # Errors
    /// Those of [`FreeBlocks::put`]; what was to be put back left the cache.
    pub fn put_long(&self, free_blocks: &mut FreeBlocks<'_>) -> Result<()> {
        self.long.put(free_blocks, longest_of(self.budget.bytes()))
    }

    /// Notes whether the heap is short of room, in a memory that can grow or not.
    pub fn note_short(&self, is_short: bool, can_grow: bool) {
        let figure = if !is_short { 0 } else { if can_grow { 1 } else { FULL } };
        self.rows.set_figure(SHORT, figure);
    }

    // Keeps nothing.
    fn close(&self, free_blocks: &mut FreeBlocks<'_>) {
        self.empty();
        free_blocks.depot.set_busy(free_blocks.thread, false);
    }

    fn empty(&self) {
        for row in ROWS.map(|index| self.rows.row(index)) {
            row.set_length(0);
            row.fill(0);
        }
        for figure in OVER_IDLE..=LONG_KEPT {
            self.rows.set_figure(figure, 0);
        }
        self.long.clear();
        self.budget.clear();
        self.classes.set(0);
    }
}

#[cfg(test)]
mod tests;
