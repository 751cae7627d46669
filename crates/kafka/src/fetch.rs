//! Fetching partitions: batches come as brokers store them, and wait in bounded queues for who reads.
//!
//! A [`Lane`] fetches a partition at one place. It keeps one fetch on its way to each broker ([`rounds`]) that leads a
//! partition ([`leaders`]); what an answer brings is checked and freed of what no reader may see ([`answer`]) and goes
//! to the partition's queue ([`place`]).

mod answer;
mod lane;
mod leaders;
mod place;
mod rounds;

pub(crate) use lane::Lane;
pub(crate) use place::{Feed, OnData};
