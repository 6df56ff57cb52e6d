//! Pointers that all processes find by a name: a table of a fixed size in the file, read and
//! written under the heap's lock, with the log.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use crate::fault::{Fault, Result};
use crate::heap::{Place, UndoLog};

/// How many names there can be.
const MOST: usize = 1024;
/// The longest name in units of UTF-16.
const LONGEST: usize = 256;
/// Words of a name: two units each.
const NAME_WORDS: usize = LONGEST / 2;
/// Bits of a length.
const LENGTH_BITS: u32 = 9;

/// The pointers come first, 0 where there is no name; then the keys, then the names.
const KEYS: usize = MOST;
const NAMES: usize = KEYS + MOST;
const WORDS: usize = NAMES + MOST * NAME_WORDS;

/// Bytes of the table.
pub const NAME_BYTES: usize = WORDS * size_of::<AtomicU32>();

/// The words of the table.
pub type NameWords = [AtomicU32; WORDS];

/// The names of a mapped file, for one who has the lock.
#[derive(Clone, Copy)]
pub struct Names<'a> {
    pub words: &'a NameWords,
    pub log: &'a UndoLog,
}

impl Names<'_> {
    /// The pointer of a name; 0 when there is none.
    pub fn get(self, name: &[u16]) -> u32 {
        self.find(name).map_or(0, |entry| self.word(entry))
    }

    /// Gives a name to a pointer, or takes it away when the pointer is 0.
    ///
    /// # Errors
    /// [`Fault::TooManyNames`] when there is no room for another name.
    pub fn set(self, name: &[u16], pointer: u32) -> Result<()> {
        match self.find(name) {
            Some(entry) => self.set_word(entry, pointer),
            None if pointer == 0 => Ok(()),
            None => self.enter(name, pointer),
        }
    }

    /// Where a name can be entered that there is not.
    ///
    /// # Errors
    /// [`Fault::TooManyNames`].
    pub fn vacant_for(self, name: &[u16]) -> Result<usize> {
        let vacant = (0..MOST).find(|&entry| self.word(entry) == 0);
        vacant.filter(|_| name.len() <= LONGEST).ok_or(Fault::TooManyNames)
    }

    /// Takes all names of a pointer away.
    ///
    /// # Errors
    /// [`Fault::Corrupted`] when the log is full.
    pub fn forget(self, pointer: u32) -> Result<()> {
        (0..MOST)
            .filter(|&entry| self.word(entry) == pointer)
            .try_for_each(|entry| self.set_word(entry, 0))
    }

    fn enter(self, name: &[u16], pointer: u32) -> Result<()> {
        let entry = self.vacant_for(name)?;
        for (word, value) in pairs(name).enumerate() {
            self.set_word(NAMES + entry * NAME_WORDS + word, value)?;
        }
        self.set_word(KEYS + entry, key(name))?;
        self.set_word(entry, pointer)
    }

    fn find(self, name: &[u16]) -> Option<usize> {
        let key = key(name);
        (0..MOST).find(|&entry| {
            self.word(entry) != 0 && self.word(KEYS + entry) == key && self.is_at(entry, name)
        })
    }

    fn is_at(self, entry: usize, name: &[u16]) -> bool {
        let first = NAMES + entry * NAME_WORDS;
        name.len() <= LONGEST && (first..).zip(pairs(name)).all(|(at, pair)| self.word(at) == pair)
    }

    fn word(self, index: usize) -> u32 {
        self.words[index].load(Relaxed)
    }

    fn set_word(self, index: usize, value: u32) -> Result<()> {
        self.log.note(Place::Name(index as u32), self.word(index))?;
        self.words[index].store(value, Relaxed);
        Ok(())
    }
}

fn pairs(name: &[u16]) -> impl Iterator<Item = u32> {
    name.chunks(2)
        .map(|pair| u32::from(pair[0]) | u32::from(pair.get(1).copied().unwrap_or(0)) << 16)
}

/// The length of a name, and of the rest a hash: most other names differ.
fn key(name: &[u16]) -> u32 {
    let hash = name
        .iter()
        .fold(0x811c_9dc5_u32, |hash, &unit| (hash ^ u32::from(unit)).wrapping_mul(0x0100_0193));
    hash << LENGTH_BITS | name.len() as u32 & ((1 << LENGTH_BITS) - 1)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::tests::fixture::boxed_log;

    struct Table {
        words: Vec<AtomicU32>,
        log: Box<UndoLog>,
    }

    impl Table {
        fn new() -> Self {
            Self { words: (0..WORDS).map(|_| AtomicU32::new(0)).collect(), log: boxed_log() }
        }

        fn names(&self) -> Names<'_> {
            self.log.commit();
            Names { words: self.words.first_chunk().unwrap(), log: &self.log }
        }
    }

    #[test]
    fn a_name_has_the_pointer_that_it_was_given_last() {
        let table = Table::new();
        let longest = [7; LONGEST];
        for name in [&[113, 0, 0xd800][..], &[113, 0], &[113], &longest, &longest[1..]] {
            assert_eq!(table.names().get(name), 0);
            table.names().set(name, 16).unwrap();
            table.names().set(name, name.len() as u32 * 16).unwrap();
        }
        for name in [&[113, 0, 0xd800][..], &[113, 0], &[113], &longest, &longest[1..]] {
            assert_eq!(table.names().get(name), name.len() as u32 * 16);
        }
        table.names().set(&[113, 0], 0).unwrap();
        assert_eq!(table.names().get(&[113, 0]), 0);
        assert_eq!(table.names().get(&[113]), 16);
        table.names().set(&[9], 16).unwrap();
        table.names().forget(16).unwrap();
        assert_eq!([&[113][..], &[9]].map(|name| table.names().get(name)), [0, 0]);
        assert_eq!(table.names().get(&longest), LONGEST as u32 * 16);
    }

    #[test]
    fn there_is_room_for_so_many_names_and_no_more() {
        let table = Table::new();
        let names: Vec<_> = (0..MOST as u16).map(|name| [name, name >> 8]).collect();
        for name in &names {
            table.names().set(name, 16).unwrap();
        }
        assert_eq!(table.names().set(&[1], 16), Err(Fault::TooManyNames));
        assert_eq!(table.names().set(&[1], 0), Ok(()));
        assert_eq!(table.names().get(&[1]), 0);
        assert_eq!(table.names().set(&names[9], 32), Ok(()));
        table.names().set(&names[8], 0).unwrap();
        assert_eq!(table.names().set(&[1], 16), Ok(()));
        assert_eq!(table.names().set(&[7; LONGEST + 1], 16), Err(Fault::TooManyNames));
    }

    #[test]
    fn names_of_one_key_are_told_apart() {
        let table = Table::new();
        let names = (0..=u16::MAX).map(|number| [7, number, 7, number.wrapping_mul(40_503)]);
        let mut seen = HashMap::new();
        let same = names.clone().find_map(|name| Some((seen.insert(key(&name), name)?, name)));
        let (first, second) = same.expect("two names of one key");
        table.names().set(&first, 16).unwrap();
        assert_eq!(table.names().get(&second), 0);
        table.names().set(&second, 32).unwrap();
        assert_eq!([first, second].map(|name| table.names().get(&name)), [16, 32]);
    }
}
