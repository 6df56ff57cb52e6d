//! Size classes: how many bytes apart the blocks of a span lie.
//!
//! The dense classes serve the default alignment: every multiple of 16 up to 512, then eight a
//! doubling, each 16 bytes above a round number, so that a request for a power of two (plus its
//! 8-byte header) wastes next to nothing. The aligned classes above 512 serve larger alignments:
//! four a doubling, each a multiple of a quarter of its power of two.

use super::layout::{GRAIN, HEADER, MAX_SLOTS, SPAN_ALIGN, UNIT};

/// Strides up to this many bytes are every multiple of [`GRAIN`].
const FINE_LIMIT: u32 = 512;
/// Number of fine classes.
const FINE: usize = (FINE_LIMIT / GRAIN) as usize;
/// Doublings from [`FINE_LIMIT`] to the largest class.
const DOUBLINGS: usize = 6;
/// Number of dense classes, which come first: the fine ones, eight a doubling and the largest.
pub const DENSE: usize = FINE + DOUBLINGS * 8 + 1;
/// Number of size classes.
pub const COUNT: usize = DENSE + DOUBLINGS * 4;
/// The largest share of a span that may be left over is one part in this many.
const WASTE_SHARE: u32 = 32;
/// Above this stride in bytes, spans of few blocks matter more than what is left over of them, because
/// few blocks are live.
const WIDE: u32 = 12 * 1024;
const WIDE_WASTE_SHARE: u32 = 8;

/// The geometry of one size class; all lengths in bytes unless said otherwise.
#[derive(Clone, Copy, Debug)]
pub struct SizeClass {
    /// Distance from block to block.
    pub stride: u32,
    /// Distance from the span's start to its first pointer: the class's natural alignment.
    pub offset: u32,
    /// Units of a span when the heap is not short of them.
    pub units: u32,
    /// Blocks of such a span.
    full_slots: u32,
    /// What to multiply by to divide by the stride; see [`SizeClass::slot_at`].
    reciprocal: u32,
}

/// Fraction bits of [`SizeClass::reciprocal`].
const RECIPROCAL_BITS: u32 = 20;

impl SizeClass {
    const fn new(stride: u32) -> Self {
        let natural = 1 << stride.trailing_zeros();
        let offset = if natural < SPAN_ALIGN { natural } else { SPAN_ALIGN };
        let mut units = (offset + stride).div_ceil(UNIT);
        let share = if stride <= WIDE { WASTE_SHARE } else { WIDE_WASTE_SHARE };
        while (units * UNIT - slots(stride, offset, units) * stride) * share > units * UNIT {
            units += 1;
        }
        let full_slots = slots(stride, offset, units);
        let reciprocal = (1 << RECIPROCAL_BITS) / (stride / GRAIN) + 1;
        Self { stride, offset, units, full_slots, reciprocal }
    }

    /// The fewest units that hold a block of this class.
    pub const fn least_units(&self) -> u32 {
        (self.offset + self.stride).div_ceil(UNIT)
    }

    /// How many blocks a span of `units` units holds. The space after the last one holds a header
    /// of its own, so that a write past any block's end meets one.
    pub const fn slots(&self, units: u32) -> u32 {
        if units == self.units {
            return self.full_slots;
        }
        slots(self.stride, self.offset, units)
    }

    /// The slot whose pointer lies `distance` bytes behind the first slot's; `None` when there is none.
    /// The multiplication is a division that is exact for multiples of the stride: a span has at most
    /// 2^8 slots, and a stride at most 2^12 grains, so that the error stays below 1.
    pub const fn slot_at(&self, distance: u32) -> Option<u32> {
        let slot = (distance / GRAIN).wrapping_mul(self.reciprocal) >> RECIPROCAL_BITS;
        if slot.wrapping_mul(self.stride) == distance { Some(slot) } else { None }
    }
}

const fn slots(stride: u32, offset: u32, units: u32) -> u32 {
    let slots = (units * UNIT - offset) / stride;
    if slots < MAX_SLOTS { slots } else { MAX_SLOTS }
}

/// All classes: the dense ones, then the aligned ones, each group ascending.
pub const CLASSES: [SizeClass; COUNT] = {
    let mut classes = [SizeClass::new(GRAIN); COUNT];
    let mut class = 0;
    while class < COUNT {
        let stride = if class < FINE {
            GRAIN * (class as u32 + 1)
        } else if class < DENSE {
            step(class - FINE, 8) + GRAIN
        } else {
            step(class - DENSE + 1, 4)
        };
        classes[class] = SizeClass::new(stride);
        class += 1;
    }
    classes
};

/// Element `index` of the sequence with `steps` equal steps a doubling, from [`FINE_LIMIT`].
const fn step(index: usize, steps: usize) -> u32 {
    let base = FINE_LIMIT << (index / steps);
    base + base / steps as u32 * (index % steps) as u32
}

/// The class that serves `byte_length` bytes at `align`, or `None` when it takes a large block.
pub fn class_for(byte_length: u32, align: u32) -> Option<usize> {
    let need = byte_length.checked_add(HEADER)?;
    let rounded = need.checked_next_multiple_of(align.max(GRAIN))?;
    if rounded <= FINE_LIMIT {
        return Some((rounded / GRAIN) as usize - 1);
    }
    let group = if align <= GRAIN { FINE..DENSE } else { DENSE..COUNT };
    let from = group.start + CLASSES[group.clone()].partition_point(|class| class.stride < need);
    (from..group.end).find(|&class| CLASSES[class].offset >= align)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_holds_a_block_and_wastes_little() {
        for class in &CLASSES {
            let slots = class.slots(class.units);
            assert!(slots >= 1 && class.slots(class.least_units()) >= 1);
            assert!(class.offset + slots * class.stride <= class.units * UNIT);
            for slot in 0..MAX_SLOTS {
                assert_eq!(class.slot_at(slot * class.stride), Some(slot));
                assert_eq!(class.slot_at(slot * class.stride + 8), None);
            }
            assert!(class.units < 256, "the map word has 8 bits for a unit's place in its span");
        }
    }

    #[test]
    fn the_chosen_class_is_the_tightest_that_fits() {
        for align in (0..=12).map(|shift| 1 << shift) {
            for byte_length in 1..40_000 {
                let need = byte_length + HEADER;
                let fits = |class: &&SizeClass| class.stride >= need && class.offset >= align;
                match class_for(byte_length, align) {
                    Some(class) => assert!(fits(&&CLASSES[class]), "{byte_length} at {align}"),
                    None => assert!(need > 32_768 || CLASSES.iter().find(fits).is_none()),
                }
            }
        }
        assert_eq!(CLASSES[class_for(4_104, 16).unwrap()].stride, 4_112);
        assert_eq!(CLASSES[class_for(1, 1).unwrap()].stride, 16);
        assert_eq!(CLASSES[class_for(64, 16).unwrap()].stride, 80);
        assert_eq!(CLASSES[class_for(32_768, 16).unwrap()].stride, 32_784);
        assert_eq!(class_for(32_777, 16), None);
        assert_eq!(class_for(u32::MAX, 16), None);
    }
}
