//! The token of the thread that calls, and who else is alive.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ffi::c_void;
use std::ptr::without_provenance_mut;

use napi::bindgen_prelude::check_status;
use napi::{Env, Result, sys};
use napi_derive::napi;

use crate::process::{registry, threads};

thread_local! {
    static HERE: RefCell<Here> = const { RefCell::new(Here { token: 0, environments: BTreeSet::new() }) };
}

/// This thread, as long as an environment of it has asked for its token. Each copy of the package
/// has an environment of its own, and a host other than Node.js may have several.
struct Here {
    token: u32,
    environments: BTreeSet<usize>,
}

impl Here {
    fn enter(&mut self, environment: usize) -> u32 {
        if self.environments.is_empty() {
            self.token = threads::enter();
        }
        self.environments.insert(environment);
        self.token
    }

    fn leave(&mut self, environment: usize) {
        if self.environments.remove(&environment) && self.environments.is_empty() {
            threads::leave(self.token);
        }
    }

    fn token_of(&self, environment: usize) -> Option<u32> {
        self.environments.contains(&environment).then_some(self.token)
    }
}

/// The token of the calling thread: from 1 to 2^31 - 1, the same on every call and for every copy
/// of the package, and no other thread's. It is alive until the last environment that has asked
/// for it ends, in whichever way.
///
/// # Errors
/// When the environment is ending.
#[napi]
pub fn thread_token(env: &Env) -> Result<u32> {
    let key = env.raw() as usize;
    if let Some(token) = HERE.with_borrow(|here| here.token_of(key)) {
        return Ok(token);
    }
    let data = without_provenance_mut(key);
    // SAFETY: `env` is that of the running call. `leave` takes `data` for the number that it is.
    check_status!(unsafe { sys::napi_add_env_cleanup_hook(env.raw(), Some(leave), data) })?;
    Ok(HERE.with_borrow_mut(|here| here.enter(key)))
}

/// Whether the thread of a token runs, in this process or in one that has a heap together with it.
#[napi]
pub fn is_alive(token: u32) -> bool {
    registry::is_alive(token)
}

// The environment ends, on its own thread: no JavaScript runs in it any more.
unsafe extern "C" fn leave(data: *mut c_void) {
    // What a thread has for itself may be gone already when its process ends.
    let _ = HERE.try_with(|here| here.borrow_mut().leave(data.addr()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_has_one_token_until_its_last_environment_ends() {
        let mut here = Here { token: 0, environments: BTreeSet::new() };
        let token = here.enter(1);
        assert_eq!([here.enter(2), here.enter(1)], [token, token]);
        assert_eq!([here.token_of(1), here.token_of(3)], [Some(token), None]);
        here.leave(1);
        here.leave(3);
        here.leave(1);
        assert!(threads::is_alive(token) && here.token_of(1).is_none());
        here.leave(2);
        assert!(!threads::is_alive(token));
        assert_ne!(here.enter(2), token);
    }
}
