//! Which threads are alive. A lock in a memory says by a number who holds it; whether that thread
//! still runs is known here, outside the memory, where nobody writes over it.

use std::collections::BTreeSet;
use std::hash::{BuildHasher as _, RandomState};

use crate::process::sync::{self, Mutex};

/// The largest token. The highest bit of a word is left to whoever keeps tokens in words.
const LAST: u32 = u32::MAX >> 1;

static THREADS: Mutex<Threads> = Mutex::new(Threads::new());

/// The threads of the process that may hold something, by their tokens.
struct Threads {
    /// The token that was given out last.
    last: u32,
    alive: BTreeSet<u32>,
}

impl Threads {
    const fn new() -> Self {
        Self { last: 0, alive: BTreeSet::new() }
    }

    // Tokens begin at a number out of thin air: threads of other processes that have a heap
    // together with this one have others.
    fn begin(&mut self) {
        if self.last == 0 {
            self.last = RandomState::new().hash_one(self.alive.len()) as u32 % LAST;
        }
    }

    // Two thousand million threads later the tokens of those that are long gone are used again.
    fn enter(&mut self) -> u32 {
        loop {
            self.last = if self.last >= LAST { 1 } else { self.last + 1 };
            if self.alive.insert(self.last) {
                return self.last;
            }
        }
    }
}

/// Gives the calling thread a token: from 1 to 2^31 - 1, and no other thread's.
pub fn enter() -> u32 {
    let mut threads = sync::lock(&THREADS);
    threads.begin();
    threads.enter()
}

/// Notes that the thread of a token runs no more.
pub fn leave(token: u32) {
    sync::lock(&THREADS).alive.remove(&token);
}

/// Whether the thread of a token runs in this process. A number that is nobody's token is one of a
/// thread that does not.
pub fn is_alive(token: u32) -> bool {
    sync::lock(&THREADS).alive.contains(&token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_is_alive_from_its_entry_until_it_leaves() {
        let (first, second) = (enter(), enter());
        assert_ne!(first, second);
        assert!(is_alive(first) && is_alive(second));
        leave(first);
        assert!(!is_alive(first) && is_alive(second));
        leave(second);
        leave(second);
        assert!(!is_alive(second));
    }

    #[test]
    fn what_is_no_token_is_not_alive() {
        for word in [0, LAST, LAST + 1, u32::MAX] {
            assert!(!is_alive(word));
        }
    }

    #[test]
    fn tokens_start_again_without_those_that_are_in_use() {
        let mut threads = Threads::new();
        assert_eq!((threads.enter(), threads.enter()), (1, 2));
        threads.alive.remove(&1);
        threads.last = LAST - 1;
        assert_eq!([threads.enter(), threads.enter(), threads.enter()], [LAST, 1, 3]);
    }

    #[test]
    fn tokens_begin_at_a_number_out_of_thin_air_once() {
        let begun = (0..20).map(|_| {
            let mut threads = Threads::new();
            threads.begin();
            assert!(threads.last < LAST);
            let first = threads.enter();
            threads.begin();
            assert_eq!(threads.enter(), first + 1);
            first
        });
        assert_eq!(begun.collect::<BTreeSet<_>>().len(), 20);
    }
}
