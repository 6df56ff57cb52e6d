//! What the process knows of each memory, outside of it: under a lock, or in words that threads
//! share.

pub mod claims;
pub mod depot;
pub mod live_blocks;
pub mod misplaced;
pub mod registry;
pub mod roots;
pub mod rows;
pub mod shelf;
pub mod sync;
pub mod threads;
