//! Free blocks between the caches of threads and the spans: what one cache has too many of waits here
//! for another to be refilled with, without a look at any span.
//!
//! Each thread has a shelf of its own, so that it gets back the blocks that it freed and threads do
//! not mix theirs. What does not fit there goes to a shelf that serves all.

use crate::heap::{CLASS_COUNT, CLASSES};

/// The free blocks of one heap that neither a cache nor a span has.
#[derive(Default)]
pub struct Depot {
    /// The shelf of each thread; none for numbers that no thread has.
    own: Vec<Option<Shelf>>,
    common: Shelf,
}

/// Free blocks by size class.
struct Shelf {
    blocks: [Vec<u32>; CLASS_COUNT],
    byte_length: u64,
    busy: bool,
}

impl Depot {
    /// Makes a shelf for one more thread. Returns the thread's number.
    pub fn join(&mut self) -> usize {
        let vacant = self.own.iter().position(Option::is_none);
        let thread = vacant.unwrap_or(self.own.len());
        if thread == self.own.len() {
            self.own.push(None);
        }
        self.own[thread] = Some(Shelf::default());
        thread
    }

    /// Removes the shelf of a thread that goes. Returns its blocks.
    pub fn leave(&mut self, thread: usize) -> impl Iterator<Item = u32> + use<> {
        let shelf = self.own.get_mut(thread).and_then(Option::take);
        shelf.into_iter().flat_map(|shelf| shelf.blocks).flatten()
    }

    /// Notes whether a thread is busy: whether it keeps more than an idle one may.
    pub fn set_busy(&mut self, thread: usize, busy: bool) {
        if let Some(Some(shelf)) = self.own.get_mut(thread) {
            shelf.busy = busy;
        }
    }

    /// How many threads are busy if thread `thread` is.
    pub fn busy_with(&self, thread: usize) -> usize {
        let others = self.own.iter().enumerate().filter(|&(other, _)| other != thread);
        1 + others.filter(|(_, shelf)| shelf.as_ref().is_some_and(|shelf| shelf.busy)).count()
    }

    /// Puts blocks of a class on the shelf of thread `thread`; or on that for all, when there are none of
    /// the class but the thread has some, or its shelf is full: it holds up to `most` bytes. Returns
    /// whether there was room for them.
    pub fn put(&mut self, thread: usize, class: usize, blocks: &[u32], most: u64) -> bool {
        let Some(Some(own)) = self.own.get_mut(thread) else { return false };
        let common = &mut self.common;
        let wanted_by_others = common.blocks[class].is_empty() && !own.blocks[class].is_empty();
        !wanted_by_others && own.put(class, blocks, most) || common.put(class, blocks, most)
    }

    /// Takes up to `most` blocks of a class, those on the shelf of thread `thread` first, and calls `give`
    /// with each. Returns how many there were.
    pub fn take(
        &mut self,
        thread: usize,
        class: usize,
        most: usize,
        give: impl FnMut(u32),
    ) -> usize {
        let own = self.own.get_mut(thread).and_then(Option::as_mut);
        let own = own.filter(|own| !own.blocks[class].is_empty());
        own.unwrap_or(&mut self.common).take(class, most, give)
    }

    /// Takes all blocks.
    pub fn drain(&mut self) -> impl Iterator<Item = u32> {
        let shelves = self.own.iter_mut().flatten().chain([&mut self.common]);
        shelves
            .flat_map(|shelf| {
                shelf.byte_length = 0;
                std::mem::replace(&mut shelf.blocks, [const { Vec::new() }; CLASS_COUNT])
            })
            .flatten()
    }
}

impl Default for Shelf {
    fn default() -> Self {
        Self { blocks: [const { Vec::new() }; CLASS_COUNT], byte_length: 0, busy: false }
    }
}

impl Shelf {
    fn put(&mut self, class: usize, blocks: &[u32], most: u64) -> bool {
        let byte_length = self.byte_length + bytes_of(class, blocks.len());
        if byte_length > most {
            return false;
        }
        self.blocks[class].extend_from_slice(blocks);
        self.byte_length = byte_length;
        true
    }

    fn take(&mut self, class: usize, most: usize, give: impl FnMut(u32)) -> usize {
        let blocks = &mut self.blocks[class];
        let taken = blocks.len().min(most);
        self.byte_length -= bytes_of(class, taken);
        blocks.drain(blocks.len() - taken..).rev().for_each(give);
        taken
    }
}

fn bytes_of(class: usize, blocks: usize) -> u64 {
    u64::from(CLASSES[class].stride) * blocks as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLASS: usize = 4;
    const MOST: u64 = 10 * 80;

    fn take(depot: &mut Depot, thread: usize) -> Vec<u32> {
        let mut blocks = Vec::new();
        let count = depot.take(thread, CLASS, 5, |block| blocks.push(block));
        assert_eq!(count, blocks.len());
        blocks
    }

    #[test]
    fn a_thread_gets_back_what_it_put_there_before_what_others_did() {
        let mut depot = Depot::default();
        let (one, other) = (depot.join(), depot.join());
        assert!(depot.put(one, CLASS, &[1, 2], MOST));
        assert!(depot.put(other, CLASS, &[3], MOST));
        assert_eq!(take(&mut depot, one), [2, 1]);
        assert_eq!(take(&mut depot, other), [3]);
    }

    #[test]
    fn a_thread_that_has_some_leaves_others_a_share() {
        let mut depot = Depot::default();
        let (one, other) = (depot.join(), depot.join());
        assert!(depot.put(one, CLASS, &[1], MOST));
        assert_eq!(take(&mut depot, other), []);
        assert!(depot.put(one, CLASS, &[2], MOST));
        assert_eq!(take(&mut depot, other), [2]);
    }

    #[test]
    fn shelves_have_an_end() {
        let mut depot = Depot::default();
        let thread = depot.join();
        let puts = (0..).take_while(|&block| depot.put(thread, CLASS, &[block], MOST)).count();
        assert_eq!(puts, 20);
        assert_eq!(depot.drain().count(), 20);
        assert!(depot.put(thread, CLASS, &[1], MOST));
    }

    #[test]
    fn a_thread_that_goes_leaves_its_blocks_and_its_number() {
        let mut depot = Depot::default();
        let (one, other) = (depot.join(), depot.join());
        depot.put(one, CLASS, &[7], MOST);
        assert_eq!(depot.leave(one).collect::<Vec<_>>(), [7]);
        assert_eq!((depot.join(), depot.join()), (one, other + 1));
    }
}
