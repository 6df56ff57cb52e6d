//! Lists of units that start something: a head in the superblock, and two links at each member,
//! which are looked at from both sides before they are followed.

use super::superblock::Heap;
use crate::fault::{Fault, Result};

/// Where the members of a list keep their links. Each answers [`Fault::Corrupted`] for a unit that
/// cannot be a member.
pub trait Links {
    /// The member after `unit`; 0 for none.
    fn next(&self, unit: u32) -> Result<u32>;
    /// The member before `unit`; 0 for none.
    fn previous(&self, unit: u32) -> Result<u32>;
    /// Sets the member after `unit`.
    fn set_next(&self, unit: u32, next: u32) -> Result<()>;
    /// Sets the member before `unit`.
    fn set_previous(&self, unit: u32, previous: u32) -> Result<()>;
}

/// The members before and after a member; 0 for none.
#[derive(Clone, Copy)]
pub struct Neighbours {
    pub previous: u32,
    pub next: u32,
}

impl Heap<'_> {
    /// Puts `unit` at the front of the list whose head is the superblock's field `head`. Returns
    /// whether the list was empty.
    ///
    /// # Errors
    /// [`Fault::Corrupted`]; the list is as it was then.
    #[inline]
    pub(super) fn push_front(&self, links: &impl Links, head: u32, unit: u32) -> Result<bool> {
        let next = self.field(head)?;
        if next != 0 && links.previous(next)? != 0 {
            return Err(Fault::Corrupted);
        }
        self.insert(links, head, unit, Neighbours { previous: 0, next })?;
        Ok(next == 0)
    }

    /// Takes `unit` out of the list whose head is the superblock's field `head`. Returns whether
    /// the list is empty now.
    ///
    /// # Errors
    /// [`Fault::Corrupted`] when a neighbour does not link back; nothing is changed then.
    #[inline]
    pub(super) fn unlink(&self, links: &impl Links, head: u32, unit: u32) -> Result<bool> {
        let Neighbours { previous, next } = self.neighbours(links, head, unit)?;
        if next != 0 {
            links.set_previous(next, previous)?;
        }
        if previous == 0 {
            self.set_field(head, next)?;
        } else {
            links.set_next(previous, next)?;
        }
        Ok(previous == 0 && next == 0)
    }

    /// The neighbours of `unit` in a list, confirmed from both sides.
    ///
    /// # Errors
    /// [`Fault::Corrupted`].
    #[inline]
    pub(super) fn neighbours(
        &self,
        links: &impl Links,
        head: u32,
        unit: u32,
    ) -> Result<Neighbours> {
        let (next, previous) = (links.next(unit)?, links.previous(unit)?);
        let linked_from = if previous == 0 { self.field(head)? } else { links.next(previous)? };
        let linked_back = if next == 0 { unit } else { links.previous(next)? };
        let confirmed = linked_from == unit && linked_back == unit;
        if confirmed { Ok(Neighbours { previous, next }) } else { Err(Fault::Corrupted) }
    }

    /// Puts `unit` between two neighbours of a list, whatever was there.
    #[inline]
    pub(super) fn insert(
        &self,
        links: &impl Links,
        head: u32,
        unit: u32,
        between: Neighbours,
    ) -> Result<()> {
        let Neighbours { previous, next } = between;
        if next != 0 {
            links.set_previous(next, unit)?;
        }
        links.set_next(unit, next)?;
        links.set_previous(unit, previous)?;
        if previous == 0 { self.set_field(head, unit) } else { links.set_next(previous, unit) }
    }
}
