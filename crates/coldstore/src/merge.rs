//! Several runs as one: of each key what the newest run says.

use std::sync::Arc;

use crate::{
    Result,
    run::{Entry, Run, RunEntries},
};

/// The entries of runs, in order of keys, each key once.
pub(crate) struct Merged {
    /// Newest first.
    runs: Vec<RunEntries>,
    /// The one that has the entry at hand.
    first: Option<usize>,
}

impl Merged {
    /// Those from `from` on; `runs` newest first.
    pub fn from(runs: &[Arc<Run>], from: &[u8]) -> Result<Merged> {
        let runs = runs.iter().map(|run| RunEntries::from(run.clone(), from)).collect::<Result<_>>()?;
        let mut merged = Merged { runs, first: None };
        merged.choose();
        Ok(merged)
    }

    fn choose(&mut self) {
        let heads = self.runs.iter().enumerate().filter_map(|(at, run)| Some((run.head()?.0, at)));
        self.first = heads.min().map(|(_, at)| at);
    }

    /// The entry at hand; `None` at the end.
    pub fn head(&self) -> Option<Entry<'_>> {
        self.runs.get(self.first?)?.head()
    }

    /// Go to the next one.
    pub fn advance(&mut self) -> Result<()> {
        let Some(first) = self.first else { return Ok(()) };
        // Older entries of the key are passed over; newer runs have none of it.
        let Some((newer, older)) = self.runs.split_at_mut_checked(first + 1) else { return Ok(()) };
        let Some(own) = newer.last_mut() else { return Ok(()) };
        for run in older {
            if run.head().map(|e| e.0) == own.head().map(|e| e.0) {
                run.advance()?;
            }
        }
        own.advance()?;
        self.choose();
        Ok(())
    }
}
