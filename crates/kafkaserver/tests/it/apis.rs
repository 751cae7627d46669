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
        ConsumerGroupHeartbeatRequest::default(),
        ConsumerGroupDescribeRequest::default(),
        DescribeTopicPartitionsRequest::default(),
        DescribeAclsRequest::default(),
        CreateAclsRequest::default().with_creations(vec![Default::default()]),
        DeleteAclsRequest::default().with_filters(vec![Default::default()]),
        DescribeClientQuotasRequest::default(),
        DescribeUserScramCredentialsRequest::default(),
        AlterUserScramCredentialsRequest::default().with_deletions(vec![Default::default()]),
        SaslHandshakeRequest::default(),
        SaslAuthenticateRequest::default(),
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

/// Answers with something in them: what one version can say another may not be able to.
#[tokio::test]
async fn every_version_says_what_it_can() {
    let server = Server::start().await;
    let mut client = server.client().await;
    client.create("t", 2, &[("retention.ms", "5000")]).await;
    client.produce("t", 0, batch(&["a"])).await;
    for version in 1..=10 {
        let partition = list_offsets_request::ListOffsetsPartition::default().with_timestamp(-1);
        let topic =
            list_offsets_request::ListOffsetsTopic::default().with_name(name("t")).with_partitions(vec![partition]);
        let found = client.ask(version, &ListOffsetsRequest::default().with_topics(vec![topic])).await;
        assert_eq!(found.topics[0].partitions[0].offset, 1, "v{version}");
    }
    for version in 3..=12 {
        let sent = client.ask(version, &produce_request("t", 1, batch(&["b"]))).await;
        assert_eq!(sent.responses[0].partition_responses[0].error_code, 0, "v{version}");
    }
    for version in 4..=12 {
        let got = client.ask(version, &fetch_request("t", 0, 0)).await;
        assert_eq!(got.responses[0].partitions[0].high_watermark, 1, "v{version}");
    }
    for version in 0..=13 {
        let all = if version == 0 { Some(Vec::new()) } else { None };
        let found = client.ask(version, &MetadataRequest::default().with_topics(all)).await;
        assert_eq!(found.topics.len(), 2, "v{version}");
    }
    for version in 2..=7 {
        let topic = create_topics_request::CreatableTopic::default()
            .with_name(name(&format!("v{version}")))
            .with_num_partitions(1)
            .with_replication_factor(1);
        let made = client.ask(version, &CreateTopicsRequest::default().with_topics(vec![topic])).await;
        assert_eq!(made.topics[0].error_code, 0, "v{version}");
    }
    for version in 2..=9 {
        let partition = offset_commit_request::OffsetCommitRequestPartition::default().with_committed_offset(1);
        let topic = offset_commit_request::OffsetCommitRequestTopic::default().with_name(name("t"));
        let commit = OffsetCommitRequest::default().with_group_id(text("g").into());
        let commit = commit.with_topics(vec![topic.with_partitions(vec![partition])]);
        let done = client.ask(version, &commit).await;
        assert_eq!(done.topics[0].partitions[0].error_code, 0, "v{version}");
    }
    for version in 1..=7 {
        let topic = offset_fetch_request::OffsetFetchRequestTopic::default();
        let topic = topic.with_name(name("t")).with_partition_indexes(vec![0]);
        let ask = OffsetFetchRequest::default().with_group_id(text("g").into()).with_topics(Some(vec![topic]));
        let found = client.ask(version, &ask).await;
        assert_eq!(found.topics[0].partitions[0].committed_offset, 1, "v{version}");
    }
    for version in 0..=5 {
        let listed = client.ask(version, &ListGroupsRequest::default()).await;
        assert_eq!(listed.groups.len(), 1, "v{version}");
    }
    for version in 0..=6 {
        let groups = vec![text("g").into(), text("nobody").into()];
        let described = client.ask(version, &DescribeGroupsRequest::default().with_groups(groups)).await;
        assert_eq!(&*described.groups[0].group_state, "Empty", "v{version}");
    }
    for version in 1..=4 {
        let resource = describe_configs_request::DescribeConfigsResource::default().with_resource_type(2);
        let resource = resource.with_resource_name(text("t")).with_configuration_keys(None);
        let asked = DescribeConfigsRequest::default().with_resources(vec![resource]).with_include_synonyms(true);
        assert!(client.ask(version, &asked).await.results[0].configs.len() > 20, "v{version}");
        let dirs = client.ask(version, &DescribeLogDirsRequest::default().with_topics(None)).await;
        assert!(dirs.results[0].topics.len() > 2, "v{version}");
    }
    for version in 2..=4 {
        let partition = offset_for_leader_epoch_request::OffsetForLeaderPartition::default().with_leader_epoch(0);
        let topic = offset_for_leader_epoch_request::OffsetForLeaderTopic::default().with_topic(name("t"));
        let asked = OffsetForLeaderEpochRequest::default().with_topics(vec![topic.with_partitions(vec![partition])]);
        assert_eq!(client.ask(version, &asked).await.topics[0].partitions[0].end_offset, 1, "v{version}");
    }
    for version in 0..=9 {
        let protocol = join_group_request::JoinGroupRequestProtocol::default().with_name(text("range"));
        let group = format!("members-{version}");
        let mut join = JoinGroupRequest::default()
            .with_group_id(text(&group).into())
            .with_session_timeout_ms(10_000)
            .with_rebalance_timeout_ms(10_000)
            .with_protocol_type(text("consumer"))
            .with_protocols(vec![protocol]);
        let mut joined = client.ask(version, &join).await;
        if version >= 4 {
            join.member_id = joined.member_id.clone();
            joined = client.ask(version, &join).await;
        }
        assert_eq!((joined.error_code, joined.members.len()), (0, 1), "v{version}");
        let sync = SyncGroupRequest::default()
            .with_group_id(text(&group).into())
            .with_generation_id(1)
            .with_member_id(joined.member_id.clone());
        assert_eq!(client.ask(version.min(4), &sync).await.error_code, 0, "v{version}");
        let asked = DescribeGroupsRequest::default().with_groups(vec![text(&group).into()]);
        let described = client.ask(version.min(6), &asked).await;
        assert_eq!(described.groups[0].members.len(), 1);
    }
    for version in 1..=6 {
        let delete = DeleteTopicsRequest::default();
        let topic = name(&format!("v{}", version + 1));
        let delete = match version {
            6 => delete.with_topics(vec![delete_topics_request::DeleteTopicState::default().with_name(Some(topic))]),
            _ => delete.with_topic_names(vec![topic]),
        };
        assert_eq!(client.ask(version, &delete).await.responses[0].error_code, 0, "v{version}");
    }
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
