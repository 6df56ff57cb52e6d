//! The free blocks that one thread keeps for itself, and where it gets them and brings them back.

pub mod free_blocks;
mod idle_spans;
mod thread_cache;

pub use thread_cache::ThreadCache;
