//! One image for all copies of a build: locks and tables are statics, so that a heap can be shared
//! only by those who work in the same image. The first of them does the work of all; see os/image.rs.

use std::ffi::{CStr, c_void};
use std::ptr::{NonNull, null_mut};

use napi::bindgen_prelude::Object;
use napi::{Env, Error, JsValue as _, Result, Status, sys};
use napi_derive::napi;

use crate::os::image;
use crate::process::claims;

/// The function with which Node.js has an image fill in its exports.
const REGISTER: &CStr = c"napi_register_module_v1";
/// [`register_here`] as a symbol. Images of other builds go by other names.
const SYMBOL: &CStr = {
    let name = concat!("local_shared_memory_", env!("LSM_BUILD"), "\0");
    match CStr::from_bytes_with_nul(name.as_bytes()) {
        Ok(name) => name,
        Err(_) => panic!("a name without NUL"),
    }
};

type Register = unsafe extern "C" fn(sys::napi_env, sys::napi_value) -> sys::napi_value;

/// Fills in the exports of another image of this build, with the functions of this one. Node.js's
/// own way in is looked up, because other images have one of that name, which the linker may take
/// for it.
///
/// # Safety
/// `env` is the environment of the running call and `exports` one of its handles.
#[unsafe(export_name = concat!("local_shared_memory_", env!("LSM_BUILD")))]
unsafe extern "C" fn register_here(
    env: sys::napi_env,
    exports: sys::napi_value,
) -> sys::napi_value {
    match image::own(REGISTER) {
        // SAFETY: that is what Node.js calls it with, and the caller vouches for the arguments.
        Some(register) => unsafe { as_register(register)(env, exports) },
        None => null_mut(),
    }
}

unsafe fn as_register(address: NonNull<c_void>) -> Register {
    // SAFETY: the caller vouches for it.
    unsafe { std::mem::transmute::<NonNull<c_void>, Register>(address) }
}

/// Fills in the exports anew when another image of this build came first.
///
/// # Errors
/// When that cannot be found out, or the other image refuses.
#[napi(module_exports)]
pub fn hand_over(exports: Object<'_>, env: Env) -> Result<()> {
    let lost = || Error::new(Status::GenericFailure, "the addon cannot be found in its process");
    image::own(REGISTER).ok_or_else(lost)?;
    image::publish().map_err(|_| lost())?;
    let first_claims = image::first(claims::SYMBOL).ok_or_else(lost)?;
    // SAFETY: it was found by that name, in an image that has published itself, and those stay
    // loaded.
    unsafe { claims::ask(first_claims) };
    let first = image::first(SYMBOL).ok_or_else(lost)?;
    if image::is_here(first) {
        return Ok(());
    }
    // SAFETY: it was found by its name, which only images of this build have, and so is of this
    // type. `env` and `exports` are those of the running call.
    let filled = unsafe { as_register(first)(env.raw(), exports.raw()) };
    if filled.is_null() { Err(lost()) } else { Ok(()) }
}
