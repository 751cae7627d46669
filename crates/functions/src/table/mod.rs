//! Table functions.
