//! What librdkafka can do and its safe wrapper does not reach: topics' ids.
//!
//! The only module with `unsafe`. Handles are made and given back in one call.
#![allow(unsafe_code)]

use std::{
    ffi::{CStr, CString},
    ptr, slice,
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
