//! A member of a group of the consumer protocol: what it wants, what it is to have, and how it gets there.
//!
//! A member goes from what it has to what it is to have in steps that only its own heartbeats take: first it is told
//! to give up what is not its own any more; when it says that it has, it comes to the group's epoch and gets of the
//! rest what is free; what others have not given up yet it gets by later heartbeats.

use std::{collections::BTreeSet, sync::Arc};

use super::assign::{Assignor, Part, Parts};
use crate::group::classic::{Protocols, bytes_of};

/// The epoch of a static member that is away and will be back.
pub(crate) const AWAY: i32 = -2;

/// About what a name takes besides its own bytes.
const NAME_BYTES: usize = 64;

/// Names of topics.
pub(crate) type Names = BTreeSet<String>;

/// Where a member stands between what it has and what it is to have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Standing {
    /// It has all that it was to have in its epoch.
    #[default]
    Settled,
    /// It has been told to give something up, and has not said yet that it did.
    Revoking,
    /// It waits for what others have not given up yet.
    Waiting,
}

/// What a member said of itself.
#[derive(Debug, Clone, Default)]
pub(crate) struct About {
    /// What it calls itself over restarts.
    pub instance: Option<String>,
    /// Accepted and shown. There is one broker, so no rack is nearer than another.
    pub rack: Option<String>,
    pub client_id: String,
    pub client_host: String,
    /// The topics that it named.
    pub names: Arc<Names>,
    /// Those whose names match it, too.
    pub pattern: Option<String>,
    /// What that came to when it was last looked at.
    pub(super) matched: Arc<[String]>,
    pub assignor: Option<Assignor>,
    /// How long it may take to give partitions up.
    pub rebalance_ms: i64,
    /// For a member that speaks the classic protocol.
    pub classic: Option<ClassicSide>,
}

/// What a member of the classic protocol said besides.
#[derive(Debug, Clone)]
pub(crate) struct ClassicSide {
    pub session_ms: i64,
    /// What it can do, the best first.
    pub protocols: Protocols,
}

impl About {
    /// About how many bytes there are to keep.
    pub fn bytes(&self) -> usize {
        let texts = [&self.instance, &self.rack, &self.pattern].into_iter().flatten().map(String::len);
        let names = self.names.iter().map(|name| name.len() + NAME_BYTES);
        let protocols = self.classic.as_ref().map_or(0, |classic| bytes_of(&classic.protocols));
        texts.chain(names).sum::<usize>() + self.client_id.len() + self.client_host.len() + protocols
    }

    /// How long it may be silent: who speaks the classic protocol says so himself.
    pub(super) fn session_ms(&self, of_group_ms: i64) -> i64 {
        self.classic.as_ref().map_or(of_group_ms, |classic| classic.session_ms)
    }
}

/// A member.
#[derive(Debug, Clone, Default)]
pub(crate) struct Member {
    pub about: About,
    /// All topics that it wants, shared with the members that want the same.
    pub topics: Arc<Names>,
    /// How far it has come; [`AWAY`] for one that will be back.
    pub epoch: i32,
    /// The epoch before, for a heartbeat whose answer was lost.
    pub(super) before: i32,
    pub(super) standing: Standing,
    /// What it was told to have.
    pub assigned: Parts,
    /// What it was told to give up, and until when.
    pub(super) revoking: Parts,
    pub(super) revoked_by_ms: Option<i64>,
    /// What it is to have.
    pub target: Parts,
    /// When its session ends unless it is heard of.
    pub(super) expires_ms: i64,
    /// Until when one of the classic protocol has to join again, or to sync.
    pub(super) due_ms: Option<i64>,
}

/// Whether a member still has any of these: who does not say what he has, has what he had.
fn has_any(owned: Option<&Parts>, parts: &Parts) -> bool {
    owned.is_none_or(|owned| !owned.is_disjoint(parts))
}

impl Member {
    /// A static member is away for a while.
    pub fn is_away(&self) -> bool {
        self.epoch == AWAY
    }

    /// What nobody else may have meanwhile.
    pub(super) fn holds(&self) -> impl Iterator<Item = &Part> {
        self.assigned.iter().chain(&self.revoking)
    }

    /// Whether there is nothing to do for it in the group's epoch.
    pub(super) fn is_settled(&self, group_epoch: i32) -> bool {
        self.standing == Standing::Settled && self.epoch == group_epoch
    }

    /// When it is taken out unless something happens.
    pub(super) fn deadline_ms(&self) -> i64 {
        let others = [self.revoked_by_ms, self.due_ms].into_iter().flatten();
        others.fold(self.expires_ms, i64::min)
    }

    /// It has given up everything, and begins anew.
    pub(super) fn begin_anew(&mut self, epoch: i32) {
        (self.epoch, self.before) = (epoch, epoch);
        self.assigned.clear();
        self.revoking.clear();
        self.revoked_by_ms = None;
        self.due_ms = None;
        self.standing = Standing::Settled;
    }

    /// Go as far towards the target as others allow. `owned` is what it says it has, `is_free` whether nobody holds a
    /// partition.
    pub(super) fn step(
        &mut self,
        owned: Option<&Parts>,
        group_epoch: i32,
        now_ms: i64,
        is_free: impl Fn(&Part) -> bool,
    ) {
        if self.is_settled(group_epoch) || self.standing == Standing::Revoking && has_any(owned, &self.revoking) {
            return;
        }
        let goes: Parts = self.assigned.difference(&self.target).copied().collect();
        if !goes.is_empty() && has_any(owned, &goes) {
            self.assigned.retain(|part| !goes.contains(part));
            self.revoking = goes;
            self.revoked_by_ms = Some(now_ms.saturating_add(self.about.rebalance_ms));
            self.standing = Standing::Revoking;
            return;
        }
        let is_there = |part: &&Part| self.assigned.contains(*part) || self.revoking.contains(*part) || is_free(part);
        let assigned: Parts = self.target.iter().filter(is_there).copied().collect();
        self.standing = if assigned.len() == self.target.len() { Standing::Settled } else { Standing::Waiting };
        self.assigned = assigned;
        self.revoking.clear();
        self.revoked_by_ms = None;
        if self.epoch != group_epoch {
            self.before = std::mem::replace(&mut self.epoch, group_epoch);
        }
    }
}
