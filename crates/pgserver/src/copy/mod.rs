//! COPY's two formats: lines of text with backslash escapes, and CSV.

mod format;
mod reader;

pub(crate) use format::CopyFormat;
pub(crate) use reader::{CopyReader, CopyRow};
