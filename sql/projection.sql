-- Filters and projections: every record on its own.

--@test: a filter lets records pass whose condition is true
CREATE STREAM readings (id INT KEY, value INT) WITH (kafka_topic='readings', value_format='JSON');
CREATE STREAM high AS SELECT id, value FROM readings WHERE value > 10;
INSERT INTO readings (rowtime, id, value) VALUES (1, 1, 11);
INSERT INTO readings (rowtime, id, value) VALUES (2, 1, 10);
INSERT INTO readings (rowtime, id, value) VALUES (3, 2, NULL);
INSERT INTO readings (rowtime, id, value) VALUES (4, 2, 12);
ASSERT VALUES high (rowtime, id, value) VALUES (1, 1, 11);
ASSERT VALUES high (rowtime, id, value) VALUES (4, 2, 12);

--@test: columns are renamed, computed and left out
CREATE STREAM people (id INT KEY, first STRING, last STRING, born INT) WITH (kafka_topic='people', value_format='JSON');
CREATE STREAM greetings AS
    SELECT id, 'Hello, ' || first || ' ' || last AS greeting, 2000 - born AS age FROM people;
INSERT INTO people (id, first, last, born) VALUES (7, 'Ada', 'Byron', 1815);
ASSERT STREAM greetings (id INT KEY, greeting STRING, age INT) WITH (kafka_topic='GREETINGS', value_format='JSON');
ASSERT VALUES greetings (id, greeting, age) VALUES (7, 'Hello, Ada Byron', 185);

--@test: all columns are selected by a star, and derived streams follow each other
CREATE STREAM a (id INT KEY, x INT, y STRING) WITH (kafka_topic='a', value_format='JSON');
CREATE STREAM b AS SELECT *, x + 1 AS z FROM a;
CREATE STREAM c AS SELECT * FROM b WHERE z % 2 = 0;
INSERT INTO a (id, x, y) VALUES (1, 1, 'one');
INSERT INTO a (id, x, y) VALUES (1, 2, 'two');
INSERT INTO a (id, x, y) VALUES (1, 3, 'three');
ASSERT VALUES c (id, x, y, z) VALUES (1, 1, 'one', 2);
ASSERT VALUES c (id, x, y, z) VALUES (1, 3, 'three', 4);

--@test: a stream without a key keeps its order within a partition
CREATE STREAM notes (note STRING) WITH (kafka_topic='notes', value_format='DELIMITED', partitions=1);
CREATE STREAM loud AS SELECT UCASE(note) AS note FROM notes;
INSERT INTO notes (note) VALUES ('first');
INSERT INTO notes (note) VALUES ('second');
ASSERT VALUES loud (note) VALUES ('FIRST');
ASSERT VALUES loud (note) VALUES ('SECOND');

--@test: the time of a record can come from a column
CREATE STREAM events (id INT KEY, happened BIGINT)
    WITH (kafka_topic='events', value_format='JSON', timestamp='happened');
CREATE STREAM copies AS SELECT id, happened, ROWTIME AS t FROM events;
INSERT INTO events (rowtime, id, happened) VALUES (5, 1, 1234);
ASSERT VALUES copies (rowtime, id, happened, t) VALUES (1234, 1, 1234, 1234);

--@test: partitioning by another column makes it the key
CREATE STREAM clicks (id INT KEY, page STRING) WITH (kafka_topic='clicks', value_format='JSON');
CREATE STREAM by_page AS SELECT page, id FROM clicks PARTITION BY page;
INSERT INTO clicks (id, page) VALUES (1, 'home');
INSERT INTO clicks (id, page) VALUES (2, 'cart');
ASSERT STREAM by_page (page STRING KEY, id INT) WITH (kafka_topic='BY_PAGE', value_format='JSON');
ASSERT VALUES by_page (page, id) VALUES ('home', 1);
ASSERT VALUES by_page (page, id) VALUES ('cart', 2);
