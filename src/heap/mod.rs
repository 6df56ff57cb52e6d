//! The allocator: segments of pages, spans of equal blocks with free bitmaps, bins of free runs.
//!
//! All state lies in the memory itself, as offsets, so that it travels with the memory from thread
//! to thread. The caller holds the heap's lock for the whole of each call. Every word read is
//! untrusted: whatever is written over the heap, a call stays within the memory, ends after a
//! bounded number of steps and answers [`Fault::Corrupted`](crate::fault::Fault) instead of
//! panicking.
//!
//! ```text
//! superblock   what a heap is known by: counts, heads of lists, the segments
//! segment      a contiguous range of pages; a map in it has a word for each unit of 1 KiB
//! span         [record | blocks of one size class]     large block   a run of units of its own
//! mixed unit   blocks of any length, in a small heap that is nearly full
//! block        [byteLength u32 | bufferSize u32] then the bytes the pointer names
//! ```
//!
//! The files, each of which uses only those before it, which `tests/order.rs` sees to:
//!
//! ```text
//! undo words measures size_class unit_kind superblock segment header list run thrift span large mixed block growth room
//! inspect
//! ```

#![forbid(unsafe_code)]

mod block;
mod growth;
mod header;
mod inspect;
mod large;
mod list;
mod measures;
mod mixed;
mod room;
mod run;
mod segment;
mod size_class;
mod span;
mod superblock;
#[cfg(test)]
mod tests;
mod thrift;
mod undo;
mod unit_kind;
mod words;

pub use block::{Live, over};
pub use growth::Bounds;
pub use inspect::{Area, Block, Damage, Part, Stats, Use};
pub use large::units_for;
pub use measures::{GRAIN, HEADER, MAX_PAGES, PAGE, UNIT};
pub use run::Search;
pub use size_class::{CLASSES, DENSE_END, FINE, MAX_SLOTS, MIXED, class_for};
pub use span::Span;
pub use superblock::Heap;
pub use undo::{Place, UndoLog};
pub use words::Words;
