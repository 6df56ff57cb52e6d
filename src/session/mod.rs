//! A heap as one thread has it open: finds it, locks it for each call, and opens it up to the bytes
//! that the thread sees. Of JavaScript it knows nothing: it is given bytes, and a way to grow them.

mod bytes;
mod calls;
mod debug;
mod growth;
mod no_room;
mod open;
mod placing;
mod recover;
mod roots;
mod survey;
mod trim;
mod waiting;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use crate::cache::ThreadCache;
use crate::cache::free_blocks::FreeBlocks;
use crate::debug::{CallSite, Finding};
use crate::fault::{Fault, Result};
use crate::heap::{Bounds, Heap, PAGE, Words};
use crate::process::registry::{Entry, Guarded};
use crate::process::roots::Roots;
pub use bytes::Bytes;
pub use open::OpenOptions;

/// One thread's access to the heap in a memory.
pub struct Session<B: Bytes> {
    /// Dropped before the memory, which has to be there for as long: fields are dropped in this
    /// order.
    roots: Arc<Roots>,
    memory: B,
    /// Byte offset of the superblock once the heap was found to be formatted: it never moves.
    superblock: Cell<Option<u32>>,
    /// What the process knows of the memory; of one that is not shared nobody else does.
    entry: Arc<Entry>,
    /// This thread's number in the depot.
    thread: usize,
    cache: Rc<ThreadCache>,
    /// The thread's token, once it was entered where several processes have the memory; else 0.
    token: Cell<u32>,
    /// Pages that had room in the file when this thread last looked, if several processes have the
    /// memory. Calls use no more of it, so that JavaScript has the states of all blocks in it.
    reserved: Cell<u32>,
    /// In debug mode: where the program is that makes the next call.
    caller: RefCell<Option<CallSite>>,
    /// In debug mode: what can be told about the last call that was refused.
    finding: RefCell<Option<Box<Finding>>>,
}

impl<B: Bytes> Session<B> {
    /// The memory. Whoever has changed what the thread sees of it says so by [`Session::look`].
    pub const fn memory(&self) -> &B {
        &self.memory
    }

    /// Lets other processes know that the thread of this token lives, if any have the memory.
    ///
    /// # Errors
    /// [`Fault::OutOfMemory`] when there are too many threads, or one of another process has the
    /// token; those of [`Session::recover`].
    pub fn enter_thread(&self, token: u32) -> Result<()> {
        let Some(attachment) = &self.entry.attachment else { return Ok(()) };
        if attachment.enter_token(token).is_err() {
            // Threads of dead processes have their places until what those kept is back.
            self.recover()?;
            attachment.enter_token(token)?;
        }
        self.token.set(token);
        Ok(())
    }

    /// Takes note of what the thread sees of the memory.
    pub fn look(&self) {
        self.entry.see(self.memory.byte_length());
        self.look_at_file();
    }

    fn look_at_file(&self) {
        self.reserved.set(self.entry.reserved());
    }

    // The bytes of the memory that this thread has seen, in a file those with room there. They are
    // seen where this process has mapped all of it.
    fn words(&self) -> Words<'_> {
        match &self.entry.attachment {
            None => self.memory.words(),
            Some(attachment) => {
                let reserved = self.reserved.get() as usize * PAGE as usize;
                attachment.words(self.memory.byte_length().min(reserved))
            }
        }
    }

    /// How much of the memory this thread has seen, and seen to have room in the file, if it lies
    /// in one.
    pub fn byte_length(&self) -> usize {
        self.words().byte_length() as usize
    }

    /// The free blocks that this thread keeps.
    pub const fn cache(&self) -> &Rc<ThreadCache> {
        &self.cache
    }

    /// What the process knows of the memory.
    pub const fn entry(&self) -> &Arc<Entry> {
        &self.entry
    }

    fn with_heap<T>(
        &self,
        state: &mut Guarded,
        act: impl FnOnce(Heap<'_>) -> Result<T>,
    ) -> Result<T> {
        act(self.formatted(state)?.ok_or(Fault::NeverAllocated)?)
    }

    fn free_blocks<'a>(&'a self, state: &'a mut Guarded, heap: Heap<'a>) -> FreeBlocks<'a> {
        let Entry { live_blocks, attachment, .. } = &*self.entry;
        let (depot, attachment) = (&mut state.depot, attachment.as_deref());
        FreeBlocks { heap, live_blocks, depot, thread: self.thread, attachment }
    }

    fn formatted(&self, state: &mut Guarded) -> Result<Option<Heap<'_>>> {
        let words = self.words();
        if let Some(superblock) = self.superblock.get() {
            return Heap::open(words, superblock).ok_or(Fault::Corrupted)?.current().map(Some);
        }
        let Bounds { start, end_page, .. } = state.bounds;
        if u64::from(end_page) * u64::from(PAGE) > words.byte_length() {
            return Err(Fault::Stale);
        }
        if u64::from(start) >= words.byte_length() {
            return Ok(None);
        }
        let Some(heap) = Heap::open(words, start) else {
            return if state.formatted { Err(Fault::Corrupted) } else { Ok(None) };
        };
        state.formatted = true;
        let heap = heap.current()?;
        if !state.entered && state.book.is_none() {
            // Not before all of it is seen, lest some blocks stay unknown.
            self.entry.live_blocks.enter(&heap);
            state.entered = true;
        }
        self.superblock.set(Some(start));
        Ok(Some(heap))
    }

    // The same with all of the memory that other processes have grown, for what is done without
    // JavaScript.
    fn formatted_as_a_whole(&self, state: &mut Guarded) -> Result<Option<Heap<'_>>> {
        match &self.entry.attachment {
            None => self.formatted(state),
            Some(attachment) => {
                let heap = Heap::open(attachment.all_words(), Heap::WHOLE_MEMORY_START);
                heap.ok_or(Fault::Corrupted)?.current().map(Some)
            }
        }
    }

    fn formatted_now(&self, state: &mut Guarded) -> Result<Heap<'_>> {
        match self.formatted(state)? {
            Some(heap) => Ok(heap),
            None => self.format(state),
        }
    }

    fn format(&self, state: &mut Guarded) -> Result<Heap<'_>> {
        let words = self.words();
        let seen = (words.byte_length() / u64::from(PAGE)) as u32;
        let mut bounds = state.bounds;
        if bounds.owns_all {
            bounds.end_page = seen;
        }
        if bounds.end_page > seen {
            return Err(Fault::Stale);
        }
        let heap = Heap::format(words, bounds)?;
        (state.formatted, state.entered) = (true, true);
        self.superblock.set(Some(bounds.start));
        Ok(heap)
    }
}
