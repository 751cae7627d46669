//! Bytes that are no requests: the connection ends or an error comes back, nothing panics, memory stays bounded, and
//! the others do not notice.
//!
//! `MILLSTREAM_FUZZ_SECONDS` makes the random part run that long.

use std::{path::PathBuf, time::Duration};

use bytes::{BufMut, Bytes, BytesMut};
use fuzz::{Damage, Room, peak_bytes};
use kafka_protocol::messages::{
    AlterUserScramCredentialsRequest, ApiVersionsRequest, ConsumerGroupDescribeRequest, ConsumerGroupHeartbeatRequest,
    CreateAclsRequest, CreateTopicsRequest, DeleteAclsRequest, DescribeConfigsRequest, FetchRequest,
    InitProducerIdRequest, JoinGroupRequest, ListGroupsRequest, MetadataRequest, OffsetCommitRequest,
    OffsetFetchRequest, SyncGroupRequest,
    alter_user_scram_credentials_request::{ScramCredentialDeletion, ScramCredentialUpsertion},
    create_acls_request::AclCreation,
    create_topics_request::CreatableTopic,
    delete_acls_request::DeleteAclsFilter,
    join_group_request::JoinGroupRequestProtocol,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::*;

/// Random requests unless told otherwise.
const INPUTS: u64 = 1_000;
/// Longest of them, bytes.
const INPUT_BYTES_MAX: usize = 4_000;
/// What the process may grow by while it is attacked, bytes: far below what the attacks ask for.
const GROWTH_BYTES_MAX: u64 = 600 << 20;

/// Requests to begin with.
fn samples() -> Vec<Bytes> {
    let topics = vec![CreatableTopic::default().with_name(name("t")).with_num_partitions(2)];
    let protocol = JoinGroupRequestProtocol::default().with_name(text("range")).with_metadata(Bytes::from("meta"));
    let join = JoinGroupRequest::default()
        .with_group_id(text("g").into())
        .with_session_timeout_ms(10_000)
        .with_protocol_type(text("consumer"))
        .with_protocols(vec![protocol]);
    // One who comes by the classic protocol to a group of the other, and wants topic t.
    let subscription = Bytes::from_static(&[0, 1, 0, 0, 0, 1, 0, 1, b't', 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]);
    let protocol = JoinGroupRequestProtocol::default().with_name(text("range")).with_metadata(subscription);
    let mixed = join.clone().with_group_id(text("c").into()).with_protocols(vec![protocol]);
    let heartbeat = ConsumerGroupHeartbeatRequest::default()
        .with_group_id(text("c").into())
        .with_member_id(text("m"))
        .with_rebalance_timeout_ms(60_000)
        .with_subscribed_topic_names(Some(vec![name("t")]))
        .with_subscribed_topic_regex(Some(text("t.*")))
        .with_topic_partitions(Some(Vec::new()));
    let rule = AclCreation::default()
        .with_resource_type(2)
        .with_resource_name(text("t"))
        .with_principal(text("User:ann"))
        .with_host(text("*"))
        .with_operation(2)
        .with_permission_type(3);
    let filter = DeleteAclsFilter::default()
        .with_resource_type_filter(1)
        .with_pattern_type_filter(1)
        .with_operation(1)
        .with_permission_type(1);
    let credential = ScramCredentialUpsertion::default()
        .with_name(text("ann"))
        .with_mechanism(1)
        .with_iterations(4096)
        .with_salt(Bytes::from_static(b"salt"))
        .with_salted_password(Bytes::from_static(&[7; 32]));
    let gone = ScramCredentialDeletion::default().with_name(text("bob")).with_mechanism(2);
    let credentials =
        AlterUserScramCredentialsRequest::default().with_upsertions(vec![credential]).with_deletions(vec![gone]);
    vec![
        frame(3, 1, &CreateAclsRequest::default().with_creations(vec![rule])),
        frame(3, 1, &DeleteAclsRequest::default().with_filters(vec![filter])),
        frame(0, 1, &credentials),
        frame(9, 1, &produce_request("t", 0, batch(&["a", "b"]))),
        frame(3, 1, &produce_request("t", 0, batch(&["a", "b"]))),
        frame(12, 1, &fetch_request("t", 0, 0)),
        frame(4, 1, &fetch_request("t", 0, 0)),
        frame(17, 1, &FetchRequest::default().with_session_epoch(0)),
        frame(12, 1, &MetadataRequest::default()),
        frame(1, 1, &MetadataRequest::default()),
        frame(4, 1, &ApiVersionsRequest::default().with_client_software_name(text("name"))),
        frame(7, 1, &CreateTopicsRequest::default().with_topics(topics)),
        frame(5, 1, &join),
        frame(3, 1, &mixed),
        frame(5, 1, &SyncGroupRequest::default().with_group_id(text("g").into())),
        frame(1, 1, &heartbeat),
        frame(0, 1, &ConsumerGroupDescribeRequest::default().with_group_ids(vec![text("c").into()])),
        frame(8, 1, &OffsetCommitRequest::default().with_group_id(text("g").into())),
        frame(7, 1, &OffsetFetchRequest::default().with_group_id(text("g").into()).with_topics(None)),
        frame(4, 1, &ListGroupsRequest::default()),
        frame(4, 1, &DescribeConfigsRequest::default()),
        frame(4, 1, &InitProducerIdRequest::default().with_transactional_id(None)),
    ]
    .into_iter()
    .map(BytesMut::freeze)
    .collect()
}

/// The request with the length that it has.
fn with_its_length(request: &[u8]) -> Vec<u8> {
    let body = request.get(4..).unwrap_or_default();
    let length = u32::try_from(body.len()).unwrap();
    [&length.to_be_bytes(), body].concat()
}

/// How long an answer is waited for; a request that waits for records, or for other members of a group, may well get
/// none as long as another one stands behind it.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(3);

/// Send bytes, say that there are no more, and take what comes until the server closes.
async fn attack(server: &Server, bytes: &[u8]) -> Vec<u8> {
    let mut client = server.client().await;
    // The server may have closed already.
    let _ = client.stream.write_all(bytes).await;
    let _ = client.stream.shutdown().await;
    let mut answer = Vec::new();
    let read = client.stream.read_to_end(&mut answer);
    let _ = tokio::time::timeout(ANSWER_TIME_MAX, read).await;
    answer
}

/// What an answer is like: whose it is, and how long.
fn answer_kind(request: &[u8], answer: &[u8]) -> String {
    let api = request.get(4..8).unwrap_or_default();
    format!("{api:02x?} {}", answer.len().next_power_of_two())
}

#[test]
fn damaged_requests_harm_nobody() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let server = runtime.block_on(async {
        // Rules count, so that they can be attacked, but do not bind who attacks.
        let server = Server::start_with(|settings| settings.super_users = vec!["User:ANONYMOUS".into()]).await;
        server.client().await.create("t", 2, &[]).await;
        server
    });
    let before = peak_bytes();
    let room = Room {
        name: "kafka requests",
        corpus: PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/corpus/requests"),
        seeds: samples().iter().map(|sample| sample.to_vec()).collect(),
        damage: Damage { words: &["t", "g", "range", "consumer"], nests: &[], bytes_max: INPUT_BYTES_MAX },
        inputs: INPUTS,
    };
    room.run(|input| {
        let fitting = with_its_length(input);
        let answer = runtime.block_on(attack(&server, &fitting));
        if fitting != input {
            runtime.block_on(attack(&server, input));
        }
        answer_kind(&fitting, &answer)
    });
    runtime.block_on(async {
        let served = server.client().await.ask(4, &ApiVersionsRequest::default()).await;
        assert_eq!(served.error_code, 0, "others are still served");
        server.stop().await;
    });
    let grown = peak_bytes().saturating_sub(before);
    assert!(grown < GROWTH_BYTES_MAX, "{grown} bytes more");
}

/// Every request cut at every byte.
#[tokio::test]
async fn cut_requests_end_the_connection() {
    let server = Server::start().await;
    for sample in samples() {
        for end in 0..sample.len() {
            let mut client = server.client().await;
            client.stream.write_all(&sample[..end]).await.unwrap();
            client.stream.shutdown().await.unwrap();
            let mut answer = Vec::new();
            client.stream.read_to_end(&mut answer).await.unwrap();
            assert!(answer.is_empty(), "half a request has no answer");
        }
    }
}

/// Counts of two billion where a few bytes follow, and the longest requests that there can be.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_words_take_no_memory() {
    let server = Server::start().await;
    let before = peak_bytes();
    let head = |key: i16, version: i16| {
        let mut body = BytesMut::new();
        body.put_i16(key);
        body.put_i16(version);
        body.put_i32(1);
        body.put_i16(-1);
        body
    };
    let framed = |body: &[u8], length: usize| {
        let mut bytes = BytesMut::new();
        bytes.put_u32(u32::try_from(length).unwrap());
        bytes.put_slice(body);
        bytes
    };
    for (key, version) in [(3_i16, 1_i16), (2, 1), (8, 2), (11, 0), (19, 2), (0, 3), (1, 4)] {
        let mut body = head(key, version);
        for _ in 0..20 {
            body.put_u32(0x7fff_fff0);
        }
        let length = body.len();
        attack(&server, &framed(&body, length)).await;
    }
    // Lengths of frames that cannot be, and one that is never sent.
    for length in [usize::try_from(u32::MAX).unwrap(), 0x7fff_ffff, (100 << 20) + 1, 100 << 20] {
        attack(&server, &framed(&head(3, 1), length)).await;
    }
    // As many topics as a request can name, from several at once.
    let mut body = head(3, 1);
    let count = 400_000_u32;
    body.put_u32(count);
    for topic in 0..count {
        let topic = format!("{topic:06}");
        body.put_i16(6);
        body.put_slice(topic.as_bytes());
    }
    let request = framed(&body, body.len());
    let attacks = (0..8).map(|_| attack(&server, &request));
    futures::future::join_all(attacks).await;
    // A million elements are too many.
    let mut body = head(3, 1);
    body.put_u32(1_000_000);
    body.put_bytes(0, 2_000_000);
    let request = framed(&body, body.len());
    attack(&server, &request).await;
    let grown = peak_bytes().saturating_sub(before);
    assert!(grown < GROWTH_BYTES_MAX, "{grown} bytes more");
    assert_eq!(server.client().await.ask(4, &ApiVersionsRequest::default()).await.error_code, 0);
    server.stop().await;
}
