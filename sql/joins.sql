-- Joins of every kind.

--@test: a stream is enriched by a table
CREATE STREAM orders (id INT KEY, user_id INT, item STRING) WITH (kafka_topic='orders', value_format='JSON');
CREATE TABLE users (id INT PRIMARY KEY, name STRING) WITH (kafka_topic='users', value_format='JSON');
CREATE STREAM named AS
    SELECT o.user_id, o.id AS order_id, item, name FROM orders o LEFT JOIN users u ON o.user_id = u.id;
INSERT INTO orders (id, user_id, item) VALUES (1, 7, 'early');
INSERT INTO users (id, name) VALUES (7, 'Ada');
INSERT INTO orders (id, user_id, item) VALUES (2, 7, 'tea');
INSERT INTO orders (id, user_id, item) VALUES (3, 8, 'jam');
ASSERT VALUES named (user_id, order_id, item, name) VALUES (7, 1, 'early', NULL);
ASSERT VALUES named (user_id, order_id, item, name) VALUES (7, 2, 'tea', 'Ada');
ASSERT VALUES named (user_id, order_id, item, name) VALUES (8, 3, 'jam', NULL);

--@test: an inner join with a table drops what has no partner
CREATE STREAM s (id INT KEY, x INT) WITH (kafka_topic='s', value_format='JSON');
CREATE TABLE t (id INT PRIMARY KEY, y INT) WITH (kafka_topic='t', value_format='JSON');
CREATE STREAM o AS SELECT s.id, x, y FROM s JOIN t ON s.id = t.id;
INSERT INTO t (id, y) VALUES (1, 10);
INSERT INTO s (id, x) VALUES (1, 1);
INSERT INTO s (id, x) VALUES (2, 2);
INSERT INTO t (id, y) VALUES (1, 11);
INSERT INTO s (id, x) VALUES (1, 3);
ASSERT VALUES o (s_id, x, y) VALUES (1, 1, 10);
ASSERT VALUES o (s_id, x, y) VALUES (1, 3, 11);

--@test: two streams meet within a time
CREATE STREAM l (id INT KEY, x INT) WITH (kafka_topic='l', value_format='JSON');
CREATE STREAM r (id INT KEY, y INT) WITH (kafka_topic='r', value_format='JSON');
CREATE STREAM o AS SELECT l.id AS id, x, y FROM l JOIN r WITHIN 10 SECONDS GRACE PERIOD 1 DAY ON l.id = r.id;
INSERT INTO l (rowtime, id, x) VALUES (0, 1, 1);
INSERT INTO r (rowtime, id, y) VALUES (10000, 1, 10);
INSERT INTO r (rowtime, id, y) VALUES (10001, 1, 11);
INSERT INTO l (rowtime, id, x) VALUES (5000, 1, 2);
ASSERT VALUES o (rowtime, id, x, y) VALUES (10000, 1, 1, 10);
ASSERT VALUES o (rowtime, id, x, y) VALUES (10000, 1, 2, 10);
ASSERT VALUES o (rowtime, id, x, y) VALUES (10001, 1, 2, 11);

--@test: the rows of two tables, inner and outer
CREATE TABLE l (id INT PRIMARY KEY, x INT) WITH (kafka_topic='l', value_format='JSON');
CREATE TABLE r (id INT PRIMARY KEY, y INT) WITH (kafka_topic='r', value_format='JSON');
CREATE TABLE both AS SELECT l.id AS id, x, y FROM l JOIN r ON l.id = r.id;
CREATE TABLE lefts AS SELECT l.id AS id, x, y FROM l LEFT JOIN r ON l.id = r.id;
CREATE TABLE alls AS SELECT ROWKEY AS id, x, y FROM l FULL OUTER JOIN r ON l.id = r.id;
INSERT INTO l (id, x) VALUES (1, 1);
INSERT INTO r (id, y) VALUES (1, 10);
INSERT INTO r (id, y) VALUES (2, 20);
ASSERT VALUES both (id, x, y) VALUES (1, 1, 10);
ASSERT VALUES lefts (id, x, y) VALUES (1, 1, NULL);
ASSERT VALUES lefts (id, x, y) VALUES (1, 1, 10);
ASSERT VALUES alls (id, x, y) VALUES (1, 1, NULL);
ASSERT VALUES alls (id, x, y) VALUES (1, 1, 10);
ASSERT VALUES alls (id, x, y) VALUES (2, NULL, 20);

--@test: a table is joined to another by a column that is not its key
CREATE TABLE orders (id INT PRIMARY KEY, user_id INT) WITH (kafka_topic='orders', value_format='JSON');
CREATE TABLE users (uid INT PRIMARY KEY, name STRING) WITH (kafka_topic='users', value_format='JSON');
CREATE TABLE o AS SELECT id, user_id, name FROM orders JOIN users ON user_id = uid;
INSERT INTO users (uid, name) VALUES (7, 'Ada');
INSERT INTO orders (id, user_id) VALUES (1, 7);
INSERT INTO users (uid, name) VALUES (7, 'Augusta');
INSERT INTO orders (id, user_id) VALUES (1, 8);
ASSERT VALUES o (id, user_id, name) VALUES (1, 7, 'Ada');
ASSERT VALUES o (id, user_id, name) VALUES (1, 7, 'Augusta');
ASSERT NULL VALUES o (id) KEY (1);

--@test: three sources are joined one after the other
CREATE STREAM s (id INT KEY, a INT) WITH (kafka_topic='s', value_format='JSON');
CREATE TABLE t (id INT PRIMARY KEY, b INT) WITH (kafka_topic='t', value_format='JSON');
CREATE TABLE u (id INT PRIMARY KEY, c INT) WITH (kafka_topic='u', value_format='JSON');
CREATE STREAM o AS SELECT s.id AS id, a, b, c FROM s JOIN t ON s.id = t.id LEFT JOIN u ON s.id = u.id;
INSERT INTO t (id, b) VALUES (1, 10);
INSERT INTO s (id, a) VALUES (1, 1);
INSERT INTO u (id, c) VALUES (1, 100);
INSERT INTO s (id, a) VALUES (1, 2);
ASSERT VALUES o (id, a, b, c) VALUES (1, 1, 10, NULL);
ASSERT VALUES o (id, a, b, c) VALUES (1, 2, 10, 100);
