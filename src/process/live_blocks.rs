//! Which blocks of the size classes are live: one byte for each 16 bytes of a memory, which tells the
//! state of the block whose pointer that is.
//!
//! It lies outside the memory, out of reach of stray writes, and every thread has it: JavaScript
//! reads and writes it when it frees a block into its thread's cache or takes one out, without a lock.
//! A byte belongs to whoever holds the block. A block that two threads have freed at the same time is in
//! the hands of both, so each looks at the state before it goes on to the next: free, kept, live, kept,
//! free. Only the first of them gets there; for the other the block is gone.

use std::ops::Range;
use std::sync::atomic::{AtomicI8, Ordering::Relaxed};

#[cfg(unix)]
use memmap2::UncheckedAdvice;
use memmap2::{MmapOptions, MmapRaw};

use crate::fault::{Fault, Result};
use crate::heap::{GRAIN, Heap, PAGE};

/// The block is free, in the hands of the native side, or there is none.
const FREE: i8 = 0;
/// The block is live, of the first size class; one more for each further class.
pub const FIRST_CLASS: i8 = 1;
/// The block is in the cache of a thread.
pub const KEPT: i8 = -1;

/// Bytes of states that are given back at once: the largest page of the systems that this runs on.
const STATE_PAGE: usize = 65_536;

/// The states of all blocks of one memory. Untouched bytes cost nothing.
pub struct LiveBlocks {
    bytes: MmapRaw,
}

impl LiveBlocks {
    /// For a memory of at most `maximum` pages, without a block.
    ///
    /// # Errors
    /// [`Fault::OutOfMemory`].
    pub fn new(maximum: u32) -> Result<Self> {
        let length = Self::length_for(maximum as usize * PAGE as usize).max(1);
        let bytes = MmapOptions::new().len(length).no_reserve_swap().map_anon();
        Ok(Self { bytes: bytes.map_err(|_| Fault::OutOfMemory)?.into() })
    }

    /// Enters the live blocks of a heap that is there already, as far as it is sound.
    pub fn enter(&self, heap: &Heap<'_>) {
        drop(heap.each_block(|block| {
            if let Ok(Some(class)) = heap.class_of(block.pointer) {
                self.set_live(block.pointer, class);
            }
        }));
    }

    /// Bytes that tell of the blocks of a memory of `byte_length` bytes.
    pub const fn length_for(byte_length: usize) -> usize {
        byte_length / GRAIN as usize
    }

    /// All states.
    pub fn bytes(&self) -> &[AtomicI8] {
        // SAFETY: `bytes` is a mapping of that length that `self` owns and never changes, of zeroed bytes,
        // which `AtomicI8` has the size, alignment and bit patterns of. Rust reads and writes them as
        // atomics only; JavaScript's accesses are single bytes too.
        unsafe { std::slice::from_raw_parts(self.bytes.as_ptr().cast(), self.bytes.len()) }
    }

    /// Whether the block at `pointer` is live.
    pub fn is_live(&self, pointer: u32) -> bool {
        !matches!(self.get(pointer), KEPT | FREE)
    }

    /// Notes that the block at `pointer`, of size class `class`, has been given out.
    pub fn set_live(&self, pointer: u32, class: usize) {
        self.set(pointer, class as i8 + FIRST_CLASS);
    }

    /// Notes that a block was given to the cache of a thread.
    pub fn set_kept(&self, pointer: u32) {
        self.set(pointer, KEPT);
    }

    /// Notes that a block came back from the cache of a thread, or was freed.
    pub fn set_free(&self, pointer: u32) {
        self.set(pointer, FREE);
    }

    /// Whether the block at `pointer` is in the cache of a thread.
    pub fn is_kept(&self, pointer: u32) -> bool {
        self.get(pointer) == KEPT
    }

    /// Whether the block at `pointer` is free, in the hands of the native side.
    pub fn is_free(&self, pointer: u32) -> bool {
        self.get(pointer) == FREE
    }

    /// Gives the pages of states back that tell of the free bytes `bytes` of the memory. Where the system
    /// cannot do that, they stay.
    pub fn give_back(&self, bytes: Range<usize>) {
        let start = Self::length_for(bytes.start).next_multiple_of(STATE_PAGE);
        let end = Self::length_for(bytes.end) / STATE_PAGE * STATE_PAGE;
        if start >= end || end > self.bytes.len() {
            return;
        }
        // SAFETY: the pages are within the mapping, which is private and anonymous, and no block lies in the
        // bytes that they tell of: they become zero, as if they had been written so.
        #[cfg(unix)]
        drop(unsafe {
            self.bytes.unchecked_advise_range(UncheckedAdvice::DontNeed, start, end - start)
        });
    }

    fn get(&self, pointer: u32) -> i8 {
        let byte = self.bytes().get((pointer / GRAIN) as usize);
        byte.filter(|_| pointer.is_multiple_of(GRAIN)).map_or(FREE, |byte| byte.load(Relaxed))
    }

    fn set(&self, pointer: u32, state: i8) {
        if let Some(byte) = self.bytes().get((pointer / GRAIN) as usize) {
            byte.store(state, Relaxed);
        }
    }
}
