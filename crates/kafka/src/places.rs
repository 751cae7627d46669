//! Partitions as this process reads them: their ends as far as known, and the places at which they are read.

use std::{collections::HashMap, sync::Arc, time::Duration};

use parking_lot::{Mutex, RwLock};
use recordlog::{LogError, Offset, Offsets, Result, StoredBatch, TopicPartition};

use crate::{
    client::{Health, serve},
    cursor::{Cursor, State},
    ends::{self, Asking, Known, Which},
    fetchers::{self, Fetchers, LANES_MAX},
    native::Client,
    watchers::{Watchers, tell},
};

/// Ends of partitions that are not being fetched may be so old.
const ENDS_AGE: Duration = Duration::from_millis(50);
/// Where a partition begins may be as old as that.
const START_AGE: Duration = Duration::from_secs(1);
/// What a finished transaction wrote is waited for to become visible for so long: then another one, still open, keeps
/// it from the readers.
const VISIBLE_WAIT: Duration = Duration::from_secs(1);
/// Transactions of others are waited for so long: longer than one lives whose process is gone.
const SETTLE_WAIT: Duration = Duration::from_secs(15);
/// Longest that a read waits for what the cluster says is there.
const READ_WAIT: Duration = Duration::from_secs(10);
/// Longest wait between two looks at a partition whose next records are marks alone.
const LOOK_WAIT_MAX: Duration = Duration::from_millis(16);
/// A place that nobody has read from for so long is given up.
const IDLE: Duration = Duration::from_secs(60);

/// A partition.
#[derive(Default)]
struct Place {
    known: Mutex<Known>,
    cursors: Mutex<Vec<Arc<Cursor>>>,
}

/// Clients that ask.
pub(crate) struct Askers {
    /// As readers see it, who see what is committed.
    pub asker: Client,
    /// Behind what is still open, too.
    pub asker_of_all: Client,
}

/// All partitions that were asked for or read.
pub(crate) struct Places {
    askers: Askers,
    health: Arc<Health>,
    host: host::Host,
    fetchers: Arc<Fetchers>,
    watchers: Arc<Watchers>,
    places: RwLock<HashMap<TopicPartition, Arc<Place>>>,
    /// What was known before is not to be relied upon.
    barrier: Mutex<Duration>,
}

impl Places {
    /// Nothing known yet.
    pub fn new(
        askers: Askers,
        health: Arc<Health>,
        host: host::Host,
        fetchers: Fetchers,
        watchers: Arc<Watchers>,
    ) -> Places {
        let (places, barrier) = (RwLock::default(), Mutex::default());
        Places { askers, health, host, fetchers: Arc::new(fetchers), watchers, places, barrier }
    }

    /// The client that asks.
    pub fn asker(&self) -> &Client {
        &self.askers.asker
    }

    fn asking<'a>(&'a self, client: &'a Client) -> Asking<'a> {
        Asking { client, health: &self.health, host: &self.host }
    }

    /// Ask for one end of one partition.
    fn end_of(&self, client: &Client, partition: &TopicPartition, which: Which) -> Result<Offset> {
        let answers = ends::ask(&self.asking(client), std::slice::from_ref(partition), which)?;
        answers.into_iter().next().unwrap_or_else(|| Err(LogError::UnknownPartition(partition.clone())))
    }

    fn now(&self) -> Duration {
        self.host.clock.monotonic()
    }

    fn place(&self, partition: &TopicPartition) -> Arc<Place> {
        if let Some(place) = self.places.read().get(partition) {
            return Arc::clone(place);
        }
        Arc::clone(self.places.write().entry(partition.clone()).or_default())
    }

    /// From now on the cluster is asked anew about every partition.
    pub fn doubt(&self) {
        *self.barrier.lock() = self.now();
    }

    /// This process has written up to before `end`.
    pub fn written(&self, partition: &TopicPartition, end: Offset) {
        let place = self.place(partition);
        let mut known = place.known.lock();
        known.written = known.written.max(end);
    }

    /// This process has deleted a partition's records before `start`.
    pub fn deleted(&self, partition: &TopicPartition, start: Offset) {
        self.place(partition).known.lock().start = Some((start, self.now()));
    }

    /// A topic is gone or begins anew.
    pub fn forget(&self, topic: &str) {
        self.places.write().retain(|partition, _| &*partition.topic != topic);
    }

    /// The ends of a partition.
    pub fn offsets(&self, partition: &TopicPartition) -> Result<Offsets> {
        let place = self.place(partition);
        let (read_to, fetched_end, start) = place.look();
        let asked = *place.known.lock();
        let stale = |at: Duration, age: Duration| at < *self.barrier.lock() || self.now().saturating_sub(at) > age;
        let end = match (asked.end.filter(|_| !self.health.is_down()), fetched_end) {
            // A fetch is under way: what comes is known as soon as it comes.
            (Some((end, at)), Some(fetched_end)) if !stale(at, Duration::MAX) => end.max(read_to).max(fetched_end),
            (Some((end, at)), _) if !stale(at, ENDS_AGE) => end.max(read_to),
            _ => self.ask_end(partition, &place)?.max(read_to),
        };
        let end = if asked.written > end { self.wait_visible(partition, &place, asked.written)? } else { end };
        // It only grows.
        let start = match (start, asked.start) {
            (Some(start), asked) => start.max(asked.map_or(0, |(asked, _)| asked)),
            (None, Some((start, at))) if !stale(at, START_AGE) => start,
            _ => self.ask_start(partition, &place)?,
        };
        let mut known = place.known.lock();
        known.told = known.told.max(end);
        Ok(Offsets { start: start.min(end), end })
    }

    fn ask_end(&self, partition: &TopicPartition, place: &Place) -> Result<Offset> {
        let now = self.now();
        let end = self.end_of(self.asker(), partition, Which::End)?;
        Ok(self.note_end(partition, place, end, now).0)
    }

    /// The cluster has said where a partition ends; where it does as far as is known, and whether that was known before.
    /// Who watches is told when it is new, whoever asked: he may have been content with what was known.
    fn note_end(&self, partition: &TopicPartition, place: &Place, end: Offset, now: Duration) -> (Offset, bool) {
        let mut known = place.known.lock();
        let before = known.end.map(|(before, _)| before);
        // Answers may overtake each other.
        let end = before.map_or(end, |before| before.max(end));
        known.end = Some((end, now));
        drop(known);
        if before.is_some_and(|before| before < end) {
            self.watchers.fire(&partition.topic);
        }
        (end, before == Some(end))
    }

    fn ask_start(&self, partition: &TopicPartition, place: &Place) -> Result<Offset> {
        let now = self.now();
        let start = self.end_of(self.asker(), partition, Which::Start)?;
        place.known.lock().start = Some((start, now));
        Ok(start)
    }

    /// A transaction is over when its coordinator has noted so; its records are visible when the partitions' leaders
    /// have, too, a moment later.
    fn wait_visible(&self, partition: &TopicPartition, place: &Place, written: Offset) -> Result<Offset> {
        let (begun, mut pause) = (self.now(), Duration::from_millis(1));
        loop {
            let end = self.ask_end(partition, place)?;
            if end >= written {
                return Ok(end);
            }
            if self.now().saturating_sub(begun) > VISIBLE_WAIT {
                place.known.lock().written = end;
                return Ok(end);
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(LOOK_WAIT_MAX);
        }
    }

    /// Wait until all transactions are over that are open in a partition now.
    pub fn settle(&self, partition: &TopicPartition) -> Result<()> {
        let client = &self.askers.asker_of_all;
        serve(client);
        let written = self.end_of(client, partition, Which::End)?;
        let (place, begun, mut pause) = (self.place(partition), self.now(), Duration::from_millis(1));
        while self.ask_end(partition, &place)? < written {
            if self.now().saturating_sub(begun) > SETTLE_WAIT {
                let text = format!("{partition}: a transaction of another writer has been open for {SETTLE_WAIT:?}");
                return Err(LogError::Unavailable(text));
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(LOOK_WAIT_MAX);
        }
        Ok(())
    }

    /// The first offset whose record is at or after a time.
    pub fn offset_for_time(&self, partition: &TopicPartition, time_ms: i64) -> Result<Option<Offset>> {
        ends::ask_time(&self.asking(self.asker()), partition, time_ms)
    }

    /// Batches from the one with `from` on.
    pub fn read(&self, partition: &TopicPartition, from: Offset, bytes_max: usize) -> Result<Vec<StoredBatch>> {
        let place = self.place(partition);
        let known = *place.known.lock();
        if let Some((start, _)) = known.start.filter(|(start, _)| from < *start) {
            // It may be kept here, but was deleted.
            let end = known.end.map_or(start, |(end, _)| end);
            return Err(LogError::OutOfRange { partition: partition.clone(), offset: from, start, end });
        }
        loop {
            let cursor = self.cursor(partition, &place, from)?;
            cursor.use_at(self.now());
            let read = cursor.with(|state| self.read_at(partition, &place, state, from, bytes_max));
            match read {
                Ok(Some(batches)) => return Ok(batches),
                // Somebody was faster and let go of what is asked for.
                Ok(None) => {}
                Err(error) => {
                    place.cursors.lock().retain(|other| !Arc::ptr_eq(other, &cursor));
                    return Err(match error {
                        LogError::OutOfRange { .. } => {
                            let start = self.ask_start(partition, &place)?;
                            let end = self.ask_end(partition, &place)?;
                            LogError::OutOfRange { partition: partition.clone(), offset: from, start, end }
                        }
                        error => ends::with_words(error, &self.health),
                    });
                }
            }
        }
    }

    fn read_at(
        &self,
        partition: &TopicPartition,
        place: &Place,
        state: &mut State,
        from: Offset,
        bytes_max: usize,
    ) -> Result<Option<Vec<StoredBatch>>> {
        if !state.covers(from) {
            return Ok(None);
        }
        state.forget(from);
        let (begun, mut wait) = (self.now(), Duration::ZERO);
        loop {
            let bytes: usize = state.kept(from, bytes_max).iter().map(|batch| batch.bytes.len()).sum();
            if bytes < bytes_max {
                state.pull(if bytes == 0 { wait } else { Duration::ZERO }, bytes_max - bytes);
            }
            let kept = state.cut(from, bytes_max)?;
            if !kept.is_empty() {
                self.health.answered();
                if state.has_more() {
                    // Who stops where the partition ended when he asked would not hear of what came meanwhile: the
                    // queue tells only when it stops being empty.
                    self.watchers.fire(&partition.topic);
                }
                return Ok(Some(kept));
            }
            if let Some(error) = state.take_failure() {
                return Err(error);
            }
            if self.is_end(partition, place, state)? {
                return Ok(Some(vec![]));
            }
            if self.now().saturating_sub(begun) > READ_WAIT {
                let (next, end) = (state.next(), place.known.lock().end.map_or(-1, |(end, _)| end));
                let why = state.trouble().map_or(String::new(), |words| format!(": {words}"));
                let text =
                    format!("{partition}: offset {next} did not come within {READ_WAIT:?}, it ends at {end}{why}");
                return Err(LogError::Unavailable(text));
            }
            wait = (wait * 2).clamp(Duration::from_millis(1), LOOK_WAIT_MAX);
        }
    }

    /// Whether nothing is behind what was read.
    fn is_end(&self, partition: &TopicPartition, place: &Place, state: &State) -> Result<bool> {
        let known = *place.known.lock();
        let next = state.next();
        if next < known.end.map_or(0, |(end, _)| end).max(known.told) {
            return Ok(false);
        }
        if next < known.written {
            return Ok(next >= self.wait_visible(partition, place, known.written)?);
        }
        let fresh = known.end.is_some_and(|(_, at)| {
            at >= *self.barrier.lock() && (state.is_at_end() || self.now().saturating_sub(at) <= ENDS_AGE)
        });
        Ok(fresh || next >= self.ask_end(partition, place)?)
    }

    fn cursor(&self, partition: &TopicPartition, place: &Place, from: Offset) -> Result<Arc<Cursor>> {
        let mut cursors = place.cursors.lock();
        if let Some(cursor) = cursors.iter().find(|cursor| cursor.covers(from)) {
            return Ok(Arc::clone(cursor));
        }
        if cursors.len() >= LANES_MAX {
            let oldest = cursors.iter().enumerate().min_by_key(|(_, cursor)| cursor.used()).map(|(at, _)| at);
            oldest.map(|at| cursors.swap_remove(at));
        }
        let mut opened = self.open(partition, from)?;
        if opened.is_none() {
            self.give_up_oldest(partition);
            opened = self.open(partition, from)?;
        }
        let cursor = opened.ok_or_else(|| fetchers::full(partition))?;
        cursors.push(Arc::clone(&cursor));
        Ok(cursor)
    }

    fn open(&self, partition: &TopicPartition, from: Offset) -> Result<Option<Arc<Cursor>>> {
        let watchers = self.watchers.sender(&partition.topic);
        let sender = Arc::clone(&watchers);
        let lease = self.fetchers.open(partition, from, Box::new(move || tell(&sender)))?;
        Ok(lease.map(|lease| Arc::new(Cursor::new(partition.clone(), from, lease, watchers, self.now()))))
    }

    /// Give up the place that has not been read from for longest, of all partitions but one.
    fn give_up_oldest(&self, but: &TopicPartition) {
        let places: Vec<Arc<Place>> =
            self.places.read().iter().filter(|(p, _)| *p != but).map(|(_, place)| Arc::clone(place)).collect();
        let oldest = places.iter().filter_map(|place| {
            let cursors = place.cursors.try_lock()?;
            cursors.iter().map(|cursor| (cursor.used(), place, Arc::clone(cursor))).min_by_key(|(used, ..)| *used)
        });
        if let Some((_, place, cursor)) = oldest.min_by_key(|(used, ..)| *used) {
            place.cursors.lock().retain(|other| !Arc::ptr_eq(other, &cursor));
        }
    }

    /// What is to be done from time to time: partitions of watched topics are looked after, so that who watches them
    /// without reading is told, and places that nobody reads from are given up.
    pub fn tend(&self, watched: &[TopicPartition]) {
        serve(self.asker());
        self.give_up_idle(watched);
        let unread: Vec<TopicPartition> =
            watched.iter().filter(|partition| !self.place(partition).is_followed()).cloned().collect();
        let now = self.now();
        let Ok(ends) = ends::ask(&self.asking(self.asker()), &unread, Which::End) else { return };
        for (partition, end) in unread.iter().zip(ends) {
            let (Ok(end), place) = (end, self.place(partition)) else { continue };
            if let (end, true) = self.note_end(partition, &place, end, now) {
                // Nobody reads it yet: what comes next is fetched at once.
                self.follow(partition, &place, end);
            }
        }
    }

    /// Fetch what comes next in a partition that nobody reads yet, if there is a seat.
    fn follow(&self, partition: &TopicPartition, place: &Place, end: Offset) {
        let mut cursors = place.cursors.lock();
        if cursors.is_empty()
            && let Ok(Some(cursor)) = self.open(partition, end)
        {
            cursors.push(cursor);
        }
    }

    fn give_up_idle(&self, watched: &[TopicPartition]) {
        let now = self.now();
        for (partition, place) in self.places.read().iter() {
            let Some(mut cursors) = place.cursors.try_lock() else { continue };
            let furthest = cursors.iter().map(|cursor| cursor.next()).max();
            let keep = watched.contains(partition).then_some(furthest).flatten();
            cursors.retain(|c| now.saturating_sub(c.used()) <= IDLE || keep == Some(c.next()));
        }
    }
}

impl Place {
    /// How far it was read at most, and where it ends and begins, as the fetches say.
    fn look(&self) -> (Offset, Option<Offset>, Option<Offset>) {
        let cursors = self.cursors.lock();
        let Some(cursor) = cursors.iter().max_by_key(|cursor| cursor.next()) else { return (0, None, None) };
        // Somebody is reading there; what he finds is told when he is done.
        cursor.look(|state| (state.next(), state.end(), state.start())).unwrap_or((cursor.next(), None, None))
    }

    /// Whether what is appended is noticed by a fetch.
    fn is_followed(&self) -> bool {
        let cursors = self.cursors.lock();
        cursors.iter().any(|cursor| cursor.try_with(|state| state.is_at_end()).unwrap_or(false))
    }
}
