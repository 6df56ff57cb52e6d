//! Waiting for threads of other processes: by the operating system, as the engine's own waiting does
//! not reach them.

use std::time::Duration;

use super::{Bytes, Session};
use crate::fault::{Fault, Result};

impl<B: Bytes> Session<B> {
    /// Sleeps while the word at `index` of the memory holds `value`, until somebody wakes those that
    /// wait for it, for at most that long. Returns whether all of the time has passed.
    ///
    /// # Errors
    /// [`Fault::Internal`] when no other processes can have the memory, or there is no such word.
    pub fn wait(&self, index: u32, value: u32, most: Duration) -> Result<bool> {
        let attachment = self.entry.attachment.as_ref();
        attachment.and_then(|file| file.wait(index, value, most)).ok_or(Fault::Internal)
    }

    /// Wakes so many of those that wait for the word at `index`, in whichever process. Returns how
    /// many there were.
    ///
    /// # Errors
    /// As [`Self::wait`].
    pub fn wake(&self, index: u32, most: u32) -> Result<u32> {
        let attachment = self.entry.attachment.as_ref();
        attachment.and_then(|file| file.wake(index, most)).ok_or(Fault::Internal)
    }
}
