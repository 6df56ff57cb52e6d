//! Where the caches of threads get their blocks from and bring them back to: the depot first, then
//! the spans of the heap. Used under the heap's lock.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use crate::attached::Attachment;
use crate::fault::{Fault, Result};
use crate::heap::{CLASSES, DENSE_END, HEADER, Heap, MAX_SLOTS, PAGE, Search, Span, UNIT, over};
use crate::process::depot::Depot;
use crate::process::live_blocks::LiveBlocks;
use crate::process::rows::{Row, depth};

/// Bytes of blocks that are taken out of spans at once, if they are not in one span anyway: more
/// would touch headers that nobody wants yet.
const SPAN_BATCH: u32 = 4 * 1024;
// A batch that lacks one block, and all blocks of one more span, fit into an empty stack.
const _: () = {
    let mut class = 1;
    while class < DENSE_END {
        assert!((SPAN_BATCH / CLASSES[class].stride + MAX_SLOTS) as usize <= depth(class));
        class += 1;
    }
};

/// The free blocks of a heap, for one thread and the length of one call.
pub struct FreeBlocks<'a> {
    pub heap: Heap<'a>,
    pub live_blocks: &'a LiveBlocks,
    pub depot: &'a mut Depot,
    /// The thread's number in the depot.
    pub thread: usize,
    /// The file of a heap that other processes may have.
    pub attachment: Option<&'a Attachment>,
}

impl FreeBlocks<'_> {
    /// Whether no other thread has the heap open, in this process or another one.
    pub fn is_alone(&self) -> bool {
        self.depot.is_for_one_thread() && self.attachment.is_none_or(Attachment::is_alone)
    }

    /// Takes free blocks of class `class` into slots of a cache, the one to be used first into the
    /// last of them. Returns how many. A thread that takes blocks of a span takes all that are
    /// free: neighbours of two threads would share cache lines.
    ///
    /// # Errors
    /// When there is none: [`Fault::OutOfMemory`], [`Fault::Corrupted`].
    pub fn take(&mut self, class: usize, slots: &[AtomicU32]) -> Result<usize> {
        let waiting = self.depot.take(self.thread, class, &slots[..slots.len() / 2]);
        if waiting > 0 { Ok(waiting) } else { self.take_from_spans(class, slots) }
    }

    /// Whether a large block that a thread of this process keeps is whole and has room for so many bytes.
    pub fn has_room_for(&self, pointer: u32, byte_length: u32) -> bool {
        let size = self.live_blocks.kept_large_size(pointer);
        size.is_some_and(|size| {
            byte_length <= size - HEADER && self.heap.read_header(pointer) == Ok((0, size))
        })
    }

    /// Gives out such a block.
    ///
    /// # Errors
    /// [`Fault::Corrupted`].
    pub fn give_out_large(&self, pointer: u32, byte_length: u32) -> Result<()> {
        let (_, size) = self.heap.read_header(pointer)?;
        self.heap.write_header(pointer, byte_length, size)?;
        self.live_blocks.set_large(pointer, size);
        Ok(())
    }

    /// Whether there are blocks of a class without a new span.
    ///
    /// # Errors
    /// [`Fault::Corrupted`].
    pub fn has(&self, class: usize) -> Result<bool> {
        Ok(self.depot.has(self.thread, class) || self.heap.has_free_blocks(class)?)
    }

    /// Whether it is worth it to look for idle spans: what is free is in pieces, and there was no look
    /// for some time.
    ///
    /// # Errors
    /// [`Fault::Corrupted`].
    pub fn may_be_tidied(&self) -> Result<bool> {
        Ok(self.depot.may_be_tidied() && self.heap.is_in_pieces()?)
    }

    /// Bytes of the heap.
    ///
    /// # Errors
    /// [`Fault::Corrupted`].
    pub fn heap_bytes(&self) -> Result<u64> {
        Ok(u64::from(self.heap.total_units()?) * u64::from(UNIT))
    }

    /// Bytes that the memory may have.
    ///
    /// # Errors
    /// [`Fault::Corrupted`].
    pub fn maximum_bytes(&self) -> Result<u64> {
        Ok(u64::from(self.heap.maximum_pages()?) * u64::from(PAGE))
    }

    /// Allocates a small block for which there is no other room in the place of a longer one, unless too
    /// many are in a heap that is not small: see
    /// [`Misplaced`](crate::process::misplaced::Misplaced).
    ///
    /// # Errors
    /// [`Fault::OutOfMemory`], [`Fault::Corrupted`].
    pub fn misplace(&mut self, byte_length: u32, align: u32) -> Result<u32> {
        let (heap, heap_bytes) = (self.heap, self.heap_bytes()?);
        if !heap.is_small()?
            && !self.depot.misplaced.may_be_more(heap_bytes, || heap.misplaced_bytes())
        {
            return Err(Fault::OutOfMemory);
        }
        let pointer = heap.misplace(byte_length, align)?;
        self.depot.misplaced.add(over(byte_length, heap.read_header(pointer)?.1));
        Ok(pointer)
    }

    fn take_from_spans(&mut self, class: usize, slots: &[AtomicU32]) -> Result<usize> {
        let Self { heap, live_blocks, depot, thread, .. } = self;
        let least = (SPAN_BATCH / CLASSES[class].stride).max(1);
        let mut taken = 0;
        let outcome = heap.take_spans(class, least, Search::Quick, |pointer| {
            depot.set_owner(pointer, *thread);
            // If a bit of its span's bitmap was written over, and it is in use, it is never used
            // again.
            if !live_blocks.is_free(pointer) {
                return;
            }
            live_blocks.set_kept(pointer, class);
            slots[taken].store(pointer, Relaxed);
            taken += 1;
        });
        // What was taken before a fault is in nobody's hands but this thread's.
        if taken == 0 {
            return outcome.map(|()| 0);
        }
        reverse(&slots[..taken]);
        Ok(taken)
    }

    /// Puts blocks back into their spans, which a thread kept.
    ///
    /// # Errors
    /// [`Fault::FreedTwice`] when one is in use or was put back before: two threads freed it at the
    /// same time; [`Fault::Corrupted`]. The others are put back all the same.
    pub fn put(&mut self, blocks: impl Iterator<Item = u32>) -> Result<()> {
        let (heap, live_blocks) = (self.heap, self.live_blocks);
        let mut outcome = Ok(());
        let sound = blocks.filter(|&pointer| {
            let kept = live_blocks.is_kept(pointer);
            if kept {
                // Nobody keeps it now, even if it does not go back: the span may have gone, and
                // come again.
                live_blocks.set_free(pointer);
            } else {
                outcome = Err(Fault::FreedTwice);
            }
            kept
        });
        heap.put_unused_blocks(sound).and(outcome)
    }

    /// Puts the oldest `count` blocks of a row back.
    ///
    /// # Errors
    /// As [`FreeBlocks::put`]; all of them left the row.
    pub fn put_oldest(&mut self, row: &Row<'_>, count: usize) -> Result<()> {
        let put = self.put(row.blocks()[..count].iter().map(|block| block.load(Relaxed)));
        row.drop_oldest(count);
        put
    }

    /// Puts all blocks of a row back, and leaves it no room that it has not by its width.
    ///
    /// # Errors
    /// As [`FreeBlocks::put`]; all of them left the row.
    pub fn put_row(&mut self, row: &Row<'_>) -> Result<()> {
        self.put_oldest(row, row.blocks().len())
    }

    /// Puts all blocks of a row back, those too that wait in the depot.
    ///
    /// # Errors
    /// As [`FreeBlocks::put`]; all of them left the row and the depot.
    pub fn put_whole_row(&mut self, row: &Row<'_>, index: usize) -> Result<()> {
        let waiting = self.depot.take_row(self.thread, index);
        self.put(waiting.into_iter()).and(self.put_row(row))
    }

    /// Frees spans of which caches kept blocks, but do so no longer.
    ///
    /// # Errors
    /// [`Fault::Corrupted`] when one of them cannot be freed. The others are freed all the same.
    pub fn free_idle_spans(&self, spans: &[Span<'_>]) -> Result<()> {
        let free = |span: &Span<'_>| {
            span.blocks().for_each(|pointer| self.live_blocks.set_free(pointer));
            self.heap.free_idle_span(span)
        };
        spans.iter().map(free).fold(Ok(()), Result::and)
    }

    /// Puts one part in `part` of what all threads can have back into the spans: the oldest blocks,
    /// and what threads have published only if that is all of it. Returns whether there were any.
    ///
    /// # Errors
    /// As [`FreeBlocks::put`].
    pub fn collect(&mut self, part: usize) -> Result<bool> {
        let oldest = self.depot.take_oldest(part);
        let any = !oldest.is_empty();
        self.put_all(oldest).map(|()| any)
    }

    /// Puts what a thread that goes had in the depot back into the spans.
    ///
    /// # Errors
    /// As [`FreeBlocks::put`].
    pub fn leave(&mut self) -> Result<()> {
        let all = self.depot.leave(self.thread);
        self.put_all(all)
    }

    /// Puts what threads left behind, which went when the heap could not be used, back into the
    /// spans.
    ///
    /// # Errors
    /// As [`FreeBlocks::put`].
    pub fn put_left_behind(&mut self) -> Result<()> {
        let all = self.depot.take_left_behind();
        self.put(all.into_iter())
    }

    fn put_all(&mut self, all: Vec<Vec<u32>>) -> Result<()> {
        let put = |blocks: Vec<u32>| self.put(blocks.into_iter());
        all.into_iter().map(put).fold(Ok(()), Result::and)
    }
}

fn reverse(slots: &[AtomicU32]) {
    for (first, last) in (0..slots.len() / 2).zip((0..slots.len()).rev()) {
        let low = slots[first].load(Relaxed);
        slots[first].store(slots[last].load(Relaxed), Relaxed);
        slots[last].store(low, Relaxed);
    }
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
    use std::sync::Arc;

    use super::*;
    use crate::heap::Words;
    use crate::process::rows::Rows;
    use crate::tests::fixture::{pages, whole_heap};

    const PAGES: u32 = 40;

    /// A heap of its own, with a depot for two threads.
    pub struct Fixture {
        pub words: Vec<AtomicU32>,
        pub live_blocks: LiveBlocks,
        depot: Depot,
    }

    impl Fixture {
        pub fn new(rows: [&Arc<Rows>; 2]) -> Self {
            Self::of_pages(PAGES, rows)
        }

        pub fn of_pages(count: u32, rows: [&Arc<Rows>; 2]) -> Self {
            Self::up_to(count, count, rows)
        }

        /// Of so many pages, which may become `maximum`.
        pub fn up_to(maximum: u32, count: u32, rows: [&Arc<Rows>; 2]) -> Self {
            let words = pages(count);
            whole_heap(&words, maximum);
            let mut depot = Depot::default();
            for rows in rows {
                depot.join(Arc::clone(rows));
            }
            Self { words, live_blocks: LiveBlocks::new(count).unwrap(), depot }
        }

        pub fn free_blocks(&mut self, thread: usize) -> FreeBlocks<'_> {
            let Self { words, live_blocks, depot } = self;
            let heap = Heap::open(Words::new(words), Heap::WHOLE_MEMORY_START).unwrap();
            FreeBlocks { heap, live_blocks, depot, thread, attachment: None }
        }
    }

    impl Default for Fixture {
        fn default() -> Self {
            Self::new([&Arc::new(Rows::new().unwrap()), &Arc::new(Rows::new().unwrap())])
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::fixture::Fixture;
    use super::*;
    use crate::heap::{GRAIN, class_for};

    /// More than a span of blocks of 1000 bytes has.
    const APART: usize = 256;
    const CLASS: usize = 5;

    fn take(free_blocks: &mut FreeBlocks<'_>) -> Vec<u32> {
        take_of(free_blocks, CLASS)
    }

    fn take_of(free_blocks: &mut FreeBlocks<'_>, class: usize) -> Vec<u32> {
        let slots = [const { AtomicU32::new(0) }; 512];
        let taken = free_blocks.take(class, &slots).unwrap();
        slots[..taken].iter().map(|slot| slot.load(Relaxed)).collect()
    }

    fn put(free_blocks: &mut FreeBlocks<'_>, blocks: &[u32]) -> Result<()> {
        free_blocks.put(blocks.iter().copied())
    }

    #[test]
    fn the_lowest_block_of_a_span_is_used_first() {
        let mut fixture = Fixture::default();
        let blocks = take(&mut fixture.free_blocks(0));
        assert!(blocks.len() > 10 && blocks.is_sorted_by(|one, other| one > other));
        assert!(blocks.iter().all(|&block| fixture.live_blocks.is_kept(block)));
    }

    #[test]
    fn what_waits_in_the_depot_is_taken_before_what_spans_have() {
        let mut fixture = Fixture::default();
        let mut free_blocks = fixture.free_blocks(0);
        let blocks = take(&mut free_blocks);
        let waiting: Vec<_> = blocks.iter().copied().map(AtomicU32::new).collect();
        free_blocks.depot.put(0, CLASS, &waiting);
        let again = take(&mut free_blocks);
        assert!(!again.is_empty() && blocks.ends_with(&again));
    }

    #[test]
    fn spans_that_have_a_block_each_are_emptied_until_there_are_some() {
        let mut fixture = Fixture::default();
        let mut free_blocks = fixture.free_blocks(0);
        let (heap, class) = (free_blocks.heap, class_for(1000, GRAIN).unwrap());
        let blocks = [0; 1500].map(|_| heap.malloc(1000, GRAIN, Search::Quick).unwrap());
        for &block in blocks.iter().step_by(APART) {
            heap.free(block).unwrap();
        }
        assert_eq!(take_of(&mut free_blocks, class).len(), 3);
    }

    #[test]
    fn threads_take_blocks_of_different_spans() {
        let mut fixture = Fixture::default();
        let spans = |blocks: Vec<u32>| -> HashSet<u32> {
            blocks.into_iter().map(|block| block / UNIT).collect()
        };
        let first = spans(take(&mut fixture.free_blocks(0)));
        let others = spans(take(&mut fixture.free_blocks(1)));
        let again = spans(take(&mut fixture.free_blocks(0)));
        assert!(first.is_disjoint(&others) && again.is_disjoint(&others));
    }

    #[test]
    fn a_block_that_is_put_back_twice_is_refused() {
        let mut fixture = Fixture::default();
        let mut free_blocks = fixture.free_blocks(0);
        let blocks = take(&mut free_blocks);
        assert_eq!(put(&mut free_blocks, &blocks), Ok(()));
        assert_eq!(put(&mut free_blocks, &blocks), Err(Fault::FreedTwice));
        assert_eq!(free_blocks.heap.stats().unwrap().cached_bytes, 0);
        free_blocks.heap.free_spare_spans().unwrap();
        assert_eq!(free_blocks.heap.free_runs().unwrap().len(), 1);
    }

    #[test]
    fn a_block_that_a_thread_keeps_is_not_given_out_because_the_heap_has_it_as_free() {
        let mut fixture = Fixture::default();
        let mut free_blocks = fixture.free_blocks(0);
        let kept = take(&mut free_blocks);
        free_blocks.heap.put_unused_blocks(kept.iter().copied()).unwrap();
        let mut others = take(&mut free_blocks);
        others.extend(take(&mut free_blocks));
        assert!(!others.is_empty() && others.iter().all(|block| !kept.contains(block)));
    }

    #[test]
    fn a_block_that_two_threads_freed_is_not_lost_with_its_span() {
        let mut fixture = Fixture::default();
        let mut free_blocks = fixture.free_blocks(0);
        let blocks = take(&mut free_blocks);
        put(&mut free_blocks, &blocks).unwrap();
        free_blocks.heap.free_spare_spans().unwrap();
        // A thread that was slower has it too, now that the span is gone and its pages are trimmed.
        free_blocks.live_blocks.set_kept(blocks[0], CLASS);
        fixture.words[blocks[0] as usize / 4 - 1].store(0, Relaxed);
        let mut free_blocks = fixture.free_blocks(0);
        assert_eq!(put(&mut free_blocks, &blocks), Err(Fault::FreedTwice));
        assert!(take(&mut free_blocks).contains(&blocks[0]));
    }

    #[test]
    fn a_block_that_a_thread_keeps_is_not_allocated_because_the_heap_has_it_as_free() {
        let mut fixture = Fixture::default();
        let mut free_blocks = fixture.free_blocks(0);
        let mut kept = take(&mut free_blocks);
        let free = kept.split_off(3);
        put(&mut free_blocks, &free).unwrap();
        free_blocks.heap.put_unused_blocks(kept.iter().copied()).unwrap();
        let byte_length = CLASSES[CLASS].stride - 8;
        for _ in 0..kept.len() + free.len() {
            let block = free_blocks.heap.malloc(byte_length, 16, Search::Quick).unwrap();
            let given = give_out(&free_blocks.heap, free_blocks.live_blocks, block);
            assert_eq!(given.is_err(), kept.contains(&block));
            assert_eq!(free_blocks.live_blocks.is_live(block), given.is_ok());
        }
    }

    #[test]
    fn a_large_block_that_waits_has_room_for_what_is_behind_its_header() {
        let mut fixture = Fixture::default();
        let free_blocks = fixture.free_blocks(0);
        let heap = free_blocks.heap;
        let block = heap.malloc(70_000, GRAIN, Search::Quick).unwrap();
        give_out(&heap, free_blocks.live_blocks, block).unwrap();
        let (_, size) = heap.read_header(block).unwrap();
        assert!(!free_blocks.has_room_for(block, 1), "it is live");
        free_blocks.live_blocks.set_kept(block, 0);
        assert!(!free_blocks.has_room_for(block, 1), "its header says that it is live");
        heap.write_header(block, 0, size).unwrap();
        let room = size - HEADER;
        assert_eq!(
            [room, room + 1].map(|most| free_blocks.has_room_for(block, most)),
            [true, false]
        );
    }

    #[test]
    fn a_block_whose_header_was_written_over_is_not_given_out() {
        let mut fixture = Fixture::default();
        let mut free_blocks = fixture.free_blocks(0);
        let blocks = take(&mut free_blocks);
        put(&mut free_blocks, &blocks).unwrap();
        fixture.words[blocks[3] as usize / 4 - 1].store(7, Relaxed);
        let again = take(&mut fixture.free_blocks(0));
        assert!(!again.contains(&blocks[3]) && again.contains(&blocks[4]));
    }
}
