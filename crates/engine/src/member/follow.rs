//! The statement log as a process of several follows it: the catalog and the queries are what its statements say.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use catalog::Catalog;
use futures::future::join_all;
use indexmap::IndexMap;
use recordlog::TopicPartition;
use runtime::log_error;
use types::Result;

use super::{Member, runtime_id};
use crate::{
    Engine,
    running::{Opener, RunningQuery, Spread},
    service::apart,
    session::{PlannedQuery, Plans},
    statements,
};

/// How often is looked whether what could not be done can be.
const TICK: Duration = Duration::from_secs(1);

impl Engine {
    /// Do what all statements say that are written down by now.
    pub(crate) async fn catch_up(&self) -> Result<()> {
        if self.member.is_none() {
            return Ok(());
        }
        let statements = TopicPartition::new(self.names.statements(), 0);
        self.log.settle(&statements).await.map_err(log_error)?;
        self.follow().await
    }

    /// Do what statements say that can be read by now.
    pub(crate) async fn follow(&self) -> Result<()> {
        let Some(member) = &self.member else { return Ok(()) };
        let mut ledger = member.ledger.lock().await;
        let (log, topic, from) = (self.log.clone(), self.names.statements(), ledger.next);
        let (entries, next) = apart(move || statements::read_from(&*log, &topic, from)).await?;
        if entries.is_empty() {
            ledger.next = next;
            return Ok(());
        }
        let (mut draft, mut plans) = (self.catalog(), ledger.plans.clone());
        let (mut count, mut deleted) = (ledger.count, vec![]);
        for mut entry in entries {
            count += 1;
            deleted.append(&mut entry.deletes);
            let text = entry.text.clone();
            let mut session = self.own()?.session();
            (session.draft, session.number) = (Some(draft.clone()), count);
            let replayed = session.replay(entry, &mut plans).await;
            replayed.map_err(|e| e.context(format!("while reading the statement log, at {text:?}")))?;
            draft = session.catalog();
        }
        self.reconcile(member, &plans, &draft).await;
        self.change_catalog(|catalog| *catalog = (*draft).clone());
        (ledger.plans, ledger.count, ledger.next) = (plans, count, next);
        ledger.deleted.extend(deleted);
        Ok(())
    }

    /// Let the queries run that are planned, and no others.
    async fn reconcile(&self, member: &Arc<Member>, plans: &Plans, catalog: &Catalog) {
        let _one = member.adjusting.lock().await;
        let mut old = self.queries.lock().clone();
        let mut queries = IndexMap::with_capacity(plans.len());
        let (mut new, mut gone) = (vec![], vec![]);
        for (id, planned) in plans {
            let paused = catalog.queries.get(id).is_some_and(|query| query.paused);
            match old.shift_remove(id) {
                Some(query) if query.number() == planned.number => {
                    query.pause(paused);
                    queries.insert(id.clone(), query);
                }
                replaced => {
                    gone.extend(replaced);
                    let query = self.planned(id, planned, paused).await;
                    queries.insert(id.clone(), query.clone());
                    new.push(query);
                }
            }
        }
        gone.extend(old.into_values());
        join_all(gone.iter().map(|query| query.stop())).await;
        *self.queries.lock() = queries;
        new.iter().for_each(|query| self.start_held(member, query));
    }

    async fn planned(&self, id: &str, planned: &PlannedQuery, paused: bool) -> Arc<RunningQuery> {
        let own = runtime_id(id, planned.sink.as_ref(), planned.number);
        let opener = self.opener(&own, planned.plan.clone(), planned.sink.clone(), &planned.properties);
        let spread = spread(opener.clone(), planned.number).await;
        RunningQuery::spread(id, opener, paused, spread)
    }

    /// Run the tasks of a query whose slots this process has.
    pub(super) fn start_held(&self, member: &Member, query: &RunningQuery) {
        if !self.config.manual {
            let (held, id) = (member.held.lock().clone(), query.opener.options.id.as_str());
            query.start(|share| held.contains(&member.slot(id, share)));
        }
    }

    /// Look again at queries whose tasks are not known.
    async fn look_again(&self, member: &Arc<Member>) {
        let unknown: Vec<_> = self.queries.lock().values().filter(|q| q.is_unknown()).cloned().collect();
        for query in unknown {
            let known = spread(query.opener.clone(), query.number()).await;
            let _one = member.adjusting.lock().await;
            query.learn(known);
            if self.query(&query.id).is_some_and(|now| Arc::ptr_eq(&now, &query)) {
                self.start_held(member, &query);
            }
        }
    }

    /// Follow the statement log for as long as there is this engine.
    pub(crate) fn keep_following(self: &Arc<Engine>) -> Result<()> {
        let Some(member) = self.member.clone() else { return Ok(()) };
        let mut appended = self.log.watch(&self.names.statements()).map_err(log_error)?;
        let own = Arc::downgrade(self);
        Engine::keep_standbys(own.clone(), member.clone());
        tokio::spawn(async move {
            loop {
                let is_there = tokio::time::timeout(TICK, appended.changed()).await;
                let Some(engine) = own.upgrade() else { return };
                if engine.is_closed() {
                    return;
                }
                if let Err(error) = engine.follow().await {
                    tracing::warn!(%error, "the statement log cannot be followed, will be tried again");
                }
                engine.look_again(&member).await;
                drop(engine);
                if matches!(is_there, Ok(Err(_))) {
                    // The topic is gone: there is nothing to be told of.
                    tokio::time::sleep(TICK).await;
                }
            }
        });
        Ok(())
    }

    /// Slots of the tasks of a query's last stage, by partition of its table.
    pub(super) fn slots_of_table(&self, member: &Member, query: &RunningQuery) -> Vec<(u32, u32)> {
        let shares = query.shares();
        let last = shares.iter().map(|share| share.stage).max();
        let of_table = shares.iter().filter(|share| Some(share.stage) == last);
        let id = query.opener.options.id.as_str();
        let partitions: BTreeSet<_> = of_table.map(|share| (share.partition, member.slot(id, share))).collect();
        partitions.into_iter().collect()
    }
}

/// What a query is made of; why that cannot be told is an error of the query.
async fn spread(opener: Opener, number: u64) -> Spread {
    let known = apart(move || {
        let shares = runtime::shares(&opener.plan, &*opener.log)?;
        let table = runtime::table_of(&opener.plan, &*opener.log)?;
        Ok((shares, table))
    });
    match known.await {
        Ok((shares, table)) => Spread { number, shares: shares.into(), table: table.map(Arc::new), error: None },
        Err(error) => Spread { number, error: Some(error.to_string()), ..Spread::default() },
    }
}
