//! What is told of a damaged word: which it is, and to a call whether it may go on.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use crate::fault::Fault;
use crate::heap::inspect::walk::Piece;
use crate::heap::inspect::{Damage, Part};
use crate::heap::large::Large;
use crate::heap::measures::{HEADER, LISTED, WORDS_PER_UNIT};
use crate::heap::run::bin_of;
use crate::heap::size_class::COUNT;
use crate::heap::span::{BITS, COUNTS, Span};
use crate::heap::superblock::{BINS, SEGMENT_WORDS, field};
use crate::heap::tests::properties::verify;
use crate::heap::unit_kind::UnitKind;
use crate::heap::{Bounds, GRAIN, Heap, PAGE, Search, UNIT, Words};
use crate::tests::fixture::{Random, pages, whole_heap};

const PAGES: u32 = 24;
/// No kind of unit has this word.
const NO_KIND: u32 = 15;

/// A heap of two segments that do not touch, with blocks, spans and free runs of every kind.
fn used_heap(words: &[AtomicU32]) -> Heap<'_> {
    let (start, end_page, maximum) = (GRAIN, 10, PAGES);
    let bounds = Bounds { start, end_page, maximum, owns_all: false };
    let heap = Heap::format(Words::new(words), bounds).unwrap();
    heap.add_pages(12, PAGES).unwrap();
    let mut random = Random(4);
    let mut take = |most| {
        let align = 1 << (4 + random.below(9));
        heap.malloc(1 + random.below(most), align, Search::Quick)
    };
    let mut blocks: Vec<_> = (0..100).map(|_| take(500).unwrap()).collect();
    blocks.extend((0..30).map_while(|_| take(80_000).ok()));
    blocks.iter().step_by(3).for_each(|&block| heap.free(block).unwrap());
    verify(&heap);
    heap
}

fn pieces<'m>(heap: &Heap<'m>) -> Vec<Piece<'m>> {
    let mut pieces = Vec::new();
    let walked = heap.each_piece(|piece| {
        pieces.push(piece);
        Ok(())
    });
    walked.unwrap();
    pieces
}

fn spans<'m>(heap: &Heap<'m>) -> Vec<Span<'m>> {
    let span = |piece| if let Piece::Span(span) = piece { Some(span) } else { None };
    pieces(heap).into_iter().filter_map(span).collect()
}

fn larges<'m>(heap: &Heap<'m>) -> Vec<Large<'m>> {
    let block = |piece| if let Piece::Block(block) = piece { Some(block.pointer) } else { None };
    let pointers = pieces(heap).into_iter().filter_map(block);
    let large = |pointer: u32| {
        let unit = (pointer - GRAIN) / UNIT;
        let segment = heap.own_segment(unit).unwrap();
        (unit - 1..=unit).find_map(|unit| Large::read(segment, unit).ok()).unwrap()
    };
    pointers.map(large).filter(|large| large.units > 0).collect()
}

/// What a check finds when word `index` holds something else.
fn found(heap: &Heap<'_>, words: &[AtomicU32], index: u32, damaged: u32) -> Vec<Damage> {
    let old = words[index as usize].swap(damaged, Relaxed);
    assert_ne!(old, damaged, "word {index} is not damaged");
    let mut damages = Vec::new();
    heap.check(&mut |damage| damages.push(damage));
    words[index as usize].store(old, Relaxed);
    damages
}

fn record(index: u32) -> Damage {
    Damage { part: Part::Record, offset: index * 4, pointer: None }
}

#[test]
fn a_check_names_the_header_that_is_damaged() {
    let words = pages(PAGES);
    let heap = used_heap(&words);
    // Pointer, the whole space, whether there is a block that is live.
    let mut headers = Vec::new();
    for span in spans(&heap) {
        for slot in 0..=span.made {
            let live = slot < span.made && !span.is_free(slot).unwrap();
            headers.push((span.pointer(slot), span.geometry().stride, live));
        }
    }
    for large in larges(&heap) {
        headers.push((large.pointer(), large.buffer_size(), true));
        headers.push((large.behind(), large.buffer_size(), false));
    }
    assert!(headers.len() > 100, "{}", headers.len());
    for (pointer, size, live) in headers {
        let damage =
            |offset| vec![Damage { part: Part::Header, offset, pointer: live.then_some(pointer) }];
        let word = pointer / 4 - 2;
        let least_wrong = if live { size - HEADER + 1 } else { 1 };
        for wrong in [least_wrong, size, u32::MAX] {
            assert_eq!(found(&heap, &words, word, wrong), damage(pointer - 8), "{wrong}");
        }
        if live {
            for sound in [1, size - HEADER] {
                let old = words[word as usize].swap(sound, Relaxed);
                heap.check(&mut |damage| panic!("{damage:?}"));
                words[word as usize].store(old, Relaxed);
            }
        }
        for wrong in [0, size - 1, size + 1, size ^ GRAIN, u32::MAX] {
            assert_eq!(found(&heap, &words, word + 1, wrong), damage(pointer - 4));
        }
    }
}

#[test]
fn a_check_names_the_unit_whose_words_are_damaged_and_goes_on_behind_it() {
    let words = pages(PAGES);
    let heap = used_heap(&words);
    for segment in heap.segments().unwrap().map(Result::unwrap) {
        let mut unit = segment.start;
        while unit < segment.end {
            let (units, piece) = heap.piece_at(segment, unit).unwrap();
            let named = vec![record(segment.map + unit - segment.start)];
            for inner in unit..unit + units {
                let word = segment.map_index(inner).unwrap();
                assert_eq!(found(&heap, &words, word, NO_KIND), named, "unit {inner} of {unit}");
            }
            if let Piece::Span(span) = piece {
                let record = unit * WORDS_PER_UNIT;
                for word in record + COUNTS..record + BITS + span.slots.div_ceil(32) {
                    let old = words[word as usize].load(Relaxed);
                    let mut found = found(&heap, &words, word, !old);
                    // Blocks that are free or not by now have headers that say otherwise.
                    found.retain(|damage| damage.part == Part::Record);
                    assert_eq!(found, named, "span {unit}");
                }
            }
            unit += units;
        }
    }
}

#[test]
fn a_check_names_the_field_that_is_damaged() {
    let words = pages(PAGES);
    let heap = used_heap(&words);
    let superblock = GRAIN / 4;
    let field_of = |index: u32| words[(superblock + index) as usize].load(Relaxed);
    let named = |index, damaged, expected: &[u32]| {
        let damages: Vec<_> = expected.iter().map(|&field| record(superblock + field)).collect();
        assert_eq!(found(&heap, &words, superblock + index, damaged), damages, "field {index}");
    };
    for entry in 0..2 {
        let at = field::DIRECTORY + entry * SEGMENT_WORDS;
        // Where the heap ends is compared with the segments that are left.
        (at..at + SEGMENT_WORDS).for_each(|word| named(word, field_of(word) ^ 1, &[at]));
    }
    named(field::OWNERSHIP, 0, &[field::OWNERSHIP]);
    named(field::END_PAGE, PAGES - 1, &[field::END_PAGE]);
    named(field::UNITS, field_of(field::UNITS) + 1, &[field::UNITS]);
    named(field::UNITS_CHECK, 0, &[field::UNITS]);
    named(field::SEGMENT_COUNT, u32::MAX, &[0]);
    for bin in 0..BINS {
        let (head, bits) = (field::BIN_HEADS + bin, field::BIN_BITMAP + bin / 32);
        named(bits, field_of(bits) ^ 1 << (bin % 32), &[bits]);
        if field_of(head) != 0 {
            named(head, 0, &[head, bits]);
            named(head, NO_KIND << 20, &[head]);
        } else {
            named(head, NO_KIND << 20, &[head, bits]);
        }
    }
    for class in 0..COUNT as u32 {
        for list in [field::PARTIAL, field::SPARE] {
            named(list + class, field_of(list + class) ^ 1, &[list + class]);
        }
        let units = field::SPAN_UNITS + class;
        named(units, field_of(units) + 1, &[units]);
    }
}

#[test]
fn a_check_names_the_list_whose_links_are_damaged() {
    let words = pages(PAGES);
    let heap = used_heap(&words);
    for (start, units) in heap.free_runs().unwrap().into_iter().filter(|run| run.1 >= LISTED) {
        let segment = heap.own_segment(start).unwrap();
        let list = vec![record(GRAIN / 4 + field::BIN_HEADS + bin_of(units))];
        for link in [start + 1, start + 2] {
            let word = segment.map_index(link).unwrap();
            let wrong = words[word as usize].load(Relaxed) ^ 1 << 5;
            assert_eq!(found(&heap, &words, word, wrong), list);
        }
    }
    for span in spans(&heap).into_iter().filter(|span| span.free > 0) {
        let whole = span.free == span.slots;
        let lists = if whole { field::SPARE } else { field::PARTIAL };
        let list = vec![record(GRAIN / 4 + lists + span.class as u32)];
        for link in 0..2 {
            let word = span.unit * WORDS_PER_UNIT + link;
            let wrong = words[word as usize].load(Relaxed) ^ 1;
            assert_eq!(found(&heap, &words, word, wrong), list);
        }
    }
}

#[test]
fn a_block_is_live_only_with_both_headers_whole() {
    let words = pages(PAGES);
    let heap = used_heap(&words);
    let mut blocks = Vec::new();
    heap.each_block(|block| blocks.push(block)).unwrap();
    assert!(blocks.len() > 50);
    for block in blocks {
        let (word, size) = (block.pointer / 4, block.buffer_size);
        let behind = word + size / 4;
        let with = |index: u32, value: u32| {
            let old = words[index as usize].swap(value, Relaxed);
            let found = heap.inspect(block.pointer);
            words[index as usize].store(old, Relaxed);
            found
        };
        assert_eq!(with(word - 2, 1), Ok((1, size)));
        assert_eq!(with(word - 2, size - HEADER), Ok((size - HEADER, size)));
        assert_eq!(with(word - 2, size - HEADER + 1), Err(Fault::Corrupted));
        assert_eq!(with(word - 2, u32::MAX), Err(Fault::Corrupted));
        assert_eq!(with(word - 2, 0), Err(Fault::AlreadyFreed), "a thread keeps it");
        for wrong in [0, size - 1, size + 1, u32::MAX] {
            assert_eq!(with(word - 1, wrong), Err(Fault::Corrupted));
            assert_eq!(with(behind - 1, wrong), Err(Fault::Corrupted));
        }
    }
}

#[test]
fn a_free_block_with_a_damaged_header_is_not_given_out_and_its_place_is_lost() {
    for (first, second) in [(1, 0), (0, 1)] {
        let words = pages(PAGES);
        let heap = used_heap(&words);
        let take = || heap.malloc(200, GRAIN, Search::Quick).unwrap();
        let blocks: Vec<_> = (0..8).map(|_| take()).collect();
        for &block in &blocks {
            heap.free(block).unwrap();
        }
        let damaged = blocks[3];
        let span = spans(&heap).into_iter().find(|span| span.slot_at(damaged).is_some()).unwrap();
        for (word, more) in [(damaged / 4 - 2, first), (damaged / 4 - 1, second)] {
            words[word as usize].fetch_add(more, Relaxed);
        }
        let free = heap.stats().unwrap().free_bytes;
        let mut given = Vec::new();
        for _ in 0..span.free + 1 {
            match heap.malloc(200, GRAIN, Search::Quick) {
                Ok(block) => given.push(block),
                Err(fault) => assert_eq!(fault, Fault::Corrupted),
            }
        }
        assert!(given.contains(&blocks[4]) && !given.contains(&damaged));
        assert!(free > 0);
        let span = Span::read(&heap, span.segment, span.unit, span.class).unwrap();
        assert_eq!(span.count_free(), Ok(span.free));
        assert!(!span.is_free(span.slot_at(damaged).unwrap()).unwrap());
    }
}

#[test]
fn only_the_slots_of_a_span_hold_blocks() {
    let words = pages(PAGES);
    let heap = used_heap(&words);
    for span in spans(&heap) {
        let stride = span.geometry().stride;
        for slot in 0..span.slots {
            let (pointer, next) = (span.pointer(slot), span.pointer(slot) + stride);
            assert_eq!(span.slot_at(pointer), Some(slot));
            for inside in [pointer - HEADER, pointer - 1, pointer, pointer + 1, next - HEADER - 1] {
                assert_eq!(span.slot_holding(inside), Some(slot));
                assert!(inside == pointer || span.slot_at(inside).is_none());
            }
        }
        let behind = span.pointer(span.slots);
        assert_eq!((span.slot_at(behind), span.slot_holding(behind - HEADER)), (None, None));
        let before = span.pointer(0) - HEADER - 1;
        assert_eq!((span.slot_at(before), span.slot_holding(before)), (None, None));
    }
}

#[test]
fn a_unit_that_seems_to_be_of_a_span_that_ends_before_it_is_of_none() {
    let words = pages(PAGES);
    let heap = used_heap(&words);
    let spans = spans(&heap);
    let mut damaged = 0;
    for span in &spans {
        for unit in span.unit..span.unit + span.units {
            let around = heap.span_around(unit).unwrap().unwrap();
            assert_eq!((around.unit, around.units), (span.unit, span.units));
        }
        let behind = span.unit + span.units;
        if behind < span.segment.end {
            let (class, back) = (span.class, span.units);
            let kind = span.segment.kind(behind).unwrap();
            span.segment.set_kind(behind, UnitKind::Span { class, back }).unwrap();
            assert_eq!(heap.span_around(behind).map(|span| span.is_some()), Err(Fault::Corrupted));
            span.segment.set_kind(behind, kind).unwrap();
            damaged += 1;
        }
    }
    assert!(damaged > 1);
    assert_eq!(heap.span_around(PAGES * PAGE / UNIT).map(|span| span.is_some()), Ok(false));
}

#[test]
fn a_free_run_that_is_in_two_pieces_is_told() {
    let words = pages(PAGES);
    let heap = whole_heap(&words, PAGES);
    // The piece stays in its bin, and what is cut off is in none.
    let (start, units) = (0..500)
        .find_map(|_| {
            let (start, units) = heap.free_runs().unwrap()[0];
            let is_like = bin_of(units) == bin_of(units - 2);
            if !is_like {
                heap.malloc(40_000, GRAIN, Search::Quick).unwrap();
            }
            is_like.then_some((start, units))
        })
        .unwrap();
    let segment = heap.segment(0).unwrap();
    let last = start + units - 1;
    segment.set_kind(last - 2, UnitKind::FreeTail { units: units - 2 }).unwrap();
    segment.set_kind(start, UnitKind::Free { units: units - 2 }).unwrap();
    segment.set_kind(last - 1, UnitKind::Free { units: 2 }).unwrap();
    segment.set_kind(last, UnitKind::FreeTail { units: 2 }).unwrap();
    let mut told = Vec::new();
    heap.check(&mut |damage| told.push((damage.part, damage.offset)));
    assert_eq!(told, [(Part::Record, segment.map_index(last - 1).unwrap() * 4)]);
}
