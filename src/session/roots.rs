//! Names of blocks, which all threads find them by. They lie outside the memory: with the process,
//! or, where several processes have the heap, in its file.

use super::{Bytes, Session};
use crate::fault::Result;
use crate::process::registry::Guarded;

impl<B: Bytes> Session<B> {
    /// The pointer of a name, whichever thread gave it; 0 when there is none.
    ///
    /// # Errors
    /// [`Fault::Busy`](crate::fault::Fault::Busy).
    pub fn root(&self, name: &[u16]) -> Result<u32> {
        match &self.entry.attachment {
            None => Ok(self.roots.get(name)),
            Some(_) => Ok(self.root_in(&mut *self.entry.lock()?, name)),
        }
    }

    /// As [`Session::root`], with the lock held.
    pub(super) fn root_in(&self, _state: &mut Guarded, name: &[u16]) -> u32 {
        match &self.entry.attachment {
            None => self.roots.get(name),
            Some(attachment) => attachment.names().get(name),
        }
    }

    /// Takes all names of a pointer away, with the lock held.
    pub(super) fn forget_roots(&self, pointer: u32) {
        match &self.entry.attachment {
            None => self.roots.forget(pointer),
            // A log that is full has the whole call undone.
            Some(attachment) => drop(attachment.names().forget(pointer)),
        }
    }

    /// Gives a name to a pointer, or takes it away when the pointer is 0.
    ///
    /// # Errors
    /// [`Fault::Corrupted`](crate::fault::Fault::Corrupted),
    /// [`Fault::Stale`](crate::fault::Fault::Stale);
    /// [`Fault::TooManyNames`](crate::fault::Fault::TooManyNames) when several processes have the
    /// memory and there is no room for another name.
    pub fn set_root(&self, name: &[u16], pointer: u32) -> Result<()> {
        self.set_root_in(&mut *self.entry.lock()?, name, pointer)
    }

    /// As [`Session::set_root`], with the lock held.
    pub(super) fn set_root_in(
        &self,
        state: &mut Guarded,
        name: &[u16],
        pointer: u32,
    ) -> Result<()> {
        self.formatted(state)?;
        match &self.entry.attachment {
            None => self.roots.set(name, pointer),
            Some(attachment) => attachment.names().set(name, pointer)?,
        }
        Ok(())
    }
}
