//! Tests in SQL: runs `.sql` scripts with assertions and JSON cases of statements, records and answers.
//!
//! A file is loaded into cases ([`load`]), each runs on an engine of its own in memory ([`runner`]), once with every
//! record in an epoch of its own and once with all of them in one: what an engine answers may not depend on how its
//! input was cut. What a case writes and finds is compared by the types of its columns ([`compare`]); an error that it
//! expects is recognized by the culprit that it names ([`culprit`]). The command line is in [`cli`].

mod after;
mod answers;
pub mod case;
pub mod cli;
pub mod compare;
pub mod culprit;
pub mod failure;
mod internal;
mod json;
mod load;
mod outputs;
mod record;
mod records;
pub mod report;
pub mod runner;
mod script;
mod script_run;
mod topics;
pub mod value;
mod world;

pub use cli::{TestArgs, run};
pub use load::{load, load_file};
