//! A call that fails on a damaged heap leaves its block as it was: once the damage is mended,
//! nothing is lost.

use std::sync::atomic::Ordering::Relaxed;

use super::corruption::small_heap;
use super::properties::verify;
use crate::fault::Fault;
use crate::heap::superblock::field;
use crate::heap::{GRAIN, Heap, Search, UNIT, class_for};
use crate::tests::fixture::pages;

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
        let larges: Vec<_> = (0..5).map(|_| take(9 * UNIT)).collect();
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
    let shorter = |heap: &Heap<'_>, block| heap.resize(block, 8 * UNIT, true).map(drop);
    let longer = |heap: &Heap<'_>, block| heap.resize(block, 12 * UNIT, true).map(drop);
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
