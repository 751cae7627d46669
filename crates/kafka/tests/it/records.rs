//! Records come back as they were handed in.

use recordlog::{LogError, RecordLog};

use crate::support::*;

#[test]
fn records_come_back_as_they_were() {
    on_each(|cluster| async move {
        let (log, topic) = (cluster.log().await, cluster.topic("records"));
        log.create_topic(&topic, config(1, &[])).await.unwrap();
        let headers = |all: &[(&str, Option<&str>)]| {
            all.iter().map(|(name, value)| ((*name).to_owned(), value.map(|v| v.as_bytes().to_vec()))).collect()
        };
        let records = [
            rec("k", "v", 1_700_000_000_000),
            Rec { key: None, ..rec("", "no key", 1) },
            Rec { value: None, ..rec("tombstone", "", 2) },
            Rec { key: Some(vec![]), value: Some(vec![]), ..rec("", "", 3) },
            Rec { key: None, value: None, time: 4, headers: vec![] },
            rec("an earlier time", "x", 1),
            rec("the first time", "x", 0),
            Rec {
                headers: headers(&[("a", Some("1")), ("b", None), ("a", Some("")), ("ä", Some("2"))]),
                ..rec("h", "", 5)
            },
            Rec { value: Some((0..=255).collect()), key: Some(vec![0, 255, 128]), ..rec("", "", 6) },
        ];
        commit(&log, None, vec![append(&topic, 0, &records)]).await.unwrap();
        for record in &records {
            commit(&log, None, vec![append(&topic, 0, std::slice::from_ref(record))]).await.unwrap();
        }
        let expect: Vec<Rec> = records.iter().chain(&records).cloned().collect();
        assert_eq!(read_all(&log, &topic, 0), expect);
    });
}

#[test]
fn every_compression_can_be_read() {
    on_each(|cluster| async move {
        let topic = cluster.topic("compressed");
        let log = cluster.log().await;
        log.create_topic(&topic, config(1, &[])).await.unwrap();
        let mut expect = vec![];
        for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
            let records: Vec<Rec> = (0..200).map(|i| rec(&format!("{codec} {i}"), &"text ".repeat(20), i)).collect();
            let writer = cluster.log_with(&[("compression.type", codec)]).await;
            commit(&writer, None, vec![append(&topic, 0, &records)]).await.unwrap();
            expect.extend(records);
        }
        assert_eq!(read_all(&log, &topic, 0), expect);
    });
}

#[test]
fn large_records_pass_where_the_topic_allows_them() {
    on_each(|cluster| async move {
        let (log, large, usual) = (cluster.log().await, cluster.topic("large"), cluster.topic("usual"));
        log.create_topic(&large, config(1, &[("max.message.bytes", "20000000")])).await.unwrap();
        log.create_topic(&usual, config(1, &[])).await.unwrap();
        let records: Vec<Rec> =
            (1..4_u8).map(|i| Rec { value: Some(vec![i; 5_000_000]), ..rec("k", "", i64::from(i)) }).collect();
        commit(&log, None, vec![append(&large, 0, &records)]).await.unwrap();
        assert_eq!(read_pieces(&log, &large, 0, 0, 1000).into_iter().map(|(_, r)| r).collect::<Vec<_>>(), records);
        let error = commit(&log, None, vec![append(&usual, 0, &records)]).await.unwrap_err();
        let text = error.to_string();
        assert!(text.contains(&format!("{usual}-0")) && text.contains("too large"), "{text}");
        // What others commit afterwards is written.
        commit(&log, None, vec![append(&usual, 0, &[rec("k", "v", 7)])]).await.unwrap();
        assert_eq!(read_all(&log, &usual, 0), [rec("k", "v", 7)]);
    });
}

#[test]
fn the_log_stamps_where_it_is_told_to() {
    on_each(|cluster| async move {
        let (log, topic) = (cluster.log().await, cluster.topic("stamped"));
        log.create_topic(&topic, config(1, &[("message.timestamp.type", "LogAppendTime")])).await.unwrap();
        for count in [1, 3] {
            let records: Vec<Rec> = (0..count).map(|i| rec("k", "v", i + 1)).collect();
            let landed = commit(&log, None, vec![append(&topic, 0, &records)]).await.unwrap();
            let [landed] = landed[..] else { panic!("one append") };
            assert!(landed.append_time_ms > 1_700_000_000_000);
            let stored = read_from(&log, &topic, 0, landed.base_offset);
            assert!(stored.iter().all(|(_, r)| r.time == landed.append_time_ms), "{stored:?}");
        }
    });
}

#[test]
fn what_is_no_batch_is_refused() {
    on_each(|cluster| async move {
        let (log, topic) = (cluster.log().await, cluster.topic("bad"));
        log.create_topic(&topic, config(1, &[])).await.unwrap();
        let good = append(&topic, 0, &[rec("k", "v", 1), rec("k", "w", 2)]);
        let recordlog::Batches::Received(bytes) = &good.batches else { panic!("received") };
        let mut damaged = bytes.to_vec();
        *damaged.last_mut().unwrap() ^= 1;
        let bad = recordlog::Append { batches: bytes::Bytes::from(damaged).into(), ..good.clone() };
        for writer in [None, Some("w")] {
            let error = commit(&log, writer, vec![good.clone(), bad.clone()]).await.unwrap_err();
            assert!(matches!(&error, LogError::BadBatch(_)), "{error}");
        }
        assert_eq!(read_all(&log, &topic, 0), []);
        assert_eq!(commit(&log, None, vec![]).await.unwrap().len(), 0);
    });
}
