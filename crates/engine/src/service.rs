//! One service, perhaps several processes: which of them leads it.
//!
//! A log that one process has to itself needs none of this. On a cluster one process at a time writes down what statements
//! change. It may be taken for dead and another lead, and then be there again. So whoever begins to lead says so in a
//! topic, as the log's writer of the service's name; that shuts the one before out of everything that is written in that
//! name. A leader that is in doubt, since a commit failed, looks there, and gives up when it finds another.

use std::sync::Arc;

use recordlog::{Append, Appended, LogError, Offset, RecordLog, TopicPartition, replay};
use runtime::{TopicNames, log_error, record};
use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, watch};
use types::{Error, Result};

/// The key of the record that says who leads the service.
const OWNER: &[u8] = b"owner";

/// Who leads the service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// No other process has or had it.
    token: String,
    /// Where its Postgres clients connect, if it says so: `host:port`.
    pub advertise: Option<String>,
}

/// The records that say who leads the service, in order.
#[derive(Default)]
struct Owners {
    next: Offset,
    last: Option<Owner>,
}

impl Owners {
    /// The last one there is.
    fn last(&mut self, log: &dyn RecordLog, names: &TopicNames) -> Result<Option<Owner>> {
        let topic = names.owner();
        if log.topic(&topic).map_err(log_error)?.is_some() {
            let partition = TopicPartition::new(topic, 0);
            let Owners { next, last } = self;
            *next = replay(log, &partition, *next, log_error, |record| {
                let damaged = |e| Error::corrupt(format!("{partition} is damaged at offset {}: {e}", record.offset));
                *last = record.value.map(serde_json::from_slice).transpose().map_err(damaged)?;
                Ok(())
            })?;
        }
        Ok(self.last.clone())
    }
}

/// Who leads the service of that id now; `None`: nobody ever did.
///
/// # Errors
/// The id is none; the log cannot be read.
pub async fn owner_of(log: &Arc<dyn RecordLog>, service: &str) -> Result<Option<Owner>> {
    let (log, names) = (log.clone(), TopicNames::of_service(service)?);
    apart(move || Owners::default().last(&*log, &names)).await
}

/// The topics by which the processes of the service of that id share its work: of one partition, for who leads, and of
/// `slots` partitions. Made if they are not there, as are the others of the service's own.
///
/// # Errors
/// The id is none; the topics cannot be made.
pub async fn service_topics(log: &Arc<dyn RecordLog>, service: &str, slots: u32) -> Result<(String, String)> {
    let names = TopicNames::of_service(service)?;
    crate::statements::create_topics(&**log, &names, slots).await?;
    Ok((names.owner(), names.tasks()))
}

/// Reading may wait for the cluster: not on a thread that others need.
pub(crate) async fn apart<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|e| Error::internal(format!("the log's reader broke off: {e}")))?
}

/// The service as this process knows it.
pub(crate) struct Service {
    log: Arc<dyn RecordLog>,
    names: TopicNames,
    own: Owner,
    state: Mutex<State>,
    leads: watch::Sender<bool>,
}

#[derive(Default)]
struct State {
    owners: Owners,
    /// A commit failed: the name has to be taken again before the next one.
    failed: bool,
}

impl Service {
    /// One that this process does not lead yet, unless the log is its own.
    pub fn new(log: Arc<dyn RecordLog>, names: TopicNames, advertise: Option<String>, host: &host::Host) -> Service {
        let is_shared = names.service_writer().is_some();
        let token = if is_shared { format!("{:016x}", host.random.next_u64()) } else { String::new() };
        let (own, leads) = (Owner { token, advertise }, watch::Sender::new(!is_shared));
        Service { log, names, own, state: Mutex::default(), leads }
    }

    /// Begin to lead.
    pub async fn take_over(&self, now_ms: i64) -> Result<()> {
        let Some(writer) = self.names.service_writer() else { return Ok(()) };
        let mut state = self.state.lock().await;
        self.log.take_over(&writer).await.map_err(log_error)?;
        state.failed = false;
        let value = serde_json::to_vec(&self.own).map_err(|e| Error::internal(e.to_string()))?;
        let batch = record(OWNER, Some(&value), now_ms)?;
        let partition = TopicPartition::new(self.names.owner(), 0);
        let commit =
            recordlog::Commit { appends: vec![Append { partition, batches: batch.into() }], writer: Some(writer) };
        wait(self.log.commit(commit)).await.map_err(log_error)?;
        self.leads.send_replace(true);
        Ok(())
    }

    /// Lead no more.
    pub fn step_down(&self) {
        if self.names.service_writer().is_some() {
            self.leads.send_replace(false);
        }
    }

    /// Whether this process leads, as far as it knows.
    pub fn leads(&self) -> bool {
        *self.leads.borrow()
    }

    /// Write something as the service, and wait until it is durable.
    pub async fn commit(&self, appends: Vec<Append>) -> Result<Vec<Appended>> {
        let Some(writer) = self.names.service_writer() else {
            return wait(self.log.commit(recordlog::Commit::of(appends))).await.map_err(log_error);
        };
        let mut state = self.state.lock().await;
        if !self.leads() {
            return Err(Error::unavailable("this process does not lead the service"));
        }
        if state.failed {
            self.look(&mut state).await?;
            self.log.take_over(&writer).await.map_err(log_error)?;
            state.failed = false;
        }
        let committed = wait(self.log.commit(recordlog::Commit { appends, writer: Some(writer) })).await;
        if committed.is_err() {
            state.failed = true;
        }
        if matches!(committed, Err(LogError::Fenced(_))) {
            self.look(&mut state).await?;
        }
        committed.map_err(log_error)
    }

    async fn look(&self, state: &mut State) -> Result<()> {
        let (log, names) = (self.log.clone(), self.names.clone());
        let mut owners = std::mem::take(&mut state.owners);
        let (owners, last) = apart(move || {
            let last = owners.last(&*log, &names);
            Ok((owners, last))
        })
        .await?;
        state.owners = owners;
        if last?.is_some_and(|last| last != self.own) {
            self.leads.send_replace(false);
            return Err(Error::unavailable("another process leads this service now"));
        }
        Ok(())
    }

    /// Wait until this process does not lead.
    pub async fn replaced(&self) {
        // The sender lives as long as this.
        let _ = self.leads.subscribe().wait_for(|leads| !leads).await;
    }
}

async fn wait(ticket: recordlog::CommitTicket) -> recordlog::Result<Vec<Appended>> {
    ticket.await.unwrap_or(Err(LogError::Closed))
}
