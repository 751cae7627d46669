//! Keyed state of one task: rows as bytes under a hash index, what changed since the last epoch, and a view of the
//! last committed epoch for readers.
//!
//! Invariant: knows bytes, not what columns mean; writes no file and no topic: it hands out what changed, and takes
//! it back when a task is restored.

mod rowcodec;
mod store;
mod view;

pub use rowcodec::{CodecError, Mode, RowDecoder, RowEncoder};
pub use store::Store;
pub use view::View;
