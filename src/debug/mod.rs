//! Debug mode: who made and freed each block, guards behind blocks, and freed blocks that are held back
//! to see whether someone still writes to them.
//!
//! What is known of a memory's blocks lies outside it and belongs to the process: blocks may be freed by
//! another thread than their maker, and a thread's end changes nothing. All threads that have a
//! memory open at the same time agree on whether it is in debug mode.

mod book;
#[cfg(test)]
mod book_tests;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

pub use book::{Book, Finding, Group, Place, Trouble};

/// The modes of the memories that any thread has open, by the address of byte 0. A mode that is held has
/// a thread that keeps its memory at that address; one that is not is forgotten.
static MODES: Mutex<Option<HashMap<usize, Weak<Mode>>>> = Mutex::new(None);

/// Whether a memory is in debug mode, and what is known of its blocks then.
#[derive(Debug, Default)]
pub struct Mode(Option<Mutex<Book>>);

impl Mode {
    fn new(debug: bool) -> Self {
        Self(debug.then(Mutex::default))
    }

    /// The mode of a memory that one thread has for itself.
    pub fn alone(debug: bool) -> Arc<Self> {
        Arc::new(Self::new(debug))
    }

    /// The mode of the memory at `address`, which the caller keeps there for as long as it holds the mode:
    /// that of the threads that have it open, else a new one.
    pub fn shared(address: usize, debug: bool) -> Arc<Self> {
        let mut modes = MODES.lock().unwrap_or_else(PoisonError::into_inner);
        let modes = modes.get_or_insert_default();
        if let Some(mode) = modes.get(&address).and_then(Weak::upgrade) {
            return mode;
        }
        modes.retain(|_, mode| mode.strong_count() > 0);
        let mode = Arc::new(Self::new(debug));
        modes.insert(address, Arc::downgrade(&mode));
        mode
    }

    /// Whether blocks are guarded and recorded.
    pub const fn is_debug(&self) -> bool {
        self.0.is_some()
    }

    /// What is known of the blocks, in debug mode. The caller holds the heap's lock. A book that a thread
    /// panicked over is still a book: it is compared with the heap wherever it matters.
    pub fn book(&self) -> Option<MutexGuard<'_, Book>> {
        self.0.as_ref().map(|book| book.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_agree_for_as_long_as_one_has_the_memory_open() {
        let address = usize::MAX;
        let first = Mode::shared(address, true);
        let second = Mode::shared(address, false);
        assert!(second.is_debug());
        drop(first);
        assert!(Mode::shared(address, false).is_debug());
        drop(second);
        assert!(!Mode::shared(address, false).is_debug());
    }
}
