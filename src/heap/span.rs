//! Spans: runs of units cut into equal blocks of one size class, with one bit for each free block.
//!
//! ```text
//! span     [record | headers and blocks ...]
//! record   next, previous, counts, made, bitmap of free blocks
//! ```
//!
//! Slot `k` has its pointer at `span + offset + k * stride` and its header right before. Slots are
//! made when they are first taken: those from `made` on were never touched and count as free. Every
//! slot that was made, and the place behind the last one, has a header that holds the stride, with
//! a `byteLength` of 0 when the block is not in use. So a write past any block's end meets one.

use super::list::Links;
use super::measures::{HEADER, LISTED, UNIT, WORDS_PER_UNIT};
use super::run::Search;
use super::segment::Segment;
use super::size_class::{CLASSES, MAX_SLOTS, RECORD_WORDS, SizeClass};
use super::superblock::{Heap, field};
use super::unit_kind::UnitKind;
use super::words::Words;
use crate::fault::{Fault, Result};

/// Offsets in a span, in words.
const NEXT: u32 = 0;
const PREVIOUS: u32 = 1;
/// Units and, in the lower [`FREE_BITS`], free blocks: as many as there are bits and slots not
/// made.
pub const COUNTS: u32 = 2;
/// Slots that were made. In a word of its own: one that is wrong disagrees with [`COUNTS`].
const MADE: u32 = 3;
/// Bit `k` set iff slot `k` was made and is free.
pub const BITS: u32 = RECORD_WORDS;
const FREE_BITS: u32 = 16;

/// A span of one size class.
#[derive(Clone, Copy, Debug)]
pub struct Span<'m> {
    pub segment: Segment<'m>,
    /// The span's first unit.
    pub unit: u32,
    pub class: usize,
    pub units: u32,
    /// How many blocks the span holds.
    pub slots: u32,
    /// Free blocks, as the span's record counts them.
    pub free: u32,
    /// Slots that were made.
    pub made: u32,
    words: Words<'m>,
}

/// What became of slots that were taken.
#[derive(Clone, Copy, Debug, Default)]
struct Taken {
    given: u32,
    /// Slots that are not given out because their header was written over.
    damaged: u32,
}

impl<'m> Span<'m> {
    /// The span of class `class` that starts at `unit`.
    ///
    /// # Errors
    /// [`Fault::Corrupted`] when there is none or its record is impossible.
    #[inline]
    pub fn read(heap: &Heap<'m>, segment: Segment<'m>, unit: u32, class: usize) -> Result<Self> {
        if segment.kind(unit)? != (UnitKind::Span { class, back: 0 }) {
            return Err(Fault::Corrupted);
        }
        let record = unit * WORDS_PER_UNIT;
        let counts = heap.words.get(record + COUNTS)?;
        let (units, free) = (counts >> FREE_BITS, counts & ((1 << FREE_BITS) - 1));
        let made = heap.words.get(record + MADE)?;
        let geometry = &CLASSES[class];
        let sized = units >= geometry.least_units()
            && units <= geometry.full_units
            && units <= segment.end - unit;
        if !sized {
            return Err(Fault::Corrupted);
        }
        let slots = geometry.slots(units);
        let sound = free <= slots
            && made <= slots
            && segment.kind(unit + units - 1)? == UnitKind::Span { class, back: units - 1 };
        if !sound {
            return Err(Fault::Corrupted);
        }
        Ok(Self { segment, unit, class, units, slots, free, made, words: heap.words })
    }

    /// The span of class `class` that starts `back` units before `unit`.
    ///
    /// # Errors
    /// [`Fault::Corrupted`] when there is none or its record is impossible.
    #[inline]
    pub fn of_unit(
        heap: &Heap<'m>,
        segment: Segment<'m>,
        unit: u32,
        class: usize,
        back: u32,
    ) -> Result<Self> {
        Self::read(heap, segment, unit.checked_sub(back).ok_or(Fault::Corrupted)?, class)
    }

    /// The geometry of the span's class.
    #[inline]
    pub fn geometry(&self) -> &'static SizeClass {
        &CLASSES[self.class]
    }

    /// The word index of the span's record.
    const fn record(&self) -> u32 {
        self.unit * WORDS_PER_UNIT
    }

    /// The pointer of slot `slot`.
    #[inline]
    pub fn pointer(&self, slot: u32) -> u32 {
        self.unit * UNIT + self.geometry().offset + slot * self.geometry().stride
    }

    /// Whether the byte at `pointer` lies in one of the span's units.
    pub(super) const fn contains(&self, pointer: u32) -> bool {
        let unit = pointer / UNIT;
        self.unit <= unit && unit < self.unit + self.units
    }

    /// The slot whose pointer is `pointer`, if any.
    #[inline]
    pub fn slot_at(&self, pointer: u32) -> Option<u32> {
        let first = self.unit * UNIT + self.geometry().offset;
        let slot = self.geometry().slot_at(pointer.checked_sub(first)?)?;
        (slot < self.slots).then_some(slot)
    }

    /// The slot whose block the byte at `pointer` lies in, header included, if any.
    pub fn slot_holding(&self, pointer: u32) -> Option<u32> {
        let start = self.pointer(0) - HEADER;
        let slot = pointer.checked_sub(start)? / self.geometry().stride;
        (slot < self.slots).then_some(slot)
    }

    /// The pointers of all blocks.
    pub fn blocks(&self) -> impl Iterator<Item = u32> + use<'_, 'm> {
        (0..self.slots).map(|slot| self.pointer(slot))
    }

    /// Whether `slot` was ever taken.
    pub const fn was_made(&self, slot: u32) -> bool {
        slot < self.made
    }

    /// Whether `slot` is free.
    #[inline]
    pub fn is_free(&self, slot: u32) -> Result<bool> {
        let bits = self.words.get(self.record() + BITS + slot / 32)?;
        Ok(slot >= self.made || bits & 1 << (slot % 32) != 0)
    }

    /// How many blocks are free, counted one by one.
    pub fn count_free(&self) -> Result<u32> {
        (0..self.slots.div_ceil(32)).try_fold(self.slots - self.made, |free, word| {
            Ok(free + self.words.get(self.record() + BITS + word)?.count_ones())
        })
    }

    /// Takes up to `most` free slots and calls `give` with their pointers: those that were in use
    /// before, the lowest first, then new ones. Slots whose header was written over are taken but
    /// not given: they are never used again.
    fn take_slots(
        &mut self,
        heap: &Heap<'m>,
        most: u32,
        give: &mut impl FnMut(u32),
    ) -> Result<Taken> {
        // A bit too many may be a block that a thread keeps: it would be given out twice.
        if self.count_free()? != self.free {
            return Err(Fault::Corrupted);
        }
        let mut taken = Taken::default();
        for word in 0..self.made.div_ceil(32) {
            let mut bits = self.words.get(self.record() + BITS + word)?;
            if bits == 0 {
                continue;
            }
            while bits != 0 && taken.given < most {
                let slot = word * 32 + bits.trailing_zeros();
                bits &= bits - 1;
                self.take_slot(heap, slot, &mut taken, give)?;
            }
            self.words.set(self.record() + BITS + word, bits)?;
        }
        let first = self.made;
        while self.made < self.slots && taken.given < most {
            self.made += 1;
            heap.write_header(self.pointer(self.made), 0, self.geometry().stride)?;
            self.take_slot(heap, self.made - 1, &mut taken, give)?;
        }
        if self.made > first {
            self.words.set(self.record() + MADE, self.made)?;
        }
        let all = taken.given + taken.damaged;
        self.set_free(self.free.checked_sub(all).filter(|_| all > 0).ok_or(Fault::Corrupted)?)?;
        Ok(taken)
    }

    #[inline]
    fn take_slot(
        &self,
        heap: &Heap<'m>,
        slot: u32,
        taken: &mut Taken,
        give: &mut impl FnMut(u32),
    ) -> Result<()> {
        let pointer = self.pointer(slot);
        if self.was_made(slot) && heap.is_unused(pointer, self.geometry().stride) {
            taken.given += 1;
            give(pointer);
        } else {
            taken.damaged += 1;
        }
        Ok(())
    }

    #[inline]
    fn put_slot(&mut self, slot: u32) -> Result<()> {
        if self.free >= self.slots || slot >= self.made {
            return Err(Fault::Corrupted);
        }
        let index = self.record() + BITS + slot / 32;
        self.words.set(index, self.words.get(index)? | 1 << (slot % 32))?;
        self.set_free(self.free + 1)
    }

    fn take_slot_back(&mut self, slot: u32) -> Result<()> {
        let index = self.record() + BITS + slot / 32;
        self.words.set(index, self.words.get(index)? & !(1 << (slot % 32)))?;
        self.set_free(self.free - 1)
    }

    fn set_free(&mut self, free: u32) -> Result<()> {
        self.free = free;
        self.words.set(self.record() + COUNTS, self.units << FREE_BITS | free)
    }
}

/// The links of spans, in their records.
pub struct SpanLinks<'h, 'm>(pub &'h Heap<'m>);

impl SpanLinks<'_, '_> {
    fn record(&self, unit: u32) -> Result<u32> {
        match self.0.own_segment(unit)?.kind(unit)? {
            UnitKind::Span { back: 0, .. } => Ok(unit * WORDS_PER_UNIT),
            _ => Err(Fault::Corrupted),
        }
    }
}

impl Links for SpanLinks<'_, '_> {
    fn next(&self, unit: u32) -> Result<u32> {
        self.0.words.get(self.record(unit)? + NEXT)
    }

    fn previous(&self, unit: u32) -> Result<u32> {
        self.0.words.get(self.record(unit)? + PREVIOUS)
    }

    fn set_next(&self, unit: u32, next: u32) -> Result<()> {
        self.0.words.set(self.record(unit)? + NEXT, next)
    }

    fn set_previous(&self, unit: u32, previous: u32) -> Result<()> {
        self.0.words.set(self.record(unit)? + PREVIOUS, previous)
    }
}

impl<'m> Heap<'m> {
    /// Takes all free blocks of spans of class `class`, one span after the other until there are
    /// `least`, and calls `give` with their pointers; their headers hold the stride and a
    /// `byteLength` of 0. At most one new span is cut.
    ///
    /// # Errors
    /// [`Fault::OutOfMemory`]; [`Fault::Corrupted`] when the headers of all blocks found were
    /// written over: they are not given out, and the next call looks for others.
    pub fn take_spans(
        &self,
        class: usize,
        least: u32,
        search: Search,
        mut give: impl FnMut(u32),
    ) -> Result<()> {
        let mut given = 0;
        while given < least && (given == 0 || self.has_room(class)?) {
            given += self.take_from_span(class, MAX_SLOTS, search, &mut give)?;
        }
        Ok(())
    }

    pub(super) fn take_block(&self, class: usize, search: Search) -> Result<u32> {
        let mut block = 0;
        self.take_from_span(class, 1, search, &mut |pointer| block = pointer)?;
        Ok(block)
    }

    // Takes up to `most` blocks of one span. Returns how many there are, at least one.
    fn take_from_span(
        &self,
        class: usize,
        most: u32,
        search: Search,
        give: &mut impl FnMut(u32),
    ) -> Result<u32> {
        let mut span = self.span_with_room(class, search)?;
        let taken = span.take_slots(self, most, give)?;
        if span.free == 0 {
            self.unlink(&SpanLinks(self), field::PARTIAL + class as u32, span.unit)?;
        }
        if taken.given == 0 { Err(Fault::Corrupted) } else { Ok(taken.given) }
    }

    /// Puts a block back.
    ///
    /// # Errors
    /// [`Fault::Corrupted`]; the block is as it was.
    #[inline]
    pub(super) fn put_block(&self, span: &mut Span<'m>, slot: u32) -> Result<()> {
        span.put_slot(slot)?;
        let listed = if span.free == span.slots {
            self.retire_span(span)
        } else if span.free == 1 {
            self.list_span(span, field::PARTIAL)
        } else {
            Ok(())
        };
        listed.inspect_err(|_| drop(span.take_slot_back(slot)))
    }

    // All blocks of the span are free: it waits to be used again, until its units are wanted.
    fn retire_span(&self, span: &Span<'m>) -> Result<()> {
        if span.slots == 1 {
            return self.list_span(span, field::SPARE);
        }
        self.unlink(&SpanLinks(self), field::PARTIAL + span.class as u32, span.unit)?;
        let retired = self.list_span(span, field::SPARE);
        retired.inspect_err(|_| drop(self.list_span(span, field::PARTIAL)))
    }

    // Puts a span at the front of one of its class's lists.
    fn list_span(&self, span: &Span<'m>, lists: u32) -> Result<()> {
        self.push_front(&SpanLinks(self), lists + span.class as u32, span.unit).map(drop)
    }

    /// Frees the spans that are kept though all their blocks are free.
    ///
    /// # Errors
    /// [`Fault::Corrupted`].
    pub fn free_spare_spans(&self) -> Result<()> {
        for class in 1..CLASSES.len() {
            while let Some(span) = self.take_spare(class)? {
                self.free_units(&span)?;
                self.words.commit();
            }
        }
        Ok(())
    }

    /// The span that `unit` is in, if it is in one.
    ///
    /// # Errors
    /// [`Fault::Corrupted`].
    pub fn span_around(&self, unit: u32) -> Result<Option<Span<'m>>> {
        let Some(segment) = self.segment_of(unit)? else { return Ok(None) };
        let UnitKind::Span { class, back } = segment.kind(unit)? else { return Ok(None) };
        let span = Span::of_unit(self, segment, unit, class, back)?;
        if back < span.units { Ok(Some(span)) } else { Err(Fault::Corrupted) }
    }

    /// Frees a span that is in use, of whose blocks none is.
    ///
    /// # Errors
    /// [`Fault::Corrupted`].
    pub fn free_idle_span(&self, span: &Span<'m>) -> Result<()> {
        if span.free > 0 {
            self.unlink(&SpanLinks(self), field::PARTIAL + span.class as u32, span.unit)?;
        }
        self.free_units(span)?;
        self.words.commit();
        Ok(())
    }

    /// Whether a span of class `class` has free blocks.
    ///
    /// # Errors
    /// [`Fault::Corrupted`].
    pub fn has_free_blocks(&self, class: usize) -> Result<bool> {
        Ok(self.has_room(class)? || self.field(field::SPARE + class as u32)? != 0)
    }

    /// Whether a span of class `class` has both free and taken blocks.
    pub(super) fn has_room(&self, class: usize) -> Result<bool> {
        Ok(self.field(field::PARTIAL + class as u32)? != 0)
    }

    fn span_with_room(&self, class: usize, search: Search) -> Result<Span<'m>> {
        let partial = field::PARTIAL + class as u32;
        let head = self.field(partial)?;
        if head != 0 {
            return Span::read(self, self.own_segment(head)?, head, class);
        }
        let span = match self.take_spare(class)? {
            Some(span) => span,
            None => self.carve_span(class, search)?,
        };
        self.list_span(&span, field::PARTIAL)?;
        Ok(span)
    }

    fn take_spare(&self, class: usize) -> Result<Option<Span<'m>>> {
        let spare = field::SPARE + class as u32;
        let unit = self.field(spare)?;
        if unit == 0 {
            return Ok(None);
        }
        let span = Span::read(self, self.own_segment(unit)?, unit, class)?;
        if span.free != span.slots || span.count_free()? != span.free {
            return Err(Fault::Corrupted);
        }
        self.unlink(&SpanLinks(self), spare, unit)?;
        Ok(Some(span))
    }

    fn carve_span(&self, class: usize, search: Search) -> Result<Span<'m>> {
        let geometry = &CLASSES[class];
        let (segment, unit, units) = self.take_span_run(class, search)?;
        for back in 0..units {
            segment.set_kind(unit + back, UnitKind::Span { class, back })?;
        }
        let record = unit * WORDS_PER_UNIT;
        let slots = geometry.slots(units);
        for word in [NEXT, PREVIOUS, MADE] {
            self.words.set_unused(record + word, 0)?;
        }
        for word in 0..geometry.bitmap_words {
            self.words.set_unused(record + BITS + word, 0)?;
        }
        self.words.set_unused(record + COUNTS, units << FREE_BITS | slots)?;
        self.add_span_units(class, units as i32)?;
        let span = Span::read(self, segment, unit, class)?;
        self.write_header(span.pointer(0), 0, geometry.stride)?;
        Ok(span)
    }

    // Takes units for a span of a class: as many as are sensible, or as there are.
    fn take_span_run(&self, class: usize, search: Search) -> Result<(Segment<'m>, u32, u32)> {
        let geometry = &CLASSES[class];
        let units = self.units_wanted(class)?;
        if let Some(taken) = self.take_gap(class, units, units)? {
            return Ok(taken);
        }
        match self.take_run(units, 1, search) {
            Err(Fault::OutOfMemory) => {
                let longest = self.longest_run()?.min(units);
                if longest < geometry.least_units() {
                    let taken = self.take_gap(class, geometry.least_units(), units)?;
                    return taken.ok_or(Fault::OutOfMemory);
                }
                let units = geometry.units_needed(longest);
                self.take_run(units, 1, search).map(|(segment, unit)| (segment, unit, units))
            }
            taken => taken.map(|(segment, unit)| (segment, unit, units)),
        }
    }

    // Takes units for a span of `least` to `most` units in the lowest free run that is in no bin, as
    // it is too short for that. Only in a small heap: all that is below it is looked at.
    fn take_gap(
        &self,
        class: usize,
        least: u32,
        most: u32,
    ) -> Result<Option<(Segment<'m>, u32, u32)>> {
        if least >= LISTED || !self.is_small()? {
            return Ok(None);
        }
        for segment in self.segments()? {
            let segment = segment?;
            let mut unit = segment.start;
            while unit < segment.end {
                let length = self.length_at(segment, unit)?;
                let is_free = matches!(segment.kind(unit)?, UnitKind::Free { .. });
                if is_free && least <= length && length < LISTED {
                    let units = CLASSES[class].units_needed(length.min(most));
                    self.take_run_at(&segment, unit, units)?;
                    return Ok(Some((segment, unit, units)));
                }
                unit += length;
            }
        }
        Ok(None)
    }

    /// How many units the span, run, large block or table that begins at `unit` has.
    pub(super) fn length_at(&self, segment: Segment<'m>, unit: u32) -> Result<u32> {
        let units = match segment.kind(unit)? {
            UnitKind::Span { class, .. } => Span::read(self, segment, unit, class)?.units,
            UnitKind::Free { .. } => segment.run_length(unit)?,
            UnitKind::Large { units, .. } | UnitKind::Table { units } => units,
            UnitKind::Mixed { .. } => 1,
            _ => 0,
        };
        if 0 < units && units <= segment.end - unit { Ok(units) } else { Err(Fault::Corrupted) }
    }

    fn add_span_units(&self, class: usize, units: i32) -> Result<()> {
        let field = field::SPAN_UNITS + class as u32;
        self.set_field(field, self.field(field)?.saturating_add_signed(units))
    }

    fn free_units(&self, span: &Span<'m>) -> Result<()> {
        for unit in span.unit..span.unit + span.units {
            span.segment.set_kind(unit, UnitKind::Inside)?;
        }
        self.add_span_units(span.class, -(span.units as i32))?;
        self.free_run(&span.segment, span.unit, span.units)
    }
}
