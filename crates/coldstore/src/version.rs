//! What a store holds at one time: its runs, newest first.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use crate::{ColdError, Result, bloom::hash, merge::Merged, run::Run};

/// A store's content as it was when asked for; it does not change, and its files are kept until it is dropped.
#[derive(Debug, Default)]
pub struct Version {
    pub(crate) runs: Vec<Arc<Run>>,
    /// Whether any version of the store was found damaged.
    pub(crate) damaged: Arc<AtomicBool>,
}

impl Version {
    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// Bytes on disk.
    pub fn disk_bytes(&self) -> u64 {
        self.runs.iter().map(|r| r.bytes).sum()
    }

    /// Bytes on disk of entries whose keys begin with `prefix`, about.
    pub fn disk_bytes_under(&self, prefix: &[u8]) -> u64 {
        self.runs.iter().map(|r| r.bytes_under(prefix)).sum()
    }

    /// Bytes of memory that indexes and filters take.
    pub fn memory_bytes(&self) -> usize {
        self.runs.iter().map(|r| r.memory_bytes()).sum()
    }

    /// Entries on disk; a key that several runs hold counts as often.
    pub fn entries(&self) -> u64 {
        self.runs.iter().map(|r| r.entries).sum()
    }

    /// Runs.
    pub fn runs(&self) -> usize {
        self.runs.len()
    }

    fn noted<T>(&self, result: Result<T>) -> Result<T> {
        if let Err(ColdError::Damaged { .. } | ColdError::Io { .. }) = &result {
            self.damaged.store(true, Ordering::Relaxed);
        }
        result
    }

    /// The value of `key`.
    ///
    /// # Errors
    /// A file cannot be read, or is damaged.
    pub fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        let mut found = None;
        self.get_sorted(&[key], |_, value| found = Some(value.to_vec()))?;
        Ok(found)
    }

    /// Call `each` with the place among `keys` and the value of every key that is there. `keys` ascend: neighbours are
    /// found in one block, which is read once.
    ///
    /// # Errors
    /// A file cannot be read, or is damaged.
    pub fn get_sorted(&self, keys: &[&[u8]], each: impl FnMut(usize, &[u8])) -> Result<()> {
        self.noted(self.look_up(keys, each))
    }

    fn look_up(&self, keys: &[&[u8]], mut each: impl FnMut(usize, &[u8])) -> Result<()> {
        let mut open: Vec<(usize, &[u8], u64)> = keys.iter().enumerate().map(|(at, k)| (at, *k, hash(k))).collect();
        let mut block = vec![];
        for run in &self.runs {
            let (mut read, mut failed) = (None, None);
            open.retain(|(at, key, hash)| {
                if failed.is_some() || !run.may_hold(*hash) {
                    return true;
                }
                let mut look = || -> Result<bool> {
                    let Some(wanted) = run.block_of(key) else { return Ok(true) };
                    if read != Some(wanted) {
                        read = None;
                        run.read_block(wanted, &mut block)?;
                        read = Some(wanted);
                    }
                    match run.find(&block, key)? {
                        Some(Some(value)) => each(*at, value),
                        Some(None) => {}
                        None => return Ok(true),
                    }
                    Ok(false)
                };
                look().unwrap_or_else(|e| {
                    failed = Some(e);
                    true
                })
            });
            if let Some(error) = failed {
                return Err(error);
            }
            if open.is_empty() {
                break;
            }
        }
        Ok(())
    }

    /// Call `each` with the entries whose keys are at least `from`, in order, as long as it says true.
    ///
    /// # Errors
    /// A file cannot be read, or is damaged.
    pub fn scan(&self, from: &[u8], each: impl FnMut(&[u8], &[u8]) -> bool) -> Result<()> {
        self.noted(self.walk(from, each))
    }

    fn walk(&self, from: &[u8], mut each: impl FnMut(&[u8], &[u8]) -> bool) -> Result<()> {
        let mut merged = Merged::from(&self.runs, from)?;
        while let Some((key, value)) = merged.head() {
            if let Some(value) = value
                && !each(key, value)
            {
                break;
            }
            merged.advance()?;
        }
        Ok(())
    }
}
