//! The memory as a map: what each range of its bytes is for, ascending and without gaps.

use super::walk::{Block, Piece, Slot};
use crate::fault::{Fault, Result};
use crate::heap::measures::{HEADER, UNIT, WORDS_PER_UNIT};
use crate::heap::segment::Segment;
use crate::heap::superblock::Heap;
use crate::heap::words::Words;

/// What a range of bytes is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// Not the heap's: below its base, or pages that it has not taken in.
    Outside,
    /// The heap's own records.
    Table,
    /// Units that hold no block.
    Free,
    /// One large block.
    Large,
    /// Blocks of one size class.
    Span,
}

/// A range of bytes, and the blocks in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Area {
    /// What it is for.
    pub used_as: Use,
    /// Byte offset.
    pub start: u64,
    /// The byte offset behind its last byte.
    pub end: u64,
    /// Bytes of each block, header and padding included; 0 where there are no blocks.
    pub block_bytes: u32,
    /// How many blocks are live.
    pub live: u32,
    /// How many are held back: in the caches of threads, or in quarantine.
    pub cached: u32,
    /// How many are free.
    pub free: u32,
}

impl Area {
    const fn without_blocks(used_as: Use, start: u64, end: u64) -> Self {
        Self { used_as, start, end, block_bytes: 0, live: 0, cached: 0, free: 0 }
    }

    fn of_block(block: &Block, is_held: &impl Fn(u32) -> bool) -> Self {
        let start = u64::from(block.pointer - HEADER);
        let area = Self::without_blocks(Use::Large, start, start + u64::from(block.buffer_size));
        let cached = u32::from(block.byte_length == 0 || is_held(block.pointer));
        Self { block_bytes: block.buffer_size, live: 1 - cached, cached, ..area }
    }

    /// The map of a memory that has no heap yet.
    pub fn of_unused(words: Words<'_>) -> Vec<Self> {
        vec![Self::without_blocks(Use::Outside, 0, words.byte_length())]
    }
}

impl<'m> Heap<'m> {
    /// What the bytes of a memory of that length are for, some of which the heap may not be able to
    /// have. Blocks that are in use, but whose pointer `is_held`, count as held back.
    ///
    /// # Errors
    /// [`Fault::Corrupted`] when a record or a header on the way is impossible.
    pub fn map(&self, byte_length: u64, is_held: impl Fn(u32) -> bool) -> Result<Vec<Area>> {
        let mut map = Map(Vec::new());
        for segment in self.segments_ascending()? {
            map.extend(Use::Outside, self.first_byte(&segment))?;
            let mut unit = segment.start;
            while unit < segment.end {
                let (units, piece) = self.piece_at(segment, unit)?;
                let start = offset(unit).max(self.first_byte(&segment));
                if let Piece::Mixed(blocks, _) = piece {
                    for block in blocks {
                        let area = Area::of_block(&block, &is_held);
                        map.extend(Use::Free, area.start)?;
                        map.0.push(area);
                    }
                } else {
                    map.extend(Use::Free, start)?;
                    map.0.push(self.area_of(start, offset(unit + units), &piece, &is_held)?);
                }
                unit += units;
            }
            map.extend(Use::Free, offset(segment.end))?;
        }
        map.extend(Use::Outside, byte_length)?;
        Ok(map.0)
    }

    // The unit that the superblock begins in is not all the heap's. What is before the superblock
    // of a heap that owns all is kept at zero by it.
    fn first_byte(&self, segment: &Segment<'m>) -> u64 {
        let begins_here = segment.start == self.superblock / WORDS_PER_UNIT;
        match begins_here && self.superblock * 4 != Self::WHOLE_MEMORY_START {
            true => u64::from(self.superblock) * 4,
            false => offset(segment.start),
        }
    }

    fn area_of(
        &self,
        start: u64,
        end: u64,
        piece: &Piece<'m>,
        is_held: &impl Fn(u32) -> bool,
    ) -> Result<Area> {
        match piece {
            Piece::Free(..) | Piece::Mixed(..) => Ok(Area::without_blocks(Use::Free, start, end)),
            Piece::Table => Ok(Area::without_blocks(Use::Table, start, end)),
            Piece::Block(block) => Ok(Area { start, end, ..Area::of_block(block, is_held) }),
            Piece::Span(span) => {
                let mut area = Area::without_blocks(Use::Span, start, end);
                area.block_bytes = span.geometry().stride;
                self.each_slot(span, |slot| match slot {
                    Slot::Live(block) if !is_held(block.pointer) => area.live += 1,
                    Slot::Live(_) | Slot::Cached => area.cached += 1,
                    Slot::Free => area.free += 1,
                })?;
                Ok(area)
            }
        }
    }
}

struct Map(Vec<Area>);

impl Map {
    // Areas never overlap, unless the directory was written over.
    fn extend(&mut self, used_as: Use, end: u64) -> Result<()> {
        let start = self.0.last().map_or(0, |last| last.end);
        if end < start {
            return Err(Fault::Corrupted);
        }
        if end > start {
            self.0.push(Area::without_blocks(used_as, start, end));
        }
        Ok(())
    }
}

fn offset(unit: u32) -> u64 {
    u64::from(unit) * u64::from(UNIT)
}
