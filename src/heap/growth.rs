//! Becoming a heap, and taking in pages: those that the heap asked for, and, when it owns the whole
//! memory, those that anyone grew.
//!
//! Pages that lie right behind a segment extend it, and join the free run at its end. When the
//! segment's map has no room for them, the map moves into that run and is made for half as many
//! pages again; where it was, units become free. So a heap whose pages are contiguous has one
//! segment, whatever it grows by.

use core::ops::Range;

use super::block::Live;
use super::large::units_for;
use super::measures::{
    GRAIN, LISTED, MAX_PAGES, MAX_UNITS, PAGE, UNIT, UNITS_PER_PAGE, WORDS_PER_UNIT, unit_of,
};
use super::run::first_place;
use super::segment::Segment;
use super::size_class::{CLASSES, class_for};
use super::superblock::{Heap, MAX_SEGMENTS, field};
use super::unit_kind::UnitKind;
use super::words::Words;
use crate::fault::{Fault, Result};

/// Which bytes a new heap gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// The first byte of the heap, a multiple of 16 and not 0.
    pub start: u32,
    /// The page after the heap's last one.
    pub end_page: u32,
    /// The page count that the memory may grow to.
    pub maximum: u32,
    /// Whether pages that anyone else grows belong to the heap too.
    pub owns_all: bool,
}

/// Growth asked for at once is at least one part in this many of the heap.
const GROWTH_SHARE: u32 = 32;
/// With more segments than this, growth that makes another one is larger.
const MANY_SEGMENTS: u32 = MAX_SEGMENTS / 2;
/// The share of the heap that growth is then.
const LARGE_GROWTH_SHARE: u32 = 2;

/// Where a table of a segment's units goes.
#[derive(Clone, Copy)]
struct Table {
    /// The word index of the map.
    map: u32,
    /// The unit behind the table.
    end: u32,
    /// The unit that the map ends at.
    limit: u32,
}

impl Table {
    /// A table at byte `at` for units from `start` up to at least `limit`; for more if the last
    /// unit of the table has room, but none above `most`.
    fn at(at: u64, start: u32, limit: u32, most: u32) -> Self {
        let bytes = at + u64::from(limit - start) * 4;
        let end = bytes.div_ceil(u64::from(UNIT));
        let room = ((end * u64::from(UNIT) - at) / 4) as u32;
        let limit = start.saturating_add(room).min(most).max(limit);
        Self { map: (at / 4) as u32, end: end as u32, limit }
    }

    /// Of two tables at byte `at`, for a segment from unit `start` to `end`: one that leaves room
    /// for growth up to unit `most`, or the smallest; none if neither ends before the segment.
    fn within(at: u64, start: u32, end: u32, most: u32) -> Option<Self> {
        let reach = end.saturating_add((end - start) / 2).min(most).max(end);
        let tables = [reach, end].map(|limit| Self::at(at, start, limit, most.max(end)));
        tables.into_iter().find(|table| table.end < end)
    }
}

impl<'m> Heap<'m> {
    /// Makes a heap of the bytes of `bounds`. Bytes that it does not use are left as they are.
    ///
    /// # Errors
    /// [`Fault::OutOfMemory`] when the bounds are too narrow for a heap of one unit,
    /// [`Fault::OtherBuild`] when another build has made a heap there; nothing is written then.
    pub fn format(words: Words<'m>, bounds: Bounds) -> Result<Self> {
        let Bounds { start, end_page, maximum, owns_all } = bounds;
        if start / PAGE >= end_page {
            return Err(Fault::OutOfMemory);
        }
        if Self::is_of_other_build(words, start) {
            return Err(Fault::OtherBuild);
        }
        let (first, end, most) = (start / UNIT, unit_of(end_page), most_units(maximum));
        let at = u64::from(start) + u64::from(field::WORDS) * 4;
        let table = Table::within(at, first, end, most).ok_or(Fault::OutOfMemory)?;
        let heap = Self { words, superblock: start / 4 };
        heap.clear(owns_all, maximum)?;
        heap.set_field(field::END_PAGE, end_page)?;
        heap.enter_segment(table, first, end)?;
        heap.confirm()?;
        Ok(heap)
    }

    /// Takes in the pages from `first` to `end`, which the caller grew for this heap. Those of
    /// threads that grow at the same moment may come in any order.
    ///
    /// # Errors
    /// [`Fault::OutOfMemory`] when they cannot hold a block, or there are too many segments;
    /// [`Fault::Corrupted`] when the heap has some of them already.
    pub fn add_pages(&self, first: u32, end: u32) -> Result<()> {
        let (start, limit) = (unit_of(first), unit_of(end));
        match self.segment_before(start, limit)? {
            Some(index) => self.extend_segment(index, limit)?,
            None => {
                let at = (u64::from(start) * u64::from(UNIT)).max(u64::from(GRAIN));
                let most = most_units(self.field(field::MAXIMUM)?);
                let table = Table::within(at, start, limit, most).ok_or(Fault::OutOfMemory)?;
                self.enter_segment(table, start, limit)?;
            }
        }
        // Only upwards: other threads may have added pages further up.
        self.set_field(field::END_PAGE, self.field(field::END_PAGE)?.max(end))
    }

    // The segment that the units from `start` to `end` extend; an error if they are the heap's.
    fn segment_before(&self, start: u32, end: u32) -> Result<Option<u32>> {
        let mut before = None;
        for (index, segment) in (0..).zip(self.segments()?) {
            let segment = segment?;
            if segment.start < end && start < segment.end {
                return Err(Fault::Corrupted);
            }
            if segment.end == start {
                before = Some(index);
            }
        }
        Ok(before)
    }

    // Enters a segment of the units from `start` to `end`, and frees those that its table leaves.
    fn enter_segment(&self, table: Table, start: u32, end: u32) -> Result<()> {
        let index = self.segment_count()?;
        if index == MAX_SEGMENTS {
            return Err(Fault::OutOfMemory);
        }
        for word in 0..table.limit - start {
            self.words.set_unused(table.map + word, UnitKind::Inside.pack())?;
        }
        let segment = self.set_segment(index, [start, end, table.limit, table.map])?;
        self.set_field(field::SEGMENT_COUNT, index + 1)?;
        segment.set_kind(start, UnitKind::Table { units: table.end - start })?;
        self.count_units(end - start)?;
        self.link_run(&segment, table.end..end)
    }

    // Moves the end of segment `index` to `end`.
    fn extend_segment(&self, index: u32, end: u32) -> Result<()> {
        let old = self.segment(index)?;
        let tail = old.free_start_before(old.end)?;
        if end > old.limit {
            return self.move_map(index, &old, tail, end);
        }
        self.unlink_run(&old, tail..old.end)?;
        let segment = self.set_segment(index, [old.start, end, old.limit, old.map])?;
        self.count_units(end - old.end)?;
        self.link_run(&segment, tail..end)
    }

    // Extends a segment whose map has no room: the map moves to the start of the free run at its
    // end.
    fn move_map(&self, index: u32, old: &Segment<'m>, tail: u32, end: u32) -> Result<()> {
        let most = most_units(self.field(field::MAXIMUM)?);
        let at = u64::from(tail) * u64::from(UNIT);
        let table = Table::within(at, old.start, end, most).ok_or(Fault::OutOfMemory)?;
        let old_table = self.table_of(old)?;
        self.unlink_run(old, tail..old.end)?;
        for word in 0..table.limit - old.start {
            let unit = old.start + word;
            let kept = if unit < tail { self.words.get(old.map + word)? } else { 0 };
            self.words.set_unused(table.map + word, kept)?;
        }
        let segment = self.set_segment(index, [old.start, end, table.limit, table.map])?;
        segment.set_kind(tail, UnitKind::Table { units: table.end - tail })?;
        self.count_units(end - old.end)?;
        self.link_run(&segment, table.end..end)?;
        self.free_table(&segment, old_table)
    }

    /// Whether these units of a segment are what the heap's own records take there.
    pub(super) fn are_records(&self, segment: &Segment<'m>, units: Range<u32>) -> bool {
        units == self.map_units(segment)
            || units == self.superblock_units()
            || self.grain_table_units() == Ok(Some(units))
    }

    // The units of a segment's map, and of the superblock if that lies before it.
    fn map_units(&self, segment: &Segment<'m>) -> Range<u32> {
        let begins = segment.map == self.superblock + field::WORDS;
        let start = if begins { self.superblock } else { segment.map };
        let end = segment.map + (segment.limit - segment.start);
        start / WORDS_PER_UNIT..end.div_ceil(WORDS_PER_UNIT)
    }

    // The units that the superblock has to itself once the map has moved.
    const fn superblock_units(&self) -> Range<u32> {
        let end = (self.superblock + field::WORDS).div_ceil(WORDS_PER_UNIT);
        self.superblock / WORDS_PER_UNIT..end
    }

    fn table_of(&self, segment: &Segment<'m>) -> Result<Range<u32>> {
        let Range { start, end } = self.map_units(segment);
        let sound = segment.kind(start)? == UnitKind::Table { units: end - start };
        if sound { Ok(start..end) } else { Err(Fault::Corrupted) }
    }

    // Frees the units of a map that moved. Those that the superblock begins in stay.
    fn free_table(&self, segment: &Segment<'m>, old: Range<u32>) -> Result<()> {
        let superblock = self.superblock_units();
        let Range { start: table, end } = old;
        let first = if table == superblock.start { superblock.end } else { table };
        let kept = first - table;
        let kind = if kept == 0 { UnitKind::Inside } else { UnitKind::Table { units: kept } };
        if first >= end {
            return Ok(());
        }
        segment.set_kind(table, kind)?;
        self.free_run(segment, first, end - first)
    }

    fn count_units(&self, more: u32) -> Result<()> {
        self.set_total_units(self.total_units()?.saturating_add(more))
    }

    /// Takes in the pages that were grown since the last time, when the heap owns the whole memory.
    ///
    /// # Errors
    /// [`Fault::Corrupted`].
    pub fn absorb_pages(&self) -> Result<()> {
        let end = self.field(field::END_PAGE)?;
        let length = (self.words.byte_length() / u64::from(PAGE)) as u32;
        if !self.owns_all()? || length <= end {
            return Ok(());
        }
        match self.add_pages(end, length) {
            Err(Fault::OutOfMemory) => Ok(()),
            done => done,
        }
    }

    /// How many pages to grow by, so that `byte_length` bytes at `align` can be allocated: the
    /// least that serves, and the most that is sensible at once.
    ///
    /// # Errors
    /// [`Fault::Corrupted`].
    pub fn growth_for(&self, byte_length: u32, align: u32) -> Result<(u32, u32)> {
        let units = request_units(byte_length, align);
        let total = self.total_units()? / UNITS_PER_PAGE;
        let maximum = self.field(field::MAXIMUM)?;
        let left = maximum.saturating_sub(self.field(field::END_PAGE)?);
        let (least, share) = match self.last_segment()? {
            Some(last) => {
                let tail = last.free_start_before(last.end)?;
                (extension(&last, tail, units, align, maximum), GROWTH_SHARE)
            }
            None if self.segment_count()? > MANY_SEGMENTS => {
                (segment_pages(GRAIN, units, align), LARGE_GROWTH_SHARE)
            }
            None => (segment_pages(GRAIN, units, align), GROWTH_SHARE),
        };
        Ok((least, (total / share).min(left).max(least)))
    }

    /// How many pages to grow by, so that the large block at `pointer` can be `byte_length` bytes
    /// long where it is; 0 when growing does not help, or is not needed.
    ///
    /// # Errors
    /// The faults of [`Heap::live`].
    pub fn growth_to_extend(&self, pointer: u32, byte_length: u32) -> Result<u32> {
        let Live::Large(large) = self.live(pointer)? else { return Ok(0) };
        let Some(last) = self.last_segment()? else { return Ok(0) };
        let end = large.unit + large.units;
        let at_end = large.unit >= last.start && last.free_start_before(last.end)? == end;
        let wanted = large.unit.saturating_add(large.units_for(byte_length));
        let pages = wanted.saturating_sub(last.end).div_ceil(UNITS_PER_PAGE);
        // A map that moves would come to lie right behind the block.
        let in_place = last.end + pages * UNITS_PER_PAGE <= last.limit;
        Ok(if at_end && in_place { pages } else { 0 })
    }

    /// The pages that a heap without any needs to allocate `byte_length` bytes at `align`.
    pub fn first_growth_for(byte_length: u32, align: u32) -> u32 {
        segment_pages(GRAIN + field::WORDS * 4, request_units(byte_length, align), align)
    }

    // The segment that pages which are grown next will lie right behind, if they belong to the
    // heap.
    fn last_segment(&self) -> Result<Option<Segment<'m>>> {
        let end = self.field(field::END_PAGE)?;
        let seen = self.words.byte_length() / u64::from(PAGE);
        if !self.owns_all()? && u64::from(end) != seen {
            return Ok(None);
        }
        for segment in self.segments()?.rev() {
            let segment = segment?;
            if segment.end == unit_of(end) {
                return Ok(Some(segment));
            }
        }
        Ok(None)
    }
}

const fn most_units(maximum: u32) -> u32 {
    unit_of(if maximum < MAX_PAGES { maximum } else { MAX_PAGES })
}

/// The units that a request takes at the least.
fn request_units(byte_length: u32, align: u32) -> u32 {
    match class_for(byte_length, align) {
        Some(class) => CLASSES[class].least_units().max(LISTED),
        None => units_for(byte_length, align),
    }
}

/// The least pages that extend a segment, whose free run at its end begins at `tail`, so that
/// `units` units at `align` fit in, behind the map if it has to move.
fn extension(segment: &Segment<'_>, tail: u32, units: u32, align: u32, maximum: u32) -> u32 {
    let (start, end) = (segment.start, segment.end);
    let pages_to = |from: u32| {
        let needed = first_place(from, align).saturating_add(units);
        needed.saturating_sub(end).div_ceil(UNITS_PER_PAGE).max(1)
    };
    let mut pages = pages_to(tail);
    loop {
        let grown = end.saturating_add(pages.saturating_mul(UNITS_PER_PAGE)).min(MAX_UNITS);
        if grown <= segment.limit || grown == MAX_UNITS {
            return pages;
        }
        let at = u64::from(tail) * u64::from(UNIT);
        let table = Table::within(at, start, grown, most_units(maximum));
        let needed = table.map_or(pages + 1, |table| pages_to(table.end));
        if needed <= pages {
            return pages;
        }
        pages = needed;
    }
}

/// The pages of a new segment, its table behind `taken` bytes, that has `units` units at `align`
/// for blocks.
fn segment_pages(taken: u32, units: u32, align: u32) -> u32 {
    let mut pages = units.div_ceil(UNITS_PER_PAGE);
    loop {
        let end = pages.saturating_mul(UNITS_PER_PAGE).min(MAX_UNITS);
        let table = Table::within(u64::from(taken), 0, end, MAX_UNITS);
        let first = table.map_or(end, |table| table.end);
        let needed = first_place(first, align).saturating_add(units);
        if end >= needed || end == MAX_UNITS {
            return pages;
        }
        pages = needed.div_ceil(UNITS_PER_PAGE).max(pages + 1);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering::Relaxed;

    use super::super::Search;
    use super::*;
    use crate::tests::fixture::{Random, WORDS_PER_PAGE, pages};

    /// Lengths and alignments of requests.
    fn requests() -> impl Iterator<Item = (u32, u32)> + Clone {
        let lengths = [1, 700, 5_000, 20_000, 32_776, 33_000, 63_000, 65_000, 200_000, 3_000_000];
        let aligns = [16, 64, 512, 1_024, 4_096, PAGE];
        lengths.into_iter().flat_map(move |length| aligns.map(|align| (length, align)))
    }

    #[test]
    fn the_first_growth_is_the_least_that_serves() {
        let words = pages(60);
        for (length, align) in requests() {
            let serves = |end_page: u32| {
                let start = Heap::WHOLE_MEMORY_START;
                let bounds = Bounds { start, end_page, maximum: 60, owns_all: true };
                let words = Words::new(&words[..end_page as usize * WORDS_PER_PAGE]);
                let heap = Heap::format(words, bounds);
                heap.is_ok_and(|heap| heap.malloc(length, align, Search::Exhaustive).is_ok())
            };
            let least = Heap::first_growth_for(length, align);
            assert!(serves(least), "{length} at {align}: {least}");
            assert!(least == 1 || !serves(least - 1), "{length} at {align}: {least}");
        }
    }

    #[test]
    fn growth_is_the_least_that_serves() {
        let mut random = Random(1);
        for (length, align) in requests().cycle().take(600) {
            let words = pages(200);
            let (end_page, maximum) = (1 + random.below(20), 200);
            let seen = |pages: u32| Words::new(&words[..pages as usize * WORDS_PER_PAGE]);
            let start = Heap::WHOLE_MEMORY_START;
            let bounds = Bounds { start, end_page, maximum, owns_all: true };
            let heap = Heap::format(seen(end_page), bounds).unwrap();
            let mut more = || heap.malloc(1 + random.below(60_000), GRAIN, Search::Exhaustive);
            while more().is_ok() {}
            if heap.malloc(length, align, Search::Exhaustive).is_ok() {
                continue;
            }
            let (least, most) = heap.growth_for(length, align).unwrap();
            assert!(least <= most);
            let kept: Vec<_> = words.iter().map(|word| word.load(Relaxed)).collect();
            let after = |pages: u32| {
                words.iter().zip(&kept).for_each(|(word, &kept)| word.store(kept, Relaxed));
                let heap = Heap::open(seen(end_page + pages), start).unwrap();
                heap.malloc(length, align, Search::Exhaustive).is_ok()
            };
            assert!(after(least) && after(most), "{length} at {align}: {least}");
            assert!(!after(least - 1), "{length} at {align}: {least}");
        }
    }

    #[test]
    fn pages_of_threads_that_grow_at_the_same_moment_are_added_in_any_order() {
        let words = pages(20);
        let (start, end_page, maximum) = (6 * PAGE, 8, 20);
        let bounds = Bounds { start, end_page, maximum, owns_all: false };
        let heap = Heap::format(Words::new(&words), bounds).expect("room for a heap");
        for (first, end) in [(12, 14), (10, 12), (0, 2), (8, 9), (16, 17), (14, 16)] {
            let before = heap.total_units().unwrap();
            assert_eq!(heap.add_pages(first, end), Ok(()));
            let added = heap.total_units().unwrap() - before;
            assert_eq!(added, (end - first) * UNITS_PER_PAGE);
            for part in [(first, end), (first, first + 1), (end - 1, end + 1)] {
                assert_eq!(heap.add_pages(part.0, part.1), Err(Fault::Corrupted));
            }
        }
        assert_eq!(heap.field(field::END_PAGE), Ok(17), "the last one of all");
        let mut pages = [false; 20];
        while let Ok(block) = heap.malloc(1000, GRAIN, Search::Quick) {
            pages[(block / PAGE) as usize] = true;
        }
        let foreign = |page: &usize| [2, 3, 4, 5, 9, 17, 18, 19].contains(page);
        assert!((0..20).all(|page| pages[page] != foreign(&page)), "{pages:?}");
        assert!(words[..4].iter().all(|word| word.load(Relaxed) == 0));
    }
}
