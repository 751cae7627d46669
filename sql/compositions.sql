-- Queries made of queries: UNION ALL, WITH, subqueries, views.

--@test: the rows of two streams in order of arrival
CREATE STREAM a (id INT KEY, x INT) WITH (kafka_topic='a', value_format='JSON');
CREATE STREAM b (id INT KEY, y INT) WITH (kafka_topic='b', value_format='JSON');
CREATE STREAM o AS SELECT id, x AS n, 'a' AS src FROM a UNION ALL SELECT id, y * 10 AS n, 'b' AS src FROM b WHERE y > 0;
INSERT INTO a (id, x) VALUES (1, 1);
INSERT INTO b (id, y) VALUES (1, 2);
INSERT INTO b (id, y) VALUES (1, 0);
INSERT INTO a (id, x) VALUES (2, 3);
ASSERT VALUES o (id, n, src) VALUES (1, 1, 'a');
ASSERT VALUES o (id, n, src) VALUES (1, 20, 'b');
ASSERT VALUES o (id, n, src) VALUES (2, 3, 'a');

--@test: a union is grouped
CREATE STREAM a (id INT KEY, x INT) WITH (kafka_topic='a', value_format='JSON');
CREATE STREAM b (id INT KEY, y INT) WITH (kafka_topic='b', value_format='JSON');
CREATE TABLE o AS SELECT id, SUM(n) AS total FROM (SELECT id, x AS n FROM a UNION ALL SELECT id, y AS n FROM b) u GROUP BY id;
INSERT INTO a (id, x) VALUES (1, 1);
INSERT INTO b (id, y) VALUES (1, 2);
INSERT INTO b (id, y) VALUES (2, 5);
ASSERT VALUES o (id, total) VALUES (1, 1);
ASSERT VALUES o (id, total) VALUES (1, 3);
ASSERT VALUES o (id, total) VALUES (2, 5);

--@test: WITH names a query that is read once or twice
CREATE STREAM s (id INT KEY, x INT) WITH (kafka_topic='s', value_format='JSON');
CREATE STREAM o AS
    WITH large AS (SELECT id, x FROM s WHERE x > 10), odd AS (SELECT id, x FROM large WHERE x % 2 = 1)
    SELECT id, x, 'large' AS what FROM large UNION ALL SELECT id, x, 'odd' AS what FROM odd;
INSERT INTO s (id, x) VALUES (1, 12);
INSERT INTO s (id, x) VALUES (2, 9);
ASSERT VALUES o (id, x, what) VALUES (1, 12, 'large');
INSERT INTO s (id, x) VALUES (3, 14);
ASSERT VALUES o (id, x, what) VALUES (3, 14, 'large');

--@test: a table of a subquery is grouped again
CREATE STREAM s (id INT KEY, user STRING) WITH (kafka_topic='s', value_format='JSON');
CREATE TABLE o AS SELECT n, COUNT(*) AS users FROM (SELECT user, COUNT(*) AS n FROM s GROUP BY user) x GROUP BY n;
INSERT INTO s (id, user) VALUES (1, 'ann');
INSERT INTO s (id, user) VALUES (2, 'bob');
INSERT INTO s (id, user) VALUES (3, 'ann');
ASSERT VALUES o (n, users) VALUES (1, 1);
ASSERT VALUES o (n, users) VALUES (1, 2);
ASSERT VALUES o (n, users) VALUES (1, 1);
ASSERT VALUES o (n, users) VALUES (2, 1);

--@test: a subquery is joined
CREATE STREAM s (id INT KEY, x INT) WITH (kafka_topic='s', value_format='JSON');
CREATE TABLE t (id INT PRIMARY KEY, name STRING, ok BOOLEAN) WITH (kafka_topic='t', value_format='JSON');
CREATE STREAM o AS SELECT s.id AS id, x, name FROM s JOIN (SELECT id, name FROM t WHERE ok) good ON s.id = good.id;
INSERT INTO t (id, name, ok) VALUES (1, 'Ada', true);
INSERT INTO t (id, name, ok) VALUES (2, 'Bob', false);
INSERT INTO s (id, x) VALUES (1, 1);
INSERT INTO s (id, x) VALUES (2, 2);
INSERT INTO t (id, name, ok) VALUES (2, 'Bob', true);
INSERT INTO t (id, name, ok) VALUES (1, 'Ada', false);
INSERT INTO s (id, x) VALUES (2, 3);
INSERT INTO s (id, x) VALUES (1, 4);
ASSERT VALUES o (id, x, name) VALUES (1, 1, 'Ada');
ASSERT VALUES o (id, x, name) VALUES (2, 3, 'Bob');

--@test: a view is read by a continuous query
CREATE STREAM s (id INT KEY, x INT) WITH (kafka_topic='s', value_format='JSON');
CREATE VIEW large AS SELECT id, x, x * 2 AS twice FROM s WHERE x > 10;
CREATE STREAM o AS SELECT id, twice FROM large WHERE x < 100;
INSERT INTO s (id, x) VALUES (1, 5);
INSERT INTO s (id, x) VALUES (1, 50);
INSERT INTO s (id, x) VALUES (1, 500);
INSERT INTO s (id, x) VALUES (2, 11);
ASSERT VALUES o (id, twice) VALUES (1, 100);
ASSERT VALUES o (id, twice) VALUES (2, 22);

--@test: a view of a view, replaced and dropped
CREATE STREAM s (id INT KEY, x INT) WITH (kafka_topic='s', value_format='JSON');
CREATE VIEW large AS SELECT id, x FROM s WHERE x > 10;
CREATE VIEW larger AS SELECT id, x FROM large WHERE x > 20;
CREATE STREAM before AS SELECT id, x FROM larger;
CREATE OR REPLACE VIEW large AS SELECT id, x + 1 AS x FROM s WHERE x > 10;
CREATE STREAM after AS SELECT id, x FROM larger;
DROP VIEW larger;
DROP VIEW IF EXISTS larger;
INSERT INTO s (id, x) VALUES (1, 20);
INSERT INTO s (id, x) VALUES (1, 30);
ASSERT VALUES before (id, x) VALUES (1, 30);
ASSERT VALUES after (id, x) VALUES (1, 21);
ASSERT VALUES after (id, x) VALUES (1, 31);

--@test: a view that is gone cannot be read
--@expected.message: LARGE does not exist
CREATE STREAM s (id INT KEY, x INT) WITH (kafka_topic='s', value_format='JSON');
CREATE VIEW large AS SELECT id, x FROM s WHERE x > 10;
DROP VIEW large;
CREATE STREAM o AS SELECT id, x FROM large;
