//! Free runs of units: kept in bins by length, split when taken, joined with both neighbours when
//! freed. Links are unit numbers in the records, checked from both sides before they are followed.

use core::ops::Range;

use super::Heap;
use super::block::Search;
use super::layout::{AUX, BIN_BITMAP_WORDS, BINS, NEXT, PREVIOUS, UNIT, UnitKind, root};
use super::segment::Segment;
use crate::fault::{Fault, Result};

/// Runs looked at in one bin before the next larger bin is tried. A bin's runs differ by at most
/// an eighth, so that few looks find a fit if there is one.
const LOOKS: u32 = 16;

/// The bin of runs of `units` units: exact below 8, then eight bins a doubling.
pub(super) const fn bin_of(units: u32) -> u32 {
    if units < 8 {
        return units;
    }
    let log = units.ilog2();
    (log - 2) * 8 + (units >> (log - 3) & 7)
}

const _: () = assert!(bin_of(1 << 20) < BINS);

/// Where in the run `[start, start + length)` `units` units can begin: at its start when `align` is less
/// than a unit; else as far up as their second unit can lie at a multiple of `align` bytes. Spans come
/// from below and large blocks from above, so that a large block at the heap's end stays there and
/// can be extended when the memory grows.
fn place(start: u32, length: u32, units: u32, align: u32) -> Option<u32> {
    let last = (start + length).checked_sub(units).filter(|&last| last >= start)?;
    if align < UNIT {
        return Some(start);
    }
    let second = last + 1 - (last + 1) % (align / UNIT);
    second.checked_sub(1).filter(|&begin| begin >= start)
}

/// A free run with room, and the unit that the room begins at.
struct Place<'m> {
    segment: Segment<'m>,
    run: u32,
    end: u32,
    begin: u32,
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
        let mut bin = bin_of(units);
        while let Some(found) = self.next_filled_bin(bin)? {
            if let Some(Place { segment, run, end, begin }) =
                self.find_in_bin(found, units, align, search)?
            {
                self.cut_run(&segment, run..end, begin..begin + units)?;
                return Ok((segment, begin));
            }
            bin = found + 1;
        }
        Err(Fault::OutOfMemory)
    }

    /// Frees `length` units from `start`, joining them with free neighbours.
    ///
    /// # Errors
    /// [`Fault::Corrupted`]; the neighbours stay as they were.
    pub(super) fn free_run(&self, segment: &Segment<'m>, start: u32, length: u32) -> Result<()> {
        let end = start + length;
        let begin = self.free_run_before(segment, start)?.unwrap_or(start);
        let limit = end + self.free_length_at(segment, end)?;
        self.without_run(segment, begin..start, || {
            self.without_run(segment, end..limit, || self.link_run(segment, begin..limit))
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
        let length = self.free_length_at(segment, start)?;
        if length < units {
            return Ok(false);
        }
        self.cut_run(segment, start..start + length, start..start + units)?;
        Ok(true)
    }

    /// The length of the free run that ends the segment, 0 when its last unit is taken.
    pub(super) fn free_tail(&self, segment: &Segment<'m>) -> Result<u32> {
        Ok(self.free_run_before(segment, segment.end)?.map_or(0, |start| segment.end - start))
    }

    /// Whether the free run that starts at `start` is at least `length` units long.
    ///
    /// # Errors
    /// [`Fault::Corrupted`].
    pub fn is_free(&self, start: u32, length: u32) -> Result<bool> {
        let Some(segment) = self.segment_of(start)? else { return Ok(false) };
        Ok(segment.kind(start)? == UnitKind::FreeHead && segment.run_length(start)? >= length)
    }

    // The length of the free run that starts at `unit`, 0 when none does.
    fn free_length_at(&self, segment: &Segment<'m>, unit: u32) -> Result<u32> {
        if unit >= segment.end || segment.kind(unit)? != UnitKind::FreeHead {
            return Ok(0);
        }
        segment.run_length(unit)
    }

    fn free_run_before(&self, segment: &Segment<'m>, unit: u32) -> Result<Option<u32>> {
        if unit == segment.first {
            return Ok(None);
        }
        let last = unit - 1;
        match segment.kind(last)? {
            UnitKind::FreeHead => Ok(Some(last)),
            UnitKind::FreeTail => {
                let head = unit.checked_sub(segment.record(last, AUX)?).ok_or(Fault::Corrupted)?;
                let whole = segment.run_length(head)? == unit - head;
                if whole { Ok(Some(head)) } else { Err(Fault::Corrupted) }
            }
            _ => Ok(None),
        }
    }

    fn next_filled_bin(&self, from: u32) -> Result<Option<u32>> {
        let mut mask = u32::MAX << (from % 32);
        for word in from / 32..BIN_BITMAP_WORDS {
            let filled = self.field(root::BIN_BITMAP + word)? & mask;
            if filled != 0 {
                let bin = word * 32 + filled.trailing_zeros();
                return if bin < BINS { Ok(Some(bin)) } else { Err(Fault::Corrupted) };
            }
            mask = u32::MAX;
        }
        Ok(None)
    }

    fn find_in_bin(
        &self,
        bin: u32,
        units: u32,
        align: u32,
        search: Search,
    ) -> Result<Option<Place<'m>>> {
        let mut run = self.field(root::BIN_HEADS + bin)?;
        let looks = match search {
            Search::Quick => LOOKS,
            // Every run and the end of the list: more are a circle.
            Search::Exhaustive => self.total_units()? + 1,
        };
        for _ in 0..looks {
            if run == 0 {
                return Ok(None);
            }
            let segment = self.own_segment(run)?;
            let length = segment.run_length(run)?;
            if let Some(begin) = place(run, length, units, align) {
                return Ok(Some(Place { segment, run, end: run + length, begin }));
            }
            run = segment.record(run, NEXT)?;
        }
        if search == Search::Exhaustive { Err(Fault::Corrupted) } else { Ok(None) }
    }

    // Takes `taken` out of the free run `run`.
    fn cut_run(&self, segment: &Segment<'m>, run: Range<u32>, taken: Range<u32>) -> Result<()> {
        let (before, after) = (run.start..taken.start, taken.end..run.end);
        self.without_run(segment, run, || {
            self.link_run(segment, before.clone())?;
            let linked = self.link_run(segment, after);
            linked.inspect_err(|_| drop(self.unlink_run(segment, before)))
        })
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

    // Makes a free run of units; of none, if there are none. Fails before anything is changed.
    fn link_run(&self, segment: &Segment<'m>, run: Range<u32>) -> Result<()> {
        if run.is_empty() {
            return Ok(());
        }
        let (start, length) = (run.start, run.end - run.start);
        let bin = bin_of(length);
        self.push_front(root::BIN_HEADS + bin, segment, start)?;
        if length > 1 {
            let last = start + length - 1;
            segment.set_kind(last, UnitKind::FreeTail)?;
            segment.set_record(last, AUX, length)?;
        }
        segment.set_kind(start, UnitKind::FreeHead)?;
        segment.set_record(start, AUX, length)?;
        let word = root::BIN_BITMAP + bin / 32;
        self.set_field(word, self.field(word)? | 1 << (bin % 32))
    }

    // Undoes `link_run`. Fails before anything is changed.
    fn unlink_run(&self, segment: &Segment<'m>, run: Range<u32>) -> Result<()> {
        if run.is_empty() {
            return Ok(());
        }
        let (start, length) = (run.start, run.end - run.start);
        let bin = bin_of(length);
        self.unlink(root::BIN_HEADS + bin, segment, start)?;
        if self.field(root::BIN_HEADS + bin)? == 0 {
            let word = root::BIN_BITMAP + bin / 32;
            self.set_field(word, self.field(word)? & !(1 << (bin % 32)))?;
        }
        segment.set_kind(start, UnitKind::Inside)?;
        segment.set_kind(start + length - 1, UnitKind::Inside)
    }

    /// Puts `unit` at the front of the list whose head is the root's field `head`.
    pub(super) fn push_front(&self, head: u32, segment: &Segment<'m>, unit: u32) -> Result<()> {
        let next = self.field(head)?;
        if next != 0 {
            self.own_segment(next)?.set_record(next, PREVIOUS, unit)?;
        }
        segment.set_record(unit, NEXT, next)?;
        segment.set_record(unit, PREVIOUS, 0)?;
        self.set_field(head, unit)
    }

    /// Takes `unit` out of the list whose head is the root's field `head`.
    ///
    /// # Errors
    /// [`Fault::Corrupted`] when a neighbour does not link back; nothing is changed then.
    pub(super) fn unlink(&self, head: u32, segment: &Segment<'m>, unit: u32) -> Result<()> {
        let next = segment.record(unit, NEXT)?;
        let previous = segment.record(unit, PREVIOUS)?;
        let before = if previous == 0 { None } else { Some(self.own_segment(previous)?) };
        let after = if next == 0 { None } else { Some(self.own_segment(next)?) };
        let linked_from = match before {
            None => self.field(head)?,
            Some(before) => before.record(previous, NEXT)?,
        };
        let linked_back = after.map_or(Ok(unit), |after| after.record(next, PREVIOUS))?;
        if linked_from != unit || linked_back != unit {
            return Err(Fault::Corrupted);
        }
        match before {
            None => self.set_field(head, next)?,
            Some(before) => before.set_record(previous, NEXT, next)?,
        }
        after.map_or(Ok(()), |after| after.set_record(next, PREVIOUS, previous))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bins_are_ordered_and_distinct_enough() {
        let mut last = 0;
        for units in 1..=1 << 20 {
            let bin = bin_of(units);
            assert!(bin == last || bin == last + 1, "{units}");
            last = bin;
        }
        assert_eq!(bin_of(7), 7);
        assert_eq!(bin_of(8), 8);
    }

    #[test]
    fn an_aligned_place_has_its_second_unit_aligned() {
        assert_eq!(place(5, 20, 3, 65_536), Some(15));
        assert_eq!(place(5, 36, 3, 65_536), Some(31));
        assert_eq!(place(5, 12, 3, 65_536), None);
        assert_eq!(place(5, 6, 3, 4_096), Some(8));
        assert_eq!(place(5, 6, 3, 1), Some(5));
        assert_eq!(place(5, 2, 3, 1), None);
    }
}
