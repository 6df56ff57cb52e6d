//! Tests of the whole allocator.

mod corruption;
mod failure;
mod fill;
mod properties;
