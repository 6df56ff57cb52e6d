//! How long a thread has a heap open: until JavaScript's side of it has been collected or, if that comes
//! first, until the thread's environment ends. Engines collect what is left by then in any order, the
//! memory before the functions that work on it too.

use std::cell::RefCell;
use std::ffi::c_void;
use std::rc::Rc;

use napi::bindgen_prelude::check_status;
use napi::{Env, sys};

use crate::cache::ThreadCache;
use crate::fault::{Fault, Result};
use crate::node::bytes::OpenHeap;

/// A heap for JavaScript's functions to share.
pub struct Handle {
    env: sys::napi_env,
    /// The hook that closes the heap is registered while this holds one.
    heap: RefCell<Option<OpenHeap>>,
    cache: Rc<ThreadCache>,
}

impl Handle {
    /// A handle on a heap that was opened in `env`.
    ///
    /// # Errors
    /// When the engine takes no hook; the heap is closed then.
    pub fn new(env: &Env, heap: OpenHeap) -> napi::Result<Rc<Self>> {
        let cache = Rc::clone(heap.cache());
        let handle = Rc::new(Self { env: env.raw(), heap: RefCell::new(None), cache });
        // SAFETY: `env` is that of the running call, and `close` may have the handle for as long as it is
        // registered: dropping the handle removes it.
        check_status!(unsafe {
            sys::napi_add_env_cleanup_hook(handle.env, Some(close), handle.as_data())
        })?;
        handle.heap.replace(Some(heap));
        Ok(handle)
    }

    /// Works on the heap.
    ///
    /// # Errors
    /// Those of `act`; [`Fault::Internal`] once the heap is closed.
    pub fn run<T>(&self, act: impl FnOnce(&OpenHeap) -> Result<T>) -> Result<T> {
        self.heap.borrow().as_ref().ok_or(Fault::Internal).and_then(act)
    }

    /// The free blocks that the thread keeps, which JavaScript has until it is collected.
    pub fn cache(&self) -> &ThreadCache {
        &self.cache
    }

    fn as_data(&self) -> *mut c_void {
        std::ptr::from_ref(self).cast_mut().cast()
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if self.heap.get_mut().is_some() {
            // SAFETY: `new` registered the hook, which has not run, so `env` has not ended. Handles are dropped on
            // its thread, in a call or a finalizer.
            unsafe { sys::napi_remove_env_cleanup_hook(self.env, Some(close), self.as_data()) };
        }
    }
}

// Closes the heap while the environment, and with it the memory, is still there. No function runs on the heap any
// more; if one did, `take` would panic, which ends the process here.
unsafe extern "C" fn close(handle: *mut c_void) {
    // SAFETY: it is what `new` registered, and dropping the handle removes this hook. The hook runs once.
    drop(unsafe { &*handle.cast_const().cast::<Handle>() }.heap.take());
}
