//! What only Linux has: memory objects without a name, and advice on shared pages.

use std::ffi::c_int;
use std::fs::File;
use std::io;
use std::os::fd::FromRawFd;

use super::unix::{check, host_page};

/// Makes a memory object, which lives for as long as its descriptor or a mapping of it does.
pub fn create_object() -> io::Result<File> {
    let name = c"local-shared-memory";
    // SAFETY: `name` ends in NUL, and the call keeps no pointer to it.
    let descriptor = unsafe { libc::memfd_create(name.as_ptr(), libc::MFD_CLOEXEC) };
    check(descriptor >= 0)?;
    // SAFETY: the descriptor was just made and belongs to nobody else.
    Ok(unsafe { File::from_raw_fd(descriptor) })
}

/// Notes that an object was mapped at `base`: there is nothing to note, as the kernel can be asked.
pub fn remember(_base: *mut u8) {}

/// Whether the page at `base` is an object's: V8's own pages are private, and only private pages
/// can be wiped in a forked process.
///
/// # Safety
/// The page is one of a memory that is kept for as long as the call lasts.
pub unsafe fn is_remembered(base: *mut u8) -> bool {
    let advise = |advice: c_int| {
        // SAFETY: the caller vouches for the page, and neither advice below changes what this process
        // finds there.
        unsafe { libc::madvise(base.cast(), host_page(), advice) == 0 }
    };
    let private = advise(libc::MADV_WIPEONFORK);
    if private {
        advise(libc::MADV_KEEPONFORK);
    }
    !private
}

/// Drops what pages hold, on which nobody may rely. Shared pages are punched out of their object;
/// for V8's private ones that is refused, and dropping them does.
///
/// # Safety
/// The pages are a memory's, and nobody relies on what they hold.
pub unsafe fn discard(address: *mut u8, length: usize) -> bool {
    let advise = |advice: c_int| {
        // SAFETY: the caller vouches for the pages.
        check(unsafe { libc::madvise(address.cast(), length, advice) } == 0)
    };
    let private = |error: io::Error| match error.raw_os_error() {
        Some(libc::EINVAL) => advise(libc::MADV_DONTNEED),
        _ => Err(error),
    };
    advise(libc::MADV_REMOVE).or_else(private).is_ok()
}
