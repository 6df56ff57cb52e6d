//! Becoming a heap, and taking in pages: those that the heap asked for, and, when it owns the whole
//! memory, those that anyone grew.

use super::block::Live;
use super::layout::{
    ALL_PAGES, BUILD, GRAIN, MAGIC, MAX_PAGES, MAX_SEGMENTS, MAX_UNITS, OWN_PAGES, PAGE, UNIT,
    UNITS_PER_PAGE, root,
};
use super::segment::{Segment, first_unit, table_units};
use super::size_class::{CLASSES, class_for};
use super::{Heap, Territory, Words};
use crate::fault::{Fault, Result};

/// Growth asked for at once is at least one part in this many of the heap.
const GROWTH_SHARE: u32 = 32;
/// A new segment's table takes at most one part in about `UNIT / 48 / TABLE_REACH` of its pages.
const TABLE_REACH: u32 = 20;
/// A new segment's table reaches to at least this many times its pages.
const LEAST_REACH: u32 = 3;
/// With more segments than this, growth that makes another one is larger.
const MANY_SEGMENTS: u32 = MAX_SEGMENTS / 2;
/// The share of the heap that growth is then.
const LARGE_GROWTH_SHARE: u32 = 2;

/// The unit that starts page `page`.
const fn unit_of(page: u32) -> u32 {
    let unit = page.saturating_mul(UNITS_PER_PAGE);
    if unit < MAX_UNITS { unit } else { MAX_UNITS }
}

impl<'m> Heap<'m> {
    /// Makes a heap of the bytes of `territory`. Bytes that it does not use are left as they are.
    ///
    /// # Errors
    /// [`Fault::OutOfMemory`] when the territory is too small for a heap of one unit,
    /// [`Fault::OtherBuild`] when another build has made a heap there; nothing is written then.
    pub fn format(words: Words<'m>, territory: Territory) -> Result<Self> {
        let Territory { start, end_page, maximum, owns_all } = territory;
        if start / PAGE >= end_page {
            return Err(Fault::OutOfMemory);
        }
        if Self::is_of_other_build(words, start) {
            return Err(Fault::OtherBuild);
        }
        let heap = Self { words, root: start / 4 };
        let table = start.checked_add(root::WORDS * 4).ok_or(Fault::OutOfMemory)?;
        let limit = limit_page(start / PAGE, end_page, maximum, 0);
        if table / PAGE >= end_page || first_unit(table, unit_of(limit)) >= unit_of(end_page) {
            return Err(Fault::OutOfMemory);
        }
        for field in 0..root::WORDS {
            heap.set_field(field, 0)?;
        }
        heap.set_field(root::OWN_OFFSET, start)?;
        heap.set_field(root::BUILD, BUILD)?;
        heap.set_field(root::OWNERSHIP, if owns_all { ALL_PAGES } else { OWN_PAGES })?;
        heap.set_field(root::END_PAGE, end_page)?;
        heap.set_field(root::MAXIMUM, maximum)?;
        heap.set_total_units(0)?;
        heap.add_segment(table, unit_of(end_page), unit_of(limit))?;
        heap.set_field(root::MAGIC, MAGIC)?;
        Ok(heap)
    }

    /// Takes in the pages from `first` to `end`, which the caller grew for this heap. Those of threads that
    /// grow at the same moment may come in any order.
    ///
    /// # Errors
    /// [`Fault::OutOfMemory`] when they cannot hold a block, or there are too many segments;
    /// [`Fault::Corrupted`] when the heap has some of them already.
    pub fn add_pages(&self, first: u32, end: u32) -> Result<()> {
        let mut start = first;
        if let Some((index, limit)) = self.segment_before(first, end)? {
            start = end.min(limit.div_ceil(UNITS_PER_PAGE));
            self.extend_segment(index, unit_of(start))?;
            self.set_end_page(start)?;
        }
        if start < end {
            let total = self.total_units()? / UNITS_PER_PAGE;
            let limit = limit_page(start, end, self.field(root::MAXIMUM)?, total);
            let table = (start * PAGE).max(Self::WHOLE_MEMORY_ROOT);
            self.add_segment(table, unit_of(end), unit_of(limit))?;
        }
        self.set_end_page(end)
    }

    // The segment that the pages from `first` to `end` extend, and its limit; an error if they are the heap's.
    fn segment_before(&self, first: u32, end: u32) -> Result<Option<(u32, u32)>> {
        let mut before = None;
        for (index, segment) in (0..).zip(self.segments()?) {
            let segment = segment?;
            if segment.start < unit_of(end) && unit_of(first) < segment.end {
                return Err(Fault::Corrupted);
            }
            if segment.end == unit_of(first) && segment.limit > segment.end {
                before = Some((index, segment.limit));
            }
        }
        Ok(before)
    }

    // Only upwards: other threads may have added pages further up.
    fn set_end_page(&self, end: u32) -> Result<()> {
        self.set_field(root::END_PAGE, self.field(root::END_PAGE)?.max(end))
    }

    /// Takes in the pages that were grown since the last time, when the heap owns the whole memory.
    pub(super) fn absorb_pages(&self) -> Result<()> {
        let end = self.field(root::END_PAGE)?;
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
        let units = units_for(byte_length, align);
        let total = self.total_units()? / UNITS_PER_PAGE;
        let last = self.last_segment()?;
        let in_place = units.saturating_sub(self.free_tail(&last)?);
        let room = last.limit - last.end;
        let adjacent = self.next_pages_extend(&last)?;
        if adjacent && in_place <= room {
            let least = in_place.div_ceil(UNITS_PER_PAGE);
            let most = least.max((total / GROWTH_SHARE).min(room / UNITS_PER_PAGE));
            return Ok((least, most));
        }
        let share =
            if self.segment_count()? > MANY_SEGMENTS { LARGE_GROWTH_SHARE } else { GROWTH_SHARE };
        let least = segment_pages(units, total) + if adjacent { room / UNITS_PER_PAGE } else { 0 };
        Ok((least, least.max(total / share)))
    }

    /// How many pages to grow by, so that the large block at `pointer` can be `byte_length` bytes long
    /// where it is; 0 when growing does not help, or is not needed.
    ///
    /// # Errors
    /// The faults of [`Heap::live`].
    pub fn growth_to_extend(&self, pointer: u32, byte_length: u32) -> Result<u32> {
        let Live::Large(large) = self.live(pointer)? else { return Ok(0) };
        let last = self.last_segment()?;
        let end = large.unit + large.units;
        let at_end = large.unit >= last.first && end + self.free_tail(&last)? == last.end;
        let units = large.unit + large.units_for(byte_length);
        if !at_end || !self.next_pages_extend(&last)? || units > last.limit {
            return Ok(0);
        }
        Ok(units.saturating_sub(last.end).div_ceil(UNITS_PER_PAGE))
    }

    /// The pages that a heap without any needs to allocate `byte_length` bytes at `align`.
    pub fn first_growth_for(byte_length: u32, align: u32) -> u32 {
        let root_units = (GRAIN + root::WORDS * 4).div_ceil(UNIT);
        segment_pages(units_for(byte_length, align) + root_units, 0)
    }

    // Whether pages that are grown next will lie right behind the segment and belong to the heap.
    fn next_pages_extend(&self, last: &Segment<'m>) -> Result<bool> {
        let end = self.field(root::END_PAGE)?;
        let seen = self.words.byte_length() / u64::from(PAGE);
        Ok(last.end == unit_of(end) && (self.owns_all()? || u64::from(end) == seen))
    }

    fn last_segment(&self) -> Result<Segment<'m>> {
        self.segment(self.segment_count()?.checked_sub(1).ok_or(Fault::Corrupted)?)
    }

    /// Units that hold blocks or are free to hold them.
    ///
    /// # Errors
    /// [`Fault::Corrupted`].
    pub fn total_units(&self) -> Result<u32> {
        let units = self.field(root::UNITS)?;
        let confirmed = units <= MAX_UNITS && self.field(root::UNITS_CHECK)? == !units;
        if confirmed { Ok(units) } else { Err(Fault::Corrupted) }
    }

    pub(super) fn set_total_units(&self, units: u32) -> Result<()> {
        self.set_field(root::UNITS, units)?;
        self.set_field(root::UNITS_CHECK, !units)
    }
}

/// The page up to which the table of a segment from page `first` to `end` reaches, in a heap of
/// `total` pages: far enough that segments double in size, as far as the table stays small.
fn limit_page(first: u32, end: u32, maximum: u32, total: u32) -> u32 {
    let pages = end - first;
    let reach = (total * 2).clamp(pages * LEAST_REACH, pages * TABLE_REACH);
    first.saturating_add(reach).min(maximum.min(MAX_PAGES)).max(end)
}

/// The units that a request takes at the least, what its alignment may cost included.
fn units_for(byte_length: u32, align: u32) -> u32 {
    match class_for(byte_length, align) {
        Some(class) => CLASSES[class].least_units(),
        None => {
            let bytes = u64::from(byte_length) + u64::from(align.clamp(GRAIN, UNIT));
            bytes.div_ceil(u64::from(UNIT)) as u32 + align.div_ceil(UNIT) - 1
        }
    }
}

/// The pages of a new segment in a heap of `total` pages that has `units` units for blocks.
fn segment_pages(units: u32, total: u32) -> u32 {
    let mut pages = units.div_ceil(UNITS_PER_PAGE);
    loop {
        let limit = limit_page(0, pages, MAX_PAGES, total);
        let table = table_units(limit * UNITS_PER_PAGE, 0);
        if pages * UNITS_PER_PAGE >= units + table {
            return pages;
        }
        pages = (units + table).div_ceil(UNITS_PER_PAGE);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering::Relaxed;

    use super::super::Search;
    use super::*;
    use crate::tests::fixture::pages;

    #[test]
    fn pages_of_threads_that_grow_at_the_same_moment_are_added_in_any_order() {
        let words = pages(20);
        let (start, end_page, maximum) = (6 * PAGE, 8, 20);
        let territory = Territory { start, end_page, maximum, owns_all: false };
        let heap = Heap::format(Words::new(&words), territory).expect("room for a heap");
        for (first, end) in [(12, 14), (10, 12), (0, 2), (8, 9), (16, 17), (14, 16)] {
            let before = heap.total_units().unwrap();
            assert_eq!(heap.add_pages(first, end), Ok(()));
            let added = heap.total_units().unwrap() - before;
            assert!(added > (end - first) * UNITS_PER_PAGE / 2);
            for part in [(first, end), (first, first + 1), (end - 1, end + 1)] {
                assert_eq!(heap.add_pages(part.0, part.1), Err(Fault::Corrupted));
            }
        }
        let mut pages = [false; 20];
        while let Ok(block) = heap.malloc(1000, GRAIN, Search::Quick) {
            pages[(block / PAGE) as usize] = true;
        }
        let foreign = |page: &usize| [2, 3, 4, 5, 9, 17, 18, 19].contains(page);
        assert!((0..20).all(|page| pages[page] != foreign(&page)), "{pages:?}");
        assert!(words[..4].iter().all(|word| word.load(Relaxed) == 0));
    }
}
