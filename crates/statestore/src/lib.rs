//! Keyed state of one task: rows as bytes under a hash index, what changed since the last epoch, and a view of the
//! last committed epoch for readers.
//!
//! A store may leave entries to a [cold store](coldstore): then it knows which of its own are there as well, and reads
//! those that are asked for in batches.
//!
//! Invariant: knows bytes, not what columns mean; writes no file and no topic: it hands out what changed, and takes
//! it back when a task is restored.

mod blocks;
mod index;
mod residency;
mod rowcodec;
mod store;
mod view;

pub use blocks::Blocks;
pub use index::{BLOCK_KEYS, Index, Slots};
pub use residency::{Keys, PageIn, Paged, Residency, cold_error};
pub use rowcodec::{CodecError, Mode, RowDecoder, RowEncoder};
pub use store::Store;
pub use view::{ColdKey, ColdRest, Found, View};
