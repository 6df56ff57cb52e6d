//! Debug mode: who made and freed each block, guards behind blocks, and freed blocks that are held
//! back to see whether someone still writes to them.
//!
//! What is known of a memory's blocks lies outside it and belongs to the process: blocks may be
//! freed by another thread than their maker, and a thread's end changes nothing.

mod book;
mod finding;

pub use book::Book;
pub use finding::{CallSite, Finding, Group, Trouble};
