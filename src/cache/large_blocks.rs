//! Large blocks: what waits, in a thread's cache or in the depot, comes before what nobody has used
//! yet, which is not in the processor's caches, nor in memory at all perhaps.

use crate::cache::ThreadCache;
use crate::cache::free_blocks::FreeBlocks;
use crate::fault::Result;
use crate::heap::{DENSE_END, GRAIN, Search, units_for};
use crate::process::rows::{ROWS, SINCE_FARTHER, large_row, most_width, row_bytes};

/// Large blocks that wait and that nobody has taken for a while are put back where another one would
/// lie farther up than any before, but not if all that wait have no more bytes than this,
const MOST_WAITING: u64 = 8 * 1024 * 1024;
/// nor before it is farther by one part in this many of them: those that are taken again are worth
/// some room.
const WAITING_SHARE: u64 = 4;
/// So many blocks of a length are several.
const SEVERAL: u32 = 4;
/// Rows for each doubling of the length.
const DOUBLING: usize = 8;

impl ThreadCache {
    /// Gives out a large block that waits in the depot or that another thread has published, if there is
    /// a long enough one of that length or the next, and keeps those that come with it.
    ///
    /// # Errors
    /// [`Fault::Corrupted`](crate::fault::Fault::Corrupted); those of [`FreeBlocks::put`], if there is
    /// none: it would be lost for the fault of another block.
    pub fn take_large(
        &self,
        free_blocks: &mut FreeBlocks<'_>,
        byte_length: u32,
    ) -> Result<Option<u32>> {
        let Some(first) = large_row(units_for(byte_length, GRAIN)) else { return Ok(None) };
        for index in first..ROWS.end.min(first + 2) {
            let most = most_width(index) as usize;
            let mut blocks = free_blocks.depot.take_large(free_blocks.thread, index, most);
            let fits = |&block: &u32| free_blocks.has_room_for(block, byte_length);
            let given = blocks.iter().rposition(fits).map(|newest| blocks.remove(newest));
            let mut outcome = Ok(());
            if !blocks.is_empty() {
                let opened = self.open(free_blocks, index);
                let kept = if let Ok(Some(row)) = opened { row.extend(&blocks) } else { 0 };
                outcome = free_blocks.put(blocks[kept..].iter().copied()).and(opened.map(drop));
            }
            if let Some(block) = given {
                self.rows.row(index).set_taken();
                free_blocks.give_out_large(block, byte_length)?;
                return Ok(given);
            }
            outcome?;
        }
        Ok(None)
    }

    /// Allocates a large block out of the heap; see [`Heap::malloc`](crate::heap::Heap::malloc).
    ///
    /// # Errors
    /// [`Fault::OutOfMemory`](crate::fault::Fault::OutOfMemory),
    /// [`Fault::Corrupted`](crate::fault::Fault::Corrupted); those of [`FreeBlocks::put`].
    pub fn malloc_large(
        &self,
        free_blocks: &mut FreeBlocks<'_>,
        byte_length: u32,
        align: u32,
        search: Search,
    ) -> Result<u32> {
        if search == Search::Moving {
            self.put_longer(free_blocks, byte_length)?;
        }
        self.tidy(free_blocks)?;
        let pointer = self.or_without_long(free_blocks, |free_blocks| {
            free_blocks.heap.malloc(byte_length, align, search)
        })?;
        // Where there is room for several more, one that is asked for again may wait. The block is taken: damage elsewhere is no fault of
        // this call's.
        let units = units_for(byte_length, align);
        if let Some(index) = large_row(units)
            && free_blocks.heap.longest_run().is_ok_and(|run| run / SEVERAL >= units)
        {
            self.rows.row(index).set_taken();
        }
        let farther = (pointer + byte_length).saturating_sub(free_blocks.depot.reach());
        if farther == 0 {
            return Ok(pointer);
        }
        // One that moves may lie at the end of the heap because that can grow.
        let moves = search == Search::Moving;
        let waiting = self.waiting_bytes(free_blocks);
        if waiting > MOST_WAITING {
            if !moves && u64::from(farther) * WAITING_SHARE < waiting {
                return Ok(pointer);
            }
            let stale = self.stale_rows(free_blocks);
            if !stale.is_empty() {
                free_blocks.heap.free(pointer)?;
                self.put_rows(free_blocks, stale.into_iter())?;
                return free_blocks.heap.malloc(byte_length, align, search);
            }
        }
        if !moves {
            free_blocks.depot.set_reach(pointer + byte_length);
        }
        Ok(pointer)
    }

    /// Puts all large blocks back that this thread keeps or that wait for it in the depot.
    ///
    /// # Errors
    /// Those of [`FreeBlocks::put`]; all of them left the cache and the depot.
    pub fn put_large(&self, free_blocks: &mut FreeBlocks<'_>) -> Result<()> {
        self.put_rows(free_blocks, DENSE_END..ROWS.end)
    }

    fn put_rows(
        &self,
        free_blocks: &mut FreeBlocks<'_>,
        rows: impl Iterator<Item = usize>,
    ) -> Result<()> {
        rows.map(|index| free_blocks.put_whole_row(&self.rows.row(index), index))
            .fold(Ok(()), Result::and)
    }

    // The rows of which blocks wait that nobody has taken one of since the last time.
    fn stale_rows(&self, free_blocks: &FreeBlocks<'_>) -> Vec<usize> {
        let is_stale = |&index: &usize| {
            !self.rows.row(index).clear_taken(SINCE_FARTHER) && self.waiting(free_blocks, index) > 0
        };
        (DENSE_END..ROWS.end).filter(is_stale).collect()
    }

    // Puts a block back that is two to eight times as long, the shortest that waits: a block that moves
    // since it grew can lie there and grow on. Else it would lie in ever new places, and what it leaves
    // behind would wait for nothing.
    fn put_longer(&self, free_blocks: &mut FreeBlocks<'_>, byte_length: u32) -> Result<()> {
        let Some(first) = large_row(units_for(byte_length, GRAIN)) else { return Ok(()) };
        let mut longer = first + DOUBLING..ROWS.end.min(first + 3 * DOUBLING + 1);
        let found = longer.find(|&index| self.waiting(free_blocks, index) > 0);
        found.map_or(Ok(()), |index| self.give_one_back(free_blocks, index))
    }

    fn waiting_bytes(&self, free_blocks: &FreeBlocks<'_>) -> u64 {
        let bytes = |index| self.waiting(free_blocks, index) as u64 * u64::from(row_bytes(index));
        (DENSE_END..ROWS.end).map(bytes).sum()
    }

    fn waiting(&self, free_blocks: &FreeBlocks<'_>, index: usize) -> usize {
        let in_depot = free_blocks.depot.count(free_blocks.thread, index);
        self.rows.row(index).blocks().len() + in_depot
    }
}
