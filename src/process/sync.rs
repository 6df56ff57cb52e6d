//! Where threads meet: the standard library's lock, or the model checker's in its place
//! (`--cfg lsm_model`).

#[cfg(lsm_model)]
pub use shuttle::sync::{Mutex, MutexGuard};
#[cfg(not(lsm_model))]
pub use std::sync::{Mutex, MutexGuard};

/// Locks. A thread that panicked while it held a lock left nothing half done: what the locks guard
/// checks itself.
#[cfg(not(lsm_race))]
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// The same for a race detector that does not see into the standard library: a lock that has to be
/// waited for is taken there, one that is free is taken here.
#[cfg(lsm_race)]
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    loop {
        match mutex.try_lock() {
            Ok(guard) => return guard,
            Err(std::sync::TryLockError::Poisoned(poisoned)) => return poisoned.into_inner(),
            Err(std::sync::TryLockError::WouldBlock) => std::thread::yield_now(),
        }
    }
}
