//! Tests of the whole allocator.

mod bounds;
mod corruption;
mod cost;
mod damage;
mod extend;
mod failure;
mod fill;
mod mixed;
mod order;
mod placing;
mod properties;
mod resize;
