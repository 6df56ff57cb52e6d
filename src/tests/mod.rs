//! Tests of several layers together.

pub mod fixture;
mod stress;
