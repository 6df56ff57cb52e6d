//! Walking the heap: the live blocks in ascending order, and what all bytes are used for.

use crate::fault::{Fault, Result};
use crate::heap::block::over;
use crate::heap::measures::{GRAIN, HEADER, LISTED, UNIT};
use crate::heap::mixed::{GrainBits, room_in};
use crate::heap::segment::Segment;
use crate::heap::size_class::{CLASSES, DENSE_END};
use crate::heap::span::Span;
use crate::heap::superblock::Heap;
use crate::heap::unit_kind::UnitKind;

/// A live block; lengths in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// Offset of the first byte that belongs to the user.
    pub pointer: u32,
    /// The length that was asked for.
    pub byte_length: u32,
    /// The whole space, header and padding included.
    pub buffer_size: u32,
}

/// What the bytes of a heap are used for; all in bytes except the count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Whole space of the live blocks.
    pub used_bytes: u64,
    /// What the users of the live blocks asked for.
    pub requested_bytes: u64,
    /// Free units, and free blocks of spans.
    pub free_bytes: u64,
    /// Blocks held back in the caches of threads.
    pub cached_bytes: u64,
    /// The longest request that needs no growth.
    pub largest_free_block: u64,
    /// Number of live blocks.
    pub block_count: u32,
}

/// One thing that a walk meets.
pub(in crate::heap) enum Piece<'m> {
    Span(Span<'m>),
    Block(Block),
    /// The blocks that begin in a mixed unit, and its entry.
    Mixed(Vec<Block>, GrainBits),
    /// First unit and length in units.
    Free(u32, u32),
    /// The heap's own records.
    Table,
}

impl<'m> Heap<'m> {
    /// Calls `visit` with each live block, in ascending order of address.
    ///
    /// # Errors
    /// [`Fault::Corrupted`] when a record or a header on the way is impossible.
    pub fn each_block(&self, mut visit: impl FnMut(Block)) -> Result<()> {
        self.each_piece(|piece| match piece {
            Piece::Span(span) => self.each_slot(&span, |slot| {
                if let Slot::Live(block) = slot {
                    visit(block);
                }
            }),
            Piece::Block(block) => {
                if block.byte_length > 0 {
                    visit(block);
                }
                Ok(())
            }
            Piece::Mixed(blocks, _) => {
                blocks.into_iter().for_each(&mut visit);
                Ok(())
            }
            Piece::Free(..) | Piece::Table => Ok(()),
        })
    }

    /// Bytes that small blocks have over which lie in the places of much longer ones, or have a run to
    /// themselves. All blocks are looked at.
    ///
    /// # Errors
    /// [`Fault::Corrupted`].
    pub fn misplaced_bytes(&self) -> Result<u64> {
        let mut bytes = 0;
        self.each_block(|block| bytes += u64::from(over(block.byte_length, block.buffer_size)))?;
        Ok(bytes)
    }

    /// First unit and length in units of each free run, ascending.
    ///
    /// # Errors
    /// [`Fault::Corrupted`] as [`Heap::each_block`].
    pub fn free_runs(&self) -> Result<Vec<(u32, u32)>> {
        let mut runs = Vec::new();
        self.each_piece(|piece| {
            if let Piece::Free(start, length) = piece {
                runs.push((start, length));
            }
            Ok(())
        })?;
        Ok(runs)
    }

    /// What the bytes of the heap are used for.
    ///
    /// # Errors
    /// [`Fault::Corrupted`] as [`Heap::each_block`].
    pub fn stats(&self) -> Result<Stats> {
        let mut stats = Stats::default();
        self.each_piece(|piece| match piece {
            Piece::Span(span) => {
                let stride = span.geometry().stride;
                self.each_slot(&span, |slot| match slot {
                    Slot::Live(block) => stats.add_block(&block),
                    Slot::Free => stats.add_free(stride, stride - HEADER),
                    Slot::Cached => stats.cached_bytes += u64::from(stride),
                })
            }
            Piece::Block(block) if block.byte_length == 0 => {
                stats.cached_bytes += u64::from(block.buffer_size);
                Ok(())
            }
            Piece::Block(block) => {
                stats.add_block(&block);
                Ok(())
            }
            Piece::Mixed(blocks, entry) => {
                stats.add_gaps(&entry);
                blocks.iter().for_each(|block| stats.add_block(block));
                Ok(())
            }
            Piece::Free(_, units) => {
                stats.add_free(units * UNIT, self.largest_in(units)?);
                Ok(())
            }
            Piece::Table => Ok(()),
        })?;
        Ok(stats)
    }

    // Bytes of the longest block that fits into a free run. Into a short one spans are put, in small
    // heaps.
    fn largest_in(&self, units: u32) -> Result<u32> {
        if units >= LISTED {
            return Ok(units * UNIT - GRAIN - HEADER);
        }
        let most = if self.is_small()? { units } else { 0 };
        let longest = CLASSES[1..DENSE_END].iter().rfind(|class| class.least_units() <= most);
        Ok(longest.map_or(0, |class| class.stride - HEADER))
    }

    pub(in crate::heap) fn each_piece(
        &self,
        mut visit: impl FnMut(Piece<'m>) -> Result<()>,
    ) -> Result<()> {
        for segment in self.segments_ascending()? {
            let mut unit = segment.start;
            while unit < segment.end {
                let (units, piece) = self.piece_at(segment, unit)?;
                visit(piece)?;
                unit += units;
            }
        }
        Ok(())
    }

    /// What begins at `unit`, and how many units it has.
    pub(in crate::heap) fn piece_at(
        &self,
        segment: Segment<'m>,
        unit: u32,
    ) -> Result<(u32, Piece<'m>)> {
        match segment.kind(unit)? {
            UnitKind::Span { class, back: 0 } => {
                let span = Span::read(self, segment, unit, class)?;
                Ok((span.units, Piece::Span(span)))
            }
            UnitKind::Large { .. } => {
                let (large, byte_length) = self.large_at(segment, unit)?;
                let (pointer, buffer_size) = (large.pointer(), large.buffer_size());
                Ok((large.units, Piece::Block(Block { pointer, byte_length, buffer_size })))
            }
            UnitKind::Free { .. } => {
                let length = segment.run_length(unit)?;
                Ok((length, Piece::Free(unit, length)))
            }
            UnitKind::Mixed { .. } => {
                let table = self.grain_table()?.ok_or(Fault::Corrupted)?;
                let entry = table.read(&segment, unit)?;
                Ok((1, Piece::Mixed(self.blocks_of(segment, unit, &entry)?, entry)))
            }
            UnitKind::Table { units } if 0 < units && units <= segment.end - unit => {
                Ok((units, Piece::Table))
            }
            _ => Err(Fault::Corrupted),
        }
    }

    // The blocks that begin in a mixed unit.
    fn blocks_of(&self, segment: Segment<'m>, unit: u32, entry: &GrainBits) -> Result<Vec<Block>> {
        let block = |at| {
            let found = self.mixed_at(segment, unit * (UNIT / GRAIN) + at)?;
            let (pointer, buffer_size) = (found.pointer(), found.buffer_size());
            Ok(Block { pointer, byte_length: self.mixed_length(&found)?, buffer_size })
        };
        entry.starts().map(block).collect()
    }

    pub(super) fn each_slot(&self, span: &Span<'m>, mut visit: impl FnMut(Slot)) -> Result<()> {
        let stride = span.geometry().stride;
        for slot in 0..span.slots {
            if span.is_free(slot)? {
                visit(Slot::Free);
                continue;
            }
            let pointer = span.pointer(slot);
            let (byte_length, buffer_size) = self.read_header(pointer)?;
            if buffer_size != stride || byte_length > stride - HEADER {
                return Err(Fault::Corrupted);
            }
            visit(match byte_length {
                0 => Slot::Cached,
                _ => Slot::Live(Block { pointer, byte_length, buffer_size }),
            });
        }
        Ok(())
    }
}

/// A block of a span.
pub(super) enum Slot {
    Free,
    Cached,
    Live(Block),
}

impl Stats {
    fn add_block(&mut self, block: &Block) {
        self.used_bytes += u64::from(block.buffer_size);
        self.requested_bytes += u64::from(block.byte_length);
        self.block_count += 1;
    }

    fn add_gaps(&mut self, entry: &GrainBits) {
        for gap in entry.gaps() {
            let request = (room_in(&gap) * GRAIN).saturating_sub(HEADER);
            self.add_free((gap.end - gap.start) * GRAIN, request);
        }
    }

    fn add_free(&mut self, bytes: u32, request: u32) {
        self.free_bytes += u64::from(bytes);
        self.largest_free_block = self.largest_free_block.max(u64::from(request));
    }
}
