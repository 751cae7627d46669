//! A query that is one task: which nodes and partitions are its own, what it writes for the stage behind, and what it is
//! done with.

use std::{collections::VecDeque, ops::Range, sync::Arc};

use operators::Report;
use recordlog::{Append, Offset, TopicPartition};
use types::{Error, Result};

use super::{Query, SourceReader, fetch::Decoder, segment::Outputs, tasks::topics_of_tasks};
use crate::{
    headers::HeaderBook,
    log_error,
    repartition::{PACKED_MAX, RepartitionWriter},
};

/// How far a task's repartition topics are done with: committed.
#[derive(Default)]
pub(super) struct Consumed {
    done: Vec<(TopicPartition, Offset)>,
    /// Where reading stood at the end of epochs that are not committed yet.
    waiting: VecDeque<(u64, Vec<(TopicPartition, Offset)>)>,
}

impl Consumed {
    /// Reading begins here: what is before was committed.
    pub fn begin(&mut self, readers: &[SourceReader]) {
        (self.done, self.waiting) = (positions(readers), VecDeque::new());
    }

    /// The log has committed the epoch.
    pub fn committed(&mut self, epoch: u64) {
        while let Some((_, positions)) = self.waiting.pop_front_if(|(of, _)| *of <= epoch) {
            self.done = positions;
        }
    }
}

/// Where the reading of repartition topics stands.
fn positions(readers: &[SourceReader]) -> Vec<(TopicPartition, Offset)> {
    let exchanges = readers.iter().filter(|r| matches!(r.rows, Decoder::Exchange(_)));
    exchanges.map(|r| (r.reader.partition.clone(), r.reader.next)).collect()
}

impl Query {
    /// Whether nodes of that stage run here.
    pub(super) fn runs(&self, stage: u32) -> bool {
        self.options.share.is_none_or(|share| share.stage == stage)
    }

    /// Which of so many partitions run here.
    pub(super) fn own_partitions(&self, of: u32) -> Range<u32> {
        match self.options.share {
            None => 0..of,
            Some(share) if share.partition < of => share.partition..share.partition + 1,
            Some(_) => 0..0,
        }
    }

    /// The first partition that runs here.
    pub(super) fn first_partition(&self) -> u32 {
        self.options.share.map_or(0, |share| share.partition)
    }

    /// What it writes to the topics of exchanges whose rows other tasks take.
    pub(super) fn write_exchanges(
        &self,
        outputs: &Outputs,
        headers: &Arc<HeaderBook>,
        reports: &mut Vec<Report>,
    ) -> Result<Vec<Append>> {
        let mut appends = vec![];
        if self.options.share.is_none() {
            return Ok(appends);
        }
        for (at, node, _) in self.graph.exchanges() {
            let Some(routed) = outputs.routed.get(&at) else { continue };
            let name = self.options.names.repartition(&self.options.id, node.number);
            let topic = self.log.topic(&name).map_err(log_error)?.ok_or_else(|| missing(&name))?;
            let writer = RepartitionWriter {
                topic: &name,
                schema: &node.schema,
                headers: headers.clone(),
                message_bytes_max: topic.config.message_bytes_max(),
                packed_max: if self.graph.has_one_reader(node.stage) { PACKED_MAX } else { 1 },
            };
            for routed in routed {
                appends.extend(writer.write(routed, reports)?);
            }
        }
        Ok(appends)
    }

    /// An epoch was read that is not committed yet.
    pub(super) fn note_read(&mut self) {
        let positions = positions(&self.readers);
        if !positions.is_empty() {
            self.consumed.waiting.push_back((self.epoch, positions));
        }
    }

    /// Offsets of repartition topics below which all was consumed and committed: what is there may be deleted.
    pub fn consumed(&self) -> Vec<(TopicPartition, Offset)> {
        self.consumed.done.clone()
    }

    /// An error unless what this task needs of topics is there as it needs it.
    pub(super) fn check_topics(&self) -> Result<()> {
        let Some(share) = self.options.share else { return Ok(()) };
        if share.partition >= self.graph.stage_partitions(share.stage) {
            let id = &self.options.id;
            return Err(Error::invalid(format!("query {id} has no task {share} over topics as they are now")));
        }
        for wanted in topics_of_tasks(&self.graph, &self.options) {
            let there = self.log.topic(&wanted.name).map_err(log_error)?;
            let there = there.ok_or_else(|| missing(&wanted.name))?;
            wanted.check(there.config.partitions)?;
        }
        Ok(())
    }
}

fn missing(topic: &str) -> Error {
    Error::unavailable(format!("topic {topic}, which a task needs, is not there"))
}
