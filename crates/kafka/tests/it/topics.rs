//! Topics: made, changed, dropped, found again.

use std::collections::BTreeMap;

use recordlog::{LogError, RecordLog};

use crate::support::*;

#[test]
fn topics_are_made_changed_and_dropped() {
    on_each(|cluster| async move {
        let (log, other, topic) = (cluster.log().await, cluster.log().await, cluster.topic("topic"));
        assert!(log.topic(&topic).unwrap().is_none());
        let made = log.create_topic(&topic, config(2, &[("retention.ms", "3600000")])).await.unwrap();
        assert_eq!((made.config.partitions, made.config.replicas), (2, 1));
        assert_eq!(made.config.settings.get("retention.ms").map(String::as_str), Some("3600000"));
        let error = log.create_topic(&topic, config(1, &[])).await.unwrap_err();
        assert!(matches!(&error, LogError::TopicExists(name) if *name == topic), "{error}");
        assert_eq!(log.topic(&topic).unwrap().unwrap().id, made.id);
        assert!(log.topics().iter().any(|t| *t.name == *topic));
        // Another process asks the cluster when it does not know a name.
        tokio::time::sleep(std::time::Duration::from_millis(150)).await;
        assert_eq!(other.topic(&topic).unwrap().unwrap().id, made.id);

        let settings = BTreeMap::from([
            ("cleanup.policy".to_owned(), Some("compact".to_owned())),
            ("retention.ms".to_owned(), None),
        ]);
        let changed = log.alter_topic(&topic, settings, Some(4)).await.unwrap();
        assert_eq!((changed.id, changed.config.partitions), (made.id, 4));
        assert_eq!(changed.config.settings, BTreeMap::from([("cleanup.policy".to_owned(), "compact".to_owned())]));
        assert!(log.alter_topic(&topic, BTreeMap::new(), Some(3)).await.is_err(), "partitions do not become fewer");
        let nonsense = BTreeMap::from([("retention.ms".to_owned(), Some("soon".to_owned()))]);
        let error = log.alter_topic(&topic, nonsense, None).await.unwrap_err();
        assert!(error.to_string().contains(&topic), "{error}");
        // One that did not know of the new partitions writes to them and reads them.
        commit(&other, None, vec![append(&topic, 3, &[rec("k", "v", 1)])]).await.unwrap();
        assert_eq!(read_all(&other, &topic, 3), [rec("k", "v", 1)]);

        log.delete_topic(&topic).await.unwrap();
        assert!(log.topic(&topic).unwrap().is_none());
        let error = log.delete_topic(&topic).await.unwrap_err();
        assert!(matches!(&error, LogError::UnknownTopic(name) if *name == topic), "{error}");
        let again = log.create_topic(&topic, config(1, &[])).await.unwrap();
        assert_ne!(again.id, made.id);
        commit(&log, None, vec![append(&topic, 0, &[rec("k", "new", 1)])]).await.unwrap();
        assert_eq!(read_all(&log, &topic, 0), [rec("k", "new", 1)]);
    });
}

#[test]
fn everything_is_there_for_the_next_process() {
    on_each(|cluster| async move {
        let topic = cluster.topic("kept");
        let log = cluster.log().await;
        let id = log.create_topic(&topic, config(1, &[])).await.unwrap().id;
        commit(&log, Some("w"), vec![append(&topic, 0, &[rec("k", "1", 1), rec("k", "2", 2)])]).await.unwrap();
        drop(log);
        let log = cluster.log().await;
        assert_eq!(log.topic(&topic).unwrap().unwrap().id, id);
        log.take_over("w").await.unwrap();
        commit(&log, Some("w"), vec![append(&topic, 0, &[rec("k", "3", 3)])]).await.unwrap();
        assert_eq!(read_all(&log, &topic, 0), [rec("k", "1", 1), rec("k", "2", 2), rec("k", "3", 3)]);
    });
}
