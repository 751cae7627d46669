//! What all connections share.

use std::{fmt, sync::Arc};

use base64::Engine as _;
use recordlog::{Topic, embedded::EmbeddedLog};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    Settings,
    api::fetch_session::FetchSessions,
    auth::{Auth, tls},
    error::Failure,
    group::{
        Groups,
        offsets::{Committed, Place},
    },
    store::{self, Store},
    txn::Transactions,
    wire::budget::Budget,
};

/// The one broker's number.
pub(crate) const BROKER_ID: i32 = 1;
/// The leader's epoch of every partition: there has never been another leader.
pub(crate) const LEADER_EPOCH: i32 = 0;
/// What the names of the engine's own topics begin with.
const INTERNAL_PREFIX: &str = "_millstream-";

/// Whether a topic is the engine's own, which no client writes to.
pub fn is_internal_topic(name: &str) -> bool {
    name.starts_with(INTERNAL_PREFIX)
}

/// The broker.
pub struct Broker {
    pub(crate) log: Arc<EmbeddedLog>,
    pub(crate) settings: Settings,
    pub(crate) cluster_id: String,
    pub(crate) store: Store,
    pub(crate) groups: Groups,
    pub(crate) transactions: Transactions,
    pub(crate) sessions: FetchSessions,
    pub(crate) auth: Auth,
    pub(crate) tls: Option<TlsAcceptor>,
    /// Memory of requests as they came.
    pub(crate) requests: Budget,
    /// Memory of requests as they are worked on.
    pub(crate) decoded: Budget,
    /// Memory of answers.
    pub(crate) answers: Budget,
    pub(crate) stop: CancellationToken,
}

impl fmt::Debug for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Broker").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Broker {
    /// A broker on `log`, with what it remembers there. `stop` ends what waits.
    ///
    /// # Errors
    /// Its topics cannot be made or read; the text says which.
    pub async fn open(log: Arc<EmbeddedLog>, settings: Settings, stop: CancellationToken) -> Result<Broker, String> {
        let failed = |failure: Failure| format!("the Kafka listener's topics: {}", failure.message);
        let tls = settings.tls.as_ref().map(tls::acceptor).transpose().map_err(|error| format!("TLS: {error}"))?;
        let store = Store::open(Arc::clone(&log)).await.map_err(failed)?;
        let kept = store.read_all().map_err(failed)?;
        // The id of a topic that is never deleted serves for the cluster's.
        let topic = log.topic(store::TOPIC).map_or(0, |topic| topic.id);
        let cluster_id = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(topic.to_be_bytes());
        Ok(Broker {
            cluster_id,
            groups: Groups::from_kept(&kept),
            transactions: Transactions::from_kept(&kept),
            sessions: FetchSessions::default(),
            auth: Auth::new(&settings, &kept, &*log.host().random),
            tls,
            requests: Budget::new(settings.request_bytes_max),
            decoded: Budget::new(settings.request_bytes_max),
            answers: Budget::new(settings.answer_bytes_max),
            store,
            log,
            settings,
            stop,
        })
    }

    /// Now, ms since 1970.
    pub(crate) fn now_ms(&self) -> i64 {
        self.log.host().clock.now_ms()
    }

    /// Forget what concerns a topic that was deleted.
    pub(crate) async fn forget_topic(&self, name: &str) -> Result<(), Failure> {
        self.groups.forget_topic(self, name).await
    }

    /// The topic of that id.
    pub(crate) fn topic_by_id(&self, id: Uuid) -> Option<Topic> {
        self.log.topic_by_id(id.as_u128())
    }

    /// The id of a topic that has that partition.
    pub(crate) fn topic_id_with(&self, topic: &str, partition: i32) -> Option<u128> {
        let partition = u32::try_from(partition).ok()?;
        self.log.topic(topic).filter(|topic| partition < topic.config.partitions).map(|topic| topic.id)
    }

    /// Whether a topic has that partition.
    pub(crate) fn has_partition(&self, topic: &str, partition: i32) -> bool {
        self.topic_id_with(topic, partition).is_some()
    }

    /// Whether an offset was committed for the topic that has that name now.
    pub(crate) fn is_of_topic(&self, place: &Place, committed: &Committed) -> bool {
        self.topic_id_with(&place.0, place.1) == Some(committed.topic_id)
    }
}
