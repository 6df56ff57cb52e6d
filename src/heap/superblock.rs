//! The superblock: the words that a heap is known by, from its first byte on.

use super::measures::{GRAIN, MAX_PAGES, MAX_UNITS, PAGE, UNIT};
use super::words::Words;
use crate::fault::{Fault, Result};

/// "LSMH" in memory order: the first word of a formatted heap.
const MAGIC: u32 = u32::from_le_bytes(*b"LSMH");
/// Which build made the heap: what lies where, and who has its lock, is known to the same build
/// only.
const BUILD: u32 = {
    match u64::from_str_radix(env!("LSM_BUILD"), 16) {
        Ok(build) => build as u32,
        Err(_) => panic!("a digest"),
    }
};
/// What the heap of several processes has in the place of [`BUILD`]: whoever finds it in a memory
/// without having attached the file leaves it alone.
const ATTACHED: u32 = !BUILD;
/// The heap owns every page of the memory. Two words that no small damage turns into each other: a
/// heap that takes itself for the owner of all pages takes in those of others.
const ALL_PAGES: u32 = u32::from_le_bytes(*b"all ");
/// The heap has what it was given and the pages that it grew itself.
const OWN_PAGES: u32 = !ALL_PAGES;

/// The most segments a heap has.
pub const MAX_SEGMENTS: u32 = 48;
/// Words of one directory entry: first unit, end unit, limit unit, word index of the map, and a
/// check on these four. Where the map lies follows from them, so one that is wrong must never be
/// believed.
pub const SEGMENT_WORDS: u32 = 5;
/// Bins of free runs: exact below 8 units, then eight for each doubling.
pub const BINS: u32 = 160;
/// Words of the bitmap that tells which bins hold a run.
pub const BIN_BITMAP_WORDS: u32 = BINS.div_ceil(32);

/// Offsets of the superblock's fields in words from its start.
pub mod field {
    use super::{BIN_BITMAP_WORDS, BINS, MAX_SEGMENTS, SEGMENT_WORDS};
    use crate::heap::size_class::COUNT;

    /// [`super::MAGIC`]. Written last: set iff the heap is whole. It and the next two are where
    /// they are in the heaps of all builds, for good.
    pub const MAGIC: u32 = 0;
    /// The superblock's own byte offset: with the magic, what tells a heap from chance bytes.
    pub const OWN_OFFSET: u32 = 1;
    /// [`super::BUILD`] or [`super::ATTACHED`].
    pub const BUILD: u32 = 2;
    /// [`super::ALL_PAGES`] or [`super::OWN_PAGES`].
    pub const OWNERSHIP: u32 = 3;
    /// The page after the last one that the heap manages: no segment reaches further.
    pub const END_PAGE: u32 = 4;
    /// The page count that the memory may grow to.
    pub const MAXIMUM: u32 = 5;
    /// How many directory entries are set.
    pub const SEGMENT_COUNT: u32 = 6;
    /// Units of all segments.
    pub const UNITS: u32 = 7;
    /// The complement of [`UNITS`]: how much a heap keeps and grows follows from them.
    pub const UNITS_CHECK: u32 = 8;
    /// The first unit of the table of mixed units; 0 for none.
    pub const GRAIN_TABLE: u32 = 9;
    /// The complement of [`GRAIN_TABLE`].
    pub const GRAIN_TABLE_CHECK: u32 = 10;
    /// One bit a bin: set iff the bin holds a run.
    pub const BIN_BITMAP: u32 = 11;
    /// First unit of the first run of each bin; 0 for none.
    pub const BIN_HEADS: u32 = BIN_BITMAP + BIN_BITMAP_WORDS;
    /// First unit of the first span of each class that has both free and taken blocks; 0 for none.
    pub const PARTIAL: u32 = BIN_HEADS + BINS;
    /// First unit of the first span of each class that is kept though all its blocks are free; 0
    /// for none.
    pub const SPARE: u32 = PARTIAL + COUNT as u32;
    /// Units of all spans of each class.
    pub const SPAN_UNITS: u32 = SPARE + COUNT as u32;
    /// The segments.
    pub const DIRECTORY: u32 = SPAN_UNITS + COUNT as u32;
    /// Length of the superblock in words.
    pub const WORDS: u32 = DIRECTORY + MAX_SEGMENTS * SEGMENT_WORDS;
}

/// A heap, for the duration of one call.
#[derive(Clone, Copy)]
pub struct Heap<'m> {
    pub(super) words: Words<'m>,
    /// The word index of the superblock.
    pub(super) superblock: u32,
}

impl<'m> Heap<'m> {
    /// Where a heap that owns its whole memory begins, in bytes.
    pub const WHOLE_MEMORY_START: u32 = GRAIN;

    /// Opens the heap that begins at byte `start`; `None` when there is none of this build.
    pub fn open(words: Words<'m>, start: u32) -> Option<Self> {
        let heap = Self { words, superblock: start / 4 };
        (heap.build() == Some(heap.own_build())).then_some(heap)
    }

    /// Whether there is a heap at byte `start` that another build made.
    pub fn is_of_other_build(words: Words<'m>, start: u32) -> bool {
        let heap = Self { words, superblock: start / 4 };
        heap.build().is_some_and(|build| build != heap.own_build())
    }

    /// Whether there is a heap of several processes at byte `start`, in a memory whose file this
    /// process has closed.
    pub fn is_detached(words: Words<'m>, start: u32) -> bool {
        let heap = Self { words, superblock: start / 4 };
        !words.is_logged() && heap.build() == Some(ATTACHED)
    }

    // What the heap's own build is in its superblock.
    const fn own_build(&self) -> u32 {
        if self.words.is_logged() { ATTACHED } else { BUILD }
    }

    // The build that made the heap, if there is one.
    fn build(&self) -> Option<u32> {
        let there = self.field(field::MAGIC) == Ok(MAGIC)
            && self.field(field::OWN_OFFSET) == Ok(self.superblock * 4);
        self.field(field::BUILD).ok().filter(|_| there)
    }

    /// Opens a heap for use by a caller who sees the memory at its present length.
    ///
    /// # Errors
    /// [`Fault::Stale`] when the heap manages pages that the caller does not see yet.
    pub fn current(self) -> Result<Self> {
        let end = u64::from(self.field(field::END_PAGE)?) * u64::from(PAGE);
        if end > self.words.byte_length() { Err(Fault::Stale) } else { Ok(self) }
    }

    /// Whether the heap owns every page of the memory.
    ///
    /// # Errors
    /// [`Fault::Corrupted`] when the superblock cannot be read, or such a heap would begin
    /// elsewhere.
    pub fn owns_all(&self) -> Result<bool> {
        match self.field(field::OWNERSHIP)? {
            OWN_PAGES => Ok(false),
            ALL_PAGES if self.superblock * 4 == Self::WHOLE_MEMORY_START => Ok(true),
            _ => Err(Fault::Corrupted),
        }
    }

    /// The unit behind the last one of the memory.
    pub const fn end_unit(&self) -> u32 {
        (self.words.byte_length() / UNIT as u64) as u32
    }

    /// Units of all segments.
    ///
    /// # Errors
    /// [`Fault::Corrupted`].
    pub fn total_units(&self) -> Result<u32> {
        let units = self.field(field::UNITS)?;
        let confirmed = units <= MAX_UNITS && self.field(field::UNITS_CHECK)? == !units;
        if confirmed { Ok(units) } else { Err(Fault::Corrupted) }
    }

    /// Pages that the memory may have: whatever somebody has written over them, no more than any may.
    ///
    /// # Errors
    /// [`Fault::Corrupted`].
    pub fn maximum_pages(&self) -> Result<u32> {
        Ok(self.field(field::MAXIMUM)?.min(MAX_PAGES))
    }

    pub(super) fn set_total_units(&self, units: u32) -> Result<()> {
        self.set_field(field::UNITS, units)?;
        self.set_field(field::UNITS_CHECK, !units)
    }

    /// Writes the fields of a new heap, all but what makes it one.
    pub(super) fn clear(&self, owns_all: bool, maximum: u32) -> Result<()> {
        for field in 0..field::WORDS {
            self.set_field(field, 0)?;
        }
        self.set_field(field::OWN_OFFSET, self.superblock * 4)?;
        self.set_field(field::BUILD, self.own_build())?;
        self.set_field(field::OWNERSHIP, if owns_all { ALL_PAGES } else { OWN_PAGES })?;
        self.set_field(field::MAXIMUM, maximum)?;
        self.set_field(field::GRAIN_TABLE_CHECK, !0)?;
        self.set_total_units(0)
    }

    /// Makes a heap of what was prepared.
    pub(super) fn confirm(&self) -> Result<()> {
        self.set_field(field::MAGIC, MAGIC)
    }

    #[inline(always)]
    pub(super) fn field(&self, field: u32) -> Result<u32> {
        self.words.get(self.superblock + field)
    }

    #[inline(always)]
    pub(super) fn set_field(&self, field: u32, value: u32) -> Result<()> {
        self.words.set(self.superblock + field, value)
    }
}
