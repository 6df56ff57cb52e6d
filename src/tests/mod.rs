//! Tests of several layers together.

pub mod fixture;
pub mod js_cache;
pub mod kill;
#[cfg(not(lsm_model))]
mod session;
mod stress;
#[cfg(all(target_os = "linux", not(lsm_model)))]
mod torture;
