//! Where a process is killed that uses the heap of several: at a step of the log, which is before
//! and behind each write that it notes, each time it is dropped, and each time something is put
//! back.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

/// Steps until this process is killed; 0 for never.
static LEFT: AtomicU64 = AtomicU64::new(0);

/// Has this process killed after so many steps.
pub fn after(steps: u64) {
    LEFT.store(steps, Relaxed);
}

/// Whether nothing is noted: as if there were no log.
static FORGETFUL: AtomicBool = AtomicBool::new(false);

/// Has nothing noted in this process from now on.
pub fn forget() {
    FORGETFUL.store(true, Relaxed);
}

/// Whether nothing is noted.
pub fn is_forgetful() -> bool {
    FORGETFUL.load(Relaxed)
}

/// Counts a step.
pub fn step() {
    let left = LEFT.load(Relaxed);
    if left == 0 {
        return;
    }
    LEFT.store(left - 1, Relaxed);
    #[cfg(unix)]
    if left == 1 {
        // SAFETY: the call takes numbers only, and does not return.
        unsafe { libc::kill(libc::getpid(), libc::SIGKILL) };
    }
}
