//! A heap as one thread has it open: finds it, locks it for each call, and opens it up to the bytes
//! that the thread sees.

mod debug;
mod placing;

use std::cell::{Cell, RefCell};
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;

use crate::cache::ThreadCache;
use crate::cache::central::{Central, give_out};
use crate::debug::{Finding, Place};
use crate::fault::{Fault, Result};
use crate::heap::{Area, Block, Heap, PAGE, Search, Stats, Territory, UNIT, Use, Words};
use crate::node::grower::Grower;
use crate::node::memory::{JsValue, Memory};
use crate::process::registry::{self, Known, State};
use crate::process::roots::Roots;

/// The bytes that must be zero for a memory without a heap to become one.
const PROBED_WORDS: u32 = PAGE / 4;

/// Which part of what threads keep goes back at each step while there is no room: a quarter, half of the
/// rest, then all.
const PARTS: [usize; 3] = [4, 2, 1];

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
    /// Whether the memory is to be in debug mode, unless a thread that has it open says otherwise.
    pub debug: bool,
}

/// One thread's access to the heap in a memory.
pub struct SharedHeap {
    /// Before the memory, because fields are dropped in order: it must outlive them.
    roots: Arc<Roots>,
    memory: Memory,
    grower: Grower,
    /// Byte offset of the root once the heap was found to be formatted: it never moves.
    root: Cell<Option<u32>>,
    /// What the process knows of the memory; of one that is not shared nobody else does.
    known: Arc<Known>,
    /// This thread's number in the depot.
    thread: usize,
    cache: Rc<ThreadCache>,
    /// In debug mode: where the program is that makes the next call.
    caller: RefCell<Option<Place>>,
    /// In debug mode: what can be told about the last call that was refused.
    finding: RefCell<Option<Box<Finding>>>,
}

impl SharedHeap {
    /// Opens the heap in a memory, or claims the memory for one.
    ///
    /// # Errors
    /// [`Fault::NotAHeap`] when the memory holds something else, [`Fault::OtherBuild`] when another build
    /// works on it or did; [`Fault::OutOfMemory`].
    pub fn open(memory: Memory, grower: Grower, claim: Claim) -> Result<Self> {
        let words = memory.words();
        let territory = || found(words, claim);
        let known = if memory.is_shared() {
            registry::open(memory.address(), words, claim.debug, territory)?
        } else {
            Arc::new(Known::new(words, territory()?, claim.debug)?)
        };
        let cache = Rc::new(ThreadCache::new());
        let (thread, start) = {
            let mut state = known.lock();
            (state.depot.join(Arc::clone(cache.rows())), state.territory.start)
        };
        let roots = if memory.is_shared() {
            let mark = Heap::open(words, start).and_then(|heap| heap.mark().ok());
            Roots::of(memory.address(), mark.unwrap_or(0))
        } else {
            Roots::new()
        };
        let root = Cell::new(None);
        let (caller, finding) = (RefCell::default(), RefCell::default());
        Ok(Self { roots, memory, grower, root, known, thread, cache, caller, finding })
    }

    /// Takes note of the memory's present length, and place: a memory that is not shared may move.
    ///
    /// # Errors
    /// When `array` is not a view of the memory.
    pub fn refresh(&self, array: JsValue) -> napi::Result<()> {
        self.memory.refresh(array)?;
        self.known.lock().see(self.memory.byte_length());
        Ok(())
    }

    /// The pointer of a name, whichever thread gave it; 0 when there is none.
    pub fn root(&self, name: &[u16]) -> u32 {
        self.roots.get(name)
    }

    /// Gives a name to a pointer, or takes it away when the pointer is 0.
    ///
    /// # Errors
    /// [`Fault::Corrupted`], [`Fault::Stale`].
    pub fn set_root(&self, name: &[u16], pointer: u32) -> Result<()> {
        self.set_root_in(&mut self.known.lock(), name, pointer)
    }

    fn set_root_in(&self, state: &mut State, name: &[u16], pointer: u32) -> Result<()> {
        if let Some(heap) = self.formatted(state)? {
            heap.set_mark(self.roots.identity())?;
        }
        self.roots.set(name, pointer);
        Ok(())
    }

    /// The free blocks that this thread keeps.
    pub const fn cache(&self) -> &Rc<ThreadCache> {
        &self.cache
    }

    /// What the process knows of the memory.
    pub const fn known(&self) -> &Arc<Known> {
        &self.known
    }

    /// The bytes of the memory that this thread has seen.
    pub fn byte_length(&self) -> usize {
        self.memory.byte_length()
    }

    /// Allocates; see [`Heap::malloc`]. The first call makes the heap. Before it is found to be full, what
    /// this thread keeps and what waits in the depot is put back.
    ///
    /// # Errors
    /// [`Fault::OutOfMemory`], [`Fault::Corrupted`], [`Fault::Stale`], [`Fault::FreedTwice`].
    pub fn malloc(&self, byte_length: u32, align: u32, search: Search) -> Result<u32> {
        self.malloc_in(&mut self.known.lock(), byte_length, align, search)
    }

    fn malloc_in(
        &self,
        state: &mut State,
        byte_length: u32,
        align: u32,
        search: Search,
    ) -> Result<u32> {
        let heap = self.formatted_now(state)?;
        let pointer = self.with_room(state, heap, |_| heap.malloc(byte_length, align, search))?;
        give_out(&heap, &self.known.live_blocks, pointer)?;
        Ok(pointer)
    }

    /// Fetches blocks for the cache; see [`ThreadCache::refill`].
    ///
    /// # Errors
    /// The faults of [`ThreadCache::refill`]; [`Fault::OutOfMemory`] before the first allocation;
    /// [`Fault::Stale`].
    pub fn refill(&self, class: usize) -> Result<u32> {
        let mut state = self.known.lock();
        let heap = self.formatted(&mut state)?.ok_or(Fault::OutOfMemory)?;
        let fetched =
            self.with_room(&mut state, heap, |central| self.cache.refill(central, class))?;
        Ok(fetched as u32)
    }

    /// Makes room in the cache; see [`ThreadCache::make_room`].
    ///
    /// # Errors
    /// The faults of [`ThreadCache::make_room`]; [`Fault::Stale`].
    pub fn make_room(&self, class: usize) -> Result<()> {
        self.with_central(|central| self.cache.make_room(central, class))
    }

    /// Makes the cache small; see [`ThreadCache::rest`].
    ///
    /// # Errors
    /// The faults of [`ThreadCache::rest`]; [`Fault::Stale`].
    pub fn rest(&self) -> Result<()> {
        self.with_central(|central| {
            self.cache.rest(central);
            Ok(())
        })
    }

    /// Frees a block; see [`Heap::free`].
    ///
    /// # Errors
    /// The faults of [`Heap::free`]; [`Fault::Stale`].
    pub fn free(&self, pointer: u32) -> Result<()> {
        self.free_and(pointer, || ())
    }

    // Frees a block, and then does what must have happened before anyone else can have it.
    fn free_and(&self, pointer: u32, then: impl FnOnce()) -> Result<()> {
        self.with_live(pointer, |heap, _| {
            heap.free(pointer)?;
            self.known.live_blocks.set_free(pointer);
            then();
            Ok(())
        })
    }

    /// Resizes a block where it is; see [`Heap::resize`].
    ///
    /// # Errors
    /// The faults of [`Heap::resize`]; [`Fault::Stale`].
    pub fn resize(&self, pointer: u32, byte_length: u32, stay: bool) -> Result<()> {
        self.with_live(pointer, |heap, small| {
            heap.resize(pointer, byte_length, stay)?;
            if !small {
                self.known.live_blocks.set_large(pointer, heap.read_header(pointer)?.1);
            }
            Ok(())
        })
    }

    /// The requested bytes and the whole space of a block; see [`Heap::inspect`].
    ///
    /// # Errors
    /// The faults of [`Heap::inspect`]; [`Fault::Stale`].
    pub fn inspect(&self, pointer: u32) -> Result<(u32, u32)> {
        self.with_live(pointer, |heap, _| heap.inspect(pointer))
    }

    /// Grows the memory so that there is room for a block: as much as is usual, else as little as will do. Returns
    /// by how many pages, 0 when the engine refuses.
    ///
    /// # Errors
    /// [`Fault::Corrupted`], [`Fault::Stale`].
    pub fn grow_for(&self, byte_length: u32, align: u32) -> Result<u32> {
        let (least, usual) = self.growth_for(byte_length, align)?;
        Ok(match self.grow_by(usual) {
            0 => self.grow_by(least),
            pages => pages,
        })
    }

    /// Grows the memory so that the block at its end can be resized where it is; see
    /// [`Heap::growth_to_extend`]. Returns by how many pages, 0 when there is no such block or the engine refuses.
    ///
    /// # Errors
    /// The faults of [`Heap::growth_to_extend`]; [`Fault::Stale`].
    pub fn grow_behind(&self, pointer: u32, byte_length: u32) -> Result<u32> {
        let pages = self.with_heap(|heap| heap.growth_to_extend(pointer, byte_length))?;
        Ok(self.grow_by(pages))
    }

    // The least and the usual number of pages.
    fn growth_for(&self, byte_length: u32, align: u32) -> Result<(u32, u32)> {
        let mut state = self.known.lock();
        match self.formatted(&mut state)? {
            Some(heap) => heap.growth_for(byte_length, align),
            None => {
                let least = Heap::first_growth_for(byte_length, align);
                Ok((least, least))
            }
        }
    }

    // Grows the memory, looks at it anew and takes in the pages: a thread is terminated while it runs JavaScript,
    // not here, so that no page is lost in between. JavaScript runs before the lock is taken.
    fn grow_by(&self, pages: u32) -> u32 {
        let Some(first) = (pages > 0).then(|| self.grower.grow(pages)).flatten() else { return 0 };
        if !self.memory.is_shared() {
            let looked =
                self.grower.bytes().is_some_and(|bytes| self.memory.refresh(bytes).is_ok());
            if !looked {
                return 0;
            }
        }
        let end = first.saturating_add(pages);
        let mut state = self.known.lock();
        self.extend_to(&mut state, end as usize * PAGE as usize);
        // Pages that cannot hold a block stay unused.
        drop(self.take_in(&mut state, first, end));
        pages
    }

    // Other threads may have grown the memory, and added pages, further up.
    fn extend_to(&self, state: &mut State, byte_length: usize) {
        state.see(byte_length);
        if self.memory.is_shared() {
            // SAFETY: the engine has just grown the memory to `byte_length` bytes, or has given a buffer of that
            // many to another thread that has the memory open. It is shared, so it neither moves nor shrinks.
            unsafe { self.memory.extend(state.byte_length) };
        }
    }

    /// Takes in pages that the caller grew. A heap that owns its whole memory does so by itself.
    ///
    /// # Errors
    /// [`Fault::OutOfMemory`] when the pages cannot hold a block; [`Fault::Corrupted`],
    /// [`Fault::Stale`].
    pub fn add_pages(&self, first: u32, end: u32) -> Result<()> {
        self.take_in(&mut self.known.lock(), first, end)
    }

    fn take_in(&self, state: &mut State, first: u32, end: u32) -> Result<()> {
        let territory = state.territory;
        let heap = match self.formatted(state)? {
            Some(heap) => Ok(heap),
            None if territory.owns_all => return Ok(()),
            None => self.format(state),
        };
        match heap {
            Ok(heap) if heap.owns_all()? => Ok(()),
            Ok(heap) => heap.add_pages(first, end),
            // What the heap was given is too small for one. It is made at once of what was grown, so that
            // the pages of another thread that grows now come in addition, not instead.
            Err(Fault::OutOfMemory) => {
                let start = first.checked_mul(PAGE).ok_or(Fault::OutOfMemory)?;
                let start = start.max(Heap::WHOLE_MEMORY_ROOT);
                state.territory = Territory { start, end_page: end, ..territory };
                self.format(state).map(drop)
            }
            Err(fault) => Err(fault),
        }
    }

    /// The live blocks in ascending order of address.
    ///
    /// # Errors
    /// [`Fault::Corrupted`], [`Fault::Stale`].
    pub fn blocks(&self) -> Result<Vec<Block>> {
        let mut state = self.known.lock();
        let mut blocks = Vec::new();
        if let Some(heap) = self.formatted(&mut state)? {
            heap.each_block(|block| blocks.push(block))?;
        }
        Ok(blocks)
    }

    /// What the bytes of the heap are used for; all zero before the first allocation.
    ///
    /// # Errors
    /// [`Fault::Corrupted`], [`Fault::Stale`].
    pub fn stats(&self) -> Result<Stats> {
        let mut state = self.known.lock();
        let Some(heap) = self.formatted(&mut state)? else { return Ok(Stats::default()) };
        // What cannot be put back is not free: the walk finds it.
        drop(self.central(&mut state, heap).collect(1));
        heap.stats()
    }

    /// What the bytes of the memory are for; see [`Heap::map`].
    ///
    /// # Errors
    /// [`Fault::Corrupted`], [`Fault::Stale`].
    pub fn map(&self) -> Result<Vec<Area>> {
        let mut state = self.known.lock();
        let Some(heap) = self.formatted(&mut state)? else {
            return Ok(Area::of_unused(self.memory.words()));
        };
        drop(self.central(&mut state, heap).collect(1));
        heap.map(|pointer| state.book.as_ref().is_some_and(|book| book.is_freed(pointer)))
    }

    /// The bytes of a free area that take up no memory: never written to, or given back since.
    pub fn trimmed_bytes(&self, area: &Area) -> u64 {
        let bytes = area.end - area.start;
        match area.used_as {
            Use::Free => {
                bytes - self.memory.resident_bytes(area.start as usize..area.end as usize) as u64
            }
            _ => 0,
        }
    }

    /// Gives the blocks that this thread keeps back to the heap, and the pages of free runs back to the operating system. Returns the bytes that were resident.
    /// The lock is held for one piece at a time, and a piece that was allocated meanwhile is left alone.
    ///
    /// # Errors
    /// [`Fault::Corrupted`], [`Fault::Stale`], [`Fault::FreedTwice`].
    pub fn trim(&self) -> Result<u64> {
        let runs = {
            let mut state = self.known.lock();
            let Some(heap) = self.formatted(&mut state)? else { return Ok(0) };
            self.put_all_back(&mut state, heap)?;
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
        let mut state = self.known.lock();
        let heap = self.formatted(&mut state)?.ok_or(Fault::Corrupted)?;
        if !heap.is_free(run, units.end)? {
            return Ok(0);
        }
        let byte = |unit: u32| (run + unit) as usize * UNIT as usize;
        let bytes = byte(units.start)..byte(units.end);
        self.known.live_blocks.give_back(bytes.clone());
        Ok(self.memory.give_back(bytes) as u64)
    }

    fn with_heap<T>(&self, act: impl FnOnce(Heap<'_>) -> Result<T>) -> Result<T> {
        let mut state = self.known.lock();
        act(self.formatted(&mut state)?.ok_or(Fault::NeverAllocated)?)
    }

    fn with_central<T>(&self, act: impl FnOnce(&mut Central<'_>) -> Result<T>) -> Result<T> {
        let mut state = self.known.lock();
        let heap = self.formatted(&mut state)?.ok_or(Fault::NeverAllocated)?;
        act(&mut self.central(&mut state, heap))
    }

    // Acts on a block if it is live, knowing whether it is of a size class. What the memory says is not
    // enough: the header must be that of a block which is known outside of it.
    fn with_live<T>(
        &self,
        pointer: u32,
        act: impl FnOnce(Heap<'_>, bool) -> Result<T>,
    ) -> Result<T> {
        self.with_heap(|heap| {
            let live_blocks = &self.known.live_blocks;
            let small = matches!(heap.class_of(pointer), Ok(Some(_)));
            let (known, otherwise) = if small {
                (live_blocks.is_live(pointer), Fault::AlreadyFreed)
            } else {
                let size = heap.read_header(pointer).ok().map(|(_, size)| size);
                (size.is_some() && live_blocks.large_size(pointer) == size, Fault::Corrupted)
            };
            if !known {
                return Err(heap.inspect(pointer).err().unwrap_or(otherwise));
            }
            act(heap, small)
        })
    }

    // Allocates. When there is no room, what threads keep is put back, little by little, the oldest first.
    fn with_room<T>(
        &self,
        state: &mut State,
        heap: Heap<'_>,
        allocate: impl Fn(&mut Central<'_>) -> Result<T>,
    ) -> Result<T> {
        let mut central = self.central(state, heap);
        let mut allocated = allocate(&mut central);
        for part in PARTS {
            if !matches!(allocated, Err(Fault::OutOfMemory)) {
                break;
            }
            if self.cache.give_back(&mut central, part)? {
                heap.free_spare_spans()?;
                allocated = allocate(&mut central);
            }
        }
        allocated
    }

    // Puts what this thread keeps, and what all can have, back into the spans.
    fn put_all_back(&self, state: &mut State, heap: Heap<'_>) -> Result<()> {
        self.cache.give_back(&mut self.central(state, heap), 1).map(drop)
    }

    fn central<'a>(&'a self, state: &'a mut State, heap: Heap<'a>) -> Central<'a> {
        let depot = &mut state.depot;
        Central { heap, live_blocks: &self.known.live_blocks, depot, thread: self.thread }
    }

    fn formatted(&self, state: &mut State) -> Result<Option<Heap<'_>>> {
        let words = self.memory.words();
        if let Some(root) = self.root.get() {
            return Heap::open(words, root).ok_or(Fault::Corrupted)?.current().map(Some);
        }
        let Territory { start: root, end_page, .. } = state.territory;
        if u64::from(end_page) * u64::from(PAGE) > words.byte_length() {
            return Err(Fault::Stale);
        }
        if u64::from(root) >= words.byte_length() {
            return Ok(None);
        }
        let Some(heap) = Heap::open(words, root) else {
            return if state.formatted { Err(Fault::Corrupted) } else { Ok(None) };
        };
        state.formatted = true;
        self.root.set(Some(root));
        heap.current().map(Some)
    }

    fn formatted_now(&self, state: &mut State) -> Result<Heap<'_>> {
        match self.formatted(state)? {
            Some(heap) => Ok(heap),
            None => self.format(state),
        }
    }

    fn format(&self, state: &mut State) -> Result<Heap<'_>> {
        let words = self.memory.words();
        let seen = (words.byte_length() / u64::from(PAGE)) as u32;
        let mut territory = state.territory;
        if territory.owns_all {
            territory.end_page = seen;
        }
        if territory.end_page > seen {
            return Err(Fault::Stale);
        }
        let heap = Heap::format(words, territory)?;
        state.formatted = true;
        self.root.set(Some(territory.start));
        Ok(heap)
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
    if Heap::is_of_other_build(words, claimed.start) {
        return Err(Fault::OtherBuild);
    }
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
        let mut state = self.known.lock();
        // SAFETY: what is known has the length from threads that had the memory open together with this one,
        // directly or one after the other. Each keeps a buffer over the same backing store, which does
        // not shrink, and neither does it move: it has kept the address that the registry goes by.
        unsafe { self.memory.extend(state.byte_length) };
        if let Ok(Some(heap)) = self.formatted(&mut state) {
            // Nobody is left to tell of a block that two threads freed; the others are back.
            drop(self.cache.drain(&mut self.central(&mut state, heap)));
            drop(self.central(&mut state, heap).leave());
        }
        drop(state.depot.leave(self.thread));
        drop(state);
        registry::close(self.memory.address(), &self.known, |state| {
            self.close_book(state);
            if let Ok(Some(heap)) = self.formatted(state) {
                // Nor would anyone ask the next depot for what waits in this one.
                drop(self.central(state, heap).collect(1));
            }
        });
    }
}
