//! What debug mode can tell: where in a program something was done, what is wrong with a block, and
//! who made the blocks that are live.

use std::sync::Arc;

use crate::fault::Fault;
use crate::heap::{Damage, Part};

/// Where in a program something was done.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CallSite {
    /// worker_threads' number of the thread.
    pub thread_id: u32,
    /// JavaScript's stack.
    pub stack: Arc<str>,
    /// The kind of structure that did it for the program, if one did.
    pub structure: Option<Arc<str>>,
}

/// A block that something is wrong with, or a place that is damaged.
#[derive(Clone, Debug)]
pub struct Finding {
    /// What was written over, if anything was.
    pub part: Option<Part>,
    /// The byte that it is about.
    pub offset: u32,
    /// The block, its length and its story, as far as they are known.
    pub pointer: Option<u32>,
    pub byte_length: Option<u32>,
    pub made: Option<CallSite>,
    pub freed: Option<CallSite>,
}

/// Why a call was refused, and what can be told about it.
#[derive(Debug)]
pub struct Trouble {
    pub fault: Fault,
    pub finding: Option<Box<Finding>>,
}

impl From<Fault> for Trouble {
    fn from(fault: Fault) -> Self {
        Self { fault, finding: None }
    }
}

impl From<Finding> for Trouble {
    fn from(finding: Finding) -> Self {
        Self { fault: Fault::Corrupted, finding: Some(Box::new(finding)) }
    }
}

/// Live blocks that were made at one place.
#[derive(Debug, PartialEq, Eq)]
pub struct Group {
    /// Unknown for blocks that were not made in debug mode.
    pub made: Option<CallSite>,
    /// Bytes that were asked for.
    pub byte_length: u64,
    /// Pointers, ascending.
    pub blocks: Vec<u32>,
}

impl Finding {
    /// What is damaged in a heap whose blocks are not recorded.
    pub const fn of(damage: Damage) -> Self {
        let Damage { part, offset, pointer } = damage;
        Self { part: Some(part), offset, pointer, byte_length: None, made: None, freed: None }
    }
}
