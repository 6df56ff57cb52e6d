//! The words of a thread's cache: for each size class a stack of free blocks, whose upper part is the
//! thread's own and whose lower part, the older blocks, any thread may take.
//!
//! JavaScript pops and pushes the upper part without a lock and without atomics. It moves the border
//! by one compare-exchange of a word that holds both ends of the lower part, and whoever has the
//! heap's lock takes the lower part by one. So what a thread has to itself is little, though what it
//! has is not.
//!
//! ```text
//! heads    one for each state of a live block, 8 words; see TOP to WIDTH. State 0 is none: its words say
//!          whether the cache is large, how many bytes the windows may still grow by, and below how
//!          many it is large
//! sizes    one word for each multiple of 16 bytes: the index of the head of the class that serves it
//! stacks   of pointers, one for each class that is kept
//! ```

use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

use crate::heap::{CLASSES, DENSE_COUNT, GRAIN, HEADER, class_for};
use crate::process::live_blocks::FIRST_CLASS;

/// Words of a head.
pub const HEAD_WORDS: usize = 8;
/// States that are not negative.
const STATES: usize = 128;
/// Index of the first word of the sizes.
pub const SIZES: usize = STATES * HEAD_WORDS;
/// Bytes, header included, of the largest block that is kept.
pub const LARGEST: u32 = CLASSES[DENSE_COUNT - 1].stride;
const STACKS: usize = SIZES + (LARGEST / GRAIN) as usize + 1;
/// Strides up to this many bytes have deep stacks: there may be many blocks of them.
const DEEP_STRIDE: u32 = 512;
const DEEP: usize = 1024;
const SHALLOW: usize = 512;
/// Words between stacks, so that their bottoms do not compete for the same lines of the processor's cache.
const GAP: usize = 16;
/// Words in all.
pub const WORDS: usize = STARTS[DENSE_COUNT];
// The two ends of a lower part fit in one word.
const _: () = assert!(WORDS <= 1 << 16);

/// In the head of a class: the word behind the newest block.
pub const TOP: usize = 0;
/// The oldest block that is the thread's own.
pub const FLOOR: usize = 1;
/// Where the thread's own part has to be cut short to take another block.
pub const CEILING: usize = 2;
/// Bytes from block to block.
pub const STRIDE: usize = 3;
/// The part that is everyone's: its bottom, and, 16 bits up, its end, which is the floor.
pub const PUBLISHED: usize = 4;
/// The words that the thread's own part has room for; 0 when the class is not kept at present.
pub const WIDTH: usize = 5;
/// The word behind the stack.
pub const END: usize = 6;

/// In the head of state 0: whether the cache is larger than that of an idle thread may be.
pub const LARGE: usize = 0;
/// Bytes that the own parts may still be widened by.
pub const SPARE: usize = 1;
/// The cache is large when less is spare.
pub const LARGE_BELOW: usize = 2;
/// Bytes that the own parts together may have, those to spare included.
pub const BUDGET: usize = 3;

/// The words of one thread's cache.
pub struct Rows {
    words: Box<[AtomicU32]>,
}

/// The stack of one class. But for [`Row::take_published`], only the thread whose cache it is works on
/// it, or whoever closes that thread's heap, under the heap's lock.
#[derive(Clone, Copy)]
pub struct Row<'r> {
    head: &'r [AtomicU32],
    words: &'r [AtomicU32],
    start: usize,
    end: usize,
}

/// Where the stack of each class begins, and where the last one ends.
const STARTS: [usize; DENSE_COUNT + 1] = {
    let mut starts = [STACKS; DENSE_COUNT + 1];
    let mut class = 0;
    while class < DENSE_COUNT {
        starts[class + 1] = starts[class] + depth(class) + GAP;
        class += 1;
    }
    starts
};

const fn depth(class: usize) -> usize {
    if CLASSES[class].stride <= DEEP_STRIDE { DEEP } else { SHALLOW }
}

const fn head_index(class: usize) -> usize {
    (class + FIRST_CLASS as usize) * HEAD_WORDS
}

impl Rows {
    /// Empty stacks.
    pub fn new() -> Self {
        let words = Box::into_raw(vec![0_u32; WORDS].into_boxed_slice());
        // SAFETY: the box is taken apart and put together as one of the same size; `AtomicU32` has the
        // size, the alignment and the bit patterns of `u32`. (Zeroed this way, untouched words cost nothing.)
        let words = unsafe { Box::from_raw(words as *mut [AtomicU32]) };
        let rows = Self { words };
        for (class, geometry) in CLASSES.iter().enumerate() {
            rows.words[head_index(class) + STRIDE].store(geometry.stride, Relaxed);
        }
        for class in 0..DENSE_COUNT {
            let row = rows.row(class);
            row.head[END].store(row.end as u32, Relaxed);
            row.settle(row.start, row.start);
        }
        for bytes in (GRAIN..=LARGEST).step_by(GRAIN as usize) {
            let class = class_for(bytes - HEADER, GRAIN).unwrap_or_default();
            let index = SIZES + (bytes / GRAIN) as usize;
            rows.words[index].store(head_index(class) as u32, Relaxed);
        }
        rows
    }

    /// The words that JavaScript works on.
    pub const fn words(&self) -> &[AtomicU32] {
        &self.words
    }

    /// The stack of a class that is kept.
    pub fn row(&self, class: usize) -> Row<'_> {
        let start = STARTS[class];
        let head = &self.words[head_index(class)..][..HEAD_WORDS];
        Row { head, words: &self.words, start, end: start + depth(class) }
    }

    /// The stack of a class, if it is one that is kept.
    pub fn row_of(&self, class: usize) -> Option<Row<'_>> {
        (class < DENSE_COUNT).then(|| self.row(class))
    }

    /// A word of the head of state 0.
    pub fn figure(&self, figure: usize) -> u32 {
        self.words[figure].load(Relaxed)
    }

    /// Sets a word of the head of state 0.
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

    /// Takes the part that is everyone's. The slots are the taker's for as long as it has the heap's lock.
    pub fn take_published(&self) -> &'r [AtomicU32] {
        let published = &self.head[PUBLISHED];
        // Acquire: JavaScript's compare-exchange comes after its writes of the blocks.
        let taken =
            published.fetch_update(AcqRel, Acquire, |word| Some(word >> 16 | word & !0xffff));
        let (bottom, end) = ends(taken.unwrap_or_default());
        self.words
            .get(bottom..end)
            .filter(|_| self.start <= bottom && end <= self.end)
            .unwrap_or(&[])
    }

    fn bottom(&self) -> usize {
        ends(self.head[PUBLISHED].load(Acquire)).0.clamp(self.start, self.end)
    }

    fn top(&self) -> usize {
        (self.head[TOP].load(Relaxed) as usize).clamp(self.start, self.end)
    }

    fn settle(&self, bottom: usize, top: usize) {
        let width = self.width() as usize;
        let floor = bottom.max(top - width.div_ceil(2).min(top));
        let ceiling = self.end.min(floor + width);
        self.head[TOP].store(top as u32, Relaxed);
        self.head[FLOOR].store(floor as u32, Relaxed);
        self.head[CEILING].store(ceiling as u32, Relaxed);
        self.head[PUBLISHED].store((floor << 16 | bottom) as u32, Release);
    }
}

const fn ends(published: u32) -> (usize, usize) {
    (published as usize & 0xffff, published as usize >> 16)
}
