//! Named roots: pointers that threads find by a name. They lie outside the memory, where no stray write
//! reaches them.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// The roots of each shared memory that a thread has open, by the memory's address.
static ROOTS: Mutex<BTreeMap<usize, Weak<Roots>>> = Mutex::new(BTreeMap::new());

/// The roots of one memory, by their names in UTF-16.
#[derive(Debug, Default)]
pub struct Roots(Mutex<HashMap<Box<[u16]>, u32>>);

impl Roots {
    /// The roots of the shared memory at `address`. Whoever has them must keep the memory there for as long:
    /// so they are never taken for those of another memory that comes to have the address.
    pub fn of(address: usize) -> Arc<Self> {
        let mut known = locked(&ROOTS);
        if let Some(roots) = known.get(&address).and_then(Weak::upgrade) {
            return roots;
        }
        known.retain(|_, roots| roots.strong_count() > 0);
        let roots = Arc::default();
        known.insert(address, Arc::downgrade(&roots));
        roots
    }

    /// The pointer of a name; 0 when there is none.
    pub fn get(&self, name: &[u16]) -> u32 {
        locked(&self.0).get(name).copied().unwrap_or(0)
    }

    /// Gives a name to a pointer, or takes it away when the pointer is 0.
    pub fn set(&self, name: &[u16], pointer: u32) {
        let mut roots = locked(&self.0);
        match pointer {
            0 => roots.remove(name),
            _ => roots.insert(name.into(), pointer),
        };
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
        let roots = Roots::default();
        assert_eq!(roots.get(NAME), 0);
        roots.set(NAME, 16);
        roots.set(&NAME[..1], u32::MAX);
        assert_eq!((roots.get(NAME), roots.get(&NAME[..1])), (16, u32::MAX));
        roots.set(NAME, 0);
        assert_eq!((roots.get(NAME), roots.get(&NAME[..1])), (0, u32::MAX));
    }

    #[test]
    fn all_who_have_a_memory_share_its_roots_until_the_last_one_is_gone() {
        let first = Roots::of(ADDRESS);
        first.set(NAME, 16);
        let second = Roots::of(ADDRESS);
        drop(first);
        assert_eq!(second.get(NAME), 16);
        assert_eq!(Roots::of(ADDRESS + 65_536).get(NAME), 0);
        drop(second);
        assert_eq!(Roots::of(ADDRESS).get(NAME), 0);
    }

    #[test]
    fn nothing_is_kept_of_memories_that_are_gone() {
        let kept = Roots::of(ADDRESS * 2);
        for memory in 1..100 {
            drop(Roots::of(ADDRESS * 2 + memory * 65_536));
        }
        let ours = ADDRESS * 2..ADDRESS * 2 + 100 * 65_536;
        assert!(locked(&ROOTS).range(ours).count() <= 2);
        drop(kept);
    }
}
