//! How much memory requests and answers may take, over all connections.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes that one permit stands for.
const UNIT_BYTES: usize = 1024;

/// A number of bytes that is shared out and comes back.
#[derive(Debug, Clone)]
pub(crate) struct Budget {
    units: Arc<Semaphore>,
    units_max: usize,
}

/// Bytes taken from a budget; they go back when this is dropped.
#[derive(Debug, Default)]
pub(crate) struct Share(Option<OwnedSemaphorePermit>);

impl Share {
    /// Give back what is over `bytes`.
    pub fn keep_only(&mut self, bytes: usize) {
        if let Some(permit) = &mut self.0 {
            let surplus = permit.num_permits().saturating_sub(bytes.div_ceil(UNIT_BYTES));
            drop(permit.split(surplus));
        }
    }
}

impl Budget {
    /// A budget of about `bytes_max` bytes.
    pub fn new(bytes_max: usize) -> Budget {
        let units_max = (bytes_max / UNIT_BYTES).clamp(1, Semaphore::MAX_PERMITS);
        Budget { units: Arc::new(Semaphore::new(units_max)), units_max }
    }

    /// Wait until `bytes` are free and take them; all there are if it is more than that.
    pub async fn take(&self, bytes: usize) -> Share {
        let units = bytes.div_ceil(UNIT_BYTES).clamp(1, self.units_max);
        let units = u32::try_from(units).unwrap_or(u32::MAX);
        // The semaphore is never closed.
        Share(Arc::clone(&self.units).acquire_many_owned(units).await.ok())
    }
}
