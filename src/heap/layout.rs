//! Where everything lies: units of measure, the block header, the root and the segment tables.
//!
//! ```text
//! root      magic, own offset, counts, bins of free runs, one span list per size class, directory
//! segment   [table | units ...]          a contiguous range of pages; the first holds the root too
//! table     [map: 1 word a unit | records: 11 words a unit]
//! record    next, previous, aux, free bitmap (8 words); only the first unit of a span or run has one
//! block     [byteLength u32 | bufferSize u32] then the bytes the pointer names
//! ```

/// A WebAssembly page in bytes.
pub const PAGE: u32 = 65_536;
/// The grain of spans and free runs in bytes.
pub const UNIT: u32 = 4_096;
/// Units in a page.
pub const UNITS_PER_PAGE: u32 = PAGE / UNIT;
/// Pages of the largest memory that 32-bit pointers reach.
pub const MAX_PAGES: u32 = 65_536;
/// Units that a heap uses at most. The last unit below 4 GiB stays unused, so that the end of every
/// block is a 32-bit number too.
pub const MAX_UNITS: u32 = MAX_PAGES * UNITS_PER_PAGE - 1;
/// Bytes before each pointer: requested length, then the whole space of the block.
pub const HEADER: u32 = 8;
/// Alignment of every block in bytes, and the bytes at address 0 that are never used.
pub const GRAIN: u32 = 16;
/// The largest alignment in bytes that a span's own address has.
pub const SPAN_ALIGN: u32 = UNIT;

/// Words of a unit's record in the segment table.
pub const RECORD_WORDS: u32 = 11;
/// Words of the table for each unit: its map word and its record.
pub const TABLE_WORDS_PER_UNIT: u32 = 1 + RECORD_WORDS;
/// Offset of the next link in a record, in words.
pub const NEXT: u32 = 0;
/// Offset of the previous link in a record, in words.
pub const PREVIOUS: u32 = 1;
/// Offset of the length (run, large block) or of units and free count (span), in words.
pub const AUX: u32 = 2;
/// Offset of the free bitmap in a record, in words.
pub const BITS: u32 = 3;
/// Words of a free bitmap: the most blocks a span has, by 32.
pub const BITMAP_WORDS: u32 = RECORD_WORDS - BITS;
/// The most blocks one span holds.
pub const MAX_SLOTS: u32 = BITMAP_WORDS * 32;

/// "LSMH" in memory order: the first word of a formatted heap.
pub const MAGIC: u32 = u32::from_le_bytes(*b"LSMH");
/// Which build made the heap: what lies where, and who has its lock, is known to the same build only.
pub const BUILD: u32 = {
    match u64::from_str_radix(env!("LSM_BUILD"), 16) {
        Ok(build) => build as u32,
        Err(_) => panic!("a digest"),
    }
};
/// The heap owns every page of the memory. Two words that no small damage turns into each other: a heap that
/// takes itself for the owner of all pages takes in those of others.
pub const ALL_PAGES: u32 = u32::from_le_bytes(*b"all ");
/// The heap has what it was given and the pages that it grew itself.
pub const OWN_PAGES: u32 = !ALL_PAGES;
/// The most segments a heap has. 64 cover 4 GiB at the growth steps of `growth.rs`.
pub const MAX_SEGMENTS: u32 = 64;
/// Bins of free runs: exact below 8 units, then eight for each doubling up to 2^20 units.
pub const BINS: u32 = 152;
/// Words of the bitmap that tells which bins hold a run.
pub const BIN_BITMAP_WORDS: u32 = BINS.div_ceil(32);
/// Words of one directory entry: first unit, end unit, limit unit, word index of the map, and a check
/// on these four. Where records lie follows from them, so one that is wrong must never be believed.
pub const SEGMENT_WORDS: u32 = 5;

/// Offsets of the root's fields in words from its start.
pub mod root {
    use super::{BIN_BITMAP_WORDS, BINS, MAX_SEGMENTS, SEGMENT_WORDS};
    use crate::heap::size_class;

    /// [`super::MAGIC`]. It and the next two are where they are in the heaps of all builds, for good.
    pub const MAGIC: u32 = 0;
    /// The root's own byte offset: with the magic, what tells a heap from chance bytes.
    pub const OWN_OFFSET: u32 = 1;
    /// [`super::BUILD`].
    pub const BUILD: u32 = 2;
    /// [`super::ALL_PAGES`] when the heap owns every page of the memory, [`super::OWN_PAGES`] when it shares
    /// it with others.
    pub const OWNERSHIP: u32 = 3;
    /// The page after the last one that the heap manages.
    pub const END_PAGE: u32 = 4;
    /// The page count that the memory may grow to.
    pub const MAXIMUM: u32 = 5;
    /// How many directory entries are set.
    pub const SEGMENT_COUNT: u32 = 6;
    /// Units of all segments.
    pub const UNITS: u32 = 7;
    /// The complement of [`UNITS`]: how much a heap keeps and grows follows from them.
    pub const UNITS_CHECK: u32 = 8;
    /// One bit a bin: set iff the bin holds a run.
    pub const BIN_BITMAP: u32 = 9;
    /// First unit of the first run of each bin; 0 for none.
    pub const BIN_HEADS: u32 = BIN_BITMAP + BIN_BITMAP_WORDS;
    /// First unit of the first span of each class that has both free and taken blocks; 0 for none.
    pub const PARTIAL: u32 = BIN_HEADS + BINS;
    /// First unit of the first span of each class that is kept though all its blocks are free; 0 for none.
    pub const SPARE: u32 = PARTIAL + size_class::COUNT as u32;
    /// The segments.
    pub const DIRECTORY: u32 = SPARE + size_class::COUNT as u32;
    /// What tells this heap from others that had its address; 0 until it matters.
    pub const MARK: u32 = DIRECTORY + MAX_SEGMENTS * SEGMENT_WORDS;
    /// Length of the root in words.
    pub const WORDS: u32 = MARK + 1;
}

// The root of a one-page heap and its table fit in one unit: 15 of 16 units are left for blocks.
const _: () = assert!(GRAIN + root::WORDS * 4 + UNITS_PER_PAGE * TABLE_WORDS_PER_UNIT * 4 <= UNIT);

/// What a unit is, packed in its map word. 0 is the inside of a run or of a large block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnitKind {
    /// Within a free run or a large block.
    Inside,
    /// Unit `back` of a span of class `class`.
    Span {
        /// Index of the size class.
        class: usize,
        /// Units from the span's first one.
        back: u32,
    },
    /// Unit `back` (0 or 1) of a large block whose pointer lies `1 << shift` bytes into it.
    Large {
        /// Base-2 logarithm of the pointer's offset.
        shift: u32,
        /// Units from the block's first one.
        back: u32,
    },
    /// The first unit of a free run.
    FreeHead,
    /// The last unit of a free run of more than one unit.
    FreeTail,
}

const KIND_BITS: u32 = 4;
const ARGUMENT_BITS: u32 = 8;
const SPAN: u32 = 1;
const LARGE: u32 = 2;
const FREE_HEAD: u32 = 3;
const FREE_TAIL: u32 = 4;

impl UnitKind {
    /// The map word of this kind: kind in bits 0-3, class or shift in bits 4-11, back above.
    pub const fn pack(self) -> u32 {
        const fn word(kind: u32, argument: u32, back: u32) -> u32 {
            kind | argument << KIND_BITS | back << (KIND_BITS + ARGUMENT_BITS)
        }
        match self {
            Self::Inside => 0,
            Self::Span { class, back } => word(SPAN, class as u32, back),
            Self::Large { shift, back } => word(LARGE, shift, back),
            Self::FreeHead => FREE_HEAD,
            Self::FreeTail => FREE_TAIL,
        }
    }

    /// The kind that a map word stands for; `None` when it stands for nothing.
    pub const fn unpack(word: u32) -> Option<Self> {
        let argument = word >> KIND_BITS & ((1 << ARGUMENT_BITS) - 1);
        let back = word >> (KIND_BITS + ARGUMENT_BITS);
        match word & ((1 << KIND_BITS) - 1) {
            0 if word == 0 => Some(Self::Inside),
            SPAN if (argument as usize) < crate::heap::size_class::COUNT => {
                Some(Self::Span { class: argument as usize, back })
            }
            LARGE if argument >= 4 && argument <= 12 && back <= 1 => {
                Some(Self::Large { shift: argument, back })
            }
            FREE_HEAD if word == FREE_HEAD => Some(Self::FreeHead),
            FREE_TAIL if word == FREE_TAIL => Some(Self::FreeTail),
            _ => None,
        }
    }
}
