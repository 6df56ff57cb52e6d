//! Where blocks come to lie: far down, so that what is used stays together; and what a small heap
//! spends on them.

use crate::fault::Fault;
use crate::heap::measures::{LISTED, PAGE};
use crate::heap::size_class::{CLASSES, DENSE_END, class_for};
use crate::heap::{Bounds, GRAIN, HEADER, Heap, Search, UNIT, over};
use crate::tests::fixture::{heap_in, pages, whole_heap};

/// A large block that takes `units` units.
fn take(heap: &Heap<'_>, units: u32, search: Search) -> u32 {
    heap.malloc(units * UNIT - GRAIN - HEADER, GRAIN, search).unwrap()
}

/// Makes free runs of these lengths in units, in ascending order of address, that no neighbours
/// join; the last one is freed last. Returns where blocks in them would lie.
fn make_runs(heap: &Heap<'_>, lengths: &[u32]) -> Vec<u32> {
    let runs = lengths.iter().map(|&units| {
        let block = take(heap, units, Search::Quick);
        take(heap, LISTED, Search::Quick);
        block
    });
    let runs: Vec<_> = runs.collect();
    runs.iter().for_each(|&block| heap.free(block).unwrap());
    runs
}

#[test]
fn only_a_heap_that_can_grow_is_cheap_or_dear_to_grow() {
    for (length, maximum, cheap, dear) in [
        (32, 33, true, false),
        (33, 34, false, true),
        (32, 32, false, false),
        (40, 40, false, false),
    ] {
        let words = pages(length);
        let heap = whole_heap(&words, maximum);
        let found = (heap.is_cheap_to_grow().unwrap(), heap.is_dear_to_grow().unwrap());
        assert_eq!(found, (cheap, dear), "{length} pages of {maximum}");
    }
}

#[test]
fn what_is_free_is_in_pieces_when_none_is_a_quarter_of_the_heap() {
    let words = pages(64);
    let heap = whole_heap(&words, 64);
    let quarter = heap.total_units().unwrap() / 4;
    let first = take(&heap, quarter, Search::Quick);
    while heap.longest_run().unwrap() >= quarter / 2 {
        take(&heap, quarter / 2, Search::Quick);
    }
    assert!(heap.is_in_pieces().unwrap());
    heap.free(first).unwrap();
    assert!(!heap.is_in_pieces().unwrap());
    take(&heap, quarter / 8, Search::Quick);
    take(&heap, quarter / 8, Search::Quick);
    assert!(heap.is_in_pieces().unwrap());
}

#[test]
fn a_short_block_in_a_full_heap_lies_in_the_place_of_a_little_longer_one_or_is_misplaced() {
    let words = pages(40);
    let heap = whole_heap(&words, 40);
    let fill = |byte_length| {
        let one = |_: &u32| heap.malloc(byte_length, GRAIN, Search::Exhaustive).ok();
        std::iter::successors(one(&0), one).collect::<Vec<_>>()
    };
    let longer = fill(2_000);
    fill(100);
    heap.free(longer[7]).unwrap();
    let stride = CLASSES[class_for(2_000, GRAIN).unwrap()].stride;
    let least = stride * 3 / 4;
    assert_eq!(heap.malloc(1_000, GRAIN, Search::Exhaustive), Err(Fault::OutOfMemory));
    assert_eq!(heap.malloc(least, GRAIN, Search::Exhaustive), Ok(longer[7]));
    assert_eq!(heap.misplaced_bytes(), Ok(0));
    heap.free(longer[7]).unwrap();
    assert_eq!(heap.misplace(100, GRAIN), Ok(longer[7]));
    let wasted = stride - CLASSES[class_for(100, GRAIN).unwrap()].stride;
    assert_eq!((heap.misplaced_bytes(), over(100, stride)), (Ok(wasted.into()), wasted));
    assert_eq!([over(least, stride), over(2_000, stride), over(40_000, 41_000)], [0; 3]);
    assert_eq!(heap.misplace(100, GRAIN), Err(Fault::OutOfMemory));
    heap.check(&mut |damage| panic!("{damage:?}"));
}

#[test]
fn a_block_lies_in_the_lowest_run_that_has_room() {
    let words = pages(40);
    let heap = whole_heap(&words, 40);
    let runs = make_runs(&heap, &[32, 64, 34, 34]);
    for place in [runs[1], runs[2], runs[3]] {
        assert_eq!(take(&heap, 34, Search::Quick), place);
    }
    assert_eq!(take(&heap, 32, Search::Quick), runs[0]);
}

#[test]
fn a_block_that_moves_lies_in_the_run_that_fits_best() {
    let words = pages(40);
    let heap = whole_heap(&words, 40);
    let runs = make_runs(&heap, &[64, 34]);
    assert_eq!(take(&heap, 34, Search::Moving), runs[1]);
}

#[test]
fn a_block_that_moves_lies_at_the_end_of_a_heap_that_can_grow() {
    for (maximum, is_at_end) in [(40, true), (4, false)] {
        let words = pages(4);
        let heap = whole_heap(&words, maximum);
        let block = take(&heap, 34, Search::Moving);
        assert_eq!(block / UNIT + 34 == 4 * PAGE / UNIT, is_at_end, "{maximum}");
    }
}

#[test]
fn a_block_that_grows_between_two_runs_seldom_moves() {
    let words = pages(4);
    let heap = whole_heap(&words, 40);
    let runs = make_runs(&heap, &[64, 80]);
    let rest = free_units(&heap) - 64 - 80;
    take(&heap, rest, Search::Quick);
    let mut block = take(&heap, 40, Search::Moving);
    assert_eq!(block, runs[0]);
    let mut moves = 0;
    for units in 41..=80 {
        let byte_length = units * UNIT - GRAIN - HEADER;
        if heap.resize(block, byte_length, false) != Ok(0) {
            let moved = take(&heap, units, Search::Moving);
            heap.free(block).unwrap();
            (block, moves) = (moved, moves + 1);
        }
    }
    assert_eq!((block, moves), (runs[1], 1));
}

fn free_units(heap: &Heap<'_>) -> u32 {
    heap.free_runs().unwrap().iter().map(|&(_, units)| units).sum()
}

/// A block that takes all of a stride of `stride` bytes.
fn small(heap: &Heap<'_>, stride: u32) -> u32 {
    heap.malloc(stride - HEADER, GRAIN, Search::Quick).unwrap()
}

#[test]
fn the_first_block_of_a_class_takes_no_more_units_than_it_must() {
    let words = pages(4);
    for geometry in &CLASSES[1..DENSE_END] {
        let heap = whole_heap(&words, 4);
        let before = free_units(&heap);
        small(&heap, geometry.stride);
        assert_eq!(before - free_units(&heap), geometry.first_units, "{geometry:?}");
        assert!(geometry.first_units <= geometry.least_units() + 3, "{geometry:?}");
    }
}

/// Three short spans, the second of which is free: its units are too few to be in a bin. Returns
/// the first of them.
fn make_gap(heap: &Heap<'_>, stride: u32) -> u32 {
    let [_, between, _] = [64, stride, 80].map(|stride| small(heap, stride));
    heap.free(between).unwrap();
    heap.free_spare_spans().unwrap();
    between / UNIT
}

#[test]
fn a_short_span_lies_in_units_that_are_in_no_bin() {
    let words = pages(32);
    let heap = whole_heap(&words, 32);
    let gap = make_gap(&heap, 448);
    // One that has units and more, a run that is too long to be one, and a large block are below.
    assert_ne!(small(&heap, 1_296) / UNIT, gap);
    let runs = make_runs(&heap, &[32]);
    assert_eq!(small(&heap, 96) / UNIT, gap);
    assert!(small(&heap, 112) / UNIT > gap);
    assert_eq!(runs.len(), 1);
}

#[test]
fn units_of_a_large_heap_are_found_again_by_their_bin() {
    let words = pages(33);
    let heap = whole_heap(&words, 33);
    let gap = make_gap(&heap, 448);
    assert_eq!(heap.free_runs().unwrap()[0], (gap, LISTED));
    assert_eq!(small(&heap, 96) / UNIT, gap);
}

#[test]
fn a_large_heap_does_not_look_at_all_of_its_map() {
    for (count, is_small) in [(32, true), (33, false)] {
        let words = pages(count);
        let heap = whole_heap(&words, count);
        take_all_but(&heap, 1);
        assert_eq!(free_units(&heap), 1);
        let block = heap.malloc(40, GRAIN, Search::Quick);
        assert_eq!(block.is_ok(), is_small, "{count} pages: {block:?}");
    }
}

#[test]
fn units_that_are_in_no_bin_are_used_before_there_is_no_room() {
    let words = pages(4);
    let heap = whole_heap(&words, 4);
    let gap = make_gap(&heap, 512);
    while heap.malloc(LISTED * UNIT - GRAIN - HEADER, GRAIN, Search::Quick).is_ok() {}
    // Too long for the gap: its first span has two units and more.
    let too_long = heap.malloc(2_064 - HEADER, GRAIN, Search::Exhaustive);
    assert_eq!(too_long, Err(Fault::OutOfMemory));
    // It would have three, but two hold one block.
    assert_eq!(CLASSES[class_for(1_296 - HEADER, GRAIN).unwrap()].first_units, LISTED);
    assert_eq!(small(&heap, 1_296) / UNIT, gap);
    assert_eq!(heap.malloc(1_296 - HEADER, GRAIN, Search::Quick), Err(Fault::OutOfMemory));
}

/// Takes units until `left` are free in one piece.
fn take_all_but(heap: &Heap<'_>, left: u32) {
    let free = heap.free_runs().unwrap().into_iter().map(|run| run.1).max().unwrap();
    take(heap, free - left, Search::Quick);
}

/// The stride of what serves `byte_length` bytes at `align`.
fn served_by(heap: &Heap<'_>, byte_length: u32, align: u32) -> u32 {
    let pointer = heap.malloc(byte_length, align, Search::Quick).unwrap();
    heap.inspect(pointer).unwrap().1
}

#[test]
fn a_small_heap_that_is_nearly_full_gives_longer_blocks() {
    let words = pages(4);
    let heap = whole_heap(&words, 4);
    for stride in [320, 272, 256, 176, 32] {
        small(&heap, stride);
    }
    take_all_but(&heap, 4 * 64 / 8 - 1);
    assert_eq!(served_by(&heap, 288 - HEADER, GRAIN), 320);
    assert_eq!(served_by(&heap, 256 - HEADER, 128), 256, "at its alignment");
    assert_eq!(served_by(&heap, 224 - HEADER, GRAIN), 256, "the shortest");
    assert_eq!(served_by(&heap, 112 - HEADER, GRAIN), 112, "but none much longer");
    assert_eq!(served_by(&heap, 144 - HEADER, GRAIN), 176);
    assert_eq!(served_by(&heap, 16 - HEADER, GRAIN), 32, "a grain more");
    assert_eq!(served_by(&heap, 272 - HEADER, GRAIN), 272, "its own first");
}

#[test]
fn blocks_are_no_longer_than_they_must_be_where_there_is_room() {
    for (count, maximum, left) in [(4, 4, 32), (4, 5, 31), (33, 33, 31)] {
        let words = pages(count);
        let heap = whole_heap(&words, maximum);
        small(&heap, 320);
        take_all_but(&heap, left);
        assert_eq!(served_by(&heap, 288 - HEADER, GRAIN), 288, "{count} of {maximum}");
    }
}

#[test]
fn spans_are_short_where_units_are_scarce() {
    let units = |left: u32| {
        // At an address that mixed units have none at.
        let words = pages(40);
        let bounds = Bounds { start: 36 * PAGE, end_page: 40, maximum: 40, owns_all: false };
        let heap = heap_in(&words, bounds);
        small(&heap, 1_040);
        take_all_but(&heap, left);
        let first = free_units(&heap);
        while free_units(&heap) == first {
            small(&heap, 1_040);
        }
        first - free_units(&heap)
    };
    let geometry = &CLASSES[class_for(1_040 - HEADER, GRAIN).unwrap()];
    assert!(geometry.first_units < geometry.few_units);
    assert_eq!([31, 40].map(units), [geometry.first_units, geometry.few_units]);
}
