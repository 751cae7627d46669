//! Keyed bytes on disk for state that does not fit into memory: sorted runs, merged now and then.
//!
//! What lies here is a copy of what a changelog says. So there is no write-ahead file and no repair: a store whose
//! files are missing, cut or damaged is emptied, and its owner fills it again. Reads find keys in batches, sorted; a
//! [`Version`] never changes, and stays readable while newer runs come and old ones are merged away.
//!
//! Invariant: knows neither what keys mean nor where the changelog is; reaches files through [`host::Disk`] only.

mod bloom;
mod manifest;
mod merge;
mod run;
mod store;
mod version;

pub use manifest::Mark;
pub use store::{ColdStore, Entries};
pub use version::Version;

use std::path::{Path, PathBuf};

/// Why a store cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum ColdError {
    /// The disk said no.
    #[error("{}: {error}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// A file does not hold what was written to it.
    #[error("{} is damaged: {what}", path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What does not fit.
        what: &'static str,
    },
    /// Its owner gave up waiting.
    #[error("the merge was broken off")]
    Cancelled,
}

/// Result with [`ColdError`].
pub type Result<T> = std::result::Result<T, ColdError>;

fn io_error(path: &Path) -> impl FnOnce(std::io::Error) -> ColdError + '_ {
    |error| ColdError::Io { path: path.to_path_buf(), error }
}
