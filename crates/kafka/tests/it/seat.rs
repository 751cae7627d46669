//! One of several has the seat, and another gets it when that one is gone.

use std::time::Duration;

use kafka::Seat;
use recordlog::RecordLog;

use crate::support::*;

/// Whether it has the seat, or gets it within a moment.
async fn has(seat: &mut Seat) -> bool {
    tokio::time::timeout(Duration::from_millis(500), seat.wait(true)).await.is_ok()
}

#[test]
fn one_has_the_seat_at_a_time() {
    on_each(|cluster| async move {
        let (log, topic) = (cluster.log().await, cluster.topic("seat"));
        log.create_topic(&topic, config(1, &[])).await.unwrap();
        let apply = || Seat::apply(&cluster.config(&[]), &topic, None).unwrap();
        let mut first = apply();
        tokio::time::timeout(PATIENCE, first.wait(true)).await.expect("who is alone gets it");
        let mut second = apply();
        assert!(!has(&mut second).await, "it is taken");
        assert!(has(&mut first).await, "and not taken away by one more who wants it");
        tokio::task::spawn_blocking(move || drop(first)).await.unwrap();
        tokio::time::timeout(PATIENCE, second.wait(true)).await.expect("who is left gets it");
    });
}
