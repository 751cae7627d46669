//! The durable log of one process, on the files of a [`Host`].
//!
//! On disk: `checkpoint` (the whole acknowledged state), `journal-*` (every change since), `topics/<id>/*.log` (the
//! batches as they came, each in a small frame) with `*.index` beside them as a cache, and `lock`. One writer gives
//! groups of commits their offsets and arrival numbers; one sync of the journal makes a group durable, whole or not at
//! all, over any number of partitions. Readers take the latest batches from memory and the rest from segments.

mod admin;
mod checkpoint;
mod cleaner;
mod compaction;
mod entry;
mod frame;
mod index;
mod journal;
mod partition;
mod prepare;
mod producers;
mod queue;
mod recovery;
mod segment;
mod syncs;
mod tail;
mod topics;
mod wire;
mod writer;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use async_trait::async_trait;
use host::{DiskLock, Host};
use parking_lot::{Condvar, Mutex, RwLock};
use tokio::sync::{oneshot, watch};

pub use self::cleaner::Maintained;
use self::{
    journal::Spare,
    partition::Partition,
    prepare::{Prepared, prepare},
    queue::{Job, Queue},
    segment::SegmentFiles,
    tail::TailBudget,
    topics::{TopicState, Topics},
    writer::{Writer, io},
};
use crate::{
    ActiveProducer, Commit, CommitTicket, Ends, Fetched, Isolation, LogError, Offset, Offsets, RecordLog, RecordPlace,
    Result, StoredBatch, Topic, TopicConfig, TopicPartition,
};

/// Most segments that closing a log syncs one by one for a checkpoint.
const CLOSE_SYNCS_MAX: usize = 256;

/// When a commit counts as done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// When it would survive a loss of power.
    Fsync,
    /// When it would survive the process; a loss of power takes at most about this many milliseconds of commits.
    Interval(u64),
    /// When it would survive the process; the operating system decides when it survives a loss of power. Either way
    /// the log stays whole: what is lost are the last commits, all of them from one on.
    None,
}

/// How a log works. The defaults suit a server.
#[derive(Debug, Clone)]
pub struct Settings {
    /// When a commit counts as done.
    pub durability: Durability,
    /// Whether threads commit, keep checkpoints and clean up. Without, a commit is done when [`RecordLog::commit`]
    /// returns, and cleaning is up to who calls [`EmbeddedLog::maintain`].
    pub threads: bool,
    /// The journal's length at which a checkpoint is taken, bytes; four times this bounds what a restart replays.
    pub checkpoint_bytes: u64,
    /// What a group writes to one segment below this many bytes goes through the journal; more is synced in place.
    pub inline_bytes_max: usize,
    /// Most segment files open.
    pub files_open_max: usize,
    /// Most bytes of latest batches in memory, all partitions.
    pub tail_bytes_max: usize,
    /// Most bytes of latest batches in memory, one partition.
    pub tail_partition_bytes_max: usize,
    /// Most bytes of commits that wait for the writer; with more, [`RecordLog::commit`] waits.
    pub queue_bytes_max: usize,
    /// How often retention and compaction look around, ms.
    pub maintenance_interval_ms: u64,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            durability: Durability::Fsync,
            threads: true,
            checkpoint_bytes: 32 << 20,
            inline_bytes_max: 1 << 20,
            files_open_max: 1024,
            tail_bytes_max: 32 << 20,
            tail_partition_bytes_max: 4 << 20,
            queue_bytes_max: 256 << 20,
            maintenance_interval_ms: 30_000,
        }
    }
}

impl Settings {
    /// For logs that live in memory, many to a process: no threads, no syncs for commits, small buffers.
    pub fn in_memory() -> Settings {
        Settings {
            durability: Durability::None,
            threads: false,
            tail_bytes_max: 16 << 20,
            tail_partition_bytes_max: 1 << 20,
            ..Settings::default()
        }
    }

    /// Longest file of the journal that is kept to be written over; none where the journal is not synced.
    fn spare_bytes_max(&self) -> u64 {
        match self.durability {
            Durability::Fsync | Durability::Interval(_) => self.checkpoint_bytes.saturating_mul(2),
            Durability::None => 0,
        }
    }
}

/// What all parts of an open log share. Locks are taken in this order: writer, fence, topics, a topic's own, a
/// partition's state.
#[derive(Debug)]
struct Shared {
    host: Host,
    root: PathBuf,
    topics_dir: PathBuf,
    settings: Settings,
    files: SegmentFiles,
    tails: TailBudget,
    topics: RwLock<Topics>,
    /// Held by the writer while it shows a group, and by readers while they look.
    fence: RwLock<()>,
    /// Records with smaller arrival numbers are shown. Changes while the fence is held for writing.
    shown_arrival: AtomicU64,
    writer: Mutex<Writer>,
    queue: Queue,
    /// The last checkpoint's first journal. Held while one is put in place.
    checkpoint_placed: Mutex<u64>,
    spare: Spare,
    /// The system may have dropped segments' bytes; the next checkpoint takes them from the journal again.
    rewrite_segments: AtomicBool,
    cleaner: Mutex<cleaner::Progress>,
    /// The checkpoint that is being written beside the writer.
    checkpointing: Mutex<Option<JoinHandle<()>>>,
    closing: Mutex<bool>,
    closing_changed: Condvar,
}

/// The embedded log.
#[derive(Debug)]
pub struct EmbeddedLog {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    lock: Mutex<Option<Box<dyn DiskLock>>>,
}

impl EmbeddedLog {
    /// Open the log in `dir`, made when absent. Only one at a time can have it open.
    pub fn open(host: Host, dir: impl AsRef<Path>, settings: Settings) -> Result<Arc<EmbeddedLog>> {
        let root = dir.as_ref().to_path_buf();
        let topics_dir = root.join("topics");
        let disk = Arc::clone(&host.disk);
        make_dirs(&host, &topics_dir).map_err(|error| io(&format!("make {}", topics_dir.display()), &error))?;
        let lock = disk.lock(&root.join("lock")).map_err(|error| {
            let busy = error.kind() == std::io::ErrorKind::WouldBlock;
            let what = format!("lock {}", root.display());
            if busy { LogError::Io { what, error: "another process has it open".into() } } else { io(&what, &error) }
        })?;
        let files = SegmentFiles::new(disk, settings.files_open_max);
        let recovered = recovery::recover(&host, &root, &topics_dir, &files)?;
        let spare = Spare::default();
        let journal = spare.begin(&host, &root, recovered.next_sequence, recovered.next_number);
        let writer = Writer {
            journal: journal.map_err(|error| io("begin a journal file", &error))?,
            next_arrival: recovered.next_arrival,
            dirty: recovered.dirty,
            unsynced: Vec::new(),
            referred_bytes: 0,
            carried_bytes: recovered.journal_bytes,
            checkpoint_running: false,
            synced_at: host.clock.monotonic(),
        };
        let shared = Arc::new(Shared {
            root,
            topics_dir,
            files,
            tails: TailBudget::new(settings.tail_bytes_max),
            topics: RwLock::new(recovered.topics),
            fence: RwLock::new(()),
            shown_arrival: AtomicU64::new(writer.next_arrival),
            writer: Mutex::new(writer),
            queue: Queue::new(settings.queue_bytes_max),
            checkpoint_placed: Mutex::new(recovered.checkpoint_sequence),
            spare,
            rewrite_segments: AtomicBool::new(false),
            cleaner: Mutex::default(),
            checkpointing: Mutex::default(),
            closing: Mutex::new(false),
            closing_changed: Condvar::new(),
            settings,
            host,
        });
        let log = EmbeddedLog { shared, threads: Mutex::default(), lock: Mutex::new(Some(lock)) };
        if log.shared.settings.threads {
            log.start_threads()?;
        }
        Ok(Arc::new(log))
    }

    /// A log in memory of its own, gone when dropped, with `host`'s clock: for tests and for what need not last.
    pub fn open_in_memory(host: &Host) -> Result<Arc<EmbeddedLog>> {
        let host = host.with_disk(Arc::new(host::SimDisk::untracked()));
        EmbeddedLog::open(host, "/log", Settings::in_memory())
    }

    /// The topic of that name; all are known here.
    pub fn topic(&self, name: &str) -> Option<Topic> {
        self.shared.topics.read().get(name).map(|topic| topic.public())
    }

    fn start_threads(&self) -> Result<()> {
        let spawn = |name: &str, run: fn(&Arc<Shared>)| {
            let shared = Arc::clone(&self.shared);
            let builder = std::thread::Builder::new().name(name.to_owned());
            builder.spawn(move || run(&shared)).map_err(|error| io("start a thread", &error))
        };
        let mut threads = self.threads.lock();
        threads.push(spawn("recordlog-writer", queue::run_writer)?);
        threads.push(spawn("recordlog-cleaner", cleaner::run_cleaner)?);
        Ok(())
    }

    /// Make everything durable and let go of the files. Commits after this fail with
    /// [`LogError::Closed`]; dropping the log does the same.
    pub fn close(&self) -> Result<()> {
        self.shared.queue.close();
        *self.shared.closing.lock() = true;
        self.shared.closing_changed.notify_all();
        let mut threads: Vec<JoinHandle<()>> = self.threads.lock().drain(..).collect();
        let join = |thread: JoinHandle<()>| {
            if thread.join().is_err() {
                tracing::error!("a thread of the log panicked");
            }
        };
        threads.drain(..).for_each(join);
        // Nobody begins another, and this one must not write when the next process has the log open.
        self.shared.checkpointing.lock().take().into_iter().for_each(join);
        let Some(lock) = self.lock.lock().take() else { return Ok(()) };
        let closed = self.finish();
        for topic in self.shared.topics.read().values() {
            topic.bump();
        }
        drop(lock);
        closed
    }

    /// Leave the log so that it opens quickly: by a checkpoint when that is quick, else by a journal to replay. A log
    /// without threads lives in memory or in a test, where a replay is as quick.
    fn finish(&self) -> Result<()> {
        let mut writer = self.shared.writer.lock();
        if self.shared.settings.threads && writer.dirty.len() <= CLOSE_SYNCS_MAX {
            drop(writer);
            return self.checkpoint();
        }
        writer.sync(&self.shared)
    }

    /// Put a checkpoint in place now: everything before becomes durable, and a restart has nothing to replay.
    pub fn checkpoint(&self) -> Result<()> {
        let mut writer = self.shared.writer.lock();
        let checkpoint = writer.begin_checkpoint(&self.shared)?;
        checkpoint.run(&self.shared).map_err(|error| io("write a checkpoint", &error))?;
        writer.dirty.retain(|file| file.dirty.load(Ordering::SeqCst));
        Ok(())
    }

    /// Retention, compaction and tidying up as of `now_ms`. The log's own thread calls this from time to time.
    pub fn maintain(&self, now_ms: i64) -> Result<Maintained> {
        cleaner::maintain(&self.shared, now_ms)
    }

    /// The topic of that number.
    pub fn topic_by_id(&self, id: u128) -> Option<Topic> {
        self.shared.topics.read().values().find(|topic| topic.id == id).map(|topic| topic.public())
    }

    /// The ends of a partition, open transactions told apart.
    pub fn ends(&self, partition: &TopicPartition) -> Result<Ends> {
        let partition = self.partition(partition)?;
        let _whole = self.shared.fence.read();
        Ok(partition.ends())
    }

    /// As [`RecordLog::read`], but the batches as they are stored, for a reader that tells aborted ones itself.
    pub fn fetch(
        &self,
        partition: &TopicPartition,
        from: Offset,
        bytes_max: usize,
        isolation: Isolation,
    ) -> Result<Fetched> {
        self.partition(partition)?.fetch(&self.shared.files, &self.shared.fence, from, bytes_max, isolation)
    }

    /// The first record at or after a time.
    pub fn first_from(&self, partition: &TopicPartition, time_ms: i64) -> Result<Option<RecordPlace>> {
        self.partition(partition)?.first_from(&self.shared.files, time_ms)
    }

    /// The record with the largest time.
    pub fn latest_time(&self, partition: &TopicPartition) -> Result<Option<RecordPlace>> {
        self.partition(partition)?.latest_time(&self.shared.files)
    }

    /// The producers with an id that a partition knows, by id.
    pub fn producers(&self, partition: &TopicPartition) -> Result<Vec<ActiveProducer>> {
        let partition = self.partition(partition)?;
        let state = partition.state.read();
        let active = state.producers.iter().map(|(producer_id, producer)| ActiveProducer {
            producer_id,
            epoch: producer.epoch,
            last_sequence: producer.last_sequence(),
            last_time_ms: producer.last_ms,
            open_since: producer.open_since,
        });
        let mut active: Vec<ActiveProducer> = active.collect();
        active.sort_by_key(|producer| producer.producer_id);
        Ok(active)
    }

    /// The clock, randomness and files that it goes through.
    pub fn host(&self) -> &Host {
        &self.shared.host
    }

    fn topic_state(&self, name: &str) -> Result<Arc<TopicState>> {
        let topics = self.shared.topics.read();
        topics.get(name).cloned().ok_or_else(|| LogError::UnknownTopic(name.to_owned()))
    }

    fn partition(&self, partition: &TopicPartition) -> Result<Arc<Partition>> {
        self.topic_state(&partition.topic)?.partition(partition.partition)
    }

    /// Let the writer do something between two groups of commits.
    async fn with_writer<T: Send + 'static>(
        &self,
        act: impl FnOnce(&Shared, &mut Writer) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (reply, answer) = oneshot::channel();
        let job: queue::Act = Box::new(move |shared: &Shared, writer: &mut Writer| {
            let _ = reply.send(act(shared, writer));
        });
        if self.shared.settings.threads {
            self.shared.queue.push(Job::Act(job))?;
        } else {
            self.shared.queue.check_open()?;
            job(&self.shared, &mut self.shared.writer.lock());
        }
        answer.await.unwrap_or(Err(LogError::Closed))
    }
}

impl Drop for EmbeddedLog {
    fn drop(&mut self) {
        if let Err(error) = self.close() {
            tracing::warn!(%error, "the log closed without a checkpoint; the next start replays its journal");
        }
    }
}

/// Make the directory and those above it, durably; also when they are there, since a crash may have come between.
fn make_dirs(host: &Host, topics_dir: &Path) -> std::io::Result<()> {
    host.disk.create_dir_all(topics_dir)?;
    for dir in topics_dir.ancestors().skip(1) {
        let here = dir.as_os_str().is_empty();
        match host.disk.sync_dir(if here { Path::new(".") } else { dir }) {
            // Far above there may be directories that we may pass but not open; those we did not make.
            Err(error) if here || error.kind() == std::io::ErrorKind::PermissionDenied => break,
            other => other?,
        }
    }
    Ok(())
}

#[async_trait]
impl RecordLog for EmbeddedLog {
    async fn create_topic(&self, name: &str, config: TopicConfig) -> Result<Topic> {
        let name = name.to_owned();
        self.with_writer(move |shared, writer| admin::create_topic(shared, writer, &name, config)).await
    }

    async fn delete_topic(&self, name: &str) -> Result<()> {
        let name = name.to_owned();
        self.with_writer(move |shared, writer| admin::delete_topic(shared, writer, &name)).await
    }

    async fn alter_topic(
        &self,
        name: &str,
        settings: BTreeMap<String, Option<String>>,
        partitions: Option<u32>,
    ) -> Result<Topic> {
        let name = name.to_owned();
        self.with_writer(move |shared, writer| admin::alter_topic(shared, writer, &name, settings, partitions)).await
    }

    fn topic(&self, name: &str) -> Result<Option<Topic>> {
        Ok(EmbeddedLog::topic(self, name))
    }

    fn topics(&self) -> Vec<Topic> {
        self.shared.topics.read().values().map(|topic| topic.public()).collect()
    }

    /// One process has the log to itself, and what it did not commit is gone with it.
    async fn take_over(&self, _writer: &str) -> Result<()> {
        Ok(())
    }

    fn commit(&self, commit: Commit) -> CommitTicket {
        let (reply, ticket) = oneshot::channel();
        let now_ms = self.shared.host.clock.now_ms();
        let prepared = prepare(&self.shared.topics.read(), commit, now_ms);
        match prepared {
            Err(error) => {
                let _ = reply.send(Err(error));
            }
            Ok(appends) => {
                let bytes = appends.iter().map(|append| append.frames.len()).sum();
                let prepared = Prepared { appends, bytes, reply };
                if self.shared.settings.threads {
                    // When the log is closed the reply is dropped with the job, which says so.
                    if let Err((_, Job::Commit(refused))) = self.shared.queue.push_or_return(Job::Commit(prepared)) {
                        let _ = refused.reply.send(Err(LogError::Closed));
                    }
                } else if let Err(error) = self.shared.queue.check_open() {
                    let _ = prepared.reply.send(Err(error));
                } else {
                    queue::commit_now(&self.shared, prepared);
                }
            }
        }
        ticket
    }

    fn offsets(&self, partition: &TopicPartition) -> Result<Offsets> {
        let ends = self.ends(partition)?;
        Ok(Offsets { start: ends.start, end: ends.stable })
    }

    fn arrival_end(&self) -> Option<u64> {
        let _whole = self.shared.fence.read();
        Some(self.shared.shown_arrival.load(Ordering::SeqCst))
    }

    fn read(&self, partition: &TopicPartition, from: Offset, bytes_max: usize) -> Result<Vec<StoredBatch>> {
        self.partition(partition)?.read(&self.shared.files, &self.shared.fence, from, bytes_max)
    }

    fn offset_for_time(&self, partition: &TopicPartition, time_ms: i64) -> Result<Option<Offset>> {
        Ok(self.first_from(partition, time_ms)?.map(|place| place.offset))
    }

    async fn delete_records(&self, partition: &TopicPartition, before: Offset) -> Result<()> {
        let partition = self.partition(partition)?;
        self.with_writer(move |shared, writer| admin::delete_records(shared, writer, &partition, before)).await
    }

    fn watch(&self, topic: &str) -> Result<watch::Receiver<u64>> {
        Ok(self.topic_state(topic)?.changed.subscribe())
    }

    fn size_bytes(&self, partition: &TopicPartition) -> Result<u64> {
        Ok(self.partition(partition)?.state.read().size_bytes())
    }
}

/// Wait until the log closes or `time` has passed; whether it closes.
fn wait_for_close(shared: &Shared, time: Duration) -> bool {
    let mut closing = shared.closing.lock();
    if !*closing {
        shared.closing_changed.wait_for(&mut closing, time);
    }
    *closing
}
