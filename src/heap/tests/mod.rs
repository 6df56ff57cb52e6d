//! Tests of the whole allocator.

mod corruption;
mod cost;
mod damage;
mod extend;
mod failure;
mod fill;
mod order;
mod properties;
mod resize;
mod territory;
