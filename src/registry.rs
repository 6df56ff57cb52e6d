//! What the process knows of each memory, by the address at which V8 has it, and the heap's lock.
//!
//! Both lie outside the memory, so that no byte that JavaScript can write hangs a thread or sends
//! it astray. What an entry says of a heap is believed only while a thread has the memory open, or
//! when the heap's own records confirm it: an address may come to hold another memory later.

use crate::heap::{Heap, Territory, Words};
use crate::sync::{self, Mutex, MutexGuard};
use std::collections::HashMap;

const STRIPES: usize = 64;
/// Memories lie at least this many bytes apart (V8 reserves guard regions around each).
const ADDRESS_GRAIN: usize = 65_536;

static REGISTRY: [Mutex<Option<Stripe>>; STRIPES] = [const { Mutex::new(None) }; STRIPES];

/// The entries of the memories that share one lock.
type Stripe = HashMap<usize, Entry>;

/// What is known of the memory at one address.
#[derive(Clone, Copy, Debug)]
struct Entry {
    /// Threads that have the memory open.
    open: usize,
    territory: Territory,
    /// Bytes that the memory is known to have: what one of these threads has seen of it.
    byte_length: usize,
    /// Whether one of these threads has found the heap formatted.
    formatted: bool,
}

/// The lock of the heap in the memory at one address; held for the length of one call.
pub struct Locked<'a> {
    stripe: MutexGuard<'a, Option<Stripe>>,
    address: usize,
}

/// Locks the heap in the memory at `address`. A thread that panicked while it held the lock left
/// nothing half done in the registry, and a heap checks its own records, so a poisoned lock is taken.
pub fn lock(address: usize) -> Locked<'static> {
    let stripe = &REGISTRY[address / ADDRESS_GRAIN % STRIPES];
    Locked { stripe: sync::lock(stripe), address }
}

impl Locked<'_> {
    /// The territory of the heap in this memory, if it can be believed. A claim that no thread has open
    /// and no heap confirms is not: it may well be that of an older memory at the same address.
    pub fn territory(&mut self, words: Words<'_>) -> Option<Territory> {
        let address = self.address;
        let entry = self.entries().get(&address).copied()?;
        let Entry { open, territory, .. } = entry;
        let believed = open > 0 || Heap::open(words, territory.start).is_some();
        believed.then_some(territory)
    }

    /// Changes what the territory of the heap in this memory is, if a thread has it open.
    pub fn set_territory(&mut self, territory: Territory) {
        if let Some(entry) = self.entry() {
            entry.territory = territory;
        }
    }

    /// Notes that a thread has opened the memory, and what the territory of its heap is.
    pub fn opened(&mut self, territory: Territory) {
        let address = self.address;
        let new = Entry { open: 0, territory, byte_length: 0, formatted: false };
        let entry = self.entries().entry(address).or_insert(new);
        if entry.open == 0 {
            *entry = new;
        }
        entry.territory = territory;
        entry.open += 1;
    }

    /// Notes how many bytes a thread that has the memory open sees of it.
    pub fn seen(&mut self, byte_length: usize) {
        if let Some(entry) = self.entry() {
            entry.byte_length = entry.byte_length.max(byte_length);
        }
    }

    /// The most bytes that the threads that have the memory open have seen of it.
    pub fn byte_length(&mut self) -> usize {
        self.entry().map_or(0, |entry| entry.byte_length)
    }

    /// Notes that the heap has been formatted.
    pub fn formatted(&mut self) {
        if let Some(entry) = self.entry() {
            entry.formatted = true;
        }
    }

    /// Whether the heap has been formatted, as far as a thread that has the memory open knows.
    pub fn is_formatted(&mut self) -> bool {
        self.entry().is_some_and(|entry| entry.formatted)
    }

    /// Notes that a thread is done with the memory. The entry of a heap whose place can be found
    /// without it is dropped with the last thread.
    pub fn closed(&mut self) {
        let address = self.address;
        if let Some(entry) = self.entries().get_mut(&address) {
            entry.open = entry.open.saturating_sub(1);
            if entry.open == 0 && entry.territory.owns_all {
                self.entries().remove(&address);
            }
        }
    }

    // The entry of this memory while a thread has it open.
    fn entry(&mut self) -> Option<&mut Entry> {
        let address = self.address;
        self.entries().get_mut(&address).filter(|entry| entry.open > 0)
    }

    fn entries(&mut self) -> &mut Stripe {
        self.stripe.get_or_insert_default()
    }
}
