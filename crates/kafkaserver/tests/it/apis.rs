//! Every version of every API has an answer, and what is not served is refused as clients expect it.

use kafka_protocol::{
    messages::*,
    protocol::{Request, StrBytes},
};

use crate::support::*;

/// Ask in every version that both sides know; which those are.
async fn in_all_versions<R: Request>(client: &mut Client, served: &ApiVersionsResponse, request: R) -> i16 {
    let api = served.api_keys.iter().find(|api| api.api_key == R::KEY);
    let api = api.unwrap_or_else(|| panic!("API {} is served", R::KEY));
    for version in api.min_version.max(R::VERSIONS.min)..=api.max_version {
        // A request that one version cannot say is said without what is new.
        let mut probe = bytes::BytesMut::new();
        if request.encode(&mut probe, version).is_ok() {
            client.ask(version, &request).await;
        } else {
            panic!("API {} v{version} cannot be asked", R::KEY);
        }
    }
    R::KEY
}

#[tokio::test]
async fn every_version_of_every_api_is_answered() {
    let server = Server::start().await;
    let mut client = server.client().await;
    let served = client.ask(4, &ApiVersionsRequest::default()).await;
    let mut asked = Vec::new();
    macro_rules! ask {
        ($($request:expr),* $(,)?) => {
            $(asked.push(in_all_versions(&mut client, &served, $request).await);)*
        };
    }
    ask![
        FetchRequest::default(),
        ListOffsetsRequest::default(),
        MetadataRequest::default(),
        OffsetCommitRequest::default(),
        LeaveGroupRequest::default(),
        HeartbeatRequest::default(),
        SyncGroupRequest::default(),
        DescribeGroupsRequest::default(),
        ListGroupsRequest::default(),
        ApiVersionsRequest::default(),
        CreateTopicsRequest::default(),
        DeleteTopicsRequest::default(),
        DeleteRecordsRequest::default(),
        InitProducerIdRequest::default(),
        OffsetForLeaderEpochRequest::default(),
        AddPartitionsToTxnRequest::default(),
        AddOffsetsToTxnRequest::default(),
        EndTxnRequest::default(),
        TxnOffsetCommitRequest::default(),
        DescribeConfigsRequest::default(),
        AlterConfigsRequest::default(),
        DescribeLogDirsRequest::default(),
        CreatePartitionsRequest::default(),
        DeleteGroupsRequest::default(),
        IncrementalAlterConfigsRequest::default(),
        OffsetDeleteRequest::default(),
        DescribeClusterRequest::default(),
        DescribeProducersRequest::default(),
        DescribeTransactionsRequest::default(),
        ListTransactionsRequest::default(),
        DescribeTopicPartitionsRequest::default(),
    ];
    // These say different things in different versions.
    ask![ProduceRequest::default().with_acks(-1), JoinGroupRequest::default(), OffsetFetchRequest::default()];
    for version in 0..=5 {
        let request = FindCoordinatorRequest::default();
        let request = if version < 4 { request } else { request.with_coordinator_keys(vec![text("a"), text("b")]) };
        let response = client.ask(version, &request).await;
        let count = if version < 4 { 0 } else { 2 };
        assert_eq!(response.coordinators.len(), count);
    }
    asked.push(FindCoordinatorRequest::KEY);
    asked.sort_unstable();
    let all: Vec<i16> = served.api_keys.iter().map(|api| api.api_key).collect();
    assert_eq!(asked, all, "every API that is served is asked");
    server.stop().await;
}

#[tokio::test]
async fn a_client_that_is_too_new_learns_what_there_is() {
    let server = Server::start().await;
    let mut client = server.client().await;
    // The header of such a request has a client id and tagged fields, and the body is not known.
    let mut request = frame(4, 77, &ApiVersionsRequest::default().with_client_software_name(text("new")));
    request[6..8].copy_from_slice(&99_i16.to_be_bytes());
    tokio::io::AsyncWriteExt::write_all(&mut client.stream, &request).await.unwrap();
    let response = client.receive::<ApiVersionsRequest>(0, 77).await;
    assert_eq!(response.error_code, 35);
    assert!(response.api_keys.iter().any(|api| api.api_key == ApiVersionsRequest::KEY && api.max_version == 4));
    // The connection goes on with a version that there is.
    assert_eq!(client.ask(3, &ApiVersionsRequest::default()).await.error_code, 0);
}

#[tokio::test]
async fn apis_and_versions_that_are_not_served_end_the_connection() {
    let server = Server::start().await;
    // An API that nobody has, one that brokers speak among themselves, a version from before 2017.
    for (key, version) in [(900_i16, 0_i16), (4, 0), (0, 2), (1, 0), (3, 99), (-1, -1)] {
        let mut client = server.client().await;
        let mut request = frame(1, 1, &MetadataRequest::default());
        request[4..6].copy_from_slice(&key.to_be_bytes());
        request[6..8].copy_from_slice(&version.to_be_bytes());
        tokio::io::AsyncWriteExt::write_all(&mut client.stream, &request).await.unwrap();
        assert_eq!(client.answer().await, None, "API {key} v{version}");
    }
}

#[tokio::test]
async fn clients_are_told_where_to_connect() {
    let server = Server::start().await;
    let mut client = server.client().await;
    let response = client.ask(12, &MetadataRequest::default()).await;
    assert_eq!(response.brokers.len(), 1);
    assert_eq!((&*response.brokers[0].host, response.brokers[0].port), ("127.0.0.1", i32::from(server.address.port())));
    assert_eq!(response.controller_id, response.brokers[0].node_id);
    let cluster = client.ask(1, &DescribeClusterRequest::default()).await;
    assert_eq!(Some(&cluster.cluster_id), response.cluster_id.as_ref());
    assert_eq!(cluster.cluster_id.len(), 22, "as long as Kafka's");

    let server = Server::start_with(|s| s.advertised = Some(("kafka.example".into(), 9))).await;
    let mut client = server.client().await;
    let response = client.ask(12, &MetadataRequest::default()).await;
    assert_eq!((&*response.brokers[0].host, response.brokers[0].port), ("kafka.example", 9));
    let found = client.ask(3, &FindCoordinatorRequest::default().with_key(StrBytes::from_static_str("g"))).await;
    assert_eq!((&*found.host, found.port, found.error_code), ("kafka.example", 9, 0));
}

#[tokio::test]
async fn other_machines_are_not_listened_to_unless_it_is_said() {
    let settings = kafkaserver::Settings::default();
    let refused = kafkaserver::listen("0.0.0.0:0".parse().unwrap(), &settings).await.unwrap_err();
    assert!(refused.to_string().contains("reachable from other machines"), "{refused}");
    let settings = kafkaserver::Settings { allow_remote: true, ..settings };
    assert!(kafkaserver::listen("0.0.0.0:0".parse().unwrap(), &settings).await.is_ok());
}
