//! Transactions that are open for too long are aborted, and ids that nobody used for long are forgotten.

use std::{sync::Arc, time::Duration};

use super::{Cell, Transactions};
use crate::{broker::Broker, error::Failure, store::Key};

/// How often transactions are looked at.
const TICK: Duration = Duration::from_millis(500);
/// An id that was not used for so long is forgotten, ms.
const IDS_KEPT_MS: i64 = 7 * 24 * 60 * 60 * 1000;

/// Look after transactions until the broker stops.
pub(crate) async fn run(broker: Arc<Broker>) {
    let mut interval = tokio::time::interval(TICK);
    loop {
        tokio::select! {
            _ = interval.tick() => {}
            () = broker.stop.cancelled() => return,
        }
        let now_ms = broker.now_ms();
        if let Err(failure) = broker.transactions.look_after(&broker, now_ms).await {
            tracing::warn!(error = failure.message, "a transaction could not be ended; it is tried again");
        }
    }
}

impl Transactions {
    async fn look_after(&self, broker: &Broker, now_ms: i64) -> Result<(), Failure> {
        let cells: Vec<Arc<Cell>> = self.known.lock().by_id.values().cloned().collect();
        for cell in cells {
            let is_overdue = |cell: &Cell| cell.state.lock().is_overdue(now_ms);
            let is_old = |cell: &Cell| {
                let state = cell.state.lock();
                !state.phase.is_open() && now_ms.saturating_sub(state.changed_ms) > IDS_KEPT_MS
            };
            if is_overdue(&cell) {
                let _changing = cell.changing.lock().await;
                if is_overdue(&cell) {
                    tracing::info!(id = cell.id, "a transaction was open for too long and is aborted");
                    self.end_locked(broker, &cell, false, true).await?;
                }
            } else if is_old(&cell) {
                let _changing = cell.changing.lock().await;
                if is_old(&cell) {
                    broker.store.record(&[(Key::Transaction(cell.id.clone()), None)]).await?;
                    let mut known = self.known.lock();
                    known.by_id.remove(&cell.id);
                    known.by_producer.remove(&cell.state.lock().producer_id);
                }
            }
        }
        Ok(())
    }
}
