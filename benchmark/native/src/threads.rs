//! The kernels on several threads: blocks that stay with their thread, and blocks freed by another.

use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering::*};
use std::thread;
use std::time::{Duration, Instant};

use crate::allocators::Allocator;
use crate::kernels::{Kernel, Span, Stream};

const CAPACITY: usize = 1024;

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
