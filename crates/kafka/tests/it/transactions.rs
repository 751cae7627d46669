//! Commits are seen whole or not at all, and by one writer of a name at a time.

use std::time::Duration;

use rdkafka::{
    ClientConfig,
    producer::{BaseProducer, BaseRecord, Producer},
};
use recordlog::{LogError, Offsets, RecordLog, TopicPartition};

use crate::support::*;

const WAIT: Duration = Duration::from_secs(20);

/// Somebody else's transactional producer, with a transaction begun and a record written to each partition.
fn stranger(cluster: &Cluster, topic: &str, partitions: i32, value: &str) -> BaseProducer {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &cluster.address).set("transactional.id", cluster.topic("stranger"));
    let producer: BaseProducer = config.create().unwrap();
    producer.init_transactions(WAIT).unwrap();
    producer.begin_transaction().unwrap();
    for partition in 0..partitions {
        producer.send(BaseRecord::to(topic).partition(partition).key("s").payload(value).timestamp(9)).unwrap();
    }
    producer.flush(WAIT).unwrap();
    producer
}

#[test]
fn open_and_aborted_transactions_are_not_seen() {
    on_each(|cluster| async move {
        let (log, topic) = (cluster.log().await, cluster.topic("txn"));
        log.create_topic(&topic, config(2, &[])).await.unwrap();
        let partition = TopicPartition::new(&*topic, 0);
        commit(&log, None, vec![append(&topic, 0, &[rec("a", "1", 1)])]).await.unwrap();
        let open = stranger(&cluster, &topic, 2, "open");
        assert_eq!(log.offsets(&partition).unwrap(), Offsets { start: 0, end: 1 });
        assert_eq!(read_all(&log, &topic, 0), [rec("a", "1", 1)]);
        // What comes behind an open transaction waits for it.
        commit(&log, None, vec![append(&topic, 0, &[rec("a", "2", 2)])]).await.unwrap();
        assert_eq!(read_all(&log, &topic, 0), [rec("a", "1", 1)]);
        open.abort_transaction(WAIT).unwrap();
        let watch = async {
            while log.offsets(&partition).unwrap().end < 4 {
                tokio::task::yield_now().await;
            }
        };
        watch.await;
        assert_eq!(read_all(&log, &topic, 0), [rec("a", "1", 1), rec("a", "2", 2)]);

        let open = stranger(&cluster, &topic, 2, "committed");
        assert_eq!(read_all(&log, &topic, 1), []);
        open.commit_transaction(WAIT).unwrap();
        while log.offsets(&TopicPartition::new(&*topic, 1)).unwrap().end < 4 {
            tokio::task::yield_now().await;
        }
        assert_eq!(read_all(&log, &topic, 1), [rec("s", "committed", 9)]);
    });
}

#[test]
fn a_commit_over_partitions_is_seen_at_once() {
    on_each(|cluster| async move {
        let (log, topic, second) = (cluster.log().await, cluster.topic("whole"), cluster.topic("second"));
        log.create_topic(&topic, config(3, &[])).await.unwrap();
        log.create_topic(&second, config(1, &[])).await.unwrap();
        log.take_over("w").await.unwrap();
        let tickets: Vec<_> = (0..40)
            .map(|i| {
                let records = [rec("k", &i.to_string(), i + 1)];
                let mut appends: Vec<_> = (0..3).map(|p| append(&topic, p, &records)).collect();
                appends.push(append(&second, 0, &records));
                log.commit(recordlog::Commit { appends, writer: Some("w".into()) })
            })
            .collect();
        let mut landed = vec![];
        for ticket in tickets {
            landed.push(ticket.await.unwrap().unwrap());
        }
        let expect: Vec<Rec> = (0..40).map(|i| rec("k", &i.to_string(), i + 1)).collect();
        for (at, (topic, partition)) in [(&topic, 0), (&topic, 1), (&topic, 2), (&second, 0)].into_iter().enumerate() {
            let read = read_from(&log, topic, partition, 0);
            assert_eq!(read.iter().map(|(_, r)| r.clone()).collect::<Vec<_>>(), expect);
            let places: Vec<i64> = landed.iter().map(|l| l[at].base_offset).collect();
            assert_eq!(read.iter().map(|(offset, _)| *offset).collect::<Vec<_>>(), places);
        }
    });
}

#[test]
fn who_was_taken_over_from_writes_no_more() {
    on_each(|cluster| async move {
        let (first, second, topic) = (cluster.log().await, cluster.log().await, cluster.topic("fenced"));
        first.create_topic(&topic, config(1, &[])).await.unwrap();
        first.take_over("w").await.unwrap();
        commit(&first, Some("w"), vec![append(&topic, 0, &[rec("k", "1", 1)])]).await.unwrap();
        second.take_over("w").await.unwrap();
        assert_eq!(read_all(&second, &topic, 0), [rec("k", "1", 1)]);
        let zombie = commit(&first, Some("w"), vec![append(&topic, 0, &[rec("k", "zombie", 2)])]).await.unwrap_err();
        assert!(matches!(zombie, LogError::Fenced(_)), "{zombie}");
        let zombie = commit(&first, Some("w"), vec![append(&topic, 0, &[rec("k", "zombie", 2)])]).await.unwrap_err();
        assert!(matches!(zombie, LogError::Fenced(_)), "{zombie}");
        // Another writer of the same process goes on.
        commit(&first, Some("v"), vec![append(&topic, 0, &[rec("k", "v", 3)])]).await.unwrap();
        commit(&second, Some("w"), vec![append(&topic, 0, &[rec("k", "2", 4)])]).await.unwrap();
        // And it may come back.
        first.take_over("w").await.unwrap();
        commit(&first, Some("w"), vec![append(&topic, 0, &[rec("k", "3", 5)])]).await.unwrap();
        catch_up(&second, &first, &topic, 0);
        assert_eq!(
            read_all(&second, &topic, 0),
            [rec("k", "1", 1), rec("k", "v", 3), rec("k", "2", 4), rec("k", "3", 5)]
        );
    });
}

#[test]
fn taking_over_ends_what_the_predecessor_left_open() {
    on_each(|cluster| async move {
        let (log, topic) = (cluster.log().await, cluster.topic("left"));
        log.create_topic(&topic, config(1, &[])).await.unwrap();
        let mut config = ClientConfig::new();
        let name = format!("_millstream.{}-w", cluster.name);
        config.set("bootstrap.servers", &cluster.address).set("transactional.id", name);
        let predecessor: BaseProducer = config.create().unwrap();
        predecessor.init_transactions(WAIT).unwrap();
        predecessor.begin_transaction().unwrap();
        predecessor.send(BaseRecord::to(&topic).partition(0).key("k").payload("left")).unwrap();
        predecessor.flush(WAIT).unwrap();
        let partition = TopicPartition::new(&*topic, 0);
        assert_eq!(log.offsets(&partition).unwrap().end, 0);
        log.take_over("w").await.unwrap();
        assert_eq!(log.offsets(&partition).unwrap().end, 2, "the record and the mark");
        assert_eq!(read_all(&log, &topic, 0), []);
        assert!(predecessor.commit_transaction(WAIT).is_err());
    });
}

#[test]
fn what_is_hidden_behind_an_open_transaction_is_waited_for() {
    on_each(|cluster| async move {
        let (log, topic) = (cluster.log().await, cluster.topic("hidden"));
        log.create_topic(&topic, config(1, &[])).await.unwrap();
        let partition = TopicPartition::new(&*topic, 0);
        log.settle(&partition).await.unwrap();
        let open = stranger(&cluster, &topic, 1, "open");
        commit(&log, Some("w"), vec![append(&topic, 0, &[rec("a", "1", 1)])]).await.unwrap();
        assert_eq!(log.offsets(&partition).unwrap().end, 0, "it is hidden");
        let settling = tokio::spawn({
            let (log, partition) = (log.clone(), partition.clone());
            async move { log.settle(&partition).await }
        });
        open.abort_transaction(WAIT).unwrap();
        settling.await.unwrap().unwrap();
        assert_eq!(read_all(&log, &topic, 0), [rec("a", "1", 1)]);
    });
}

#[test]
fn after_a_failed_commit_a_writer_has_to_be_taken_over() {
    on_each(|cluster| async move {
        let (log, topic) = (cluster.log().await, cluster.topic("failed"));
        log.create_topic(&topic, config(1, &[])).await.unwrap();
        log.take_over("w").await.unwrap();
        let large = Rec { value: Some(vec![1; 3_000_000]), ..rec("k", "", 1) };
        let good = || vec![append(&topic, 0, &[rec("k", "v", 1), rec("k", "w", 2)])];
        let tickets = [
            log.commit(recordlog::Commit { appends: good(), writer: Some("w".into()) }),
            log.commit(recordlog::Commit { appends: vec![append(&topic, 0, &[large])], writer: Some("w".into()) }),
            log.commit(recordlog::Commit { appends: good(), writer: Some("w".into()) }),
        ];
        let mut outcomes = vec![];
        for ticket in tickets {
            outcomes.push(ticket.await.unwrap());
        }
        assert!(outcomes[1].is_err() && outcomes[2].is_err(), "{outcomes:?}");
        let text = outcomes[1].as_ref().unwrap_err().to_string();
        assert!(text.contains(&format!("{topic}-0")), "{text}");
        assert!(commit(&log, Some("w"), good()).await.is_err());
        let before = read_all(&log, &topic, 0).len();
        assert_eq!(before, if outcomes[0].is_ok() { 2 } else { 0 });
        log.take_over("w").await.unwrap();
        commit(&log, Some("w"), good()).await.unwrap();
        assert_eq!(read_all(&log, &topic, 0).len(), before + 2);
    });
}

#[test]
fn what_is_behind_a_refused_record_does_not_hold_the_writer_up() {
    on_each(|cluster| async move {
        let (log, topic) = (cluster.log().await, cluster.topic("behind"));
        log.create_topic(&topic, config(1, &[])).await.unwrap();
        log.take_over("w").await.unwrap();
        let large = Rec { value: Some(vec![1; 3_000_000]), ..rec("k", "", 1) };
        let good = vec![rec("k", "v", 1), rec("k", "w", 2)];
        for writer in [Some("w"), None] {
            let refused = vec![append(&topic, 0, std::slice::from_ref(&large)), append(&topic, 0, &good)];
            let text = commit(&log, writer, refused).await.unwrap_err().to_string();
            // Held up until the transaction's time was over, it would be told that another had taken over.
            assert!(text.contains(&format!("{topic}-0")), "{text}");
        }
        // The same producer goes on.
        commit(&log, None, vec![append(&topic, 0, &good)]).await.unwrap();
        assert_eq!(read_all(&log, &topic, 0), good);
    });
}
