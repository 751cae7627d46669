//! The clients that fetch, and which of them fetches which partition.
//!
//! A client of librdkafka fetches a partition once, so readers at several places of one partition sit in several
//! clients. How much a client fetches ahead is set when it is made, for each of its partitions alike: the first one
//! has few seats with much room, each further one twice the seats with half the room. So a few partitions are read as
//! fast as can be, thousands fit, and the whole stays below [`CLIENTS_MAX`] times [`CLIENT_BYTES`].

use std::{collections::HashSet, sync::Arc};

use parking_lot::Mutex;
use recordlog::{LogError, Offset, Result, TopicPartition};

use crate::{
    client::Reporting,
    config::ClusterConfig,
    ends, errors,
    native::{Client, Feed, OnData},
};

/// Partitions that the first client fetches at most.
const FIRST_SEATS: usize = 16;
/// Records that a client fetches ahead at most, bytes; what one fetch brings on top comes to half of that.
const CLIENT_BYTES: usize = 64 << 20;
/// Most clients, and so most places at which one partition is read at a time.
pub(crate) const CLIENTS_MAX: usize = 8;

/// A client and what it fetches.
struct Fetcher {
    client: Arc<Client>,
    taken: HashSet<TopicPartition>,
}

/// All clients that fetch.
pub(crate) struct Fetchers {
    config: ClusterConfig,
    reporting: Reporting,
    clients: Mutex<Vec<Fetcher>>,
}

/// A partition fetched by one of the clients.
pub(crate) struct Lease {
    // Given back before the seat is.
    pub feed: Feed,
    _seat: Seat,
}

/// A partition's place in a client; given back when dropped.
struct Seat {
    fetchers: Arc<Fetchers>,
    client: usize,
    partition: TopicPartition,
}

impl Drop for Seat {
    fn drop(&mut self) {
        if let Some(fetcher) = self.fetchers.clients.lock().get_mut(self.client) {
            fetcher.taken.remove(&self.partition);
        }
    }
}

/// Partitions that the client of that number fetches at most.
fn seats(client: usize) -> usize {
    FIRST_SEATS << client
}

impl Fetchers {
    /// No client yet.
    pub fn new(config: ClusterConfig, reporting: Reporting) -> Fetchers {
        Fetchers { config, reporting, clients: Mutex::new(Vec::new()) }
    }

    /// Begin to fetch a partition from an offset on. `None`: all seats are taken.
    pub fn open(self: &Arc<Self>, partition: &TopicPartition, from: Offset, on_data: OnData) -> Result<Option<Lease>> {
        let Some((client, seat)) = self.seat(partition)? else { return Ok(None) };
        let feed = Feed::open(&client, &partition.topic, ends::number(partition)?, from, on_data);
        let feed = feed.map_err(|code| errors::of_topic(&partition.topic, "beginning to read it", code))?;
        Ok(Some(Lease { feed, _seat: seat }))
    }

    fn seat(self: &Arc<Self>, partition: &TopicPartition) -> Result<Option<(Arc<Client>, Seat)>> {
        let mut clients = self.clients.lock();
        let free = |(at, f): &(usize, &Fetcher)| f.taken.len() < seats(*at) && !f.taken.contains(partition);
        let at = match clients.iter().enumerate().find(free) {
            Some((at, _)) => at,
            None if clients.len() >= CLIENTS_MAX => return Ok(None),
            None => {
                let config = self.config.fetcher(CLIENT_BYTES / seats(clients.len()));
                let client = config.create_with_context(self.reporting.clone());
                let client: Client = client.map_err(|e| errors::of("making a client that reads", &e))?;
                clients.push(Fetcher { client: Arc::new(client), taken: HashSet::new() });
                clients.len() - 1
            }
        };
        let Some(fetcher) = clients.get_mut(at) else { return Ok(None) };
        fetcher.taken.insert(partition.clone());
        let seat = Seat { fetchers: Arc::clone(self), client: at, partition: partition.clone() };
        Ok(Some((Arc::clone(&fetcher.client), seat)))
    }

    /// Let the clients say what they have to say.
    pub fn serve(&self) {
        let clients: Vec<Arc<Client>> = self.clients.lock().iter().map(|f| Arc::clone(&f.client)).collect();
        clients.iter().for_each(|client| serve(client));
    }
}

/// Let a client say what it has to say.
pub(crate) fn serve(client: &Client) {
    use std::time::Duration;
    // Messages go to queues of their own; what is here are errors, which the client's context has seen already.
    while client.poll(Duration::ZERO).is_some() {}
}

/// That a partition cannot be read now for want of a seat.
pub(crate) fn full(partition: &TopicPartition) -> LogError {
    LogError::Unavailable(format!("{partition}: too many partitions are read at a time"))
}
