//! Where everything lies in a file with the heap of several processes. What only native code uses
//! comes first, so that JavaScript reaches nothing of it but the states of the blocks.
//!
//! ```text
//! [header | lock | slots ... | undo log ... | names ... | tokens ... | states of blocks ... | heap ... ]
//! 0                          LOG            NAMES        TOKENS       STATES                 Layout::heap()
//! ```

use std::ops::Range;

use super::names::NAME_BYTES;
use super::tokens;
use crate::heap::{GRAIN, PAGE, UndoLog};

/// What the parts begin at multiples of: pages of any system divide it.
const PART: usize = PAGE as usize;

/// Words of 64 bits in the header.
pub const HEADER_WORDS: usize = 32;
/// Byte offset of the slots: one word of 32 bits for each.
pub const SLOTS: usize = 512;
/// Byte offset of the undo log.
pub const LOG: usize = 4096;
/// Byte offset of the names.
pub const NAMES: usize = LOG + size_of::<UndoLog>();
/// Byte offset of the tokens of threads.
pub const TOKENS: usize = (NAMES + NAME_BYTES).next_multiple_of(8);
/// Byte offset of the states.
pub const STATES: usize = (TOKENS + tokens::MOST * 8).next_multiple_of(PART);

const STATES_PER_PAGE: usize = (PAGE / GRAIN) as usize;

/// The parts of a file for a memory of at most so many pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Pages.
    pub maximum: u32,
}

impl Layout {
    /// Bytes that tell of the blocks.
    pub const fn states_length(self) -> usize {
        self.maximum as usize * STATES_PER_PAGE
    }

    /// Byte offset of the heap.
    pub const fn heap(self) -> usize {
        STATES + self.states_length().next_multiple_of(PART)
    }

    /// Bytes of the whole file.
    pub const fn length(self) -> usize {
        self.heap() + self.maximum as usize * PAGE as usize
    }

    /// The bytes of the file that a memory of that many pages needs.
    pub const fn needed_for(self, pages: u32) -> [Range<usize>; 2] {
        let pages = pages as usize;
        let heap = self.heap();
        [0..STATES + pages * STATES_PER_PAGE, heap..heap + pages * PAGE as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_follow_each_other_and_a_shorter_memory_needs_the_first_of_each() {
        for maximum in [1, 2, 7, 100, 65_536] {
            let layout = Layout { maximum };
            let states_end = STATES + maximum as usize * STATES_PER_PAGE;
            assert!(states_end <= layout.heap() && layout.heap() < states_end + PART);
            assert_eq!(layout.length(), layout.heap() + maximum as usize * PAGE as usize);
            let needed = layout.needed_for(maximum);
            assert_eq!(needed, [0..states_end, layout.heap()..layout.length()]);
            let [states, heap] = layout.needed_for(1);
            assert_eq!(states, 0..STATES + STATES_PER_PAGE);
            assert_eq!(heap, layout.heap()..layout.heap() + PAGE as usize);
            assert_eq!(layout.needed_for(0)[1].len(), 0);
        }
    }
}
