//! Nothing to build; a build script makes cargo unify the build dependencies.
fn main() {}
