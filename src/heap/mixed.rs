//! Mixed units: blocks of any length side by side. A small heap that is nearly full has them in the
//! place of new spans, which would leave free blocks of lengths that nobody asks for.
//!
//! ```text
//! table   an entry a unit: [its grains in use | its grains that begin a block], a bit for each
//! grain   16 bytes, from 8 bytes behind a multiple of 16 on, so that a block begins with its header
//! ```
//!
//! Free grains that lie side by side are one gap, and free runs between mixed units belong to it. A
//! unit none of whose grains is in use is part of a free run again. The map has a check on the entry
//! of each mixed unit: an entry that was written over is never believed. The table is there while
//! there are mixed units.

use core::ops::Range;

use super::measures::{GRAIN, HEADER, UNIT, WORDS_PER_UNIT};
use super::run::Search;
use super::segment::Segment;
use super::superblock::{Heap, field};
use super::unit_kind::UnitKind;
use super::words::Words;
use crate::fault::{Fault, Result};

/// Grains of a unit: the bits of half an entry.
const GRAINS: u32 = u64::BITS;
const _: () = assert!(GRAINS == UNIT / GRAIN);
/// Words of an entry.
const ENTRY_WORDS: u32 = 4;

/// A block in mixed units.
#[derive(Clone, Copy, Debug)]
pub struct Mixed<'m> {
    segment: Segment<'m>,
    table: GrainTable<'m>,
    /// Its first grain, counted from the memory's start.
    start: u32,
    grains: u32,
}

impl Mixed<'_> {
    /// The block's pointer.
    pub const fn pointer(&self) -> u32 {
        (self.start + 1) * GRAIN
    }

    /// The whole space of the block in bytes.
    pub const fn buffer_size(&self) -> u32 {
        self.grains * GRAIN
    }

    const fn end(&self) -> u32 {
        self.start + self.grains
    }
}

/// Which grains of a unit are in use, and which begin a block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GrainBits {
    used: u64,
    starts: u64,
}

impl GrainBits {
    fn of_words(words: [u32; 4]) -> Self {
        let [used, starts] =
            [0, 2].map(|low| u64::from(words[low]) | u64::from(words[low + 1]) << 32);
        Self { used, starts }
    }

    // Differs when one word of the entry does, but for one case in 2^22.
    const fn check(&self) -> u32 {
        let mixed = self.used.wrapping_mul(0x9e37_79b9_7f4a_7c15)
            ^ self.starts.wrapping_mul(0xbf58_476d_1ce4_e5b9).rotate_left(17);
        (mixed.wrapping_mul(0x94d0_49bb_1331_11eb) >> UnitKind::CHECK_SHIFT) as u32
    }

    // What the map has of the entry.
    fn kind(&self) -> UnitKind {
        match self.is_free() {
            true => UnitKind::Inside,
            false => UnitKind::Mixed {
                room: self.gaps().map(|gap| room_in(&gap)).max().unwrap_or(0),
                check: self.check(),
            },
        }
    }

    const fn is_free(&self) -> bool {
        self.used == 0
    }

    /// The grains that begin a block, from the unit's start.
    pub fn starts(&self) -> impl Iterator<Item = u32> + use<> {
        let starts = self.starts;
        (0..GRAINS).filter(move |at| starts >> at & 1 != 0)
    }

    /// The gaps, from the unit's start.
    pub fn gaps(&self) -> impl Iterator<Item = Range<u32>> + use<> {
        let used = self.used;
        let mut at = 0;
        core::iter::from_fn(move || {
            let start = at + used.checked_shr(at)?.trailing_ones();
            let length = used.checked_shr(start)?.trailing_zeros().min(GRAINS - start);
            at = start + length;
            Some(start..at)
        })
    }

    /// How many grains the block has that begins at grain `at`, or goes on there, in this unit.
    const fn rest_of(&self, at: u32) -> u32 {
        let stops = !self.used | self.starts;
        let length = (stops >> at).trailing_zeros();
        if length < GRAINS - at { length } else { GRAINS - at }
    }
}

/// Grains of the longest block in a gap of one unit. None ends with the unit, as half of its last
/// grain would lie in another one.
pub const fn room_in(gap: &Range<u32>) -> u32 {
    let end = if gap.end < GRAINS { gap.end } else { GRAINS - 1 };
    end.saturating_sub(gap.start)
}

/// The part of `grains` that lies in a unit, as bits of its entry.
const fn bits_in(unit: u32, grains: &Range<u32>) -> u64 {
    let first = unit * GRAINS;
    let start = grains.start.saturating_sub(first);
    let end = if grains.end < first + GRAINS { grains.end - first } else { GRAINS };
    (u64::MAX << start) & (u64::MAX >> (GRAINS - end))
}

/// The units that these grains lie in.
const fn units_of(grains: &Range<u32>) -> Range<u32> {
    grains.start / GRAINS..grains.end.div_ceil(GRAINS)
}

/// The table.
#[derive(Clone, Copy, Debug)]
pub struct GrainTable<'m> {
    words: Words<'m>,
    /// The word that the entry of unit 0 begins at.
    first: u32,
    /// How many entries there are.
    count: u32,
}

impl GrainTable<'_> {
    /// The entry of a mixed unit.
    ///
    /// # Errors
    /// [`Fault::Corrupted`] when it is none, or its entry was written over.
    pub fn read(&self, segment: &Segment<'_>, unit: u32) -> Result<GrainBits> {
        let entry = self.any_entry(unit)?;
        let sound = !entry.is_free()
            && entry.starts & !entry.used == 0
            && segment.is(unit, entry.kind())?;
        if sound { Ok(entry) } else { Err(Fault::Corrupted) }
    }

    /// The entry of any unit.
    ///
    /// # Errors
    /// [`Fault::Corrupted`] when it has none.
    fn any_entry(&self, unit: u32) -> Result<GrainBits> {
        let mut words = [0; 4];
        let first = self.index_of(unit)?;
        for (word, index) in words.iter_mut().zip(first..) {
            *word = self.words.get(index)?;
        }
        Ok(GrainBits::of_words(words))
    }

    fn write(&self, segment: &Segment<'_>, unit: u32, entry: GrainBits) -> Result<()> {
        let halves = [entry.used, entry.used >> 32, entry.starts, entry.starts >> 32];
        for (half, index) in halves.into_iter().zip(self.index_of(unit)?..) {
            self.words.set(index, half as u32)?;
        }
        segment.set_kind(unit, entry.kind())
    }

    fn index_of(&self, unit: u32) -> Result<u32> {
        if unit < self.count { Ok(self.first + unit * ENTRY_WORDS) } else { Err(Fault::Corrupted) }
    }
}

/// What is looked for, and the best place that was found so far: in the shortest gap.
struct Hunt<'m> {
    grains: u32,
    /// What the pointer is to be a multiple of, in grains.
    align: u32,
    /// The gap that the last free grains belong to.
    gap: Range<u32>,
    fit: Option<Fit<'m>>,
}

struct Fit<'m> {
    segment: Segment<'m>,
    grains: Range<u32>,
    /// Grains of the gap.
    room: u32,
}

impl<'m> Hunt<'m> {
    fn look(&mut self, segment: &Segment<'m>, free: Range<u32>) {
        if self.gap.end == free.start {
            self.gap.end = free.end;
        } else {
            self.close(segment);
            self.gap = free;
        }
    }

    // The gap has ended.
    fn close(&mut self, segment: &Segment<'m>) {
        let room = self.gap.end - self.gap.start;
        let is_better = self.fit.as_ref().is_none_or(|fit| room < fit.room);
        if let Some(grains) = self.place().filter(|_| is_better) {
            self.fit = Some(Fit { segment: *segment, grains, room });
        }
        self.gap = 0..0;
    }

    // A block begins in the first unit of its gap: a free run is taken from its start. One that
    // would end with a unit is a grain longer.
    fn place(&self) -> Option<Range<u32>> {
        let start = (self.gap.start + 1).next_multiple_of(self.align) - 1;
        let end = start + self.grains;
        let end = end + u32::from(end.is_multiple_of(GRAINS));
        let fits = end <= self.gap.end && start / GRAINS == self.gap.start / GRAINS;
        fits.then_some(start..end)
    }
}

impl<'m> Heap<'m> {
    /// The table of mixed units, if there is one.
    ///
    /// # Errors
    /// [`Fault::Corrupted`].
    pub fn grain_table(&self) -> Result<Option<GrainTable<'m>>> {
        let Some(units) = self.grain_table_units()? else { return Ok(None) };
        let table = UnitKind::Table { units: units.end - units.start };
        if !self.own_segment(units.start)?.is(units.start, table)? {
            return Err(Fault::Corrupted);
        }
        let first = units.start * WORDS_PER_UNIT;
        Ok(Some(GrainTable { words: self.words, first, count: (units.end - units.start) * GRAINS }))
    }

    /// The units of the table, if there is one. It has as many as the memory may have pages.
    ///
    /// # Errors
    /// [`Fault::Corrupted`].
    pub(super) fn grain_table_units(&self) -> Result<Option<Range<u32>>> {
        let start = self.field(field::GRAIN_TABLE)?;
        let pages = self.field(field::MAXIMUM)?;
        let sound = start == 0 || self.may_be_mixed()?;
        if !sound || self.field(field::GRAIN_TABLE_CHECK)? != !start {
            return Err(Fault::Corrupted);
        }
        Ok((start != 0).then_some(start..start.saturating_add(pages)))
    }

    fn set_grain_table(&self, start: u32) -> Result<()> {
        self.set_field(field::GRAIN_TABLE, start)?;
        self.set_field(field::GRAIN_TABLE_CHECK, !start)
    }

    fn make_grain_table(&self) -> Result<GrainTable<'m>> {
        let units = self.field(field::MAXIMUM)?;
        let (segment, start) = self.take_run(units, 1, Search::Quick)?;
        for word in start * WORDS_PER_UNIT..(start + units) * WORDS_PER_UNIT {
            self.words.set_unused(word, 0)?;
        }
        segment.set_kind(start, UnitKind::Table { units })?;
        self.set_grain_table(start)?;
        self.grain_table()?.ok_or(Fault::Corrupted)
    }

    // Frees the table when there is no mixed unit.
    fn free_unused_grain_table(&self) -> Result<()> {
        let Some(units) = self.grain_table_units()? else { return Ok(()) };
        for segment in self.segments()? {
            let segment = segment?;
            let mut unit = segment.start;
            while unit < segment.end {
                if let UnitKind::Mixed { .. } = segment.kind(unit)? {
                    return Ok(());
                }
                unit += self.length_at(segment, unit)?;
            }
        }
        let segment = self.own_segment(units.start)?;
        self.set_grain_table(0)?;
        segment.set_kind(units.start, UnitKind::Inside)?;
        self.free_run(&segment, units.start, units.end - units.start)
    }

    /// Allocates a block in mixed units, and makes some if that is needed.
    ///
    /// # Errors
    /// [`Fault::OutOfMemory`], [`Fault::Corrupted`].
    pub(super) fn take_mixed(&self, byte_length: u32, align: u32) -> Result<u32> {
        if !self.may_be_mixed()? {
            return Err(Fault::OutOfMemory);
        }
        let table = match self.grain_table()? {
            Some(table) => table,
            None => self.make_grain_table()?,
        };
        let grains = byte_length.saturating_add(HEADER).div_ceil(GRAIN);
        let Some(Fit { segment, grains, .. }) = self.find_gap(&table, grains, align)? else {
            self.free_unused_grain_table()?;
            return Err(Fault::OutOfMemory);
        };
        self.occupy(&table, &segment, &grains)?;
        let block =
            Mixed { segment, table, start: grains.start, grains: grains.end - grains.start };
        self.write_header(block.pointer(), byte_length, block.buffer_size())?;
        Ok(block.pointer())
    }

    // The shortest gap that is long enough: within a unit, or else over several.
    fn find_gap(&self, table: &GrainTable<'m>, grains: u32, align: u32) -> Result<Option<Fit<'m>>> {
        let align = align.max(GRAIN) / GRAIN;
        let mut hunt = Hunt { grains, align, gap: 0..0, fit: None };
        if grains < GRAINS
            && let Some((segment, unit)) = self.unit_with_room(grains)?
        {
            self.look_into(table, &segment, unit, &mut hunt)?;
            hunt.close(&segment);
        }
        if hunt.fit.is_some() {
            return Ok(hunt.fit);
        }
        for segment in self.segments()? {
            let segment = segment?;
            let mut unit = segment.start;
            while unit < segment.end {
                let (units, first) = (self.length_at(segment, unit)?, unit * GRAINS);
                match segment.kind(unit)? {
                    UnitKind::Free { .. } => hunt.look(&segment, first..first + units * GRAINS),
                    UnitKind::Mixed { .. } => self.look_into(table, &segment, unit, &mut hunt)?,
                    _ => {}
                }
                unit += units;
            }
            hunt.close(&segment);
        }
        Ok(hunt.fit)
    }

    // The mixed unit with the least room that is enough.
    fn unit_with_room(&self, grains: u32) -> Result<Option<(Segment<'m>, u32)>> {
        let (mut least, mut found) = (GRAINS, None);
        for segment in self.segments()? {
            let segment = segment?;
            for unit in segment.start..segment.end {
                match segment.kind(unit)? {
                    UnitKind::Mixed { room, .. } if grains <= room && room < least => {
                        (least, found) = (room, Some((segment, unit)));
                        if room == grains {
                            return Ok(found);
                        }
                    }
                    _ => {}
                }
            }
        }
        Ok(found)
    }

    fn look_into(
        &self,
        table: &GrainTable<'m>,
        segment: &Segment<'m>,
        unit: u32,
        hunt: &mut Hunt<'m>,
    ) -> Result<()> {
        for gap in table.read(segment, unit)?.gaps() {
            hunt.look(segment, unit * GRAINS + gap.start..unit * GRAINS + gap.end);
        }
        Ok(())
    }

    // Marks free grains as those of a block.
    fn occupy(
        &self,
        table: &GrainTable<'m>,
        segment: &Segment<'m>,
        grains: &Range<u32>,
    ) -> Result<()> {
        let units = units_of(grains);
        let mut unit = units.start;
        while unit < units.end {
            let length = self.length_at(*segment, unit)?.min(units.end - unit);
            if let UnitKind::Free { .. } = segment.kind(unit)? {
                if (unit..unit + length)
                    .any(|unit| table.any_entry(unit) != Ok(GrainBits::default()))
                {
                    return Err(Fault::Corrupted);
                }
                self.take_run_at(segment, unit, length)?;
            }
            unit += length;
        }
        for unit in units {
            let mut entry = table.any_entry(unit)?;
            entry.used |= bits_in(unit, grains);
            if unit == grains.start / GRAINS {
                entry.starts |= 1 << (grains.start % GRAINS);
            }
            table.write(segment, unit, entry)?;
        }
        Ok(())
    }

    /// Frees a block in mixed units.
    ///
    /// # Errors
    /// [`Fault::Corrupted`].
    pub(super) fn free_mixed(&self, block: &Mixed<'m>) -> Result<()> {
        let Mixed { segment, table, start, .. } = block;
        let grains = *start..block.end();
        let mut is_any_free = false;
        for unit in units_of(&grains) {
            let entry = table.read(segment, unit)?;
            let bits = bits_in(unit, &grains);
            let entry = GrainBits { used: entry.used & !bits, starts: entry.starts & !bits };
            table.write(segment, unit, entry)?;
            if entry.is_free() {
                is_any_free = true;
                self.free_run(segment, unit, 1)?;
            }
        }
        if is_any_free { self.free_unused_grain_table() } else { Ok(()) }
    }

    /// The block that begins at grain `start` of mixed units, its header unread.
    ///
    /// # Errors
    /// [`Fault::NeverAllocated`] when there is none, [`Fault::Corrupted`].
    pub(super) fn mixed_at(&self, segment: Segment<'m>, start: u32) -> Result<Mixed<'m>> {
        let table = self.grain_table()?.ok_or(Fault::Corrupted)?;
        if !self.is_mixed(&segment, start)? {
            return Err(Fault::NeverAllocated);
        }
        let (mut unit, at) = (start / GRAINS, start % GRAINS);
        let mut entry = table.read(&segment, unit)?;
        if entry.starts >> at & 1 == 0 {
            return Err(Fault::NeverAllocated);
        }
        // The first grain is that of a start.
        let first = GrainBits { starts: entry.starts & !(1 << at), ..entry };
        let mut end = start + first.rest_of(at);
        while end.is_multiple_of(GRAINS) {
            unit += 1;
            entry = table.read(&segment, unit)?;
            match entry.rest_of(0) {
                0 => return Err(Fault::Corrupted),
                more => end += more,
            }
        }
        Ok(Mixed { segment, table, start, grains: end - start })
    }

    // Whether a grain lies in a mixed unit.
    fn is_mixed(&self, segment: &Segment<'m>, grain: u32) -> Result<bool> {
        let unit = grain / GRAINS;
        Ok(segment.contains(unit) && matches!(segment.kind(unit)?, UnitKind::Mixed { .. }))
    }

    /// The block in mixed units whose pointer is `pointer`, its header and the next one confirmed.
    ///
    /// # Errors
    /// [`Fault::NeverAllocated`], [`Fault::InsideBlock`], [`Fault::Corrupted`].
    pub(super) fn live_mixed(&self, segment: Segment<'m>, pointer: u32) -> Result<Mixed<'m>> {
        let block = match (pointer / GRAIN).checked_sub(1) {
            Some(start) if pointer.is_multiple_of(GRAIN) => self.mixed_at(segment, start),
            _ => Err(Fault::NeverAllocated),
        };
        let block = match block {
            Err(Fault::NeverAllocated) => return Err(self.why_not_live_mixed(&segment, pointer)?),
            block => block?,
        };
        self.mixed_length(&block)?;
        let next_sound = match self.mixed_at(segment, block.end()) {
            Ok(next) => self.read_header(next.pointer())?.1 == next.buffer_size(),
            Err(fault) => fault == Fault::NeverAllocated,
        };
        if next_sound { Ok(block) } else { Err(Fault::Corrupted) }
    }

    /// The requested bytes of a block in mixed units.
    ///
    /// # Errors
    /// [`Fault::Corrupted`] when its header is not that of a live block of its size.
    pub(super) fn mixed_length(&self, block: &Mixed<'m>) -> Result<u32> {
        let (byte_length, size) = self.read_header(block.pointer())?;
        let sound = size == block.buffer_size() && 0 < byte_length && byte_length <= size - HEADER;
        if sound { Ok(byte_length) } else { Err(Fault::Corrupted) }
    }

    fn why_not_live_mixed(&self, segment: &Segment<'m>, pointer: u32) -> Result<Fault> {
        let table = self.grain_table()?.ok_or(Fault::Corrupted)?;
        let grain = pointer.saturating_sub(HEADER) / GRAIN;
        if !self.is_mixed(segment, grain)? {
            return Ok(Fault::NeverAllocated);
        }
        let used = table.read(segment, grain / GRAINS)?.used >> (grain % GRAINS) & 1 != 0;
        Ok(if used { Fault::InsideBlock } else { Fault::NeverAllocated })
    }
}
