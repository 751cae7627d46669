//! How the queries of a service do, over all its processes: a query does as the worst of its tasks.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use futures::future::join_all;
use types::Result;

use super::wire::{Request, accepted, unreadable};
use crate::{Engine, running::QueryState};

/// How long a process may take to say how its tasks do.
const STATES_WAIT: Duration = Duration::from_secs(2);

/// States by query.
pub(crate) type States = BTreeMap<String, QueryState>;

impl Engine {
    /// How the queries do, as far as processes answer.
    pub(crate) async fn states(&self) -> States {
        let mut states = self.own_states();
        let Some(member) = &self.member else { return states };
        let holders = member.holders(true).await.unwrap_or_default();
        let addresses: BTreeSet<&String> = holders.values().filter(|address| **address != member.address).collect();
        let Ok(request) = Request::States.text() else { return states };
        let asked = addresses.into_iter().map(|address| {
            let answer = member.peers.ask(address, &request);
            async move {
                let answer = tokio::time::timeout(STATES_WAIT, answer).await.ok()?.ok()?;
                parsed(&answer).ok()
            }
        });
        for (id, state) in join_all(asked).await.into_iter().flatten().flatten() {
            if let Some(known) = states.get_mut(&id)
                && matches!(state, QueryState::Error(_))
            {
                *known = state;
            }
        }
        states
    }

    pub(super) fn own_states(&self) -> States {
        self.queries.lock().values().map(|query| (query.id.clone(), query.state())).collect()
    }
}

fn parsed(answer: &[u8]) -> Result<States> {
    serde_json::from_slice(accepted(answer)?).map_err(unreadable)
}
