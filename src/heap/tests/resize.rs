//! When a block that is resized stays where it is, and what it takes and leaves there: for blocks
//! of every class, and for large ones with any room behind them, next to a model in a few numbers.

use crate::heap::measures::{HEADER, LISTED};
use crate::heap::tests::properties::verify;
use crate::heap::{CLASSES, GRAIN, Heap, Search, UNIT, class_for};
use crate::tests::fixture::{copy_of, pages, restore, whole_heap};

const PAGES: u32 = 30;

#[test]
fn a_block_of_a_span_stays_while_it_fits_and_half_of_it_is_used() {
    for (class, geometry) in CLASSES.iter().enumerate().skip(1) {
        let words = pages(PAGES);
        let heap = whole_heap(&words, PAGES);
        let room = geometry.stride - HEADER;
        let block = heap.take_block(class, Search::Quick).unwrap();
        heap.write_header(block, room, geometry.stride).unwrap();
        let mut length = room;
        let lengths = [1, room / 2 - 1, room / 2, room / 2 + 1, room, room + 1, u32::MAX];
        for (wanted, stay) in
            lengths.into_iter().flat_map(|wanted| [(wanted, false), (wanted, true)])
        {
            let fits = wanted > 0 && wanted <= room && (stay || wanted >= room / 2);
            let resized = heap.resize(block, wanted, stay);
            if wanted > 0 {
                assert_eq!(resized, Ok(if fits { 0 } else { length }));
                length = if fits { wanted } else { length };
                assert_eq!(heap.inspect(block), Ok((length, geometry.stride)));
            }
        }
    }
}

/// Units from a large block's start to the header behind it.
fn units_of(byte_length: u32, align: u32) -> u32 {
    let before = u64::from(align.clamp(GRAIN, UNIT));
    let bytes = before + u64::from(byte_length) + u64::from(HEADER);
    (bytes.div_ceil(u64::from(UNIT)) as u32).max(LISTED)
}

/// A large block of `byte_length` bytes with free units right behind it, and a live block behind
/// those.
fn block_before_free_units(heap: &Heap<'_>, byte_length: u32, align: u32, free: u32) -> u32 {
    let take = |length, align| heap.malloc(length, align, Search::Quick).unwrap();
    let block = take(byte_length, align);
    let behind = take(free * UNIT - GRAIN - HEADER, GRAIN);
    take(100 * UNIT, GRAIN);
    heap.free(behind).unwrap();
    block
}

#[test]
fn a_large_block_takes_the_units_that_it_needs_and_leaves_the_others() {
    for align in [GRAIN, 64, 512, UNIT, 4_096] {
        for (length, free) in [(40_000, 33), (90_001, 40), (200_000, 64), (65_536, 300)] {
            let words = pages(PAGES);
            let heap = whole_heap(&words, PAGES);
            let block = block_before_free_units(&heap, length, align, free);
            let (begin, before) = (block - align.min(UNIT), copy_of(&words));
            let all = units_of(length, align) + free;
            let most = all * UNIT - align.clamp(GRAIN, UNIT) - HEADER;
            let lengths =
                [1, 20_000, 32_776, 32_777, length - 1, length, length + 1, length + UNIT];
            for wanted in lengths.into_iter().chain([most - 1, most, most + 1, u32::MAX]) {
                for stay in [false, true] {
                    let fits = wanted <= most && (stay || class_for(wanted, GRAIN).is_none());
                    let resized = heap.resize(block, wanted, stay);
                    assert_eq!(resized, Ok(if fits { 0 } else { length }));
                    if fits {
                        let units = units_of(wanted, align);
                        let size = units * UNIT - align.clamp(GRAIN, UNIT);
                        assert_eq!(heap.inspect(block), Ok((wanted, size)));
                        let left = (begin / UNIT + units, all - units);
                        let runs = heap.free_runs().unwrap();
                        assert!(left.1 == 0 || runs.contains(&left), "{left:?} in {runs:?}");
                        verify(&heap);
                    } else {
                        assert!(copy_of(&words) == before, "a refused resize wrote");
                    }
                    restore(&words, &before);
                }
            }
        }
    }
}
