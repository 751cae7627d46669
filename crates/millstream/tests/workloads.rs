//! The benchmarks' driver, once over little, so that it does not rot: the server's binary, every workload with its
//! output checked, start-up, latency. No time is asserted.

use std::path::PathBuf;

#[test]
fn every_workload_gives_what_it_must() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = PathBuf::from(env!("CARGO_BIN_EXE_millstream"));
    benches::run(&benches::Settings::quick(server, dir.path().to_path_buf())).expect("runs");
}
