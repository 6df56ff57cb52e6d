//! What the book promises, on heaps in ordinary memory:
//!
//! 1. a block has its header, its alignment, fresh bytes and a guard of at least 16 bytes
//! 2. a change of any byte of a live block's header or guard, or of a block in quarantine, is found
//! 3. the quarantine is bounded, and nothing is out of memory that it holds
//! 4. whatever is written over the memory, no call panics, and each ends
//! 5. when all is freed and released, the heap is empty and sound

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use proptest::prelude::*;

use super::{Book, CallSite, FRESH_BYTE, Finding};
use crate::fault::Fault;
use crate::heap::{GRAIN, HEADER, Heap, PAGE, Part, Search};
use crate::tests::fixture::{WORDS_PER_PAGE, pages, whole_heap};

/// Enough for the largest block here to be kept in quarantine.
const PAGES: u32 = 20;

fn format(words: &[AtomicU32]) -> Heap<'_> {
    whole_heap(words, (words.len() / WORDS_PER_PAGE) as u32)
}

fn at(line: u32) -> CallSite {
    CallSite { thread_id: line, stack: format!("at line {line}").into(), structure: None }
}

fn byte(words: &[AtomicU32], offset: u32) -> u8 {
    words[offset as usize / 4].load(Relaxed).to_le_bytes()[offset as usize % 4]
}

/// Changes one byte.
fn spoil(words: &[AtomicU32], offset: u32) {
    words[offset as usize / 4].fetch_xor(0x10 << (offset % 4 * 8), Relaxed);
}

fn make(book: &mut Book, heap: &Heap<'_>, byte_length: u32, align: u32) -> u32 {
    book.malloc(heap, byte_length, align, Search::Exhaustive, at(1)).expect("room")
}

/// The one thing that is wrong.
fn only(book: &Book, heap: &Heap<'_>) -> Finding {
    let mut findings = book.check(heap);
    assert_eq!(findings.len(), 1, "{findings:?}");
    findings.remove(0)
}

fn is_empty(book: &mut Book, heap: &Heap<'_>) -> bool {
    let released = book.release(heap, 0).is_ok();
    let stats = heap.stats().expect("a sound heap");
    released && (stats.used_bytes, stats.cached_bytes) == (0, 0) && book.check(heap).is_empty()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(60) })]

    #[test]
    fn every_byte_around_a_block_is_watched(
        byte_length in prop_oneof![1..600_u32, 600..60_000_u32],
        shift in prop_oneof![2 => Just(4_u32), 1 => 0..=16_u32],
        neighbour in 1..600_u32,
    ) {
        let words = pages(PAGES);
        let heap = format(&words);
        let mut book = Book::default();
        let pointer = make(&mut book, &heap, byte_length, 1 << shift);
        let other = make(&mut book, &heap, neighbour, GRAIN);
        let room = heap.room(pointer).unwrap();
        prop_assert_eq!(pointer % (1 << shift), 0);
        prop_assert_eq!(heap.inspect(pointer).unwrap().0, byte_length);
        prop_assert!(room >= byte_length + 16);
        prop_assert!((pointer..pointer + byte_length).all(|offset| byte(&words, offset) == 0xcd));
        prop_assert!(book.check(&heap).is_empty());
        let (guard, end) = (pointer + byte_length, pointer + room);
        for offset in (pointer - 8..pointer).chain(guard..guard + 16).chain(end - 4..end) {
            spoil(&words, offset);
            let finding = only(&book, &heap);
            let part = if offset < pointer { Part::Header } else { Part::Guard };
            prop_assert_eq!((finding.part, finding.pointer), (Some(part), Some(pointer)));
            prop_assert!(finding.offset == offset || part == Part::Header && offset - finding.offset < 4);
            prop_assert_eq!(finding.made, Some(at(1)));
            let refused = book.free(&heap, pointer, at(2)).unwrap_err();
            prop_assert_eq!(refused.fault, Fault::Corrupted);
            spoil(&words, offset);
        }
        book.free(&heap, pointer, at(2)).unwrap();
        for offset in (pointer - 8..end).step_by(1 + room as usize / 50) {
            spoil(&words, offset);
            let finding = only(&book, &heap);
            prop_assert_eq!((finding.pointer, finding.freed), (Some(pointer), Some(at(2))));
            spoil(&words, offset);
        }
        book.free(&heap, other, at(3)).unwrap();
        prop_assert!(is_empty(&mut book, &heap));
    }

    #[test]
    fn no_call_panics_whatever_is_written(
        steps in prop::collection::vec((0..9_u32, any::<u32>(), any::<u32>()), 1..120),
        damage in any::<bool>(),
    ) {
        let words = pages(PAGES);
        let heap = format(&words);
        let mut book = Book::default();
        let mut live = Vec::new();
        for (action, first, second) in steps {
            let some = live.get(first as usize % live.len().max(1)).copied().unwrap_or(second);
            let size = 1 + second % [64, 1_000, 50_000][first as usize % 3];
            match action {
                0..=2 => live.extend(book.malloc(&heap, size, 1 << (first % 17), Search::Exhaustive, at(1))),
                3..=4 => if book.free(&heap, some, at(2)).is_ok() {
                    live.retain(|&pointer| pointer != some);
                },
                5 => drop(book.resize(&heap, some, size, second % 2 == 0, at(3))),
                6 => drop((book.inspect(&heap, some), book.stats(&heap), book.leaks(&heap))),
                7 => drop(book.release(&heap, u64::from(second % 10_000))),
                _ if damage => {
                    let near = if first % 2 == 0 { some / 4 - (some / 4).min(2) } else { first % 3_000 };
                    let index = (near + second % 3).clamp(4, PAGES * PAGE / 4 - 1);
                    words[index as usize].store(second, Relaxed);
                    prop_assert!(book.check(&heap).len() <= 10_000);
                }
                _ => prop_assert!(book.check(&heap).is_empty()),
            }
        }
        if !damage {
            prop_assert_eq!(book.blocks(&heap).unwrap().len(), live.len());
            for pointer in live {
                book.free(&heap, pointer, at(4)).unwrap();
            }
            prop_assert!(is_empty(&mut book, &heap));
        }
        book.close(&heap);
    }
}

#[test]
fn a_block_that_was_freed_says_by_whom() {
    let words = pages(1);
    let heap = format(&words);
    let mut book = Book::default();
    let pointer = make(&mut book, &heap, 100, GRAIN);
    book.free(&heap, pointer, at(2)).unwrap();
    for refused in [
        book.free(&heap, pointer, at(3)).unwrap_err(),
        book.inspect(&heap, pointer).unwrap_err(),
        book.resize(&heap, pointer, 50, true, at(3)).unwrap_err(),
    ] {
        assert_eq!(refused.fault, Fault::AlreadyFreed);
        let finding = refused.finding.unwrap();
        assert_eq!((finding.made, finding.freed), (Some(at(1)), Some(at(2))));
    }
    assert!(book.blocks(&heap).unwrap().is_empty());
    assert_eq!(book.stats(&heap).unwrap().used_bytes, 0);
}

#[test]
fn a_write_after_free_is_told_once_and_the_block_goes_back() {
    let words = pages(1);
    let heap = format(&words);
    let mut book = Book::default();
    let pointers = [10, 20, 30].map(|size| make(&mut book, &heap, size, GRAIN));
    for pointer in pointers {
        book.free(&heap, pointer, at(2)).unwrap();
    }
    spoil(&words, pointers[1] + 3);
    let told = book.release(&heap, 0).unwrap_err();
    assert_eq!(told.fault, Fault::Corrupted);
    assert_eq!(told.finding.unwrap().offset, pointers[1] + 3);
    assert!(is_empty(&mut book, &heap));
}

#[test]
fn a_block_whose_header_is_written_over_after_it_was_freed_goes_back_too() {
    let words = pages(1);
    let heap = format(&words);
    for word in [HEADER, HEADER / 2] {
        let mut book = Book::default();
        let pointer = make(&mut book, &heap, 100, GRAIN);
        book.free(&heap, pointer, at(2)).unwrap();
        spoil(&words, pointer - word);
        let told = book.release(&heap, 0).unwrap_err();
        assert_eq!(told.finding.unwrap().offset, pointer - word);
        assert!(is_empty(&mut book, &heap));
    }
}

#[test]
fn what_a_block_has_grown_by_is_fresh() {
    let words = pages(1);
    let heap = format(&words);
    let mut book = Book::default();
    let pointer = make(&mut book, &heap, 60, GRAIN);
    heap.fill(pointer, pointer + 60, 7).unwrap();
    assert_eq!(book.resize(&heap, pointer, 50, true, at(2)).unwrap(), 0);
    assert_eq!(book.resize(&heap, pointer, 55, true, at(3)).unwrap(), 0);
    let bytes = (0..55).map(|at| byte(&words, pointer + at));
    assert!(bytes.eq([7; 50].into_iter().chain([FRESH_BYTE; 5])));
    assert_eq!(book.resize(&heap, pointer, 50_000, true, at(4)).unwrap(), 55, "it must move");
}

#[test]
fn nothing_is_out_of_memory_that_waits_in_quarantine() {
    let words = pages(PAGES);
    let heap = format(&words);
    let mut book = Book::default();
    let mut live = Vec::new();
    while let Ok(pointer) = book.malloc(&heap, 1_000, GRAIN, Search::Exhaustive, at(1)) {
        live.push(pointer);
    }
    for &pointer in &live {
        book.free(&heap, pointer, at(2)).unwrap();
        assert!(book.stats(&heap).unwrap().cached_bytes <= u64::from(PAGES * PAGE) / 8);
    }
    assert!(book.stats(&heap).unwrap().cached_bytes > 0);
    for search in [Search::Quick, Search::Exhaustive] {
        let again: Vec<_> =
            std::iter::from_fn(|| book.malloc(&heap, 1_000, GRAIN, search, at(1)).ok()).collect();
        assert_eq!(again.len(), live.len());
        for pointer in again {
            book.free(&heap, pointer, at(2)).unwrap();
        }
    }
    assert!(is_empty(&mut book, &heap));
}

#[test]
fn blocks_of_the_heap_alone_are_left_to_it() {
    let words = pages(1);
    let heap = format(&words);
    let mut book = Book::default();
    let alone = heap.malloc(100, GRAIN, Search::Quick).unwrap();
    let mine = make(&mut book, &heap, 300, GRAIN);
    let groups = book.leaks(&heap).unwrap();
    assert_eq!(groups.iter().map(|group| group.byte_length).collect::<Vec<_>>(), [300, 100]);
    assert_eq!(
        groups.iter().map(|group| group.made.clone()).collect::<Vec<_>>(),
        [Some(at(1)), None]
    );
    assert_eq!(book.inspect(&heap, alone).unwrap().0, 100);
    book.resize(&heap, alone, 90, false, at(2)).unwrap();
    book.free(&heap, alone, at(2)).unwrap();
    assert_eq!(book.inspect(&heap, alone).unwrap_err().fault, Fault::AlreadyFreed);
    book.free(&heap, mine, at(2)).unwrap();
    assert!(is_empty(&mut book, &heap));
}

#[test]
fn stacks_that_no_block_has_are_forgotten() {
    let words = pages(1);
    let heap = format(&words);
    let mut book = Book::default();
    let made = book.place(0, "at a block".into(), None);
    let known = Arc::downgrade(&made.stack);
    book.malloc(&heap, 10, GRAIN, Search::Quick, made).unwrap();
    let unknown = Arc::downgrade(&book.place(0, "at no block".into(), None).stack);
    for line in 0..10_000 {
        drop(book.place(0, format!("at line {line}"), None));
    }
    assert_eq!((known.upgrade().is_some(), unknown.upgrade().is_some()), (true, false));
    let again = book.place(0, "at a block".into(), None);
    assert_eq!(known.as_ptr(), Arc::as_ptr(&again.stack));
}

#[test]
fn blocks_in_quarantine_go_back_when_the_book_is_closed() {
    let words = pages(1);
    let heap = format(&words);
    let mut book = Book::default();
    let pointers = [10, 20, 3_000].map(|size| make(&mut book, &heap, size, GRAIN));
    for pointer in pointers {
        book.free(&heap, pointer, at(2)).unwrap();
        spoil(&words, pointer);
    }
    book.close(&heap);
    assert_eq!(heap.stats().unwrap().used_bytes, 0);
}

#[test]
fn a_pointer_is_explained_by_the_block_that_it_lies_in_and_by_no_other() {
    let words = pages(PAGES);
    let heap = format(&words);
    let mut book = Book::default();
    let pointer = make(&mut book, &heap, 100, GRAIN);
    let room = heap.room(pointer).unwrap();
    let mut told = |pointer| book.free(&heap, pointer, at(2)).unwrap_err().finding;
    for inside in [pointer + 16, pointer + room - 8] {
        assert_eq!(told(inside).unwrap().pointer, Some(pointer));
    }
    for outside in [pointer + room, pointer + room + 8, pointer + 50_000] {
        assert!(told(outside).is_none());
    }
}

#[test]
fn texts_are_forgotten_when_most_belong_to_no_block() {
    // How many others come before one that nobody has is forgotten.
    let patience = |blocks: u32| {
        let words = pages(PAGES);
        let heap = format(&words);
        let mut book = Book::default();
        for _ in 0..blocks {
            make(&mut book, &heap, 10, GRAIN);
        }
        let first = Arc::downgrade(&book.place(1, "first".into(), None).stack);
        let place = |&other: &u32| {
            book.place(1, format!("{other}"), None);
            first.strong_count() > 0
        };
        (0..u32::MAX).take_while(place).count()
    };
    let alone = patience(0);
    assert!((1_000..1_010).contains(&alone));
    assert_eq!(patience(50), alone + 4 * 50);
}

#[test]
fn a_release_stops_at_what_may_stay() {
    let words = pages(PAGES);
    let heap = format(&words);
    let mut book = Book::default();
    let blocks = [100; 3].map(|length| make(&mut book, &heap, length, GRAIN));
    for block in blocks {
        book.free(&heap, block, at(2)).unwrap();
    }
    let (_, each) = heap.inspect(blocks[0]).unwrap();
    book.release(&heap, 2 * u64::from(each)).unwrap();
    assert_eq!(blocks.map(|block| book.is_freed(block)), [false, true, true]);
    book.release(&heap, u64::from(each) + 1).unwrap();
    assert_eq!(blocks.map(|block| book.is_freed(block)), [false, false, true]);
}

#[test]
fn a_damaged_header_is_told_by_the_word_that_differs() {
    let words = pages(1);
    let heap = format(&words);
    let mut book = Book::default();
    let pointer = make(&mut book, &heap, 100, GRAIN);
    for word in [pointer - 8, pointer - 4] {
        spoil(&words, word);
        let told = book.inspect(&heap, pointer).unwrap_err().finding.unwrap();
        assert_eq!((told.part, told.offset), (Some(Part::Header), word));
        spoil(&words, word);
    }
}

#[test]
fn a_block_of_more_than_the_quarantine_may_hold_is_freed_at_once() {
    let words = pages(PAGES);
    let heap = format(&words);
    let mut book = Book::default();
    let most = PAGES * PAGE / 8;
    let blocks = [most, most - 2_000].map(|length| make(&mut book, &heap, length, GRAIN));
    for block in blocks {
        book.free(&heap, block, at(2)).unwrap();
    }
    assert_eq!(blocks.map(|block| book.is_freed(block)), [false, true]);
    assert!(heap.inspect(blocks[0]).is_err() && heap.inspect(blocks[1]).is_ok());
}

#[test]
fn a_block_in_quarantine_counts_as_held_back() {
    let words = pages(1);
    let heap = format(&words);
    let mut book = Book::default();
    let [freed, live] = [100, 30].map(|length| make(&mut book, &heap, length, GRAIN));
    let [held, used] = [freed, live].map(|block| u64::from(heap.inspect(block).unwrap().1));
    book.free(&heap, freed, at(2)).unwrap();
    let stats = book.stats(&heap).unwrap();
    assert_eq!((stats.requested_bytes, stats.block_count), (30, 1));
    assert_eq!((stats.used_bytes, stats.cached_bytes), (used, held));
}

#[test]
fn a_check_finds_what_the_book_does_not_know_and_so_many_things_at_most() {
    let words = pages(PAGES);
    let heap = format(&words);
    let mut book = Book::default();
    let alone = heap.malloc(100, GRAIN, Search::Quick).unwrap();
    spoil(&words, alone - 8);
    assert_eq!(only(&book, &heap).pointer, Some(alone));
    for _ in 0..10_000 {
        let pointer = make(&mut book, &heap, 10, GRAIN);
        spoil(&words, pointer - 8);
    }
    assert_eq!(book.check(&heap).len(), 10_000);
}
