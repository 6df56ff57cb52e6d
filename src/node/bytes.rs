//! A memory of the engine's as a heap uses it: the bytes that this thread has seen of it, and more
//! when it grows.

use std::ops::Range;

use napi::Result;

use crate::heap::Words;
use crate::node::grower::Grower;
use crate::node::memory::{JsValue, Memory};
use crate::session::{Bytes, Session};

/// The heap in a memory of the engine's.
pub type OpenHeap = Session<EngineMemory>;

/// A memory and what grows it.
pub struct EngineMemory {
    memory: Memory,
    grower: Grower,
}

impl EngineMemory {
    /// The memory that `view` covers and `grower` grows; see [`Memory::open`] and [`Grower::of`].
    ///
    /// # Errors
    /// Theirs.
    pub fn open(view: JsValue, grower: JsValue) -> Result<Self> {
        Ok(Self { memory: Memory::open(view)?, grower: Grower::of(grower)? })
    }

    /// The bytes.
    pub const fn memory(&self) -> &Memory {
        &self.memory
    }

    /// Looks at the memory anew; see [`Memory::refresh`].
    ///
    /// # Errors
    /// When `view` is not a view of the memory.
    pub fn refresh(&self, view: JsValue) -> Result<()> {
        self.memory.refresh(view)
    }
}

impl Bytes for EngineMemory {
    fn words(&self) -> Words<'_> {
        self.memory.words()
    }

    fn address(&self) -> usize {
        self.memory.address()
    }

    fn is_shared(&self) -> bool {
        self.memory.is_shared()
    }

    unsafe fn extend(&self, byte_length: usize) {
        // SAFETY: the caller's promise is the same.
        unsafe { self.memory.extend(byte_length) }
    }

    fn grow(&self, pages: u32) -> Option<u32> {
        let first = self.grower.grow(pages)?;
        if !self.is_shared() {
            self.memory.refresh(self.grower.bytes()?).ok()?;
        }
        Some(first)
    }

    fn give_back(&self, bytes: Range<usize>) -> usize {
        self.memory.give_back(bytes)
    }

    fn resident_bytes(&self, bytes: Range<usize>) -> usize {
        self.memory.resident_bytes(bytes)
    }
}
