//! What is done about processes that died: their calls were undone when the lock was taken; what
//! they kept for themselves goes back here. Blocks that were live stay live, for whoever knows
//! them.

use super::{Bytes, Session};
use crate::attached::Attachment;
use crate::fault::{Fault, Result};
use crate::process::registry::Guarded;

impl<B: Bytes> Session<B> {
    /// Puts back what dead processes kept, and what threads of this one left behind. Returns how
    /// many blocks the first were; none when no others have the memory.
    ///
    /// # Errors
    /// [`Fault::Corrupted`], [`Fault::Busy`].
    pub fn recover(&self) -> Result<u32> {
        let mut state = self.entry.lock()?;
        if let Ok(Some(heap)) = self.formatted_as_a_whole(&mut state) {
            drop(self.free_blocks(&mut state, heap).put_left_behind());
        }
        self.recover_in(&mut state)
    }

    /// Has what processes were in the middle of undone that were killed. Until someone takes the
    /// lock, words hold what those have written, and change back then.
    ///
    /// # Errors
    /// [`Fault::Busy`].
    pub fn undo_cut_short(&self) -> Result<()> {
        self.entry.lock().map(drop)
    }

    pub(super) fn recover_in(&self, state: &mut Guarded) -> Result<u32> {
        let Some(attachment) = &self.entry.attachment else { return Ok(0) };
        let dead = attachment.dead();
        if dead.is_empty() {
            return Ok(0);
        }
        let recovered = self.put_back_kept(state, attachment, &dead)?;
        dead.into_iter().for_each(|slot| attachment.clear(slot));
        Ok(recovered)
    }

    // All of the memory is looked at, whether this thread has seen it or not.
    fn put_back_kept(
        &self,
        state: &mut Guarded,
        attachment: &Attachment,
        dead: &[u8],
    ) -> Result<u32> {
        let words = attachment.all_words();
        let heap = self.formatted_as_a_whole(state)?.ok_or(Fault::Corrupted)?;
        let mut recovered = 0;
        for pointer in self.entry.live_blocks.kept_in(dead, words.byte_length()) {
            if heap.is_block(pointer)? {
                // The dead one's block becomes this thread's and goes back as its own do, or stays.
                words.set(pointer / 4 - 2, 0)?;
                self.entry.live_blocks.set_kept(pointer, 0);
                recovered += 1;
                drop(self.free_blocks(state, heap).put(std::iter::once(pointer)));
            }
        }
        Ok(recovered)
    }
}
