-- ASSERT TOPIC and ASSERT SCHEMA: what a script relies on.

--@test: a topic with its properties
CREATE STREAM s (id INT KEY, n INT) WITH (kafka_topic='t', value_format='JSON', partitions=2);
ASSERT TOPIC t;
ASSERT TOPIC t WITH (partitions=2, replicas=1) TIMEOUT 2 SECONDS;
ASSERT NOT EXISTS TOPIC nowhere;

--@test: a topic that is not there
--@expected.message: topic nowhere does not exist
ASSERT TOPIC nowhere TIMEOUT 10 MILLISECONDS;

--@test: a topic that is there
--@expected.message: topic t exists
CREATE STREAM s (id INT KEY, n INT) WITH (kafka_topic='t', value_format='JSON');
ASSERT NOT EXISTS TOPIC t;

--@test: a topic with other partitions
--@expected.message: topic t has partitions 1, expected 7
CREATE STREAM s (id INT KEY, n INT) WITH (kafka_topic='t', value_format='JSON', partitions=1);
ASSERT TOPIC t WITH (partitions=7);

--@test: a property that no topic has
--@expected.message: COLOUR is no property of ASSERT TOPIC
ASSERT TOPIC t WITH (colour='red');

--@test: schemas by subject and id
CREATE STREAM s (id INT KEY, n INT) WITH (kafka_topic='t', value_format='AVRO');
ASSERT SCHEMA SUBJECT 't-value';
ASSERT SCHEMA ID 1;
ASSERT SCHEMA SUBJECT 't-value' ID 1 TIMEOUT 1 SECOND;
ASSERT NOT EXISTS SCHEMA SUBJECT 't-key';
ASSERT NOT EXISTS SCHEMA SUBJECT 't-value' ID 2;
ASSERT NOT EXISTS SCHEMA ID 99999999999;

--@test: a subject that is not there
--@expected.message: a schema of subject t-value does not exist
CREATE STREAM s (id INT KEY, n INT) WITH (kafka_topic='t', value_format='JSON');
ASSERT SCHEMA SUBJECT 't-value';

--@test: an id of another subject
--@expected.message: a schema of subject u-value with id 1 does not exist
CREATE STREAM s (id INT KEY, n INT) WITH (kafka_topic='t', value_format='AVRO');
ASSERT SCHEMA SUBJECT 'u-value' ID 1;

--@test: a subject that is there
--@expected.message: a schema of subject t-value exists
CREATE STREAM s (id INT KEY, n INT) WITH (kafka_topic='t', value_format='AVRO');
ASSERT NOT EXISTS SCHEMA SUBJECT 't-value';
