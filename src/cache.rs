//! The free blocks that one thread keeps for itself, so that most calls need neither the heap's lock
//! nor a call into native code: JavaScript pops and pushes, Rust refills and empties in batches.
//!
//! The words belong to Rust, so that blocks find their way back when the thread ends without a word:
//!
//! ```text
//! rows     one a size class: how many blocks, the geometry that tells a pointer of the class, then
//!          the blocks' pointers
//! origins  one word a page: where its map words are counted from, 0 while that is not known
//! classes  one word for each multiple of 16 bytes: the row of the class that serves it
//! room     one word: the bytes of blocks that may still be added
//! ```

use std::cell::Cell;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use crate::error::Result;
use crate::heap::{
    CLASS_COUNT, CLASSES, DENSE_COUNT, GRAIN, HEADER, Heap, MAX_PAGES, PAGE, Search, UNIT,
    class_for,
};

/// Words of a row.
pub const ROW_WORDS: usize = 256;
/// Index of the first origin.
pub const ORIGINS: usize = CLASS_COUNT * ROW_WORDS;
/// Index of the row of the smallest class in `classes`.
pub const CLASSES_BY_SIZE: usize = ORIGINS + MAX_PAGES as usize;
/// Bytes, header included, of the largest block that is kept.
pub const LARGEST: u32 = CLASSES[DENSE_COUNT - 1].stride;
/// Index of the room.
pub const ROOM: usize = CLASSES_BY_SIZE + (LARGEST / GRAIN) as usize + 1;
const WORDS: usize = ROOM + 1;
const COUNT: usize = 0;
const STRIDE: usize = 1;
const OFFSET: usize = 2;
const RECIPROCAL: usize = 3;
const FIRST: usize = 4;
/// The most blocks of one class.
const MOST: u32 = (ROW_WORDS - FIRST) as u32;
/// Bytes of blocks that a thread may always keep.
const LEAST_BUDGET: u32 = 56 * 1024;
/// Above that, a thread keeps at most one part in this many of the heap.
const HEAP_SHARE: u32 = 800;
/// Never more than one part in this many.
const SMALL_HEAP_SHARE: u32 = 16;
/// Bytes of blocks that are fetched at once.
const BATCH: u32 = 4 * 1024;
/// Never more than one part in this many of the budget.
const BATCH_SHARE: u32 = 4;

/// The cache of one thread for one heap.
pub struct ThreadCache {
    words: Box<[AtomicU32]>,
    /// Bytes of blocks that may be kept.
    budget: Cell<u32>,
    /// The class that gives blocks back next when another needs room.
    hand: Cell<usize>,
}

impl ThreadCache {
    /// An empty cache.
    pub fn new() -> Self {
        let words = Box::into_raw(vec![0_u32; WORDS].into_boxed_slice());
        // SAFETY: the box is taken apart and put together as one of the same size; `AtomicU32` has the
        // size, the alignment and the bit patterns of `u32`. (Zeroed this way, untouched words cost nothing.)
        let words = unsafe { Box::from_raw(words as *mut [AtomicU32]) };
        let cache = Self { words, budget: Cell::new(0), hand: Cell::new(0) };
        for (index, class) in CLASSES.iter().enumerate() {
            let row = cache.row(index);
            row[STRIDE].store(class.stride, Relaxed);
            row[OFFSET].store(class.offset, Relaxed);
            row[RECIPROCAL].store(class.reciprocal, Relaxed);
        }
        for bytes in (GRAIN..=LARGEST).step_by(GRAIN as usize) {
            let class = class_for(bytes - HEADER, GRAIN).unwrap_or_default();
            let index = CLASSES_BY_SIZE + (bytes / GRAIN) as usize;
            cache.words[index].store((class * ROW_WORDS) as u32, Relaxed);
        }
        cache
    }

    /// The words that JavaScript works on.
    pub const fn words(&self) -> &[AtomicU32] {
        &self.words
    }

    /// Notes where the map words of the page of `pointer` are counted from.
    ///
    /// # Errors
    /// The faults of [`Heap::map_origin`].
    pub fn learn(&self, heap: &Heap<'_>, pointer: u32) -> Result<()> {
        let origin = heap.map_origin(pointer / UNIT)?;
        self.words[ORIGINS + (pointer / PAGE) as usize].store(origin, Relaxed);
        Ok(())
    }

    /// Fetches blocks of class `class`, which has none left. Returns how many there are now, at least
    /// one.
    ///
    /// # Errors
    /// [`Fault::OutOfMemory`], [`Fault::Corrupted`], [`Fault::FreedTwice`].
    pub fn refill(&self, heap: &Heap<'_>, class: usize) -> Result<u32> {
        self.update_budget(heap)?;
        let stride = CLASSES[class].stride;
        let batch = (BATCH.min(self.budget.get() / BATCH_SHARE) / stride).clamp(1, MOST / 2);
        if self.room() < batch * stride {
            self.give_back(heap)?;
        }
        let row = self.row(class);
        let mut count = 0;
        heap.take_blocks(class, batch, Search::Quick, |pointer| {
            row[FIRST + count as usize].store(pointer, Relaxed);
            count += 1;
            row[COUNT].store(count, Relaxed);
            self.set_room(self.room().wrapping_sub(stride));
        })
    }

    /// Makes room for a block of class `class`: gives back the older half of the class's blocks when
    /// there are too many, else of all classes' in turn.
    ///
    /// # Errors
    /// [`Fault::FreedTwice`] when a block could not be given back; [`Fault::Corrupted`].
    pub fn make_room(&self, heap: &Heap<'_>, class: usize) -> Result<()> {
        self.update_budget(heap)?;
        let count = self.row(class)[COUNT].load(Relaxed);
        if count >= MOST { self.shrink(heap, class, count / 2) } else { self.give_back(heap) }
    }

    /// Gives all blocks back.
    ///
    /// # Errors
    /// As [`ThreadCache::make_room`]; the cache is empty then too.
    pub fn drain(&self, heap: &Heap<'_>) -> Result<()> {
        let drained = (0..CLASS_COUNT).map(|class| self.shrink(heap, class, 0));
        drained.fold(Ok(()), Result::and)
    }

    fn row(&self, class: usize) -> &[AtomicU32] {
        &self.words[class * ROW_WORDS..][..ROW_WORDS]
    }

    // Below 0, as a signed number, after a batch that was larger than the room.
    fn room(&self) -> u32 {
        let room = self.words[ROOM].load(Relaxed);
        if room.cast_signed() < 0 { 0 } else { room }
    }

    fn set_room(&self, room: u32) {
        self.words[ROOM].store(room, Relaxed);
    }

    // The budget follows the size of the heap.
    fn update_budget(&self, heap: &Heap<'_>) -> Result<()> {
        let heap_units = heap.total_units()?;
        let share = |part: u32| (u64::from(heap_units) * u64::from(UNIT) / u64::from(part)) as u32;
        let budget = LEAST_BUDGET.max(share(HEAP_SHARE)).min(share(SMALL_HEAP_SHARE));
        let more = budget.wrapping_sub(self.budget.replace(budget));
        self.set_room(self.words[ROOM].load(Relaxed).wrapping_add(more));
        Ok(())
    }

    // Gives back the older half of the classes' blocks in turn, until half of the budget is free.
    fn give_back(&self, heap: &Heap<'_>) -> Result<()> {
        let mut outcome = Ok(());
        for _ in 0..CLASS_COUNT {
            if self.room() >= self.budget.get() / 2 {
                break;
            }
            let class = (self.hand.get() + 1) % CLASS_COUNT;
            self.hand.set(class);
            let count = self.row(class)[COUNT].load(Relaxed);
            outcome = outcome.and(self.shrink(heap, class, count / 2));
        }
        outcome
    }

    // Gives back the oldest blocks of a class, all but `keep`.
    fn shrink(&self, heap: &Heap<'_>, class: usize, keep: u32) -> Result<()> {
        let row = self.row(class);
        let count = row[COUNT].load(Relaxed).min(MOST);
        let surplus = count.saturating_sub(keep);
        if surplus == 0 {
            return Ok(());
        }
        let oldest = row[FIRST..FIRST + surplus as usize].iter();
        let outcome = heap.put_unused_blocks(oldest.map(|block| block.load(Relaxed)));
        for (kept, slot) in (surplus as usize..count as usize).zip(FIRST..) {
            row[slot].store(row[FIRST + kept].load(Relaxed), Relaxed);
        }
        row[COUNT].store(count - surplus, Relaxed);
        let room = self.words[ROOM].load(Relaxed);
        self.set_room(room.wrapping_add(surplus * CLASSES[class].stride));
        outcome
    }
}
