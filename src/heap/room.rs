//! Allocating: what is tried, in order, before there is no room.
//!
//! 1. a free block, a free run, a new span; in a small heap that is nearly full, before a new span a
//!    gap of [mixed units](super::mixed)
//! 2. pages that were grown meanwhile, and spans all of whose blocks are free
//! 3. when the memory cannot grow ([`Search::Exhaustive`]), a gap of mixed units in any case, then
//!    free blocks of slightly longer classes
//! 4. for a small block, a run of its own
//!
//! [`Heap::misplace`] comes after that: it is for whoever sees to it that not too many are.

use super::run::Search;
use super::superblock::Heap;
use crate::fault::{Fault, Result};

impl Heap<'_> {
    /// Allocates `byte_length` bytes at a multiple of `align`, a power of two up to 65,536.
    ///
    /// # Errors
    /// [`Fault::OutOfMemory`], [`Fault::Corrupted`].
    pub fn malloc(&self, byte_length: u32, align: u32, search: Search) -> Result<u32> {
        let first = if search == Search::Exhaustive { Search::Quick } else { search };
        match self.allocate(byte_length, align, first) {
            Err(Fault::OutOfMemory) => {
                self.absorb_pages()?;
                self.free_spare_spans()?;
                self.allocate(byte_length, align, search)
            }
            done => done,
        }
    }
}
