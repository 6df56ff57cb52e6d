//! Properties of the whole heap, over random sequences of calls in small and large memories:
//!
//! 1. every block lies within the memory, above byte 16, at a multiple of its alignment
//! 2. no two blocks share a byte of their whole spaces, which begin with their headers
//! 3. the header holds the requested length and the whole space of the block
//! 4. the heap never writes a byte of a live block, nor bytes 0-15
//! 5. a call that fails changes nothing; bad pointers are refused with the right fault
//! 6. the walk lists exactly the live blocks, ascending
//! 7. the records are sound after each step (`verify`)
//! 8. the map covers the memory without gaps, and agrees with the figures
//! 9. when all is freed, everything is free again and a block of nearly all of it fits

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use proptest::prelude::*;

use crate::fault::Fault;
use crate::heap::inspect::walk::Piece;
use crate::heap::list::Links;
use crate::heap::measures::{HEADER, LISTED};
use crate::heap::mixed::room_in;
use crate::heap::run::RunLinks;
use crate::heap::size_class::COUNT;
use crate::heap::span::SpanLinks;
use crate::heap::superblock::{BINS, field};
use crate::heap::{
    Area, Block, Bounds, CLASSES, DENSE_END, GRAIN, Heap, MIXED, PAGE, Search, UNIT, Use, Words,
};
use crate::tests::fixture::{heap_in, pages, seen};

#[derive(Clone, Debug)]
enum Action {
    Malloc { byte_length: u32, shift: u32 },
    Free { index: usize },
    Realloc { index: usize, byte_length: u32 },
    BadPointer { pointer: u32 },
    NearBlock { index: usize, distance: i32 },
    Grow { pages: u32 },
}

struct Shadow {
    words: Vec<AtomicU32>,
    visible: u32,
    search: Search,
    bounds: Bounds,
    blocks: BTreeMap<u32, (u32, u32)>,
}

impl Shadow {
    fn new(bounds: Bounds) -> Self {
        let (words, visible) = (pages(bounds.maximum), bounds.end_page);
        heap_in(&words, bounds);
        Self { words, visible, search: Search::Exhaustive, bounds, blocks: BTreeMap::new() }
    }

    fn view(&self) -> Words<'_> {
        seen(&self.words, self.visible)
    }

    fn heap(&self) -> Heap<'_> {
        Heap::open(self.view(), self.bounds.start).expect("formatted").current().expect("seen")
    }

    fn nth(&self, index: usize) -> Option<u32> {
        let count = self.blocks.len();
        (count > 0).then(|| *self.blocks.keys().nth(index % count).expect("within"))
    }

    fn run(&mut self, action: &Action) {
        match *action {
            Action::Malloc { byte_length, shift } => self.malloc(byte_length, shift),
            Action::Free { index } => {
                if let Some(pointer) = self.nth(index) {
                    self.confirm_pattern(pointer);
                    // Nothing is left of a block of no class.
                    let again = match self.heap().class_of(pointer).expect("live") {
                        Some(class) if class != MIXED => Fault::AlreadyFreed,
                        _ => Fault::NeverAllocated,
                    };
                    assert_eq!(self.heap().free(pointer), Ok(()));
                    self.blocks.remove(&pointer);
                    assert_eq!(self.heap().free(pointer), Err(again));
                }
            }
            Action::Realloc { index, byte_length } => {
                if let Some(pointer) = self.nth(index) {
                    self.realloc(pointer, byte_length);
                }
            }
            Action::BadPointer { pointer } => self.bad_pointer(pointer),
            Action::NearBlock { index, distance } => {
                if let Some(pointer) = self.nth(index) {
                    self.bad_pointer(pointer.saturating_add_signed(distance));
                }
            }
            Action::Grow { pages } => self.grow(pages),
        }
    }

    fn malloc(&mut self, byte_length: u32, shift: u32) {
        let align = 1 << shift;
        let heap = self.heap();
        let mut allocated = heap.malloc(byte_length, align, self.search);
        if self.search == Search::Exhaustive && allocated == Err(Fault::OutOfMemory) {
            allocated = heap.misplace(byte_length, align);
        }
        match allocated {
            Ok(pointer) => {
                assert_eq!(pointer % align, 0);
                self.enter(pointer, byte_length);
            }
            Err(fault) => {
                assert_eq!(fault, Fault::OutOfMemory);
                let largest = self.heap().stats().expect("sound").largest_free_block;
                let quick = self.search != Search::Exhaustive;
                assert!(
                    quick || align > GRAIN || u64::from(byte_length) > largest,
                    "refused what fits"
                );
            }
        }
    }

    fn realloc(&mut self, pointer: u32, byte_length: u32) {
        let (old_length, old_size) = self.blocks[&pointer];
        match self.heap().resize(pointer, byte_length, false) {
            Ok(0) => {
                let (length, size) = self.heap().inspect(pointer).expect("live");
                assert_eq!(length, byte_length);
                self.confirm_words(pointer, old_length.min(byte_length));
                self.blocks.insert(pointer, (length, size));
                self.fill(pointer);
            }
            refused => {
                assert_eq!(refused, Ok(old_length));
                assert_eq!(self.heap().inspect(pointer), Ok((old_length, old_size)));
                if byte_length <= old_length {
                    assert_eq!(self.heap().resize(pointer, byte_length, true), Ok(0));
                    let (length, size) = self.heap().inspect(pointer).expect("live");
                    self.blocks.insert(pointer, (length, size));
                }
            }
        }
    }

    fn bad_pointer(&mut self, pointer: u32) {
        if self.blocks.contains_key(&pointer) {
            return;
        }
        let expected = match self.surrounds(pointer) {
            true => Fault::InsideBlock,
            false if self.was_given(pointer) => Fault::AlreadyFreed,
            false => Fault::NeverAllocated,
        };
        assert_eq!(self.heap().free(pointer), Err(expected), "{pointer}");
    }

    // Whether a live block, its header or what alignment leaves before it lies at `pointer`.
    fn surrounds(&self, pointer: u32) -> bool {
        let at = |(&start, &(_, size)): (&u32, &(u32, u32))| {
            let large = self.heap().class_of(start) == Ok(None);
            // The header behind a large block is in its last unit.
            let (before, behind) =
                if large { ((start - GRAIN) % UNIT + GRAIN, HEADER) } else { (HEADER, 0) };
            (start - before..start - HEADER + size + behind).contains(&pointer)
        };
        let before = self.blocks.range(..=pointer).next_back();
        [before, self.blocks.range(pointer..).next()].into_iter().flatten().any(at)
    }

    // Whether a span had a block at `pointer` in use before.
    fn was_given(&self, pointer: u32) -> bool {
        let mut given = false;
        let walked = self.heap().each_piece(|piece| {
            if let Piece::Span(span) = piece {
                given |= span.slot_at(pointer).is_some_and(|slot| span.was_made(slot));
            }
            Ok(())
        });
        walked.expect("a sound heap");
        given
    }

    fn grow(&mut self, pages: u32) {
        let first = self.visible;
        self.visible = (self.visible + pages).min(self.bounds.maximum);
        if self.visible > first && !self.bounds.owns_all {
            let added = self.heap().add_pages(first, self.visible);
            assert!(matches!(added, Ok(()) | Err(Fault::OutOfMemory)));
        }
    }

    fn enter(&mut self, pointer: u32, byte_length: u32) {
        let (length, size) = self.heap().inspect(pointer).expect("live");
        assert_eq!(length, byte_length);
        assert!(size >= byte_length + HEADER && pointer >= self.bounds.start);
        let (start, end) = (pointer - HEADER, pointer - HEADER + size);
        assert!(end <= self.visible * PAGE);
        let before = self.blocks.range(..pointer).next_back();
        let end_before = before.map_or(0, |(before, (_, size))| before - HEADER + size);
        let start_after = self.blocks.range(pointer..).next().map_or(u32::MAX, |(p, _)| p - HEADER);
        assert!(end_before <= start && end <= start_after);
        self.blocks.insert(pointer, (length, size));
        self.fill(pointer);
    }

    fn pattern_words(pointer: u32, byte_length: u32) -> impl Iterator<Item = (usize, u32)> {
        let first = pointer / 4;
        (first..first + byte_length / 4).map(|word| (word as usize, word ^ 0x5eed_0000))
    }

    fn fill(&self, pointer: u32) {
        for (word, value) in Self::pattern_words(pointer, self.blocks[&pointer].0) {
            self.words[word].store(value, Relaxed);
        }
    }

    fn confirm_pattern(&self, pointer: u32) {
        self.confirm_words(pointer, self.blocks[&pointer].0);
    }

    fn confirm_words(&self, pointer: u32, byte_length: u32) {
        for (word, value) in Self::pattern_words(pointer, byte_length) {
            assert_eq!(self.words[word].load(Relaxed), value, "block {pointer} was written over");
        }
    }

    fn confirm(&self) {
        assert!(self.words[..4].iter().all(|word| word.load(Relaxed) == 0));
        let mut listed = Vec::new();
        self.heap().each_block(|block| listed.push(block)).expect("a sound heap");
        let expected = self.blocks.iter().map(|(&pointer, &(byte_length, buffer_size))| Block {
            pointer,
            byte_length,
            buffer_size,
        });
        assert!(listed.iter().copied().eq(expected));
        verify(&self.heap());
        self.heap().check(&mut |damage| panic!("{damage:?} in a sound heap"));
        compare_map(&self.heap(), self.view());
        self.compare_figures();
    }

    /// Compares the figures with the blocks that are known, and with the largest room that a walk
    /// meets.
    fn compare_figures(&self) {
        let stats = self.heap().stats().expect("a sound heap");
        let sum = |part: fn(&(u32, u32)) -> u32| -> u64 {
            self.blocks.values().map(|block| u64::from(part(block))).sum()
        };
        assert_eq!(
            (stats.requested_bytes, stats.used_bytes),
            (sum(|block| block.0), sum(|block| block.1))
        );
        assert_eq!((stats.block_count as usize, stats.cached_bytes), (self.blocks.len(), 0));
        let mut largest = 0;
        let walked = self.heap().each_piece(|piece| {
            largest = largest.max(match piece {
                Piece::Span(span) if span.free > 0 => span.geometry().stride - HEADER,
                Piece::Mixed(_, entry) => {
                    let rooms =
                        entry.gaps().map(|gap| (room_in(&gap) * GRAIN).saturating_sub(HEADER));
                    rooms.max().unwrap_or(0)
                }
                Piece::Free(_, units) if units >= LISTED => units * UNIT - GRAIN - HEADER,
                Piece::Free(_, units) if self.heap().is_small() == Ok(true) => longest_in(units),
                _ => 0,
            });
            Ok(())
        });
        walked.expect("a sound heap");
        assert_eq!(stats.largest_free_block, u64::from(largest));
    }
}

/// Bytes of the longest block that a span of so many units has, if there can be one.
fn longest_in(units: u32) -> u32 {
    let dense = CLASSES[1..DENSE_END].iter();
    let spans = dense.filter(|class| class.offset - HEADER + class.stride <= units * UNIT - HEADER);
    spans.map(|class| class.stride - HEADER).max().unwrap_or_default()
}

/// Compares the map with what the walk says.
fn compare_map(heap: &Heap<'_>, words: Words<'_>) {
    let map = heap.map(heap.words.byte_length(), |_| false).expect("a sound heap");
    let ends = map.iter().map(|area| area.end);
    assert!(
        [0].into_iter()
            .chain(ends)
            .eq(map.iter().map(|area| area.start).chain([words.byte_length()]))
    );
    assert!(map.iter().all(|area| area.start < area.end));
    let bytes = |count: fn(&Area) -> u32| -> u64 {
        map.iter().map(|area| u64::from(count(area)) * u64::from(area.block_bytes)).sum()
    };
    let stats = heap.stats().expect("a sound heap");
    let unused = map.iter().filter(|area| area.used_as == Use::Free);
    let unused: u64 = unused.map(|area| area.end - area.start).sum();
    assert_eq!(bytes(|area| area.live), stats.used_bytes);
    assert_eq!(bytes(|area| area.cached), stats.cached_bytes);
    assert_eq!(bytes(|area| area.free) + unused, stats.free_bytes);
    assert_eq!(map.iter().map(|area| area.live).sum::<u32>(), stats.block_count);
    let tables = map.iter().filter(|area| area.used_as == Use::Table).count();
    let segments = heap.segment_count().expect("a sound heap") as usize;
    assert!(
        (segments..=segments + 2).contains(&tables),
        "the superblock's, and that of mixed units"
    );
}

/// Compares every record of the heap with every other that says the same.
pub(super) fn verify(heap: &Heap<'_>) {
    let units = heap.segments().expect("segments").map(|segment| {
        let segment = segment.expect("a segment");
        segment.end - segment.start
    });
    assert_eq!(heap.total_units(), Ok(units.sum()));
    let mut runs = BTreeSet::new();
    let mut partial = BTreeSet::new();
    let mut spare = BTreeSet::new();
    let mut span_units = [0; COUNT];
    let mut free_before = None;
    heap.each_piece(|piece| {
        free_before = match piece {
            Piece::Free(start, units) => {
                assert_ne!(free_before, Some(start), "free neighbours are joined");
                if units >= LISTED {
                    runs.insert(start);
                }
                Some(start + units)
            }
            Piece::Span(span) => {
                assert_eq!(span.count_free()?, span.free);
                span_units[span.class] += span.units;
                if span.free == span.slots {
                    spare.insert((span.class, span.unit));
                } else if span.free > 0 {
                    partial.insert((span.class, span.unit));
                }
                None
            }
            Piece::Block(_) | Piece::Table | Piece::Mixed(..) => None,
        };
        Ok(())
    })
    .expect("a sound heap");
    let near = heap.segment(0).expect("a segment");
    let bins = (field::BIN_HEADS..).take(BINS as usize);
    let linked: BTreeSet<_> =
        bins.flat_map(|bin| list(heap, &RunLinks { heap, near: &near }, bin)).collect();
    assert_eq!(runs, linked);
    for (class, units) in span_units.into_iter().enumerate() {
        let linked = |field| -> BTreeSet<_> {
            let units = list(heap, &SpanLinks(heap), field + class as u32);
            units.into_iter().map(|unit| (class, unit)).collect()
        };
        let of_class = |spans: &BTreeSet<(usize, u32)>| -> BTreeSet<_> {
            spans.iter().copied().filter(|span| span.0 == class).collect()
        };
        assert_eq!(linked(field::PARTIAL), of_class(&partial));
        assert_eq!(linked(field::SPARE), of_class(&spare));
        assert_eq!(heap.field(field::SPAN_UNITS + class as u32), Ok(units));
    }
}

fn list(heap: &Heap<'_>, links: &impl Links, head: u32) -> Vec<u32> {
    let mut units = Vec::new();
    let mut previous = 0;
    let mut unit = heap.field(head).expect("a field");
    while unit != 0 {
        assert_eq!(links.previous(unit), Ok(previous));
        units.push(unit);
        previous = unit;
        unit = links.next(unit).expect("a link");
    }
    units
}

fn actions() -> impl Strategy<Value = Vec<Action>> {
    let byte_length = prop_oneof![
        6 => 1..600_u32,
        3 => 600..20_000_u32,
        1 => 20_000..300_000_u32,
    ];
    let shift = prop_oneof![3 => Just(4_u32), 1 => 0..=16_u32];
    let action = prop_oneof![
        8 => (byte_length.clone(), shift)
            .prop_map(|(byte_length, shift)| Action::Malloc { byte_length, shift }),
        6 => any::<usize>().prop_map(|index| Action::Free { index }),
        3 => (any::<usize>(), byte_length)
            .prop_map(|(index, byte_length)| Action::Realloc { index, byte_length }),
        1 => (0..3_000_000_u32).prop_map(|pointer| Action::BadPointer { pointer }),
        2 => (any::<usize>(), -2_000..2_000_i32)
            .prop_map(|(index, distance)| Action::NearBlock { index, distance }),
        1 => (1..6_u32).prop_map(|pages| Action::Grow { pages }),
    ];
    prop::collection::vec(action, 1..250)
}

fn bounds() -> impl Strategy<Value = Bounds> {
    let pages = prop_oneof![20 => 1..=4_u32, 1 => 200..=300_u32];
    let whole = (pages, 0..40_u32).prop_map(|(end_page, more)| Bounds {
        start: GRAIN,
        end_page,
        maximum: end_page + more,
        owns_all: true,
    });
    let shared = (1..8_000_u32, 2..=4_u32, 0..40_u32).prop_map(|(grains, end_page, more)| {
        let start = grains * GRAIN;
        Bounds { start, end_page: end_page + 1, maximum: end_page + 1 + more, owns_all: false }
    });
    prop_oneof![whole, shared]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_heap_keeps_its_promises(
        bounds in bounds(),
        search in prop_oneof![
            Just(Search::Quick),
            Just(Search::Mixing),
            Just(Search::Exhaustive)
        ],
        actions in actions(),
    ) {
        let mut shadow = Shadow::new(bounds);
        shadow.search = search;
        for action in &actions {
            shadow.run(action);
            shadow.confirm();
        }
        while let Some(pointer) = shadow.nth(0) {
            shadow.run(&Action::Free { index: 0 });
            prop_assert!(!shadow.blocks.contains_key(&pointer));
        }
        shadow.confirm();
        let stats = shadow.heap().stats().unwrap();
        prop_assert_eq!((stats.used_bytes, stats.cached_bytes, stats.block_count), (0, 0, 0));
        shadow.heap().free_spare_spans().unwrap();
        let largest = shadow.heap().stats().unwrap().largest_free_block;
        prop_assert!(largest >= u64::from(40 * UNIT));
        prop_assert!(shadow.heap().malloc(largest as u32, 4, Search::Exhaustive).is_ok());
        verify(&shadow.heap());
    }
}
