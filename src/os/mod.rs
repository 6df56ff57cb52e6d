//! Where the bytes live: the one place that talks to the operating system about memory.
//!
//! A memory object of the operating system is mapped over the address range that V8 has reserved
//! for a WebAssembly.Memory, so that the memory's bytes are ones that Rust allocated. V8 goes on to
//! make pages writable as the memory grows, and unmaps its range in the end, the overlay included;
//! the object lives for as long as a mapping of it does, so its descriptor is closed at once.

pub mod guards;
#[cfg_attr(windows, path = "image_windows.rs")]
pub mod image;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "macos")]
mod macos;
#[cfg(any(target_os = "linux", target_os = "macos"))]
mod unix;
#[cfg(any(target_os = "linux", target_os = "macos"))]
use unix as platform;
#[cfg(not(any(target_os = "linux", target_os = "macos")))]
#[path = "other.rs"]
mod platform;
#[cfg_attr(not(target_os = "linux"), path = "no_shared_file.rs")]
pub mod shared_file;

use std::fs::File;
use std::io;
use std::ops::Range;

/// The address range that V8 has reserved for a memory.
#[cfg_attr(
    not(any(target_os = "linux", target_os = "macos")),
    expect(dead_code, reason = "V8 keeps its own pages there")
)]
#[derive(Clone, Copy, Debug)]
pub struct Reservation {
    base: *mut u8,
    /// Bytes that are accessible.
    initial: usize,
    /// Bytes that the memory may grow to.
    maximum: usize,
}

impl Reservation {
    /// Names the range that V8 has reserved for a memory.
    ///
    /// # Safety
    /// V8 made a shared memory whose bytes lie at `base`, of which `initial` bytes are accessible,
    /// and reserved `maximum` bytes there for it and nobody else; it still exists when the
    /// reservation is used, and no thread has read or written it yet.
    pub const unsafe fn new(base: *mut u8, initial: usize, maximum: usize) -> Self {
        Self { base, initial, maximum }
    }
}

/// A step on the way to native storage, each of which the operating system may refuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The range must be known to be the memory's and have no holes, in pages that divide those of
    /// WebAssembly.
    CheckReservation,
    /// Making the memory object.
    CreateObject,
    /// Giving it the memory's maximum length.
    SetLength,
    /// Rust's own mapping of its first page.
    MapOwn,
    /// Mapping it over V8's range.
    MapOver,
    /// Making the initial bytes accessible.
    MakeAccessible,
    /// Comparing what both mappings show.
    Verify,
}

/// What an attempt at native storage ends with.
type Outcome<T> = Result<T, (Step, io::Error)>;

/// Puts bytes that Rust allocated in the place of V8's.
///
/// # Errors
/// The step that failed and why. V8's range is then as it was: zero, and accessible up to
/// `initial`.
pub fn overlay(reservation: Reservation) -> Outcome<()> {
    platform::overlay(reservation, |_| Ok(()))
}

/// Puts the bytes of a file from `offset` on in the place of V8's: a multiple of the system's
/// pages.
///
/// # Errors
/// As [`overlay`].
pub fn overlay_file(reservation: Reservation, file: &File, offset: usize) -> Outcome<()> {
    platform::overlay_file(reservation, file, offset)
}

/// Whether the page at `base` is one that [`overlay`] put there.
///
/// # Safety
/// `base` is the address of a memory that V8 keeps for as long as the call lasts.
pub unsafe fn is_overlaid(base: *mut u8) -> bool {
    // SAFETY: the caller's promise is the same.
    unsafe { platform::is_overlaid(base) }
}

/// Gives the pages wholly inside `bytes` back to the operating system; they read as zero
/// afterwards. Returns how many bytes of them were resident; 0 when the system keeps them.
///
/// # Safety
/// `bytes` are accessible bytes of a memory at `base` that V8 keeps for as long as the call lasts,
/// and nobody relies on what they hold.
pub unsafe fn give_back(base: *mut u8, bytes: Range<usize>) -> usize {
    // SAFETY: the caller's promise is the same.
    unsafe { platform::give_back(base, bytes) }
}

/// How many of `bytes` of a memory at `base` take up memory, in pages that lie wholly inside them;
/// all of them where the system does not tell, none where nothing is mapped.
pub fn resident_bytes(base: *mut u8, bytes: Range<usize>) -> usize {
    platform::resident_in(base, bytes)
}
