//! Segments: contiguous ranges of pages, each with a table at its start that describes its units.
//!
//! A table is made for more units than the segment has at first, so that pages grown right behind
//! the segment extend it; `limit` is the unit that its table ends at.

use super::layout::{
    AUX, MAX_SEGMENTS, MAX_UNITS, PAGE, RECORD_WORDS, SEGMENT_WORDS, TABLE_WORDS_PER_UNIT, UNIT,
    UNITS_PER_PAGE, UnitKind, root,
};
use super::{Heap, Words};
use crate::fault::{Fault, Result};

const WORDS_PER_UNIT: u32 = UNIT / 4;

/// A segment as its directory entry describes it. Unit numbers count from the memory's start.
#[derive(Clone, Copy, Debug)]
pub struct Segment<'m> {
    words: Words<'m>,
    /// The first unit of the page that the table begins in.
    pub start: u32,
    /// The first unit that holds blocks.
    pub first: u32,
    /// The unit after the last one.
    pub end: u32,
    /// The unit up to which the table has room.
    pub limit: u32,
    /// The word index of the table.
    pub map: u32,
    /// The word index that the map word of unit 0 would have, and its record; both wrap around.
    pub map_origin: u32,
    record_origin: u32,
}

impl core::fmt::Debug for Words<'_> {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(formatter, "Words({} bytes)", self.byte_length())
    }
}

impl Segment<'_> {
    /// Whether `unit` belongs to this segment.
    pub const fn contains(&self, unit: u32) -> bool {
        self.first <= unit && unit < self.end
    }

    /// What `unit` is. Units of other segments are read as corrupted.
    pub fn kind(&self, unit: u32) -> Result<UnitKind> {
        UnitKind::unpack(self.words.get(self.map_index(unit)?)?).ok_or(Fault::Corrupted)
    }

    /// Says what `unit` is.
    pub fn set_kind(&self, unit: u32, kind: UnitKind) -> Result<()> {
        self.words.set(self.map_index(unit)?, kind.pack())
    }

    /// Reads a field of the record of `unit`.
    pub fn record(&self, unit: u32, field: u32) -> Result<u32> {
        self.words.get(self.record_index(unit)? + field)
    }

    /// Writes a field of the record of `unit`.
    pub fn set_record(&self, unit: u32, field: u32, value: u32) -> Result<()> {
        self.words.set(self.record_index(unit)? + field, value)
    }

    /// The length in units of the run or large block that starts at `unit`.
    ///
    /// # Errors
    /// [`Fault::Corrupted`] when it is empty or reaches past the segment.
    pub fn length(&self, unit: u32) -> Result<u32> {
        let length = self.record(unit, AUX)?;
        let fits = self.contains(unit) && length > 0 && length <= self.end - unit;
        if fits { Ok(length) } else { Err(Fault::Corrupted) }
    }

    /// The length in units of the free run that starts at `unit`, confirmed at its other end.
    ///
    /// # Errors
    /// [`Fault::Corrupted`] when `unit` does not start a run or its two ends disagree.
    pub fn run_length(&self, unit: u32) -> Result<u32> {
        let length = self.length(unit)?;
        let last = unit + length - 1;
        let confirmed = self.kind(unit)? == UnitKind::FreeHead
            && (length == 1
                || self.kind(last)? == UnitKind::FreeTail && self.record(last, AUX)? == length);
        if confirmed { Ok(length) } else { Err(Fault::Corrupted) }
    }

    fn map_index(&self, unit: u32) -> Result<u32> {
        if !self.contains(unit) {
            return Err(Fault::Corrupted);
        }
        Ok(self.map_origin.wrapping_add(unit))
    }

    /// The word index of the record of `unit`, whose words are all inside the memory: an entry of the
    /// directory is only read when its whole table is.
    pub fn record_index(&self, unit: u32) -> Result<u32> {
        if !self.contains(unit) {
            return Err(Fault::Corrupted);
        }
        Ok(self.record_origin.wrapping_add(unit * RECORD_WORDS))
    }
}

/// Puts segments in ascending order of address. Returns whether no two of them overlap.
pub fn ascend(segments: &mut [Segment<'_>]) -> bool {
    segments.sort_by_key(|segment| segment.start);
    segments.is_sorted_by(|one, next| one.end <= next.start)
}

/// The unit that the map of a table at word `map` begins with: the first of the page that the table
/// begins in, so that there is a map word for every unit of every page. Those of the table are 0.
const fn map_first(map: u32) -> u32 {
    map / (PAGE / 4) * UNITS_PER_PAGE
}

/// Units that a table for `units` units takes when `taken` bytes of its first unit are in use.
pub const fn table_units(units: u32, taken: u32) -> u32 {
    (taken + units * TABLE_WORDS_PER_UNIT * 4).div_ceil(UNIT)
}

/// The first unit behind a table at byte `start` that reaches up to unit `limit`.
pub const fn first_unit(start: u32, limit: u32) -> u32 {
    start / UNIT + table_units(limit - map_first(start / 4), start % UNIT)
}

/// The check word of a directory entry: differs when one of the four words does.
const fn check_of(first: u32, end: u32, limit: u32, map: u32) -> u32 {
    !(first ^ end.rotate_left(8) ^ limit.rotate_left(16) ^ map.rotate_left(24))
}

impl<'m> Heap<'m> {
    /// How many segments there are.
    pub(super) fn segment_count(&self) -> Result<u32> {
        let count = self.field(root::SEGMENT_COUNT)?;
        if count <= MAX_SEGMENTS { Ok(count) } else { Err(Fault::Corrupted) }
    }

    /// Segment `index` of the directory.
    pub(super) fn segment(&self, index: u32) -> Result<Segment<'m>> {
        let entry = root::DIRECTORY + index * SEGMENT_WORDS;
        let (first, end) = (self.field(entry)?, self.field(entry + 1)?);
        let (limit, map) = (self.field(entry + 2)?, self.field(entry + 3)?);
        let map_first = map_first(map);
        let checked = self.field(entry + 4)? == check_of(first, end, limit, map);
        let ordered =
            map_first <= first && first < end && end <= limit && limit <= MAX_UNITS && checked;
        let units = u64::from(limit.wrapping_sub(map_first));
        let table_end = u64::from(map) + units * u64::from(TABLE_WORDS_PER_UNIT);
        let within = u64::from(end) * u64::from(UNIT) <= self.words.byte_length()
            && table_end <= u64::from(first) * u64::from(WORDS_PER_UNIT);
        if !ordered || !within {
            return Err(Fault::Corrupted);
        }
        let records = map + (limit - map_first);
        let map_origin = map.wrapping_sub(map_first);
        let record_origin = records.wrapping_sub(first * RECORD_WORDS);
        let start = map_first;
        Ok(Segment { words: self.words, start, first, end, limit, map, map_origin, record_origin })
    }

    /// All segments in ascending order of directory entry.
    pub(super) fn segments(&self) -> Result<impl DoubleEndedIterator<Item = Result<Segment<'m>>>> {
        let heap = *self;
        Ok((0..self.segment_count()?).map(move |index| heap.segment(index)))
    }

    /// The segment that `unit` belongs to, the youngest and largest ones looked at first.
    pub(super) fn segment_of(&self, unit: u32) -> Result<Option<Segment<'m>>> {
        for segment in self.segments()?.rev() {
            let segment = segment?;
            if segment.contains(unit) {
                return Ok(Some(segment));
            }
        }
        Ok(None)
    }

    /// The segment of a unit that one of the heap's own records names.
    pub(super) fn own_segment(&self, unit: u32) -> Result<Segment<'m>> {
        self.segment_of(unit)?.ok_or(Fault::Corrupted)
    }

    /// Enters a segment of the bytes from `start` to `end`, its table made for units up to `limit`,
    /// and frees its units. The bytes of the table must be zero or about to be overwritten.
    ///
    /// # Errors
    /// [`Fault::OutOfMemory`] when the directory is full or the table leaves no unit.
    pub(super) fn add_segment(&self, start: u32, end: u32, limit: u32) -> Result<()> {
        let first = first_unit(start, limit);
        let index = self.segment_count()?;
        if index == MAX_SEGMENTS || first >= end {
            return Err(Fault::OutOfMemory);
        }
        let map = start / 4;
        for word in map..map + (limit - map_first(map)) {
            self.words.set(word, UnitKind::Inside.pack())?;
        }
        self.set_segment(index, [first, end, limit, map])?;
        self.set_field(root::SEGMENT_COUNT, index + 1)?;
        self.add_units(&self.segment(index)?, first)
    }

    /// Moves the end of segment `index` to `end`, at most its limit.
    pub(super) fn extend_segment(&self, index: u32, end: u32) -> Result<()> {
        let old = self.segment(index)?;
        self.set_segment(index, [old.first, end, old.limit, old.map])?;
        self.add_units(&self.segment(index)?, old.end)
    }

    fn set_segment(&self, index: u32, [first, end, limit, map]: [u32; 4]) -> Result<()> {
        let entry = root::DIRECTORY + index * SEGMENT_WORDS;
        let words = [first, end, limit, map, check_of(first, end, limit, map)];
        (entry..).zip(words).try_for_each(|(field, value)| self.set_field(field, value))
    }

    // Frees the units of a segment from `first` on, which are new.
    fn add_units(&self, segment: &Segment<'m>, first: u32) -> Result<()> {
        let units = segment.end - first;
        self.set_total_units(self.total_units()?.saturating_add(units))?;
        self.free_run(segment, first, units)
    }
}
