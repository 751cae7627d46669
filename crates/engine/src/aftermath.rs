//! What comes of statements when they are written down, or have failed, and what queries leave when they end.

use std::collections::BTreeSet;

use runtime::log_error;
use types::Result;

use crate::{
    Engine,
    apply::{After, Work},
    running::RunningQuery,
};

impl Engine {
    /// Remove what queries left that ended while the process did.
    pub(crate) async fn tidy_up(&self, planned: &BTreeSet<String>, deleted: &[(String, String)]) {
        for (name, id) in deleted {
            let deleted = match self.log.topic(name) {
                Ok(Some(topic)) if topic.id.to_string() == *id => {
                    tracing::info!(topic = name, "a topic that was to be deleted is deleted");
                    self.log.delete_topic(name).await
                }
                found => found.map(|_| ()),
            };
            if let Err(error) = deleted {
                tracing::warn!(topic = name, %error, "it could not be deleted");
            }
        }
        // Where several processes have topics, one that was made a moment ago may not be known yet.
        if self.member.is_none() {
            self.sweep_tier();
        }
        let mut left: Vec<String> = match self.progress.queries(&*self.log) {
            Ok(queries) => queries,
            Err(error) => {
                tracing::warn!(%error, "the progress of queries cannot be read");
                return;
            }
        };
        let topics = self.log.topics();
        left.extend(topics.iter().filter_map(|t| self.names.query_of_topic(&t.name)).map(str::to_string));
        left.sort_unstable();
        left.dedup();
        for id in left.into_iter().filter(|id| !planned.contains(id)) {
            tracing::info!(query = id, "what a dropped query left is removed");
            if let Err(error) = self.forget(&id).await {
                tracing::warn!(query = id, %error, "its state could not be removed");
            }
        }
    }

    /// Remove from disk the state of queries that are no more.
    pub(crate) fn sweep_tier(&self) {
        if let Some(tier) = self.tier() {
            let changelogs = self.log.topics().into_iter().filter(|t| self.names.query_of_changelog(&t.name).is_some());
            let changelogs: Vec<u128> = changelogs.map(|t| t.id).collect();
            if let Err(error) = tier.sweep(&*self.host.disk, &changelogs) {
                tracing::warn!(%error, "state on disk of dropped queries cannot be removed");
            }
        }
    }

    /// Do what was put off until the statement was written down.
    pub(crate) async fn follow_up(&self, work: Work) -> Result<()> {
        for after in work.after {
            match after {
                After::Run(query) => self.run(&query),
                After::End(id) => {
                    let query = self.queries.lock().shift_remove(&id);
                    if let Some(query) = query {
                        query.stop().await;
                    }
                    self.forget_later(&id).await;
                }
                After::Forget(id) => self.forget_later(&id).await,
                After::DeleteTopic(topic) => {
                    crate::schemas::forget(&self.registry(), &topic)?;
                    match self.log.delete_topic(&topic).await {
                        Ok(()) | Err(recordlog::LogError::UnknownTopic(_)) => {}
                        Err(e) => return Err(log_error(e)),
                    }
                }
                After::Pause { id, paused } => {
                    if let Some(query) = self.query(&id) {
                        query.pause(paused);
                        if paused {
                            query.rest().await;
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// Undo what a statement did that failed.
    pub(crate) async fn take_back(&self, work: Work) {
        for id in work.opened {
            let query = self.queries.lock().shift_remove(&id);
            if let Some(query) = query {
                query.stop().await;
            }
            if !work.replaced.iter().any(|q| q.id == id) {
                self.forget_later(&id).await;
            }
        }
        for old in work.replaced {
            let query = RunningQuery::open_or_fail(old.opener.clone(), false).await;
            self.queries.lock().insert(query.id.clone(), query.clone());
            self.run(&query);
        }
    }

    /// Remove the state and the progress of a query that does not run.
    pub(crate) async fn forget(&self, id: &str) -> Result<()> {
        // First what only the service can do: another one's state is not to be deleted.
        let is_shared = self.names.service_writer().is_some();
        if is_shared || self.progress.queries(&*self.log)?.iter().any(|known| known == id) {
            let forgotten = self.progress.forgotten(&*self.log, id, self.host.clock.now_ms())?;
            self.service.commit(vec![forgotten]).await?;
        }
        let topics: Vec<recordlog::Topic> = match is_shared {
            true => {
                let all = self.log.topics().into_iter();
                all.filter(|t| self.names.query_of_topic(&t.name) == Some(id)).collect()
            }
            false => self.log.topic(&self.names.changelog(id, None)).map_err(log_error)?.into_iter().collect(),
        };
        for topic in topics {
            match self.log.delete_topic(&topic.name).await {
                Ok(()) | Err(recordlog::LogError::UnknownTopic(_)) => {}
                Err(e) => return Err(log_error(e)),
            }
            if let Some(tier) = self.tier() {
                tier.remove(&*self.host.disk, topic.id)?;
            }
        }
        Ok(())
    }

    /// As [`Engine::forget`], where the next start can make up for a failure.
    pub(crate) async fn forget_later(&self, id: &str) {
        if let Err(error) = self.forget(id).await {
            tracing::warn!(query = id, %error, "its state could not be removed; the next start tries again");
        }
    }
}
