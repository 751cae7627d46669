//! The log on a cluster, against the project's own listener in process and, where `MILLSTREAM_TEST_KAFKA` names one
//! (`host:port`), against a cluster of Apache Kafka. One binary: it is linked once.

#![allow(clippy::unwrap_used, missing_docs)]

mod away;
mod cut;
mod model;
mod reading;
mod records;
mod seat;
mod secured;
mod slots;
mod support;
mod topics;
mod transactions;
