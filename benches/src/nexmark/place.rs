//! Where the events are and the queries run: a data directory, or a Kafka cluster.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use host::Host;
use kafka::{ClusterConfig, ClusterLog};
use recordlog::{RecordLog, TopicConfig};

use super::events::{self, Events, TOPICS};
use crate::{
    Outcome, Settings,
    generator::Site,
    load::{Data, Loader},
    server::Server,
    verify::Output,
};

/// See the module.
pub(super) enum Place {
    Directory(Data),
    Cluster {
        bootstrap: String,
        log: Arc<ClusterLog>,
        /// What the topics' names begin with.
        prefix: String,
        /// For what servers say.
        dir: PathBuf,
    },
}

impl Place {
    /// The place with all events, which are loaded unless they are there.
    pub async fn open(settings: &Settings) -> Outcome<Place> {
        let count = settings.nexmark_events;
        match &settings.kafka_bootstrap {
            Some(bootstrap) => Place::on_cluster(bootstrap, &settings.dir, count).await,
            None => {
                let data = Data { dir: settings.dir.join(format!("nexmark-{count}")), site: Site { bids: 0 } };
                if !data.is_loaded()? {
                    events::fill(Loader::open(&data, &TOPICS).await?, "", count).await?;
                    data.set_loaded()?;
                }
                Ok(Place::Directory(data))
            }
        }
    }

    async fn on_cluster(bootstrap: &str, dir: &Path, count: u64) -> Outcome<Place> {
        let config = ClusterConfig {
            bootstrap: bootstrap.to_owned(),
            service: "nexmark_loader".to_owned(),
            properties: Default::default(),
        };
        let (log, prefix) = (ClusterLog::open(config, Host::real()).await?, format!("nexmark-{count}-"));
        // A topic that says that the others have everything.
        let loaded = format!("{prefix}loaded");
        if log.topic(&loaded)?.is_none() {
            let topics = TOPICS.map(|topic| format!("{prefix}{topic}"));
            for topic in &topics {
                if log.topic(topic)?.is_some() {
                    log.delete_topic(topic).await?;
                }
            }
            let names = topics.each_ref().map(String::as_str);
            events::fill(Loader::of(log.clone(), &names).await?, &prefix, count).await?;
            log.create_topic(&loaded, TopicConfig::with_partitions(1)).await?;
        }
        Ok(Place::Cluster { bootstrap: bootstrap.to_owned(), log, prefix, dir: dir.to_path_buf() })
    }

    /// The events in the order in which queries take them here.
    pub fn in_order(&self, events: Events) -> Events {
        match self {
            Place::Directory(_) => events,
            Place::Cluster { .. } => events.by_time(),
        }
    }

    /// Statements about topics, with their names here.
    pub fn statements(&self, text: &str) -> String {
        match self {
            Place::Directory(_) => text.to_owned(),
            Place::Cluster { prefix, .. } => text.replace("kafka_topic = '", &format!("kafka_topic = '{prefix}")),
        }
    }

    /// A server, which on a cluster is a service of its own by the name of what it is to write.
    pub async fn start(&self, settings: &Settings, sink: &str) -> Outcome<Server> {
        match self {
            Place::Directory(data) => Server::start(&settings.server, &data.dir).await,
            Place::Cluster { bootstrap, dir, .. } => {
                Server::start_on_cluster(&settings.server, bootstrap, &service(sink), &dir.join("nexmark.log")).await
            }
        }
    }

    /// What was written to a topic, with the server stopped.
    pub fn output(&self, sink: &str) -> Outcome<Output> {
        match self {
            Place::Directory(data) => Output::read(data, sink),
            Place::Cluster { log, prefix, .. } => Output::of(&**log, &format!("{prefix}{sink}")),
        }
    }

    /// Remove what a query has left.
    pub async fn tidy_up(&self, settings: &Settings, kind: &str, sink: &str) -> Outcome<()> {
        let Place::Cluster { log, prefix, .. } = self else {
            let server = self.start(settings, sink).await?;
            server.connect().await?.batch_execute(&format!("DROP {kind} {sink} DELETE TOPIC;")).await?;
            return server.stop();
        };
        let (own, result) = (format!("_millstream.{}-", service(sink)), format!("{prefix}{sink}"));
        for topic in log.topics().iter().filter(|t| t.name.starts_with(&own) || *t.name == *result) {
            log.delete_topic(&topic.name).await?;
        }
        Ok(())
    }
}

fn service(sink: &str) -> String {
    format!("nexmark_{sink}")
}
