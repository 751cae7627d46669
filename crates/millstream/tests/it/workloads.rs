//! The benchmarks' driver, once over little, so that it does not rot: the server's binary, every workload with its
//! output checked, start-up, latency. No time is asserted.

use std::path::PathBuf;

use benches::{Settings, load, peer, verify::Output, workloads::WORKLOADS};

use crate::server::process::Server;

fn binary() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_millstream"))
}

#[test]
fn every_workload_gives_what_it_must() {
    let dir = tempfile::tempdir().expect("a directory");
    benches::run(&Settings::quick(binary(), dir.path().to_path_buf())).expect("runs");
}

/// Of the Nexmark queries one of each kind that a cluster may answer otherwise: a join and an aggregate of its rows in
/// order of time, sessions by another key, the last of a key.
#[test]
fn nexmark_queries_give_what_they_must_on_a_cluster() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut cluster = Server::start(&dir.path().join("cluster"), &[]);
    cluster.ready();
    let settings = Settings {
        workloads: ["q4", "q11", "q18", "q20"].map(str::to_owned).to_vec(),
        latency_records: 0,
        startup_queries: 0,
        growth_queries: 0,
        idle_streams: 0,
        state_keys: 0,
        lookups: 0,
        kafka_bootstrap: Some(cluster.kafka().to_string()),
        ..Settings::quick(binary(), dir.path().to_path_buf())
    };
    benches::run(&settings).expect("runs");
    let (status, log) = cluster.terminate();
    assert!(status.success(), "{log}");
}

/// As beside other engines; the cluster is a server of ours.
#[test]
fn every_workload_gives_what_it_must_on_a_cluster() {
    let dir = tempfile::tempdir().expect("a directory");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let bids = Settings::quick(binary(), dir.path().to_path_buf()).bids;
    let data = runtime.block_on(load::data(dir.path(), bids)).expect("the topics are filled");
    let mut cluster = Server::start(&data.dir, &[]);
    cluster.ready();
    for workload in WORKLOADS {
        let place = peer::Place {
            server: binary(),
            bootstrap: cluster.kafka().to_string(),
            run: format!("run_{}", workload.name),
            out: format!("out-{}", workload.name),
            bids: load::BIDS.to_owned(),
            state: dir.path().to_path_buf(),
            forever: false,
        };
        let told = runtime.block_on(peer::measure(workload, &place)).expect("runs").expect("tells what came of it");
        assert!(told.records_in >= bids, "{told:?}");
    }
    let (status, log) = cluster.terminate();
    assert!(status.success(), "{log}");
    for workload in WORKLOADS {
        let output = Output::read(&data, &format!("out-{}", workload.name)).expect("the output can be read");
        (workload.check)(&output, data.site).unwrap_or_else(|e| panic!("{}: {e}", workload.name));
    }
}
