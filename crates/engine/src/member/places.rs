//! Where the tasks of a query are.

use std::fmt;

use runtime::Share;

use crate::{
    Engine,
    running::{QueryState, RunningQuery},
};

/// Where a task is.
pub(crate) struct Place {
    share: Share,
    slot: u32,
    /// Where the process is reached that has it; `None`: none has it, as far as is known.
    address: Option<String>,
    /// What it does, where that is this process.
    state: Option<QueryState>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (slot {}): ", self.share, self.slot)?;
        match (&self.state, &self.address) {
            (Some(QueryState::Error(reason)), _) => write!(f, "here, ERROR: {reason}"),
            (Some(state), _) => write!(f, "here, {}", state.name()),
            (None, Some(address)) => write!(f, "at {address}"),
            (None, None) => write!(f, "nowhere just now"),
        }
    }
}

impl Engine {
    /// Where the tasks of a query are; empty where this process runs all of it.
    pub(crate) async fn places(&self, query: &RunningQuery) -> Vec<Place> {
        let Some(member) = self.member.clone().filter(|_| query.is_spread()) else { return vec![] };
        let holders = member.holders(true).await.unwrap_or_default();
        let place = |share: &Share| {
            let slot = member.slot(&query.opener.options.id, share);
            let address = holders.get(&slot).filter(|address| **address != member.address).cloned();
            Place { share: *share, slot, address, state: query.state_of(*share) }
        };
        query.shares().iter().map(place).collect()
    }
}
