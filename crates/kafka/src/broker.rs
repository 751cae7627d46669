//! Talking to a broker in its own words: a connection, over which one request is answered after the other.
//!
//! librdkafka gives messages one by one; what reads partitions wants batches as they are stored, so it asks brokers
//! itself. Everything else (ends, topics, writing) is librdkafka's. Both take the same settings.

mod connection;
mod sasl;
mod tls;

pub(crate) use connection::{ANSWER_WAIT, Connection, Dialer};
