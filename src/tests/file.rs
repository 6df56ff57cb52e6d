//! What tests have a heap of several processes in: a file, and a memory without bytes of its own.

use std::env;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;

use crate::attached::Wish;
use crate::heap::{PAGE, Words};
use crate::session::Bytes;

/// What the processes of a test attach.
pub const WISH: Wish = Wish { initial: 2, maximum: 300, create: true };

/// A file of a test, removed in the end.
pub struct TestFile(pub PathBuf);

impl TestFile {
    pub fn new(name: &str) -> Self {
        let folder = Path::new("/dev/shm");
        let folder = if folder.is_dir() { folder.into() } else { env::temp_dir() };
        let path = folder.join(format!("lsm-{name}-{}", std::process::id()));
        drop(std::fs::remove_file(&path));
        Self(path)
    }
}

impl Drop for TestFile {
    fn drop(&mut self) {
        drop(std::fs::remove_file(&self.0));
    }
}

/// A memory that only counts its pages: the bytes are in the file.
#[derive(Clone)]
pub struct Pages(Arc<AtomicUsize>);

impl Pages {
    pub fn new(pages: u32) -> Self {
        Self(Arc::new((pages as usize).into()))
    }
}

impl Bytes for Pages {
    fn words(&self) -> Words<'_> {
        Words::new(&[])
    }

    fn address(&self) -> usize {
        Arc::as_ptr(&self.0) as usize
    }

    fn is_shared(&self) -> bool {
        true
    }

    unsafe fn extend(&self, _byte_length: usize) {}

    fn grow(&self, pages: u32) -> Option<u32> {
        // The engine takes its time.
        thread::yield_now();
        let most = WISH.maximum as usize;
        let more = |before: usize| Some(before + pages as usize).filter(|&pages| pages <= most);
        self.0.fetch_update(Relaxed, Relaxed, more).ok().map(|before| before as u32)
    }

    fn give_back(&self, _bytes: Range<usize>) -> usize {
        0
    }

    fn resident_bytes(&self, bytes: Range<usize>) -> usize {
        bytes.len()
    }

    fn byte_length(&self) -> usize {
        self.0.load(Relaxed) * PAGE as usize
    }
}
