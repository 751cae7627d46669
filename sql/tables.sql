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
