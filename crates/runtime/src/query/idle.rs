//! EMIT FINAL … IDLE TIMEOUT: windows that close because no record comes.
//!
//! Only stream time closes windows, so it is made to go on: an epoch without records moves it to the end of the first open
//! window, then to that of the next, up to the last. It is committed with the results like that of any other epoch, and
//! what comes for those windows later is late, whoever runs the query then.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use operators::SUB_BITS;
use types::Result;

use super::{Epoch, Fetched, Query, SourceReader, fetch::Decoder};
use crate::{graph::NodeId, headers::HeaderBook};

/// Stream time that goes on without records, by operator: at which order to which time, ascending.
pub(super) type Steps = BTreeMap<NodeId, Vec<(u64, i64)>>;

impl Query {
    /// Close the windows whose IDLE TIMEOUT is over, as an epoch without records; `None` when there are none. To be
    /// asked when there was nothing to run an epoch on.
    pub fn run_idle_epoch(&mut self) -> Result<Option<Epoch>> {
        let quiet = self.quiet();
        let due: Vec<NodeId> = self.waiting().filter(|(_, timeout)| *timeout <= quiet).map(|(at, _)| at).collect();
        let mut steps = Steps::new();
        for at in due {
            let mut times = BTreeSet::new();
            let operators = self.tasks.iter().flatten().filter_map(|t| t.operators.get(&at));
            operators.for_each(|o| {
                o.closings(&mut |time| {
                    times.insert(time);
                })
            });
            // One window closes after the other, as if a record came just at its end: behind all that has come, and
            // before all that is to come.
            let end = self.log.arrival_end().unwrap_or_else(|| self.numbers.reserve(1) + 1);
            let first = (end << SUB_BITS).saturating_sub(times.len() as u64);
            steps.insert(at, (first..).zip(times).collect());
        }
        if steps.is_empty() {
            return Ok(None);
        }
        let started = self.host.clock.monotonic();
        let fetched = self.readers.iter_mut().map(nothing).collect::<Result<_>>()?;
        self.epoch_of(fetched, &steps, started).map(Some)
    }

    /// In how long there will be something for [`Query::run_idle_epoch`] if no record comes until then.
    pub fn idle_in(&self) -> Option<Duration> {
        let quiet = self.quiet();
        self.waiting().map(|(_, timeout)| timeout.saturating_sub(quiet)).min()
    }

    /// How long no record has come.
    fn quiet(&self) -> Duration {
        self.host.clock.monotonic().saturating_sub(self.fed)
    }

    /// The operators that have windows to close, with their IDLE TIMEOUT.
    fn waiting(&self) -> impl Iterator<Item = (NodeId, Duration)> {
        let timeouts = self.graph.nodes.iter().enumerate().filter_map(|(at, n)| Some((at, n.idle_ms?)));
        let timeouts = timeouts.map(|(at, ms)| (at, Duration::from_millis(ms.unsigned_abs())));
        timeouts.filter(|(at, _)| {
            let mut waits = false;
            let operators = self.tasks.iter().flatten().filter_map(|t| t.operators.get(at));
            operators.for_each(|o| o.closings(&mut |_| waits = true));
            waits
        })
    }
}

/// What an epoch without records reads of a partition.
fn nothing(source: &mut SourceReader) -> Result<Fetched> {
    let taken = source.reader.take_none();
    let SourceReader { node, reader, rows } = source;
    let (partition, mut reports) = (reader.partition.clone(), vec![]);
    let rows = match rows {
        Decoder::Source(rows) => rows.read(&partition, &taken, &mut reports)?,
        Decoder::Exchange(rows) => rows.read(&partition, &taken, &mut reports)?,
    };
    let headers = HeaderBook::default();
    Ok(Fetched { node: *node, partition, read: taken.range(), rows, left_out: 0, reports, headers })
}
