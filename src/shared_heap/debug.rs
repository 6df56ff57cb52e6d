//! What debug mode does in place of the plain calls, and the examination of a heap in either mode. Each
//! call works on the heap and its book under the lock, and keeps what can be told about a refusal for
//! whoever words the error.

use std::sync::Arc;

use super::SharedHeap;
use crate::debug::{Book, Finding, Group, Mode, Trouble};
use crate::error::{Fault, Result};
use crate::heap::{Block, Damage, Heap, Part, Search, Stats};

impl SharedHeap {
    /// Whether the memory is in debug mode.
    pub fn is_debug(&self) -> bool {
        self.mode.is_debug()
    }

    /// Notes where the program is that makes the next call.
    pub fn set_caller(&self, thread_id: u32, stack: String) {
        let place = {
            let _locked = self.lock();
            self.mode.book().map(|mut book| book.place(thread_id, stack))
        };
        self.caller.replace(place);
    }

    /// What can be told about the last refusal, once.
    pub fn take_finding(&self) -> Option<Finding> {
        self.finding.take().map(|finding| *finding)
    }

    /// Allocates a block; see [`Book::malloc`]. The first call makes the heap.
    ///
    /// # Errors
    /// The faults of [`Book::malloc`]; [`Fault::Stale`].
    pub fn debug_malloc(&self, byte_length: u32, align: u32, search: Search) -> Result<u32> {
        let made = self.caller.take().ok_or(Fault::Corrupted)?;
        let mut locked = self.lock();
        let heap = match self.formatted(&mut locked)? {
            Some(heap) => heap,
            None => self.format(&mut locked)?,
        };
        self.with_book(|book| book.malloc(&heap, byte_length, align, search, made))
    }

    /// Frees a block; see [`Book::free`].
    ///
    /// # Errors
    /// The faults of [`Book::free`]; [`Fault::Stale`].
    pub fn debug_free(&self, pointer: u32) -> Result<()> {
        let freed = self.caller.take().ok_or(Fault::Corrupted)?;
        self.with_heap(|heap| self.with_book(|book| book.free(&heap, pointer, freed)))
    }

    /// Resizes a block where it is; see [`Book::resize`].
    ///
    /// # Errors
    /// The faults of [`Book::resize`]; [`Fault::Stale`].
    pub fn debug_resize(&self, pointer: u32, byte_length: u32, stay: bool) -> Result<()> {
        let made = self.caller.take().ok_or(Fault::Corrupted)?;
        self.with_heap(|heap| {
            self.with_book(|book| book.resize(&heap, pointer, byte_length, stay, made))
        })
    }

    /// The requested bytes and the whole space of a block; see [`Book::inspect`].
    ///
    /// # Errors
    /// The faults of [`Book::inspect`]; [`Fault::Stale`].
    pub fn debug_inspect(&self, pointer: u32) -> Result<(u32, u32)> {
        self.with_heap(|heap| self.with_book(|book| book.inspect(&heap, pointer)))
    }

    /// The live blocks in ascending order of address, without those in quarantine.
    ///
    /// # Errors
    /// [`Fault::Corrupted`], [`Fault::Stale`].
    pub fn debug_blocks(&self) -> Result<Vec<Block>> {
        self.with_formatted(|heap, book| book.blocks(&heap))
    }

    /// What the bytes of the heap are used for; see [`Book::stats`].
    ///
    /// # Errors
    /// [`Fault::Corrupted`], [`Fault::Stale`].
    pub fn debug_stats(&self) -> Result<Stats> {
        self.with_formatted(|heap, book| book.stats(&heap))
    }

    /// Empties the quarantine, then gives pages back; see [`SharedHeap::trim`].
    ///
    /// # Errors
    /// The faults of [`Book::release`] and [`SharedHeap::trim`].
    pub fn debug_trim(&self) -> Result<u64> {
        self.with_formatted(|heap, book| self.told(book.release(&heap, 0)))?;
        self.trim()
    }

    /// The live blocks in groups by the place that made them; see [`Book::leaks`].
    ///
    /// # Errors
    /// [`Fault::Corrupted`], [`Fault::Stale`].
    pub fn leaks(&self) -> Result<Vec<Group>> {
        self.with_formatted(|heap, book| book.leaks(&heap))
    }

    /// Everything that is wrong with the heap; see [`Book::check`]. `seen` says that this thread sees all
    /// of the memory: a heap that claims more is damaged then.
    ///
    /// # Errors
    /// [`Fault::Stale`], unless `seen`.
    pub fn check(&self, seen: bool) -> Result<Vec<Finding>> {
        match self.with_formatted(|heap, book| Ok(book.check(&heap))) {
            Err(Fault::Stale) if !seen => Err(Fault::Stale),
            Err(_) => {
                let root = self.root.get().unwrap_or(self.territory.get().start);
                Ok(vec![Finding::of(Damage { part: Part::Record, offset: root, pointer: None })])
            }
            findings => findings,
        }
    }

    /// Gives what is in quarantine back to the heap when nobody else has the memory open.
    pub(super) fn close(mode: Arc<Mode>, heap: &Heap<'_>) {
        if let Some(mode) = Arc::into_inner(mode)
            && let Some(mut book) = mode.book()
        {
            book.close(heap);
        }
    }

    // With an empty book outside debug mode; nothing to work on before the first allocation.
    fn with_formatted<T: Default>(
        &self,
        act: impl FnOnce(Heap<'_>, &mut Book) -> Result<T>,
    ) -> Result<T> {
        let mut locked = self.lock();
        let Some(heap) = self.formatted(&mut locked)? else { return Ok(T::default()) };
        match self.mode.book() {
            Some(mut book) => act(heap, &mut book),
            None => act(heap, &mut Book::default()),
        }
    }

    fn with_book<T>(
        &self,
        act: impl FnOnce(&mut Book) -> core::result::Result<T, Trouble>,
    ) -> Result<T> {
        let mut book = self.mode.book().ok_or(Fault::Corrupted)?;
        self.told(act(&mut book))
    }

    // Keeps what can be told about a refusal.
    fn told<T>(&self, outcome: core::result::Result<T, Trouble>) -> Result<T> {
        outcome.map_err(|Trouble { fault, finding }| {
            self.finding.replace(finding);
            fault
        })
    }
}
