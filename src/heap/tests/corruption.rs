//! What becomes of a used heap when anything at all writes over its words. Any number of words:
//!
//! 1. no call panics, runs for long, or fails with a fault that does not belong to it
//! 2. bytes 0-15 stay as they were
//!
//! One word of the records (superblock, directory, maps, records of units), blocks and their headers left
//! alone: besides, no block that is given out, to a caller or to a thread's cache, shares a byte
//! with one that was live or cached before, and the bytes of the live blocks stay what they were. A
//! cached block itself may be given again, when the bit of another one has moved to it: its state
//! outside the memory says that it is kept.
//!
//! A changed word of the directory, of a map, of a list's head, or of a block's whole space is
//! found by a check, unless what was in the blocks before they were written to fits to it.
//!
//! `LSM_FUZZ_ROUNDS` sets how many heaps are damaged, each differently:
//! `LSM_FUZZ_ROUNDS=100000 cargo test --release corruption -- --nocapture`. Each case is the same
//! in every run.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use crate::fault::Fault;
use crate::heap::inspect::walk::Piece;
use crate::heap::list::Links;
use crate::heap::measures::{HEADER, MAX_PAGES, WORDS_PER_UNIT};
use crate::heap::run::RunLinks;
use crate::heap::segment::Segment;
use crate::heap::size_class::RECORD_WORDS;
use crate::heap::span::{BITS, COUNTS, Span};
use crate::heap::superblock::{MAX_SEGMENTS, SEGMENT_WORDS, field};
use crate::heap::unit_kind::UnitKind;
use crate::heap::words::steps::READ;
use crate::heap::{Bounds, CLASSES, GRAIN, Heap, PAGE, Search, UNIT, Words};
use crate::tests::fixture::{Random, WORDS_PER_PAGE, heap_in, pages, seen, whole, whole_heap};

const ROUNDS: u64 = 250;
const OPERATIONS: u32 = 60;
/// Words that a call reads at most, for each word of the memory: one that does not end reads more.
const MOST_READS: u64 = 8;

/// Initial pages, heap base, pages of each growth.
type Shape = (u32, Option<u32>, &'static [u32]);

const SHAPES: [Shape; 5] = [
    (1, None, &[]),
    (24, None, &[]),
    (2, None, &[3, 9, 30]),
    (3, Some(70_000), &[]),
    (2, Some(100_000), &[1, 2, 12]),
];

/// What the calls and the damage are.
impl Random {
    fn size(&mut self) -> u32 {
        let most = [64, 600, 5_000, 40_000, 200_000][self.below(5) as usize];
        1 + self.below(most)
    }

    fn align(&mut self) -> u32 {
        if self.one_in(4) { 1 << self.below(17) } else { GRAIN }
    }

    fn search(&mut self) -> Search {
        [Search::Quick, Search::Mixing, Search::Exhaustive][self.below(3) as usize]
    }

    fn value(&mut self, old: u32) -> u32 {
        match self.below(6) {
            0 => 0,
            1 => u32::MAX,
            2 => old ^ 1 << self.below(32),
            3 => old.wrapping_add(self.below(5)).wrapping_sub(2),
            4 => self.below(4_096),
            _ => self.bits() as u32,
        }
    }
}

/// What a call may answer besides success.
const ALL: &[Fault] = &[Fault::Corrupted, Fault::OutOfMemory];
const ON_POINTER: &[Fault] =
    &[Fault::Corrupted, Fault::NeverAllocated, Fault::InsideBlock, Fault::AlreadyFreed];

/// A used heap, the blocks that were live when it was damaged, and those in somebody's cache.
struct Case {
    random: Random,
    words: Vec<AtomicU32>,
    start: u32,
    pages: u32,
    /// Pointers to `byteLength` and `bufferSize`.
    live: BTreeMap<u32, (u32, u32)>,
    cached: BTreeMap<u32, u32>,
    /// What was given out since the damage.
    given: Vec<u32>,
    /// Whether what is given out must be apart from what was taken.
    strict: bool,
    faults: u64,
}

impl Case {
    fn new(seed: u64) -> Self {
        let mut random = Random(seed);
        let (end_page, base, growths) = SHAPES[random.below(SHAPES.len() as u32) as usize];
        let more_pages = if random.one_in(4) { 4 } else { 0 };
        let all_pages = end_page + growths.iter().sum::<u32>() + more_pages;
        let (words, owns_all) = (pages(all_pages), base.is_none());
        let start = base.unwrap_or(GRAIN).next_multiple_of(GRAIN);
        heap_in(&words, Bounds { start, end_page, maximum: all_pages, owns_all });
        let mut case = Self {
            random,
            words,
            start,
            pages: end_page,
            live: BTreeMap::new(),
            cached: BTreeMap::new(),
            given: Vec::new(),
            strict: true,
            faults: 0,
        };
        case.fill();
        for &growth in growths {
            case.grow(growth).expect("a sound heap");
            case.fill();
        }
        case
    }

    fn view(&self) -> Words<'_> {
        seen(&self.words, self.pages)
    }

    fn heap(&self) -> Result<Heap<'_>, Fault> {
        Heap::open(self.view(), self.start).ok_or(Fault::Corrupted)?.current()
    }

    fn sound(&self) -> Heap<'_> {
        self.heap().expect("a sound heap")
    }

    // The pages of a shared memory that others grow in between stay theirs.
    fn grow(&mut self, pages: u32) -> Result<(), Fault> {
        let most = (self.words.len() / WORDS_PER_PAGE) as u32;
        if !self.owns_all()? && self.random.one_in(2) {
            self.pages = (self.pages + 1).min(most);
        }
        let first = self.pages;
        self.pages = (first + pages).min(most);
        if self.pages == first || self.owns_all()? {
            return Ok(());
        }
        self.heap()?.add_pages(first, self.pages)
    }

    fn owns_all(&self) -> Result<bool, Fault> {
        self.heap()?.owns_all()
    }

    fn fill(&mut self) {
        for _ in 0..self.random.below(150) {
            self.use_soundly();
        }
    }

    fn use_soundly(&mut self) {
        let (size, align) = (self.random.size(), self.random.align());
        match self.random.below(8) {
            0 => self.cache_some(),
            1..=2 => self.free_one(),
            _ => {
                if let Ok(pointer) = self.sound().malloc(size, align, Search::Exhaustive) {
                    let header = self.sound().inspect(pointer).expect("live");
                    self.live.insert(pointer, header);
                    self.stamp(pointer, size);
                }
            }
        }
    }

    fn free_one(&mut self) {
        if let Some(pointer) = self.some_live() {
            self.sound().free(pointer).expect("live");
            self.live.remove(&pointer);
        }
    }

    fn cache_some(&mut self) {
        let class = 1 + self.random.below(CLASSES.len() as u32 - 1) as usize;
        let most = 1 + self.random.below(8);
        let mut blocks = Vec::new();
        let search = Search::Exhaustive;
        let taken = self.sound().take_spans(class, most, search, |pointer| blocks.push(pointer));
        assert!(matches!(taken, Ok(_) | Err(Fault::OutOfMemory)));
        self.cached.extend(blocks.into_iter().map(|pointer| (pointer, CLASSES[class].stride)));
    }

    fn write_to_blocks(&mut self) {
        let live = self.live.iter().map(|(&pointer, &(byte_length, _))| (pointer, byte_length));
        let cached = self.cached.iter().map(|(&pointer, &stride)| (pointer, stride - HEADER));
        for (pointer, byte_length) in live.chain(cached) {
            let words = (pointer / 4) as usize..((pointer + byte_length) / 4) as usize;
            self.words[words].iter().for_each(|word| word.store(u32::MAX, Relaxed));
        }
    }

    fn some_live(&mut self) -> Option<u32> {
        let count = self.live.len() as u32;
        (count > 0)
            .then(|| self.random.below(count))
            .map(|index| *self.live.keys().nth(index as usize).expect("within"))
    }

    fn stamp(&self, pointer: u32, byte_length: u32) {
        for word in pointer / 4..(pointer + byte_length) / 4 {
            self.words[word as usize].store(word ^ pointer, Relaxed);
        }
    }

    fn confirm_live(&self) {
        for (&pointer, &(byte_length, _)) in &self.live {
            for word in pointer / 4..(pointer + byte_length) / 4 {
                let found = self.words[word as usize].load(Relaxed);
                assert_eq!(found, word ^ pointer, "block {pointer} was written over");
            }
        }
    }

    fn control_words(&self) -> Vec<(u32, u32)> {
        let heap = self.sound();
        let mut ranges = vec![(self.start / 4, field::WORDS)];
        for segment in heap.segments().expect("segments") {
            let Segment { start, limit, map, .. } = segment.expect("a segment");
            ranges.push((map, limit - start));
        }
        if let Some(units) = heap.grain_table_units().expect("a table") {
            ranges.push((units.start * WORDS_PER_UNIT, (units.end - units.start) * WORDS_PER_UNIT));
        }
        for span in spans(&heap) {
            let words = RECORD_WORDS + span.geometry().bitmap_words;
            ranges.push((span.unit * WORDS_PER_UNIT, words));
        }
        ranges
    }

    /// A word of the records, or, when all words may be damaged, of a header or anywhere.
    fn victim(&mut self, anywhere: bool) -> u32 {
        let ranges = self.control_words();
        let choice = if anywhere { self.random.below(4) } else { 0 };
        match (choice, self.some_live()) {
            (2, Some(pointer)) => pointer / 4 - 1 - self.random.below(2),
            (3, _) => self.random.below(self.view().byte_length() as u32 / 4 - 4) + 4,
            _ => {
                let (start, words) = ranges[self.random.below(ranges.len() as u32) as usize];
                let near = if self.random.one_in(2) { words } else { words.min(300) };
                // Most words of a table are 0 and of no use yet.
                let tries: Vec<_> = (0..16).map(|_| start + self.random.below(near)).collect();
                let used = |&at: &u32| self.words[at as usize].load(Relaxed) != 0;
                tries.iter().copied().find(used).unwrap_or(start)
            }
        }
    }

    fn damage(&mut self, words: u32) {
        let victims: Vec<_> = (0..words).map(|_| self.victim(!self.strict)).collect();
        for index in victims {
            let word = &self.words[index as usize];
            let old = word.load(Relaxed);
            let new = self.random.value(old);
            self.words[index as usize].store(new, Relaxed);
        }
    }

    fn pointer(&mut self) -> u32 {
        let given = self.given.len() as u32;
        match self.random.below(6) {
            0 => self.random.bits() as u32,
            1 => self.random.below(self.view().byte_length() as u32),
            2..=3 if given > 0 => self.given[self.random.below(given) as usize],
            _ => self.some_live().unwrap_or(0),
        }
    }

    fn forget(&mut self, pointer: u32) {
        self.live.remove(&pointer);
        self.given.retain(|&other| other != pointer);
    }

    /// One random call. The blocks of a caller who broke the rules are not the heap's fault: with
    /// `strict`, blocks are given back by their owners only.
    fn use_damaged(&mut self) -> Result<(), (Fault, &'static [Fault])> {
        let operation = self.random.below(15);
        let (size, align, search) = (self.random.size(), self.random.align(), self.random.search());
        let owned = self.some_live();
        let pointer = if self.strict { owned.unwrap_or(0) } else { self.pointer() };
        let heap = self.heap().map_err(|fault| (fault, &[Fault::Corrupted, Fault::Stale][..]))?;
        let all = |fault| (fault, ALL);
        let on_pointer = |fault| (fault, ON_POINTER);
        match operation {
            0..=3 => {
                let block = heap.malloc(size, align, search).map_err(all)?;
                self.enter(block, size);
            }
            4..=5 => {
                let freed = heap.free(pointer);
                self.forget(pointer);
                freed.map_err(on_pointer)?;
            }
            6 => self.resize(pointer, size)?,
            7 => drop(heap.inspect(pointer).map_err(on_pointer)?),
            8 => self.take_blocks(search)?,
            9 => self.put_blocks(pointer)?,
            10 => {
                heap.stats().map_err(all)?;
                heap.each_block(drop).map_err(all)?;
                heap.map(heap.words.byte_length(), |pointer| pointer % 32 == 0).map_err(all)?;
            }
            14 => assert!(found(&heap) <= self.words.len()),
            11 => {
                heap.growth_for(size, align).map_err(all)?;
                heap.growth_to_extend(pointer, size).map_err(on_pointer)?;
            }
            12 => {
                heap.free_spare_spans().map_err(all)?;
                for (start, length) in heap.free_runs().map_err(all)? {
                    heap.is_free(start, length).map_err(all)?;
                }
                heap.class_of(pointer).map_err(on_pointer)?;
            }
            _ => self.grow(1 + size % 3).map_err(all)?,
        }
        Ok(())
    }

    fn resize(&mut self, pointer: u32, size: u32) -> Result<(), (Fault, &'static [Fault])> {
        let heap = self.heap().map_err(|fault| (fault, ALL))?;
        match heap.resize(pointer, size, size.is_multiple_of(2)) {
            Ok(0) => {
                self.forget(pointer);
                self.enter(pointer, size);
            }
            Ok(_) => {}
            Err(fault) => return Err((fault, ON_POINTER)),
        }
        Ok(())
    }

    fn take_blocks(&mut self, search: Search) -> Result<(), (Fault, &'static [Fault])> {
        let class = 1 + self.random.below(CLASSES.len() as u32 - 1) as usize;
        let most = 1 + self.random.below(60);
        let mut blocks = Vec::new();
        let taken = self
            .heap()
            .and_then(|heap| heap.take_spans(class, most, search, |block| blocks.push(block)));
        blocks.retain(|block| !self.cached.contains_key(block));
        for block in blocks {
            self.confirm_apart(block, CLASSES[class].stride - HEADER);
            self.cached.insert(block, CLASSES[class].stride);
        }
        taken.map(drop).map_err(|fault| (fault, ALL))
    }

    fn put_blocks(&mut self, pointer: u32) -> Result<(), (Fault, &'static [Fault])> {
        let mut blocks: Vec<_> = self.cached.keys().copied().take(5).collect();
        if !self.strict {
            blocks.push(pointer);
        }
        for block in &blocks {
            self.cached.remove(block);
        }
        let put = self.heap().and_then(|heap| heap.put_unused_blocks(blocks.into_iter()));
        put.map_err(|fault| (fault, &[Fault::Corrupted, Fault::FreedTwice][..]))
    }

    fn enter(&mut self, pointer: u32, byte_length: u32) {
        assert!(pointer >= GRAIN + HEADER);
        assert!(u64::from(pointer) + u64::from(byte_length) <= self.view().byte_length());
        if self.cached.contains_key(&pointer) {
            return;
        }
        self.confirm_apart(pointer, byte_length);
        if self.strict {
            self.live.insert(pointer, (byte_length, 0));
            self.stamp(pointer, byte_length);
        } else {
            self.given.push(pointer);
        }
    }

    fn confirm_apart(&self, pointer: u32, byte_length: u32) {
        if !self.strict {
            return;
        }
        let (start, end) = (pointer - HEADER, pointer + byte_length);
        let live = self.live.range(..end).next_back().map(|(&at, &(length, _))| at + length);
        let cached =
            self.cached.range(..end).next_back().map(|(&at, &stride)| at + stride - HEADER);
        for taken in [live, cached].into_iter().flatten() {
            assert!(taken <= start, "block {pointer} overlaps one that is taken");
        }
    }

    fn run(&mut self, damaged: u32) {
        self.damage(damaged);
        let begin = READ.get();
        for _ in 0..OPERATIONS {
            if let Err((fault, expected)) = self.use_damaged() {
                assert!(expected.contains(&fault), "{fault:?} is not one of {expected:?}");
                self.faults += 1;
            }
        }
        if self.strict {
            self.confirm_live();
        }
        assert!(self.words[..4].iter().all(|word| word.load(Relaxed) == 0), "bytes 0 to 15");
        let most = u64::from(OPERATIONS) * self.words.len() as u64 * MOST_READS;
        assert!(READ.get() - begin < most);
    }
}

fn rounds() -> u64 {
    let asked = std::env::var("LSM_FUZZ_ROUNDS").ok();
    asked.map_or(ROUNDS, |rounds| rounds.parse().expect("LSM_FUZZ_ROUNDS is a number"))
}

fn run_all(strict: bool, seeds: u64) {
    let (mut faults, mut words) = (0, 0);
    for seed in 0..rounds() {
        let mut case = Case::new(seed ^ seeds);
        case.strict = strict;
        let damaged = if strict { 1 } else { 1 + case.random.below(12) };
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| case.run(damaged)));
        assert!(outcome.is_ok(), "the heap of seed {seed}");
        faults += case.faults;
        words += u64::from(damaged);
    }
    let calls = rounds() * u64::from(OPERATIONS);
    println!("{words} words written over, {calls} calls, {faults} refused");
    assert!(faults > rounds(), "the damage is noticed");
}

#[test]
fn no_call_on_a_damaged_heap_panics_or_hangs() {
    run_all(false, 0x0dab_0000_0000);
}

#[test]
fn one_damaged_word_of_the_records_gives_no_block_to_two_owners() {
    run_all(true, 0x51ab_0000_0000);
}

/// How many things a check finds wrong.
fn found(heap: &Heap<'_>) -> usize {
    let mut count = 0;
    heap.check(&mut |_| count += 1);
    count
}

/// The words that a check answers for: none of them can change unnoticed.
fn watched(case: &Case) -> Vec<u32> {
    let heap = case.sound();
    let superblock = case.start / 4;
    let segments = heap.segment_count().expect("segments");
    let mut words: Vec<_> =
        [field::SEGMENT_COUNT, field::UNITS].map(|field| superblock + field).into();
    let directory_end = field::DIRECTORY + segments * SEGMENT_WORDS;
    words.extend(superblock + field::BIN_BITMAP..superblock + directory_end);
    for segment in heap.segments().expect("segments") {
        let Segment { start, end, map, .. } = segment.expect("a segment");
        words.extend(map..map + (end - start));
    }
    for span in spans(&heap) {
        let record = span.unit * WORDS_PER_UNIT;
        words.extend(record + COUNTS..record + BITS + span.slots.div_ceil(32));
    }
    words.extend(case.live.keys().map(|pointer| pointer / 4 - 1));
    words
}

fn spans<'m>(heap: &Heap<'m>) -> Vec<Span<'m>> {
    let mut spans = Vec::new();
    let walked = heap.each_piece(|piece| {
        if let Piece::Span(span) = piece {
            spans.push(span);
        }
        Ok(())
    });
    walked.expect("a sound heap");
    spans
}

#[test]
fn a_check_finds_any_changed_word_that_it_answers_for() {
    for seed in 0..rounds() / 5 {
        let mut case = Case::new(seed ^ 0x6c4e_0000_0000);
        // No record tells a block that is kept from one that is free: their bits may change places.
        let kept = std::mem::take(&mut case.cached);
        case.sound().put_unused_blocks(kept.into_keys()).expect("a sound heap");
        case.write_to_blocks();
        let words = watched(&case);
        assert_eq!(found(&case.sound()), 0, "the heap of seed {seed}");
        for _ in 0..100 {
            let index = words[case.random.below(words.len() as u32) as usize] as usize;
            let old = case.words[index].load(Relaxed);
            let new = case.random.value(old);
            case.words[index].store(new, Relaxed);
            let heap = Heap::open(case.view(), case.start).expect("its magic");
            assert!(new == old || found(&heap) > 0, "seed {seed}: word {index}, {old} to {new}");
            case.words[index].store(old, Relaxed);
        }
    }
}

// What a damaged word led to before it was noticed, each by itself.

/// A heap that has all of the words, and a block in it.
pub(super) fn small_heap(words: &[AtomicU32]) -> (Heap<'_>, u32) {
    let heap = whole_heap(words, (words.len() / WORDS_PER_PAGE) as u32 + 10);
    let block = heap.malloc(200, GRAIN, Search::Quick).expect("room for a block");
    (heap, block)
}

#[test]
fn a_map_that_moves_frees_no_more_than_its_own_units() {
    let words = pages(60);
    let start = Heap::WHOLE_MEMORY_START;
    let heap = heap_in(&words, whole(1, 60));
    let block = heap.malloc(2_000, GRAIN, Search::Quick).unwrap();
    let map = heap.segment(0).unwrap().map as usize;
    let table = words[map].load(Relaxed);
    let grow = || Heap::open(seen(&words, 60), start).unwrap().absorb_pages();
    for wrong in [0, table + (1 << 4), table + (20 << 4), table - (1 << 4)] {
        words[map].store(wrong, Relaxed);
        assert_eq!(grow(), Err(Fault::Corrupted), "{wrong:#x}");
        assert!(heap.inspect(block).is_ok());
    }
    words[map].store(table, Relaxed);
    assert_eq!(grow(), Ok(()));
    assert_eq!(found(&Heap::open(seen(&words, 60), start).unwrap()), 0);
}

#[test]
fn a_check_finds_that_the_unit_of_a_map_is_called_free() {
    let words = pages(30);
    let start = Heap::WHOLE_MEMORY_START;
    heap_in(&words, Bounds { owns_all: false, ..whole(2, 30) });
    let heap = Heap::open(seen(&words, 30), start).unwrap();
    heap.add_pages(20, 21).unwrap();
    let segment = heap.segment(1).unwrap();
    assert_eq!(segment.kind(segment.start), Ok(UnitKind::Table { units: 1 }));
    while heap.malloc(2_000, GRAIN, Search::Exhaustive).is_ok() {}
    assert_eq!(found(&heap), 0);
    segment.set_kind(segment.start, UnitKind::Free { units: 1 }).unwrap();
    assert!(found(&heap) > 0);
}

#[test]
fn a_check_finds_that_a_large_block_is_called_a_table() {
    let words = pages(60);
    let start = Heap::WHOLE_MEMORY_START;
    let heap = heap_in(&words, whole(2, 60));
    let block = heap.malloc(70_000, GRAIN, Search::Quick).unwrap();
    let segment = heap.segment(0).unwrap();
    let Ok(UnitKind::Large { units, .. }) = segment.kind(block / UNIT) else { panic!("no block") };
    // Once the map has moved, the superblock has a table to itself.
    for pages in [2, 60] {
        let heap = Heap::open(seen(&words, pages), start).unwrap();
        heap.absorb_pages().unwrap();
        assert_eq!(found(&heap), 0);
        let segment = heap.segment(0).unwrap();
        let kind = segment.kind(block / UNIT).unwrap();
        segment.set_kind(block / UNIT, UnitKind::Table { units }).unwrap();
        assert!(found(&heap) > 0);
        segment.set_kind(block / UNIT, kind).unwrap();
    }
}

#[test]
fn a_lowered_end_page_makes_no_segment_over_live_blocks() {
    let words = pages(2);
    let (heap, block) = small_heap(&words);
    for end_page in [0, 1] {
        heap.set_field(field::END_PAGE, end_page).unwrap();
        let full = heap.malloc(10 * PAGE, GRAIN, Search::Exhaustive);
        assert_eq!(full, Err(Fault::Corrupted));
    }
    assert_eq!(heap.inspect(block).map(|(byte_length, _)| byte_length), Ok(200));
}

#[test]
fn a_changed_word_of_the_directory_is_never_believed() {
    let words = pages(2);
    let (heap, block) = small_heap(&words);
    for word in 0..SEGMENT_WORDS {
        for bit in 0..32 {
            let old = heap.field(field::DIRECTORY + word).unwrap();
            heap.set_field(field::DIRECTORY + word, old ^ 1 << bit).unwrap();
            assert_eq!(heap.inspect(block), Err(Fault::Corrupted));
            assert_eq!(heap.class_of(block), Err(Fault::Corrupted));
            heap.set_field(field::DIRECTORY + word, old).unwrap();
        }
    }
    assert!(heap.inspect(block).is_ok());
}

#[test]
fn no_unit_is_walked_twice() {
    let words = pages(4);
    let (heap, _) = small_heap(&words);
    let entry = [0, 1, 2, 3, 4].map(|word| heap.field(field::DIRECTORY + word).unwrap());
    let overlaps = |count: u32| {
        for (word, value) in (0..).zip(entry.repeat(count as usize)) {
            heap.set_field(field::DIRECTORY + word, value).unwrap();
        }
        heap.set_field(field::SEGMENT_COUNT, count).unwrap();
        let (mut blocks, mut damages) = (0, 0);
        let listed = heap.each_block(|_| blocks += 1).err();
        heap.check(&mut |_| damages += 1);
        let (stats, map) =
            (heap.stats().err(), heap.map(heap.words.byte_length(), |_| false).err());
        let refused = [listed, stats, map, heap.free_runs().err()].into_iter().flatten();
        (refused.filter(|fault| *fault == Fault::Corrupted).count(), blocks, damages > 0)
    };
    assert_eq!(overlaps(1), (0, 1, false));
    assert!((2..=MAX_SEGMENTS).all(|count| overlaps(count) == (4, 0, true)));
}

#[test]
fn a_changed_count_of_units_is_never_believed() {
    let words = pages(2);
    let (heap, _) = small_heap(&words);
    for bit in 0..32 {
        let old = heap.field(field::UNITS).unwrap();
        heap.set_field(field::UNITS, old ^ 1 << bit).unwrap();
        assert_eq!(heap.total_units(), Err(Fault::Corrupted));
        assert_eq!(heap.growth_for(PAGE, GRAIN), Err(Fault::Corrupted));
        assert_eq!(heap.malloc(5000, GRAIN, Search::Quick), Err(Fault::Corrupted));
        heap.set_field(field::UNITS, old).unwrap();
    }
    assert!(heap.malloc(5000, GRAIN, Search::Quick).is_ok());
}

#[test]
fn a_damaged_heap_does_not_take_itself_for_the_owner_of_all_pages() {
    let words = pages(3);
    let (start, end_page, maximum) = (GRAIN, 1, 3);
    let bounds = Bounds { start, end_page, maximum, owns_all: false };
    let heap = Heap::format(Words::new(&words), bounds).expect("room for a heap");
    let old = heap.field(field::OWNERSHIP).unwrap();
    for damaged in (0..32).map(|bit| old ^ 1 << bit).chain([0, 1, u32::MAX]) {
        heap.set_field(field::OWNERSHIP, damaged).unwrap();
        assert_eq!(heap.owns_all(), Err(Fault::Corrupted));
        assert_eq!(heap.malloc(PAGE, GRAIN, Search::Exhaustive), Err(Fault::Corrupted));
    }
    assert!(words[WORDS_PER_PAGE..].iter().all(|word| word.load(Relaxed) == 0));
}

#[test]
fn a_block_that_a_thread_keeps_is_not_given_out_when_its_bit_is_set() {
    let words = pages(2);
    let (heap, _) = small_heap(&words);
    let kept = heap.take_block(3, Search::Quick).unwrap();
    let UnitKind::Span { back, .. } =
        heap.own_segment(kept / UNIT).unwrap().kind(kept / UNIT).unwrap()
    else {
        panic!("a block of a span");
    };
    let bits = (kept / UNIT - back) * WORDS_PER_UNIT + BITS;
    words[bits as usize].store(u32::MAX, Relaxed);
    let taken = heap.take_spans(3, 32, Search::Quick, |pointer| assert_ne!(pointer, kept));
    assert_eq!(taken, Err(Fault::Corrupted));
}

#[test]
fn a_territory_at_the_end_of_4_gib_holds_no_heap() {
    let words = pages(1);
    let (start, end_page) = (u32::MAX - 15, MAX_PAGES);
    let bounds = Bounds { start, end_page, maximum: MAX_PAGES, owns_all: false };
    assert_eq!(Heap::format(Words::new(&words), bounds).err(), Some(Fault::OutOfMemory));
}

#[test]
fn a_circle_of_free_runs_is_left_soon() {
    let words = pages(20);
    let (heap, _) = small_heap(&words);
    let fill = || heap.malloc(34 * UNIT, GRAIN, Search::Quick).ok();
    let blocks: Vec<_> = std::iter::from_fn(fill).collect();
    heap.free(blocks[3]).unwrap();
    let run = blocks[3] / UNIT;
    let near = heap.own_segment(run).unwrap();
    RunLinks { heap: &heap, near: &near }.set_next(run, run).unwrap();
    let begin = READ.get();
    // As many units as the run has, but it does not lie as it must.
    assert_eq!(heap.malloc(33 * UNIT, PAGE, Search::Exhaustive), Err(Fault::Corrupted));
    assert!(READ.get() - begin < words.len() as u64);
}
