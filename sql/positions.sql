-- Where a query begins to read.

--@test: from the earliest record, and from the latest
CREATE STREAM s (id INT KEY, x INT) WITH (kafka_topic='s', value_format='JSON');
INSERT INTO s (id, x) VALUES (1, 1);
INSERT INTO s (id, x) VALUES (1, 2);
CREATE STREAM every AS SELECT id, x FROM s WITH (start='earliest');
CREATE STREAM late AS SELECT id, x FROM s WITH (start='latest');
INSERT INTO s (id, x) VALUES (1, 3);
ASSERT VALUES every (id, x) VALUES (1, 1);
ASSERT VALUES every (id, x) VALUES (1, 2);
ASSERT VALUES every (id, x) VALUES (1, 3);
ASSERT VALUES late (id, x) VALUES (1, 3);

--@test: what the property says holds for sources that say nothing
SET 'auto.offset.reset' = 'earliest';
CREATE STREAM a (id INT KEY, x INT) WITH (kafka_topic='a', value_format='JSON');
CREATE STREAM b (id INT KEY, x INT) WITH (kafka_topic='b', value_format='JSON');
INSERT INTO a (id, x) VALUES (1, 1);
INSERT INTO b (id, x) VALUES (1, 10);
CREATE STREAM o AS SELECT id, x FROM a UNION ALL SELECT id, x FROM b WITH (start='latest');
INSERT INTO b (id, x) VALUES (1, 20);
ASSERT VALUES o (id, x) VALUES (1, 1);
ASSERT VALUES o (id, x) VALUES (1, 20);

--@test: from a time on
CREATE STREAM s (id INT KEY, x INT) WITH (kafka_topic='s', value_format='JSON');
INSERT INTO s (rowtime, id, x) VALUES (1000, 1, 1);
INSERT INTO s (rowtime, id, x) VALUES (2000, 1, 2);
INSERT INTO s (rowtime, id, x) VALUES (3000, 1, 3);
CREATE STREAM ms AS SELECT id, x FROM s WITH (start=2000);
CREATE STREAM text AS SELECT id, x FROM s WITH (start='1970-01-01T00:00:02.500Z');
CREATE STREAM day AS SELECT id, x FROM s WITH (start='1970-01-02');
INSERT INTO s (rowtime, id, x) VALUES (4000, 1, 4);
ASSERT VALUES ms (id, x) VALUES (1, 2);
ASSERT VALUES ms (id, x) VALUES (1, 3);
ASSERT VALUES ms (id, x) VALUES (1, 4);
ASSERT VALUES text (id, x) VALUES (1, 3);
ASSERT VALUES text (id, x) VALUES (1, 4);
ASSERT VALUES day (id, x) VALUES (1, 4);

--@test: from an offset of each partition on
CREATE TABLE t (id INT PRIMARY KEY, x INT) WITH (kafka_topic='t', value_format='JSON', partitions=1);
INSERT INTO t (id, x) VALUES (1, 1);
INSERT INTO t (id, x) VALUES (2, 2);
INSERT INTO t (id, x) VALUES (3, 3);
CREATE TABLE o AS SELECT id, x FROM t WITH (start='0:1');
CREATE TABLE beyond AS SELECT id, x FROM t WITH (start='0:99');
INSERT INTO t (id, x) VALUES (4, 4);
ASSERT VALUES o (id, x) VALUES (2, 2);
ASSERT VALUES o (id, x) VALUES (3, 3);
ASSERT VALUES o (id, x) VALUES (4, 4);
ASSERT VALUES beyond (id, x) VALUES (4, 4);

--@test: a position that is none
--@expected.message: START is none that is known
CREATE STREAM s (id INT KEY, x INT) WITH (kafka_topic='s', value_format='JSON');
CREATE STREAM o AS SELECT id, x FROM s WITH (start='tomorrow');
