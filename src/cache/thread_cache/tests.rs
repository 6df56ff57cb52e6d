//! What one thread's cache keeps, in numbers and in the heap.

use std::collections::BTreeSet;

use super::*;
use crate::cache::budget::{IDLE_BYTES, LEAST_BLOCKS, SOLE_BYTES};
use crate::cache::free_blocks::fixture::Fixture;
use crate::cache::free_blocks::give_out;
use crate::cache::long_blocks::SOLE_LONG_BYTES;
use crate::fault::Fault;
use crate::heap::CLASSES;
use crate::heap::{GRAIN, HEADER, Heap, MIXED, PAGE, Search, UNIT, class_for, units_for};
use crate::process::depot::MOST_MIXED;
use crate::process::rows::{COMMON, LARGE_SPARE, LIMITS, LONG_SPARE, OWN, SPARE, WIDTH, large_row};
use crate::tests::fixture::Random;
use crate::tests::js_cache::JsCache;

fn pair() -> (ThreadCache, ThreadCache, Fixture) {
    let (mine, theirs) = (ThreadCache::new().unwrap(), ThreadCache::new().unwrap());
    let fixture = Fixture::new([mine.rows(), theirs.rows()]);
    (mine, theirs, fixture)
}

fn js<'a>(cache: &'a ThreadCache, fixture: &'a Fixture) -> JsCache<'a> {
    JsCache::new(&fixture.words, cache.rows().words(), &fixture.live_blocks)
}

/// Frees a block of class 5 or a large one into the cache of thread `thread`.
fn free_into(cache: &ThreadCache, fixture: &mut Fixture, thread: usize, block: u32) {
    let push = |fixture: &Fixture| {
        let js = js(cache, fixture);
        js.push(block) || js.push_newer(block) || js.push_large(block)
    };
    if !push(fixture) {
        let large = js(cache, fixture).head_of_large(block);
        let row = if large == 0 { 5 } else { Rows::row_at(large).unwrap() };
        cache.make_room(&mut fixture.free_blocks(thread), row).unwrap();
        assert!(push(fixture));
    }
}

fn kept(cache: &ThreadCache) -> u64 {
    let bytes = |row| cache.rows.row(row).blocks().len() as u64 * u64::from(row_bytes(row));
    let classes = (1..DENSE_END).map(bytes).sum();
    assert_eq!(cache.rows.class_bytes(cache.classes.get()), classes);
    classes + (DENSE_END..ROWS.end).map(bytes).sum::<u64>()
}

/// Bytes that the thread may have to itself as things are.
fn reserved(cache: &ThreadCache) -> u32 {
    let bytes = |class| cache.rows.row(class).width() * CLASSES[class].stride;
    (1..DENSE_END).map(bytes).sum()
}

/// Those of it that are more than a block of each class.
fn widened(cache: &ThreadCache) -> u32 {
    let more = |class| cache.rows.row(class).width().saturating_sub(1) * CLASSES[class].stride;
    (1..DENSE_END).map(more).sum()
}

fn cached(heap: &Heap<'_>) -> u64 {
    heap.stats().unwrap().cached_bytes
}

#[test]
fn a_refill_keeps_the_blocks_that_are_there() {
    let (cache, _, mut fixture) = pair();
    let free_blocks = &mut fixture.free_blocks(0);
    let count = cache.refill(free_blocks, 5).unwrap();
    assert!(count > 0);
    assert_eq!(cache.refill(free_blocks, 5), Ok(count));
    assert_eq!(cached(&free_blocks.heap), kept(&cache));
}

/// A small heap that is nearly full, and a row of blocks of 320 bytes in a cache of it.
fn nearly_full() -> (ThreadCache, Fixture, usize, usize) {
    let cache = ThreadCache::new().unwrap();
    let mut fixture = Fixture::of_pages(8, [cache.rows(), &Arc::new(Rows::new().unwrap())]);
    let free_blocks = &mut fixture.free_blocks(0);
    let [class, longer] = [288, 320].map(|stride| class_for(stride - HEADER, GRAIN).unwrap());
    cache.refill(free_blocks, longer).unwrap();
    let left = free_blocks.heap.free_runs().unwrap()[0].1;
    let rest = (left - 20) * UNIT - GRAIN - HEADER;
    free_blocks.heap.malloc(rest, GRAIN, Search::Quick).unwrap();
    (cache, fixture, class, longer)
}

fn served(free_blocks: &FreeBlocks<'_>, class: usize) -> Option<usize> {
    let byte_length = CLASSES[class].stride - HEADER;
    let block = free_blocks.heap.malloc(byte_length, GRAIN, Search::Mixing).unwrap();
    give_out(&free_blocks.heap, free_blocks.live_blocks, block).unwrap();
    free_blocks.heap.class_of(block).unwrap()
}

#[test]
fn one_of_the_longer_blocks_that_a_thread_keeps_is_for_the_heap_to_give() {
    let (cache, mut fixture, class, longer) = nearly_full();
    let free_blocks = &mut fixture.free_blocks(0);
    for kept in (0..cache.rows.row(longer).blocks().len()).rev() {
        assert_eq!(cache.refill(free_blocks, class), Ok(0));
        assert_eq!(cache.rows.row(longer).blocks().len(), kept);
        assert_eq!(served(free_blocks, class), Some(longer));
    }
    assert_eq!(cache.refill(free_blocks, class), Ok(0), "there are none");
    assert_eq!(served(free_blocks, class), Some(MIXED));
}

#[test]
fn blocks_of_mixed_units_serve_so_often_and_again_once_there_is_no_room() {
    let (cache, mut fixture, class, longer) = nearly_full();
    let free_blocks = &mut fixture.free_blocks(0);
    free_blocks.put_row(&cache.rows.row(longer)).unwrap();
    while free_blocks.heap.longer_class(class, GRAIN, |class| free_blocks.has(class)) != Ok(None) {
        served(free_blocks, class);
    }
    for _ in 0..2 {
        for _ in 0..MOST_MIXED {
            assert_eq!(cache.refill(free_blocks, class), Ok(0));
            free_blocks.depot.note_mixed();
        }
        assert!(cache.refill(free_blocks, class).unwrap() > 0);
        free_blocks.put_row(&cache.rows.row(class)).unwrap();
        free_blocks.heap.free_spare_spans().unwrap();
        free_blocks.depot.note_shortage();
    }
}

#[test]
fn one_of_the_longer_blocks_in_the_depot_is_for_the_heap_to_give() {
    let (cache, mut fixture, class, longer) = nearly_full();
    let free_blocks = &mut fixture.free_blocks(0);
    let kept = cache.rows.row(longer).blocks().len() as u64;
    cache.rest(free_blocks).unwrap();
    for left in (0..kept).rev() {
        assert_eq!(cache.refill(free_blocks, class), Ok(0));
        assert_eq!(free_blocks.depot.bytes(), left * u64::from(row_bytes(longer)));
        assert_eq!(served(free_blocks, class), Some(longer));
    }
    assert_eq!(cache.refill(free_blocks, class), Ok(0), "there are none");
    assert_eq!(served(free_blocks, class), Some(MIXED));
}

#[test]
fn a_class_that_has_blocks_is_not_served_by_longer_ones() {
    let (cache, mut fixture, class, longer) = nearly_full();
    let free_blocks = &mut fixture.free_blocks(0);
    let mut blocks = Vec::new();
    free_blocks.heap.take_spans(class, 1, Search::Quick, |block| blocks.push(block)).unwrap();
    free_blocks.heap.put_unused_blocks(blocks.into_iter()).unwrap();
    let kept = cache.rows.row(longer).blocks().len();
    assert!(cache.refill(free_blocks, class).unwrap() > 0);
    assert_eq!(cache.rows.row(longer).blocks().len(), kept);
}

#[test]
fn a_refill_that_meets_damage_loses_no_block() {
    let class = class_for(200, GRAIN).unwrap();
    // Free blocks in two spans: the second may be damaged when those of the first are fetched.
    let used_heap = || {
        let (cache, _, mut fixture) = pair();
        let heap = fixture.free_blocks(0).heap;
        let blocks = [0; 300].map(|_| heap.malloc(200, GRAIN, Search::Quick).unwrap());
        heap.free(blocks[0]).unwrap();
        (cache, fixture)
    };
    let mut cut_short = 0;
    // The superblock but for what tells a heap of this build from chance bytes, the map, and
    // the records that spans begin with.
    let unit = UNIT as usize / 4;
    let records = (7..3 * unit).chain((3..80).flat_map(|at| at * unit..at * unit + 12));
    for word in records {
        let (cache, mut fixture) = used_heap();
        if fixture.words[word].load(Relaxed) == 0 {
            continue;
        }
        let old = fixture.words[word].fetch_xor(u32::MAX, Relaxed);
        drop(cache.refill(&mut fixture.free_blocks(0), class));
        fixture.words[word].store(old, Relaxed);
        cut_short += u32::from(kept(&cache) == u64::from(CLASSES[class].stride));
        assert_eq!(cached(&fixture.free_blocks(0).heap), kept(&cache), "word {word}");
    }
    assert!(cut_short > 0);
}

#[test]
fn a_full_stack_makes_room_by_its_older_half() {
    let (cache, _, mut fixture) = pair();
    let byte_length = CLASSES[5].stride - HEADER;
    let heap = fixture.free_blocks(0).heap;
    let blocks: Vec<_> =
        (0..3_000).map(|_| heap.malloc(byte_length, GRAIN, Search::Quick).unwrap()).collect();
    for &block in &blocks {
        fixture.live_blocks.set_live(block, 5);
        let pushed = js(&cache, &fixture).push(block) || js(&cache, &fixture).push_newer(block);
        if !pushed {
            cache.make_room(&mut fixture.free_blocks(0), 5).unwrap();
            assert!(js(&cache, &fixture).push(block));
        }
    }
    let free_blocks = &mut fixture.free_blocks(0);
    let newest = cache.rows.row(5).blocks().last().map(|block| block.load(Relaxed));
    assert_eq!(newest, blocks.last().copied());
    assert!(kept(&cache) < cached(&free_blocks.heap));
    assert_eq!(free_blocks.collect(1), Ok(true));
    assert!(kept(&cache) == cached(&free_blocks.heap) && kept(&cache) > 0);
}

/// Allocates so many blocks of 200 bytes and frees them.
fn keep(cache: &ThreadCache, fixture: &mut Fixture, count: u32) {
    let class = class_for(200, GRAIN).unwrap();
    let heap = fixture.free_blocks(1).heap;
    let blocks: Vec<_> =
        (0..count).map(|_| heap.malloc(200, GRAIN, Search::Quick).unwrap()).collect();
    for block in blocks {
        fixture.live_blocks.set_live(block, class);
        while !js(cache, fixture).push(block) && !js(cache, fixture).push_newer(block) {
            cache.make_room(&mut fixture.free_blocks(0), class).unwrap();
        }
    }
}

/// Takes large blocks until what is free is in pieces.
fn break_up(heap: &Heap<'_>) {
    while !heap.is_in_pieces().unwrap() {
        heap.malloc(32 * UNIT, GRAIN, Search::Quick).unwrap();
    }
}

#[test]
fn much_that_is_kept_goes_back_before_a_span_is_cut_in_a_memory_that_has_grown() {
    let stride = u64::from(CLASSES[class_for(200, GRAIN).unwrap()].stride);
    let (cache, _, mut fixture) = pair();
    let heap = fixture.free_blocks(0).heap;
    let much =
        UNTIDY_BYTES + u64::from(heap.total_units().unwrap()) * u64::from(UNIT) / UNTIDY_SHARE;
    keep(&cache, &mut fixture, (much / stride) as u32);
    let free_blocks = &mut fixture.free_blocks(0);
    assert!(kept(&cache) < cached(&free_blocks.heap), "some is in the depot");
    free_blocks.depot.note_growth(u64::from(PAGE) * 100);
    let before = cached(&free_blocks.heap);
    cache.tidy(free_blocks).unwrap();
    assert_eq!(cached(&free_blocks.heap), before, "not much");
    keep(&cache, &mut fixture, 1);
    let free_blocks = &mut fixture.free_blocks(0);
    cache.tidy(free_blocks).unwrap();
    assert_eq!(cached(&free_blocks.heap), before + stride, "what is free is in one piece");
    break_up(&free_blocks.heap);
    cache.refill(free_blocks, class_for(200, GRAIN).unwrap()).unwrap();
    assert_eq!(cached(&free_blocks.heap), before + stride, "no span was cut");
    let new = cache.refill(free_blocks, 5).unwrap() as u64;
    assert_eq!(cached(&free_blocks.heap), new * u64::from(CLASSES[5].stride));
    assert!(new > 0 && cache.rows.row(5).blocks().len() as u64 == new);
}

#[test]
fn blocks_whose_span_is_in_use_stay_kept_and_large_ones_do_not() {
    let (cache, other) = (ThreadCache::new().unwrap(), ThreadCache::new().unwrap());
    let mut fixture = Fixture::of_pages(200, [cache.rows(), other.rows()]);
    keep(&cache, &mut fixture, 8_000);
    let free_blocks = &mut fixture.free_blocks(0);
    let large = free_blocks.heap.malloc(40_000, GRAIN, Search::Quick).unwrap();
    give_out(&free_blocks.heap, free_blocks.live_blocks, large).unwrap();
    let head = js(&cache, &fixture).head_of_large(large);
    cache.make_room(&mut fixture.free_blocks(0), Rows::row_at(head).unwrap()).unwrap();
    assert!(js(&cache, &fixture).push_large(large));
    let live: Vec<_> = (0..3).map(|_| js(&cache, &fixture).pop(200).unwrap()).collect();
    let free_blocks = &mut fixture.free_blocks(0);
    free_blocks.depot.note_growth(u64::from(PAGE) * 100);
    break_up(&free_blocks.heap);
    cache.tidy(free_blocks).unwrap();
    let spans = |blocks: &mut dyn Iterator<Item = u32>| -> BTreeSet<u32> {
        let heap = free_blocks.heap;
        blocks.map(|block| heap.span_around(block / UNIT).unwrap().unwrap().unit).collect()
    };
    let stacks = ROWS.map(|row| cache.rows.row(row).blocks());
    let stacks = stacks.flatten().map(|block| block.load(Relaxed));
    let left: Vec<_> = stacks.chain(free_blocks.depot.blocks()).collect();
    assert_eq!(spans(&mut left.into_iter()), spans(&mut live.into_iter()));
    assert_eq!(cached(&free_blocks.heap), kept(&cache) + free_blocks.depot.bytes());
    assert!(free_blocks.live_blocks.is_free(large));
}

#[test]
fn what_is_kept_stays_in_a_memory_that_has_not_grown() {
    let (cache, _, mut fixture) = pair();
    keep(&cache, &mut fixture, 4_000);
    let free_blocks = &mut fixture.free_blocks(0);
    break_up(&free_blocks.heap);
    let before = cached(&free_blocks.heap);
    let new = cache.refill(free_blocks, 5).unwrap() as u64;
    assert_eq!(cached(&free_blocks.heap), before + new * u64::from(CLASSES[5].stride));
}

#[test]
fn what_is_fetched_lets_idle_spans_be_looked_for_where_the_memory_is_dear_to_grow() {
    for (count, maximum, expected) in [(33, 34, true), (32, 33, false), (33, 33, false)] {
        let (cache, other) = (ThreadCache::new().unwrap(), ThreadCache::new().unwrap());
        let mut fixture = Fixture::up_to(maximum, count, [cache.rows(), other.rows()]);
        let free_blocks = &mut fixture.free_blocks(0);
        let fetched = cache.refill(free_blocks, 5).unwrap() as u64;
        assert_eq!(free_blocks.depot.may_be_tidied(), expected, "{count} of {maximum} pages");
        let bytes = fetched * u64::from(CLASSES[5].stride);
        free_blocks.depot.note_tidied(bytes / 2, 0);
        assert_eq!(free_blocks.depot.may_be_tidied(), expected);
        free_blocks.depot.note_tidied(bytes / 2, 0);
        assert!(!free_blocks.depot.may_be_tidied());
    }
}

#[test]
fn what_a_thread_has_to_itself_is_within_the_budget() {
    let (cache, _, mut fixture) = pair();
    let budget = cache.update_budget(&mut fixture.free_blocks(0)).unwrap();
    let one_of_each: u32 = CLASSES[1..DENSE_END].iter().map(|class| class.stride).sum();
    let (mut random, mut live) = (Random(3), Vec::new());
    for step in 0..40_000 {
        let shift = 4 + random.below(12);
        let byte_length = 1 + random.below(1 << shift);
        let class = class_for(byte_length, GRAIN).unwrap();
        let js = js(&cache, &fixture);
        let found = js.pop(byte_length).or_else(|| js.pop_older(byte_length)).or_else(|| {
            drop(cache.refill(&mut fixture.free_blocks(0), class));
            self::js(&cache, &fixture).pop(byte_length)
        });
        live.extend(found.map(|block| (block, class)));
        if step % 3 > 0 && !live.is_empty() {
            let (block, class) = live.swap_remove(random.below(live.len() as u32) as usize);
            if !(self::js(&cache, &fixture).push(block)
                || self::js(&cache, &fixture).push_newer(block))
            {
                cache.make_room(&mut fixture.free_blocks(0), class).unwrap();
                assert!(self::js(&cache, &fixture).push(block));
            }
        }
        assert!(reserved(&cache) <= budget + one_of_each);
        let own = (1..DENSE_END).map(|class| cache.rows.row(class).own() as u32);
        assert!(
            own.zip(&CLASSES[1..]).map(|(own, class)| own * class.stride).sum::<u32>()
                <= reserved(&cache)
        );
        assert_eq!(budget - widened(&cache), cache.rows.figure(SPARE));
        assert!(cache.rows.figure(OVER_IDLE) == 1 || reserved(&cache) <= IDLE_BYTES);
        if step % 4_000 == 0 {
            cache.rest(&mut fixture.free_blocks(0)).unwrap();
            assert_eq!((reserved(&cache), kept(&cache), cache.rows.figure(OVER_IDLE)), (0, 0, 0));
        }
    }
    let free_blocks = &mut fixture.free_blocks(0);
    cache.give_back(free_blocks, 1).unwrap();
    assert_eq!((kept(&cache), cached(&free_blocks.heap)), (0, 0));
}

#[test]
fn classes_that_are_no_longer_used_leave_their_bytes_to_those_that_are() {
    let (cache, other) = (ThreadCache::new().unwrap(), ThreadCache::new().unwrap());
    let mut fixture = Fixture::of_pages(160, [cache.rows(), other.rows()]);
    let budget = cache.update_budget(&mut fixture.free_blocks(0)).unwrap();
    let used = class_for(16_000, GRAIN).unwrap();
    for class in 1..=used {
        cache.make_room(&mut fixture.free_blocks(0), class).unwrap();
    }
    assert!(widened(&cache) <= budget && cache.rows.row(used).width() == 1);
    let head = used * crate::process::rows::HEAD_WORDS;
    (0..1_000).for_each(|_| _ = js(&cache, &fixture).widen(head));
    assert!(widened(&cache) <= budget);
    let own = cache.rows.row(used).width() * CLASSES[used].stride;
    assert!(own > budget / 3, "{own} of {budget} bytes");
}

#[test]
fn busy_threads_share_what_one_may_have_alone() {
    let (mine, theirs, mut fixture) = pair();
    let alone = mine.update_budget(&mut fixture.free_blocks(0)).unwrap();
    assert_eq!(theirs.update_budget(&mut fixture.free_blocks(1)), Ok(alone / 2));
    mine.rest(&mut fixture.free_blocks(0)).unwrap();
    assert_eq!(theirs.update_budget(&mut fixture.free_blocks(1)), Ok(alone));
}

#[test]
fn a_thread_that_has_a_small_heap_to_itself_may_keep_more_of_it_until_there_is_another() {
    for (pages, alone) in [(1, PAGE / 4), (12, SOLE_BYTES * 3 / 4), (40, SOLE_BYTES)] {
        let (cache, other) = (ThreadCache::new().unwrap(), ThreadCache::new().unwrap());
        let mut fixture = Fixture::of_pages(pages, [cache.rows(), other.rows()]);
        fixture.free_blocks(1).leave().unwrap();
        assert_eq!(cache.update_budget(&mut fixture.free_blocks(0)), Ok(alone));
        cache.refill(&mut fixture.free_blocks(0), 5).unwrap();
        let before = kept(&cache);
        fixture.free_blocks(0).depot.join(Arc::clone(other.rows()));
        let free_blocks = &mut fixture.free_blocks(0);
        assert_eq!(cache.update_budget(free_blocks), Ok(pages * PAGE / 16));
        assert!(before > 0 && (kept(&cache), free_blocks.depot.bytes()) == (0, before));
        assert_eq!(cache.rows.figure(SPARE), pages * PAGE / 16);
    }
}

#[test]
fn what_a_thread_shared_for_a_while_is_not_given_to_it_again() {
    let (mine, theirs, mut fixture) = pair();
    let alone = mine.update_budget(&mut fixture.free_blocks(0)).unwrap();
    theirs.update_budget(&mut fixture.free_blocks(1)).unwrap();
    assert_eq!(mine.update_budget(&mut fixture.free_blocks(0)), Ok(alone / 2));
    theirs.rest(&mut fixture.free_blocks(1)).unwrap();
    assert_eq!(mine.update_budget(&mut fixture.free_blocks(0)), Ok(alone));
    assert_eq!(mine.rows.figure(SPARE), alone);
}

#[test]
fn a_row_begins_with_a_small_part_of_the_heap_if_that_has_room_for_some() {
    // In the first the blocks of one row of large ones are the longest that may be.
    for pages in [36, 3, 300] {
        let (cache, other) = (ThreadCache::new().unwrap(), ThreadCache::new().unwrap());
        let mut fixture = Fixture::of_pages(pages, [cache.rows(), other.rows()]);
        let most = pages * PAGE / 16;
        for index in ROWS {
            cache.make_room(&mut fixture.free_blocks(0), index).unwrap();
            let (width, bytes) = (cache.rows.row(index).width(), row_bytes(index));
            assert_eq!(width > 0, 4 * bytes <= most, "row {index} of {pages} pages");
            let part = most / if index < DENSE_END { 64 } else { 16 };
            assert!(width <= 1 || width * bytes <= part && width <= 32);
            assert!(width == 0 || width == 32 || (width + 1) * bytes > part);
            cache.rest(&mut fixture.free_blocks(0)).unwrap();
        }
    }
}

#[test]
fn a_cache_is_over_idle_when_it_may_have_more_than_that_of_an_idle_thread() {
    for (pages, idle) in [(40, 40 * PAGE / 16 / 8), (400, IDLE_BYTES)] {
        let (cache, other) = (ThreadCache::new().unwrap(), ThreadCache::new().unwrap());
        let mut fixture = Fixture::of_pages(pages, [cache.rows(), other.rows()]);
        cache.update_budget(&mut fixture.free_blocks(0)).unwrap();
        let class = class_for(512 - HEADER, GRAIN).unwrap();
        cache.budget.reserve(class, idle / 512);
        assert_eq!(cache.rows.figure(OVER_IDLE), 0);
        cache.budget.reserve(class, 1);
        assert_eq!(cache.rows.figure(OVER_IDLE), 1);
    }
}

#[test]
fn giving_back_tells_whether_there_was_anything() {
    let (cache, _, mut fixture) = pair();
    let free_blocks = &mut fixture.free_blocks(0);
    cache.refill(free_blocks, 5).unwrap();
    assert_eq!(cache.give_back(free_blocks, 2), Ok(true));
    assert_eq!(cache.give_back(free_blocks, 1), Ok(true));
    assert_eq!(cache.give_back(free_blocks, 1), Ok(false));
}

#[test]
fn what_a_thread_has_published_is_anyones_and_the_rest_is_not() {
    let (mine, theirs, mut fixture) = pair();
    mine.refill(&mut fixture.free_blocks(0), 5).unwrap();
    assert_eq!(theirs.give_back(&mut fixture.free_blocks(1), 2), Ok(false));
    let all = kept(&mine);
    assert_eq!(theirs.give_back(&mut fixture.free_blocks(1), 1), Ok(true));
    let own = mine.rows.row(5).own();
    assert_eq!(kept(&mine), own as u64 * u64::from(CLASSES[5].stride));
    assert!(kept(&mine) > 0 && kept(&mine) < all);
    assert_eq!(cached(&fixture.free_blocks(0).heap), kept(&mine));
    for _ in 0..own {
        assert!(js(&mine, &fixture).pop(64).is_some());
    }
    assert!(js(&mine, &fixture).pop(64).or_else(|| js(&mine, &fixture).pop_older(64)).is_none());
    assert!(mine.refill(&mut fixture.free_blocks(0), 5).unwrap() > 0);
}

#[test]
fn a_thread_without_blocks_takes_those_that_another_freed_before_it_cuts_a_span() {
    let (mine, theirs, mut fixture) = pair();
    let mut blocks = Vec::new();
    while blocks.len() < 1_500 {
        mine.refill(&mut fixture.free_blocks(0), 5).unwrap();
        let pop = || js(&mine, &fixture).pop(64).or_else(|| js(&mine, &fixture).pop_older(64));
        blocks.extend(std::iter::from_fn(pop));
    }
    for &block in &blocks {
        free_into(&theirs, &mut fixture, 1, block);
    }
    let (own, runs) = (theirs.rows.row(5).own(), fixture.free_blocks(0).heap.free_runs());
    assert!(mine.refill(&mut fixture.free_blocks(0), 5).unwrap() > 0);
    let fetched = kept(&mine) + fixture.free_blocks(0).depot.bytes();
    assert_eq!(fetched, (blocks.len() - own) as u64 * u64::from(row_bytes(5)));
    assert_eq!(theirs.rows.row(5).blocks().len(), own);
    assert_eq!(fixture.free_blocks(0).heap.free_runs(), runs);
}

#[test]
fn a_full_stack_that_others_have_taken_from_only_moves_down() {
    let (mine, theirs, mut fixture) = pair();
    for _ in 0..mine.rows.row(5).slots().len() {
        let block = fixture.free_blocks(0).heap.malloc(64, GRAIN, Search::Quick).unwrap();
        fixture.live_blocks.set_live(block, 5);
        free_into(&mine, &mut fixture, 0, block);
    }
    assert_eq!(theirs.give_back(&mut fixture.free_blocks(1), 1), Ok(true));
    let left = kept(&mine);
    assert!(mine.rows.row(5).is_full() && left > 0);
    mine.make_room(&mut fixture.free_blocks(0), 5).unwrap();
    assert!(!mine.rows.row(5).is_full());
    assert_eq!((kept(&mine), fixture.free_blocks(0).depot.bytes()), (left, 0));
}

#[test]
fn a_large_block_that_another_thread_has_published_serves_and_the_others_come_along() {
    let (mine, theirs) = (ThreadCache::new().unwrap(), ThreadCache::new().unwrap());
    let mut fixture = Fixture::of_pages(400, [mine.rows(), theirs.rows()]);
    let take = |fixture: &mut Fixture, byte_length: u32| {
        mine.take_large(&mut fixture.free_blocks(0), byte_length).unwrap()
    };
    let keep = |fixture: &mut Fixture, byte_length: u32| -> Vec<u32> {
        let blocks = [byte_length; 30].map(|byte_length| live_block(fixture, byte_length));
        blocks.iter().for_each(|&block| free_into(&theirs, fixture, 1, block));
        blocks.into()
    };
    assert_eq!(take(&mut fixture, 44_000), None);
    let blocks = keep(&mut fixture, 44_000);
    let row = large_row(units_for(44_000, GRAIN)).unwrap();
    let published = blocks.len() - theirs.rows.row(row).own();
    assert!(published > 3);

    // Not given out: one that was freed twice and is in use, one whose header was written over.
    fixture.live_blocks.set_large(blocks[published - 1], 44_016);
    fixture.words[blocks[published - 2] as usize / 4 - 1].fetch_xor(1 << 10, Relaxed);
    let taken = take(&mut fixture, 43_000);
    assert_eq!(taken, Some(blocks[published - 3]));
    let (byte_length, size) = fixture.free_blocks(0).heap.read_header(taken.unwrap()).unwrap();
    assert_eq!((byte_length, fixture.live_blocks.large_size(taken.unwrap())), (43_000, Some(size)));
    let mut others = blocks[..published].to_vec();
    others.remove(published - 3);
    assert!(mine.rows.row(row).blocks().iter().map(|block| block.load(Relaxed)).eq(others));
    assert_eq!(take(&mut fixture, 43_000), None, "theirs is what is not published");

    // Of the length before, none is long enough.
    let short = keep(&mut fixture, 50_000);
    assert_eq!(take(&mut fixture, 51_000), None);
    assert_eq!(large_row(units_for(51_000, GRAIN)), large_row(units_for(50_000, GRAIN)));
    let came = mine.rows.row(large_row(units_for(50_000, GRAIN)).unwrap()).blocks().len();
    assert_eq!(
        came,
        short.len() - theirs.rows.row(large_row(units_for(50_000, GRAIN)).unwrap()).own()
    );
    assert!([2_000_000, 100].iter().all(|&byte_length| take(&mut fixture, byte_length).is_none()));
}

#[test]
fn a_thread_has_at_most_half_of_a_stack_to_itself_from_the_first() {
    let (cache, _, _) = pair();
    for figure in [SPARE, LARGE_SPARE] {
        cache.rows.set_figure(figure, u32::MAX / 2);
    }
    for row in ROWS {
        let width = cache.budget.first_width(row, u32::MAX);
        assert!(width > 1 && width as usize <= cache.rows.row(row).slots().len() / 2, "row {row}");
    }
}

#[test]
fn no_large_block_is_lost_when_others_cannot_be_put_back() {
    let (mine, theirs) = (ThreadCache::new().unwrap(), ThreadCache::new().unwrap());
    let mut fixture = Fixture::of_pages(400, [mine.rows(), theirs.rows()]);
    let blocks = [300_000; 6].map(|byte_length| live_block(&mut fixture, byte_length));
    blocks.iter().for_each(|&block| free_into(&theirs, &mut fixture, 1, block));
    let published =
        blocks.len() - theirs.rows.row(large_row(units_for(300_000, GRAIN)).unwrap()).own();
    assert!(published > 1);

    // Long for the heap once two threads are busy, as those are; freed twice, it is in use again.
    let twice = live_block(&mut fixture, 400_000);
    free_into(&mine, &mut fixture, 0, twice);
    let (_, size) = fixture.free_blocks(0).heap.read_header(twice).unwrap();
    fixture.live_blocks.set_large(twice, size);
    let taken = mine.take_large(&mut fixture.free_blocks(0), 300_000);
    assert_eq!(taken, Ok(Some(blocks[published - 1])));
    assert!(blocks[..published - 1].iter().all(|&block| fixture.live_blocks.is_free(block)));
}

#[test]
fn large_blocks_are_kept_and_given_back() {
    let (cache, other) = (ThreadCache::new().unwrap(), ThreadCache::new().unwrap());
    let mut fixture = Fixture::of_pages(200, [cache.rows(), other.rows()]);
    let lengths = [32_777, 40_000, 60_000, 100_000, 100_001];
    let blocks = lengths.map(|byte_length| {
        let free_blocks = &mut fixture.free_blocks(0);
        let block = free_blocks.heap.malloc(byte_length, GRAIN, Search::Quick).unwrap();
        give_out(&free_blocks.heap, free_blocks.live_blocks, block).unwrap();
        let head = js(&cache, &fixture).head_of_large(block);
        cache.make_room(&mut fixture.free_blocks(0), Rows::row_at(head).unwrap()).unwrap();
        assert!(js(&cache, &fixture).push_large(block));
        assert_eq!(fixture.live_blocks.large_size(block), None);
        block
    });
    // The classes have all that they may have, and yet an idle thread would not keep as much.
    let figures = [SPARE, LARGE_SPARE, OVER_IDLE].map(|figure| cache.rows.figure(figure));
    let budget = cache.budget.bytes();
    assert!(figures[0] == budget && figures[1] < budget && figures[2] == 1);
    let heap = fixture.free_blocks(0).heap;
    assert_eq!(heap.inspect(blocks[0]), Err(Fault::AlreadyFreed));
    assert_eq!(heap.stats().unwrap().block_count, 0);
    assert!(cached(&heap) > lengths.iter().map(|&length| u64::from(length)).sum());
    assert_eq!(js(&cache, &fixture).pop_large(60_000), Some(blocks[2]));
    assert_eq!(js(&cache, &fixture).pop_large(90_000), Some(blocks[4]));
    assert_eq!(js(&cache, &fixture).pop_large(37_000), Some(blocks[1]));
    assert_eq!(js(&cache, &fixture).pop_large(60_000), None);
    assert!([2, 4, 1].iter().all(|&live| fixture.live_blocks.large_size(blocks[live]).is_some()));
    cache.give_back(&mut fixture.free_blocks(0), 1).unwrap();
    assert_eq!((kept(&cache), cached(&fixture.free_blocks(0).heap)), (0, 0));
    assert!(fixture.live_blocks.is_free(blocks[0]) && fixture.live_blocks.is_free(blocks[3]));
    assert_eq!(fixture.free_blocks(0).heap.stats().unwrap().block_count, 3);
}

/// Takes a block from the heap and frees it. Returns it if the cache keeps it then.
fn keep_large(cache: &ThreadCache, fixture: &mut Fixture, byte_length: u32) -> Option<u32> {
    let block = live_block(fixture, byte_length);
    let row = Rows::row_at(js(cache, fixture).head_of_large(block)).unwrap();
    cache.make_room(&mut fixture.free_blocks(0), row).unwrap();
    js(cache, fixture).push_large(block).then_some(block)
}

fn live_block(fixture: &mut Fixture, byte_length: u32) -> u32 {
    let free_blocks = fixture.free_blocks(0);
    let block = free_blocks.heap.malloc(byte_length, GRAIN, Search::Quick).unwrap();
    give_out(&free_blocks.heap, free_blocks.live_blocks, block).unwrap();
    block
}

/// A cache that has a heap to itself in which blocks of 300,000 bytes are not long.
fn sole() -> (ThreadCache, Fixture) {
    let (cache, other) = (ThreadCache::new().unwrap(), ThreadCache::new().unwrap());
    let mut fixture = Fixture::of_pages(400, [cache.rows(), other.rows()]);
    fixture.free_blocks(1).leave().unwrap();
    (cache, fixture)
}

fn malloc_large(
    cache: &ThreadCache,
    fixture: &mut Fixture,
    byte_length: u32,
    search: Search,
) -> u32 {
    let free_blocks = &mut fixture.free_blocks(0);
    let block = cache.malloc_large(free_blocks, byte_length, GRAIN, search).unwrap();
    give_out(&free_blocks.heap, free_blocks.live_blocks, block).unwrap();
    block
}

/// Allocates so many blocks of 300,000 bytes, for each of which a row has 320 KiB, and has them wait.
fn let_wait(cache: &ThreadCache, fixture: &mut Fixture, count: usize) -> Vec<u32> {
    let blocks: Vec<_> = (0..count).map(|_| live_block(fixture, 300_000)).collect();
    blocks.iter().for_each(|&block| free_into(cache, fixture, 0, block));
    blocks
}

#[test]
fn a_large_block_lies_farther_up_than_any_before_while_few_bytes_wait() {
    let (cache, mut fixture) = sole();
    let last = let_wait(&cache, &mut fixture, 25)[24];
    let waiting = kept(&cache) + fixture.free_blocks(0).depot.bytes();
    assert!(waiting > 7 << 20 && waiting < 8 << 20);
    let moving = malloc_large(&cache, &mut fixture, 310_000, Search::Moving);
    assert!(moving > last);
    assert_eq!(fixture.free_blocks(0).depot.reach(), 0, "it may lie where the heap ends");
    let block = malloc_large(&cache, &mut fixture, 3_000_000, Search::Quick);
    assert!(block > moving);
    assert_eq!(fixture.free_blocks(0).depot.reach(), block + 3_000_000);
    assert_eq!(kept(&cache) + fixture.free_blocks(0).depot.bytes(), waiting);
}

#[test]
fn a_large_block_lies_where_many_bytes_wait_before_it_lies_much_farther_up() {
    for (search, live) in [(Search::Quick, 3), (Search::Moving, 2)] {
        let (cache, mut fixture) = sole();
        let blocks = let_wait(&cache, &mut fixture, 27);
        // Some of them in the depot.
        let row = large_row(units_for(300_000, GRAIN)).unwrap();
        cache.lay_down(&mut fixture.free_blocks(0), row, 6);
        fixture.free_blocks(0).depot.set_reach(blocks[26] + 1_000_000);
        let near = malloc_large(&cache, &mut fixture, 500_000, search);
        assert!(near > blocks[26], "not farther than any before");
        let mut block = malloc_large(&cache, &mut fixture, 600_000, search);
        if search == Search::Quick {
            assert!(block > near, "farther by less than a quarter of what waits");
            assert_eq!(fixture.free_blocks(0).depot.reach(), blocks[26] + 1_000_000);
            block = malloc_large(&cache, &mut fixture, 2_000_000, search);
        }
        assert_eq!(block, blocks[0]);
        assert!(blocks[7..].iter().all(|&block| fixture.live_blocks.is_free(block)));
        let free_blocks = fixture.free_blocks(0);
        let stats = free_blocks.heap.stats().unwrap();
        assert_eq!((kept(&cache), free_blocks.depot.bytes(), stats.cached_bytes), (0, 0, 0));
        assert_eq!(stats.block_count, live);
    }
}

#[test]
fn large_blocks_stay_of_whose_row_one_has_been_taken_since_many_waited_last() {
    let (cache, mut fixture) = sole();
    let blocks = let_wait(&cache, &mut fixture, 27);
    let taken = js(&cache, &fixture).pop_large(300_000).unwrap();
    free_into(&cache, &mut fixture, 0, taken);
    let far = malloc_large(&cache, &mut fixture, 3_000_000, Search::Quick);
    assert!(far > blocks[26]);
    assert_eq!(fixture.free_blocks(0).depot.reach(), far + 3_000_000);
    let block = malloc_large(&cache, &mut fixture, 3_000_000, Search::Quick);
    assert_eq!((block, kept(&cache)), (blocks[0], 0));
}

#[test]
fn a_block_that_moves_lies_in_the_shortest_that_waits_of_those_two_to_eight_times_as_long() {
    for (waiting, taken) in [
        (vec![78_000, 360_000], None),
        (vec![78_000, 330_000, 360_000], Some(1)),
        (vec![82_000, 330_000], Some(0)),
        (vec![200_000, 150_000, 78_000], Some(1)),
    ] {
        let (cache, mut fixture) = sole();
        let mut blocks = Vec::new();
        for &byte_length in &waiting {
            blocks.push(live_block(&mut fixture, byte_length));
            live_block(&mut fixture, 40_000);
        }
        blocks.iter().for_each(|&block| free_into(&cache, &mut fixture, 0, block));
        let before = kept(&cache);
        let block = malloc_large(&cache, &mut fixture, 40_000, Search::Quick);
        assert!(!blocks.contains(&block) && kept(&cache) == before);
        let block = malloc_large(&cache, &mut fixture, 40_000, Search::Moving);
        assert_eq!(blocks.iter().position(|&other| other == block), taken);
        let gone = taken
            .map_or(0, |taken| row_bytes(large_row(units_for(waiting[taken], GRAIN)).unwrap()));
        assert_eq!(kept(&cache), before - u64::from(gone));
    }
}

#[test]
fn large_blocks_that_are_long_for_the_heap_are_kept_and_most_in_common_until_it_is_asked_for_room()
{
    for (threads, maximum) in [(1, 300), (2, 300), (1, 6400), (2, 6400)] {
        let (cache, other) = (ThreadCache::new().unwrap(), ThreadCache::new().unwrap());
        let mut fixture = Fixture::up_to(maximum, 300, [cache.rows(), other.rows()]);
        if threads == 1 {
            fixture.free_blocks(1).leave().unwrap();
        }
        let budget = cache.update_budget(&mut fixture.free_blocks(0)).unwrap();
        keep_large(&cache, &mut fixture, 60_000).unwrap();
        let before = kept(&cache);
        let most = match threads {
            1 => SOLE_LONG_BYTES.max(maximum / 32 * PAGE),
            _ => budget,
        };
        for (round, byte_length) in [300_000, 340_000].into_iter().enumerate() {
            let block = live_block(&mut fixture, byte_length);
            let index = Rows::row_at(js(&cache, &fixture).head_of_large(block)).unwrap();
            let row = cache.rows.row(index);
            assert!(!js(&cache, &fixture).push_large(block), "not known to be long");
            cache.make_room(&mut fixture.free_blocks(0), index).unwrap();
            assert_eq!(kept(&cache), before, "nor the ones before");
            assert!(js(&cache, &fixture).push_large(block));
            assert_eq!(cache.rows.figure(OVER_IDLE), 1);
            let mut blocks = vec![block];
            loop {
                let next = live_block(&mut fixture, byte_length);
                if !js(&cache, &fixture).push_large(next) {
                    break;
                }
                blocks.push(next);
                assert!(row.own() as u32 * row_bytes(index) <= most);
            }
            assert_eq!(blocks.len(), row.slots().len());
            let own = row.own() as u32 * row_bytes(index);
            assert_eq!(own > SOLE_LONG_BYTES, most > SOLE_LONG_BYTES);
            let pop = || js(&cache, &fixture).pop_large(byte_length);
            for _ in 0..3 {
                let newest = [pop(), pop()].map(Option::unwrap);
                assert!(blocks.ends_with(&[newest[1], newest[0]]), "round {round}");
                assert!(newest.iter().rev().all(|&block| js(&cache, &fixture).push_large(block)));
            }
            if threads == 2 {
                let free_blocks = &mut fixture.free_blocks(1);
                let newest = blocks[blocks.len() - 1 - row.own()];
                assert_eq!(other.take_large(free_blocks, byte_length), Ok(Some(newest)));
                let own = row.own() as u64 * u64::from(row_bytes(index));
                assert_eq!((kept(&cache), kept(&other) > before), (before + own, true));
                other.put_long(free_blocks).unwrap();
            }
        }
        let free_blocks = &mut fixture.free_blocks(0);
        cache.put_long(free_blocks).unwrap();
        cache.put_long(free_blocks).unwrap();
        assert_eq!(kept(&cache), before);
        assert_eq!(free_blocks.heap.stats().unwrap().block_count as usize, 2 * threads);
        keep_large(&cache, &mut fixture, budget + UNIT).unwrap();
    }
}

#[test]
fn long_blocks_of_lengths_that_are_asked_for_stay_until_there_is_no_other_room() {
    let (cache, other) = (ThreadCache::new().unwrap(), ThreadCache::new().unwrap());
    let mut fixture = Fixture::of_pages(300, [cache.rows(), other.rows()]);
    fixture.free_blocks(1).leave().unwrap();
    let lengths = [1_500_000, 2_500_000];
    // Not known to be long, and then put back because of the other.
    for byte_length in lengths.repeat(3) {
        keep_large(&cache, &mut fixture, byte_length);
    }
    let ask = |cache: &ThreadCache, fixture: &Fixture| {
        for byte_length in lengths {
            let block = js(cache, fixture).pop_large(byte_length).unwrap();
            assert!(js(cache, fixture).push_large(block));
        }
    };
    ask(&cache, &fixture);
    let (before, spare) = (kept(&cache), cache.rows.figure(LONG_SPARE));
    malloc_large(&cache, &mut fixture, 1_000_000, Search::Quick);
    assert_eq!((kept(&cache), cache.rows.figure(LONG_SPARE)), (before, spare));
    malloc_large(&cache, &mut fixture, 1_000_000, Search::Quick);
    assert_eq!(kept(&cache), 0, "nobody has asked for them since");
    for byte_length in lengths {
        keep_large(&cache, &mut fixture, byte_length).unwrap();
    }
    let stayed = kept(&cache);
    while kept(&cache) == stayed {
        ask(&cache, &fixture);
        malloc_large(&cache, &mut fixture, 1_000_000, Search::Quick);
    }
    assert_eq!(kept(&cache), 0, "there is no other room");
    let free_blocks = fixture.free_blocks(0);
    assert!(free_blocks.heap.longest_run().unwrap() >= units_for(1_500_000, GRAIN));
}

#[test]
fn a_long_length_that_was_fetched_stays_where_there_is_room_for_more() {
    for (byte_length, stays) in [(1_500_000, true), (6_000_000, false)] {
        let (cache, other) = (ThreadCache::new().unwrap(), ThreadCache::new().unwrap());
        let mut fixture = Fixture::of_pages(300, [cache.rows(), other.rows()]);
        fixture.free_blocks(1).leave().unwrap();
        let block = malloc_large(&cache, &mut fixture, byte_length, Search::Quick);
        let index = Rows::row_at(js(&cache, &fixture).head_of_large(block)).unwrap();
        cache.make_room(&mut fixture.free_blocks(0), index).unwrap();
        assert!(js(&cache, &fixture).push_large(block));
        malloc_large(&cache, &mut fixture, 1_000_000, Search::Quick);
        assert_eq!(kept(&cache) > 0, stays, "{byte_length}");
    }
}

#[test]
fn other_blocks_that_are_long_for_the_heap_are_kept_one_by_one_up_to_a_quarter_of_it() {
    let (cache, other) = (ThreadCache::new().unwrap(), ThreadCache::new().unwrap());
    let mut fixture = Fixture::of_pages(2, [cache.rows(), other.rows()]);
    fixture.free_blocks(1).leave().unwrap();
    let most = cache.update_budget(&mut fixture.free_blocks(0)).unwrap();
    let class = class_for(9_000, GRAIN).unwrap();
    assert!(row_bytes(class) > most / 4);
    let blocks = [9_000; 10].map(|byte_length| live_block(&mut fixture, byte_length));
    cache.make_room(&mut fixture.free_blocks(0), class).unwrap();
    let push =
        |&&block: &&u32| js(&cache, &fixture).push(block) || js(&cache, &fixture).push_newer(block);
    assert_eq!(blocks.iter().filter(push).count() as u32, most / row_bytes(class));
    assert_eq!(cache.rows.row(class).own(), cache.rows.row(class).blocks().len());
    cache.put_long(&mut fixture.free_blocks(0)).unwrap();
    assert_eq!(kept(&cache), 0);
}

#[test]
fn what_was_long_for_the_heap_is_not_once_it_has_grown_and_there_are_many() {
    for (count, length) in [(LEAST_BLOCKS - 1, COMMON), (LEAST_BLOCKS, 0)] {
        let (cache, other) = (ThreadCache::new().unwrap(), ThreadCache::new().unwrap());
        let mut fixture = Fixture::of_pages(20, [cache.rows(), other.rows()]);
        let row = cache.rows.row(large_row(units_for(100_000, GRAIN)).unwrap());
        keep_large(&cache, &mut fixture, 100_000).unwrap();
        cache.put_long(&mut fixture.free_blocks(0)).unwrap();
        assert_eq!((row.length(), row.width()), (COMMON, 0));
        let mut grown = Fixture::of_pages(400, [cache.rows(), other.rows()]);
        let blocks = (0..count).map(|_| live_block(&mut grown, 100_000)).collect::<Vec<_>>();
        assert!(blocks.iter().all(|&block| js(&cache, &grown).push_large(block)));
        cache.update_budget(&mut grown.free_blocks(0)).unwrap();
        cache.put_long(&mut grown.free_blocks(0)).unwrap();
        assert_eq!((row.length(), row.width(), kept(&cache)), (length, 0, 0));
        keep_large(&cache, &mut grown, 100_000).unwrap();
        assert_eq!((row.own(), row.width() > 0), (1, true), "as soon as there is a native call");
    }
}

#[test]
fn a_row_that_is_not_long_any_more_keeps_its_room_when_long_blocks_go_back() {
    let (cache, other) = (ThreadCache::new().unwrap(), ThreadCache::new().unwrap());
    let mut small = Fixture::of_pages(20, [cache.rows(), other.rows()]);
    keep_large(&cache, &mut small, 100_000).unwrap();
    cache.put_long(&mut small.free_blocks(0)).unwrap();
    let mut grown = Fixture::of_pages(400, [cache.rows(), other.rows()]);
    let index = large_row(units_for(100_000, GRAIN)).unwrap();
    let row = cache.rows.row(index);
    cache.make_room(&mut grown.free_blocks(0), index).unwrap();
    let found = || (row.length(), row.width(), cache.rows.figure(LARGE_SPARE));
    let before = found();
    assert!(before.0 == 0 && before.1 > 0);
    for _ in 0..3 {
        // Of a row that has the same bit.
        keep_large(&cache, &mut grown, 1_600_000).unwrap();
        keep_large(&cache, &mut grown, 100_000).unwrap();
        cache.put_long(&mut grown.free_blocks(0)).unwrap();
        assert_eq!((found(), row.own()), (before, 1));
        js(&cache, &grown).pop_large(100_000).unwrap();
    }
}

#[test]
fn blocks_that_are_long_for_the_heap_go_back_before_a_span_is_cut() {
    let (cache, _, mut fixture) = pair();
    assert!(cache.update_budget(&mut fixture.free_blocks(0)).unwrap() < 4 * 60_000);
    keep_large(&cache, &mut fixture, 60_000).unwrap();
    let before = kept(&cache);
    let fetched = cache.refill(&mut fixture.free_blocks(0), 5).unwrap() as u64;
    assert_eq!(kept(&cache), fetched * u64::from(CLASSES[5].stride));
    keep_large(&cache, &mut fixture, 60_000).unwrap();
    cache.rows.row(5).fill(0);
    cache.refill(&mut fixture.free_blocks(0), 5).unwrap();
    assert!(kept(&cache) < before, "the second span too");
}

#[test]
fn draining_gives_back_all_blocks_but_those_freed_twice() {
    let (mine, theirs, mut fixture) = pair();
    let free_blocks = &mut fixture.free_blocks(0);
    for class in 1..DENSE_END {
        assert!(mine.refill(free_blocks, class).unwrap() > 0);
    }
    let block = mine.rows.row(5).blocks()[0].load(Relaxed);
    theirs.rows.row(5).slots()[0].store(block, Relaxed);
    theirs.rows.row(5).fill(1);
    assert_eq!(mine.drain(free_blocks), Ok(()));
    assert_eq!(theirs.drain(free_blocks), Err(Fault::FreedTwice));
    assert_eq!((kept(&mine), kept(&theirs)), (0, 0));
    assert_eq!(cached(&free_blocks.heap), 0);
}

#[test]
fn what_a_thread_leaves_behind_has_left_its_cache() {
    let (mine, theirs, mut fixture) = pair();
    let free_blocks = &mut fixture.free_blocks(0);
    mine.refill(free_blocks, 5).unwrap();
    mine.refill(free_blocks, DENSE_END - 1).unwrap();
    let left = kept(&mine);
    mine.leave_behind(free_blocks.depot, 0);
    assert_eq!((kept(&mine), reserved(&mine), cached(&free_blocks.heap)), (0, 0, left));
    assert_eq!(free_blocks.depot.busy_with(1), 1);
    assert_eq!(free_blocks.put_left_behind(), Ok(()));
    assert_eq!((kept(&theirs), cached(&free_blocks.heap)), (0, 0));
}

#[test]
fn figures_that_cannot_be_are_survived() {
    let (cache, _, mut fixture) = pair();
    let free_blocks = &mut fixture.free_blocks(0);
    let head = |word: usize| &cache.rows.words()[2 * crate::process::rows::HEAD_WORDS + word];
    for word in OWN..=WIDTH {
        for figure in [0, 1, 0xffff, 0x7fff_ffff, u32::MAX] {
            let stride = head(word).swap(figure, Relaxed);
            drop(cache.make_room(free_blocks, 2));
            drop(cache.refill(free_blocks, 2));
            drop(cache.drain(free_blocks));
            head(LIMITS).store(CLASSES[2].stride, Relaxed);
            assert!(stride == 0 || cache.rows.row(2).blocks().is_empty());
        }
    }
    assert!(cache.refill(free_blocks, 2).unwrap() > 0);
}
