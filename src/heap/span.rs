//! Spans: runs of units cut into equal blocks of one size class, with one bit for each free block.
//!
//! Slot `k` has its pointer at `span + offset + k * stride` and its header right before. Every
//! header of a span holds the stride from the start, also those of free blocks (whose `byteLength`
//! is 0) and one behind the last block, so that a write past any block's end meets one.

use super::block::Search;
use super::layout::{AUX, BITS, HEADER, MAX_SLOTS, NEXT, PREVIOUS, UNIT, UnitKind, root};
use super::segment::Segment;
use super::size_class::{CLASSES, SizeClass};
use super::{Heap, Words};
use crate::fault::{Fault, Result};

/// A span takes at most one part in this many of a heap, so that small heaps get small spans.
const HEAP_SHARE: u32 = 16;
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
    words: Words<'m>,
    /// Word index of the span's record.
    record: u32,
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
    pub fn read(heap: &Heap<'m>, segment: Segment<'m>, unit: u32, class: usize) -> Result<Self> {
        let span = Self::of_units(heap, segment, unit, class, 0)?;
        let aux = span.words.get(span.record + AUX)?;
        let (units, free) = (aux >> FREE_BITS, aux & ((1 << FREE_BITS) - 1));
        let geometry = &CLASSES[class];
        let sized = units >= geometry.least_units()
            && units <= geometry.units
            && units <= segment.end - unit;
        if !sized {
            return Err(Fault::Corrupted);
        }
        let slots = geometry.slots(units);
        let mapped = free <= slots
            && segment.kind(unit)? == UnitKind::Span { class, back: 0 }
            && segment.kind(unit + units - 1)? == UnitKind::Span { class, back: units - 1 };
        if mapped { Ok(Self { units, slots, free, ..span }) } else { Err(Fault::Corrupted) }
    }

    /// A span of `units` units, none of its blocks free.
    fn of_units(
        heap: &Heap<'m>,
        segment: Segment<'m>,
        unit: u32,
        class: usize,
        units: u32,
    ) -> Result<Self> {
        let slots = if units == 0 { 0 } else { CLASSES[class].slots(units) };
        let record = segment.record_index(unit)?;
        Ok(Self { segment, unit, class, units, slots, free: 0, words: heap.words, record })
    }

    /// The geometry of the span's class.
    pub fn geometry(&self) -> &'static SizeClass {
        &CLASSES[self.class]
    }

    /// The pointer of slot `slot`.
    pub fn pointer(&self, slot: u32) -> u32 {
        self.unit * UNIT + self.geometry().offset + slot * self.geometry().stride
    }

    /// Whether the byte at `pointer` lies in one of the span's units.
    const fn contains(&self, pointer: u32) -> bool {
        let unit = pointer / UNIT;
        self.unit <= unit && unit < self.unit + self.units
    }

    /// The slot whose pointer is `pointer`, if any.
    pub fn slot_at(&self, pointer: u32) -> Option<u32> {
        let first = self.unit * UNIT + self.geometry().offset;
        let slot = self.geometry().slot_at(pointer.checked_sub(first)?)?;
        (slot < self.slots).then_some(slot)
    }

    /// The slot whose block the byte at `pointer` lies in, header included, if any.
    pub fn slot_holding(&self, pointer: u32) -> Option<u32> {
        let start = self.unit * UNIT + self.geometry().offset - HEADER;
        let slot = pointer.checked_sub(start)? / self.geometry().stride;
        (slot < self.slots).then_some(slot)
    }

    /// Whether the bitmap has `slot` as free.
    pub fn is_free(&self, slot: u32) -> Result<bool> {
        Ok(self.words.get(self.record + BITS + slot / 32)? & 1 << (slot % 32) != 0)
    }

    /// How many blocks the bitmap has as free.
    pub fn count_free(&self) -> Result<u32> {
        (0..self.slots.div_ceil(32)).try_fold(0, |free, word| {
            Ok(free + self.words.get(self.record + BITS + word)?.count_ones())
        })
    }

    /// Takes up to `most` free slots, the lowest first, and calls `give` with their pointers. Slots whose
    /// header was written over are taken but not given: they are never used again.
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
        for word in 0..self.slots.div_ceil(32) {
            let mut bits = self.words.get(self.record + BITS + word)?;
            if bits == 0 {
                continue;
            }
            while bits != 0 && taken.given < most {
                let slot = word * 32 + bits.trailing_zeros();
                bits &= bits - 1;
                let unused = (0, self.geometry().stride);
                if slot < self.slots && heap.header(self.pointer(slot))? == unused {
                    taken.given += 1;
                    give(self.pointer(slot));
                } else {
                    taken.damaged += 1;
                }
            }
            self.words.set(self.record + BITS + word, bits)?;
            if taken.given == most {
                break;
            }
        }
        let all = taken.given + taken.damaged;
        if all == 0 {
            return Err(Fault::Corrupted);
        }
        self.set_free(self.free.checked_sub(all).ok_or(Fault::Corrupted)?)?;
        Ok(taken)
    }

    fn put_slot(&mut self, slot: u32) -> Result<()> {
        if self.free >= self.slots {
            return Err(Fault::Corrupted);
        }
        let index = self.record + BITS + slot / 32;
        self.words.set(index, self.words.get(index)? | 1 << (slot % 32))?;
        self.set_free(self.free + 1)
    }

    fn take_slot_back(&mut self, slot: u32) -> Result<()> {
        let index = self.record + BITS + slot / 32;
        self.words.set(index, self.words.get(index)? & !(1 << (slot % 32)))?;
        self.set_free(self.free - 1)
    }

    fn set_free(&mut self, free: u32) -> Result<()> {
        self.free = free;
        self.words.set(self.record + AUX, self.units << FREE_BITS | free)
    }
}

impl<'m> Heap<'m> {
    /// Takes all free blocks of spans of class `class`, one after the other until there are `least`, and
    /// calls `give` with their pointers; their headers hold the stride and a `byteLength` of 0. At most
    /// one new span is cut.
    ///
    /// # Errors
    /// [`Fault::OutOfMemory`]; [`Fault::Corrupted`] when the headers of all blocks found were written
    /// over: they are not given out, and the next call looks for others.
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
            self.unlink(root::PARTIAL + class as u32, &span.segment, span.unit)?;
        }
        if taken.given == 0 { Err(Fault::Corrupted) } else { Ok(taken.given) }
    }

    /// Puts blocks back that [`Heap::take_spans`] gave and that are not in use.
    ///
    /// # Errors
    /// [`Fault::FreedTwice`] when one is in use, or free in the heap's own books: two threads freed it at
    /// the same time; [`Fault::Corrupted`]. The other blocks are put back all the same.
    pub fn put_unused_blocks(&self, pointers: impl Iterator<Item = u32>) -> Result<()> {
        let mut outcome = Ok(());
        // The span of the block before: neighbours often come together.
        let mut last = None;
        for pointer in pointers {
            if let Err(fault) = self.put_unused_block(pointer, &mut last) {
                last = None;
                outcome = Err(fault);
            }
        }
        outcome
    }

    #[inline]
    fn put_unused_block(&self, pointer: u32, last: &mut Option<Span<'m>>) -> Result<()> {
        let span = match last {
            Some(span) if span.contains(pointer) => span,
            _ => last.insert(self.span_of(pointer, last.map(|span| span.segment))?),
        };
        let slot = span.slot_at(pointer).ok_or(Fault::FreedTwice)?;
        let (byte_length, size) = self.header(pointer)?;
        if byte_length != 0 || span.is_free(slot)? {
            return Err(Fault::FreedTwice);
        }
        if size != span.geometry().stride {
            return Err(Fault::Corrupted);
        }
        self.put_block(span, slot)
    }

    fn span_of(&self, pointer: u32, guess: Option<Segment<'m>>) -> Result<Span<'m>> {
        let unit = pointer / UNIT;
        let segment = match guess.filter(|segment| segment.contains(unit)) {
            Some(segment) => segment,
            None => self.own_segment(unit)?,
        };
        let UnitKind::Span { class, back } = segment.kind(unit)? else {
            return Err(Fault::FreedTwice);
        };
        Span::read(self, segment, unit.checked_sub(back).ok_or(Fault::Corrupted)?, class)
    }

    /// Puts a block back.
    ///
    /// # Errors
    /// [`Fault::Corrupted`]; the block is as it was.
    pub(super) fn put_block(&self, span: &mut Span<'m>, slot: u32) -> Result<()> {
        span.put_slot(slot)?;
        let listed = if span.free == 1 && span.slots > 1 {
            self.push_front(root::PARTIAL + span.class as u32, &span.segment, span.unit)
        } else if span.free == span.slots {
            self.retire_span(span)
        } else {
            Ok(())
        };
        listed.inspect_err(|_| drop(span.take_slot_back(slot)))
    }

    // All blocks of the span are free: it waits to be used again, until its units are wanted.
    fn retire_span(&self, span: &Span<'m>) -> Result<()> {
        let (partial, spare) = (root::PARTIAL + span.class as u32, root::SPARE + span.class as u32);
        if span.slots == 1 {
            return self.push_front(spare, &span.segment, span.unit);
        }
        self.unlink(partial, &span.segment, span.unit)?;
        let retired = self.push_front(spare, &span.segment, span.unit);
        retired.inspect_err(|_| drop(self.push_front(partial, &span.segment, span.unit)))
    }

    /// Frees the spans that are kept though all their blocks are free.
    ///
    /// # Errors
    /// [`Fault::Corrupted`].
    pub fn free_spare_spans(&self) -> Result<()> {
        for class in 0..CLASSES.len() {
            while let Some(span) = self.take_spare(class)? {
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
            return Span::read(self, self.own_segment(head)?, head, class);
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
        let span = Span::read(self, self.own_segment(unit)?, unit, class)?;
        if span.free != span.slots || span.count_free()? != span.free {
            return Err(Fault::Corrupted);
        }
        self.unlink(spare, &span.segment, unit)?;
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
        let mut span = Span::of_units(self, segment, unit, class, units)?;
        self.format_span(&mut span)?;
        Ok(span)
    }

    fn format_span(&self, span: &mut Span<'m>) -> Result<()> {
        let slots = span.slots;
        for slot in 0..=slots {
            self.set_header(span.pointer(slot), 0, span.geometry().stride)?;
        }
        for word in 0..MAX_SLOTS / 32 {
            let bits = slots.saturating_sub(word * 32).min(32);
            let mask = ((1_u64 << bits) - 1) as u32;
            self.words.set(span.record + BITS + word, mask)?;
        }
        self.words.set(span.record + NEXT, 0)?;
        self.words.set(span.record + PREVIOUS, 0)?;
        span.set_free(slots)
    }

    fn free_span(&self, span: &Span<'m>) -> Result<()> {
        if span.count_free()? != span.slots {
            return Err(Fault::Corrupted);
        }
        for unit in span.unit..span.unit + span.units {
            span.segment.set_kind(unit, UnitKind::Inside)?;
        }
        self.free_run(&span.segment, span.unit, span.units)
    }
}
