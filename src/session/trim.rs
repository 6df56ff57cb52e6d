//! Giving pages back to the operating system.

use std::ops::Range;

use super::{Bytes, Session};
use crate::fault::{Fault, Result};
use crate::heap::UNIT;

/// Units that are given back at a time, 16 MiB: some milliseconds.
const TRIM_UNITS: u32 = 16 * 1024 * 1024 / UNIT;

impl<B: Bytes> Session<B> {
    /// Puts what is kept back into the spans, all that this thread can have, and gives the pages of
    /// free runs back to the operating system. Returns the bytes that were resident. The lock is
    /// held for one piece at a time, and a piece that was allocated meanwhile is left alone.
    ///
    /// # Errors
    /// [`Fault::Corrupted`], [`Fault::Stale`], [`Fault::FreedTwice`].
    pub fn trim(&self) -> Result<u64> {
        let runs = {
            let mut state = self.entry.lock()?;
            if state.book.is_some() {
                self.empty_quarantine(&mut state)?;
            }
            let Some(heap) = self.formatted(&mut state)? else { return Ok(0) };
            self.cache.give_back(&mut self.free_blocks(&mut state, heap), 1)?;
            heap.free_spare_spans()?;
            heap.free_runs()?
        };
        // In a file they stay: a file system that is full when such a page is wanted again ends the
        // process.
        if self.entry.attachment.is_some() {
            return Ok(0);
        }
        let mut bytes = 0;
        for (start, length) in runs {
            // Cut where the system's pages begin, so that none lies in two pieces.
            let mut offset = 0;
            while offset < length {
                let end = length.min(offset + TRIM_UNITS - (start + offset) % TRIM_UNITS);
                bytes += self.trim_piece(start, offset..end)?;
                offset = end;
            }
        }
        Ok(bytes)
    }

    fn trim_piece(&self, run: u32, units: Range<u32>) -> Result<u64> {
        let mut state = self.entry.lock()?;
        let heap = self.formatted(&mut state)?.ok_or(Fault::Corrupted)?;
        if !heap.is_free(run, units.end)? {
            return Ok(0);
        }
        let byte = |unit: u32| (run + unit) as usize * UNIT as usize;
        let bytes = byte(units.start)..byte(units.end);
        self.entry.live_blocks.give_back(bytes.clone());
        Ok(self.memory.give_back(bytes) as u64)
    }
}
