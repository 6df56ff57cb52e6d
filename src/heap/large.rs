//! Large blocks: each has a run of units of its own.
//!
//! ```text
//! [padding | header | bytes ... | behind]
//! ```
//!
//! The pointer lies `1 << shift` bytes into the run: at its natural place for small alignments, at
//! the start of the second unit for large ones. The last 8 bytes of the run are like a header of a
//! block that is not in use, so that a write past the block's end meets one, as in a span.

use super::measures::{GRAIN, HEADER, LISTED, UNIT};
use super::run::Search;
use super::segment::Segment;
use super::superblock::Heap;
use super::unit_kind::UnitKind;
use crate::fault::{Fault, Result};

/// A block that has a run of units of its own.
#[derive(Clone, Copy, Debug)]
pub struct Large<'m> {
    pub segment: Segment<'m>,
    /// The block's first unit.
    pub unit: u32,
    pub units: u32,
    /// Base-2 logarithm of the pointer's distance from the first unit.
    shift: u32,
}

/// The shift of a large block whose pointer is a multiple of `align` bytes.
const fn shift_for(align: u32) -> u32 {
    let least = if align < GRAIN { GRAIN } else { align };
    if least < UNIT { least.trailing_zeros() } else { UNIT.trailing_zeros() }
}

// At least as many as are found again when the block is freed.
const fn units_at(byte_length: u32, shift: u32) -> u32 {
    let bytes = (1 << shift) + byte_length as u64 + HEADER as u64;
    let units = bytes.div_ceil(UNIT as u64) as u32;
    if units < LISTED { LISTED } else { units }
}

/// Units that a large block of `byte_length` bytes at `align` takes.
pub const fn units_for(byte_length: u32, align: u32) -> u32 {
    units_at(byte_length, shift_for(align))
}

impl<'m> Large<'m> {
    /// The large block that starts at `unit`, its header unread.
    ///
    /// # Errors
    /// [`Fault::Corrupted`] when there is none.
    pub fn read(segment: Segment<'m>, unit: u32) -> Result<Self> {
        let UnitKind::Large { shift, units } = segment.kind(unit)? else {
            return Err(Fault::Corrupted);
        };
        let large = Self { segment, unit, units, shift };
        let fits = units >= units_at(1, shift) && units <= segment.end - unit;
        if fits { Ok(large) } else { Err(Fault::Corrupted) }
    }

    /// The block's pointer.
    pub const fn pointer(&self) -> u32 {
        self.unit * UNIT + (1 << self.shift)
    }

    /// Whether the pointer lies in the second unit.
    pub const fn has_second(&self) -> bool {
        1 << self.shift == UNIT
    }

    /// Bytes from the header to the block's end. What alignment leaves before the header is
    /// nobody's.
    pub const fn buffer_size(&self) -> u32 {
        self.units * UNIT - (1 << self.shift)
    }

    /// What a pointer behind this block would be, if there were another one.
    pub const fn behind(&self) -> u32 {
        self.pointer() + self.buffer_size()
    }

    /// Units that a block of `byte_length` bytes at the same alignment takes.
    pub const fn units_for(&self, byte_length: u32) -> u32 {
        units_at(byte_length, self.shift)
    }

    // Enters the block in the map.
    fn enter(&self) -> Result<()> {
        let Self { shift, units, .. } = *self;
        self.set_kinds(UnitKind::Large { shift, units }, UnitKind::LargeSecond)
    }

    fn set_kinds(&self, first: UnitKind, second: UnitKind) -> Result<()> {
        self.segment.set_kind(self.unit, first)?;
        if self.has_second() { self.segment.set_kind(self.unit + 1, second) } else { Ok(()) }
    }
}

impl<'m> Heap<'m> {
    /// The large block that starts at `unit`, its header and what lies behind it confirmed, and the
    /// bytes that were asked for: 0 when a thread keeps it.
    ///
    /// # Errors
    /// [`Fault::Corrupted`].
    pub(super) fn large_at(&self, segment: Segment<'m>, unit: u32) -> Result<(Large<'m>, u32)> {
        let large = Large::read(segment, unit)?;
        let (byte_length, size) = self.read_header(large.pointer())?;
        let sound = size == large.buffer_size()
            && byte_length <= size - HEADER
            && self.read_header(large.behind())?.1 == size;
        if sound { Ok((large, byte_length)) } else { Err(Fault::Corrupted) }
    }

    /// Frees the large block at `pointer` that a thread kept.
    ///
    /// # Errors
    /// [`Fault::FreedTwice`] when it is in use, or there is none; [`Fault::Corrupted`].
    pub(super) fn put_unused_large(&self, segment: Segment<'m>, pointer: u32) -> Result<()> {
        match self.large_at(segment, pointer / UNIT)? {
            (large, 0) if large.pointer() == pointer => self.free_large(&large),
            _ => Err(Fault::FreedTwice),
        }
    }

    /// Allocates a large block.
    ///
    /// # Errors
    /// [`Fault::OutOfMemory`], [`Fault::Corrupted`].
    pub(super) fn take_large(&self, byte_length: u32, align: u32, search: Search) -> Result<u32> {
        let shift = shift_for(align);
        let units = units_at(byte_length, shift);
        let (segment, unit) = self.take_run(units, align.max(UNIT), search)?;
        let large = Large { segment, unit, units, shift };
        large.enter()?;
        self.set_large_headers(&large, byte_length)?;
        Ok(large.pointer())
    }

    /// Frees a large block.
    ///
    /// # Errors
    /// [`Fault::Corrupted`]; the block is as it was.
    pub(super) fn free_large(&self, large: &Large<'m>) -> Result<()> {
        large.set_kinds(UnitKind::Inside, UnitKind::Inside)?;
        let freed = self.free_run(&large.segment, large.unit, large.units);
        freed.inspect_err(|_| drop(large.enter()))
    }

    /// Resizes a large block where it is. Returns whether there was room behind it.
    ///
    /// # Errors
    /// [`Fault::Corrupted`]; the block is as it was.
    pub(super) fn resize_large(&self, large: Large<'m>, byte_length: u32) -> Result<bool> {
        let units = large.units_for(byte_length);
        let end = large.unit + large.units;
        if units > large.units && !self.take_run_at(&large.segment, end, units - large.units)? {
            return Ok(false);
        }
        if units < large.units {
            self.free_run(&large.segment, large.unit + units, large.units - units)?;
        }
        let large = Large { units, ..large };
        large.enter()?;
        self.set_large_headers(&large, byte_length)?;
        Ok(true)
    }

    fn set_large_headers(&self, large: &Large<'m>, byte_length: u32) -> Result<()> {
        self.write_header(large.behind(), 0, large.buffer_size())?;
        self.write_header(large.pointer(), byte_length, large.buffer_size())
    }
}
