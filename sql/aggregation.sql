-- Groups of streams and of tables.

--@test: a count changes with every record
CREATE STREAM visits (id INT KEY, page STRING) WITH (kafka_topic='visits', value_format='JSON');
CREATE TABLE counts AS SELECT page, COUNT(*) AS n FROM visits GROUP BY page;
INSERT INTO visits (id, page) VALUES (1, 'home');
INSERT INTO visits (id, page) VALUES (2, 'cart');
INSERT INTO visits (id, page) VALUES (3, 'home');
ASSERT TABLE counts (page STRING PRIMARY KEY, n BIGINT) WITH (kafka_topic='COUNTS', value_format='JSON');
ASSERT VALUES counts (page, n) VALUES ('home', 1);
ASSERT VALUES counts (page, n) VALUES ('cart', 1);
ASSERT VALUES counts (page, n) VALUES ('home', 2);

--@test: sums, averages and extremes leave NULL out
CREATE STREAM s (id INT KEY, n INT) WITH (kafka_topic='s', value_format='JSON');
CREATE TABLE t AS SELECT id, SUM(n) AS total, AVG(n) AS mean, MIN(n) AS low, MAX(n) AS high FROM s GROUP BY id;
INSERT INTO s (id, n) VALUES (1, 4);
INSERT INTO s (id, n) VALUES (1, NULL);
INSERT INTO s (id, n) VALUES (1, 1);
ASSERT VALUES t (id, total, mean, low, high) VALUES (1, 4, 4.0, 4, 4);
ASSERT VALUES t (id, total, mean, low, high) VALUES (1, 4, 4.0, 4, 4);
ASSERT VALUES t (id, total, mean, low, high) VALUES (1, 5, 2.5, 1, 4);

--@test: HAVING takes a group back that no longer qualifies
CREATE STREAM s (id INT KEY, n INT) WITH (kafka_topic='s', value_format='JSON');
CREATE TABLE t AS SELECT id, SUM(n) AS total FROM s GROUP BY id HAVING SUM(n) > 5;
INSERT INTO s (id, n) VALUES (1, 3);
INSERT INTO s (id, n) VALUES (1, 4);
INSERT INTO s (id, n) VALUES (1, -4);
INSERT INTO s (id, n) VALUES (1, 10);
ASSERT VALUES t (id, total) VALUES (1, 7);
ASSERT NULL VALUES t (id) KEY (1);
ASSERT VALUES t (id, total) VALUES (1, 13);

--@test: groups by an expression, and by two columns
CREATE STREAM s (id INT KEY, word STRING, n INT) WITH (kafka_topic='s', value_format='JSON', key_format='JSON');
CREATE TABLE by_length AS SELECT LEN(word) AS length, COUNT(*) AS n FROM s GROUP BY LEN(word);
CREATE TABLE by_both WITH (key_format='JSON') AS SELECT word, n, COUNT(*) AS c FROM s GROUP BY word, n;
INSERT INTO s (id, word, n) VALUES (1, 'ab', 1);
INSERT INTO s (id, word, n) VALUES (2, 'cd', 1);
INSERT INTO s (id, word, n) VALUES (3, 'ab', 1);
ASSERT VALUES by_length (length, n) VALUES (2, 1);
ASSERT VALUES by_length (length, n) VALUES (2, 2);
ASSERT VALUES by_length (length, n) VALUES (2, 3);
ASSERT VALUES by_both (word, n, c) VALUES ('ab', 1, 1);
ASSERT VALUES by_both (word, n, c) VALUES ('cd', 1, 1);
ASSERT VALUES by_both (word, n, c) VALUES ('ab', 1, 2);

--@test: a row of a table leaves its old group when it changes
CREATE TABLE people (id INT PRIMARY KEY, city STRING) WITH (kafka_topic='people', value_format='JSON');
CREATE TABLE cities AS SELECT city, COUNT(*) AS n FROM people GROUP BY city;
INSERT INTO people (id, city) VALUES (1, 'Oslo');
INSERT INTO people (id, city) VALUES (2, 'Oslo');
INSERT INTO people (id, city) VALUES (1, 'Rome');
ASSERT VALUES cities (city, n) VALUES ('Oslo', 1);
ASSERT VALUES cities (city, n) VALUES ('Oslo', 2);
ASSERT VALUES cities (city, n) VALUES ('Oslo', 1);
ASSERT VALUES cities (city, n) VALUES ('Rome', 1);

--@test: lists and sets collect what came
CREATE STREAM s (id INT KEY, word STRING) WITH (kafka_topic='s', value_format='JSON');
CREATE TABLE t AS SELECT id, COLLECT_LIST(word) AS words, COLLECT_SET(word) AS kinds FROM s GROUP BY id;
INSERT INTO s (id, word) VALUES (1, 'a');
INSERT INTO s (id, word) VALUES (1, 'a');
ASSERT VALUES t (id, words, kinds) VALUES (1, ARRAY['a'], ARRAY['a']);
ASSERT VALUES t (id, words, kinds) VALUES (1, ARRAY['a', 'a'], ARRAY['a']);

--@test: records without a group are left out
CREATE STREAM s (id INT KEY, word STRING) WITH (kafka_topic='s', value_format='JSON');
CREATE TABLE t AS SELECT word, COUNT(*) AS n FROM s GROUP BY word;
INSERT INTO s (id, word) VALUES (1, NULL);
INSERT INTO s (id, word) VALUES (1, 'x');
ASSERT VALUES t (word, n) VALUES ('x', 1);
