//! The calls on a heap that debug mode answers in its own way, and those that tell what it knows.

use std::ffi::CStr;
use std::rc::Rc;

use napi::{Result, sys};
use napi_derive::napi;

use super::{blocks_of, callbacks, figures_of};
use crate::debug::{Book, Finding, Group, Place};
use crate::fault::Fault;
use crate::heap::Part;
use crate::node::callback::{Arguments, Callback, Numbers, define};
use crate::node::handle::Handle;
use crate::session::SharedHeap;

/// Sets the functions of `object` that tell about the heap, and puts those of debug mode in the place of
/// the plain ones if the memory is in it, which `debug` says.
///
/// # Safety
/// `env` is the environment of the running call and `object` one of its handles.
pub unsafe fn define_all(
    env: sys::napi_env,
    object: sys::napi_value,
    heap: &Rc<Handle>,
    debug: bool,
) -> Result<()> {
    // SAFETY: the caller vouches for `env` and `object`.
    unsafe {
        define::<Check>(env, object, heap)?;
        define::<Leaks>(env, object, heap)?;
        define::<TakeFinding>(env, object, heap)?;
        if !debug {
            return Ok(());
        }
        define::<SetCaller>(env, object, heap)?;
        define::<Malloc>(env, object, heap)?;
        define::<Free>(env, object, heap)?;
        define::<Resize>(env, object, heap)?;
        define::<Sizeof>(env, object, heap)?;
        define::<Lengthof>(env, object, heap)?;
        define::<Grow>(env, object, heap)?;
        define::<GrowBehind>(env, object, heap)?;
        define::<Blocks>(env, object, heap)?;
        define::<Stats>(env, object, heap)?;
        define::<Trim>(env, object, heap)
    }
}

/// Who made or freed a block.
#[napi(object)]
pub struct PlaceInfo {
    /// worker_threads' number of the thread.
    pub thread_id: u32,
    /// The JavaScript stack, a line a frame.
    pub stack: String,
}

/// Something that is wrong with a block or the heap.
#[napi(object)]
pub struct FindingInfo {
    /// What was written over, if anything was.
    pub kind: Option<String>,
    /// The first byte of it; for a refused pointer the pointer.
    pub byte_offset: u32,
    /// The block that it belongs to or lies in.
    pub ptr: Option<u32>,
    /// The bytes that were asked for in that block.
    pub byte_length: Option<u32>,
    /// Who made the block.
    pub made: Option<PlaceInfo>,
    /// Who freed it.
    pub freed: Option<PlaceInfo>,
}

/// Live blocks that were made at one place.
#[napi(object)]
pub struct LeakInfo {
    /// How many there are.
    pub count: u32,
    /// The bytes that were asked for in them.
    pub byte_length: f64,
    /// The thread that made them, if it is known.
    pub thread_id: Option<u32>,
    /// The JavaScript stack that made them, if it is known.
    pub stack: Option<String>,
    /// Their pointers, ascending.
    pub blocks: Vec<u32>,
}

impl From<Place> for PlaceInfo {
    fn from(Place { thread_id, stack }: Place) -> Self {
        Self { thread_id, stack: stack.to_string() }
    }
}

impl From<Finding> for FindingInfo {
    fn from(finding: Finding) -> Self {
        let kind = finding.part.map(|part| match part {
            Part::Record => "record",
            Part::Header => "header",
            Part::Guard => "overrun",
            Part::Freed => "write-after-free",
        });
        Self {
            kind: kind.map(Into::into),
            byte_offset: finding.offset,
            ptr: finding.pointer,
            byte_length: finding.byte_length,
            made: finding.made.map(Into::into),
            freed: finding.freed.map(Into::into),
        }
    }
}

impl From<Group> for LeakInfo {
    fn from(Group { made, byte_length, blocks }: Group) -> Self {
        let (thread_id, stack) = made.map(|made| (made.thread_id, made.stack.to_string())).unzip();
        let count = blocks.len() as u32;
        Self { count, byte_length: byte_length as f64, thread_id, stack, blocks }
    }
}

callbacks! {
    Check c"check" (heap, arguments) -> Vec<FindingInfo> {
        Ok(heap.check(arguments.number(0) != 0)?.into_iter().map(Into::into).collect())
    }
    Leaks c"leaks" (heap, _arguments) -> Vec<LeakInfo> {
        Ok(heap.leaks()?.into_iter().map(Into::into).collect())
    }
    SetCaller c"setCaller" (heap, arguments) -> u32 {
        heap.set_caller(arguments.number(0), arguments.text(1));
        Ok(0)
    }
    TakeFinding c"takeFinding" (heap, _arguments) -> Option<FindingInfo> {
        Ok(heap.take_finding().map(Into::into))
    }
    Malloc c"malloc" (heap, arguments) -> u32 {
        heap.debug_malloc(arguments.number(0), arguments.number(1), arguments.search(2))
    }
    Free c"free" (heap, arguments) -> u32 {
        heap.debug_free(arguments.number(0)).map(|()| 0)
    }
    Resize c"resize" (heap, arguments) -> u32 {
        let stay = arguments.number(2) != 0;
        heap.debug_resize(arguments.number(0), arguments.number(1), stay).map(|()| 0)
    }
    Sizeof c"sizeof" (heap, arguments) -> u32 {
        heap.debug_inspect(arguments.number(0)).map(|(byte_length, _)| byte_length)
    }
    Lengthof c"lengthof" (heap, arguments) -> u32 {
        heap.debug_inspect(arguments.number(0)).map(|(_, buffer_size)| buffer_size)
    }
    Grow c"grow" (heap, arguments) -> u32 {
        heap.grow_for(Book::request(arguments.number(0)), arguments.number(1))
    }
    GrowBehind c"growBehind" (heap, arguments) -> u32 {
        heap.grow_behind(arguments.number(0), Book::request(arguments.number(1)))
    }
    Blocks c"blocks" (heap, _arguments) -> Numbers<u32> {
        heap.debug_blocks().map(|blocks| blocks_of(&blocks))
    }
    Stats c"stats" (heap, arguments) -> u32 {
        arguments.fill(0, &figures_of(heap.debug_stats()?)).map(|()| 0)
    }
    Trim c"trim" (heap, _arguments) -> f64 {
        heap.debug_trim().map(|bytes| bytes as f64)
    }
}
