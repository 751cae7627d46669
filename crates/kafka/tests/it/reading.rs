//! Places at which a partition is read, its ends, and being told that something came.

use std::{sync::Arc, thread};

use recordlog::{LogError, Offsets, RecordLog, TopicPartition};

use crate::support::*;

fn numbered(from: i64, to: i64) -> Vec<Rec> {
    (from..to).map(|i| rec(&format!("k{}", i % 7), &format!("value {i}"), 1000 + i)).collect()
}

#[test]
fn readers_at_several_places_do_not_disturb_each_other() {
    on_each(|cluster| async move {
        let (log, topic) = (cluster.log().await, cluster.topic("places"));
        log.create_topic(&topic, config(1, &[])).await.unwrap();
        for from in (0..20_000).step_by(1000) {
            commit(&log, Some("w"), vec![append(&topic, 0, &numbered(from, from + 1000))]).await.unwrap();
        }
        let expect = read_from(&log, &topic, 0, 0);
        assert_eq!(expect.iter().map(|(_, r)| r.clone()).collect::<Vec<_>>(), numbered(0, 20_000));
        let readers: Vec<_> = (0..12_usize)
            .map(|i| {
                let (log, topic, expect) = (Arc::clone(&log), topic.clone(), expect.clone());
                thread::spawn(move || {
                    let at = i * 1501;
                    let from = expect[at].0;
                    assert_eq!(read_pieces(&log, &topic, 0, from, 300 * (i + 1)), expect[at..]);
                })
            })
            .collect();
        readers.into_iter().for_each(|reader| reader.join().unwrap());
    });
}

#[test]
fn nothing_before_the_place_asked_for_is_read() {
    on_each(|cluster| async move {
        let (log, topic) = (cluster.log().await, cluster.topic("before"));
        log.create_topic(&topic, config(1, &[])).await.unwrap();
        for from in (0..60).step_by(20) {
            commit(&log, Some("w"), vec![append(&topic, 0, &numbered(from, from + 20))]).await.unwrap();
        }
        let (partition, all) = (TopicPartition::new(&*topic, 0), read_from(&log, &topic, 0, 0));
        assert_eq!(all.len(), 60);
        for (at, (offset, _)) in all.iter().enumerate() {
            let first = log.read(&partition, *offset, 1).unwrap().remove(0);
            assert_eq!(first.base_offset, *offset);
            assert_eq!(read_from(&log, &topic, 0, *offset), all[at..]);
        }
    });
}

#[test]
fn ends_are_what_a_reader_may_see() {
    on_each(|cluster| async move {
        let (log, topic) = (cluster.log().await, cluster.topic("ends"));
        log.create_topic(&topic, config(2, &[])).await.unwrap();
        let partition = TopicPartition::new(&*topic, 0);
        assert_eq!(log.offsets(&partition).unwrap(), Offsets { start: 0, end: 0 });
        assert!(log.read(&partition, 0, 1000).unwrap().is_empty());
        for i in 0..50 {
            commit(&log, None, vec![append(&topic, 0, &numbered(i, i + 1))]).await.unwrap();
            assert_eq!(log.offsets(&partition).unwrap(), Offsets { start: 0, end: i + 1 }, "own writes are seen");
            assert_eq!(read_from(&log, &topic, 0, i).len(), 1);
        }
        let landed = commit(&log, Some("w"), vec![append(&topic, 0, &numbered(50, 60))]).await.unwrap();
        let end = log.offsets(&partition).unwrap().end;
        assert!(end >= landed[0].base_offset + 10);
        let last = read_from(&log, &topic, 0, 0).pop().unwrap();
        assert_eq!(last.1, numbered(59, 60)[0]);
        assert!(log.read(&partition, end, 1000).unwrap().is_empty());

        log.delete_records(&partition, 30).await.unwrap();
        assert_eq!(log.offsets(&partition).unwrap(), Offsets { start: 30, end });
        assert_eq!(read_from(&log, &topic, 0, 30).len(), 30);
        match log.read(&partition, 7, 1000) {
            Err(LogError::OutOfRange { offset: 7, start: 30, .. }) => {}
            other => panic!("{other:?}"),
        }
        assert!(log.delete_records(&partition, end + 1000).await.is_err());

        for (topic, partition) in [(&*topic, 2), ("no-such-topic", 0)] {
            let place = TopicPartition::new(topic, partition);
            let unknown = |e: LogError| matches!(e, LogError::UnknownTopic(_) | LogError::UnknownPartition(_));
            assert!(unknown(log.offsets(&place).unwrap_err()));
            assert!(unknown(log.read(&place, 0, 100).unwrap_err()));
            assert!(unknown(commit(&log, None, vec![append(topic, partition, &numbered(0, 1))]).await.unwrap_err()));
        }
    });
}

#[test]
fn places_are_found_by_time() {
    on_each(|cluster| async move {
        let (log, topic) = (cluster.log().await, cluster.topic("times"));
        log.create_topic(&topic, config(1, &[])).await.unwrap();
        let partition = TopicPartition::new(&*topic, 0);
        for i in 0..5 {
            commit(&log, None, vec![append(&topic, 0, &numbered(i * 10, i * 10 + 1))]).await.unwrap();
        }
        for (time, expect) in [(0, Some(0)), (1000, Some(0)), (1001, Some(1)), (1040, Some(4)), (1041, None)] {
            assert_eq!(log.offset_for_time(&partition, time).unwrap(), expect, "{time}");
        }
    });
}

#[test]
fn who_watches_is_told_whether_he_reads_or_not() {
    on_each(|cluster| async move {
        let (log, topic) = (cluster.log().await, cluster.topic("watched"));
        log.create_topic(&topic, config(3, &[])).await.unwrap();
        assert!(matches!(log.watch("no-such-topic"), Err(LogError::UnknownTopic(_))));
        let other = cluster.log().await;
        let mut watch = log.watch(&topic).unwrap();
        for i in 0..6_u32 {
            watch.mark_unchanged();
            // Somebody else writes.
            commit(&other, None, vec![append(&topic, i % 3, &numbered(0, 1))]).await.unwrap();
            loop {
                let end = log.offsets(&TopicPartition::new(&*topic, i % 3)).unwrap().end;
                if end == i64::from(i / 3) + 1 {
                    break;
                }
                watch.changed().await.unwrap();
            }
            if i >= 3 {
                assert_eq!(read_from(&log, &topic, i % 3, 0).len(), 2);
            }
        }
        watch.mark_unchanged();
        log.delete_topic(&topic).await.unwrap();
        watch.changed().await.unwrap();
    });
}

/// What the engine does: it asks for the end, reads to there, and waits to be told. Nothing may be missed.
#[test]
fn a_reader_that_stops_at_the_end_hears_of_everything() {
    on_each(|cluster| async move {
        let (log, topic) = (cluster.log().await, cluster.topic("followed"));
        log.create_topic(&topic, config(1, &[])).await.unwrap();
        let writing = {
            let (log, topic) = (cluster.log().await, topic.clone());
            tokio::spawn(async move {
                for i in 0..60 {
                    let writer = (i % 3 == 0).then_some("w");
                    commit(&log, writer, vec![append(&topic, 0, &numbered(i * 50, i * 50 + 50))]).await.unwrap();
                }
            })
        };
        let partition = TopicPartition::new(&*topic, 0);
        let mut watch = log.watch(&topic).unwrap();
        let (mut next, mut records) = (0, 0);
        while records < 3000 {
            watch.mark_unchanged();
            let end = log.offsets(&partition).unwrap().end;
            let before = records;
            while next < end {
                let batches = log.read(&partition, next, 500).unwrap();
                let Some(last) = batches.last() else { break };
                let count =
                    |b: &recordlog::StoredBatch| recordlog::batch::BatchHeader::parse(&b.bytes).unwrap().record_count;
                records += batches.iter().filter(|b| b.base_offset >= next).map(count).sum::<u32>();
                next = last.next_offset;
            }
            if records == before {
                watch.changed().await.unwrap();
            }
        }
        assert_eq!(records, 3000);
        writing.await.unwrap();
    });
}
