"""Bytes of AVRO, JSON_SR and PROTOBUF, written here and read by Confluent's deserializers, and the other way round.

usage: serializers.py HTTP_URL PG_PORT    (needs confluent-kafka[avro,json,protobuf] and psycopg2)
"""

import sys

import psycopg2
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.schema_registry.json_schema import JSONDeserializer, JSONSerializer
from confluent_kafka.schema_registry.protobuf import ProtobufDeserializer, ProtobufSerializer
from confluent_kafka.serialization import MessageField, SerializationContext
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.json_format import MessageToDict

url, port = sys.argv[1], int(sys.argv[2])
registry = SchemaRegistryClient({"url": url})
connection = psycopg2.connect(host="127.0.0.1", port=port, user="test", dbname="test")
connection.autocommit = True
cursor = connection.cursor()

COLUMNS = "name VARCHAR, n BIGINT, d DOUBLE, b BOOLEAN, tags ARRAY<VARCHAR>, m MAP<VARCHAR, INT>, s STRUCT<x INT, y VARCHAR>"
VALUES = "'ann', 12345678901, 2.5, true, ARRAY['a', 'b'], MAP('k' := 7), STRUCT(x := 3, y := 'z')"
RECORD = {
    "NAME": "ann",
    "N": 12345678901,
    "D": 2.5,
    "B": True,
    "TAGS": ["a", "b"],
    "M": {"k": 7},
    "S": {"X": 3, "Y": "z"},
}


def sql(text):
    cursor.execute(text)
    return cursor.fetchall() if cursor.description else []


def context(topic):
    return SerializationContext(topic, MessageField.VALUE)


def raw(topic):
    """A stream over the topic's values as they are."""
    sql(f"CREATE STREAM {topic}_raw (v BYTES) WITH (kafka_topic = '{topic}', value_format = 'KAFKA')")


def check(what, found, expect):
    if found != expect:
        sys.exit(f"{what}: expected {expect!r}, found {found!r}")
    print(f"{what}: ok")


def read_by_them(fmt, deserialize, expect=RECORD):
    topic = f"{fmt.lower()}_ours"
    sql(f"CREATE STREAM {topic} ({COLUMNS}) WITH (kafka_topic = '{topic}', value_format = '{fmt}', partitions = 1)")
    sql(f"INSERT INTO {topic} (name, n, d, b, tags, m, s) VALUES ({VALUES})")
    raw(topic)
    ((value,),) = sql(f"SELECT v FROM {topic}_raw")
    check(f"{fmt} read by Confluent's deserializer", deserialize(bytes(value), context(topic)), expect)


def read_by_us(fmt, serialize, value):
    topic = f"{fmt.lower()}_theirs"
    sql(f"CREATE STREAM {topic}_raw (v BYTES) WITH (kafka_topic = '{topic}', value_format = 'KAFKA', partitions = 1)")
    data = serialize(value, context(topic))
    sql(f"INSERT INTO {topic}_raw (v) VALUES (TO_BYTES('{data.hex()}', 'hex'))")
    sql(f"CREATE STREAM {topic} WITH (kafka_topic = '{topic}', value_format = '{fmt}')")
    row = sql(f"SELECT name, n, d, b, tags[2], m['k'], s->x, s->y FROM {topic}")
    check(f"{fmt} written by Confluent's serializer", row, [("ann", 12345678901, 2.5, True, "b", 7, 3, "z")])


AVRO = """{"type": "record", "name": "Person", "namespace": "test", "fields": [
  {"name": "NAME", "type": "string"}, {"name": "N", "type": "long"}, {"name": "D", "type": "double"},
  {"name": "B", "type": ["null", "boolean"]}, {"name": "TAGS", "type": {"type": "array", "items": "string"}},
  {"name": "M", "type": {"type": "map", "values": "int"}},
  {"name": "S", "type": {"type": "record", "name": "Inner", "fields": [
    {"name": "X", "type": "int"}, {"name": "Y", "type": "string"}]}}]}"""
# The keys of a MAP may be NULL, those of Avro's map may not: it is written as an array of entries.
read_by_them("AVRO", AvroDeserializer(registry), RECORD | {"M": [{"key": "k", "value": 7}]})
read_by_us("AVRO", AvroSerializer(registry, AVRO), RECORD)

JSON = """{"type": "object", "title": "Person", "properties": {
  "NAME": {"type": "string"}, "N": {"type": "integer"}, "D": {"type": "number"}, "B": {"type": "boolean"},
  "TAGS": {"type": "array", "items": {"type": "string"}},
  "M": {"type": "object", "connect.type": "map", "additionalProperties": {"type": "integer", "connect.type": "int32"}},
  "S": {"type": "object", "properties": {"X": {"type": "integer"}, "Y": {"type": "string"}}}}}"""
read_by_them("JSON_SR", JSONDeserializer(None, schema_registry_client=registry))
read_by_us("JSON_SR", JSONSerializer(JSON, registry), RECORD)


def person_class():
    """The class that protoc would make of Person, without protoc."""
    file = descriptor_pb2.FileDescriptorProto(name="person.proto", package="test", syntax="proto3")
    person = file.message_type.add(name="Person")
    kinds = descriptor_pb2.FieldDescriptorProto

    def add(message, name, number, kind, label=kinds.LABEL_OPTIONAL, type_name=None):
        field = message.field.add(name=name, number=number, type=kind, label=label)
        if type_name:
            field.type_name = type_name

    add(person, "NAME", 1, kinds.TYPE_STRING)
    add(person, "N", 2, kinds.TYPE_INT64)
    add(person, "D", 3, kinds.TYPE_DOUBLE)
    add(person, "B", 4, kinds.TYPE_BOOL)
    add(person, "TAGS", 5, kinds.TYPE_STRING, kinds.LABEL_REPEATED)
    add(person, "M", 6, kinds.TYPE_MESSAGE, kinds.LABEL_REPEATED, ".test.Person.MEntry")
    add(person, "S", 7, kinds.TYPE_MESSAGE, type_name=".test.Person.Inner")
    entry = person.nested_type.add(name="MEntry")
    entry.options.map_entry = True
    add(entry, "key", 1, kinds.TYPE_STRING)
    add(entry, "value", 2, kinds.TYPE_INT32)
    inner = person.nested_type.add(name="Inner")
    add(inner, "X", 1, kinds.TYPE_INT32)
    add(inner, "Y", 2, kinds.TYPE_STRING)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("test.Person"))


Person = person_class()
message = Person(NAME="ann", N=12345678901, D=2.5, B=True, TAGS=["a", "b"], M={"k": 7}, S={"X": 3, "Y": "z"})
read_by_us("PROTOBUF", ProtobufSerializer(Person, registry, {"use.deprecated.format": False}), message)

# The registry, asked by its own client.
registered = registry.get_latest_version("avro_theirs-value")
check("latest version", (registered.subject, registered.version), ("avro_theirs-value", 1))
check("look-up", registry.lookup_schema("avro_theirs-value", Schema(AVRO, "AVRO")).schema_id, registered.schema_id)
check("level", registry.get_compatibility(), "BACKWARD")
narrower = Schema(AVRO.replace('"long"', '"int"'), "AVRO")
check("compatibility", registry.test_compatibility("avro_theirs-value", narrower), False)
print("passed")
