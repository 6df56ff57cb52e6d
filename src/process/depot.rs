//! Free blocks between the caches of threads and the spans: what one cache has too many of waits here
//! for another to be refilled with, without a look at any span.
//!
//! Each thread has a shelf of its own, and blocks go to the shelf of the thread that took their span,
//! whoever freed them. So threads do not mix their blocks, and one that allocates what another frees
//! gets it back.

use std::array::from_fn;

use crate::heap::{CLASS_COUNT, CLASSES, UNIT};

/// The free blocks of one heap that neither a cache nor a span has.
#[derive(Default)]
pub struct Depot {
    /// The shelf of each thread; none for numbers that no thread has.
    shelves: Vec<Option<Shelf>>,
    /// The number of the thread that took the span that a unit is in last.
    owners: Vec<u16>,
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
        let vacant = self.shelves.iter().position(Option::is_none);
        let thread = vacant.unwrap_or(self.shelves.len());
        if thread == self.shelves.len() {
            self.shelves.push(None);
        }
        self.shelves[thread] = Some(Shelf::new());
        thread
    }

    /// Removes the shelf of a thread that goes. Returns its blocks.
    pub fn leave(&mut self, thread: usize) -> impl Iterator<Item = u32> + use<> {
        let shelf = self.shelves.get_mut(thread).and_then(Option::take);
        shelf.into_iter().flat_map(|shelf| shelf.blocks).flatten()
    }

    /// Notes whether a thread is busy: whether it keeps more than an idle one may.
    pub fn set_busy(&mut self, thread: usize, busy: bool) {
        if let Some(shelf) = self.shelf(thread) {
            shelf.busy = busy;
        }
    }

    /// How many threads are busy if thread `thread` is.
    pub fn busy_with(&self, thread: usize) -> usize {
        let others = self.shelves.iter().enumerate().filter(|&(other, _)| other != thread);
        1 + others.filter(|(_, shelf)| shelf.as_ref().is_some_and(|shelf| shelf.busy)).count()
    }

    /// Notes that thread `thread` took the block at `pointer` out of its span.
    pub fn set_owner(&mut self, pointer: u32, thread: usize) {
        let unit = (pointer / UNIT) as usize;
        if self.owners.len() <= unit {
            self.owners.resize(unit + 1, 0);
        }
        self.owners[unit] = thread as u16;
    }

    /// Puts free blocks of a class down, each on the shelf of its owner. Calls `refuse` with those for
    /// which there is no room: a shelf holds up to `most` bytes.
    pub fn put(&mut self, class: usize, blocks: &[u32], most: u64, mut refuse: impl FnMut(&[u32])) {
        let Self { shelves, owners } = self;
        let owner = |block: &u32| owners.get((block / UNIT) as usize).copied().unwrap_or(0);
        for group in blocks.chunk_by(|one, other| owner(one) == owner(other)) {
            let shelf = shelves.get_mut(usize::from(owner(&group[0]))).and_then(Option::as_mut);
            if !shelf.is_some_and(|shelf| shelf.put(class, group, most)) {
                refuse(group);
            }
        }
    }

    /// Takes up to `most` blocks of a class from the shelf of thread `thread`, and calls `give` with each.
    /// Returns how many there were.
    pub fn take(
        &mut self,
        thread: usize,
        class: usize,
        most: usize,
        give: impl FnMut(u32),
    ) -> usize {
        self.shelf(thread).map_or(0, |shelf| shelf.take(class, most, give))
    }

    /// Takes all blocks.
    pub fn drain(&mut self) -> impl Iterator<Item = u32> {
        self.shelves.iter_mut().flatten().flat_map(Shelf::clear).flatten()
    }

    fn shelf(&mut self, thread: usize) -> Option<&mut Shelf> {
        self.shelves.get_mut(thread).and_then(Option::as_mut)
    }
}

impl Shelf {
    fn new() -> Self {
        Self { blocks: from_fn(|_| Vec::new()), byte_length: 0, busy: false }
    }

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

    fn clear(&mut self) -> [Vec<u32>; CLASS_COUNT] {
        self.byte_length = 0;
        std::mem::replace(&mut self.blocks, from_fn(|_| Vec::new()))
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

    fn put(depot: &mut Depot, blocks: &[u32]) -> Vec<u32> {
        let mut refused = Vec::new();
        depot.put(CLASS, blocks, MOST, |blocks| refused.extend_from_slice(blocks));
        refused
    }

    #[test]
    fn a_block_goes_to_the_thread_that_took_its_span() {
        let mut depot = Depot::default();
        let (one, other) = (depot.join(), depot.join());
        depot.set_owner(5 * UNIT, one);
        depot.set_owner(9 * UNIT, other);
        let [first, second, third] = [5 * UNIT + 16, 9 * UNIT + 80, 5 * UNIT + 160];
        assert_eq!(put(&mut depot, &[first, second, third]), []);
        assert_eq!(take(&mut depot, other), [second]);
        assert_eq!(take(&mut depot, one), [third, first]);
    }

    #[test]
    fn a_shelf_has_an_end() {
        let mut depot = Depot::default();
        depot.join();
        assert_eq!(put(&mut depot, &[1; 10]), []);
        assert_eq!(put(&mut depot, &[2]), [2]);
        assert_eq!(depot.drain().count(), 10);
        assert_eq!(put(&mut depot, &[2]), []);
    }

    #[test]
    fn a_thread_that_goes_leaves_its_blocks_and_its_number() {
        let mut depot = Depot::default();
        let (one, other) = (depot.join(), depot.join());
        depot.set_owner(UNIT, one);
        put(&mut depot, &[UNIT]);
        assert_eq!(depot.leave(one).collect::<Vec<_>>(), [UNIT]);
        assert_eq!(put(&mut depot, &[UNIT]), [UNIT]);
        assert_eq!((depot.join(), depot.join()), (one, other + 1));
    }
}
