//! What the process knows of each memory: found by the address at which V8 has it, the same in
//! every thread that has it open.
//!
//! All of it lies outside the memory, so that no byte that JavaScript can write hangs a thread or
//! sends it astray. An address may come to hold another memory later. So what is known of a heap is
//! used only while a thread has the memory open, which keeps it there, or when there is a heap at
//! the place in the memory where the known one was.

use std::collections::HashMap;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Instant;

use crate::attached::{Attachment, Held};
use crate::debug::Book;
use crate::fault::{Fault, Result};
use crate::heap::{Bounds, Heap, PAGE, Words};
use crate::process::claims;
use crate::process::depot::Depot;
use crate::process::live_blocks::LiveBlocks;
use crate::process::sync::{self, Mutex, MutexGuard};
use crate::process::threads;

static REGISTRY: Mutex<Option<Registry>> = Mutex::new(None);

/// The shared memories that are known, by address.
#[derive(Default)]
struct Registry {
    /// Those that a thread has open, or that its last one is closing.
    open: HashMap<usize, Opened>,
    /// For memories that no thread has open: where the heap lies in them, if it shares the memory
    /// with other data. That of a heap that owns its whole memory is always at the same place.
    bounds: HashMap<usize, Bounds>,
}

/// A memory that is open.
struct Opened {
    entry: Arc<Entry>,
    /// How often threads have it open. Not at all while what they had in a file is given up: nobody
    /// opens it again then.
    times: usize,
}

impl Registry {
    fn enter(&mut self, address: usize, entry: Entry) -> Arc<Entry> {
        let entry = Arc::new(entry);
        self.bounds.remove(&address);
        self.open.insert(address, Opened { entry: Arc::clone(&entry), times: 1 });
        entry
    }

    // Notes that one thread less has a memory open. Returns whether that was the last one.
    fn leave(&mut self, address: usize) -> bool {
        self.open.get_mut(&address).is_some_and(|opened| {
            opened.times -= 1;
            opened.times == 0
        })
    }

    fn forget(&mut self, address: usize, bounds: Bounds) {
        self.open.remove(&address);
        claims::give_up(address);
        if !bounds.owns_all {
            self.bounds.insert(address, bounds);
        }
    }
}

/// What is known of one memory.
pub struct Entry {
    /// Its live blocks.
    pub live_blocks: LiveBlocks,
    /// The file that it lies in, iff several processes can have it.
    pub attachment: Option<Arc<Attachment>>,
    growing: Mutex<()>,
    state: Mutex<Guarded>,
}

/// The lock of a heap: that of the process, and, if several have the heap, that of all of them.
pub struct Locked<'k> {
    /// Given up first: fields are dropped in this order.
    _held: Option<Held<'k>>,
    state: MutexGuard<'k, Guarded>,
}

impl Deref for Locked<'_> {
    type Target = Guarded;

    fn deref(&self) -> &Guarded {
        &self.state
    }
}

impl DerefMut for Locked<'_> {
    fn deref_mut(&mut self) -> &mut Guarded {
        &mut self.state
    }
}

/// What the heap's lock guards, besides the heap; it is held for the length of one call.
pub struct Guarded {
    /// Which bytes the heap has, or will have.
    pub bounds: Bounds,
    /// Bytes that the memory is known to have: what one of its threads has seen of it.
    pub byte_length: usize,
    /// Whether one of its threads has found the heap formatted: from then on another one is never
    /// made in its place, whatever is written there.
    pub formatted: bool,
    /// Whether its live blocks are known. In debug mode nobody asks for them.
    pub entered: bool,
    /// Free blocks between the caches of threads.
    pub depot: Depot,
    /// What is known of its blocks, iff the memory is in debug mode.
    pub book: Option<Book>,
}

impl Guarded {
    fn new(bounds: Bounds, byte_length: usize, book: Option<Book>) -> Self {
        let depot = Depot::default();
        Self { bounds, byte_length, formatted: false, entered: false, depot, book }
    }

    // Notes how many bytes a thread sees of the memory. Returns whether that is news.
    fn see(&mut self, byte_length: usize) -> bool {
        let is_news = byte_length > self.byte_length;
        self.byte_length = self.byte_length.max(byte_length);
        is_news
    }
}

impl Entry {
    /// What a thread knows of a memory that it is the first to open: it sees `words`, of which the
    /// heap has or will have `bounds`. `debug` says whether it is in debug mode.
    ///
    /// # Errors
    /// [`Fault::OutOfMemory`].
    pub fn new(words: Words<'_>, bounds: Bounds, debug: bool) -> Result<Self> {
        let live_blocks = LiveBlocks::new(bounds.maximum)?;
        let book = debug.then(Book::default);
        let state = Guarded::new(bounds, words.byte_length() as usize, book);
        let formatted = Heap::open(words, bounds.start).is_some();
        let state = Mutex::new(Guarded { formatted, ..state });
        Ok(Self { live_blocks, attachment: None, growing: Mutex::new(()), state })
    }

    /// What a thread knows of the memory in a file that its process has just attached.
    fn attached(attachment: Attachment) -> Self {
        let attachment = Arc::new(attachment);
        let bounds = Bounds {
            start: Heap::WHOLE_MEMORY_START,
            end_page: attachment.pages(),
            maximum: attachment.maximum(),
            owns_all: true,
        };
        let live_blocks = LiveBlocks::attached(Arc::clone(&attachment));
        let state = Guarded { formatted: true, entered: true, ..Guarded::new(bounds, 0, None) };
        let state = Mutex::new(state);
        Self { live_blocks, attachment: Some(attachment), growing: Mutex::new(()), state }
    }

    /// Notes how many bytes a thread sees of the memory. In a file there is to be room for all of
    /// them then: whoever has grown the memory, what there is of it is the heap's. That is tried
    /// once, as a try that fails takes all room from others while it lasts.
    pub fn see(&self, byte_length: usize) {
        let is_news = self.state().see(byte_length);
        if let Some(attachment) = self.attachment.as_ref().filter(|_| is_news) {
            attachment.reserve((byte_length / PAGE as usize) as u32);
        }
    }

    /// Has the threads of this process grow a memory in a file one after the other: how much is
    /// lacking is known from how much there is, and pages that two of them add are never given back.
    /// The engine's own code runs meanwhile, and nobody else's. The heap's lock is taken after it.
    pub fn growing(&self) -> MutexGuard<'_, ()> {
        sync::lock(&self.growing)
    }

    /// The pages that there is room for in the file; 0 when the memory lies in none.
    pub fn reserved(&self) -> u32 {
        self.attachment.as_ref().map_or(0, |attachment| attachment.pages())
    }

    /// Locks the heap. A thread that panicked while it held the lock left nothing half done in what
    /// is known, and a heap checks its own records, so a poisoned lock is taken.
    ///
    /// # Errors
    /// [`Fault::Busy`] when several processes have the heap, and one of them keeps it and does not
    /// go on.
    pub fn lock(&self) -> Result<Locked<'_>> {
        let Some(attachment) = &self.attachment else {
            return Ok(Locked { _held: None, state: self.state() });
        };
        let start = Instant::now();
        let state = self.state();
        let held = attachment.lock_after(start.elapsed())?;
        Ok(Locked { _held: Some(held), state })
    }

    /// What the lock of this process guards, without the heap.
    pub fn state(&self) -> MutexGuard<'_, Guarded> {
        sync::lock(&self.state)
    }
}

/// Opens the shared memory at `address`, of which this thread sees `words`. Unless another thread
/// has it open or its heap can be found by what was known before, `found` says what the heap may
/// have; unless another thread has it open, `debug` says whether it is in debug mode.
///
/// # Errors
/// Those of `found` and of [`Entry::new`]; [`Fault::OtherBuild`] when another image has it open;
/// [`Fault::Closed`] when the last thread of this process that had its file is closing it.
pub fn open(
    address: usize,
    words: Words<'_>,
    debug: bool,
    found: impl FnOnce() -> Result<Bounds>,
) -> Result<Arc<Entry>> {
    let mut registry = lock();
    let registry = registry.get_or_insert_default();
    if let Some(Opened { entry, times }) = registry.open.get_mut(&address) {
        if *times == 0 {
            return Err(Fault::Closed);
        }
        *times += 1;
        return Ok(Arc::clone(entry));
    }
    if !claims::take(address) {
        return Err(Fault::OtherBuild);
    }
    let place = registry.bounds.get(&address).copied();
    let confirmed = place.filter(|it| Heap::open(words, it.start).is_some());
    let entry = confirmed.map_or_else(found, Ok).and_then(|it| Entry::new(words, it, debug));
    Ok(registry.enter(address, entry.inspect_err(|_| claims::give_up(address))?))
}

/// Opens the memory in a file that this process has just attached and mapped at `address`, where
/// there was no other.
///
/// # Errors
/// [`Fault::OtherBuild`] when another image has a memory there.
pub fn open_attached(address: usize, attachment: Attachment) -> Result<Arc<Entry>> {
    let mut registry = lock();
    let registry = registry.get_or_insert_default();
    if registry.open.contains_key(&address) || !claims::take(address) {
        return Err(Fault::OtherBuild);
    }
    Ok(registry.enter(address, Entry::attached(attachment)))
}

/// Notes that a thread is done with the memory at `address`. With the last one goes what is known
/// of it, but for the place of a heap that could not be found without it; `last` is called before
/// that, and returns whether nothing of this process is left in the heap.
pub fn close(address: usize, entry: &Entry, last: impl FnOnce() -> bool) {
    let mut registry = lock();
    if !registry.get_or_insert_default().leave(address) {
        return;
    }
    if let Some(attachment) = &entry.attachment {
        // A process that is stopped may have the file's lock. Other memories do not wait for it.
        drop(registry);
        attachment.leave(last());
        registry = lock();
    } else {
        last();
    }
    let bounds = entry.state().bounds;
    registry.get_or_insert_default().forget(address, bounds);
}

/// Whether the thread of a token runs, in this process or in one that has a heap together with it.
pub fn is_alive(token: u32) -> bool {
    let elsewhere = |opened: &Opened| {
        let attachment = opened.entry.attachment.as_ref();
        attachment.is_some_and(|attachment| attachment.is_alive_elsewhere(token))
    };
    threads::is_alive(token) || lock().get_or_insert_default().open.values().any(elsewhere)
}

fn lock() -> MutexGuard<'static, Option<Registry>> {
    sync::lock(&REGISTRY)
}
