//! Aggregate functions, one a file, and the list of them.
//!
//! Every function is a fold over rows (`groups`), compiled into its own loop. States order by processing: "earliest"
//! and "latest" mean the order in which rows come, which the operator keeps the same for any cut into batches.

mod arg_max;
mod arg_min;
mod attr;
mod avg;
mod bool_and;
mod bool_or;
mod boolean;
mod by;
mod cell;
mod collect;
mod collect_list;
mod collect_set;
mod constant;
mod correlation;
mod count;
mod count_distinct;
mod double;
mod earliest_by_offset;
mod extreme;
mod groups;
mod histogram;
mod latest_by_offset;
mod max;
mod min;
mod moments;
mod number;
mod offset;
mod percentile;
mod percentile_cont;
mod percentile_disc;
#[cfg(test)]
mod properties;
mod stddev_pop;
mod stddev_samp;
mod stddev_sample;
mod string_agg;
mod sum;
mod sum_list;
#[cfg(test)]
pub(crate) mod tests;
mod top;
mod topk;
mod topkdistinct;
mod var_pop;
mod var_samp;
mod wide;

pub use constant::KEPT_VALUES_MAX;

use crate::AggregateFunction;

/// Entries that COLLECT_LIST, COLLECT_SET and their kind keep of a group, unless a setting says otherwise.
pub const COLLECT_ENTRIES_MAX: usize = 1000;
/// Different values that HISTOGRAM counts in a group.
pub const HISTOGRAM_ENTRIES_MAX: usize = 1000;
/// Bytes of values that one group of a collecting function keeps; what comes beyond is left out.
pub const COLLECT_BYTES_MAX: usize = 16 << 20;

/// How much collecting functions keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// `ksql.functions.collect_list.limit`.
    pub collect_list_entries: usize,
    /// `ksql.functions.collect_set.limit`.
    pub collect_set_entries: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { collect_list_entries: COLLECT_ENTRIES_MAX, collect_set_entries: COLLECT_ENTRIES_MAX }
    }
}

/// All aggregate functions, by name.
pub static AGGREGATES: &[&dyn AggregateFunction] = &[
    &arg_max::ArgMax,
    &arg_min::ArgMin,
    &attr::Attr,
    &avg::Avg,
    &bool_and::BoolAnd,
    &bool_or::BoolOr,
    &collect_list::CollectList,
    &collect_set::CollectSet,
    &correlation::Correlation,
    &count::Count,
    &count_distinct::CountDistinct,
    &earliest_by_offset::EarliestByOffset,
    &histogram::Histogram,
    &latest_by_offset::LatestByOffset,
    &max::Max,
    &min::Min,
    &percentile_cont::PercentileCont,
    &percentile_disc::PercentileDisc,
    &stddev_pop::StddevPop,
    &stddev_samp::StddevSamp,
    &stddev_sample::StddevSample,
    &string_agg::StringAgg,
    &sum::Sum,
    &sum_list::SumList,
    &topk::TopK,
    &topkdistinct::TopKDistinct,
    &var_pop::VarPop,
    &var_samp::VarSamp,
];

/// The function of that name (or alias), whatever its case.
pub fn lookup(name: &str) -> Option<&'static dyn AggregateFunction> {
    let named = |f: &&&'static dyn AggregateFunction| {
        let doc = f.doc();
        doc.name.eq_ignore_ascii_case(name) || doc.aliases.iter().any(|a| a.eq_ignore_ascii_case(name))
    };
    AGGREGATES.iter().find(named).copied()
}
