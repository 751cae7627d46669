//! Fetch: batches as they are stored, at once or when enough has come.

use std::{collections::HashMap, sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use futures::{StreamExt, stream::FuturesUnordered};
use kafka_protocol::{
    error::ResponseError,
    messages::{
        FetchRequest, FetchResponse, ProducerId, TopicName,
        fetch_response::{AbortedTransaction, FetchableTopicResponse, PartitionData},
    },
};
use recordlog::{Ends, Fetched, Isolation, LogError, RecordLog, StoredBatch};
use tokio::{sync::watch, time::Instant};
use uuid::Uuid;

use super::{
    Api, Reply,
    fetch_session::{Key, Session, Wanted},
    offset_for_leader_epoch::check_leader_epoch,
};
use crate::{
    call::{Call, text},
    error::Failure,
    wire::{
        budget::Share,
        shape::{
            Field,
            Kind::{Array, Fixed, List, Text},
            all, between, from,
        },
    },
};

/// Most bytes of records in one answer, unless a single batch is larger.
const FETCH_BYTES_MAX: usize = 16 << 20;
/// Longest that a request waits for records.
const WAIT_MAX: Duration = Duration::from_secs(60);
/// The first version that names topics by id.
const BY_ID_FROM_VERSION: i16 = 13;

/// See the module.
pub(crate) struct Fetch;

/// What came of a partition.
struct Read {
    /// Its place in the session.
    at: usize,
    outcome: Result<Fetched, (Failure, Option<Ends>)>,
}

impl Api for Fetch {
    type Request = FetchRequest;
    type Response = FetchResponse;
    const KEY: i16 = 1;
    const VERSIONS: (i16, i16) = (4, 17);
    const FIELDS: &'static [Field] = &[
        between(0, 14, Fixed(4)),
        all(Fixed(4)),
        all(Fixed(4)),
        all(Fixed(4)),
        all(Fixed(1)),
        from(7, Fixed(4)),
        from(7, Fixed(4)),
        all(Array(&[
            between(0, 12, Text),
            from(13, Fixed(16)),
            all(Array(&[
                all(Fixed(4)),
                from(9, Fixed(4)),
                all(Fixed(8)),
                from(12, Fixed(4)),
                from(5, Fixed(8)),
                all(Fixed(4)),
            ])),
        ])),
        from(7, Array(&[between(7, 12, Text), from(13, Fixed(16)), from(7, List(&Fixed(4)))])),
        from(11, Text),
    ];

    async fn handle(call: &Call, request: FetchRequest) -> Reply<FetchResponse> {
        let by_id = call.version() >= BY_ID_FROM_VERSION;
        let mut session = match call.broker.sessions.take(&call.broker, &request, by_id) {
            Ok(session) => session,
            Err(failure) => return Reply::from(FetchResponse::default().with_error_code(failure.code())),
        };
        let fetch = Fetching {
            call,
            isolation: if request.isolation_level == 1 { Isolation::Committed } else { Isolation::Uncommitted },
            bytes_max: usize::try_from(request.max_bytes).unwrap_or(0).min(FETCH_BYTES_MAX),
            bytes_min: usize::try_from(request.min_bytes).unwrap_or(0),
            wait: Duration::from_millis(u64::try_from(request.max_wait_ms).unwrap_or(0)).min(WAIT_MAX),
        };
        let (reads, share) = fetch.run(&session).await;
        let responses = respond(&mut session, reads, fetch.isolation, by_id);
        let response = FetchResponse::default().with_session_id(session.id).with_responses(responses);
        call.broker.sessions.keep(session);
        Reply::Now(response, share)
    }
}

/// A request's limits.
struct Fetching<'a> {
    call: &'a Call,
    isolation: Isolation,
    bytes_max: usize,
    bytes_min: usize,
    wait: Duration,
}

impl Fetching<'_> {
    /// Read until there is enough, something is wrong, or the time is over.
    async fn run(&self, session: &Session) -> (Vec<Read>, Share) {
        let deadline = Instant::now() + self.wait;
        let refused = self.refusals(session);
        let mut watches = self.watches(session);
        loop {
            watches.iter_mut().for_each(|watch| drop(watch.borrow_and_update()));
            let mut share = Share::default();
            if self.has_records(session) {
                share = self.call.broker.answers.take(self.bytes_max).await;
            }
            let reads = self.read(session, &refused);
            let bytes = reads.iter().filter_map(|read| read.outcome.as_ref().ok()).map(bytes_of).sum::<usize>();
            let wrong = reads.iter().any(|read| read.outcome.is_err());
            if wrong || bytes >= self.bytes_min || Instant::now() >= deadline {
                share.keep_only(bytes);
                return (reads, share);
            }
            drop((reads, share));
            let stop = &self.call.broker.stop;
            let mut changes: FuturesUnordered<_> = watches.iter_mut().map(watch::Receiver::changed).collect();
            tokio::select! {
                Some(_) = changes.next() => {}
                () = tokio::time::sleep_until(deadline) => {}
                () = stop.cancelled() => return (Vec::new(), Share::default()),
            }
        }
    }

    /// Partitions that the client gets nothing of, whatever they hold.
    fn refusals(&self, session: &Session) -> HashMap<usize, Failure> {
        let mut topics: HashMap<(Arc<str>, Uuid), Result<(), Failure>> = HashMap::new();
        let mut refused = HashMap::new();
        for (at, (key, wanted)) in session.partitions.iter().enumerate() {
            let topic = topics.entry((Arc::clone(&key.topic), key.id)).or_insert_with(|| self.check_topic(key));
            if let Err(failure) = topic.clone().and_then(|()| check_leader_epoch(wanted.leader_epoch)) {
                refused.insert(at, failure);
            }
        }
        refused
    }

    fn check_topic(&self, key: &Key) -> Result<(), Failure> {
        if key.topic.is_empty() {
            return Err(ResponseError::UnknownTopicId.into());
        }
        self.call.authorize_read(&key.topic)?;
        if !key.id.is_nil() && self.call.broker.log.topic(&key.topic).map(|topic| topic.id) != Some(key.id.as_u128()) {
            return Err(ResponseError::UnknownTopicId.into());
        }
        Ok(())
    }

    fn watches(&self, session: &Session) -> Vec<watch::Receiver<u64>> {
        let mut topics: Vec<&Arc<str>> = session.partitions.keys().map(|key| &key.topic).collect();
        topics.sort_unstable();
        topics.dedup();
        topics.into_iter().filter_map(|topic| self.call.broker.log.watch(topic).ok()).collect()
    }

    fn end(&self, ends: &Ends) -> i64 {
        if self.isolation == Isolation::Committed { ends.stable } else { ends.end }
    }

    fn has_records(&self, session: &Session) -> bool {
        session.partitions.iter().any(|(key, wanted)| {
            let ends = key.place().and_then(|place| self.call.broker.log.ends(&place).ok());
            ends.is_some_and(|ends| wanted.offset < self.end(&ends))
        })
    }

    /// What there is now, beginning with the partition whose turn it is.
    fn read(&self, session: &Session, refused: &HashMap<usize, Failure>) -> Vec<Read> {
        let count = session.partitions.len();
        let mut left = self.bytes_max;
        let mut any = false;
        let mut reads = Vec::with_capacity(count);
        for step in 0..count {
            let at = (session.turn + step) % count;
            let Some((key, wanted)) = session.partitions.get_index(at) else { continue };
            if let Some(failure) = refused.get(&at) {
                reads.push(Read { at, outcome: Err((failure.clone(), None)) });
                continue;
            }
            let mut outcome = self.read_one(key, wanted, left);
            if let Ok(fetched) = &mut outcome {
                // Only the answer's first batch may be over the limit.
                if any && bytes_of(fetched) > left {
                    fetched.batches.clear();
                    fetched.aborted.clear();
                }
                let bytes = bytes_of(fetched);
                any |= bytes > 0;
                left = left.saturating_sub(bytes);
            }
            reads.push(Read { at, outcome });
        }
        reads
    }

    fn read_one(&self, key: &Key, wanted: &Wanted, left: usize) -> Result<Fetched, (Failure, Option<Ends>)> {
        let unknown = || (Failure::from(ResponseError::UnknownTopicOrPartition), None);
        let place = key.place().ok_or_else(unknown)?;
        let log = &self.call.broker.log;
        let failed = |error: LogError| (Failure::from(error), None);
        if left == 0 {
            let ends = log.ends(&place).map_err(failed)?;
            return Ok(Fetched { ends, batches: Vec::new(), aborted: Vec::new() });
        }
        log.fetch(&place, wanted.offset, wanted.bytes_max.min(left), self.isolation).map_err(|error| {
            let ends = log.ends(&place).ok();
            (Failure::from(error), ends)
        })
    }
}

fn bytes_of(fetched: &Fetched) -> usize {
    fetched.batches.iter().map(|batch| batch.bytes.len()).sum()
}

/// The answer, by topic; of a session only what is news.
fn respond(session: &mut Session, reads: Vec<Read>, isolation: Isolation, by_id: bool) -> Vec<FetchableTopicResponse> {
    let mut topics: Vec<FetchableTopicResponse> = Vec::new();
    let mut places: HashMap<(Arc<str>, Uuid), usize> = HashMap::new();
    let count = session.partitions.len().max(1);
    let mut served = None;
    for read in reads {
        let Some((key, wanted)) = session.partitions.get_index_mut(read.at) else { continue };
        let data = partition_data(key.partition, &read.outcome, isolation);
        let now = (data.high_watermark, data.last_stable_offset, data.log_start_offset);
        let has_records = data.records.as_ref().is_some_and(|records| !records.is_empty());
        let is_news = has_records || read.outcome.is_err() || wanted.told != Some(now);
        wanted.told = read.outcome.is_ok().then_some(now);
        if has_records {
            served = Some(read.at);
        }
        if session.incremental && !is_news {
            continue;
        }
        let place = *places.entry((Arc::clone(&key.topic), key.id)).or_insert_with(|| {
            let topic = FetchableTopicResponse::default();
            topics.push(match by_id {
                true => topic.with_topic_id(key.id),
                false => topic.with_topic(TopicName(text(&key.topic))),
            });
            topics.len() - 1
        });
        if let Some(topic) = topics.get_mut(place) {
            topic.partitions.push(data);
        }
    }
    session.turn = served.map_or(session.turn, |at| at + 1) % count;
    topics
}

fn partition_data(
    index: i32,
    outcome: &Result<Fetched, (Failure, Option<Ends>)>,
    isolation: Isolation,
) -> PartitionData {
    let data = PartitionData::default().with_partition_index(index);
    match outcome {
        Ok(fetched) => {
            let aborted = fetched.aborted.iter().map(|aborted| {
                AbortedTransaction::default()
                    .with_producer_id(ProducerId(aborted.producer_id))
                    .with_first_offset(aborted.first_offset)
            });
            with_ends(data, &fetched.ends)
                .with_aborted_transactions((isolation == Isolation::Committed).then(|| aborted.collect()))
                .with_records(Some(joined(&fetched.batches)))
        }
        Err((failure, ends)) => {
            let data = match ends {
                Some(ends) => with_ends(data, ends),
                None => data.with_high_watermark(-1).with_last_stable_offset(-1).with_log_start_offset(-1),
            };
            data.with_error_code(failure.code()).with_aborted_transactions(None).with_records(Some(Bytes::new()))
        }
    }
}

fn with_ends(data: PartitionData, ends: &Ends) -> PartitionData {
    data.with_high_watermark(ends.end).with_last_stable_offset(ends.stable).with_log_start_offset(ends.start)
}

fn joined(batches: &[StoredBatch]) -> Bytes {
    match batches {
        [] => Bytes::new(),
        [one] => one.bytes.clone(),
        many => {
            let mut bytes = BytesMut::with_capacity(many.iter().map(|batch| batch.bytes.len()).sum());
            many.iter().for_each(|batch| bytes.extend_from_slice(&batch.bytes));
            bytes.freeze()
        }
    }
}
