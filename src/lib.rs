//! One heap for every thread of a Node.js process.

mod error;
mod heap;
