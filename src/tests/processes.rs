//! A heap that several processes have, as one thread of each has it open. Who is alive the kernel
//! knows of each opening of the file, so that each heap here counts as that of a process.

use std::mem::{self, ManuallyDrop};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Barrier, mpsc};
use std::thread;
use std::time::Duration;

use crate::attached::{Attachment, PATIENCE, attach};
use crate::fault::{Fault, Result};
use crate::heap::{DENSE_END, GRAIN, PAGE, Search, Use};
use crate::process::rows::{HEAD_WORDS, LARGE_HEADS, LONG, large_row};
use crate::process::{claims, registry};
use crate::session::{Bytes, OpenOptions, Session};
use crate::tests::file::{Pages, TestFile, WISH};

type ProcessHeap = Session<Pages>;

/// Some class of blocks, and where its head is.
const CLASS: usize = 8;
const HEAD: usize = CLASS * HEAD_WORDS;

fn open(file: &TestFile) -> ProcessHeap {
    let attachment = attach(&file.0, WISH).expect("a file");
    let pages = Pages::new(attachment.pages());
    Session::attach(pages, attachment).expect("a heap")
}

/// Opens the heap for one more thread of its process.
fn join(pages: Pages) -> Result<ProcessHeap> {
    let (initial, maximum) = (WISH.initial, WISH.maximum);
    let options = OpenOptions { heap_base: None, initial, maximum, made_here: false, debug: false };
    Session::open(pages, options)
}

fn file_of(heap: &ProcessHeap) -> &Attachment {
    heap.entry().attachment.as_ref().expect("a file")
}

/// Leaves behind what a process that is killed leaves.
fn die(heap: ProcessHeap) {
    file_of(&heap).leave(false);
    mem::forget(heap);
}

#[test]
fn a_memory_grows_for_all_that_have_it() {
    let file = TestFile::new("growth");
    let (mine, theirs) = (open(&file), open(&file));
    let bytes = |pages: u32| (pages * PAGE) as usize;
    assert_eq!((mine.byte_length(), mine.missing_pages()), (bytes(2), 0));
    let block = mine.malloc(100, GRAIN, Search::Quick).unwrap();
    // One of them died when there was room in the file, but before the heap had it.
    assert!(file_of(&theirs).reserve(5));
    assert_eq!(mine.grow_behind(block, 100_000), Ok(0));
    assert_eq!((mine.byte_length(), mine.missing_pages()), (bytes(2), 3));
    assert_eq!(mine.grow_for(100_000, GRAIN), Ok(3));
    assert_eq!((mine.byte_length(), mine.missing_pages()), (bytes(5), 0));
    assert_eq!(file_of(&mine).pages(), 5);
    let grown = mine.grow_for(100_000, GRAIN).unwrap();
    assert!(grown > 0);
    assert_eq!((mine.byte_length(), file_of(&mine).pages()), (bytes(5 + grown), 5 + grown));
    assert_eq!(theirs.stats().err(), Some(Fault::Stale));
    theirs.memory().grow(theirs.missing_pages());
    theirs.look();
    assert_eq!(theirs.stats().unwrap(), mine.stats().unwrap());
}

#[test]
fn threads_of_a_process_grow_its_memory_as_far_as_is_due_and_no_further() {
    const THREADS: usize = 8;
    let file = TestFile::new("along");
    let (mine, theirs) = (open(&file), open(&file));
    let memory = mine.memory();
    let turn = Barrier::new(THREADS + 1);
    let lengths = WISH.initial + 1..=WISH.maximum / 2;
    let grown = thread::scope(|scope| {
        for _ in 0..THREADS {
            let memory = memory.clone();
            scope.spawn(|| {
                let heap = join(memory).expect("a heap");
                for _ in lengths.clone() {
                    turn.wait();
                    heap.grow_along();
                    turn.wait();
                }
            });
        }
        let lengthen = |pages: u32| {
            assert!(file_of(&theirs).reserve(pages));
            turn.wait();
            turn.wait();
            memory.byte_length() / PAGE as usize
        };
        lengths.clone().map(lengthen).collect::<Vec<_>>()
    });
    assert_eq!(grown, lengths.map(|pages| pages as usize).collect::<Vec<_>>());
}

#[test]
fn pages_that_the_program_grew_get_room_in_the_file_when_they_are_seen() {
    let file = TestFile::new("grown");
    let mine = open(&file);
    let bytes = |pages: u32| (pages * PAGE) as usize;
    mine.memory().grow(3);
    assert_eq!((mine.byte_length(), file_of(&mine).pages()), (bytes(2), 2));
    mine.look();
    assert_eq!((mine.byte_length(), file_of(&mine).pages()), (bytes(5), 5));
    // Those of another thread that has grown the memory at the same moment, too.
    mine.memory().grow(4);
    assert!(mine.grow_for(4 * PAGE, GRAIN).unwrap() > 0);
    assert_eq!((mine.byte_length(), file_of(&mine).pages()), (bytes(9), 9));
}

#[test]
fn a_thread_uses_no_more_than_what_it_has_looked_at() {
    let file = TestFile::new("looked");
    let (mine, theirs) = (open(&file), open(&file));
    mine.memory().grow(5);
    assert!(theirs.grow_for(100_000, GRAIN).unwrap() > 0);
    assert_eq!(mine.byte_length(), 2 * PAGE as usize);
    assert_eq!(mine.malloc(100, GRAIN, Search::Quick), Err(Fault::Stale));
    mine.look();
    assert!(mine.malloc(100, GRAIN, Search::Quick).is_ok());
}

#[test]
fn a_map_covers_pages_that_have_no_room_in_the_file() {
    let file = TestFile::new("map");
    let mine = open(&file);
    mine.memory().grow(3);
    let last = *mine.map().unwrap().last().unwrap();
    let page = u64::from(PAGE);
    assert_eq!((last.used_as, last.start, last.end), (Use::Outside, 2 * page, 5 * page));
}

#[test]
fn a_thread_of_another_process_is_known_until_it_closes_the_heap() {
    let file = TestFile::new("threads");
    let (mine, _theirs) = (open(&file), open(&file));
    // No thread of this process has such a number.
    let token = 1 << 31 | 7;
    assert!(!registry::is_alive(token));
    let thread = join(mine.memory().clone()).expect("the heap");
    for heap in [thread, mine] {
        heap.enter_thread(token).unwrap();
        assert!(registry::is_alive(token));
        drop(heap);
        assert!(!registry::is_alive(token));
    }
}

#[test]
fn the_threads_of_a_dead_process_leave_their_places_to_others() {
    let file = TestFile::new("places");
    let (mine, theirs) = (open(&file), open(&file));
    let mut tokens = 1 << 30..;
    while theirs.enter_thread(tokens.next().unwrap()).is_ok() {}
    assert_eq!(mine.enter_thread(7), Err(Fault::OutOfMemory));
    die(theirs);
    assert_eq!(mine.enter_thread(7), Ok(()));
}

#[test]
fn a_process_keeps_what_it_may_alone_until_there_is_another_one() {
    let file = TestFile::new("alone");
    let mine = open(&file);
    mine.memory().grow(14);
    mine.look();
    let refill = |class: usize| mine.refill(class * HEAD_WORDS).unwrap();
    for class in 1..60 {
        refill(class);
    }
    let theirs = open(&file);
    let kept = || theirs.stats().unwrap().cached_bytes;
    let busy = mine.byte_length() as u64 / 16;
    assert!(kept() > busy);
    refill(60);
    assert!(kept() <= busy);
}

#[test]
fn threads_of_processes_wait_for_each_other() {
    let (file, long) = (TestFile::new("wait"), Duration::from_secs(5));
    let mine = open(&file);
    let index = 2 * PAGE / 4 - 1;
    let value = file_of(&mine).all_words().get(index).unwrap();
    assert_eq!(mine.wait(index, value + 1, long), Ok(false));
    assert_eq!(mine.wait(index, value, Duration::from_millis(1)), Ok(true));
    assert_eq!(mine.wake(index, 1), Ok(0));
    assert_eq!(mine.wait(index + 1, value, long), Err(Fault::Internal));
    thread::scope(|scope| {
        let waiter = scope.spawn(|| open(&file).wait(index, value, long));
        while mine.wake(index, 1) == Ok(0) {
            thread::yield_now();
        }
        assert_eq!(waiter.join().unwrap(), Ok(false));
    });
}

#[test]
fn what_a_dead_process_kept_is_put_back_once() {
    let file = TestFile::new("recovery");
    let (mine, theirs) = (open(&file), open(&file));
    assert_eq!([&mine, &theirs].map(|heap| heap.entry().live_blocks.kept().0), [-1, -2]);
    let kept = theirs.refill(HEAD).unwrap();
    let block = theirs.cache().rows().row(CLASS).blocks()[0].load(Relaxed);
    let is_kept = |heap: &ProcessHeap| heap.entry().live_blocks.is_kept(block);
    assert!(is_kept(&theirs) && !is_kept(&mine), "by the other one");
    die(theirs);
    assert_eq!((mine.recover(), mine.recover()), (Ok(kept), Ok(0)));
    assert_eq!(mine.stats().unwrap().cached_bytes, 0);
}

#[test]
fn a_block_that_a_process_was_freeing_when_it_was_killed_goes_back() {
    let file = TestFile::new("freeing");
    let (mine, theirs) = (open(&file), open(&file));
    let block = theirs.malloc(100, GRAIN, Search::Quick).unwrap();
    // JavaScript writes the state before the header.
    theirs.entry().live_blocks.set_kept(block, CLASS);
    die(theirs);
    assert_eq!(mine.recover(), Ok(1));
    let stats = mine.stats().unwrap();
    assert_eq!((stats.block_count, stats.used_bytes, stats.cached_bytes), (0, 0, 0));
}

#[test]
fn what_a_process_kept_is_everyone_s_once_it_has_come_to_rest() {
    let file = TestFile::new("rest");
    let (mine, theirs) = (open(&file), open(&file));
    mine.refill(HEAD).unwrap();
    assert!(theirs.stats().unwrap().cached_bytes > 0);
    mine.rest().unwrap();
    assert_eq!(theirs.stats().unwrap().cached_bytes, 0);
}

#[test]
fn a_heap_is_not_full_before_it_has_what_dead_processes_kept() {
    let file = TestFile::new("full");
    let (mine, theirs) = (open(&file), open(&file));
    let most = mine.stats().unwrap().largest_free_block as u32;
    let malloc = || mine.malloc(most, GRAIN, Search::Exhaustive);
    theirs.refill(HEAD).unwrap();
    assert_eq!(malloc(), Err(Fault::OutOfMemory));
    die(theirs);
    assert!(malloc().is_ok());
}

/// What happens to the heap of a process, of which a thread has left so many blocks behind, while
/// another process has it. Returns the heap if it is open then.
type Act = fn(ProcessHeap, &ProcessHeap, u32) -> Option<ProcessHeap>;

const ACTS: [(&str, Act); 5] = [
    ("used", |mine, _, _| {
        mine.malloc(100, GRAIN, Search::Quick).expect("a block");
        Some(mine)
    }),
    ("told", |mine, _, _| {
        assert_eq!(mine.stats().unwrap().cached_bytes, 0);
        Some(mine)
    }),
    ("recovered", |mine, _, _| {
        assert_eq!(mine.recover(), Ok(0));
        Some(mine)
    }),
    ("closed", |mine, theirs, _| {
        drop(mine);
        assert_eq!(file_of(theirs).dead(), []);
        None
    }),
    ("killed", |mine, theirs, kept| {
        die(mine);
        assert_eq!(theirs.recover(), Ok(kept));
        None
    }),
];

#[test]
fn what_a_thread_kept_that_went_while_another_process_was_stopped_is_put_back() {
    let try_out = |name: &str, act: Act| {
        let file = TestFile::new(name);
        let (mine, theirs) = (open(&file), open(&file));
        let thread = join(mine.memory().clone()).expect("the heap");
        let kept = thread.refill(HEAD).unwrap();
        let stopped = file_of(&theirs).lock();
        drop(thread);
        drop(stopped);
        assert!(theirs.stats().unwrap().cached_bytes > 0);
        let _mine = act(mine, &theirs, kept);
        assert_eq!(theirs.stats().unwrap().cached_bytes, 0, "{name}");
    };
    // At once, as each waits for the lock as long as one does.
    thread::scope(|scope| {
        for (name, act) in ACTS {
            scope.spawn(move || try_out(name, act));
        }
    });
}

#[test]
fn other_memories_do_not_wait_while_one_is_closed_whose_lock_a_stopped_process_has() {
    let file = TestFile::new("closing");
    // Closed by hand.
    let (mine, theirs) = (ManuallyDrop::new(open(&file)), open(&file));
    let stopped = file_of(&theirs).lock();
    thread::scope(|scope| {
        let (sender, closing) = mpsc::channel();
        let (pages, entry) = (mine.memory().clone(), Arc::clone(mine.entry()));
        scope.spawn(move || {
            registry::close(pages.address(), &entry, || sender.send(()).is_ok());
        });
        closing.recv().expect("the last thread");
        // They would find the lock free again only when this process has given up.
        assert!(!registry::is_alive(1 << 31 | 7));
        assert_eq!(join(mine.memory().clone()).err(), Some(Fault::Closed));
        drop(open(&TestFile::new("other")));
        drop(stopped);
    });
    assert_eq!(file_of(&theirs).dead(), []);
}

#[test]
fn other_memories_do_not_wait_while_one_is_opened_that_another_thread_uses() {
    let file = TestFile::new("opening");
    let mine = open(&file);
    let (pages, threads) = (mine.memory().clone(), Arc::strong_count(mine.entry()));
    let in_use = mine.entry().state();
    thread::scope(|scope| {
        scope.spawn(|| join(pages).map(drop).expect("the heap"));
        let is_known = |_| {
            thread::sleep(Duration::from_millis(1));
            Arc::strong_count(mine.entry()) > threads
        };
        let was_known = (0..10_000).any(is_known);
        drop(in_use);
        assert!(was_known);
    });
}

#[test]
fn threads_of_a_process_wait_for_a_stopped_one_at_the_same_time() {
    let file = TestFile::new("patience");
    let (mine, theirs) = (open(&file), open(&file));
    let (stopped, in_use) = (file_of(&theirs).lock(), mine.entry().state());
    let entry = Arc::clone(mine.entry());
    thread::scope(|scope| {
        let waiting = scope.spawn(move || entry.lock().err());
        thread::sleep(PATIENCE);
        drop(in_use);
        thread::sleep(PATIENCE / 2);
        drop(stopped);
        assert_eq!(waiting.join().unwrap(), Some(Fault::Busy));
    });
}

#[test]
fn nothing_is_put_back_where_there_is_no_block() {
    let file = TestFile::new("nothing");
    let (mine, theirs) = (open(&file), open(&file));
    let block = mine.malloc(100, GRAIN, Search::Quick).unwrap();
    let inside = block + 2 * GRAIN;
    let word = &file_of(&mine).all_words().slice()[inside as usize / 4 - 2];
    word.store(7, Relaxed);
    theirs.entry().live_blocks.set_kept(inside, CLASS);
    die(theirs);
    assert_eq!((mine.recover(), word.load(Relaxed)), (Ok(0), 7));
    assert_eq!(mine.free(block), Ok(()));
}

#[test]
fn no_block_is_lost_for_which_there_is_no_name() {
    let file = TestFile::new("names");
    let mine = open(&file);
    let place = |name: u16| mine.place(&[1], 16, GRAIN, &[name], Search::Quick);
    let placed = (0..u16::MAX).map(place).take_while(Result::is_ok).count();
    assert_eq!(mine.blocks().unwrap().len(), placed);
    assert_eq!(place(u16::MAX), Err(Fault::TooManyNames));
    assert_eq!(mine.blocks().unwrap().len(), placed);
    assert!(mine.place(&[1], 16, GRAIN, &[], Search::Quick).is_ok());
}

#[test]
fn a_process_that_has_not_seen_all_of_the_memory_leaves_nothing_behind() {
    let file = TestFile::new("unseen");
    let (mine, theirs) = (open(&file), open(&file));
    mine.refill(HEAD).unwrap();
    assert!(theirs.grow_for(10 * PAGE, GRAIN).unwrap() > 0);
    assert_eq!(mine.stats().err(), Some(Fault::Stale));
    drop(mine);
    assert_eq!((file_of(&theirs).dead(), theirs.stats().unwrap().cached_bytes), (vec![], 0));
}

#[test]
fn no_state_is_written_that_could_not_be_noted() {
    let file = TestFile::new("overfull");
    let mine = open(&file);
    let block = mine.malloc(100, GRAIN, Search::Quick).unwrap();
    let states = &mine.entry().live_blocks;
    let held = file_of(&mine).lock();
    while mine.entry().attachment.as_ref().is_some_and(|file| !file.log().is_overfull()) {
        states.set_live(block, CLASS);
    }
    states.set_free(block);
    assert!(states.is_live(block));
    drop(held);
    assert_eq!(mine.free(block), Ok(()));
}

#[test]
fn long_blocks_that_others_cannot_get_at_are_the_thread_s_own() {
    let file = TestFile::new("long");
    let mine = open(&file);
    mine.memory().grow(20);
    mine.look();
    mine.malloc(10 * PAGE, GRAIN, Search::Quick).unwrap();
    let row = large_row(100).unwrap();
    mine.make_room(LARGE_HEADS + (row - DENSE_END) * HEAD_WORDS).unwrap();
    assert_eq!(mine.cache().rows().row(row).length(), LONG);
}

#[test]
fn a_process_that_cannot_put_back_what_it_keeps_counts_as_dead() {
    let file = TestFile::new("unclean");
    let mine = open(&file);
    let leave = |damage: bool| {
        let theirs = open(&file);
        theirs.refill(HEAD).unwrap();
        if damage {
            let block = theirs.cache().rows().row(CLASS).blocks()[0].load(Relaxed);
            theirs.entry().live_blocks.set_free(block);
        }
        drop(theirs);
        file_of(&mine).dead()
    };
    assert_eq!((leave(false), leave(true)), (vec![], vec![2]));
}

#[test]
fn a_memory_that_is_open_already_is_not_attached() {
    let file = TestFile::new("claimed");
    let pages = Pages::new(WISH.initial);
    let open = || {
        let attachment = attach(&file.0, WISH).expect("a file");
        Session::attach(pages.clone(), attachment).err()
    };
    assert!(claims::take(pages.address()));
    assert_eq!(open(), Some(Fault::OtherBuild));
    claims::give_up(pages.address());
    assert_eq!(open(), None);
}
