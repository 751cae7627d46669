//! A log, a catalog that statements change, and queries over them.

use std::{
    collections::BTreeMap,
    future::Future,
    pin::Pin,
    sync::{Arc, LazyLock},
};

use catalog::Catalog;
use formats::{FormatSpec, Part};
use futures::executor::block_on;
use host::Host;
use planner::{
    ddl::plan_create_source,
    plan::{Planned, QueryPlan, Surroundings, TopicShape},
    query::plan_create_as_select,
};
use recordlog::{
    Append, Commit, CommitTicket, LogError, Offset, Offsets, RecordLog, StoredBatch, Topic, TopicConfig,
    TopicPartition,
    batch::{BatchBuilder, Compression, RecordRanges, decode_ranges},
    embedded::EmbeddedLog,
};
use runtime::{ProgressIndex, QueryOptions, Share, StateBudget, TierOptions, TopicNames};
use syntax::ast::StatementKind;
use tokio::sync::watch;
use types::{Result, Schema};

/// Threads for all tests' queries.
pub static POOL: LazyLock<Arc<rayon::ThreadPool>> =
    LazyLock::new(|| Arc::new(rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap()));

/// A log that gives no numbers to what arrives, as a cluster does not.
struct Unnumbered {
    log: Arc<dyn RecordLog>,
    /// Nobody can be asked which topics there are.
    is_silent: bool,
}

type Answer<'a, T> = Pin<Box<dyn Future<Output = recordlog::Result<T>> + Send + 'a>>;

impl RecordLog for Unnumbered {
    fn create_topic<'a: 'c, 'b: 'c, 'c>(&'a self, name: &'b str, config: TopicConfig) -> Answer<'c, Topic>
    where
        Self: 'c,
    {
        self.log.create_topic(name, config)
    }

    fn delete_topic<'a: 'c, 'b: 'c, 'c>(&'a self, name: &'b str) -> Answer<'c, ()>
    where
        Self: 'c,
    {
        self.log.delete_topic(name)
    }

    fn alter_topic<'a: 'c, 'b: 'c, 'c>(
        &'a self,
        name: &'b str,
        settings: BTreeMap<String, Option<String>>,
        partitions: Option<u32>,
    ) -> Answer<'c, Topic>
    where
        Self: 'c,
    {
        self.log.alter_topic(name, settings, partitions)
    }

    fn topic(&self, name: &str) -> recordlog::Result<Option<Topic>> {
        match self.is_silent {
            true => Err(LogError::Unavailable("nobody answers".to_owned())),
            false => self.log.topic(name),
        }
    }

    fn topics(&self) -> Vec<Topic> {
        self.log.topics()
    }

    fn take_over<'a: 'c, 'b: 'c, 'c>(&'a self, writer: &'b str) -> Answer<'c, ()>
    where
        Self: 'c,
    {
        self.log.take_over(writer)
    }

    fn commit(&self, commit: Commit) -> CommitTicket {
        self.log.commit(commit)
    }

    fn offsets(&self, partition: &TopicPartition) -> recordlog::Result<Offsets> {
        self.log.offsets(partition)
    }

    fn arrival_end(&self) -> Option<u64> {
        None
    }

    fn read(&self, partition: &TopicPartition, from: Offset, bytes_max: usize) -> recordlog::Result<Vec<StoredBatch>> {
        let batches = self.log.read(partition, from, bytes_max)?;
        Ok(batches.into_iter().map(|batch| StoredBatch { arrival: 0, ..batch }).collect())
    }

    fn offset_for_time(&self, partition: &TopicPartition, time_ms: i64) -> recordlog::Result<Option<Offset>> {
        self.log.offset_for_time(partition, time_ms)
    }

    fn delete_records<'a: 'c, 'b: 'c, 'c>(&'a self, partition: &'b TopicPartition, before: Offset) -> Answer<'c, ()>
    where
        Self: 'c,
    {
        self.log.delete_records(partition, before)
    }

    fn watch(&self, topic: &str) -> recordlog::Result<watch::Receiver<u64>> {
        self.log.watch(topic)
    }

    fn size_bytes(&self, partition: &TopicPartition) -> recordlog::Result<u64> {
        self.log.size_bytes(partition)
    }
}

/// A log with a catalog over it.
pub struct World {
    pub log: Arc<dyn RecordLog>,
    pub names: Arc<TopicNames>,
    pub progress: Arc<ProgressIndex>,
    catalog: Catalog,
}

impl Surroundings for World {
    fn topic(&self, name: &str) -> types::Result<Option<TopicShape>> {
        let topic = self.log.topic(name).map_err(runtime::log_error)?;
        Ok(topic.map(|topic| TopicShape { partitions: topic.config.partitions, replicas: topic.config.replicas }))
    }

    fn registered_columns(&self, _: &str, _: Part, _: &FormatSpec) -> Result<Option<Schema>> {
        Ok(None)
    }

    fn property(&self, name: &str) -> Option<String> {
        (name == "auto.offset.reset").then(|| "earliest".into())
    }

    fn now_ms(&self) -> i64 {
        0
    }
}

impl World {
    /// Over a log of its own, which gives numbers or not.
    pub fn new(numbered: bool) -> World {
        let log = EmbeddedLog::open_in_memory(&Host::in_memory()).unwrap();
        let log: Arc<dyn RecordLog> = if numbered { log } else { Arc::new(Unnumbered { log, is_silent: false }) };
        let names = Arc::new(TopicNames::of_service("a").unwrap());
        World { log, progress: Arc::new(ProgressIndex::new(&names)), names, catalog: Catalog::default() }
    }

    /// Its log, when nobody can be asked which topics there are.
    pub fn silent_log(&self) -> Arc<dyn RecordLog> {
        Arc::new(Unnumbered { log: self.log.clone(), is_silent: true })
    }

    pub fn create_topic(&self, name: &str, partitions: u32) {
        let config = TopicConfig::with_partitions(partitions).with("retention.ms", "-1");
        block_on(self.log.create_topic(name, config)).unwrap();
    }

    /// CREATE STREAM and CREATE TABLE over topics that are there.
    pub fn declare(&mut self, statements: &str) {
        for statement in syntax::parse(statements, None).unwrap() {
            let StatementKind::CreateSource(create) = &statement.kind else { panic!("{}", statement.text) };
            let planned = plan_create_source(create, &self.catalog, self, &statement.text);
            let planned = planned.unwrap_or_else(|e| panic!("{}", e.render(&statement.text)));
            let Planned::CreateSource { source, .. } = planned else { panic!("{}", statement.text) };
            self.catalog.sources.insert(source.name.clone(), Arc::new(source));
        }
    }

    /// CREATE … AS SELECT: its id and plan; the sink's topic is made.
    pub fn plan(&mut self, statement: &str) -> (String, QueryPlan) {
        let parsed = syntax::parse(statement, None).unwrap_or_else(|e| panic!("{}", e.render(statement)));
        let statement = parsed.into_iter().next().unwrap();
        let StatementKind::CreateAsSelect(create) = &statement.kind else { panic!("{}", statement.text) };
        let planned = plan_create_as_select(create, &statement.text, &self.catalog, self);
        let planned = planned.unwrap_or_else(|e| panic!("{}", e.render(&statement.text)));
        let Planned::CreateAsSelect { source, query, plan, .. } = planned else { panic!("{}", statement.text) };
        let first = self.catalog.source(&plan.reads[0]).unwrap();
        let partitions = self.log.topic(&first.topic).unwrap().unwrap().config.partitions;
        self.create_topic(&source.topic, plan.sink.as_ref().and_then(|s| s.partitions).unwrap_or(partitions));
        self.catalog.sources.insert(source.name.clone(), Arc::new(source));
        self.catalog.next_query += 1;
        let id = query.id.clone();
        self.catalog.queries.insert(id.clone(), Arc::new(query));
        (id, plan)
    }

    /// How a query runs; `cold`: with as little state in memory as can be.
    pub fn options(&self, id: &str, share: Option<Share>, cold: bool) -> QueryOptions {
        let budget = StateBudget::with_hot_bytes(1 << 30, if cold { 1 } else { 1 << 29 });
        QueryOptions {
            id: id.to_owned(),
            caching: false,
            durable: true,
            strict_timestamps: false,
            registry: None,
            progress: self.progress.clone(),
            budget,
            tier: cold.then(|| TierOptions { dir: "/state".into(), background: false }),
            shared: Arc::default(),
            names: self.names.clone(),
            share,
        }
    }

    pub fn commit(&self, appends: Vec<Append>) {
        block_on(self.log.commit(Commit::of(appends))).unwrap().unwrap();
    }

    /// A record of its own.
    pub fn write(&self, topic: &str, partition: u32, key: Option<&[u8]>, value: Option<&[u8]>, time: i64) {
        let mut builder = BatchBuilder::new();
        builder.push(key, value, time, &[]).unwrap();
        let batches = builder.finish(Compression::None).unwrap().into();
        self.commit(vec![Append { partition: TopicPartition::new(topic, partition), batches }]);
    }

    /// All records of a topic: key, value, time; those of a partition in order.
    pub fn read(&self, topic: &str) -> Vec<(String, Option<String>, i64)> {
        let (mut records, mut ranges) = (vec![], RecordRanges::default());
        for partition in 0..self.log.topic(topic).unwrap().unwrap().config.partitions {
            let place = TopicPartition::new(topic, partition);
            let (mut next, end) = (0, self.log.offsets(&place).unwrap().end);
            while next < end {
                for batch in self.log.read(&place, next, 1 << 20).unwrap() {
                    next = batch.next_offset;
                    decode_ranges(&batch.bytes, &mut ranges).unwrap();
                    for i in 0..ranges.len() {
                        let text = |bytes: &[u8]| bytes.escape_ascii().to_string();
                        let key = ranges.key(i).map_or("null".into(), text);
                        records.push((key, ranges.value(i).map(text), ranges.timestamps_ms[i]));
                    }
                }
            }
        }
        records
    }
}
