//! Spans: runs of units cut into equal blocks of one size class, with one bit for each free block.
//!
//! Slot `k` has its pointer at `span + offset + k * stride` and its header right before. Every
//! header of a span holds the stride from the start, also those of free blocks (whose `byteLength`
//! is 0) and one behind the last block, so that a write past any block's end meets one.

use super::Heap;
use super::block::Search;
use super::layout::{AUX, BITS, HEADER, MAX_SLOTS, NEXT, PREVIOUS, UNIT, UnitKind, root};
use super::segment::Segment;
use super::size_class::{CLASSES, SizeClass};
use crate::error::{Fault, Result};

/// A span takes at most one part in this many of a heap, so that small heaps get small spans.
const HEAP_SHARE: u32 = 64;
const FREE_BITS: u32 = 16;

/// A span of one size class.
#[derive(Clone, Copy, Debug)]
pub struct Span<'m> {
    pub segment: Segment<'m>,
    /// The span's first unit.
    pub unit: u32,
    pub class: usize,
    pub units: u32,
    /// Free blocks, as the span's record counts them.
    pub free: u32,
}

impl<'m> Span<'m> {
    /// The span of class `class` that starts at `unit`.
    ///
    /// # Errors
    /// [`Fault::Corrupted`] when there is none or its record is impossible.
    pub fn read(segment: Segment<'m>, unit: u32, class: usize) -> Result<Self> {
        let aux = segment.record(unit, AUX)?;
        let (units, free) = (aux >> FREE_BITS, aux & ((1 << FREE_BITS) - 1));
        let span = Self { segment, unit, class, units, free };
        let sized = units >= span.geometry().least_units()
            && units <= span.geometry().units
            && units <= segment.end - unit
            && free <= span.slots();
        let mapped = sized
            && segment.kind(unit)? == UnitKind::Span { class, back: 0 }
            && segment.kind(unit + units - 1)? == UnitKind::Span { class, back: units - 1 };
        if mapped { Ok(span) } else { Err(Fault::Corrupted) }
    }

    /// The geometry of the span's class.
    pub fn geometry(&self) -> &'static SizeClass {
        &CLASSES[self.class]
    }

    /// How many blocks the span holds.
    pub fn slots(&self) -> u32 {
        self.geometry().slots(self.units)
    }

    /// The pointer of slot `slot`.
    pub fn pointer(&self, slot: u32) -> u32 {
        self.unit * UNIT + self.geometry().offset + slot * self.geometry().stride
    }

    /// The slot whose pointer is `pointer`, or else the slot that it lies in, if any.
    pub fn slot_at(&self, pointer: u32) -> core::result::Result<u32, Option<u32>> {
        let start = self.unit * UNIT + self.geometry().offset;
        let slot_holding = |byte: u32| {
            byte.checked_sub(start - HEADER).map(|distance| distance / self.geometry().stride)
        };
        let slot = slot_holding(pointer).filter(|&slot| slot < self.slots()).ok_or(None)?;
        if self.pointer(slot) == pointer { Ok(slot) } else { Err(Some(slot)) }
    }

    /// Whether the bitmap has `slot` as free.
    pub fn is_free(&self, slot: u32) -> Result<bool> {
        Ok(self.segment.record(self.unit, BITS + slot / 32)? & 1 << (slot % 32) != 0)
    }

    /// How many blocks the bitmap has as free.
    pub fn count_free(&self) -> Result<u32> {
        (0..self.slots().div_ceil(32)).try_fold(0, |free, word| {
            Ok(free + self.segment.record(self.unit, BITS + word)?.count_ones())
        })
    }

    /// Takes the lowest free slot.
    fn take_slot(&mut self) -> Result<u32> {
        for word in 0..self.slots().div_ceil(32) {
            let bits = self.segment.record(self.unit, BITS + word)?;
            if bits != 0 {
                self.segment.set_record(self.unit, BITS + word, bits & (bits - 1))?;
                self.set_free(self.free.checked_sub(1).ok_or(Fault::Corrupted)?)?;
                let slot = word * 32 + bits.trailing_zeros();
                return if slot < self.slots() { Ok(slot) } else { Err(Fault::Corrupted) };
            }
        }
        Err(Fault::Corrupted)
    }

    fn put_slot(&mut self, slot: u32) -> Result<()> {
        if self.free >= self.slots() {
            return Err(Fault::Corrupted);
        }
        let index = BITS + slot / 32;
        let bits = self.segment.record(self.unit, index)?;
        self.segment.set_record(self.unit, index, bits | 1 << (slot % 32))?;
        self.set_free(self.free + 1)
    }

    fn set_free(&mut self, free: u32) -> Result<()> {
        self.free = free;
        self.segment.set_record(self.unit, AUX, self.units << FREE_BITS | free)
    }
}

impl<'m> Heap<'m> {
    /// Takes a block of class `class`; its header holds the stride and a `byteLength` of 0.
    ///
    /// # Errors
    /// [`Fault::OutOfMemory`]; [`Fault::Corrupted`] when the block's header was written over: it is
    /// not given out then, and the next call takes another.
    pub(super) fn take_block(&self, class: usize, search: Search) -> Result<u32> {
        let mut span = self.span_with_room(class, search)?;
        let slot = span.take_slot()?;
        if span.free == 0 {
            self.unlink(root::PARTIAL + class as u32, &span.segment, span.unit)?;
        }
        let pointer = span.pointer(slot);
        let untouched = self.header(pointer)? == (0, span.geometry().stride);
        if untouched { Ok(pointer) } else { Err(Fault::Corrupted) }
    }

    /// Puts a block back. A span whose blocks are all free is kept if it is the only one of its
    /// class with room, else its units are freed.
    pub(super) fn put_block(&self, span: &mut Span<'m>, slot: u32) -> Result<()> {
        let partial = root::PARTIAL + span.class as u32;
        span.put_slot(slot)?;
        if span.free == 1 && span.slots() > 1 {
            return self.push_front(partial, &span.segment, span.unit);
        }
        if span.free < span.slots() {
            return Ok(());
        }
        if span.slots() > 1 {
            self.unlink(partial, &span.segment, span.unit)?;
        }
        let spare = root::SPARE + span.class as u32;
        if self.field(partial)? == 0 && self.field(spare)? == 0 {
            return self.set_field(spare, span.unit);
        }
        self.free_span(span)
    }

    /// Frees the spans that are kept though all their blocks are free.
    ///
    /// # Errors
    /// [`Fault::Corrupted`].
    pub fn free_spare_spans(&self) -> Result<()> {
        for class in 0..CLASSES.len() {
            if let Some(span) = self.take_spare(class)? {
                self.free_span(&span)?;
            }
        }
        Ok(())
    }

    /// Whether a span of class `class` has both free and taken blocks.
    pub(super) fn has_room(&self, class: usize) -> Result<bool> {
        Ok(self.field(root::PARTIAL + class as u32)? != 0)
    }

    fn span_with_room(&self, class: usize, search: Search) -> Result<Span<'m>> {
        let partial = root::PARTIAL + class as u32;
        let head = self.field(partial)?;
        if head != 0 {
            return Span::read(self.own_segment(head)?, head, class);
        }
        let span = match self.take_spare(class)? {
            Some(span) => span,
            None => self.carve_span(class, search)?,
        };
        self.push_front(partial, &span.segment, span.unit)?;
        Ok(span)
    }

    fn take_spare(&self, class: usize) -> Result<Option<Span<'m>>> {
        let spare = root::SPARE + class as u32;
        let unit = self.field(spare)?;
        if unit == 0 {
            return Ok(None);
        }
        let span = Span::read(self.own_segment(unit)?, unit, class)?;
        if span.free != span.slots() || span.count_free()? != span.free {
            return Err(Fault::Corrupted);
        }
        self.set_field(spare, 0)?;
        Ok(Some(span))
    }

    fn carve_span(&self, class: usize, search: Search) -> Result<Span<'m>> {
        let geometry = &CLASSES[class];
        let least = geometry.least_units();
        let units = geometry.units.min(self.total_units()? / HEAP_SHARE).max(least);
        let (segment, unit, units) = match self.take_run(units, 1, search) {
            Ok((segment, unit)) => (segment, unit, units),
            Err(Fault::OutOfMemory) if units > least => {
                let (segment, unit) = self.take_run(least, 1, search)?;
                (segment, unit, least)
            }
            Err(fault) => return Err(fault),
        };
        for back in 0..units {
            segment.set_kind(unit + back, UnitKind::Span { class, back })?;
        }
        let mut span = Span { segment, unit, class, units, free: 0 };
        self.format_span(&mut span)?;
        Ok(span)
    }

    fn format_span(&self, span: &mut Span<'m>) -> Result<()> {
        let slots = span.slots();
        for slot in 0..=slots {
            self.set_header(span.pointer(slot), 0, span.geometry().stride)?;
        }
        for word in 0..MAX_SLOTS / 32 {
            let bits = slots.saturating_sub(word * 32).min(32);
            let mask = ((1_u64 << bits) - 1) as u32;
            span.segment.set_record(span.unit, BITS + word, mask)?;
        }
        span.segment.set_record(span.unit, NEXT, 0)?;
        span.segment.set_record(span.unit, PREVIOUS, 0)?;
        span.set_free(slots)
    }

    fn free_span(&self, span: &Span<'m>) -> Result<()> {
        if span.count_free()? != span.slots() {
            return Err(Fault::Corrupted);
        }
        for unit in span.unit..span.unit + span.units {
            span.segment.set_kind(unit, UnitKind::Inside)?;
        }
        self.free_run(&span.segment, span.unit, span.units)
    }
}
