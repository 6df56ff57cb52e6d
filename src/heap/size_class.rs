//! Size classes: how many bytes apart the blocks of a span lie, and how spans are made of them.
//!
//! The dense classes serve the default alignment: every multiple of 16 up to 512, then nine a
//! doubling, evenly spaced by ratio, so that no request wastes more than a thirteenth. The first of
//! each doubling is 16 bytes above a power of two: a request for that power (plus its 8-byte
//! header) wastes next to nothing. The aligned classes serve larger alignments above 512 bytes, two
//! a doubling.
//!
//! Classes are numbered from 1, so that 0 can stand for no class wherever a number of one does.

use super::measures::{GRAIN, HEADER, LISTED, UNIT};

/// Strides up to this many bytes are every multiple of [`GRAIN`].
const FINE_LIMIT: u32 = 512;
/// Number of fine classes: the number of each is that of the grains of its blocks.
pub const FINE: usize = (FINE_LIMIT / GRAIN) as usize;
/// Doublings from [`FINE_LIMIT`] to the largest class.
const DOUBLINGS: usize = 6;
/// 2^(k/9) in 4096ths: the steps of a doubling.
const STEPS: [u32; 9] = [4096, 4424, 4778, 5161, 5574, 6020, 6502, 7023, 7585];
/// The number after the last dense class. They come first: the fine ones, nine a doubling and the
/// largest.
pub const DENSE_END: usize = 1 + FINE + DOUBLINGS * STEPS.len() + 1;
/// Strides of the aligned classes.
const ALIGNED: [u32; 6] = [768, 1024, 1536, 2048, 3072, 4096];
/// Numbers of size classes, 0 included.
pub const COUNT: usize = DENSE_END + ALIGNED.len();

/// What stands in the place of a class for blocks of mixed units.
pub const MIXED: usize = COUNT;

/// The most blocks one span holds.
pub const MAX_SLOTS: u32 = 256;
/// The words of a span before its bitmap: links, counts.
pub const RECORD_WORDS: u32 = 4;
/// Units of a span at the most: enough for most classes to leave little over.
const MOST_UNITS: u32 = 64;
/// Units of a span of blocks of more than [`WIDE`] bytes at the most.
const MOST_WIDE_UNITS: u32 = 128;
const WIDE: u32 = 8 * 1024;
/// The longest spans of a class have at least so many blocks, as it takes some time to make one, ...
const FULL_SLOTS: u32 = 8;
/// ... if they may be so long, and at most one part in this many is not blocks then.
const FULL_WASTE_SHARE: u32 = 32;
/// A span is economical when at most one part in this many is not blocks.
const WASTE_SHARE: u32 = 16;
/// The same for the first spans of a class,
const FEW_WASTE_SHARE: u32 = 8;
/// and for the very first one, or if there is hardly room for any.
const FIRST_WASTE_SHARE: u32 = 4;

/// The geometry of one size class; all lengths in bytes unless said otherwise.
#[derive(Clone, Copy, Debug)]
pub struct SizeClass {
    /// Distance from block to block.
    pub stride: u32,
    /// Distance from the span's start to its first pointer. The span's record lies before.
    pub offset: u32,
    /// What the pointers of all blocks are multiples of.
    pub align: u32,
    /// Units of a span of many: those with the least left over.
    pub full_units: u32,
    /// Units of the smallest span that is economical, and whose units are found again when it is
    /// freed.
    pub small_units: u32,
    /// Units of the first span, which is for few blocks.
    pub first_units: u32,
    /// Units of those that follow it while there are few.
    pub few_units: u32,
    /// Words of a span's bitmap.
    pub bitmap_words: u32,
    /// What to multiply by to divide by the stride; see [`SizeClass::slot_at`].
    reciprocal: u32,
}

/// Fraction bits of [`SizeClass::reciprocal`].
const RECIPROCAL_BITS: u32 = 20;

impl SizeClass {
    /// What class 0 is: it has no block.
    const NONE: Self = Self {
        stride: 0,
        offset: 0,
        align: 0,
        full_units: 0,
        small_units: 0,
        first_units: 0,
        few_units: 0,
        bitmap_words: 0,
        reciprocal: 0,
    };

    const fn new(stride: u32, most_align: u32) -> Self {
        let natural = 1 << stride.trailing_zeros();
        let align = if natural < most_align { natural } else { most_align };
        let most_units = if stride > WIDE { MOST_WIDE_UNITS } else { MOST_UNITS };
        let mut most = (UNIT * most_units - GRAIN) / stride;
        if most > MAX_SLOTS {
            most = MAX_SLOTS;
        }
        let bitmap_words = most.div_ceil(32);
        let offset = ((RECORD_WORDS + bitmap_words) * 4 + HEADER).next_multiple_of(align);
        let reciprocal = (1 << RECIPROCAL_BITS) / (stride / GRAIN) + 1;
        let class = Self { stride, offset, align, bitmap_words, reciprocal, ..Self::NONE };
        class.with_units(most_units)
    }

    const fn with_units(self, most_units: u32) -> Self {
        let least = self.least_units();
        let best = self.thriftiest(least, most_units);
        let mut many = least;
        while self.slots(many) < FULL_SLOTS && self.may_have(many + 1, most_units) {
            many += 1;
        }
        let many = self.thriftiest(many, most_units);
        let is_thrifty = self.waste(many) * FULL_WASTE_SHARE <= many * UNIT;
        let full = if is_thrifty { many } else { best };
        let small_units = self.least_with_waste(WASTE_SHARE, LISTED, most_units, best);
        let few_units = self.least_with_waste(FEW_WASTE_SHARE, 1, most_units, best);
        let first_units = self.least_with_waste(FIRST_WASTE_SHARE, 1, most_units, best);
        let full_units = if full < small_units { small_units } else { full };
        Self { full_units, small_units, first_units, few_units, ..self }
    }

    // From `units` units on, as many as leave the least of themselves over.
    const fn thriftiest(&self, mut units: u32, most_units: u32) -> u32 {
        let mut best = units;
        while self.may_have(units, most_units) {
            if self.waste(units) * best < self.waste(best) * units {
                best = units;
            }
            units += 1;
        }
        best
    }

    // Whether a span may be so long.
    const fn may_have(&self, units: u32, most_units: u32) -> bool {
        units <= most_units && (units * UNIT - self.offset) / self.stride <= MAX_SLOTS
    }

    // The fewest units, `least` or more, of which at most one part in `share` is not blocks; else
    // `other`.
    const fn least_with_waste(&self, share: u32, least: u32, most_units: u32, other: u32) -> u32 {
        let mut units = self.least_units();
        while self.may_have(units, most_units) {
            if units >= least && self.waste(units) * share <= units * UNIT {
                return units;
            }
            units += 1;
        }
        other
    }

    /// Bytes of a span of `units` units that are not blocks.
    const fn waste(&self, units: u32) -> u32 {
        units * UNIT - self.slots(units) * self.stride
    }

    /// The fewest units that hold a block of this class.
    pub const fn least_units(&self) -> u32 {
        (self.offset + self.stride).div_ceil(UNIT)
    }

    /// How many blocks a span of `units` units holds. The space after the last one holds a header
    /// of its own, so that a write past any block's end meets one.
    pub const fn slots(&self, units: u32) -> u32 {
        let slots = (units * UNIT - self.offset) / self.stride;
        let most = self.bitmap_words * 32;
        if slots < most { slots } else { most }
    }

    /// Units that the blocks of a span of at most `units` units need.
    pub const fn units_needed(&self, units: u32) -> u32 {
        (self.offset + self.slots(units) * self.stride).div_ceil(UNIT)
    }

    /// The slot whose pointer lies `distance` bytes behind the first slot's; `None` when there is
    /// none. The multiplication is a division that is exact for multiples of the stride: a span has
    /// at most 2^8 slots, and a stride at most 2^12 grains, so that the error stays below 1.
    pub const fn slot_at(&self, distance: u32) -> Option<u32> {
        let slot = (distance / GRAIN).wrapping_mul(self.reciprocal) >> RECIPROCAL_BITS;
        if slot.wrapping_mul(self.stride) == distance { Some(slot) } else { None }
    }
}

/// All classes by number: none, the dense ones, then the aligned ones, each group ascending.
pub const CLASSES: [SizeClass; COUNT] = {
    let mut classes = [SizeClass::NONE; COUNT];
    let mut class = 1;
    while class < COUNT {
        classes[class] = if class == 1 {
            SizeClass::new(GRAIN, UNIT)
        } else if class <= FINE {
            SizeClass::new(GRAIN * class as u32, FINE_LIMIT)
        } else if class < DENSE_END {
            SizeClass::new(dense_stride(class - FINE - 1), GRAIN)
        } else {
            SizeClass::new(ALIGNED[class - DENSE_END], UNIT)
        };
        class += 1;
    }
    classes
};

/// Element `index` of the strides above [`FINE_LIMIT`].
const fn dense_stride(index: usize) -> u32 {
    let base = FINE_LIMIT << (index / STEPS.len());
    (base / GRAIN * STEPS[index % STEPS.len()] / STEPS[0] + 1) * GRAIN
}

/// The class that serves `byte_length` bytes at `align`, or `None` when it takes a large block.
pub fn class_for(byte_length: u32, align: u32) -> Option<usize> {
    let need = byte_length.checked_add(HEADER)?;
    let rounded = need.checked_next_multiple_of(align.max(GRAIN))?;
    if rounded <= FINE_LIMIT {
        return Some((rounded / GRAIN) as usize);
    }
    let group = if align <= GRAIN { FINE + 1..DENSE_END } else { DENSE_END..COUNT };
    if need > CLASSES[group.end - 1].stride {
        return None;
    }
    let from = group.start + CLASSES[group.clone()].partition_point(|class| class.stride < need);
    (from..group.end).find(|&class| CLASSES[class].align >= align)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_holds_blocks_and_wastes_little() {
        for class in &CLASSES[1..] {
            let (least, full) = (class.least_units(), class.full_units);
            assert!(least <= class.small_units && class.small_units <= full);
            assert!(class.small_units >= LISTED);
            assert!(class.first_units >= least && class.first_units <= class.few_units);
            assert!(class.few_units <= class.small_units);
            assert!(class.waste(class.first_units) * 4 <= class.first_units * UNIT);
            assert!(class.waste(class.few_units) * 8 <= class.few_units * UNIT);
            assert!(class.slots(least) >= 1 && class.slots(full) <= MAX_SLOTS);
            assert!(class.waste(full) * FULL_WASTE_SHARE <= full * UNIT, "{class:?}");
            assert!(class.slots(full) >= FULL_SLOTS || class.stride > 12_000, "{class:?}");
            for units in least..=full {
                let end = class.offset + class.slots(units) * class.stride;
                assert!(
                    end <= class.units_needed(units) * UNIT && class.units_needed(units) <= units
                );
            }
            assert_eq!((class.offset % class.align, class.stride % class.align), (0, 0));
            assert!(class.offset >= (RECORD_WORDS + class.bitmap_words) * 4 + HEADER);
            for slot in 0..MAX_SLOTS {
                assert_eq!(class.slot_at(slot * class.stride), Some(slot));
                assert_eq!(class.slot_at(slot * class.stride + 8), None);
            }
        }
    }

    #[test]
    fn the_chosen_class_is_the_tightest_that_fits() {
        for align in (0..=12).map(|shift| 1 << shift) {
            for byte_length in 1..40_000 {
                let need = byte_length + HEADER;
                let fits = |class: &&SizeClass| class.stride >= need && class.align >= align;
                match class_for(byte_length, align) {
                    Some(class) => assert!(fits(&&CLASSES[class]), "{byte_length} at {align}"),
                    None => assert!(need > 32_768 || align > GRAIN),
                }
                if align == GRAIN && need <= 32_768 {
                    let stride = CLASSES[class_for(byte_length, align).unwrap()].stride;
                    let grains = need.next_multiple_of(GRAIN);
                    assert!((stride - grains) * 12 <= stride, "{byte_length} takes {stride}");
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
