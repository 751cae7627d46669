//! DescribeLogDirs: bytes on disk, partition by partition.

use std::collections::{BTreeSet, HashMap};

use kafka_protocol::messages::{
    DescribeLogDirsRequest, DescribeLogDirsResponse, TopicName,
    describe_log_dirs_response::{DescribeLogDirsPartition, DescribeLogDirsResult, DescribeLogDirsTopic},
};
use recordlog::{RecordLog, TopicPartition};

use super::{Api, Reply};
use crate::{
    auth::{Operation, Resource},
    call::{Call, text},
    wire::shape::{
        Field,
        Kind::{Array, Fixed, List, Text},
        all,
    },
};

/// See the module.
pub(crate) struct DescribeLogDirs;

impl Api for DescribeLogDirs {
    type Request = DescribeLogDirsRequest;
    type Response = DescribeLogDirsResponse;
    const KEY: i16 = 35;
    const VERSIONS: (i16, i16) = (1, 4);
    const FIELDS: &'static [Field] = &[all(Array(&[all(Text), all(List(&Fixed(4)))]))];

    async fn handle(call: &Call, request: DescribeLogDirsRequest) -> Reply<DescribeLogDirsResponse> {
        if let Err(failure) = call.authorize(Operation::Describe, Resource::Cluster) {
            return Reply::from(DescribeLogDirsResponse::default().with_error_code(failure.code()));
        }
        let wanted: Option<HashMap<&str, BTreeSet<u32>>> = request.topics.as_ref().map(|topics| {
            let mut wanted: HashMap<&str, BTreeSet<u32>> = HashMap::new();
            for topic in topics {
                let numbers = topic.partitions.iter().filter_map(|number| u32::try_from(*number).ok());
                wanted.entry(topic.topic.as_str()).or_default().extend(numbers);
            }
            wanted
        });
        let mut topics = Vec::new();
        for topic in call.broker.log.topics() {
            let wanted: Vec<u32> = match &wanted {
                None => (0..topic.config.partitions).collect(),
                Some(wanted) => wanted.get(&*topic.name).into_iter().flatten().copied().collect(),
            };
            let partition = |number: u32| {
                let size = call.broker.log.size_bytes(&TopicPartition::new(topic.name.clone(), number)).ok()?;
                Some(
                    DescribeLogDirsPartition::default()
                        .with_partition_index(i32::try_from(number).ok()?)
                        .with_partition_size(i64::try_from(size).ok()?),
                )
            };
            let partitions: Vec<_> = wanted.into_iter().filter_map(partition).collect();
            if !partitions.is_empty() {
                let name = TopicName(text(&topic.name));
                topics.push(DescribeLogDirsTopic::default().with_name(name).with_partitions(partitions));
            }
        }
        let dir = DescribeLogDirsResult::default()
            .with_log_dir(text("log"))
            .with_topics(topics)
            .with_total_bytes(-1)
            .with_usable_bytes(-1);
        Reply::from(DescribeLogDirsResponse::default().with_results(vec![dir]))
    }
}
