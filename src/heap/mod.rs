//! The allocator: segments of pages, spans of equal blocks with free bitmaps, bins of free runs.
//!
//! All state lives in the memory itself, as offsets, so that it travels with the memory from
//! thread to thread. The caller holds the heap's lock for the whole of each call. Every word read
//! is untrusted: whatever is written over the heap, a call stays within the memory, ends after a
//! bounded number of steps and answers [`Fault::Corrupted`] instead of panicking.

#![forbid(unsafe_code)]

mod block;
mod growth;
mod inspect;
mod layout;
mod run;
mod segment;
mod size_class;
mod span;
#[cfg(test)]
mod tests;
mod words;

pub use block::Search;
pub use inspect::{Area, Block, Damage, Part, Stats, Use};
pub use layout::{GRAIN, HEADER, PAGE, UNIT};
pub use size_class::{CLASSES, DENSE as DENSE_COUNT, class_for};
pub use words::Words;

use crate::fault::{Fault, Result};
use layout::{ALL_PAGES, BUILD, MAGIC, OWN_PAGES, root};

/// Which bytes a new heap gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Territory {
    /// The first byte of the heap, a multiple of 16 and not 0.
    pub start: u32,
    /// The page after the heap's last one.
    pub end_page: u32,
    /// The page count that the memory may grow to.
    pub maximum: u32,
    /// Whether pages that anyone else grows belong to the heap too.
    pub owns_all: bool,
}

/// A heap, for the duration of one call.
#[derive(Clone, Copy)]
pub struct Heap<'m> {
    words: Words<'m>,
    root: u32,
}

impl<'m> Heap<'m> {
    /// Where the root of a heap that owns its whole memory lies, in bytes.
    pub const WHOLE_MEMORY_ROOT: u32 = GRAIN;

    /// Opens the heap whose root lies at byte `root`; `None` when there is none of this build.
    pub fn open(words: Words<'m>, root: u32) -> Option<Self> {
        let heap = Self { words, root: root / 4 };
        (heap.build() == Some(BUILD)).then_some(heap)
    }

    /// Whether there is a heap at byte `root` that another build made.
    pub fn is_of_other_build(words: Words<'m>, root: u32) -> bool {
        let build = Self { words, root: root / 4 }.build();
        build.is_some_and(|build| build != BUILD)
    }

    // The build that made the heap, if there is one.
    fn build(&self) -> Option<u32> {
        let there = self.field(root::MAGIC) == Ok(MAGIC)
            && self.field(root::OWN_OFFSET) == Ok(self.root * 4);
        self.field(root::BUILD).ok().filter(|_| there)
    }

    /// Opens a heap for use by a caller who sees the memory at its present length.
    ///
    /// # Errors
    /// [`Fault::Stale`] when the heap manages pages that the caller does not see yet.
    pub fn current(self) -> Result<Self> {
        let end = u64::from(self.field(root::END_PAGE)?) * u64::from(PAGE);
        if end > self.words.byte_length() { Err(Fault::Stale) } else { Ok(self) }
    }

    /// Whether the heap owns every page of the memory.
    ///
    /// # Errors
    /// [`Fault::Corrupted`] when the root cannot be read, or such a heap would begin elsewhere.
    pub fn owns_all(&self) -> Result<bool> {
        match self.field(root::OWNERSHIP)? {
            OWN_PAGES => Ok(false),
            ALL_PAGES if self.root * 4 == Self::WHOLE_MEMORY_ROOT => Ok(true),
            _ => Err(Fault::Corrupted),
        }
    }

    /// What the heap is marked with; 0 when it is not.
    ///
    /// # Errors
    /// [`Fault::Corrupted`] when the root cannot be read.
    pub fn mark(&self) -> Result<u32> {
        self.field(root::MARK)
    }

    /// Marks the heap.
    ///
    /// # Errors
    /// [`Fault::Corrupted`] when the root cannot be written.
    pub fn set_mark(&self, mark: u32) -> Result<()> {
        self.set_field(root::MARK, mark)
    }

    fn field(&self, field: u32) -> Result<u32> {
        self.words.get(self.root + field)
    }

    fn set_field(&self, field: u32, value: u32) -> Result<()> {
        self.words.set(self.root + field, value)
    }
}
