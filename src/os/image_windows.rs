//! The same as image.rs on Windows, where the symbols of all modules are known to the whole
//! process, and modules are listed in the order in which they were loaded.

use std::ffi::{CStr, c_char, c_void};
use std::io;
use std::ptr::{NonNull, null_mut};

const FROM_ADDRESS: u32 = 4;
const PIN: u32 = 1;
/// More modules than a process has, or nearly: the first of ours would not be among the last.
const MOST_MODULES: usize = 4_096;

/// An address in this module.
static HERE: u8 = 0;

unsafe extern "system" {
    fn GetCurrentProcess() -> *mut c_void;
    fn GetModuleHandleExW(flags: u32, address: *const u16, module: *mut *mut c_void) -> i32;
    fn GetProcAddress(module: *mut c_void, name: *const c_char) -> *mut c_void;
    fn K32EnumProcessModules(
        process: *mut c_void,
        modules: *mut *mut c_void,
        byte_length: u32,
        needed: *mut u32,
    ) -> i32;
}

fn module_at(address: *const c_void, flags: u32) -> Option<NonNull<c_void>> {
    let mut module = null_mut();
    // SAFETY: the system takes any address, and `module` is a local.
    unsafe { GetModuleHandleExW(FROM_ADDRESS | flags, address.cast(), &mut module) };
    NonNull::new(module)
}

fn find(module: *mut c_void, name: &CStr) -> Option<NonNull<c_void>> {
    // SAFETY: `module` is loaded, or the system says that it is none, and `name` ends in NUL.
    NonNull::new(unsafe { GetProcAddress(module, name.as_ptr()) })
}

/// The function of that name in this module, which stays loaded for good: what may run late, such
/// as finalizers, lies in it.
pub fn own(name: &CStr) -> Option<NonNull<c_void>> {
    find(module_at((&raw const HERE).cast(), PIN)?.as_ptr(), name)
}

/// Symbols are known as soon as a module is loaded.
///
/// # Errors
/// None.
pub fn publish() -> io::Result<()> {
    Ok(())
}

/// The function of that name in the module that was loaded first.
pub fn first(name: &CStr) -> Option<NonNull<c_void>> {
    let mut modules = vec![null_mut(); MOST_MODULES];
    let byte_length = size_of_val(modules.as_slice()) as u32;
    let mut needed = 0;
    // SAFETY: `modules` has room for `byte_length` bytes, and `needed` is a local.
    let listed = unsafe {
        let process = GetCurrentProcess();
        K32EnumProcessModules(process, modules.as_mut_ptr(), byte_length, &mut needed)
    };
    let count = if listed == 0 { 0 } else { needed as usize / size_of::<*mut c_void>() };
    modules.iter().take(count).find_map(|&module| find(module, name))
}

/// Whether an address lies in this module.
pub fn is_here(address: NonNull<c_void>) -> bool {
    module_at(address.as_ptr(), PIN) == module_at((&raw const HERE).cast(), PIN)
}
