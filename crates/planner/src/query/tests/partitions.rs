//! PARTITION BY.

use super::check;

#[test]
fn plans() {
    check(
        "CREATE STREAM o AS SELECT * FROM s PARTITION BY name;",
        "
        Sink stream O: topic O, key [NAME STRING] KAFKA, value [V BIGINT, TAGS ARRAY<STRING>, ID INTEGER] JSON
          Project [V, NAME, TAGS, ID]
            Source stream S: topic s, key KAFKA, value JSON
        ",
    );
    check(
        "CREATE STREAM o AS SELECT * FROM s PARTITION BY v + 1;",
        "
        Sink stream O: topic O, key [KSQL_COL_0 BIGINT] KAFKA, value [V BIGINT, NAME STRING, TAGS ARRAY<STRING>, ID INTEGER] JSON
          Project [(V + 1) AS KSQL_COL_0, V, NAME, TAGS, ID]
            Source stream S: topic s, key KAFKA, value JSON
        ",
    );
    check(
        "CREATE STREAM o AS SELECT v, id, name FROM s PARTITION BY id;",
        "
        Sink stream O: topic O, key [ID INTEGER] KAFKA, value [V BIGINT, NAME STRING] JSON
          Project [V, ID, NAME]
            Source stream S: topic s, key KAFKA, value JSON
        ",
    );
    check(
        "CREATE STREAM o WITH (key_format = 'JSON') AS SELECT name, id, v FROM s PARTITION BY name, id;",
        "
        Sink stream O: topic O, key [NAME STRING, ID INTEGER] JSON, value [V BIGINT] JSON
          Project [NAME, ID, V]
            Source stream S: topic s, key KAFKA, value JSON
        ",
    );
    check(
        "CREATE STREAM o AS SELECT * FROM s PARTITION BY null;",
        "
        Sink stream O: topic O, key [] KAFKA, value [V BIGINT, NAME STRING, TAGS ARRAY<STRING>, ID INTEGER] JSON
          Project [V, NAME, TAGS, ID]
            Source stream S: topic s, key KAFKA, value JSON
        ",
    );
}

#[test]
fn errors() {
    check(
        "CREATE STREAM o AS SELECT id, v FROM s PARTITION BY name;",
        "
        ERROR: Key missing from projection. The query used to build `O` must include the partitioning expression S.NAME in its projection (eg, SELECT S.NAME...)
        LINE 1: CREATE STREAM o AS SELECT id, v FROM s PARTITION BY name;
                                   ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
        ",
    );
    check(
        "CREATE STREAM o AS SELECT id, v, name AS n FROM s PARTITION BY n;",
        "
        ERROR: PARTITION BY column 'N' cannot be resolved
        LINE 1: CREATE STREAM o AS SELECT id, v, name AS n FROM s PARTITION BY n;
                                                                               ^
        HINT: did you mean V?
        ",
    );
    check(
        "CREATE STREAM o AS SELECT name, v FROM s PARTITION BY name, v;",
        "
        ERROR: The projection contains no value columns
        LINE 1: CREATE STREAM o AS SELECT name, v FROM s PARTITION BY name, v;
                                   ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
        HINT: AS_VALUE(…) makes a value of a key column
        ",
    );
    check(
        "CREATE TABLE o AS SELECT w, id FROM t PARTITION BY w;",
        "
        ERROR: PARTITION BY cannot be applied to a table: its rows are what they are by key
        LINE 1: CREATE TABLE o AS SELECT w, id FROM t PARTITION BY w;
                                                                   ^
        HINT: GROUP BY gives a table another key
        ",
    );
}
