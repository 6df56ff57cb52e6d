//! The token of the thread that calls, and who else is alive.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ffi::c_void;
use std::ptr::without_provenance_mut;

use napi::bindgen_prelude::check_status;
use napi::{Env, Result, sys};
use napi_derive::napi;

use crate::process::{registry, threads};

thread_local! {
    /// The tokens of this thread's environments, of which a host other than Node.js may have
    /// several.
    static TOKENS: RefCell<BTreeMap<usize, u32>> = const { RefCell::new(BTreeMap::new()) };
}

/// The token of the calling environment: from 1 to 2^31 - 1, the same on every call, and no
/// other's. It is alive until the environment ends, in whichever way.
///
/// # Errors
/// When the environment is ending.
#[napi]
pub fn thread_token(env: &Env) -> Result<u32> {
    let key = env.raw() as usize;
    if let Some(token) = TOKENS.with_borrow(|tokens| tokens.get(&key).copied()) {
        return Ok(token);
    }
    let data = without_provenance_mut(key);
    // SAFETY: `env` is that of the running call. `leave` takes `data` for the number that it is.
    check_status!(unsafe { sys::napi_add_env_cleanup_hook(env.raw(), Some(leave), data) })?;
    let token = threads::enter();
    TOKENS.with_borrow_mut(|tokens| tokens.insert(key, token));
    Ok(token)
}

/// Whether the thread of a token runs, in this process or in one that has a heap together with it.
#[napi]
pub fn is_alive(token: u32) -> bool {
    registry::is_alive(token)
}

// The environment ends, on its own thread: no JavaScript runs in it any more.
unsafe extern "C" fn leave(data: *mut c_void) {
    let token = TOKENS.try_with(|tokens| tokens.borrow_mut().remove(&data.addr()));
    if let Some(token) = token.ok().flatten() {
        threads::leave(token);
    }
}
