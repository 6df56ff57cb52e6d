//! Examining a heap that may be damaged: where a walk stops at the first impossible word, this goes
//! on and reports each.
//!
//! Every piece of every segment is compared with its records and headers, then every list with what
//! the walk has met. Lists are looked at only when the records of all pieces are sound: else
//! they are bound to differ. Nothing is written.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use crate::fault::{Fault, Result};
use crate::heap::large::Large;
use crate::heap::list::Links;
use crate::heap::measures::{GRAIN, HEADER, LISTED, UNIT, UNITS_PER_PAGE, WORDS_PER_UNIT};
use crate::heap::run::{RunLinks, bin_of};
use crate::heap::segment::{Segment, ascend};
use crate::heap::size_class::COUNT;
use crate::heap::span::{Span, SpanLinks};
use crate::heap::superblock::{BINS, Heap, SEGMENT_WORDS, field};
use crate::heap::unit_kind::UnitKind;

/// What was written over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// A word of the heap's own records.
    Record,
    /// One of the two words before a block.
    Header,
    /// Bytes between a block's end and the next header.
    Guard,
    /// Bytes of a block that was freed.
    Freed,
}

/// One place where a heap is damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Damage {
    /// What lies there.
    pub part: Part,
    /// The first byte that cannot be right; for a record the word that contradicts others.
    pub offset: u32,
    /// The block that it belongs to.
    pub pointer: Option<u32>,
}

impl Damage {
    /// Damage to the record at word `index`.
    const fn record(index: u32) -> Self {
        Self { part: Part::Record, offset: index.wrapping_mul(4), pointer: None }
    }
}

impl Heap<'_> {
    /// Calls `report` with everything that is wrong with the heap.
    pub fn check(&self, report: &mut dyn FnMut(Damage)) {
        let mut check = Check { heap: *self, report, sound: true, pieces: Pieces::default() };
        if check.examine().is_err() {
            check.damaged(self.superblock);
        }
    }
}

/// What a walk has met, by first unit.
#[derive(Default)]
struct Pieces {
    runs: BTreeMap<u32, BTreeSet<u32>>,
    partial: BTreeMap<usize, BTreeSet<u32>>,
    spare: BTreeMap<usize, BTreeSet<u32>>,
    /// Units of all spans of each class.
    span_units: BTreeMap<usize, u32>,
}

struct Check<'m, 'r> {
    heap: Heap<'m>,
    report: &'r mut dyn FnMut(Damage),
    /// Whether no record was found damaged yet.
    sound: bool,
    pieces: Pieces,
}

impl<'m> Check<'m, '_> {
    fn damaged(&mut self, index: u32) {
        self.sound = false;
        (self.report)(Damage::record(index));
    }

    fn require(&mut self, sound: bool, index: u32) {
        if !sound {
            self.damaged(index);
        }
    }

    /// An error is damage to the superblock that leaves nothing else to look at.
    fn examine(&mut self) -> Result<()> {
        let segments = self.segments()?;
        for &segment in &segments {
            self.walk(segment);
        }
        if self.sound {
            self.lists()?;
        }
        Ok(())
    }

    fn segments(&mut self) -> Result<Vec<Segment<'m>>> {
        let heap = self.heap;
        self.require(heap.owns_all().is_ok(), heap.superblock + field::OWNERSHIP);
        self.require(heap.grain_table().is_ok(), heap.superblock + field::GRAIN_TABLE);
        let count = heap.segment_count()?;
        let mut segments = Vec::new();
        for index in 0..count {
            match heap.segment(index) {
                Ok(segment) => segments.push(segment),
                Err(_) => self.damaged(heap.superblock + field::DIRECTORY + index * SEGMENT_WORDS),
            }
        }
        let apart = ascend(&mut segments);
        self.require(apart, heap.superblock + field::DIRECTORY);
        let last = segments.last().map_or(0, |segment| segment.end.div_ceil(UNITS_PER_PAGE));
        self.require(last <= heap.field(field::END_PAGE)?, heap.superblock + field::END_PAGE);
        if self.sound {
            let units: u32 = segments.iter().map(|segment| segment.end - segment.start).sum();
            self.require(heap.total_units() == Ok(units), heap.superblock + field::UNITS);
        }
        Ok(if apart { segments } else { Vec::new() })
    }

    fn walk(&mut self, segment: Segment<'m>) {
        let mut unit = segment.start;
        let mut free_before = false;
        while unit < segment.end {
            let free = matches!(segment.kind(unit), Ok(UnitKind::Free { .. }));
            let piece =
                if free && free_before { Err(Fault::Corrupted) } else { self.piece(segment, unit) };
            free_before = free;
            match piece {
                Ok(units) => unit += units,
                Err(_) => {
                    self.damaged(segment.map + (unit - segment.start));
                    unit = next_start(segment, unit + 1);
                }
            }
        }
    }

    /// Examines the piece that starts at `unit` and returns its length in units.
    fn piece(&mut self, segment: Segment<'m>, unit: u32) -> Result<u32> {
        match segment.kind(unit)? {
            UnitKind::Span { class, back: 0 } => self.span(segment, unit, class),
            UnitKind::Large { .. } => self.large(segment, unit),
            UnitKind::Free { .. } => self.run(segment, unit),
            UnitKind::Table { units } => self.records(segment, unit..unit.saturating_add(units)),
            UnitKind::Mixed { .. } => self.mixed(segment, unit),
            _ => Err(Fault::Corrupted),
        }
    }

    fn records(&self, segment: Segment<'m>, units: Range<u32>) -> Result<u32> {
        if !self.heap.are_records(&segment, units.clone()) {
            return Err(Fault::Corrupted);
        }
        inside(segment, units.start + 1, units.end)?;
        Ok(units.end - units.start)
    }

    fn run(&mut self, segment: Segment<'m>, unit: u32) -> Result<u32> {
        let units = segment.run_length(unit)?;
        // The map itself lies in the segment.
        if (unit..unit + units).contains(&(segment.map / WORDS_PER_UNIT)) {
            return Err(Fault::Corrupted);
        }
        // The third unit of a run of three is its last one too.
        let last = unit + units - 1;
        if units >= LISTED {
            let links = [segment.kind(unit + 1)?, segment.kind(unit + 2)?];
            let [UnitKind::Next(_), UnitKind::Previous(_)] = links else {
                return Err(Fault::Corrupted);
            };
            inside(segment, unit + 3, last)?;
            self.pieces.runs.entry(bin_of(units)).or_default().insert(unit);
        } else {
            inside(segment, unit + 1, last)?;
        }
        Ok(units)
    }

    fn large(&mut self, segment: Segment<'m>, unit: u32) -> Result<u32> {
        let large = Large::read(segment, unit)?;
        let seconds = u32::from(large.has_second());
        if large.has_second() && segment.kind(unit + 1)? != UnitKind::LargeSecond {
            return Err(Fault::Corrupted);
        }
        inside(segment, unit + 1 + seconds, unit + large.units)?;
        let (pointer, size) = (large.pointer(), large.buffer_size());
        let (byte_length, found) = self.heap.read_header(pointer)?;
        if found != size || byte_length > size - HEADER {
            self.header(pointer, found == size, Some(pointer));
        }
        self.behind(large.behind(), size)?;
        Ok(large.units)
    }

    fn mixed(&mut self, segment: Segment<'m>, unit: u32) -> Result<u32> {
        let entry = self.heap.grain_table()?.ok_or(Fault::Corrupted)?.read(&segment, unit)?;
        for at in entry.starts() {
            let block = self.heap.mixed_at(segment, unit * (UNIT / GRAIN) + at)?;
            let (pointer, size) = (block.pointer(), block.buffer_size());
            let (byte_length, found) = self.heap.read_header(pointer)?;
            let sound_length = 0 < byte_length && byte_length <= size - HEADER;
            if found != size || !sound_length {
                self.header(pointer, found == size, Some(pointer));
            }
        }
        Ok(1)
    }

    fn span(&mut self, segment: Segment<'m>, unit: u32, class: usize) -> Result<u32> {
        let span = Span::read(&self.heap, segment, unit, class)?;
        for back in 0..span.units {
            if segment.kind(unit + back)? != (UnitKind::Span { class, back }) {
                return Err(Fault::Corrupted);
            }
        }
        let free = self.slots(&span)?;
        if free != span.free || span.count_free()? != free {
            return Err(Fault::Corrupted);
        }
        *self.pieces.span_units.entry(class).or_default() += span.units;
        if free == span.slots {
            self.pieces.spare.entry(class).or_default().insert(unit);
        } else if free > 0 {
            self.pieces.partial.entry(class).or_default().insert(unit);
        }
        Ok(span.units)
    }

    /// Examines the headers of a span and returns how many of its blocks are free.
    fn slots(&mut self, span: &Span<'m>) -> Result<u32> {
        let stride = span.geometry().stride;
        let mut free = 0;
        for slot in 0..span.slots {
            if !span.was_made(slot) {
                free += 1;
                continue;
            }
            let pointer = span.pointer(slot);
            let (byte_length, size) = self.heap.read_header(pointer)?;
            let (most, block) = if span.is_free(slot)? {
                free += 1;
                (0, None)
            } else {
                (stride - HEADER, Some(pointer))
            };
            if size != stride || byte_length > most {
                self.header(pointer, byte_length > most, block);
            }
        }
        self.behind(span.pointer(span.made), stride)?;
        Ok(free)
    }

    /// Examines what lies behind a block of `size` bytes, where no other one begins.
    fn behind(&mut self, pointer: u32, size: u32) -> Result<()> {
        let (byte_length, found) = self.heap.read_header(pointer)?;
        if byte_length != 0 || found != size {
            self.header(pointer, byte_length != 0, None);
        }
        Ok(())
    }

    /// Reports the header before `pointer`: its first word, or its second.
    fn header(&mut self, pointer: u32, first: bool, block: Option<u32>) {
        let offset = if first { pointer - HEADER } else { pointer - HEADER / 2 };
        (self.report)(Damage { part: Part::Header, offset, pointer: block });
    }

    fn lists(&mut self) -> Result<()> {
        let heap = self.heap;
        let Pieces { mut runs, mut partial, mut spare, mut span_units } =
            std::mem::take(&mut self.pieces);
        // Every heap has a segment; any will do to look for links from.
        let near = heap.segment(0)?;
        let links = RunLinks { heap: &heap, near: &near };
        for bin in 0..BINS {
            let head = field::BIN_HEADS + bin;
            self.list(&links, head, runs.remove(&bin).unwrap_or_default());
            let word = field::BIN_BITMAP + bin / 32;
            let filled = heap.field(word)? & 1 << (bin % 32) != 0;
            self.require(filled == (heap.field(head)? != 0), heap.superblock + word);
        }
        for class in 0..COUNT {
            let at = class as u32;
            let links = SpanLinks(&heap);
            self.list(&links, field::PARTIAL + at, partial.remove(&class).unwrap_or_default());
            self.list(&links, field::SPARE + at, spare.remove(&class).unwrap_or_default());
            let units = field::SPAN_UNITS + at;
            let sound = heap.field(units)? == span_units.remove(&class).unwrap_or(0);
            self.require(sound, heap.superblock + units);
        }
        Ok(())
    }

    /// Compares the list that starts at the superblock's field `head` with what should be in it.
    fn list(&mut self, links: &impl Links, head: u32, members: BTreeSet<u32>) {
        let sound = self.holds(links, head, members).is_ok_and(|sound| sound);
        self.require(sound, self.heap.superblock + head);
    }

    fn holds(&self, links: &impl Links, head: u32, mut members: BTreeSet<u32>) -> Result<bool> {
        let (mut previous, mut unit) = (0, self.heap.field(head)?);
        while members.remove(&unit) {
            if links.previous(unit)? != previous {
                return Ok(false);
            }
            previous = unit;
            unit = links.next(unit)?;
        }
        Ok(unit == 0 && members.is_empty())
    }
}

const _: () = assert!(BINS.is_multiple_of(32), "the bitmap of bins has no other bits");

/// Confirms that the units from `unit` to `end` start nothing.
fn inside(segment: Segment<'_>, unit: u32, end: u32) -> Result<()> {
    for unit in unit..end {
        if segment.kind(unit)? != UnitKind::Inside {
            return Err(Fault::Corrupted);
        }
    }
    Ok(())
}

/// The first unit from `unit` on that starts a piece; the segment's end if none does.
fn next_start(segment: Segment<'_>, unit: u32) -> u32 {
    let starts = |&unit: &u32| {
        matches!(
            segment.kind(unit),
            Ok(UnitKind::Span { back: 0, .. }
                | UnitKind::Large { .. }
                | UnitKind::Free { .. }
                | UnitKind::Mixed { .. }
                | UnitKind::Table { .. })
        )
    };
    (unit..segment.end).find(starts).unwrap_or(segment.end)
}
