//! Runs the benchmark's workloads on native allocators, one round for each line of standard input:
//! `allocator kernel ops live threads script-file sizes-file`, answered with nanoseconds as JSON.
//!
//! It stays alive between rounds, so that the benchmark can interleave it with the other contenders.

mod allocators;
mod kernels;
mod threads;

use std::collections::HashMap;
use std::error::Error;
use std::io::{self, BufRead, Write};
use std::time::Duration;

use allocators::{Allocator, Glibc, Mimalloc, Nothing};
use kernels::{Kernel, Stream};

/// What is kept between rounds: the streams read so far, and room for the blocks.
#[derive(Default)]
struct State {
    files: HashMap<String, Vec<u32>>,
    blocks: Vec<usize>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut out = io::stdout().lock();
    writeln!(out, "{}", allocators::versions())?;
    let mut state = State::default();
    for line in io::stdin().lock().lines() {
        let elapsed = round(&line?, &mut state)?;
        writeln!(out, "{{\"nanoseconds\":{}}}", elapsed.as_nanos())?;
        out.flush()?;
    }
    Ok(())
}

fn round(line: &str, State { files, blocks }: &mut State) -> Result<Duration, Box<dyn Error>> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [allocator, kernel, ops, live, threads, script, sizes] = words[..] else {
        return Err(format!("expected seven words, got: {line}").into());
    };
    load(script, files)?;
    load(sizes, files)?;
    let stream = Stream { script: &files[script], sizes: &files[sizes], live: live.parse()? };
    let (ops, threads) = (ops.parse()?, threads.parse()?);
    blocks.resize(stream.live.max(blocks.len()), 0);
    let blocks = &mut blocks[..stream.live];
    match allocator {
        "mimalloc" => run::<Mimalloc>(kernel, &stream, blocks, ops, threads),
        "glibc" => run::<Glibc>(kernel, &stream, blocks, ops, threads),
        "nothing" => run::<Nothing>(kernel, &stream, blocks, ops, threads),
        _ => Err(format!("unknown allocator: {allocator}").into()),
    }
}

fn run<A: Allocator>(
    kernel: &str,
    stream: &Stream,
    blocks: &mut [usize],
    ops: usize,
    threads: usize,
) -> Result<Duration, Box<dyn Error>> {
    let kernel: Kernel = match kernel {
        "pairs" => kernels::pairs::<A>,
        "drain" => kernels::drain::<A>,
        "replace" => kernels::replace::<A>,
        "replay" => kernels::replay::<A>,
        "exchange" => return Ok(threads::exchange::<A>(stream, ops, threads)),
        "pipeline" => return Ok(threads::pipeline::<A>(stream, ops)),
        _ => return Err(format!("unknown kernel: {kernel}").into()),
    };
    if threads > 0 {
        return Ok(threads::private(kernel, stream, ops, threads));
    }
    let (start, end) = kernel(stream, blocks, ops, &|| ());
    Ok(end - start)
}

fn load(path: &str, files: &mut HashMap<String, Vec<u32>>) -> io::Result<()> {
    if !files.contains_key(path) {
        let bytes = std::fs::read(path)?;
        let words = bytes
            .chunks_exact(4)
            .map(|word| u32::from_le_bytes([word[0], word[1], word[2], word[3]]));
        files.insert(path.to_owned(), words.collect());
    }
    Ok(())
}
