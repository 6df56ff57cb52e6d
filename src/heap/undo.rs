//! What a heap that outlives its users has of a call that was cut short: the words as they were
//! before the call wrote to them. A process may be killed at any instruction; whoever takes the
//! lock next puts them back.
//!
//! Before a word is written, its place and its value are entered here; at the end of a step that
//! leaves the heap whole, all entries are dropped at once. The entry comes before the write in the
//! order of the program. That is enough: the one who reads the log has the lock from the kernel,
//! after the other one's last instruction.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed, Ordering::SeqCst, compiler_fence};

use crate::fault::{Fault, Result};

/// What is written under the lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The word of the memory at that index.
    Word(u32),
    /// The state of the block at that grain.
    State(u32),
    /// The word at that index in the table of names.
    Name(u32),
}

/// Bits of an index: there are 2^30 words in 4 GiB, and fewer grains.
const INDEX_BITS: u32 = 30;
const INDEX: u32 = (1 << INDEX_BITS) - 1;

/// The most entries: some ten times what the longest step was seen to need.
const ENTRIES: usize = (1 << 16) - 1;

/// The log of one heap. All zero, it has no entries.
#[repr(C)]
pub struct UndoLog {
    /// How many entries there are; one more than fit once an entry was refused: what was written is
    /// to be undone then.
    count: AtomicU64,
    /// What was written, and, in the lower half, what was there before.
    entries: [AtomicU64; ENTRIES],
}

impl UndoLog {
    /// Notes what `place` holds before it is written.
    ///
    /// # Errors
    /// [`Fault::Corrupted`] when there is no room: only records that were written over take so many
    /// steps.
    #[inline(never)]
    pub fn note(&self, place: Place, before: u32) -> Result<()> {
        step();
        #[cfg(test)]
        if crate::tests::kill::is_forgetful() {
            return Ok(());
        }
        let count = self.count.load(Relaxed);
        if count >= ENTRIES as u64 {
            self.count.store(ENTRIES as u64 + 1, Relaxed);
            return Err(Fault::Corrupted);
        }
        let entry = u64::from(pack(place)) << 32 | u64::from(before);
        self.entries[count as usize].store(entry, Relaxed);
        // Neither the compiler nor the processor of a killed thread lets a later write come first.
        compiler_fence(SeqCst);
        self.count.store(count + 1, Relaxed);
        compiler_fence(SeqCst);
        step();
        Ok(())
    }

    /// Notes that the heap is whole as it is.
    #[inline]
    pub fn commit(&self) {
        step();
        compiler_fence(SeqCst);
        if !self.is_overfull() {
            self.count.store(0, Relaxed);
        }
        compiler_fence(SeqCst);
    }

    /// Whether something could not be noted, so that the call has to be undone.
    pub fn is_overfull(&self) -> bool {
        self.count.load(Relaxed) > ENTRIES as u64
    }

    /// Calls `put_back` with all that was noted, the last first. Whoever is killed meanwhile leaves
    /// the log as it was, and it is done again from its end.
    pub fn undo(&self, mut put_back: impl FnMut(Place, u32)) {
        let count = (self.count.load(Relaxed) as usize).min(ENTRIES);
        for entry in self.entries[..count].iter().rev() {
            let entry = entry.load(Relaxed);
            step();
            if let Some(place) = unpack((entry >> 32) as u32) {
                put_back(place, entry as u32);
            }
        }
        compiler_fence(SeqCst);
        self.count.store(0, Relaxed);
    }
}

const fn pack(place: Place) -> u32 {
    let (kind, index) = match place {
        Place::Word(index) => (0, index),
        Place::State(index) => (1, index),
        Place::Name(index) => (2, index),
    };
    kind << INDEX_BITS | index & INDEX
}

const fn unpack(place: u32) -> Option<Place> {
    let index = place & INDEX;
    match place >> INDEX_BITS {
        0 => Some(Place::Word(index)),
        1 => Some(Place::State(index)),
        2 => Some(Place::Name(index)),
        _ => None,
    }
}

/// Where a test has the process killed.
#[inline(always)]
fn step() {
    #[cfg(test)]
    crate::tests::kill::step();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::fixture::boxed_log;

    fn undone(log: &UndoLog) -> Vec<(Place, u32)> {
        let mut undone = Vec::new();
        log.undo(|place, before| undone.push((place, before)));
        undone
    }

    #[test]
    fn what_was_noted_last_is_put_back_first() {
        let log = boxed_log();
        let noted = [(Place::Word(INDEX), 7), (Place::State(5), 0), (Place::Name(0), u32::MAX)];
        for (place, before) in noted {
            log.note(place, before).unwrap();
        }
        assert!(undone(&log).into_iter().eq(noted.into_iter().rev()));
        assert_eq!(undone(&log), []);
    }

    #[test]
    fn nothing_is_put_back_of_what_was_committed() {
        let log = boxed_log();
        log.note(Place::Word(1), 2).unwrap();
        log.commit();
        log.note(Place::Word(3), 4).unwrap();
        assert_eq!(undone(&log), [(Place::Word(3), 4)]);
    }

    #[test]
    fn a_log_that_is_full_undoes_everything_and_cannot_be_committed() {
        let log = boxed_log();
        for index in 0..ENTRIES as u32 {
            log.note(Place::Word(index), index).unwrap();
        }
        assert!(!log.is_overfull());
        assert_eq!(log.note(Place::Word(0), 0), Err(Fault::Corrupted));
        assert!(log.is_overfull());
        assert_eq!(log.note(Place::Word(0), 0), Err(Fault::Corrupted));
        log.commit();
        assert_eq!(undone(&log).len(), ENTRIES);
        assert!(!log.is_overfull());
        assert_eq!(log.note(Place::Word(0), 0), Ok(()));
    }
}
