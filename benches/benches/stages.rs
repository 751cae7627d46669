//! The stages of a record's way, one by one, on the events of the workloads.
fn main() {}
