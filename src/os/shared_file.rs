//! Files that several processes map: who may have one, who is alive, and waiting for each other.
//! Linux only.

use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::atomic::AtomicU32;
use std::thread::sleep;
use std::time::{Duration, Instant};

use libc::{c_int, c_short};
use memmap2::{MmapOptions, MmapRaw};

use super::unix::{check, set_length};

/// Who may read and write a new file: its owner.
const MODE: u32 = 0o600;
/// The bits of a mode that let others than the owner write.
const OTHERS_WRITE: u32 = 0o022;
/// Bytes of the shortest part of a file that room is kept for at once: a page of WebAssembly.
const LEAST_PART: usize = 65_536;
/// Between two attempts to get what another process has.
const PAUSE: Duration = Duration::from_millis(2);

/// What identifies a file for as long as the system runs: a copy of it, or what a restart leaves of
/// it, is another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity(pub [u64; 4]);

/// Opens the file at `path`, and makes it if there is none and `create` says so. A symbolic link is
/// not followed.
///
/// # Errors
/// The system's.
pub fn open(path: &Path, create: bool) -> io::Result<File> {
    // A pipe without a reader would be waited for; it is refused later, as all that is not a file.
    let flags = libc::O_NOFOLLOW | libc::O_CLOEXEC | libc::O_NONBLOCK | libc::O_NOCTTY;
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(create).mode(MODE).custom_flags(flags).open(path)
}

/// Why others than this user could change the file, or it is none; `None` when it is this user's
/// alone.
///
/// # Errors
/// The system's.
pub fn objection(file: &File) -> io::Result<Option<&'static str>> {
    let metadata = file.metadata()?;
    // SAFETY: the call reads the process's own user and cannot fail.
    let user = unsafe { libc::geteuid() };
    Ok(match metadata {
        _ if !metadata.is_file() => Some("it is not a plain file"),
        _ if metadata.uid() != user => Some("it belongs to another user"),
        _ if metadata.mode() & OTHERS_WRITE != 0 => Some("others than its owner may write to it"),
        _ => None,
    })
}

/// Whether the file still has a name.
///
/// # Errors
/// The system's.
pub fn is_linked(file: &File) -> io::Result<bool> {
    Ok(file.metadata()?.nlink() > 0)
}

/// What identifies the file.
///
/// # Errors
/// The system's.
pub fn identity(file: &File) -> io::Result<Identity> {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
    let digits: String = boot.chars().filter(char::is_ascii_hexdigit).collect();
    let boot = u128::from_str_radix(&digits, 16).map_err(io::Error::other)?;
    let metadata: Metadata = file.metadata()?;
    Ok(Identity([(boot >> 64) as u64, boot as u64, metadata.dev(), metadata.ino()]))
}

/// Gives the file its length, of which nothing takes up room yet.
///
/// # Errors
/// The system's.
pub fn resize(file: &File, length: usize) -> io::Result<()> {
    set_length(file, length)
}

/// Has the file system keep room for a range of the file: a write to it will not fail.
///
/// # Errors
/// The system's: when there is no room, or the file system keeps none.
pub fn reserve(file: &File, bytes: Range<usize>) -> io::Result<()> {
    in_parts(bytes, |part| {
        let (start, length) = (part.start as libc::off_t, part.len() as libc::off_t);
        // SAFETY: the call takes numbers only, and the descriptor is open.
        check(unsafe { libc::fallocate(file.as_raw_fd(), 0, start, length) } == 0)
    })
}

// Most kernels undo what they did in /dev/shm when a signal comes: what takes longer than those of
// a profiler are apart would be begun again and again. So what was interrupted goes on in parts.
fn in_parts(
    mut bytes: Range<usize>,
    reserve: impl Fn(Range<usize>) -> io::Result<()>,
) -> io::Result<()> {
    let mut length = bytes.len();
    while !bytes.is_empty() {
        let end = bytes.end.min(bytes.start + length);
        match reserve(bytes.start..end) {
            Ok(()) => bytes.start = end,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                length = LEAST_PART.max(length / 2);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Maps the first `length` bytes of the file.
///
/// # Errors
/// The system's.
pub fn map(file: &File, length: usize) -> io::Result<MmapRaw> {
    MmapOptions::new().len(length).no_reserve_swap().map_raw(file)
}

/// Keeps other processes from setting the file up, until the returned guard is dropped or the
/// process ends.
///
/// # Errors
/// [`io::ErrorKind::TimedOut`]; the system's.
pub fn hold_setup(file: &File, most: Duration) -> io::Result<Setup> {
    let file = file.try_clone()?;
    let start = Instant::now();
    loop {
        // SAFETY: the call takes numbers only, and the descriptor is open.
        let held =
            check(unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) } == 0);
        match held {
            Ok(()) => return Ok(Setup(file)),
            Err(error) if error.raw_os_error() != Some(libc::EWOULDBLOCK) => return Err(error),
            Err(_) if start.elapsed() > most => return Err(io::ErrorKind::TimedOut.into()),
            Err(_) => sleep(PAUSE),
        }
    }
}

/// The right to set a file up.
pub struct Setup(File);

impl Drop for Setup {
    fn drop(&mut self) {
        // SAFETY: as in `hold_setup`.
        unsafe { libc::flock(self.0.as_raw_fd(), libc::LOCK_UN) };
    }
}

/// Takes the byte at `offset` for this opening of the file, until that is closed: with its process
/// at the latest. Returns whether nobody else has it.
///
/// # Errors
/// The system's, such as that it has no such locks.
pub fn take_byte(file: &File, offset: u64) -> io::Result<bool> {
    let mut lock = byte_lock(libc::F_WRLCK, offset);
    // SAFETY: `lock` is a local of the type that the call reads.
    let taken = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_SETLK, &raw mut lock) } == 0;
    match check(taken) {
        Ok(()) => Ok(true),
        Err(error) if matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EACCES)) => {
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

/// Gives the byte at `offset` up.
pub fn leave_byte(file: &File, offset: u64) {
    let mut lock = byte_lock(libc::F_UNLCK, offset);
    // SAFETY: `lock` is a local of the type that the call reads.
    unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_SETLK, &raw mut lock) };
}

/// Whether another opening of the file has the byte at `offset`. When the system does not tell, it
/// has.
pub fn is_byte_taken(file: &File, offset: u64) -> bool {
    let mut lock = byte_lock(libc::F_WRLCK, offset);
    // SAFETY: `lock` is a local of the type that the call reads and fills in.
    let asked = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_GETLK, &raw mut lock) } == 0;
    !asked || lock.l_type != libc::F_UNLCK as c_short
}

fn byte_lock(kind: c_int, offset: u64) -> libc::flock {
    libc::flock {
        l_type: kind as c_short,
        l_whence: libc::SEEK_SET as c_short,
        l_start: offset as libc::off_t,
        l_len: 1,
        l_pid: 0,
    }
}

/// Sleeps until somebody calls [`wake`] for the word, for at most that long, unless it holds
/// something else than `expected`. The word may lie in memory that several processes map. Returns
/// whether all of the time has passed.
pub fn wait(word: &AtomicU32, expected: u32, most: Duration) -> bool {
    let timeout = libc::timespec {
        // Its type has a name too, which libc warns of for musl.
        tv_sec: most.as_secs() as _,
        tv_nsec: most.subsec_nanos() as libc::c_long,
    };
    // SAFETY: the call reads `word`, atomically, and the time, a local.
    let ended = check(unsafe {
        let (address, wait) = (word.as_ptr(), libc::FUTEX_WAIT);
        libc::syscall(libc::SYS_futex, address, wait, expected, &raw const timeout) == 0
    });
    ended.is_err_and(|error| error.kind() == io::ErrorKind::TimedOut)
}

/// Wakes so many of those that wait for the word, in whichever process. Returns how many there
/// were.
pub fn wake(word: &AtomicU32, most: u32) -> u32 {
    let most = most.min(i32::MAX as u32);
    // SAFETY: the call takes the address as a name only.
    let woken = unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAKE, most) };
    u32::try_from(woken).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};

    use super::*;

    #[test]
    fn room_for_much_is_kept_in_parts_when_signals_keep_coming() {
        for most in [LEAST_PART, 5 * LEAST_PART, usize::MAX] {
            let (kept, signals) = (RefCell::new(Vec::new()), Cell::new(0));
            let reserve = |part: Range<usize>| {
                // Now and then one comes to a short part, too.
                signals.set(signals.get() + 1);
                if part.len() > most || signals.get() % 3 == 1 {
                    return Err(io::ErrorKind::Interrupted.into());
                }
                kept.borrow_mut().push(part);
                Ok(())
            };
            let (start, end) = (3, 40 * LEAST_PART + 7);
            in_parts(start..end, reserve).unwrap();
            let kept = kept.into_inner();
            assert_eq!((kept[0].start, kept[kept.len() - 1].end), (start, end));
            assert!(kept.windows(2).all(|two| two[0].end == two[1].start));
        }
    }

    #[test]
    fn nothing_is_tried_again_where_there_is_no_room() {
        let tried = Cell::new(0);
        let full = |_| {
            tried.set(tried.get() + 1);
            Err(io::ErrorKind::StorageFull.into())
        };
        assert_eq!(in_parts(0..9, full).unwrap_err().kind(), io::ErrorKind::StorageFull);
        assert_eq!(tried.get(), 1);
        in_parts(9..9, full).unwrap();
        assert_eq!(tried.get(), 1);
    }
}
