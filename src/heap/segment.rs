//! Segments: contiguous ranges of units, each with a map that has a word for every unit.
//!
//! A map lies in units of its own segment and is made for more units than the segment has at first,
//! so that pages grown right behind it extend it; `limit` is the unit that its map ends at.

use super::measures::{MAX_UNITS, UNIT, WORDS_PER_UNIT};
use super::superblock::{Heap, MAX_SEGMENTS, SEGMENT_WORDS, field};
use super::unit_kind::UnitKind;
use super::words::Words;
use crate::fault::{Fault, Result};

/// A segment as its directory entry describes it. Unit numbers count from the memory's start.
#[derive(Clone, Copy, Debug)]
pub struct Segment<'m> {
    words: Words<'m>,
    /// The first unit.
    pub start: u32,
    /// The unit after the last one.
    pub end: u32,
    /// The unit up to which the map has room.
    pub limit: u32,
    /// The word index of the map: that of the word for `start`.
    pub map: u32,
}

impl Segment<'_> {
    /// Whether `unit` belongs to this segment.
    #[inline(always)]
    pub const fn contains(&self, unit: u32) -> bool {
        unit.wrapping_sub(self.start) < self.end - self.start
    }

    /// What `unit` is.
    ///
    /// # Errors
    /// [`Fault::Corrupted`] when it belongs to another segment, or its word stands for nothing.
    #[inline(always)]
    pub fn kind(&self, unit: u32) -> Result<UnitKind> {
        UnitKind::unpack(self.words.get(self.map_index(unit)?)?).ok_or(Fault::Corrupted)
    }

    /// Whether `unit` is of that very kind.
    ///
    /// # Errors
    /// [`Fault::Corrupted`] when it belongs to another segment.
    #[inline(always)]
    pub fn is(&self, unit: u32, kind: UnitKind) -> Result<bool> {
        Ok(self.words.get(self.map_index(unit)?)? == kind.pack())
    }

    /// Says what `unit` is.
    ///
    /// # Errors
    /// [`Fault::Corrupted`] when it belongs to another segment.
    #[inline(always)]
    pub fn set_kind(&self, unit: u32, kind: UnitKind) -> Result<()> {
        self.words.set(self.map_index(unit)?, kind.pack())
    }

    /// The word index of the map word of `unit`.
    ///
    /// # Errors
    /// [`Fault::Corrupted`] when it belongs to another segment.
    #[inline(always)]
    pub fn map_index(&self, unit: u32) -> Result<u32> {
        if self.contains(unit) { Ok(self.map + (unit - self.start)) } else { Err(Fault::Corrupted) }
    }
}

/// Puts segments in ascending order of address. Returns whether no two of them overlap.
pub fn ascend(segments: &mut [Segment<'_>]) -> bool {
    segments.sort_by_key(|segment| segment.start);
    segments.is_sorted_by(|one, next| one.end <= next.start)
}

/// The check word of a directory entry: differs when one of the four words does.
const fn check_of([start, end, limit, map]: [u32; 4]) -> u32 {
    !(start ^ end.rotate_left(8) ^ limit.rotate_left(16) ^ map.rotate_left(24))
}

impl<'m> Heap<'m> {
    /// How many segments there are.
    pub(super) fn segment_count(&self) -> Result<u32> {
        let count = self.field(field::SEGMENT_COUNT)?;
        if count <= MAX_SEGMENTS { Ok(count) } else { Err(Fault::Corrupted) }
    }

    /// Segment `index` of the directory. All of its units and of its map lie in the memory.
    #[inline]
    pub(super) fn segment(&self, index: u32) -> Result<Segment<'m>> {
        let at = field::DIRECTORY + index * SEGMENT_WORDS;
        let entry =
            [self.field(at)?, self.field(at + 1)?, self.field(at + 2)?, self.field(at + 3)?];
        let [start, end, limit, map] = entry;
        let ordered = start < end && end <= limit && limit <= MAX_UNITS;
        if !ordered || self.field(at + 4)? != check_of(entry) {
            return Err(Fault::Corrupted);
        }
        let within = u64::from(end) * u64::from(UNIT) <= self.words.byte_length()
            && map >= start * WORDS_PER_UNIT
            && map.saturating_add(limit - start) <= end * WORDS_PER_UNIT;
        if !within {
            return Err(Fault::Corrupted);
        }
        Ok(Segment { words: self.words, start, end, limit, map })
    }

    /// All segments in the order of the directory.
    pub(super) fn segments(&self) -> Result<impl DoubleEndedIterator<Item = Result<Segment<'m>>>> {
        let heap = *self;
        Ok((0..self.segment_count()?).map(move |index| heap.segment(index)))
    }

    /// All segments in ascending order of address, none of which overlap: a walk over them meets no
    /// unit twice.
    ///
    /// # Errors
    /// [`Fault::Corrupted`].
    pub(super) fn segments_ascending(&self) -> Result<Vec<Segment<'m>>> {
        let mut segments = self.segments()?.collect::<Result<Vec<_>>>()?;
        if ascend(&mut segments) { Ok(segments) } else { Err(Fault::Corrupted) }
    }

    /// The segment that `unit` belongs to, the youngest ones looked at first.
    #[inline]
    pub(super) fn segment_of(&self, unit: u32) -> Result<Option<Segment<'m>>> {
        for index in (0..self.segment_count()?).rev() {
            let segment = self.segment(index)?;
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

    /// Writes directory entry `index` and returns the segment: first unit, end, limit, word index
    /// of the map.
    pub(super) fn set_segment(&self, index: u32, entry: [u32; 4]) -> Result<Segment<'m>> {
        let at = field::DIRECTORY + index * SEGMENT_WORDS;
        for (field, value) in (at..).zip(entry.into_iter().chain([check_of(entry)])) {
            self.set_field(field, value)?;
        }
        self.segment(index)
    }
}
