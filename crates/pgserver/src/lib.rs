//! pgserver.
