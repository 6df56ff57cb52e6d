//! The images of this library that a process has loaded: each copy of the package brings one. An
//! image can make its symbols known to the whole process, and find those of the image that did so
//! first.
//!
//! Symbols are found by name and not by the path of a file, which may be gone or hold another build
//! by now.

use std::ffi::{CStr, c_void};
use std::io;
use std::mem::MaybeUninit;
use std::ptr::NonNull;
use std::sync::OnceLock;

/// An address in this image, of something that no other image can take the place of.
static HERE: u8 = 0;

/// A handle of this image, as the dynamic linker knows it.
struct Handle(NonNull<c_void>);

// SAFETY: the linker may be called with a handle from any thread, and this one is never closed.
unsafe impl Send for Handle {}
// SAFETY: as above.
unsafe impl Sync for Handle {}

/// What the linker says about an address.
fn about(address: *const c_void) -> Option<libc::Dl_info> {
    let mut info = MaybeUninit::uninit();
    // SAFETY: the linker fills `info` in when it knows the address, and says whether it does.
    unsafe { (libc::dladdr(address, info.as_mut_ptr()) != 0).then(|| info.assume_init()) }
}

fn open(flags: libc::c_int) -> Option<NonNull<c_void>> {
    let path = about((&raw const HERE).cast())?.dli_fname;
    // SAFETY: `path` is the linker's own text. Nothing is loaded that is not loaded already.
    NonNull::new(unsafe { libc::dlopen(path, libc::RTLD_LAZY | libc::RTLD_NOLOAD | flags) })
}

/// The function of that name in this image. The image stays loaded for good: what may run late,
/// such as finalizers, lies in it.
pub fn own(name: &CStr) -> Option<NonNull<c_void>> {
    static OWN: OnceLock<Option<Handle>> = OnceLock::new();
    let handle = OWN.get_or_init(|| open(libc::RTLD_NODELETE).map(Handle)).as_ref()?;
    // SAFETY: the handle is open, and `name` ends in NUL.
    let address = NonNull::new(unsafe { libc::dlsym(handle.0.as_ptr(), name.as_ptr()) })?;
    is_here(address).then_some(address)
}

/// Makes the symbols of this image known to the whole process, behind those of images that did so
/// before.
///
/// # Errors
/// When the linker does not know the file that this image was loaded from.
pub fn publish() -> io::Result<()> {
    let published = open(libc::RTLD_GLOBAL | libc::RTLD_NODELETE);
    published.map(drop).ok_or_else(|| io::ErrorKind::NotFound.into())
}

/// The function of that name in the image that published it first.
pub fn first(name: &CStr) -> Option<NonNull<c_void>> {
    // SAFETY: `name` ends in NUL.
    NonNull::new(unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) })
}

/// Whether an address lies in this image.
pub fn is_here(address: NonNull<c_void>) -> bool {
    let base = |address| about(address).map(|info| info.dli_fbase);
    base(address.as_ptr()) == base((&raw const HERE).cast())
}
