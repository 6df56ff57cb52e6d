//! What debug mode needs of the heap: filling a range of bytes with a value, finding the first byte
//! that has another one since, and how far the space of a block reaches, which it fills so.

use crate::fault::{Fault, Result};
use crate::heap::large::Large;
use crate::heap::measures::{GRAIN, HEADER, UNIT};
use crate::heap::size_class::CLASSES;
use crate::heap::superblock::Heap;
use crate::heap::unit_kind::UnitKind;

impl Heap<'_> {
    /// Bytes from `pointer` to the end of the taken block there, padding included. Headers are not
    /// looked at: another block's damage is no reason to refuse this one.
    ///
    /// # Errors
    /// [`Fault::NeverAllocated`] when there is no block, [`Fault::Corrupted`].
    pub fn room(&self, pointer: u32) -> Result<u32> {
        let unit = pointer / UNIT;
        let segment = self.segment_of(unit)?.ok_or(Fault::NeverAllocated)?;
        match segment.kind(unit)? {
            UnitKind::Span { class, .. } => Ok(CLASSES[class].stride - HEADER),
            UnitKind::Large { .. } => Ok(Large::read(segment, unit)?.buffer_size() - HEADER),
            UnitKind::LargeSecond => {
                let first = unit.checked_sub(1).ok_or(Fault::Corrupted)?;
                Ok(Large::read(segment, first)?.buffer_size() - HEADER)
            }
            UnitKind::Mixed { .. } => {
                let block = self.mixed_at(segment, (pointer / GRAIN).saturating_sub(1))?;
                Ok(block.buffer_size() - HEADER)
            }
            _ => Err(Fault::NeverAllocated),
        }
    }

    /// Sets the bytes from `start` to `end` to `byte`.
    ///
    /// # Errors
    /// [`Fault::Corrupted`] when they are not all inside the memory.
    pub fn fill(&self, start: u32, end: u32, byte: u8) -> Result<()> {
        let value = u32::from_ne_bytes([byte; 4]);
        for (index, mask) in words_of(start, end) {
            let kept = self.words.get(index)? & !mask;
            self.words.set(index, kept | value & mask)?;
        }
        Ok(())
    }

    /// The first of the bytes from `start` to `end` that is not `byte`.
    ///
    /// # Errors
    /// As [`Heap::fill`].
    pub fn first_other(&self, start: u32, end: u32, byte: u8) -> Result<Option<u32>> {
        let value = u32::from_ne_bytes([byte; 4]);
        for (index, mask) in words_of(start, end) {
            let other = (self.words.get(index)? ^ value) & mask;
            if other != 0 {
                return Ok(Some(index * 4 + other.trailing_zeros() / 8));
            }
        }
        Ok(None)
    }
}

/// The words that the bytes from `start` to `end` lie in, each with a mask of these bytes.
fn words_of(start: u32, end: u32) -> impl Iterator<Item = (u32, u32)> {
    let words = if start < end { start / 4..end.div_ceil(4) } else { 0..0 };
    words.map(move |index| {
        let before = start.saturating_sub(index * 4).min(3) * 8;
        let behind = (index * 4 + 3).saturating_sub(end - 1).min(3) * 8;
        (index, u32::MAX << before & u32::MAX >> behind)
    })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

    use super::*;
    use crate::heap::Words;

    #[test]
    fn exactly_the_bytes_of_a_range_are_filled_and_looked_at() {
        for (start, end) in (0..20).flat_map(|start| (start..20).map(move |end| (start, end))) {
            let words: Vec<_> = (0..6).map(|_| AtomicU32::new(0)).collect();
            let heap = Heap { words: Words::new(&words), superblock: 0 };
            heap.fill(start, end, 0xfd).unwrap();
            let bytes = words.iter().flat_map(|word| word.load(Relaxed).to_le_bytes());
            let filled = bytes.enumerate().filter(|&(_, byte)| byte == 0xfd);
            assert!(filled.map(|(at, _)| at as u32).eq(start..end));
            assert_eq!(heap.first_other(start, end, 0xfd), Ok(None));
            for at in start..end {
                heap.fill(at, at + 1, 0xfc).unwrap();
                assert_eq!(heap.first_other(start, end, 0xfd), Ok(Some(at)));
                heap.fill(at, at + 1, 0xfd).unwrap();
            }
            assert_eq!(heap.first_other(start, end + 1, 0xfd), Ok(Some(end)));
        }
    }
}
