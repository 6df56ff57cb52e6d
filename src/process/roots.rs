//! Named roots: pointers that threads find by a name. They lie outside the memory, where no stray write
//! reaches them.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The roots of each shared memory that a thread has open, or that has any, by the memory's address.
static ROOTS: Mutex<BTreeMap<usize, Arc<Roots>>> = Mutex::new(BTreeMap::new());

/// The roots of one memory.
#[derive(Debug)]
pub struct Roots {
    /// What the heap in the memory is marked with, once it has roots: never 0, and no other roots have it.
    identity: u32,
    /// Pointers by their names in UTF-16.
    pointers: Mutex<HashMap<Box<[u16]>, u32>>,
}

impl Roots {
    /// Those of a memory that nobody else has.
    pub fn new() -> Arc<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let identity = NEXT.fetch_add(1, Relaxed).max(1);
        Arc::new(Self { identity, pointers: Mutex::default() })
    }

    /// Those of the shared memory at `address`, whose heap is marked with `mark`. Whoever has them must keep the
    /// memory there for as long: then what others have of this address is of the same memory. What nobody has may be
    /// of one that is gone, unless the mark says otherwise.
    pub fn of(address: usize, mark: u32) -> Arc<Self> {
        let mut known = locked(&ROOTS);
        let in_use = |roots: &Arc<Self>| Arc::strong_count(roots) > 1;
        let believed = |roots: &&Arc<Self>| in_use(roots) || roots.identity == mark;
        if let Some(roots) = known.get(&address).filter(believed) {
            return Arc::clone(roots);
        }
        known.retain(|_, roots| in_use(roots) || !locked(&roots.pointers).is_empty());
        let roots = Self::new();
        known.insert(address, Arc::clone(&roots));
        roots
    }

    /// What to mark the heap with.
    pub const fn identity(&self) -> u32 {
        self.identity
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

// A map is whole between two calls of its methods, so what a thread that panicked left is taken as it is.
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
    fn all_who_have_a_memory_share_its_roots_whatever_the_mark() {
        let first = Roots::of(ADDRESS, 0);
        first.set(NAME, 16);
        assert_eq!(Roots::of(ADDRESS, 0).get(NAME), 16);
        assert_eq!(Roots::of(ADDRESS, u32::MAX).get(NAME), 16);
        assert_eq!(Roots::of(ADDRESS + 65_536, first.identity()).get(NAME), 0);
    }

    #[test]
    fn roots_that_nobody_has_are_believed_by_the_mark_only() {
        let address = ADDRESS * 2;
        let roots = Roots::of(address, 0);
        roots.set(NAME, 16);
        let mark = roots.identity();
        drop(roots);
        assert_eq!(Roots::of(address, mark).get(NAME), 16);
        assert_eq!(Roots::of(address, 0).get(NAME), 0);
        assert_eq!(Roots::of(address, mark).get(NAME), 0);
    }

    #[test]
    fn nothing_is_kept_of_memories_without_roots() {
        let first = ADDRESS * 3;
        for memory in 0..100 {
            drop(Roots::of(first + memory * 65_536, 0));
        }
        let ours = first..first + 100 * 65_536;
        assert!(locked(&ROOTS).range(ours).count() <= 1);
    }
}
