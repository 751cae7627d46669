"""kafka-python: admin, producers with serializers, consumers, groups. Called with the server's address."""

import json
import sys
import time

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, NewPartitions, NewTopic
from kafka.errors import TopicAlreadyExistsError, UnknownTopicOrPartitionError

SERVER = sys.argv[1]
PATIENCE_MS = 20_000


def consumer(*topics, **options):
    settings = dict(
        bootstrap_servers=SERVER,
        auto_offset_reset="earliest",
        consumer_timeout_ms=PATIENCE_MS,
        key_deserializer=lambda key: key.decode() if key else None,
        value_deserializer=lambda value: json.loads(value) if value else None,
    )
    return KafkaConsumer(*topics, **{**settings, **options})


def take(source, count):
    """So many records, in whatever order partitions come."""
    records = []
    while len(records) < count:
        records.append(next(source))
    return records


def topics():
    admin = KafkaAdminClient(bootstrap_servers=SERVER)
    admin.create_topics([NewTopic("orders", num_partitions=2, replication_factor=1)])
    try:
        admin.create_topics([NewTopic("orders", num_partitions=2, replication_factor=1)])
        raise AssertionError("a topic is made twice")
    except TopicAlreadyExistsError:
        pass
    assert "orders" in admin.list_topics()
    try:
        admin.delete_topics(["nothing"])
        raise AssertionError("a topic that is not there is deleted")
    except UnknownTopicOrPartitionError:
        pass
    admin.create_topics([NewTopic("gone", num_partitions=1, replication_factor=1)])
    admin.delete_topics(["gone"])
    assert "gone" not in admin.list_topics()
    admin.create_topics([NewTopic("grows", 1, 1, topic_configs={"retention.ms": "1000"})])
    admin.create_partitions({"grows": NewPartitions(total_count=3)})
    assert consumer().partitions_for_topic("grows") == {0, 1, 2}
    shown = str(admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, "grows")]))
    assert "retention.ms" in shown and "1000" in shown, shown
    admin.close()


def records():
    producer = KafkaProducer(
        bootstrap_servers=SERVER,
        acks="all",
        key_serializer=str.encode,
        value_serializer=lambda value: json.dumps(value).encode(),
    )
    for number in range(100):
        sent = producer.send("orders", key=f"user-{number % 5}", value={"number": number})
    metadata = sent.get(timeout=20)
    assert metadata.topic == "orders" and metadata.offset >= 0
    producer.send("orders", key="user-0", value={"number": -1}, headers=[("h", b"1")], timestamp_ms=1).get(timeout=20)
    producer.flush()

    source = consumer("orders")
    got = take(source, 101)
    assert sorted(record.value["number"] for record in got) == list(range(-1, 100))
    for key in range(5):
        numbers = [r.value["number"] for r in got if r.key == f"user-{key}" and r.value["number"] >= 0]
        assert numbers == list(range(key, 100, 5)), "the records of a key keep their order"
    [old] = [record for record in got if record.value["number"] == -1]
    assert old.headers == [("h", b"1")] and old.timestamp == 1

    # Ends, the beginning, and a place in time.
    places = [TopicPartition("orders", partition) for partition in range(2)]
    ends = source.end_offsets(places)
    assert sum(ends.values()) == 101 and set(source.beginning_offsets(places).values()) == {0}
    now_ms = int(time.time() * 1000)
    later = source.offsets_for_times({place: now_ms + 3_600_000 for place in places})
    assert set(later.values()) == {None}, later
    source.close()
    for codec in ["gzip"]:
        compressing = KafkaProducer(bootstrap_servers=SERVER, compression_type=codec, linger_ms=20)
        for number in range(50):
            compressing.send("grows", value=json.dumps(number).encode(), partition=0)
        compressing.flush()
        compressing.close()
        source = consumer("grows")
        assert [record.value for record in take(source, 50)] == list(range(50))
        source.close()


def groups():
    first = consumer("orders", group_id="readers", enable_auto_commit=False)
    assert len(take(first, 101)) == 101
    first.commit()
    first.close()
    producer = KafkaProducer(bootstrap_servers=SERVER, value_serializer=lambda value: json.dumps(value).encode())
    producer.send("orders", value={"number": 1000}).get(timeout=20)
    second = consumer("orders", group_id="readers")
    assert [record.value["number"] for record in take(second, 1)] == [1000], "it goes on where the first stopped"

    # Another member: each has one partition in the end.
    third = consumer("orders", group_id="readers")
    deadline = time.monotonic() + PATIENCE_MS / 1000
    while time.monotonic() < deadline:
        second.poll(timeout_ms=200)
        third.poll(timeout_ms=200)
        shares = [second.assignment(), third.assignment()]
        if all(len(share) == 1 for share in shares):
            break
    assert len(shares[0] | shares[1]) == 2 and not shares[0] & shares[1], shares
    second.close()
    third.close()


def errors():
    lost = KafkaProducer(bootstrap_servers=SERVER, max_block_ms=3000)
    try:
        lost.send("misspelt", b"x").get(timeout=5)
        raise AssertionError("a misspelt topic is written to")
    except Exception as error:  # noqa: BLE001
        assert not isinstance(error, AssertionError), error
    admin = KafkaAdminClient(bootstrap_servers=SERVER)
    assert "misspelt" not in admin.list_topics()
    admin.close()


for step in [topics, records, groups, errors]:
    step()
    print(step.__name__, "ok", flush=True)
