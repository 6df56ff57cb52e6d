//! Many threads on one heap, as several Node.js threads use it: they open the memory, allocate and
//! free from the heap and from a cache of their own, free each other's blocks, grow the memory,
//! close it and open it again. `LSM_STRESS_STEPS` sets how many calls each thread makes.
//!
//! The heap's own words are atomics, in which a race detector sees no race. So each block has a
//! plain cell for every 16 bytes, which only its owner touches: a block with two owners, or one
//! that comes to its next owner without the lock in between, is a data race there. scripts/race.sh
//! runs this under ThreadSanitizer.

use std::cell::{Cell, UnsafeCell};
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

#[cfg(lsm_model)]
use shuttle::{sync::atomic::AtomicUsize, thread};
#[cfg(not(lsm_model))]
use std::{sync::atomic::AtomicUsize, thread};

use crate::fault::{Fault, Result};
use crate::heap::{GRAIN, HEADER, PAGE, Search, UNIT, Words};
use crate::process::rows::LARGEST as LARGEST_KEPT;
use crate::process::sync::{Mutex, lock};
use crate::session::{Bytes, OpenOptions, Session};
use crate::tests::fixture::{Random, WORDS_PER_PAGE};
use crate::tests::js_cache::JsCache;

const THREADS: u64 = 4;
const STEPS: u64 = 4_000;
const INITIAL: usize = 2;
const MAXIMUM: usize = 60;
const MOST_LIVE: usize = 60;
const LONGEST: u32 = 70_000;
const SHARED_BLOCKS: usize = 20;
const HEAP_BASE: u32 = PAGE + UNIT;
/// Calls for which a memory is open that is closed and replaced.
const STEPS_OPEN: u64 = 8;

/// Who owns each 16 bytes; 0 for nobody.
struct Owners(Vec<UnsafeCell<u64>>);

// SAFETY: a cell is touched only by the thread that owns the block around it, and ownership is
// handed on through the heap's lock or a mutex. Whether that is so is what the test finds out,
// under ThreadSanitizer; the values are plain numbers.
unsafe impl Sync for Owners {}

impl Owners {
    fn replace(&self, block: u32, byte_length: u32, before: u64, after: u64) {
        let cells = (block / GRAIN) as usize..((block + byte_length).div_ceil(GRAIN)) as usize;
        for cell in &self.0[cells] {
            // SAFETY: as above; nothing refers into the cell.
            let owner = unsafe { cell.get().replace(after) };
            assert_eq!(owner, before, "block {block} has two owners");
        }
    }
}

/// A memory as the engine has it, and what all threads know besides.
struct Memory {
    words: Vec<AtomicU32>,
    pages: AtomicUsize,
    owners: Owners,
    /// Blocks that anyone may free.
    given: Mutex<VecDeque<(u32, u32)>>,
    /// The first byte of the heap.
    start: AtomicU32,
    /// Whether blocks are freed by two threads at once.
    freed_twice: bool,
}

impl Memory {
    fn new(heap_base: Option<u32>) -> Self {
        let grains = MAXIMUM * (PAGE / GRAIN) as usize;
        Self {
            words: (0..MAXIMUM * WORDS_PER_PAGE).map(|_| AtomicU32::new(0)).collect(),
            pages: AtomicUsize::new(INITIAL),
            owners: Owners((0..grains).map(|_| UnsafeCell::new(0)).collect()),
            given: Mutex::new(VecDeque::new()),
            start: AtomicU32::new(heap_base.unwrap_or(GRAIN)),
            freed_twice: false,
        }
    }

    /// Whether all blocks came back that had to.
    fn is_settled<T>(&self, outcome: &Result<T>) -> bool {
        outcome.is_ok() || self.freed_twice && matches!(outcome, Err(Fault::FreedTwice))
    }

    fn options(&self) -> OpenOptions {
        let start = self.start.load(Relaxed);
        OpenOptions {
            heap_base: (start != GRAIN).then_some(start),
            initial: INITIAL as u32,
            maximum: MAXIMUM as u32,
            made_here: false,
            debug: false,
        }
    }

    /// More pages, as anyone may grow them. Returns the pages that there were.
    fn grow(&self, pages: usize) -> Option<usize> {
        let grown = |before: usize| (before + pages <= MAXIMUM).then_some(before + pages);
        self.pages.fetch_update(Relaxed, Relaxed, grown).ok()
    }

    /// Another memory is in its place. Nobody has it open.
    fn replace(&self, heap_base: Option<u32>) {
        let pages = self.pages.swap(INITIAL, Relaxed);
        let words = &self.words[..pages * WORDS_PER_PAGE];
        words.iter().for_each(|word| word.store(0, Relaxed));
        for (block, byte_length) in std::mem::take(&mut *lock(&self.given)) {
            self.owners.replace(block, byte_length, u64::MAX, 0);
        }
        self.start.store(heap_base.unwrap_or(GRAIN), Relaxed);
    }
}

/// What one thread sees of a memory.
struct Seen<'m> {
    memory: &'m Memory,
    pages: Cell<usize>,
}

impl Seen<'_> {
    /// Looks at all of it.
    fn refresh(&self) {
        self.pages.set(self.memory.pages.load(Relaxed));
    }
}

impl Bytes for Seen<'_> {
    fn words(&self) -> Words<'_> {
        Words::new(&self.memory.words[..self.pages.get() * WORDS_PER_PAGE])
    }

    fn address(&self) -> usize {
        self.memory.words.as_ptr() as usize
    }

    fn is_shared(&self) -> bool {
        true
    }

    unsafe fn extend(&self, byte_length: usize) {
        thread::yield_now();
        self.pages.set(self.pages.get().max(byte_length / PAGE as usize));
    }

    fn grow(&self, pages: u32) -> Option<u32> {
        thread::yield_now();
        self.memory.grow(pages as usize).map(|first| first as u32)
    }

    fn give_back(&self, bytes: Range<usize>) -> usize {
        let words = &self.memory.words[bytes.start / 4..bytes.end / 4];
        words.iter().for_each(|word| word.store(0, Relaxed));
        bytes.len()
    }

    fn resident_bytes(&self, bytes: Range<usize>) -> usize {
        bytes.len()
    }
}

/// A memory as one thread has it open.
struct Handle<'m> {
    memory: &'m Memory,
    /// None for a moment, between closing and opening again.
    heap: Option<Session<Seen<'m>>>,
    name: u64,
    random: Random,
    live: Vec<(u32, u32)>,
}

impl<'m> Handle<'m> {
    fn open(memory: &'m Memory, name: u64) -> Self {
        let mut handle = Self { memory, heap: None, name, random: Random(name), live: Vec::new() };
        handle.reopen();
        handle
    }

    fn reopen(&mut self) {
        self.heap = None;
        let (memory, pages) = (self.memory, Cell::new(self.memory.pages.load(Relaxed)));
        let opened = Session::open(Seen { memory, pages }, memory.options());
        self.heap = Some(opened.expect("a heap"));
    }

    fn heap(&self) -> &Session<Seen<'m>> {
        self.heap.as_ref().expect("an open heap")
    }

    /// Calls the heap, again when the memory had grown.
    fn ask<T>(&self, call: impl Fn(&Session<Seen<'m>>) -> Result<T>) -> Result<T> {
        loop {
            match call(self.heap()) {
                Err(Fault::Stale) => self.heap().memory().refresh(),
                answer => return answer,
            }
            self.heap().look();
        }
    }

    /// Pages that somebody else wants: the heap has them if it has all, or is told.
    fn grow(&mut self) {
        let add = 1 + self.random.below(3) as usize;
        let Some(first) = self.memory.grow(add) else { return };
        if self.memory.options().heap_base.is_some() && self.random.below(2) == 0 {
            self.heap().memory().refresh();
            self.heap().look();
            let (first, end) = (first as u32, (first + add) as u32);
            let added = self.ask(|heap| heap.add_pages(first, end));
            assert!(matches!(added, Ok(()) | Err(Fault::OutOfMemory)), "{added:?}");
        }
    }

    /// The part of the thread's cache that is JavaScript.
    fn js(&self) -> JsCache<'_> {
        let rows = self.heap().cache().rows().words();
        JsCache::new(&self.memory.words, rows, &self.heap().entry().live_blocks)
    }

    /// As lib/heap/heap.js does it, when it is at its wits' end in the cache.
    fn malloc_cached(&mut self, byte_length: u32) -> Option<u32> {
        let found = self.js().pop(byte_length).or_else(|| {
            thread::yield_now();
            self.js().pop_older(byte_length).or_else(|| self.js().pop_longer(byte_length))
        });
        if found.is_some() {
            return found;
        }
        let head = self.js().head_for(byte_length);
        let fetched = self.ask(|heap| heap.refill(head));
        assert!(self.memory.is_settled(&fetched) || fetched == Err(Fault::OutOfMemory));
        thread::yield_now();
        self.js().pop(byte_length)
    }

    fn malloc(&mut self) {
        let scale = 4 * self.random.below(3);
        let byte_length = 1 + self.random.below(LONGEST >> scale);
        let align = 1 << self.random.below(13);
        self.malloc_of(byte_length, align);
    }

    fn malloc_of(&mut self, byte_length: u32, align: u32) {
        let cached = match byte_length <= LARGEST_KEPT - HEADER {
            _ if align > GRAIN => None,
            true => self.malloc_cached(byte_length),
            false => self.js().pop_large(byte_length),
        };
        let allocate = || self.ask(|heap| heap.malloc(byte_length, align, Search::Quick));
        match cached.map_or_else(allocate, Ok) {
            Ok(block) => {
                self.memory.owners.replace(block, byte_length, 0, self.name);
                self.live.push((block, byte_length));
            }
            Err(fault) => {
                assert!(fault == Fault::OutOfMemory || self.memory.is_settled::<()>(&Err(fault)));
                let grown = self.ask(|heap| heap.grow_for(byte_length, align));
                assert!(grown.map_or_else(
                    |fault| fault == Fault::OutOfMemory,
                    |pages| pages as usize <= MAXIMUM
                ));
                self.free();
            }
        }
    }

    fn free_natively(&mut self, block: u32) {
        assert_eq!(self.ask(|heap| heap.free(block)), Ok(()));
    }

    fn free_block(&mut self, block: u32) {
        if self.js().push(block) {
            return;
        }
        thread::yield_now();
        if self.js().push_newer(block) || self.js().push_large(block) {
            return;
        }
        let head = self.js().head_of(block).max(self.js().head_of_large(block));
        if head != 0 {
            let room = self.ask(|heap| heap.make_room(head));
            assert!(self.memory.is_settled(&room));
            if self.js().push(block) || self.js().push_large(block) {
                return;
            }
        }
        self.free_natively(block);
    }

    fn free(&mut self) {
        if self.live.is_empty() {
            return;
        }
        let index = self.random.below(self.live.len() as u32) as usize;
        let (block, byte_length) = self.live.swap_remove(index);
        self.memory.owners.replace(block, byte_length, self.name, 0);
        if self.random.below(4) == 0 { self.free_natively(block) } else { self.free_block(block) }
    }

    /// More blocks of a class than a cache keeps, so that they come to the shelves of the depot.
    fn malloc_and_free_many(&mut self) {
        let byte_length = 1 + self.random.below(200);
        let before = self.live.len();
        for _ in 0..self.random.below(200) {
            self.malloc_of(byte_length, GRAIN);
        }
        while self.live.len() > before {
            self.free();
        }
    }

    fn resize(&mut self) {
        let Some((block, old)) = self.live.pop() else { return };
        let byte_length = 1 + self.random.below(LONGEST);
        self.memory.owners.replace(block, old, self.name, 0);
        let moving = self.ask(|heap| heap.resize(block, byte_length, false)).expect("a live block");
        assert!(moving == 0 || moving == old, "{moving} of {old}");
        let kept = if moving == 0 { byte_length } else { old };
        self.memory.owners.replace(block, kept, 0, self.name);
        self.live.push((block, kept));
    }

    fn trim(&mut self) {
        assert!(self.memory.is_settled(&self.ask(Session::trim)));
    }

    fn give(&mut self) {
        let Some((block, byte_length)) = self.live.pop() else { return };
        self.memory.owners.replace(block, byte_length, self.name, u64::MAX);
        let mut given = lock(&self.memory.given);
        given.push_back((block, byte_length));
        let surplus = if given.len() > SHARED_BLOCKS { given.pop_front() } else { None };
        drop(given);
        if let Some((block, byte_length)) = surplus {
            self.memory.owners.replace(block, byte_length, u64::MAX, self.name);
            self.live.push((block, byte_length));
        }
    }

    fn look(&mut self) {
        let listed = self.ask(Session::blocks);
        let listed = listed.expect("a sound heap");
        for &(block, byte_length) in &self.live {
            let found = listed.binary_search_by_key(&block, |block| block.pointer);
            assert_eq!(found.map(|index| listed[index].byte_length), Ok(byte_length));
        }
    }

    fn step(&mut self) {
        match self.random.below(64) {
            0 => self.grow(),
            1 => self.look(),
            2 => self.reopen(),
            3 => assert!(self.memory.is_settled(&self.ask(Session::rest))),
            4 | 5 => self.trim(),
            6 => self.malloc_and_free_many(),
            7..10 => self.resize(),
            10..20 => self.give(),
            20..38 => self.free(),
            _ if self.live.len() > MOST_LIVE => self.free(),
            _ => self.malloc(),
        }
    }

    fn assert_empty(&mut self) {
        let stats = self.ask(Session::stats).expect("a sound heap");
        assert_eq!((stats.used_bytes, stats.block_count, stats.cached_bytes), (0, 0, 0));
    }
}

fn asked(variable: &str, usual: u64) -> u64 {
    let asked = std::env::var(variable).ok();
    asked.map_or(usual, |number| number.parse().expect("the variable is a number"))
}

fn work(memory: &Memory, name: u64, steps: u64) {
    let mut handle = Handle::open(memory, name);
    for _ in 0..steps {
        handle.step();
    }
    while !handle.live.is_empty() {
        handle.free();
    }
}

fn run(heap_base: Option<u32>, steps: u64) {
    let memory = Arc::new(Memory::new(heap_base));
    let start = |name| {
        let memory = Arc::clone(&memory);
        thread::spawn(move || work(&memory, name, steps))
    };
    let threads: Vec<_> = (1..=THREADS).map(start).collect();
    for thread in threads {
        thread.join().expect("no thread panics");
    }
    settle(&memory);
}

/// Frees what nobody has taken, when all have closed the memory, and finds all of it free.
fn settle(memory: &Memory) {
    let mut last = Handle::open(memory, THREADS + 1);
    let given = std::mem::take(&mut *lock(&memory.given));
    for (block, byte_length) in given {
        memory.owners.replace(block, byte_length, u64::MAX, 0);
        last.free_block(block);
    }
    last.reopen();
    last.assert_empty();
}

/// Threads that open and close memories of which one after the other is at the same place.
fn replace_memories(steps: u64) {
    let memory = Arc::new(Memory::new(None));
    let users = Arc::new(Mutex::new(0));
    let start = |name| {
        let (memory, users) = (Arc::clone(&memory), Arc::clone(&users));
        thread::spawn(move || {
            let mut random = Random(name);
            for _ in 0..steps / STEPS_OPEN {
                {
                    let mut users = lock(&users);
                    if *users == 0 && random.below(4) > 0 {
                        memory.replace((random.below(2) == 0).then_some(HEAP_BASE));
                    }
                    *users += 1;
                }
                work(&memory, name, STEPS_OPEN);
                *lock(&users) -= 1;
            }
        })
    };
    let threads: Vec<_> = (1..=THREADS).map(start).collect();
    for thread in threads {
        thread.join().expect("no thread panics");
    }
    settle(&memory);
}

/// Threads that take turns, and free some blocks two at a time: both see a live block, then both
/// keep it.
#[cfg(not(lsm_model))]
fn free_twice(steps: u64) {
    let memory = Memory { freed_twice: true, ..Memory::new(None) };
    let mut handles: Vec<_> = (1..=THREADS).map(|name| Handle::open(&memory, name)).collect();
    let mut random = Random(0);
    for _ in 0..THREADS * steps {
        let [one, other] = [0, 0].map(|_| random.below(THREADS as u32) as usize);
        match handles[one].live.last() {
            Some(&(block, byte_length)) if one != other && random.below(3) == 0 => {
                let caches = [one, other].map(|thread| handles[thread].js());
                let heads = caches.map(|cache| cache.head_of(block));
                let room = caches.iter().zip(heads).all(|(cache, head)| cache.has_room(head));
                if heads[0] != 0 && room {
                    caches.iter().zip(heads).for_each(|(cache, head)| cache.keep(block, head));
                    handles[one].live.pop();
                    memory.owners.replace(block, byte_length, one as u64 + 1, 0);
                }
            }
            _ => handles[one].step(),
        }
    }
    for handle in &mut handles {
        while !handle.live.is_empty() {
            handle.free();
        }
    }
    drop(handles);
    settle(&memory);
}

#[cfg(not(lsm_model))]
fn check(act: impl Fn(u64)) {
    act(asked("LSM_STRESS_STEPS", STEPS));
}

/// Few calls of each thread, in many orders.
#[cfg(lsm_model)]
fn check(act: impl Fn(u64) + Copy + Send + Sync + 'static) {
    let schedules = asked("LSM_MODEL_SCHEDULES", 200) as usize;
    let steps = asked("LSM_STRESS_STEPS", 40);
    shuttle::check_random(move || act(steps), schedules);
    shuttle::check_pct(move || act(steps), schedules, 3);
}

#[test]
fn threads_that_use_one_heap_share_no_block() {
    check(|steps| run(None, steps));
}

#[test]
fn threads_that_use_one_heap_beside_foreign_pages_share_no_block() {
    check(|steps| run(Some(HEAP_BASE), steps));
}

#[test]
fn what_is_known_of_a_memory_is_not_taken_for_that_of_the_next_one() {
    check(replace_memories);
}

#[cfg(not(lsm_model))]
#[test]
fn a_block_that_two_threads_free_at_once_is_given_out_once() {
    check(free_twice);
}
