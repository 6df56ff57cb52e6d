//! The blocks of one heap: who made each and who freed it, and the quarantine of freed ones.
//!
//! A block is `byteLength` bytes with at least [`GUARD`] more behind them. To the heap a block in
//! quarantine is like any other; only the book knows that it was freed. Blocks that the book does
//! not know are left to the heap.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::Arc;

use super::{CallSite, Finding, Group, Trouble};
use crate::fault::{Fault, Result as Found};
use crate::heap::{Block, Damage, HEADER, Heap, Live, Part, Search, Stats, UNIT};

/// Bytes behind each block at the least.
const GUARD: u32 = 16;
/// What the bytes of a new block, of a freed one, and behind a block are.
const FRESH_BYTE: u8 = 0xcd;
const FREED_BYTE: u8 = 0xdd;
const GUARD_BYTE: u8 = 0xfd;
/// The quarantine holds one part in this many of the heap,
const QUARANTINE_SHARE: u64 = 8;
/// but never more than this many bytes.
const MOST_HELD: u64 = 16 * 1024 * 1024;
/// Stacks that may be kept though no block has them.
const SPARE_TEXTS: usize = 1_000;
/// A check ends after this many findings.
const MOST_FINDINGS: usize = 10_000;

/// What is known of a block that was made in debug mode.
#[derive(Debug)]
struct Record {
    byte_length: u32,
    buffer_size: u32,
    /// Bytes from the pointer to the end of the block's space.
    room: u32,
    made: CallSite,
    freed: Option<CallSite>,
}

type Result<T> = core::result::Result<T, Trouble>;

impl Record {
    fn finding(&self, part: Option<Part>, pointer: u32, offset: u32) -> Finding {
        let (made, freed) = (Some(self.made.clone()), self.freed.clone());
        let byte_length = Some(self.byte_length);
        Finding { part, offset, pointer: Some(pointer), byte_length, made, freed }
    }

    fn header_damage(&self, heap: &Heap<'_>, pointer: u32) -> Option<Finding> {
        let (byte_length, buffer_size) = heap.read_header(pointer).ok()?;
        let word = match (byte_length == self.byte_length, buffer_size == self.buffer_size) {
            (true, true) => return None,
            (true, false) => HEADER / 2,
            (false, _) => HEADER,
        };
        Some(self.finding(Some(Part::Header), pointer, pointer - word))
    }

    /// What is wrong with the block's header, or with the bytes that nobody should have written.
    fn damage(&self, heap: &Heap<'_>, pointer: u32) -> Option<Finding> {
        self.header_damage(heap, pointer).or_else(|| self.byte_damage(heap, pointer))
    }

    fn byte_damage(&self, heap: &Heap<'_>, pointer: u32) -> Option<Finding> {
        let end = pointer + self.room;
        let (part, start, byte) = match self.freed {
            Some(_) => (Part::Freed, pointer, FREED_BYTE),
            None => (Part::Guard, pointer + self.byte_length, GUARD_BYTE),
        };
        let offset = heap.first_other(start, end, byte).ok()??;
        Some(self.finding(Some(part), pointer, offset))
    }
}

/// What is known of one heap's blocks.
#[derive(Debug, Default)]
pub struct Book {
    records: BTreeMap<u32, Record>,
    /// Freed blocks, the oldest first.
    quarantine: VecDeque<u32>,
    /// Bytes that the blocks in quarantine take.
    held: u64,
    /// Each stack, and each name of a kind of structure, once.
    texts: HashSet<Arc<str>>,
}

impl Book {
    /// A place, its texts shared with all others that have the same.
    pub fn place(&mut self, thread_id: u32, stack: String, structure: Option<String>) -> CallSite {
        let (stack, structure) = (self.text(stack), structure.map(|name| self.text(name)));
        CallSite { thread_id, stack, structure }
    }

    fn text(&mut self, text: String) -> Arc<str> {
        if let Some(known) = self.texts.get(text.as_str()) {
            return Arc::clone(known);
        }
        self.forget_texts();
        let text = Arc::<str>::from(text);
        self.texts.insert(Arc::clone(&text));
        text
    }

    /// Allocates a guarded block; see [`Heap::malloc`]. The quarantine is emptied before there is
    /// no room.
    ///
    /// # Errors
    /// As [`Heap::malloc`]; [`Fault::Corrupted`] when a block in quarantine was written to: nothing
    /// was allocated then, and the next call goes on.
    pub fn malloc(
        &mut self,
        heap: &Heap<'_>,
        byte_length: u32,
        align: u32,
        search: Search,
        made: CallSite,
    ) -> Result<u32> {
        let whole = Self::request(byte_length);
        let mut allocated = heap.malloc(whole, align, search);
        if allocated == Err(Fault::OutOfMemory) && !self.quarantine.is_empty() {
            self.release(heap, 0)?;
            allocated = heap.malloc(whole, align, search);
        }
        if allocated == Err(Fault::OutOfMemory) && search == Search::Exhaustive {
            allocated = heap.misplace(whole, align);
        }
        let pointer = allocated?;
        heap.fill(pointer, pointer + byte_length, FRESH_BYTE)?;
        self.enter(heap, pointer, byte_length, made)?;
        Ok(pointer)
    }

    /// Frees a block into the quarantine, which makes room for it first. One that is larger than
    /// the quarantine is freed at once.
    ///
    /// # Errors
    /// The faults of [`Heap::free`]. [`Fault::Corrupted`] also when a guard was written over, or a
    /// block that leaves the quarantine was written to. The block stays live.
    pub fn free(&mut self, heap: &Heap<'_>, pointer: u32, freed: CallSite) -> Result<()> {
        let Some((record, live)) = self.confirm(heap, pointer)? else {
            return heap.free(pointer).map_err(|fault| self.explain(pointer, fault));
        };
        let (end, size) = (pointer + record.room, u64::from(record.buffer_size));
        // Without a sound count of units nothing is held back: freeing does not depend on it.
        let bytes = u64::from(heap.total_units().unwrap_or(0)) * u64::from(UNIT);
        let most = MOST_HELD.min(bytes / QUARANTINE_SHARE);
        if size > most {
            heap.free_live(live).map_err(|fault| self.explain(pointer, fault))?;
            self.records.remove(&pointer);
            return Ok(());
        }
        self.release(heap, most - size)?;
        heap.fill(pointer, end, FREED_BYTE)?;
        if let Some(record) = self.records.get_mut(&pointer) {
            record.freed = Some(freed);
        }
        self.quarantine.push_back(pointer);
        self.held += size;
        Ok(())
    }

    /// Resizes a block where it is; see [`Heap::resize`].
    ///
    /// # Errors
    /// As [`Heap::resize`] and [`Book::free`].
    pub fn resize(
        &mut self,
        heap: &Heap<'_>,
        pointer: u32,
        byte_length: u32,
        stay: bool,
        made: CallSite,
    ) -> Result<u32> {
        let Some((record, live)) = self.confirm(heap, pointer)? else {
            return heap
                .resize(pointer, byte_length, stay)
                .map_err(|fault| self.explain(pointer, fault));
        };
        let old = record.byte_length;
        let before = heap.resize_live(live, Self::request(byte_length), stay)?;
        if before == 0 {
            heap.fill(pointer + old.min(byte_length), pointer + byte_length, FRESH_BYTE)?;
            self.enter(heap, pointer, byte_length, made)?;
        }
        Ok(before)
    }

    /// The requested bytes and the whole space of a block; see [`Heap::inspect`].
    ///
    /// # Errors
    /// The faults of [`Heap::inspect`].
    pub fn inspect(&self, heap: &Heap<'_>, pointer: u32) -> Result<(u32, u32)> {
        if let Some(record) = self.records.get(&pointer) {
            if record.freed.is_some() {
                return Err(self.explain(pointer, Fault::AlreadyFreed));
            }
            if let Some(finding) = record.header_damage(heap, pointer) {
                return Err(finding.into());
            }
        }
        heap.inspect(pointer).map_err(|fault| self.explain(pointer, fault))
    }

    /// Gives blocks in quarantine back to the heap, the oldest first, until they take at most
    /// `most` bytes.
    ///
    /// # Errors
    /// [`Fault::Corrupted`] at the first that was written to after it was freed. It has left then
    /// too.
    pub fn release(&mut self, heap: &Heap<'_>, most: u64) -> Result<()> {
        while self.held > most {
            let Some(pointer) = self.quarantine.pop_front() else { break };
            let Some(record) = self.records.get(&pointer) else { continue };
            self.held -= u64::from(record.buffer_size);
            let damage = record.damage(heap, pointer);
            // Its words are nobody's but the heap's now.
            heap.write_header(pointer, record.byte_length, record.buffer_size)?;
            // What the heap does not take back stays a freed block in this book.
            let outcome = heap.free(pointer);
            let outcome = outcome.map_err(|fault| self.explain(pointer, fault));
            if outcome.is_ok() {
                self.records.remove(&pointer);
            }
            damage.map_or(outcome, |finding| Err(finding.into()))?;
        }
        Ok(())
    }

    /// Gives all blocks in quarantine back to the heap, whatever was written to them.
    pub fn close(&mut self, heap: &Heap<'_>) {
        while !self.quarantine.is_empty() {
            drop(self.release(heap, 0));
        }
    }

    /// The live blocks in ascending order of address.
    ///
    /// # Errors
    /// The faults of [`Heap::each_block`].
    pub fn blocks(&self, heap: &Heap<'_>) -> Found<Vec<Block>> {
        let mut blocks = Vec::new();
        heap.each_block(|block| {
            if !self.is_freed(block.pointer) {
                blocks.push(block);
            }
        })?;
        Ok(blocks)
    }

    /// What the bytes of the heap are used for; blocks in quarantine are held back like cached
    /// ones.
    ///
    /// # Errors
    /// The faults of [`Heap::stats`].
    pub fn stats(&self, heap: &Heap<'_>) -> Found<Stats> {
        let mut stats = heap.stats()?;
        for record in self.records.values().filter(|record| record.freed.is_some()) {
            stats.used_bytes -= u64::from(record.buffer_size).min(stats.used_bytes);
            stats.requested_bytes -= u64::from(record.byte_length).min(stats.requested_bytes);
            stats.cached_bytes += u64::from(record.buffer_size);
            stats.block_count = stats.block_count.saturating_sub(1);
        }
        stats.largest_free_block = stats.largest_free_block.saturating_sub(u64::from(GUARD));
        Ok(stats)
    }

    /// The request that `byte_length` bytes are to the heap.
    pub const fn request(byte_length: u32) -> u32 {
        byte_length.saturating_add(GUARD)
    }

    /// Everything that is wrong with the heap and with its blocks.
    pub fn check(&self, heap: &Heap<'_>) -> Vec<Finding> {
        let mut findings = Vec::new();
        let mut headers = HashSet::new();
        heap.check(&mut |damage| {
            if findings.len() < MOST_FINDINGS {
                headers.extend(damage.pointer);
                findings.push(self.find(damage));
            }
        });
        let rest = self.records.iter().filter(|(pointer, _)| !headers.contains(pointer));
        let damaged = rest.filter_map(|(&pointer, record)| record.damage(heap, pointer));
        findings.extend(damaged.take(MOST_FINDINGS));
        findings.truncate(MOST_FINDINGS);
        findings
    }

    /// The live blocks in groups by the place that made them, the most bytes first.
    ///
    /// # Errors
    /// The faults of [`Heap::each_block`].
    pub fn leaks(&self, heap: &Heap<'_>) -> Found<Vec<Group>> {
        let mut groups = BTreeMap::<Option<&CallSite>, Group>::new();
        for block in self.blocks(heap)? {
            let made = self.records.get(&block.pointer).map(|record| &record.made);
            let group = groups.entry(made).or_insert_with(|| Group {
                made: made.cloned(),
                byte_length: 0,
                blocks: Vec::new(),
            });
            group.byte_length += u64::from(block.byte_length);
            group.blocks.push(block.pointer);
        }
        let mut groups: Vec<_> = groups.into_values().collect();
        groups.sort_by_key(|group| std::cmp::Reverse(group.byte_length));
        Ok(groups)
    }

    /// Whether the block at `pointer` is in quarantine.
    pub fn is_freed(&self, pointer: u32) -> bool {
        self.records.get(&pointer).is_some_and(|record| record.freed.is_some())
    }

    // Guards the new block at `pointer`, which has `byte_length` bytes, and enters it.
    fn enter(
        &mut self,
        heap: &Heap<'_>,
        pointer: u32,
        byte_length: u32,
        made: CallSite,
    ) -> Result<()> {
        let room = heap.room(pointer)?;
        let (_, buffer_size) = heap.read_header(pointer)?;
        heap.write_header(pointer, byte_length, buffer_size)?;
        heap.fill(pointer + byte_length, pointer + room, GUARD_BYTE)?;
        let record = Record { byte_length, buffer_size, room, made, freed: None };
        self.records.insert(pointer, record);
        Ok(())
    }

    // Forgets the texts that no block has any more, when they are the larger part.
    fn forget_texts(&mut self) {
        if self.texts.len() > SPARE_TEXTS + 4 * self.records.len() {
            self.texts.retain(|text| Arc::strong_count(text) > 1);
        }
    }

    /// The record of the block at `pointer`, which is live and sound, and the block; none if the
    /// book does not know it.
    fn confirm<'m>(&self, heap: &Heap<'m>, pointer: u32) -> Result<Option<(&Record, Live<'m>)>> {
        let Some(record) = self.records.get(&pointer) else { return Ok(None) };
        if record.freed.is_some() {
            return Err(self.explain(pointer, Fault::AlreadyFreed));
        }
        if let Some(finding) = record.damage(heap, pointer) {
            return Err(finding.into());
        }
        let live = heap.live(pointer).map_err(|fault| self.explain(pointer, fault))?;
        Ok(Some((record, live)))
    }

    /// The fault that a call with `pointer` met, with what is known of the block that it lies in.
    fn explain(&self, pointer: u32, fault: Fault) -> Trouble {
        let nearest = self.records.range(..=pointer.saturating_add(HEADER)).next_back();
        let holder = nearest.filter(|&(&start, record)| pointer - start.min(pointer) < record.room);
        let finding = holder.map(|(&start, record)| Box::new(record.finding(None, start, pointer)));
        Trouble { fault, finding }
    }

    fn find(&self, damage: Damage) -> Finding {
        let Damage { part, offset, pointer } = damage;
        match pointer.and_then(|pointer| self.records.get_key_value(&pointer)) {
            Some((&pointer, record)) => record.finding(Some(part), pointer, offset),
            None => Finding::of(damage),
        }
    }
}

#[cfg(test)]
mod tests;
