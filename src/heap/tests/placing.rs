//! Where blocks come to lie: far down, so that what is used stays together; and how many units the
//! first block of a class takes.

use crate::heap::measures::LISTED;
use crate::heap::size_class::{CLASSES, DENSE_END};
use crate::heap::{GRAIN, HEADER, Heap, Search, UNIT};
use crate::tests::fixture::{pages, whole_heap};

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
fn the_first_block_of_a_class_takes_no_more_units_than_it_must() {
    let words = pages(4);
    for geometry in &CLASSES[1..DENSE_END] {
        let heap = whole_heap(&words, 4);
        let free = |heap: &Heap<'_>| -> u32 {
            heap.free_runs().unwrap().iter().map(|&(_, units)| units).sum()
        };
        let before = free(&heap);
        heap.malloc(geometry.stride - HEADER, GRAIN, Search::Quick).unwrap();
        assert_eq!(before - free(&heap), geometry.first_units, "{geometry:?}");
        assert!(geometry.first_units <= geometry.least_units().max(LISTED) + 2, "{geometry:?}");
    }
}
