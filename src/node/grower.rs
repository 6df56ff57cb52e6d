//! What a heap needs of JavaScript to grow its memory: the memory, which is not kept alive, and the
//! engine's own functions on it. Nothing that a caller says later takes their place.

use std::ptr::null_mut;

use napi::bindgen_prelude::check_status;
use napi::{Result, sys};

use super::memory::JsValue;

/// Grows one memory.
pub struct Grower {
    memory: Reference,
    grow: Reference,
    get_buffer: Reference,
}

impl Grower {
    /// Takes the properties `memory`, `grow` and `getBuffer` of an object: a WebAssembly.Memory,
    /// its prototype's `grow` and the getter of its `buffer`.
    ///
    /// # Errors
    /// When one of them is not an object.
    pub fn of(parts: JsValue) -> Result<Self> {
        Ok(Self {
            memory: Reference::new(parts.property(c"memory")?, false)?,
            grow: Reference::new(parts.property(c"grow")?, true)?,
            get_buffer: Reference::new(parts.property(c"getBuffer")?, true)?,
        })
    }

    /// Has the engine grow the memory. Returns the pages that there were; `None` when it refuses.
    pub fn grow(&self, pages: u32) -> Option<u32> {
        self.memory.get()?.call(self.grow.get()?, Some(pages))?.number()
    }

    /// A Uint8Array over all bytes of a memory that is not shared, as it is now.
    pub fn bytes(&self) -> Option<JsValue> {
        self.memory.get()?.call(self.get_buffer.get()?, None)?.bytes()
    }
}

/// A reference to an object, for as long as this value lives.
struct Reference {
    env: sys::napi_env,
    reference: sys::napi_ref,
}

impl Reference {
    /// Refers to `value`, and keeps it alive if `strong`.
    fn new(value: JsValue, strong: bool) -> Result<Self> {
        let (env, value) = value.parts();
        let mut reference = null_mut();
        // SAFETY: both are those of the running call (promised to `JsValue::new`), the out pointer
        // is a local.
        check_status!(unsafe {
            sys::napi_create_reference(env, value, u32::from(strong), &mut reference)
        })?;
        Ok(Self { env, reference })
    }

    /// The object, in the running call; `None` when it has been collected.
    fn get(&self) -> Option<JsValue> {
        let mut value = null_mut();
        // SAFETY: `new` made the reference in `env`, and it is there until `self` is dropped. Heaps
        // are used on the thread of `env`, in a call from it, so that the value is a handle of that
        // call.
        unsafe {
            let status = sys::napi_get_reference_value(self.env, self.reference, &mut value);
            (status == sys::Status::napi_ok && !value.is_null())
                .then(|| JsValue::new(self.env, value))
        }
    }
}

impl Drop for Reference {
    fn drop(&mut self) {
        // SAFETY: `new` made the reference in `env`, and it is given up here only, on the thread of
        // `env`: in a call, in a finalizer or when the environment ends, in all of which that is
        // allowed.
        unsafe { sys::napi_delete_reference(self.env, self.reference) };
    }
}
