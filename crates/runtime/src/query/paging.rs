//! Keeping a query's state within what it may take of memory: what may leave goes to disk.

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
};

use coldstore::{ColdStore, Entries};
use rayon::prelude::*;
use recordlog::TopicPartition;
use types::{Error, Result};

use super::{
    Query,
    segment::Task,
    state::by_partition,
    tier::{Tier, attach, changed_bytes, each_part, open_part, seal, take, taken_to},
};
use crate::{budget::OverBudget, graph::Node, log_error};

/// Bytes of changes that it is always worth to write.
pub(super) const PIECE_BYTES_MIN: usize = 64 << 10;

/// A query with less than that part of what is in memory when state begins to go to disk stays there.
pub(super) const SMALL_PART: u64 = 32;

/// Of a query's state that may leave, that part may be changed and not written yet: what changes often is written once
/// for many changes …
const CHANGED_PART: usize = 4;

/// … and no more than so many bytes of it: a start reads as much of the changelog.
const CHANGED_BYTES_MAX: usize = 128 << 20;

/// What is written at a time.
const PIECE_PART: usize = 8;

/// An epoch may bring that part into memory. What it changes stays there until it is committed and written, which takes
/// until the end of the next but two.
const EPOCH_PART: u64 = 20;

/// A query's state in memory.
struct Measured {
    /// Bytes of all of it.
    total: u64,
    /// Bytes of what may leave.
    paged: u64,
    /// Whether it may take that.
    charged: std::result::Result<(), OverBudget>,
}

impl Query {
    /// Whether the state is to be measured after every epoch.
    pub(super) fn is_tight(&self) -> bool {
        self.tier.is_some() || self.options.budget.bytes() >= self.options.budget.hot_bytes() / 2
    }

    /// Measure the state; let some of it leave memory where there is too much; an error where it may not leave.
    pub(super) fn keep_within_budget(&mut self) -> Result<()> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        if let Some(tier) = &mut self.tier {
            tier.check()?;
            if tier.is_done(false)? {
                self.written()?;
            }
        }
        let mut measured = self.measure();
        let budget = self.options.budget.clone();
        if budget.bytes() > budget.cold_from_bytes() {
            if self.tier.is_none() && measured.paged > budget.cold_from_bytes() / SMALL_PART {
                self.begin_tier(&BTreeMap::new())?;
            }
            self.growth.grew_to(measured.total, (measured.paged / EPOCH_PART).max(PIECE_BYTES_MIN as u64));
        }
        if self.tier.is_some() {
            seal(self.tasks.iter_mut().flatten().flat_map(|t| t.operators.values_mut()), self.epoch);
            measured = self.make_room(measured);
            // What is just being written may leave when it is.
            if self.is_short()
                && let Some(tier) = &mut self.tier
                && tier.is_done(true)?
            {
                self.written()?;
                measured = self.make_room(measured);
            }
            self.write_changes(self.is_short(), measured.paged);
            self.count_lookups();
        }
        let Measured { total, paged, charged } = measured;
        self.growth.left_with(total);
        match charged {
            // What may leave will.
            Err(_) if self.tier.is_some() && total.saturating_sub(paged) <= budget.bytes_max() => Ok(()),
            charged => charged.map_err(|over| self.over_budget(over)),
        }
    }

    /// Measure the state, and charge for it.
    fn measure(&mut self) -> Measured {
        let (total, paged) = self.measure_state();
        Measured { total, paged, charged: self.charge.set(total) }
    }

    /// Whether states have more in memory than stays there.
    fn is_short(&self) -> bool {
        self.options.budget.bytes() > self.options.budget.hot_bytes()
    }

    /// Where memory is short, let leave what may; what there is then.
    fn make_room(&mut self, measured: Measured) -> Measured {
        let over = self.options.budget.bytes().saturating_sub(self.options.budget.hot_bytes());
        if over == 0 {
            return measured;
        }
        self.evict(over, measured.paged);
        self.measure()
    }

    /// Measure the state; an error where there is too much.
    pub(super) fn charge_state(&mut self) -> Result<()> {
        self.measure().charged.map_err(|over| self.over_budget(over))
    }

    fn over_budget(&self, over: OverBudget) -> Error {
        let largest = self.stats.nodes.iter().max_by_key(|n| n.state_bytes.load(Ordering::Relaxed));
        over.error(&self.options.id, largest.map_or("", |n| n.label.as_str()))
    }

    /// Let state leave memory from now on. `stores` are there already, by partition.
    pub(super) fn begin_tier(&mut self, stores: &BTreeMap<u32, Arc<ColdStore>>) -> Result<()> {
        let Some(topic) = self.log.topic(&self.changelog()).map_err(log_error)? else { return Ok(()) };
        let Some(options) = self.options.tier.clone().filter(|_| !self.pageable.is_empty()) else { return Ok(()) };
        let (dir, mut parts) = (options.query_dir(topic.id), BTreeMap::new());
        for p in self.own_partitions(topic.config.partitions) {
            if let Some(store) = stores.get(&p) {
                parts.insert(p, store.clone());
                continue;
            }
            let partition = TopicPartition::new(topic.name.clone(), p);
            // What was left there by a query that went on without it is not to be relied on.
            let (store, _) = open_part(&self.host, &dir, &partition, &*self.log, 0)?;
            let tasks = self.tasks.iter_mut().flatten().filter(|task| task.partition == p);
            for (at, operator) in tasks.flat_map(|t| &mut t.operators) {
                if let Some(number) = number_of(&self.graph.nodes, *at) {
                    attach(&mut **operator, number, &store);
                }
            }
            parts.insert(p, store);
        }
        tracing::info!(query = %self.options.id, dir = %dir.display(), "state goes to disk");
        self.tier = Some(Tier::new(parts, &topic.name, options.background));
        Ok(())
    }

    /// Take changes, to be written when the epoch is committed, if there are enough of them, or memory `is_short`.
    fn write_changes(&mut self, is_short: bool, paged: u64) {
        let Some(tier) = self.tier.as_ref().filter(|tier| tier.is_idle()) else { return };
        let is_old = tier.is_old(self.host.clock.now_ms());
        let nodes = &self.graph.nodes;
        let mut groups = by_partition(&mut self.tasks);
        let own = usize::try_from(paged).unwrap_or(usize::MAX) / groups.len().max(1);
        let piece = (own / PIECE_PART).max(PIECE_BYTES_MIN);
        let changed =
            |tasks: &mut Vec<&mut Task>| changed_bytes(tasks.iter_mut().flat_map(|t| t.operators.values_mut()));
        let changed: Vec<usize> = groups.values_mut().map(changed).collect();
        let enough = (own / CHANGED_PART).min(CHANGED_BYTES_MAX / groups.len().max(1)).max(PIECE_BYTES_MIN);
        let is_much = changed.iter().any(|bytes| *bytes >= enough);
        if !is_much && !((is_short || is_old) && changed.iter().any(|bytes| *bytes > 0)) {
            return;
        }
        let work = |(p, mut tasks): (u32, Vec<&mut Task>)| {
            let mut entries = Entries::default();
            let operators = tasks.iter_mut().flat_map(|t| &mut t.operators);
            take(&mut operators.filter_map(|(at, o)| Some((number_of(nodes, *at)?, o))).collect(), piece, &mut entries);
            (p, entries, taken_to(tasks.into_iter().flat_map(|t| t.operators.values_mut())))
        };
        let groups: Vec<_> = groups.into_iter().collect();
        let taken = self.pool.install(|| groups.into_par_iter().map(work).collect());
        let epoch = self.epoch;
        if let Some(tier) = &mut self.tier {
            tier.took(epoch, taken);
        }
    }

    /// What was taken last is on disk: it may leave memory.
    fn written(&mut self) -> Result<()> {
        let Some(tier) = &mut self.tier else { return Ok(()) };
        for (p, tasks) in by_partition(&mut self.tasks) {
            let Some(version) = tier.part(p).map(|part| part.version()) else { continue };
            for (_, operator) in tasks.into_iter().flat_map(|t| &mut t.operators) {
                each_part(&mut **operator, &mut |_, paged| paged.written(version.clone()));
            }
        }
        tier.merge()
    }

    /// Give up `over` bytes of the `paged` that may leave, each operator its part.
    fn evict(&mut self, over: u64, paged: u64) {
        let share = |bytes: usize, parts: u32| {
            let share = u128::from(over) * bytes as u128 / u128::from(paged.max(1) * u64::from(parts.max(1)));
            usize::try_from(share + 1).unwrap_or(usize::MAX)
        };
        let work = |tasks: Vec<&mut Task>| {
            for operator in tasks.into_iter().flat_map(|t| t.operators.values_mut()) {
                let (mut parts, bytes) = (0, operator.size().1);
                each_part(&mut **operator, &mut |_, _| parts += 1);
                each_part(&mut **operator, &mut |_, paged| paged.evict(share(bytes, parts)));
            }
        };
        let groups: Vec<_> = by_partition(&mut self.tasks).into_values().collect();
        self.pool.install(|| groups.into_par_iter().for_each(work));
    }

    fn count_lookups(&mut self) {
        for (at, stats) in self.stats.nodes.iter().enumerate() {
            let (mut hits, mut misses) = (0, 0);
            for operator in self.tasks.iter_mut().flatten().filter_map(|t| t.operators.get_mut(&at)) {
                each_part(&mut **operator, &mut |_, paged| {
                    let (own_hits, own_misses) = paged.lookups();
                    hits += own_hits;
                    misses += own_misses;
                });
            }
            stats.state_hits.store(hits, Ordering::Relaxed);
            stats.state_misses.store(misses, Ordering::Relaxed);
        }
    }
}

fn number_of(nodes: &[Node], at: usize) -> Option<usize> {
    nodes.get(at).filter(|n| n.is_stateful()).map(|n| n.number)
}
