//! A heap as one thread has it open, without JavaScript around it: what each call comes to, in
//! debug mode too, and which pages it has the engine grow.

use std::cell::{Cell, RefCell};
use std::ops::Range;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use crate::fault::Fault;
use crate::heap::{Area, Block, GRAIN, Heap, PAGE, Part, Search, Use, Words};
use crate::process::rows::LARGE_HEADS;
use crate::session::{Bytes, OpenOptions, Session};
use crate::tests::fixture::{WORDS_PER_PAGE, pages, seen};
use crate::tests::js_cache::JsCache;

const MOST_PAGES: u32 = 400;

/// A memory whose engine grows it by a few pages at a time, and which is resident to a half.
struct Memory {
    words: Vec<AtomicU32>,
    pages: Cell<u32>,
    most_at_once: Cell<u32>,
    /// Bytes that a thread was shown last, as another one has seen them.
    extended: Cell<usize>,
    given_back: RefCell<Vec<Range<usize>>>,
}

impl Memory {
    fn new(pages_at_first: u32) -> Self {
        Self {
            words: pages(MOST_PAGES),
            pages: Cell::new(pages_at_first),
            most_at_once: Cell::new(u32::MAX),
            extended: Cell::default(),
            given_back: RefCell::default(),
        }
    }

    fn open(&self, heap_base: Option<u32>, debug: bool) -> Session<&Self> {
        let options = OpenOptions { heap_base, debug, ..self.options() };
        Session::open(self, options).expect("a heap")
    }

    fn options(&self) -> OpenOptions {
        let (initial, maximum) = (self.pages.get(), MOST_PAGES);
        OpenOptions { heap_base: None, initial, maximum, made_here: true, debug: false }
    }

    fn word(&self, offset: u32) -> u32 {
        self.words[offset as usize / 4].load(Relaxed)
    }
}

impl Bytes for &Memory {
    fn words(&self) -> Words<'_> {
        seen(&self.words, self.pages.get())
    }

    fn address(&self) -> usize {
        self.words.as_ptr() as usize
    }

    fn is_shared(&self) -> bool {
        true
    }

    unsafe fn extend(&self, byte_length: usize) {
        assert!(byte_length <= self.pages.get() as usize * PAGE as usize);
        self.extended.set(byte_length);
    }

    fn grow(&self, pages: u32) -> Option<u32> {
        let first = self.pages.get();
        assert!(0 < pages && pages <= MOST_PAGES - first, "an error of the engine's");
        let grown = pages <= self.most_at_once.get();
        grown.then(|| self.pages.replace(first + pages))
    }

    fn give_back(&self, bytes: Range<usize>) -> usize {
        self.given_back.borrow_mut().push(bytes.clone());
        bytes.len()
    }

    fn resident_bytes(&self, bytes: Range<usize>) -> usize {
        bytes.len() / 2
    }
}

fn malloc(heap: &Session<&Memory>, byte_length: u32) -> u32 {
    heap.malloc(byte_length, GRAIN, Search::Quick).expect("room")
}

fn free_bytes(heap: &Session<&Memory>) -> u64 {
    heap.stats().unwrap().free_bytes
}

fn name(text: &str) -> Vec<u16> {
    text.encode_utf16().collect()
}

#[test]
fn a_memory_grows_by_what_is_usual_or_by_what_will_do() {
    let memory = Memory::new(96);
    let heap = memory.open(None, false);
    // Before the first block: as much as it needs.
    assert_eq!(heap.grow_for(3 * PAGE, GRAIN), Ok(4));
    malloc(&heap, 100);
    assert_eq!(heap.grow_for(100, GRAIN), Ok(3));
    assert_eq!(memory.pages.get(), 103);
    memory.most_at_once.set(2);
    let least = heap.grow_for(100, GRAIN).unwrap();
    assert!(least == 1 && memory.pages.get() == 104);
    memory.most_at_once.set(0);
    assert_eq!(heap.grow_for(100, GRAIN), Ok(0));
    assert_eq!(memory.pages.get(), 104);
    malloc(&heap, 103 * PAGE);
}

#[test]
fn a_memory_grows_as_far_as_it_may_and_the_engine_is_asked_for_no_more() {
    let memory = Memory::new(MOST_PAGES - 2);
    let heap = memory.open(None, false);
    let block = malloc(&heap, (MOST_PAGES - 6) * PAGE);
    assert_eq!(heap.grow_for(8 * PAGE, GRAIN), Ok(0));
    assert_eq!(heap.grow_behind(block, MOST_PAGES * PAGE), Ok(0));
    assert_eq!(heap.grow_for(100, GRAIN), Ok(2), "less than is usual");
    assert_eq!(memory.pages.get(), MOST_PAGES);
    for byte_length in [1, PAGE, MOST_PAGES * PAGE] {
        assert_eq!(heap.grow_for(byte_length, GRAIN), Err(Fault::OutOfMemory));
    }
    assert_eq!(heap.grow_behind(block, MOST_PAGES * PAGE), Ok(0));
}

#[test]
fn the_block_at_the_end_grows_with_the_memory() {
    for debug in [false, true] {
        let memory = Memory::new(8);
        let heap = memory.open(None, debug);
        let say = || heap.set_caller(1, "here".into(), None);
        say();
        let first = malloc(&heap, 100_000);
        say();
        let last = heap.malloc(100_000, GRAIN, Search::Moving).unwrap();
        assert_eq!(heap.grow_behind(first, 110_000), Ok(0));
        assert_eq!(memory.pages.get(), 8);
        let grown = heap.grow_behind(last, 300_000).unwrap();
        assert_eq!((grown, memory.pages.get()), (4, 12));
        say();
        assert_eq!(heap.resize(last, 300_000, true), Ok(0), "debug: {debug}");
        assert_eq!(heap.inspect(last).unwrap().0, 300_000);
        assert_eq!(heap.grow_behind(last + 16, 300_000), Err(Fault::InsideBlock));
    }
}

#[test]
fn pages_are_taken_in_where_the_heap_does_not_own_all() {
    let memory = Memory::new(2);
    let heap = memory.open(Some(PAGE), false);
    malloc(&heap, 100);
    let free = free_bytes(&heap);
    let first = (&memory).grow(3).unwrap();
    heap.look();
    assert_eq!(free_bytes(&heap), free);
    assert_eq!(heap.add_pages(first, first + 3), Ok(()));
    assert!(free_bytes(&heap) - free > u64::from(2 * PAGE));

    // A heap that owns all does so by itself, and does not begin because of it.
    let whole = Memory::new(2);
    let heap = whole.open(None, false);
    let first = (&whole).grow(1).unwrap();
    assert_eq!(heap.add_pages(first, first + 1), Ok(()));
    assert_eq!(whole.words.iter().map(|word| word.load(Relaxed)).max(), Some(0));
    malloc(&heap, 100);
    let free = free_bytes(&heap);
    let first = (&whole).grow(5).unwrap();
    assert_eq!(heap.add_pages(first + 4, first + 5), Ok(()));
    assert!(free_bytes(&heap) - free > u64::from(4 * PAGE));

    // One that was given too little begins where the first pages are.
    let late = Memory::new(1);
    let heap = late.open(Some(PAGE), false);
    assert_eq!(heap.malloc(100, GRAIN, Search::Quick), Err(Fault::OutOfMemory));
    let grown = heap.grow_for(100, GRAIN).unwrap();
    assert!(grown > 0);
    assert!(malloc(&heap, 100) > PAGE);

    // Not at byte 0, which is no block's.
    let empty = Memory::new(0);
    let heap = empty.open(Some(0), false);
    assert!(heap.grow_for(100, GRAIN).unwrap() > 0);
    malloc(&heap, 100);
    assert!((0..GRAIN).step_by(4).all(|offset| empty.word(offset) == 0));
}

#[test]
fn a_block_that_is_not_known_to_be_live_is_refused_though_the_heap_has_it() {
    let memory = Memory::new(2);
    let heap = memory.open(None, false);
    let ptr = malloc(&heap, 100);
    heap.entry().live_blocks.set_free(ptr);
    assert_eq!(heap.free(ptr), Err(Fault::AlreadyFreed));
    assert_eq!(heap.inspect(ptr), Err(Fault::AlreadyFreed));
    assert_eq!(heap.resize(ptr, 90, true), Err(Fault::AlreadyFreed));
    assert_eq!(heap.stats().unwrap().block_count, 1);
}

#[test]
fn a_block_grows_into_the_place_of_one_that_is_kept() {
    let memory = Memory::new(20);
    let heap = memory.open(None, false);
    let [block, behind, _last] = [100_000; 3].map(|byte_length| malloc(&heap, byte_length));
    let js = JsCache::new(&memory.words, heap.cache().rows().words(), &heap.entry().live_blocks);
    heap.make_room(js.head_of_large(behind)).unwrap();
    assert!(js.push_large(behind));
    assert_eq!(heap.resize(block, 150_000, false), Ok(0));
    assert!(heap.inspect(block).unwrap().0 == 150_000 && heap.inspect(behind).is_err());
}

#[test]
fn trimming_gives_all_free_runs_back_and_nothing_else() {
    for debug in [false, true] {
        let memory = Memory::new(350);
        let heap = memory.open(None, debug);
        let say = || heap.set_caller(1, "here".into(), None);
        assert_eq!((heap.trim(), heap.is_debug()), (Ok(0), debug));
        say();
        let kept = malloc(&heap, 100);
        say();
        let large = malloc(&heap, 100_000);
        say();
        heap.free(large).unwrap();
        let bytes = heap.trim().unwrap();
        let free: Vec<_> =
            heap.map().unwrap().into_iter().filter(|area| area.used_as == Use::Free).collect();
        assert_eq!(bytes, free.iter().map(|area| area.end - area.start).sum::<u64>());
        assert!(bytes > u64::from(340 * PAGE));
        let mut pieces = memory.given_back.borrow_mut();
        assert!(pieces.len() > free.len());
        assert!(pieces.iter().all(|piece| piece.len() <= 16 << 20));
        pieces.sort_by_key(|piece| piece.start);
        for (piece, next) in pieces.iter().zip(&pieces[1..]) {
            assert!(piece.end <= next.start);
            assert!(piece.end < next.start || piece.end % (16 << 20) == 0);
        }
        assert!(pieces.iter().all(|piece| !piece.contains(&(kept as usize))));
        assert!(pieces.iter().any(|piece| piece.contains(&(large as usize + 5000))));
    }
}

#[test]
fn what_is_free_and_not_resident_counts_as_trimmed() {
    let memory = Memory::new(10);
    let heap = memory.open(None, false);
    let ptr = malloc(&heap, 100_000);
    let areas = heap.map().unwrap();
    let of = |used_as| areas.iter().find(|area| area.used_as == used_as).unwrap();
    let free = of(Use::Free);
    assert!(free.start > 0);
    assert_eq!(heap.trimmed_bytes(free), (free.end - free.start).div_ceil(2));
    let large: &Area = of(Use::Large);
    assert!((large.start..large.end).contains(&u64::from(ptr)));
    assert_eq!(heap.trimmed_bytes(large), 0);
}

#[test]
fn a_pointer_comes_and_goes_with_the_word_that_holds_it() {
    let memory = Memory::new(2);
    let heap = memory.open(None, false);
    let slot = malloc(&heap, 16) + 4;
    let ptr = heap.malloc_into(slot, 100, 64, Search::Quick).unwrap();
    assert_eq!((memory.word(slot), ptr % 64), (ptr, 0));
    assert_eq!(heap.inspect(ptr).unwrap().0, 100);
    assert_eq!(heap.free_from(slot), Ok(()));
    assert_eq!((memory.word(slot), heap.stats().unwrap().block_count), (0, 1));
    assert_eq!(heap.free_from(slot), Ok(()));
    memory.words[slot as usize / 4].store(24, Relaxed);
    assert!(heap.free_from(slot).is_err());
    assert_eq!(memory.word(slot), 24);
    for bad in [slot + 1, slot + 2, 2 * PAGE, 2 * PAGE + 4, u32::MAX - 3] {
        assert_eq!(heap.malloc_into(bad, 100, GRAIN, Search::Quick), Err(Fault::Stale));
        assert_eq!(heap.free_from(bad), Err(Fault::Stale));
        assert_eq!(heap.remove(bad, 7), Err(Fault::Stale));
    }
    assert_eq!(heap.stats().unwrap().block_count, 1);
}

#[test]
fn a_block_is_placed_with_its_image_and_its_name_and_removed_by_its_first_word() {
    let memory = Memory::new(2);
    let heap = memory.open(None, false);
    let used = malloc(&heap, 40);
    memory.words[used as usize / 4..][..10].iter().for_each(|word| word.store(9, Relaxed));
    heap.free(used).unwrap();
    let [mine, none] = [name("mine"), Vec::new()];
    let place = |name: &[u16]| heap.place(&[7, 8], 40, GRAIN, name, Search::Quick).unwrap();
    let ptr = place(&mine);
    let words: Vec<_> = (0..10).map(|word| memory.word(ptr + 4 * word)).collect();
    assert_eq!(words, [7, 8, 0, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!((place(&mine), heap.root(&mine)), (ptr, Ok(ptr)));
    let unnamed = place(&none);
    assert!(unnamed != ptr && heap.root(&none) == Ok(0));
    assert_eq!(heap.remove(ptr, 8), Err(Fault::AlreadyFreed));
    assert_eq!(heap.root(&mine), Ok(ptr));
    assert_eq!(heap.remove(ptr, 7), Ok(()));
    assert_eq!((memory.word(ptr), heap.root(&mine)), (0, Ok(0)));
    assert_eq!(heap.remove(ptr, 7), Err(Fault::AlreadyFreed));
    assert_eq!(heap.stats().unwrap().block_count, 1);
    // What cannot be freed keeps its first word.
    memory.words[unnamed as usize / 4 + 4].store(7, Relaxed);
    assert!(heap.remove(unnamed + 16, 7).is_err());
    assert_eq!(memory.word(unnamed + 16), 7);
}

#[test]
fn a_name_is_given_and_taken_away() {
    let memory = Memory::new(2);
    let heap = memory.open(None, false);
    let (ptr, mine) = (malloc(&heap, 40), name("mine"));
    assert_eq!(heap.root(&mine), Ok(0));
    heap.set_root(&mine, ptr).unwrap();
    assert_eq!(heap.root(&mine), Ok(ptr));
    heap.set_root(&mine, 0).unwrap();
    assert_eq!(heap.root(&mine), Ok(0));
}

#[test]
fn the_cache_is_filled_emptied_and_comes_to_rest() {
    let memory = Memory::new(100);
    let heap = memory.open(None, false);
    let js = || JsCache::new(&memory.words, heap.cache().rows().words(), &heap.entry().live_blocks);
    let head = js().head_for(100);
    assert_eq!(heap.refill(head), Err(Fault::OutOfMemory));
    malloc(&heap, 100);
    let fetched = heap.refill(head).unwrap();
    assert!(fetched > 1);
    let cached = |heap: &Session<&Memory>| heap.stats().unwrap().cached_bytes;
    let of_each = u64::from(heap.inspect(js().pop(100).unwrap()).unwrap().1);
    assert!(cached(&heap) > 0 && cached(&heap) < u64::from(fetched) * of_each);
    assert_eq!(cached(&heap) % of_each, 0);
    heap.rest().unwrap();
    assert_eq!(cached(&heap), 0);
    for none in [0, 1, head + 1, usize::MAX] {
        assert_eq!(heap.refill(none), Err(Fault::Internal));
        assert_eq!(heap.make_room(none), Ok(()));
    }
    assert_eq!(heap.refill(LARGE_HEADS), Err(Fault::Internal));
    let ptr = malloc(&heap, 100);
    assert!(!js().push(ptr));
    heap.make_room(head).unwrap();
    assert!(js().push(ptr));
}

#[test]
fn a_block_that_waits_is_none_for_one_that_is_aligned_or_that_has_grown() {
    let memory = Memory::new(200);
    let [heap, other] = [(); 2].map(|()| memory.open(None, false));
    let blocks = [(); 10].map(|()| malloc(&heap, 40_000));
    let rows = other.cache().rows().words();
    let js = JsCache::new(&memory.words, rows, &other.entry().live_blocks);
    for block in blocks {
        if !js.push_large(block) {
            other.make_room(js.head_of_large(block)).unwrap();
            assert!(js.push_large(block));
        }
    }
    for (align, search) in [(2 * GRAIN, Search::Quick), (GRAIN, Search::Moving)] {
        let block = heap.malloc(40_000, align, search).unwrap();
        assert!(block.is_multiple_of(align) && !blocks.contains(&block));
    }
    assert!(blocks.contains(&malloc(&heap, 40_000)));
}

#[test]
fn debug_mode_guards_blocks_and_tells_who_made_them() {
    let memory = Memory::new(20);
    let heap = memory.open(None, true);
    assert!(heap.is_debug());
    assert_eq!(heap.malloc(100, GRAIN, Search::Quick), Err(Fault::Internal));
    let say = |line: u32| heap.set_caller(line, "here".into(), None);
    say(1);
    let ptr = malloc(&heap, 100);
    say(2);
    let other = malloc(&heap, 50);
    assert_eq!(heap.inspect(ptr).unwrap().0, 100);
    let blocks = heap.blocks().unwrap();
    let lengths: Vec<_> = blocks.iter().map(|&Block { byte_length, .. }| byte_length).collect();
    assert_eq!(lengths.iter().sum::<u32>(), 150);
    let stats = heap.stats().unwrap();
    assert_eq!((stats.requested_bytes, stats.block_count), (150, 2));
    say(3);
    heap.resize(ptr, 90, true).unwrap();
    assert_eq!(heap.inspect(ptr).unwrap().0, 90);
    assert_eq!(heap.leaks().unwrap().len(), 2);

    let guard = &memory.words[(ptr as usize + 92) / 4];
    let held = guard.swap(0, Relaxed);
    let findings = heap.check(false).unwrap();
    assert_eq!((findings.len(), findings[0].part), (1, Some(Part::Guard)));
    say(4);
    assert_eq!(heap.free(ptr), Err(Fault::Corrupted));
    let told = heap.take_finding().unwrap();
    assert_eq!((told.pointer, told.made.unwrap().thread_id), (Some(ptr), 3));
    assert!(heap.take_finding().is_none());
    guard.store(held, Relaxed);

    say(5);
    heap.free(ptr).unwrap();
    assert_eq!(heap.inspect(ptr), Err(Fault::AlreadyFreed));
    assert_eq!(heap.take_finding().unwrap().freed.unwrap().thread_id, 5);
    assert_eq!(heap.stats().unwrap().block_count, 1);
    say(6);
    heap.free(other).unwrap();
    let held = heap.stats().unwrap().cached_bytes;
    assert!(held > 0);
    heap.trim().unwrap();
    assert_eq!(heap.stats().unwrap().cached_bytes, 0);
}

#[test]
fn what_is_in_quarantine_is_free_when_debug_mode_ends() {
    let memory = Memory::new(4);
    let heap = memory.open(None, true);
    heap.set_caller(1, "here".into(), None);
    let ptr = malloc(&heap, 100);
    heap.set_caller(1, "here".into(), None);
    heap.free(ptr).unwrap();
    drop(heap);
    let stats = memory.open(None, false).stats().unwrap();
    assert_eq!((stats.block_count, stats.used_bytes), (0, 0));
}

#[test]
fn debug_mode_keeps_no_states_of_blocks_and_leaves_them_to_who_comes_later() {
    let memory = Memory::new(4);
    let heap = memory.open(None, false);
    let ptr = malloc(&heap, 100);
    drop(heap);
    let heap = memory.open(None, true);
    assert_eq!(heap.inspect(ptr).unwrap().0, 100);
    assert!(heap.entry().live_blocks.is_free(ptr));
    drop(heap);
    let heap = memory.open(None, false);
    assert_eq!(heap.free(ptr), Ok(()));
    assert_eq!(heap.stats().unwrap().block_count, 0);
}

#[test]
fn a_thread_is_shown_as_much_as_another_one_has_seen() {
    let memory = Memory::new(2);
    let (heap, other) = (memory.open(None, false), memory.open(None, false));
    let bytes = |pages: u32| (pages * PAGE) as usize;
    (&memory).grow(3).unwrap();
    heap.look();
    assert_eq!(heap.entry().state().byte_length, bytes(5));
    drop(other);
    assert_eq!(memory.extended.get(), bytes(5));
    let grown = heap.grow_for(6 * PAGE, GRAIN).unwrap();
    assert!(grown > 0);
    assert_eq!(memory.extended.get(), bytes(5 + grown));
}

#[test]
fn a_heap_begins_where_it_may_and_is_found_there_again() {
    let last = u32::MAX - (GRAIN - 1);
    for (base, start) in [(0, 16), (1, 16), (16, 16), (17, 32), (last, last), (last + 1, last)] {
        let memory = Memory::new(1);
        assert_eq!(memory.open(Some(base), false).entry().state().bounds.start, start);
    }
    let memory = Memory::new(3);
    malloc(&memory.open(Some(PAGE), false), 100);
    assert_eq!(memory.open(None, false).blocks().unwrap().len(), 1);
}

#[test]
fn a_memory_with_something_else_in_it_does_not_become_a_heap() {
    let memory = Memory::new(2);
    let received = OpenOptions { made_here: false, ..memory.options() };
    let open = || Session::open(&memory, received).map(drop);
    memory.words[WORDS_PER_PAGE].store(7, Relaxed);
    assert_eq!(open(), Ok(()));
    memory.words[WORDS_PER_PAGE - 1].store(7, Relaxed);
    assert_eq!([open(), open()], [Err(Fault::NotAHeap), Err(Fault::NotAHeap)]);
    memory.words[WORDS_PER_PAGE - 1].store(0, Relaxed);
    assert_eq!(open(), Ok(()));
}

#[test]
fn a_thread_that_sees_less_than_the_heap_may_have_looks_again() {
    let memory = Memory::new(8);
    let heap = memory.open(None, false);
    memory.pages.set(4);
    assert_eq!(heap.stats().err(), Some(Fault::Stale));
    memory.pages.set(8);
    assert!(heap.stats().is_ok());
}

/// A memory whose first two pages are seen, two blocks of a heap in more of them, and how many there
/// are.
fn half_seen() -> (Memory, [u32; 2], u32) {
    let memory = Memory::new(2);
    let heap = memory.open(None, false);
    let small = malloc(&heap, 100);
    heap.grow_for(3 * PAGE, GRAIN).unwrap();
    let blocks = [small, malloc(&heap, 3 * PAGE)];
    drop(heap);
    let pages = memory.pages.replace(2);
    (memory, blocks, pages)
}

#[test]
fn all_blocks_are_known_though_the_first_thread_does_not_see_all_of_them_at_once() {
    let (memory, blocks, pages) = half_seen();
    let heap = memory.open(None, false);
    assert_eq!(heap.free(blocks[0]), Err(Fault::Stale));
    memory.pages.set(pages);
    heap.look();
    assert_eq!(blocks.map(|block| heap.free(block)), [Ok(()), Ok(())]);
}

#[test]
fn no_heap_is_made_over_one_that_is_written_over_before_it_was_used() {
    let (memory, blocks, pages) = half_seen();
    let heap = memory.open(None, false);
    let allocate = || heap.malloc(100, GRAIN, Search::Quick);
    let magic = &memory.words[Heap::WHOLE_MEMORY_START as usize / 4];
    let found = magic.swap(0, Relaxed);
    assert_eq!(allocate(), Err(Fault::Corrupted));
    magic.store(found, Relaxed);
    assert_eq!(allocate(), Err(Fault::Stale));
    memory.pages.set(pages);
    heap.look();
    magic.store(0, Relaxed);
    assert_eq!(allocate(), Err(Fault::Corrupted));
    magic.store(found, Relaxed);
    assert_eq!(blocks.map(|block| heap.free(block)), [Ok(()), Ok(())]);
}

#[test]
fn nobody_waits_by_the_system_where_one_process_has_the_memory() {
    let memory = Memory::new(2);
    let heap = memory.open(None, false);
    assert_eq!(heap.wait(9, 0, Duration::ZERO), Err(Fault::Internal));
    assert_eq!(heap.wake(9, 1), Err(Fault::Internal));
    assert_eq!((heap.recover(), heap.missing_pages()), (Ok(0), 0));
}

#[test]
fn a_heap_that_says_it_is_longer_than_it_is_seen_is_damaged_once_all_is_seen() {
    let memory = Memory::new(8);
    let heap = memory.open(None, false);
    assert_eq!(heap.check(true).unwrap().len(), 0);
    malloc(&heap, 100);
    assert_eq!(heap.check(true).unwrap().len(), 0);
    let other = memory.open(None, false);
    malloc(&other, 100);
    memory.pages.set(4);
    assert_eq!(heap.check(false).err(), Some(Fault::Stale));
    let findings = heap.check(true).unwrap();
    assert_eq!((findings.len(), findings[0].offset), (1, GRAIN));
    memory.pages.set(8);
}
