//! Which blocks are live: one byte for each 16 bytes of a memory, which tells the state of the
//! block whose pointer that is. The bytes after that of a large block tell how long it is.
//!
//! It lies outside the memory, out of reach of stray writes, and every thread has it: JavaScript
//! reads and writes it when it frees a block into its thread's cache or takes one out, without a
//! lock. A byte belongs to whoever holds the block. A block that two threads have freed at the same
//! time is in the hands of both, so each looks at the state before it goes on to the next. Only the
//! first of them gets there; for the other the block is gone. What it holds is then the pointer of
//! any block that comes to lie there: so the state of one that is kept tells its class. Where several
//! processes have the heap it tells the process instead, and such a pointer may give out a block
//! that the same process keeps in another class.
//!
//! ```text
//! from          to             who                  under     when it has seen
//! free          live, large    malloc               the lock  the state
//! free          kept           FreeBlocks::take     the lock  the state, and the header in the span
//! kept          live, large    pop in JavaScript    nothing   the state
//! live, large   kept           push in JavaScript   nothing   the state, its header and the next one
//! live, large   free           free                 the lock  the state, the heap's records, both headers
//! kept          free           FreeBlocks::put      the lock  the state; then the heap's records, the header
//! any           free           trim                 the lock  that the pages belong to a free run
//! ```
//!
//! A cache that JavaScript works on is one thread's, and what it has published is taken under the
//! lock, by a compare-exchange. In `push` the state comes before the header: a block that is
//! neither live nor in a cache, because its thread was ended in between, is one that is kept.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicI8, Ordering::Relaxed};

#[cfg(unix)]
use memmap2::UncheckedAdvice;
use memmap2::{MmapOptions, MmapRaw};

use crate::attached::Attachment;
use crate::fault::{Fault, Result};
use crate::heap::{CLASSES, GRAIN, Heap, Live, MIXED, PAGE, Place, UNIT};

/// The block is free, in the hands of the native side, or there is none.
const FREE: i8 = 0;
// A positive state up to the number of the last size class: the block is live, and of that class.
// [`MIXED`]: it is live, and in mixed units.
/// The block is in the cache of a thread, and large. With its class in [`CLASS_BITS`], one of that
/// class is. In a heap of several processes, see [`kept_by`].
pub const KEPT: i8 = -1;
/// Where the state of a block that is kept has its class, in a heap that one process has: the bits
/// that differ from [`KEPT`].
pub const CLASS_BITS: i8 = 0x7f;
const _: () = assert!(KEPT ^ (CLASSES.len() as i8 - 1) > LARGE);
/// The block is live and has no size class.
pub const LARGE: i8 = i8::MIN;
/// The first of the states behind [`LARGE`]: the digits of the units that the block's whole space
/// takes. No state of a block is one of them. JavaScript reads four states as a word, so the lowest
/// digits are one: those of a block at the start of a unit, 3 to 6 grains behind its pointer, the
/// lowest first. The higher ones come before, with [`LARGE`] in a word: 0 but for very large blocks.
pub const DIGITS: i8 = i8::MAX - ((1 << DIGIT_BITS) - 1);
pub const DIGIT_BITS: u32 = 4;
/// How many digits there are. Every large block is longer than its state and they.
pub const DIGIT_COUNT: u32 = (u32::BITS - UNIT.trailing_zeros()).div_ceil(DIGIT_BITS);
const _: () = assert!(DIGIT_COUNT == 6 && (1 + DIGIT_COUNT) * GRAIN < UNIT);
// JavaScript masks a digit out of its state.
const _: () = assert!(DIGITS & ((1 << DIGIT_BITS) - 1) == 0);
// All 127 negative states but `LARGE` are those of kept blocks. Of the positive ones those between
// `MIXED` and the digits are not used.
const _: () = assert!(KEPT == -1 && LARGE == i8::MIN);
const _: () = assert!(MIXED < DIGITS as usize);

/// Bytes of states that are given back at once: the largest page of the systems that this runs on.
const STATE_PAGE: usize = 65_536;

/// The state of a block that a thread keeps, of the process in that slot of an attached file, 1 to
/// 127.
pub const fn kept_by(slot: u8) -> i8 {
    if slot == 0 { KEPT } else { -(slot as i8) }
}

/// The pointer whose state is that digit, the lowest being 0, of the block at `pointer`.
const fn digit_place(pointer: u32, digit: u32) -> u32 {
    pointer + ((digit + 2) % DIGIT_COUNT + 1) * GRAIN
}

/// Whether a state is that of a block that some thread keeps.
const fn is_kept_state(state: i8) -> bool {
    state < FREE && state != LARGE
}

/// The states of all blocks of one memory. Untouched bytes cost nothing.
pub struct LiveBlocks {
    bytes: States,
    /// The state of a block that a thread of this process keeps, but for its class.
    kept: i8,
    /// The bits of the state that are its class.
    class_bits: i8,
}

/// Where the states are.
enum States {
    /// No other process has them.
    Own(Arc<MmapRaw>),
    /// In the file.
    Attached(Arc<Attachment>),
}

impl LiveBlocks {
    /// For a memory of at most `maximum` pages, without a block.
    ///
    /// # Errors
    /// [`Fault::OutOfMemory`].
    pub fn new(maximum: u32) -> Result<Self> {
        let length = Self::length_for(maximum as usize * PAGE as usize).max(1);
        let bytes = MmapOptions::new().len(length).no_reserve_swap().map_anon();
        let bytes = MmapRaw::from(bytes.map_err(|_| Fault::OutOfMemory)?);
        Ok(Self { bytes: States::Own(bytes.into()), kept: KEPT, class_bits: CLASS_BITS })
    }

    /// Those of a heap that several processes have.
    pub fn attached(attachment: Arc<Attachment>) -> Self {
        let kept = kept_by(attachment.slot());
        Self { bytes: States::Attached(attachment), kept, class_bits: 0 }
    }

    /// The state of a block that a thread of this process keeps, and the bits of it that tell its
    /// class besides.
    pub const fn kept(&self) -> (i8, i8) {
        (self.kept, self.class_bits)
    }

    /// Enters the live blocks of a heap that is there already, as far as it is sound.
    pub fn enter(&self, heap: &Heap<'_>) {
        drop(heap.each_block(|block| match heap.class_of(block.pointer) {
            Ok(Some(class)) => self.set_live(block.pointer, class),
            _ => self.set_large(block.pointer, block.buffer_size),
        }));
    }

    /// Bytes that tell of the blocks of a memory of `byte_length` bytes.
    pub const fn length_for(byte_length: usize) -> usize {
        byte_length / GRAIN as usize
    }

    /// All states.
    pub fn bytes(&self) -> &[AtomicI8] {
        match &self.bytes {
            // SAFETY: `bytes` is a mapping of that length that `self` owns and never changes, of
            // zeroed bytes, which `AtomicI8` has the size, alignment and bit patterns of. Rust
            // reads and writes them as atomics only; JavaScript writes single bytes of them.
            States::Own(bytes) => unsafe {
                std::slice::from_raw_parts(bytes.as_ptr().cast(), bytes.len())
            },
            States::Attached(attachment) => attachment.states(),
        }
    }

    /// What keeps [`Self::bytes`] where they are, for one who has them longer than the heap.
    pub fn keeper(&self) -> &Arc<MmapRaw> {
        match &self.bytes {
            States::Own(bytes) => bytes,
            States::Attached(attachment) => attachment.map(),
        }
    }

    /// Whether the block at `pointer` is live.
    pub fn is_live(&self, pointer: u32) -> bool {
        let state = self.get(pointer);
        state == LARGE || (1..DIGITS).contains(&state)
    }

    /// Confirms that a block which the heap has as live is known to be.
    ///
    /// # Errors
    /// [`Fault::AlreadyFreed`] when it is not; [`Fault::Corrupted`] when another one is known
    /// there.
    pub fn confirm(&self, block: &Live<'_>) -> Result<()> {
        let state = self.get(block.pointer());
        let same = match block.class() {
            Some(class) => state == class as i8,
            None => self.large_size(block.pointer()) == Some(block.buffer_size()),
        };
        match state {
            _ if same => Ok(()),
            _ if state == FREE || is_kept_state(state) => Err(Fault::AlreadyFreed),
            _ => Err(Fault::Corrupted),
        }
    }

    /// The whole space in bytes of the live block at `pointer`, if it is one without a size class.
    pub fn large_size(&self, pointer: u32) -> Option<u32> {
        (self.get(pointer) == LARGE).then(|| self.size_behind(pointer)).flatten()
    }

    /// The same of a large one that a thread of this process keeps.
    pub fn kept_large_size(&self, pointer: u32) -> Option<u32> {
        (self.get(pointer) == self.kept).then(|| self.size_behind(pointer)).flatten()
    }

    // The size that the states behind that of a pointer tell.
    fn size_behind(&self, pointer: u32) -> Option<u32> {
        let digit = |at| {
            let digit = u32::from((self.get(digit_place(pointer, at)) ^ DIGITS) as u8);
            (digit >> DIGIT_BITS == 0).then_some(digit)
        };
        let place = |units: u32, at| digit(at).map(|digit| units << DIGIT_BITS | digit);
        let units = (0..DIGIT_COUNT).rev().try_fold(0, place)?;
        // What is left of its last unit is what comes before its header in the first one.
        units.checked_mul(UNIT)?.checked_sub(pointer % UNIT)
    }

    /// Notes that the block at `pointer`, of size class `class` or [`MIXED`], has been given out.
    pub fn set_live(&self, pointer: u32, class: usize) {
        self.set(pointer, class as i8);
    }

    /// Notes that the block at `pointer`, which has no size class, takes `buffer_size` bytes.
    pub fn set_large(&self, pointer: u32, buffer_size: u32) {
        self.set(pointer, LARGE);
        let units = buffer_size.div_ceil(UNIT);
        for digit in 0..DIGIT_COUNT {
            let value = units >> (digit * DIGIT_BITS) & ((1 << DIGIT_BITS) - 1);
            self.set(digit_place(pointer, digit), DIGITS | value as i8);
        }
    }

    /// Notes that a block of size class `class`, 0 if it has none, was given to the cache of a
    /// thread.
    pub fn set_kept(&self, pointer: u32, class: usize) {
        self.set(pointer, self.kept ^ (class as i8 & self.class_bits));
    }

    /// Notes that a block came back from the cache of a thread, or was freed.
    pub fn set_free(&self, pointer: u32) {
        let is_large = self.get(pointer + GRAIN) >= DIGITS;
        let digits = if is_large { DIGIT_COUNT } else { 0 };
        (0..=digits).for_each(|grains| self.set(pointer + grains * GRAIN, FREE));
    }

    /// Whether the block at `pointer` is in the cache of a thread.
    pub fn is_kept(&self, pointer: u32) -> bool {
        let state = self.get(pointer);
        is_kept_state(state) && state | self.class_bits == self.kept | self.class_bits
    }

    /// The pointers of the blocks, as far as the memory is `byte_length` bytes long, that threads
    /// of the processes in `slots` keep.
    pub fn kept_in<'a>(
        &'a self,
        slots: &[u8],
        byte_length: u64,
    ) -> impl Iterator<Item = u32> + use<'a> {
        let mut wanted = [false; 256];
        slots.iter().for_each(|&slot| wanted[usize::from(kept_by(slot) as u8)] = true);
        let states = &self.bytes()[..Self::length_for(byte_length as usize)];
        let kept = (0..)
            .zip(states)
            .filter(move |(_, state)| wanted[usize::from(state.load(Relaxed) as u8)]);
        kept.map(|(grain, _)| grain * GRAIN)
    }

    /// Whether the block at `pointer` is free, in the hands of the native side.
    pub fn is_free(&self, pointer: u32) -> bool {
        self.get(pointer) == FREE
    }

    /// Gives the pages of states back that tell of the free bytes `bytes` of the memory. Where the
    /// system cannot do that, they stay.
    pub fn give_back(&self, bytes: Range<usize>) {
        // Room in a file is kept: it would have to be found again when it is wanted, and may not be
        // there.
        let States::Own(states) = &self.bytes else { return };
        let start = Self::length_for(bytes.start).next_multiple_of(STATE_PAGE);
        let end = Self::length_for(bytes.end) / STATE_PAGE * STATE_PAGE;
        if start >= end || end > states.len() {
            return;
        }
        // SAFETY: the pages are within the mapping, which is private and anonymous, and no block
        // lies in the bytes that they tell of: they become zero, as if they had been written so.
        #[cfg(unix)]
        drop(unsafe {
            states.unchecked_advise_range(UncheckedAdvice::DontNeed, start, end - start)
        });
    }

    fn get(&self, pointer: u32) -> i8 {
        let byte = self.bytes().get((pointer / GRAIN) as usize);
        byte.filter(|_| pointer.is_multiple_of(GRAIN)).map_or(FREE, |byte| byte.load(Relaxed))
    }

    fn set(&self, pointer: u32, state: i8) {
        if let Some(byte) = self.bytes().get((pointer / GRAIN) as usize) {
            if let States::Attached(attachment) = &self.bytes {
                let before = byte.load(Relaxed) as u8;
                let noted = attachment.log().note(Place::State(pointer / GRAIN), before.into());
                if noted.is_err() {
                    // The log is full: the whole call will be undone.
                    return;
                }
            }
            byte.store(state, Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::heap::Search;
    use crate::tests::fixture::{pages, whole_heap};

    #[test]
    fn the_length_of_a_large_block_is_known_until_it_is_freed() {
        let states = LiveBlocks::new(2).unwrap();
        let pointer = PAGE + GRAIN;
        let most = u32::MAX / UNIT;
        let units = (0..most.ilog2()).flat_map(|bit| [1 << bit, most >> bit]);
        for buffer_size in units.map(|units| units * UNIT - GRAIN) {
            states.set_large(pointer, buffer_size);
            assert_eq!(states.large_size(pointer), Some(buffer_size));
            assert!(states.is_live(pointer) && !states.is_kept(pointer));
            for inside in (1..=DIGIT_COUNT).map(|grains| pointer + grains * GRAIN) {
                assert!(!states.is_live(inside) && !states.is_kept(inside));
                assert_eq!(states.large_size(inside), None);
            }
        }
        for (at, state) in (1..=DIGIT_COUNT).flat_map(|at| [(at, FREE), (at, 5), (at, LARGE)]) {
            states.set_large(pointer, UNIT * 7 - GRAIN);
            states.set(pointer + at * GRAIN, state);
            assert_eq!(states.large_size(pointer), None);
        }
        for at in 1..=DIGIT_COUNT {
            states.set(pointer + at * GRAIN, DIGITS | 15);
        }
        assert_eq!(states.large_size(pointer), None);
        states.set_large(pointer, UNIT * 7 - GRAIN);
        states.set_kept(pointer, 0);
        states.set_free(pointer);
        assert!(states.bytes().iter().all(|state| state.load(Relaxed) == FREE));
        assert_eq!(states.large_size(pointer), None);
        assert_eq!(states.large_size(2 * PAGE - GRAIN), None);
    }

    #[test]
    fn a_block_is_confirmed_if_it_is_known_as_what_the_heap_says() {
        let words = pages(4);
        let heap = whole_heap(&words, 4);
        let states = LiveBlocks::new(4).unwrap();
        let [small, large] =
            [100, 100_000].map(|length| heap.malloc(length, GRAIN, Search::Quick).unwrap());
        states.enter(&heap);
        for pointer in [small, large] {
            let known = states.get(pointer);
            let confirm = |state| {
                states.set(pointer, state);
                states.confirm(&heap.live(pointer).unwrap())
            };
            assert_eq!(confirm(known), Ok(()));
            for state in [FREE, KEPT, kept_by(1), kept_by(127)] {
                assert_eq!(confirm(state), Err(Fault::AlreadyFreed), "{state}");
            }
            for state in [known ^ 1, known ^ 3, DIGITS] {
                let fault =
                    if is_kept_state(state) { Fault::AlreadyFreed } else { Fault::Corrupted };
                assert_eq!(confirm(state), Err(fault), "{state}");
            }
            assert_eq!(confirm(known), Ok(()));
        }
        let size = states.large_size(large).unwrap();
        states.set_large(large, size + UNIT);
        assert_eq!(states.confirm(&heap.live(large).unwrap()), Err(Fault::Corrupted));
        states.set(small, LARGE);
        assert_eq!(states.confirm(&heap.live(small).unwrap()), Err(Fault::Corrupted));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn whole_pages_of_states_are_given_back_and_no_others() {
        let states = LiveBlocks::new(64).unwrap();
        let all = || states.bytes().iter().map(|state| state.load(Relaxed));
        let fill = || states.bytes().iter().for_each(|state| state.store(KEPT, Relaxed));
        let per_page = STATE_PAGE * GRAIN as usize;
        fill();
        states.give_back(per_page + UNIT as usize..4 * per_page - UNIT as usize);
        let free: Vec<_> = (0..).zip(all()).filter(|&(_, state)| state == FREE).collect();
        assert_eq!((free[0].0, free.len()), (2 * STATE_PAGE, STATE_PAGE));
        fill();
        states.give_back(0..4 * per_page);
        assert!(all().all(|state| state == FREE));
        fill();
        for nothing in [per_page + UNIT as usize..2 * per_page, 0..5 * per_page, 10..20] {
            states.give_back(nothing);
        }
        assert!(all().all(|state| state == KEPT));
    }
}
