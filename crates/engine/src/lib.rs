//! The library to embed: open an engine, take a session, run statements.
//!
//! Invariant: knows no wire protocol. What a wire needs (types of results, positions of errors, streams of batches
//! that never end) is in the values that come back.

mod aftermath;
mod api;
mod apply;
mod assert;
mod bounded;
mod connectors;
mod deep;
mod describe;
mod engine;
mod explain;
mod foreign;
mod general;
mod insert;
mod kept;
mod member;
mod own_writes;
mod print;
mod pull;
mod push;
mod rows;
mod running;
mod scan;
mod schemas;
mod service;
mod session;
mod show;
mod statements;
mod surroundings;
mod system;
mod warnings;

pub use api::*;
pub use deep::{deep, deep_stream};
pub use engine::Engine;
pub use insert::CopyInto;
pub use member::{AskError, Peers};
pub use service::{Owner, owner_of, service_topics};
pub use session::{Prepared, Session};
