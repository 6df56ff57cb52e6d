//! Looking at a heap from above: what it holds, what its bytes are for, whether it is sound.
//! Nothing that allocates depends on it.

mod check;
mod guard;
mod map;
pub(super) mod walk;

pub use check::{Damage, Part};
pub use map::{Area, Use};
pub use walk::{Block, Stats};
