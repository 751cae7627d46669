"""confluent-kafka (librdkafka): admin, idempotence, transactions, groups. Called with the server's address."""

import sys
import time
import uuid

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    NewTopic,
    OffsetSpec,
    ResourceType,
)

SERVER = sys.argv[1]
PATIENCE = 30


def consumer(group, **options):
    settings = {"bootstrap.servers": SERVER, "group.id": group, "auto.offset.reset": "earliest"}
    return Consumer({**settings, **{name.replace("_", "."): value for name, value in options.items()}})


def producer(**options):
    return Producer({"bootstrap.servers": SERVER, **{name.replace("_", "."): value for name, value in options.items()}})


def values(topic, count, isolation="read_committed"):
    """The first `count` values of a topic, and that there are no more."""
    source = consumer(str(uuid.uuid4()), isolation_level=isolation, enable_partition_eof=True)
    source.subscribe([topic])
    got, ends, deadline = [], 0, time.monotonic() + PATIENCE
    while time.monotonic() < deadline and not (ends and len(got) >= count):
        message = source.poll(1)
        if message is None:
            continue
        if message.error() is None:
            got.append(message.value().decode())
        elif message.error().code() == KafkaError._PARTITION_EOF:
            ends += 1
        else:
            raise KafkaException(message.error())
    source.close()
    return got


def done(futures):
    return {name: future.result(PATIENCE) for name, future in futures.items()}


def fails(code, act):
    try:
        act()
    except KafkaException as error:
        assert error.args[0].code() == code, error
        return
    raise AssertionError(f"error {code} is missing")


def admin():
    client = AdminClient({"bootstrap.servers": SERVER})
    done(client.create_topics([NewTopic("c-plain", 1), NewTopic("c-grows", 1, config={"cleanup.policy": "compact"})]))
    fails(KafkaError.TOPIC_ALREADY_EXISTS, lambda: done(client.create_topics([NewTopic("c-plain", 1)])))
    done(client.create_partitions([NewPartitions("c-grows", 4)]))
    assert len(client.list_topics("c-grows").topics["c-grows"].partitions) == 4
    resource = ConfigResource(ResourceType.TOPIC, "c-grows")
    [settings] = done(client.describe_configs([resource])).values()
    assert settings["cleanup.policy"].value == "compact"
    change = ConfigEntry("retention.ms", "5000", incremental_operation=AlterConfigOpType.SET)
    done(client.incremental_alter_configs([ConfigResource(ResourceType.TOPIC, "c-grows", incremental_configs=[change])]))
    [settings] = done(client.describe_configs([resource])).values()
    assert settings["retention.ms"].value == "5000"
    cluster = client.describe_cluster().result(PATIENCE)
    assert len(cluster.nodes) == 1
    writer = producer()
    for number in range(10):
        writer.produce("c-plain", str(number))
    assert writer.flush(PATIENCE) == 0
    done(client.delete_records([TopicPartition("c-plain", 0, 4)]))
    spec = {TopicPartition("c-plain", 0): OffsetSpec.earliest()}
    [begin] = done(client.list_offsets(spec)).values()
    assert begin.offset == 4
    assert values("c-plain", 6) == ["4", "5", "6", "7", "8", "9"]
    done(client.delete_topics(["c-grows"]))
    assert "c-grows" not in client.list_topics().topics


def idempotence():
    client = AdminClient({"bootstrap.servers": SERVER})
    done(client.create_topics([NewTopic("c-once", 1)]))
    writer = producer(enable_idempotence=True, linger_ms=1)
    errors = []
    for number in range(5000):
        writer.produce("c-once", str(number), on_delivery=lambda error, _: errors.append(error) if error else None)
        writer.poll(0)
    assert writer.flush(PATIENCE) == 0 and not errors, errors
    assert values("c-once", 5000) == [str(number) for number in range(5000)]


def transactions():
    client = AdminClient({"bootstrap.servers": SERVER})
    done(client.create_topics([NewTopic("c-in", 1), NewTopic("c-out", 2)]))
    feed = producer()
    for number in range(20):
        feed.produce("c-in", str(number))
    feed.flush(PATIENCE)

    writer = producer(transactional_id="copier")
    writer.init_transactions(PATIENCE)
    source = consumer("copiers", enable_auto_commit=False, isolation_level="read_committed")
    source.subscribe(["c-in"])
    seen, round_number = 0, 0
    while seen < 20:
        messages = source.consume(5, 5)
        if not messages:
            continue
        round_number += 1
        writer.begin_transaction()
        for message in messages:
            assert message.error() is None, message.error()
            number = int(message.value())
            writer.produce("c-out", str(number * number), partition=number % 2)
        places = source.position(source.assignment())
        writer.send_offsets_to_transaction(places, source.consumer_group_metadata(), PATIENCE)
        # What was not sent yet would be dropped by an abort, and there would be nothing to hide.
        assert writer.flush(PATIENCE) == 0
        # Every other attempt is given up, and made again from the committed offsets.
        if round_number % 2:
            writer.abort_transaction(PATIENCE)
            for place in source.committed(source.assignment(), PATIENCE):
                place.offset = max(place.offset, 0)
                source.seek(place)
        else:
            writer.commit_transaction(PATIENCE)
            seen += len(messages)
    source.close()
    squares = sorted((number * number for number in range(20)))
    assert sorted(map(int, values("c-out", 20))) == squares
    assert len(values("c-out", 21, "read_uncommitted")) > 20

    # A second producer of the same id shuts the first out.
    second = producer(transactional_id="copier")
    second.init_transactions(PATIENCE)
    writer.begin_transaction()
    writer.produce("c-out", "late", partition=0)
    try:
        writer.commit_transaction(PATIENCE)
        raise AssertionError("a fenced producer commits")
    except KafkaException as error:
        assert error.args[0].fatal() or error.args[0].code() == KafkaError._FENCED, error
    assert "late" not in values("c-out", 20)


def groups(strategy):
    topic, group = f"c-shared-{strategy}", f"sharers-{strategy}"
    client = AdminClient({"bootstrap.servers": SERVER})
    done(client.create_topics([NewTopic(topic, 4)]))
    options = {"partition_assignment_strategy": strategy, "session_timeout_ms": 6000}
    members = [consumer(group, group_instance_id=f"{strategy}-{number}", **options) for number in range(3)]
    for member in members:
        member.subscribe([topic])

    def share(expected):
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            for member in members:
                member.poll(0.1)
            counts = sorted(len(member.assignment()) for member in members)
            if counts == expected:
                return
        raise AssertionError(f"{strategy}: {counts}, not {expected}")

    share([1, 1, 2])
    described = client.describe_consumer_groups([group])[group].result(PATIENCE)
    assert len(described.members) == 3, described.members
    # One with a fixed name goes without a word: its place is free when its session is over.
    members.pop().close()
    share([2, 2])
    writer = producer()
    for number in range(40):
        writer.produce(topic, str(number), partition=number % 4)
    writer.flush(PATIENCE)
    got, deadline = set(), time.monotonic() + PATIENCE
    while len(got) < 40 and time.monotonic() < deadline:
        for member in members:
            message = member.poll(0.1)
            if message is not None and message.error() is None:
                got.add(int(message.value()))
    assert got == set(range(40))
    for member in members:
        member.commit(asynchronous=False)
        member.close()
    listed = client.list_consumer_groups().result(PATIENCE)
    assert group in [found.group_id for found in listed.valid]


def misspelt():
    writer = producer(message_timeout_ms=5000)
    errors = []
    writer.produce("c-misspelt", "x", on_delivery=lambda error, _: errors.append(error))
    writer.flush(PATIENCE)
    assert errors and errors[0] is not None
    assert "c-misspelt" not in AdminClient({"bootstrap.servers": SERVER}).list_topics().topics


for step, args in [
    (admin, []),
    (idempotence, []),
    (transactions, []),
    (groups, ["range"]),
    (groups, ["cooperative-sticky"]),
    (misspelt, []),
]:
    step(*args)
    print(step.__name__, *args, "ok", flush=True)
