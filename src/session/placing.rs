//! Blocks that are allocated together with what refers to them: a word of the memory, or a name. A
//! thread may be terminated whenever it runs JavaScript, but not in here: so nobody finds half a
//! block, and no block is lost between its allocation and the word that holds its pointer. A process
//! may be killed in here: both are done under one lock, and so undone together.

use super::{Bytes, Session};
use crate::fault::{Fault, Result};
use crate::heap::Search;

impl<B: Bytes> Session<B> {
    /// Allocates a block and writes its pointer to the word at byte offset `slot`. Its bytes are
    /// not cleared.
    ///
    /// # Errors
    /// Those of malloc: the slot is as it was then. [`Fault::Stale`] when it is not in the memory.
    pub fn malloc_into(
        &self,
        slot: u32,
        byte_length: u32,
        align: u32,
        search: Search,
    ) -> Result<u32> {
        let index = self.index_of(slot)?;
        let mut state = self.entry.lock()?;
        let pointer = self.malloc_in(&mut state, byte_length, align, search)?;
        self.words().exchange(index, pointer)?;
        Ok(pointer)
    }

    /// Sets the word at byte offset `slot` to 0 and frees the block that it held; 0 is no block.
    ///
    /// # Errors
    /// Those of free: the slot is as it was then. [`Fault::Stale`] when it is not in the memory.
    pub fn free_from(&self, slot: u32) -> Result<()> {
        let index = self.index_of(slot)?;
        let words = self.words();
        let mut state = self.entry.lock()?;
        let pointer = words.exchange(index, 0)?;
        if pointer == 0 {
            return Ok(());
        }
        self.free_and(&mut state, pointer, || ())
            .inspect_err(|_| drop(words.exchange(index, pointer)))
    }

    /// Allocates a block, a multiple of 4 bytes, that begins with `image` and is zero behind it,
    /// and gives it a name unless that is empty. Returns what has the name then, which may be an
    /// older block: nothing is allocated then.
    ///
    /// # Errors
    /// Those of malloc; [`Fault::TooManyNames`].
    pub fn place(
        &self,
        image: &[u32],
        byte_length: u32,
        align: u32,
        name: &[u16],
        search: Search,
    ) -> Result<u32> {
        let mut state = self.entry.lock()?;
        let named = self.root_in(&mut state, name);
        if named != 0 {
            return Ok(named);
        }
        // Before there is a block, which would be lost.
        if let Some(attachment) = self.entry.attachment.as_ref().filter(|_| !name.is_empty()) {
            attachment.names().vacant_for(name)?;
        }
        let pointer = self.malloc_in(&mut state, byte_length, align, search)?;
        self.fill(pointer, byte_length, image)?;
        if !name.is_empty() {
            self.set_root_in(&mut state, name, pointer)?;
        }
        Ok(pointer)
    }

    /// Frees a block and takes its names away, if its first word is `identity`. That word is 0 from
    /// then on for those who still look at it, and of several who do this at once one does it.
    ///
    /// # Errors
    /// [`Fault::AlreadyFreed`] when the first word is another; those of free: nothing has changed
    /// then.
    pub fn remove(&self, pointer: u32, identity: u32) -> Result<()> {
        let index = self.index_of(pointer)?;
        let words = self.words();
        let mut state = self.entry.lock()?;
        if !words.replace(index, identity, 0)? {
            return Err(Fault::AlreadyFreed);
        }
        self.free_and(&mut state, pointer, || self.forget_roots(pointer))
            .inspect_err(|_| drop(words.exchange(index, identity)))
    }

    // The index of the word at a byte offset that this thread sees.
    fn index_of(&self, slot: u32) -> Result<u32> {
        let seen = u64::from(slot) < self.words().byte_length();
        if seen && slot.is_multiple_of(4) { Ok(slot / 4) } else { Err(Fault::Stale) }
    }

    // Writes the words of a block that nobody else knows of: `image`, then zeros.
    fn fill(&self, pointer: u32, byte_length: u32, image: &[u32]) -> Result<()> {
        let (words, first) = (self.words(), pointer / 4);
        for (index, &word) in (first..).zip(image) {
            words.set_unused(index, word)?;
        }
        words.clear_unused(first + image.len() as u32..first + byte_length / 4)
    }
}
