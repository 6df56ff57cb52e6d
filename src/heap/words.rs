//! The memory as the heap sees it: 32-bit words, each read and written atomically, because
//! JavaScript and WebAssembly may write any of them at any time. Nothing here knows what a word
//! means; every index is checked, so a corrupted record can never lead outside the memory.

use core::ops::Range;
use core::sync::atomic::{AtomicU32, Ordering::AcqRel, Ordering::Relaxed};

use super::undo::{Place, UndoLog};
use crate::fault::{Fault, Result};

/// A bounds-checked window over the bytes of one memory.
#[derive(Clone, Copy)]
pub struct Words<'m> {
    words: &'m [AtomicU32],
    /// Where the heap of several processes notes what it is about to write over.
    log: Option<&'m UndoLog>,
}

impl core::fmt::Debug for Words<'_> {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(formatter, "Words({} bytes)", self.byte_length())
    }
}

impl<'m> Words<'m> {
    /// Wraps the words of a memory.
    pub const fn new(words: &'m [AtomicU32]) -> Self {
        Self { words, log: None }
    }

    /// The same, with a log of what [`Words::set`] writes over.
    pub const fn logged(words: &'m [AtomicU32], log: &'m UndoLog) -> Self {
        Self { words, log: Some(log) }
    }

    /// The words themselves, for tests that write past the log as JavaScript does.
    #[cfg(test)]
    pub const fn slice(self) -> &'m [AtomicU32] {
        self.words
    }

    /// Whether there is a log, as several processes have the memory.
    pub const fn is_logged(self) -> bool {
        self.log.is_some()
    }

    /// The length of the memory in bytes.
    pub const fn byte_length(self) -> u64 {
        self.words.len() as u64 * 4
    }

    /// Reads the word at `index`. Relaxed, because the heap's lock orders its own records and
    /// JavaScript's plain writes order nothing.
    ///
    /// # Errors
    /// [`Fault::Corrupted`] when `index` lies outside the memory.
    #[inline(always)]
    pub fn get(self, index: u32) -> Result<u32> {
        #[cfg(test)]
        steps::READ.set(steps::READ.get() + 1);
        self.words.get(index as usize).map(|word| word.load(Relaxed)).ok_or(Fault::Corrupted)
    }

    /// Writes the word at `index`.
    ///
    /// # Errors
    /// [`Fault::Corrupted`] when `index` lies outside the memory.
    #[inline(always)]
    pub fn set(self, index: u32, value: u32) -> Result<()> {
        #[cfg(test)]
        steps::WRITTEN.set(steps::WRITTEN.get() + 1);
        let word = self.words.get(index as usize).ok_or(Fault::Corrupted)?;
        if let Some(log) = self.log {
            log.note(Place::Word(index), word.load(Relaxed))?;
        }
        word.store(value, Relaxed);
        Ok(())
    }

    /// Writes the word at `index`, of which nothing that the heap knows makes use before the step
    /// is done: should it be undone, it does not matter what is there.
    ///
    /// # Errors
    /// [`Fault::Corrupted`] when `index` lies outside the memory.
    #[inline(always)]
    pub fn set_unused(self, index: u32, value: u32) -> Result<()> {
        let word = self.words.get(index as usize).ok_or(Fault::Corrupted)?;
        word.store(value, Relaxed);
        Ok(())
    }

    /// Writes 0 to the words of a range, as [`Words::set_unused`] does.
    ///
    /// # Errors
    /// [`Fault::Corrupted`] when they do not all lie inside the memory.
    pub fn clear_unused(self, range: Range<u32>) -> Result<()> {
        let words = self.words.get(range.start as usize..range.end as usize);
        words.ok_or(Fault::Corrupted)?.iter().for_each(|word| word.store(0, Relaxed));
        Ok(())
    }

    /// Notes that the heap is whole as it is, and all that waits for it: a user who dies from here
    /// on leaves it so.
    #[inline(always)]
    pub fn commit(self) {
        if let Some(log) = self.log {
            log.commit();
        }
    }

    /// Writes the word at `index`, for one who has the heap's lock, and returns what it held.
    /// Whoever finds the new value there in an atomic read also finds what was written before it.
    ///
    /// # Errors
    /// [`Fault::Corrupted`] when `index` lies outside the memory.
    pub fn exchange(self, index: u32, value: u32) -> Result<u32> {
        let word = self.words.get(index as usize).ok_or(Fault::Corrupted)?;
        if let Some(log) = self.log {
            log.note(Place::Word(index), word.load(Relaxed))?;
        }
        Ok(word.swap(value, AcqRel))
    }

    /// Writes the word at `index` if it holds `expected`, for one who has the heap's lock, and
    /// returns whether it did.
    ///
    /// # Errors
    /// [`Fault::Corrupted`] when `index` lies outside the memory.
    pub fn replace(self, index: u32, expected: u32, value: u32) -> Result<bool> {
        let word = self.words.get(index as usize).ok_or(Fault::Corrupted)?;
        if word.load(Relaxed) != expected {
            return Ok(false);
        }
        if let Some(log) = self.log {
            log.note(Place::Word(index), expected)?;
        }
        Ok(word.compare_exchange(expected, value, AcqRel, Relaxed).is_ok())
    }
}

/// How many words this thread has read and written, for tests of how long something takes.
#[cfg(test)]
pub mod steps {
    use std::cell::Cell;

    thread_local! {
        pub static READ: Cell<u64> = const { Cell::new(0) };
        pub static WRITTEN: Cell<u64> = const { Cell::new(0) };
    }
}
