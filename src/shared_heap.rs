//! A heap as one thread has it open: finds it, locks it for each call, and opens it up to the bytes
//! that the thread sees.

use std::cell::Cell;
use std::ops::Range;

use crate::cache::ThreadCache;
use crate::error::{Fault, Result};
use crate::heap::{Block, Heap, PAGE, Search, Stats, Territory, UNIT, Words};
use crate::memory::{JsValue, Memory};
use crate::registry::{self, Locked};

/// The bytes that must be zero for a memory without a heap to become one.
const PROBED_WORDS: u32 = PAGE / 4;

/// Units that are given back at a time, 16 MiB: some milliseconds.
const TRIM_UNITS: u32 = 4_096;

/// Which part of the memory the caller wants a heap in, and what it knows of the memory.
#[derive(Clone, Copy, Debug)]
pub struct Claim {
    /// The first byte that the heap may use; `None` when all of the memory is the heap's.
    pub heap_base: Option<u32>,
    /// The pages that the memory had when it was made or received.
    pub initial: u32,
    /// The page count that the memory may grow to.
    pub maximum: u32,
    /// Whether this thread made the memory, so that there is nothing in it but what it put there.
    pub made_here: bool,
}

/// One thread's access to the heap in a memory.
pub struct SharedHeap {
    memory: Memory,
    /// Byte offset of the root once the heap was found to be formatted: it never moves.
    root: Cell<Option<u32>>,
    /// What the heap may have, for a memory that is not shared; the registry knows that of the others.
    territory: Cell<Territory>,
    cache: ThreadCache,
}

impl SharedHeap {
    /// Opens the heap in a memory, or claims the memory for one.
    ///
    /// # Errors
    /// [`Fault::NotAHeap`] when the memory holds something else.
    pub fn open(memory: Memory, claim: Claim) -> Result<Self> {
        let mut locked = registry::lock(memory.address());
        let words = memory.words();
        let known = if memory.is_shared() { locked.territory(words) } else { None };
        let territory = known.map_or_else(|| found(words, claim), Ok)?;
        if memory.is_shared() {
            locked.opened(territory);
            locked.seen(memory.byte_length());
        }
        drop(locked);
        let (root, territory) = (Cell::new(None), Cell::new(territory));
        Ok(Self { memory, root, territory, cache: ThreadCache::new() })
    }

    /// Takes note of the memory's present length, and place: a memory that is not shared may move.
    ///
    /// # Errors
    /// When `array` is not a view of the memory.
    pub fn refresh(&self, array: JsValue) -> napi::Result<()> {
        self.memory.refresh(array)?;
        if self.memory.is_shared() {
            self.lock().seen(self.memory.byte_length());
        }
        Ok(())
    }

    /// The free blocks that this thread keeps.
    pub const fn cache(&self) -> &ThreadCache {
        &self.cache
    }

    /// Allocates; see [`Heap::malloc`]. The first call makes the heap. An exhaustive search begins with
    /// what this thread keeps.
    ///
    /// # Errors
    /// [`Fault::OutOfMemory`], [`Fault::Corrupted`], [`Fault::Stale`], [`Fault::FreedTwice`].
    pub fn malloc(&self, byte_length: u32, align: u32, search: Search) -> Result<u32> {
        let mut locked = self.lock();
        let heap = match self.formatted(&mut locked)? {
            Some(heap) => heap,
            None => self.format(&mut locked)?,
        };
        if search == Search::Exhaustive {
            self.cache.drain(&heap)?;
        }
        heap.malloc(byte_length, align, search)
    }

    /// Fetches blocks for the cache; see [`ThreadCache::refill`].
    ///
    /// # Errors
    /// The faults of [`ThreadCache::refill`]; [`Fault::OutOfMemory`] before the first allocation;
    /// [`Fault::Stale`].
    pub fn refill(&self, class: usize) -> Result<u32> {
        let mut locked = self.lock();
        let heap = self.formatted(&mut locked)?.ok_or(Fault::OutOfMemory)?;
        self.cache.refill(&heap, class)
    }

    /// Makes room in the cache; see [`ThreadCache::make_room`].
    ///
    /// # Errors
    /// The faults of [`ThreadCache::make_room`]; [`Fault::Stale`].
    pub fn make_room(&self, class: usize) -> Result<()> {
        self.with_heap(|heap| self.cache.make_room(&heap, class))
    }

    /// Lets the cache tell the blocks of the page of `pointer`; see [`ThreadCache::learn`].
    ///
    /// # Errors
    /// The faults of [`ThreadCache::learn`]; [`Fault::Stale`].
    pub fn learn(&self, pointer: u32) -> Result<()> {
        self.with_heap(|heap| self.cache.learn(&heap, pointer))
    }

    /// Frees a block; see [`Heap::free`].
    ///
    /// # Errors
    /// The faults of [`Heap::free`]; [`Fault::Stale`].
    pub fn free(&self, pointer: u32) -> Result<()> {
        self.with_heap(|heap| heap.free(pointer))
    }

    /// Resizes a block where it is; see [`Heap::resize`].
    ///
    /// # Errors
    /// The faults of [`Heap::resize`]; [`Fault::Stale`].
    pub fn resize(&self, pointer: u32, byte_length: u32, stay: bool) -> Result<()> {
        self.with_heap(|heap| heap.resize(pointer, byte_length, stay))
    }

    /// The requested bytes and the whole space of a block; see [`Heap::inspect`].
    ///
    /// # Errors
    /// The faults of [`Heap::inspect`]; [`Fault::Stale`].
    pub fn inspect(&self, pointer: u32) -> Result<(u32, u32)> {
        self.with_heap(|heap| heap.inspect(pointer))
    }

    /// The least and the most pages to grow by for a request; see [`Heap::growth_for`].
    ///
    /// # Errors
    /// [`Fault::Corrupted`], [`Fault::Stale`].
    pub fn growth_for(&self, byte_length: u32, align: u32) -> Result<(u32, u32)> {
        let mut locked = self.lock();
        match self.formatted(&mut locked)? {
            Some(heap) => heap.growth_for(byte_length, align),
            None => {
                let least = Heap::first_growth_for(byte_length, align);
                Ok((least, least))
            }
        }
    }

    /// The pages to grow by so that a block can be resized where it is; see [`Heap::growth_to_extend`].
    ///
    /// # Errors
    /// The faults of [`Heap::growth_to_extend`]; [`Fault::Stale`].
    pub fn growth_to_extend(&self, pointer: u32, byte_length: u32) -> Result<u32> {
        self.with_heap(|heap| heap.growth_to_extend(pointer, byte_length))
    }

    /// Has the engine grow the memory by `pages`, and takes them in if it is shared: a thread is terminated
    /// while it runs JavaScript, not here, so that no page is lost in between. A memory that is not shared
    /// has to be looked at anew first. Returns the pages that there were.
    ///
    /// # Errors
    /// [`Fault::OutOfMemory`] when the engine refuses.
    pub fn grow(&self, memory: JsValue, grow: JsValue, pages: u32) -> Result<u32> {
        let first = memory.call(grow, pages).ok_or(Fault::OutOfMemory)?;
        if self.memory.is_shared() {
            let end = first.saturating_add(pages);
            self.extend_to(end as usize * PAGE as usize);
            // Pages that cannot hold a block stay unused, as those of an unshared memory do.
            drop(self.add_pages(first, end));
        }
        Ok(first)
    }

    // Other threads may have grown the memory, and added pages, further up.
    fn extend_to(&self, byte_length: usize) {
        let mut locked = self.lock();
        locked.seen(byte_length);
        // SAFETY: the engine has just grown the memory to `byte_length` bytes, or has given a buffer of that
        // many to another thread that has the memory open. It is shared, so it neither moves nor shrinks.
        unsafe { self.memory.extend(locked.byte_length()) };
    }

    /// Takes in pages that the caller grew. A heap that owns its whole memory does so by itself.
    ///
    /// # Errors
    /// [`Fault::OutOfMemory`] when the pages cannot hold a block; [`Fault::Corrupted`],
    /// [`Fault::Stale`].
    pub fn add_pages(&self, first: u32, end: u32) -> Result<()> {
        let mut locked = self.lock();
        let territory = self.territory(&mut locked)?;
        let heap = match self.formatted(&mut locked)? {
            Some(heap) => Ok(heap),
            None if territory.owns_all => return Ok(()),
            None => self.format(&mut locked),
        };
        match heap {
            Ok(heap) if heap.owns_all()? => Ok(()),
            Ok(heap) => heap.add_pages(first, end),
            // What the heap was given is too small for one. It is made at once of what was grown, so that
            // the pages of another thread that grows now come in addition, not instead.
            Err(Fault::OutOfMemory) => {
                let start = first.checked_mul(PAGE).ok_or(Fault::OutOfMemory)?;
                let start = start.max(Heap::WHOLE_MEMORY_ROOT);
                self.set_territory(&mut locked, Territory { start, end_page: end, ..territory });
                self.format(&mut locked).map(drop)
            }
            Err(fault) => Err(fault),
        }
    }

    /// The live blocks in ascending order of address.
    ///
    /// # Errors
    /// [`Fault::Corrupted`], [`Fault::Stale`].
    pub fn blocks(&self) -> Result<Vec<Block>> {
        let mut locked = self.lock();
        let mut blocks = Vec::new();
        if let Some(heap) = self.formatted(&mut locked)? {
            heap.each_block(|block| blocks.push(block))?;
        }
        Ok(blocks)
    }

    /// What the bytes of the heap are used for; all zero before the first allocation.
    ///
    /// # Errors
    /// [`Fault::Corrupted`], [`Fault::Stale`].
    pub fn stats(&self) -> Result<Stats> {
        let mut locked = self.lock();
        self.formatted(&mut locked)?.map_or(Ok(Stats::default()), |heap| heap.stats())
    }

    /// Gives the blocks that this thread keeps back to the heap, and the pages of free runs back to the operating system. Returns the bytes that were resident.
    /// The lock is held for one piece at a time, and a piece that was allocated meanwhile is left alone.
    ///
    /// # Errors
    /// [`Fault::Corrupted`], [`Fault::Stale`], [`Fault::FreedTwice`].
    pub fn trim(&self) -> Result<u64> {
        let runs = {
            let mut locked = self.lock();
            let Some(heap) = self.formatted(&mut locked)? else { return Ok(0) };
            self.cache.drain(&heap)?;
            heap.free_spare_spans()?;
            heap.free_runs()?
        };
        let mut bytes = 0;
        for (start, length) in runs {
            for offset in (0..length).step_by(TRIM_UNITS as usize) {
                bytes += self.trim_piece(start, offset..length.min(offset + TRIM_UNITS))?;
            }
        }
        Ok(bytes)
    }

    fn trim_piece(&self, run: u32, units: Range<u32>) -> Result<u64> {
        let mut locked = self.lock();
        let heap = self.formatted(&mut locked)?.ok_or(Fault::Corrupted)?;
        if !heap.is_free(run, units.end)? {
            return Ok(0);
        }
        let byte = |unit: u32| (run + unit) as usize * UNIT as usize;
        Ok(self.memory.give_back(byte(units.start)..byte(units.end)) as u64)
    }

    fn lock(&self) -> Locked<'static> {
        registry::lock(self.memory.address())
    }

    fn with_heap<T>(&self, act: impl FnOnce(Heap<'_>) -> Result<T>) -> Result<T> {
        let mut locked = self.lock();
        act(self.formatted(&mut locked)?.ok_or(Fault::NeverAllocated)?)
    }

    fn formatted(&self, locked: &mut Locked<'_>) -> Result<Option<Heap<'_>>> {
        let words = self.memory.words();
        if let Some(root) = self.root.get() {
            return Heap::open(words, root).ok_or(Fault::Corrupted)?.current().map(Some);
        }
        let Territory { start: root, end_page, .. } = self.territory(locked)?;
        if u64::from(end_page) * u64::from(PAGE) > words.byte_length() {
            return Err(Fault::Stale);
        }
        if u64::from(root) >= words.byte_length() {
            return Ok(None);
        }
        let Some(heap) = Heap::open(words, root) else {
            return if locked.is_formatted() { Err(Fault::Corrupted) } else { Ok(None) };
        };
        locked.formatted();
        self.root.set(Some(root));
        heap.current().map(Some)
    }

    fn format(&self, locked: &mut Locked<'_>) -> Result<Heap<'_>> {
        let words = self.memory.words();
        let seen = (words.byte_length() / u64::from(PAGE)) as u32;
        let mut territory = self.territory(locked)?;
        if territory.owns_all {
            territory.end_page = seen;
        }
        if territory.end_page > seen {
            return Err(Fault::Stale);
        }
        let heap = Heap::format(words, territory)?;
        locked.formatted();
        self.root.set(Some(territory.start));
        Ok(heap)
    }

    fn set_territory(&self, locked: &mut Locked<'_>, territory: Territory) {
        self.territory.set(territory);
        if self.memory.is_shared() {
            locked.set_territory(territory);
        }
    }

    fn territory(&self, locked: &mut Locked<'_>) -> Result<Territory> {
        if !self.memory.is_shared() {
            return Ok(self.territory.get());
        }
        locked.territory(self.memory.words()).ok_or(Fault::Corrupted)
    }
}

// Where a heap that may have the bytes from `heap_base` begins: not at 0, and below 4 GiB.
fn first_grain(heap_base: u32) -> u32 {
    let grain = Heap::WHOLE_MEMORY_ROOT;
    heap_base.max(1).checked_next_multiple_of(grain).unwrap_or(u32::MAX - (grain - 1))
}

// The territory of a heap that the registry does not know: what the memory itself says, or the claim.
fn found(words: Words<'_>, claim: Claim) -> Result<Territory> {
    let claimed = Territory {
        start: first_grain(claim.heap_base.unwrap_or(0)),
        end_page: claim.initial,
        maximum: claim.maximum,
        owns_all: claim.heap_base.is_none(),
    };
    let formatted = Heap::open(words, claimed.start).is_some();
    let probed = PROBED_WORDS.min((words.byte_length() / 4) as u32);
    let free_to_use = formatted
        || claim.made_here
        || claim.heap_base.is_some()
        || (0..probed).all(|word| words.get(word) == Ok(0));
    if free_to_use { Ok(claimed) } else { Err(Fault::NotAHeap) }
}

impl Drop for SharedHeap {
    // A memory that is not shared dies with its one thread, and may be gone already.
    fn drop(&mut self) {
        if !self.memory.is_shared() {
            return;
        }
        let mut locked = self.lock();
        // SAFETY: the registry has the length from threads that had the memory open together with this one,
        // directly or one after the other. Each keeps a buffer over the same backing store, which does
        // not shrink, and neither does it move: it has kept the address that the registry goes by.
        unsafe { self.memory.extend(locked.byte_length()) };
        if let Ok(Some(heap)) = self.formatted(&mut locked) {
            // Nobody is left to tell of a block that two threads freed; the others are back.
            drop(self.cache.drain(&heap));
        }
        locked.closed();
    }
}
