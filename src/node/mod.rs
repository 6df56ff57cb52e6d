//! The surface that JavaScript calls, and the only place that calls Node-API.
//!
//! Nothing here decides anything: calls are converted and faults become numbers.

pub mod attach;
mod bytes;
pub mod cache_layout;
mod callback;
mod debug_calls;
mod grower;
mod handle;
pub mod image;
mod loan;
mod memory;
pub mod threads;

use std::ffi::CStr;
use std::rc::Rc;
use std::time::Duration;

use napi::bindgen_prelude::{Either, FromNapiValue, Null, Object};
use napi::{Env, JsValue as _, Result, sys};
use napi_derive::napi;

use crate::fault::Fault;
use crate::heap::{self, Area, PAGE};
use crate::os::guards;
use crate::session::OpenOptions;
use bytes::{EngineMemory, OpenHeap};
use callback::{Arguments, Callback, Numbers, SharedBytes, define, define_cache, define_value};
use handle::Handle;
use memory::{JsValue, Memory};

/// An argument as it was passed.
pub struct Argument(JsValue);

impl FromNapiValue for Argument {
    unsafe fn from_napi_value(env: sys::napi_env, value: sys::napi_value) -> Result<Self> {
        // SAFETY: napi-derive calls this with the environment and an argument of the running call.
        Ok(Self(unsafe { JsValue::new(env, value) }))
    }
}

/// An object that keeps a heap open, or the fault for which it is not.
type Opened<'e> = Either<Object<'e>, i32>;

/// What a thread knows of a memory when it opens the heap in it.
#[napi(object)]
pub struct HeapOptions {
    /// The first byte that the heap may use; -1 when all of the memory is the heap's.
    pub heap_base: i64,
    /// The pages that the memory had when it was made or received.
    pub initial: u32,
    /// The pages that it may grow to.
    pub maximum: u32,
    /// Whether this thread made it.
    pub made_here: bool,
    /// Whether it is to be in debug mode.
    pub debug: bool,
}

/// Opens the heap in the memory that `view` covers, and that `grower` grows; see grower.rs.
/// Returns the fault for which it cannot be opened, or an object that keeps it open. Its `number`
/// is what [`heap_functions`] take, `debug` says whether the memory is in debug mode, `attached`
/// whether other processes can have it, `kept` is the state of a block that a thread keeps, but for
/// its class in `classBits`, and `cache` is an ArrayBuffer of the words of the thread's cache, or
/// null. All that lib/native/native.js reads is the object's own: code that has put accessors on its
/// prototype never gets hold of it.
///
/// # Errors
/// Status InvalidArg when `view` is not a Uint8Array over a whole memory.
#[napi(
    ts_args_type = "view: Uint8Array, grower: { memory: WebAssembly.Memory, grow: Function, getBuffer: Function }, options: HeapOptions",
    ts_return_type = "object | number"
)]
pub fn open_heap(
    env: &Env,
    view: Argument,
    grower: Argument,
    options: HeapOptions,
) -> Result<Either<Object<'_>, i32>> {
    // The end of a memory of 4 GiB is one more than 32 bits hold; no heap fits behind either.
    let HeapOptions { heap_base, initial, maximum, made_here, debug } = options;
    let heap_base = (heap_base >= 0).then(|| u32::try_from(heap_base).unwrap_or(u32::MAX));
    let options = OpenOptions { heap_base, initial, maximum, made_here, debug };
    let open =
        || EngineMemory::open(view.0, grower.0).map(|memory| OpenHeap::open(memory, options));
    let mut opened = open()?;
    if matches!(opened, Err(Fault::OutOfMemory)) && handle::sweep(env) > 0 {
        opened = open()?;
    }
    handle_of(env, opened)
}

// What JavaScript gets when a heap was to be opened.
fn handle_of(env: &Env, opened: core::result::Result<OpenHeap, Fault>) -> Result<Opened<'_>> {
    let heap = match opened {
        Ok(heap) => heap,
        Err(fault) => return Ok(Either::B(fault as i32)),
    };
    let is_attached = heap.entry().attachment.is_some();
    if is_attached && let Err(fault) = heap.enter_thread(threads::thread_token(env)?) {
        return Ok(Either::B(fault as i32));
    }
    object_of(env, heap).map(Either::A)
}

// What JavaScript has of an open heap, which keeps it open.
fn object_of(env: &Env, heap: OpenHeap) -> Result<Object<'_>> {
    let object = Object::new(env)?;
    let (debug, cache) = (heap.is_debug(), Rc::clone(heap.cache()));
    let (kept, class_bits) = heap.entry().live_blocks.kept();
    let attached = heap.entry().attachment.is_some();
    // SAFETY: `env` is the environment of this call and `object` was made in it.
    unsafe {
        let handle = Handle::new(env, heap, object.raw())?;
        define_value(env.raw(), object.raw(), c"number", handle.number())?;
        define_value(env.raw(), object.raw(), c"debug", debug)?;
        define_value(env.raw(), object.raw(), c"kept", i32::from(kept))?;
        define_value(env.raw(), object.raw(), c"classBits", i32::from(class_bits))?;
        define_value(env.raw(), object.raw(), c"attached", attached)?;
        // Some engines take no buffers from outside; the heap works without the cache too.
        if debug || define_cache(env.raw(), object.raw(), &handle, cache).is_err() {
            define_value(env.raw(), object.raw(), c"cache", Null)?;
        }
    }
    Ok(object)
}

/// Closes a heap that this thread has open, without waiting for its object to be collected.
#[napi]
pub fn close_heap(env: &Env, number: u32) {
    if let Some(handle) = handle::find(env.raw(), number) {
        handle.close();
    }
}

/// The functions on a heap, whose number they take before their arguments. They answer with
/// numbers, those below 0 being faults.
///
/// # Errors
/// When the thread is being terminated.
#[napi(ts_return_type = "Record<string, Function>")]
pub fn heap_functions(env: &Env) -> Result<Object<'_>> {
    let object = Object::new(env)?;
    // SAFETY: `env` is the environment of this call and `object` was made in it.
    unsafe {
        define_all(env.raw(), object.raw())?;
        debug_calls::define_all(env.raw(), object.raw())?;
    }
    Ok(object)
}

/// Closes the heaps of this thread that nobody can reach any more, without waiting for the event
/// loop to turn. Returns how many there were.
#[napi]
pub fn sweep_heaps(env: &Env) -> u32 {
    handle::sweep(env) as u32
}

/// Finds out whether memories may have a maximum above their initial pages on native storage: what
/// the engine reserves for a memory. `view` covers a shared one of one page that was made for this
/// and may grow to two, and `read` is a function of a module that reads the byte at an offset of
/// it.
///
/// # Errors
/// Status InvalidArg when `view` is not a Uint8Array over a whole memory.
#[napi(ts_args_type = "view: Uint8Array, read: Function")]
pub fn prove_guards(view: Argument, read: Argument) -> Result<()> {
    let memory = Memory::open(view.0)?;
    // SAFETY: only lib/pages/storage.js calls this, with a memory that it made just for it, after another
    // of the kind has grown to two pages: so many are reserved.
    unsafe { memory.prove_guards(view.0, read.0) };
    Ok(())
}

/// Puts bytes that Rust allocated in the place of V8's, for the memory that `view` covers: a shared
/// one that was just made with a maximum of `maximum` pages and that nobody has used. Returns why
/// that could not be done, in which case the memory is as it was, or null.
///
/// # Errors
/// Status InvalidArg when `view` is not a Uint8Array over a whole memory.
#[napi(ts_args_type = "view: Uint8Array, maximum: number")]
pub fn overlay_storage(view: Argument, maximum: u32) -> Result<Option<String>> {
    let memory = Memory::open(view.0)?;
    let maximum = maximum as usize * PAGE as usize;
    if maximum > memory.byte_length() && !guards::are_proven() {
        return Ok(Some("how much the engine has reserved for the memory is not known".into()));
    }
    // SAFETY: only `placeBytes` of lib/pages/storage.js calls this, while the memory is constructed, right
    // after the engine has made it and before anyone else has the object. `maximum` is the very
    // number that the engine accepted, read from the caller's descriptor once. So many bytes are
    // reserved: they are all accessible, or the engine reserves 4 GiB for every memory, which was
    // proven.
    let outcome = unsafe { memory.overlay(maximum) };
    Ok(outcome.err().map(|(step, error)| format!("{step:?}: {error}")))
}

/// Whether Rust allocated the bytes of the memory that `view` covers.
///
/// # Errors
/// Status InvalidArg when `view` is not a Uint8Array over a whole memory.
#[napi(ts_args_type = "view: Uint8Array")]
pub fn is_overlaid(view: Argument) -> Result<bool> {
    Ok(Memory::open(view.0)?.is_overlaid())
}

fn blocks_of(blocks: &[heap::Block]) -> Numbers<u32> {
    let words = |block: &heap::Block| [block.pointer, block.byte_length, block.buffer_size];
    Numbers(blocks.iter().flat_map(words).collect())
}

fn figures_of(stats: heap::Stats) -> [f64; 6] {
    let figures = [
        stats.used_bytes,
        stats.requested_bytes,
        stats.free_bytes,
        stats.cached_bytes,
        stats.largest_free_block,
        u64::from(stats.block_count),
    ];
    figures.map(|figure| figure as f64)
}

/// Declares callbacks: of each the type, its name in JavaScript, its output and its body; and
/// `define_all`, which gives them to an object.
macro_rules! callbacks {
    ($($callback:ident $name:literal ($heap:ident, $arguments:ident) -> $output:ty $body:block)*) => {
        $(
            struct $callback;

            impl Callback for $callback {
                const NAME: &'static CStr = $name;
                type Output = $output;

                fn run(
                    $heap: &OpenHeap,
                    $arguments: &Arguments,
                ) -> core::result::Result<$output, Fault> $body
            }
        )*

        /// Gives `object` these functions.
        ///
        /// # Safety
        /// `env` is the environment of the running call and `object` one of its handles.
        pub unsafe fn define_all(env: sys::napi_env, object: sys::napi_value) -> Result<()> {
            // SAFETY: the caller vouches for `env` and `object`.
            unsafe {
                $(define::<$callback>(env, object)?;)*
            }
            Ok(())
        }
    };
}

pub(crate) use callbacks;

callbacks! {
    Refresh c"refresh" (heap, arguments) -> u32 {
        heap.memory().refresh(arguments.value(0)).map_err(|_| Fault::Internal)?;
        heap.look();
        Ok((heap.byte_length() / PAGE as usize) as u32)
    }
    Malloc c"malloc" (heap, arguments) -> u32 {
        heap.malloc(arguments.number(0), arguments.number(1), arguments.search(2))
    }
    Free c"free" (heap, arguments) -> u32 {
        heap.free(arguments.number(0)).map(|()| 0)
    }
    Resize c"resize" (heap, arguments) -> u32 {
        heap.resize(arguments.number(0), arguments.number(1), arguments.number(2) != 0)
    }
    Sizeof c"sizeof" (heap, arguments) -> u32 {
        heap.inspect(arguments.number(0)).map(|(byte_length, _)| byte_length)
    }
    Lengthof c"lengthof" (heap, arguments) -> u32 {
        heap.inspect(arguments.number(0)).map(|(_, buffer_size)| buffer_size)
    }
    Grow c"grow" (heap, arguments) -> u32 {
        heap.grow_for(arguments.number(0), arguments.number(1))
    }
    GrowBehind c"growBehind" (heap, arguments) -> u32 {
        heap.grow_behind(arguments.number(0), arguments.number(1))
    }
    AddPages c"addPages" (heap, arguments) -> u32 {
        heap.add_pages(arguments.number(0), arguments.number(1)).map(|()| 0)
    }
    Blocks c"blocks" (heap, _arguments) -> Numbers<u32> {
        heap.blocks().map(|blocks| blocks_of(&blocks))
    }
    Map c"map" (heap, _arguments) -> Numbers<f64> {
        let map = heap.map()?;
        let row = |area: &Area| {
            let trimmed = heap.trimmed_bytes(area);
            let blocks = [area.block_bytes, area.live, area.cached, area.free].map(u64::from);
            let [block_bytes, live, cached, free] = blocks;
            let (length, kind) = (area.end - area.start, area.used_as as u64);
            [kind, area.start, length, trimmed, block_bytes, live, cached, free]
        };
        Ok(Numbers(map.iter().flat_map(row).map(|number| number as f64).collect()))
    }
    Refill c"refill" (heap, arguments) -> u32 {
        heap.refill(arguments.number(0) as usize)
    }
    MakeRoom c"makeRoom" (heap, arguments) -> u32 {
        heap.make_room(arguments.number(0) as usize).map(|()| 0)
    }
    Rest c"rest" (heap, _arguments) -> u32 {
        heap.rest().map(|()| 0)
    }
    LiveBlocks c"liveBlocks" (heap, _arguments) -> SharedBytes {
        Ok(SharedBytes::of_live_blocks(heap))
    }
    SetRoot c"setRoot" (heap, arguments) -> u32 {
        heap.set_root(&arguments.name(0), arguments.number(1)).map(|()| 0)
    }
    GetRoot c"getRoot" (heap, arguments) -> u32 {
        heap.root(&arguments.name(0))
    }
    Recover c"recover" (heap, _arguments) -> u32 {
        heap.recover()
    }
    UndoCutShort c"undoCutShort" (heap, _arguments) -> u32 {
        heap.undo_cut_short().map(|()| 0)
    }
    MissingPages c"missingPages" (heap, _arguments) -> u32 {
        Ok(heap.missing_pages())
    }
    GrowAlong c"growAlong" (heap, _arguments) -> u32 {
        heap.grow_along();
        Ok(0)
    }
    Wait c"wait" (heap, arguments) -> u32 {
        let [index, value, micros] = [0, 1, 2].map(|index| arguments.number(index));
        heap.wait(index, value, Duration::from_micros(micros.into())).map(u32::from)
    }
    Wake c"wake" (heap, arguments) -> u32 {
        heap.wake(arguments.number(0), arguments.number(1))
    }
    MallocInto c"mallocInto" (heap, arguments) -> u32 {
        let [slot, byte_length, align] = [0, 1, 2].map(|index| arguments.number(index));
        heap.malloc_into(slot, byte_length, align, arguments.search(3))
    }
    FreeFrom c"freeFrom" (heap, arguments) -> u32 {
        heap.free_from(arguments.number(0)).map(|()| 0)
    }
    Place c"place" (heap, arguments) -> u32 {
        let (image, name) = (arguments.words(0), arguments.name(3));
        let [byte_length, align] = [1, 2].map(|index| arguments.number(index));
        heap.place(&image, byte_length, align, &name, arguments.search(4))
    }
    Remove c"remove" (heap, arguments) -> u32 {
        heap.remove(arguments.number(0), arguments.number(1)).map(|()| 0)
    }
    Trim c"trim" (heap, _arguments) -> f64 {
        heap.trim().map(|bytes| bytes as f64)
    }
    Stats c"stats" (heap, arguments) -> u32 {
        arguments.fill(0, &figures_of(heap.stats()?)).map(|()| 0)
    }
}
