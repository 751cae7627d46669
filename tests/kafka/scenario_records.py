"""What becomes of old records: deleted up to an offset, after a time, or all but the last of each key. Called with the
server's address; the server looks around every few hundred milliseconds."""

import sys
import time
import uuid

from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic, OffsetSpec

SERVER = sys.argv[1]
PATIENCE = 60
admin = AdminClient({"bootstrap.servers": SERVER})
producer = Producer({"bootstrap.servers": SERVER})


def done(futures):
    return [future.result(PATIENCE) for future in futures.values()]


def begins(topic):
    [begin] = done(admin.list_offsets({TopicPartition(topic, 0): OffsetSpec.earliest()}))
    return begin.offset


def records(topic):
    source = Consumer(
        {
            "bootstrap.servers": SERVER,
            "group.id": str(uuid.uuid4()),
            "auto.offset.reset": "earliest",
            "enable.partition.eof": True,
        }
    )
    source.assign([TopicPartition(topic, 0, 0)])
    got = []
    while True:
        message = source.poll(PATIENCE)
        if message.error() is None:
            got.append((message.key(), message.value()))
        elif message.error().code() == KafkaError._PARTITION_EOF:
            source.close()
            return got


def write(topic, pairs, timestamp=0):
    for key, value in pairs:
        producer.produce(topic, key=key, value=value, timestamp=timestamp or int(time.time() * 1000))
    assert producer.flush(PATIENCE) == 0


def until(what, check):
    deadline = time.monotonic() + PATIENCE
    while not check():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


def up_to_an_offset():
    done(admin.create_topics([NewTopic("r-deleted", 1)]))
    write("r-deleted", [(None, str(number)) for number in range(10)])
    done(admin.delete_records([TopicPartition("r-deleted", 0, 7)]))
    assert begins("r-deleted") == 7
    assert [value for _, value in records("r-deleted")] == [b"7", b"8", b"9"]


def after_a_time():
    settings = {"retention.ms": "60000", "segment.ms": "100", "segment.bytes": "1000"}
    done(admin.create_topics([NewTopic("r-kept", 1, config=settings)]))
    hour_ago = int(time.time() * 1000) - 3_600_000
    write("r-kept", [(None, "old" + "x" * 200)] * 20, timestamp=hour_ago)
    time.sleep(0.2)
    write("r-kept", [(None, "new")] * 3)
    until("old records stay", lambda: begins("r-kept") >= 15)
    assert [value for _, value in records("r-kept")][-3:] == [b"new"] * 3


def all_but_the_last():
    settings = {"cleanup.policy": "compact", "segment.bytes": "2000", "min.cleanable.dirty.ratio": "0.01"}
    done(admin.create_topics([NewTopic("r-compacted", 1, config=settings)]))
    for number in range(200):
        write("r-compacted", [(f"key-{number % 4}", str(number))])
    until("the log is not compacted", lambda: len(records("r-compacted")) < 100)
    assert dict(records("r-compacted")) == {f"key-{key}".encode(): str(196 + key).encode() for key in range(4)}


for step in [up_to_an_offset, after_a_time, all_but_the_last]:
    step()
    print(step.__name__, "ok", flush=True)
