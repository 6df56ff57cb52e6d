//! What a heap spends on spans: how long they are, and when blocks of a longer class are given in
//! the place of another one. What a span has over does not count in a large heap; a small one is
//! full of it.

use super::measures::{GRAIN, LISTED, UNITS_PER_PAGE, unit_of};
use super::size_class::{CLASSES, DENSE_END};
use super::superblock::{Heap, field};
use crate::fault::Result;

/// Units of the largest heap that is small: what a few blocks take counts, its map is soon read, and
/// to grow it costs less than to give back what is kept, again and again.
const SMALL_HEAP: u32 = 32 * UNITS_PER_PAGE;
/// A small heap is nearly full when less than one part in this many of it can become spans.
const FULL_SHARE: u32 = 8;
/// Blocks of longer classes then serve a class if they are longer by at most one part in this many,
/// or a grain.
const LONGER_SHARE: u32 = 3;

/// A span is as short as the first ones while it would be more than one part in this many of the
/// spans of its class: so few blocks take little memory.
const FIRST_SHARE: u32 = 2;
/// A new span takes at most one part in this many of the spans of its class,
const CLASS_SHARE: u32 = 16;
/// or of the heap: so that few blocks take little memory.
const HEAP_SHARE: u32 = 1024;

/// The stride of the longest blocks that serve class `class` in the place of its own without much waste.
pub fn longest_instead(class: usize) -> u32 {
    let stride = CLASSES[class].stride;
    stride + (stride / LONGER_SHARE).max(GRAIN)
}

impl Heap<'_> {
    /// A longer class that has free blocks, for blocks of class `class` at `align` when that has
    /// none: in a small heap that is nearly full, where the units for another span are better left
    /// to blocks that find no place elsewhere. `has` says which classes have some.
    ///
    /// # Errors
    /// [`Fault::Corrupted`](crate::fault::Fault::Corrupted); those of `has`.
    pub fn longer_class(
        &self,
        class: usize,
        align: u32,
        has: impl Fn(usize) -> Result<bool>,
    ) -> Result<Option<usize>> {
        if has(class)? || !self.is_nearly_full()? {
            return Ok(None);
        }
        let longest = longest_instead(class);
        for longer in (class + 1..DENSE_END).take_while(|&class| CLASSES[class].stride <= longest) {
            if CLASSES[longer].align >= align && has(longer)? {
                return Ok(Some(longer));
            }
        }
        Ok(None)
    }

    /// Whether the heap is small.
    ///
    /// # Errors
    /// [`Fault::Corrupted`](crate::fault::Fault::Corrupted).
    pub fn is_small(&self) -> Result<bool> {
        Ok(self.total_units()? <= SMALL_HEAP)
    }

    /// Whether there may be mixed units: their table, and the search for a gap, are short then.
    pub(super) fn may_be_mixed(&self) -> Result<bool> {
        let most = unit_of(self.field(field::MAXIMUM)?);
        Ok(0 < most && most <= SMALL_HEAP)
    }

    /// Whether a class without free blocks had better leave the units for a span to blocks of any
    /// length. Not one that most of the heap is for: spans of it are what is wanted.
    ///
    /// # Errors
    /// [`Fault::Corrupted`](crate::fault::Fault::Corrupted).
    pub fn mixes(&self, class: usize) -> Result<bool> {
        let is_most = self.field(field::SPAN_UNITS + class as u32)? > self.total_units()? / 2;
        Ok(!is_most && self.may_be_mixed()? && self.is_nearly_full()?)
    }

    /// Whether the memory can grow and is so small that this costs little.
    ///
    /// # Errors
    /// [`Fault::Corrupted`](crate::fault::Fault::Corrupted).
    pub fn is_cheap_to_grow(&self) -> Result<bool> {
        Ok(self.can_grow()? && self.is_small()?)
    }

    /// Whether it can grow and is not as small.
    ///
    /// # Errors
    /// [`Fault::Corrupted`](crate::fault::Fault::Corrupted).
    pub fn is_dear_to_grow(&self) -> Result<bool> {
        Ok(self.can_grow()? && !self.is_small()?)
    }

    /// Whether the memory may have more pages.
    ///
    /// # Errors
    /// [`Fault::Corrupted`](crate::fault::Fault::Corrupted).
    pub fn can_grow(&self) -> Result<bool> {
        Ok(self.field(field::END_PAGE)? < self.field(field::MAXIMUM)?)
    }

    fn is_nearly_full(&self) -> Result<bool> {
        if !self.is_small()? {
            return Ok(false);
        }
        let [end, maximum] = [field::END_PAGE, field::MAXIMUM].map(|page| self.field(page));
        let growth = unit_of(maximum?).saturating_sub(unit_of(end?));
        Ok(growth.saturating_add(self.longest_run()?) < self.total_units()? / FULL_SHARE)
    }

    /// How many units a new span of a class should have.
    pub(super) fn units_wanted(&self, class: usize) -> Result<u32> {
        let geometry = &CLASSES[class];
        let spans = self.field(field::SPAN_UNITS + class as u32)?;
        let share = (spans / CLASS_SHARE).max(self.total_units()? / HEAP_SHARE);
        let least = if spans / FIRST_SHARE >= geometry.small_units {
            geometry.small_units
        } else if spans == 0 || self.is_nearly_full()? {
            geometry.first_units
        } else {
            geometry.few_units
        };
        // Shorter ones would not be found again when they are freed.
        let least = if self.is_small()? { least } else { least.max(LISTED) };
        Ok(geometry.units_needed(share.clamp(least, geometry.full_units)))
    }
}
