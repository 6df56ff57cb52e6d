//! How far a memory has to grow: for a block at its end to become longer where it is, next to a
//! search for the least pages that serve; and how much is sensible at once.

use std::sync::atomic::AtomicU32;

use crate::fault::Fault;
use crate::heap::superblock::{MAX_SEGMENTS, field};
use crate::heap::{Bounds, GRAIN, Heap, PAGE, Search, UNIT, Words};
use crate::tests::fixture::{
    Random, WORDS_PER_PAGE, copy_of, heap_in, pages, restore, seen, whole, whole_heap,
};

const MAXIMUM: u32 = 20;

/// Pages that a heap has first, and of which it takes all.
fn heap_of(words: &[AtomicU32], end_page: u32, owns_all: bool) -> Heap<'_> {
    let maximum = (words.len() / WORDS_PER_PAGE) as u32;
    heap_in(words, Bounds { owns_all, ..whole(end_page, maximum) })
}

/// Whether the block can be `byte_length` bytes long where it is once the heap has `more` pages.
fn extends(words: &[AtomicU32], end_page: u32, more: u32, block: u32, byte_length: u32) -> bool {
    let heap = Heap::open(seen(words, end_page + more), Heap::WHOLE_MEMORY_START).unwrap();
    more > 0 && heap.add_pages(end_page, end_page + more).is_err()
        || heap.resize(block, byte_length, false) == Ok(0)
}

#[test]
fn growth_behind_a_large_block_is_the_least_that_serves() {
    let mut random = Random(9);
    let mut extended = 0;
    for case in 0..40 {
        let words = pages(MAXIMUM);
        let end_page = 1 + random.below(6);
        let heap = heap_of(&words, end_page, case % 2 == 0);
        let align = [GRAIN, 512, 4_096][case % 3];
        let mut blocks = Vec::new();
        while let Ok(block) = heap.malloc(33_000 + random.below(9_000), align, Search::Moving) {
            blocks.push(block);
        }
        if let Some(block) = blocks.get(1 + random.below(3) as usize) {
            heap.free(*block).unwrap();
        }
        let before = copy_of(&words);
        for block in blocks {
            let Ok((length, _)) = heap.inspect(block) else { continue };
            for wanted in [length, length + 3 * UNIT, length + PAGE, length + 9 * PAGE, 1 << 24] {
                let pages = heap.growth_to_extend(block, wanted).unwrap();
                let mut serves = |more: u32| {
                    restore(&words, &before);
                    end_page + more <= MAXIMUM && extends(&words, end_page, more, block, wanted)
                };
                match pages {
                    0 => assert!(serves(0) || ![1, 2, 3, 5, 9, 14].into_iter().any(&mut serves)),
                    _ => {
                        assert!(!serves(pages - 1) && (serves(pages) || end_page + pages > MAXIMUM))
                    }
                }
                restore(&words, &before);
                extended += u32::from(pages > 0);
            }
        }
    }
    assert!(extended > 20, "{extended}");
}

#[test]
fn pages_of_others_behind_a_block_keep_it_from_growing_there() {
    let words = pages(MAXIMUM);
    let heap = heap_of(&words, 2, false);
    let block = heap.malloc(33_000, GRAIN, Search::Moving).unwrap();
    assert!(heap.growth_to_extend(block, 60_000).unwrap() > 0);
    let seen = Heap::open(seen(&words, 3), Heap::WHOLE_MEMORY_START).unwrap();
    assert_eq!(seen.growth_to_extend(block, 60_000), Ok(0));
    let small = heap.malloc(100, GRAIN, Search::Quick).unwrap();
    assert_eq!(heap.growth_to_extend(small, 60_000), Ok(0));
    assert_eq!(heap.growth_to_extend(block + GRAIN, 60_000), Err(Fault::InsideBlock));
}

#[test]
fn growth_is_a_share_of_the_heap_but_no_more_than_the_memory_may_have() {
    for (end_page, maximum) in [(1, 2), (32, 200), (64, 200), (640, 2_000), (640, 650), (640, 640)]
    {
        let words = pages(end_page);
        let heap = whole_heap(&words, maximum);
        let (least, most) = heap.growth_for(100, GRAIN).unwrap();
        assert_eq!(least, 1);
        assert_eq!(most, (end_page / 32).min(maximum - end_page).max(1));
        let (least, most) = heap.growth_for(2 * end_page * PAGE, GRAIN).unwrap();
        assert!(most == least && least > end_page);
    }
}

#[test]
fn a_heap_of_many_segments_grows_by_half() {
    let words = pages(4 * MAX_SEGMENTS);
    let heap = heap_of(&words, 1, false);
    for segment in 1..MAX_SEGMENTS {
        let first = 2 * segment;
        assert_eq!(heap.segment_count(), Ok(segment));
        let seen = Heap::open(seen(&words, first + 1), Heap::WHOLE_MEMORY_START).unwrap();
        let (least, most) = seen.growth_for(100, GRAIN).unwrap();
        let share = if segment > MAX_SEGMENTS / 2 { 2 } else { 32 };
        assert_eq!((least, most), (1, (segment / share).max(1)));
        seen.add_pages(first, first + 1).unwrap();
    }
    let first = 2 * MAX_SEGMENTS;
    let seen = Heap::open(Words::new(&words), Heap::WHOLE_MEMORY_START).unwrap();
    assert_eq!(seen.add_pages(first, first + 1), Err(Fault::OutOfMemory));
    assert_eq!(seen.field(field::END_PAGE), Ok(first - 1));
}
