//! Where the caches of threads get their blocks from and bring them back to: the depot first, then
//! the spans of the heap. Used under the heap's lock.

use crate::fault::{Fault, Result};
use crate::heap::{CLASSES, Heap, Search, UNIT};
use crate::process::depot::Depot;
use crate::process::live_blocks::LiveBlocks;

/// A shelf of the depot holds at most one part in this many of the heap.
const SHELF_SHARE: u64 = 8;
/// Bytes of blocks that are taken out of a span at once: more would touch headers that nobody wants
/// yet.
const SPAN_BATCH: u32 = 4 * 1024;

/// The free blocks of a heap, for one thread and the length of one call.
pub struct Central<'a> {
    pub heap: Heap<'a>,
    pub live_blocks: &'a LiveBlocks,
    pub depot: &'a mut Depot,
    /// The thread's number in the depot.
    pub thread: usize,
}

impl Central<'_> {
    /// Takes up to `most` blocks of class `class`, and calls `give` with each. They are the caller's, who
    /// confirms them with [`confirm`] when the lock has been given up. A thread that takes blocks of a span
    /// takes all that are free: neighbours of two threads would share cache lines.
    ///
    /// # Errors
    /// [`Fault::OutOfMemory`], [`Fault::Corrupted`].
    pub fn take(&mut self, class: usize, most: u32, mut give: impl FnMut(u32)) -> Result<()> {
        if self.depot.take(self.thread, class, most as usize, &mut give) > 0 {
            return Ok(());
        }
        let most = most.min((SPAN_BATCH / CLASSES[class].stride).max(1));
        let (mut given, mut rest) = (0, Vec::new());
        let outcome = self.heap.take_spans(class, most, Search::Quick, |pointer| {
            self.depot.set_owner(pointer, self.thread);
            if given < most {
                given += 1;
                give(pointer);
            } else {
                rest.push(pointer);
            }
        });
        rest.reverse();
        self.lay_down(class, &rest)?;
        outcome
    }

    /// Puts blocks of class `class` back, which are in no use.
    ///
    /// # Errors
    /// [`Fault::FreedTwice`] when one is in use or was put back before: two threads freed it at the same
    /// time; [`Fault::Corrupted`]. The others are put back all the same.
    pub fn put(&mut self, class: usize, blocks: &mut [u32]) -> Result<()> {
        let stride = CLASSES[class].stride;
        let mut sound = 0;
        for at in 0..blocks.len() {
            let pointer = blocks[at];
            if !self.live_blocks.is_kept(pointer) {
                continue;
            }
            // Nobody keeps it now, even if it does not go back: the span may have gone, and come again.
            self.live_blocks.set_free(pointer);
            if self.heap.is_unused(pointer, stride) {
                blocks[sound] = pointer;
                sound += 1;
            }
        }
        let outcome = if sound < blocks.len() { Err(Fault::FreedTwice) } else { Ok(()) };
        self.lay_down(class, &blocks[..sound]).and(outcome)
    }

    // Puts free blocks into the depot, or into their spans when it has no room for them.
    fn lay_down(&mut self, class: usize, blocks: &[u32]) -> Result<()> {
        let most = u64::from(self.heap.total_units()?) * u64::from(UNIT) / SHELF_SHARE;
        let (heap, mut outcome) = (self.heap, Ok(()));
        self.depot.put(class, blocks, most, |refused| {
            if let Err(fault) = heap.put_unused_blocks(refused.iter().copied()) {
                outcome = Err(fault);
            }
        });
        outcome
    }

    /// Puts all blocks of the depot back into the spans.
    ///
    /// # Errors
    /// [`Fault::FreedTwice`], [`Fault::Corrupted`]; all other blocks are put back.
    pub fn empty_depot(&mut self) -> Result<()> {
        self.heap.put_unused_blocks(self.depot.drain())
    }
}

/// Confirms that a block of `stride` bytes that was taken is in no use, and notes that a thread keeps
/// it. One that is, or whose header was written over, is never used again.
pub fn confirm(heap: &Heap<'_>, live_blocks: &LiveBlocks, pointer: u32, stride: u32) -> bool {
    let sound = live_blocks.is_free(pointer) && heap.is_unused(pointer, stride);
    if sound {
        live_blocks.set_kept(pointer);
    }
    sound
}

/// Notes that the block at `pointer`, which the heap has just allocated, is live.
///
/// # Errors
/// [`Fault::Corrupted`] when it is in use, or a thread keeps it: a record was written over.
pub fn give_out(heap: &Heap<'_>, live_blocks: &LiveBlocks, pointer: u32) -> Result<()> {
    if !live_blocks.is_free(pointer) {
        return Err(Fault::Corrupted);
    }
    match heap.class_of(pointer)? {
        Some(class) => live_blocks.set_live(pointer, class),
        None => live_blocks.set_large(pointer, heap.read_header(pointer)?.1),
    }
    Ok(())
}

#[cfg(test)]
pub mod fixture {
    use std::sync::atomic::AtomicU32;

    use super::*;
    use crate::heap::{PAGE, Territory, Words};

    const PAGES: u32 = 40;

    /// A heap of its own, with a depot for two threads.
    pub struct Fixture {
        pub words: Vec<AtomicU32>,
        live_blocks: LiveBlocks,
        depot: Depot,
    }

    impl Fixture {
        pub fn new() -> Self {
            let words: Vec<_> = (0..PAGES * PAGE / 4).map(|_| AtomicU32::new(0)).collect();
            let start = Heap::WHOLE_MEMORY_ROOT;
            let territory = Territory { start, end_page: PAGES, maximum: PAGES, owns_all: true };
            Heap::format(Words::new(&words), territory).unwrap();
            let mut depot = Depot::default();
            depot.join();
            depot.join();
            Self { words, live_blocks: LiveBlocks::new(PAGES).unwrap(), depot }
        }

        pub fn central(&mut self, thread: usize) -> Central<'_> {
            let Self { words, live_blocks, depot } = self;
            let heap = Heap::open(Words::new(words), Heap::WHOLE_MEMORY_ROOT).unwrap();
            Central { heap, live_blocks, depot, thread }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::fixture::Fixture;
    use super::*;

    const CLASS: usize = 4;

    fn take(central: &mut Central<'_>, most: u32) -> Vec<u32> {
        let mut blocks = Vec::new();
        central.take(CLASS, most, |block| blocks.push(block)).unwrap();
        let stride = CLASSES[CLASS].stride;
        blocks.retain(|&block| confirm(&central.heap, central.live_blocks, block, stride));
        blocks
    }

    #[test]
    fn threads_take_blocks_of_different_spans() {
        let mut fixture = Fixture::new();
        let spans = |blocks: Vec<u32>| -> HashSet<u32> {
            blocks.into_iter().map(|block| block / UNIT).collect()
        };
        let first = spans(take(&mut fixture.central(0), 5));
        let others = spans(take(&mut fixture.central(1), 5));
        let again = spans(take(&mut fixture.central(0), 5));
        assert!(first.is_disjoint(&others) && again.is_disjoint(&others));
    }

    #[test]
    fn a_block_that_is_put_back_twice_is_refused_wherever_it_waits() {
        let mut fixture = Fixture::new();
        let mut central = fixture.central(0);
        let blocks = take(&mut central, 3);
        central.put(CLASS, &mut blocks.clone()).unwrap();
        assert_eq!(central.put(CLASS, &mut blocks.clone()), Err(Fault::FreedTwice));
        central.empty_depot().unwrap();
        assert_eq!(central.put(CLASS, &mut blocks.clone()), Err(Fault::FreedTwice));
        assert_eq!(central.heap.stats().unwrap().cached_bytes, 0);
        central.heap.free_spare_spans().unwrap();
        assert_eq!(central.heap.free_runs().unwrap().len(), 1);
    }

    #[test]
    fn a_block_that_a_thread_keeps_is_not_given_out_because_the_heap_has_it_as_free() {
        let mut fixture = Fixture::new();
        let mut central = fixture.central(0);
        let kept = take(&mut central, 3);
        central.heap.put_unused_blocks(kept.iter().copied()).unwrap();
        let others = take(&mut central, 8);
        assert!(!others.is_empty() && others.iter().all(|block| !kept.contains(block)));
    }

    #[test]
    fn a_block_that_two_threads_freed_is_not_lost_with_its_span() {
        let mut fixture = Fixture::new();
        let mut central = fixture.central(0);
        let mut blocks = take(&mut central, 3);
        central.put(CLASS, &mut blocks.clone()).unwrap();
        central.empty_depot().unwrap();
        central.heap.free_spare_spans().unwrap();
        // A thread that was slower has it too, now that the span is gone and its pages are trimmed.
        central.live_blocks.set_kept(blocks[0]);
        fixture.words[blocks[0] as usize / 4 - 1].store(0, std::sync::atomic::Ordering::Relaxed);
        let mut central = fixture.central(0);
        assert_eq!(central.put(CLASS, &mut blocks), Err(Fault::FreedTwice));
        assert!(take(&mut central, 3).contains(&blocks[0]));
    }

    #[test]
    fn a_block_that_a_thread_keeps_is_not_allocated_because_the_heap_has_it_as_free() {
        let mut fixture = Fixture::new();
        let mut central = fixture.central(0);
        let kept = take(&mut central, 3);
        central.heap.put_unused_blocks(kept.iter().copied()).unwrap();
        let byte_length = CLASSES[CLASS].stride - 8;
        for _ in 0..20 {
            let block = central.heap.malloc(byte_length, 16, Search::Quick).unwrap();
            let given = give_out(&central.heap, central.live_blocks, block);
            assert_eq!(given.is_err(), kept.contains(&block));
            assert_eq!(central.live_blocks.is_live(block), given.is_ok());
        }
    }

    #[test]
    fn a_block_whose_header_was_written_over_is_not_given_out() {
        let mut fixture = Fixture::new();
        let mut central = fixture.central(0);
        let mut blocks = take(&mut central, 8);
        let damaged = blocks[3];
        central.put(CLASS, &mut blocks).unwrap();
        fixture.words[damaged as usize / 4 - 1].store(7, std::sync::atomic::Ordering::Relaxed);
        assert!(!take(&mut fixture.central(0), 8).contains(&damaged));
    }
}
