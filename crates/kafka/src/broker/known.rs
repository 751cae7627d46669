//! The brokers of a cluster, as far as known, and the threads that talk to them.

use std::{
    collections::{BTreeSet, HashMap},
    future::Future,
    sync::Arc,
};

use kafka_protocol::{
    messages::{MetadataRequest, TopicName, metadata_request::MetadataRequestTopic},
    protocol::StrBytes,
};
use parking_lot::Mutex;
use recordlog::{LogError, Result};
use tokio::runtime;

use super::{ANSWER_WAIT, Connection, Dialer, Leadership};
use crate::config::ClusterConfig;

/// Where a broker listens.
type Address = (String, u16);

/// The brokers of a cluster.
pub(crate) struct Brokers {
    dialer: Dialer,
    /// Those to ask where no other is known.
    bootstrap: Vec<Address>,
    addresses: Mutex<HashMap<i32, Address>>,
}

/// What talks to them.
pub(crate) struct Wire {
    /// `None` only while it is dropped.
    runtime: Option<runtime::Runtime>,
    brokers: Arc<Brokers>,
}

impl Wire {
    /// By the settings of a cluster; no broker is asked yet.
    ///
    /// # Errors
    /// [`LogError::Invalid`] where a setting is not possible, [`LogError::Io`] where no thread can be started.
    pub fn new(config: &ClusterConfig) -> Result<Arc<Wire>> {
        let (dialer, bootstrap) = (Dialer::new(config)?, config.bootstrap_addresses()?);
        let failed = |e: std::io::Error| LogError::Io { what: "starting a thread".to_owned(), error: e.to_string() };
        let mut runtime = runtime::Builder::new_multi_thread();
        runtime.worker_threads(1).thread_name("kafka-wire").enable_all();
        let runtime = Some(runtime.build().map_err(failed)?);
        Ok(Arc::new(Wire { runtime, brokers: Arc::new(Brokers { dialer, bootstrap, addresses: Mutex::default() }) }))
    }

    /// The brokers.
    pub fn brokers(&self) -> &Arc<Brokers> {
        &self.brokers
    }

    /// Do something beside everything else.
    pub fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        if let Some(runtime) = &self.runtime {
            runtime.spawn(work);
        }
    }

    /// Do something and wait for it.
    pub fn wait_for<T, E: From<LogError>>(&self, work: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        match &self.runtime {
            Some(runtime) => runtime.block_on(work),
            None => Err(LogError::Closed.into()),
        }
    }

    /// Why no broker can be reached, as the last one that was tried says; `Ok` where one can. Waits for them.
    pub fn probe(&self) -> Result<()> {
        let Brokers { dialer, bootstrap, .. } = &*self.brokers;
        let dial = |(host, port): &Address| self.wait_for(dialer.dial(host, *port)).map(drop);
        bootstrap.iter().map(dial).reduce(|first, next| first.or(next)).unwrap_or(Ok(()))
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        // It may be dropped where one must not wait.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Brokers {
    /// Ask a broker who leads the partitions of some topics, and note where brokers are.
    pub async fn who_leads(&self, asked: &mut Connection, topics: BTreeSet<&str>) -> Result<Leadership> {
        let topic = |name: &str| {
            MetadataRequestTopic::default().with_name(Some(TopicName(StrBytes::from_string(name.to_owned()))))
        };
        let request = MetadataRequest::default()
            .with_topics(Some(topics.into_iter().map(topic).collect()))
            .with_allow_auto_topic_creation(false);
        let answer = asked.ask(&request, 4..=12, ANSWER_WAIT).await?;
        let brokers = answer.brokers.iter().filter_map(|broker| {
            let port = u16::try_from(broker.port).ok()?;
            Some((broker.node_id.0, (broker.host.to_string(), port)))
        });
        *self.addresses.lock() = brokers.collect();
        Ok(Leadership::of(answer))
    }

    /// Reach a broker.
    pub async fn dial(&self, broker: i32) -> Result<Connection> {
        let address = self.addresses.lock().get(&broker).cloned();
        let unknown = || LogError::Unavailable(format!("broker {broker} is not there"));
        let (host, port) = address.ok_or_else(unknown)?;
        self.dialer.dial(&host, port).await
    }

    /// Reach one that is somewhere.
    pub async fn dial_at(&self, host: &str, port: u16) -> Result<Connection> {
        self.dialer.dial(host, port).await
    }

    /// Reach some broker, another one at each turn.
    pub async fn dial_any(&self, turn: usize) -> Result<Connection> {
        let known: BTreeSet<Address> = self.addresses.lock().values().cloned().collect();
        let all: Vec<_> = known.into_iter().chain(self.bootstrap.iter().cloned()).collect();
        let at = turn.checked_rem(all.len()).unwrap_or_default();
        let Some((host, port)) = all.get(at) else { return Err(LogError::Closed) };
        self.dialer.dial(host, *port).await
    }
}
