//! The timed loops, one for each in `../../harness/kernels.js`: same streams, same order, same work.

use std::hint::black_box;
use std::time::Instant;

use crate::allocators::Allocator;

/// What a kernel works through; the meaning of `script` is the kernel's own.
pub struct Stream<'a> {
    /// Slots, an order of slots, or a recorded trace.
    pub script: &'a [u32],
    /// Bytes to ask for at each step.
    pub sizes: &'a [u32],
    /// Blocks that are live at once, or one more than the highest id of a trace.
    pub live: usize,
}

/// When the timed part began and ended.
pub type Span = (Instant, Instant);

/// A kernel: stream, where to keep its blocks (all zero before and after), number of operations, and
/// what to do right before the clock starts.
pub type Kernel = fn(&Stream, &mut [usize], usize, &dyn Fn()) -> Span;

/// malloc and free of one block at a time.
pub fn pairs<A: Allocator>(stream: &Stream, _: &mut [usize], ops: usize, ready: &dyn Fn()) -> Span {
    let size = stream.sizes[0] as usize;
    ready();
    let start = Instant::now();
    for _ in 0..ops {
        let block = black_box(A::malloc(black_box(size)));
        // SAFETY: the block was taken in the line above.
        unsafe { A::free(block) };
    }
    (start, Instant::now())
}

/// Takes `live` blocks, then frees them in the order of the script; again until `ops` are done.
pub fn drain<A: Allocator>(
    stream: &Stream,
    blocks: &mut [usize],
    ops: usize,
    ready: &dyn Fn(),
) -> Span {
    ready();
    let start = Instant::now();
    for _ in 0..ops / stream.live {
        fill::<A>(blocks, stream.sizes);
        for &slot in stream.script {
            // SAFETY: the script names every slot once, and fill made each a live block.
            unsafe { A::free(blocks[slot as usize]) };
        }
    }
    let end = Instant::now();
    blocks.fill(0);
    (start, end)
}

/// With `live` blocks at all times: frees the block in the next slot and takes another.
pub fn replace<A: Allocator>(
    stream: &Stream,
    blocks: &mut [usize],
    ops: usize,
    ready: &dyn Fn(),
) -> Span {
    fill::<A>(blocks, stream.sizes);
    ready();
    let start = Instant::now();
    for (&slot, &size) in stream.script[..ops].iter().zip(stream.sizes) {
        // SAFETY: every slot holds a live block, before and after this step.
        unsafe { A::free(blocks[slot as usize]) };
        blocks[slot as usize] = black_box(A::malloc(size as usize));
    }
    let end = Instant::now();
    empty::<A>(blocks);
    (start, end)
}

/// Replays the first `ops` calls of a recorded trace, then frees what is left.
pub fn replay<A: Allocator>(
    stream: &Stream,
    blocks: &mut [usize],
    ops: usize,
    ready: &dyn Fn(),
) -> Span {
    ready();
    let start = Instant::now();
    for call in stream.script[..3 * ops].chunks_exact(3) {
        let (id, size) = (call[1] as usize, call[2] as usize);
        match call[0] {
            0 => blocks[id] = black_box(A::malloc(size)),
            1 => {
                // SAFETY: a trace frees only live ids, and each once.
                unsafe { A::free(blocks[id]) };
                blocks[id] = 0;
            }
            // SAFETY: a trace reallocates only live ids.
            _ => blocks[id] = black_box(unsafe { A::realloc(blocks[id], size) }),
        }
    }
    let end = Instant::now();
    empty::<A>(blocks);
    (start, end)
}

fn fill<A: Allocator>(blocks: &mut [usize], sizes: &[u32]) {
    for (block, &size) in blocks.iter_mut().zip(sizes) {
        *block = black_box(A::malloc(size as usize));
    }
}

fn empty<A: Allocator>(blocks: &mut [usize]) {
    for block in blocks.iter_mut().filter(|block| **block != 0) {
        // SAFETY: a slot that is not zero holds a live block.
        unsafe { A::free(*block) };
        *block = 0;
    }
}
