//! Free blocks that every thread can have: those that wait here, and those that the caches of
//! threads have published. None of them is looked at on the way: whoever takes one out of a cache,
//! or puts it back into its span, does that.
//!
//! Each thread has a shelf of its own, and blocks go to the shelf of the thread that took their
//! span, whoever freed them. So threads do not mix their blocks, and one that allocates what
//! another frees gets it back.

use std::iter::once;
use std::mem::take;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use crate::heap::{DENSE_END, UNIT};
use crate::process::misplaced::Misplaced;
use crate::process::rows::{ROWS, Rows};
use crate::process::shelf::Shelf;

/// Bytes of blocks that may be looked at for idle spans, at the most: some milliseconds of work.
const TIDY_BYTES: u64 = 256 * 1024 * 1024;
/// After a growth they are so many times the memory's bytes, so that the next one comes later.
const TIDY_TIMES: u64 = 16;
/// So many of each three bytes that are fetched may be looked at: what a look frees is fetched again.
const TIDY_THIRDS: u64 = 2;

/// How often there may be no room before blocks of longer classes serve.
const FEW_SHORTAGES: u32 = 8;
/// How often there may be no room before a small heap grows though free blocks are kept: some
/// hundredths of a millisecond of work.
const MOST_SHORTAGES: u32 = 64;
/// How many blocks may be put into mixed units where there was room all the time: each takes
/// microseconds, and one span serves many.
pub const MOST_MIXED: u32 = 2048;

/// The free blocks of one heap that neither a span has nor a thread to itself.
#[derive(Default)]
pub struct Depot {
    /// The threads that have the heap open; none for numbers that no thread has.
    threads: Vec<Option<Thread>>,
    /// The number of the thread that took the span that a unit is in last.
    owners: Vec<u16>,
    /// What threads kept that went when the heap could not be used: it is put back, not given out.
    left_behind: Vec<u32>,
    /// How often there was no room since the memory has grown.
    shortages: u32,
    /// How many blocks were put into mixed units in place of a new span since there was no room.
    mixed: u32,
    /// Bytes of blocks that may be looked at for idle spans; less than 0 when more were.
    tidy_bytes: i64,
    /// The least bytes of blocks that caches kept since idle spans were looked for.
    least_kept: u64,
    /// How far up large blocks may lie without a look at those that wait, as an offset in bytes.
    reach: u32,
    /// How many short blocks lie in the places of long ones.
    pub misplaced: Misplaced,
}

/// What is there of one thread.
struct Thread {
    shelf: Shelf,
    /// What its cache has, some of which it has published.
    rows: Arc<Rows>,
    busy: bool,
}

impl Depot {
    /// Makes a shelf for one more thread, whose cache has `rows`. Returns the thread's number.
    pub fn join(&mut self, rows: Arc<Rows>) -> usize {
        let vacant = self.threads.iter().position(Option::is_none);
        let thread = vacant.unwrap_or(self.threads.len());
        if thread == self.threads.len() {
            self.threads.push(None);
        }
        self.threads[thread] = Some(Thread { shelf: Shelf::new(), rows, busy: false });
        thread
    }

    /// Removes the shelf of a thread that goes. Returns its blocks.
    pub fn leave(&mut self, thread: usize) -> Vec<Vec<u32>> {
        let left = self.threads.get_mut(thread).and_then(Option::take);
        left.map_or_else(Vec::new, |left| left.shelf.into_rows())
    }

    /// Removes the shelf of a thread that goes when the heap cannot be used, and keeps its blocks,
    /// and `others` that it had, until they are put back.
    pub fn leave_behind(&mut self, thread: usize, others: impl Iterator<Item = u32>) {
        let shelf = self.leave(thread);
        self.left_behind.extend(shelf.into_iter().flatten().chain(others));
    }

    /// Takes what threads have left behind.
    pub fn take_left_behind(&mut self) -> Vec<u32> {
        take(&mut self.left_behind)
    }

    /// Notes whether a thread is busy: whether it keeps blocks to itself.
    pub fn set_busy(&mut self, thread: usize, busy: bool) {
        if let Some(Some(thread)) = self.threads.get_mut(thread) {
            thread.busy = busy;
        }
    }

    /// How many threads are busy if thread `thread` is.
    pub fn busy_with(&self, thread: usize) -> usize {
        let others = self.threads.iter().enumerate().filter(|&(other, _)| other != thread);
        1 + others.filter(|(_, other)| other.as_ref().is_some_and(|other| other.busy)).count()
    }

    /// Whether only one thread of the process has the heap open.
    pub fn is_for_one_thread(&self) -> bool {
        self.threads.iter().flatten().count() == 1
    }

    /// Notes that thread `thread` took the block at `pointer` out of its span.
    pub fn set_owner(&mut self, pointer: u32, thread: usize) {
        let unit = (pointer / UNIT) as usize;
        if self.owners.len() <= unit {
            self.owners.resize(unit + 1, 0);
        }
        self.owners[unit] = thread as u16;
    }

    /// Puts blocks of a row down, which thread `thread` had: each on the shelf of its owner, or on the
    /// thread's own if the owner has gone. So are large blocks.
    pub fn put(&mut self, thread: usize, row: usize, blocks: &[AtomicU32]) {
        let blocks = blocks.iter().map(|block| block.load(Relaxed));
        // Most programs have one thread: nobody's blocks need sorting.
        if row >= DENSE_END || self.is_for_one_thread() {
            if let Some(shelf) = self.shelf(thread) {
                shelf.put(row, blocks);
            }
            return;
        }
        let Self { threads, owners, .. } = self;
        for block in blocks {
            let owner = owners.get((block / UNIT) as usize).map_or(thread, |&owner| owner.into());
            let owner = if matches!(threads.get(owner), Some(Some(_))) { owner } else { thread };
            if let Some(Some(owner)) = threads.get_mut(owner) {
                owner.shelf.put(row, once(block));
            }
        }
    }

    /// Fetches the blocks of a class that other threads have published, where they are of spans that
    /// thread `thread` took: a thread that allocates what another frees need not wait until that
    /// one's stack is full.
    pub fn fetch(&mut self, thread: usize, class: usize) {
        for number in (0..self.threads.len()).filter(|&other| other != thread) {
            let Some(Some(other)) = self.threads.get(number) else { continue };
            let newest = other.rows.row(class).newest_published();
            if newest.is_some_and(|block| self.owner_of(block) == Some(thread)) {
                let rows = Arc::clone(&other.rows);
                self.put(number, class, rows.row(class).take_published());
            }
        }
    }

    /// Takes large blocks of a row for thread `thread`: the newest of the first shelf that has any, its
    /// own before the others, `most` at most; else all that the first thread that has any has published.
    pub fn take_large(&mut self, thread: usize, row: usize, most: usize) -> Vec<u32> {
        let others = (0..self.threads.len()).filter(|&other| other != thread);
        for each in once(thread).chain(others) {
            let Some(shelf) = self.shelf(each) else { continue };
            let count = shelf.row(row).len();
            if count > 0 {
                return shelf.take(row, count.saturating_sub(most)..).collect();
            }
        }
        let others = self.threads.iter().enumerate().filter(|&(other, _)| other != thread);
        let mut published = others.filter_map(|(_, other)| other.as_ref()).map(|other| {
            let blocks = other.rows.row(row).take_published();
            blocks.iter().map(|block| block.load(Relaxed)).collect()
        });
        published.find(|blocks: &Vec<u32>| !blocks.is_empty()).unwrap_or_default()
    }

    /// Takes all blocks of a row from the shelf of thread `thread`.
    pub fn take_row(&mut self, thread: usize, row: usize) -> Vec<u32> {
        self.shelf(thread).map_or_else(Vec::new, |shelf| shelf.take(row, ..).collect())
    }

    /// Takes the newest blocks of a class from the shelf of thread `thread`, as many as there are
    /// slots for. Returns how many that were.
    pub fn take(&mut self, thread: usize, class: usize, slots: &[AtomicU32]) -> usize {
        let Some(shelf) = self.shelf(thread) else { return 0 };
        let rest = shelf.row(class).len().saturating_sub(slots.len());
        let taken = shelf.take(class, rest..).zip(slots);
        let count = taken.len();
        taken.for_each(|(block, slot)| slot.store(block, Relaxed));
        count
    }

    /// How many blocks of a row are on the shelf of thread `thread`.
    pub fn count(&self, thread: usize, row: usize) -> usize {
        let thread = self.threads.get(thread).and_then(Option::as_ref);
        thread.map_or(0, |thread| thread.shelf.row(row).len())
    }

    /// Whether there are any.
    pub fn has(&self, thread: usize, row: usize) -> bool {
        self.count(thread, row) > 0
    }

    /// Bytes of the blocks on all shelves.
    pub fn bytes(&self) -> u64 {
        self.threads.iter().flatten().map(|thread| thread.shelf.bytes()).sum()
    }

    /// Notes that the memory has grown to so many bytes, as there was no room.
    pub fn note_growth(&mut self, memory_bytes: u64) {
        let some = TIDY_BYTES.min(TIDY_TIMES * memory_bytes);
        self.tidy_bytes = self.tidy_bytes.max(some as i64);
        self.shortages = 0;
        self.mixed = 0;
    }

    /// How far up large blocks may lie without a look at those that wait, as an offset in bytes.
    pub const fn reach(&self) -> u32 {
        self.reach
    }

    /// Says how far.
    pub const fn set_reach(&mut self, end: u32) {
        self.reach = end;
    }

    /// Notes that there was no room.
    pub const fn note_shortage(&mut self) {
        self.shortages = self.shortages.saturating_add(1);
        self.mixed = 0;
    }

    /// Whether blocks may be put into mixed units in place of a new span.
    pub const fn may_mix(&self) -> bool {
        self.mixed < MOST_MIXED
    }

    /// Notes that one was.
    pub const fn note_mixed(&mut self) {
        self.mixed += 1;
    }

    /// Whether there was no room several times since the memory grew.
    pub const fn is_short(&self) -> bool {
        self.shortages > FEW_SHORTAGES
    }

    /// Whether there was no room so often that a small heap should rather grow.
    pub const fn is_often_short(&self) -> bool {
        self.shortages > MOST_SHORTAGES
    }

    /// Notes that a thread has fetched blocks of so many bytes.
    pub fn note_fetched(&mut self, bytes: u64) {
        let more = bytes * TIDY_THIRDS / 3;
        self.tidy_bytes = (TIDY_BYTES as i64).min(self.tidy_bytes + more as i64);
    }

    /// Whether idle spans may be looked for: the memory has grown lately, or much was fetched since the
    /// last look.
    pub const fn may_be_tidied(&self) -> bool {
        self.tidy_bytes > 0
    }

    /// Whether caches keep `much` bytes more than after the last time, or at any time since: as
    /// many idle spans may there be.
    pub fn is_untidy(&mut self, kept: u64, much: u64) -> bool {
        self.least_kept = self.least_kept.min(kept);
        kept - self.least_kept > much
    }

    /// Notes that idle spans were looked for among `before` bytes, of which caches keep `after`.
    pub const fn note_tidied(&mut self, before: u64, after: u64) {
        self.tidy_bytes -= before as i64;
        self.least_kept = after;
    }

    /// Takes one part in `part` of the blocks, the oldest, and all that threads have left behind; if
    /// that is all of them, those too that caches have published.
    pub fn take_oldest(&mut self, part: usize) -> Vec<Vec<u32>> {
        let mut taken = Vec::new();
        if !self.left_behind.is_empty() {
            taken.push(self.take_left_behind());
        }
        for Thread { shelf, rows, .. } in self.threads.iter_mut().flatten() {
            for row in ROWS {
                let oldest = shelf.row(row).len().div_ceil(part);
                if oldest > 0 {
                    taken.push(shelf.take(row, ..oldest).collect());
                }
            }
            if part == 1 {
                taken.extend(rows.published().map(|row| {
                    let published = rows.row(row).take_published();
                    published.iter().map(|block| block.load(Relaxed)).collect()
                }));
            }
        }
        taken
    }

    /// The blocks on all shelves.
    pub fn blocks(&self) -> impl Iterator<Item = u32> {
        self.threads.iter().flatten().flat_map(|thread| thread.shelf.blocks())
    }

    /// Drops the blocks from all shelves that are not to stay.
    pub fn retain(&mut self, stays: impl Fn(u32) -> bool) {
        for thread in self.threads.iter_mut().flatten() {
            thread.shelf.retain(&stays);
        }
    }

    fn owner_of(&self, block: u32) -> Option<usize> {
        self.owners.get((block / UNIT) as usize).map(|&owner| owner.into())
    }

    fn shelf(&mut self, thread: usize) -> Option<&mut Shelf> {
        self.threads.get_mut(thread).and_then(Option::as_mut).map(|thread| &mut thread.shelf)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::rows::row_bytes;

    const CLASS: usize = 5;

    fn join(depot: &mut Depot) -> usize {
        depot.join(Arc::new(Rows::new().unwrap()))
    }

    fn put(depot: &mut Depot, thread: usize, blocks: &[u32]) {
        let blocks: Vec<_> = blocks.iter().map(|&block| AtomicU32::new(block)).collect();
        depot.put(thread, CLASS, &blocks);
    }

    fn take(depot: &mut Depot, thread: usize, most: usize) -> Vec<u32> {
        let slots: Vec<_> = (0..most).map(|_| AtomicU32::new(0)).collect();
        let taken = depot.take(thread, CLASS, &slots);
        slots[..taken].iter().map(|slot| slot.load(Relaxed)).collect()
    }

    #[test]
    fn a_block_goes_to_the_thread_that_took_its_span() {
        let mut depot = Depot::default();
        let (one, other) = (join(&mut depot), join(&mut depot));
        depot.set_owner(5 * UNIT, one);
        depot.set_owner(9 * UNIT, other);
        let [first, second, third] = [5 * UNIT + 16, 9 * UNIT + 80, 5 * UNIT + 160];
        put(&mut depot, other, &[first, second, third]);
        assert_eq!(take(&mut depot, other, 9), [second]);
        assert_eq!(take(&mut depot, one, 9), [first, third]);
    }

    #[test]
    fn what_other_threads_have_published_is_fetched_if_it_is_of_the_own_spans() {
        let mut depot = Depot::default();
        let rows = [(); 3].map(|()| Arc::new(Rows::new().unwrap()));
        let [one, other, third] = rows.each_ref().map(|rows| depot.join(Arc::clone(rows)));
        depot.set_owner(5 * UNIT, one);
        depot.set_owner(9 * UNIT, other);
        let publish = |thread: usize, blocks: &[u32]| {
            let row = rows[thread].row(CLASS);
            row.fill(0);
            assert_eq!(row.extend(blocks), blocks.len());
        };
        publish(other, &[9 * UNIT, 5 * UNIT, 5 * UNIT + 80]);
        publish(third, &[5 * UNIT + 160, 9 * UNIT + 80]);
        publish(one, &[5 * UNIT + 240]);
        depot.fetch(one, CLASS + 1);
        assert_eq!(depot.bytes(), 0);
        depot.fetch(one, CLASS);
        assert_eq!(take(&mut depot, one, 9), [5 * UNIT, 5 * UNIT + 80]);
        assert_eq!(take(&mut depot, other, 9), [9 * UNIT], "and the others to their owners");
        assert_eq!([other, third].map(|thread| rows[thread].row(CLASS).blocks().len()), [0, 2]);
        assert_eq!(rows[one].row(CLASS).blocks().len(), 1);
    }

    #[test]
    fn large_blocks_come_from_the_own_shelf_then_from_others_then_from_what_is_published() {
        const ROW: usize = DENSE_END + 3;
        let mut depot = Depot::default();
        let rows = [(); 3].map(|()| Arc::new(Rows::new().unwrap()));
        let [one, other, third] = rows.each_ref().map(|rows| depot.join(Arc::clone(rows)));
        let mut put = |thread, blocks: &[u32]| {
            let blocks: Vec<_> = blocks.iter().map(|&block| AtomicU32::new(block)).collect();
            depot.set_owner(UNIT, third);
            depot.put(thread, ROW, &blocks);
        };
        put(one, &[UNIT, 2 * UNIT, 3 * UNIT]);
        put(other, &[4 * UNIT, 5 * UNIT]);
        for (thread, block) in [(one, 6 * UNIT), (other, 7 * UNIT), (third, 8 * UNIT)] {
            assert_eq!(rows[thread].row(ROW).extend(&[block]), 1);
        }
        assert_eq!(depot.take_large(one, ROW, 2), [2 * UNIT, 3 * UNIT]);
        assert_eq!(depot.take_large(one, ROW, 2), [UNIT], "on its own shelf, whoever had the unit");
        assert_eq!(depot.take_large(one, ROW, 9), [4 * UNIT, 5 * UNIT]);
        assert_eq!(depot.take_large(one, ROW, 9), [7 * UNIT]);
        assert_eq!(depot.take_large(one, ROW, 9), [8 * UNIT]);
        assert!(depot.take_large(one, ROW, 9).is_empty(), "its own are no others'");
    }

    #[test]
    fn a_thread_takes_all_blocks_of_a_row_from_its_shelf() {
        let mut depot = Depot::default();
        let (one, other) = (join(&mut depot), join(&mut depot));
        for (row, block) in [(CLASS, 1), (DENSE_END, 2), (ROWS.end - 1, 3)] {
            depot.put(one, row, &[AtomicU32::new(block)]);
            depot.put(other, row, &[AtomicU32::new(10 * block)]);
        }
        assert_eq!([DENSE_END, ROWS.end - 1].map(|row| depot.take_row(one, row)), [[2], [3]]);
        assert!(depot.take_row(one, DENSE_END).is_empty());
        assert!(depot.has(one, CLASS) && depot.has(other, DENSE_END));
    }

    #[test]
    fn the_newest_blocks_leave_first_and_the_oldest_go_back() {
        let mut depot = Depot::default();
        let thread = join(&mut depot);
        put(&mut depot, thread, &[1, 2, 3, 4, 5, 6, 7, 8, 9]);
        assert_eq!(take(&mut depot, thread, 2), [8, 9]);
        assert_eq!(depot.take_oldest(4), [vec![1, 2]]);
        assert_eq!(depot.take_oldest(2), [vec![3, 4, 5]]);
        assert_eq!(depot.take_oldest(1), [vec![6, 7]]);
        assert!(depot.take_oldest(1).is_empty());
    }

    #[test]
    fn a_thread_that_goes_leaves_its_blocks_and_its_number() {
        let mut depot = Depot::default();
        let (one, other) = (join(&mut depot), join(&mut depot));
        depot.set_owner(UNIT, one);
        put(&mut depot, other, &[UNIT]);
        assert_eq!(depot.leave(one).concat(), [UNIT]);
        put(&mut depot, other, &[UNIT]);
        assert_eq!(take(&mut depot, other, 9), [UNIT]);
        assert_eq!((join(&mut depot), join(&mut depot)), (one, other + 1));
    }

    #[test]
    fn what_a_thread_leaves_behind_is_taken_once_and_not_given_out() {
        let mut depot = Depot::default();
        let (one, other) = (join(&mut depot), join(&mut depot));
        for part in [4, 1] {
            depot.set_owner(UNIT, one);
            put(&mut depot, one, &[UNIT]);
            depot.leave_behind(one, [2 * UNIT].into_iter());
            assert!(take(&mut depot, one, 9).is_empty() && take(&mut depot, other, 9).is_empty());
            assert_eq!(depot.take_oldest(part).concat(), [UNIT, 2 * UNIT]);
            assert!(depot.take_left_behind().is_empty());
            assert_eq!(join(&mut depot), one);
        }
    }

    #[test]
    fn it_is_untidy_when_much_more_is_kept_than_before() {
        let mut depot = Depot::default();
        assert!(!depot.is_untidy(1_000, 1_000) && depot.is_untidy(1_001, 1_000));
        depot.note_tidied(1_001, 700);
        assert!(!depot.is_untidy(1_700, 1_000) && depot.is_untidy(1_701, 1_000));
        assert!(
            !depot.is_untidy(300, 1_000) && depot.is_untidy(1_301, 1_000),
            "less was kept since"
        );
    }

    #[test]
    fn two_thirds_of_what_was_fetched_may_be_tidied_and_some_after_a_growth() {
        let used_up = |depot: &mut Depot, bytes: u64| {
            depot.note_tidied(bytes - 1, 0);
            assert!(depot.may_be_tidied(), "{bytes}");
            depot.note_tidied(1, 0);
            assert!(!depot.may_be_tidied(), "{bytes}");
        };
        let mut depot = Depot::default();
        assert!(!depot.may_be_tidied());
        depot.note_fetched(900);
        depot.note_fetched(600);
        used_up(&mut depot, 1_000);
        depot.note_growth(10_000);
        used_up(&mut depot, 160_000);
        for much in [1 << 40, u64::MAX / TIDY_TIMES] {
            depot.note_growth(much);
            depot.note_fetched(1 << 40);
            depot.note_growth(10_000);
            used_up(&mut depot, TIDY_BYTES);
        }
        depot.note_fetched(300_000);
        depot.note_growth(10_000);
        used_up(&mut depot, 200_000);
        depot.note_fetched(3);
        depot.note_tidied(1_000, 0);
        depot.note_fetched(1_497);
        assert!(!depot.may_be_tidied(), "more was looked at than might be");
        depot.note_fetched(3);
        used_up(&mut depot, 2);
    }

    #[test]
    fn room_is_short_and_then_often_after_so_many_times_without_growth() {
        let mut depot = Depot::default();
        for _ in 0..2 {
            for times in 1..=2 * MOST_SHORTAGES {
                depot.note_shortage();
                assert_eq!(depot.is_short(), times > FEW_SHORTAGES);
                assert_eq!(depot.is_often_short(), times > MOST_SHORTAGES);
            }
            depot.note_growth(1);
            assert!(!depot.is_short() && !depot.is_often_short());
        }
    }

    #[test]
    fn so_many_blocks_may_be_mixed_until_there_is_no_room_or_more() {
        let mut depot = Depot::default();
        let again: [fn(&mut Depot); 2] = [Depot::note_shortage, |depot| depot.note_growth(1)];
        for again in again {
            for _ in 0..MOST_MIXED {
                assert!(depot.may_mix());
                depot.note_mixed();
            }
            assert!(!depot.may_mix());
            again(&mut depot);
            assert!(depot.may_mix());
        }
    }

    #[test]
    fn what_is_not_to_stay_leaves_all_shelves() {
        let mut depot = Depot::default();
        let (one, other) = (join(&mut depot), join(&mut depot));
        depot.set_owner(5 * UNIT, one);
        depot.set_owner(9 * UNIT, other);
        put(&mut depot, one, &[5 * UNIT + 16, 5 * UNIT + 80, 9 * UNIT + 80, 9 * UNIT + 160]);
        depot.retain(|block| block % UNIT != 80);
        assert!(depot.blocks().eq([5 * UNIT + 16, 9 * UNIT + 160]));
    }

    #[test]
    fn bytes_are_those_of_all_shelves() {
        let mut depot = Depot::default();
        let (one, other) = (join(&mut depot), join(&mut depot));
        depot.set_owner(5 * UNIT, one);
        depot.set_owner(9 * UNIT, other);
        put(&mut depot, one, &[5 * UNIT + 16, 9 * UNIT + 80, 9 * UNIT + 160]);
        assert_eq!(depot.bytes(), 3 * u64::from(row_bytes(CLASS)));
        assert!(depot.has(one, CLASS) && depot.has(other, CLASS) && !depot.has(one, CLASS + 1));
        take(&mut depot, one, 9);
        assert!(!depot.has(one, CLASS) && depot.has(other, CLASS));
    }
}
