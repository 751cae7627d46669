//! The messages of PostgreSQL's protocol, version 3: read with every length checked, written straight into the
//! buffer that goes out.
//!
//! It is a codec of our own because a row must go from Arrow arrays into the socket's buffer without a copy or a
//! `String` per cell, and because nothing that a client sends may reach code that reads past the end of a message.

mod backend;
mod frontend;
mod io;
mod startup;

pub(crate) use backend::{Output, TransactionStatus, format_of, with_length};
pub(crate) use frontend::{Bind, Format, Frontend, ProtocolError, Target};
pub(crate) use io::Input;
pub(crate) use startup::{Greeting, read_greeting};

/// Bytes of the longest message that a client may send.
pub(crate) const MESSAGE_BYTES_MAX: usize = 64 << 20;

/// Bytes of the longest packet before the session has begun.
pub(crate) const STARTUP_BYTES_MAX: usize = 10_000;
