//! Which image of this library has a memory. Two images would each have a lock and tables of its
//! own for it, so that only one may have it open, whatever their builds are.
//!
//! All images ask one table, that of the image which published itself first. It may be of another
//! build: the name of the function, its arguments and what they mean stay as they are for good.

use std::collections::HashMap;
use std::ffi::{CStr, c_void};
use std::ptr::NonNull;
use std::sync::{Mutex, OnceLock, PoisonError};

/// The name of the function as a symbol.
pub const SYMBOL: &CStr = c"local_shared_memory_claim";

type Exchange = extern "C" fn(usize, usize, usize) -> bool;

/// The images that have a memory open, by the memory's address.
static OWNERS: Mutex<Option<HashMap<usize, usize>>> = Mutex::new(None);
/// The function that this image asks.
static ASKED: OnceLock<Exchange> = OnceLock::new();

/// Stands for nobody.
const NOBODY: usize = 0;

/// Puts the memory at `address` from the hands of `before` into those of `after`. Returns whether
/// `before` had it. Images go by the address of something in them, nobody by 0.
#[unsafe(export_name = "local_shared_memory_claim")]
extern "C" fn exchange(address: usize, before: usize, after: usize) -> bool {
    let mut owners = OWNERS.lock().unwrap_or_else(PoisonError::into_inner);
    let owners = owners.get_or_insert_default();
    if owners.get(&address).copied().unwrap_or(NOBODY) != before {
        return false;
    }
    match after {
        NOBODY => drop(owners.remove(&address)),
        _ => drop(owners.insert(address, after)),
    }
    true
}

/// Has all images ask the one that published itself first; until then each asks itself.
///
/// # Safety
/// `first` is the function named [`SYMBOL`] of an image that stays loaded.
pub unsafe fn ask(first: NonNull<c_void>) {
    // SAFETY: the caller vouches for what it is, and images of all builds agree on its type.
    let exchange = unsafe { std::mem::transmute::<NonNull<c_void>, Exchange>(first) };
    ASKED.get_or_init(|| exchange);
}

/// Notes that this image has the memory at `address` open, unless another one does.
pub fn take(address: usize) -> bool {
    asked()(address, NOBODY, this_image())
}

/// Notes that this image, which had the memory at `address` open, has closed it.
pub fn give_up(address: usize) {
    asked()(address, this_image(), NOBODY);
}

fn asked() -> Exchange {
    ASKED.get().copied().unwrap_or(exchange)
}

fn this_image() -> usize {
    &raw const ASKED as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_memory_is_in_the_hands_of_one_image() {
        // No address that another test uses.
        let address = 0x6000_0000_0000;
        assert!(take(address));
        assert!(!take(address));
        assert!(!exchange(address, NOBODY, 1));
        assert!(!exchange(address, 1, NOBODY));
        give_up(address);
        assert!(exchange(address, NOBODY, 1));
        assert!(!take(address));
        give_up(address);
        assert!(!take(address));
        assert!(exchange(address, 1, NOBODY));
    }
}
