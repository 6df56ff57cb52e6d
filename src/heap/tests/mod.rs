//! Tests of the whole allocator.

mod corruption;
mod failure;
mod properties;
