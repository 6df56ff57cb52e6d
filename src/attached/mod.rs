//! A heap of several processes: the file that all of them map, and what lies in it besides the
//! memory itself. A heap that one process has to itself has nothing of this.
//!
//! Whoever can write the file can make all who have it fail; nobody can make them read or write
//! outside of it: no pointer lies in it, and every number is checked. Each process has a slot
//! (slots.rs), one has the lock (lock.rs), and what the owner of the lock does is undone when it
//! dies ([`UndoLog`]).

mod header;
mod layout;
mod lock;
mod names;
mod opening;
mod refusal;
mod slots;
#[cfg(test)]
#[cfg(all(target_os = "linux", not(lsm_model)))]
mod tests;
mod tokens;

use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicI8, AtomicU32};
use std::time::Duration;

use memmap2::MmapRaw;

use crate::fault::{Fault, Result};
use crate::heap::{PAGE, Place, UndoLog, Words};
use crate::os::{self, Reservation, Step, shared_file};
use header::Header;
use layout::Layout;
use lock::Taken;
use names::Names;
pub use opening::{Wish, attach};
use slots::Slots;
use tokens::Tokens;

/// How long a call waits for a process that has the lock: far longer than any call takes.
pub const PATIENCE: Duration = Duration::from_secs(5);
/// How long it does so at least, when it has waited for other threads of its process before.
const LEAST_PATIENCE: Duration = Duration::from_millis(250);

/// The file of a heap, as one process has it attached, mapped as a whole.
pub struct Attachment {
    file: File,
    /// JavaScript has a part of it for longer than the process has the file.
    map: Arc<MmapRaw>,
    layout: Layout,
    slot: u8,
    /// Whether the slot is clear: what its last process kept has been put back.
    clear: AtomicBool,
    /// Whether the slot is given up, or not taken yet.
    left: AtomicBool,
}

impl Attachment {
    /// The number of the calling process among those that have the file: 1 to 127.
    pub const fn slot(&self) -> u8 {
        self.slot
    }

    /// The pages that the memory may grow to.
    pub const fn maximum(&self) -> u32 {
        self.layout.maximum
    }

    /// The pages of the memory that there is room for in the file: as many as any process has grown
    /// it to.
    pub fn pages(&self) -> u32 {
        self.header().reserved(self.layout.maximum)
    }

    /// The first bytes of the memory as words, but none that the file has no room for.
    pub fn words(&self, byte_length: usize) -> Words<'_> {
        Words::logged(self.slice(byte_length), self.log())
    }

    fn slice(&self, byte_length: usize) -> &[AtomicU32] {
        let length = byte_length.min(self.pages() as usize * PAGE as usize) / 4;
        // SAFETY: as `at` says of the heap's part of the file, which has `maximum` pages, and
        // `pages` are no more than these.
        unsafe { std::slice::from_raw_parts(self.at::<AtomicU32>(self.layout.heap()), length) }
    }

    /// Sleeps while the word at `index` of the memory holds `value`, until a process wakes those
    /// that wait for it, for at most that long. Returns whether all of the time has passed; `None`
    /// when there is no such word.
    pub fn wait(&self, index: u32, value: u32, most: Duration) -> Option<bool> {
        let word = self.slice(usize::MAX).get(index as usize)?;
        Some(shared_file::wait(word, value, most))
    }

    /// Wakes so many of those that wait for the word at `index`, in whichever process. Returns how
    /// many there were; `None` when there is no such word.
    pub fn wake(&self, index: u32, most: u32) -> Option<u32> {
        self.slice(usize::MAX).get(index as usize).map(|word| shared_file::wake(word, most))
    }

    /// All of the memory that there is room for.
    pub fn all_words(&self) -> Words<'_> {
        self.words(usize::MAX)
    }

    /// The states of the blocks.
    pub fn states(&self) -> &[AtomicI8] {
        // SAFETY: as `at` says of the states, which are so many. JavaScript writes single bytes of
        // them.
        unsafe { std::slice::from_raw_parts(self.at(layout::STATES), self.layout.states_length()) }
    }

    /// What keeps the states where they are.
    pub const fn map(&self) -> &Arc<MmapRaw> {
        &self.map
    }

    /// What was written over since the heap was whole.
    pub fn log(&self) -> &UndoLog {
        // SAFETY: as `at` says of the log, all of which are atomics.
        unsafe { &*self.at(layout::LOG) }
    }

    /// The names that blocks have, for one who has the lock.
    pub fn names(&self) -> Names<'_> {
        // SAFETY: as `at` says of the names.
        Names { words: unsafe { &*self.at(layout::NAMES) }, log: self.log() }
    }

    fn header(&self) -> Header<'_> {
        // SAFETY: as `at` says of the header.
        Header(unsafe { &*self.at(0) })
    }

    fn slots(&self) -> Slots<'_> {
        // SAFETY: as `at` says of the slots.
        Slots { file: &self.file, words: unsafe { &*self.at(layout::SLOTS) } }
    }

    fn tokens(&self) -> Tokens<'_> {
        // SAFETY: as `at` says of the tokens.
        Tokens(unsafe { &*self.at(layout::TOKENS) })
    }

    // Where a part of the file lies that layout.rs names: aligned to 8 bytes at least, and within
    // the mapping, which is as long as all parts, and which `self` keeps and never changes. What
    // lies there is atomics, which may hold anything, and all processes read and write them so.
    fn at<T>(&self, offset: usize) -> *const T {
        debug_assert!(offset + size_of::<T>() <= self.map.len());
        self.map.as_ptr().wrapping_add(offset).cast()
    }

    /// Takes the lock of all processes, for the length of one call. If its last owner died with it,
    /// what that had begun has been undone. The threads of this process have to take turns.
    ///
    /// # Errors
    /// [`Fault::Busy`] when a process keeps it and does not go on.
    pub fn lock(&self) -> Result<Held<'_>> {
        self.lock_after(Duration::ZERO)
    }

    /// The same for a call that has waited that long for other threads of its process.
    ///
    /// # Errors
    /// As [`Self::lock`].
    pub fn lock_after(&self, waited: Duration) -> Result<Held<'_>> {
        let patience = PATIENCE.saturating_sub(waited).max(LEAST_PATIENCE);
        let is_alive = |slot| slots::is_alive(&self.file, slot);
        let taken = lock::lock(self.header().lock(), self.slot, patience, is_alive);
        let taken = taken.ok_or(Fault::Busy)?;
        let held = Held(self);
        if taken == Taken::OwnerDied {
            self.undo();
        }
        Ok(held)
    }

    // Puts back what was written over since the heap was whole. The caller has the lock.
    fn undo(&self) {
        let (words, states, names) = (self.all_words(), self.states(), self.names().words);
        self.log().undo(|place, before| match place {
            Place::Word(index) => drop(words.set_unused(index, before)),
            Place::State(grain) => {
                if let Some(state) = states.get(grain as usize) {
                    state.store(before as i8, Relaxed);
                }
            }
            Place::Name(index) => {
                if let Some(word) = names.get(index as usize) {
                    word.store(before, Relaxed);
                }
            }
        });
    }

    /// Has the file system keep room for so many pages of the memory. Returns whether there is
    /// room.
    pub fn reserve(&self, pages: u32) -> bool {
        let before = self.pages();
        if pages <= before {
            return true;
        }
        let reserved = pages <= self.maximum()
            && self
                .layout
                .needed_for(pages)
                .into_iter()
                .zip(self.layout.needed_for(before))
                .all(|(all, had)| shared_file::reserve(&self.file, had.end..all.end).is_ok());
        if reserved {
            self.header().set_reserved(pages);
        }
        reserved
    }

    /// Puts the memory's bytes in the place of those that the engine has for it; see
    /// [`os::overlay`].
    ///
    /// # Errors
    /// The step that failed and why.
    pub fn overlay(&self, range: Reservation) -> core::result::Result<(), (Step, std::io::Error)> {
        os::overlay_file(range, &self.file, self.layout.heap())
    }

    /// The slots of processes that died, whose kept blocks are nobody's; and, until
    /// [`Attachment::clear`], the own one if the process that had it before died. For one who has
    /// the lock.
    pub fn dead(&self) -> Vec<u8> {
        let mut dead = self.slots().dead(self.slot);
        if !self.clear.load(Relaxed) {
            dead.push(self.slot);
        }
        dead
    }

    /// Notes that nothing is left of the dead process of a slot. For one who has the lock.
    pub fn clear(&self, slot: u8) {
        if slot == self.slot {
            self.clear.store(true, Relaxed);
        } else {
            self.tokens().clear(slot);
            self.slots().clear(slot);
        }
    }

    /// Whether no other process has the file, nor has left something behind. For one who has the
    /// lock.
    pub fn is_alone(&self) -> bool {
        self.slots().are_clear_but(self.slot)
    }

    /// Gives the slot up: the process has closed the heap. `clean` says that no block is kept for
    /// it any more; if one is, whoever has the slot next finds it.
    pub fn leave(&self, clean: bool) {
        if self.left.swap(true, Relaxed) {
            return;
        }
        if clean && let Ok(held) = self.lock() {
            if self.clear.load(Relaxed) {
                self.slots().clear(self.slot);
            }
            if self.slots().are_clear() {
                self.header().set_open(false);
            }
            drop(held);
        }
        slots::leave(&self.file, self.slot);
    }

    /// Enters a thread of this process that opens the heap.
    ///
    /// # Errors
    /// [`Fault::OutOfMemory`] when there are too many, or another process has the token.
    pub fn enter_token(&self, token: u32) -> Result<()> {
        let is_anothers = |slot| !self.slots().is_own(slot) && slots::is_alive(&self.file, slot);
        self.tokens().enter(self.slot, token, is_anothers)
    }

    /// Takes out a thread that closes the heap.
    pub fn leave_token(&self, token: u32) {
        self.tokens().leave(self.slot, token);
    }

    /// Whether a token is that of a thread of another process that lives.
    pub fn is_alive_elsewhere(&self, token: u32) -> bool {
        let counts = |slot| slot != self.slot && slots::is_alive(&self.file, slot);
        self.tokens().has(token, counts)
    }
}

impl Drop for Attachment {
    // No heap was opened, or it is closed.
    fn drop(&mut self) {
        self.leave(true);
    }
}

/// The lock of all processes, until it is dropped.
pub struct Held<'a>(&'a Attachment);

impl Drop for Held<'_> {
    fn drop(&mut self) {
        let Self(attachment) = self;
        // What a panic or a full log has cut short is undone, as if the process had died.
        if std::thread::panicking() || attachment.log().is_overfull() {
            attachment.undo();
        } else {
            attachment.log().commit();
        }
        lock::unlock(attachment.header().lock());
    }
}

const _: () = assert!(
    size_of::<[u64; layout::HEADER_WORDS]>() <= layout::SLOTS
        && layout::SLOTS + slots::WORDS * 4 <= layout::LOG
        && layout::LOG.is_multiple_of(8)
        && layout::NAMES.is_multiple_of(8)
        && layout::TOKENS.is_multiple_of(8)
        && layout::STATES.is_multiple_of(PAGE as usize)
);
