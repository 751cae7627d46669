//! httpserver.
