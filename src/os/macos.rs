//! What macOS has in place of what only Linux has.

use std::collections::BTreeSet;
use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::FromRawFd;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::unix::check;

/// Makes a memory object, which lives for as long as its descriptor or a mapping of it does.
pub fn create_object() -> io::Result<File> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let serial = NEXT.fetch_add(1, Relaxed);
    let name = CString::new(format!("/lsm-{}-{serial}", std::process::id()))?;
    let flags = libc::O_RDWR | libc::O_CREAT | libc::O_EXCL;
    // SAFETY: `name` ends in NUL, and neither call keeps a pointer to it. The object stays without
    // its name for as long as the descriptor or a mapping does. macOS sets FD_CLOEXEC by itself.
    let descriptor = unsafe {
        let descriptor = libc::shm_open(name.as_ptr(), flags, 0o600);
        libc::shm_unlink(name.as_ptr());
        descriptor
    };
    check(descriptor >= 0)?;
    // SAFETY: the descriptor was just made and belongs to nobody else.
    Ok(unsafe { File::from_raw_fd(descriptor) })
}

/// Notes that an object was mapped at `base`.
pub fn remember(base: *mut u8) {
    overlays().insert(base as usize);
}

/// Whether an object was mapped at `base`. An address that V8 uses again, for a memory that was not
/// made by this package, is taken for one too: the system cannot be asked.
///
/// # Safety
/// Nothing is asked of the system.
pub unsafe fn is_remembered(base: *mut u8) -> bool {
    overlays().contains(&(base as usize))
}

fn overlays() -> MutexGuard<'static, BTreeSet<usize>> {
    static OVERLAYS: Mutex<BTreeSet<usize>> = Mutex::new(BTreeSet::new());
    OVERLAYS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Drops nothing: macOS has no advice after which pages are sure to read as zero.
///
/// # Safety
/// Nothing is done.
pub unsafe fn discard(_address: *mut u8, _length: usize) -> bool {
    false
}
