//! The calls that tell what is wrong with a heap, and, in debug mode, what is known of its blocks.

use std::ffi::CStr;

use napi::{Result, sys};
use napi_derive::napi;

use super::callbacks;
use crate::debug::{CallSite, Finding, Group};
use crate::fault::Fault;
use crate::heap::Part;
use crate::node::bytes::OpenHeap;
use crate::node::callback::{Arguments, Callback, define};

/// Who made or freed a block.
#[napi(object)]
pub struct CallSiteInfo {
    /// worker_threads' number of the thread.
    pub thread_id: u32,
    /// The JavaScript stack, a line a frame.
    pub stack: String,
    /// The kind of structure that did it for the program, if one did.
    pub structure: Option<String>,
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
    pub made: Option<CallSiteInfo>,
    /// Who freed it.
    pub freed: Option<CallSiteInfo>,
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
    /// The kind of structure that made them, if one did.
    pub structure: Option<String>,
    /// Their pointers, ascending.
    pub blocks: Vec<u32>,
}

impl From<CallSite> for CallSiteInfo {
    fn from(CallSite { thread_id, stack, structure }: CallSite) -> Self {
        let structure = structure.map(|name| name.to_string());
        Self { thread_id, stack: stack.to_string(), structure }
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
        let structure = made.as_ref().and_then(|made| made.structure.as_ref());
        let structure = structure.map(|name| name.to_string());
        let (thread_id, stack) = made.map(|made| (made.thread_id, made.stack.to_string())).unzip();
        let count = blocks.len() as u32;
        Self { count, byte_length: byte_length as f64, thread_id, stack, structure, blocks }
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
        let structure = Some(arguments.text(2)).filter(|name| !name.is_empty());
        heap.set_caller(arguments.number(0), arguments.text(1), structure);
        Ok(0)
    }
    TakeFinding c"takeFinding" (heap, _arguments) -> Option<FindingInfo> {
        Ok(heap.take_finding().map(Into::into))
    }
}
