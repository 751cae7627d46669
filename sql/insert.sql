-- Writing into streams: VALUES and queries.

--@test: several queries write into one stream
CREATE STREAM a (id INT KEY, n INT) WITH (kafka_topic='a', value_format='JSON');
CREATE STREAM b (id INT KEY, n INT) WITH (kafka_topic='b', value_format='JSON');
CREATE STREAM o AS SELECT id, n FROM a;
INSERT INTO o SELECT id, n * 100 AS n FROM b;
INSERT INTO a (id, n) VALUES (1, 1);
ASSERT VALUES o (id, n) VALUES (1, 1);
INSERT INTO b (id, n) VALUES (2, 2);
ASSERT VALUES o (id, n) VALUES (2, 200);

--@test: columns that are not named are NULL
CREATE STREAM a (id INT KEY, n INT, word STRING) WITH (kafka_topic='a', value_format='JSON');
INSERT INTO a (word, id) VALUES ('x', 1);
INSERT INTO a VALUES (2, 3, 'y');
ASSERT VALUES a (id, n, word) VALUES (1, NULL, 'x');
ASSERT VALUES a (id, n, word) VALUES (2, 3, 'y');

--@test: values are converted to the columns' types
CREATE STREAM a (id BIGINT KEY, d DOUBLE, c DECIMAL(4, 2), t TIMESTAMP) WITH (kafka_topic='a', value_format='JSON');
INSERT INTO a (id, d, c, t) VALUES (1, 2, 3, '1970-01-01T00:00:01');
ASSERT VALUES a (id, d, c, t) VALUES (1, 2.0, 3.00, '1970-01-01T00:00:01');

--@test: variables stand for text
CREATE STREAM a (id INT KEY, word STRING) WITH (kafka_topic='a', value_format='JSON');
DEFINE who = 'world';
INSERT INTO a (id, word) VALUES (1, 'hello ${who}');
ASSERT VALUES a (id, word) VALUES (1, 'hello world');
