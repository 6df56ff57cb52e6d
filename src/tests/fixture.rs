//! What tests make heaps of, and the numbers that they are random by.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use crate::heap::{Bounds, Heap, PAGE, UndoLog, Words};

/// Words of a page.
pub const WORDS_PER_PAGE: usize = PAGE as usize / 4;

/// A memory of `count` pages, all zero.
pub fn pages(count: u32) -> Vec<AtomicU32> {
    (0..count as usize * WORDS_PER_PAGE).map(|_| AtomicU32::new(0)).collect()
}

/// The first pages of a memory: what a thread sees of it that has not seen the others.
pub fn seen(words: &[AtomicU32], pages: u32) -> Words<'_> {
    Words::new(&words[..pages as usize * WORDS_PER_PAGE])
}

/// A heap that has these pages of a memory, of which nobody sees more yet.
pub fn heap_in(words: &[AtomicU32], bounds: Bounds) -> Heap<'_> {
    Heap::format(seen(words, bounds.end_page), bounds).expect("room for a heap")
}

/// All of a memory that has `end_page` pages and may grow to `maximum`.
pub const fn whole(end_page: u32, maximum: u32) -> Bounds {
    Bounds { start: Heap::WHOLE_MEMORY_START, end_page, maximum, owns_all: true }
}

/// A heap that has all of a memory, which may grow to `maximum` pages.
pub fn whole_heap(words: &[AtomicU32], maximum: u32) -> Heap<'_> {
    heap_in(words, whole((words.len() / WORDS_PER_PAGE) as u32, maximum))
}

/// What the words of a memory hold.
pub fn copy_of(words: &[AtomicU32]) -> Vec<u32> {
    words.iter().map(|word| word.load(Relaxed)).collect()
}

/// Gives the words of a memory back what they held.
pub fn restore(words: &[AtomicU32], copy: &[u32]) {
    words.iter().zip(copy).for_each(|(word, &held)| word.store(held, Relaxed));
}

/// splitmix64: the same numbers from the same seed.
#[derive(Clone, Debug)]
pub struct Random(pub u64);

impl Random {
    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let bits = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// A number below `limit`.
    pub fn below(&mut self, limit: u32) -> u32 {
        (self.bits() % u64::from(limit)) as u32
    }

    /// True once in `chances` times.
    pub fn one_in(&mut self, chances: u32) -> bool {
        self.below(chances) == 0
    }
}

/// A log without an entry.
pub fn boxed_log() -> Box<UndoLog> {
    let words = vec![0_u64; size_of::<UndoLog>() / 8].into_boxed_slice();
    // SAFETY: the box is taken apart and put together as one of the same size and alignment: a log
    // is nothing but words, for which any bits will do.
    unsafe { Box::from_raw(Box::into_raw(words).cast()) }
}
