//! The free blocks that one thread keeps for itself, so that most calls need neither the heap's lock
//! nor a call into native code: JavaScript pops and pushes, Rust refills and empties in batches.
//!
//! The words belong to Rust, so that blocks find their way back when the thread ends without a word:
//!
//! ```text
//! rows     one a size class: how many blocks, how many at most, the geometry that tells a pointer of
//!          the class, then the blocks' pointers
//! origins  one word a page: where its map words are counted from, 0 while that is not known
//! classes  one word for each multiple of 16 bytes: the row of the class that serves it
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
/// Words in all.
pub const WORDS: usize = CLASSES_BY_SIZE + (LARGEST / GRAIN) as usize + 1;
const COUNT: usize = 0;
const LIMIT: usize = 1;
const STRIDE: usize = 2;
const OFFSET: usize = 3;
const RECIPROCAL: usize = 4;
const FIRST: usize = 5;
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

/// The cache of one thread for one heap.
pub struct ThreadCache {
    words: Box<[AtomicU32]>,
    /// Bytes of blocks when every class is at its limit.
    reserved: Cell<u32>,
    /// The class whose limit is lowered next when another needs room.
    hand: Cell<usize>,
}

impl ThreadCache {
    /// An empty cache.
    pub fn new() -> Self {
        let words = Box::into_raw(vec![0_u32; WORDS].into_boxed_slice());
        // SAFETY: the box is taken apart and put together as one of the same size; `AtomicU32` has the
        // size, the alignment and the bit patterns of `u32`. (Zeroed this way, untouched words cost nothing.)
        let words = unsafe { Box::from_raw(words as *mut [AtomicU32]) };
        let cache = Self { words, reserved: Cell::new(0), hand: Cell::new(0) };
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

    /// Fetches blocks of class `class` if it has none left. Returns how many there are now, at least
    /// one.
    ///
    /// # Errors
    /// [`Fault::OutOfMemory`], [`Fault::Corrupted`], [`Fault::FreedTwice`].
    pub fn refill(&self, heap: &Heap<'_>, class: usize) -> Result<u32> {
        let left = self.row(class)[COUNT].load(Relaxed);
        if left > 0 {
            return Ok(left);
        }
        let wanted = (BATCH / CLASSES[class].stride).clamp(1, MOST / 2);
        // Half the limit, so that as many blocks can be freed as fetched before there are too many.
        let batch = wanted.min(self.raise_limit(heap, class, wanted)?.div_ceil(2)).max(1);
        let row = self.row(class);
        let mut count = 0;
        heap.take_blocks(class, batch, Search::Quick, |pointer| {
            row[FIRST + count as usize].store(pointer, Relaxed);
            count += 1;
            row[COUNT].store(count, Relaxed);
        })
    }

    /// Makes room in class `class`, which is at its limit: raises the limit, or gives back the older
    /// half of the blocks.
    ///
    /// # Errors
    /// [`Fault::FreedTwice`] when a block could not be given back; [`Fault::Corrupted`].
    pub fn make_room(&self, heap: &Heap<'_>, class: usize) -> Result<()> {
        let limit = self.row(class)[LIMIT].load(Relaxed);
        let wanted = (limit * 2).clamp(1, MOST);
        if self.set_limit(heap, class, wanted)? {
            return Ok(());
        }
        self.shrink(heap, class, limit / 2)
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

    // Raises the limit of a class to `wanted` if the budget allows it, and returns what it is then. For a
    // class that has none, another class's limit is lowered, each time one more: the cache follows what
    // is in use, but slowly, so that classes do not take turns in emptying each other.
    fn raise_limit(&self, heap: &Heap<'_>, class: usize, wanted: u32) -> Result<u32> {
        let limit = self.row(class)[LIMIT].load(Relaxed);
        if limit >= wanted || self.set_limit(heap, class, wanted)? {
            return Ok(limit.max(wanted));
        }
        if limit == 0 {
            self.hand.set((self.hand.get() + 1) % CLASS_COUNT);
            self.lower_limit(heap, self.hand.get())?;
        }
        Ok(limit)
    }

    // Whether the budget allows a limit of `wanted`, which is above the present one; sets it then.
    fn set_limit(&self, heap: &Heap<'_>, class: usize, wanted: u32) -> Result<bool> {
        let limit = &self.row(class)[LIMIT];
        let more = wanted.saturating_sub(limit.load(Relaxed)) * CLASSES[class].stride;
        let reserved = self.reserved.get() + more;
        let allowed = reserved <= budget(heap)?;
        if allowed && more > 0 {
            self.reserved.set(reserved);
            limit.store(wanted, Relaxed);
        }
        Ok(allowed && more > 0)
    }

    fn lower_limit(&self, heap: &Heap<'_>, class: usize) -> Result<()> {
        let limit = self.row(class)[LIMIT].load(Relaxed);
        let lowered = limit / 2;
        self.row(class)[LIMIT].store(lowered, Relaxed);
        let freed = (limit - lowered) * CLASSES[class].stride;
        self.reserved.set(self.reserved.get().saturating_sub(freed));
        self.shrink(heap, class, lowered)
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
        outcome
    }
}

/// Bytes of blocks that a thread may keep of a heap.
fn budget(heap: &Heap<'_>) -> Result<u32> {
    let bytes = u64::from(heap.total_units()?) * u64::from(UNIT);
    let share = |part: u32| (bytes / u64::from(part)) as u32;
    Ok(LEAST_BUDGET.max(share(HEAP_SHARE)).min(share(SMALL_HEAP_SHARE)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Fault;
    use crate::heap::{Territory, Words};

    const PAGES: u32 = 40;

    fn memory() -> Vec<AtomicU32> {
        (0..PAGES * PAGE / 4).map(|_| AtomicU32::new(0)).collect()
    }

    fn heap(words: &[AtomicU32]) -> Heap<'_> {
        let (start, end_page) = (Heap::WHOLE_MEMORY_ROOT, PAGES);
        let territory = Territory { start, end_page, maximum: PAGES, owns_all: true };
        Heap::format(Words::new(words), territory).unwrap()
    }

    fn kept(cache: &ThreadCache) -> u64 {
        let bytes = |class: usize| cache.row(class)[COUNT].load(Relaxed) * CLASSES[class].stride;
        (0..CLASS_COUNT).map(|class| u64::from(bytes(class))).sum()
    }

    #[test]
    fn a_refill_keeps_the_blocks_that_are_there() {
        let words = memory();
        let heap = heap(&words);
        let cache = ThreadCache::new();
        let count = cache.refill(&heap, 4).unwrap();
        assert_eq!(cache.refill(&heap, 4), Ok(count));
        assert_eq!(heap.stats().unwrap().cached_bytes, kept(&cache));
    }

    #[test]
    fn what_is_cached_is_what_the_rows_hold_and_within_the_budget() {
        let words = memory();
        let heap = heap(&words);
        let cache = ThreadCache::new();
        for step in 0..2_000 {
            let class = step * 31 % DENSE_COUNT;
            if step % 3 == 0 {
                cache.make_room(&heap, class).unwrap()
            }
            cache.row(class)[COUNT].store(0, Relaxed);
            drop(cache.refill(&heap, class));
            cache.shrink(&heap, class, (step % 7) as u32).unwrap();
            let most = budget(&heap).unwrap() + CLASSES[class].stride;
            assert!(cache.reserved.get() <= most);
            cache.shrink(&heap, class, 0).unwrap();
        }
        assert_eq!((kept(&cache), heap.stats().unwrap().cached_bytes), (0, 0));
    }

    #[test]
    fn draining_gives_back_all_blocks_but_those_freed_twice() {
        let words = memory();
        let heap = heap(&words);
        let (mine, theirs) = (ThreadCache::new(), ThreadCache::new());
        for class in 0..DENSE_COUNT {
            mine.refill(&heap, class).unwrap();
        }
        let block = mine.row(5)[FIRST].load(Relaxed);
        theirs.row(5)[FIRST].store(block, Relaxed);
        theirs.row(5)[COUNT].store(1, Relaxed);
        assert_eq!(mine.drain(&heap), Ok(()));
        assert_eq!(theirs.drain(&heap), Err(Fault::FreedTwice));
        assert_eq!((kept(&mine), kept(&theirs)), (0, 0));
        assert_eq!(heap.stats().unwrap().cached_bytes, 0);
    }

    #[test]
    fn counts_that_cannot_be_are_survived() {
        let words = memory();
        let heap = heap(&words);
        let cache = ThreadCache::new();
        for count in [1, MOST, MOST + 1, u32::MAX] {
            cache.row(2)[COUNT].store(count, Relaxed);
            assert!(cache.drain(&heap).is_err());
            assert_eq!(cache.row(2)[COUNT].load(Relaxed), 0);
        }
        assert!(cache.refill(&heap, 2).is_ok());
    }
}
