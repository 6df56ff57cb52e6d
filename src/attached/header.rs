//! What a file says of itself. Each word is read as one that anybody may have written.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

use super::layout::HEADER_WORDS;
use super::refusal::Refusal;
use crate::heap::MAX_PAGES;
use crate::os::shared_file::Identity;

/// The first word of a file that is ready: "LSMfile1".
const MAGIC: u64 = u64::from_le_bytes(*b"LSMfile1");
/// What lies where, and what it means, is known to this build only, and on this kind of machine.
const BUILD: u64 = match u64::from_str_radix(env!("LSM_BUILD"), 16) {
    Ok(build) => build ^ if cfg!(target_endian = "little") { 0 } else { 1 },
    Err(_) => panic!("a digest"),
};

const MAGIC_AT: usize = 0;
const BUILD_AT: usize = 1;
const MAXIMUM_AT: usize = 2;
/// [`OPEN`] or [`CLOSED`].
const STATE_AT: usize = 3;
/// Pages of the heap that the file system keeps room for.
const RESERVED_AT: usize = 4;
const IDENTITY_AT: usize = 8;
/// The lock; see lock.rs.
const LOCK_AT: usize = 16;

/// A process has the file attached, or had when it died.
const OPEN: u64 = 1;
/// All that had it attached have closed it.
const CLOSED: u64 = 2;

/// The header of a mapped file.
#[derive(Clone, Copy)]
pub struct Header<'a>(pub &'a [AtomicU64; HEADER_WORDS]);

/// What is read of a file before it is mapped.
pub struct Found {
    words: [u64; HEADER_WORDS],
}

impl Found {
    /// Takes the header for the first bytes of a file.
    pub const fn new(words: [u64; HEADER_WORDS]) -> Self {
        Self { words }
    }

    /// Whether the file was being made when its maker died.
    pub const fn is_half_made(&self) -> bool {
        self.words[MAGIC_AT] == Header::MAKING
    }

    /// The pages that the memory may grow to.
    ///
    /// # Errors
    /// [`Refusal::Refused`] when it is not the file of a heap, or that of another build.
    pub fn maximum(&self) -> Result<u32, Refusal> {
        if self.words[MAGIC_AT] != MAGIC {
            return Err(Refusal::refused("it holds something else"));
        }
        if self.words[BUILD_AT] != BUILD {
            return Err(Refusal::refused("another version of local-shared-memory made it"));
        }
        let (maximum, reserved) = (self.words[MAXIMUM_AT], self.words[RESERVED_AT]);
        if reserved == 0 || reserved > maximum || maximum > MAX_PAGES.into() {
            return Err(Refusal::refused("its header was written over"));
        }
        Ok(maximum as u32)
    }

    /// Whether it is the file of that identity, and not a copy or what a restart has left.
    pub fn is(&self, Identity(identity): Identity) -> bool {
        self.words[IDENTITY_AT..][..identity.len()] == identity
    }

    /// Whether all that had it have closed it.
    pub const fn is_closed(&self) -> bool {
        self.words[STATE_AT] == CLOSED
    }
}

impl<'a> Header<'a> {
    /// The first word of a file that is being made, before it has its length. One that is found so
    /// without its maker is made anew.
    pub const MAKING: u64 = u64::from_le_bytes(*b"LSMmakes");

    /// Notes what the file is, once all of it is there.
    pub fn confirm(self, maximum: u32) {
        self.0[MAXIMUM_AT].store(maximum.into(), Relaxed);
        self.0[BUILD_AT].store(BUILD, Relaxed);
        self.0[MAGIC_AT].store(MAGIC, Release);
    }

    /// Notes which file it is.
    pub fn set_identity(self, Identity(identity): Identity) {
        for (word, value) in self.0[IDENTITY_AT..].iter().zip(identity) {
            word.store(value, Relaxed);
        }
    }

    /// Notes whether a process has it.
    pub fn set_open(self, open: bool) {
        self.0[STATE_AT].store(if open { OPEN } else { CLOSED }, Release);
    }

    /// Pages of the heap that there is room for, `maximum` at most.
    pub fn reserved(self, maximum: u32) -> u32 {
        self.0[RESERVED_AT].load(Acquire).min(maximum.into()) as u32
    }

    /// Notes that there is room for so many pages of the heap.
    pub fn set_reserved(self, pages: u32) {
        self.0[RESERVED_AT].fetch_max(pages.into(), AcqRel);
    }

    /// The word of the lock.
    pub const fn lock(self) -> &'a AtomicU64 {
        &self.0[LOCK_AT]
    }
}
