//! Short blocks in the places of much longer ones, as there was no other room. If blocks come and go,
//! those places are wanted again, and when there are too many such blocks the longer ones find less
//! and less. If blocks only come, what is free is for them.

use crate::fault::Result;

/// They may waste one part in this many of the heap.
const SHARE: u64 = 64;
/// What they waste is counted anew after so many requests were refused: it may take milliseconds,
const REFUSALS: u32 = 1024;
/// and in a heap of more bytes than this much longer, so there it is not.
const MOST_COUNTED: u64 = 256 * 1024 * 1024;
/// One in so many is served all the same: whoever frees blocks until there is room need not free more.
const MOST_TRIES: u32 = 64;
/// After so many requests in succession without anything given back, nothing is freed any more.
const SUCCESSION: u32 = 4;

/// How many there are in one heap.
#[derive(Default)]
pub struct Misplaced {
    /// Bytes that they waste, as far as is known: some may have been freed.
    bytes: u64,
    /// How many requests were refused since those bytes were counted.
    refusals: u32,
    /// How many may still be made until nothing is said to be freed any more.
    succession: u32,
}

impl Misplaced {
    /// Notes that blocks were given back before there was no room.
    pub const fn note_given_back(&mut self) {
        self.succession = SUCCESSION;
    }

    /// Whether there may be another one in a heap of so many bytes. `count` counts what they waste; if it
    /// cannot, as some block is damaged, they waste what they did.
    pub fn may_be_more(&mut self, heap_bytes: u64, count: impl FnOnce() -> Result<u64>) -> bool {
        self.succession = self.succession.saturating_sub(1);
        let most = heap_bytes / SHARE;
        if self.succession == 0 || self.bytes < most {
            return true;
        }
        self.refusals = self.refusals.wrapping_add(1);
        if self.refusals < REFUSALS || heap_bytes > MOST_COUNTED {
            return self.refusals.is_multiple_of(MOST_TRIES);
        }
        self.bytes = count().unwrap_or(self.bytes);
        self.refusals = 0;
        self.bytes < most
    }

    /// Adds one that wastes so many bytes.
    pub fn add(&mut self, bytes: u32) {
        self.bytes += u64::from(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::Fault;

    #[test]
    fn few_may_be_misplaced_where_blocks_come_and_go_and_any_where_they_only_come() {
        const HEAP: u64 = 64_000;
        let mut misplaced = Misplaced::default();
        assert!(misplaced.may_be_more(HEAP, || panic!()), "nothing was freed");
        misplaced.add(1_000);
        misplaced.note_given_back();
        assert!(misplaced.may_be_more(HEAP + 64, || panic!()));
        for (found, expected) in
            [(Err(Fault::Corrupted), false), (Ok(1_000), false), (Ok(999), true)]
        {
            for refused in 1..REFUSALS {
                misplaced.note_given_back();
                assert_eq!(misplaced.may_be_more(HEAP, || panic!()), refused % MOST_TRIES == 0);
            }
            misplaced.note_given_back();
            assert_eq!(misplaced.may_be_more(HEAP, || found), expected);
        }
        let most = MOST_COUNTED / SHARE;
        for (heap, counts) in [(MOST_COUNTED, 1), (MOST_COUNTED + SHARE, 0)] {
            let (mut long, mut counted) = (Misplaced::default(), 0);
            long.add(most as u32 + 1);
            for _ in 0..REFUSALS {
                long.note_given_back();
                long.may_be_more(heap, || {
                    counted += 1;
                    Ok(most + 1)
                });
            }
            assert_eq!(counted, counts);
        }
        misplaced.add(1);
        misplaced.note_given_back();
        for times in 1..2 * SUCCESSION {
            assert_eq!(misplaced.may_be_more(HEAP, || panic!()), times >= SUCCESSION);
        }
    }
}
