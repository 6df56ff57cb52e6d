//! Free runs of units: kept in bins by length, split when taken, joined with both neighbours when
//! freed.
//!
//! All that is known of a run lies in its map words: the length in its first and its last, and the
//! links of its bin in its second and third. In a run of three units the third has the link only.
//! Runs of less than [`LISTED`] units have no room for links: but in small heaps, where short spans
//! look for them one by one, nobody finds them until a neighbour is freed.

use core::ops::Range;

use super::list::Links;
use super::measures::{LISTED, MAX_UNITS, UNIT, unit_of};
use super::segment::Segment;
use super::superblock::{BIN_BITMAP_WORDS, BINS, Heap, field};
use super::unit_kind::UnitKind;
use crate::fault::{Fault, Result};

/// Runs looked at in one bin before the next larger bin is tried. A bin's runs differ by at most
/// an eighth, so that few looks find a fit if there is one.
const LOOKS: u32 = 16;
/// Runs looked at, in all bins, until the lowest one that fits is taken.
const LOOKS_FOR_LOWEST: u32 = 8;

/// What is free is in pieces when the longest of them is less than one part in this many of the heap.
const PIECES_SHARE: u32 = 4;

/// How hard to look for room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Search {
    /// For as long as growing the memory is cheaper than looking on.
    Quick,
    /// As [`Search::Quick`], for a large block that had to move because it grew: it is placed where
    /// it can grow again.
    Moving,
    /// As [`Search::Quick`], for a small block, in mixed units rather than in a new span.
    Mixing,
    /// Everywhere, mixed units and free blocks of larger classes included: the memory cannot grow.
    Exhaustive,
}

/// The bin of runs of `units` units: exact below 8, then eight bins a doubling.
pub const fn bin_of(units: u32) -> u32 {
    if units < 8 {
        return units;
    }
    let log = units.ilog2();
    (log - 2) * 8 + (units >> (log - 3) & 7)
}

const _: () = assert!(bin_of(MAX_UNITS) < BINS);

/// The lowest unit from `start` on that a run can begin at whose second unit is aligned to `align`
/// bytes.
pub const fn first_place(start: u32, align: u32) -> u32 {
    if align <= UNIT { start } else { (start + 1).next_multiple_of(align / UNIT) - 1 }
}

/// The highest unit up to `last` that such a run can begin at.
const fn last_place(last: u32, align: u32) -> Option<u32> {
    if align <= UNIT { Some(last) } else { (last + 1 - (last + 1) % (align / UNIT)).checked_sub(1) }
}

/// Where in a run `units` units can begin, so that their second unit is aligned to `align` bytes:
/// as far up as possible, or as far down.
fn place(run: &Range<u32>, units: u32, align: u32, up: bool) -> Option<u32> {
    let last = run.end.checked_sub(units).filter(|&last| last >= run.start)?;
    let begin = if up { last_place(last, align)? } else { first_place(run.start, align) };
    (run.start <= begin && begin <= last).then_some(begin)
}

/// A free run with room, and the unit that the room begins at.
struct Fit<'m> {
    segment: Segment<'m>,
    run: Range<u32>,
    begin: u32,
}

/// What is looked for, and the best that was found so far.
struct Hunt<'m> {
    units: u32,
    align: u32,
    search: Search,
    /// The end of the runs in which a block lies as far up as possible: none ends at 0.
    up_to: u32,
    /// How many runs were looked at.
    looks: u32,
    /// The segment of the last one.
    near: Option<Segment<'m>>,
    fit: Option<Fit<'m>>,
}

impl<'m> Hunt<'m> {
    // A block that moves is as well anywhere, in the run that fits best.
    fn is_over(&self) -> bool {
        self.fit.is_some() && (self.search == Search::Moving || self.looks >= LOOKS_FOR_LOWEST)
    }

    // A lower run is the better one: so what is used stays together, and what is free far up
    // becomes long runs.
    fn look(&mut self, segment: Segment<'m>, run: Range<u32>) {
        self.looks += 1;
        self.near = Some(segment);
        let better = self.fit.as_ref().is_none_or(|fit| run.start < fit.run.start);
        let up = run.end == self.up_to;
        if let Some(begin) = place(&run, self.units, self.align, up).filter(|_| better) {
            self.fit = Some(Fit { segment, run, begin });
        }
    }
}

impl Segment<'_> {
    /// The length in units of the free run that starts at `unit`, confirmed at its other end.
    ///
    /// # Errors
    /// [`Fault::Corrupted`] when `unit` does not start a run or its two ends disagree.
    #[inline]
    pub fn run_length(&self, unit: u32) -> Result<u32> {
        let UnitKind::Free { units } = self.kind(unit)? else { return Err(Fault::Corrupted) };
        if units == 0 || units > self.end - unit {
            return Err(Fault::Corrupted);
        }
        let last = unit + units - 1;
        let confirmed = match units {
            1 => true,
            LISTED => matches!(self.kind(last)?, UnitKind::Previous(_)),
            _ => self.is(last, UnitKind::FreeTail { units })?,
        };
        if confirmed { Ok(units) } else { Err(Fault::Corrupted) }
    }

    // The length of the free run that starts at `unit`, 0 when none does.
    fn free_length_at(&self, unit: u32) -> Result<u32> {
        match unit < self.end && matches!(self.kind(unit)?, UnitKind::Free { .. }) {
            true => self.run_length(unit),
            false => Ok(0),
        }
    }

    /// The unit that the free run which ends at `unit` starts with; `unit` when none does.
    ///
    /// # Errors
    /// [`Fault::Corrupted`].
    pub fn free_start_before(&self, unit: u32) -> Result<u32> {
        if unit == self.start {
            return Ok(unit);
        }
        let units = match self.kind(unit - 1)? {
            UnitKind::Free { units: 1 } => 1,
            UnitKind::Previous(_) => LISTED,
            UnitKind::FreeTail { units } => units,
            UnitKind::Free { .. } => return Err(Fault::Corrupted),
            _ => return Ok(unit),
        };
        let start = unit.checked_sub(units).ok_or(Fault::Corrupted)?;
        if self.run_length(start)? == units { Ok(start) } else { Err(Fault::Corrupted) }
    }
}

/// Writes the length of a free run into its first and last map word.
fn label(segment: &Segment<'_>, run: Range<u32>) -> Result<()> {
    let units = run.end - run.start;
    if units > 1 && units != LISTED {
        segment.set_kind(run.end - 1, UnitKind::FreeTail { units })?;
    }
    segment.set_kind(run.start, UnitKind::Free { units })
}

/// Whether a free run that becomes another one stays in its bin. No two short ones share a bin, so
/// that the map words of both have room for length and links.
fn stays(run: &Range<u32>, other: &Range<u32>) -> bool {
    !run.is_empty()
        && !other.is_empty()
        && bin_of(run.end - run.start) == bin_of(other.end - other.start)
}

/// The links of free runs, in their second and third map words. Most members lie in the segment
/// `near`.
pub struct RunLinks<'h, 'm> {
    pub heap: &'h Heap<'m>,
    pub near: &'h Segment<'m>,
}

impl<'m> RunLinks<'_, 'm> {
    #[inline(always)]
    fn segment_of(&self, unit: u32) -> Result<Segment<'m>> {
        if self.near.contains(unit) { Ok(*self.near) } else { self.heap.own_segment(unit) }
    }
}

impl Links for RunLinks<'_, '_> {
    #[inline(always)]
    fn next(&self, unit: u32) -> Result<u32> {
        match self.segment_of(unit)?.kind(unit + 1)? {
            UnitKind::Next(next) => Ok(next),
            _ => Err(Fault::Corrupted),
        }
    }

    #[inline(always)]
    fn previous(&self, unit: u32) -> Result<u32> {
        match self.segment_of(unit)?.kind(unit + 2)? {
            UnitKind::Previous(previous) => Ok(previous),
            _ => Err(Fault::Corrupted),
        }
    }

    #[inline(always)]
    fn set_next(&self, unit: u32, next: u32) -> Result<()> {
        self.segment_of(unit)?.set_kind(unit + 1, UnitKind::Next(next))
    }

    #[inline(always)]
    fn set_previous(&self, unit: u32, previous: u32) -> Result<()> {
        self.segment_of(unit)?.set_kind(unit + 2, UnitKind::Previous(previous))
    }
}

impl<'m> Heap<'m> {
    /// Takes a run of `units` units out of the free ones. With `align` above a unit, the run's
    /// second unit is aligned to that many bytes.
    ///
    /// # Errors
    /// [`Fault::OutOfMemory`] when no run is long enough.
    pub(super) fn take_run(
        &self,
        units: u32,
        align: u32,
        search: Search,
    ) -> Result<(Segment<'m>, u32)> {
        let fit = self.find_run(units, align, search)?.ok_or(Fault::OutOfMemory)?;
        let Fit { segment, run, begin } = fit;
        self.cut_run(&segment, run, begin..begin + units)?;
        Ok((segment, begin))
    }

    /// Frees `length` units from `start`, joining them with free neighbours.
    ///
    /// # Errors
    /// [`Fault::Corrupted`]; the neighbours stay as they were.
    pub(super) fn free_run(&self, segment: &Segment<'m>, start: u32, length: u32) -> Result<()> {
        let end = start + length;
        let begin = segment.free_start_before(start)?;
        let limit = end + segment.free_length_at(end)?;
        let (before, after) = (begin..start, end..limit);
        if before.is_empty() && stays(&after, &(begin..limit)) {
            return self.move_start(segment, after, begin);
        }
        self.without_run(segment, after, || match stays(&before, &(begin..limit)) {
            true => self.move_end(segment, before, limit),
            false => self.without_run(segment, before, || self.link_run(segment, begin..limit)),
        })
    }

    /// Takes the first `units` units of the free run that starts at `start`, if it is long enough.
    ///
    /// # Errors
    /// [`Fault::Corrupted`]; nothing is changed then.
    pub(super) fn take_run_at(
        &self,
        segment: &Segment<'m>,
        start: u32,
        units: u32,
    ) -> Result<bool> {
        let length = segment.free_length_at(start)?;
        if length < units {
            return Ok(false);
        }
        self.cut_run(segment, start..start + length, start..start + units)?;
        Ok(true)
    }

    /// Whether the free run that starts at `start` is at least `length` units long.
    ///
    /// # Errors
    /// [`Fault::Corrupted`].
    pub fn is_free(&self, start: u32, length: u32) -> Result<bool> {
        let Some(segment) = self.segment_of(start)? else { return Ok(false) };
        Ok(segment.free_length_at(start)? >= length)
    }

    /// The first bin from `from` on that holds a run.
    fn next_filled_bin(&self, from: u32) -> Result<Option<u32>> {
        let mut mask = u32::MAX << (from % 32);
        for word in from / 32..BIN_BITMAP_WORDS {
            let filled = self.field(field::BIN_BITMAP + word)? & mask;
            if filled != 0 {
                return Ok(Some(word * 32 + filled.trailing_zeros()));
            }
            mask = u32::MAX;
        }
        Ok(None)
    }

    /// Whether what is free is in pieces: no run is longer than a quarter of the heap, to an eighth.
    ///
    /// # Errors
    /// [`Fault::Corrupted`].
    pub fn is_in_pieces(&self) -> Result<bool> {
        Ok(self.next_filled_bin(bin_of(self.total_units()? / PIECES_SHARE))?.is_none())
    }

    /// The length of the longest run that is in a bin, to an eighth: at least that of its bin.
    pub fn longest_run(&self) -> Result<u32> {
        for bin in (0..BINS).rev() {
            let run = self.field(field::BIN_HEADS + bin)?;
            if run != 0 {
                return self.own_segment(run)?.run_length(run);
            }
        }
        Ok(0)
    }

    fn find_run(&self, units: u32, align: u32, search: Search) -> Result<Option<Fit<'m>>> {
        let up_to = self.top_for(search)?;
        let mut hunt = Hunt { units, align, search, up_to, looks: 0, near: None, fit: None };
        let mut bin = self.next_filled_bin(bin_of(units))?;
        while let Some(filled) = bin.filter(|_| !hunt.is_over()) {
            self.find_in_bin(filled, &mut hunt)?;
            bin = self.next_filled_bin(filled + 1)?;
        }
        Ok(hunt.fit)
    }

    // The end of the run whose upper end is the place for a block: the heap's, for one that moves,
    // so that it stays there and can be extended when the memory grows. In all other runs, and
    // where the memory cannot grow, what lies behind a block is where it grows next.
    fn top_for(&self, search: Search) -> Result<u32> {
        if search != Search::Moving {
            return Ok(0);
        }
        let [end, maximum] = [field::END_PAGE, field::MAXIMUM].map(|page| self.field(page));
        let end = end?;
        Ok(if end < maximum? { unit_of(end) } else { 0 })
    }

    fn find_in_bin(&self, bin: u32, hunt: &mut Hunt<'m>) -> Result<()> {
        let mut start = self.field(field::BIN_HEADS + bin)?;
        let looks = match hunt.search {
            Search::Quick | Search::Moving | Search::Mixing => LOOKS,
            // Every run and the end of the list: more are a circle.
            Search::Exhaustive => self.total_units()? + 1,
        };
        for _ in 0..looks {
            if start == 0 || hunt.is_over() {
                return Ok(());
            }
            let near = hunt.near.filter(|segment| segment.contains(start));
            let segment = near.map_or_else(|| self.own_segment(start), Ok)?;
            let length = segment.run_length(start)?;
            if bin_of(length) != bin {
                return Err(Fault::Corrupted);
            }
            hunt.look(segment, start..start + length);
            start = RunLinks { heap: self, near: &segment }.next(start)?;
        }
        if hunt.search == Search::Exhaustive { Err(Fault::Corrupted) } else { Ok(()) }
    }

    // Takes `taken` out of the free run `run`.
    fn cut_run(&self, segment: &Segment<'m>, run: Range<u32>, taken: Range<u32>) -> Result<()> {
        let (before, after) = (run.start..taken.start, taken.end..run.end);
        if before.is_empty() && stays(&run, &after) {
            return self.move_start(segment, run, after.start);
        }
        if after.is_empty() && stays(&run, &before) {
            return self.move_end(segment, run, before.end);
        }
        self.without_run(segment, run, || {
            self.link_run(segment, before.clone())?;
            let linked = self.link_run(segment, after);
            linked.inspect_err(|_| drop(self.unlink_run(segment, before)))
        })
    }

    // Moves the start of a free run that stays in its bin.
    fn move_start(&self, segment: &Segment<'m>, run: Range<u32>, start: u32) -> Result<()> {
        let links = RunLinks { heap: self, near: segment };
        let head = field::BIN_HEADS + bin_of(run.end - run.start);
        let neighbours = self.neighbours(&links, head, run.start)?;
        for unit in run.start..run.start + 3 {
            segment.set_kind(unit, UnitKind::Inside)?;
        }
        self.insert(&links, head, start, neighbours)?;
        label(segment, start..run.end)
    }

    // Moves the end of a free run that stays in its bin.
    fn move_end(&self, segment: &Segment<'m>, run: Range<u32>, end: u32) -> Result<()> {
        segment.set_kind(run.end - 1, UnitKind::Inside)?;
        label(segment, run.start..end)
    }

    // Unlinks a free run and calls `act`; when that fails, the run is linked again.
    fn without_run(
        &self,
        segment: &Segment<'m>,
        run: Range<u32>,
        act: impl FnOnce() -> Result<()>,
    ) -> Result<()> {
        self.unlink_run(segment, run.clone())?;
        act().inspect_err(|_| drop(self.link_run(segment, run)))
    }

    /// Makes a free run of units that are inside of nothing; of none, if there are none. Neighbours
    /// are not looked at.
    ///
    /// # Errors
    /// [`Fault::Corrupted`]; nothing is changed then.
    pub(super) fn link_run(&self, segment: &Segment<'m>, run: Range<u32>) -> Result<()> {
        if run.is_empty() {
            return Ok(());
        }
        let units = run.end - run.start;
        if units >= LISTED {
            let bin = bin_of(units);
            let links = RunLinks { heap: self, near: segment };
            if self.push_front(&links, field::BIN_HEADS + bin, run.start)? {
                self.set_filled(bin, true)?;
            }
        }
        label(segment, run)
    }

    /// Undoes [`Heap::link_run`].
    ///
    /// # Errors
    /// [`Fault::Corrupted`]; nothing is changed then.
    pub(super) fn unlink_run(&self, segment: &Segment<'m>, run: Range<u32>) -> Result<()> {
        if run.is_empty() {
            return Ok(());
        }
        let (start, units) = (run.start, run.end - run.start);
        if units >= LISTED {
            let bin = bin_of(units);
            let links = RunLinks { heap: self, near: segment };
            if self.unlink(&links, field::BIN_HEADS + bin, start)? {
                self.set_filled(bin, false)?;
            }
            segment.set_kind(start + 1, UnitKind::Inside)?;
            segment.set_kind(start + 2, UnitKind::Inside)?;
        }
        segment.set_kind(start, UnitKind::Inside)?;
        segment.set_kind(run.end - 1, UnitKind::Inside)
    }

    fn set_filled(&self, bin: u32, filled: bool) -> Result<()> {
        let word = field::BIN_BITMAP + bin / 32;
        let others = self.field(word)? & !(1 << (bin % 32));
        self.set_field(word, others | u32::from(filled) << (bin % 32))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bins_are_ordered_and_distinct_enough() {
        let mut last = 0;
        for units in 1..=MAX_UNITS {
            let bin = bin_of(units);
            assert!(bin == last || bin == last + 1, "{units}");
            last = bin;
        }
        assert_eq!(bin_of(7), 7);
        assert_eq!(bin_of(8), 8);
        assert_eq!(last, BINS - 1);
    }

    #[test]
    fn an_aligned_place_has_its_second_unit_aligned() {
        let places = |run: Range<u32>, align| [false, true].map(|up| place(&run, 3, align, up));
        assert_eq!(places(5..66, 65_536), [Some(63); 2]);
        assert_eq!(places(5..155, 65_536), [Some(63), Some(127)]);
        assert_eq!(places(5..65, 65_536), [None; 2]);
        assert_eq!(places(5..10, 1_024), [Some(5), Some(7)]);
        assert_eq!(places(5..7, 1_024), [None; 2]);
        assert_eq!(first_place(5, 1_024), 5);
        assert_eq!(first_place(5, 65_536), 63);
        assert_eq!(first_place(63, 65_536), 63);
        assert_eq!(first_place(64, 65_536), 127);
    }
}
