//! The free blocks that one thread keeps for itself, and where it gets them and brings them back.

mod budget;
pub mod free_blocks;
mod idle_spans;
mod large_blocks;
mod long_blocks;
mod thread_cache;

pub use thread_cache::ThreadCache;
