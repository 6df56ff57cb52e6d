//! The free blocks that one thread keeps for itself, so that most calls need neither the heap's lock
//! nor a call into native code: JavaScript pops and pushes, Rust refills and empties in batches.
//!
//! The words belong to Rust, so that blocks find their way back when the thread ends without a word:
//!
//! ```text
//! rows     one for each state of a live block: how many blocks, how many at most, their stride, their
//!          pointers; state 0 is none, and the first word of its row says that the cache is large
//! classes  one word for each multiple of 16 bytes: the row of the class that serves it
//! ```

use std::cell::Cell;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use crate::cache::central::{Central, confirm};
use crate::fault::Result;
use crate::heap::{CLASS_COUNT, CLASSES, DENSE_COUNT, GRAIN, HEADER, Heap, UNIT, class_for};
use crate::process::live_blocks::{FIRST_CLASS, LiveBlocks};

/// Words of a row.
pub const ROW_WORDS: usize = 256;
/// Rows, one for each state that is not negative.
const ROWS: usize = 128;
/// Index of the first word of the classes.
pub const CLASSES_BY_SIZE: usize = ROWS * ROW_WORDS;
/// Bytes, header included, of the largest block that is kept.
pub const LARGEST: u32 = CLASSES[DENSE_COUNT - 1].stride;
/// Words in all.
pub const WORDS: usize = CLASSES_BY_SIZE + (LARGEST / GRAIN) as usize + 1;
const COUNT: usize = 0;
const LIMIT: usize = 1;
const STRIDE: usize = 2;
const FIRST: usize = 3;
/// The most blocks of one class.
const MOST: u32 = (ROW_WORDS - FIRST) as u32;
/// Bytes of blocks that any thread may keep. One that keeps more is busy.
const LEAST_BUDGET: u32 = 56 * 1024;
/// Bytes of blocks that all busy threads together may keep.
const BUSY_BUDGET: u32 = 8 * LEAST_BUDGET;
/// They keep at most one part in this many of a larger heap.
const HEAP_SHARE: u32 = 100;
/// A thread keeps never more than one part in this many.
const SMALL_HEAP_SHARE: u32 = 16;
/// The least bytes of blocks that are fetched at once, if the budget allows it.
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
            cache.row(index)[STRIDE].store(class.stride, Relaxed);
        }
        for bytes in (GRAIN..=LARGEST).step_by(GRAIN as usize) {
            let class = class_for(bytes - HEADER, GRAIN).unwrap_or_default();
            let index = CLASSES_BY_SIZE + (bytes / GRAIN) as usize;
            cache.words[index].store(Self::row_index(class) as u32, Relaxed);
        }
        cache
    }

    /// The words that JavaScript works on.
    pub const fn words(&self) -> &[AtomicU32] {
        &self.words
    }

    /// Fetches blocks of class `class` if it has none left, for [`ThreadCache::confirm`] to look at.
    /// Returns how many.
    ///
    /// # Errors
    /// When there is none: [`Fault::OutOfMemory`], [`Fault::Corrupted`], [`Fault::FreedTwice`].
    pub fn refill(&self, central: &mut Central<'_>, class: usize) -> Result<usize> {
        let row = self.row(class);
        if row[COUNT].load(Relaxed) > 0 {
            return Ok(0);
        }
        let wanted = (BATCH / CLASSES[class].stride).clamp(1, MOST / 2);
        // Half the limit, so that as many blocks can be freed as fetched before there are too many.
        let batch = self.raise_limit(central, class, wanted)?.div_ceil(2).max(1);
        let mut fetched = 0;
        let taken = central.take(class, batch, |pointer| {
            row[FIRST + fetched].store(pointer, Relaxed);
            fetched += 1;
        });
        // What was fetched before a fault is in nobody's hands but this thread's.
        if fetched > 0 { Ok(fetched) } else { taken.map(|()| 0) }
    }

    /// Confirms the `fetched` blocks that [`ThreadCache::refill`] has fetched. Needs no lock: they are
    /// this thread's. Returns how many blocks there are now.
    pub fn confirm(
        &self,
        heap: &Heap<'_>,
        live_blocks: &LiveBlocks,
        class: usize,
        fetched: usize,
    ) -> u32 {
        let row = self.row(class);
        let mut count = row[COUNT].load(Relaxed);
        for slot in &row[FIRST..FIRST + fetched] {
            let pointer = slot.load(Relaxed);
            if confirm(heap, live_blocks, pointer, CLASSES[class].stride) {
                row[FIRST + count as usize].store(pointer, Relaxed);
                count += 1;
            }
        }
        row[COUNT].store(count, Relaxed);
        count
    }

    /// Makes room in class `class`, which is at its limit: raises the limit, or gives back the older
    /// half of the blocks.
    ///
    /// # Errors
    /// [`Fault::FreedTwice`] when a block could not be given back; [`Fault::Corrupted`].
    pub fn make_room(&self, central: &mut Central<'_>, class: usize) -> Result<()> {
        let limit = self.row(class)[LIMIT].load(Relaxed);
        let wanted = (limit * 2).clamp(1, MOST);
        if self.set_limit(central, class, wanted)? {
            return Ok(());
        }
        self.shrink(central, class, limit / 2)
    }

    /// Makes the cache as small as that of a thread that does nothing has to be.
    ///
    /// # Errors
    /// As [`ThreadCache::make_room`].
    pub fn rest(&self, central: &mut Central<'_>) -> Result<()> {
        let mut outcome = Ok(());
        let halvings = (0..u32::BITS).take_while(|_| self.reserved.get() > LEAST_BUDGET);
        for class in halvings.flat_map(|_| 0..CLASS_COUNT) {
            outcome = outcome.and(self.lower_limit(central, class));
        }
        outcome
    }

    /// Gives all blocks back.
    ///
    /// # Errors
    /// As [`ThreadCache::make_room`]; the cache is empty then too.
    pub fn drain(&self, central: &mut Central<'_>) -> Result<()> {
        let drained = (0..CLASS_COUNT).map(|class| self.shrink(central, class, 0));
        drained.fold(Ok(()), Result::and)
    }

    fn row(&self, class: usize) -> &[AtomicU32] {
        &self.words[Self::row_index(class)..][..ROW_WORDS]
    }

    const fn row_index(class: usize) -> usize {
        (class + FIRST_CLASS as usize) * ROW_WORDS
    }

    // Raises the limit of a class to `wanted` if the budget allows it, and returns what it is then. For a
    // class that has none, another class's limit is lowered, each time one more: the cache follows what
    // is in use, but slowly, so that classes do not take turns in emptying each other.
    fn raise_limit(&self, central: &mut Central<'_>, class: usize, wanted: u32) -> Result<u32> {
        let limit = self.row(class)[LIMIT].load(Relaxed);
        if limit >= wanted || self.set_limit(central, class, wanted)? {
            return Ok(limit.max(wanted));
        }
        if limit == 0 || self.reserved.get() > budget(central)? {
            self.hand.set((self.hand.get() + 1) % CLASS_COUNT);
            self.lower_limit(central, self.hand.get())?;
        }
        Ok(self.row(class)[LIMIT].load(Relaxed))
    }

    // Whether the budget allows a limit of `wanted`, which is above the present one; sets it then.
    fn set_limit(&self, central: &mut Central<'_>, class: usize, wanted: u32) -> Result<bool> {
        let limit = &self.row(class)[LIMIT];
        let more = wanted.saturating_sub(limit.load(Relaxed)) * CLASSES[class].stride;
        let reserved = self.reserved.get() + more;
        let allowed = reserved <= budget(central)?;
        if allowed && more > 0 {
            self.reserve(central, reserved);
            limit.store(wanted, Relaxed);
        }
        Ok(allowed && more > 0)
    }

    fn lower_limit(&self, central: &mut Central<'_>, class: usize) -> Result<()> {
        let limit = self.row(class)[LIMIT].load(Relaxed);
        let lowered = limit / 2;
        self.row(class)[LIMIT].store(lowered, Relaxed);
        let freed = (limit - lowered) * CLASSES[class].stride;
        self.reserve(central, self.reserved.get().saturating_sub(freed));
        self.shrink(central, class, lowered)
    }

    fn reserve(&self, central: &mut Central<'_>, bytes: u32) {
        self.reserved.set(bytes);
        let busy = bytes > LEAST_BUDGET;
        self.words[0].store(u32::from(busy), Relaxed);
        central.depot.set_busy(central.thread, busy);
    }

    // Gives back the oldest blocks of a class, all but `keep`.
    fn shrink(&self, central: &mut Central<'_>, class: usize, keep: u32) -> Result<()> {
        let row = self.row(class);
        let count = row[COUNT].load(Relaxed).min(MOST);
        let surplus = count.saturating_sub(keep);
        if surplus == 0 {
            return Ok(());
        }
        let mut oldest = [0; MOST as usize];
        let oldest = &mut oldest[..surplus as usize];
        for (pointer, slot) in oldest.iter_mut().zip(&row[FIRST..]) {
            *pointer = slot.load(Relaxed);
        }
        let outcome = central.put(class, oldest);
        for (kept, slot) in (surplus as usize..count as usize).zip(FIRST..) {
            row[slot].store(row[FIRST + kept].load(Relaxed), Relaxed);
        }
        row[COUNT].store(count - surplus, Relaxed);
        outcome
    }
}

/// Bytes of blocks that the thread of `central` may keep of the heap.
fn budget(central: &Central<'_>) -> Result<u32> {
    let bytes = u64::from(central.heap.total_units()?) * u64::from(UNIT);
    let share = |part: u32| (bytes / u64::from(part)) as u32;
    let busy = BUSY_BUDGET.max(share(HEAP_SHARE)) / central.depot.busy_with(central.thread) as u32;
    Ok(LEAST_BUDGET.max(busy).min(share(SMALL_HEAP_SHARE)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::central::fixture::Fixture;
    use crate::fault::Fault;
    use crate::heap::Search;

    fn kept(cache: &ThreadCache) -> u64 {
        let bytes = |class: usize| cache.row(class)[COUNT].load(Relaxed) * CLASSES[class].stride;
        (0..CLASS_COUNT).map(|class| u64::from(bytes(class))).sum()
    }

    fn refill(cache: &ThreadCache, central: &mut Central<'_>, class: usize) -> u32 {
        let fetched = cache.refill(central, class).unwrap_or(0);
        cache.confirm(&central.heap, central.live_blocks, class, fetched)
    }

    #[test]
    fn a_refill_keeps_the_blocks_that_are_there() {
        let mut fixture = Fixture::new();
        let central = &mut fixture.central(0);
        let cache = ThreadCache::new();
        let count = refill(&cache, central, 4);
        assert!(count > 0);
        assert_eq!(refill(&cache, central, 4), count);
        central.empty_depot().unwrap();
        assert_eq!(central.heap.stats().unwrap().cached_bytes, kept(&cache));
    }

    #[test]
    fn a_refill_that_meets_damage_loses_no_block() {
        let class = class_for(200, GRAIN).unwrap();
        // Free blocks in two spans: the second may be damaged when those of the first are fetched.
        let used_heap = || {
            let mut fixture = Fixture::new();
            let heap = fixture.central(0).heap;
            let blocks = [0; 300].map(|_| heap.malloc(200, GRAIN, Search::Quick).unwrap());
            heap.free(blocks[0]).unwrap();
            fixture
        };
        let mut cut_short = 0;
        // All words but those that tell a heap of this build from chance bytes.
        for word in 7..2 * UNIT as usize / 4 {
            let (mut fixture, cache) = (used_heap(), ThreadCache::new());
            let old = fixture.words[word].fetch_xor(u32::MAX, Relaxed);
            refill(&cache, &mut fixture.central(0), class);
            fixture.words[word].store(old, Relaxed);
            let central = &mut fixture.central(0);
            drop(central.empty_depot());
            cut_short += u32::from(kept(&cache) == u64::from(CLASSES[class].stride));
            assert_eq!(central.heap.stats().unwrap().cached_bytes, kept(&cache), "word {word}");
        }
        assert!(cut_short > 0);
    }

    #[test]
    fn what_is_cached_is_what_the_rows_hold_and_within_the_budget() {
        let mut fixture = Fixture::new();
        let central = &mut fixture.central(0);
        let cache = ThreadCache::new();
        for step in 0..2_000 {
            let class = step * 31 % DENSE_COUNT;
            if step % 3 == 0 {
                cache.make_room(central, class).unwrap()
            }
            cache.row(class)[COUNT].store(0, Relaxed);
            refill(&cache, central, class);
            cache.shrink(central, class, (step % 7) as u32).unwrap();
            let most = budget(central).unwrap() + CLASSES[class].stride;
            assert!(cache.reserved.get() <= most);
            if step % 100 == 99 {
                cache.rest(central).unwrap();
                assert!(cache.reserved.get() <= LEAST_BUDGET);
                assert_eq!(cache.words[0].load(Relaxed), 0);
            }
            cache.shrink(central, class, 0).unwrap();
        }
        central.empty_depot().unwrap();
        assert_eq!((kept(&cache), central.heap.stats().unwrap().cached_bytes), (0, 0));
    }

    #[test]
    fn the_cache_is_marked_while_it_is_larger_than_an_idle_thread_may_have() {
        let mut fixture = Fixture::new();
        let central = &mut fixture.central(0);
        let cache = ThreadCache::new();
        for class in 0..DENSE_COUNT {
            refill(&cache, central, class);
            assert_eq!(cache.words[0].load(Relaxed) == 1, cache.reserved.get() > LEAST_BUDGET);
        }
        assert_eq!(cache.words[0].load(Relaxed), 1);
    }

    #[test]
    fn busy_threads_share_what_one_may_have_alone() {
        let mut fixture = Fixture::new();
        let alone = budget(&fixture.central(0)).unwrap();
        let other = ThreadCache::new();
        other.reserve(&mut fixture.central(1), LEAST_BUDGET + 1);
        assert_eq!(budget(&fixture.central(0)), Ok((BUSY_BUDGET / 2).min(alone)));
        assert_eq!(budget(&fixture.central(1)), Ok(alone));
        other.reserve(&mut fixture.central(1), LEAST_BUDGET);
        assert_eq!(budget(&fixture.central(0)), Ok(alone));
    }

    #[test]
    fn draining_gives_back_all_blocks_but_those_freed_twice() {
        let mut fixture = Fixture::new();
        let central = &mut fixture.central(0);
        let (mine, theirs) = (ThreadCache::new(), ThreadCache::new());
        for class in 0..DENSE_COUNT {
            assert!(refill(&mine, central, class) > 0);
        }
        let block = mine.row(5)[FIRST].load(Relaxed);
        theirs.row(5)[FIRST].store(block, Relaxed);
        theirs.row(5)[COUNT].store(1, Relaxed);
        assert_eq!(mine.drain(central), Ok(()));
        assert_eq!(theirs.drain(central), Err(Fault::FreedTwice));
        assert_eq!((kept(&mine), kept(&theirs)), (0, 0));
        central.empty_depot().unwrap();
        assert_eq!(central.heap.stats().unwrap().cached_bytes, 0);
    }

    #[test]
    fn counts_that_cannot_be_are_survived() {
        let mut fixture = Fixture::new();
        let central = &mut fixture.central(0);
        let cache = ThreadCache::new();
        for count in [1, MOST, MOST + 1, u32::MAX] {
            cache.row(2)[COUNT].store(count, Relaxed);
            assert!(cache.drain(central).is_err());
            assert_eq!(cache.row(2)[COUNT].load(Relaxed), 0);
        }
        assert!(refill(&cache, central, 2) > 0);
    }
}
