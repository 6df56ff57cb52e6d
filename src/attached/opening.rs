//! Attaching: finding out whether the file can be had, making it, and taking a slot in it.

use std::fs::File;
use std::io;
use std::io::{Read as _, Seek as _, Write as _};
use std::path::Path;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use super::header::{Found, Header};
use super::layout::{HEADER_WORDS, Layout};
use super::refusal::Refusal;
use super::{Attachment, slots};
use crate::heap::{Bounds, Heap, MAX_PAGES};
use crate::os::shared_file;

type Outcome<T> = core::result::Result<T, Refusal>;

/// How long a process waits for another one that sets the file up.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often a file is opened anew that was removed meanwhile.
const ATTEMPTS: u32 = 8;

/// What a process wants to attach.
#[derive(Clone, Copy, Debug)]
pub struct Wish {
    /// Pages that a new memory has.
    pub initial: u32,
    /// Pages that the memory may grow to; 0 for those that it may grow to already.
    pub maximum: u32,
    /// Whether a file is made if there is none.
    pub create: bool,
}

/// Attaches the file at `path`: the process has a slot in it, and the heap is whole. What dead
/// processes kept is still to be put back; see [`Attachment::dead`].
///
/// # Errors
/// Why not; the file is as it was, or, if there was none, empty.
pub fn attach(path: &Path, wish: Wish) -> Outcome<Attachment> {
    for _ in 0..ATTEMPTS {
        let file = shared_file::open(path, wish.create).map_err(not_opened)?;
        if let Some(objection) = shared_file::objection(&file)? {
            return Err(Refusal::refused(objection));
        }
        let _setup = shared_file::hold_setup(&file, PATIENCE)?;
        if shared_file::is_linked(&file)? {
            return set_up(file, wish);
        }
    }
    Err(Refusal::refused("it is removed again and again"))
}

fn not_opened(error: io::Error) -> Refusal {
    match error.raw_os_error() {
        Some(LOOP) => Refusal::refused("it is a symbolic link"),
        _ => error.into(),
    }
}

#[cfg(unix)]
const LOOP: i32 = libc::ELOOP;
#[cfg(not(unix))]
const LOOP: i32 = i32::MIN;

// Nobody else sets the file up meanwhile.
fn set_up(file: File, wish: Wish) -> Outcome<Attachment> {
    let found = read_header(&file)?;
    if !wish.create && found.as_ref().is_none_or(Found::is_half_made) {
        return Err(Refusal::refused("there is no heap in it"));
    }
    match found.filter(|found| !found.is_half_made()) {
        Some(found) => enter(file, &found, wish),
        None => {
            let spare = file.try_clone()?;
            enter_new(file, wish).inspect_err(|_| drop(shared_file::resize(&spare, 0)))
        }
    }
}

// The header of a file; `None` when it is empty.
fn read_header(file: &File) -> Outcome<Option<Found>> {
    let mut bytes = Vec::new();
    file.take((HEADER_WORDS * 8) as u64).read_to_end(&mut bytes)?;
    let read = bytes.as_chunks().0.iter().map(|word| u64::from_ne_bytes(*word));
    let mut words = [0; HEADER_WORDS];
    words.iter_mut().zip(read).for_each(|(word, read)| *word = read);
    Ok((!bytes.is_empty()).then(|| Found::new(words)))
}

// Makes the file and attaches it.
fn enter_new(file: File, wish: Wish) -> Outcome<Attachment> {
    let layout = make(&file, wish)?;
    let attachment = open(file, layout)?;
    attachment.take_over()?;
    Ok(attachment)
}

// Attaches a file that was made before.
fn enter(file: File, found: &Found, wish: Wish) -> Outcome<Attachment> {
    let layout = Layout { maximum: found.maximum()? };
    if wish.maximum != 0 && wish.maximum != layout.maximum {
        let reason = format!("its memory may grow to {} pages, not more or less", layout.maximum);
        return Err(Refusal::Refused(reason));
    }
    if file.metadata()?.len() != layout.length() as u64 {
        return Err(Refusal::refused("its length is not what its header says"));
    }
    let known = found.is(shared_file::identity(&file)?);
    if !known && !found.is_closed() {
        return Err(Refusal::Unclean);
    }
    let attachment = open(file, layout)?;
    if known {
        attachment.join()?
    } else {
        attachment.take_over()?
    }
    Ok(attachment)
}

// Makes the file, all but what says that it is one.
fn make(mut file: &File, wish: Wish) -> Outcome<Layout> {
    let maximum = if wish.maximum == 0 { wish.initial } else { wish.maximum };
    if !(1..=MAX_PAGES).contains(&wish.initial) || !(wish.initial..=MAX_PAGES).contains(&maximum) {
        return Err(Refusal::refused("the pages that its memory is to have cannot be had"));
    }
    let layout = Layout { maximum };
    shared_file::resize(file, 0)?;
    // Whoever has read the header of one that is half made is behind it.
    file.rewind()?;
    file.write_all(&Header::MAKING.to_ne_bytes())?;
    shared_file::resize(file, layout.length())?;
    for part in layout.needed_for(wish.initial) {
        shared_file::reserve(file, part).map_err(not_reserved)?;
    }
    format(file, layout, wish.initial)?;
    Ok(layout)
}

fn not_reserved(error: io::Error) -> Refusal {
    if error.kind() == io::ErrorKind::Unsupported {
        let reason = "its file system does not keep room for what is written";
        return Refusal::Unavailable(reason.into());
    }
    error.into()
}

// Makes the heap, of so many pages.
fn format(file: &File, layout: Layout, pages: u32) -> Outcome<()> {
    let (file, map) = (file.try_clone()?, shared_file::map(file, layout.length())?.into());
    let unused = Attachment { file, map, layout, slot: 0, clear: true.into(), left: true.into() };
    unused.header().set_reserved(pages);
    let bounds = Bounds {
        start: Heap::WHOLE_MEMORY_START,
        end_page: pages,
        maximum: layout.maximum,
        owns_all: true,
    };
    Heap::format(unused.all_words(), bounds)
        .map_err(|_| Refusal::refused("the pages that its memory is to have are too few"))?;
    unused.log().commit();
    Ok(())
}

fn open(file: File, layout: Layout) -> Outcome<Attachment> {
    let map = shared_file::map(&file, layout.length())?.into();
    let no_locks = |error: io::Error| Refusal::Unavailable(error.to_string());
    let slot = slots::take(&file).map_err(no_locks)?.ok_or(Refusal::Full)?;
    Ok(Attachment { file, map, layout, slot, clear: true.into(), left: true.into() })
}

impl Attachment {
    // Enters this process among those that have the file.
    fn join(&self) -> Outcome<()> {
        let held = self.lock().map_err(|_| Refusal::Busy)?;
        // Nothing is noted of what was whole; a file that somebody has changed is not believed.
        self.undo();
        self.tokens().clear(self.slot);
        let inherited = self.slots().enter(self.slot);
        self.clear.store(!inherited, Relaxed);
        self.left.store(false, Relaxed);
        self.header().set_open(true);
        drop(held);
        Ok(())
    }

    // The same for a file that nobody has: it was just made, or it is a copy, or from before a
    // restart, that all had closed.
    fn take_over(&self) -> Outcome<()> {
        let header = self.header();
        header.lock().store(0, Relaxed);
        self.log().undo(|_, _| ());
        (1..=slots::MOST).for_each(|slot| self.slots().clear(slot));
        header.set_identity(shared_file::identity(&self.file)?);
        header.confirm(self.layout.maximum);
        self.join()
    }
}

#[cfg(all(test, target_os = "linux", not(lsm_model)))]
mod tests {
    use super::*;
    use crate::tests::file::{TestFile, WISH};

    #[test]
    fn a_file_that_is_made_once_more_says_so_where_it_is_looked_for() {
        let path = TestFile::new("making");
        std::fs::write(&path.0, Header::MAKING.to_ne_bytes()).unwrap();
        let file = File::options().read(true).write(true).open(&path.0).unwrap();
        assert!(read_header(&file).unwrap().unwrap().is_half_made());
        make(&file, WISH).unwrap();
        let again = File::open(&path.0).unwrap();
        assert!(read_header(&again).unwrap().unwrap().is_half_made());
    }
}
