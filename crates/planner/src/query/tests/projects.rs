//! WHERE and the select list.

use super::check;

#[test]
fn plans() {
    check(
        "CREATE STREAM o AS SELECT id, v + 1 AS w, name FROM s WHERE v > 10 AND name <> 'x';",
        "
        Sink stream O: topic O, key [ID INTEGER] KAFKA, value [W BIGINT, NAME STRING] JSON
          Project [ID, (V + 1) AS W, NAME]
            Filter ((V > 10) AND (NAME <> 'x'))
              Source stream S: topic s, key KAFKA, value JSON
        ",
    );
    check(
        "CREATE STREAM o WITH (kafka_topic = 'other', format = 'JSON', partitions = 7, timestamp = 'v') AS SELECT * FROM s EMIT CHANGES;",
        "
        Sink stream O: topic other, key [ID INTEGER] JSON, value [V BIGINT, NAME STRING, TAGS ARRAY<STRING>] JSON, timestamp V BIGINT, 7 partitions
          Project [ID, V, NAME, TAGS]
            Source stream S: topic s, key KAFKA, value JSON
        ",
    );
    check(
        "SELECT name, rowtime FROM s WHERE v > 1 EMIT CHANGES LIMIT 3;",
        "
        Client [NAME STRING, ROWTIME BIGINT], limit 3
          Project [NAME, ROWTIME]
            Filter (V > 1)
              Source stream S: topic s, key KAFKA, value JSON
        ",
    );
    check(
        "CREATE TABLE o AS SELECT id, w FROM t WHERE w > 1;",
        "
        Sink table O: topic O, key [ID INTEGER] KAFKA, value [W BIGINT] JSON
          Project [ID, W]
            Filter (W > 1)
              Source table T: topic t, key KAFKA, value JSON
        ",
    );
}

#[test]
fn errors() {
    check(
        "CREATE STREAM o AS SELECT nme FROM s;",
        "
        ERROR: SELECT column 'NME' cannot be resolved
        LINE 1: CREATE STREAM o AS SELECT nme FROM s;
                                          ^^^
        HINT: did you mean NAME?
        ",
    );
    check(
        "CREATE STREAM o AS SELECT v FROM s;",
        "
        ERROR: Key missing from projection. The query used to build `O` must include the key column ID in its projection (eg, SELECT ID...)
        LINE 1: CREATE STREAM o AS SELECT v FROM s;
                                   ^^^^^^^^^^^^^^^
        ",
    );
    check(
        "CREATE STREAM o AS SELECT id, id AS again, v FROM s;",
        "
        ERROR: The projection contains a key column (`ID`) more than once, aliased as: ID and AGAIN
        LINE 1: CREATE STREAM o AS SELECT id, id AS again, v FROM s;
                                              ^^
        HINT: use AS_VALUE(ID) for a copy in the value
        ",
    );
    check(
        "CREATE STREAM o AS SELECT id, v, v FROM s;",
        "
        ERROR: Duplicate value columns found in schema: `V` BIGINT stands there twice
        LINE 1: CREATE STREAM o AS SELECT id, v, v FROM s;
                                                 ^
        HINT: give it another name with AS
        ",
    );
    check(
        "CREATE STREAM o AS SELECT id, v AS rowtime FROM s;",
        "
        ERROR: `ROWTIME` is a reserved column name. You cannot use it as an alias for a column
        LINE 1: CREATE STREAM o AS SELECT id, v AS rowtime FROM s;
                                                   ^^^^^^^
        HINT: choose another alias
        ",
    );
    check(
        "CREATE STREAM o AS SELECT id FROM s;",
        "
        ERROR: The projection contains no value columns
        LINE 1: CREATE STREAM o AS SELECT id FROM s;
                                   ^^^^^^^^^^^^^^^^
        HINT: AS_VALUE(…) makes a value of a key column
        ",
    );
    check(
        "CREATE STREAM o AS SELECT id, v FROM z;",
        "
        ERROR: Z does not exist
        LINE 1: CREATE STREAM o AS SELECT id, v FROM z;
                                                     ^
        HINT: did you mean R?
        ",
    );
    check(
        "CREATE STREAM o AS SELECT id, w FROM t;",
        "
        ERROR: Invalid result type. The SELECT query produces a TABLE, not a STREAM
        LINE 1: CREATE STREAM o AS SELECT id, w FROM t;
                              ^
        HINT: use CREATE TABLE … AS SELECT
        ",
    );
    check(
        "CREATE STREAM o AS SELECT id, v FROM s LIMIT 3;",
        "
        ERROR: CREATE STREAM AS SELECT statements don't support LIMIT clause
        LINE 1: CREATE STREAM o AS SELECT id, v FROM s LIMIT 3;
                                   ^^^^^^^^^^^^^^^^^^^^^^^^^^^
        ",
    );
    check(
        "CREATE STREAM o AS SELECT id, SUM(v) FROM s;",
        "
        ERROR: a query whose result is stored cannot use the aggregate function SUM(V) without GROUP BY
        LINE 1: CREATE STREAM o AS SELECT id, SUM(v) FROM s;
                                              ^^^^^^
        HINT: add GROUP BY: its columns are the key of the result
        ",
    );
    check(
        "CREATE STREAM o AS SELECT id, v FROM s WHERE SUM(v) > 1;",
        "
        ERROR: WHERE does not support aggregate functions: SUM is an aggregate function
        LINE 1: CREATE STREAM o AS SELECT id, v FROM s WHERE SUM(v) > 1;
                                                             ^^^^^^
        ",
    );
    check(
        "CREATE STREAM o AS SELECT id, v FROM s HAVING v > 1;",
        "
        ERROR: HAVING requires a GROUP BY clause
        LINE 1: CREATE STREAM o AS SELECT id, v FROM s HAVING v > 1;
                                                              ^^^^^
        HINT: did you mean WHERE?
        ",
    );
    check(
        "CREATE STREAM o AS SELECT DISTINCT id, v FROM s;",
        "
        ERROR: Invalid result type. The SELECT query produces a TABLE, not a STREAM
        LINE 1: CREATE STREAM o AS SELECT DISTINCT id, v FROM s;
                              ^
        HINT: use CREATE TABLE … AS SELECT
        ",
    );
}
