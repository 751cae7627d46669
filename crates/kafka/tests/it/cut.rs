//! Connections that are cut at any byte, in both directions: nothing is lost, nothing is there twice, and nobody has to be
//! asked for help.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use host::Host;
use kafka::ClusterLog;
use rand::{Rng, SeedableRng, rngs::StdRng};
use recordlog::{LogError, RecordLog};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
};

use crate::support::*;

/// Passes bytes on to a server, and cuts each connection after some of them.
struct Cutter {
    address: SocketAddr,
}

impl Cutter {
    async fn start(listener: TcpListener, server: SocketAddr, seed: u64) -> Cutter {
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let mut random = StdRng::seed_from_u64(seed);
            while let Ok((client, _)) = listener.accept().await {
                // As many small ones as large ones: both requests and answers are cut, and some go through.
                let bytes = |random: &mut StdRng| 1_usize << random.random_range(6..22);
                let (there, back) = (bytes(&mut random), bytes(&mut random));
                tokio::spawn(pass(client, server, there, back));
            }
        });
        Cutter { address }
    }
}

/// Pass on so many bytes in each direction, and no more in either.
async fn pass(client: TcpStream, server: SocketAddr, there: usize, back: usize) {
    let Ok(server) = TcpStream::connect(server).await else { return };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    tokio::select! {
        () = pass_one_way(from_client, to_server, there) => {}
        () = pass_one_way(from_server, to_client, back) => {}
    }
}

async fn pass_one_way(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut left: usize) {
    let mut buffer = [0; 1 << 14];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        let count = count.min(left);
        if to.write_all(&buffer[..count]).await.is_err() || count == left {
            return;
        }
        left -= count;
    }
}

/// Records of one commit, to each of two partitions.
fn records(commit: i64) -> Vec<Rec> {
    (0..20).map(|i| rec(&format!("{commit}"), &"x".repeat(usize::try_from(i).unwrap() * 5), commit * 100 + i)).collect()
}

/// How many commits are there, which must be the first ones, whole and in order, in both partitions.
fn committed(log: &ClusterLog, topic: &str) -> Result<i64, LogError> {
    let mut counts = vec![];
    for partition in 0..2 {
        let all = try_to_read(log, topic, partition)?;
        let count = i64::try_from(all.len() / 20).unwrap();
        assert_eq!(all, (0..count).flat_map(records).collect::<Vec<_>>(), "partition {partition}");
        counts.push(count);
    }
    assert_eq!(counts[0], counts[1]);
    Ok(counts[0])
}

fn try_to_read(log: &ClusterLog, topic: &str, partition: u32) -> Result<Vec<Rec>, LogError> {
    let place = recordlog::TopicPartition::new(topic, partition);
    let (end, mut next, mut all) = (log.offsets(&place)?.end, 0, vec![]);
    while next < end {
        let batches = log.read(&place, next, 1 << 20)?;
        let Some(last) = batches.last() else { break };
        all.extend(batches.iter().flat_map(|batch| decoded(&batch.bytes)));
        next = last.next_offset;
    }
    Ok(all)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_cut_off_is_written_once() {
    let seed = std::env::var("MILLSTREAM_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed: u64 = seed.unwrap_or_else(|| Host::real().random.next_u64());
    eprintln!("MILLSTREAM_SEED={seed}");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = Server::start_with(Host::in_memory(), 0, |settings| {
        settings.advertised = Some((address.ip().to_string(), address.port()));
    });
    let cutter = Cutter::start(listener, server.address, seed).await;
    // Made over connections that are whole.
    let whole = Cluster::at(server.address.to_string());
    let cluster = Cluster { address: cutter.address.to_string(), ..whole };
    let work = async {
        let log = loop {
            if let Ok(log) = ClusterLog::open(cluster.config(&[]), Host::real()).await {
                break log;
            }
        };
        let topic = cluster.topic("cut");
        while !matches!(log.create_topic(&topic, config(2, &[])).await, Ok(_) | Err(LogError::TopicExists(_))) {}
        run(&log, &topic, 60).await;
    };
    tokio::time::timeout(PATIENCE * 2, work).await.expect("it does not hang");
}

/// Commit after commit, as who takes over after a failure: it looks what is there, and goes on from that.
async fn run(log: &Arc<ClusterLog>, topic: &str, commits: i64) {
    let (mut next, mut failures) = (0, 0);
    let mut is_taken = false;
    while next < commits {
        if !is_taken {
            if log.take_over("w").await.is_err() {
                continue;
            }
            next = loop {
                let (log, topic) = (Arc::clone(log), topic.to_owned());
                match tokio::task::spawn_blocking(move || committed(&log, &topic)).await.unwrap() {
                    Ok(count) => break count,
                    Err(_) => tokio::time::sleep(Duration::from_millis(1)).await,
                }
            };
            is_taken = true;
            continue;
        }
        let appends = vec![append(topic, 0, &records(next)), append(topic, 1, &records(next))];
        match commit(log, Some("w"), appends).await {
            Ok(_) => next += 1,
            Err(error) => {
                assert!(!matches!(error, LogError::Invalid(_) | LogError::Corrupt { .. }), "{error}");
                (failures, is_taken) = (failures + 1, false);
            }
        }
    }
    eprintln!("{failures} commits failed");
    let (log, topic) = (Arc::clone(log), topic.to_owned());
    let all = tokio::task::spawn_blocking(move || {
        loop {
            match committed(&log, &topic) {
                Ok(count) if count == commits => return count,
                _ => std::thread::sleep(Duration::from_millis(1)),
            }
        }
    });
    assert_eq!(all.await.unwrap(), commits);
}
