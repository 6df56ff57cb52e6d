//! Systems on which no file is mapped by several processes: none can be opened, so that nothing
//! else is ever called.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

use memmap2::MmapRaw;

/// As on Linux.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity(pub [u64; 4]);

/// As on Linux.
pub struct Setup(());

fn unsupported<T>() -> io::Result<T> {
    Err(io::ErrorKind::Unsupported.into())
}

pub fn open(_path: &Path, _create: bool) -> io::Result<File> {
    unsupported()
}

pub fn objection(_file: &File) -> io::Result<Option<&'static str>> {
    unsupported()
}

pub fn is_linked(_file: &File) -> io::Result<bool> {
    unsupported()
}

pub fn identity(_file: &File) -> io::Result<Identity> {
    unsupported()
}

pub fn resize(_file: &File, _length: usize) -> io::Result<()> {
    unsupported()
}

pub fn reserve(_file: &File, _bytes: Range<usize>) -> io::Result<()> {
    unsupported()
}

pub fn map(_file: &File, _length: usize) -> io::Result<MmapRaw> {
    unsupported()
}

pub fn hold_setup(_file: &File, _most: Duration) -> io::Result<Setup> {
    unsupported()
}

pub fn take_byte(_file: &File, _offset: u64) -> io::Result<bool> {
    unsupported()
}

pub fn leave_byte(_file: &File, _offset: u64) {}

pub fn is_byte_taken(_file: &File, _offset: u64) -> bool {
    true
}

pub fn wait(_word: &AtomicU32, _expected: u32, _most: Duration) -> bool {
    true
}

pub fn wake(_word: &AtomicU32, _most: u32) -> u32 {
    0
}
