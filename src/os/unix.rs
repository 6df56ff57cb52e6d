//! What Linux and macOS have in common: mapping an object over V8's pages, step by step, and asking
//! for and giving back what takes up memory.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::AsRawFd;
#[cfg(test)]
use std::ptr::null_mut;
use std::sync::atomic::{AtomicU8, Ordering::SeqCst};

use memmap2::{MmapOptions, MmapRaw};

#[cfg(target_os = "linux")]
use super::linux as system;
#[cfg(target_os = "macos")]
use super::macos as system;
use super::{Outcome, Reservation, Step};
pub use system::is_remembered as is_overlaid;

const WASM_PAGE: usize = 65_536;
/// What is written through one mapping and read through the other.
const MARK: u8 = 0xA5;
/// Why an engine that works in another way is left alone.
const UNSEEN: &str = "the engine does not see the pages that were mapped for it";

/// Runs the steps; `permit` is asked before each and may refuse it.
pub fn overlay(range: Reservation, permit: impl Fn(Step) -> io::Result<()>) -> Outcome<()> {
    attempt(Step::CheckReservation, &permit, || check_reservation(&range))?;
    let object = attempt(Step::CreateObject, &permit, system::create_object)?;
    attempt(Step::SetLength, &permit, || set_length(&object, range.maximum))?;
    let own = attempt(Step::MapOwn, &permit, || map_own(&object))?;
    let overlaid = attempt(Step::MapOver, &permit, || map_over(&range, &object, 0))
        .and_then(|()| attempt(Step::MakeAccessible, &permit, || make_accessible(&range)))
        .and_then(|()| attempt(Step::Verify, &permit, || verify(&range, &own)));
    if overlaid.is_err() {
        restore(&range);
    }
    overlaid
}

/// The same with a part of a file that others have mapped too, from byte `offset` on.
pub fn overlay_file(range: Reservation, file: &File, offset: usize) -> Outcome<()> {
    let permit = |_| Ok(());
    attempt(Step::CheckReservation, &permit, || check_reservation(&range))?;
    let overlaid = attempt(Step::MapOver, &permit, || map_over(&range, file, offset))
        .and_then(|()| attempt(Step::MakeAccessible, &permit, || make_accessible(&range)))
        .and_then(|()| attempt(Step::Verify, &permit, || check_end(&range)));
    if overlaid.is_err() {
        restore(&range);
    }
    overlaid
}

fn attempt<T>(
    step: Step,
    permit: &impl Fn(Step) -> io::Result<()>,
    act: impl FnOnce() -> io::Result<T>,
) -> Outcome<T> {
    permit(step).and_then(|()| act()).map_err(|error| (step, error))
}

/// The reason when a call of the system has failed.
pub fn check(succeeded: bool) -> io::Result<()> {
    if succeeded { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Bytes of a page of the system.
pub fn host_page() -> usize {
    // SAFETY: sysconf reads a constant of the system.
    usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(usize::MAX)
}

fn check_reservation(range: &Reservation) -> io::Result<()> {
    if range.initial == 0 || range.maximum < range.initial || !WASM_PAGE.is_multiple_of(host_page())
    {
        return Err(io::ErrorKind::Unsupported.into());
    }
    check_mapped(range.base, range.maximum)
}

fn check_mapped(address: *mut u8, length: usize) -> io::Result<()> {
    // SAFETY: msync writes nothing for memory without a file; it fails when there is a hole in the
    // range, and that is all it is called for.
    check(unsafe { libc::msync(address.cast(), length, libc::MS_ASYNC) } == 0)
}

/// Makes the first page behind `length` bytes at `base` readable, if it is not and the range has no
/// hole within `reach` bytes. Returns whether that was done.
///
/// # Safety
/// The page belongs to a memory at `base` that is kept for as long as the call lasts, and nobody
/// relies on its being inaccessible.
pub unsafe fn make_guard_readable(base: *mut u8, length: usize, reach: usize) -> bool {
    let guard = base.wrapping_add(length);
    if is_readable(guard) || check_mapped(base, reach).is_err() {
        return false;
    }
    // SAFETY: the caller vouches for the page.
    unsafe { libc::mprotect(guard.cast(), host_page(), libc::PROT_READ) == 0 }
}

/// Sets a file's length, unless it is above the limit: the system would not only refuse that, but
/// raise SIGXFSZ, which ends most processes.
pub fn set_length(file: &File, length: usize) -> io::Result<()> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is a local of the type that the call fills in.
    check(unsafe { libc::getrlimit(libc::RLIMIT_FSIZE, &mut limit) } == 0)?;
    if limit.rlim_cur < length as libc::rlim_t {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    file.set_len(length as u64)
}

fn map_own(file: &File) -> io::Result<MmapRaw> {
    MmapOptions::new().len(WASM_PAGE).map_raw(file)
}

fn map_over(range: &Reservation, file: &File, offset: usize) -> io::Result<()> {
    let flags = libc::MAP_SHARED | libc::MAP_FIXED;
    // SAFETY: whoever made the reservation vouches that V8 keeps [base, base + maximum) for a
    // memory that nobody has used yet, so that replacing its zero pages by others is seen by
    // nobody.
    let address = unsafe {
        let (base, length) = (range.base.cast(), range.maximum);
        libc::mmap(base, length, libc::PROT_NONE, flags, file.as_raw_fd(), offset as libc::off_t)
    };
    check(address == range.base.cast())
}

fn make_accessible(range: &Reservation) -> io::Result<()> {
    let access = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: the range lies within the one that `map_over` mapped.
    check(unsafe { libc::mprotect(range.base.cast(), range.initial, access) } == 0)
}

// Puts anonymous pages back, as V8 had them. There is nothing left to do should that fail too: the
// range is then either still V8's or the object's, zero and accessible in both cases.
fn restore(range: &Reservation) {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED | libc::MAP_NORESERVE;
    // SAFETY: as for `map_over`: the memory has not been used yet.
    let mapped = unsafe {
        let (base, length) = (range.base.cast(), range.maximum);
        libc::mmap(base, length, libc::PROT_NONE, flags, -1, 0) == base
    };
    if mapped {
        drop(make_accessible(range));
    }
}

fn verify(range: &Reservation, own: &MmapRaw) -> io::Result<()> {
    // SAFETY: both point at the first byte of an accessible mapping that outlives this function:
    // `own` is borrowed, and the reservation's memory was promised to exist. Bytes are atomics.
    let (ours, theirs) =
        unsafe { (AtomicU8::from_ptr(own.as_mut_ptr()), AtomicU8::from_ptr(range.base)) };
    ours.store(MARK, SeqCst);
    let seen_there = theirs.load(SeqCst);
    theirs.store(!MARK, SeqCst);
    let seen_here = ours.load(SeqCst);
    ours.store(0, SeqCst);
    if (seen_there, seen_here, theirs.load(SeqCst)) != (MARK, !MARK, 0) {
        return Err(io::Error::other(UNSEEN));
    }
    check_end(range)?;
    system::remember(range.base);
    Ok(())
}

// What lies behind the initial bytes must trap.
fn check_end(range: &Reservation) -> io::Result<()> {
    let end = range.base.wrapping_add(range.initial);
    let trapped = range.initial == range.maximum || !is_readable(end);
    if trapped { Ok(()) } else { Err(io::Error::other(UNSEEN)) }
}

// Whether the byte at `address` can be read: asks the kernel, which does not trap, whether that is
// a path.
fn is_readable(address: *const u8) -> bool {
    // SAFETY: the kernel checks the address itself, and the call changes nothing.
    let status = unsafe { libc::access(address.cast(), libc::F_OK) };
    status == 0 || io::Error::last_os_error().raw_os_error() != Some(libc::EFAULT)
}

/// # Safety
/// As for [`super::give_back`].
pub unsafe fn give_back(base: *mut u8, bytes: Range<usize>) -> usize {
    let (address, length) = whole_pages(base, bytes);
    let resident = resident_bytes(address, length);
    // SAFETY: whole pages inside `bytes`, for which the caller vouches.
    let is_discarded = length > 0 && unsafe { system::discard(address, length) };
    if is_discarded { resident } else { 0 }
}

pub fn resident_in(base: *mut u8, bytes: Range<usize>) -> usize {
    let (address, length) = whole_pages(base, bytes);
    resident_bytes(address, length)
}

// Address and length of the pages that lie wholly inside `bytes` at `base`.
fn whole_pages(base: *mut u8, bytes: Range<usize>) -> (*mut u8, usize) {
    let page = host_page();
    let (start, end) = (bytes.start.next_multiple_of(page), bytes.end / page * page);
    (base.wrapping_add(start), end.saturating_sub(start))
}

fn resident_bytes(address: *mut u8, length: usize) -> usize {
    let page = host_page();
    let mut pages = vec![0; length / page];
    // SAFETY: `pages` has one byte for each page of the range, and no more is written. Of a range that
    // is not mapped the kernel says so.
    let status = unsafe { libc::mincore(address.cast(), length, pages.as_mut_ptr()) };
    if status == 0 { pages.iter().filter(|&&page| page & 1 != 0).count() * page } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INITIAL: usize = 2 * WASM_PAGE;
    const MAXIMUM: usize = 5 * WASM_PAGE;

    /// A range reserved as V8 does it.
    struct Reserved(*mut u8);

    impl Reserved {
        fn new() -> Self {
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
            // SAFETY: a new mapping at an address that the kernel chooses.
            let base = unsafe {
                let base = libc::mmap(null_mut(), MAXIMUM, libc::PROT_NONE, flags, -1, 0);
                libc::mprotect(base, INITIAL, libc::PROT_READ | libc::PROT_WRITE);
                base
            };
            assert_ne!(base, libc::MAP_FAILED);
            Self(base.cast())
        }

        fn reservation(&self) -> Reservation {
            // SAFETY: made just so above, and used by this test alone.
            unsafe { Reservation::new(self.0, INITIAL, MAXIMUM) }
        }

        fn bytes(&self) -> &[AtomicU8] {
            // SAFETY: the initial bytes are accessible while `self` lives.
            unsafe { std::slice::from_raw_parts(self.0.cast(), INITIAL) }
        }

        fn is_overlaid(&self) -> bool {
            // SAFETY: the range is mapped while `self` lives.
            unsafe { is_overlaid(self.0) }
        }

        fn guarded(&self) -> bool {
            !is_readable(self.0.wrapping_add(INITIAL))
        }
    }

    impl Drop for Reserved {
        fn drop(&mut self) {
            // SAFETY: the range was mapped by `new`, and no reference to it is left.
            unsafe { libc::munmap(self.0.cast(), MAXIMUM) };
        }
    }

    #[test]
    fn overlaid_pages_are_shared_zero_and_guarded() {
        let reserved = Reserved::new();
        assert!(!reserved.is_overlaid());
        overlay(reserved.reservation(), |_| Ok(())).expect("an overlay");
        assert!(reserved.is_overlaid());
        assert!(reserved.bytes().iter().all(|byte| byte.load(SeqCst) == 0));
        assert!(reserved.guarded());
    }

    #[test]
    fn a_refused_step_leaves_the_range_as_v8_had_it() {
        for refused in [
            Step::CheckReservation,
            Step::CreateObject,
            Step::SetLength,
            Step::MapOwn,
            Step::MapOver,
            Step::MakeAccessible,
            Step::Verify,
        ] {
            let reserved = Reserved::new();
            let permit = |step| {
                if step == refused { Err(io::ErrorKind::OutOfMemory.into()) } else { Ok(()) }
            };
            let (step, _) = overlay(reserved.reservation(), permit).expect_err("refused");
            assert_eq!(step, refused);
            assert!(!reserved.is_overlaid(), "{refused:?}");
            assert!(reserved.bytes().iter().all(|byte| byte.load(SeqCst) == 0));
            reserved.bytes()[INITIAL - 1].store(1, SeqCst);
            assert!(reserved.guarded(), "{refused:?}");
        }
    }

    #[test]
    fn a_range_with_a_hole_is_refused() {
        let reserved = Reserved::new();
        // SAFETY: a part of the range that nothing refers to.
        unsafe { libc::munmap(reserved.0.add(3 * WASM_PAGE).cast(), WASM_PAGE) };
        let refused = overlay(reserved.reservation(), |_| Ok(()));
        assert_eq!(refused.expect_err("a hole").0, Step::CheckReservation);
    }

    #[test]
    fn a_page_is_made_readable_only_behind_a_memory_without_a_hole() {
        let reserved = Reserved::new();
        // SAFETY: the page behind the initial ones is the test's own, and nobody relies on it.
        let make_readable = |reach| unsafe { make_guard_readable(reserved.0, INITIAL, reach) };
        // SAFETY: a part of the range that nothing refers to.
        unsafe { libc::munmap(reserved.0.add(4 * WASM_PAGE).cast(), WASM_PAGE) };
        assert!(!make_readable(MAXIMUM));
        assert!(reserved.guarded());
        assert!(make_readable(4 * WASM_PAGE));
        assert!(!reserved.guarded());
        assert!(!make_readable(4 * WASM_PAGE));
    }

    #[test]
    fn pages_given_back_read_as_zero_and_are_counted_once() {
        for overlaid in [false, true] {
            let reserved = Reserved::new();
            if overlaid {
                overlay(reserved.reservation(), |_| Ok(())).expect("an overlay");
            }
            reserved.bytes().iter().for_each(|byte| byte.store(7, SeqCst));
            // SAFETY: bytes of a range that is mapped while `reserved` lives; they may be lost.
            let give_back = || unsafe { give_back(reserved.0, 100..INITIAL - 100) };
            let whole_pages = INITIAL - 2 * host_page();
            assert_eq!([give_back(), give_back()], [whole_pages, 0]);
            let kept = reserved.bytes().iter().filter(|byte| byte.load(SeqCst) == 7).count();
            assert_eq!(kept, INITIAL - whole_pages);
        }
    }
}
