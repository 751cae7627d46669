//! Talking to a broker in its own words: a connection, over which one request is answered after the other.
//!
//! librdkafka gives and takes messages one by one; what reads and writes partitions has batches, so it asks brokers
//! itself. Everything else (ends, topics, groups) is librdkafka's. Both take the same settings.

mod connection;
mod known;
mod led;
mod rooms;
mod sasl;
mod tls;

use kafka_protocol::ResponseError;

use connection::Dialer;
pub(crate) use connection::{ANSWER_WAIT, Connection, Pending};
pub(crate) use known::{Brokers, Wire};
pub(crate) use led::{Leader, Leadership, Led};

/// What a broker's error says: the words of its name.
pub(crate) fn words(error: ResponseError) -> String {
    let mut words = String::new();
    for letter in error.to_string().chars() {
        if letter.is_ascii_uppercase() && words.ends_with(|last: char| last.is_ascii_lowercase()) {
            words.push(' ');
        }
        words.push(letter.to_ascii_lowercase());
    }
    words
}
