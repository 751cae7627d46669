//! stub
use super::{Shared, partition::Partition, topics::TopicState};
use crate::{Result, settings::Effective};
use std::sync::Arc;
pub(super) fn compact(_: &Shared, _: &TopicState, _: &Arc<Partition>, _: &Effective, _: i64) -> Result<Option<u64>> {
    Ok(None)
}
