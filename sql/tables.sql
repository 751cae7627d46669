-- Tables: the last record of a key is its row.

--@test: a filter over a table takes back what it let pass
CREATE TABLE t (id INT PRIMARY KEY, n INT) WITH (kafka_topic='t', value_format='JSON');
CREATE TABLE o AS SELECT id, n FROM t WHERE n > 0;
INSERT INTO t (id, n) VALUES (1, 1);
INSERT INTO t (id, n) VALUES (1, 0);
INSERT INTO t (id, n) VALUES (1, 2);
INSERT INTO t (id, n) VALUES (2, 0);
INSERT INTO t (id, n) VALUES (1, 3);
ASSERT VALUES o (id, n) VALUES (1, 1);
ASSERT NULL VALUES o (id) KEY (1);
ASSERT VALUES o (id, n) VALUES (1, 2);
ASSERT VALUES o (id, n) VALUES (1, 3);

--@test: a deleted row is deleted in what is derived from it
CREATE TABLE t (id INT PRIMARY KEY, n INT) WITH (kafka_topic='t', value_format='JSON');
CREATE TABLE o AS SELECT id, n * 2 AS twice FROM t;
INSERT INTO t (id, n) VALUES (1, 1);
DELETE FROM t WHERE id = 1;
INSERT INTO t (id, n) VALUES (1, 5);
ASSERT VALUES o (id, twice) VALUES (1, 2);
ASSERT NULL VALUES o (id) KEY (1);
ASSERT VALUES o (id, twice) VALUES (1, 10);

--@test: a deleted row leaves its group
CREATE TABLE t (id INT PRIMARY KEY, city STRING) WITH (kafka_topic='t', value_format='JSON');
CREATE TABLE o AS SELECT city, COUNT(*) AS n FROM t GROUP BY city;
INSERT INTO t (id, city) VALUES (1, 'Oslo');
INSERT INTO t (id, city) VALUES (2, 'Oslo');
DELETE FROM t WHERE id = 1;
ASSERT VALUES o (city, n) VALUES ('Oslo', 1);
ASSERT VALUES o (city, n) VALUES ('Oslo', 2);
ASSERT VALUES o (city, n) VALUES ('Oslo', 1);

--@test: several rows are deleted by key
CREATE TABLE t (a INT PRIMARY KEY, b STRING PRIMARY KEY, n INT) WITH (kafka_topic='t', format='JSON');
INSERT INTO t (a, b, n) VALUES (1, 'x', 1), (2, 'x', 2), (3, 'x', 3);
DELETE FROM t WHERE b = 'x' AND a IN (1, 3);
ASSERT VALUES t (a, b, n) VALUES (1, 'x', 1);
ASSERT VALUES t (a, b, n) VALUES (2, 'x', 2);
ASSERT VALUES t (a, b, n) VALUES (3, 'x', 3);
ASSERT NULL VALUES t (a, b) KEY (1, 'x');
ASSERT NULL VALUES t (a, b) KEY (3, 'x');

--@test: only whole keys say what is to be deleted
--@expected.message: DELETE is supported by key only
CREATE TABLE t (id INT PRIMARY KEY, n INT) WITH (kafka_topic='t', value_format='JSON');
DELETE FROM t WHERE n = 1;

--@test: NULL VALUES writes keys whose rows are gone
CREATE TABLE t (id INT PRIMARY KEY, n INT) WITH (kafka_topic='t', value_format='JSON');
CREATE TABLE o AS SELECT id, n FROM t;
INSERT INTO t (id, n) VALUES (1, 1), (2, 2);
INSERT INTO t (id, rowtime) NULL VALUES (1, 5000), (2, 6000);
INSERT INTO t NULL VALUES (3);
INSERT INTO t (id, n) VALUES (1, NULL);
ASSERT VALUES o (id, n) VALUES (1, 1);
ASSERT VALUES o (id, n) VALUES (2, 2);
ASSERT NULL VALUES o (rowtime, id) KEY (5000, 1);
ASSERT NULL VALUES o (rowtime, id) KEY (6000, 2);
ASSERT NULL VALUES o (id) KEY (3);
ASSERT VALUES o (id, n) VALUES (1, NULL);

--@test: a stream's record without a value deletes the row of a table over its topic
CREATE STREAM s (id INT KEY, n INT) WITH (kafka_topic='t', value_format='JSON');
CREATE TABLE t (id INT PRIMARY KEY, n INT) WITH (kafka_topic='t', value_format='JSON');
CREATE TABLE o AS SELECT id, n + 1 AS n FROM t;
INSERT INTO s (id, n) VALUES (1, 1);
INSERT INTO s (id) NULL VALUES (1);
ASSERT VALUES o (id, n) VALUES (1, 2);
ASSERT NULL VALUES o (id) KEY (1);

--@test: NULL VALUES takes no values
--@expected.message: Column `N` is no part of the key
CREATE TABLE t (id INT PRIMARY KEY, n INT) WITH (kafka_topic='t', value_format='JSON');
INSERT INTO t (id, n) NULL VALUES (1, 1);

--@test: NULL VALUES needs the whole key
--@expected.message: NULL VALUES needs the whole key, and `B` is missing
CREATE TABLE t (a INT PRIMARY KEY, b INT PRIMARY KEY, n INT) WITH (kafka_topic='t', format='JSON');
INSERT INTO t (a) NULL VALUES (1);

--@test: a table of nothing but keys has rows
CREATE TABLE t (id INT PRIMARY KEY) WITH (kafka_topic='t', value_format='JSON');
CREATE TABLE o AS SELECT id, id * 2 AS n FROM t;
INSERT INTO t (id) VALUES (1);
DELETE FROM t WHERE id = 1;
ASSERT VALUES o (id, n) VALUES (1, 2);
ASSERT NULL VALUES o (id) KEY (1);
