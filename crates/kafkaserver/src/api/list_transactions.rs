//! ListTransactions.

use kafka_protocol::{
    messages::{
        ListTransactionsRequest, ListTransactionsResponse, ProducerId, TransactionalId,
        list_transactions_response::TransactionState,
    },
    protocol::StrBytes,
};

use super::{Api, Reply};
use crate::{
    auth::{Operation, Resource},
    call::{Call, text},
    txn::{Phase, Transaction},
    wire::shape::{
        Field,
        Kind::{Fixed, List, Text},
        all, from,
    },
};

const PHASES: [Phase; 5] = [Phase::Empty, Phase::Ongoing, Phase::Ending, Phase::Committed, Phase::Aborted];

/// See the module.
pub(crate) struct ListTransactions;

impl Api for ListTransactions {
    type Request = ListTransactionsRequest;
    type Response = ListTransactionsResponse;
    const KEY: i16 = 66;
    const VERSIONS: (i16, i16) = (0, 1);
    const FIELDS: &'static [Field] = &[all(List(&Text)), all(List(&Fixed(8))), from(1, Fixed(8)), from(2, Text)];

    async fn handle(call: &Call, request: ListTransactionsRequest) -> Reply<ListTransactionsResponse> {
        let is_known = |name: &StrBytes| PHASES.iter().any(|phase| phase.name() == name.as_str());
        let unknown = request.state_filters.iter().filter(|name| !is_known(name)).cloned().collect();
        let now_ms = call.broker.now_ms();
        let wanted = |(id, state): &(String, Transaction)| {
            let phase = request.state_filters.is_empty()
                || request.state_filters.iter().any(|name| name.as_str() == state.phase.name());
            let producers = &request.producer_id_filters;
            let producer = producers.is_empty() || producers.iter().any(|wanted| wanted.0 == state.producer_id);
            let runs_ms = if state.phase.is_open() { now_ms.saturating_sub(state.started_ms) } else { -1 };
            let duration = request.duration_filter < 0 || runs_ms >= request.duration_filter;
            phase && producer && duration && call.may(Operation::Describe, Resource::Transaction(id))
        };
        let all = call.broker.transactions.all().into_iter().filter(wanted);
        let listed = all.map(|(id, state)| {
            TransactionState::default()
                .with_transactional_id(TransactionalId(text(&id)))
                .with_producer_id(ProducerId(state.producer_id))
                .with_transaction_state(text(state.phase.name()))
        });
        let states = listed.collect();
        Reply::from(
            ListTransactionsResponse::default().with_unknown_state_filters(unknown).with_transaction_states(states),
        )
    }
}
