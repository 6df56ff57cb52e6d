//! Tests of the whole allocator.

mod corruption;
mod cost;
mod failure;
mod fill;
mod order;
mod properties;
