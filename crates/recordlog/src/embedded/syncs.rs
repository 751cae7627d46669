//! Syncs of several segments at a time: most of a sync is waiting for the device, which takes many at once, and file
//! systems make the lengths of many files durable in one go.

use std::{
    collections::BTreeSet,
    io,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use super::{Shared, partition::io_error, segment::SegmentFile, writer};
use crate::Result;

/// Most threads that sync at a time.
const THREADS_MAX: usize = 16;
/// For a checkpoint, many of whose files have long been written by the system, a thread is not worth it with fewer files.
const FILES_PER_THREAD_MIN: usize = 4;

/// Sync what was written to files since they were synced last.
pub(super) fn sync_all(shared: &Shared, files: &[Arc<SegmentFile>]) -> io::Result<()> {
    let threads = if shared.settings.threads { files.len() / FILES_PER_THREAD_MIN } else { 0 };
    each(files, threads, |file| shared.files.sync(file))
}

/// Sync segments that an entry will refer to, and their names: a commit of an epoch writes much to a segment of each
/// partition, and waits about as long for all of them as for one.
pub(super) fn sync_referred(shared: &Shared, files: &[Arc<SegmentFile>]) -> Result<()> {
    let threads = if shared.settings.threads { files.len() } else { 0 };
    each(files, threads, |file| {
        let synced = shared.files.to_write(file).and_then(|handle| handle.sync_data());
        synced.map_err(|error| {
            shared.rewrite_segments.store(true, Ordering::SeqCst);
            io_error("sync", file, &error)
        })
    })?;
    sync_dirs(shared, files).map_err(|error| writer::io("sync the directories of segments", &error))
}

/// Do something with each of the files, in so many threads, of which this is one.
fn each<E: Send>(
    files: &[Arc<SegmentFile>],
    threads: usize,
    act: impl Fn(&Arc<SegmentFile>) -> Result<(), E> + Sync,
) -> Result<(), E> {
    let next = AtomicUsize::new(0);
    let rest = || {
        while let Some(file) = files.get(next.fetch_add(1, Ordering::SeqCst)) {
            act(file)?;
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let spawn = |_| std::thread::Builder::new().name("recordlog-sync".into()).spawn_scoped(scope, rest);
        // Where there are no threads to be had the one that is here does it all.
        let others: Vec<_> = (1..threads.min(THREADS_MAX)).map_while(|n| spawn(n).ok()).collect();
        let own: Result<(), E> = rest();
        let others = others.into_iter().map(|t| t.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        others.fold(own, Result::and)
    })
}

/// Make the names of newly made segments durable.
pub(super) fn sync_dirs<'a>(shared: &Shared, files: impl IntoIterator<Item = &'a Arc<SegmentFile>>) -> io::Result<()> {
    let fresh: Vec<&Arc<SegmentFile>> = files
        .into_iter()
        .filter(|file| file.fresh.load(Ordering::SeqCst) && !file.removed.load(Ordering::SeqCst))
        .collect();
    if fresh.is_empty() {
        return Ok(());
    }
    let dirs: BTreeSet<PathBuf> = fresh.iter().map(|file| file.dir().to_path_buf()).collect();
    for dir in dirs {
        match shared.host.disk.sync_dir(&dir) {
            // The topic was deleted meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            other => other?,
        }
    }
    shared.host.disk.sync_dir(&shared.topics_dir)?;
    for file in fresh {
        file.fresh.store(false, Ordering::SeqCst);
    }
    Ok(())
}
