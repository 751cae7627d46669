//! A producer, and where what it sends has landed.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use parking_lot::Mutex;
use rdkafka::{
    ClientContext, Message as _, Timestamp,
    config::{ClientConfig, RDKafkaLogLevel},
    error::{KafkaError, RDKafkaErrorCode},
    message::{DeliveryResult, Header, OwnedHeaders},
    producer::{BaseProducer, BaseRecord, Producer as _, ProducerContext},
};
use recordlog::{Append, Appended, LogError, Offset, Result, TopicPartition, batch::Record};

use crate::{client::Reporting, commits, ends, errors};

/// Wait for room when the producer holds as much as it may.
const ROOM_WAIT: Duration = Duration::from_millis(10);
/// Between two looks for deliveries. (The wrapper's wait for one keeps a core busy for its last millisecond.)
const LOOK_PAUSE: Duration = Duration::from_micros(200);
/// Deliveries are looked at after so many records.
const RECORDS_A_LOOK: u32 = 4096;

/// What became of the appends that are under way.
#[derive(Default)]
struct Deliveries {
    /// Of each append, where its first record landed and the broker's time if it counts.
    places: Vec<Option<(Offset, i64)>>,
    failure: Option<LogError>,
}

/// Notes deliveries; a record's mark is its append's number plus one if it is the first of it, else 0.
struct Noting {
    reporting: Reporting,
    deliveries: Arc<Mutex<Deliveries>>,
}

impl ClientContext for Noting {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.reporting.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.reporting.error(error, reason);
    }
}

impl ProducerContext for Noting {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, mark: usize) {
        match result {
            Ok(message) => {
                let Some(append) = mark.checked_sub(1) else { return };
                let time = match message.timestamp() {
                    Timestamp::LogAppendTime(time) => time,
                    _ => -1,
                };
                if let Some(place) = self.deliveries.lock().places.get_mut(append) {
                    *place = Some((message.offset(), time));
                }
            }
            Err((error, message)) => {
                let mut deliveries = self.deliveries.lock();
                if deliveries.failure.is_none() {
                    let place = format!("{}-{}", message.topic(), message.partition());
                    deliveries.failure = Some(match error.rdkafka_error_code() {
                        // What was not sent because something else had failed says nothing.
                        Some(RDKafkaErrorCode::PurgeQueue | RDKafkaErrorCode::PurgeInflight) => return,
                        Some(code) => errors::of_topic(message.topic(), &format!("writing to {place}"), code),
                        None => errors::of(&format!("writing to {place}"), error),
                    });
                }
            }
        }
    }
}

/// A producer of one thread.
pub(crate) struct Producer {
    client: BaseProducer<Noting>,
    deliveries: Arc<Mutex<Deliveries>>,
}

impl Producer {
    /// As configured.
    pub fn new(config: &ClientConfig, reporting: Reporting) -> Result<Producer> {
        let deliveries = Arc::new(Mutex::new(Deliveries::default()));
        let noting = Noting { reporting, deliveries: Arc::clone(&deliveries) };
        let client = config.create_with_context(noting).map_err(|e| errors::of("making a client that writes", &e))?;
        Ok(Producer { client, deliveries })
    }

    /// Hand over the records of some appends, in order; deliveries of earlier ones are forgotten. Waits while the
    /// producer holds as much as it may.
    pub fn send(&self, appends: &[&Append]) -> Result<()> {
        let places = vec![None; appends.len()];
        *self.deliveries.lock() = Deliveries { places, failure: None };
        let mut sent = 0_u32;
        for (at, append) in appends.iter().enumerate() {
            let partition = ends::number(&append.partition)?;
            let mut mark = at + 1;
            commits::each_record(append, |record| {
                self.send_one(&append.partition, partition, record, mark)?;
                mark = 0;
                sent = sent.wrapping_add(1);
                if sent.is_multiple_of(RECORDS_A_LOOK) {
                    self.client.poll(Duration::ZERO);
                }
                Ok(())
            })?;
        }
        Ok(())
    }

    fn send_one(&self, place: &TopicPartition, partition: i32, record: &Record<'_>, mark: usize) -> Result<()> {
        let mut message: BaseRecord<'_, [u8], [u8], usize> =
            BaseRecord::with_opaque_to(&place.topic, mark).partition(partition);
        (message.key, message.payload) = (record.key, record.value);
        // librdkafka takes 0 for "now".
        message.timestamp = Some(if record.timestamp_ms == 0 { 1 } else { record.timestamp_ms });
        if record.headers.remaining() > 0 {
            message.headers = Some(headers(record)?);
        }
        loop {
            match self.client.send(message) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    self.client.poll(ROOM_WAIT);
                    message = back;
                }
                Err((error, _)) => {
                    return Err(match error.rdkafka_error_code() {
                        Some(RDKafkaErrorCode::UnknownPartition) => LogError::UnknownPartition(place.clone()),
                        Some(code) => errors::of_topic(&place.topic, &format!("writing to {place}"), code),
                        None => errors::of(&format!("writing to {place}"), &error),
                    });
                }
            }
        }
    }

    /// Wait until all was delivered or has failed. (The wrapper's own way to wait sleeps for a tenth of a second.)
    pub fn flush(&self, timeout: Duration) -> Result<()> {
        self.wait(timeout, || false)
    }

    /// Wait until all was delivered or something has failed. In a transaction librdkafka keeps what is behind a failed
    /// record until the transaction is aborted, or until its time is up and the cluster has shut the producer out.
    pub fn flush_or_fail(&self, timeout: Duration) -> Result<()> {
        self.wait(timeout, || self.deliveries.lock().failure.is_some())
    }

    fn wait(&self, timeout: Duration, is_enough: impl Fn() -> bool) -> Result<()> {
        let mut looks = timeout.as_micros() / LOOK_PAUSE.as_micros();
        while looks > 0 {
            let in_flight = self.client.in_flight_count();
            if in_flight == 0 || is_enough() {
                return self.failure().map_or(Ok(()), Err);
            }
            self.client.poll(Duration::ZERO);
            if self.client.in_flight_count() == in_flight {
                thread::sleep(LOOK_PAUSE);
                looks -= 1;
            }
        }
        Err(LogError::Unavailable(format!("records were not written within {timeout:?}")))
    }

    /// Why a record was not delivered.
    pub fn failure(&self) -> Option<LogError> {
        self.deliveries.lock().failure.clone()
    }

    /// Where the appends landed, once all are delivered.
    pub fn landed(&self, appends: &[&Append]) -> Vec<Appended> {
        let deliveries = self.deliveries.lock();
        let of = |(append, place): (&&Append, &Option<(Offset, i64)>)| {
            let (base_offset, append_time_ms) = place.unwrap_or((-1, -1));
            Appended { base_offset, record_count: commits::record_count(append), arrival: 0, append_time_ms }
        };
        appends.iter().zip(&deliveries.places).map(of).collect()
    }

    /// Become the producer of its transactional name.
    pub fn init(&self, timeout: Duration) -> Result<(), KafkaError> {
        self.client.init_transactions(timeout)
    }

    /// Begin a transaction.
    pub fn begin(&self) -> Result<(), KafkaError> {
        self.client.begin_transaction()
    }

    /// End it well.
    pub fn commit(&self, timeout: Duration) -> Result<(), KafkaError> {
        self.client.commit_transaction(timeout)
    }

    /// Undo it. librdkafka drops what was not sent, in a way that leaves no gap in the records' numbers (a gap would
    /// cost the producer its epoch), and waits for what is on its way; meanwhile deliveries have to be taken from it.
    pub fn abort(&self, timeout: Duration) -> Result<(), KafkaError> {
        let is_done = AtomicBool::new(false);
        let take = || {
            while !is_done.load(Ordering::Relaxed) {
                self.client.poll(Duration::ZERO);
                thread::sleep(LOOK_PAUSE);
            }
        };
        thread::scope(|scope| {
            // Without the thread the abort takes too long, which is an error that is told.
            let _ = thread::Builder::new().name("kafka-abort".to_owned()).spawn_scoped(scope, take);
            let result = self.client.abort_transaction(timeout);
            is_done.store(true, Ordering::Relaxed);
            result
        })
    }
}

fn headers(record: &Record<'_>) -> Result<OwnedHeaders> {
    let mut all = OwnedHeaders::new_with_capacity(usize::try_from(record.headers.remaining()).unwrap_or(0).min(64));
    for header in record.headers {
        let header = header.map_err(|e| LogError::BadBatch(e.to_string()))?;
        let name = std::str::from_utf8(header.name).ok().filter(|name| !name.contains('\0'));
        let key = name.ok_or_else(|| LogError::BadBatch("a header's name is not text".to_owned()))?;
        all = all.insert(Header { key, value: header.value });
    }
    Ok(all)
}
