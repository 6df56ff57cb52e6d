//! The two words before every block: the length that was asked for, and the whole space.

use super::superblock::Heap;
use crate::fault::{Fault, Result};

impl Heap<'_> {
    /// The two words before `pointer`, whatever they hold.
    ///
    /// # Errors
    /// [`Fault::Corrupted`] when there is no such place.
    #[inline]
    pub fn read_header(&self, pointer: u32) -> Result<(u32, u32)> {
        let index = (pointer / 4).checked_sub(2).ok_or(Fault::Corrupted)?;
        Ok((self.words.get(index)?, self.words.get(index + 1)?))
    }

    /// Writes the two words before `pointer`.
    ///
    /// # Errors
    /// As [`Heap::read_header`].
    #[inline]
    pub fn write_header(&self, pointer: u32, byte_length: u32, buffer_size: u32) -> Result<()> {
        let index = (pointer / 4).checked_sub(2).ok_or(Fault::Corrupted)?;
        self.words.set(index, byte_length)?;
        self.words.set(index + 1, buffer_size)
    }

    /// Whether the header before `pointer` is that of a block of `buffer_size` bytes that is not in
    /// use.
    #[inline]
    pub fn is_unused(&self, pointer: u32, buffer_size: u32) -> bool {
        self.read_header(pointer) == Ok((0, buffer_size))
    }
}
