//! No code: the features that dependencies have in the whole binary, named again here, so that a crate that is built
//! alone finds DataFusion compiled already instead of compiling it again with a few features less.
