//! Tests of the whole grammar through its public entrances, in one binary.

mod arbitrary;
mod cases;
mod conformance;
mod errors;
mod general;
mod limits;
mod round_trip;
mod spans;
mod statements;
