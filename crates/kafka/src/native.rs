//! What librdkafka can do and its safe wrapper does not reach: messages of one partition taken many at a time, the
//! offset at which a partition ended, marks of transactions stepped over, watermarks that a fetch brought, topics' ids.
//!
//! The only module with `unsafe`. What holds throughout: handles are made and given back by their owner ([`Feed`],
//! [`Described`]) alone, they keep the client that they belong to, and librdkafka's functions on them are thread-safe;
//! a message's bytes are borrowed only until it is given back, at the end of the same call.
#![allow(unsafe_code)]

use std::{
    borrow::Cow,
    ffi::{CStr, CString, c_void},
    ptr, slice,
    sync::Arc,
    time::Duration,
};

use rdkafka::{
    bindings::*,
    consumer::{BaseConsumer, Consumer},
    error::RDKafkaErrorCode,
};

use crate::{client::Reporting, errors::is_transient};

/// A client that fetches or asks.
pub(crate) type Client = BaseConsumer<Reporting>;

/// Messages that one call takes at most.
const MESSAGES_MAX: usize = 1024;

/// A record as it came.
pub(crate) struct Message<'a> {
    pub offset: i64,
    pub time_ms: i64,
    pub key: Option<&'a [u8]>,
    pub value: Option<&'a [u8]>,
    raw: *mut rd_kafka_message_t,
}

/// What a partition's queue holds.
pub(crate) enum Item<'a> {
    /// A record.
    Message(Message<'a>),
    /// The partition ended there when it was last fetched.
    End(i64),
    /// The broker's or librdkafka's words.
    Failed(RDKafkaErrorCode, String),
}

/// A named value of a record.
pub(crate) type Header<'a> = (Cow<'a, str>, Option<&'a [u8]>);

impl Message<'_> {
    /// The record's headers.
    pub fn headers(&self) -> Vec<Header<'_>> {
        let mut headers = Vec::new();
        let mut all = ptr::null_mut();
        // SAFETY: `raw` lives as long as `self`; the headers belong to it, and so do names and values.
        unsafe {
            if rd_kafka_message_headers(self.raw, &mut all) != rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
                return headers;
            }
            for index in 0..rd_kafka_header_cnt(all) {
                let (mut name, mut value, mut size) = (ptr::null(), ptr::null(), 0);
                let found = rd_kafka_header_get_all(all, index, &mut name, &mut value, &mut size);
                if found != rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR || name.is_null() {
                    break;
                }
                headers.push((CStr::from_ptr(name).to_string_lossy(), bytes(value, size)));
            }
        }
        headers
    }
}

/// The bytes at `data`; `None` where it points nowhere.
///
/// # Safety
/// `data` is null or points to `length` bytes that live as long as `'a`.
unsafe fn bytes<'a>(data: *const c_void, length: usize) -> Option<&'a [u8]> {
    // SAFETY: as the caller promises.
    (!data.is_null()).then(|| unsafe { slice::from_raw_parts(data.cast(), length) })
}

/// A partition being fetched, with a queue of its own.
pub(crate) struct Feed {
    client: Arc<Client>,
    name: CString,
    topic: *mut rd_kafka_topic_t,
    queue: *mut rd_kafka_queue_t,
    partition: i32,
    taken: Vec<*mut rd_kafka_message_t>,
    /// Called by librdkafka when the queue stops being empty: `queue` points to it.
    _on_data: Box<OnData>,
}

/// What to do when data has come. Called in a thread of librdkafka's: it must not wait.
pub(crate) type OnData = Box<dyn Fn() + Send + Sync>;

// SAFETY: topic, queue and messages are librdkafka's, which locks what threads share.
unsafe impl Send for Feed {}

unsafe extern "C" fn data_came(_: *mut rd_kafka_t, on_data: *mut c_void) {
    // SAFETY: `on_data` is the address of a feed's box, which the feed drops after it has silenced the queue.
    let on_data = unsafe { &*on_data.cast::<OnData>() };
    on_data();
}

impl Feed {
    /// Begin to fetch a partition from an offset on. `client` must not fetch it already.
    pub fn open(
        client: &Arc<Client>,
        topic: &str,
        partition: i32,
        from: i64,
        on_data: OnData,
    ) -> Result<Feed, RDKafkaErrorCode> {
        let name = CString::new(topic).map_err(|_| RDKafkaErrorCode::InvalidTopic)?;
        let on_data = Box::new(on_data);
        let rk = client.client().native_ptr();
        // SAFETY: `rk` lives in `client`, which the feed keeps; topic and queue are given back in `drop`, the box that
        // the callback gets stays where it is until then.
        unsafe {
            let topic = rd_kafka_topic_new(rk, name.as_ptr(), ptr::null_mut());
            if topic.is_null() {
                return Err(rd_kafka_last_error().into());
            }
            let queue = rd_kafka_queue_new(rk);
            rd_kafka_queue_cb_event_enable(queue, Some(data_came), ptr::from_ref(&*on_data).cast_mut().cast());
            let taken = vec![ptr::null_mut(); MESSAGES_MAX];
            let feed = Feed { client: Arc::clone(client), name, topic, queue, partition, taken, _on_data: on_data };
            if rd_kafka_consume_start_queue(topic, partition, from, queue) != 0 {
                return Err(rd_kafka_last_error().into());
            }
            Ok(feed)
        }
    }

    /// Hand what has come to `each`, until it says no (what is left of this round is handed over all the same) or
    /// nothing is there; wait at most `timeout` for the first. Gives how many there were.
    pub fn take(&mut self, timeout: Duration, mut each: impl FnMut(Item<'_>) -> bool) -> usize {
        let mut all = 0;
        // With a time to wait librdkafka fills the whole of its room, so only one is waited for.
        let mut room = if timeout.is_zero() { MESSAGES_MAX } else { 1 };
        let mut timeout = timeout;
        loop {
            // SAFETY: there is room for that many.
            let count =
                unsafe { rd_kafka_consume_batch_queue(self.queue, millis(timeout), self.taken.as_mut_ptr(), room) };
            let count = usize::try_from(count).unwrap_or(0).min(room);
            let mut more = true;
            for raw in self.taken.iter().take(count).copied() {
                // SAFETY: librdkafka has just handed it over; it is given back here and nowhere else.
                unsafe {
                    more &= each(item(raw));
                    rd_kafka_message_destroy(raw);
                }
            }
            all += count;
            if count < room || !more {
                return all;
            }
            (timeout, room) = (Duration::ZERO, MESSAGES_MAX);
        }
    }

    /// One past the last offset that was taken, marks of transactions included; `None` before the first.
    pub fn position(&self) -> Option<i64> {
        // SAFETY: the list is made, filled and given back here; librdkafka fills in the offset of its only element.
        unsafe {
            let list = rd_kafka_topic_partition_list_new(1);
            rd_kafka_topic_partition_list_add(list, self.name.as_ptr(), self.partition);
            let result = rd_kafka_position(self.client.client().native_ptr(), list);
            let place = (*list).elems;
            let known = result == rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR && !place.is_null();
            let offset = known.then(|| (*place).offset).filter(|offset| *offset >= 0);
            rd_kafka_topic_partition_list_destroy(list);
            offset
        }
    }

    /// First offset and high watermark as of the last fetch.
    pub fn watermarks(&self) -> Option<(i64, i64)> {
        let (mut low, mut high) = (-1, -1);
        // SAFETY: both places are ours.
        let result = unsafe {
            let rk = self.client.client().native_ptr();
            rd_kafka_get_watermark_offsets(rk, self.name.as_ptr(), self.partition, &mut low, &mut high)
        };
        let known = result == rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR && low >= 0 && high >= 0;
        known.then_some((low, high))
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        // SAFETY: topic and queue are ours, nobody uses them any more. Silencing the queue waits for a callback that
        // runs, so the box may go afterwards.
        unsafe {
            rd_kafka_queue_cb_event_enable(self.queue, None, ptr::null_mut());
            rd_kafka_consume_stop(self.topic, self.partition);
            rd_kafka_queue_destroy(self.queue);
            rd_kafka_topic_destroy(self.topic);
        }
    }
}

/// # Safety
/// `raw` is a message that was handed over and not given back, and lives as long as `'a`.
unsafe fn item<'a>(raw: *mut rd_kafka_message_t) -> Item<'a> {
    // SAFETY: as the caller promises; a failure's payload is its text.
    unsafe {
        let message = &*raw;
        match message.err {
            rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR => {
                let mut kind = rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
                Item::Message(Message {
                    offset: message.offset,
                    time_ms: rd_kafka_message_timestamp(raw, &mut kind),
                    key: bytes(message.key, message.key_len),
                    value: bytes(message.payload, message.len),
                    raw,
                })
            }
            rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR__PARTITION_EOF => Item::End(message.offset),
            error => Item::Failed(error.into(), text(rd_kafka_message_errstr(raw))),
        }
    }
}

/// # Safety
/// `words` is null or ends with a zero.
unsafe fn text(words: *const std::ffi::c_char) -> String {
    // SAFETY: as the caller promises.
    if words.is_null() { String::new() } else { unsafe { CStr::from_ptr(words) }.to_string_lossy().into_owned() }
}

fn millis(timeout: Duration) -> i32 {
    i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX)
}

/// A topic as the cluster describes it.
pub(crate) struct Described {
    pub name: String,
    pub id: u128,
    pub partitions: u32,
    pub replicas: u16,
}

/// Ask what topics of these names are: those that are not there are left out.
pub(crate) fn describe_topics(
    client: &Client,
    names: &[&str],
    timeout: Duration,
) -> Result<Vec<Described>, (RDKafkaErrorCode, String)> {
    let names: Vec<CString> = names.iter().filter_map(|name| CString::new(*name).ok()).collect();
    let mut pointers: Vec<*const std::ffi::c_char> = names.iter().map(|name| name.as_ptr()).collect();
    if pointers.is_empty() {
        return Ok(vec![]);
    }
    let rk = client.client().native_ptr();
    // SAFETY: everything made here is given back here; the result belongs to the event, which goes last.
    unsafe {
        let topics = rd_kafka_TopicCollection_of_topic_names(pointers.as_mut_ptr(), pointers.len());
        let options = rd_kafka_AdminOptions_new(rk, rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS);
        rd_kafka_AdminOptions_set_request_timeout(options, millis(timeout), ptr::null_mut(), 0);
        let queue = rd_kafka_queue_new(rk);
        rd_kafka_DescribeTopics(rk, topics, options, queue);
        // The request itself times out: the event comes.
        let event = rd_kafka_queue_poll(queue, -1);
        rd_kafka_AdminOptions_destroy(options);
        rd_kafka_TopicCollection_destroy(topics);
        let described = described(event);
        rd_kafka_event_destroy(event);
        rd_kafka_queue_destroy(queue);
        described
    }
}

/// # Safety
/// `event` is null or the outcome of `rd_kafka_DescribeTopics`.
unsafe fn described(event: *mut rd_kafka_event_t) -> Result<Vec<Described>, (RDKafkaErrorCode, String)> {
    // SAFETY: as the caller promises; arrays have the length that comes with them.
    unsafe {
        let error = rd_kafka_event_error(event);
        if error != rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
            return Err((error.into(), text(rd_kafka_event_error_string(event))));
        }
        let mut count = 0;
        let topics = rd_kafka_DescribeTopics_result_topics(rd_kafka_event_DescribeTopics_result(event), &mut count);
        let mut all = Vec::with_capacity(count);
        for topic in list(topics, count) {
            let error: RDKafkaErrorCode = rd_kafka_error_code(rd_kafka_TopicDescription_error(*topic)).into();
            if is_transient(error) {
                return Err((error, text(rd_kafka_TopicDescription_name(*topic))));
            }
            if error != RDKafkaErrorCode::NoError {
                continue;
            }
            let id = rd_kafka_TopicDescription_topic_id(*topic);
            let (high, low) = (rd_kafka_Uuid_most_significant_bits(id), rd_kafka_Uuid_least_significant_bits(id));
            let mut partitions = 0;
            let first = rd_kafka_TopicDescription_partitions(*topic, &mut partitions);
            let mut replicas = 0;
            if let Some(first) = list(first, partitions).first() {
                rd_kafka_TopicPartitionInfo_replicas(*first, &mut replicas);
            }
            all.push(Described {
                name: text(rd_kafka_TopicDescription_name(*topic)),
                id: (u128::from(high.cast_unsigned()) << 64) | u128::from(low.cast_unsigned()),
                partitions: u32::try_from(partitions).unwrap_or(u32::MAX),
                replicas: u16::try_from(replicas).unwrap_or(u16::MAX),
            });
        }
        Ok(all)
    }
}

/// # Safety
/// `first` is null or points to `count` elements that live as long as `'a`.
unsafe fn list<'a, T>(first: *const T, count: usize) -> &'a [T] {
    // SAFETY: as the caller promises.
    if first.is_null() { &[] } else { unsafe { slice::from_raw_parts(first, count) } }
}
