//! Rows of an epoch → appends of the sink's topic.

use std::sync::{Arc, atomic::Ordering};

use operators::{ChangeBatch, Report};
use rayon::prelude::*;
use recordlog::{Append, batch::BuiltBatch};
use types::Result;

use super::Query;
use crate::{
    headers::HeaderBook,
    log_error,
    sink::{Encoded, SinkWriter, append, keeps_order, ordered_appends, target_appends},
};

/// How an epoch's rows are written.
pub(super) struct SinkForm {
    partitions: u32,
    message_bytes_max: usize,
    headers: Arc<HeaderBook>,
    /// Rows of several partitions may come to one: they are encoded before they are put in order.
    encoded_first: bool,
}

/// Records of one partition of the query.
#[derive(Default)]
pub(super) struct Written {
    encoded: Option<Encoded>,
    batches: Vec<(u32, BuiltBatch)>,
    records: usize,
    reports: Vec<Report>,
}

impl SinkForm {
    /// Write the rows of partition `from`; `encoded`: they will be put in order over all partitions.
    pub fn write(&self, writer: &mut SinkWriter, from: u32, rows: &ChangeBatch, encoded: bool) -> Result<Written> {
        let mut written = Written::default();
        writer.limit(self.message_bytes_max);
        writer.set_headers(Arc::clone(&self.headers));
        if encoded || self.encoded_first {
            let encoded = writer.encode(rows, from, self.partitions, &mut written.reports)?;
            written.records = encoded.len();
            written.encoded = Some(encoded);
        } else {
            (written.batches, written.records) = writer.batches(rows, from, self.partitions, &mut written.reports)?;
        }
        Ok(written)
    }
}

impl Query {
    /// How the epoch's rows are written, where there is a sink.
    pub(super) fn sink_form(&self, headers: &Arc<HeaderBook>) -> Result<Option<SinkForm>> {
        let Some((spec, writers, partitions)) = self.sink.as_ref() else { return Ok(None) };
        let topic = self.log.topic(&spec.source.topic).map_err(log_error)?;
        let message_bytes_max = topic.map(|topic| topic.config.message_bytes_max());
        Ok(Some(SinkForm {
            partitions: *partitions,
            message_bytes_max: message_bytes_max.unwrap_or(usize::MAX),
            headers: Arc::clone(headers),
            encoded_first: spec.rekeyed && writers.len() > 1,
        }))
    }

    /// Appends of the rows that the partitions have made, of which some may be written already.
    pub(super) fn write_sink(
        &mut self,
        root: &[ChangeBatch],
        mut written: Vec<Option<Written>>,
        headers: &Arc<HeaderBook>,
        reports: &mut Vec<Report>,
        parallel: bool,
    ) -> Result<Vec<Append>> {
        let Some(form) = self.sink_form(headers)? else { return Ok(vec![]) };
        let first = self.first_partition();
        let Some((spec, writers, partitions)) = &mut self.sink else { return Ok(vec![]) };
        written.resize_with(root.len(), || None);
        let rows: usize = root.iter().map(ChangeBatch::len).sum();
        let is_begun = written.iter().any(Option::is_some);
        if rows == 0 && !is_begun {
            return Ok(vec![]);
        }
        // In order over all partitions what is little, in order within each what may come from several.
        let all_in_order = keeps_order(rows) && !is_begun;
        let work = |(from, ((writer, batch), written)): (usize, ((&mut SinkWriter, &ChangeBatch), Option<Written>))| {
            let from = first + u32::try_from(from).unwrap_or(0);
            written.map_or_else(|| form.write(writer, from, batch, all_in_order), Ok)
        };
        let parallel = parallel && !all_in_order;
        let results: Vec<Result<Written>> = if parallel && !is_begun {
            let parts = writers.par_iter_mut().zip(root).zip(written).enumerate();
            self.pool.install(|| parts.map(work).collect())
        } else {
            writers.iter_mut().zip(root).zip(written).enumerate().map(work).collect()
        };
        let topic = spec.source.topic.as_str();
        let (mut appends, mut all, mut records) = (vec![], vec![], 0);
        for result in results {
            let Written { encoded, batches, records: own, reports: lost } = result?;
            all.extend(encoded);
            reports.extend(lost);
            appends.extend(batches.into_iter().map(|(p, batch)| append(topic, p, batch)));
            records += own;
        }
        if all_in_order {
            appends = ordered_appends(&all, topic)?;
        } else if form.encoded_first {
            let of_target = |target: u32| target_appends(&all, topic, target);
            let merged: Vec<Vec<Append>> = if parallel {
                self.pool.install(|| (0..*partitions).into_par_iter().map(of_target).collect::<Result<_>>())?
            } else {
                (0..*partitions).map(of_target).collect::<Result<_>>()?
            };
            appends = merged.into_iter().flatten().collect();
        }
        self.stats.records_out.fetch_add(records as u64, Ordering::Relaxed);
        Ok(appends)
    }
}
