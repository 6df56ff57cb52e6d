//! The calls on blocks, in debug mode and outside it, and those that fill and empty the cache.

use super::{Bytes, Session};
use crate::cache::free_blocks::{FreeBlocks, give_out};
use crate::fault::{Fault, Result};
use crate::heap::{DENSE_END, GRAIN, Heap, Live, MIXED, Search, class_for};
use crate::process::registry::Guarded;
use crate::process::rows::Rows;

impl<B: Bytes> Session<B> {
    /// Allocates; see [`Heap::malloc`]. The first call makes the heap. What no_room.rs says comes
    /// before it is found to be full.
    ///
    /// # Errors
    /// [`Fault::OutOfMemory`], [`Fault::Corrupted`], [`Fault::Stale`], [`Fault::FreedTwice`].
    pub fn malloc(&self, byte_length: u32, align: u32, search: Search) -> Result<u32> {
        self.malloc_in(&mut *self.entry.lock()?, byte_length, align, search)
    }

    pub(super) fn malloc_in(
        &self,
        state: &mut Guarded,
        byte_length: u32,
        align: u32,
        search: Search,
    ) -> Result<u32> {
        if state.book.is_some() {
            return self.debug_malloc(state, byte_length, align, search);
        }
        let heap = self.formatted_now(state)?;
        let is_small = class_for(byte_length, align).is_some();
        self.with_room(state, heap, search, |free_blocks| {
            // One that has grown wants room behind it, which a block that waits has not.
            if !is_small
                && align <= GRAIN
                && search != Search::Moving
                && let Some(waiting) = self.cache.take_large(free_blocks, byte_length)?
            {
                return Ok(waiting);
            }
            let pointer = if is_small {
                malloc_small(free_blocks, byte_length, align, search)?
            } else {
                self.cache.malloc_large(free_blocks, byte_length, align, search)?
            };
            give_out(&heap, &self.entry.live_blocks, pointer)?;
            Ok(pointer)
        })
    }

    /// Fetches blocks for the class with its head at word `head` of the cache; see
    /// [`ThreadCache::refill`](crate::cache::ThreadCache::refill).
    ///
    /// # Errors
    /// Its faults; [`Fault::OutOfMemory`] before the first allocation;
    /// [`Fault::Stale`].
    pub fn refill(&self, head: usize) -> Result<u32> {
        let class = Rows::row_at(head).filter(|&row| row < DENSE_END).ok_or(Fault::Internal)?;
        let mut state = self.entry.lock()?;
        let heap = self.formatted(&mut state)?.ok_or(Fault::OutOfMemory)?;
        let fetched = self.with_room(&mut state, heap, Search::Quick, |free_blocks| {
            self.cache.refill(free_blocks, class)
        })?;
        Ok(fetched as u32)
    }

    /// Makes room in the row with its head at word `head` of the cache, if there is one; see
    /// [`ThreadCache::make_room`](crate::cache::ThreadCache::make_room).
    ///
    /// # Errors
    /// Its faults; [`Fault::Stale`].
    pub fn make_room(&self, head: usize) -> Result<()> {
        let Some(row) = Rows::row_at(head) else { return Ok(()) };
        let mut state = self.entry.lock()?;
        self.with_free_blocks(&mut state, |free_blocks| self.cache.make_room(free_blocks, row))
    }

    /// Makes the cache small; see [`ThreadCache::rest`](crate::cache::ThreadCache::rest).
    ///
    /// # Errors
    /// Its faults; [`Fault::Stale`].
    pub fn rest(&self) -> Result<()> {
        let mut state = self.entry.lock()?;
        let attached = self.entry.attachment.is_some();
        self.with_free_blocks(&mut state, |free_blocks| {
            self.cache.rest(free_blocks)?;
            // Other processes cannot get at the depot of this one.
            if attached { free_blocks.collect(1).map(drop) } else { Ok(()) }
        })
    }

    /// Frees a block; see [`Heap::free`].
    ///
    /// # Errors
    /// The faults of [`Heap::free`]; [`Fault::Stale`].
    pub fn free(&self, pointer: u32) -> Result<()> {
        self.free_and(&mut *self.entry.lock()?, pointer, || ())
    }

    /// Frees a block, and then does what must have happened before anyone else can have it.
    pub(super) fn free_and(
        &self,
        state: &mut Guarded,
        pointer: u32,
        then: impl FnOnce(),
    ) -> Result<()> {
        if state.book.is_some() {
            return self.debug_free(state, pointer, then);
        }
        self.with_live(state, pointer, |heap, live| {
            heap.free_live(live)?;
            self.entry.live_blocks.set_free(pointer);
            then();
            Ok(())
        })
    }

    /// Resizes a block where it is; see [`Heap::resize`].
    ///
    /// # Errors
    /// The faults of [`Heap::resize`]; [`Fault::Stale`].
    pub fn resize(&self, pointer: u32, byte_length: u32, stay: bool) -> Result<u32> {
        let state = &mut *self.entry.lock()?;
        if state.book.is_some() {
            return self.debug_resize(state, pointer, byte_length, stay);
        }
        let before = self.resize_live(state, pointer, byte_length, stay)?;
        if before == 0 || class_for(byte_length, GRAIN).is_some() {
            return Ok(before);
        }
        // A block that is kept may lie behind this one. If it cannot be put back, that is no fault
        // of this call's.
        drop(self.with_free_blocks(state, |free_blocks| self.cache.put_long(free_blocks)));
        self.resize_live(state, pointer, byte_length, stay)
    }

    fn resize_live(
        &self,
        state: &mut Guarded,
        pointer: u32,
        byte_length: u32,
        stay: bool,
    ) -> Result<u32> {
        self.with_live(state, pointer, |heap, live| {
            let before = heap.resize_live(live, byte_length, stay)?;
            if before == 0 && live.class().is_none() {
                self.entry.live_blocks.set_large(pointer, heap.read_header(pointer)?.1);
            }
            Ok(before)
        })
    }

    /// The requested bytes and the whole space of a block; see [`Heap::inspect`].
    ///
    /// # Errors
    /// The faults of [`Heap::inspect`]; [`Fault::Stale`].
    pub fn inspect(&self, pointer: u32) -> Result<(u32, u32)> {
        let state = &mut *self.entry.lock()?;
        if state.book.is_some() {
            return self.debug_inspect(state, pointer);
        }
        self.with_live(state, pointer, |heap, _| heap.read_header(pointer))
    }

    fn with_free_blocks<T>(
        &self,
        state: &mut Guarded,
        act: impl FnOnce(&mut FreeBlocks<'_>) -> Result<T>,
    ) -> Result<T> {
        let heap = self.formatted(state)?.ok_or(Fault::NeverAllocated)?;
        act(&mut self.free_blocks(state, heap))
    }

    // Acts on a block if it is live. What the memory says is not enough: it must be known outside
    // of it.
    fn with_live<T>(
        &self,
        state: &mut Guarded,
        pointer: u32,
        act: impl FnOnce(&Heap<'_>, Live<'_>) -> Result<T>,
    ) -> Result<T> {
        self.with_heap(state, |heap| {
            let live_blocks = &self.entry.live_blocks;
            let live = heap.live(pointer).map_err(|fault| match fault {
                // Another thread may just have been given it.
                Fault::AlreadyFreed if live_blocks.is_live(pointer) => {
                    heap.live(pointer).err().map_or(fault, |_| Fault::Corrupted)
                }
                _ => fault,
            })?;
            live_blocks.confirm(&live)?;
            act(&heap, live)
        })
    }
}

fn malloc_small(
    free_blocks: &mut FreeBlocks<'_>,
    byte_length: u32,
    align: u32,
    search: Search,
) -> Result<u32> {
    let heap = free_blocks.heap;
    if search == Search::Exhaustive {
        return match heap.malloc(byte_length, align, search) {
            Err(Fault::OutOfMemory) => free_blocks.misplace(byte_length, align),
            done => done,
        };
    }
    let mixes = free_blocks.depot.may_mix();
    let pointer = heap.malloc(byte_length, align, if mixes { Search::Mixing } else { search })?;
    if mixes && heap.class_of(pointer)? == Some(MIXED) {
        free_blocks.depot.note_mixed();
    }
    Ok(pointer)
}
