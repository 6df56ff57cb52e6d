//! A heap of several processes beside a model of it: which blocks are live, what is in them, and which
//! names there are. Processes of several threads attach, allocate out of their caches and the heap,
//! free each other's blocks, resize, place and name, come to rest, trim, recover, close and die. Each
//! takes its turn, so that after any step all of them have to find what the model says.
//!
//! `LSM_FUZZ_ROUNDS` sets how many heaps there are, each used differently.

use std::collections::BTreeMap;
use std::fs::File;
use std::mem;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;

use crate::attached::{Attachment, attach};
use crate::fault::{Fault, Result};
use crate::heap::{GRAIN, HEADER, Heap, Search};
use crate::process::rows::LARGEST;
use crate::session::{Bytes as _, OpenOptions, Session};
use crate::tests::file::{Pages, TestFile, WISH};
use crate::tests::fixture::Random;
use crate::tests::js_cache::JsCache;

const ROUNDS: u64 = 8;
const STEPS: u32 = 1_500;
const MOST_LIVE: usize = 250;
const MOST_PROCESSES: u32 = 4;
const NAMES: u32 = 5;
/// The first word of a block that has a name: whoever removes it says so.
const IDENTITY: u32 = 77;

/// A thread of a process.
struct Thread(Session<Pages>);

impl Thread {
    fn attach(file: &TestFile) -> Self {
        let attachment = attach(&file.0, WISH).expect("a file");
        let pages = Pages::new(attachment.pages());
        Self(Session::attach(pages, attachment).expect("a heap"))
    }

    /// Another thread of the same process.
    fn beside(&self) -> Self {
        let (initial, maximum) = (WISH.initial, WISH.maximum);
        let options =
            OpenOptions { heap_base: None, initial, maximum, made_here: false, debug: false };
        Self(Session::open(self.0.memory().clone(), options).expect("a heap"))
    }

    fn file(&self) -> &Attachment {
        self.0.entry().attachment.as_ref().expect("a file")
    }

    fn js(&self) -> JsCache<'_> {
        let words = self.file().words(self.0.byte_length()).slice();
        JsCache::new(words, self.0.cache().rows().words(), &self.0.entry().live_blocks)
    }

    /// Looks at all of the memory.
    fn look(&self) {
        self.0.memory().grow(self.0.missing_pages());
        self.0.look();
    }

    /// Calls the heap, again when the memory had grown.
    fn ask<T>(&self, call: impl Fn(&Session<Pages>) -> Result<T>) -> Result<T> {
        match call(&self.0) {
            Err(Fault::Stale) => {
                self.look();
                call(&self.0)
            }
            answer => answer,
        }
    }

    fn cached(&self, byte_length: u32) -> Option<u32> {
        if byte_length > LARGEST - HEADER {
            return self.js().pop_large(byte_length);
        }
        let js = self.js();
        let found = js.pop(byte_length).or_else(|| js.pop_older(byte_length));
        found.or_else(|| js.pop_longer(byte_length)).or_else(|| {
            let fetched = self.ask(|heap| heap.refill(js.head_for(byte_length)));
            assert!(matches!(fetched, Ok(_) | Err(Fault::OutOfMemory)), "{fetched:?}");
            self.js().pop(byte_length)
        })
    }

    /// As lib/heap.js does it: none when the memory is full.
    fn malloc(&self, byte_length: u32, align: u32) -> Option<u32> {
        loop {
            let cached = if align > GRAIN { None } else { self.cached(byte_length) };
            let malloc = |search| self.ask(|heap| heap.malloc(byte_length, align, search));
            let found = cached.map_or_else(|| malloc(Search::Quick), Ok);
            match found {
                Err(Fault::OutOfMemory) => {}
                found => return Some(found.expect("a sound heap")),
            }
            if self.ask(|heap| heap.grow_for(byte_length, align)) == Ok(0) {
                let last = malloc(Search::Exhaustive);
                assert!(matches!(last, Ok(_) | Err(Fault::OutOfMemory)), "{last:?}");
                return last.ok();
            }
        }
    }

    fn free(&self, pointer: u32) {
        self.look();
        let keep =
            |js: JsCache<'_>| js.push(pointer) || js.push_newer(pointer) || js.push_large(pointer);
        if keep(self.js()) {
            return;
        }
        let head = self.js().head_of(pointer).max(self.js().head_of_large(pointer));
        if head != 0 {
            self.ask(|heap| heap.make_room(head)).expect("room");
            if keep(self.js()) {
                return;
            }
        }
        self.ask(|heap| heap.free(pointer)).expect("a live block");
    }
}

/// The threads of one process, one at least.
type Process = Vec<Thread>;

struct Model {
    file: TestFile,
    random: Random,
    processes: Vec<Process>,
    /// The lengths of all live blocks.
    live: BTreeMap<u32, u32>,
    /// Those of them that have a name.
    names: BTreeMap<u16, u32>,
}

impl Model {
    fn new(seed: u64) -> Self {
        let file = TestFile::new(&format!("model-{seed}"));
        let processes = vec![vec![Thread::attach(&file)]];
        let (live, names) = (BTreeMap::new(), BTreeMap::new());
        Self { file, random: Random(seed), processes, live, names }
    }

    fn any_process(&mut self) -> usize {
        self.random.below(self.processes.len() as u32) as usize
    }

    fn any_thread(&mut self) -> &Thread {
        let process = self.any_process();
        let thread = self.random.below(self.processes[process].len() as u32) as usize;
        &self.processes[process][thread]
    }

    /// A block that has no name.
    fn any_block(&mut self) -> Option<(u32, u32)> {
        let start = self.random.bits() as u32;
        let is_nameless =
            |&(pointer, _): &(&u32, &u32)| !self.names.values().any(|it| it == pointer);
        let mut around = self.live.range(start % (1 << 24)..).chain(&self.live);
        around.find(is_nameless).map(|(&pointer, &byte_length)| (pointer, byte_length))
    }

    fn words(&self, pointer: u32, byte_length: u32) -> &[AtomicU32] {
        let words = self.processes[0][0].file().all_words().slice();
        &words[pointer as usize / 4..][..byte_length as usize / 4]
    }

    /// Writes what is in a block: words that follow from its place.
    fn fill(&self, pointer: u32, byte_length: u32) {
        for (word, value) in self.words(pointer, byte_length).iter().zip(pointer..) {
            word.store(value.wrapping_mul(0x9e37_79b1), Relaxed);
        }
    }

    fn confirm(&self, pointer: u32, byte_length: u32) {
        let words = self.words(pointer, byte_length).iter().map(|word| word.load(Relaxed));
        let expected = (pointer..).map(|value| value.wrapping_mul(0x9e37_79b1));
        assert!(words.zip(expected).all(|(word, value)| word == value), "{pointer} was written to");
    }

    fn enter(&mut self, pointer: u32, byte_length: u32) {
        let end = pointer + byte_length;
        let before = self.live.range(..end).next_back();
        assert!(before.is_none_or(|(&other, &length)| other + length <= pointer - HEADER));
        self.fill(pointer, byte_length);
        self.live.insert(pointer, byte_length);
    }

    fn length(&mut self) -> u32 {
        let most = [40, 600, 600, 5_000, 40_000, 300_000, 2_000_000][self.random.below(7) as usize];
        4 + self.random.below(most)
    }

    fn malloc(&mut self) {
        let byte_length = self.length();
        let align = if self.random.one_in(6) { 1 << self.random.below(17) } else { GRAIN };
        match self.any_thread().malloc(byte_length, align) {
            Some(pointer) => {
                assert!(pointer.is_multiple_of(align));
                self.enter(pointer, byte_length);
            }
            None => (0..20).for_each(|_| self.free()),
        }
    }

    fn free(&mut self) {
        let Some((pointer, byte_length)) = self.any_block() else { return };
        self.confirm(pointer, byte_length);
        self.live.remove(&pointer);
        self.any_thread().free(pointer);
    }

    /// Many blocks of a length, so that they come to stacks and shelves.
    fn burst(&mut self) {
        let (most, count) = if self.random.one_in(4) { (90_000, 30) } else { (400, 300) };
        let (byte_length, count) = (4 + self.random.below(most), self.random.below(count));
        let thread = self.any_thread();
        let blocks: Vec<_> = (0..count).map_while(|_| thread.malloc(byte_length, GRAIN)).collect();
        blocks.into_iter().for_each(|block| thread.free(block));
    }

    fn resize(&mut self) {
        let Some((pointer, before)) = self.any_block() else { return };
        let (byte_length, stay) = (self.length(), self.random.one_in(2));
        let thread = self.any_thread();
        thread.look();
        if thread.ask(|heap| heap.grow_behind(pointer, byte_length)).expect("a block") > 0 {
            thread.look();
        }
        let moves = thread.ask(|heap| heap.resize(pointer, byte_length, stay)).expect("a block");
        self.confirm(pointer, before.min(if moves == 0 { byte_length } else { before }));
        if moves == 0 {
            self.enter_again(pointer, byte_length);
        } else {
            assert_eq!(moves, before);
        }
    }

    fn enter_again(&mut self, pointer: u32, byte_length: u32) {
        self.live.remove(&pointer);
        self.enter(pointer, byte_length);
    }

    fn name(&mut self) {
        let name = self.random.below(NAMES) as u16;
        let known = self.names.get(&name).copied();
        let thread = self.any_thread();
        assert_eq!(thread.ask(|heap| heap.root(&[name])), Ok(known.unwrap_or(0)));
        if let Some(pointer) = known {
            thread.look();
            assert_eq!(thread.ask(|heap| heap.remove(pointer, 1)), Err(Fault::AlreadyFreed));
            thread.ask(|heap| heap.remove(pointer, IDENTITY)).expect("a block");
            self.live.remove(&pointer);
            self.names.remove(&name);
        } else if let Ok(placed) =
            thread.ask(|heap| heap.place(&[IDENTITY], 64, GRAIN, &[name], Search::Quick))
        {
            self.live.insert(placed, 64);
            self.names.insert(name, placed);
        }
    }

    /// A block comes with the word that refers to it, and goes so.
    fn place(&mut self) {
        let Some((slot, byte_length)) = self.any_block() else { return };
        self.confirm(slot, byte_length);
        let thread = self.any_thread();
        thread.look();
        let placed = thread.ask(|heap| heap.malloc_into(slot, 500, 64, Search::Quick));
        if let Ok(pointer) = placed {
            let other = self.any_thread();
            other.look();
            other.ask(|heap| heap.free_from(slot)).expect("a block");
            assert!(!self.live.contains_key(&pointer));
            self.fill(slot, byte_length);
        }
    }

    fn begin(&mut self) {
        if self.processes.len() < MOST_PROCESSES as usize {
            self.processes.push(vec![Thread::attach(&self.file)]);
        }
        let process = self.any_process();
        if self.processes[process].len() < 3 {
            let thread = self.processes[process][0].beside();
            self.processes[process].push(thread);
        }
    }

    /// A process closes the heap, or dies.
    fn end(&mut self) {
        if self.processes.len() == 1 {
            return;
        }
        let process = self.any_process();
        if self.random.one_in(2) {
            drop(self.processes.swap_remove(process));
            return;
        }
        let dead = self.processes.swap_remove(process);
        dead[0].look();
        // Now and then while JavaScript frees a block: it is kept already, but has its length still.
        let is_kept =
            |pointer| dead[0].js().head_of(pointer).max(dead[0].js().head_of_large(pointer));
        let freed = self.any_block().filter(|&(pointer, _)| is_kept(pointer) != 0);
        if let Some((pointer, _)) = freed {
            dead[0].0.entry().live_blocks.set_kept(pointer, 0);
            self.live.remove(&pointer);
        }
        dead[0].file().leave(false);
        mem::forget(dead);
        if freed.is_some() || self.random.one_in(2) {
            self.any_thread().ask(Session::recover).expect("a sound heap");
        }
    }

    /// One of the calls that make something of what is kept.
    fn tidy(&mut self) {
        let call = self.random.below(4);
        let thread = self.any_thread();
        match call {
            0 => thread.ask(Session::rest).expect("a sound heap"),
            1 => drop(thread.ask(Session::trim).expect("a sound heap")),
            2 => drop(thread.ask(Session::stats).expect("a sound heap")),
            _ => drop(thread.ask(Session::recover).expect("a sound heap")),
        }
    }

    fn step(&mut self) {
        match self.random.below(100) {
            0..40 if self.live.len() < MOST_LIVE => self.malloc(),
            0..70 => self.free(),
            70..80 => self.resize(),
            80..85 => self.name(),
            85..89 => self.place(),
            89..92 => self.burst(),
            92..95 => self.tidy(),
            95..98 => self.begin(),
            _ => self.end(),
        }
    }

    /// All that any thread can find out is as the model says.
    fn examine(&mut self) {
        let thread = self.any_thread();
        thread.look();
        let blocks = thread.ask(Session::blocks).expect("a sound heap");
        let findings = thread.ask(|heap| heap.check(true)).expect("a heap");
        assert!(findings.is_empty(), "{findings:?}");
        assert!(
            blocks
                .iter()
                .map(|block| (block.pointer, block.byte_length))
                .eq(self.live.iter().map(|(&pointer, &length)| (pointer, length)))
        );
        for (&pointer, &byte_length) in &self.live {
            if !self.names.values().any(|&named| named == pointer) {
                self.confirm(pointer, byte_length);
            }
        }
    }

    /// Frees everything and finds nothing left, whatever dead processes had.
    fn clear(mut self) {
        while let Some(&name) = self.names.keys().next() {
            let pointer = self.names[&name];
            let thread = self.any_thread();
            thread.look();
            thread.ask(|heap| heap.remove(pointer, IDENTITY)).expect("a block");
            self.live.remove(&pointer);
            self.names.remove(&name);
        }
        while !self.live.is_empty() {
            self.free();
        }
        self.processes.truncate(1);
        self.processes[0].truncate(1);
        let Thread(heap) = &self.processes[0][0];
        heap.memory().grow(heap.missing_pages());
        heap.look();
        heap.recover().expect("a sound heap");
        heap.trim().expect("a sound heap");
        let stats = heap.stats().expect("a sound heap");
        assert_eq!((stats.used_bytes, stats.cached_bytes, stats.block_count), (0, 0, 0));
        let words = self.processes[0][0].file().all_words();
        let runs = Heap::open(words, GRAIN).expect("a heap").free_runs().expect("a sound heap");
        // A map that moved leaves a run before it.
        assert!(runs.len() <= 3, "{runs:?}");
        let states = heap.entry().live_blocks.bytes();
        assert!(states.iter().all(|state| state.load(Relaxed) == 0));
        self.processes.clear();
        empty(&self.file.0);
    }
}

// The dead have the file mapped still: what it takes up would stay. Its length does, as other tests look for threads in all that is
// mapped.
fn empty(path: &Path) {
    let file = File::options().write(true).open(path).expect("the file");
    let length = file.metadata().expect("its length").len() as libc::off_t;
    let mode = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
    // SAFETY: the call changes nothing but the bytes of a file, which the dead of this test have mapped, and they use it no more.
    assert_eq!(unsafe { libc::fallocate(file.as_raw_fd(), mode, 0, length) }, 0);
}

#[test]
fn all_processes_find_what_the_model_says() {
    let asked = std::env::var("LSM_FUZZ_ROUNDS").ok().and_then(|rounds| rounds.parse().ok());
    for seed in 0..asked.unwrap_or(ROUNDS) {
        let mut model = Model::new(seed);
        for step in 0..STEPS {
            model.step();
            if step % 25 == 0 {
                model.examine();
            }
        }
        model.examine();
        model.clear();
    }
}
