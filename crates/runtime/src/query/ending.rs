//! The end of a large epoch, partition by partition: the last segment's rows are written, and the changes of state
//! taken, by the thread that made them, while they are in its processor's cache, and without waiting for the others in
//! between.

use std::sync::Arc;

use operators::{ChangeBatch, Report};
use rayon::prelude::*;
use recordlog::batch::BuiltBatch;
use types::Result;

use super::{
    Made, Query,
    fetch::Fetched,
    idle::Steps,
    segment::{Outputs, Run, Task, TaskOutput},
    state::{by_partition, drain_task},
    write::Written,
};
use crate::{
    headers::HeaderBook,
    sink::{SinkWriter, append, keeps_order},
};

/// What a partition has to do.
struct Part<'a> {
    number: u32,
    /// Of the last segment.
    task: Option<&'a mut Task>,
    /// Of those before it.
    earlier: Vec<&'a mut Task>,
    writer: Option<&'a mut SinkWriter>,
}

/// What comes of it.
#[derive(Default)]
struct Ended {
    number: u32,
    rows: Option<ChangeBatch>,
    /// `None`: so few that the order over all partitions may matter.
    written: Option<Written>,
    state: Vec<BuiltBatch>,
    reports: Vec<Report>,
}

impl Query {
    /// Run all segments but the last; then each partition runs that, writes its rows to the sink, and gives what changed
    /// of its state.
    pub(super) fn run_apart(
        &mut self,
        (fetched, steps): (&[Fetched], &Steps),
        headers: HeaderBook,
        reports: &mut Vec<Report>,
    ) -> Result<Made> {
        let at = self.graph.segments.len().saturating_sub(1);
        let mut outputs = Outputs::default();
        for segment in 0..at {
            self.run_segment(segment, (fetched, steps), &mut outputs, reports, true)?;
        }
        self.set_times(at, steps, &mut outputs);
        let headers = Arc::new(headers);
        let topic = self.changelog();
        let form = self.sink_form(&headers)?;
        let first = self.first_partition();
        let (durable, root, time_ms) = (self.options.durable, self.graph.root, self.host.clock.now_ms());
        let parts = parts(&mut self.tasks, at, self.sink.iter_mut().flat_map(|(_, writers, _)| writers));
        let run = Run {
            graph: &self.graph,
            segment: at,
            outputs: &outputs,
            fetched,
            stats: &self.stats,
            host: &self.host,
            caching: self.options.caching,
            epoch: self.epoch,
            first,
        };
        let nodes = &self.graph.nodes;
        let end = |part: Part<'_>| -> Result<Ended> {
            let Part { number, mut task, mut earlier, writer } = part;
            let mut ended = Ended { number, ..Ended::default() };
            if let Some(task) = task.as_deref_mut() {
                let TaskOutput { mut rows, reports, .. } = run.task(task)?;
                (ended.rows, ended.reports) = (rows.remove(&root), reports);
            }
            if let (Some(writer), Some(rows), Some(form)) = (writer, &mut ended.rows, &form)
                && !keeps_order(rows.len())
            {
                ended.written = Some(form.write(writer, number, rows, false)?);
                *rows = no_rows();
            }
            for task in earlier.iter_mut().chain(&mut task) {
                match durable {
                    true => drain_task(task, nodes, time_ms, |batch| ended.state.push(batch))?,
                    // Nobody takes what changed: it need not be remembered.
                    false => task.operators.values_mut().for_each(|o| o.drain(&mut |_, _| {})),
                }
            }
            Ok(ended)
        };
        let ended = self.pool.install(|| parts.into_par_iter().map(end).collect::<Vec<Result<Ended>>>());
        let (mut rows, mut written, mut state) = (vec![], vec![], vec![]);
        for ended in ended {
            let ended = ended?;
            reports.extend(ended.reports);
            state.extend(ended.state.into_iter().map(|batch| append(&topic, ended.number, batch)));
            if let Some(own) = ended.rows {
                rows.push(own);
                written.push(ended.written);
            }
        }
        let mut appends = self.write_sink(&rows, written, &headers, reports, true)?;
        appends.append(&mut state);
        Ok(Made { root: vec![], times: outputs.times, appends })
    }
}

/// The tasks by partition, where the segment at `at` is the last, each with what writes its rows.
fn parts<'a>(
    tasks: &'a mut [Vec<Task>],
    at: usize,
    mut writers: impl Iterator<Item = &'a mut SinkWriter>,
) -> Vec<Part<'a>> {
    let (earlier, last) = tasks.split_at_mut(at.min(tasks.len()));
    let mut earlier = by_partition(earlier);
    let mut parts: Vec<Part<'_>> = vec![];
    for (number, task) in (0..).zip(last.iter_mut().flatten()) {
        let earlier = earlier.remove(&number).unwrap_or_default();
        parts.push(Part { number, task: Some(task), earlier, writer: writers.next() });
    }
    parts.extend(earlier.into_iter().map(|(number, earlier)| Part { number, task: None, earlier, writer: None }));
    parts
}

/// Rows that were written take no room.
fn no_rows() -> ChangeBatch {
    ChangeBatch { columns: vec![], rowtime: Vec::<i64>::new().into(), seq: Vec::<u64>::new().into(), ops: None }
}
