//! Bytes outside the memory that JavaScript has as an ArrayBuffer, for as long as it has that.
//!
//! An engine tells of a buffer that it has collected when the event loop turns. In a program that
//! never returns to the loop, what was lent is taken back earlier: a weak reference tells that the
//! buffer is gone.

use std::any::Any;
use std::cell::Cell;
use std::ffi::c_void;
use std::ptr::null_mut;
use std::rc::Rc;

use napi::bindgen_prelude::check_status;
use napi::{Result, sys};

/// What keeps the bytes where they are, until it is taken out.
type Owner = Cell<Option<Box<dyn Any>>>;

/// A buffer that JavaScript has, or had.
pub struct Loan {
    env: sys::napi_env,
    /// Refers to the buffer, without keeping it.
    buffer: sys::napi_ref,
    owner: Rc<Owner>,
}

impl Loan {
    /// Makes an ArrayBuffer of the `length` bytes at `data`, which stay where they are while
    /// `owner` lives. Returns it too.
    ///
    /// # Errors
    /// When the engine takes no buffers from outside, or the thread is being terminated.
    ///
    /// # Safety
    /// `env` is the environment of the running call. The bytes stay valid while `owner` lives, and
    /// Rust reads and writes them as atomics, unless it is on this thread and no other has them.
    pub unsafe fn new(
        env: sys::napi_env,
        data: *mut c_void,
        length: usize,
        owner: Box<dyn Any>,
    ) -> Result<(sys::napi_value, Self)> {
        let owner = Rc::new(Cell::new(Some(owner)));
        let mut buffer = null_mut();
        // SAFETY: the caller vouches for `env` and `data`, and the out pointer is a local.
        let value = unsafe {
            let value = make_buffer(env, data, length, Rc::clone(&owner))?;
            check_status!(sys::napi_create_reference(env, value, 0, &mut buffer))?;
            value
        };
        Ok((value, Self { env, buffer, owner }))
    }

    /// Whether the buffer has been collected.
    pub fn is_over(&self) -> bool {
        let mut value = null_mut();
        // SAFETY: `self` has the reference, `env` is that of the running call, and the out pointer
        // is a local.
        let status = unsafe { sys::napi_get_reference_value(self.env, self.buffer, &mut value) };
        status == sys::Status::napi_ok && value.is_null()
    }

    /// Lets go of the bytes, now that nobody can have the buffer any more.
    pub fn take_back(self) {
        drop(self.owner.take());
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        // SAFETY: `new` made the reference, which is given up here only. A handle drops its loans
        // before its environment ends.
        unsafe { sys::napi_delete_reference(self.env, self.buffer) };
    }
}

// `release` is called once: when the buffer has been collected, or when there is none. A buffer
// that was made before the call failed is collected too.
unsafe fn make_buffer(
    env: sys::napi_env,
    data: *mut c_void,
    length: usize,
    owner: Rc<Owner>,
) -> Result<sys::napi_value> {
    let owner = Rc::into_raw(owner).cast_mut().cast::<c_void>();
    let mut buffer = null_mut();
    // SAFETY: the caller vouches for `env` and `data`; `owner` is one count for `release`, and the
    // out pointer is a local.
    unsafe {
        let finalize = Some(release as _);
        let status =
            sys::napi_create_external_arraybuffer(env, data, length, finalize, owner, &mut buffer);
        if status != sys::Status::napi_ok && status != sys::Status::napi_generic_failure {
            release(env, data, owner);
        }
        check_status!(status)?;
    }
    Ok(buffer)
}

unsafe extern "C" fn release(_env: sys::napi_env, _data: *mut c_void, owner: *mut c_void) {
    // SAFETY: `owner` is the count that `make_buffer` put there, and Node-API finalizes a buffer
    // once.
    drop(unsafe { Rc::from_raw(owner.cast_const().cast::<Owner>()) }.take());
}
