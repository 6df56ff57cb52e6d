//! What a heap has: its blocks, what its bytes are used for, and what the memory's bytes are for.

use super::{Bytes, Session};
use crate::fault::Result;
use crate::heap::{Area, Block, Stats, Use};

impl<B: Bytes> Session<B> {
    /// The live blocks in ascending order of address.
    ///
    /// # Errors
    /// [`Fault::Corrupted`](crate::fault::Fault::Corrupted),
    /// [`Fault::Stale`](crate::fault::Fault::Stale).
    pub fn blocks(&self) -> Result<Vec<Block>> {
        let mut state = self.entry.lock()?;
        if state.book.is_some() {
            return self.debug_blocks(&mut state);
        }
        let mut blocks = Vec::new();
        if let Some(heap) = self.formatted(&mut state)? {
            heap.each_block(|block| blocks.push(block))?;
        }
        Ok(blocks)
    }

    /// What the bytes of the heap are used for; all zero before the first allocation.
    ///
    /// # Errors
    /// [`Fault::Corrupted`](crate::fault::Fault::Corrupted),
    /// [`Fault::Stale`](crate::fault::Fault::Stale).
    pub fn stats(&self) -> Result<Stats> {
        let mut state = self.entry.lock()?;
        if state.book.is_some() {
            return self.debug_stats(&mut state);
        }
        let Some(heap) = self.formatted(&mut state)? else { return Ok(Stats::default()) };
        // What cannot be put back is not free: the walk finds it.
        drop(self.free_blocks(&mut state, heap).collect(1));
        heap.stats()
    }

    /// What the bytes of the memory are for; see [`Heap::map`](crate::heap::Heap::map).
    ///
    /// # Errors
    /// [`Fault::Corrupted`](crate::fault::Fault::Corrupted),
    /// [`Fault::Stale`](crate::fault::Fault::Stale).
    pub fn map(&self) -> Result<Vec<Area>> {
        let mut state = self.entry.lock()?;
        let Some(heap) = self.formatted(&mut state)? else {
            return Ok(Area::of_unused(self.words()));
        };
        drop(self.free_blocks(&mut state, heap).collect(1));
        let is_held = |pointer| state.book.as_ref().is_some_and(|book| book.is_freed(pointer));
        heap.map(self.memory.byte_length() as u64, is_held)
    }

    /// The bytes of a free area that take up no memory: never written to, or given back since.
    pub fn trimmed_bytes(&self, area: &Area) -> u64 {
        let bytes = area.end - area.start;
        match area.used_as {
            Use::Free => {
                bytes - self.memory.resident_bytes(area.start as usize..area.end as usize) as u64
            }
            _ => 0,
        }
    }
}
