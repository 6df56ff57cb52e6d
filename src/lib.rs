//! One heap for every thread of a Node.js process.
//!
//! Layers, each of which uses only those below it:
//!
//! ```text
//! node      the surface that JavaScript calls; the only place that calls Node-API
//! session   a heap as one thread has it open
//! cache     the free blocks that one thread keeps, and where they come from
//! process   what lies outside the memory, under a lock, for all threads
//! debug     who made and freed each block, in debug mode
//! attached  the file of a heap that several processes have
//! heap      the allocator: safe Rust over words
//! os        pages of memory, from the operating system
//! ```

mod attached;
mod cache;
mod debug;
mod fault;
mod heap;
pub mod node;
mod os;
mod process;
mod session;
#[cfg(test)]
mod tests;
