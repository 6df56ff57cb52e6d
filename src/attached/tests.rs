//! A file as several have it attached. Who is alive the kernel knows of each opening of the file, so
//! that each attachment counts as that of a process here.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr::null_mut;
use std::thread;

use super::refusal::Refusal;
use super::*;
use crate::heap::MAX_PAGES;
use crate::tests::file::TestFile;

const WISH: Wish = Wish { initial: 2, maximum: 5, create: true };
/// The last word of the memory.
const WORD: u32 = 2 * PAGE / 4 - 1;
const LONG: Duration = Duration::from_secs(5);

fn attached(file: &TestFile) -> Attachment {
    attach(&file.0, WISH).expect("a file")
}

#[test]
fn each_has_a_slot_until_it_leaves() {
    let file = TestFile::new("slots");
    let attachments = [0; 3].map(|_| attached(&file));
    assert_eq!(attachments.each_ref().map(Attachment::slot), [1, 2, 3]);
    attachments[1].leave(true);
    assert_eq!(attached(&file).slot(), 2);
}

#[test]
fn a_copy_is_attached_iff_all_had_closed_the_file() {
    let (file, copy) = (TestFile::new("original"), TestFile::new("copy"));
    let attach_copy = || {
        fs::copy(&file.0, &copy.0).expect("a copy");
        attach(&copy.0, WISH).map(drop)
    };
    let (mine, theirs) = (attached(&file), attached(&file));
    assert_eq!(attach_copy(), Err(Refusal::Unclean));
    drop(mine);
    assert_eq!(attach_copy(), Err(Refusal::Unclean));
    drop(theirs);
    assert_eq!(attach_copy(), Ok(()));
}

#[test]
fn what_a_process_leaves_behind_is_its_successor_s_until_that_has_put_it_back() {
    let file = TestFile::new("behind");
    attached(&file).leave(false);
    for _ in 0..2 {
        let next = attached(&file);
        assert_eq!((next.slot(), next.dead()), (1, vec![1]));
    }
    attached(&file).clear(1);
    let next = attached(&file);
    next.clear(1);
    assert_eq!(next.dead(), []);
    next.leave(true);
    assert_eq!(attached(&file).dead(), []);
}

#[test]
fn whoever_attaches_undoes_what_is_noted_though_the_lock_is_free() {
    let file = TestFile::new("noted");
    let mine = attached(&file);
    let before = mine.all_words().get(WORD).unwrap();
    mine.all_words().set(WORD, before + 1).expect("room in the log");
    drop(attached(&file));
    assert_eq!(mine.all_words().get(WORD), Ok(before));
}

#[test]
fn nothing_is_believed_of_a_copy_that_only_processes_of_the_original_can_know() {
    let (file, copy) = (TestFile::new("known"), TestFile::new("unknown"));
    let mine = attached(&file);
    mine.leave(true);
    mine.slots().enter(9);
    mine.header().lock().store(9, Relaxed);
    let before = mine.all_words().get(WORD).unwrap();
    mine.all_words().set(WORD, before + 1).expect("room in the log");
    fs::copy(&file.0, &copy.0).expect("a copy");
    let attached = attached(&copy);
    assert_eq!((attached.dead(), attached.is_alone()), (vec![], true));
    assert_eq!(attached.all_words().get(WORD), Ok(before + 1));
}

#[test]
fn a_file_that_is_not_as_its_maker_left_it_is_refused() {
    let file = TestFile::new("refused");
    drop(attached(&file));
    let refused = || matches!(attach(&file.0, WISH), Err(Refusal::Refused(_)));
    let sound = fs::read(&file.0).unwrap();
    // The word of the build, and those of the maximum and the reserved pages.
    for (word, value) in [(1, 7), (2, u64::from(MAX_PAGES) + 1), (4, 0), (4, 6)] {
        let mut bytes = sound.clone();
        bytes[word * 8..][..8].copy_from_slice(&value.to_ne_bytes());
        fs::write(&file.0, bytes).unwrap();
        assert!(refused(), "word {word}: {value}");
    }
    fs::write(&file.0, [&sound[..], &[0]].concat()).unwrap();
    assert!(refused(), "a byte more");
    fs::write(&file.0, &sound).unwrap();
    for (mode, is_refused) in [(0o620, true), (0o602, true), (0o644, false)] {
        fs::set_permissions(&file.0, Permissions::from_mode(mode)).unwrap();
        assert_eq!(refused(), is_refused, "{mode:o}");
    }
}

#[test]
fn a_memory_may_grow_as_far_as_its_maker_said() {
    let file = TestFile::new("maximum");
    let attach = |initial, maximum| attach(&file.0, Wish { initial, maximum, create: true });
    for (initial, maximum) in [(0, 5), (6, 5), (0, 0), (MAX_PAGES + 1, 0), (2, MAX_PAGES + 1)] {
        assert!(matches!(attach(initial, maximum), Err(Refusal::Refused(_))));
        assert_eq!(fs::metadata(&file.0).unwrap().len(), 0);
    }
    for maximum in [5, 0] {
        assert_eq!(attach(2, maximum).map(|attachment| attachment.maximum()), Ok(5));
    }
    assert!(matches!(attach(2, 4), Err(Refusal::Refused(_))));
}

#[test]
fn a_file_that_was_made_in_vain_is_empty() {
    let file = TestFile::new("vain");
    let open = || File::options().read(true).write(true).create(true).truncate(false).open(&file.0);
    let others = [0; slots::MOST as usize].map(|_| open().unwrap());
    assert!(others.iter().all(|other| slots::take(other).unwrap().is_some()));
    assert_eq!(attach(&file.0, WISH).map(drop), Err(Refusal::Full));
    assert_eq!(fs::metadata(&file.0).unwrap().len(), 0);
    drop(others);
    assert_eq!(attached(&file).slot(), 1);
}

#[test]
fn there_is_room_in_the_file_for_the_pages_of_the_memory() {
    let file = TestFile::new("room");
    let (mine, theirs) = (attached(&file), attached(&file));
    let room = || fs::metadata(&file.0).unwrap().blocks() * 512;
    let before = room();
    for (pages, granted, then) in [(1, true, 2), (4, true, 4), (6, false, 4)] {
        assert_eq!((mine.reserve(pages), theirs.pages()), (granted, then));
        assert!(room() - before >= u64::from((then - 2) * PAGE));
    }
    assert_eq!(theirs.words(100).byte_length(), 100);
    assert_eq!(theirs.all_words().byte_length(), u64::from(4 * PAGE));
    // Whoever has written that there is room for more is not believed.
    theirs.header().set_reserved(u32::MAX);
    assert_eq!((mine.pages(), mine.all_words().byte_length()), (5, u64::from(5 * PAGE)));
}

#[test]
fn one_waits_for_a_word_until_another_wakes_it() {
    let file = TestFile::new("waiting");
    let (mine, theirs) = (attached(&file), attached(&file));
    let value = mine.all_words().get(WORD).unwrap();
    assert_eq!((mine.wait(WORD + 1, value, LONG), mine.wake(WORD + 1, 1)), (None, None));
    assert_eq!(mine.wait(WORD, value + 1, LONG), Some(false));
    assert_eq!(mine.wait(WORD, value, Duration::from_millis(1)), Some(true));
    assert_eq!(mine.wake(WORD, 1), Some(0));
    thread::scope(|scope| {
        let waiter = scope.spawn(|| theirs.wait(WORD, value, LONG));
        while mine.wake(WORD, 1) == Some(0) {
            thread::yield_now();
        }
        assert_eq!(waiter.join().unwrap(), Some(false));
    });
}

#[test]
fn who_has_waited_for_long_elsewhere_waits_for_a_call_to_end_all_the_same() {
    let file = TestFile::new("waited");
    let (mine, theirs) = (attached(&file), attached(&file));
    let held = theirs.lock();
    let is_alone = || mine.header().lock().load(Relaxed) & lock::WAITERS == 0;
    thread::scope(|scope| {
        let waiter = scope.spawn(|| mine.lock_after(LONG).map(drop));
        while is_alone() && !waiter.is_finished() {
            thread::yield_now();
        }
        drop(held);
        assert_eq!(waiter.join().unwrap(), Ok(()));
    });
}

#[test]
fn a_thread_lives_where_others_look_until_it_leaves_or_its_process_does() {
    let file = TestFile::new("tokens");
    let (mine, theirs) = (attached(&file), attached(&file));
    let tokens = [7, 8];
    let alive = |file: &Attachment| tokens.map(|token| file.is_alive_elsewhere(token));
    for token in tokens {
        mine.enter_token(token).expect("room");
    }
    assert_eq!((alive(&mine), alive(&theirs)), ([false; 2], [true; 2]));
    mine.leave_token(7);
    assert_eq!(alive(&theirs), [false, true]);
    mine.leave(true);
    assert_eq!(alive(&theirs), [false; 2]);
    // Nor does it live again with whoever has the slot next.
    let next = attached(&file);
    assert_eq!((next.slot(), alive(&theirs)), (mine.slot(), [false; 2]));
}

#[test]
fn a_token_of_another_process_that_lives_is_refused() {
    let file = TestFile::new("token");
    let (mine, theirs) = (attached(&file), attached(&file));
    mine.enter_token(7).expect("room");
    // The process has the file twice.
    assert_eq!(theirs.enter_token(7), Ok(()));
    theirs.leave_token(7);
    mine.slots().words[usize::from(mine.slot())].store(std::process::id() + 1, Relaxed);
    assert_eq!(theirs.enter_token(7), Err(Fault::OutOfMemory));
    mine.leave(true);
    assert_eq!(theirs.enter_token(7), Ok(()));
}

#[test]
fn a_call_that_is_cut_short_is_undone() {
    let file = TestFile::new("undone");
    let attachment = attached(&file);
    let words = attachment.all_words();
    let before = words.get(WORD).unwrap();
    let panicking = || {
        let _held = attachment.lock();
        words.set(WORD, before + 1).expect("room in the log");
        attachment.names().set(&[7], 16).expect("room in the log");
        resume_unwind(Box::new("cut short"));
    };
    assert!(catch_unwind(AssertUnwindSafe(panicking)).is_err());
    assert_eq!((words.get(WORD), attachment.names().get(&[7])), (Ok(before), 0));
    let held = attachment.lock();
    while words.set(WORD, before + 1).is_ok() {}
    drop(held);
    assert_eq!(words.get(WORD), Ok(before));
    let held = attachment.lock();
    words.set(WORD, before + 1).expect("room in the log");
    drop(held);
    assert_eq!(words.get(WORD), Ok(before + 1));
}

#[test]
fn a_range_that_is_no_memory_s_is_not_mapped_over() {
    let file = TestFile::new("overlay");
    // SAFETY: there are no bytes in it.
    let nothing = unsafe { Reservation::new(null_mut(), 0, 0) };
    let refused = attached(&file).overlay(nothing).map_err(|(step, _)| step);
    assert_eq!(refused, Err(Step::CheckReservation));
}
