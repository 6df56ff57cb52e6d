//! The words of a thread's cache: for each size class a stack of free blocks, whose upper part is
//! the thread's own and whose lower part, the older blocks, any thread may take.
//!
//! JavaScript pops and pushes the upper part without a lock and without atomics. It moves the
//! border by one atomic operation on a word that holds both ends of the lower part, and whoever has
//! the heap's lock takes the lower part by one. So what a thread has to itself is little, though
//! what it has is not.
//!
//! ```text
//! heads        one for each size class, 8 words; see OWN to MOST. Class 0 is none: in its head are figures
//!              of the whole cache, OVER_IDLE to LONG_KEPT
//! sizes        one word for each multiple of 16 bytes: the index of the head of the class that serves it
//! large heads  of large blocks, which have one state: eight lengths for each doubling
//! stacks       of pointers, one for each row: of a class that is kept, or of large blocks of similar length
//! ```

use std::alloc::{Layout, alloc_zeroed};
use std::iter::from_fn;
use std::ops::Range;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

use crate::fault::{Fault, Result};
use crate::heap::{CLASSES, DENSE_END, GRAIN, HEADER, UNIT, class_for};

/// Words of a head.
pub const HEAD_WORDS: usize = 8;
/// Heads of classes: one for each state that is not negative.
const HEADS: usize = 128;
/// Index of the first word of the sizes.
pub const SIZES: usize = HEADS * HEAD_WORDS;
/// Bytes, header included, of the largest block that is kept.
pub const LARGEST: u32 = CLASSES[DENSE_END - 1].stride;
/// Index of the first stack, behind the last head.
pub const STACKS: usize = LARGE_HEADS + LARGE_ROWS * HEAD_WORDS;
/// Index of the head of the first large blocks, those of at least [`FIRST_LARGE_UNITS`] units.
pub const LARGE_HEADS: usize =
    (SIZES + (LARGEST / GRAIN) as usize + 1).next_multiple_of(HEAD_WORDS);
/// Units of the shortest large blocks that are kept.
pub const FIRST_LARGE_UNITS: u32 = 32;
/// Doublings from there to the longest.
const LARGE_DOUBLINGS: usize = 10;
/// Units of the longest large blocks that are kept: those of the last row.
pub const MOST_LARGE_UNITS: u32 = (FIRST_LARGE_UNITS << LARGE_DOUBLINGS) / 8 * 9 - 1;
/// Rows of large blocks.
const LARGE_ROWS: usize = LARGE_DOUBLINGS * 8 + 1;
/// The numbers of all rows: the classes that are kept have their own, the large blocks those behind.
pub const ROWS: Range<usize> = 1..DENSE_END + LARGE_ROWS;
// The heads of states that are no class stay zero: with a stride of 0 no block matches its header.
const _: () = assert!(CLASSES.len() <= HEADS);
/// Strides up to this many bytes have deeper stacks than those up to [`DEEP_STRIDE`], and those than
/// others: there may be many blocks of them.
const DEEPEST_STRIDE: u32 = 128;
const DEEPEST: usize = 2048;
const DEEP_STRIDE: u32 = 512;
const DEEP: usize = 1024;
const SHALLOW: usize = 288;
/// So have large blocks up to this many bytes than longer ones.
const LARGE_STRIDE: u32 = 1024 * 1024;
const LARGE_DEPTH: usize = 48;
const LARGEST_DEPTH: usize = 8;
/// Words between stacks, so that their bottoms do not compete for the same lines of the processor's
/// cache.
const GAP: usize = 16;
/// Words in all.
pub const WORDS: usize = STARTS[ROWS.end];
// Two places fit in one word, and so do a place and a stride.
const _: () = assert!(WORDS <= 1 << 16 && LARGEST < 1 << 16);

/// In the head of a class, what is the thread's own: the word behind the newest block, and, 16 bits
/// up, the oldest block, which is the floor.
pub const OWN: usize = 0;
/// The bytes from block to block, but for large blocks [`TAKEN`] or 0; and, 16 bits up, where the thread's
/// own part has to be cut short to take another block: of no use where it has none of [`COMMON`] blocks.
pub const LIMITS: usize = 1;
/// A large block of the row has been taken: a bit for each of those who look, to clear it.
pub const TAKEN: u32 = SINCE_PUT | SINCE_FARTHER;
/// Since blocks that are long for the heap were put back last.
pub const SINCE_PUT: u32 = 1;
/// Since a large block lay farther up than any before.
pub const SINCE_FARTHER: u32 = 2;
/// The most bytes that a block has.
pub const LONGEST: usize = 2;
/// The part that is everyone's: its bottom, and, 16 bits up, its end, which is the floor.
pub const PUBLISHED: usize = 3;
/// The words that the thread's own part has room for; 0 when the class is not kept at present.
pub const WIDTH: usize = 4;
/// The word behind the stack.
pub const END: usize = 5;
/// Which way JavaScript has moved the floor last, in the two lowest bits; and [`LONG`] or [`COMMON`].
pub const MOVED: usize = 6;
/// The words that it may have room for.
pub const MOST: usize = 7;
/// Blocks of this row are long for the heap: the thread has as many to itself as there are bytes to
/// spare for.
pub const LONG: u32 = 4;
/// They are, and there may be more of them that are everyone's.
pub const COMMON: u32 = 8;

/// In the head of class 0: whether the cache is larger than that of an idle thread may be.
pub const OVER_IDLE: usize = 0;
/// Bytes that the own parts of classes may still be widened by.
pub const SPARE: usize = 1;
/// It is when less is to spare than this signed number.
pub const OVER_IDLE_BELOW: usize = 2;
/// Whether the heap was short of room often since it has grown last: blocks of longer classes are
/// taken before others are fetched. 0 when it was not, else 1 or [`FULL`].
pub const SHORT: usize = 3;
/// It was, and the memory cannot grow: no large blocks are taken that are much longer than need be.
pub const FULL: u32 = 2;
/// Bytes that the own parts of large blocks may still be widened by.
pub const LARGE_SPARE: usize = 4;
/// How often an own part could not be widened since the last time that all were narrowed.
pub const REFUSALS: usize = 5;
/// Bytes of blocks that are long for the heap that the thread may still have to itself until it next
/// asks the heap for room.
pub const LONG_SPARE: usize = 6;
/// Which rows may have some of them: see [`long_bit`].
pub const LONG_KEPT: usize = 7;

/// The words of one thread's cache.
pub struct Rows {
    words: Box<[AtomicU32]>,
}

/// The stack of one class. But for [`Row::take_published`], only the thread whose cache it is works
/// on it, or whoever closes that thread's heap, under the heap's lock.
#[derive(Clone, Copy)]
pub struct Row<'r> {
    head: &'r [AtomicU32],
    words: &'r [AtomicU32],
    start: usize,
    end: usize,
}

/// Where the stack of each row begins, and where the last one ends.
const STARTS: [usize; ROWS.end + 1] = {
    let mut starts = [STACKS; ROWS.end + 1];
    let mut row = ROWS.start;
    while row < ROWS.end {
        starts[row + 1] = starts[row] + depth(row) + GAP;
        row += 1;
    }
    starts
};

/// The figure that has the bytes to spare for a row.
pub const fn spare_of(row: usize) -> usize {
    if row < DENSE_END { SPARE } else { LARGE_SPARE }
}

/// The bit of [`LONG_KEPT`] that a row has, together with some others.
pub const fn long_bit(row: usize) -> u32 {
    1 << (head_index(row) / HEAD_WORDS % u32::BITS as usize)
}

/// The rows that have one of these bits.
pub fn rows_with_bits(bits: u32) -> impl Iterator<Item = usize> {
    const BITS: usize = u32::BITS as usize;
    places(bits.into()).flat_map(|bit| {
        let first_large = DENSE_END + bit.wrapping_sub(LARGE_HEADS / HEAD_WORDS) % BITS;
        let classes = (bit..DENSE_END).step_by(BITS).skip_while(|&class| class == 0);
        classes.chain((first_large..ROWS.end).step_by(BITS))
    })
}

// Which bits are set.
fn places(mut bits: u128) -> impl Iterator<Item = usize> {
    from_fn(move || {
        let place = bits.trailing_zeros();
        bits &= bits.wrapping_sub(1);
        (place < u128::BITS).then_some(place as usize)
    })
}

/// The row of large blocks of so many units, if they are kept.
pub const fn large_row(units: u32) -> Option<usize> {
    if units < FIRST_LARGE_UNITS || units > MOST_LARGE_UNITS {
        return None;
    }
    let doublings = units.ilog2() - FIRST_LARGE_UNITS.ilog2();
    let eighths = (units >> doublings) * 8 / FIRST_LARGE_UNITS - 8;
    Some(DENSE_END + (doublings * 8 + eighths) as usize)
}

/// The bytes of the longest block of a row; of a large one more than it has.
pub const fn row_bytes(row: usize) -> u32 {
    if row < DENSE_END {
        return CLASSES[row].stride;
    }
    let (doublings, eighths) = ((row - DENSE_END) / 8, (row - DENSE_END) as u32 % 8);
    (FIRST_LARGE_UNITS / 8 * (9 + eighths) * UNIT) << doublings
}

/// How many blocks the stack of a row has room for.
pub const fn depth(row: usize) -> usize {
    if row >= DENSE_END {
        if row_bytes(row) <= LARGE_STRIDE { LARGE_DEPTH } else { LARGEST_DEPTH }
    } else if CLASSES[row].stride <= DEEPEST_STRIDE {
        DEEPEST
    } else if CLASSES[row].stride <= DEEP_STRIDE {
        DEEP
    } else {
        SHALLOW
    }
}

/// How many of them a thread may have to itself: half, so that what it does not use reaches the others.
pub const fn most_width(row: usize) -> u32 {
    depth(row) as u32 / 2
}

const fn head_index(row: usize) -> usize {
    if row < DENSE_END { row * HEAD_WORDS } else { LARGE_HEADS + (row - DENSE_END) * HEAD_WORDS }
}

impl Rows {
    /// Empty stacks.
    ///
    /// # Errors
    /// [`Fault::OutOfMemory`].
    pub fn new() -> Result<Self> {
        // SAFETY: the layout is not of size 0.
        let words = unsafe { alloc_zeroed(Layout::new::<[AtomicU32; WORDS]>()) };
        if words.is_null() {
            return Err(Fault::OutOfMemory);
        }
        // SAFETY: the allocator that boxes have made it, with the layout of the array, and all zeros
        // are one. (Zeroed this way, untouched words cost nothing.)
        let rows = Self { words: unsafe { Box::from_raw(words.cast::<[AtomicU32; WORDS]>()) } };
        for (class, geometry) in CLASSES.iter().enumerate().skip(1) {
            let head = class * HEAD_WORDS;
            rows.words[head + LIMITS].store(geometry.stride, Relaxed);
        }
        for index in ROWS {
            let row = rows.row(index);
            row.head[LONGEST].store(row_bytes(index), Relaxed);
            row.head[END].store(row.end as u32, Relaxed);
            row.head[MOST].store(most_width(index), Relaxed);
            row.settle(row.start, row.start);
        }
        for bytes in (GRAIN..=LARGEST).step_by(GRAIN as usize) {
            let class = class_for(bytes - HEADER, GRAIN).unwrap_or_default();
            let index = SIZES + (bytes / GRAIN) as usize;
            rows.words[index].store(head_index(class) as u32, Relaxed);
        }
        Ok(rows)
    }

    /// The words that JavaScript works on.
    pub const fn words(&self) -> &[AtomicU32] {
        &self.words
    }

    /// A stack.
    pub fn row(&self, row: usize) -> Row<'_> {
        let start = STARTS[row];
        let head = &self.words[head_index(row)..][..HEAD_WORDS];
        Row { head, words: &self.words, start, end: start + depth(row) }
    }

    /// The rows that have blocks. Most have none, and this is asked for often.
    pub fn kept(&self) -> impl Iterator<Item = usize> {
        self.rows_where(|head| low(head[OWN].load(Relaxed)) != low(head[PUBLISHED].load(Relaxed)))
    }

    /// The rows of which others may take blocks.
    pub fn published(&self) -> impl Iterator<Item = usize> {
        self.rows_where(|head| {
            let (bottom, end) = ends(head[PUBLISHED].load(Relaxed));
            bottom != end
        })
    }

    fn rows_where(&self, test: impl Fn(&[AtomicU32]) -> bool) -> impl Iterator<Item = usize> {
        ROWS.filter(move |&row| test(&self.words[head_index(row)..][..HEAD_WORDS]))
    }

    /// Bytes of the blocks of those classes whose bits are set. A sum that is cheap, as it is asked for
    /// often.
    pub fn class_bytes(&self, classes: u128) -> u64 {
        let blocks = |class| {
            let head = &self.words[class * HEAD_WORDS..][..HEAD_WORDS];
            let [top, bottom] = [OWN, PUBLISHED].map(|word| low(head[word].load(Relaxed)));
            top.saturating_sub(bottom) as u64
        };
        places(classes).map(|class| blocks(class) * u64::from(CLASSES[class].stride)).sum()
    }

    /// The row whose head is at index `head`, if there is one.
    pub fn row_at(head: usize) -> Option<usize> {
        let row = match head.checked_sub(LARGE_HEADS) {
            Some(large) => DENSE_END + large / HEAD_WORDS,
            None => head / HEAD_WORDS,
        };
        (ROWS.contains(&row) && head_index(row) == head).then_some(row)
    }

    /// A word of the head of class 0.
    pub fn figure(&self, figure: usize) -> u32 {
        self.words[figure].load(Relaxed)
    }

    /// Sets a word of the head of class 0.
    pub fn set_figure(&self, figure: usize, value: u32) {
        self.words[figure].store(value, Relaxed);
    }
}

impl<'r> Row<'r> {
    /// All words of the stack.
    pub fn slots(&self) -> &'r [AtomicU32] {
        &self.words[self.start..self.end]
    }

    /// The blocks, the oldest first.
    pub fn blocks(&self) -> &'r [AtomicU32] {
        let bottom = self.bottom();
        &self.words[bottom..self.top().max(bottom)]
    }

    /// How many of the blocks are the thread's own.
    #[cfg(test)]
    pub fn own(&self) -> usize {
        self.top() - ends(self.head[PUBLISHED].load(Acquire)).1
    }

    /// Whether no further block fits in.
    pub fn is_full(&self) -> bool {
        self.top() == self.end
    }

    /// Notes that the first `count` slots are the blocks now.
    pub fn fill(&self, count: usize) {
        self.settle(self.start, self.start + count);
    }

    /// Drops the `count` oldest blocks.
    pub fn drop_oldest(&self, count: usize) {
        let blocks = self.blocks();
        let rest = blocks.len().saturating_sub(count);
        for (slot, kept) in self.slots().iter().zip(&blocks[blocks.len() - rest..]) {
            slot.store(kept.load(Relaxed), Relaxed);
        }
        self.fill(rest);
    }

    /// Drops the blocks that are not to stay.
    pub fn retain(&self, stays: impl Fn(u32) -> bool) {
        let (blocks, bottom, mut rest) = (self.blocks(), self.bottom(), 0);
        for block in blocks.iter().map(|block| block.load(Relaxed)).filter(|&block| stays(block)) {
            blocks[rest].store(block, Relaxed);
            rest += 1;
        }
        if rest < blocks.len() {
            self.settle(bottom, bottom + rest);
        }
    }

    /// Notes that no large block of this row has been taken since then. Returns whether one had been.
    pub fn clear_taken(&self, since: u32) -> bool {
        let limits = self.head[LIMITS].load(Relaxed);
        self.head[LIMITS].store(limits & !since, Relaxed);
        limits & since != 0
    }

    /// Notes that one has been taken.
    pub fn set_taken(&self) {
        let limits = self.head[LIMITS].load(Relaxed);
        self.head[LIMITS].store(limits | TAKEN, Relaxed);
    }

    /// How many words the thread's own part has room for.
    pub fn width(&self) -> u32 {
        self.head[WIDTH].load(Relaxed)
    }

    /// Gives the thread's own part another width, half of it for the newest blocks that there are.
    pub fn set_width(&self, width: u32) {
        self.head[WIDTH].store(width, Relaxed);
        let blocks = self.blocks();
        let bottom = self.bottom();
        self.settle(bottom, bottom + blocks.len());
    }

    /// Whether its blocks are long for the heap: [`LONG`] or [`COMMON`], else 0.
    pub fn length(&self) -> u32 {
        self.head[MOVED].load(Relaxed) & (LONG | COMMON)
    }

    /// Notes whether they are. The thread has none to itself then.
    pub fn set_length(&self, length: u32) {
        self.head[MOVED].store(length, Relaxed);
        self.set_width(0);
    }

    /// Takes the part that is everyone's. The slots are the taker's for as long as it has the
    /// heap's lock.
    pub fn take_published(&self) -> &'r [AtomicU32] {
        let published = &self.head[PUBLISHED];
        // Acquire: JavaScript moves the floor, by an atomic, after its writes of the blocks.
        let taken =
            published.fetch_update(AcqRel, Acquire, |word| Some(word >> 16 | word & !0xffff));
        let (bottom, end) = ends(taken.unwrap_or_default());
        self.words
            .get(bottom..end)
            .filter(|_| self.start <= bottom && end <= self.end)
            .unwrap_or(&[])
    }

    /// The newest block of the part that is everyone's.
    pub fn newest_published(&self) -> Option<u32> {
        let (bottom, end) = ends(self.head[PUBLISHED].load(Acquire));
        (self.start <= bottom && bottom < end && end <= self.end)
            .then(|| self.words[end - 1].load(Relaxed))
    }

    /// Adds blocks, the last of them as the newest one, as many as there is room for. Returns how many.
    pub fn extend(&self, blocks: &[u32]) -> usize {
        if blocks.len() > self.end - self.top() {
            // What others took has left room below.
            self.drop_oldest(0);
        }
        let (bottom, top) = (self.bottom(), self.top());
        let slots = self.words[top..self.end].iter().zip(blocks);
        let count = slots.len();
        slots.for_each(|(slot, &block)| slot.store(block, Relaxed));
        self.settle(bottom, top + count);
        count
    }

    fn bottom(&self) -> usize {
        ends(self.head[PUBLISHED].load(Acquire)).0.clamp(self.start, self.end)
    }

    fn top(&self) -> usize {
        low(self.head[OWN].load(Relaxed)).clamp(self.start, self.end)
    }

    fn settle(&self, bottom: usize, top: usize) {
        let width = self.width() as usize;
        let floor = bottom.max(top - width.div_ceil(2).min(top));
        self.head[OWN].store((floor << 16 | top) as u32, Relaxed);
        let (ceiling, stride) = (self.end.min(floor + width), low(self.head[LIMITS].load(Relaxed)));
        self.head[LIMITS].store((ceiling << 16 | stride) as u32, Relaxed);
        self.head[PUBLISHED].store((floor << 16 | bottom) as u32, Release);
    }
}

const fn ends(published: u32) -> (usize, usize) {
    (low(published), published as usize >> 16)
}

const fn low(word: u32) -> usize {
    word as usize & 0xffff
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn rows_of_large_blocks_follow_each_other_by_eighths_of_a_doubling() {
        let least = |row: usize| {
            let (doublings, eighth) = ((row - DENSE_END) / 8, (row - DENSE_END) as u32 % 8);
            (FIRST_LARGE_UNITS << doublings) + ((eighth * FIRST_LARGE_UNITS / 8) << doublings)
        };
        for row in DENSE_END..ROWS.end {
            assert_eq!(row_bytes(row), least(row + 1) * UNIT, "row {row}");
            assert!((least(row)..least(row + 1)).all(|units| large_row(units) == Some(row)));
        }
        assert_eq!(row_bytes(ROWS.end - 1), (MOST_LARGE_UNITS + 1) * UNIT);
        assert_eq!(row_bytes(DENSE_END - 1), CLASSES[DENSE_END - 1].stride);
        for units in [0, 1, FIRST_LARGE_UNITS - 1, MOST_LARGE_UNITS + 1, u32::MAX] {
            assert_eq!(large_row(units), None);
        }
    }

    #[test]
    fn each_row_has_one_bit() {
        let rows = |bits: u32| rows_with_bits(bits).collect::<HashSet<_>>();
        for bits in [0, 1, 0x8000_0001, 0x0f0f_0f0f, u32::MAX] {
            assert_eq!(rows(bits), ROWS.filter(|&row| bits & long_bit(row) != 0).collect());
        }
        assert_eq!(rows(u32::MAX), ROWS.collect());
    }

    #[test]
    fn each_row_has_a_head_and_no_other_word_is_one() {
        let heads = (0..2 * STACKS).filter_map(Rows::row_at);
        assert!(heads.eq(ROWS));
        assert!([usize::MAX, usize::MAX / 2].map(Rows::row_at).iter().all(Option::is_none));
    }

    #[test]
    fn what_stays_in_a_row_keeps_its_order_and_the_row_its_parts() {
        let rows = Rows::new().unwrap();
        let row = rows.row(3);
        let blocks = || row.blocks().iter().map(|block| block.load(Relaxed));
        for taken in [false, true] {
            row.set_width(8);
            (0..20).for_each(|block| row.slots()[block].store(block as u32, Relaxed));
            row.fill(20);
            if taken {
                row.take_published();
            }
            let first = if taken { 16 } else { 0 };
            let head: Vec<_> = row.head.iter().map(|word| word.load(Relaxed)).collect();
            row.retain(|_| true);
            assert!(row.head.iter().map(|word| word.load(Relaxed)).eq(head));
            assert!(blocks().eq(first..20));
            row.retain(|block| block != 17 && block % 5 != 0);
            assert!(blocks().eq((first..20).filter(|block| *block != 17 && block % 5 != 0)));
            assert!(row.own() > 0 && row.own() <= 4);
        }
    }

    #[test]
    fn blocks_are_added_as_the_newest_until_the_stack_is_full() {
        let rows = Rows::new().unwrap();
        let row = rows.row(DENSE_END);
        row.set_width(4);
        let many: Vec<u32> = (1..=100).collect();
        let added = row.extend(&many[..3]) + row.extend(&many[3..]);
        assert_eq!((added, row.extend(&many)), (depth(DENSE_END), 0));
        assert!(row.blocks().iter().map(|block| block.load(Relaxed)).eq(1..=added as u32));
        assert!(row.is_full() && row.own() <= 4);
        assert_eq!(row.newest_published(), Some((added - row.own()) as u32));
        let taken = row.take_published().len();
        assert_eq!(row.newest_published(), None);
        assert_eq!(row.extend(&many), taken);
        assert_eq!(row.blocks()[0].load(Relaxed), taken as u32 + 1);
    }

    #[test]
    fn a_published_part_that_is_not_of_the_row_is_none() {
        let rows = Rows::new().unwrap();
        let row = rows.row(3);
        for (bottom, end, found) in [
            (row.start, row.start + 2, 2),
            (row.start - 1, row.start + 2, 0),
            (row.end - 1, row.end + 1, 0),
            (row.start + 2, row.start, 0),
        ] {
            row.head[PUBLISHED].store((end << 16 | bottom) as u32, Relaxed);
            assert_eq!(row.newest_published().is_some(), found > 0);
            assert_eq!(row.take_published().len(), found);
            assert_eq!(row.bottom(), end.clamp(row.start, row.end));
        }
    }
}
