//! Processes that use one heap and are killed: at a step of the log, of a cache, or from outside,
//! one or several at a time, while they attach, allocate, free, name, grow, recover and close.
//! After each death the heap has to be whole, and every byte of it is free, or in a block that is
//! listed. `LSM_KILLS` sets how many processes die.
//!
//! The processes are this test again, with what they are to do in `LSM_VICTIM`.

use std::env;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::Duration;

use crate::attached::{Attachment, attach};
use crate::fault::{Fault, Result};
use crate::heap::{GRAIN, HEADER, Heap, Search};
use crate::process::live_blocks::DIGIT_COUNT;
use crate::process::rows::LARGEST;
use crate::session::{Bytes as _, OpenOptions, Session};
use crate::tests::file::{Pages, TestFile, WISH};
use crate::tests::fixture::Random;
use crate::tests::js_cache::JsCache;
use crate::tests::kill;

const VICTIM: &str = "LSM_VICTIM";
const PLACING_VICTIM: &str = "LSM_PLACING_VICTIM";
/// The name of the word that a block is placed into.
const SLOT: [u16; 1] = [1];
/// That of a block that is placed and removed.
const PLACED: [u16; 1] = [2];
const MOST_LIVE: usize = 200;
const NAMES: u16 = 8;

/// A thread that uses the heap.
struct User {
    heap: Session<Pages>,
    random: Random,
    live: Vec<u32>,
}

impl User {
    fn attach(path: &Path, seed: u64) -> Self {
        let attachment = attach(path, WISH).expect("a file");
        let pages = Pages::new(attachment.pages());
        let heap = Session::attach(pages, attachment).expect("a heap");
        Self { heap, random: Random(seed), live: Vec::new() }
    }

    /// Another thread of the same process.
    fn beside(memory: Pages, seed: u64) -> Self {
        let options = OpenOptions {
            heap_base: None,
            initial: 0,
            maximum: WISH.maximum,
            made_here: false,
            debug: false,
        };
        let heap = Session::open(memory, options).expect("a heap");
        Self { heap, random: Random(seed), live: Vec::new() }
    }

    fn file(&self) -> &Attachment {
        self.heap.entry().attachment.as_ref().expect("a file")
    }

    fn js(&self) -> JsCache<'_> {
        let words = self.file().words(self.heap.byte_length()).slice();
        let rows = self.heap.cache().rows().words();
        JsCache::new(words, rows, &self.heap.entry().live_blocks)
    }

    /// Calls the heap, again when the memory had grown.
    fn ask<T>(&self, call: impl Fn(&Session<Pages>) -> Result<T>) -> Result<T> {
        loop {
            match call(&self.heap) {
                Err(Fault::Stale) => {
                    let missing = self.heap.missing_pages();
                    self.heap.memory().grow(missing);
                    self.heap.look();
                }
                answer => return answer,
            }
        }
    }

    /// Whether this thread sees the block.
    fn sees(&self, pointer: u32) -> bool {
        (pointer as usize) < self.heap.byte_length()
    }

    fn word(&self, pointer: u32) -> &std::sync::atomic::AtomicU32 {
        &self.file().all_words().slice()[pointer as usize / 4]
    }

    /// What only the owner writes into a block.
    fn mark(&self, pointer: u32) -> u32 {
        (pointer ^ std::process::id().rotate_left(16)) | 1
    }

    fn cached(&self, byte_length: u32) -> Option<u32> {
        let js = self.js();
        let found = js
            .pop(byte_length)
            .or_else(|| js.pop_older(byte_length))
            .or_else(|| js.pop_longer(byte_length));
        if found.is_some() {
            return found;
        }
        let head = js.head_for(byte_length);
        drop(self.ask(|heap| heap.refill(head)));
        self.js().pop(byte_length)
    }

    fn malloc(&mut self, byte_length: u32, align: u32) {
        let small = align <= GRAIN && byte_length <= LARGEST - HEADER;
        let cached = match small {
            true => self.cached(byte_length),
            false if align <= GRAIN => self.js().pop_large(byte_length),
            false => None,
        };
        let allocate = || self.ask(|heap| heap.malloc(byte_length, align, Search::Quick));
        match cached.map_or_else(allocate, Ok) {
            Ok(pointer) => {
                self.word(pointer).store(self.mark(pointer), Relaxed);
                self.live.push(pointer);
            }
            Err(fault) => {
                assert_eq!(fault, Fault::OutOfMemory);
                self.ask(|heap| heap.grow_for(byte_length, align)).expect("growth, or none");
            }
        }
    }

    fn free(&mut self) {
        if self.live.is_empty() {
            return;
        }
        let index = self.random.below(self.live.len() as u32) as usize;
        let pointer = self.live.swap_remove(index);
        let mark = self.word(pointer).swap(0, Relaxed);
        assert_eq!(mark, self.mark(pointer), "block {pointer} has two owners");
        let js = self.js();
        let keep =
            |js: JsCache<'_>| js.push(pointer) || js.push_newer(pointer) || js.push_large(pointer);
        if self.sees(pointer) {
            if keep(js) {
                return;
            }
            let head = js.head_of(pointer).max(js.head_of_large(pointer));
            if head != 0 {
                self.ask(|heap| heap.make_room(head)).expect("room");
                if keep(self.js()) {
                    return;
                }
            }
        }
        self.ask(|heap| heap.free(pointer)).expect("a live block");
    }

    fn resize(&mut self) {
        let Some(&pointer) = self.live.last() else { return };
        let byte_length = 4 + self.random.below(60_000);
        let stay = self.random.one_in(2);
        self.ask(|heap| heap.resize(pointer, byte_length, stay)).expect("a live block");
    }

    fn name(&mut self) {
        let name = [self.random.below(NAMES.into()) as u16, 7];
        let image = [1, 2, 3];
        let placed = self.ask(|heap| heap.place(&image, 64, GRAIN, &name, Search::Quick));
        if placed == Err(Fault::OutOfMemory) {
            return;
        }
        let found = self.ask(|heap| heap.root(&name)).expect("a name");
        if found != 0 && self.random.one_in(2) {
            // Another process may be first, and the block be another one's by then.
            drop(self.ask(|heap| heap.remove(found, 1)));
        }
    }

    fn step(&mut self) {
        let scale = 4 * self.random.below(3);
        let byte_length = 4 + self.random.below(40_000 >> scale);
        match self.random.below(100) {
            0..45 if self.live.len() < MOST_LIVE => {
                self.malloc(byte_length, 16);
            }
            45..50 => {
                let align = 1 << self.random.below(13);
                self.malloc(byte_length, align);
            }
            50..52 => self.malloc(byte_length * 8, 16),
            52..56 => self.resize(),
            56..60 => self.name(),
            60..61 => drop(self.ask(|heap| heap.recover()).expect("a heap")),
            61..62 => drop(self.ask(Session::stats).expect("a heap")),
            62..63 => self.ask(Session::rest).expect("a heap"),
            63..64 => drop(self.ask(Session::trim).expect("a heap")),
            64..66 => {
                let before = self.live.len();
                for _ in 0..self.random.below(200) {
                    self.malloc(byte_length % 200 + 4, 16);
                }
                while self.live.len() > before {
                    self.free();
                }
            }
            _ => self.free(),
        }
    }
}

/// What a process does until it is killed, or has done enough.
fn live(path: &Path, seed: u64, threads: u32, steps: u32) {
    let mut user = User::attach(path, seed);
    let memory = user.heap.memory().clone();
    let others: Vec<_> = (1..threads)
        .map(|number| {
            let memory = memory.clone();
            thread::spawn(move || {
                let mut other = User::beside(memory, seed ^ u64::from(number));
                (0..steps).for_each(|_| other.step());
            })
        })
        .collect();
    (0..steps).for_each(|_| user.step());
    others.into_iter().for_each(|other| other.join().expect("no fault"));
}

/// The processes, when they are started by the tests below.
#[test]
fn victim() {
    let Ok(orders) = env::var(VICTIM) else { return };
    let orders: Vec<_> = orders.split(' ').collect();
    let number = |index: usize| orders[index].parse::<u64>().expect("a number");
    if number(4) == 1 {
        kill::forget();
    }
    kill::after(number(2));
    live(Path::new(orders[0]), number(1), number(3) as u32, 4_000);
}

struct Orders {
    seed: u64,
    /// Steps until it is killed; 0 if that is done from outside.
    kill_after: u64,
    threads: u32,
    forgetful: bool,
}

fn start(path: &Path, orders: &Orders) -> Child {
    let Orders { seed, kill_after, threads, forgetful } = orders;
    let forgetful = u8::from(*forgetful);
    let orders = format!("{} {seed} {kill_after} {threads} {forgetful}", path.display());
    Command::new(env::current_exe().expect("this test"))
        .args(["--exact", "tests::torture::victim", "--test-threads", "1", "--quiet"])
        .env(VICTIM, orders)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("a process")
}

fn was_killed(status: ExitStatus) -> bool {
    std::os::unix::process::ExitStatusExt::signal(&status) == Some(libc::SIGKILL)
}

/// Lets up to three processes use the heap until they are killed, or have done enough. Returns
/// whether all ended so.
fn round(path: &Path, random: &mut Random, forgetful: bool, killed: &mut u32) -> bool {
    let count = 1 + random.below(3);
    let mut children: Vec<_> = (0..count)
        .map(|_| {
            let from_outside = random.one_in(3);
            let scale = random.below(15);
            let kill_after = if from_outside { 0 } else { 1 + random.below(2 << scale) };
            let threads = 1 + random.below(3);
            let seed = random.bits();
            let orders = Orders { seed, kill_after: kill_after.into(), threads, forgetful };
            (start(path, &orders), from_outside)
        })
        .collect();
    for (child, from_outside) in &mut children {
        if *from_outside {
            thread::sleep(Duration::from_millis(3 + u64::from(random.below(15))));
            drop(child.kill());
        }
    }
    children.into_iter().fold(true, |sound, (mut child, _)| {
        let status = child.wait().expect("an end");
        *killed += u32::from(was_killed(status));
        sound && (was_killed(status) || status.success())
    })
}

/// Why the heap is not whole, with nobody else in it, once what the dead kept is back.
fn fault_of(path: &Path) -> Option<String> {
    let attachment = match attach(path, WISH) {
        Ok(attachment) => attachment,
        Err(refusal) => return Some(format!("{refusal:?}")),
    };
    let pages = Pages::new(attachment.pages());
    let heap = match Session::attach(pages, attachment) {
        Ok(heap) => heap,
        Err(fault) => return Some(format!("attach: {fault:?}")),
    };
    examine(&heap).err()
}

fn examine(heap: &Session<Pages>) -> core::result::Result<(), String> {
    let told = |what: &str| {
        let what = what.to_owned();
        move |fault: Fault| format!("{what}: {fault:?}")
    };
    let findings = heap.check(true).map_err(told("check"))?;
    if !findings.is_empty() {
        return Err(format!("{} findings", findings.len()));
    }
    let stats = heap.stats().map_err(told("stats"))?;
    if stats.cached_bytes != 0 {
        return Err(format!("{} bytes are lost", stats.cached_bytes));
    }
    let blocks = heap.blocks().map_err(told("blocks"))?;
    let states = heap.entry().live_blocks.bytes();
    let mut known = vec![false; states.len()];
    for block in &blocks {
        let (grain, large) =
            ((block.pointer / GRAIN) as usize, heap.entry().live_blocks.large_size(block.pointer));
        let live = large == Some(block.buffer_size) || states[grain].load(Relaxed) > 0;
        if !live {
            return Err(format!("block {} has state {:?}", block.pointer, states[grain]));
        }
        let digits = if large.is_some() { DIGIT_COUNT as usize } else { 0 };
        known[grain..=grain + digits].fill(true);
    }
    let unknown =
        states.iter().zip(&known).position(|(state, known)| !known && state.load(Relaxed) != 0);
    unknown.map_or(Ok(()), |grain| Err(format!("grain {grain} has a state without a block")))
}

/// Frees all that dead processes had, and finds the heap empty.
fn clear(path: &Path) -> core::result::Result<usize, String> {
    let user = User::attach(path, 0);
    let blocks = user.heap.blocks().map_err(|fault| format!("{fault:?}"))?;
    for name in 0..NAMES {
        user.heap.set_root(&[name, 7], 0).map_err(|fault| format!("{fault:?}"))?;
    }
    for block in &blocks {
        user.heap.free(block.pointer).map_err(|fault| format!("{block:?}: {fault:?}"))?;
    }
    user.heap.trim().map_err(|fault| format!("{fault:?}"))?;
    examine(&user.heap)?;
    let stats = user.heap.stats().map_err(|fault| format!("{fault:?}"))?;
    let heap = Heap::open(user.file().all_words(), GRAIN).ok_or("no heap")?;
    let runs = heap.free_runs().map_err(|fault| format!("{fault:?}"))?.len();
    // A map that moved leaves a run before it.
    let empty = stats.used_bytes == 0 && runs <= 3;
    if empty { Ok(blocks.len()) } else { Err(format!("{stats:?} in {runs} runs")) }
}

fn kills() -> u32 {
    env::var("LSM_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(200)
}

#[test]
fn a_heap_outlives_the_processes_that_are_killed() {
    let file = TestFile::new("torture");
    let (mut random, mut killed, mut rounds, mut inherited) = (Random(11), 0, 0, 0);
    while killed < kills() {
        assert!(round(&file.0, &mut random, false, &mut killed), "a fault in round {rounds}");
        assert_eq!(fault_of(&file.0), None, "round {rounds}, {killed} killed");
        rounds += 1;
        if rounds % 10 == 0 {
            inherited += clear(&file.0).unwrap_or_else(|fault| panic!("round {rounds}: {fault}"));
        }
    }
    eprintln!(
        "{killed} processes killed in {rounds} rounds; {inherited} blocks of theirs were freed"
    );
}

#[test]
fn without_the_log_it_does_not() {
    let mut random = Random(5);
    let (mut killed, mut whole) = (0, true);
    while whole && killed < 200 {
        let file = TestFile::new("forgetful");
        for _ in 0..5 {
            whole = whole
                && round(&file.0, &mut random, true, &mut killed)
                && fault_of(&file.0).is_none();
        }
    }
    assert!(!whole, "{killed} processes killed");
    eprintln!("broken after {killed} processes killed");
}

/// The process of the next test.
#[test]
fn placing_victim() {
    let Ok(orders) = env::var(PLACING_VICTIM) else { return };
    let (steps, path) = orders.split_once(' ').expect("two orders");
    let user = User::attach(Path::new(path), 1);
    let slot = user.ask(|heap| heap.root(&SLOT)).expect("a name");
    kill::after(steps.parse().expect("a number"));
    user.ask(|heap| heap.malloc_into(slot, 100, GRAIN, Search::Quick)).expect("a block");
    user.ask(|heap| heap.free_from(slot)).expect("a block");
    let placed = user.ask(|heap| heap.place(&[9], 16, GRAIN, &PLACED, Search::Quick));
    let placed = placed.expect("a block");
    user.ask(|heap| heap.remove(placed, 9)).expect("a block");
}

fn is_killed_placing(path: &Path, steps: u64) -> bool {
    let status = Command::new(env::current_exe().expect("this test"))
        .args(["--exact", "tests::torture::placing_victim", "--test-threads", "1", "--quiet"])
        .env(PLACING_VICTIM, format!("{steps} {}", path.display()))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    was_killed(status.expect("a process"))
}

#[test]
fn a_word_or_a_name_refers_to_a_block_iff_that_is_live_wherever_its_process_is_killed() {
    let file = TestFile::new("placing");
    let user = User::attach(&file.0, 1);
    let place = |heap: &Session<Pages>| heap.place(&[0], 16, GRAIN, &SLOT, Search::Quick);
    let slot = user.ask(place).expect("a block");
    let mut steps = 1;
    while is_killed_placing(&file.0, steps) {
        let blocks = user.ask(Session::blocks).expect("a heap").len() - 1;
        let pointer = user.word(slot).swap(0, Relaxed);
        let placed = user.ask(|heap| heap.root(&PLACED)).expect("a name, or none");
        let referred = [pointer, placed].iter().filter(|&&pointer| pointer != 0).count();
        assert_eq!(blocks, referred, "killed at step {steps}");
        if pointer != 0 {
            user.ask(|heap| heap.free(pointer)).expect("a live block");
        }
        if placed != 0 {
            user.ask(|heap| heap.remove(placed, 9)).expect("all of it");
        }
        steps += 1;
    }
    assert!(steps > 4, "{steps} steps");
}
