//! The bytes of a WebAssembly.Memory as V8 has them: where they are, how many this thread has seen,
//! and what keeps them there.

use std::cell::Cell;
use std::ffi::CStr;
use std::io;
use std::ops::Range;
use std::ptr::{NonNull, null_mut};
use std::sync::atomic::AtomicU32;

use napi::bindgen_prelude::check_status;
use napi::{Error, Result, Status, sys};

use crate::attached::Attachment;
use crate::heap::{PAGE, Words};
use crate::os::{self, Reservation, Step, guards};

/// A memory that one thread works on. Its bytes stay mapped for as long as this value lives if it
/// is shared; one that is not must outlive each call.
pub struct Memory {
    env: sys::napi_env,
    view: Cell<View>,
    /// A strong reference to a SharedArrayBuffer over the memory's bytes, which keeps them mapped;
    /// none for a memory that is not shared. The buffer must not be the one that `memory.buffer`
    /// gives: that keeps the memory alive, and with it all that holds this value.
    keeper: Option<sys::napi_ref>,
}

/// The bytes that one buffer of the memory shows.
#[derive(Clone, Copy)]
struct View {
    base: NonNull<AtomicU32>,
    byte_length: usize,
}

impl Memory {
    /// Opens the memory that `array` is a view of. If `array` is over a SharedArrayBuffer, that
    /// buffer is kept.
    ///
    /// # Errors
    /// When `array` is not a Uint8Array over a buffer from its start.
    pub fn open(array: JsValue) -> Result<Self> {
        let (view, buffer) = View::of(array)?;
        Ok(Self { env: array.env, view: Cell::new(view), keeper: keep_if_shared(buffer)? })
    }

    /// Replaces the view after the memory has grown.
    ///
    /// # Errors
    /// As [`Memory::open`]; the old view stays.
    pub fn refresh(&self, array: JsValue) -> Result<()> {
        self.view.set(View::of(array)?.0);
        Ok(())
    }

    /// Looks at as much of the memory as another thread has seen.
    ///
    /// # Safety
    /// The memory, which `self` keeps, is shared and has at least `byte_length` bytes.
    pub unsafe fn extend(&self, byte_length: usize) {
        let view = self.view.get();
        self.view.set(View { byte_length: byte_length.max(view.byte_length), ..view });
    }

    /// How many bytes have been seen.
    pub fn byte_length(&self) -> usize {
        self.view.get().byte_length
    }

    /// The address of byte 0, the same in every thread.
    pub fn address(&self) -> usize {
        self.view.get().base.as_ptr() as usize
    }

    /// Whether other threads can have the memory.
    pub fn is_shared(&self) -> bool {
        self.keeper.is_some()
    }

    /// Puts bytes that Rust allocated in the place of V8's; see [`os::overlay`].
    ///
    /// # Errors
    /// The step that failed and why.
    ///
    /// # Safety
    /// The memory was just made, is shared, nobody has read or written a byte of it, and the engine
    /// has reserved `maximum` bytes for it.
    pub unsafe fn overlay(&self, maximum: usize) -> core::result::Result<(), (Step, io::Error)> {
        let View { base, byte_length, .. } = self.view.get();
        // SAFETY: `base` and `byte_length` are those of the memory's buffer, which `self` keeps;
        // the caller vouches for the rest.
        os::overlay(unsafe { Reservation::new(base.as_ptr().cast(), byte_length, maximum) })
    }

    /// Puts the bytes of an attached file in the place of V8's; see [`Attachment::overlay`].
    ///
    /// # Errors
    /// The step that failed and why.
    ///
    /// # Safety
    /// As for [`Memory::overlay`].
    pub unsafe fn overlay_file(
        &self,
        attachment: &Attachment,
    ) -> core::result::Result<(), (Step, io::Error)> {
        let View { base, byte_length, .. } = self.view.get();
        let maximum = attachment.maximum() as usize * PAGE as usize;
        // SAFETY: as in `overlay`.
        attachment.overlay(unsafe { Reservation::new(base.as_ptr().cast(), byte_length, maximum) })
    }

    /// Finds out what the engine reserves for memories; see [`guards::prove`]. `read` has a module
    /// read the byte at an offset.
    ///
    /// # Safety
    /// The memory was made for this and can grow by a page; nobody else has it.
    pub unsafe fn prove_guards(&self, memory: JsValue, read: JsValue) {
        let View { base, byte_length, .. } = self.view.get();
        let read_behind = || memory.call(read, Some(byte_length as u32)).is_some();
        // SAFETY: `base` and `byte_length` are those of the memory's buffer, which `self` keeps if
        // it is shared; the caller vouches for the rest.
        unsafe { guards::prove(base.as_ptr().cast(), byte_length, read_behind) };
    }

    /// Whether Rust allocated the bytes.
    pub fn is_overlaid(&self) -> bool {
        let View { base, byte_length, .. } = self.view.get();
        // SAFETY: `self` keeps the buffer at `base`, which has a first page unless it is empty.
        byte_length > 0 && unsafe { os::is_overlaid(base.as_ptr().cast()) }
    }

    /// Gives whole pages inside `bytes` back to the operating system; they read as zero afterwards.
    /// Returns how many bytes were resident, 0 when the range is not inside the memory.
    pub fn give_back(&self, bytes: Range<usize>) -> usize {
        let View { base, byte_length, .. } = self.view.get();
        if bytes.end > byte_length {
            return 0;
        }
        // SAFETY: the range was just checked against the accessible bytes that `self` keeps. To
        // whoever reads them as atomics, becoming zero is a write like any other.
        unsafe { os::give_back(base.as_ptr().cast(), bytes) }
    }

    /// How many of `bytes` take up memory; see [`os::resident_bytes`]. 0 when the range is not
    /// inside the memory.
    pub fn resident_bytes(&self, bytes: Range<usize>) -> usize {
        let View { base, byte_length, .. } = self.view.get();
        if bytes.end > byte_length {
            return 0;
        }
        os::resident_bytes(base.as_ptr().cast(), bytes)
    }

    /// The bytes seen so far as words.
    pub fn words(&self) -> Words<'_> {
        let View { base, byte_length, .. } = self.view.get();
        // SAFETY: `base` is the data pointer that Node-API gave for a buffer of `byte_length`
        // bytes, which is aligned to a page. The bytes of a shared memory stay mapped while `self`
        // lives: `keeper` is a SharedArrayBuffer over the same backing store, which never shrinks
        // or moves; growth makes more of it accessible. Those of another memory are used only by
        // calls that lib/heap/session.js makes, which holds the memory and refreshes the view first when
        // the memory has grown. The view is replaced on this thread only (`Cell` makes the type
        // !Sync), and never during a borrow, as no call into JavaScript is made. Other threads and
        // JavaScript may write the bytes at any time: they are only read as atomics.
        let words = unsafe { std::slice::from_raw_parts(base.as_ptr(), byte_length / 4) };
        Words::new(words)
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        if let Some(keeper) = self.keeper {
            // SAFETY: `keep_if_shared` made the reference in `env`, and it is given up here only.
            // Values of this type are dropped on the thread of `env`, in a call, in a finalizer or
            // when the environment ends, at the latest by the hook of handle.rs: deleting
            // references is allowed in all of them.
            unsafe { sys::napi_delete_reference(self.env, keeper) };
        }
    }
}

/// A JavaScript value, for as long as the call that it is an argument of.
#[derive(Clone, Copy)]
pub struct JsValue {
    env: sys::napi_env,
    value: sys::napi_value,
}

impl JsValue {
    /// Wraps an argument of the running call.
    ///
    /// # Safety
    /// `env` is the environment of the running call and `value` one of its handles; the result is
    /// not used after the call.
    pub const unsafe fn new(env: sys::napi_env, value: sys::napi_value) -> Self {
        Self { env, value }
    }

    /// The environment and the handle.
    pub const fn parts(self) -> (sys::napi_env, sys::napi_value) {
        (self.env, self.value)
    }

    /// A property of this value.
    ///
    /// # Errors
    /// When it has none.
    pub fn property(self, name: &CStr) -> Result<Self> {
        let mut value = null_mut();
        // SAFETY: the value is a handle of the running call in `env` (promised to `JsValue::new`),
        // the out pointer a local, and the name ends in NUL.
        check_status!(unsafe {
            sys::napi_get_named_property(self.env, self.value, name.as_ptr(), &mut value)
        })?;
        Ok(Self { env: self.env, value })
    }

    /// Calls `function` as a method of this value, with a number if there is one; `None` when it
    /// throws.
    pub fn call(self, function: Self, argument: Option<u32>) -> Option<Self> {
        let Self { env, value } = self;
        let (mut number, mut result, mut error) = (null_mut(), null_mut(), null_mut());
        // SAFETY: both are handles of the running call in `env` (promised to `JsValue::new`), what
        // Node-API makes of the argument is another, and each out pointer is a local, read only on
        // success.
        unsafe {
            let made = sys::napi_create_uint32(env, argument.unwrap_or(0), &mut number);
            let count = usize::from(argument.is_some());
            let called =
                sys::napi_call_function(env, value, function.value, count, &number, &mut result);
            if made != sys::Status::napi_ok || called != sys::Status::napi_ok {
                sys::napi_get_and_clear_last_exception(env, &mut error);
                return None;
            }
        }
        Some(Self { env, value: result })
    }

    /// This value as a number; `None` when it is none.
    pub fn number(self) -> Option<u32> {
        let mut number = 0;
        // SAFETY: as in `property`.
        let status = unsafe { sys::napi_get_value_uint32(self.env, self.value, &mut number) };
        (status == sys::Status::napi_ok).then_some(number)
    }

    /// A Uint8Array over all bytes of this ArrayBuffer; `None` when it is none.
    pub fn bytes(self) -> Option<Self> {
        let Self { env, value } = self;
        let (mut data, mut length, mut array) = (null_mut(), 0, null_mut());
        let kind = sys::TypedarrayType::uint8_array;
        // SAFETY: as in `property`.
        unsafe {
            let known = sys::napi_get_arraybuffer_info(env, value, &mut data, &mut length);
            let made = sys::napi_create_typedarray(env, kind, length, value, 0, &mut array);
            (known == sys::Status::napi_ok && made == sys::Status::napi_ok)
                .then_some(Self { env, value: array })
        }
    }
}

impl View {
    /// The bytes that `array` shows, and its buffer.
    fn of(array: JsValue) -> Result<(Self, JsValue)> {
        let (mut byte_length, mut offset) = (0, 0);
        let (mut data, mut buffer) = (null_mut(), null_mut());
        let mut kind = 0;
        // SAFETY: `array` is a live handle of this call (promised to `JsValue::new`), and each out
        // pointer is a local of the type that Node-API documents for it.
        let status = unsafe {
            sys::napi_get_typedarray_info(
                array.env,
                array.value,
                &mut kind,
                &mut byte_length,
                &mut data,
                &mut buffer,
                &mut offset,
            )
        };
        let usable = status == sys::Status::napi_ok
            && kind == sys::TypedarrayType::uint8_array
            && offset == 0;
        if !usable {
            return Err(Error::new(
                Status::InvalidArg,
                "a Uint8Array over a whole memory is needed",
            ));
        }
        // A memory of no pages may have no address: nothing is read through it then.
        let base = NonNull::new(data.cast()).unwrap_or(NonNull::dangling());
        Ok((Self { base, byte_length }, JsValue { env: array.env, value: buffer }))
    }
}

fn keep_if_shared(buffer: JsValue) -> Result<Option<sys::napi_ref>> {
    let (mut reference, mut unshared) = (null_mut(), false);
    // SAFETY: `buffer` is a live handle of this call, and the out pointer a local.
    check_status!(unsafe { sys::napi_is_arraybuffer(buffer.env, buffer.value, &mut unshared) })?;
    if unshared {
        return Ok(None);
    }
    // SAFETY: as above.
    check_status!(unsafe {
        sys::napi_create_reference(buffer.env, buffer.value, 1, &mut reference)
    })?;
    Ok(Some(reference))
}
