//! The cluster cannot be reached.

use host::Host;
use kafka::ClusterLog;
use recordlog::{LogError, RecordLog, TopicPartition};

use crate::support::*;

#[tokio::test(flavor = "multi_thread")]
async fn nobody_answers() {
    // A port that was free a moment ago.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let cluster = Cluster::at(free.to_string());
    let error = ClusterLog::open(cluster.config(&[]), Host::real()).await.err().unwrap();
    let text = error.to_string();
    assert!(matches!(error, LogError::Unavailable(_)) && text.contains(&free.to_string()), "{text}");
    for (name, value, expect) in [
        ("isolation.level", "read_uncommitted", "isolation.level"),
        ("no.such.setting", "1", "no.such.setting"),
        ("security.protocol", "carrier pigeon", "security.protocol"),
    ] {
        let error = ClusterLog::open(cluster.config(&[(name, value)]), Host::real()).await.err().unwrap();
        let text = error.to_string();
        assert!(matches!(error, LogError::Invalid(_)) && text.contains(expect), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn work_goes_on_when_the_cluster_is_back() {
    let server = Server::start(Host::in_memory(), 0);
    let cluster = Cluster::at(server.address.to_string());
    let short = [("transaction.timeout.ms", "2000"), ("message.timeout.ms", "2000")];
    let (log, topic) = (cluster.log_with(&short).await, cluster.topic("away"));
    log.create_topic(&topic, config(1, &[])).await.unwrap();
    let partition = TopicPartition::new(&*topic, 0);
    log.take_over("w").await.unwrap();
    let first = commit(&log, Some("w"), vec![append(&topic, 0, &[rec("k", "1", 1)])]).await.unwrap();
    assert_eq!(read_all(&log, &topic, 0), [rec("k", "1", 1)]);
    assert_eq!(first[0].base_offset, 0);

    let (host, port) = server.stop();
    let error = commit(&log, Some("w"), vec![append(&topic, 0, &[rec("k", "lost", 2)])]).await.unwrap_err();
    assert!(matches!(error, LogError::Unavailable(_)), "{error}");

    let _server = Server::start(host, port);
    let mut taken = log.take_over("w").await;
    while taken.is_err() {
        taken = log.take_over("w").await;
    }
    commit(&log, Some("w"), vec![append(&topic, 0, &[rec("k", "2", 3)])]).await.unwrap();
    assert!(log.offsets(&partition).unwrap().end >= 2);
    let read = read_all(&log, &topic, 0);
    assert_eq!(read.first(), Some(&rec("k", "1", 1)));
    assert_eq!(read.last(), Some(&rec("k", "2", 3)));
}
