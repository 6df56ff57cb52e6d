//! Many threads on one heap, through its lock and the registry, as the callbacks of several Node.js threads use it: they
//! open the memory, allocate, free each other's blocks, take and put back whole batches, grow the memory, close it and
//! open it again. `LSM_STRESS_STEPS` sets how many calls each thread makes.
//!
//! The heap's own words are atomics, in which a race detector sees no race. So each block has a plain cell for every 16
//! bytes, which only its owner touches: a block with two owners, or one that comes to its next owner without the lock
//! in between, is a data race there. scripts/race.sh runs this under ThreadSanitizer.

use std::cell::{RefCell, UnsafeCell};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

#[cfg(lsm_model)]
use shuttle::{sync::atomic::AtomicUsize, thread};
#[cfg(not(lsm_model))]
use std::{sync::atomic::AtomicUsize, thread};

use crate::error::{Fault, Result};
use crate::heap::{Block, CLASS_COUNT, GRAIN, Heap, PAGE, Search, Territory, Words};
use crate::registry::{self, Locked};
use crate::sync::{Mutex, lock};

const THREADS: u64 = 4;
const STEPS: u64 = 4_000;
const INITIAL: usize = 2;
const MAXIMUM: usize = 60;
const WORDS_PER_PAGE: usize = PAGE as usize / 4;
const MOST_LIVE: usize = 60;
const LARGEST: u64 = 40_000;
const SHARED_BLOCKS: usize = 20;

/// splitmix64.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (bits ^ bits >> 31) % limit
    }
}

/// Who owns each 16 bytes; 0 for nobody.
struct Owners(Vec<UnsafeCell<u64>>);

// SAFETY: a cell is touched only by the thread that owns the block around it, and ownership is handed on through the heap's
// lock or a mutex. Whether that is so is what the test finds out, under ThreadSanitizer; the values are plain numbers.
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
    heap_base: Option<u32>,
}

impl Memory {
    fn new(heap_base: Option<u32>) -> Self {
        let grains = MAXIMUM * (PAGE / GRAIN) as usize;
        Self {
            words: (0..MAXIMUM * WORDS_PER_PAGE).map(|_| AtomicU32::new(0)).collect(),
            pages: AtomicUsize::new(INITIAL),
            owners: Owners((0..grains).map(|_| UnsafeCell::new(0)).collect()),
            given: Mutex::new(VecDeque::new()),
            heap_base,
        }
    }

    fn claim(&self) -> Territory {
        let start = self.heap_base.unwrap_or(GRAIN);
        let (end_page, maximum) = (INITIAL as u32, MAXIMUM as u32);
        Territory { start, end_page, maximum, owns_all: self.heap_base.is_none() }
    }
}

/// A memory as one thread has it open.
struct Handle<'m> {
    memory: &'m Memory,
    /// Pages that the thread has seen.
    seen: usize,
    name: u64,
    random: Random,
    live: Vec<(u32, u32)>,
}

impl<'m> Handle<'m> {
    fn open(memory: &'m Memory, name: u64) -> Self {
        let (random, live) = (Random(name), Vec::new());
        let handle = Self { memory, seen: memory.pages.load(Relaxed), name, random, live };
        let mut locked = handle.lock();
        let territory = locked.territory(handle.view()).unwrap_or_else(|| memory.claim());
        locked.opened(territory);
        locked.seen(handle.seen * PAGE as usize);
        drop(locked);
        handle
    }

    fn lock(&self) -> Locked<'static> {
        registry::lock(self.memory.words.as_ptr() as usize)
    }

    fn view(&self) -> Words<'m> {
        Words::new(&self.memory.words[..self.seen * WORDS_PER_PAGE])
    }

    fn heap(&self, locked: &mut Locked<'_>) -> Result<Heap<'m>> {
        let view = self.view();
        let mut territory = locked.territory(view).expect("this thread has it open");
        if let Some(heap) = Heap::open(view, territory.start) {
            return heap.current();
        }
        assert!(!locked.is_formatted());
        if territory.owns_all {
            territory.end_page = self.seen as u32;
        }
        let heap = Heap::format(view, territory)?;
        locked.formatted();
        Ok(heap)
    }

    /// Calls `act` with the heap, again when the memory had grown.
    fn with_heap<T>(&mut self, act: impl Fn(Heap<'m>) -> Result<T>) -> Result<T> {
        loop {
            let mut locked = self.lock();
            match self.heap(&mut locked).and_then(&act) {
                Err(Fault::Stale) => {
                    drop(locked);
                    self.seen = self.memory.pages.load(Relaxed);
                    self.lock().seen(self.seen * PAGE as usize);
                }
                answer => return answer,
            }
        }
    }

    fn grow(&mut self) {
        let add = 1 + self.random.below(3) as usize;
        let grown = self.memory.pages.fetch_update(Relaxed, Relaxed, |pages| {
            (pages + add <= MAXIMUM).then_some(pages + add)
        });
        let Ok(first) = grown else { return };
        self.seen = self.seen.max(first + add);
        self.lock().seen(self.seen * PAGE as usize);
        if self.memory.heap_base.is_some() && self.random.below(2) == 0 {
            let added = self.with_heap(|heap| heap.add_pages(first as u32, (first + add) as u32));
            assert!(matches!(added, Ok(()) | Err(Fault::OutOfMemory)), "{added:?}");
        }
    }

    fn malloc(&mut self) {
        let scale = 4 * self.random.below(3);
        let byte_length = 1 + self.random.below(LARGEST >> scale) as u32;
        let align = 1 << self.random.below(13);
        match self.with_heap(|heap| heap.malloc(byte_length, align, Search::Quick)) {
            Ok(block) => {
                self.memory.owners.replace(block, byte_length, 0, self.name);
                self.live.push((block, byte_length));
            }
            Err(fault) => {
                assert_eq!(fault, Fault::OutOfMemory);
                self.grow();
                self.free();
            }
        }
    }

    fn free(&mut self) {
        if self.live.is_empty() {
            return;
        }
        let index = self.random.below(self.live.len() as u64) as usize;
        let (block, byte_length) = self.live.swap_remove(index);
        self.memory.owners.replace(block, byte_length, self.name, 0);
        assert_eq!(self.with_heap(|heap| heap.free(block)), Ok(()));
    }

    fn resize(&mut self) {
        let Some((block, old)) = self.live.pop() else { return };
        let byte_length = 1 + self.random.below(LARGEST) as u32;
        self.memory.owners.replace(block, old, self.name, 0);
        let kept = match self.with_heap(|heap| heap.resize(block, byte_length, false)) {
            Ok(()) => byte_length,
            Err(fault) => {
                assert_eq!(fault, Fault::MustMove);
                old
            }
        };
        self.memory.owners.replace(block, kept, 0, self.name);
        self.live.push((block, kept));
    }

    /// As a thread's cache does.
    fn take_and_put_back(&mut self) {
        let class = self.random.below(CLASS_COUNT as u64) as usize;
        let most = 1 + self.random.below(40) as u32;
        let blocks = RefCell::new(Vec::new());
        let taken = self.with_heap(|heap| {
            heap.take_blocks(class, most, Search::Quick, |block| blocks.borrow_mut().push(block))
        });
        assert!(matches!(taken, Ok(_) | Err(Fault::OutOfMemory)), "{taken:?}");
        let blocks = blocks.into_inner();
        for &block in &blocks {
            self.memory.owners.replace(block, 1, 0, self.name);
            self.memory.owners.replace(block, 1, self.name, 0);
        }
        let put = self.with_heap(|heap| heap.put_unused_blocks(blocks.iter().copied()));
        assert_eq!(put, Ok(()));
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
        let blocks = self.with_heap(|heap| {
            let mut blocks: Vec<Block> = Vec::new();
            heap.each_block(|block| blocks.push(block))?;
            let used = blocks.iter().map(|block| u64::from(block.buffer_size)).sum::<u64>();
            assert_eq!(heap.stats()?.used_bytes, used);
            Ok(blocks)
        });
        let listed = blocks.expect("a sound heap");
        for &(block, byte_length) in &self.live {
            let found = listed.binary_search_by_key(&block, |block| block.pointer);
            assert_eq!(found.map(|index| listed[index].byte_length), Ok(byte_length));
        }
    }

    fn reopen(&mut self) {
        self.lock().closed();
        let live = std::mem::take(&mut self.live);
        let random = Random(self.random.below(u64::MAX));
        *self = Self { live, random, ..Self::open(self.memory, self.name) };
    }

    fn step(&mut self) {
        match self.random.below(64) {
            0 => self.grow(),
            1 => self.look(),
            2 => self.reopen(),
            3..12 => self.take_and_put_back(),
            12..18 => self.resize(),
            18..28 => self.give(),
            28..40 => self.free(),
            _ if self.live.len() > MOST_LIVE => self.free(),
            _ => self.malloc(),
        }
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
    handle.lock().closed();
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
    let mut last = Handle::open(&memory, THREADS + 1);
    let given = std::mem::take(&mut *lock(&memory.given));
    for (block, byte_length) in given {
        memory.owners.replace(block, byte_length, u64::MAX, 0);
        assert_eq!(last.with_heap(|heap| heap.free(block)), Ok(()));
    }
    let stats = last.with_heap(|heap| heap.stats()).expect("a sound heap");
    assert_eq!((stats.used_bytes, stats.block_count, stats.cached_bytes), (0, 0, 0));
    last.lock().closed();
}

#[cfg(not(lsm_model))]
fn check(heap_base: Option<u32>) {
    run(heap_base, asked("LSM_STRESS_STEPS", STEPS));
}

/// Few calls of each thread, in many orders.
#[cfg(lsm_model)]
fn check(heap_base: Option<u32>) {
    let schedules = asked("LSM_MODEL_SCHEDULES", 200) as usize;
    let steps = asked("LSM_STRESS_STEPS", 40);
    shuttle::check_random(move || run(heap_base, steps), schedules);
    shuttle::check_pct(move || run(heap_base, steps), schedules, 3);
}

#[test]
fn threads_that_use_one_heap_share_no_block() {
    check(None);
}

#[test]
fn threads_that_use_one_heap_beside_foreign_pages_share_no_block() {
    check(Some(PAGE + 4096));
}
