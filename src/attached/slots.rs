//! Which processes have a file: each has a slot, and keeps a byte of it locked, which the kernel
//! gives up with the last descriptor of that opening. So whether a process lives is never guessed
//! from what it wrote.

use std::fs::File;
use std::hash::{BuildHasher as _, RandomState};
use std::io;
use std::sync::OnceLock;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;

use super::layout;
use crate::os::shared_file;

/// The most processes at a time. The states of blocks have a code for each.
pub const MOST: u8 = 127;
/// Words of the slots; slot 0 is nobody's.
pub const WORDS: usize = MOST as usize + 1;

/// The slots of a mapped file.
#[derive(Clone, Copy)]
pub struct Slots<'a> {
    pub file: &'a File,
    /// The number of the process that has the slot, or had: 0 once it has left nothing behind.
    /// Written under the heap's lock.
    pub words: &'a [AtomicU32; WORDS],
}

/// Takes the first slot that no living process has, for as long as the file is open; `None` when
/// there is none.
///
/// # Errors
/// The system's, such as that it has no locks for bytes of a file.
pub fn take(file: &File) -> io::Result<Option<u8>> {
    for slot in 1..=MOST {
        if shared_file::take_byte(file, byte(slot))? {
            return Ok(Some(slot));
        }
    }
    Ok(None)
}

/// Gives a slot up.
pub fn leave(file: &File, slot: u8) {
    shared_file::leave_byte(file, byte(slot));
}

/// Whether a process has the slot; not to be asked about one's own.
pub fn is_alive(file: &File, slot: u8) -> bool {
    (1..=MOST).contains(&slot) && shared_file::is_byte_taken(file, byte(slot))
}

const fn byte(slot: u8) -> u64 {
    (layout::SLOTS + slot as usize * size_of::<AtomicU32>()) as u64
}

/// What the calling process is known by: a number out of thin air, as processes of several
/// containers have the same ids.
fn own_number() -> u32 {
    static NUMBER: OnceLock<u32> = OnceLock::new();
    *NUMBER.get_or_init(|| RandomState::new().hash_one(std::process::id()) as u32 | 1)
}

impl Slots<'_> {
    /// Enters the calling process. Returns whether the one before it left something behind.
    pub fn enter(self, slot: u8) -> bool {
        self.words[slot as usize].swap(own_number(), Relaxed) != 0
    }

    /// Whether the calling process has the slot: it may have the file more than once.
    pub fn is_own(self, slot: u8) -> bool {
        let entered = self.words.get(usize::from(slot)).map(|word| word.load(Relaxed));
        entered == Some(own_number())
    }

    /// Notes that the process of a slot has left nothing behind.
    pub fn clear(self, slot: u8) {
        self.words[slot as usize].store(0, Relaxed);
    }

    /// The slots of processes that died and left something behind; `own` is the caller's.
    pub fn dead(self, own: u8) -> Vec<u8> {
        let others = self.entered().filter(|&slot| slot != own);
        others.filter(|&slot| !is_alive(self.file, slot)).collect()
    }

    /// Whether no process has the file, nor has left something behind.
    pub fn are_clear(self) -> bool {
        self.entered().next().is_none()
    }

    /// The same of all processes but the one in slot `own`.
    pub fn are_clear_but(self, own: u8) -> bool {
        self.entered().all(|slot| slot == own)
    }

    fn entered(self) -> impl Iterator<Item = u8> {
        (1..=MOST).filter(move |&slot| self.words[slot as usize].load(Relaxed) != 0)
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::fs::OpenOptions;

    use super::*;

    #[test]
    fn a_slot_is_a_process_s_until_it_has_left_nothing_behind() {
        let path = std::env::temp_dir().join(format!("slots-{}", std::process::id()));
        let open =
            || OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let (mine, theirs) = (open().unwrap(), open().unwrap());
        std::fs::remove_file(&path).unwrap();
        let words = [const { AtomicU32::new(0) }; WORDS];
        let slots = Slots { file: &mine, words: &words };
        assert!(slots.are_clear() && slots.dead(0).is_empty());
        for slot in [1, 9, MOST] {
            assert!(!slots.enter(slot) && slots.enter(slot));
            assert!(slots.is_own(slot) && !slots.is_own(slot - 1) && !slots.are_clear());
            assert!(!is_alive(&mine, slot));
        }
        assert_eq!(slots.dead(9), [1, MOST]);
        slots.clear(MOST);
        words[1].store(0, Relaxed);
        // What a process of another container has for an id is not what it is known by.
        words[9].store(std::process::id(), Relaxed);
        assert!(!slots.is_own(9) && !slots.is_own(255));
        assert_eq!(slots.dead(0), [9]);
        slots.clear(9);
        assert!(slots.are_clear());
        assert_eq!([&theirs, &mine].map(|file| take(file).unwrap()), [Some(1), Some(2)]);
        assert!(is_alive(&mine, 1));
        leave(&theirs, 1);
        assert!(!is_alive(&mine, 1));
    }
}
