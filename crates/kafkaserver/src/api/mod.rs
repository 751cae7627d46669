//! The APIs, one file each, in one list: key, versions, shape of the request, handler.

mod add_offsets_to_txn;
mod add_partitions_to_txn;
mod alter_configs;
mod alter_user_scram_credentials;
mod api_versions;
mod configs;
mod consumer_group_describe;
mod consumer_group_heartbeat;
mod create_acls;
mod create_partitions;
mod create_topics;
mod delete_acls;
mod delete_groups;
mod delete_records;
mod delete_topics;
mod describe_acls;
mod describe_client_quotas;
mod describe_cluster;
mod describe_configs;
mod describe_groups;
mod describe_log_dirs;
mod describe_producers;
mod describe_topic_partitions;
mod describe_transactions;
mod describe_user_scram_credentials;
mod end_txn;
mod fetch;
pub(crate) mod fetch_session;
mod find_coordinator;
mod heartbeat;
mod incremental_alter_configs;
mod init_producer_id;
mod join_group;
mod leave_group;
mod list_groups;
mod list_offsets;
mod list_transactions;
mod metadata;
mod offset_commit;
mod offset_delete;
mod offset_fetch;
mod offset_for_leader_epoch;
mod produce;
mod sasl_authenticate;
mod sasl_handshake;
mod sync_group;
mod txn_offset_commit;

use std::{collections::HashSet, hash::Hash, pin::Pin};

use bytes::{Bytes, BytesMut};
use futures::future::BoxFuture;
use kafka_protocol::{
    error::ResponseError,
    protocol::{Decodable, Encodable, HeaderVersion, Message},
};
use recordlog::TopicPartition;

use crate::{
    auth::Connection,
    broker::Broker,
    call::Call,
    error::{Failure, Refused},
    wire::{
        budget::Share,
        header::{self, RequestHead},
        shape::{self, ELEMENT_BYTES, Field},
    },
};

/// An API.
pub(crate) trait Api: 'static {
    /// What a client asks.
    type Request: Decodable + HeaderVersion + Message + Send;
    /// What it is told.
    type Response: Encodable + HeaderVersion + Message + Send + 'static;
    /// Kafka's number.
    const KEY: i16;
    /// First and last version that is served.
    const VERSIONS: (i16, i16);
    /// The request's fields.
    const FIELDS: &'static [Field];

    /// Answer a request.
    fn handle(call: &Call, request: Self::Request) -> impl Future<Output = Reply<Self::Response>> + Send;
}

/// A handler's answer.
pub(crate) enum Reply<R> {
    /// It is there, with its share of the budget for answers.
    Now(R, Share),
    /// It is being waited for; the next request can be worked on.
    Later(BoxFuture<'static, R>),
    /// The client wants none.
    Nothing,
}

impl<R> From<R> for Reply<R> {
    fn from(response: R) -> Reply<R> {
        Reply::Now(response, Share::default())
    }
}

/// A frame for the client.
pub(crate) enum Answer {
    /// It is there.
    Now(BytesMut, Share),
    /// It is being waited for.
    Later(BoxFuture<'static, Result<BytesMut, Refused>>),
    /// There is none.
    Nothing,
}

/// A request with fewer elements takes nothing of the budget: the limit on connections bounds what they take together.
const FEW_ELEMENTS: usize = 64;

type Handled<'a> = Pin<Box<dyn Future<Output = Result<Answer, Refused>> + Send + 'a>>;

/// An API in the list.
pub(crate) struct Entry {
    /// Kafka's number.
    pub key: i16,
    /// First and last version.
    pub versions: (i16, i16),
    handle: for<'a> fn(&'a Call, Bytes) -> Handled<'a>,
}

impl Entry {
    const fn of<A: Api>() -> Entry {
        Entry { key: A::KEY, versions: A::VERSIONS, handle: |call, body| Box::pin(handle::<A>(call, body)) }
    }
}

/// All APIs, by key.
pub(crate) const APIS: &[Entry] = &[
    Entry::of::<produce::Produce>(),
    Entry::of::<fetch::Fetch>(),
    Entry::of::<list_offsets::ListOffsets>(),
    Entry::of::<metadata::Metadata>(),
    Entry::of::<offset_commit::OffsetCommit>(),
    Entry::of::<offset_fetch::OffsetFetch>(),
    Entry::of::<find_coordinator::FindCoordinator>(),
    Entry::of::<join_group::JoinGroup>(),
    Entry::of::<heartbeat::Heartbeat>(),
    Entry::of::<leave_group::LeaveGroup>(),
    Entry::of::<sync_group::SyncGroup>(),
    Entry::of::<describe_groups::DescribeGroups>(),
    Entry::of::<list_groups::ListGroups>(),
    Entry::of::<sasl_handshake::SaslHandshake>(),
    Entry::of::<api_versions::ApiVersions>(),
    Entry::of::<create_topics::CreateTopics>(),
    Entry::of::<delete_topics::DeleteTopics>(),
    Entry::of::<delete_records::DeleteRecords>(),
    Entry::of::<init_producer_id::InitProducerId>(),
    Entry::of::<offset_for_leader_epoch::OffsetForLeaderEpoch>(),
    Entry::of::<add_partitions_to_txn::AddPartitionsToTxn>(),
    Entry::of::<add_offsets_to_txn::AddOffsetsToTxn>(),
    Entry::of::<end_txn::EndTxn>(),
    Entry::of::<txn_offset_commit::TxnOffsetCommit>(),
    Entry::of::<describe_acls::DescribeAcls>(),
    Entry::of::<create_acls::CreateAcls>(),
    Entry::of::<delete_acls::DeleteAcls>(),
    Entry::of::<describe_configs::DescribeConfigs>(),
    Entry::of::<alter_configs::AlterConfigs>(),
    Entry::of::<describe_log_dirs::DescribeLogDirs>(),
    Entry::of::<sasl_authenticate::SaslAuthenticate>(),
    Entry::of::<create_partitions::CreatePartitions>(),
    Entry::of::<delete_groups::DeleteGroups>(),
    Entry::of::<incremental_alter_configs::IncrementalAlterConfigs>(),
    Entry::of::<offset_delete::OffsetDelete>(),
    Entry::of::<describe_client_quotas::DescribeClientQuotas>(),
    Entry::of::<describe_user_scram_credentials::DescribeUserScramCredentials>(),
    Entry::of::<alter_user_scram_credentials::AlterUserScramCredentials>(),
    Entry::of::<describe_cluster::DescribeCluster>(),
    Entry::of::<describe_producers::DescribeProducers>(),
    Entry::of::<describe_transactions::DescribeTransactions>(),
    Entry::of::<list_transactions::ListTransactions>(),
    Entry::of::<consumer_group_heartbeat::ConsumerGroupHeartbeat>(),
    Entry::of::<consumer_group_describe::ConsumerGroupDescribe>(),
    Entry::of::<describe_topic_partitions::DescribeTopicPartitions>(),
];

/// The items without those whose key was there before: an answer tells of each thing once, so that a short request does
/// not ask for a long answer many times.
pub(crate) fn once<T, K: Eq + Hash>(
    items: impl IntoIterator<Item = T>,
    key: impl Fn(&T) -> K,
) -> impl Iterator<Item = T> {
    let mut seen = HashSet::new();
    items.into_iter().filter(move |item| seen.insert(key(item)))
}

/// A partition by Kafka's numbers.
pub(crate) fn partition_of(topic: &str, partition: i32) -> Result<TopicPartition, Failure> {
    match u32::try_from(partition) {
        Ok(partition) => Ok(TopicPartition::new(topic, partition)),
        Err(_) => {
            let message = format!("topic {topic} has no partition {partition}");
            Err(Failure::new(ResponseError::UnknownTopicOrPartition, message))
        }
    }
}

fn entry(key: i16) -> Option<&'static Entry> {
    APIS.binary_search_by_key(&key, |entry| entry.key).ok().and_then(|at| APIS.get(at))
}

/// Answer a request.
pub(crate) async fn serve(call: Call, body: Bytes) -> Result<Answer, Refused> {
    let RequestHead { key, version, correlation_id, .. } = call.head;
    let entry = entry(key).filter(|entry| (entry.versions.0..=entry.versions.1).contains(&version));
    let Some(entry) = entry else {
        // A client that is newer than the server begins with this one, and learns from the answer what there is.
        if key == api_versions::ApiVersions::KEY {
            let answer = header::answer(&api_versions::unsupported(), 0, correlation_id)?;
            return Ok(Answer::Now(answer, Share::default()));
        }
        return Err(Refused::Unsupported { key, version });
    };
    if !call.connection.may_call(key) {
        return Err(Refused::Stranger(key));
    }
    (entry.handle)(&call, body).await
}

/// Answer a frame that is a token of a SASL exchange.
pub(crate) async fn serve_raw_token(broker: &Broker, connection: &Connection, token: &[u8]) -> Result<Answer, Refused> {
    let frame = sasl_authenticate::step_raw(broker, connection, token).await?;
    Ok(Answer::Now(frame, Share::default()))
}

async fn handle<A: Api>(call: &Call, mut body: Bytes) -> Result<Answer, Refused> {
    let RequestHead { version, correlation_id, .. } = call.head;
    let flexible = A::Request::header_version(version) >= 2;
    if flexible {
        RequestHead::skip_tags(&mut body)?;
    }
    let misshapen = |error: &dyn std::fmt::Display| Refused::Malformed(format!("API {}, {error}", A::KEY));
    let elements = shape::check(A::FIELDS, version, flexible, &body).map_err(|error| misshapen(&error))?;
    let _decoded = match elements {
        ..FEW_ELEMENTS => Share::default(),
        elements => call.broker.decoded.take(elements.saturating_mul(ELEMENT_BYTES)).await,
    };
    let request = A::Request::decode(&mut body, version).map_err(|error| misshapen(&error))?;
    Ok(match A::handle(call, request).await {
        Reply::Now(response, share) => Answer::Now(header::answer(&response, version, correlation_id)?, share),
        Reply::Later(response) => {
            Answer::Later(Box::pin(async move { header::answer(&response.await, version, correlation_id) }))
        }
        Reply::Nothing => Answer::Nothing,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_sorted_and_its_versions_are_there() {
        assert!(APIS.is_sorted_by(|a, b| a.key < b.key));
        for api in APIS {
            assert!(api.versions.0 <= api.versions.1, "{}", api.key);
        }
    }
}
