//! Named roots: pointers that threads find by a name. They lie outside the memory, where no stray
//! write reaches them.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The roots of each shared memory that a thread has open, or that has any, by the memory's
/// address.
static ROOTS: Mutex<BTreeMap<usize, Arc<Roots>>> = Mutex::new(BTreeMap::new());

/// The roots of one memory.
#[derive(Debug, Default)]
pub struct Roots {
    /// Pointers by their names in UTF-16.
    pointers: Mutex<HashMap<Box<[u16]>, u32>>,
}

impl Roots {
    /// New ones, for a memory that is not shared or has none yet.
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Those of the shared memory at `address`; `formatted` says whether there is a heap in it.
    ///
    /// An address may have had another memory before. So the roots that are known for it are taken
    /// in two cases only. Another thread has them, and so keeps the memory at its address. Or there
    /// is a heap in the memory: a memory that came to the address later has none when it is opened
    /// first, which is here, and is given roots of its own. The caller has to keep the memory at
    /// its address for as long as it has the roots.
    pub fn of(address: usize, formatted: bool) -> Arc<Self> {
        let mut known = locked(&ROOTS);
        let in_use = |roots: &Arc<Self>| Arc::strong_count(roots) > 1;
        if let Some(roots) = known.get(&address).filter(|roots| in_use(roots) || formatted) {
            return Arc::clone(roots);
        }
        known.retain(|_, roots| in_use(roots) || !locked(&roots.pointers).is_empty());
        let roots = Self::new();
        known.insert(address, Arc::clone(&roots));
        roots
    }

    /// The pointer of a name; 0 when there is none.
    pub fn get(&self, name: &[u16]) -> u32 {
        locked(&self.pointers).get(name).copied().unwrap_or(0)
    }

    /// Gives a name to a pointer, or takes it away when the pointer is 0.
    pub fn set(&self, name: &[u16], pointer: u32) {
        let mut pointers = locked(&self.pointers);
        match pointer {
            0 => pointers.remove(name),
            _ => pointers.insert(name.into(), pointer),
        };
    }

    /// Takes all names of a pointer away.
    pub fn forget(&self, pointer: u32) {
        locked(&self.pointers).retain(|_, named| *named != pointer);
    }
}

// A map is whole between two calls of its methods, so what a thread that panicked left is taken as
// it is.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: &[u16] = &[113, 0, 0xd800];
    /// No address that another test uses.
    const ADDRESS: usize = 0x7000_0000_0000;

    #[test]
    fn a_name_has_the_pointer_that_it_was_given_last() {
        let roots = Roots::new();
        assert_eq!(roots.get(NAME), 0);
        roots.set(NAME, 16);
        roots.set(&NAME[..1], u32::MAX);
        assert_eq!((roots.get(NAME), roots.get(&NAME[..1])), (16, u32::MAX));
        roots.set(NAME, 0);
        assert_eq!((roots.get(NAME), roots.get(&NAME[..1])), (0, u32::MAX));
    }

    #[test]
    fn a_pointer_that_is_forgotten_loses_all_its_names_and_no_other() {
        let roots = Roots::new();
        for (length, pointer) in [(1, 16), (2, 32), (3, 16)] {
            roots.set(&NAME[..length], pointer);
        }
        roots.forget(16);
        assert_eq!([1, 2, 3].map(|length| roots.get(&NAME[..length])), [0, 32, 0]);
    }

    #[test]
    fn all_who_have_a_memory_share_its_roots_whatever_is_written_over_it() {
        let first = Roots::of(ADDRESS, false);
        first.set(NAME, 16);
        assert_eq!(Roots::of(ADDRESS, false).get(NAME), 16);
        assert_eq!(Roots::of(ADDRESS, true).get(NAME), 16);
        assert_eq!(Roots::of(ADDRESS + 65_536, true).get(NAME), 0);
    }

    #[test]
    fn roots_that_nobody_has_are_those_of_a_memory_with_a_heap_only() {
        let address = ADDRESS * 2;
        let roots = Roots::of(address, false);
        roots.set(NAME, 16);
        drop(roots);
        assert_eq!(Roots::of(address, true).get(NAME), 16);
        assert_eq!(Roots::of(address, false).get(NAME), 0);
        assert_eq!(Roots::of(address, true).get(NAME), 0);
    }

    #[test]
    fn nothing_is_kept_of_memories_without_roots() {
        let first = ADDRESS * 3;
        for memory in 0..100 {
            drop(Roots::of(first + memory * 65_536, false));
        }
        let ours = first..first + 100 * 65_536;
        assert!(locked(&ROOTS).range(ours).count() <= 1);
    }

    #[test]
    fn a_name_that_is_taken_away_takes_no_room() {
        let roots = Roots::new();
        roots.set(NAME, 16);
        roots.set(NAME, 0);
        assert!(locked(&roots.pointers).is_empty());
    }

    #[test]
    fn roots_outlast_their_threads_while_others_come_and_go() {
        let (address, other) = (ADDRESS * 5, ADDRESS * 6);
        Roots::of(address, false).set(NAME, 16);
        drop(Roots::of(other, false));
        assert_eq!(Roots::of(address, true).get(NAME), 16);
        // Nor are those lost that a thread has and that have no name yet.
        let nameless = Roots::of(other, false);
        drop(Roots::of(ADDRESS * 7, false));
        nameless.set(NAME, 32);
        assert_eq!(Roots::of(other, false).get(NAME), 32);
    }
}
