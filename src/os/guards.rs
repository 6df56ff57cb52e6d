//! Whether the range behind a memory's pages is known to be that memory's.
//!
//! An engine does not say how much it has reserved for a memory, which may be less than the
//! maximum, and the system does not either: two ranges side by side look like one. But an engine
//! that leaves the checks of 32-bit offsets to inaccessible pages must have reserved, for every
//! memory, all that such an offset reaches: 4 GiB, as much as the largest maximum. Whether an
//! engine does so is found out by doing: where a module may read behind the end of a memory, once
//! that byte is readable, nothing but pages had stopped it.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// What a 32-bit offset reaches, in bytes.
const REACH: usize = 1 << 32;

/// An engine decides once and for the whole process, before the first module is compiled.
static PROVEN: AtomicBool = AtomicBool::new(false);

/// Whether 4 GiB from the base of any memory with 32-bit offsets are known to be that memory's.
pub fn are_proven() -> bool {
    PROVEN.load(Relaxed)
}

/// Tries it with a memory of `length` accessible bytes at `base`; `read` has a module read the byte
/// behind them, and tells whether it was allowed to.
///
/// # Safety
/// The memory was made for this and can grow by a page, so that the page behind `length` bytes is
/// reserved for it, and stays so for as long as the call lasts.
pub unsafe fn prove(base: *mut u8, length: usize, read: impl FnOnce() -> bool) {
    // SAFETY: the caller vouches for the page. Nobody else knows of it, so that it may stay
    // readable.
    let made_readable = unsafe { super::platform::make_guard_readable(base, length, REACH) };
    if made_readable && read() {
        PROVEN.store(true, Relaxed);
    }
}
