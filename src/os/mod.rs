//! Where the bytes live: the one file that talks to the operating system about memory.
//!
//! A memory object of the operating system is mapped over the address range that V8 has reserved for
//! a WebAssembly.Memory, so that the memory's bytes are ones that Rust allocated. V8 goes on to make
//! pages writable as the memory grows, and unmaps its range in the end, the overlay included; the
//! object lives for as long as a mapping of it does, so its descriptor is closed at once.

use std::io;
use std::ops::Range;

/// The address range that V8 has reserved for a memory.
#[derive(Clone, Copy, Debug)]
pub struct Reservation {
    base: *mut u8,
    /// Bytes that are accessible.
    initial: usize,
    /// Bytes that the memory may grow to.
    maximum: usize,
}

impl Reservation {
    /// Names the range that V8 has reserved for a memory.
    ///
    /// # Safety
    /// V8 made a shared memory whose bytes lie at `base`, of which `initial` bytes are accessible and
    /// which may grow to `maximum` bytes; it still exists when the reservation is used, and no thread
    /// has read or written it yet.
    pub const unsafe fn new(base: *mut u8, initial: usize, maximum: usize) -> Self {
        Self { base, initial, maximum }
    }
}

/// A step on the way to native storage, each of which the operating system may refuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The range must be reserved without holes, in pages that divide those of WebAssembly.
    CheckReservation,
    /// Making the memory object.
    CreateObject,
    /// Giving it the memory's maximum length.
    SetLength,
    /// Rust's own mapping of its first page.
    MapOwn,
    /// Mapping it over V8's range.
    MapOver,
    /// Making the initial bytes accessible.
    MakeAccessible,
    /// Comparing what both mappings show.
    Verify,
}

/// Puts bytes that Rust allocated in the place of V8's.
///
/// # Errors
/// The step that failed and why. V8's range is then as it was: zero, and accessible up to `initial`.
pub fn overlay(reservation: Reservation) -> Result<(), (Step, io::Error)> {
    platform::overlay(reservation, |_| Ok(()))
}

/// Whether the page at `base` is one that [`overlay`] put there.
///
/// # Safety
/// `base` is the address of a memory that V8 keeps for as long as the call lasts.
pub unsafe fn is_overlaid(base: *mut u8) -> bool {
    platform::is_overlaid(base)
}

/// Gives the pages wholly inside `bytes` back to the operating system; they read as zero afterwards.
/// Returns how many bytes of them were resident; 0 when the system keeps them.
///
/// # Safety
/// `bytes` are accessible bytes of a memory at `base` that V8 keeps for as long as the call lasts, and
/// nobody relies on what they hold.
pub unsafe fn give_back(base: *mut u8, bytes: Range<usize>) -> usize {
    platform::give_back(base, bytes)
}

/// How many of `bytes` take up memory, in pages that lie wholly inside them; all of them where the system does not
/// tell.
///
/// # Safety
/// `bytes` are accessible bytes of a memory at `base` that V8 keeps for as long as the call lasts.
pub unsafe fn resident_bytes(base: *mut u8, bytes: Range<usize>) -> usize {
    platform::resident_in(base, bytes)
}

#[cfg(any(target_os = "linux", target_os = "macos"))]
mod platform {
    use std::fs::File;
    use std::io;
    use std::ops::Range;
    use std::os::fd::{AsRawFd, FromRawFd};
    #[cfg(test)]
    use std::ptr::null_mut;
    use std::sync::atomic::{AtomicU8, Ordering::SeqCst};

    use memmap2::{MmapOptions, MmapRaw};

    use super::{Reservation, Step};

    const WASM_PAGE: usize = 65_536;
    /// What is written through one mapping and read through the other.
    const MARK: u8 = 0xA5;

    type Outcome<T> = Result<T, (Step, io::Error)>;

    /// Runs the steps; `permit` is asked before each and may refuse it.
    pub fn overlay(range: Reservation, permit: impl Fn(Step) -> io::Result<()>) -> Outcome<()> {
        attempt(Step::CheckReservation, &permit, || check_reservation(&range))?;
        let object = attempt(Step::CreateObject, &permit, create_object)?;
        attempt(Step::SetLength, &permit, || set_length(&object, range.maximum))?;
        let own = attempt(Step::MapOwn, &permit, || map_own(&object))?;
        let overlaid = attempt(Step::MapOver, &permit, || map_over(&range, &object))
            .and_then(|()| attempt(Step::MakeAccessible, &permit, || make_accessible(&range)))
            .and_then(|()| attempt(Step::Verify, &permit, || verify(&range, &object, &own)));
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

    fn check(succeeded: bool) -> io::Result<()> {
        if succeeded { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    fn host_page() -> usize {
        // SAFETY: sysconf reads a constant of the system.
        usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(usize::MAX)
    }

    fn check_reservation(range: &Reservation) -> io::Result<()> {
        if range.initial == 0
            || range.maximum < range.initial
            || !WASM_PAGE.is_multiple_of(host_page())
        {
            return Err(io::ErrorKind::Unsupported.into());
        }
        // SAFETY: msync writes nothing for memory without a file; it fails when there is a hole in the
        // range, and that is all it is called for.
        check(unsafe { libc::msync(range.base.cast(), range.maximum, libc::MS_ASYNC) } == 0)
    }

    #[cfg(target_os = "linux")]
    fn create_object() -> io::Result<File> {
        let name = c"local-shared-memory";
        // SAFETY: `name` ends in NUL, and the call keeps no pointer to it.
        let descriptor = unsafe { libc::memfd_create(name.as_ptr(), libc::MFD_CLOEXEC) };
        check(descriptor >= 0)?;
        // SAFETY: the descriptor was just made and belongs to nobody else.
        Ok(unsafe { File::from_raw_fd(descriptor) })
    }

    #[cfg(target_os = "macos")]
    fn create_object() -> io::Result<File> {
        use std::sync::atomic::AtomicU32;

        static NEXT: AtomicU32 = AtomicU32::new(0);
        let serial = NEXT.fetch_add(1, SeqCst);
        let name = std::ffi::CString::new(format!("/lsm-{}-{serial}", std::process::id()))?;
        let flags = libc::O_RDWR | libc::O_CREAT | libc::O_EXCL;
        // SAFETY: `name` ends in NUL, and neither call keeps a pointer to it. The object stays without
        // its name for as long as the descriptor or a mapping does. macOS sets FD_CLOEXEC by itself.
        let descriptor = unsafe {
            let descriptor = libc::shm_open(name.as_ptr(), flags, 0o600);
            libc::shm_unlink(name.as_ptr());
            descriptor
        };
        check(descriptor >= 0)?;
        // SAFETY: the descriptor was just made and belongs to nobody else.
        Ok(unsafe { File::from_raw_fd(descriptor) })
    }

    // A length above the limit would not only be refused: it raises SIGXFSZ, which ends most processes.
    fn set_length(file: &File, length: usize) -> io::Result<()> {
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

    fn map_over(range: &Reservation, file: &File) -> io::Result<()> {
        let flags = libc::MAP_SHARED | libc::MAP_FIXED;
        // SAFETY: whoever made the reservation vouches that V8 keeps [base, base + maximum) for a memory
        // that nobody has used yet, so that replacing its zero pages by others is seen by nobody.
        let address = unsafe {
            let (base, length) = (range.base.cast(), range.maximum);
            libc::mmap(base, length, libc::PROT_NONE, flags, file.as_raw_fd(), 0)
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

    fn verify(range: &Reservation, file: &File, own: &MmapRaw) -> io::Result<()> {
        // SAFETY: both point at the first byte of an accessible mapping that outlives this function:
        // `own` is borrowed, and the reservation's memory was promised to exist. Bytes are atomics.
        let (ours, theirs) =
            unsafe { (AtomicU8::from_ptr(own.as_mut_ptr()), AtomicU8::from_ptr(range.base)) };
        ours.store(MARK, SeqCst);
        let seen_there = theirs.load(SeqCst);
        theirs.store(!MARK, SeqCst);
        let seen_here = ours.load(SeqCst);
        ours.store(0, SeqCst);
        let one_memory = (seen_there, seen_here, theirs.load(SeqCst)) == (MARK, !MARK, 0);
        if one_memory && (range.initial == range.maximum || !is_readable(range, file)) {
            #[cfg(target_os = "macos")]
            overlays().insert(range.base as usize);
            return Ok(());
        }
        Err(io::Error::other("the engine does not see the pages that were mapped for it"))
    }

    // Whether the byte after the initial ones can be read: asks the kernel, which does not trap.
    #[cfg(target_os = "linux")]
    fn is_readable(range: &Reservation, file: &File) -> bool {
        // SAFETY: the kernel checks the source address itself; it lies within the reservation. If the byte
        // can be read after all, its 0 is written over a 0.
        let written =
            unsafe { libc::pwrite(file.as_raw_fd(), range.base.add(range.initial).cast(), 1, 0) };
        written == 1
    }

    #[cfg(target_os = "macos")]
    fn is_readable(range: &Reservation, _file: &File) -> bool {
        let mut ends = [0; 2];
        // SAFETY: the kernel checks the source address itself; it lies within the reservation. Both
        // descriptors were made here and are closed here.
        unsafe {
            if libc::pipe(ends.as_mut_ptr()) != 0 {
                return true;
            }
            let written = libc::write(ends[1], range.base.add(range.initial).cast(), 1);
            libc::close(ends[0]);
            libc::close(ends[1]);
            written == 1
        }
    }

    // V8's own pages are private, and only private pages can be wiped in a forked process.
    #[cfg(target_os = "linux")]
    pub fn is_overlaid(base: *mut u8) -> bool {
        // SAFETY: the first page of the memory is mapped, as the caller vouches, and neither advice
        // changes what this process finds there.
        unsafe {
            let (base, page) = (base.cast(), host_page());
            let private = libc::madvise(base, page, libc::MADV_WIPEONFORK) == 0;
            if private {
                libc::madvise(base, page, libc::MADV_KEEPONFORK);
            }
            !private
        }
    }

    // There is no such question to ask here, so overlays are remembered. An address that V8 uses again,
    // for a memory that was not made by this package, is then taken for one.
    #[cfg(target_os = "macos")]
    pub fn is_overlaid(base: *mut u8) -> bool {
        overlays().contains(&(base as usize))
    }

    #[cfg(target_os = "macos")]
    fn overlays() -> std::sync::MutexGuard<'static, std::collections::BTreeSet<usize>> {
        static OVERLAYS: std::sync::Mutex<std::collections::BTreeSet<usize>> =
            std::sync::Mutex::new(std::collections::BTreeSet::new());
        OVERLAYS.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub fn give_back(base: *mut u8, bytes: Range<usize>) -> usize {
        let (address, length) = whole_pages(base, bytes);
        let resident = resident_bytes(address, length);
        if length > 0 && discard(address, length) { resident } else { 0 }
    }

    pub fn resident_in(base: *mut u8, bytes: Range<usize>) -> usize {
        let (address, length) = whole_pages(base, bytes);
        resident_bytes(address, length)
    }

    // Address and length of the pages that lie wholly inside `bytes`, which are accessible bytes at `base`.
    fn whole_pages(base: *mut u8, bytes: Range<usize>) -> (*mut u8, usize) {
        let page = host_page();
        let (start, end) = (bytes.start.next_multiple_of(page), bytes.end / page * page);
        (base.wrapping_add(start), end.saturating_sub(start))
    }

    fn resident_bytes(address: *mut u8, length: usize) -> usize {
        let page = host_page();
        let mut pages = vec![0; length / page];
        // SAFETY: `pages` has one byte for each page of the range, which is mapped.
        let status = unsafe { libc::mincore(address.cast(), length, pages.as_mut_ptr()) };
        if status == 0 { pages.iter().filter(|&&page| page & 1 != 0).count() * page } else { 0 }
    }

    // Shared pages are punched out of their object; for V8's private ones that is refused, and dropping
    // them does.
    #[cfg(target_os = "linux")]
    fn discard(address: *mut u8, length: usize) -> bool {
        let advise = |advice| {
            // SAFETY: nobody relies on what the range holds, as the caller of `give_back` vouches.
            check(unsafe { libc::madvise(address.cast(), length, advice) } == 0)
        };
        let private = |error: io::Error| match error.raw_os_error() {
            Some(libc::EINVAL) => advise(libc::MADV_DONTNEED),
            _ => Err(error),
        };
        advise(libc::MADV_REMOVE).or_else(private).is_ok()
    }

    // macOS has no advice after which pages are sure to read as zero.
    #[cfg(target_os = "macos")]
    fn discard(_address: *mut u8, _length: usize) -> bool {
        false
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

            fn guarded(&self) -> bool {
                !is_readable(&self.reservation(), &create_object().expect("an object"))
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
            assert!(!is_overlaid(reserved.0));
            overlay(reserved.reservation(), |_| Ok(())).expect("an overlay");
            assert!(is_overlaid(reserved.0));
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
                assert!(!is_overlaid(reserved.0), "{refused:?}");
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
        fn pages_given_back_read_as_zero_and_are_counted_once() {
            for overlaid in [false, true] {
                let reserved = Reserved::new();
                if overlaid {
                    overlay(reserved.reservation(), |_| Ok(())).expect("an overlay");
                }
                reserved.bytes().iter().for_each(|byte| byte.store(7, SeqCst));
                let middle = 100..INITIAL - 100;
                let whole_pages = INITIAL - 2 * host_page();
                assert_eq!(give_back(reserved.0, middle.clone()), whole_pages);
                assert_eq!(give_back(reserved.0, middle), 0);
                let kept = reserved.bytes().iter().filter(|byte| byte.load(SeqCst) == 7).count();
                assert_eq!(kept, INITIAL - whole_pages);
            }
        }
    }
}

#[cfg(not(any(target_os = "linux", target_os = "macos")))]
mod platform {
    use std::io;
    use std::ops::Range;

    use super::{Reservation, Step};

    pub fn overlay(
        _range: Reservation,
        _permit: impl Fn(Step) -> io::Result<()>,
    ) -> Result<(), (Step, io::Error)> {
        Err((Step::CreateObject, io::ErrorKind::Unsupported.into()))
    }

    pub fn is_overlaid(_base: *mut u8) -> bool {
        false
    }

    pub fn give_back(_base: *mut u8, _bytes: Range<usize>) -> usize {
        0
    }

    pub fn resident_in(_base: *mut u8, bytes: Range<usize>) -> usize {
        bytes.len()
    }
}
