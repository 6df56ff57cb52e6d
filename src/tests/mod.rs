//! Tests of several layers together.

pub mod fixture;
pub mod js_cache;
pub mod kill;
mod stress;
