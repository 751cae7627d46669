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

--@test: a stream is joined with itself
CREATE STREAM s (id INT KEY, x INT) WITH (kafka_topic='s', value_format='JSON');
CREATE STREAM o AS SELECT a.id AS id, a.x AS ax, b.x AS bx
    FROM s a JOIN s b WITHIN 10 SECONDS GRACE PERIOD 1 DAY ON a.id = b.id WHERE a.x < b.x;
INSERT INTO s (rowtime, id, x) VALUES (0, 1, 1);
INSERT INTO s (rowtime, id, x) VALUES (5000, 1, 2);
INSERT INTO s (rowtime, id, x) VALUES (20000, 1, 3);
INSERT INTO s (rowtime, id, x) VALUES (21000, 1, 4);
ASSERT VALUES o (rowtime, id, ax, bx) VALUES (5000, 1, 1, 2);
ASSERT VALUES o (rowtime, id, ax, bx) VALUES (21000, 1, 3, 4);

--@test: a table is joined with itself by a column that points to its key
CREATE TABLE staff (id INT PRIMARY KEY, name STRING, boss INT) WITH (kafka_topic='staff', value_format='JSON');
CREATE TABLE o AS SELECT s.id AS id, s.name AS name, b.name AS boss FROM staff s JOIN staff b ON s.boss = b.id;
INSERT INTO staff (id, name, boss) VALUES (1, 'Ada', NULL);
INSERT INTO staff (id, name, boss) VALUES (2, 'Bob', 1);
INSERT INTO staff (id, name, boss) VALUES (1, 'Augusta', NULL);
INSERT INTO staff (id, name, boss) VALUES (3, 'Cyd', 3);
DELETE FROM staff WHERE id = 3;
ASSERT VALUES o (id, name, boss) VALUES (2, 'Bob', 'Ada');
ASSERT VALUES o (id, name, boss) VALUES (2, 'Bob', 'Augusta');
ASSERT VALUES o (id, name, boss) VALUES (3, 'Cyd', 'Cyd');
ASSERT NULL VALUES o (id) KEY (3);

--@test: several foreign keys in one query
CREATE TABLE orders (id INT PRIMARY KEY, customer INT, product INT) WITH (kafka_topic='orders', value_format='JSON');
CREATE TABLE customers (id INT PRIMARY KEY, name STRING) WITH (kafka_topic='customers', value_format='JSON');
CREATE TABLE products (id INT PRIMARY KEY, title STRING) WITH (kafka_topic='products', value_format='JSON');
CREATE TABLE o AS SELECT o.id AS id, c.name AS name, p.title AS title
    FROM orders o JOIN customers c ON o.customer = c.id LEFT JOIN products p ON o.product = p.id;
INSERT INTO customers (id, name) VALUES (7, 'Ada');
INSERT INTO orders (id, customer, product) VALUES (1, 7, 3);
INSERT INTO products (id, title) VALUES (3, 'tea');
INSERT INTO customers (id, name) VALUES (7, 'Augusta');
INSERT INTO orders (id, customer, product) VALUES (1, 8, 3);
INSERT INTO customers (id, name) VALUES (8, 'Bob');
DELETE FROM products WHERE id = 3;
DELETE FROM orders WHERE id = 1;
ASSERT VALUES o (id, name, title) VALUES (1, 'Ada', NULL);
ASSERT VALUES o (id, name, title) VALUES (1, 'Ada', 'tea');
ASSERT VALUES o (id, name, title) VALUES (1, 'Augusta', 'tea');
ASSERT NULL VALUES o (id) KEY (1);
ASSERT VALUES o (id, name, title) VALUES (1, 'Bob', 'tea');
ASSERT VALUES o (id, name, title) VALUES (1, 'Bob', NULL);
ASSERT NULL VALUES o (id) KEY (1);

--@test: a foreign key of a row that a foreign key found
CREATE TABLE people (id INT PRIMARY KEY, city INT) WITH (kafka_topic='people', value_format='JSON');
CREATE TABLE cities (id INT PRIMARY KEY, country STRING) WITH (kafka_topic='cities', value_format='JSON');
CREATE TABLE countries (code STRING PRIMARY KEY, name STRING) WITH (kafka_topic='countries', value_format='JSON');
CREATE TABLE o AS SELECT p.id AS id, k.name AS country
    FROM people p JOIN cities c ON p.city = c.id JOIN countries k ON c.country = k.code;
INSERT INTO countries (code, name) VALUES ('NO', 'Norway');
INSERT INTO countries (code, name) VALUES ('IT', 'Italy');
INSERT INTO cities (id, country) VALUES (1, 'NO');
INSERT INTO cities (id, country) VALUES (2, 'IT');
INSERT INTO people (id, city) VALUES (10, 1);
INSERT INTO people (id, city) VALUES (10, 2);
INSERT INTO countries (code, name) VALUES ('IT', 'Italia');
INSERT INTO cities (id, country) VALUES (2, 'XX');
ASSERT VALUES o (id, country) VALUES (10, 'Norway');
ASSERT VALUES o (id, country) VALUES (10, 'Italy');
ASSERT VALUES o (id, country) VALUES (10, 'Italia');
ASSERT NULL VALUES o (id) KEY (10);

--@test: a foreign key after a join by key, and a group of what comes of it
CREATE TABLE a (id INT PRIMARY KEY, x INT) WITH (kafka_topic='a', value_format='JSON');
CREATE TABLE b (id INT PRIMARY KEY, ref INT) WITH (kafka_topic='b', value_format='JSON');
CREATE TABLE c (id INT PRIMARY KEY, kind STRING) WITH (kafka_topic='c', value_format='JSON');
CREATE TABLE o AS SELECT c.kind AS kind, SUM(a.x) AS total FROM a JOIN b ON a.id = b.id JOIN c ON b.ref = c.id GROUP BY c.kind;
INSERT INTO c (id, kind) VALUES (100, 'red');
INSERT INTO b (id, ref) VALUES (1, 100);
INSERT INTO b (id, ref) VALUES (2, 100);
INSERT INTO a (id, x) VALUES (1, 5);
INSERT INTO a (id, x) VALUES (2, 6);
INSERT INTO a (id, x) VALUES (1, 1);
DELETE FROM b WHERE id = 2;
ASSERT VALUES o (kind, total) VALUES ('red', 5);
ASSERT VALUES o (kind, total) VALUES ('red', 11);
ASSERT VALUES o (kind, total) VALUES ('red', 7);
ASSERT VALUES o (kind, total) VALUES ('red', 1);

--@test: a foreign key of several columns
CREATE TABLE l (id INT PRIMARY KEY, a INT, b STRING) WITH (kafka_topic='l', format='JSON');
CREATE TABLE r (a INT PRIMARY KEY, b STRING PRIMARY KEY, v INT) WITH (kafka_topic='r', format='JSON');
CREATE TABLE o AS SELECT id, v FROM l LEFT JOIN r ON l.b = r.b AND l.a = r.a;
INSERT INTO r (a, b, v) VALUES (1, 'x', 11);
INSERT INTO l (id, a, b) VALUES (7, 1, 'x');
INSERT INTO l (id, a, b) VALUES (7, 1, 'y');
INSERT INTO r (a, b, v) VALUES (1, 'y', 12);
INSERT INTO r (a, b, v) VALUES (1, 'x', 13);
INSERT INTO l (id, a, b) VALUES (7, NULL, 'y');
ASSERT VALUES o (id, v) VALUES (7, 11);
ASSERT VALUES o (id, v) VALUES (7, NULL);
ASSERT VALUES o (id, v) VALUES (7, 12);
ASSERT VALUES o (id, v) VALUES (7, NULL);

--@test: what ON says besides the key, of an inner join
CREATE STREAM s (id INT KEY, x INT) WITH (kafka_topic='s', value_format='JSON');
CREATE TABLE t (id INT PRIMARY KEY, y INT) WITH (kafka_topic='t', value_format='JSON');
CREATE STREAM o AS SELECT s.id AS id, x, y FROM s JOIN t ON s.id = t.id AND x > y;
INSERT INTO t (id, y) VALUES (1, 10);
INSERT INTO s (id, x) VALUES (1, 10);
INSERT INTO s (id, x) VALUES (1, 11);
INSERT INTO t (id, y) VALUES (1, NULL);
INSERT INTO s (id, x) VALUES (1, 12);
INSERT INTO t (id, y) VALUES (1, 0);
INSERT INTO s (id, x) VALUES (1, 13);
ASSERT VALUES o (id, x, y) VALUES (1, 11, 10);
ASSERT VALUES o (id, x, y) VALUES (1, 13, 0);

--@test: a row of a stream whose partner fails the rest of ON is alone
CREATE STREAM s (id INT KEY, x INT, kind STRING) WITH (kafka_topic='s', value_format='JSON');
CREATE TABLE t (id INT PRIMARY KEY, y INT, kind STRING) WITH (kafka_topic='t', value_format='JSON');
CREATE STREAM o AS SELECT s.id AS id, x, y FROM s LEFT JOIN t ON s.id = t.id AND x > y AND s.kind = t.kind;
INSERT INTO t (id, y, kind) VALUES (1, 10, 'a');
INSERT INTO s (id, x, kind) VALUES (1, 10, 'a');
INSERT INTO s (id, x, kind) VALUES (1, 11, 'a');
INSERT INTO s (id, x, kind) VALUES (1, 11, 'b');
INSERT INTO s (id, x, kind) VALUES (1, NULL, 'a');
INSERT INTO s (id, x, kind) VALUES (2, 11, 'a');
ASSERT VALUES o (id, x, y) VALUES (1, 10, NULL);
ASSERT VALUES o (id, x, y) VALUES (1, 11, 10);
ASSERT VALUES o (id, x, y) VALUES (1, 11, NULL);
ASSERT VALUES o (id, x, y) VALUES (1, NULL, NULL);
ASSERT VALUES o (id, x, y) VALUES (2, 11, NULL);

--@test: rows of tables whose partners fail the rest of ON are alone
CREATE TABLE l (id INT PRIMARY KEY, x INT) WITH (kafka_topic='l', value_format='JSON');
CREATE TABLE r (id INT PRIMARY KEY, y INT) WITH (kafka_topic='r', value_format='JSON');
CREATE TABLE lefts AS SELECT l.id AS id, x, y FROM l LEFT JOIN r ON l.id = r.id AND y > x;
CREATE TABLE rights AS SELECT r.id AS id, x, y FROM l RIGHT JOIN r ON l.id = r.id AND y > x;
CREATE TABLE inners AS SELECT l.id AS id, x, y FROM l JOIN r ON l.id = r.id AND y > x;
INSERT INTO l (id, x) VALUES (1, 5);
INSERT INTO r (id, y) VALUES (1, 9);
INSERT INTO r (id, y) VALUES (1, 2);
DELETE FROM l WHERE id = 1;
ASSERT VALUES lefts (id, x, y) VALUES (1, 5, NULL);
ASSERT VALUES lefts (id, x, y) VALUES (1, 5, 9);
ASSERT VALUES lefts (id, x, y) VALUES (1, 5, NULL);
ASSERT NULL VALUES lefts (id) KEY (1);
ASSERT VALUES rights (id, x, y) VALUES (1, 5, 9);
ASSERT VALUES rights (id, x, y) VALUES (1, NULL, 2);
ASSERT VALUES rights (id, x, y) VALUES (1, NULL, 2);
ASSERT VALUES inners (id, x, y) VALUES (1, 5, 9);
ASSERT NULL VALUES inners (id) KEY (1);

--@test: a foreign key whose row fails the rest of ON points to nothing
CREATE TABLE orders (id INT PRIMARY KEY, user_id INT, n INT) WITH (kafka_topic='orders', value_format='JSON');
CREATE TABLE users (uid INT PRIMARY KEY, name STRING, most INT) WITH (kafka_topic='users', value_format='JSON');
CREATE TABLE o AS SELECT id, n, name FROM orders LEFT JOIN users ON user_id = uid AND n <= most;
INSERT INTO users (uid, name, most) VALUES (7, 'Ada', 5);
INSERT INTO orders (id, user_id, n) VALUES (1, 7, 5);
INSERT INTO orders (id, user_id, n) VALUES (1, 7, 6);
INSERT INTO users (uid, name, most) VALUES (7, 'Ada', 6);
DELETE FROM orders WHERE id = 1;
ASSERT VALUES o (id, n, name) VALUES (1, 5, 'Ada');
ASSERT VALUES o (id, n, name) VALUES (1, 6, NULL);
ASSERT VALUES o (id, n, name) VALUES (1, 6, 'Ada');
ASSERT NULL VALUES o (id) KEY (1);

--@test: a row of two streams whose candidates all fail the rest of ON is alone
CREATE STREAM l (id INT KEY, x INT) WITH (kafka_topic='l', value_format='JSON');
CREATE STREAM r (id INT KEY, y INT) WITH (kafka_topic='r', value_format='JSON');
CREATE STREAM o AS SELECT ROWKEY AS id, x, y
    FROM l FULL OUTER JOIN r WITHIN 10 SECONDS GRACE PERIOD 0 SECONDS ON l.id = r.id AND y > x;
INSERT INTO l (rowtime, id, x) VALUES (0, 1, 5);
INSERT INTO r (rowtime, id, y) VALUES (1000, 1, 3);
INSERT INTO r (rowtime, id, y) VALUES (2000, 1, 9);
INSERT INTO l (rowtime, id, x) VALUES (3000, 1, 100);
INSERT INTO l (rowtime, id, x) VALUES (30000, 2, 0);
ASSERT VALUES o (rowtime, id, x, y) VALUES (2000, 1, 5, 9);
ASSERT VALUES o (rowtime, id, x, y) VALUES (1000, 1, NULL, 3);
ASSERT VALUES o (rowtime, id, x, y) VALUES (3000, 1, 100, NULL);

--@test: two streams are joined by two columns
CREATE STREAM l (id INT KEY, k INT, x INT) WITH (kafka_topic='l', value_format='JSON');
CREATE STREAM r (id INT KEY, k INT, y INT) WITH (kafka_topic='r', value_format='JSON');
CREATE STREAM o AS SELECT l.id AS id, x, y
    FROM l JOIN r WITHIN 10 SECONDS GRACE PERIOD 0 SECONDS ON l.id = r.id AND l.k = r.k;
INSERT INTO l (rowtime, id, k, x) VALUES (0, 1, 1, 5);
INSERT INTO r (rowtime, id, k, y) VALUES (1000, 1, 2, 3);
INSERT INTO r (rowtime, id, k, y) VALUES (2000, 1, 1, 4);
ASSERT VALUES o (rowtime, id, x, y) VALUES (2000, 1, 5, 4);

--@test: a full join of tables has one row for a key
--@expected.message: a condition besides the key in ON of a FULL OUTER JOIN of tables is not supported: (R.Y > L.X)
CREATE TABLE l (id INT PRIMARY KEY, x INT) WITH (kafka_topic='l', value_format='JSON');
CREATE TABLE r (id INT PRIMARY KEY, y INT) WITH (kafka_topic='r', value_format='JSON');
CREATE TABLE o AS SELECT ROWKEY AS id, x, y FROM l FULL OUTER JOIN r ON l.id = r.id AND y > x;

--@test: a table is read first, as it stood when the query began
CREATE STREAM orders (id INT KEY, user_id INT) WITH (kafka_topic='orders', value_format='JSON');
CREATE TABLE users (id INT PRIMARY KEY, name STRING) WITH (kafka_topic='users', value_format='JSON');
INSERT INTO orders (id, user_id) VALUES (1, 7);
INSERT INTO users (id, name) VALUES (7, 'Ada');
INSERT INTO users (id, name) VALUES (8, 'Bob');
INSERT INTO orders (id, user_id) VALUES (2, 8);
DELETE FROM users WHERE id = 8;
CREATE STREAM named AS SELECT o.user_id AS user_id, o.id AS id, name
    FROM orders o WITH (start='earliest') LEFT JOIN users u WITH (start='snapshot') ON o.user_id = u.id;
INSERT INTO users (id, name) VALUES (8, 'Bea');
INSERT INTO orders (id, user_id) VALUES (3, 8);
ASSERT VALUES named (user_id, id, name) VALUES (7, 1, 'Ada');
ASSERT VALUES named (user_id, id, name) VALUES (8, 2, NULL);
ASSERT VALUES named (user_id, id, name) VALUES (8, 3, 'Bea');

--@test: a stream cannot be read as it stood
--@expected.message: START 'snapshot' is for tables
CREATE STREAM s (id INT KEY, x INT) WITH (kafka_topic='s', value_format='JSON');
CREATE STREAM o AS SELECT id, x FROM s WITH (start='snapshot');
