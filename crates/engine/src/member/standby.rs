//! State of tasks that other processes run, kept warm: a task that moves here goes on without reading its changelog.
//!
//! Which tasks a process follows comes of who has which slot: the processes that come next in the row of all of them, by
//! address, follow the tasks of each. Nobody has to agree on that; where two processes see it differently for a while, a
//! task is followed once too often or too seldom.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Weak},
    time::Duration,
};

use futures::future::join_all;
use parking_lot::Mutex;
use recordlog::{Offset, TopicPartition};
use runtime::{QueryStats, Share, StandbyTask, log_error};
use tokio::{sync::watch, task::JoinHandle};
use types::Result;

use super::Member;
use crate::{Engine, running::Opener, service::apart};

/// How often is looked which tasks are to be followed.
const LOOK_EVERY: Duration = Duration::from_secs(3);

/// What is followed is read on at least so often.
const FOLLOW_EVERY: Duration = Duration::from_secs(1);

/// Pause before a task is followed again that could not be.
const RETRY_PAUSE: Duration = Duration::from_secs(5);

/// A task, by the id under which its query runs.
type Key = (String, Share);

/// Tasks that this process follows.
#[derive(Default)]
pub(super) struct Standbys {
    followed: Mutex<BTreeMap<Key, Followed>>,
}

/// A task that is followed.
struct Followed {
    stop: watch::Sender<bool>,
    seen: Arc<Mutex<Option<Seen>>>,
    /// What it has when it is stopped.
    following: JoinHandle<Option<StandbyTask>>,
}

impl Followed {
    fn new(opener: Opener) -> Followed {
        let (stop, stopped) = watch::channel(false);
        let seen = Arc::<Mutex<Option<Seen>>>::default();
        Followed { stop, seen: seen.clone(), following: tokio::spawn(follow(opener, stopped, seen)) }
    }

    async fn stop(self) -> Option<StandbyTask> {
        self.stop.send_replace(true);
        self.following.await.unwrap_or_default()
    }
}

/// How far one is that is followed.
pub(crate) struct Seen {
    pub stats: Arc<QueryStats>,
    /// Where its changelog is read on; `None`: it has no state.
    pub position: Option<(TopicPartition, Offset)>,
}

/// Follow a task until told to stop.
async fn follow(
    opener: Opener,
    mut stopped: watch::Receiver<bool>,
    seen: Arc<Mutex<Option<Seen>>>,
) -> Option<StandbyTask> {
    while !*stopped.borrow() {
        match follow_one(&opener, &mut stopped, &seen).await {
            Ok(standby) => return Some(standby),
            Err(error) => {
                *seen.lock() = None;
                tracing::debug!(query = opener.options.id, %error, "a task is not followed just now");
                let stop = stopped.wait_for(|stop| *stop);
                let _ = tokio::time::timeout(RETRY_PAUSE, stop).await;
            }
        }
    }
    None
}

async fn follow_one(
    opener: &Opener,
    stopped: &mut watch::Receiver<bool>,
    seen: &Mutex<Option<Seen>>,
) -> Result<StandbyTask> {
    let own = opener.clone();
    let open = move || {
        let Opener { plan, options, log, host, pool, .. } = own;
        tokio::runtime::Handle::current().block_on(StandbyTask::open(&plan, options, log, host, pool))
    };
    let mut standby = apart(open).await?;
    let topics = standby.topics();
    let mut watches =
        topics.iter().map(|topic| opener.log.watch(topic).map_err(log_error)).collect::<Result<Vec<_>>>()?;
    while !*stopped.borrow() {
        watches.iter_mut().for_each(|topic| {
            topic.borrow_and_update();
        });
        let (back, more) = apart(move || {
            let more = standby.follow();
            Ok((standby, more))
        })
        .await?;
        standby = back;
        *seen.lock() = Some(Seen { stats: standby.stats(), position: standby.position() });
        if more? {
            continue;
        }
        let grown = async {
            match watches.first_mut() {
                Some(topic) => drop(topic.changed().await),
                None => std::future::pending().await,
            }
        };
        let stop = async { drop(stopped.wait_for(|stop| *stop).await) };
        tokio::select! {
            () = grown => {}
            () = stop => {}
            () = tokio::time::sleep(FOLLOW_EVERY) => {}
        }
    }
    Ok(standby)
}

/// Whether a process at `own` follows tasks of the one at `holder`, among all of them.
fn follows(own: &str, holder: &str, all: &BTreeSet<&str>, replicas: usize) -> bool {
    let behind = all.iter().skip_while(|address| **address != holder).skip(1);
    let before = all.iter().take_while(|address| **address != holder);
    behind.chain(before).take(replicas).any(|address| *address == own)
}

impl Engine {
    /// Follow tasks of other processes for as long as there is this engine, if that is wanted.
    pub(super) fn keep_standbys(own: Weak<Engine>, member: Arc<Member>) {
        if member.standby_replicas == 0 {
            return;
        }
        tokio::spawn(async move {
            loop {
                let Some(engine) = own.upgrade().filter(|engine| !engine.is_closed()) else { return };
                if let Err(error) = engine.choose_standbys(&member).await {
                    tracing::debug!(%error, "which tasks are to be followed cannot be told just now");
                }
                drop(engine);
                tokio::time::sleep(LOOK_EVERY).await;
            }
        });
    }

    async fn choose_standbys(&self, member: &Arc<Member>) -> Result<()> {
        let holders = member.holders(true).await?;
        let mut all: BTreeSet<&str> = holders.values().map(String::as_str).collect();
        all.insert(&member.address);
        // What is started or stopped here is not to be followed at the same time.
        let _one = member.adjusting.lock().await;
        let held = member.held.lock().clone();
        let queries: Vec<_> = self.queries.lock().values().cloned().collect();
        let (mut wanted, mut kept) = (BTreeMap::new(), BTreeSet::new());
        for query in &queries {
            let id = query.opener.options.id.as_str();
            for share in query.shares().iter() {
                let slot = member.slot(id, share);
                let is_here = query.state_of(*share).is_some() || held.contains(&slot);
                match holders.get(&slot).filter(|_| !is_here) {
                    // It takes what there is when it is opened here, which it may be next where nobody has it.
                    None => {
                        kept.insert((id.to_string(), *share));
                    }
                    Some(holder) if follows(&member.address, holder, &all, member.standby_replicas) => {
                        wanted.insert((id.to_string(), *share), query.opener.of_share(*share));
                    }
                    Some(_) => {}
                }
            }
        }
        let gone: Vec<Followed> = {
            let mut followed = member.standbys.followed.lock();
            let is_gone = |key: &Key| !wanted.contains_key(key) && !kept.contains(key);
            followed.extract_if(.., |key, _| is_gone(key)).map(|(_, followed)| followed).collect()
        };
        join_all(gone.into_iter().map(Followed::stop)).await;
        let mut followed = member.standbys.followed.lock();
        for (key, opener) in wanted {
            followed.entry(key).or_insert_with(|| Followed::new(opener));
        }
        Ok(())
    }

    /// The tasks that this process follows, by the id under which their queries run; `look` is told how far each is.
    pub(crate) fn each_standby(&self, mut look: impl FnMut(&str, Share, Option<&Seen>)) {
        let Some(member) = &self.member else { return };
        for ((id, share), followed) in member.standbys.followed.lock().iter() {
            look(id, *share, followed.seen.lock().as_ref());
        }
    }

    /// What this process has of a task that it takes over, and follows no more.
    pub(crate) async fn standby(&self, id: &str, share: Share) -> Option<StandbyTask> {
        let member = self.member.as_ref()?;
        let followed = member.standbys.followed.lock().remove(&(id.to_string(), share));
        followed?.stop().await
    }

    /// Follow nothing any more.
    pub(crate) async fn stop_standbys(&self) {
        let Some(member) = &self.member else { return };
        let followed = std::mem::take(&mut *member.standbys.followed.lock());
        join_all(followed.into_values().map(Followed::stop)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_who_come_next_follow() {
        let all = BTreeSet::from(["a", "b", "c"]);
        let check = |holder: &str, replicas: usize, expect: &[&str]| {
            let found: Vec<&str> = all.iter().filter(|own| follows(own, holder, &all, replicas)).copied().collect();
            assert_eq!(found, expect, "{holder} {replicas}");
        };
        check("a", 0, &[]);
        check("a", 1, &["b"]);
        check("c", 1, &["a"]);
        check("b", 2, &["a", "c"]);
        check("b", 5, &["a", "c"]);
    }
}
