//! Tests of several layers together.

mod stress;
