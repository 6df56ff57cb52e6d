//! What a unit is, packed in one word of the map.

use super::measures::{GRAIN, MAX_UNITS, UNIT};
use super::size_class::COUNT;

/// What a unit is. A word of 0 is [`UnitKind::Inside`], so that a map which is all zero is sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnitKind {
    /// Within a free run, a large block or a table.
    Inside,
    /// Unit `back` of a span of class `class`.
    Span {
        /// Index of the size class.
        class: usize,
        /// Units from the span's first one.
        back: u32,
    },
    /// The first unit of a large block of `units` units whose pointer lies `1 << shift` bytes into
    /// it.
    Large {
        /// Base-2 logarithm of the pointer's distance from the start.
        shift: u32,
        /// Length in units.
        units: u32,
    },
    /// The second unit of a large block, which the pointer lies at the start of.
    LargeSecond,
    /// The first unit of a free run of `units` units.
    Free {
        /// Length in units.
        units: u32,
    },
    /// The last unit of a free run of `units` units, which are more than one.
    FreeTail {
        /// Length in units.
        units: u32,
    },
    /// The second unit of a listed free run: the next run in its bin, 0 for none.
    Next(u32),
    /// The third unit of a listed free run: the run before it in its bin, 0 for none.
    Previous(u32),
    /// A unit with blocks of any length.
    Mixed {
        /// Grains of the longest block that fits into one of its gaps.
        room: u32,
        /// On the entry of the unit in the table of mixed units.
        check: u32,
    },
    /// The first of `units` units that the heap's own records take.
    Table {
        /// Length in units.
        units: u32,
    },
}

const KIND_BITS: u32 = 4;
/// Bits of a class or a shift.
const ARGUMENT_BITS: u32 = 7;
const SPAN: u32 = 1;
const LARGE: u32 = 2;
const LARGE_SECOND: u32 = 3;
const FREE: u32 = 4;
const FREE_TAIL: u32 = 5;
const NEXT: u32 = 6;
const PREVIOUS: u32 = 7;
const TABLE: u32 = 8;
const MIXED: u32 = 9;
/// Bits of a number of grains that is less than those of a unit.
const ROOM_BITS: u32 = (UNIT / GRAIN).ilog2();

// A class, and with a shift a number of units, fit beside the kind.
const _: () = assert!(COUNT <= 1 << ARGUMENT_BITS);
const SHIFT_BITS: u32 = 4;
/// A pointer lies at least a grain into its large block, and at most a unit.
const LEAST_SHIFT: u32 = GRAIN.trailing_zeros();
const MOST_SHIFT: u32 = UNIT.trailing_zeros();
const _: () = assert!(MAX_UNITS.ilog2() < u32::BITS - KIND_BITS - SHIFT_BITS);

impl UnitKind {
    /// What a number of 64 bits is shifted by to be a check.
    pub const CHECK_SHIFT: u32 = u64::BITS - (u32::BITS - KIND_BITS - ROOM_BITS);

    /// The map word of this kind: kind in bits 0-3, then its arguments.
    #[inline(always)]
    pub const fn pack(self) -> u32 {
        match self {
            Self::Inside => 0,
            Self::Span { class, back } => {
                SPAN | (class as u32) << KIND_BITS | back << (KIND_BITS + ARGUMENT_BITS)
            }
            Self::Large { shift, units } => {
                LARGE | shift << KIND_BITS | units << (KIND_BITS + SHIFT_BITS)
            }
            Self::LargeSecond => LARGE_SECOND,
            Self::Free { units } => FREE | units << KIND_BITS,
            Self::FreeTail { units } => FREE_TAIL | units << KIND_BITS,
            Self::Next(unit) => NEXT | unit << KIND_BITS,
            Self::Previous(unit) => PREVIOUS | unit << KIND_BITS,
            Self::Table { units } => TABLE | units << KIND_BITS,
            Self::Mixed { room, check } => {
                MIXED | room << KIND_BITS | check << (KIND_BITS + ROOM_BITS)
            }
        }
    }

    /// The kind that a map word stands for; `None` when it stands for nothing. Numbers of units are
    /// as they are: whoever uses them knows what they may be.
    #[inline(always)]
    pub const fn unpack(word: u32) -> Option<Self> {
        let rest = word >> KIND_BITS;
        Some(match word & ((1 << KIND_BITS) - 1) {
            0 if rest == 0 => Self::Inside,
            SPAN => {
                let class = (rest & ((1 << ARGUMENT_BITS) - 1)) as usize;
                if class == 0 || class >= COUNT {
                    return None;
                }
                Self::Span { class, back: rest >> ARGUMENT_BITS }
            }
            LARGE => {
                let shift = rest & ((1 << SHIFT_BITS) - 1);
                if shift < LEAST_SHIFT || shift > MOST_SHIFT {
                    return None;
                }
                Self::Large { shift, units: rest >> SHIFT_BITS }
            }
            LARGE_SECOND if rest == 0 => Self::LargeSecond,
            FREE => Self::Free { units: rest },
            FREE_TAIL => Self::FreeTail { units: rest },
            NEXT => Self::Next(rest),
            PREVIOUS => Self::Previous(rest),
            TABLE => Self::Table { units: rest },
            MIXED => {
                let room = rest & ((1 << ROOM_BITS) - 1);
                Self::Mixed { room, check: rest >> ROOM_BITS }
            }
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::fixture::Random;

    #[test]
    fn a_word_is_what_its_kind_packs() {
        let mut random = Random(3);
        for _ in 0..100_000 {
            let word = (random.bits() >> random.below(60)) as u32;
            assert!(UnitKind::unpack(word).is_none_or(|kind| kind.pack() == word), "{word:#x}");
        }
        for class in [1, COUNT - 1] {
            let kind = UnitKind::Span { class, back: 77 };
            assert_eq!(UnitKind::unpack(kind.pack()), Some(kind));
        }
        for class in [0, COUNT] {
            assert_eq!(UnitKind::unpack(UnitKind::Span { class, back: 77 }.pack()), None);
        }
        for shift in 0..16 {
            let kind = UnitKind::Large { shift, units: MAX_UNITS };
            let found = UnitKind::unpack(kind.pack());
            assert_eq!(found, (4..=10).contains(&shift).then_some(kind));
        }
        let units = MAX_UNITS;
        for kind in [
            UnitKind::Inside,
            UnitKind::LargeSecond,
            UnitKind::Free { units },
            UnitKind::FreeTail { units },
            UnitKind::Next(units),
            UnitKind::Previous(units),
            UnitKind::Table { units },
            UnitKind::Mixed { room: 5, check: 77 },
        ] {
            assert_eq!(UnitKind::unpack(kind.pack()), Some(kind));
        }
        for nothing in (10..16).chain([1 << 4, LARGE_SECOND | 1 << 4]) {
            assert_eq!(UnitKind::unpack(nothing), None);
        }
    }
}
