//! Spans without a live block that are not free all the same, as caches keep blocks of theirs.

use crate::heap::{GRAIN, Heap, Span, UNIT};
use crate::process::live_blocks::LiveBlocks;

/// Blocks that caches keep: a bit for each grain, a word for each unit of the memory.
pub struct KeptBlocks {
    units: Vec<u64>,
}

const _: () = assert!(UNIT / GRAIN == u64::BITS);

impl KeptBlocks {
    /// None, in a heap.
    pub fn none(heap: &Heap<'_>) -> Self {
        Self { units: vec![0; heap.end_unit() as usize] }
    }

    /// Adds a block.
    pub fn add(&mut self, pointer: u32) {
        let (unit, bit) = place_of(pointer);
        if let Some(blocks) = self.units.get_mut(unit) {
            *blocks |= bit;
        }
    }

    /// Whether a block is among them.
    pub fn has(&self, pointer: u32) -> bool {
        let (unit, bit) = place_of(pointer);
        self.units.get(unit).is_some_and(|blocks| blocks & bit != 0)
    }

    /// Takes out the blocks of all spans that have no others but free ones. Returns those spans. A
    /// span whose record was written over is none of them.
    pub fn take_idle_spans<'m>(
        &mut self,
        heap: &Heap<'m>,
        live_blocks: &LiveBlocks,
    ) -> Vec<Span<'m>> {
        let mut idle = Vec::new();
        let mut unit = 0;
        while unit < self.units.len() {
            let found = (self.units[unit] != 0).then(|| heap.span_around(unit as u32));
            let Some(Ok(Some(span))) = found else {
                unit += 1;
                continue;
            };
            let units = span.unit as usize..(span.unit + span.units) as usize;
            unit = units.end;
            if self.has_all_of(&span, live_blocks) {
                self.units[units].fill(0);
                idle.push(span);
            }
        }
        idle
    }

    // Which blocks are in use is known outside of the memory. One that is kept may be in use again:
    // two threads have freed it at the same time.
    fn has_all_of(&self, span: &Span<'_>, live_blocks: &LiveBlocks) -> bool {
        span.blocks().all(|pointer| {
            live_blocks.is_free(pointer) || live_blocks.is_kept(pointer) && self.has(pointer)
        })
    }
}

const fn place_of(pointer: u32) -> (usize, u64) {
    ((pointer / UNIT) as usize, 1 << (pointer % UNIT / GRAIN))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering::Relaxed;

    use super::*;
    use crate::cache::free_blocks::FreeBlocks;
    use crate::cache::free_blocks::fixture::Fixture;
    use crate::fault::Fault;
    use crate::heap::{HEADER, Search};

    const BYTES: u32 = 200;

    /// Has a cache keep all blocks of some spans, but for free ones in the first of them.
    fn kept_spans(free_blocks: &FreeBlocks<'_>) -> Vec<u32> {
        let heap = free_blocks.heap;
        let blocks: Vec<_> =
            (0..500).map(|_| heap.malloc(BYTES, 16, Search::Quick).unwrap()).collect();
        let (free, kept): (Vec<u32>, Vec<u32>) =
            blocks.iter().partition(|&&block| block < blocks[200] && block % 7 == 0);
        free.iter().for_each(|&block| heap.free(block).unwrap());
        for &block in &kept {
            heap.write_header(block, 0, heap.read_header(block).unwrap().1).unwrap();
            free_blocks.live_blocks.set_kept(block, heap.class_of(block).unwrap().unwrap());
        }
        kept
    }

    fn idle_spans<'m>(free_blocks: &FreeBlocks<'m>, kept: &[u32]) -> (KeptBlocks, Vec<Span<'m>>) {
        let mut blocks = KeptBlocks::none(&free_blocks.heap);
        kept.iter().for_each(|&block| blocks.add(block));
        let spans = blocks.take_idle_spans(&free_blocks.heap, free_blocks.live_blocks);
        (blocks, spans)
    }

    fn has_block(spans: &[Span<'_>], block: u32) -> bool {
        spans.iter().any(|span| span.blocks().any(|made| made == block))
    }

    #[test]
    fn spans_of_which_all_is_kept_or_free_are_idle_and_can_be_freed() {
        let mut fixture = Fixture::default();
        let free_blocks = fixture.free_blocks(0);
        let kept = kept_spans(&free_blocks);
        let (left, spans) = idle_spans(&free_blocks, &kept);
        assert!(spans.len() > 1 && spans.iter().any(|span| span.free > 0));
        assert!(kept.iter().all(|&block| has_block(&spans, block) && !left.has(block)));
        assert_eq!(free_blocks.free_idle_spans(&spans), Ok(()));
        assert!(kept.iter().all(|&block| free_blocks.live_blocks.is_free(block)));
        assert_eq!(free_blocks.heap.free_runs().unwrap().len(), 1);
        free_blocks.heap.check(&mut |damage| panic!("{damage:?}"));
    }

    #[test]
    fn a_span_with_a_block_that_is_not_at_hand_is_not_idle() {
        let mut fixture = Fixture::default();
        let free_blocks = fixture.free_blocks(0);
        let kept = kept_spans(&free_blocks);
        let (block, class) = (kept[3], free_blocks.heap.class_of(kept[3]).unwrap().unwrap());
        let (left, spans) = idle_spans(&free_blocks, &kept[4..]);
        assert!(!spans.is_empty() && !has_block(&spans, block), "another thread has it");
        assert!(kept[4..].iter().all(|&kept| left.has(kept) != has_block(&spans, kept)));
        free_blocks.live_blocks.set_live(block, class);
        assert!(!has_block(&idle_spans(&free_blocks, &kept).1, block), "freed twice, and in use");
    }

    #[test]
    fn what_is_written_over_a_span_makes_it_no_idle_one() {
        let mut fixture = Fixture::default();
        let free_blocks = fixture.free_blocks(0);
        let kept = kept_spans(&free_blocks);
        for live in [kept[0], kept[kept.len() - 1]] {
            let free_blocks = fixture.free_blocks(0);
            let Span { class, unit, units, .. } =
                free_blocks.heap.span_around(live / UNIT).unwrap().unwrap();
            free_blocks.live_blocks.set_live(live, class);
            let others: Vec<_> = kept.iter().copied().filter(|&block| block != live).collect();
            let record = (unit * UNIT / 4) as usize;
            // A span that seems shorter may have its live block behind its end.
            let shorter = (1..units).map(|fewer| (units ^ fewer) << 16);
            for change in (0..32).map(|bit| 1 << bit).chain(shorter) {
                for word in record..record + 16 {
                    let before = fixture.words[word].fetch_xor(change, Relaxed);
                    let spans = idle_spans(&fixture.free_blocks(0), &others).1;
                    let found = spans.iter().any(|span| span.unit == unit);
                    drop(spans);
                    fixture.words[word].store(before, Relaxed);
                    assert!(!found, "word {} by {change:#x}", word - record);
                }
            }
            fixture.live_blocks.set_kept(live, class);
        }
    }

    #[test]
    fn a_span_that_is_in_no_list_though_it_should_be_stays() {
        let mut fixture = Fixture::default();
        let free_blocks = fixture.free_blocks(0);
        let kept = kept_spans(&free_blocks);
        let spans = idle_spans(&free_blocks, &kept).1;
        let listed = spans.iter().find(|span| span.free > 0).unwrap();
        let links = listed.unit * UNIT + HEADER;
        let (next, previous) = free_blocks.heap.read_header(links).unwrap();
        free_blocks.heap.write_header(links, next ^ 8, previous).unwrap();
        assert_eq!(free_blocks.free_idle_spans(&spans), Err(Fault::Corrupted));
        assert!(free_blocks.heap.span_around(listed.unit).unwrap().is_some());
        let others = spans.iter().filter(|span| span.free == 0);
        assert!(others.clone().count() > 0);
        for other in others {
            assert!(free_blocks.heap.span_around(other.unit).unwrap().is_none());
        }
    }

    #[test]
    fn blocks_that_are_nowhere_are_survived() {
        let mut fixture = Fixture::default();
        let free_blocks = fixture.free_blocks(0);
        assert!(idle_spans(&free_blocks, &[0, 16, !15, UNIT * 30]).1.is_empty());
    }
}
