//! The allocators under test behind one trait, so that every kernel is compiled once for each of them.

use std::ffi::CStr;

/// C's malloc, free and realloc.
pub trait Allocator {
    /// Takes a block of `size` bytes and returns its address.
    fn malloc(size: usize) -> usize;

    /// Gives a block back.
    ///
    /// # Safety
    /// `block` came from this allocator and is live; it must not be used afterwards.
    unsafe fn free(block: usize);

    /// Moves a block to one of `size` bytes, contents kept, and returns its address.
    ///
    /// # Safety
    /// `block` came from this allocator and is live; only the returned address is live afterwards.
    unsafe fn realloc(block: usize, size: usize) -> usize;
}

/// mimalloc with the options it has by default.
pub struct Mimalloc;

impl Allocator for Mimalloc {
    fn malloc(size: usize) -> usize {
        // SAFETY: mi_malloc accepts every size.
        unsafe { libmimalloc_sys::mi_malloc(size) as usize }
    }

    unsafe fn free(block: usize) {
        // SAFETY: the caller hands over a live block of mi_malloc.
        unsafe { libmimalloc_sys::mi_free(block as *mut _) }
    }

    unsafe fn realloc(block: usize, size: usize) -> usize {
        // SAFETY: the caller hands over a live block of mi_malloc.
        unsafe { libmimalloc_sys::mi_realloc(block as *mut _, size) as usize }
    }
}

/// The malloc of the C library.
pub struct Glibc;

impl Allocator for Glibc {
    fn malloc(size: usize) -> usize {
        // SAFETY: malloc accepts every size.
        unsafe { libc::malloc(size) as usize }
    }

    unsafe fn free(block: usize) {
        // SAFETY: the caller hands over a live block of malloc.
        unsafe { libc::free(block as *mut _) }
    }

    unsafe fn realloc(block: usize, size: usize) -> usize {
        // SAFETY: the caller hands over a live block of malloc.
        unsafe { libc::realloc(block as *mut _, size) as usize }
    }
}

/// Allocates nothing: what remains is the cost of the kernels themselves.
pub struct Nothing;

impl Allocator for Nothing {
    fn malloc(size: usize) -> usize {
        size
    }

    unsafe fn free(_: usize) {}

    unsafe fn realloc(_: usize, size: usize) -> usize {
        size
    }
}

/// The versions in use, as a line of JSON.
pub fn versions() -> String {
    // SAFETY: mi_version takes nothing and returns a number.
    let mimalloc = unsafe { libmimalloc_sys::mi_version() };
    // SAFETY: gnu_get_libc_version returns a static string that ends in a null byte.
    let glibc = unsafe { CStr::from_ptr(libc::gnu_get_libc_version()) }.to_string_lossy();
    format!("{{\"mimalloc\":{mimalloc},\"glibc\":\"{glibc}\"}}")
}
