//! What lib/cache/rows.js and the native side have to agree on: it compares every number that it has
//! written out.

use napi_derive::napi;

use crate::heap;
use crate::process::{live_blocks, rows};

/// Where the part of the thread cache that is JavaScript finds things; see src/process/rows.rs.
#[napi(object)]
pub struct CacheLayout {
    /// Bytes of a header.
    pub header: i32,
    /// Pointers are multiples of this many bytes.
    pub grain: i32,
    /// Bytes of a unit, of which large blocks have a whole number.
    pub unit: i32,
    /// The state of a block that a thread keeps.
    pub kept: i32,
    /// The bits of it that tell the block's class.
    pub class_bits: i32,
    /// That of a live large block.
    pub live_large: i32,
    /// The states behind it: digits, from this on.
    pub digits: i32,
    /// Bits of a digit.
    pub digit_bits: i32,
    /// How many there are.
    pub digit_count: i32,
    /// Classes whose number is that of the grains of their blocks.
    pub fine: i32,
    /// Words of the head of a stack.
    pub head_words: i32,
    /// A word of it.
    pub own: i32,
    /// A word of it.
    pub limits: i32,
    /// A word of it.
    pub longest: i32,
    /// A word of it.
    pub published: i32,
    /// A word of it.
    pub width: i32,
    /// A word of it.
    pub end: i32,
    /// A word of it.
    pub moved: i32,
    /// A word of it.
    pub most: i32,
    /// A word of the head of class 0.
    pub over_idle: i32,
    /// A word of the head of class 0.
    pub spare: i32,
    /// A word of the head of class 0.
    pub over_idle_below: i32,
    /// A word of the head of class 0.
    pub short: i32,
    /// What it is where the memory cannot grow.
    pub full: i32,
    /// A word of the head of class 0.
    pub large_spare: i32,
    /// A word of the head of class 0.
    pub refusals: i32,
    /// A word of the head of class 0.
    pub long_spare: i32,
    /// A word of the head of class 0.
    pub long_kept: i32,
    /// What a head has besides the way that the floor has moved, if the blocks are long for the heap.
    pub long: i32,
    /// What it has if there may be more of them that are everyone's.
    pub common: i32,
    /// In the limits of large blocks: one has been taken.
    pub taken: i32,
    /// Index of the sizes.
    pub sizes: i32,
    /// Bytes, header included, of the largest block of a size class.
    pub largest: i32,
    /// Index of the heads of large blocks.
    pub large_heads: i32,
    /// Index of what is behind them.
    pub stacks: i32,
    /// Units of the shortest of them.
    pub least_large_units: i32,
    /// Units of the longest.
    pub most_large_units: i32,
    /// Words in all.
    pub words: i32,
}

/// The layout of a thread cache.
#[napi]
pub fn cache_layout() -> CacheLayout {
    CacheLayout {
        header: heap::HEADER as i32,
        grain: heap::GRAIN as i32,
        unit: heap::UNIT as i32,
        kept: i32::from(live_blocks::KEPT),
        class_bits: i32::from(live_blocks::CLASS_BITS),
        live_large: i32::from(live_blocks::LARGE),
        digits: i32::from(live_blocks::DIGITS),
        digit_bits: live_blocks::DIGIT_BITS as i32,
        digit_count: live_blocks::DIGIT_COUNT as i32,
        fine: heap::FINE as i32,
        head_words: rows::HEAD_WORDS as i32,
        own: rows::OWN as i32,
        limits: rows::LIMITS as i32,
        longest: rows::LONGEST as i32,
        published: rows::PUBLISHED as i32,
        width: rows::WIDTH as i32,
        end: rows::END as i32,
        moved: rows::MOVED as i32,
        most: rows::MOST as i32,
        over_idle: rows::OVER_IDLE as i32,
        spare: rows::SPARE as i32,
        over_idle_below: rows::OVER_IDLE_BELOW as i32,
        short: rows::SHORT as i32,
        full: rows::FULL as i32,
        large_spare: rows::LARGE_SPARE as i32,
        refusals: rows::REFUSALS as i32,
        long_spare: rows::LONG_SPARE as i32,
        long_kept: rows::LONG_KEPT as i32,
        long: rows::LONG as i32,
        common: rows::COMMON as i32,
        taken: rows::TAKEN as i32,
        sizes: rows::SIZES as i32,
        largest: rows::LARGEST as i32,
        large_heads: rows::LARGE_HEADS as i32,
        stacks: rows::STACKS as i32,
        least_large_units: rows::FIRST_LARGE_UNITS as i32,
        most_large_units: rows::MOST_LARGE_UNITS as i32,
        words: rows::WORDS as i32,
    }
}
