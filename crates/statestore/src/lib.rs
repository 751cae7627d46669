//! statestore.
