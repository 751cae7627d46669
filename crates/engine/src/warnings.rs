//! What went wrong in single rows of a query that went on all the same, and what its rows may lack: told to the client
//! when the query ends.

use std::sync::Arc;

use parking_lot::Mutex;

/// Kinds of warnings that one query tells; further ones are counted together.
const KINDS_MAX: usize = 8;

/// Rows that failed, by what failed, and what else is to be told. Clones share what they hold.
#[derive(Debug, Clone, Default)]
pub struct Warnings(Arc<Mutex<Told>>);

#[derive(Debug, Default)]
struct Told {
    sentences: Vec<String>,
    failed: Vec<Warning>,
}

#[derive(Debug)]
struct Warning {
    what: String,
    rows: u64,
    first: String,
}

impl Warnings {
    /// `rows` rows failed at `what`, the first of them because of `reason`.
    pub fn add(&self, what: &str, rows: u64, reason: &str) {
        if rows == 0 {
            return;
        }
        let all = &mut self.0.lock().failed;
        let full = all.len() >= KINDS_MAX;
        let other = if full { "further expressions" } else { what };
        match all.iter_mut().find(|w| w.what == what || (full && w.what == other)) {
            Some(known) => known.rows += rows,
            None => all.push(Warning { what: other.to_string(), rows, first: reason.to_string() }),
        }
    }

    /// Tell a sentence, once.
    pub fn say(&self, sentence: String) {
        let sentences = &mut self.0.lock().sentences;
        if !sentences.contains(&sentence) {
            sentences.push(sentence);
        }
    }

    /// Everything so far as sentences, each told once.
    pub fn take(&self) -> Vec<String> {
        let told = |w: Warning| {
            let rows = if w.rows == 1 { "1 row".to_string() } else { format!("{} rows", w.rows) };
            format!("{} failed for {rows}: {}", w.what, w.first)
        };
        let Told { sentences, failed } = std::mem::take(&mut *self.0.lock());
        sentences.into_iter().chain(failed.into_iter().map(told)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_are_summed_by_what_failed_and_bounded() {
        let warnings = Warnings::default();
        warnings.add("UCASE", 0, "nothing");
        warnings.add("UCASE", 1, "first");
        warnings.add("UCASE", 2, "second");
        assert_eq!(warnings.take(), ["UCASE failed for 3 rows: first"]);
        assert!(warnings.take().is_empty());
        ["twice", "twice", "once"].into_iter().for_each(|sentence| warnings.say(sentence.to_owned()));
        assert_eq!(warnings.take(), ["twice", "once"]);
        (0..100).for_each(|n| warnings.add(&format!("F{n}"), 1, "why"));
        assert!(warnings.take().len() <= KINDS_MAX + 1);
    }
}
