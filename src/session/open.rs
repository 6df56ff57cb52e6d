//! Opening a heap: which bytes it has, or may have, and closing it.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use super::debug::close_book;
use super::{Bytes, Session};
use crate::attached::Attachment;
use crate::cache::ThreadCache;
use crate::fault::{Fault, Result};
use crate::heap::{Bounds, Heap, PAGE, Words};
use crate::process::registry::{self, Entry, Guarded};
use crate::process::roots::Roots;

/// The bytes that must be zero for a memory without a heap to become one.
const PROBED_WORDS: u32 = PAGE / 4;

/// Which part of the memory the caller wants a heap in, and what it knows of the memory.
#[derive(Clone, Copy, Debug)]
pub struct OpenOptions {
    /// The first byte that the heap may use; `None` when all of the memory is the heap's.
    pub heap_base: Option<u32>,
    /// The pages that the memory had when it was made or received.
    pub initial: u32,
    /// The page count that the memory may grow to.
    pub maximum: u32,
    /// Whether this thread made the memory, so that there is nothing in it but what it put there.
    pub made_here: bool,
    /// Whether the memory is to be in debug mode, unless a thread that has it open says otherwise.
    pub debug: bool,
}

impl<B: Bytes> Session<B> {
    /// Opens the heap in a memory, or claims the memory for one.
    ///
    /// # Errors
    /// [`Fault::NotAHeap`] when the memory holds something else, [`Fault::OtherBuild`] when another
    /// build works on it or did, [`Fault::Closed`] when this process has closed its file;
    /// [`Fault::OutOfMemory`].
    pub fn open(memory: B, options: OpenOptions) -> Result<Self> {
        let cache = ThreadCache::new()?;
        let words = memory.words();
        let bounds = || found(words, options);
        let entry = if memory.is_shared() {
            registry::open(memory.address(), words, options.debug, bounds)?
        } else {
            Arc::new(Entry::new(words, bounds()?, options.debug)?)
        };
        Ok(Self::of(memory, entry, cache))
    }

    /// Opens the heap in a file that this process has just attached and mapped over `memory`, and
    /// puts back what dead processes kept.
    ///
    /// # Errors
    /// [`Fault::OtherBuild`], [`Fault::Busy`], [`Fault::Corrupted`], [`Fault::OutOfMemory`].
    pub fn attach(memory: B, attachment: Attachment) -> Result<Self> {
        let cache = ThreadCache::new()?;
        let entry = registry::open_attached(memory.address(), attachment)?;
        let heap = Self::of(memory, entry, cache);
        heap.recover()?;
        Ok(heap)
    }

    fn of(memory: B, entry: Arc<Entry>, cache: ThreadCache) -> Self {
        let (thread, start) = {
            entry.see(memory.byte_length());
            let mut state = entry.state();
            (state.depot.join(Arc::clone(cache.rows())), state.bounds.start)
        };
        let roots = if memory.is_shared() && entry.attachment.is_none() {
            Roots::of(memory.address(), Heap::open(memory.words(), start).is_some())
        } else {
            Roots::new()
        };
        let superblock = Cell::new(None);
        let (caller, finding) = (RefCell::default(), RefCell::default());
        let cache = Rc::new(cache);
        let (token, reserved) = (Cell::new(0), Cell::new(entry.reserved()));
        Self { roots, memory, superblock, entry, thread, cache, token, reserved, caller, finding }
    }
}

// Where a heap that may have the bytes from `heap_base` begins: not at 0, and below 4 GiB.
fn first_grain(heap_base: u32) -> u32 {
    let grain = Heap::WHOLE_MEMORY_START;
    heap_base.max(1).checked_next_multiple_of(grain).unwrap_or(u32::MAX - (grain - 1))
}

// The bounds of a heap that the registry does not know: what the memory itself says, or the
// options.
fn found(words: Words<'_>, options: OpenOptions) -> Result<Bounds> {
    let wanted = Bounds {
        start: first_grain(options.heap_base.unwrap_or(0)),
        end_page: options.initial,
        maximum: options.maximum,
        owns_all: options.heap_base.is_none(),
    };
    if Heap::is_detached(words, wanted.start) {
        return Err(Fault::Closed);
    }
    if Heap::is_of_other_build(words, wanted.start) {
        return Err(Fault::OtherBuild);
    }
    let formatted = Heap::open(words, wanted.start).is_some();
    let probed = PROBED_WORDS.min((words.byte_length() / 4) as u32);
    let free_to_use = formatted
        || options.made_here
        || options.heap_base.is_some()
        || (0..probed).all(|word| words.get(word) == Ok(0));
    if free_to_use { Ok(wanted) } else { Err(Fault::NotAHeap) }
}

impl<B: Bytes> Drop for Session<B> {
    // A memory that is not shared dies with its one thread, and may be gone already.
    fn drop(&mut self) {
        if !self.memory.is_shared() {
            return;
        }
        if let Some(attachment) = &self.entry.attachment {
            attachment.leave_token(self.token.get());
        }
        let drained = self.leave_heap();
        registry::close(self.memory.address(), &self.entry, || {
            // Nor would anyone ask the next depot for what waits in this one.
            drained
                && self.on_leaving(|state, heap| {
                    close_book(state, &heap);
                    self.free_blocks(state, heap).collect(1).is_ok()
                })
        });
    }
}

impl<B: Bytes> Session<B> {
    // Puts back what this thread keeps, or leaves it to the next one that can. Returns whether that
    // is all done.
    fn leave_heap(&self) -> bool {
        let mut left = false;
        let drained = self.on_leaving(|state, heap| {
            left = true;
            // Nobody is left to tell of a block that two threads freed; the others are back.
            let drained = self.cache.drain(&mut self.free_blocks(state, heap)).is_ok();
            self.free_blocks(state, heap).leave().is_ok() && drained
        });
        // Once: the number may be another thread's already.
        if !left {
            self.cache.leave_behind(&mut self.entry.state().depot, self.thread);
        }
        drained
    }

    // Works on the heap, if there is one, in all of the memory that any thread has seen: looked at
    // with the lock held, as others may grow it until then. Returns what `act` does, and false when
    // the heap cannot be used.
    fn on_leaving(&self, act: impl FnOnce(&mut Guarded, Heap<'_>) -> bool) -> bool {
        let Ok(mut state) = self.entry.lock() else { return false };
        // SAFETY: what is known has the length from threads that had the memory open together with
        // this one, directly or one after the other. Each keeps a buffer over the same backing
        // store, which does not shrink, and neither does it move: it has kept the address that the
        // registry goes by.
        unsafe { self.memory.extend(state.byte_length) };
        match self.formatted_as_a_whole(&mut state) {
            Ok(Some(heap)) => act(&mut state, heap),
            Ok(None) => true,
            Err(_) => false,
        }
    }
}
