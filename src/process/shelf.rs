//! The free blocks that wait in the depot for one thread.

use std::array::from_fn;
use std::ops::RangeBounds;
use std::vec::Drain;

use crate::process::rows::{ROWS, row_bytes};

/// Free blocks by row, the oldest first.
pub struct Shelf {
    rows: [Vec<u32>; ROWS.end],
    /// Bytes of all of them: to add them up takes as long as to allocate a large block.
    bytes: u64,
}

impl Shelf {
    /// An empty shelf.
    pub fn new() -> Self {
        Self { rows: from_fn(|_| Vec::new()), bytes: 0 }
    }

    /// The blocks of a row.
    pub fn row(&self, row: usize) -> &[u32] {
        &self.rows[row]
    }

    /// All blocks.
    pub fn blocks(&self) -> impl Iterator<Item = u32> {
        self.rows.iter().flatten().copied()
    }

    /// Bytes of all blocks.
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Puts blocks down, the last of them as the newest one.
    pub fn put(&mut self, row: usize, blocks: impl Iterator<Item = u32>) {
        self.change(row, |all| all.extend(blocks));
    }

    /// Takes some blocks of a row.
    pub fn take(&mut self, row: usize, range: impl RangeBounds<usize>) -> Drain<'_, u32> {
        let taken = self.rows[row].drain(range);
        self.bytes -= bytes_of(row, taken.len());
        taken
    }

    /// Drops the blocks that are not to stay.
    pub fn retain(&mut self, stays: impl Fn(u32) -> bool) {
        for row in ROWS {
            self.change(row, |all| all.retain(|&block| stays(block)));
        }
    }

    /// All blocks, row by row.
    pub fn into_rows(self) -> Vec<Vec<u32>> {
        self.rows.into()
    }

    fn change(&mut self, row: usize, change: impl FnOnce(&mut Vec<u32>)) {
        let blocks = &mut self.rows[row];
        self.bytes -= bytes_of(row, blocks.len());
        change(blocks);
        self.bytes += bytes_of(row, blocks.len());
    }
}

const fn bytes_of(row: usize, blocks: usize) -> u64 {
    blocks as u64 * row_bytes(row) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::heap::DENSE_END;

    #[test]
    fn bytes_are_those_of_the_blocks_that_there_are() {
        let mut shelf = Shelf::new();
        let rows = [1, 7, DENSE_END, ROWS.end - 1];
        let expect = |shelf: &Shelf, counts: [u64; 4]| {
            let bytes =
                counts.iter().zip(rows).map(|(count, row)| count * u64::from(row_bytes(row)));
            assert_eq!(shelf.bytes(), bytes.sum());
            assert_eq!(rows.map(|row| shelf.row(row).len() as u64), counts);
        };
        rows.iter().for_each(|&row| shelf.put(row, 1..=6));
        expect(&shelf, [6; 4]);
        assert_eq!(shelf.take(rows[0], 4..).collect::<Vec<_>>(), [5, 6]);
        assert_eq!(shelf.take(rows[1], ..1).collect::<Vec<_>>(), [1]);
        assert_eq!(shelf.take(rows[2], ..).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6]);
        expect(&shelf, [4, 5, 0, 6]);
        shelf.retain(|block| block > 2);
        expect(&shelf, [2, 4, 0, 4]);
        drop(shelf.take(rows[3], ..));
        expect(&shelf, [2, 4, 0, 0]);
        assert_eq!(shelf.into_rows().concat(), [3, 4, 3, 4, 5, 6]);
    }
}
