-- SELECT DISTINCT: a table of the rows that there are.

--@test: what comes again is not news
CREATE STREAM s (id INT KEY, word STRING) WITH (kafka_topic='s', value_format='JSON');
CREATE TABLE o AS SELECT DISTINCT word FROM s;
INSERT INTO s (rowtime, id, word) VALUES (1, 1, 'a');
INSERT INTO s (rowtime, id, word) VALUES (2, 2, 'a');
INSERT INTO s (rowtime, id, word) VALUES (3, 3, 'b');
INSERT INTO s (rowtime, id, word) VALUES (4, 1, 'a');
INSERT INTO s (rowtime, id, word) VALUES (5, 1, 'c');
ASSERT TABLE o (word STRING PRIMARY KEY) WITH (kafka_topic='O', value_format='JSON');
ASSERT VALUES o (rowtime, word) VALUES (1, 'a');
ASSERT VALUES o (rowtime, word) VALUES (3, 'b');
ASSERT VALUES o (rowtime, word) VALUES (5, 'c');

--@test: all that is selected is the key
CREATE STREAM s (id INT KEY, word STRING, n INT) WITH (kafka_topic='s', value_format='JSON');
CREATE TABLE o WITH (key_format='JSON') AS SELECT DISTINCT UCASE(word) AS word, n % 2 AS odd FROM s WHERE n > 0;
INSERT INTO s (id, word, n) VALUES (1, 'a', 1);
INSERT INTO s (id, word, n) VALUES (1, 'A', 3);
INSERT INTO s (id, word, n) VALUES (1, 'a', 2);
INSERT INTO s (id, word, n) VALUES (1, 'b', -1);
INSERT INTO s (id, word, n) VALUES (2, NULL, 5);
INSERT INTO s (id, word, n) VALUES (2, 'b', 5);
ASSERT TABLE o (word STRING PRIMARY KEY, odd INT PRIMARY KEY) WITH (kafka_topic='O', value_format='JSON');
ASSERT VALUES o (word, odd) VALUES ('A', 1);
ASSERT VALUES o (word, odd) VALUES ('A', 0);
ASSERT VALUES o (word, odd) VALUES ('B', 1);

--@test: of a table, a row goes with the last of its kind
CREATE TABLE t (id INT PRIMARY KEY, city STRING) WITH (kafka_topic='t', value_format='JSON');
CREATE TABLE o AS SELECT DISTINCT city FROM t;
INSERT INTO t (id, city) VALUES (1, 'Oslo');
INSERT INTO t (id, city) VALUES (2, 'Oslo');
INSERT INTO t (id, city) VALUES (1, 'Rome');
DELETE FROM t WHERE id = 2;
INSERT INTO t (id, city) VALUES (3, 'Oslo');
ASSERT VALUES o (city) VALUES ('Oslo');
ASSERT VALUES o (city) VALUES ('Rome');
ASSERT NULL VALUES o (city) KEY ('Oslo');
ASSERT VALUES o (city) VALUES ('Oslo');

--@test: once in every window
CREATE STREAM s (id INT KEY, word STRING) WITH (kafka_topic='s', value_format='JSON');
CREATE TABLE o AS SELECT DISTINCT word FROM s WINDOW TUMBLING (SIZE 10 SECONDS);
INSERT INTO s (rowtime, id, word) VALUES (1000, 1, 'a');
INSERT INTO s (rowtime, id, word) VALUES (2000, 1, 'a');
INSERT INTO s (rowtime, id, word) VALUES (12000, 1, 'a');
INSERT INTO s (rowtime, id, word) VALUES (13000, 1, 'b');
ASSERT VALUES o (windowstart, word) VALUES (0, 'a');
ASSERT VALUES o (windowstart, word) VALUES (10000, 'a');
ASSERT VALUES o (windowstart, word) VALUES (10000, 'b');

--@test: several columns need a key format that takes them
--@expected.message: Key format does not support schema
CREATE STREAM s (id INT KEY, word STRING) WITH (kafka_topic='s', value_format='JSON');
CREATE TABLE words AS SELECT DISTINCT word, LEN(word) AS length FROM s;

--@test: a distinct table can be read on
CREATE TABLE t (id INT PRIMARY KEY, city STRING) WITH (kafka_topic='t', value_format='DELIMITED');
CREATE TABLE cities AS SELECT DISTINCT city FROM t;
CREATE TABLE loud AS SELECT city, UCASE(city) AS name FROM cities;
INSERT INTO t (id, city) VALUES (1, 'Oslo');
INSERT INTO t (id, city) VALUES (1, 'Rome');
ASSERT VALUES loud (city, name) VALUES ('Oslo', 'OSLO');
ASSERT NULL VALUES loud (city) KEY ('Oslo');
ASSERT VALUES loud (city, name) VALUES ('Rome', 'ROME');

--@test: the distinct rows of a subquery are counted
CREATE STREAM s (id INT KEY, word STRING) WITH (kafka_topic='s', value_format='JSON');
CREATE TABLE o AS SELECT length, COUNT(*) AS n FROM (SELECT DISTINCT word, LEN(word) AS length FROM s) x GROUP BY length;
INSERT INTO s (id, word) VALUES (1, 'ab');
INSERT INTO s (id, word) VALUES (2, 'cd');
INSERT INTO s (id, word) VALUES (3, 'ab');
INSERT INTO s (id, word) VALUES (3, 'xyz');
ASSERT VALUES o (length, n) VALUES (2, 1);
ASSERT VALUES o (length, n) VALUES (2, 2);
ASSERT VALUES o (length, n) VALUES (3, 1);

--@test: DISTINCT and GROUP BY do not go together
--@expected.message: DISTINCT together with GROUP BY, HAVING, PARTITION BY or aggregate functions is not supported
CREATE STREAM s (id INT KEY, word STRING) WITH (kafka_topic='s', value_format='JSON');
CREATE TABLE o AS SELECT DISTINCT word, COUNT(*) AS n FROM s GROUP BY word;
