-- Expressions: types, operators, NULL.

--@test: NULL spreads through operators and is asked for by IS NULL
CREATE STREAM s (id INT KEY, a INT, b INT) WITH (kafka_topic='s', value_format='JSON');
CREATE STREAM o AS SELECT id, a + b AS total, a IS NULL AS no_a, COALESCE(a, b, 0) AS some FROM s;
INSERT INTO s (id, a, b) VALUES (1, 2, 3);
INSERT INTO s (id, a, b) VALUES (2, NULL, 3);
INSERT INTO s (id, a, b) VALUES (3, NULL, NULL);
ASSERT VALUES o (id, total, no_a, some) VALUES (1, 5, false, 2);
ASSERT VALUES o (id, total, no_a, some) VALUES (2, NULL, true, 3);
ASSERT VALUES o (id, total, no_a, some) VALUES (3, NULL, true, 0);

--@test: the first branch of a CASE that is true counts
CREATE STREAM s (id INT KEY, n INT) WITH (kafka_topic='s', value_format='JSON');
CREATE STREAM o AS SELECT id, CASE WHEN n < 10 THEN 'small' WHEN n < 100 THEN 'medium' ELSE 'large' END AS size FROM s;
INSERT INTO s (id, n) VALUES (1, 1);
INSERT INTO s (id, n) VALUES (2, 10);
INSERT INTO s (id, n) VALUES (3, 1000);
ASSERT VALUES o (id, size) VALUES (1, 'small');
ASSERT VALUES o (id, size) VALUES (2, 'medium');
ASSERT VALUES o (id, size) VALUES (3, 'large');

--@test: decimals keep every digit
CREATE STREAM prices (id INT KEY, price DECIMAL(6, 2), tax DECIMAL(4, 3)) WITH (kafka_topic='p', value_format='JSON');
CREATE STREAM totals AS SELECT id, price + price AS twice, price * tax AS part FROM prices;
INSERT INTO prices (id, price, tax) VALUES (1, 19.99, 0.190);
ASSERT VALUES totals (id, twice, part) VALUES (1, 39.98, 3.79810);

--@test: division of integers is whole, and by zero gives NULL
CREATE STREAM s (id INT KEY, a INT, b INT) WITH (kafka_topic='s', value_format='JSON');
CREATE STREAM o AS SELECT id, a / b AS q FROM s;
INSERT INTO s (id, a, b) VALUES (1, 7, 2);
INSERT INTO s (id, a, b) VALUES (2, 7, 0);
ASSERT VALUES o (id, q) VALUES (1, 3);
ASSERT VALUES o (id, q) VALUES (2, NULL);

--@test: arrays, maps and structs are built and taken apart
CREATE STREAM s (id INT KEY, n INT) WITH (kafka_topic='s', value_format='JSON');
CREATE STREAM built AS
    SELECT id, ARRAY[n, n + 1] AS list, MAP('n' := n) AS named, STRUCT(n := n, half := n / 2) AS both FROM s;
CREATE STREAM taken AS SELECT id, list[2] AS second, named['n'] AS n, both->half AS half FROM built;
INSERT INTO s (id, n) VALUES (1, 8);
ASSERT VALUES built (id, list, named, both) VALUES (1, ARRAY[8, 9], MAP('n' := 8), STRUCT(n := 8, half := 4));
ASSERT VALUES taken (id, second, n, half) VALUES (1, 9, 8, 4);

--@test: LIKE, IN and BETWEEN
CREATE STREAM s (id INT KEY, word STRING, n INT) WITH (kafka_topic='s', value_format='JSON');
CREATE STREAM o AS SELECT id, word FROM s WHERE word LIKE 'a%z' OR n IN (3, 5) OR n BETWEEN 10 AND 12;
INSERT INTO s (id, word, n) VALUES (1, 'abcz', 1);
INSERT INTO s (id, word, n) VALUES (2, 'b', 5);
INSERT INTO s (id, word, n) VALUES (3, 'b', 12);
INSERT INTO s (id, word, n) VALUES (4, 'az!', 13);
ASSERT VALUES o (id, word) VALUES (1, 'abcz');
ASSERT VALUES o (id, word) VALUES (2, 'b');
ASSERT VALUES o (id, word) VALUES (3, 'b');

--@test: texts become numbers by CAST, and what is no number becomes NULL
CREATE STREAM s (id INT KEY, word STRING) WITH (kafka_topic='s', value_format='JSON');
CREATE STREAM o AS SELECT id, CAST(word AS INT) AS n FROM s;
INSERT INTO s (id, word) VALUES (1, '42');
INSERT INTO s (id, word) VALUES (2, 'forty-two');
ASSERT VALUES o (id, n) VALUES (1, 42);
ASSERT VALUES o (id, n) VALUES (2, NULL);
