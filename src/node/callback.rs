//! Functions that JavaScript calls often, as raw Node-API callbacks: a third of the cost of what
//! `#[napi]` makes. Each works on the heap whose number it is given first.

use std::ffi::{CStr, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::{copy_nonoverlapping, null_mut};
use std::rc::Rc;
use std::sync::Arc;

use memmap2::MmapRaw;
use napi::bindgen_prelude::{FromNapiValue, ToNapiValue, Uint32Array, Utf16String, check_status};
use napi::{Result, sys};

use crate::cache::ThreadCache;
use crate::fault::Fault;
use crate::heap::Search;
use crate::node::bytes::OpenHeap;
use crate::node::handle::{self, Handle};
use crate::node::loan::Loan;
use crate::node::memory::JsValue;
use crate::process::live_blocks::LiveBlocks;

/// The most arguments a function takes.
const MAX_ARGUMENTS: usize = 5;

/// What an assignment makes of a property.
const PLAIN_PROPERTY: sys::napi_property_attributes = sys::PropertyAttributes::writable
    | sys::PropertyAttributes::enumerable
    | sys::PropertyAttributes::configurable;

/// The arguments of a call, behind the number of the heap. JavaScript checks them first; a missing
/// one is 0.
pub struct Arguments {
    env: sys::napi_env,
    values: [sys::napi_value; 1 + MAX_ARGUMENTS],
}

impl Arguments {
    fn heap(&self) -> u32 {
        self.number_at(0)
    }

    fn at(&self, index: usize) -> sys::napi_value {
        self.values[1 + index]
    }

    fn number_at(&self, place: usize) -> u32 {
        let mut number = 0;
        // SAFETY: `values` are live handles of the running call in `env`, undefined ones included,
        // and `number` is written only on success.
        unsafe { sys::napi_get_value_uint32(self.env, self.values[place], &mut number) };
        number
    }

    /// Argument `index` as an unsigned integer, 0 when it is not a number.
    pub fn number(&self, index: usize) -> u32 {
        self.number_at(1 + index)
    }

    /// Argument `index` as how to look for room.
    pub fn search(&self, index: usize) -> Search {
        match self.number(index) {
            0 => Search::Quick,
            1 => Search::Moving,
            _ => Search::Exhaustive,
        }
    }

    /// Argument `index` as a string, empty when it is not one.
    pub fn text(&self, index: usize) -> String {
        // SAFETY: `values` are live handles of the running call in `env`, undefined ones included.
        unsafe { String::from_napi_value(self.env, self.at(index)) }.unwrap_or_default()
    }

    /// Argument `index` as a text in UTF-16, empty when it is not a string.
    pub fn name(&self, index: usize) -> Vec<u16> {
        // SAFETY: as in `text`.
        let name = unsafe { Utf16String::from_napi_value(self.env, self.at(index)) };
        name.map_or_else(|_| Vec::new(), |name| name.to_vec())
    }

    /// A copy of argument `index`, an array of words that belongs to this thread; empty when it is
    /// none.
    pub fn words(&self, index: usize) -> Vec<u32> {
        // SAFETY: as in `text`.
        let words = unsafe { Uint32Array::from_napi_value(self.env, self.at(index)) };
        words.map_or_else(|_| Vec::new(), |words| words.to_vec())
    }

    /// Copies `numbers` to the start of argument `index`, a Float64Array that JavaScript owns. One
    /// that was made for each answer would be released only when the event loop turns.
    ///
    /// # Errors
    /// [`Fault::Internal`] when it is no such array, or too short.
    pub fn fill(&self, index: usize, numbers: &[f64]) -> core::result::Result<(), Fault> {
        let (mut kind, mut length, mut data) = (0, 0, null_mut());
        // SAFETY: `values` are live handles of the running call in `env`, undefined ones included;
        // the out pointers are locals, or null where that is allowed.
        let status = unsafe {
            sys::napi_get_typedarray_info(
                self.env,
                self.at(index),
                &mut kind,
                &mut length,
                &mut data,
                null_mut(),
                null_mut(),
            )
        };
        let usable = status == sys::Status::napi_ok
            && kind == sys::TypedarrayType::float64_array
            && length >= numbers.len();
        if !usable {
            return Err(Fault::Internal);
        }
        // SAFETY: `data` points at `length` numbers, as was just checked, which JavaScript does not
        // move or free during the call. They are in JavaScript's hands, so that `numbers` cannot
        // overlap with them.
        unsafe { copy_nonoverlapping(numbers.as_ptr(), data.cast::<f64>(), numbers.len()) };
        Ok(())
    }

    /// Argument `index` as it is.
    pub fn value(&self, index: usize) -> JsValue {
        // SAFETY: `values` are handles of the running call in `env`, and `Arguments` does not
        // outlive it: only `call` makes one, on its stack, and lends it out.
        unsafe { JsValue::new(self.env, self.at(index)) }
    }
}

/// A function on a heap that JavaScript can call.
pub trait Callback {
    /// Its name as a property.
    const NAME: &'static CStr;
    /// What it answers with.
    type Output: Answer;
    /// Does the work.
    fn run(heap: &OpenHeap, arguments: &Arguments) -> core::result::Result<Self::Output, Fault>;
}

/// Gives `object` a property of its own: a setter that someone has put on its prototype is not
/// called.
///
/// # Safety
/// `env` is the environment of the running call, `object` and `value` are handles of it.
pub unsafe fn define_property(
    env: sys::napi_env,
    object: sys::napi_value,
    name: &CStr,
    value: sys::napi_value,
) -> Result<()> {
    let property = sys::napi_property_descriptor {
        utf8name: name.as_ptr(),
        name: null_mut(),
        method: None,
        getter: None,
        setter: None,
        value,
        attributes: PLAIN_PROPERTY,
        data: null_mut(),
    };
    // SAFETY: the caller vouches for `env`, `object` and `value`; the descriptor is read in the
    // call only.
    check_status!(unsafe { sys::napi_define_properties(env, object, 1, &property) })
}

/// The same with a value that is still to be converted.
///
/// # Safety
/// `env` is the environment of the running call and `object` one of its handles.
pub unsafe fn define_value(
    env: sys::napi_env,
    object: sys::napi_value,
    name: &CStr,
    value: impl ToNapiValue,
) -> Result<()> {
    // SAFETY: the caller vouches for `env` and `object`; `value` becomes a handle of the same call.
    unsafe {
        let value = ToNapiValue::to_napi_value(env, value)?;
        define_property(env, object, name, value)
    }
}

/// Gives `object` the property `C::NAME`, a function that runs `C` on the heap of a number.
///
/// # Safety
/// `env` is the environment of the running call and `object` one of its handles.
pub unsafe fn define<C: Callback>(env: sys::napi_env, object: sys::napi_value) -> Result<()> {
    let (name, mut function) = (C::NAME.as_ptr(), null_mut());
    // SAFETY: the caller vouches for `env` and `object`; `name` ends in NUL, so its length may be
    // given as -1, and the out pointer is a local.
    unsafe {
        let callback = Some(call::<C> as _);
        let data = null_mut();
        check_status!(sys::napi_create_function(env, name, -1, callback, data, &mut function))?;
        define_property(env, object, C::NAME, function)
    }
}

/// Gives `object` the property `cache`, an ArrayBuffer of the words of the heap's thread cache.
///
/// # Errors
/// When the engine takes no buffers from outside.
///
/// # Safety
/// As for [`define`].
pub unsafe fn define_cache(
    env: sys::napi_env,
    object: sys::napi_value,
    handle: &Handle,
    cache: Rc<ThreadCache>,
) -> Result<()> {
    let words = cache.rows().words();
    let (data, length) = (words.as_ptr().cast_mut().cast::<c_void>(), size_of_val(words));
    // SAFETY: the caller vouches for `env` and `object`. `data` points at words that the cache
    // neither moves nor frees while it lives. JavaScript writes its part of them on this thread
    // only, and Rust reads them as atomics.
    unsafe {
        let (buffer, loan) = Loan::new(env, data, length, Box::new(cache))?;
        handle.lend(loan);
        define_property(env, object, c"cache", buffer)
    }
}

/// What becomes of the output of a callback.
pub trait Answer {
    /// The value that JavaScript gets.
    ///
    /// # Errors
    /// When the engine cannot make it.
    ///
    /// # Safety
    /// `env` is the environment of the running call.
    unsafe fn answer(self, env: sys::napi_env, handle: &Handle) -> Result<sys::napi_value>;
}

impl<T: ToNapiValue> Answer for T {
    unsafe fn answer(self, env: sys::napi_env, _handle: &Handle) -> Result<sys::napi_value> {
        // SAFETY: the caller vouches for `env`.
        unsafe { T::to_napi_value(env, self) }
    }
}

/// Numbers for JavaScript, in an array whose bytes are the engine's own: it collects them when it
/// needs to, those of a buffer from outside only when the event loop turns.
pub struct Numbers<T>(pub Vec<T>);

/// A number that a typed array can hold.
pub trait Element: Copy {
    /// The kind of the array.
    const KIND: sys::napi_typedarray_type;
}

impl Element for u32 {
    const KIND: sys::napi_typedarray_type = sys::TypedarrayType::uint32_array;
}

impl Element for f64 {
    const KIND: sys::napi_typedarray_type = sys::TypedarrayType::float64_array;
}

impl<T: Element> ToNapiValue for Numbers<T> {
    unsafe fn to_napi_value(env: sys::napi_env, Self(numbers): Self) -> Result<sys::napi_value> {
        let (mut data, mut buffer, mut array) = (null_mut(), null_mut(), null_mut());
        let byte_length = size_of_val(numbers.as_slice());
        // SAFETY: `env` is that of the running call and the out pointers are locals. `data` points
        // at `byte_length` new bytes, aligned for any number, that nobody else has yet.
        unsafe {
            check_status!(sys::napi_create_arraybuffer(env, byte_length, &mut data, &mut buffer))?;
            if byte_length > 0 {
                copy_nonoverlapping(numbers.as_ptr(), data.cast::<T>(), numbers.len());
            }
            let length = numbers.len();
            check_status!(sys::napi_create_typedarray(
                env,
                T::KIND,
                length,
                buffer,
                0,
                &mut array
            ))?;
        }
        Ok(array)
    }
}

/// Bytes outside the memory that all threads share, for JavaScript to have as an ArrayBuffer.
pub struct SharedBytes {
    data: *mut c_void,
    length: usize,
    keeper: Arc<MmapRaw>,
}

impl SharedBytes {
    /// The states of the blocks in as much of the memory as `heap` has seen, and in as much again:
    /// an engine counts what it is lent as memory of its own, and lent anew whenever the memory
    /// grows they would make it collect garbage each time. In a file there may be no room for more.
    pub fn of_live_blocks(heap: &OpenHeap) -> Self {
        let live_blocks = &heap.entry().live_blocks;
        let states = live_blocks.bytes();
        let seen = LiveBlocks::length_for(heap.byte_length());
        let ahead = if heap.entry().attachment.is_some() { 0 } else { seen };
        Self {
            data: states.as_ptr().cast_mut().cast(),
            length: (seen + ahead).min(states.len()),
            keeper: Arc::clone(live_blocks.keeper()),
        }
    }
}

impl Answer for SharedBytes {
    unsafe fn answer(self, env: sys::napi_env, handle: &Handle) -> Result<sys::napi_value> {
        let Self { data, length, keeper } = self;
        // SAFETY: the caller vouches for `env`. `data` points at `length` bytes at least of the
        // mapping that is `keeper`, as `of_live_blocks` says: they neither move nor go while it
        // lives. Native code reads and writes them as atomics; JavaScript writes single bytes.
        let (buffer, loan) = unsafe { Loan::new(env, data, length, Box::new(keeper)) }?;
        handle.lend(loan);
        Ok(buffer)
    }
}

unsafe extern "C" fn call<C: Callback>(
    env: sys::napi_env,
    info: sys::napi_callback_info,
) -> sys::napi_value {
    let mut arguments = Arguments { env, values: [null_mut(); 1 + MAX_ARGUMENTS] };
    let mut count = arguments.values.len();
    // SAFETY: `env` and `info` are those of the running call; `values` has room for `count`
    // handles, and Node-API fills those beyond the given arguments with undefined.
    let status = unsafe {
        let values = arguments.values.as_mut_ptr();
        sys::napi_get_cb_info(env, info, &mut count, values, null_mut(), null_mut())
    };
    if status != sys::Status::napi_ok {
        return null_mut();
    }
    // SAFETY: `env` is that of the running call.
    unsafe { answer_of::<C>(&arguments) }.unwrap_or(null_mut())
}

unsafe fn answer_of<C: Callback>(arguments: &Arguments) -> Result<sys::napi_value> {
    let (env, handle) = (arguments.env, handle::find(arguments.env, arguments.heap()));
    // SAFETY: the caller vouches for `env`.
    let refuse = |fault| unsafe { i32::to_napi_value(env, fault as i32) };
    let Some(handle) = handle else { return refuse(Fault::Internal) };
    let work = || handle.run(|heap| C::run(heap, arguments));
    match catch_unwind(AssertUnwindSafe(work)).unwrap_or(Err(Fault::Internal)) {
        // SAFETY: as above.
        Ok(output) => unsafe { output.answer(env, &handle) },
        Err(fault) => refuse(fault),
    }
}
