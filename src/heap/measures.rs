//! Units of measure. Lengths are in bytes unless their name says otherwise.

/// A WebAssembly page.
pub const PAGE: u32 = 65_536;
/// The grain of spans, large blocks and free runs.
pub const UNIT: u32 = 1_024;
/// Words of a unit.
pub const WORDS_PER_UNIT: u32 = UNIT / 4;
/// Units of a page.
pub const UNITS_PER_PAGE: u32 = PAGE / UNIT;
/// Pages of the largest memory that 32-bit pointers reach.
pub const MAX_PAGES: u32 = 65_536;
/// Units that a heap uses at most. The last one below 4 GiB stays unused, so that the end of every
/// block is a 32-bit number too.
pub const MAX_UNITS: u32 = MAX_PAGES * UNITS_PER_PAGE - 1;
/// Units of the shortest free run that is found again.
pub const LISTED: u32 = 3;
/// Bytes before each pointer: requested length, then the whole space of the block.
pub const HEADER: u32 = 8;
/// Alignment of every block, and the bytes at address 0 that are never used.
pub const GRAIN: u32 = 16;

/// The unit that page `page` starts with.
pub const fn unit_of(page: u32) -> u32 {
    let unit = page.saturating_mul(UNITS_PER_PAGE);
    if unit < MAX_UNITS { unit } else { MAX_UNITS }
}
