//! Systems on which V8 keeps its own pages: nothing can be mapped over them, and none are given
//! back.

use std::fs::File;
use std::io;
use std::ops::Range;

use super::{Outcome, Reservation, Step};

pub fn overlay(_range: Reservation, _permit: impl Fn(Step) -> io::Result<()>) -> Outcome<()> {
    Err((Step::CreateObject, io::ErrorKind::Unsupported.into()))
}

pub fn overlay_file(_range: Reservation, _file: &File, _offset: usize) -> Outcome<()> {
    Err((Step::CreateObject, io::ErrorKind::Unsupported.into()))
}

/// # Safety
/// Nothing is done.
pub unsafe fn is_overlaid(_base: *mut u8) -> bool {
    false
}

/// # Safety
/// Nothing is done.
pub unsafe fn give_back(_base: *mut u8, _bytes: Range<usize>) -> usize {
    0
}

pub fn resident_in(_base: *mut u8, bytes: Range<usize>) -> usize {
    bytes.len()
}

/// # Safety
/// Nothing is done.
pub unsafe fn make_guard_readable(_base: *mut u8, _length: usize, _reach: usize) -> bool {
    false
}
