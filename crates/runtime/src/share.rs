//! A query in parts that run by themselves, on any process: its tasks.
//!
//! A *stage* is what of a graph hangs together without an exchange: nodes whose rows stay in their partition. A *task* is
//! one partition of one stage. Between stages there are topics, to which the stage before writes what it routes, and
//! which the stage behind reads like a source; so a task needs nothing of another one but what is in the log, and whoever
//! opens it goes on where it was committed last.

use std::{fmt, str::FromStr};

use types::{Error, Result};

/// A task of a query: one partition of one stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Share {
    /// Which stage; a stage has a higher number than those that it reads.
    pub stage: u32,
    /// Which partition.
    pub partition: u32,
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}", self.stage, self.partition)
    }
}

impl FromStr for Share {
    type Err = Error;

    fn from_str(text: &str) -> Result<Share> {
        let number = |text: &str| {
            let is_plain = text == "0" || !text.starts_with(['0', '+']);
            text.parse::<u32>().ok().filter(|_| is_plain)
        };
        let both = text.split_once('_').and_then(|(stage, partition)| Some((number(stage)?, number(partition)?)));
        let (stage, partition) =
            both.ok_or_else(|| Error::invalid(format!("{text:?} is no task: expected stage_partition, as in 0_3")))?;
        Ok(Share { stage, partition })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tasks_have_names() {
        let check = |text: &str, expect: Option<(u32, u32)>| {
            let found = text.parse::<Share>().ok();
            assert_eq!(found, expect.map(|(stage, partition)| Share { stage, partition }), "{text}");
            assert!(found.is_none_or(|share| share.to_string() == text));
        };
        check("0_0", Some((0, 0)));
        check("12_345", Some((12, 345)));
        check("1", None);
        check("1_", None);
        check("1_2_3", None);
        check("+1_2", None);
        check("01_2", None);
        check("-1_2", None);
    }
}
