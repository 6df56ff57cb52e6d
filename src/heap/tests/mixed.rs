//! Mixed units: where a small heap that is nearly full has blocks of any length.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use crate::fault::Fault;
use crate::heap::block::Live;
use crate::heap::measures::WORDS_PER_UNIT;
use crate::heap::superblock::field;
use crate::heap::tests::properties::verify;
use crate::heap::unit_kind::UnitKind;
use crate::heap::{GRAIN, HEADER, Heap, MIXED, PAGE, Search, UNIT};
use crate::tests::fixture::{Random, copy_of, pages, restore, whole_heap};

const PAGES: u32 = 4;
/// Units of the longest free run of a heap that is nearly full.
const LEFT: u32 = PAGES * 64 / 8 - 1;

/// A heap with one large block, and so many units besides.
fn nearly_full(words: &[AtomicU32]) -> Heap<'_> {
    let heap = whole_heap(words, PAGES);
    let free = heap.free_runs().unwrap()[0].1;
    take(&heap, (free - LEFT) * UNIT - GRAIN - HEADER);
    heap
}

fn take(heap: &Heap<'_>, byte_length: u32) -> u32 {
    heap.malloc(byte_length, GRAIN, Search::Mixing).unwrap()
}

fn is_mixed(heap: &Heap<'_>, pointer: u32) -> bool {
    matches!(heap.live(pointer), Ok(Live::Mixed(_)))
}

#[test]
fn blocks_of_any_length_lie_side_by_side() {
    let words = pages(PAGES);
    let heap = nearly_full(&words);
    let mut end = None;
    for byte_length in [1, 20, 5_000, 300, 90, 2_000, 7, 16] {
        let pointer = take(&heap, byte_length);
        let (length, size) = heap.inspect(pointer).unwrap();
        assert!(is_mixed(&heap, pointer) && heap.class_of(pointer) == Ok(Some(MIXED)));
        assert_eq!(length, byte_length);
        assert!(size - (byte_length + HEADER) < 2 * GRAIN, "{byte_length} takes {size}");
        assert!(end.is_none_or(|end| pointer == end));
        end = Some(pointer + size);
    }
    verify(&heap);
}

#[test]
fn what_is_freed_is_one_gap_for_blocks_of_any_length() {
    let words = pages(PAGES);
    let heap = nearly_full(&words);
    let blocks = [0; 40].map(|_| take(&heap, 500));
    let last = take(&heap, 1);
    let runs = heap.free_runs().unwrap();
    for block in &blocks[3..37] {
        heap.free(*block).unwrap();
    }
    assert!(heap.free_runs().unwrap().len() > runs.len(), "whole units are free runs");
    let long = take(&heap, 34 * 512 - 100);
    assert!(blocks[2] < long && long < blocks[37] && is_mixed(&heap, last));
    verify(&heap);
}

#[test]
fn nothing_is_left_of_mixed_units_when_their_blocks_are_freed() {
    let words = pages(PAGES);
    let heap = nearly_full(&words);
    let runs = heap.free_runs().unwrap();
    let mut random = Random(1);
    let mut blocks: Vec<_> = (0..40).map(|_| take(&heap, 1 + random.below(900))).collect();
    assert!(heap.grain_table_units().unwrap().is_some());
    while !blocks.is_empty() {
        let block = blocks.swap_remove(random.below(blocks.len() as u32) as usize);
        heap.free(block).unwrap();
        assert_eq!(heap.free(block), Err(Fault::NeverAllocated));
    }
    assert_eq!((heap.free_runs().unwrap(), heap.grain_table_units()), (runs, Ok(None)));
}

#[test]
fn a_block_of_a_mixed_unit_has_the_alignment_that_was_asked_for() {
    let words = pages(PAGES);
    let heap = nearly_full(&words);
    for align in [16, 32, 64, 128, 256, 512, 1_024].into_iter().cycle().take(30) {
        let pointer = heap.malloc(40, align, Search::Mixing).unwrap();
        assert!(is_mixed(&heap, pointer) && pointer.is_multiple_of(align));
    }
    verify(&heap);
}

#[test]
fn a_pointer_into_a_mixed_unit_is_refused_unless_a_block_begins_there() {
    let words = pages(PAGES);
    let heap = nearly_full(&words);
    let blocks = [40, 3_000, 40].map(|byte_length| take(&heap, byte_length));
    heap.free(blocks[0]).unwrap();
    let (start, end) = (blocks[1] - HEADER, blocks[2] - HEADER);
    for pointer in blocks[0] - GRAIN..end {
        let expected = match pointer {
            _ if pointer == blocks[1] => Ok(()),
            _ if pointer >= start => Err(Fault::InsideBlock),
            _ => Err(Fault::NeverAllocated),
        };
        assert_eq!(heap.inspect(pointer).map(drop), expected, "{pointer}");
        assert_eq!(heap.is_block(pointer), Ok(pointer == blocks[1]));
    }
}

#[test]
fn a_block_in_mixed_units_is_resized_within_its_space() {
    let words = pages(PAGES);
    let heap = nearly_full(&words);
    let block = take(&heap, 1_000);
    let space = heap.inspect(block).unwrap().1 - HEADER;
    assert_eq!(heap.resize(block, space, false), Ok(0));
    assert_eq!(heap.resize(block, space + 1, true), Ok(space));
    assert_eq!(heap.resize(block, 1, false), Ok(space));
    assert_eq!(heap.inspect(block).unwrap().0, space);
    assert_eq!(heap.resize(block, 1, true), Ok(0));
    assert_eq!(heap.inspect(block).unwrap().0, 1);
}

#[test]
fn a_row_that_was_written_over_is_never_believed() {
    let words = pages(PAGES);
    let heap = nearly_full(&words);
    let blocks = [0; 60].map(|_| take(&heap, 100));
    for block in blocks.iter().step_by(3) {
        heap.free(*block).unwrap();
    }
    let table = heap.grain_table_units().unwrap().unwrap().start * WORDS_PER_UNIT;
    let unit = blocks[1] / UNIT;
    let map = heap.own_segment(unit).unwrap().map_index(unit).unwrap();
    let places = (table + unit * 4..table + unit * 4 + 4)
        .chain([map])
        .chain([field::GRAIN_TABLE, field::GRAIN_TABLE_CHECK].map(|at| GRAIN / 4 + at));
    let sound = copy_of(&words);
    for (word, bit) in places.flat_map(|word| (0..32).map(move |bit| (word, bit))) {
        words[word as usize].fetch_xor(1 << bit, Relaxed);
        let mut found = 0;
        heap.check(&mut |_| found += 1);
        assert!(found > 0, "bit {bit} of word {word}");
        assert!(heap.free(blocks[1]).is_err(), "bit {bit} of word {word}");
        restore(&words, &sound);
    }
}

#[test]
fn a_table_without_a_row_is_never_believed() {
    let words = pages(PAGES);
    let heap = nearly_full(&words);
    take(&heap, 100);
    let unit = heap.grain_table_units().unwrap().unwrap().start;
    heap.own_segment(unit).unwrap().set_kind(unit, UnitKind::Table { units: 0 }).unwrap();
    heap.set_field(field::MAXIMUM, 0).unwrap();
    let mut found = 0;
    heap.check(&mut |_| found += 1);
    assert!(found > 0);
    assert_eq!(heap.malloc(100, GRAIN, Search::Exhaustive), Err(Fault::Corrupted));
}

#[test]
fn a_write_past_the_end_of_a_block_is_noticed_by_the_next_one_s_header() {
    let words = pages(PAGES);
    let heap = nearly_full(&words);
    let [first, second] = [take(&heap, 40), take(&heap, 40)];
    words[second as usize / 4 - 1].store(7, Relaxed);
    assert_eq!(heap.free(first), Err(Fault::Corrupted));
    assert_eq!(heap.free(second), Err(Fault::Corrupted));
}

#[test]
fn a_block_for_which_no_place_is_aligned_is_out_of_memory() {
    for align in [16, 256, 1_024, 4_096, PAGE] {
        for byte_length in [40, 1_000, 3_000, 40_000] {
            let words = pages(PAGES);
            let heap = nearly_full(&words);
            let mut outcome = Ok(0);
            while outcome.is_ok() {
                outcome = heap.malloc(byte_length, align, Search::Exhaustive);
                verify(&heap);
            }
            assert_eq!(outcome, Err(Fault::OutOfMemory), "{byte_length} at {align}");
        }
    }
}

#[test]
fn a_block_in_mixed_units_begins_in_the_first_one_of_its_gap_or_nowhere() {
    let mut refused = 0;
    for align in [1_024, 2_048, 4_096, 16_384, PAGE] {
        let words = pages(PAGES);
        let heap = nearly_full(&words);
        match heap.take_mixed(3_000, align) {
            Ok(pointer) => assert!(pointer.is_multiple_of(align) && is_mixed(&heap, pointer)),
            Err(fault) => {
                assert_eq!(fault, Fault::OutOfMemory, "{align}");
                refused += 1;
            }
        }
        verify(&heap);
    }
    assert!(0 < refused && refused < 5, "{refused}");
}

#[test]
fn units_whose_entries_say_that_they_are_used_are_not_taken() {
    let words = pages(PAGES);
    let heap = nearly_full(&words);
    let block = take(&heap, 40);
    let table = heap.grain_table_units().unwrap().unwrap().start;
    let (run, _) = heap.free_runs().unwrap()[0];
    let entry = (table * UNIT / 4 + run * 4) as usize;
    words[entry].store(1, Relaxed);
    let taken = heap.malloc(UNIT, GRAIN, Search::Mixing);
    assert_eq!(taken, Err(Fault::Corrupted));
    words[entry].store(0, Relaxed);
    verify(&heap);
    assert!(take(&heap, UNIT) > block);
}
