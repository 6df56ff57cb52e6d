//! Blocks: malloc, free, resizing in place, and telling what a pointer points at.

use super::Heap;
use super::layout::{AUX, GRAIN, HEADER, UNIT, UnitKind};
use super::segment::Segment;
use super::size_class::{CLASSES, class_for};
use super::span::Span;
use crate::fault::{Fault, Result};

/// How hard to look for room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Search {
    /// For as long as growing the memory is cheaper than looking on.
    Quick,
    /// Everywhere, free blocks of larger classes included: the memory cannot grow.
    Exhaustive,
}

/// A live block, found and confirmed.
#[derive(Clone, Copy, Debug)]
pub enum Live<'m> {
    /// One slot of a span.
    Small(Span<'m>, u32),
    /// A run of units of its own.
    Large(Large<'m>),
}

/// A block that has a run of units of its own.
#[derive(Clone, Copy, Debug)]
pub struct Large<'m> {
    pub segment: Segment<'m>,
    /// The block's first unit.
    pub unit: u32,
    pub units: u32,
    /// Base-2 logarithm of the pointer's distance from the first unit.
    pub shift: u32,
}

impl Large<'_> {
    /// The block's pointer.
    pub const fn pointer(&self) -> u32 {
        self.unit * UNIT + (1 << self.shift)
    }

    /// Bytes from the header to the block's end. What alignment leaves before the header is nobody's.
    pub const fn buffer_size(&self) -> u32 {
        self.units * UNIT - (1 << self.shift) + HEADER
    }

    /// Units that a block of `byte_length` bytes at the same alignment takes.
    pub const fn units_for(&self, byte_length: u32) -> u32 {
        large_units(byte_length, self.shift)
    }

    // Enters the block in the map.
    fn mark(&self) -> Result<()> {
        let kind = |back| UnitKind::Large { shift: self.shift, back };
        self.set_kinds(kind(0), kind(1))
    }

    fn set_kinds(&self, first: UnitKind, second: UnitKind) -> Result<()> {
        self.segment.set_kind(self.unit, first)?;
        if 1 << self.shift == UNIT { self.segment.set_kind(self.unit + 1, second) } else { Ok(()) }
    }
}

const fn large_units(byte_length: u32, shift: u32) -> u32 {
    (byte_length as u64 + (1 << shift)).div_ceil(UNIT as u64) as u32
}

impl<'m> Heap<'m> {
    /// Allocates `byte_length` bytes at a multiple of `align`, a power of two up to 65,536.
    ///
    /// # Errors
    /// [`Fault::OutOfMemory`], [`Fault::Corrupted`].
    pub fn malloc(&self, byte_length: u32, align: u32, search: Search) -> Result<u32> {
        match self.allocate(byte_length, align, search) {
            Err(Fault::OutOfMemory) => {
                self.absorb_pages()?;
                self.free_spare_spans()?;
                self.allocate(byte_length, align, search)
            }
            done => done,
        }
    }

    /// Frees the block at `pointer`.
    ///
    /// # Errors
    /// The faults of [`Heap::live`]; the block is as it was.
    pub fn free(&self, pointer: u32) -> Result<()> {
        match self.live(pointer)? {
            Live::Small(mut span, slot) => {
                self.put_block(&mut span, slot)?;
                self.set_header(pointer, 0, span.geometry().stride)
            }
            Live::Large(large) => {
                large.set_kinds(UnitKind::Inside, UnitKind::Inside)?;
                let freed = self.free_run(&large.segment, large.unit, large.units);
                freed.inspect_err(|_| drop(large.mark()))
            }
        }
    }

    /// Changes the length of the block at `pointer` to `byte_length` bytes where it is. A block that
    /// would be left mostly unused is not kept where it is unless `stay` is set.
    ///
    /// # Errors
    /// [`Fault::MustMove`] when the block has to move; the faults of [`Heap::live`]. The block is as it
    /// was.
    pub fn resize(&self, pointer: u32, byte_length: u32, stay: bool) -> Result<()> {
        let buffer_size = match self.live(pointer)? {
            Live::Small(span, _) => {
                let stride = span.geometry().stride;
                let room = stride - HEADER;
                if byte_length > room || byte_length < room / 2 && !stay {
                    return Err(Fault::MustMove);
                }
                stride
            }
            Live::Large(large) => {
                if class_for(byte_length, GRAIN).is_some() && !stay {
                    return Err(Fault::MustMove);
                }
                self.resize_large(large, byte_length)?
            }
        };
        self.set_header(pointer, byte_length, buffer_size)
    }

    /// The header of the live block at `pointer`: requested bytes and whole space in bytes.
    ///
    /// # Errors
    /// The faults of [`Heap::live`].
    pub fn inspect(&self, pointer: u32) -> Result<(u32, u32)> {
        self.live(pointer)?;
        self.header(pointer)
    }

    /// The size class of the block at `pointer`, if it has one.
    ///
    /// # Errors
    /// [`Fault::Corrupted`].
    pub fn class_of(&self, pointer: u32) -> Result<Option<usize>> {
        let unit = pointer / UNIT;
        match self.own_segment(unit)?.kind(unit)? {
            UnitKind::Span { class, .. } => Ok(Some(class)),
            _ => Ok(None),
        }
    }

    /// Finds the live block whose pointer is `pointer` and confirms its header and the next one.
    ///
    /// # Errors
    /// [`Fault::NeverAllocated`], [`Fault::InsideBlock`], [`Fault::AlreadyFreed`],
    /// [`Fault::Corrupted`] when a header was written over.
    pub(super) fn live(&self, pointer: u32) -> Result<Live<'m>> {
        let unit = pointer / UNIT;
        let segment = self.segment_of(unit)?.ok_or(Fault::NeverAllocated)?;
        match segment.kind(unit)? {
            UnitKind::Span { class, back } => {
                let first = unit.checked_sub(back).ok_or(Fault::Corrupted)?;
                self.live_in_span(Span::read(self, segment, first, class)?, pointer)
            }
            UnitKind::Large { shift, back } => {
                let first = unit.checked_sub(back).ok_or(Fault::Corrupted)?;
                self.live_large(segment, first, shift, pointer)
            }
            UnitKind::Inside => self.inside(&segment, unit),
            UnitKind::FreeHead | UnitKind::FreeTail => Err(Fault::NeverAllocated),
        }
    }

    /// The two words of the header before `pointer`.
    pub(super) fn header(&self, pointer: u32) -> Result<(u32, u32)> {
        let index = (pointer / 4).checked_sub(2).ok_or(Fault::Corrupted)?;
        Ok((self.words.get(index)?, self.words.get(index + 1)?))
    }

    pub(super) fn set_header(&self, pointer: u32, byte_length: u32, size: u32) -> Result<()> {
        let index = (pointer / 4).checked_sub(2).ok_or(Fault::Corrupted)?;
        self.words.set(index, byte_length)?;
        self.words.set(index + 1, size)
    }

    /// Confirms the header of a large block.
    pub(super) fn large_at(
        &self,
        segment: Segment<'m>,
        unit: u32,
        shift: u32,
    ) -> Result<Large<'m>> {
        let large = Large { segment, unit, units: segment.length(unit)?, shift };
        let (byte_length, size) = self.header(large.pointer())?;
        let sound = segment.kind(unit)? == UnitKind::Large { shift, back: 0 }
            && size == large.buffer_size()
            && byte_length > 0
            && large.units_for(byte_length) <= large.units;
        if sound { Ok(large) } else { Err(Fault::Corrupted) }
    }

    fn allocate(&self, byte_length: u32, align: u32, search: Search) -> Result<u32> {
        let Some(class) = class_for(byte_length, align) else {
            return self.allocate_large(byte_length, align, search);
        };
        let taken = match self.take_block(class, search) {
            Err(Fault::OutOfMemory) if search == Search::Exhaustive => {
                self.take_larger_block(byte_length, align)
            }
            taken => taken,
        };
        match taken {
            Ok(pointer) => self.words.set(pointer / 4 - 2, byte_length).map(|()| pointer),
            Err(Fault::OutOfMemory) => self.allocate_large(byte_length, align, search),
            Err(fault) => Err(fault),
        }
    }

    fn take_larger_block(&self, byte_length: u32, align: u32) -> Result<u32> {
        let stride = byte_length + HEADER;
        let mut larger: Vec<_> = (0..CLASSES.len())
            .filter(|&class| CLASSES[class].stride >= stride && CLASSES[class].offset >= align)
            .collect();
        larger.sort_by_key(|&class| CLASSES[class].stride);
        for class in larger {
            if self.has_room(class)? {
                return self.take_block(class, Search::Quick);
            }
        }
        Err(Fault::OutOfMemory)
    }

    fn allocate_large(&self, byte_length: u32, align: u32, search: Search) -> Result<u32> {
        let shift = align.clamp(GRAIN, UNIT).trailing_zeros();
        let units = large_units(byte_length, shift);
        let (segment, unit) = self.take_run(units, align.max(UNIT), search)?;
        let large = Large { segment, unit, units, shift };
        large.mark()?;
        segment.set_record(unit, AUX, units)?;
        self.set_header(large.pointer(), byte_length, large.buffer_size())?;
        Ok(large.pointer())
    }

    fn resize_large(&self, large: Large<'m>, byte_length: u32) -> Result<u32> {
        let units = large.units_for(byte_length);
        let end = large.unit + large.units;
        if units > large.units && !self.take_run_at(&large.segment, end, units - large.units)? {
            return Err(Fault::MustMove);
        }
        if units < large.units {
            self.free_run(&large.segment, large.unit + units, large.units - units)?;
        }
        large.segment.set_record(large.unit, AUX, units)?;
        Ok(Large { units, ..large }.buffer_size())
    }

    fn live_in_span(&self, span: Span<'m>, pointer: u32) -> Result<Live<'m>> {
        let Some(slot) = span.slot_at(pointer) else {
            return Err(self.misplaced(&span, pointer)?);
        };
        let stride = span.geometry().stride;
        let (byte_length, size) = self.header(pointer)?;
        let (_, next_size) = self.header(pointer + stride)?;
        if span.is_free(slot)? {
            return Err(Fault::AlreadyFreed);
        }
        if size != stride || next_size != stride || byte_length > stride - HEADER {
            return Err(Fault::Corrupted);
        }
        if byte_length == 0 { Err(Fault::AlreadyFreed) } else { Ok(Live::Small(span, slot)) }
    }

    fn misplaced(&self, span: &Span<'m>, pointer: u32) -> Result<Fault> {
        let Some(slot) = span.slot_holding(pointer) else { return Ok(Fault::NeverAllocated) };
        let live = !span.is_free(slot)? && self.header(span.pointer(slot))?.0 != 0;
        Ok(if live { Fault::InsideBlock } else { Fault::NeverAllocated })
    }

    fn live_large(
        &self,
        segment: Segment<'m>,
        unit: u32,
        shift: u32,
        pointer: u32,
    ) -> Result<Live<'m>> {
        let large = self.large_at(segment, unit, shift)?;
        if pointer != large.pointer() {
            return Err(Fault::InsideBlock);
        }
        self.confirm_next(&segment, large.unit + large.units)?;
        Ok(Live::Large(large))
    }

    // A write past a large block's end lands in the first header of what follows.
    fn confirm_next(&self, segment: &Segment<'m>, unit: u32) -> Result<()> {
        if unit >= segment.end {
            return Ok(());
        }
        match segment.kind(unit)? {
            UnitKind::Span { class, .. } => {
                let next = Span::read(self, *segment, unit, class)?;
                let (_, size) = self.header(next.pointer(0))?;
                if size == next.geometry().stride { Ok(()) } else { Err(Fault::Corrupted) }
            }
            UnitKind::Large { shift, .. } => self.large_at(*segment, unit, shift).map(drop),
            _ => Ok(()),
        }
    }

    // Only on the way to an error: looks for the start of what the unit is inside of.
    fn inside<T>(&self, segment: &Segment<'m>, unit: u32) -> Result<T> {
        for before in (segment.first..unit).rev() {
            match segment.kind(before)? {
                UnitKind::Inside => {}
                UnitKind::Large { .. } => return Err(Fault::InsideBlock),
                _ => break,
            }
        }
        Err(Fault::NeverAllocated)
    }
}
