"""The Python walk-through: a topic from the admin client, JSON with a key, read from the earliest offset; and then the
last message of a key by SQL, instead of reading everything. Called with the server's addresses, Kafka and Postgres."""

import json
import os
import subprocess
import sys
import time

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka.admin import NewTopic

KAFKA, POSTGRES = sys.argv[1:3]


def sql(text):
    done = subprocess.run(
        [os.environ["MILLSTREAM"], "sql", "--server", POSTGRES, "-c", text], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


admin = KafkaAdminClient(bootstrap_servers=KAFKA)
admin.create_topics([NewTopic(name="positions", num_partitions=2, replication_factor=1)])

producer = KafkaProducer(
    bootstrap_servers=KAFKA,
    key_serializer=str.encode,
    value_serializer=lambda value: json.dumps(value).encode(),
)
for step in range(100):
    for car in ["red", "green", "blue"]:
        producer.send("positions", key=car, value={"step": step, "x": step * len(car)})
producer.flush()

consumer = KafkaConsumer(
    "positions",
    bootstrap_servers=KAFKA,
    auto_offset_reset="earliest",
    consumer_timeout_ms=10_000,
    value_deserializer=json.loads,
)
last, count = {}, 0
for message in consumer:
    last[message.key.decode()] = message.value
    count += 1
    if count == 300:
        break
consumer.close()
assert count == 300 and last["green"] == {"step": 99, "x": 495}, (count, last)

# The same by SQL: the server keeps the last value of each key up to date.
sql(
    """CREATE TABLE latest WITH (kafka_topic = 'latest') AS
         SELECT car, LATEST_BY_OFFSET(x) AS x FROM cars GROUP BY car EMIT CHANGES;""".replace(
        "CREATE TABLE",
        """CREATE STREAM cars (car VARCHAR KEY, step INT, x INT) WITH (kafka_topic = 'positions', value_format = 'JSON');
         SET 'auto.offset.reset' = 'earliest';
         CREATE TABLE""",
        1,
    )
)
deadline = time.monotonic() + 30
while "495" not in sql("SELECT x FROM latest WHERE car = 'green';"):
    assert time.monotonic() < deadline, sql("SELECT * FROM latest;")
    time.sleep(0.2)

# The result is a topic, too.
consumer = KafkaConsumer("latest", bootstrap_servers=KAFKA, auto_offset_reset="earliest", consumer_timeout_ms=3_000)
results = {message.key.decode(): json.loads(message.value) for message in consumer}
assert {key: value["X"] for key, value in results.items()} == {"red": 297, "green": 495, "blue": 396}, results
print("ok")
