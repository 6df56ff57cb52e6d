//! The kernels on several threads: blocks that stay with their thread, blocks freed by another, and blocks
//! that one thread takes and another frees.

use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering::*};
use std::thread;
use std::time::{Duration, Instant};

use crate::allocators::Allocator;
use crate::kernels::{Kernel, Span, Stream};

const CAPACITY: usize = 1024;
/// Blocks that are handed on together, and that are on the way at most.
const BATCH: usize = 32;
const AHEAD: usize = 256;

/// Runs a kernel on every thread at once, each with blocks of its own, warmed by a tenth of the work.
pub fn private(kernel: Kernel, stream: &Stream, ops: usize, threads: usize) -> Duration {
    together(threads, |_, barrier| {
        let mut blocks = vec![0; stream.live];
        kernel(stream, &mut blocks, ops / 10, &|| ());
        kernel(stream, &mut blocks, ops, &|| {
            barrier.wait();
        })
    })
}

/// Every thread hands its blocks to the next one, which frees them.
pub fn exchange<A: Allocator>(stream: &Stream, ops: usize, threads: usize) -> Duration {
    let rings: Vec<Ring> = (0..threads).map(|_| Ring::new()).collect();
    let warm: Vec<Ring> = (0..threads).map(|_| Ring::new()).collect();
    together(threads, |thread, barrier| {
        let next = (thread + 1) % threads;
        pass::<A>(stream, ops / 10, &warm[next], &warm[thread]);
        barrier.wait();
        pass::<A>(stream, ops, &rings[next], &rings[thread])
    })
}

/// The first thread hands its blocks to the second one, which frees them.
pub fn pipeline<A: Allocator>(stream: &Stream, ops: usize) -> Duration {
    let (ring, warm) = (Ring::new(), Ring::new());
    together(2, |thread, barrier| {
        let run = if thread == 0 { take::<A> } else { release::<A> };
        run(stream, ops / 10, &warm);
        barrier.wait();
        run(stream, ops, &ring)
    })
}

fn take<A: Allocator>(stream: &Stream, ops: usize, ring: &Ring) -> Span {
    hand_on(
        ops,
        &ring.head.0,
        || ring.tail.0.load(Acquire) + AHEAD,
        |at| {
            let block = A::malloc(stream.sizes[at] as usize);
            ring.slots[at % CAPACITY].store(block, Relaxed);
        },
    )
}

fn release<A: Allocator>(_: &Stream, ops: usize, ring: &Ring) -> Span {
    hand_on(
        ops,
        &ring.tail.0,
        || ring.head.0.load(Acquire),
        |at| {
            let block = ring.slots[at % CAPACITY].load(Relaxed);
            // SAFETY: the other thread published this live block with its head and never touches it again.
            unsafe { A::free(block) };
        },
    )
}

// Does what `step` says for as many as the other thread lets this one, a batch at a time.
fn hand_on(ops: usize, own: &AtomicUsize, most: impl Fn() -> usize, step: impl Fn(usize)) -> Span {
    let mut done = 0;
    let start = Instant::now();
    while done < ops {
        let end = most().min(done + BATCH).min(ops);
        if end == done {
            thread::yield_now();
            continue;
        }
        (done..end).for_each(&step);
        done = end;
        own.store(done, Release);
    }
    (start, Instant::now())
}

fn together(threads: usize, work: impl Fn(usize, &Barrier) -> Span + Sync) -> Duration {
    let (barrier, work) = (Barrier::new(threads), &work);
    let spans: Vec<Span> = thread::scope(|scope| {
        let run = |thread| {
            let barrier = &barrier;
            scope.spawn(move || work(thread, barrier))
        };
        let handles: Vec<_> = (0..threads).map(run).collect();
        handles.into_iter().map(|handle| handle.join().expect("a thread panicked")).collect()
    });
    let first = spans.iter().map(|span| span.0).min();
    let last = spans.iter().map(|span| span.1).max();
    first.zip(last).map_or(Duration::ZERO, |(first, last)| last - first)
}

#[repr(align(128))]
struct Counter(AtomicUsize);

/// One producer, one consumer.
struct Ring {
    slots: Vec<AtomicUsize>,
    head: Counter,
    tail: Counter,
}

impl Ring {
    fn new() -> Self {
        let slots = (0..CAPACITY).map(|_| AtomicUsize::new(0)).collect();
        Ring { slots, head: Counter(AtomicUsize::new(0)), tail: Counter(AtomicUsize::new(0)) }
    }
}

fn pass<A: Allocator>(stream: &Stream, ops: usize, outbox: &Ring, inbox: &Ring) -> Span {
    let (mut made, mut freed) = (0, 0);
    let start = Instant::now();
    while made < ops || freed < ops {
        let room = (outbox.tail.0.load(Acquire) + CAPACITY).min(ops);
        let ready = inbox.head.0.load(Acquire);
        if made == room && freed == ready {
            thread::yield_now();
            continue;
        }
        while made < room {
            let block = A::malloc(stream.sizes[made] as usize);
            outbox.slots[made % CAPACITY].store(block, Relaxed);
            made += 1;
        }
        outbox.head.0.store(made, Release);
        while freed < ready {
            let block = inbox.slots[freed % CAPACITY].load(Relaxed);
            // SAFETY: the producer published this live block with its head and never touches it again.
            unsafe { A::free(block) };
            freed += 1;
        }
        inbox.tail.0.store(freed, Release);
    }
    (start, Instant::now())
}
