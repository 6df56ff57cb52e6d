//! Tests of several layers together.

#[cfg(all(target_os = "linux", not(lsm_model)))]
pub mod file;
pub mod fixture;
pub mod js_cache;
pub mod kill;
#[cfg(all(target_os = "linux", not(lsm_model)))]
mod model;
#[cfg(all(target_os = "linux", not(lsm_model)))]
mod processes;
#[cfg(not(lsm_model))]
mod session;
mod stress;
#[cfg(all(target_os = "linux", not(lsm_model)))]
mod torture;
