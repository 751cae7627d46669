//! Several share slots out among them, and each is with one of them at a time.

use std::collections::BTreeMap;

use kafka::{Holders, SlotSet, Slots};
use recordlog::RecordLog;

use crate::support::*;

const SLOTS: u32 = 8;

/// Wait until so many are held; they are worked in from then on.
async fn until(slots: &mut Slots, count: usize) -> SlotSet {
    let wait = async {
        loop {
            let held = slots.held();
            slots.works_in(held.clone());
            if held.len() == count {
                return held;
            }
            slots.changed().await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.expect("they are given")
}

/// Wait until everybody knows that they are with these.
async fn until_with(holders: &Holders, expect: &[(&str, &SlotSet)]) {
    let expect: BTreeMap<u32, String> =
        expect.iter().flat_map(|(address, slots)| slots.iter().map(|slot| (*slot, (*address).to_owned()))).collect();
    let wait = async {
        while holders.addresses().await.unwrap() != expect {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.expect("the group says who has which");
}

#[test]
fn slots_move_to_who_comes_and_back() {
    on_each(|cluster| async move {
        let (log, topic) = (cluster.log().await, cluster.topic("slots"));
        log.create_topic(&topic, config(SLOTS, &[])).await.unwrap();
        let join = |address: &str| Slots::join(&cluster.config(&[]), &topic, None, address).unwrap();
        let holders = Holders::of(&cluster.config(&[]), &topic).unwrap();
        let mut first = join("a:1");
        let all = until(&mut first, SLOTS as usize).await;
        until_with(&holders, &[("a:1", &all)]).await;
        let mut second = join("b:2");
        let half = SLOTS as usize / 2;
        let (one, two) = tokio::join!(until(&mut first, half), until(&mut second, half));
        assert!(one.is_disjoint(&two), "{one:?} {two:?}");
        until_with(&holders, &[("a:1", &one), ("b:2", &two)]).await;
        tokio::task::spawn_blocking(move || drop(first)).await.unwrap();
        let all = until(&mut second, SLOTS as usize).await;
        until_with(&holders, &[("b:2", &all)]).await;
    });
}

#[test]
fn a_slot_moves_when_who_works_in_it_is_done() {
    on_each(|cluster| async move {
        let (log, topic) = (cluster.log().await, cluster.topic("busy"));
        log.create_topic(&topic, config(2, &[])).await.unwrap();
        let join = |address: &str| Slots::join(&cluster.config(&[]), &topic, None, address).unwrap();
        let mut first = join("a:1");
        until(&mut first, 2).await;
        let mut second = join("b:2");
        first.changed().await;
        let left = first.held();
        assert_eq!(left.len(), 1, "one is taken away");
        assert!(second.held().is_empty(), "and not given away yet");
        first.works_in(left);
        until(&mut second, 1).await;
    });
}
