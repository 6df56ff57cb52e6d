//! What a heap needs of a memory: its bytes, and the engine's way to grow them.

use std::ops::Range;

use crate::heap::Words;

/// A memory as one thread sees it.
pub trait Bytes {
    /// The bytes seen so far as words.
    fn words(&self) -> Words<'_>;

    /// The address of byte 0, the same in every thread.
    fn address(&self) -> usize;

    /// Whether other threads can have the memory.
    fn is_shared(&self) -> bool;

    /// Looks at as much of the memory as another thread has seen.
    ///
    /// # Safety
    /// The memory is shared and has at least `byte_length` bytes.
    unsafe fn extend(&self, byte_length: usize);

    /// Has the engine grow the memory, and looks at all of it unless it is shared. Returns the
    /// pages that there were; `None` when the engine refuses. JavaScript may run: the heap's lock is
    /// not held.
    fn grow(&self, pages: u32) -> Option<u32>;

    /// Gives whole pages inside `bytes` back to the operating system; they read as zero afterwards.
    /// Returns how many bytes were resident, 0 when the range is not inside the memory.
    fn give_back(&self, bytes: Range<usize>) -> usize;

    /// How many of `bytes` take up memory; 0 when the range is not inside the memory.
    fn resident_bytes(&self, bytes: Range<usize>) -> usize;

    /// How many bytes have been seen.
    fn byte_length(&self) -> usize {
        self.words().byte_length() as usize
    }
}
