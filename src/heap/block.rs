//! Blocks of any size: allocating, freeing and resizing them where they are, and telling what a
//! pointer points at.

use core::ops::RangeInclusive;

use super::large::Large;
use super::measures::{GRAIN, HEADER, UNIT};
use super::mixed::Mixed;
use super::run::Search;
use super::segment::Segment;
use super::size_class::{CLASSES, MIXED, SizeClass, class_for};
use super::span::Span;
use super::superblock::Heap;
use super::thrift::longest_instead;
use super::unit_kind::UnitKind;
use crate::fault::{Fault, Result};

/// A live block, found and confirmed.
#[derive(Clone, Copy, Debug)]
pub enum Live<'m> {
    /// One slot of a span.
    Small(Span<'m>, u32),
    /// A run of units of its own.
    Large(Large<'m>),
    /// Grains of mixed units.
    Mixed(Mixed<'m>),
}

impl Live<'_> {
    /// The block's pointer.
    pub fn pointer(&self) -> u32 {
        match self {
            Self::Small(span, slot) => span.pointer(*slot),
            Self::Large(large) => large.pointer(),
            Self::Mixed(block) => block.pointer(),
        }
    }

    /// The block's size class, or [`MIXED`], if it has one.
    pub const fn class(&self) -> Option<usize> {
        match self {
            Self::Small(span, _) => Some(span.class),
            Self::Large(_) => None,
            Self::Mixed(_) => Some(MIXED),
        }
    }

    /// The whole space of the block in bytes.
    pub fn buffer_size(&self) -> u32 {
        match self {
            Self::Small(span, _) => span.geometry().stride,
            Self::Large(large) => large.buffer_size(),
            Self::Mixed(block) => block.buffer_size(),
        }
    }
}

/// Bytes that a block of so many bytes has over in a place of `buffer_size` bytes, if that is not one
/// for such blocks.
pub fn over(byte_length: u32, buffer_size: u32) -> u32 {
    match class_for(byte_length, GRAIN) {
        Some(class) if buffer_size > longest_instead(class) => buffer_size - CLASSES[class].stride,
        _ => 0,
    }
}

impl<'m> Heap<'m> {
    /// Frees the block at `pointer`.
    ///
    /// # Errors
    /// The faults of [`Heap::live`]; the block is as it was.
    pub fn free(&self, pointer: u32) -> Result<()> {
        self.free_live(self.live(pointer)?)
    }

    /// Frees a block that was found live.
    ///
    /// # Errors
    /// [`Fault::Corrupted`]; the block is as it was.
    pub fn free_live(&self, live: Live<'m>) -> Result<()> {
        match live {
            Live::Small(mut span, slot) => {
                self.put_block(&mut span, slot)?;
                self.write_header(span.pointer(slot), 0, span.geometry().stride)
            }
            Live::Large(large) => self.free_large(&large),
            Live::Mixed(block) => self.free_mixed(&block),
        }
    }

    /// Changes the length of the block at `pointer`; see [`Heap::resize_live`].
    ///
    /// # Errors
    /// The faults of [`Heap::live`] and [`Heap::resize_live`].
    pub fn resize(&self, pointer: u32, byte_length: u32, stay: bool) -> Result<u32> {
        self.resize_live(self.live(pointer)?, byte_length, stay)
    }

    /// Changes the length of a block that was found live to `byte_length` bytes where it is. A
    /// block that would be left mostly unused is not kept where it is unless `stay` is set. Returns
    /// 0, or the requested bytes of a block that must move: it is as it was.
    ///
    /// # Errors
    /// [`Fault::Corrupted`]; the block is as it was.
    pub fn resize_live(&self, live: Live<'m>, byte_length: u32, stay: bool) -> Result<u32> {
        let resized = match live {
            Live::Small(..) | Live::Mixed(_) => {
                let size = live.buffer_size();
                let room = size - HEADER;
                let fits = byte_length <= room && (byte_length >= room / 2 || stay);
                if fits {
                    self.write_header(live.pointer(), byte_length, size)?;
                }
                fits
            }
            Live::Large(_) if class_for(byte_length, GRAIN).is_some() && !stay => false,
            Live::Large(large) => self.resize_large(large, byte_length)?,
        };
        if resized { Ok(0) } else { Ok(self.read_header(live.pointer())?.0) }
    }

    /// The header of the live block at `pointer`: requested bytes and whole space in bytes.
    ///
    /// # Errors
    /// The faults of [`Heap::live`].
    pub fn inspect(&self, pointer: u32) -> Result<(u32, u32)> {
        self.live(pointer)?;
        self.read_header(pointer)
    }

    /// The size class of the block at `pointer`, or [`MIXED`], if it has one.
    ///
    /// # Errors
    /// [`Fault::Corrupted`].
    pub fn class_of(&self, pointer: u32) -> Result<Option<usize>> {
        let unit = pointer / UNIT;
        match self.own_segment(unit)?.kind(unit)? {
            UnitKind::Span { class, .. } => Ok(Some(class)),
            UnitKind::Mixed { .. } => Ok(Some(MIXED)),
            _ => Ok(None),
        }
    }

    /// Whether a block begins at `pointer`, in use or not.
    ///
    /// # Errors
    /// [`Fault::Corrupted`].
    pub fn is_block(&self, pointer: u32) -> Result<bool> {
        let unit = pointer / UNIT;
        let Some(segment) = self.segment_of(unit)? else { return Ok(false) };
        match segment.kind(unit)? {
            UnitKind::Span { class, back } => {
                let span = Span::of_unit(self, segment, unit, class, back)?;
                Ok(span.slot_at(pointer).is_some_and(|slot| span.was_made(slot)))
            }
            UnitKind::Large { .. } => Ok(Large::read(segment, unit)?.pointer() == pointer),
            UnitKind::LargeSecond => {
                let first = unit.checked_sub(1).ok_or(Fault::Corrupted)?;
                Ok(Large::read(segment, first)?.pointer() == pointer)
            }
            UnitKind::Mixed { .. } => match self.live_mixed(segment, pointer) {
                Ok(_) => Ok(true),
                Err(Fault::NeverAllocated | Fault::InsideBlock) => Ok(false),
                Err(fault) => Err(fault),
            },
            _ => Ok(false),
        }
    }

    /// Finds the live block whose pointer is `pointer` and confirms its header and the next one.
    ///
    /// # Errors
    /// [`Fault::NeverAllocated`], [`Fault::InsideBlock`], [`Fault::AlreadyFreed`],
    /// [`Fault::Corrupted`] when a header was written over.
    pub fn live(&self, pointer: u32) -> Result<Live<'m>> {
        let unit = pointer / UNIT;
        let segment = self.segment_of(unit)?.ok_or(Fault::NeverAllocated)?;
        match segment.kind(unit)? {
            UnitKind::Span { class, back } => {
                self.live_in_span(Span::of_unit(self, segment, unit, class, back)?, pointer)
            }
            UnitKind::Large { .. } => self.live_large(segment, unit, pointer),
            UnitKind::LargeSecond => {
                self.live_large(segment, unit.checked_sub(1).ok_or(Fault::Corrupted)?, pointer)
            }
            UnitKind::Inside => self.inside(&segment, unit),
            UnitKind::Mixed { .. } => self.live_mixed(segment, pointer).map(Live::Mixed),
            _ => Err(Fault::NeverAllocated),
        }
    }

    /// Allocates a block without making room for it. With [`Search::Mixing`] one without a free block
    /// of its class may lie in mixed units; with [`Search::Exhaustive`] any may lie in mixed
    /// units, and a small one may be one of a larger class, or have a run of its own.
    ///
    /// # Errors
    /// [`Fault::OutOfMemory`], [`Fault::Corrupted`].
    pub(super) fn allocate(&self, byte_length: u32, align: u32, search: Search) -> Result<u32> {
        let Some(class) = class_for(byte_length, align) else {
            return match self.take_large(byte_length, align, search) {
                Err(Fault::OutOfMemory) if search == Search::Exhaustive => {
                    self.take_mixed(byte_length, align)
                }
                taken => taken,
            };
        };
        let longer = self.longer_class(class, align, |class| self.has_free_blocks(class))?;
        let class = longer.unwrap_or(class);
        if search == Search::Mixing && !self.has_free_blocks(class)? && self.mixes(class)? {
            match self.take_mixed(byte_length, align) {
                Err(Fault::OutOfMemory) => {}
                taken => return taken,
            }
        }
        match self.take_block(class, search) {
            Err(Fault::OutOfMemory) if search == Search::Exhaustive => {
                self.take_any(class, byte_length, align)
            }
            taken => self.with_length(taken?, byte_length),
        }
    }

    // When there is no room for a small block of a class where such blocks are put.
    fn take_any(&self, class: usize, byte_length: u32, align: u32) -> Result<u32> {
        match self.take_mixed(byte_length, align) {
            Err(Fault::OutOfMemory) => {}
            taken => return taken,
        }
        let little_longer = byte_length + HEADER..=longest_instead(class);
        match self.take_longer(byte_length, align, little_longer) {
            Err(Fault::OutOfMemory) => self.take_large(byte_length, align, Search::Exhaustive),
            taken => taken,
        }
    }

    /// Allocates a small block in the place of a much longer one, the shortest that is free, after
    /// [`Heap::malloc`] has found no other room.
    ///
    /// # Errors
    /// [`Fault::OutOfMemory`], [`Fault::Corrupted`].
    pub fn misplace(&self, byte_length: u32, align: u32) -> Result<u32> {
        let class = class_for(byte_length, align).ok_or(Fault::OutOfMemory)?;
        self.take_longer(byte_length, align, longest_instead(class) + 1..=u32::MAX)
    }

    fn with_length(&self, pointer: u32, byte_length: u32) -> Result<u32> {
        self.words.set(pointer / 4 - 2, byte_length).map(|()| pointer)
    }

    // Takes the shortest free block of these strides.
    fn take_longer(
        &self,
        byte_length: u32,
        align: u32,
        strides: RangeInclusive<u32>,
    ) -> Result<u32> {
        let mut shortest: Option<usize> = None;
        for (class, SizeClass { stride, align: natural, .. }) in CLASSES.iter().enumerate() {
            let is_shorter = shortest.is_none_or(|found| *stride < CLASSES[found].stride);
            if is_shorter
                && strides.contains(stride)
                && *natural >= align
                && self.has_room(class)?
            {
                shortest = Some(class);
            }
        }
        let class = shortest.ok_or(Fault::OutOfMemory)?;
        self.with_length(self.take_block(class, Search::Quick)?, byte_length)
    }

    fn live_in_span(&self, span: Span<'m>, pointer: u32) -> Result<Live<'m>> {
        let Some(slot) = span.slot_at(pointer) else {
            return Err(self.why_not_live(&span, pointer)?);
        };
        if !span.was_made(slot) {
            return Err(Fault::NeverAllocated);
        }
        let stride = span.geometry().stride;
        let (byte_length, size) = self.read_header(pointer)?;
        let (_, next_size) = self.read_header(pointer + stride)?;
        if span.is_free(slot)? {
            return Err(Fault::AlreadyFreed);
        }
        if size != stride || next_size != stride || byte_length > stride - HEADER {
            return Err(Fault::Corrupted);
        }
        if byte_length == 0 { Err(Fault::AlreadyFreed) } else { Ok(Live::Small(span, slot)) }
    }

    fn why_not_live(&self, span: &Span<'m>, pointer: u32) -> Result<Fault> {
        let Some(slot) = span.slot_holding(pointer) else { return Ok(Fault::NeverAllocated) };
        let live = !span.is_free(slot)? && self.read_header(span.pointer(slot))?.0 != 0;
        Ok(if live { Fault::InsideBlock } else { Fault::NeverAllocated })
    }

    /// Puts blocks back that [`Heap::take_spans`] gave and that are not in use.
    ///
    /// # Errors
    /// [`Fault::FreedTwice`] when one is in use, or free in the heap's own books: two threads freed
    /// it at the same time; [`Fault::Corrupted`]. The other blocks are put back all the same.
    pub fn put_unused_blocks(&self, pointers: impl Iterator<Item = u32>) -> Result<()> {
        let mut outcome = Ok(());
        // The span of the block before: neighbours often come together.
        let mut last = None;
        for pointer in pointers {
            outcome = outcome.and(self.put_unused_block(pointer, &mut last));
            self.words.commit();
        }
        outcome
    }

    #[inline]
    fn put_unused_block(&self, pointer: u32, last: &mut Option<Span<'m>>) -> Result<()> {
        let span = match last {
            Some(span) if span.contains(pointer) => span,
            _ => {
                let segment = self.segment_with(pointer, last.map(|span| span.segment))?;
                if let UnitKind::Large { .. } = segment.kind(pointer / UNIT)? {
                    return self.put_unused_large(segment, pointer);
                }
                last.insert(self.span_of(segment, pointer)?)
            }
        };
        let slot = span.slot_at(pointer).ok_or(Fault::FreedTwice)?;
        let (byte_length, size) = self.read_header(pointer)?;
        if byte_length != 0 || span.is_free(slot)? {
            return Err(Fault::FreedTwice);
        }
        if size != span.geometry().stride {
            return Err(Fault::Corrupted);
        }
        self.put_block(span, slot)
    }

    fn segment_with(&self, pointer: u32, guess: Option<Segment<'m>>) -> Result<Segment<'m>> {
        let unit = pointer / UNIT;
        match guess.filter(|segment| segment.contains(unit)) {
            Some(segment) => Ok(segment),
            None => self.own_segment(unit),
        }
    }

    fn span_of(&self, segment: Segment<'m>, pointer: u32) -> Result<Span<'m>> {
        let unit = pointer / UNIT;
        let UnitKind::Span { class, back } = segment.kind(unit)? else {
            return Err(Fault::FreedTwice);
        };
        Span::of_unit(self, segment, unit, class, back)
    }

    fn live_large(&self, segment: Segment<'m>, unit: u32, pointer: u32) -> Result<Live<'m>> {
        let (large, byte_length) = self.large_at(segment, unit)?;
        match (byte_length, pointer == large.pointer()) {
            (0, true) => Err(Fault::AlreadyFreed),
            (0, false) => Err(Fault::NeverAllocated),
            (_, true) => Ok(Live::Large(large)),
            (_, false) => Err(Fault::InsideBlock),
        }
    }

    // Only on the way to an error: looks for the start of what the unit is inside of.
    fn inside<T>(&self, segment: &Segment<'m>, unit: u32) -> Result<T> {
        for before in (segment.start..unit).rev() {
            match segment.kind(before)? {
                UnitKind::Inside | UnitKind::LargeSecond => {}
                UnitKind::Large { .. } => return Err(Fault::InsideBlock),
                _ => break,
            }
        }
        Err(Fault::NeverAllocated)
    }
}
