//! How much of a memory blocks can fill before there is no room: counts of blocks, next to how many
//! would fit if each took its length and header, rounded up to 16 bytes, and nothing else. Memories
//! grow from one page, or have all pages from the start.

use std::sync::atomic::AtomicU32;

use crate::fault::Fault;
use crate::heap::{GRAIN, HEADER, Heap, PAGE, Search};
use crate::tests::fixture::{Random, heap_in, pages, seen, whole};

/// Blocks of more bytes than this have units of their own.
const SMALL: u32 = 32 * 1024;
/// What the heap's own records may take, in bytes of 1,000. A block that fits in theory only
/// without them is not asked for.
const RECORDS: u64 = 10;

/// A memory that grows as the JavaScript side has it grow.
struct Memory {
    words: Vec<AtomicU32>,
    pages: u32,
    maximum: u32,
}

impl Memory {
    fn new(initial: u32, maximum: u32) -> Self {
        let words = pages(maximum);
        heap_in(&words, whole(initial, maximum));
        Self { words, pages: initial, maximum }
    }

    fn heap(&self) -> Heap<'_> {
        Heap::open(seen(&self.words, self.pages), Heap::WHOLE_MEMORY_START).expect("formatted")
    }

    fn malloc(&mut self, byte_length: u32) -> Option<u32> {
        loop {
            match self.heap().malloc(byte_length, GRAIN, Search::Quick) {
                Err(Fault::OutOfMemory) => {}
                done => return Some(done.expect("a sound heap")),
            }
            let (least, usual) = self.heap().growth_for(byte_length, GRAIN).expect("a sound heap");
            let left = self.maximum - self.pages;
            match [usual, least].into_iter().find(|&more| more <= left) {
                Some(more) => self.pages += more,
                None => {
                    let last = self.heap().malloc(byte_length, GRAIN, Search::Exhaustive);
                    return last.or_else(|_| self.heap().misplace(byte_length, GRAIN)).ok();
                }
            }
        }
    }

    /// Allocates blocks of the lengths that `length` gives until there is no room. Returns them.
    fn fill(&mut self, mut length: impl FnMut() -> u32) -> Vec<(u32, u32)> {
        let mut blocks = Vec::new();
        loop {
            let byte_length = length();
            match self.malloc(byte_length) {
                Some(pointer) => blocks.push((pointer, byte_length)),
                None => return blocks,
            }
        }
    }

    /// Frees every second block, in the order of their addresses. Returns how many.
    fn free_half(&self, mut blocks: Vec<(u32, u32)>) -> usize {
        blocks.sort_unstable();
        let freed = blocks.iter().step_by(2);
        freed.clone().for_each(|&(pointer, _)| self.heap().free(pointer).expect("live"));
        freed.count()
    }
}

fn least_bytes(byte_length: u32) -> u64 {
    u64::from((byte_length + HEADER).next_multiple_of(GRAIN))
}

/// The hundredths of what fits in theory that must be served.
fn least_share(pages: u32, byte_length: u32) -> u64 {
    let share = if byte_length > SMALL { 94 } else { 88 };
    if pages < 100 { share - 6 } else { share }
}

/// Lengths from `least` bytes to a tenth of the memory, each `ratio` times the one before.
fn lengths(pages: u32, least: f64, ratio: f64) -> impl Iterator<Item = u32> {
    let most = f64::from(pages * (PAGE / 10));
    std::iter::successors(Some(least), move |length| Some(length * ratio))
        .take_while(move |&length| length <= most)
        .map(|length| length as u32)
}

fn fills(initial: u32, maximum: u32, least: f64, ratio: f64) {
    let bytes = u64::from(maximum) * u64::from(PAGE);
    for byte_length in lengths(maximum, least, ratio) {
        let mut memory = Memory::new(initial, maximum);
        let blocks = memory.fill(|| byte_length);
        let fit = bytes * (1000 - RECORDS) / 1000 / least_bytes(byte_length);
        let share = least_share(maximum, byte_length);
        let served = blocks.len() as u64;
        assert!(served * 100 >= fit * share, "{byte_length}: {served} of {fit} from {initial}");
        let freed = memory.free_half(blocks) as u64;
        let half = memory.fill(|| byte_length / 2).len() as u64;
        assert!(half * 100 >= freed * share, "half of {byte_length}: {half} in {freed} holes");
    }
}

#[test]
fn a_small_memory_is_filled_by_blocks_of_any_one_size() {
    fills(1, 10, 16.0, 1.1);
    fills(10, 10, 16.0, 1.1);
}

#[test]
fn a_memory_is_filled_by_blocks_of_any_one_size() {
    fills(1, 100, 100.0, 1.2);
    fills(100, 100, 110.0, 1.2);
}

#[test]
fn a_large_memory_is_filled_by_blocks_of_any_one_size() {
    fills(1, 1000, 4_000.0, 1.9);
}

#[test]
fn a_memory_is_filled_by_blocks_of_random_sizes() {
    for (least, most) in [(16, 512), (16, 4_096), (1_000, SMALL), (16, 60_000), (40_000, 300_000)] {
        for (initial, maximum) in [(1, 100), (100, 100)] {
            let mut random = Random(u64::from(most));
            let mut memory = Memory::new(initial, maximum);
            let blocks = memory.fill(|| least + random.below(most - least));
            let served: u64 = blocks.iter().map(|&(_, length)| least_bytes(length)).sum();
            let share = least_share(maximum, least);
            let all = u64::from(maximum) * u64::from(PAGE);
            assert!(served * 100 >= all * share, "{least} to {most} from {initial}: {served}");
            let freed = memory.free_half(blocks) as u64;
            let half = memory.fill(|| (least + random.below(most - least)) / 2).len() as u64;
            assert!(half * 100 >= freed * share, "half of {least} to {most}: {half} in {freed}");
        }
    }
}

/// Random lengths: each doubling from 16 bytes to `most` is as likely.
fn by_doublings(random: &mut Random, most: u32) -> u32 {
    let ratio = f64::from(random.below(1_000_000)) / 1e6;
    (16.0 * f64::from(most / 16).powf(ratio)) as u32
}

/// Two kinds of blocks: records and buffers.
fn of_two_kinds(random: &mut Random, most: u32) -> u32 {
    if random.below(10) < 7 { 16 + random.below(80) } else { most / 4 + random.below(most / 2) }
}

fn evenly(random: &mut Random, most: u32) -> u32 {
    1 + random.below(most)
}

#[test]
fn a_small_memory_is_filled_by_blocks_of_random_sizes() {
    for length in [by_doublings, of_two_kinds, evenly] {
        for (maximum, least_share) in [(5, 77), (10, 82), (20, 85), (30, 87)] {
            let (most, mut shares) = (maximum * (PAGE / 100), 0);
            for seed in 0..10 {
                let mut random = Random(seed);
                let blocks = Memory::new(1, maximum).fill(|| length(&mut random, most));
                let served: u64 = blocks.iter().map(|&(_, length)| least_bytes(length)).sum();
                shares += served * 100 / u64::from(maximum * PAGE);
            }
            assert!(shares >= 10 * least_share, "{maximum} pages: {shares}");
        }
    }
}

/// How many requests of a thousand are refused to a program that keeps `percent` of a memory live,
/// and frees and allocates at random.
fn refused_at(percent: u32, pages: u32, length: fn(&mut Random, u32) -> u32, most: u32) -> usize {
    let memory = Memory::new(pages, pages);
    let mut random = Random(u64::from(most));
    let (mut blocks, mut live, mut refused) = (Vec::new(), 0, 0);
    let (warm, count) = (4_000, 4_000);
    for step in 0..warm + count {
        let byte_length = length(&mut random, most);
        while live + byte_length > pages * (PAGE / 100) * percent {
            let (pointer, freed) = blocks.swap_remove(random.below(blocks.len() as u32) as usize);
            memory.heap().free(pointer).expect("live");
            live -= freed;
        }
        let malloc = |search| memory.heap().malloc(byte_length, GRAIN, search);
        match malloc(Search::Mixing).or_else(|_| malloc(Search::Exhaustive)) {
            Ok(pointer) => {
                blocks.push((pointer, byte_length));
                live += byte_length;
            }
            Err(_) => refused += usize::from(step >= warm),
        }
    }
    memory.heap().check(&mut |damage| panic!("{damage:?}"));
    refused * 1000 / count
}

#[test]
fn a_small_memory_serves_blocks_of_random_sizes_that_come_and_go() {
    for (pages, length, most, percent, allowed) in [
        (1, by_doublings as fn(&mut Random, u32) -> u32, 4_096, 60, 20),
        (1, evenly, 2_048, 60, 20),
        (2, by_doublings, 8_192, 70, 100),
        (10, by_doublings, 16_384, 80, 200),
        (10, evenly, 8_192, 80, 50),
        (10, of_two_kinds, 8_192, 80, 400),
        (30, by_doublings, 16_384, 80, 50),
    ] {
        let refused = refused_at(percent, pages, length, most);
        assert!(refused <= allowed, "{pages} pages, up to {most} bytes: {refused}");
    }
}
