//! Making, describing, changing and deleting topics.

use kafka_protocol::messages::{
    BrokerId, CreatePartitionsRequest, CreateTopicsRequest, DeleteTopicsRequest, DescribeConfigsRequest,
    DescribeTopicPartitionsRequest, IncrementalAlterConfigsRequest, MetadataRequest,
    create_partitions_request::CreatePartitionsTopic,
    create_topics_request::{CreatableReplicaAssignment, CreatableTopic},
    delete_topics_request::DeleteTopicState,
    describe_configs_request::DescribeConfigsResource,
    describe_topic_partitions_request::Cursor,
    incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig},
    metadata_request::MetadataRequestTopic,
};
use recordlog::{RecordLog, TopicConfig};

use crate::support::*;

const UNKNOWN_TOPIC_OR_PARTITION: i16 = 3;
const INVALID_TOPIC: i16 = 17;
const TOPIC_AUTHORIZATION_FAILED: i16 = 29;
const TOPIC_ALREADY_EXISTS: i16 = 36;
const INVALID_PARTITIONS: i16 = 37;
const INVALID_REPLICATION_FACTOR: i16 = 38;
const INVALID_REPLICA_ASSIGNMENT: i16 = 39;
const INVALID_CONFIG: i16 = 40;
const INVALID_REQUEST: i16 = 42;

fn ask_for(topic: &str) -> MetadataRequest {
    let topic = MetadataRequestTopic::default().with_name(Some(name(topic)));
    MetadataRequest::default().with_topics(Some(vec![topic])).with_allow_auto_topic_creation(true)
}

#[tokio::test]
async fn topics_are_made_as_asked() {
    let server = Server::start_with(|settings| settings.partitions_default = 3).await;
    let mut client = server.client().await;
    let wanted = |topic: &str| CreatableTopic::default().with_name(name(topic)).with_replication_factor(-1);
    let mut check = async |topic: CreatableTopic, code: i16, words: &str| {
        let request = CreateTopicsRequest::default().with_topics(vec![topic]);
        let made = client.ask(7, &request).await.topics.remove(0);
        let message = made.error_message.unwrap_or_default();
        assert_eq!(made.error_code, code, "{message:?}");
        assert!(message.contains(words), "{message:?} has {words:?}");
        made.num_partitions
    };
    assert_eq!(check(wanted("a").with_num_partitions(2), 0, "").await, 2);
    assert_eq!(check(wanted("b").with_num_partitions(-1), 0, "").await, 3);
    assert_eq!(check(wanted("c").with_num_partitions(1).with_replication_factor(1), 0, "").await, 1);
    let assigned = |brokers: &[i32]| {
        let brokers = brokers.iter().map(|id| BrokerId(*id)).collect();
        vec![CreatableReplicaAssignment::default().with_partition_index(0).with_broker_ids(brokers)]
    };
    let by_hand = |topic, brokers| wanted(topic).with_num_partitions(-1).with_assignments(assigned(brokers));
    assert_eq!(check(by_hand("d", &[1]), 0, "").await, 1);
    check(by_hand("e", &[2]), INVALID_REPLICA_ASSIGNMENT, "broker 1").await;
    check(wanted("a").with_num_partitions(1), TOPIC_ALREADY_EXISTS, "a exists").await;
    check(wanted("f").with_num_partitions(0), INVALID_PARTITIONS, "partition").await;
    check(wanted("f").with_num_partitions(1 << 30), INVALID_PARTITIONS, "partition").await;
    check(wanted("f").with_num_partitions(1).with_replication_factor(3), INVALID_REPLICATION_FACTOR, "one broker")
        .await;
    check(wanted("no/slash").with_num_partitions(1), INVALID_TOPIC, "no/slash").await;
    check(wanted("").with_num_partitions(1), INVALID_TOPIC, "").await;
    check(wanted("_millstream-x").with_num_partitions(1), TOPIC_AUTHORIZATION_FAILED, "the engine's own").await;
    assert_eq!(client.create("f", 1, &[("retention.ms", "soon")]).await, INVALID_CONFIG);
    assert_eq!(client.create("f", 1, &[("retention", "1")]).await, INVALID_CONFIG);
    let twice = CreateTopicsRequest::default().with_topics(vec![wanted("g"), wanted("g")]);
    let made = client.ask(7, &twice).await;
    assert_eq!(made.topics.iter().map(|topic| topic.error_code).collect::<Vec<_>>(), [INVALID_REQUEST]);
    let only_look =
        CreateTopicsRequest::default().with_topics(vec![wanted("h").with_num_partitions(1)]).with_validate_only(true);
    assert_eq!(client.ask(7, &only_look).await.topics[0].error_code, 0);
    assert!(server.log.topic("h").is_none() && server.log.topic("f").is_none());
}

#[tokio::test]
async fn a_misspelt_topic_is_not_made() {
    let server = Server::start().await;
    let mut client = server.client().await;
    for version in [1, 4, 12] {
        let found = client.ask(version, &ask_for("typo")).await;
        assert_eq!(found.topics[0].error_code, UNKNOWN_TOPIC_OR_PARTITION);
        assert_eq!(found.topics[0].name, Some(name("typo")), "the error names the topic");
    }
    assert!(server.log.topic("typo").is_none());
}

#[tokio::test]
async fn a_topic_is_made_by_asking_where_that_is_set() {
    let server = Server::start_with(|settings| {
        settings.auto_create_topics = true;
        settings.partitions_default = 2;
    })
    .await;
    let mut client = server.client().await;
    let found = client.ask(12, &ask_for("new")).await;
    assert_eq!((found.topics[0].error_code, found.topics[0].partitions.len()), (0, 2));
    let found = client.ask(12, &ask_for("not this").with_allow_auto_topic_creation(false)).await;
    assert_eq!(found.topics[0].error_code, INVALID_TOPIC);
    let found = client.ask(12, &ask_for("nor-this").with_allow_auto_topic_creation(false)).await;
    assert_eq!(found.topics[0].error_code, UNKNOWN_TOPIC_OR_PARTITION);
}

#[tokio::test]
async fn topics_of_the_engine_and_of_clients_are_the_same() {
    let server = Server::start().await;
    let mut client = server.client().await;
    server.log.create_topic("by-engine", TopicConfig::with_partitions(4)).await.unwrap();
    client.create("by-client", 5, &[("retention.ms", "1000")]).await;
    let found = client.ask(12, &MetadataRequest::default().with_topics(None)).await;
    let partitions = |topic: &str| {
        let found = found.topics.iter().find(|found| found.name == Some(name(topic)));
        found.map(|found| (found.partitions.len(), found.is_internal))
    };
    assert_eq!(partitions("by-engine"), Some((4, false)));
    assert_eq!(partitions("by-client"), Some((5, false)));
    assert_eq!(partitions("_millstream-kafka"), Some((1, true)));
    let topic = server.log.topic("by-client").unwrap();
    assert_eq!((topic.config.partitions, topic.config.setting("retention.ms")), (5, Some("1000")));
    server.log.delete_topic("by-client").await.unwrap();
    assert_eq!(client.ask(12, &ask_for("by-client")).await.topics[0].error_code, UNKNOWN_TOPIC_OR_PARTITION);
    // A topic named twice is told of once.
    let wanted = ask_for("by-engine").topics.unwrap();
    let twice = MetadataRequest::default().with_topics(Some([wanted.clone(), wanted].concat()));
    assert_eq!(client.ask(12, &twice).await.topics.len(), 1);
}

#[tokio::test]
async fn topics_are_deleted_by_name_and_by_id() {
    let server = Server::start().await;
    let mut client = server.client().await;
    client.create("a", 1, &[]).await;
    client.create("b", 1, &[]).await;
    let id = uuid::Uuid::from_u128(server.log.topic("b").unwrap().id);
    let topics = vec![
        DeleteTopicState::default().with_name(Some(name("a"))),
        DeleteTopicState::default().with_name(None).with_topic_id(id),
        DeleteTopicState::default().with_name(Some(name("c"))),
        DeleteTopicState::default().with_name(Some(name("_millstream-kafka"))),
    ];
    let deleted = client.ask(6, &DeleteTopicsRequest::default().with_topics(topics)).await;
    let codes: Vec<i16> = deleted.responses.iter().map(|response| response.error_code).collect();
    assert_eq!(codes, [0, 0, UNKNOWN_TOPIC_OR_PARTITION, TOPIC_AUTHORIZATION_FAILED]);
    assert!(server.log.topic("a").is_none() && server.log.topic("b").is_none());
}

#[tokio::test]
async fn partitions_are_added() {
    let server = Server::start().await;
    let mut client = server.client().await;
    client.create("t", 2, &[]).await;
    let mut check = async |count: i32, code: i16| {
        let topic = CreatePartitionsTopic::default().with_name(name("t")).with_count(count).with_assignments(None);
        let done = client.ask(3, &CreatePartitionsRequest::default().with_topics(vec![topic])).await;
        assert_eq!(done.results[0].error_code, code, "{:?}", done.results[0].error_message);
    };
    check(4, 0).await;
    check(4, INVALID_PARTITIONS).await;
    check(1, INVALID_PARTITIONS).await;
    check(-1, INVALID_PARTITIONS).await;
    assert_eq!(server.log.topic("t").unwrap().config.partitions, 4);
    assert_eq!(client.produce("t", 3, batch(&["a"])).await.error_code, 0);
}

#[tokio::test]
async fn settings_are_shown_and_changed() {
    let server = Server::start().await;
    let mut client = server.client().await;
    client.create("t", 1, &[]).await;
    let mut alter = async |changes: &[(&str, i8, Option<&str>)]| {
        let change = |(setting, operation, value): &(&str, i8, Option<&str>)| {
            AlterableConfig::default()
                .with_name(text(setting))
                .with_config_operation(*operation)
                .with_value(value.map(text))
        };
        let resource = AlterConfigsResource::default()
            .with_resource_type(2)
            .with_resource_name(text("t"))
            .with_configs(changes.iter().map(change).collect());
        let request = IncrementalAlterConfigsRequest::default().with_resources(vec![resource]);
        client.ask(1, &request).await.responses[0].error_code
    };
    assert_eq!(alter(&[("retention.ms", 0, Some("1000")), ("cleanup.policy", 2, Some("compact"))]).await, 0);
    assert_eq!(alter(&[("retention.ms", 0, Some("x"))]).await, INVALID_CONFIG);
    assert_eq!(alter(&[("retention.ms", 0, None)]).await, INVALID_REQUEST);
    assert_eq!(alter(&[("retention.ms", 2, Some("1"))]).await, INVALID_CONFIG);
    assert_eq!(alter(&[("nothing", 1, None)]).await, INVALID_CONFIG);
    let setting = |name| server.log.topic("t").unwrap().config.setting(name).unwrap().to_owned();
    assert_eq!((setting("retention.ms"), setting("cleanup.policy")), ("1000".into(), "delete,compact".into()));
    let resource = DescribeConfigsResource::default()
        .with_resource_type(2)
        .with_resource_name(text("t"))
        .with_configuration_keys(None);
    let request = DescribeConfigsRequest::default()
        .with_resources(vec![resource.clone(), resource.clone()])
        .with_include_synonyms(true);
    let described = client.ask(4, &request).await;
    assert_eq!(described.results.len(), 1);
    let shown = described.results[0].configs.iter().find(|config| &*config.name == "retention.ms").unwrap();
    assert_eq!((shown.value.as_deref(), shown.config_source), (Some("1000"), 1));
    assert_eq!(shown.synonyms.len(), 2);
    let one = resource.with_configuration_keys(Some(vec![text("max.message.bytes")]));
    let described = client.ask(4, &DescribeConfigsRequest::default().with_resources(vec![one])).await;
    let shown = &described.results[0].configs;
    assert_eq!((shown.len(), shown[0].value.as_deref(), shown[0].config_source), (1, Some("1048588"), 5));
    let broker = DescribeConfigsResource::default().with_resource_type(4).with_resource_name(text("1"));
    let described = client.ask(4, &DescribeConfigsRequest::default().with_resources(vec![broker])).await;
    assert_eq!(described.results[0].error_code, 0);
}

#[tokio::test]
async fn partitions_are_described_in_pages() {
    let server = Server::start().await;
    let mut client = server.client().await;
    client.create("a", 5, &[]).await;
    client.create("b", 3, &[]).await;
    let mut request = DescribeTopicPartitionsRequest::default().with_response_partition_limit(2);
    let mut seen = Vec::new();
    loop {
        let page = client.ask(0, &request).await;
        let mut count = 0;
        for topic in &page.topics {
            let topic_name = topic.name.clone().unwrap().to_string();
            count += topic.partitions.len();
            seen.extend(topic.partitions.iter().map(|p| (topic_name.clone(), p.partition_index)));
        }
        assert!(count <= 2);
        let Some(next) = page.next_cursor else { break };
        let cursor = Cursor::default().with_topic_name(next.topic_name).with_partition_index(next.partition_index);
        request.cursor = Some(cursor);
    }
    let expected = |topic: &str, count| (0..count).map(|p| (topic.to_string(), p)).collect::<Vec<_>>();
    assert_eq!(seen, [expected("_millstream-kafka", 1), expected("a", 5), expected("b", 3)].concat());
}
