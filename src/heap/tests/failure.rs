//! A call that fails on a damaged heap leaves its block as it was: once the damage is mended,
//! nothing is lost.

use std::sync::atomic::Ordering::Relaxed;

use super::corruption::small_heap;
use super::properties::verify;
use crate::fault::Fault;
use crate::heap::inspect::walk::Piece;
use crate::heap::measures::{LISTED, WORDS_PER_UNIT};
use crate::heap::size_class::CLASSES;
use crate::heap::span::{BITS, COUNTS};
use crate::heap::superblock::field;
use crate::heap::unit_kind::UnitKind;
use crate::heap::{GRAIN, HEADER, Heap, Search, UNIT, class_for};
use crate::tests::fixture::{copy_of, pages, restore, whole_heap};

/// Pages of the heap.
const PAGES: u32 = 8;

/// Damages each used word of the records, one at a time, and calls `act` with a block of its
/// choice. When `act` fails and the word is mended, the heap is as it was. Returns how often `act`
/// failed.
fn fails_whole(
    block_of: impl Fn(&Blocks) -> u32,
    act: impl Fn(&Heap<'_>, u32) -> Result<(), Fault>,
) -> u32 {
    let records: Vec<u32> = {
        let words = pages(PAGES);
        Blocks::of(&small_heap(&words).0);
        let used = |&word: &u32| words[word as usize].load(Relaxed) != 0;
        (GRAIN / 4..2 * UNIT / 4).filter(used).collect()
    };
    let mut failures = 0;
    for word in records {
        for damage in [u32::MAX, 1, 1 << 12] {
            let words = pages(PAGES);
            let (heap, _) = small_heap(&words);
            let block = block_of(&Blocks::of(&heap));
            let (header, stats) = (heap.inspect(block), heap.stats());
            let old = words[word as usize].fetch_xor(damage, Relaxed);
            let outcome = act(&heap, block);
            if outcome.is_ok() {
                continue;
            }
            failures += 1;
            words[word as usize].store(old, Relaxed);
            assert_eq!((heap.inspect(block), heap.stats()), (header, stats), "word {word}");
            verify(&heap);
            heap.free(block).expect("live");
        }
    }
    failures
}

/// Blocks with free runs around them, of several lengths, and blocks of spans.
struct Blocks {
    large: u32,
    last_of_span: u32,
    in_full_span: u32,
    only_one: u32,
}

impl Blocks {
    fn of(heap: &Heap<'_>) -> Self {
        let take = |size| heap.malloc(size, GRAIN, Search::Quick).expect("room");
        let larges: Vec<_> = (0..5).map(|_| take(40 * UNIT)).collect();
        let last_of_span = take(3000);
        let only_one = take(32_768);
        let mut in_full_span = take(1000);
        let full = class_for(1000, GRAIN).expect("a class") as u32 + field::PARTIAL;
        while heap.field(full) != Ok(0) {
            in_full_span = take(1000);
        }
        for around in [larges[0], larges[2], larges[4]] {
            heap.free(around).expect("live");
        }
        verify(heap);
        Self { large: larges[1], last_of_span, in_full_span, only_one }
    }
}

#[test]
fn a_resize_of_a_large_block_that_fails_changes_nothing() {
    let shorter = |heap: &Heap<'_>, block| heap.resize(block, 35 * UNIT, true).map(drop);
    let longer = |heap: &Heap<'_>, block| heap.resize(block, 45 * UNIT, true).map(drop);
    assert!(fails_whole(|blocks| blocks.large, shorter) > 10);
    assert!(fails_whole(|blocks| blocks.large, longer) > 10);
}

#[test]
fn a_free_that_fails_changes_nothing() {
    let free = |heap: &Heap<'_>, block| heap.free(block);
    assert!(fails_whole(|blocks| blocks.large, free) > 10);
    assert!(fails_whole(|blocks| blocks.last_of_span, free) > 5);
    assert!(fails_whole(|blocks| blocks.in_full_span, free) > 5);
    assert!(fails_whole(|blocks| blocks.only_one, free) > 5);
}

/// The words of all links, each with what else could be there: another member of some list, or none.
/// That a member is the last one cannot be confirmed.
fn links(heap: &Heap<'_>) -> Vec<(u32, Vec<u32>)> {
    let (mut runs, mut spans) = (Vec::new(), Vec::new());
    heap.each_piece(|piece| {
        match piece {
            Piece::Free(start, units) if units >= LISTED => runs.push(start),
            Piece::Span(span) if span.free > 0 => spans.push(span.unit),
            _ => {}
        }
        Ok(())
    })
    .expect("sound");
    let map = heap.segment(0).expect("a segment").map;
    let or_none = |members: &[u32]| [members, &[0]].concat();
    let of_runs = runs.iter().flat_map(|&run| {
        let next = runs.iter().map(|&run| UnitKind::Next(run).pack()).collect();
        let previous = or_none(&runs).into_iter().map(|run| UnitKind::Previous(run).pack());
        [(map + run + 1, next), (map + run + 2, previous.collect())]
    });
    let of_spans = spans.iter().flat_map(|&span| {
        let record = span * WORDS_PER_UNIT;
        [(record, spans.clone()), (record + 1, or_none(&spans))]
    });
    of_runs.chain(of_spans).collect()
}

type Act<'a> = &'a dyn Fn(&Heap<'_>) -> Result<(), Fault>;

#[test]
fn a_link_that_leads_elsewhere_loses_nothing() {
    let words = pages(24);
    let heap = whole_heap(&words, 24);
    let take = |byte_length| heap.malloc(byte_length, GRAIN, Search::Quick).expect("room");
    // Free runs of 40 units, and longer ones, with blocks between them.
    let larges = [40, 40, 40, 40, 40, 40, 40, 120, 40, 80, 40, 300, 40]
        .map(|units| take(units * UNIT - GRAIN - HEADER));
    let unit_of = |block: u32| heap.span_around(block / UNIT).unwrap().unwrap().unit;
    // Spans with some free blocks, with none, and with all.
    let blocks: Vec<_> = (0..200).map(|_| take(1_000)).collect();
    let spans: Vec<_> = blocks.chunk_by(|&one, &other| unit_of(one) == unit_of(other)).collect();
    let free = |block: &u32| heap.free(*block).expect("live");
    [0, 2, 4, 7, 9, 11].iter().for_each(|&index| free(&larges[index]));
    spans[0].iter().for_each(free);
    spans[1][1..].iter().for_each(free);
    spans[2..4].iter().for_each(|span| free(&span[0]));
    verify(&heap);
    let acts: [Act<'_>; 8] = [
        &|heap| heap.free(larges[1]),
        &|heap| heap.free(larges[3]),
        &|heap| heap.free(larges[5]),
        &|heap| heap.free(larges[6]),
        &|heap| heap.free(spans[1][0]),
        &|heap| heap.free(spans[4][0]),
        &|heap| heap.malloc(40 * UNIT - 100, GRAIN, Search::Quick).map(drop),
        &|heap| heap.malloc(100 * UNIT, 64 * UNIT, Search::Quick).map(drop),
    ];
    let (sound, stats, mut failures) = (copy_of(&words), heap.stats(), [0; 8]);
    let links = links(&heap);
    for (act, failures) in acts.iter().zip(&mut failures) {
        act(&heap).expect("sound");
        let done = copy_of(&words);
        restore(&words, &sound);
        for (index, others) in &links {
            let (word, old) = (&words[*index as usize], sound[*index as usize]);
            // What the call writes there is no damage.
            let is_damage = |&&other: &&u32| other != old && other != done[*index as usize];
            for &other in others.iter().filter(is_damage) {
                word.store(other, Relaxed);
                let outcome = act(&heap);
                let _ = word.compare_exchange(other, old, Relaxed, Relaxed);
                verify(&heap);
                if outcome.is_err() {
                    *failures += 1;
                    assert_eq!(outcome, Err(Fault::Corrupted));
                    assert_eq!(heap.stats(), stats);
                }
                restore(&words, &sound);
            }
        }
    }
    assert!(failures.iter().all(|&failures| failures > 0), "{failures:?}");
}

#[test]
fn what_cannot_be_put_back_is_refused_and_the_others_are_back() {
    let words = pages(PAGES);
    let heap = whole_heap(&words, PAGES);
    let class = class_for(200, GRAIN).unwrap();
    let large = heap.malloc(40_000, GRAIN, Search::Quick).unwrap();
    let (_, size) = heap.read_header(large).unwrap();
    let mut kept = Vec::new();
    heap.take_spans(class, 4, Search::Quick, |block| kept.push(block)).unwrap();
    let live = kept.pop().unwrap();
    let stride = CLASSES[class].stride;
    heap.write_header(live, 200, stride).unwrap();
    heap.write_header(large, 0, size).unwrap();
    let before = heap.stats().unwrap();
    let put = |blocks: &[u32]| heap.put_unused_blocks(blocks.iter().copied());
    for (refused, fault) in [
        (live, Fault::FreedTwice),
        (live + GRAIN, Fault::FreedTwice),
        (large + GRAIN, Fault::FreedTwice),
    ] {
        assert_eq!(put(&[refused]), Err(fault));
        assert_eq!(heap.stats().unwrap(), before);
    }
    let spoilt = kept[1];
    heap.write_header(spoilt, 0, stride + 1).unwrap();
    assert_eq!(put(&[kept[0], spoilt, kept[0], kept[2]]), Err(Fault::Corrupted), "the first fault");
    assert_eq!(put(&[kept[0]]), Err(Fault::FreedTwice));
    heap.write_header(spoilt, 0, stride).unwrap();
    assert_eq!(put(&[large, spoilt]), Ok(()));
    assert_eq!(put(&kept[3..]), Ok(()));
    let stats = heap.stats().unwrap();
    assert_eq!((stats.cached_bytes, stats.block_count), (0, 1));
    verify(&heap);
}

#[test]
fn a_span_that_says_all_is_free_takes_no_block_back() {
    let words = pages(PAGES);
    let heap = whole_heap(&words, PAGES);
    let block = heap.malloc(200, GRAIN, Search::Quick).unwrap();
    let span = heap.span_around(block / UNIT).unwrap().unwrap();
    let counts = (span.unit * WORDS_PER_UNIT + COUNTS) as usize;
    let old = words[counts].fetch_add(1, Relaxed);
    assert_eq!(heap.free(block), Err(Fault::Corrupted));
    words[counts].store(old, Relaxed);
    assert_eq!(heap.free(block), Ok(()));
    // Nor is one that waits to be used again given up while a bit says that a block is in use.
    let bits = (span.unit * WORDS_PER_UNIT + BITS) as usize;
    let old = words[bits].swap(0, Relaxed);
    assert_eq!(heap.free_spare_spans(), Err(Fault::Corrupted));
    words[bits].store(old, Relaxed);
    verify(&heap);
    assert_eq!(heap.free_spare_spans(), Ok(()));
}
