//! AddPartitionsToTxn.

use kafka_protocol::{
    error::ResponseError,
    messages::{
        AddPartitionsToTxnRequest, AddPartitionsToTxnResponse,
        add_partitions_to_txn_request::AddPartitionsToTxnTopic,
        add_partitions_to_txn_response::{AddPartitionsToTxnPartitionResult, AddPartitionsToTxnTopicResult},
    },
};

use super::{Api, Reply, init_producer_id::old_code};
use crate::{
    auth::{Operation, Resource},
    call::Call,
    error::Failure,
    group::offsets::Place,
    txn::Producer,
    wire::shape::{
        Field,
        Kind::{Array, Fixed, List, Text},
        all, between, from,
    },
};

/// The first version that tells a fenced producer from a wrong epoch.
const FENCED_FROM_VERSION: i16 = 2;

/// See the module.
pub(crate) struct AddPartitionsToTxn;

impl Api for AddPartitionsToTxn {
    type Request = AddPartitionsToTxnRequest;
    type Response = AddPartitionsToTxnResponse;
    const KEY: i16 = 24;
    const VERSIONS: (i16, i16) = (0, 3);
    const FIELDS: &'static [Field] = &[
        from(
            4,
            Array(&[
                from(4, Text),
                from(4, Fixed(8)),
                from(4, Fixed(2)),
                from(4, Fixed(1)),
                from(4, Array(&[all(Text), all(List(&Fixed(4)))])),
            ]),
        ),
        between(0, 3, Text),
        between(0, 3, Fixed(8)),
        between(0, 3, Fixed(2)),
        between(0, 3, Array(&[all(Text), all(List(&Fixed(4)))])),
    ];

    async fn handle(call: &Call, request: AddPartitionsToTxnRequest) -> Reply<AddPartitionsToTxnResponse> {
        let topics = &request.v3_and_below_topics;
        let wrong = |topic: &AddPartitionsToTxnTopic, partition: i32| {
            let allowed = call.authorize_change(Operation::Write, &topic.name);
            allowed.map_err(|failure| failure.error).and_then(|()| {
                let there = call.broker.has_partition(&topic.name, partition);
                if there { Ok(()) } else { Err(ResponseError::UnknownTopicOrPartition) }
            })
        };
        let all_fine = topics.iter().all(|topic| topic.partitions.iter().all(|p| wrong(topic, *p).is_ok()));
        let added = if all_fine { add(call, &request).await } else { Ok(()) };
        let code = |topic: &AddPartitionsToTxnTopic, partition| match (wrong(topic, partition), &added) {
            (Err(error), _) => error.code(),
            (Ok(()), _) if !all_fine => ResponseError::OperationNotAttempted.code(),
            (Ok(()), Err(failure)) => old_code(call.version(), FENCED_FROM_VERSION, failure),
            (Ok(()), Ok(())) => 0,
        };
        let result = |topic: &AddPartitionsToTxnTopic| {
            let partition = |index: &i32| {
                AddPartitionsToTxnPartitionResult::default()
                    .with_partition_index(*index)
                    .with_partition_error_code(code(topic, *index))
            };
            let results = topic.partitions.iter().map(partition).collect();
            AddPartitionsToTxnTopicResult::default().with_name(topic.name.clone()).with_results_by_partition(results)
        };
        let results = topics.iter().map(result).collect();
        Reply::from(AddPartitionsToTxnResponse::default().with_results_by_topic_v3_and_below(results))
    }
}

async fn add(call: &Call, request: &AddPartitionsToTxnRequest) -> Result<(), Failure> {
    let id = request.v3_and_below_transactional_id.as_str();
    call.authorize(Operation::Write, Resource::Transaction(id))?;
    let places = request
        .v3_and_below_topics
        .iter()
        .flat_map(|topic| topic.partitions.iter().map(|partition| (topic.name.to_string(), *partition)));
    let places: Vec<Place> = places.collect();
    let who = Producer {
        transactional_id: id,
        id: request.v3_and_below_producer_id.0,
        epoch: request.v3_and_below_producer_epoch,
    };
    call.broker.transactions.add_partitions(&call.broker, who, &places).await
}
