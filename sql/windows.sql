-- Groups by time.

--@test: tumbling windows count apart
CREATE STREAM s (id INT KEY, n INT) WITH (kafka_topic='s', value_format='JSON');
CREATE TABLE t AS SELECT id, COUNT(*) AS n, WINDOWSTART AS ws, WINDOWEND AS we
    FROM s WINDOW TUMBLING (SIZE 10 SECONDS) GROUP BY id;
INSERT INTO s (rowtime, id, n) VALUES (1000, 1, 1);
INSERT INTO s (rowtime, id, n) VALUES (9999, 1, 1);
INSERT INTO s (rowtime, id, n) VALUES (10000, 1, 1);
ASSERT VALUES t (rowtime, id, n, ws, we) VALUES (1000, 1, 1, 0, 10000);
ASSERT VALUES t (rowtime, id, n, ws, we) VALUES (9999, 1, 2, 0, 10000);
ASSERT VALUES t (rowtime, id, n, ws, we) VALUES (10000, 1, 1, 10000, 20000);

--@test: a record is in every hopping window that covers it
CREATE STREAM s (id INT KEY, n INT) WITH (kafka_topic='s', value_format='JSON');
CREATE TABLE t AS SELECT id, SUM(n) AS total FROM s WINDOW HOPPING (SIZE 10 SECONDS, ADVANCE BY 5 SECONDS) GROUP BY id;
INSERT INTO s (rowtime, id, n) VALUES (1000, 1, 1);
INSERT INTO s (rowtime, id, n) VALUES (6000, 1, 2);
ASSERT VALUES t (windowstart, id, total) VALUES (0, 1, 1);
ASSERT VALUES t (windowstart, id, total) VALUES (0, 1, 3);
ASSERT VALUES t (windowstart, id, total) VALUES (5000, 1, 2);

--@test: sessions grow and merge
CREATE STREAM s (id INT KEY, n INT) WITH (kafka_topic='s', value_format='JSON');
CREATE TABLE t AS SELECT id, SUM(n) AS total FROM s WINDOW SESSION (10 SECONDS) GROUP BY id;
INSERT INTO s (rowtime, id, n) VALUES (0, 1, 1);
INSERT INTO s (rowtime, id, n) VALUES (15000, 1, 2);
INSERT INTO s (rowtime, id, n) VALUES (8000, 1, 4);
ASSERT VALUES t (windowstart, windowend, id, total) VALUES (0, 0, 1, 1);
ASSERT VALUES t (windowstart, windowend, id, total) VALUES (15000, 15000, 1, 2);
ASSERT NULL VALUES t (windowstart, windowend, id) KEY (0, 0, 1);
ASSERT NULL VALUES t (windowstart, windowend, id) KEY (15000, 15000, 1);
ASSERT VALUES t (windowstart, windowend, id, total) VALUES (0, 15000, 1, 7);

--@test: a record that comes after the grace period is dropped
CREATE STREAM s (id INT KEY, n INT) WITH (kafka_topic='s', value_format='JSON', partitions=1);
CREATE TABLE t AS SELECT id, SUM(n) AS total
    FROM s WINDOW TUMBLING (SIZE 10 SECONDS, GRACE PERIOD 5 SECONDS) GROUP BY id;
INSERT INTO s (rowtime, id, n) VALUES (0, 1, 1);
INSERT INTO s (rowtime, id, n) VALUES (14999, 1, 2);
INSERT INTO s (rowtime, id, n) VALUES (1, 1, 4);
INSERT INTO s (rowtime, id, n) VALUES (15000, 1, 8);
INSERT INTO s (rowtime, id, n) VALUES (2, 1, 16);
INSERT INTO s (rowtime, id, n) VALUES (15001, 1, 32);
ASSERT VALUES t (windowstart, id, total) VALUES (0, 1, 1);
ASSERT VALUES t (windowstart, id, total) VALUES (10000, 1, 2);
ASSERT VALUES t (windowstart, id, total) VALUES (0, 1, 5);
ASSERT VALUES t (windowstart, id, total) VALUES (10000, 1, 10);
ASSERT VALUES t (windowstart, id, total) VALUES (10000, 1, 42);

--@test: EMIT FINAL waits until a window closes
CREATE STREAM s (id INT KEY, n INT) WITH (kafka_topic='s', value_format='JSON', partitions=1);
CREATE TABLE t AS SELECT id, SUM(n) AS total
    FROM s WINDOW TUMBLING (SIZE 10 SECONDS, GRACE PERIOD 0 SECONDS) GROUP BY id EMIT FINAL;
INSERT INTO s (rowtime, id, n) VALUES (0, 1, 1);
INSERT INTO s (rowtime, id, n) VALUES (5000, 1, 2);
INSERT INTO s (rowtime, id, n) VALUES (10000, 1, 4);
INSERT INTO s (rowtime, id, n) VALUES (20000, 1, 8);
ASSERT VALUES t (windowstart, id, total) VALUES (0, 1, 3);
ASSERT VALUES t (windowstart, id, total) VALUES (10000, 1, 4);

--@test: EMIT FINAL closes windows when nothing has come for long
CREATE STREAM s (id INT KEY, n INT) WITH (kafka_topic='s', value_format='JSON');
CREATE TABLE t AS SELECT id, SUM(n) AS total
    FROM s WINDOW TUMBLING (SIZE 10 SECONDS, GRACE PERIOD 5 SECONDS) GROUP BY id EMIT FINAL IDLE TIMEOUT 30 SECONDS;
INSERT INTO s (rowtime, id, n) VALUES (0, 1, 1);
INSERT INTO s (rowtime, id, n) VALUES (5000, 1, 2);
INSERT INTO s (rowtime, id, n) VALUES (12000, 2, 4);
--@pass.ms: 29000
INSERT INTO s (rowtime, id, n) VALUES (6000, 1, 8);
--@pass.ms: 29000
INSERT INTO s (rowtime, id, n) VALUES (7000, 1, 16);
--@pass.ms: 30000
ASSERT VALUES t (windowstart, rowtime, id, total) VALUES (0, 7000, 1, 27);
ASSERT VALUES t (windowstart, rowtime, id, total) VALUES (10000, 12000, 2, 4);
INSERT INTO s (rowtime, id, n) VALUES (13000, 2, 100);
INSERT INTO s (rowtime, id, n) VALUES (26000, 2, 200);
--@pass.ms: 30000
ASSERT VALUES t (windowstart, id, total) VALUES (20000, 2, 200);

--@test: sessions close when nothing has come for long
CREATE STREAM s (id INT KEY, n INT) WITH (kafka_topic='s', value_format='JSON');
CREATE TABLE t AS SELECT id, COUNT(*) AS n FROM s WINDOW SESSION (10 SECONDS, GRACE PERIOD 0 SECONDS)
    GROUP BY id EMIT FINAL IDLE TIMEOUT 1 MINUTE;
INSERT INTO s (rowtime, id, n) VALUES (0, 1, 1);
INSERT INTO s (rowtime, id, n) VALUES (4000, 2, 1);
INSERT INTO s (rowtime, id, n) VALUES (8000, 1, 1);
--@pass.ms: 60000
ASSERT VALUES t (windowstart, windowend, id, n) VALUES (4000, 4000, 2, 1);
ASSERT VALUES t (windowstart, windowend, id, n) VALUES (0, 8000, 1, 2);
