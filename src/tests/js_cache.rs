//! What lib/cache/thread-cache.js, large-cache.js and rows.js do, word for word, for tests without
//! JavaScript.

use std::sync::atomic::AtomicI8;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::{AcqRel, Relaxed};

use crate::heap::{DENSE_END, GRAIN, HEADER, UNIT};
use crate::process::live_blocks::{DIGIT_BITS, DIGITS, LARGE as LIVE_LARGE, LiveBlocks};
use crate::process::rows::{
    COMMON, END, FIRST_LARGE_UNITS, HEAD_WORDS, LARGE_HEADS, LARGE_SPARE, LIMITS, LONG, LONG_KEPT,
    LONG_SPARE, LONGEST, MOST, MOST_LARGE_UNITS, MOVED, OVER_IDLE, OVER_IDLE_BELOW, OWN, PUBLISHED,
    REFUSALS, SHORT, SIZES, SPARE, STACKS, TAKEN, WIDTH, large_row,
};
use crate::tests::kill::step;

const LEAST_SERVED_LONGER: u32 = 512;
const MOST_REFUSALS: u32 = 32;
const LOWERED: u32 = 1;
const RAISED: u32 = 2;
const WAYS: u32 = 3;

/// The part of a thread's cache that is JavaScript.
#[derive(Clone, Copy)]
pub struct JsCache<'a> {
    /// The whole memory.
    pub words: &'a [AtomicU32],
    /// The words of the cache.
    pub rows: &'a [AtomicU32],
    /// The states of the memory's blocks.
    pub states: &'a [AtomicI8],
    /// The state of a block that is kept, but for its class.
    pub kept: i8,
    /// The bits of it that are its class.
    pub class_bits: i8,
}

impl<'a> JsCache<'a> {
    /// That of a thread whose cache has `rows`.
    pub fn new(words: &'a [AtomicU32], rows: &'a [AtomicU32], blocks: &'a LiveBlocks) -> Self {
        let (kept, class_bits) = blocks.kept();
        Self { words, rows, states: blocks.bytes(), kept, class_bits }
    }

    /// Takes a block.
    pub fn pop(&self, byte_length: u32) -> Option<u32> {
        let head = self.head_for(byte_length);
        let (top, floor) = self.own(head);
        if top <= floor {
            return None;
        }
        self.take(head, byte_length, (head / HEAD_WORDS) as i8)
    }

    /// Keeps a live block, if there is room.
    pub fn push(&self, pointer: u32) -> bool {
        let head = self.head_of(pointer);
        head != 0 && self.has_room(head) && {
            self.keep(pointer, head);
            true
        }
    }

    /// Takes a block out of the part that is everyone's.
    pub fn pop_older(&self, byte_length: u32) -> Option<u32> {
        self.lower(self.head_for(byte_length)).then(|| self.pop(byte_length))?
    }

    /// Takes a block of a longer class, where the heap is short of room.
    pub fn pop_longer(&self, byte_length: u32) -> Option<u32> {
        if self.row(0, SHORT) == 0 || byte_length < LEAST_SERVED_LONGER {
            return None;
        }
        let head = self.head_for(byte_length);
        let found = (1..=4).map(|classes| head + classes * HEAD_WORDS).find_map(|longer| {
            let longest = self.row(longer, LONGEST).checked_sub(HEADER)?;
            self.pop(longest).or_else(|| self.pop_older(longest))
        })?;
        step();
        self.header(found)[0].store(byte_length, Relaxed);
        Some(found)
    }

    /// Keeps a live block, and lets others have older ones.
    pub fn push_newer(&self, pointer: u32) -> bool {
        let head = self.head_of(pointer);
        head != 0 && self.raise(head) && self.push(pointer)
    }

    /// Takes a large block.
    pub fn pop_large(&self, byte_length: u32) -> Option<u32> {
        let units = (byte_length + GRAIN + HEADER).div_ceil(UNIT);
        if units > MOST_LARGE_UNITS / 9 * 8 {
            return None;
        }
        let head = large_head(units);
        self.pop_from(head, byte_length).or_else(|| self.pop_from(head + HEAD_WORDS, byte_length))
    }

    /// Keeps a live large block, if there is room.
    pub fn push_large(&self, pointer: u32) -> bool {
        let head = self.head_of_large(pointer);
        if head == 0 {
            return false;
        }
        if self.row(head, WIDTH) == 0 {
            let is_too_long = self.row(head, LONGEST) > self.row(0, LONG_SPARE);
            if self.row(head, MOVED) >= COMMON && is_too_long {
                return self.publish(pointer, head);
            }
            self.widen(head);
        }
        if !self.has_room(head) && !self.raise(head) {
            return false;
        }
        self.keep(pointer, head);
        true
    }

    /// The head of the stack for a live large block; 0 on any doubt.
    pub fn head_of_large(&self, pointer: u32) -> usize {
        let state = |grains: u32| {
            self.states
                .get((pointer / GRAIN + grains) as usize)
                .map_or(0, |state| state.load(Relaxed))
        };
        let live = [state(0), state(1), state(2)] == [LIVE_LARGE, DIGITS, DIGITS];
        if !live || pointer % UNIT != GRAIN {
            return 0;
        }
        let size = self.size_of(pointer);
        let units = (size + GRAIN) / UNIT;
        let [byte_length, found] = self.header(pointer).each_ref().map(|word| word.load(Relaxed));
        let [_, behind] = self.header(pointer + size).each_ref().map(|word| word.load(Relaxed));
        let sound = found == size && behind == size && (1..=size - HEADER).contains(&byte_length);
        let served = (FIRST_LARGE_UNITS..=MOST_LARGE_UNITS).contains(&units);
        if sound && served { large_head(units) } else { 0 }
    }

    fn pop_from(&self, head: usize, byte_length: u32) -> Option<u32> {
        let (top, floor) = self.own(head);
        let (is_own, published) = (top > floor, self.row(head, PUBLISHED));
        if !is_own && top <= halves(published).0 {
            return None;
        }
        let pointer = self.rows[top as usize - 1].load(Relaxed);
        let size = self.size_of(pointer);
        if byte_length > size - HEADER || self.header(pointer)[1].load(Relaxed) != size {
            return None;
        }
        let is_taken_back = match self.row(head, WIDTH) {
            _ if is_own => true,
            0 => self.unpublish(head, published),
            _ => self.lower(head),
        };
        if !is_taken_back {
            return None;
        }
        self.set_row(head, LIMITS, self.row(head, LIMITS) | TAKEN);
        self.take(head, byte_length, LIVE_LARGE)
    }

    // Gives out the newest block of a stack, if it is still kept, in the state `live`.
    fn take(&self, head: usize, byte_length: u32, live: i8) -> Option<u32> {
        let pointer = self.rows[self.own(head).0 as usize - 1].load(Relaxed);
        step();
        self.set_row(head, OWN, self.row(head, OWN) - 1);
        let state = &self.states[(pointer / GRAIN) as usize];
        if state.load(Relaxed) != self.kept_in(head) {
            return None;
        }
        step();
        self.header(pointer)[0].store(byte_length, Relaxed);
        step();
        state.store(live, Relaxed);
        Some(pointer)
    }

    // Of one that has less than 1 << 16 units.
    fn size_of(&self, pointer: u32) -> u32 {
        let digit = |digit: u32| {
            let state = &self.states[(pointer / GRAIN + 3 + digit) as usize];
            u32::from((state.load(Relaxed) ^ DIGITS) as u8)
        };
        (0..4).rev().fold(0, |units, index| units << DIGIT_BITS | digit(index)) * UNIT - GRAIN
    }

    /// The head of the class of a live block; 0 on any doubt.
    pub fn head_of(&self, pointer: u32) -> usize {
        let state = self.states[(pointer / GRAIN) as usize].load(Relaxed);
        if state <= 0 {
            return 0;
        }
        let head = state as usize * HEAD_WORDS;
        let (stride, _) = halves(self.row(head, LIMITS));
        let [byte_length, size] = self.header(pointer).each_ref().map(|word| word.load(Relaxed));
        let [_, next_size] =
            self.header(pointer + stride).each_ref().map(|word| word.load(Relaxed));
        let sound = byte_length > 0
            && byte_length + HEADER <= stride
            && size == stride
            && next_size == stride;
        if sound { head } else { 0 }
    }

    /// The head of the class that serves `byte_length` bytes.
    pub fn head_for(&self, byte_length: u32) -> usize {
        let grains = (byte_length + HEADER).div_ceil(GRAIN) as usize;
        self.rows[SIZES + grains].load(Relaxed) as usize
    }

    /// Whether the thread's own part has room.
    pub fn has_room(&self, head: usize) -> bool {
        self.own(head).0 < halves(self.row(head, LIMITS)).1
    }

    /// Keeps a block, whatever its state says.
    pub fn keep(&self, pointer: u32, head: usize) {
        let own = self.row(head, OWN);
        step();
        self.states[(pointer / GRAIN) as usize].store(self.kept_in(head), Relaxed);
        step();
        self.header(pointer)[0].store(0, Relaxed);
        step();
        self.rows[halves(own).0 as usize].store(pointer, Relaxed);
        self.set_row(head, OWN, own + 1);
    }

    // The state of a block that is kept in that stack.
    fn kept_in(&self, head: usize) -> i8 {
        let class = if head < LARGE_HEADS { head / HEAD_WORDS } else { 0 };
        self.kept ^ (class as i8 & self.class_bits)
    }

    fn lower(&self, head: usize) -> bool {
        if self.own(head).1 <= halves(self.row(head, PUBLISHED)).0 {
            return false;
        }
        let width = self.widen(head).max(1);
        let published = self.row(head, PUBLISHED);
        let before = self.own(head).1;
        let lower = before.saturating_sub(self.step_of(head, width, LOWERED));
        let floor = lower.max(halves(published).0);
        floor < before && self.move_floor(head, published, floor, width)
    }

    fn raise(&self, head: usize) -> bool {
        if self.own(head).0 >= self.row(head, END) {
            return false;
        }
        let width = self.widen(head);
        self.has_room(head)
            || width > 0 && self.row(head, MOVED) & LONG == 0 && {
                let floor = self.own(head).1 + self.step_of(head, width, RAISED);
                self.move_floor(head, self.row(head, PUBLISHED), floor, width)
            }
    }

    // Keeps a block where everyone may take it, in a stack of which the thread has none to itself.
    fn publish(&self, pointer: u32, head: usize) -> bool {
        if self.own(head).0 >= self.row(head, END) {
            return false;
        }
        self.keep(pointer, head);
        self.note_long(head);
        self.set_row(head, OWN, self.row(head, OWN) + (1 << 16));
        self.rows[head + PUBLISHED].fetch_add(1 << 16, AcqRel);
        true
    }

    // Takes the newest block of such a stack back, `published` as it was when there was one.
    fn unpublish(&self, head: usize, published: u32) -> bool {
        let word = &self.rows[head + PUBLISHED];
        if word.compare_exchange(published, published - (1 << 16), AcqRel, Relaxed).is_err() {
            return false;
        }
        self.set_row(head, OWN, self.row(head, OWN) - (1 << 16));
        true
    }

    fn step_of(&self, head: usize, width: u32, way: u32) -> u32 {
        let moved = self.row(head, MOVED);
        let onward = moved & WAYS == way;
        self.set_row(head, MOVED, moved & !WAYS | way);
        if onward { width } else { width.div_ceil(2) }
    }

    fn move_floor(&self, head: usize, published: u32, floor: u32, width: u32) -> bool {
        let moved = floor << 16 | halves(published).0;
        let word = &self.rows[head + PUBLISHED];
        if word.compare_exchange(published, moved, AcqRel, Relaxed).is_err() {
            return false;
        }
        self.set_row(head, OWN, floor << 16 | self.own(head).0);
        self.set_ceiling(head, floor + width);
        true
    }

    fn set_ceiling(&self, head: usize, ceiling: u32) {
        let (stride, _) = halves(self.row(head, LIMITS));
        self.set_row(head, LIMITS, ceiling.min(self.row(head, END)) << 16 | stride);
    }

    /// Doubles what the thread has to itself of a stack, if there is enough to spare. Returns that.
    pub fn widen(&self, head: usize) -> u32 {
        let (width, figure) = (self.row(head, WIDTH), spare_of(head));
        if self.row(head, MOVED) >= LONG {
            return self.widen_long(head, width);
        }
        let wide = (2 * width).min(self.row(head, MOST));
        let (bytes, spare) =
            (wide.saturating_sub(width) * self.row(head, LONGEST), self.row(0, figure));
        if width == 0 || width >= wide {
            return width;
        }
        if bytes > spare >> 1 {
            return self.refuse(head);
        }
        self.set_row(0, figure, spare - bytes);
        if ((spare - bytes) as i32) < self.row(0, OVER_IDLE_BELOW) as i32 {
            self.set_row(0, OVER_IDLE, 1);
        }
        self.set_row(head, WIDTH, wide);
        self.set_ceiling(head, self.own(head).1 + wide);
        wide
    }

    fn widen_long(&self, head: usize, width: u32) -> u32 {
        let (bytes, spare) = (self.row(head, LONGEST), self.row(0, LONG_SPARE));
        if bytes > spare || width >= self.row(head, MOST) {
            return width;
        }
        self.note_long(head);
        self.set_row(0, LONG_SPARE, spare - bytes);
        self.set_row(head, WIDTH, width + 1);
        self.set_ceiling(head, self.own(head).1 + width + 1);
        width + 1
    }

    fn note_long(&self, head: usize) {
        self.set_row(0, LONG_KEPT, self.row(0, LONG_KEPT) | 1 << (head / HEAD_WORDS % 32));
    }

    fn refuse(&self, head: usize) -> u32 {
        let refusals = (self.row(0, REFUSALS) + 1) % MOST_REFUSALS;
        self.set_row(0, REFUSALS, refusals);
        if refusals == 0 {
            let heads = (HEAD_WORDS..SIZES).chain(LARGE_HEADS..STACKS);
            heads.step_by(HEAD_WORDS).for_each(|head| self.narrow(head));
        }
        self.row(head, WIDTH)
    }

    fn narrow(&self, head: usize) {
        let width = self.row(head, WIDTH);
        let narrow = width.div_ceil(2);
        let (top, floor) = self.own(head);
        let floor = floor.max(top.saturating_sub(narrow / 2));
        if self.row(head, MOVED) < LONG
            && narrow < width
            && self.move_floor(head, self.row(head, PUBLISHED), floor, narrow)
        {
            self.set_row(head, WIDTH, narrow);
            let given = (width - narrow) * self.row(head, LONGEST);
            self.set_row(0, spare_of(head), self.row(0, spare_of(head)) + given);
        }
    }

    fn header(&self, pointer: u32) -> &[AtomicU32; 2] {
        let index = ((pointer - HEADER) / 4) as usize;
        self.words[index..].first_chunk().expect("a header in the memory")
    }

    // The word behind the newest block, and the floor.
    fn own(&self, head: usize) -> (u32, u32) {
        halves(self.row(head, OWN))
    }

    fn row(&self, head: usize, word: usize) -> u32 {
        self.rows[head + word].load(Relaxed)
    }

    fn set_row(&self, head: usize, word: usize, value: u32) {
        self.rows[head + word].store(value, Relaxed);
    }
}

fn spare_of(head: usize) -> usize {
    if head < LARGE_HEADS { SPARE } else { LARGE_SPARE }
}

fn halves(word: u32) -> (u32, u32) {
    (word & 0xffff, word >> 16)
}

fn large_head(units: u32) -> usize {
    LARGE_HEADS + (large_row(units).unwrap() - DENSE_END) * HEAD_WORDS
}
