//! Which threads of which processes are alive: a lock in the memory says by a token who holds it
//! (see process/threads.rs), and whoever finds it asks here. A thread enters its token when it
//! opens the heap, and takes it out when it closes it. The tokens of a process that died are taken
//! for dead with its slot, and go when another process takes that.
//!
//! Each process counts its threads from a number out of thin air. Should two have come by the same
//! token all the same, the second one is refused.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{AcqRel, Relaxed, SeqCst};

use crate::fault::{Fault, Result};

/// The most threads of all processes.
pub const MOST: usize = 4096;

/// The tokens in a mapped file: a slot and the token of one of its threads, or 0.
#[derive(Clone, Copy)]
pub struct Tokens<'a>(pub &'a [AtomicU64; MOST]);

const fn entry(slot: u8, token: u32) -> u64 {
    (slot as u64) << 32 | token as u64
}

const fn slot_of(entry: u64) -> u8 {
    (entry >> 32) as u8
}

impl Tokens<'_> {
    /// Enters a thread of the process in `slot`; `is_alive` tells of the slots of others.
    ///
    /// # Errors
    /// [`Fault::OutOfMemory`] when there are too many, or another process has the token.
    pub fn enter(self, slot: u8, token: u32, is_alive: impl Fn(u8) -> bool) -> Result<()> {
        let free = |word: &&AtomicU64| {
            word.compare_exchange(0, entry(slot, token), SeqCst, Relaxed).is_ok()
        };
        let entered = self.0.iter().find(free).ok_or(Fault::OutOfMemory)?;
        // Looked for afterwards, in the one order of all entries and looks: of two that enter at the
        // same moment one at least finds the other.
        if self.has(token, |other| other != slot && is_alive(other)) {
            entered.store(0, Relaxed);
            return Err(Fault::OutOfMemory);
        }
        Ok(())
    }

    /// Takes out a thread that has closed the heap once as often as it had opened it.
    pub fn leave(self, slot: u8, token: u32) {
        let own = entry(slot, token);
        let left = |word: &AtomicU64| word.compare_exchange(own, 0, AcqRel, Relaxed).is_ok();
        let _ = self.0.iter().any(left);
    }

    /// Takes out all threads of a process that is gone, before another one uses its slot.
    pub fn clear(self, slot: u8) {
        let of_slot = self.0.iter().filter(|word| slot_of(word.load(Relaxed)) == slot);
        of_slot.for_each(|word| word.store(0, Relaxed));
    }

    /// Whether a token was entered by a process of a slot that counts.
    pub fn has(self, token: u32, counts: impl Fn(u8) -> bool) -> bool {
        let mut entries = self.0.iter().map(|word| word.load(SeqCst));
        entries.any(|entry| entry as u32 == token && entry != 0 && counts(slot_of(entry)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Vec<AtomicU64> {
        (0..MOST).map(|_| AtomicU64::new(0)).collect()
    }

    fn tokens(table: &[AtomicU64]) -> Tokens<'_> {
        Tokens(table.first_chunk().unwrap())
    }

    fn alive(_slot: u8) -> bool {
        true
    }

    #[test]
    fn a_thread_is_known_as_often_as_it_has_entered() {
        let table = table();
        let tokens = tokens(&table);
        tokens.enter(3, 7, alive).unwrap();
        tokens.enter(3, 7, alive).unwrap();
        tokens.leave(3, 7);
        assert!(tokens.has(7, alive) && !tokens.has(8, alive) && !tokens.has(0, alive));
        assert!(!tokens.has(7, |slot| slot != 3));
        tokens.leave(4, 7);
        assert!(tokens.has(7, alive));
        tokens.leave(3, 7);
        assert!(!tokens.has(7, alive));
    }

    #[test]
    fn a_token_that_a_living_process_has_is_refused() {
        let table = table();
        let tokens = tokens(&table);
        tokens.enter(3, 7, alive).unwrap();
        assert_eq!(tokens.enter(4, 7, alive), Err(Fault::OutOfMemory));
        assert!(!tokens.has(7, |slot| slot == 4));
        assert_eq!(tokens.enter(4, 7, |slot| slot != 3), Ok(()));
    }

    #[test]
    fn the_threads_of_a_slot_go_together_and_make_room() {
        let table = table();
        let tokens = tokens(&table);
        for token in 1..=MOST as u32 {
            tokens.enter(1 + (token % 2) as u8, token, alive).unwrap();
        }
        assert_eq!(tokens.enter(1, u32::MAX >> 1, alive), Err(Fault::OutOfMemory));
        tokens.clear(1);
        assert!(tokens.has(1, alive) && !tokens.has(2, alive));
        assert_eq!(tokens.enter(1, u32::MAX >> 1, alive), Ok(()));
    }
}
