//! DescribeTransactions.

use std::collections::BTreeMap;

use kafka_protocol::{
    error::ResponseError,
    messages::{
        DescribeTransactionsRequest, DescribeTransactionsResponse, ProducerId, TopicName,
        describe_transactions_response::{TopicData, TransactionState},
    },
};

use super::{Api, Reply, once};
use crate::{
    auth::{Operation, Resource},
    call::{Call, text},
    error::Failure,
    txn::Transaction,
    wire::shape::{
        Field,
        Kind::{List, Text},
        all,
    },
};

/// See the module.
pub(crate) struct DescribeTransactions;

impl Api for DescribeTransactions {
    type Request = DescribeTransactionsRequest;
    type Response = DescribeTransactionsResponse;
    const KEY: i16 = 65;
    const VERSIONS: (i16, i16) = (0, 0);
    const FIELDS: &'static [Field] = &[all(List(&Text))];

    async fn handle(call: &Call, request: DescribeTransactionsRequest) -> Reply<DescribeTransactionsResponse> {
        let describe = |id: kafka_protocol::messages::TransactionalId| {
            let state = TransactionState::default();
            match find(call, &id) {
                Ok(found) => filled(state, &found),
                Err(failure) => state.with_error_code(failure.code()),
            }
            .with_transactional_id(id)
        };
        let states = once(request.transactional_ids, Clone::clone).map(describe).collect();
        Reply::from(DescribeTransactionsResponse::default().with_transaction_states(states))
    }
}

fn find(call: &Call, id: &str) -> Result<Transaction, Failure> {
    call.authorize(Operation::Describe, Resource::Transaction(id))?;
    call.broker.transactions.get(id).ok_or_else(|| ResponseError::TransactionalIdNotFound.into())
}

fn filled(state: TransactionState, found: &Transaction) -> TransactionState {
    let mut topics: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
    for (topic, partition) in &found.partitions {
        topics.entry(topic).or_default().push(*partition);
    }
    let topic = |(name, partitions)| TopicData::default().with_topic(TopicName(text(name))).with_partitions(partitions);
    state
        .with_transaction_state(text(found.phase.name()))
        .with_transaction_timeout_ms(found.timeout_ms)
        .with_transaction_start_time_ms(found.started_ms)
        .with_producer_id(ProducerId(found.producer_id))
        .with_producer_epoch(found.epoch)
        .with_topics(topics.into_iter().map(topic).collect())
}
