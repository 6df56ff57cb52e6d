//! Growing the memory, and taking in what was grown.

use super::{Bytes, Session};
use crate::attached::Attachment;
use crate::debug::Book;
use crate::fault::{Fault, Result};
use crate::heap::{Bounds, Heap, PAGE};
use crate::process::registry::Guarded;

impl<B: Bytes> Session<B> {
    /// Grows the memory so that there is room for a block: as much as is usual, else as little as
    /// will do. Returns by how many pages, 0 when the engine refuses.
    ///
    /// # Errors
    /// [`Fault::OutOfMemory`] when the memory is as long as it may be; [`Fault::Corrupted`],
    /// [`Fault::Stale`].
    pub fn grow_for(&self, byte_length: u32, align: u32) -> Result<u32> {
        let room = self.room_to_grow();
        if room == 0 {
            return Err(Fault::OutOfMemory);
        }
        let (least, usual) = self.growth_for(byte_length, align)?;
        match self.grow_by(usual.min(room.max(least)))? {
            0 => self.grow_by(least),
            pages => Ok(pages),
        }
    }

    /// Grows the memory so that the block at its end can be resized where it is; see
    /// [`Heap::growth_to_extend`]. Returns by how many pages, 0 when there is no such block or the
    /// engine refuses.
    ///
    /// # Errors
    /// The faults of [`Heap::growth_to_extend`]; [`Fault::Stale`].
    pub fn grow_behind(&self, pointer: u32, byte_length: u32) -> Result<u32> {
        let pages = {
            let mut state = self.entry.lock()?;
            let request = requested(&state, byte_length);
            self.with_heap(&mut state, |heap| heap.growth_to_extend(pointer, request))?
        };
        self.grow_by(pages)
    }

    // The least and the usual number of pages.
    fn growth_for(&self, byte_length: u32, align: u32) -> Result<(u32, u32)> {
        let mut state = self.entry.lock()?;
        let request = requested(&state, byte_length);
        match self.formatted(&mut state)? {
            Some(heap) => heap.growth_for(request, align),
            None => {
                let least = Heap::first_growth_for(request, align);
                Ok((least, least))
            }
        }
    }

    // Grows the memory, looks at it anew and takes in the pages: a thread is terminated while it
    // runs JavaScript, not here, so that no page is lost in between. JavaScript runs before the
    // lock is taken. Returns how many more pages this thread can use.
    fn grow_by(&self, pages: u32) -> Result<u32> {
        let before = self.byte_length();
        let grown = (pages > 0).then(|| self.grow_memory(pages)).flatten();
        let Some((first, end)) = grown else { return Ok(0) };
        self.entry.see(end as usize * PAGE as usize);
        let mut state = self.entry.lock()?;
        self.extend(&state);
        state.depot.note_growth(u64::from(end) * u64::from(PAGE));
        // Pages that cannot hold a block stay unused.
        drop(self.take_in(&mut state, first, end));
        Ok((self.byte_length().saturating_sub(before) / PAGE as usize) as u32)
    }

    // By how many pages the memory may grow, as far as this thread knows. In a file it may be that it
    // can use more of what there is.
    fn room_to_grow(&self) -> u32 {
        let pages = (self.memory.byte_length() / PAGE as usize) as u32;
        match self.entry.attachment {
            Some(_) => u32::MAX,
            None => self.entry.state().bounds.maximum.saturating_sub(pages),
        }
    }

    // Has the engine grow the memory, unless it would refuse: its error costs microseconds. Returns the
    // pages that there were and that there are.
    fn grow_memory(&self, pages: u32) -> Option<(u32, u32)> {
        if pages > self.room_to_grow() {
            return None;
        }
        let attachment = self.entry.attachment.as_ref();
        let _alone = attachment.map(|_| self.entry.growing());
        let pages = match attachment {
            Some(attachment) => self.growth_of(attachment, pages)?,
            None => pages,
        };
        let first = self.memory.grow(pages)?;
        Some((first, first.saturating_add(pages)))
    }

    // How much a memory that several processes have is grown by here, so that it has `pages` more
    // than this thread knew of: not at all when another thread has grown it, as far as another
    // process has grown its own; else further, and there is room in the file before there are
    // pages. Where there was none, this process may have pages already.
    fn growth_of(&self, attachment: &Attachment, pages: u32) -> Option<u32> {
        let (here, reserved) = (self.memory.grow(0)?, attachment.pages());
        let known = (self.memory.byte_length() / PAGE as usize) as u32;
        if here > known || here < reserved {
            return Some(reserved.saturating_sub(here));
        }
        let wanted = reserved.saturating_add(pages);
        attachment.reserve(wanted).then(|| wanted.saturating_sub(here))
    }

    /// Grows the memory as far as other processes have grown theirs.
    pub fn grow_along(&self) {
        let _alone = self.entry.growing();
        if let Some(here) = self.memory.grow(0) {
            self.memory.grow(self.entry.reserved().saturating_sub(here));
        }
    }

    /// How many pages other processes have added to the memory beyond those that this thread sees.
    pub fn missing_pages(&self) -> u32 {
        let seen = (self.memory.byte_length() / PAGE as usize) as u32;
        self.entry.reserved().saturating_sub(seen)
    }

    // Other threads may have grown the memory, and added pages, further up.
    fn extend(&self, state: &Guarded) {
        self.look_at_file();
        if self.memory.is_shared() {
            // SAFETY: the engine has just grown the memory to that many bytes, or has given a buffer
            // of them to another thread that has the memory open. It is shared, so it neither moves
            // nor shrinks.
            unsafe { self.memory.extend(state.byte_length) };
        }
    }

    /// Takes in pages that the caller grew. One that owns its whole memory takes in all there are.
    ///
    /// # Errors
    /// [`Fault::OutOfMemory`] when the pages cannot hold a block; [`Fault::Corrupted`],
    /// [`Fault::Stale`].
    pub fn add_pages(&self, first: u32, end: u32) -> Result<()> {
        self.take_in(&mut *self.entry.lock()?, first, end)
    }

    fn take_in(&self, state: &mut Guarded, first: u32, end: u32) -> Result<()> {
        let bounds = state.bounds;
        let heap = match self.formatted(state)? {
            Some(heap) => Ok(heap),
            None if bounds.owns_all => return Ok(()),
            None => self.format(state),
        };
        match heap {
            Ok(heap) if heap.owns_all()? => heap.absorb_pages(),
            Ok(heap) => heap.add_pages(first, end),
            // What the heap was given is too small for one. It is made at once of what was grown,
            // so that the pages of another thread that grows now come in addition, not instead.
            Err(Fault::OutOfMemory) => {
                let start = first.checked_mul(PAGE).ok_or(Fault::OutOfMemory)?;
                let start = start.max(Heap::WHOLE_MEMORY_START);
                state.bounds = Bounds { start, end_page: end, ..bounds };
                self.format(state).map(drop)
            }
            Err(fault) => Err(fault),
        }
    }
}

// What is asked of the heap for a block of `byte_length` bytes: more in debug mode.
fn requested(state: &Guarded, byte_length: u32) -> u32 {
    if state.book.is_some() { Book::request(byte_length) } else { byte_length }
}
