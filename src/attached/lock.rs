//! The lock of a heap that several processes have: one word in the file. It holds the slot of its
//! owner, and whether that lives is asked of the kernel, which knows (see slots.rs). So nothing in
//! the file has to be believed: an owner that was killed, that left the file behind at a restart,
//! or that is a number out of thin air is dead, and the next one knows that a call was cut short. A
//! mutex of the C library for this follows pointers that lie in the file.
//!
//! ```text
//! bits 0-7  the owner's slot, 0 when there is none     bit 8  somebody may be waiting     bits 16-63  a count of takings
//! ```
//!
//! By the count the lock is not taken twice from the same dead owner. The threads of one process
//! are kept apart by a lock of that process: two of them never come here for the same slot.

use std::hint::spin_loop;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicU32, AtomicU64};
use std::time::{Duration, Instant};

use crate::os::shared_file;

const OWNER: u64 = 0xff;
/// Somebody may be waiting.
pub const WAITERS: u64 = 1 << 8;
const COUNT: u64 = 1 << 16;

/// How often the lock is looked at before a thread sleeps: most calls are shorter.
const SPINS: u32 = 200;
/// How long a thread sleeps before it asks again whether the owner is alive.
const SLICE: Duration = Duration::from_millis(2);

/// How the lock was got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// From an owner that was done with it.
    Whole,
    /// From one that died with it.
    OwnerDied,
}

/// Takes the lock for `slot`, 1 to 255; `is_alive` tells of the slots of others. `None` when its
/// owner is alive and has not given it up within `most`.
pub fn lock(
    word: &AtomicU64,
    slot: u8,
    most: Duration,
    is_alive: impl Fn(u8) -> bool,
) -> Option<Taken> {
    for _ in 0..SPINS {
        let before = word.load(Relaxed);
        if before & OWNER == 0 && take(word, before, slot) {
            return Some(Taken::Whole);
        }
        spin_loop();
    }
    let start = Instant::now();
    loop {
        let before = word.load(Relaxed);
        let owner = (before & OWNER) as u8;
        if owner == 0 || owner == slot || !is_alive(owner) {
            if take(word, before, slot) {
                // There may be others that wait, as this one did.
                word.fetch_or(WAITERS, Relaxed);
                return Some(if owner == 0 { Taken::Whole } else { Taken::OwnerDied });
            }
            continue;
        }
        if start.elapsed() > most {
            return None;
        }
        let waiting = before | WAITERS;
        if before == waiting || word.compare_exchange(before, waiting, Relaxed, Relaxed).is_ok() {
            shared_file::wait(low_half(word), waiting as u32, SLICE);
        }
    }
}

/// Gives up the lock, which the caller has.
pub fn unlock(word: &AtomicU64) {
    let before = word.fetch_and(!(OWNER | WAITERS), Release);
    if before & WAITERS != 0 {
        shared_file::wake(low_half(word), 1);
    }
}

fn take(word: &AtomicU64, before: u64, slot: u8) -> bool {
    let after = (before & !OWNER).wrapping_add(COUNT) | u64::from(slot);
    word.compare_exchange(before, after, AcqRel, Acquire).is_ok()
}

/// What the kernel looks at while a thread sleeps, of 32 bits: the owner, whether somebody waits and
/// a part of the count. It is the low half, as the package is for little-endian machines only.
fn low_half(word: &AtomicU64) -> &AtomicU32 {
    // SAFETY: the half lies in `word`, which lives as long and is aligned to more. Its address alone
    // is used: the kernel reads it, atomically, and nobody writes through it.
    unsafe { AtomicU32::from_ptr(word.as_ptr().cast()) }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::cell::Cell;
    use std::thread;

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    fn alive(_slot: u8) -> bool {
        true
    }

    #[test]
    fn one_at_a_time_has_the_lock() {
        let (word, inside, times) = (AtomicU64::new(0), AtomicU32::new(0), AtomicU32::new(0));
        thread::scope(|scope| {
            for slot in 1..=4 {
                let (word, inside, times) = (&word, &inside, &times);
                scope.spawn(move || {
                    for _ in 0..5_000 {
                        assert_eq!(lock(word, slot, LONG, alive), Some(Taken::Whole));
                        assert_eq!(inside.fetch_add(1, Relaxed), 0);
                        times.store(times.load(Relaxed) + 1, Relaxed);
                        assert_eq!(inside.fetch_sub(1, Relaxed), 1);
                        unlock(word);
                    }
                });
            }
        });
        assert_eq!(times.load(Relaxed), 20_000);
    }

    #[test]
    fn what_a_dead_owner_has_is_taken_once_and_told() {
        let word = AtomicU64::new(0);
        lock(&word, 7, LONG, alive).unwrap();
        let dead = |slot| slot != 7;
        assert_eq!(lock(&word, 8, LONG, dead), Some(Taken::OwnerDied));
        assert_eq!(word.load(Relaxed) & OWNER, 8);
        assert_eq!(lock(&word, 9, Duration::ZERO, dead), None);
        unlock(&word);
        assert_eq!(lock(&word, 9, LONG, dead), Some(Taken::Whole));
    }

    #[test]
    fn whoever_has_the_slot_of_a_dead_owner_takes_over() {
        let word = AtomicU64::new(0);
        lock(&word, 7, LONG, alive).unwrap();
        assert_eq!(lock(&word, 7, LONG, alive), Some(Taken::OwnerDied));
    }

    #[test]
    fn an_owner_that_was_found_dead_is_not_taken_over_twice() {
        let word = AtomicU64::new(0);
        lock(&word, 7, LONG, alive).unwrap();
        word.fetch_or(WAITERS, Relaxed);
        let asked = Cell::new(0);
        // Another one comes first, and has the same slot, which is alive from then on.
        let outrun = |slot| {
            assert_eq!(slot, 7);
            asked.set(asked.get() + 1);
            if asked.get() == 1 {
                assert_eq!(lock(&word, 7, LONG, alive), Some(Taken::OwnerDied));
            }
            asked.get() > 1
        };
        assert_eq!(lock(&word, 8, Duration::ZERO, outrun), None);
    }

    #[test]
    fn an_owner_that_lives_is_waited_for_and_not_for_ever() {
        let word = AtomicU64::new(0);
        lock(&word, 1, LONG, alive).unwrap();
        assert_eq!(lock(&word, 2, Duration::from_millis(20), alive), None);
        assert_eq!(word.load(Relaxed) & WAITERS, WAITERS);
        thread::scope(|scope| {
            let waiter = scope.spawn(|| lock(&word, 3, LONG, alive));
            thread::sleep(Duration::from_millis(20));
            unlock(&word);
            assert_eq!(waiter.join().unwrap(), Some(Taken::Whole));
        });
    }

    #[test]
    fn a_number_out_of_thin_air_is_a_dead_owner() {
        for number in [u64::MAX, OWNER, 200] {
            let word = AtomicU64::new(number);
            assert_eq!(lock(&word, 5, LONG, |slot| slot < 128), Some(Taken::OwnerDied));
        }
    }
}
