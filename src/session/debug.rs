//! What debug mode does in place of the plain calls, and the examination of a heap in either mode.
//! Each call works on the heap and its book under the lock, and keeps what can be told about a
//! refusal for whoever words the error.

use super::{Bytes, Session};
use crate::debug::{Book, Finding, Group, Trouble};
use crate::fault::{Fault, Result};
use crate::heap::{Block, Damage, Heap, Part, Search, Stats};
use crate::process::registry::Guarded;

impl<B: Bytes> Session<B> {
    /// Whether the memory is in debug mode.
    pub fn is_debug(&self) -> bool {
        self.entry.state().book.is_some()
    }

    /// Notes where the program is that makes the next call, and which kind of structure makes it,
    /// if one does.
    pub fn set_caller(&self, thread_id: u32, stack: String, structure: Option<String>) {
        let mut state = self.entry.state();
        let book = state.book.as_mut();
        self.caller.replace(book.map(|book| book.place(thread_id, stack, structure)));
    }

    /// What can be told about the last refusal, once.
    pub fn take_finding(&self) -> Option<Finding> {
        self.finding.take().map(|finding| *finding)
    }

    /// Allocates a block; see [`Book::malloc`]. The first call makes the heap.
    pub(super) fn debug_malloc(
        &self,
        state: &mut Guarded,
        byte_length: u32,
        align: u32,
        search: Search,
    ) -> Result<u32> {
        let made = self.caller.take().ok_or(Fault::Internal)?;
        let heap = self.formatted_now(state)?;
        let book = state.book.as_mut().ok_or(Fault::Internal)?;
        self.told(book.malloc(&heap, byte_length, align, search, made))
    }

    /// Frees a block; see [`Book::free`].
    pub(super) fn debug_free(
        &self,
        state: &mut Guarded,
        pointer: u32,
        then: impl FnOnce(),
    ) -> Result<()> {
        let freed = self.caller.take().ok_or(Fault::Internal)?;
        self.with_book(state, |heap, book| book.free(heap, pointer, freed).map(|()| then()))
    }

    /// Resizes a block where it is; see [`Book::resize`].
    pub(super) fn debug_resize(
        &self,
        state: &mut Guarded,
        pointer: u32,
        byte_length: u32,
        stay: bool,
    ) -> Result<u32> {
        let made = self.caller.take().ok_or(Fault::Internal)?;
        self.with_book(state, |heap, book| book.resize(heap, pointer, byte_length, stay, made))
    }

    /// The requested bytes and the whole space of a block; see [`Book::inspect`].
    pub(super) fn debug_inspect(&self, state: &mut Guarded, pointer: u32) -> Result<(u32, u32)> {
        self.with_book(state, |heap, book| book.inspect(heap, pointer))
    }

    /// The live blocks in ascending order of address, without those in quarantine.
    pub(super) fn debug_blocks(&self, state: &mut Guarded) -> Result<Vec<Block>> {
        self.examine(state, |heap, book| book.blocks(heap))
    }

    /// What the bytes of the heap are used for; see [`Book::stats`].
    pub(super) fn debug_stats(&self, state: &mut Guarded) -> Result<Stats> {
        self.examine(state, |heap, book| book.stats(heap))
    }

    /// Frees what is in quarantine; see [`Book::release`].
    pub(super) fn empty_quarantine(&self, state: &mut Guarded) -> Result<()> {
        self.examine(state, |heap, book| self.told(book.release(heap, 0)))
    }

    /// The live blocks in groups by the place that made them; see [`Book::leaks`].
    ///
    /// # Errors
    /// [`Fault::Corrupted`], [`Fault::Stale`].
    pub fn leaks(&self) -> Result<Vec<Group>> {
        self.examine(&mut *self.entry.lock()?, |heap, book| book.leaks(heap))
    }

    /// Everything that is wrong with the heap; see [`Book::check`]. `seen` says that this thread
    /// sees all of the memory: a heap that claims more is damaged then.
    ///
    /// # Errors
    /// [`Fault::Stale`], unless `seen`.
    pub fn check(&self, seen: bool) -> Result<Vec<Finding>> {
        let examined = self.examine(&mut *self.entry.lock()?, |heap, book| Ok(book.check(heap)));
        match examined {
            Err(Fault::Stale) if !seen => Err(Fault::Stale),
            Err(Fault::Busy) => Err(Fault::Busy),
            Err(_) => {
                let offset = self.superblock.get().unwrap_or(self.entry.state().bounds.start);
                Ok(vec![Finding::of(Damage { part: Part::Record, offset, pointer: None })])
            }
            findings => findings,
        }
    }

    // Works on a heap that is there, in debug mode.
    fn with_book<T>(
        &self,
        state: &mut Guarded,
        act: impl FnOnce(&Heap<'_>, &mut Book) -> core::result::Result<T, Trouble>,
    ) -> Result<T> {
        let heap = self.formatted(state)?.ok_or(Fault::NeverAllocated)?;
        let book = state.book.as_mut().ok_or(Fault::Internal)?;
        self.told(act(&heap, book))
    }

    // Works on a heap and its book, or, outside debug mode, an empty one; before the first
    // allocation there is nothing to work on.
    fn examine<T: Default>(
        &self,
        state: &mut Guarded,
        act: impl FnOnce(&Heap<'_>, &mut Book) -> Result<T>,
    ) -> Result<T> {
        let Some(heap) = self.formatted(state)? else { return Ok(T::default()) };
        match &mut state.book {
            Some(book) => act(&heap, book),
            None => act(&heap, &mut Book::default()),
        }
    }

    // Keeps what can be told about a refusal.
    fn told<T>(&self, outcome: core::result::Result<T, Trouble>) -> Result<T> {
        outcome.map_err(|Trouble { fault, finding }| {
            self.finding.replace(finding);
            fault
        })
    }
}

/// Gives what is in quarantine back to the heap, when nobody will ask for it any more.
pub(super) fn close_book(state: &mut Guarded, heap: &Heap<'_>) {
    if let Some(book) = &mut state.book {
        book.close(heap);
    }
}
