-- Statements that must fail, and what their errors must name.

--@test: a source that does not exist
--@expected.message: source `NOWHERE` does not exist
CREATE STREAM o AS SELECT * FROM nowhere;

--@test: a column that does not exist
--@expected.message: column 'NOTHING' cannot be resolved
CREATE STREAM s (id INT KEY, n INT) WITH (kafka_topic='s', value_format='JSON');
CREATE STREAM o AS SELECT id, nothing FROM s;

--@test: a column that is neither grouped nor aggregated
--@expected.message: expression not part of GROUP BY: `N`
CREATE STREAM s (id INT KEY, n INT) WITH (kafka_topic='s', value_format='JSON');
CREATE TABLE o AS SELECT id, n, COUNT(*) AS c FROM s GROUP BY id;

--@test: a function that does not exist
--@expected.message: no function is named 'FROBNICATE'
CREATE STREAM s (id INT KEY, n INT) WITH (kafka_topic='s', value_format='JSON');
CREATE STREAM o AS SELECT id, FROBNICATE(n) AS x FROM s;

--@test: types that cannot be compared
--@expected.message: cannot compare `N` (INTEGER) with a BOOLEAN
CREATE STREAM s (id INT KEY, n INT) WITH (kafka_topic='s', value_format='JSON');
CREATE STREAM o AS SELECT id FROM s WHERE n = true;

--@test: a format that does not exist
--@expected.message: Unknown format: 'NONSENSE'
CREATE STREAM s (id INT KEY, n INT) WITH (kafka_topic='s', value_format='NONSENSE');

--@test: a name that is taken
--@expected.message: a stream `S` exists already
CREATE STREAM s (id INT KEY, n INT) WITH (kafka_topic='s', value_format='JSON');
CREATE STREAM s (id INT KEY, n INT) WITH (kafka_topic='s', value_format='JSON');

--@test: a source that others read cannot be dropped
--@expected.message: queries read from `S`: `O`
CREATE STREAM s (id INT KEY, n INT) WITH (kafka_topic='s', value_format='JSON');
CREATE STREAM o AS SELECT id, n FROM s;
DROP STREAM s;

--@test: an assertion about a value that does not hold
--@expected.message: record of 'S' differs: N
CREATE STREAM s (id INT KEY, n INT) WITH (kafka_topic='s', value_format='JSON');
INSERT INTO s (id, n) VALUES (1, 1);
ASSERT VALUES s (id, n) VALUES (1, 2);

--@test: an assertion about a record that is not there
--@expected.message: one more record of 'S' is expected
CREATE STREAM s (id INT KEY, n INT) WITH (kafka_topic='s', value_format='JSON');
ASSERT VALUES s (id, n) VALUES (1, 2);
