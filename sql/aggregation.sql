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

--@test: extremes, the top and the latest of a table follow its changes
CREATE TABLE t (id INT PRIMARY KEY, city STRING, n INT) WITH (kafka_topic='t', value_format='JSON');
CREATE TABLE o AS SELECT city, MIN(n) AS low, MAX(n) AS high, TOPK(n, 2) AS top, LATEST_BY_OFFSET(n) AS last
    FROM t GROUP BY city;
INSERT INTO t (id, city, n) VALUES (1, 'Oslo', 5);
INSERT INTO t (id, city, n) VALUES (2, 'Oslo', 9);
INSERT INTO t (id, city, n) VALUES (3, 'Oslo', 7);
INSERT INTO t (id, city, n) VALUES (2, 'Oslo', 1);
DELETE FROM t WHERE id = 1;
DELETE FROM t WHERE id = 2;
ASSERT VALUES o (city, low, high, top, last) VALUES ('Oslo', 5, 5, ARRAY[5], 5);
ASSERT VALUES o (city, low, high, top, last) VALUES ('Oslo', 5, 9, ARRAY[9, 5], 9);
ASSERT VALUES o (city, low, high, top, last) VALUES ('Oslo', 5, 9, ARRAY[9, 7], 7);
ASSERT VALUES o (city, low, high, top, last) VALUES ('Oslo', 1, 7, ARRAY[7, 5], 1);
ASSERT VALUES o (city, low, high, top, last) VALUES ('Oslo', 1, 7, ARRAY[7, 1], 1);
ASSERT VALUES o (city, low, high, top, last) VALUES ('Oslo', 7, 7, ARRAY[7], 7);

--@test: FILTER says which rows an aggregate counts
CREATE STREAM s (id INT KEY, n INT) WITH (kafka_topic='s', value_format='JSON');
CREATE TABLE o AS SELECT id, COUNT(*) AS n, COUNT(*) FILTER (WHERE n > 5) AS large,
    SUM(n) FILTER (WHERE n < 0 OR n > 100) AS odd FROM s GROUP BY id;
INSERT INTO s (id, n) VALUES (1, 9);
INSERT INTO s (id, n) VALUES (1, -2);
INSERT INTO s (id, n) VALUES (1, NULL);
INSERT INTO s (id, n) VALUES (1, 200);
ASSERT VALUES o (id, n, large, odd) VALUES (1, 1, 1, 0);
ASSERT VALUES o (id, n, large, odd) VALUES (1, 2, 1, -2);
ASSERT VALUES o (id, n, large, odd) VALUES (1, 3, 1, -2);
ASSERT VALUES o (id, n, large, odd) VALUES (1, 4, 2, 198);

--@test: FILTER over a table takes back what it counted
CREATE TABLE t (id INT PRIMARY KEY, city STRING, n INT) WITH (kafka_topic='t', value_format='JSON');
CREATE TABLE o AS SELECT city, COUNT(*) AS n, MAX(n) FILTER (WHERE n < 10) AS high FROM t GROUP BY city;
INSERT INTO t (id, city, n) VALUES (1, 'Oslo', 5);
INSERT INTO t (id, city, n) VALUES (2, 'Oslo', 20);
INSERT INTO t (id, city, n) VALUES (2, 'Oslo', 8);
INSERT INTO t (id, city, n) VALUES (2, 'Oslo', 30);
DELETE FROM t WHERE id = 1;
ASSERT VALUES o (city, n, high) VALUES ('Oslo', 1, 5);
ASSERT VALUES o (city, n, high) VALUES ('Oslo', 2, 5);
ASSERT VALUES o (city, n, high) VALUES ('Oslo', 2, 8);
ASSERT VALUES o (city, n, high) VALUES ('Oslo', 2, 5);
ASSERT VALUES o (city, n, high) VALUES ('Oslo', 1, NULL);

--@test: texts are put together, lists made, conditions united
CREATE STREAM s (id INT KEY, word STRING, ok BOOLEAN) WITH (kafka_topic='s', value_format='JSON');
CREATE TABLE o AS SELECT id, STRING_AGG(word, '-') AS words, ARRAY_AGG(word) AS list, BOOL_AND(ok) AS every,
    BOOL_OR(ok) AS some FROM s GROUP BY id;
INSERT INTO s (id, word, ok) VALUES (1, NULL, NULL);
INSERT INTO s (id, word, ok) VALUES (1, 'a', true);
INSERT INTO s (id, word, ok) VALUES (1, 'b', false);
ASSERT VALUES o (id, words, list, every, some) VALUES (1, NULL, ARRAY[CAST(NULL AS STRING)], NULL, NULL);
ASSERT VALUES o (id, words, list, every, some) VALUES (1, 'a', ARRAY[NULL, 'a'], true, true);
ASSERT VALUES o (id, words, list, every, some) VALUES (1, 'a-b', ARRAY[NULL, 'a', 'b'], false, true);

--@test: texts, lists and conditions of a table lose what goes
CREATE TABLE t (id INT PRIMARY KEY, g INT, word STRING, ok BOOLEAN) WITH (kafka_topic='t', value_format='JSON');
CREATE TABLE o AS SELECT g, STRING_AGG(word, '-') AS words, ARRAY_AGG(word) AS list, BOOL_AND(ok) AS every,
    BOOL_OR(ok) AS some FROM t GROUP BY g;
INSERT INTO t (id, g, word, ok) VALUES (1, 7, 'a', false);
INSERT INTO t (id, g, word, ok) VALUES (2, 7, 'b', true);
DELETE FROM t WHERE id = 1;
INSERT INTO t (id, g, word, ok) VALUES (2, 7, 'c', false);
ASSERT VALUES o (g, words, list, every, some) VALUES (7, 'a', ARRAY['a'], false, false);
ASSERT VALUES o (g, words, list, every, some) VALUES (7, 'a-b', ARRAY['a', 'b'], false, true);
ASSERT VALUES o (g, words, list, every, some) VALUES (7, 'b', ARRAY['b'], true, true);
ASSERT VALUES o (g, words, list, every, some) VALUES (7, 'c', ARRAY['c'], false, false);

--@test: variance and standard deviation, of all and of a sample
CREATE STREAM s (id INT KEY, n INT) WITH (kafka_topic='s', value_format='JSON');
CREATE TABLE o AS SELECT id, VAR_POP(n) AS vp, VAR_SAMP(n) AS vs, STDDEV_POP(n) AS dp, STDDEV_SAMPLE(n) AS ds
    FROM s GROUP BY id;
INSERT INTO s (id, n) VALUES (1, 2);
INSERT INTO s (id, n) VALUES (1, 6);
INSERT INTO s (id, n) VALUES (1, NULL);
INSERT INTO s (id, n) VALUES (1, 4);
ASSERT VALUES o (id, vp, vs, dp, ds) VALUES (1, 0.0, NULL, 0.0, 0.0);
ASSERT VALUES o (id, vp, vs, dp, ds) VALUES (1, 4.0, 8.0, 2.0, 2.8284271247461903);
ASSERT VALUES o (id, vp, vs, dp, ds) VALUES (1, 4.0, 8.0, 2.0, 2.8284271247461903);
ASSERT VALUES o (id, vp, vs, dp, ds) VALUES (1, 2.6666666666666665, 4.0, 1.632993161855452, 2.0);

--@test: variance, percentiles and the row of an extreme over a table
CREATE TABLE t (id INT PRIMARY KEY, g INT, n INT, name STRING) WITH (kafka_topic='t', value_format='JSON');
CREATE TABLE o AS SELECT g, VAR_POP(n) AS v, PERCENTILE_CONT(n, 0.5) AS median, PERCENTILE_DISC(n, 0.5) AS middle,
    ARG_MIN(name, n) AS least, ARG_MAX(name, n) AS most FROM t GROUP BY g;
INSERT INTO t (id, g, n, name) VALUES (1, 7, 10, 'ten');
INSERT INTO t (id, g, n, name) VALUES (2, 7, 14, 'fourteen');
INSERT INTO t (id, g, n, name) VALUES (3, 7, 12, 'twelve');
DELETE FROM t WHERE id = 2;
INSERT INTO t (id, g, n, name) VALUES (1, 7, 20, 'twenty');
ASSERT VALUES o (g, v, median, middle, least, most) VALUES (7, 0.0, 10.0, 10.0, 'ten', 'ten');
ASSERT VALUES o (g, v, median, middle, least, most) VALUES (7, 4.0, 12.0, 10.0, 'ten', 'fourteen');
ASSERT VALUES o (g, v, median, middle, least, most) VALUES (7, 2.6666666666666665, 12.0, 12.0, 'ten', 'fourteen');
ASSERT VALUES o (g, v, median, middle, least, most) VALUES (7, 1.0, 11.0, 10.0, 'ten', 'twelve');
ASSERT VALUES o (g, v, median, middle, least, most) VALUES (7, 16.0, 16.0, 12.0, 'twelve', 'twenty');

--@test: NULL is a group where it is asked for
CREATE STREAM s (id INT KEY, word STRING) WITH (kafka_topic='s', value_format='JSON');
CREATE TABLE o WITH (key_format='JSON') AS SELECT word, COUNT(*) AS n FROM s GROUP BY word INCLUDE NULLS;
INSERT INTO s (id, word) VALUES (1, NULL);
INSERT INTO s (id, word) VALUES (1, 'x');
INSERT INTO s (id, word) VALUES (2, NULL);
INSERT INTO s (id, word) VALUES (NULL, NULL);
ASSERT VALUES o (word, n) VALUES (NULL, 1);
ASSERT VALUES o (word, n) VALUES ('x', 1);
ASSERT VALUES o (word, n) VALUES (NULL, 2);
ASSERT VALUES o (word, n) VALUES (NULL, 3);

--@test: NULL may be one of the columns of a group
CREATE STREAM s (id INT KEY, word STRING, n INT) WITH (kafka_topic='s', value_format='JSON');
CREATE TABLE o WITH (key_format='JSON') AS
    SELECT word, n, COUNT(*) AS c FROM s WINDOW TUMBLING (SIZE 10 SECONDS) GROUP BY word, n INCLUDE NULLS;
INSERT INTO s (rowtime, id, word, n) VALUES (1000, 1, NULL, 5);
INSERT INTO s (rowtime, id, word, n) VALUES (2000, 2, 'x', NULL);
INSERT INTO s (rowtime, id, word, n) VALUES (3000, 3, NULL, 5);
INSERT INTO s (rowtime, id, word, n) VALUES (4000, 4, NULL, NULL);
INSERT INTO s (rowtime, id, word, n) VALUES (14000, 5, NULL, NULL);
ASSERT VALUES o (windowstart, word, n, c) VALUES (0, NULL, 5, 1);
ASSERT VALUES o (windowstart, word, n, c) VALUES (0, 'x', NULL, 1);
ASSERT VALUES o (windowstart, word, n, c) VALUES (0, NULL, 5, 2);
ASSERT VALUES o (windowstart, word, n, c) VALUES (0, NULL, NULL, 1);
ASSERT VALUES o (windowstart, word, n, c) VALUES (10000, NULL, NULL, 1);

--@test: the group of NULL of a table shrinks, too, and can be read on
CREATE TABLE t (id INT PRIMARY KEY, city STRING) WITH (kafka_topic='t', value_format='JSON');
CREATE TABLE o WITH (key_format='JSON') AS SELECT city, COUNT(*) AS n FROM t GROUP BY city INCLUDE NULLS;
CREATE TABLE twice AS SELECT city, n * 2 AS n FROM o WHERE n > 0;
INSERT INTO t (id, city) VALUES (1, NULL);
INSERT INTO t (id, city) VALUES (2, NULL);
INSERT INTO t (id, city) VALUES (1, 'Oslo');
DELETE FROM t WHERE id = 2;
ASSERT VALUES o (city, n) VALUES (NULL, 1);
ASSERT VALUES o (city, n) VALUES (NULL, 2);
ASSERT VALUES o (city, n) VALUES (NULL, 1);
ASSERT VALUES o (city, n) VALUES ('Oslo', 1);
ASSERT VALUES o (city, n) VALUES (NULL, 0);
ASSERT VALUES twice (city, n) VALUES (NULL, 2);
ASSERT VALUES twice (city, n) VALUES (NULL, 4);
ASSERT VALUES twice (city, n) VALUES (NULL, 2);
ASSERT VALUES twice (city, n) VALUES ('Oslo', 2);
ASSERT NULL VALUES twice (city) KEY (NULL);

--@test: a format without a key for NULL cannot hold the group of NULL
--@expected.message: INCLUDE NULLS is not supported by KEY_FORMAT KAFKA: it has no key for NULL
CREATE STREAM s (id INT KEY, word STRING) WITH (kafka_topic='s', value_format='JSON');
CREATE TABLE o AS SELECT word, COUNT(*) AS n FROM s GROUP BY word INCLUDE NULLS;
