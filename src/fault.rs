//! Every way in which a heap operation can fail, as the number JavaScript receives.
//!
//! A failed operation changes nothing. `lib/native/faults.js` turns the numbers into typed errors with a
//! `code`; no message is made here, because the hot calls return plain numbers.

use napi_derive::napi;

/// Why a heap operation was refused.
#[napi]
#[derive(Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Fault {
    /// No free range is large enough; more pages may help.
    OutOfMemory = -1,
    /// A word of the heap's own records, or a block's header, holds an impossible value.
    Corrupted = -2,
    /// The pointer is not one that the heap ever gave out.
    NeverAllocated = -3,
    /// The pointer lies within a block, but is not its start.
    InsideBlock = -4,
    /// The block was freed before.
    AlreadyFreed = -5,
    /// The memory grew: the caller sees fewer bytes than the heap manages.
    Stale = -6,
    /// The memory holds something that is not a heap.
    NotAHeap = -8,
    /// The block was freed, but one freed earlier turned out to have been freed by two threads at
    /// once.
    FreedTwice = -9,
    /// Another build of this addon has the memory, or made the heap in it.
    OtherBuild = -10,
    /// The native side met what it takes for impossible: the fault is its own.
    Internal = -11,
    /// A process that has the heap too keeps its lock and does not go on.
    Busy = -12,
    /// This thread has closed the heap, or its process the file that it lies in.
    Closed = -13,
    /// Several processes have the heap, and there is no room for another name.
    TooManyNames = -14,
}

/// The result of a heap operation.
pub type Result<T> = core::result::Result<T, Fault>;
