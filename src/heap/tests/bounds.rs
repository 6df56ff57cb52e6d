//! Becoming a heap: nothing is written where there cannot be one, or is another's.

use crate::fault::Fault;
use crate::heap::inspect::Use;
use crate::heap::superblock::field;
use crate::heap::tests::properties::verify;
use crate::heap::{Bounds, GRAIN, Heap, PAGE, Search, UNIT, Words};
use crate::tests::fixture::{copy_of, pages, restore, whole_heap};

#[test]
fn a_heap_of_another_build_is_left_alone() {
    let words = pages(2);
    let heap = whole_heap(&words, 2);
    let (start, end_page, maximum) = (Heap::WHOLE_MEMORY_START, 2, 2);
    let bounds = Bounds { start, end_page, maximum, owns_all: true };
    assert!(!Heap::is_of_other_build(heap.words, start));
    heap.set_field(field::BUILD, heap.field(field::BUILD).unwrap() ^ 1).unwrap();
    let before = copy_of(&words);
    assert!(Heap::is_of_other_build(heap.words, start));
    assert!(Heap::open(heap.words, start).is_none());
    assert_eq!(Heap::format(heap.words, bounds).err(), Some(Fault::OtherBuild));
    assert!(copy_of(&words) == before);
    for word in [field::MAGIC, field::OWN_OFFSET] {
        restore(&words, &before);
        heap.set_field(word, heap.field(word).unwrap() ^ 1 << 9).unwrap();
        assert!(!Heap::is_of_other_build(heap.words, start), "chance bytes");
        assert!(Heap::format(heap.words, bounds).is_ok());
    }
}

#[test]
fn a_territory_has_room_for_a_block_or_is_left_as_it_is() {
    let (mut refused, mut formatted) = (0, 0);
    for from_end in (GRAIN..=12 * UNIT).step_by(GRAIN as usize) {
        let words = pages(3);
        words.iter().for_each(|word| word.store(u32::MAX, std::sync::atomic::Ordering::Relaxed));
        let start = 2 * PAGE - from_end;
        let bounds = Bounds { start, end_page: 2, maximum: 3, owns_all: false };
        let Ok(heap) = Heap::format(Words::new(&words), bounds) else {
            refused += 1;
            assert!(copy_of(&words).iter().all(|&word| word == u32::MAX));
            continue;
        };
        formatted += 1;
        verify(&heap);
        let all = copy_of(&words);
        let (own, behind) = ((start / 4) as usize, 2 * PAGE as usize / 4);
        assert!(all[..own].iter().chain(&all[behind..]).all(|&word| word == u32::MAX));
        let map = heap.map(heap.words.byte_length(), |_| false).unwrap();
        let uses: Vec<_> = map.iter().map(|area| (area.used_as, area.start)).collect();
        assert_eq!(uses[..2], [(Use::Outside, 0), (Use::Table, u64::from(start))]);
        assert_eq!(uses.last(), Some(&(Use::Outside, 2 * u64::from(PAGE))));
        assert_eq!(uses[2].0, Use::Free);
    }
    assert!(refused > 10 && formatted > 10, "{refused}, {formatted}");
    let words = pages(2);
    for (start, end_page) in [(PAGE, 1), (PAGE + GRAIN, 1), (2 * PAGE - GRAIN, 1)] {
        let bounds = Bounds { start, end_page, maximum: 2, owns_all: false };
        assert_eq!(Heap::format(Words::new(&words), bounds).err(), Some(Fault::OutOfMemory));
    }
}

#[test]
fn the_map_of_a_whole_memory_begins_with_its_records() {
    let words = pages(2);
    let heap = whole_heap(&words, 2);
    heap.malloc(100, GRAIN, Search::Quick).unwrap();
    let map = heap.map(heap.words.byte_length(), |_| false).unwrap();
    assert_eq!((map[0].used_as, map[0].start), (Use::Table, 0));
    let total: u64 = map.iter().map(|area| area.end - area.start).sum();
    assert_eq!(total, u64::from(2 * PAGE));
}
