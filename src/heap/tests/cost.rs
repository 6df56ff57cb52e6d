//! What calls cost, in words that they read and write: it does not grow with the block, nor with
//! the heap.

use crate::heap::words::steps::{READ, WRITTEN};
use crate::heap::{GRAIN, Heap, Search, UNIT};
use crate::tests::fixture::{Random, pages, whole_heap};

/// Words that `act` reads, and that it writes.
fn cost(act: impl FnOnce()) -> (u64, u64) {
    let before = (READ.get(), WRITTEN.get());
    act();
    (READ.get() - before.0, WRITTEN.get() - before.1)
}

/// A heap in which blocks of many sizes were allocated and every second one freed.
fn use_heap(heap: &Heap<'_>) {
    let mut random = Random(5);
    let mut take = || heap.malloc(1 + random.below(90_000), GRAIN, Search::Quick).unwrap();
    let blocks: Vec<_> = (0..200).map(|_| take()).collect();
    blocks.iter().step_by(2).for_each(|&block| heap.free(block).unwrap());
}

#[test]
fn a_large_block_costs_few_words_whatever_its_length() {
    let words = pages(600);
    let heap = whole_heap(&words, 600);
    use_heap(&heap);
    for units in [33, 100, 1_000, 10_000] {
        let mut block = 0;
        let (read, written) = cost(|| {
            block = heap.malloc(units * UNIT, GRAIN, Search::Quick).unwrap();
        });
        assert!(read < 60 && written < 25, "{units} units: {read} read, {written} written");
        let (read, written) = cost(|| heap.free(block).unwrap());
        assert!(read < 60 && written < 25, "{units} units: {read} read, {written} written");
    }
}

#[test]
fn a_block_of_a_span_costs_few_words_besides_those_of_its_units() {
    let words = pages(600);
    let heap = whole_heap(&words, 600);
    use_heap(&heap);
    for byte_length in [1, 100, 1_000, 30_000] {
        let fresh = |count: u32| {
            cost(|| (0..count).for_each(|_| drop(heap.malloc(byte_length, GRAIN, Search::Quick))))
        };
        fresh(100);
        let (read, written) = fresh(100);
        let units = u64::from(byte_length.div_ceil(UNIT));
        let most = (100 * 60, 100 * (10 + units * 3 / 2));
        assert!(read < most.0 && written < most.1, "{byte_length}: {read}, {written}");
    }
}
